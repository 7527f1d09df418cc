//! What the runner tells a program to do: one line of JSON each, on standard input.

use std::{
    io::{BufRead as _, stdin},
    thread,
};

use serde::{Deserialize, Serialize};
use webtransport_session::{Dir, SessionId, StreamId};

/// Something to do on one connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The connection's number at this program, from 0 in the order in which they came.
    pub peer: usize,
    /// What to do there.
    pub verb: Verb,
}

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Verb {
    /// Client: ask for a session. The path decides what the server does, see `Application`.
    Connect { path: String },
    /// Server: answer a request that was left alone.
    Accept { session: SessionId },
    /// Close a session.
    Close {
        session: SessionId,
        code: u32,
        message: String,
    },
    /// Say that a session is about to end.
    Drain { session: SessionId },
    /// Say that the connection is about to end.
    GoAway,
    /// Close all sessions, then the connection.
    Shutdown { code: u32, message: String },
    /// Open a stream; what it is called is reported.
    Open { session: SessionId, dir: Dir },
    /// Send so many bytes on a stream, and the FIN if `fin`.
    Send {
        stream: StreamId,
        len: u64,
        fin: bool,
    },
    /// Abandon a stream's sending half.
    Reset { stream: StreamId, code: u32 },
    /// Ask the peer to abandon its half.
    Stop { stream: StreamId, code: u32 },
    /// Read no more of a stream.
    Pause { stream: StreamId },
    /// Read on.
    Resume { stream: StreamId },
    /// Send a datagram.
    Datagram { session: SessionId, text: String },
    /// Send a datagram as large as can be.
    LargestDatagram { session: SessionId },
    /// Close the QUIC connection at once.
    Abort { code: u32, reason: String },
    /// Do nothing else for so many milliseconds, and hold up the loop: much has come meanwhile.
    BeBusy { milliseconds: u64 },
    /// Do something to QUIC of which the sessions do not know.
    Raw(Raw),
}

/// Done to QUIC directly.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Raw {
    /// Bytes and perhaps FIN.
    Write {
        stream: StreamId,
        data: Vec<u8>,
        fin: bool,
    },
    /// RESET_STREAM.
    Reset { stream: StreamId, code: u64 },
    /// STOP_SENDING.
    Stop { stream: StreamId, code: u64 },
}

/// Reads orders on a thread of its own, hands each to `take`, and at the end of the input `None`.
///
/// `take` has to wake the program's loop.
pub fn orders(take: impl Fn(Option<Order>) + Send + 'static) {
    thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str(&line) {
                Ok(order) => take(Some(order)),
                Err(error) => crate::report::print(&crate::report::Report::Misunderstood {
                    line,
                    error: error.to_string(),
                }),
            }
        }
        take(None);
        // What wakes the loop must outlive it: a waker that is dropped may take its event along.
        loop {
            thread::park();
        }
    });
}
