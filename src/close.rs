//! Why a session is over, as one value.
//!
//! Decides what the reasons have in common: who ended it, whether it was clean, what a browser
//! would see, and the words for logs and counters. Does not decide which reason applies.
//! The parts are in `message` (the peer's or our text), `violation` and `lost`.

#![allow(
    clippy::exhaustive_enums,
    reason = "deliberate: an application should be able to tell every ending apart"
)]

mod lost;
mod message;
mod violation;

use std::fmt;

use crate::{Rejection, wire::error_code};

pub use lost::{ConnectionLost, Http3Error};
pub use message::CloseMessage;
pub use violation::Violation;

/// Why a session is over.
///
/// Exhaustive, so that a `match` can do justice to every ending; [`is_clean`](Self::is_clean),
/// [`origin`](Self::origin) and [`label`](Self::label) are for those who need less. `Display`
/// is one line for a log, with the peer's text escaped.
///
/// ```
/// use webtransport_session::{CloseReason, CloseVia, Origin};
///
/// let reason = CloseReason::Peer { code: 7, message: "bye".into(), via: CloseVia::Capsule };
/// assert!(reason.is_clean());
/// assert_eq!(reason.origin(), Origin::Peer);
/// assert_eq!(reason.application_close(), Some((7, "bye")));
/// assert_eq!(reason.label(), "peer-close");
/// assert_eq!(reason.to_string(), "closed by the peer with code 7: \"bye\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer ended it in order (draft §6).
    Peer {
        /// The application's code. 0 for a bare FIN.
        code: u32,
        /// The application's message. Empty for a bare FIN.
        message: CloseMessage,
        /// How the peer said so.
        via: CloseVia,
    },
    /// Our application ended it: with `close`, or with the `shutdown` of the connection.
    Local {
        /// The code that was given.
        code: u32,
        /// The message that was given, cut at 1024 bytes.
        message: CloseMessage,
    },
    /// The peer broke it off: no message, and the code is HTTP/3's, not an application's.
    Aborted {
        /// What the peer did.
        by: AbortedBy,
        /// The code on the wire.
        code: u64,
    },
    /// Answered, but not with 2xx (draft §3.2).
    Rejected {
        /// At a client the peer; at a server we.
        by: Endpoint,
        /// The answer.
        rejection: Box<Rejection>,
    },
    /// Server: the client took the request back before it was answered.
    Withdrawn {
        /// The code on the wire; `None`: with a FIN.
        code: Option<u64>,
    },
    /// The peer broke a rule of the session.
    Violation(Violation),
    /// A deadline of ours passed.
    TimedOut(Deadline),
    /// The connection ended under it.
    ConnectionLost(ConnectionLost),
}

// It travels inside an `Event`.
const _: () = assert!(size_of::<CloseReason>() <= 48);

impl From<Violation> for CloseReason {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<ConnectionLost> for CloseReason {
    fn from(lost: ConnectionLost) -> Self {
        Self::ConnectionLost(lost)
    }
}

impl CloseReason {
    /// Whether one of the applications ended it in order: [`Peer`](Self::Peer) or
    /// [`Local`](Self::Local).
    pub fn is_clean(&self) -> bool {
        self.application_close().is_some()
    }

    /// Who ended it.
    ///
    /// - [`Origin::Peer`]: `Peer`, `Aborted`, `Withdrawn`, `Violation`, `Rejected` by the peer;
    ///   and connections lost by `PeerApplication`, `PeerTransport`, `LocalTransport`, `Http3`.
    /// - [`Origin::Local`]: `Local`, `Rejected` by us, `ConnectionLost::Local`, and
    ///   `TimedOut(Request)`. The reason does not know its side: at a server it means that our
    ///   application did not answer, at a client that the server did not.
    /// - [`Origin::Network`]: the rest, where nobody said anything.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Peer { .. }
            | Self::Aborted { .. }
            | Self::Withdrawn { .. }
            | Self::Violation(_)
            | Self::Rejected {
                by: Endpoint::Peer, ..
            } => Origin::Peer,
            Self::Local { .. }
            | Self::Rejected {
                by: Endpoint::Local,
                ..
            }
            | Self::TimedOut(Deadline::Request) => Origin::Local,
            Self::TimedOut(Deadline::Inactivity) => Origin::Network,
            Self::ConnectionLost(lost) => lost.origin(),
        }
    }

    /// Whether the server did not process the request, so that a client may safely try again on
    /// another connection (RFC 9114 §4.1.1): a GOAWAY, or a reset with H3_REQUEST_REJECTED.
    ///
    /// Of no meaning at a server.
    pub fn is_retryable(&self) -> bool {
        match *self {
            Self::Aborted {
                by: AbortedBy::GoAway,
                ..
            } => true,
            Self::Aborted {
                by: AbortedBy::Reset,
                code,
            } => code == error_code::H3_REQUEST_REJECTED,
            Self::Aborted {
                by: AbortedBy::StopSending,
                ..
            }
            | Self::Peer { .. }
            | Self::Local { .. }
            | Self::Rejected { .. }
            | Self::Withdrawn { .. }
            | Self::Violation(_)
            | Self::TimedOut(_)
            | Self::ConnectionLost(_) => false,
        }
    }

    /// The code and message that one application gave the other: what a browser's `closed`
    /// promise resolves with. A bare FIN is `(0, "")`; `None` where the promise rejects.
    pub fn application_close(&self) -> Option<(u32, &str)> {
        match self {
            Self::Peer { code, message, .. } | Self::Local { code, message } => {
                Some((*code, message.as_str()))
            }
            Self::Aborted { .. }
            | Self::Rejected { .. }
            | Self::Withdrawn { .. }
            | Self::Violation(_)
            | Self::TimedOut(_)
            | Self::ConnectionLost(_) => None,
        }
    }

    /// One of a fixed set of words, for counters and log fields.
    ///
    /// | word | what happened | endings |
    /// |---|---|---|
    /// | `peer-close` | the peer sent a close capsule | E01 E02 E03 E06 E10 E11 E12 |
    /// | `peer-fin` | the peer sent a bare FIN | E04 E12 E39 |
    /// | `local-close` | our application closed it | E60 E62 E63 E64 E65 |
    /// | `peer-reset` | the peer reset the CONNECT stream | E07 E09 E33 E39 |
    /// | `peer-stop` | the peer stopped reading the CONNECT stream | E08 E09 E12 E29 E39 |
    /// | `go-away` | the server went away before it processed the request | E35 |
    /// | `rejected-by-peer` | the server answered with another status than 2xx | E29 E30 E31 |
    /// | `rejected-by-us` | our application did | E37 |
    /// | `withdrawn` | the client took the request back | E36 |
    /// | `violation` | the peer broke a rule of the session | E20 to E27, E34; N06 beyond its limit |
    /// | `request-timeout` | no answer in time | E50 |
    /// | `inactivity` | nothing received for too long | E51 |
    ///
    /// and those of [`ConnectionLost::label`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Peer {
                via: CloseVia::Capsule,
                ..
            } => "peer-close",
            Self::Peer {
                via: CloseVia::Fin, ..
            } => "peer-fin",
            Self::Local { .. } => "local-close",
            Self::Aborted {
                by: AbortedBy::Reset,
                ..
            } => "peer-reset",
            Self::Aborted {
                by: AbortedBy::StopSending,
                ..
            } => "peer-stop",
            Self::Aborted {
                by: AbortedBy::GoAway,
                ..
            } => "go-away",
            Self::Rejected {
                by: Endpoint::Peer, ..
            } => "rejected-by-peer",
            Self::Rejected {
                by: Endpoint::Local,
                ..
            } => "rejected-by-us",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Violation(_) => "violation",
            Self::TimedOut(Deadline::Request) => "request-timeout",
            Self::TimedOut(Deadline::Inactivity) => "inactivity",
            Self::ConnectionLost(lost) => lost.label(),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer {
                via: CloseVia::Fin, ..
            } => f.write_str("closed by the peer with a bare FIN"),
            Self::Peer {
                code,
                message,
                via: CloseVia::Capsule,
            } => {
                write!(f, "closed by the peer with code {code}")?;
                quote(f, message)
            }
            Self::Local { code, message } => {
                write!(f, "closed by us with code {code}")?;
                quote(f, message)
            }
            Self::Aborted {
                by: AbortedBy::Reset,
                code,
            } => {
                write!(f, "the peer reset the CONNECT stream with code {code:#x}")
            }
            Self::Aborted {
                by: AbortedBy::StopSending,
                code,
            } => {
                write!(
                    f,
                    "the peer stopped reading the CONNECT stream with code {code:#x}"
                )
            }
            Self::Aborted {
                by: AbortedBy::GoAway,
                ..
            } => f.write_str("the server is going away and did not process the request"),
            Self::Rejected {
                by: Endpoint::Peer,
                rejection,
            } => {
                write!(
                    f,
                    "rejected by the server with status {}",
                    rejection.status.as_u16()
                )
            }
            Self::Rejected {
                by: Endpoint::Local,
                rejection,
            } => {
                write!(
                    f,
                    "rejected by us with status {}",
                    rejection.status.as_u16()
                )
            }
            Self::Withdrawn { code: Some(code) } => {
                write!(
                    f,
                    "withdrawn by the client before the answer with code {code:#x}"
                )
            }
            Self::Withdrawn { code: None } => {
                f.write_str("withdrawn by the client before the answer with a FIN")
            }
            Self::Violation(violation) => {
                write!(
                    f,
                    "the peer broke a rule: {violation} ({})",
                    violation.section()
                )
            }
            Self::TimedOut(Deadline::Request) => {
                f.write_str("the request was not answered in time")
            }
            Self::TimedOut(Deadline::Inactivity) => {
                f.write_str("nothing was received from the peer for too long")
            }
            Self::ConnectionLost(lost) => write!(f, "connection lost: {lost}"),
        }
    }
}

/// Adds a text of somebody else's in quotes, on one line whatever is in it; nothing if it is empty.
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    write!(f, ": {text:?}")
}

/// How the peer ended a session in order. Both mean the same (draft §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseVia {
    /// With a WT_CLOSE_SESSION capsule.
    Capsule,
    /// With a FIN and no capsule, which counts as code 0 and no message.
    Fin,
}

/// How the peer broke a session off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbortedBy {
    /// RESET_STREAM on the CONNECT stream.
    Reset,
    /// STOP_SENDING on the CONNECT stream.
    StopSending,
    /// Client: a GOAWAY that says the request will not be processed (draft §4.7).
    GoAway,
}

/// One of the two ends of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Endpoint {
    /// This end.
    Local,
    /// The other end.
    Peer,
}

/// A deadline of ours that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// [`Deadlines::request`](crate::Deadlines::request): at a client the server did not answer,
    /// at a server our application did not.
    Request,
    /// [`Deadlines::inactivity`](crate::Deadlines::inactivity): nothing was received.
    Inactivity,
}

/// Who ended a session or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The peer, or a mistake of its.
    Peer,
    /// We: our application or our host.
    Local,
    /// Nobody said anything: it broke, or went silent.
    Network,
}

#[cfg(test)]
mod tests;
