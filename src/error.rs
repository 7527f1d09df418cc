//! Why a command could not be carried out.
//!
//! Every error here is about the caller's own request and says what to do next. What the peer
//! does wrong is never an error of a command: see [`Violation`](crate::Violation),
//! [`Http3Error`](crate::Http3Error).

#![allow(
    clippy::exhaustive_enums,
    reason = "deliberate: a caller should be made to look at every way a command can fail"
)]

use thiserror::Error;

use crate::Requirement;

/// A session cannot be requested on this connection, now or ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// A server does not request sessions.
    #[error("only a client connects")]
    NotClient,
    /// What the server can do is not known yet. [`Event::Ready`](crate::Event::Ready) or
    /// [`Event::Unsupported`](crate::Event::Unsupported) follows.
    #[error("the peer's SETTINGS are not in: wait for Ready")]
    NotReady,
    /// As many sessions or streams as allowed are in use.
    /// [`Event::StreamsAvailable`](crate::Event::StreamsAvailable) follows.
    #[error("no stream or session to spare: StreamsAvailable follows")]
    Blocked,
    /// The server sent GOAWAY (draft §4.7). Sessions that are open go on.
    #[error("the peer is going away: use another connection")]
    GoingAway,
    /// This server will never carry a session; what is missing first.
    #[error("the server cannot carry sessions: {0:?} is missing")]
    Unsupported(Requirement),
    /// The request itself cannot be sent.
    #[error(transparent)]
    InvalidRequest(#[from] InvalidRequest),
    /// The request's headers are larger than the server said it takes (RFC 9114 §4.2.2), or than
    /// [`Limits::unwritten_bytes`](crate::Limits::unwritten_bytes).
    #[error("more header fields than the server takes")]
    HeadersTooLarge,
    /// The connection has ended.
    #[error("the connection is over")]
    Closed,
}

/// A request cannot be accepted or rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// Nobody waits for this answer. Normal when the client left first: `SessionClosed` told or
    /// tells why.
    #[error("no unanswered request has this id: it ended, was answered, or never was")]
    Gone,
    /// A chosen protocol has to be one of the request's (draft §3.3).
    #[error("the client did not offer this protocol")]
    ProtocolNotOffered,
    /// The answer's headers are larger than the client said it takes (RFC 9114 §4.2.2), or than
    /// [`Limits::unwritten_bytes`](crate::Limits::unwritten_bytes). The request still waits.
    #[error("more header fields than the client takes")]
    HeadersTooLarge,
}

/// A stream of a session cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// As many streams as allowed are in use.
    /// [`Event::StreamsAvailable`](crate::Event::StreamsAvailable) follows.
    #[error("no stream to spare: StreamsAvailable follows")]
    Blocked,
    /// The request has not been answered yet.
    #[error("the session is not open yet")]
    NotOpen,
    /// The session has ended, or never was.
    #[error("the session is over")]
    SessionClosed,
}

/// Nothing can be written to a stream, now or ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The stream's credit is used up.
    /// [`Event::StreamWritable`](crate::Event::StreamWritable) follows.
    #[error("nothing may be written now: StreamWritable follows")]
    Blocked,
    /// The peer does not want the rest. Its application code, or `None` when the code was not an
    /// application's (draft §4.4) or is not known yet.
    #[error("the peer asked to stop ({})", StopCode(*.0))]
    Stopped(Option<u32>),
    /// This half of the stream takes nothing any more.
    #[error("finished, reset, never opened, or its session is over")]
    StreamClosed,
}

/// A stream's half that the command is about does not exist any more, or never did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("finished, reset, never opened, or its session is over")]
pub struct StreamClosed;

/// A datagram cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DatagramError {
    /// The request has not been answered yet.
    #[error("the session is not open yet")]
    NotOpen,
    /// The session has ended, or never was.
    #[error("the session is over")]
    SessionClosed,
}

/// A stream id that cannot name a session (draft §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a client-initiated bidirectional stream")]
pub struct NotASessionId;

/// A request that cannot be sent as the CONNECT of a session (draft §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("needs an https URI of a host, in ASCII, and no header that CONNECT sets itself")]
pub struct InvalidRequest;

/// A name that cannot be offered or chosen as a protocol (draft §3.3, RFC 9651 §3.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a structured-field string")]
pub struct InvalidProtocol;

/// A label or context that no keying material can be exported with (draft §4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidExport {
    /// The label is empty or too long.
    #[error("a label has 1 to 255 bytes")]
    Label,
    /// The context is too long.
    #[error("a context has at most 255 bytes")]
    Context,
}

/// The code of a STOP_SENDING, in words.
struct StopCode(Option<u32>);

impl std::fmt::Display for StopCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(code) => write!(f, "code {code}"),
            None => f.write_str("no application code"),
        }
    }
}

#[cfg(test)]
mod tests;
