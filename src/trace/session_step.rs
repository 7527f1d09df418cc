//! What is recorded of a session that is driven alone: as `step.rs` has it for a connection.

#![allow(
    clippy::exhaustive_enums,
    reason = "deliberate: who handles steps has to know each call that there is"
)]

use std::time::Instant;

use super::step::run;
use crate::{
    CloseMessage, Dir, Endpoint, Rejection, StreamId, Violation,
    session::{Input, Output, Session},
};

/// One call on a [`Session`] that may change it. Getters and [`datagram`](Session::datagram) do
/// not, and are no steps.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub enum SessionStep {
    /// Recording was turned on here, and the session had been used before: calls are missing.
    Missed,
    /// [`open`](Session::open).
    Open,
    /// [`reject`](Session::reject).
    Reject {
        /// Who said no.
        by: Endpoint,
        /// The answer.
        rejection: Box<Rejection>,
    },
    /// [`fail`](Session::fail).
    Fail {
        /// What HTTP/3 saw.
        violation: Violation,
    },
    /// [`handle`](Session::handle).
    Input(Input),
    /// [`poll`](Session::poll), one time after another. Those are counted that found something
    /// queued.
    Poll {
        /// How many times.
        times: u64,
    },
    /// [`open_stream`](Session::open_stream), and what became of its permit.
    OpenStream {
        /// The kind of stream.
        dir: Dir,
        /// The stream that was bound; `None`: the permit was dropped, or there was none.
        bound: Option<StreamId>,
    },
    /// [`credit`](Session::credit), and what became of the credit.
    Credit {
        /// The stream to be written.
        stream: StreamId,
        /// The bytes that were spent, never 0; `None`: the credit was dropped, or there was none.
        spent: Option<usize>,
    },
    /// [`consumed`](Session::consumed).
    Consumed {
        /// Bytes that the application has read.
        len: u64,
    },
    /// [`finish`](Session::finish).
    Finish {
        /// The stream to finish.
        stream: StreamId,
    },
    /// [`reset`](Session::reset).
    Reset {
        /// The stream to reset.
        stream: StreamId,
        /// The application's code.
        code: u32,
    },
    /// [`stop`](Session::stop).
    Stop {
        /// The stream to stop.
        stream: StreamId,
        /// The application's code.
        code: u32,
    },
    /// [`drain`](Session::drain).
    Drain,
    /// [`close`](Session::close).
    Close {
        /// The application's code.
        code: u32,
        /// The application's words.
        message: CloseMessage,
    },
    /// [`pause`](Session::pause).
    Pause,
    /// [`resume`](Session::resume).
    Resume,
}

impl SessionStep {
    /// Makes the call: gives what [`Poll`](Self::Poll) gave, in order. A command's error is dropped;
    /// so is `now` where the method takes none.
    pub fn apply(self, now: Instant, session: &mut Session) -> Vec<Output> {
        match self {
            Self::Missed => {}
            Self::Open => session.open(now),
            Self::Reject { by, rejection } => session.reject(now, by, *rejection),
            Self::Fail { violation } => session.fail(now, violation),
            Self::Input(input) => session.handle(now, input),
            Self::Poll { times } => return run(times, || session.poll()),
            Self::OpenStream { dir, bound } => {
                if let (Ok(permit), Some(stream)) = (session.open_stream(dir), bound) {
                    let _written_already = permit.bind(stream);
                }
            }
            Self::Credit { stream, spent } => {
                if let (Ok(credit), Some(spent)) = (session.credit(stream), spent) {
                    credit.spend(spent);
                }
            }
            Self::Consumed { len } => session.consumed(len),
            Self::Finish { stream } => {
                let _closed = session.finish(stream);
            }
            Self::Reset { stream, code } => {
                let _closed = session.reset(stream, code);
            }
            Self::Stop { stream, code } => {
                let _closed = session.stop(stream, code);
            }
            Self::Drain => session.drain(),
            Self::Close { code, message } => session.close(now, code, message),
            Self::Pause => session.pause(),
            Self::Resume => session.resume(now),
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
