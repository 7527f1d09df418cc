//! What is recorded: each call that changes a connection, as plain data, with its time.
//!
//! One variant for each such method; what the call does is the connection's.

#![allow(
    clippy::exhaustive_enums,
    reason = "deliberate: who handles steps has to know each call that there is"
)]

use std::time::{Duration, Instant};

use crate::{
    CloseMessage, Connection, Dir, Input, Output, Rejection, RememberedSettings, Request, Response,
    SessionId, StreamId, Transport,
};

/// One call on a [`Connection`] that may change it. Getters and
/// [`datagram`](Connection::datagram) do not, and are no steps.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Step {
    /// [`start`](Connection::start).
    Start {
        /// What QUIC can do.
        transport: Transport,
        /// What a client that [resumes](Connection::client_resuming) had kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remembered: Option<Box<RememberedSettings>>,
    },
    /// [`protocol_stream`](Connection::protocol_stream), and the stream that was bound.
    ProtocolStream {
        /// The stream that the host had opened.
        bound: StreamId,
    },
    /// Recording was turned on here, and the connection had been used before: calls are missing.
    Missed,
    /// [`handle`](Connection::handle).
    Input(Input),
    /// [`poll`](Connection::poll), one time after another. Those are counted that found something
    /// queued.
    Poll {
        /// How many times.
        times: u64,
    },
    /// [`poll_action`](Connection::poll_action), as [`Poll`](Self::Poll).
    PollAction {
        /// How many times.
        times: u64,
    },
    /// [`connect`](Connection::connect), and what became of its permit.
    Connect {
        /// What was asked for.
        request: Box<Request>,
        /// The stream that was bound; `None`: the permit was dropped, or there was none.
        bound: Option<StreamId>,
    },
    /// [`open`](Connection::open), and what became of its permit.
    Open {
        /// The session that the stream is for.
        session: SessionId,
        /// The kind of stream.
        dir: Dir,
        /// The stream that was bound; `None`: the permit was dropped, or there was none.
        bound: Option<StreamId>,
    },
    /// [`credit`](Connection::credit), and what became of the credit.
    Credit {
        /// The stream to be written.
        stream: StreamId,
        /// The bytes that were spent, never 0; `None`: the credit was dropped, or there was none.
        spent: Option<usize>,
    },
    /// [`accept`](Connection::accept).
    Accept {
        /// The session that was asked for.
        session: SessionId,
        /// The answer.
        response: Box<Response>,
    },
    /// [`reject`](Connection::reject).
    Reject {
        /// The session that was asked for.
        session: SessionId,
        /// The answer.
        rejection: Box<Rejection>,
    },
    /// [`drain`](Connection::drain).
    Drain {
        /// The session that will end.
        session: SessionId,
    },
    /// [`close`](Connection::close).
    Close {
        /// The session to end.
        session: SessionId,
        /// The application's code.
        code: u32,
        /// The application's words.
        message: CloseMessage,
    },
    /// [`go_away`](Connection::go_away).
    GoAway,
    /// [`shutdown`](Connection::shutdown).
    Shutdown {
        /// The application's code.
        code: u32,
        /// The application's words.
        message: CloseMessage,
    },
    /// [`finish`](Connection::finish).
    Finish {
        /// The stream to finish.
        stream: StreamId,
    },
    /// [`reset`](Connection::reset).
    Reset {
        /// The stream to reset.
        stream: StreamId,
        /// The application's code.
        code: u32,
    },
    /// [`stop`](Connection::stop).
    Stop {
        /// The stream to stop.
        stream: StreamId,
        /// The application's code.
        code: u32,
    },
    /// [`pause`](Connection::pause).
    Pause {
        /// The stream that is not read for now.
        stream: StreamId,
    },
    /// [`resume`](Connection::resume).
    Resume {
        /// The stream that is read again.
        stream: StreamId,
    },
}

/// One step with its time: one line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Record<S = Step> {
    /// The latest time that the connection knew, counted from the first that it was told while
    /// recording; of a session alone, from when recording was turned on. Stored in nanoseconds.
    #[serde(with = "nanoseconds")]
    pub at: Duration,
    /// The call.
    pub step: S,
}

impl<S> Record<S> {
    /// A step at its time.
    #[must_use]
    pub const fn new(at: Duration, step: S) -> Self {
        Self { at, step }
    }
}

impl Step {
    /// Makes the call: gives what [`Poll`](Self::Poll) and [`PollAction`](Self::PollAction) gave,
    /// in order. A command's error is dropped; so is `now` where the method takes none.
    pub fn apply(self, now: Instant, connection: &mut Connection) -> Vec<Output> {
        match self {
            Self::Start {
                transport,
                remembered,
            } => {
                connection.remember(remembered.map(|settings| *settings));
                connection.start(now, transport);
            }
            Self::ProtocolStream { bound } => {
                if let Some(permit) = connection.protocol_stream() {
                    permit.bind(bound);
                }
            }
            Self::Missed => {}
            Self::Input(input) => connection.handle(now, input),
            Self::Poll { times } => return run(times, || connection.poll()),
            Self::PollAction { times } => {
                return run(times, || connection.poll_action().map(Output::Action));
            }
            Self::Connect { request, bound } => {
                if let (Ok(permit), Some(stream)) = (connection.connect(now, &request), bound) {
                    permit.bind(stream);
                }
            }
            Self::Open {
                session,
                dir,
                bound,
            } => {
                if let (Ok(permit), Some(stream)) = (connection.open(session, dir), bound) {
                    permit.bind(stream);
                }
            }
            Self::Credit { stream, spent } => {
                if let (Ok(credit), Some(spent)) = (connection.credit(stream), spent) {
                    credit.spend(spent);
                }
            }
            Self::Accept { session, response } => {
                let _gone = connection.accept(now, session, *response);
            }
            Self::Reject { session, rejection } => {
                let _gone = connection.reject(now, session, *rejection);
            }
            Self::Drain { session } => connection.drain(session),
            Self::Close {
                session,
                code,
                message,
            } => connection.close(now, session, code, message),
            Self::GoAway => connection.go_away(),
            Self::Shutdown { code, message } => connection.shutdown(now, code, message),
            Self::Finish { stream } => {
                let _closed = connection.finish(stream);
            }
            Self::Reset { stream, code } => {
                let _closed = connection.reset(stream, code);
            }
            Self::Stop { stream, code } => {
                let _closed = connection.stop(stream, code);
            }
            Self::Pause { stream } => connection.pause(stream),
            Self::Resume { stream } => connection.resume(stream),
        }
        Vec::new()
    }
}

/// Polls so many times; after the first that gives nothing there is nothing left to give.
pub(super) fn run<T>(times: u64, poll: impl FnMut() -> Option<T>) -> Vec<T> {
    let times = usize::try_from(times).unwrap_or(usize::MAX);
    std::iter::from_fn(poll).take(times).collect()
}

mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        at: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // More than 500 years.
        serializer.serialize_u64(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D>(deserializer: D) -> Result<Duration, D::Error>
    where
        D: Deserializer<'de>,
    {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests;
