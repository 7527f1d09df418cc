//! What a program tells the runner: one line of JSON each, on standard output.

use std::{
    io::{Write as _, stdout},
    net::SocketAddr,
};

use serde::{Deserialize, Serialize};
use webtransport_session::{CloseReason, Dir, SessionId, StreamId};

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// Where a server listens.
    Listening(SocketAddr),
    /// What the program's QUIC stack cannot supply.
    Limits(Vec<Limit>),
    /// Something happened on a connection.
    Happened {
        /// The connection's number at this program.
        peer: usize,
        /// What.
        what: What,
    },
    /// A line of standard input was no order.
    Misunderstood { line: String, error: String },
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The peer's SETTINGS are in; here are the dialect, and whether there is flow control.
    Ready {
        dialect: String,
        flow_control: bool,
    },
    Unsupported(String),
    Requested {
        session: SessionId,
        path: String,
    },
    /// Client: a `Connect` was carried out.
    Connecting {
        session: SessionId,
    },
    Opened {
        session: SessionId,
    },
    Draining {
        session: SessionId,
    },
    /// The reason is told by `Debug`: every part of it.
    Closed {
        session: SessionId,
        label: String,
        reason: String,
    },
    Datagram {
        session: SessionId,
        len: usize,
        text: String,
    },
    /// A `LargestDatagram` was sent.
    SentDatagram {
        session: SessionId,
        len: usize,
    },
    /// We opened it.
    Open {
        session: SessionId,
        stream: StreamId,
        dir: Dir,
    },
    /// The peer opened it.
    StreamOpened {
        session: SessionId,
        stream: StreamId,
    },
    /// All bytes and the FIN of the peer's half: how many, and whether they were those of `Send`.
    StreamEnded {
        session: SessionId,
        stream: StreamId,
        len: u64,
        intact: bool,
    },
    StreamReset {
        session: SessionId,
        stream: StreamId,
        code: Option<u32>,
    },
    StreamStopped {
        session: SessionId,
        stream: StreamId,
        code: Option<u32>,
    },
    /// The host took the last byte of a `Send`.
    Sent {
        stream: StreamId,
    },
    ConnectionClosed {
        label: String,
        reason: String,
    },
    /// An order could not be carried out.
    Failed {
        order: String,
        error: String,
    },
}

/// An ending that reaches the application as something else, because the stack cannot tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The scenario's id, as in the table.
    pub scenario: String,
    /// What this program's application is told instead, `Debug` as in [`What::Closed`]; for a
    /// scenario that cannot be played at all with this stack, the words "not to be had".
    pub told: String,
    /// Why: what the stack lacks.
    pub why: String,
    /// It is the other program that is told `told`: this one's stack cannot say more.
    pub at_peer: bool,
}

impl Limit {
    /// The application is told `reason` instead.
    #[must_use]
    pub fn told(scenario: &str, reason: impl Into<CloseReason>, why: &str) -> Self {
        Self {
            scenario: scenario.into(),
            told: format!("{:?}", reason.into()),
            why: why.into(),
            at_peer: false,
        }
    }

    /// The application at the peer is told `reason` instead.
    #[must_use]
    pub fn peer_told(scenario: &str, reason: impl Into<CloseReason>, why: &str) -> Self {
        let at_peer = true;
        Self {
            at_peer,
            ..Self::told(scenario, reason, why)
        }
    }

    /// The stack cannot do what the scenario asks of this program where it is the one that acts.
    #[must_use]
    pub fn impossible(scenario: &str, why: &str) -> Self {
        Self {
            scenario: scenario.into(),
            told: Self::IMPOSSIBLE.into(),
            why: why.into(),
            at_peer: false,
        }
    }

    /// What [`impossible`](Self::impossible) says.
    pub const IMPOSSIBLE: &str = "not to be had";
}

/// Tells where a server listens.
pub fn listening(address: SocketAddr) {
    print(&Report::Listening(address));
}

/// Tells what the stack cannot supply. To be called once, before anything happens.
pub fn limits(limits: &[Limit]) {
    print(&Report::Limits(limits.into()));
}

pub(crate) fn print(report: &Report) {
    let Ok(mut line) = serde_json::to_string(report) else {
        return;
    };
    line.push('\n');
    // A runner that is gone reads nothing: then the input ends too.
    let mut out = stdout().lock();
    let _gone = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
