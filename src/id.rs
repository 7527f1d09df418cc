//! Names of streams and sessions, and the two facts that a stream id carries.
//!
//! Decides only what is in the two low bits of an id. Knows nothing of whether a stream exists.

#![allow(
    clippy::exhaustive_enums,
    reason = "deliberate: QUIC has two sides and two directions, and will have no third"
)]

use std::fmt;

use crate::NotASessionId;

/// Ids are variable-length integers, so 2^62 and above cannot occur on the wire.
const LIMIT: u64 = 1 << 62;

/// Which end of the connection: the one that connected, or the one that was connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Side {
    /// The end that opened the connection, and that requests sessions.
    Client,
    /// The end that accepted the connection, and that answers the requests.
    Server,
}

impl Side {
    /// The side at the other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Whether a stream carries data in both directions or only from its initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Dir {
    /// Both ends send.
    Bi,
    /// Only the initiator sends.
    Uni,
}

/// A QUIC stream id, as QUIC numbers it (RFC 9000 §2.1).
///
/// Any `u64` may be wrapped. Ids of 2^62 and above never exist: facts about them are absorbed.
/// `Display` gives the bare number.
///
/// ```
/// use webtransport_session::{Dir, Side, StreamId};
///
/// let stream = StreamId::from(7);
/// assert_eq!(stream, StreamId::new(Side::Server, Dir::Uni, 1));
/// assert_eq!(stream.to_string(), "7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StreamId(u64);

impl StreamId {
    /// The stream that `initiator` opened as its `index`th in this direction, counted from 0.
    ///
    /// An index of 2^60 and above gives an id that never exists, of the same kind.
    pub const fn new(initiator: Side, dir: Dir, index: u64) -> Self {
        let side = match initiator {
            Side::Client => 0,
            Side::Server => 1,
        };
        let kind = match dir {
            Dir::Bi => side,
            Dir::Uni => side | 2,
        };
        // Shifting a larger index would silently name another stream.
        let index = if index < LIMIT { index } else { LIMIT - 1 };
        Self((index << 2) | kind)
    }

    /// Who opened the stream.
    pub const fn initiator(self) -> Side {
        if self.0 & 1 == 0 {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// Whether both ends send on it.
    pub const fn dir(self) -> Dir {
        if self.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
    }

    /// Its place among the streams of the same initiator and direction, counted from 0.
    pub const fn index(self) -> u64 {
        self.0 >> 2
    }
}

impl From<u64> for StreamId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl From<StreamId> for u64 {
    fn from(id: StreamId) -> Self {
        id.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "quinn-proto")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn-proto")))]
impl From<quinn_proto::StreamId> for StreamId {
    fn from(id: quinn_proto::StreamId) -> Self {
        Self(id.into())
    }
}

/// An id that never exists becomes the last one of its kind, which no connection reaches.
#[cfg(feature = "quinn-proto")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn-proto")))]
impl From<StreamId> for quinn_proto::StreamId {
    fn from(id: StreamId) -> Self {
        let initiator = match id.initiator() {
            Side::Client => quinn_proto::Side::Client,
            Side::Server => quinn_proto::Side::Server,
        };
        let dir = match id.dir() {
            Dir::Bi => quinn_proto::Dir::Bi,
            Dir::Uni => quinn_proto::Dir::Uni,
        };
        Self::new(initiator, dir, id.index().min((LIMIT >> 2) - 1))
    }
}

/// A session, named by its CONNECT stream (draft §4).
///
/// **Unique within one connection only**: the first session of every connection is 0. An
/// application with several connections keys its maps by (connection, session).
/// `Display` gives the bare number.
///
/// ```
/// use webtransport_session::{NotASessionId, SessionId, StreamId};
///
/// let session = SessionId::try_from(StreamId::from(4))?;
/// assert_eq!(session.connect_stream(), StreamId::from(4));
/// assert_eq!(SessionId::try_from(StreamId::from(5)), Err(NotASessionId));
/// # Ok::<(), NotASessionId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "StreamId"))]
pub struct SessionId(StreamId);

impl SessionId {
    /// Names a session by a stream that the caller says is its CONNECT stream.
    pub(crate) const fn from_connect_stream(stream: StreamId) -> Self {
        Self(stream)
    }

    /// The stream whose CONNECT asked for this session.
    pub const fn connect_stream(self) -> StreamId {
        self.0
    }
}

impl TryFrom<StreamId> for SessionId {
    type Error = NotASessionId;

    fn try_from(id: StreamId) -> Result<Self, Self::Error> {
        // §4: "Session IDs […] MUST always correspond to a client-initiated bidirectional stream"
        if id.0 & 3 == 0 && id.0 < LIMIT {
            Ok(Self(id))
        } else {
            Err(NotASessionId)
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
