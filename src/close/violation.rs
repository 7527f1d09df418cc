//! The rules of a session that a peer can break, each with its code on the wire and its section.

use std::fmt;

use crate::wire::error_code::{
    H3_MESSAGE_ERROR, H3_REQUEST_REJECTED, WT_ALPN_ERROR, WT_FLOW_CONTROL_ERROR,
};

/// A rule of the session that the peer broke. It ends this session; the connection goes on.
///
/// `Display` says what the peer did.
///
/// ```
/// use webtransport_session::Violation;
///
/// let violation = Violation::MessageTooLong;
/// assert_eq!(violation.to_string(), "close message longer than 1024 bytes");
/// assert_eq!((violation.code(), violation.section()), (0x10e, "draft §6"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Violation {
    /// A close capsule too short for its code (E20).
    TruncatedClose,
    /// A close message of more than 1024 bytes (E21).
    MessageTooLong,
    /// A close message that is not UTF-8 (E22).
    MessageNotUtf8,
    /// A FIN inside a capsule (E23).
    Truncated,
    /// WT_MAX_STREAM_DATA or WT_STREAM_DATA_BLOCKED, which HTTP/3 leaves to QUIC (E24).
    ForbiddenCapsule,
    /// A capsule of a known type whose length does not fit its fields (E26).
    MalformedCapsule,
    /// More streams than the limit that was given (E25).
    TooManyStreams,
    /// More stream data than the limit that was given (E25).
    TooMuchData,
    /// A flow control limit that is not above the last one (E25).
    LimitNotRaised,
    /// A stream limit above 2^60 (E25).
    LimitTooHigh,
    /// Client: the server chose a protocol that was not offered (E27).
    ProtocolNotOffered,
    /// Client: the server chose no protocol although one is required (E27).
    ProtocolMissing,
    /// Client: an answer that is no valid response, or a FIN in place of one (E34).
    MalformedResponse,
    /// Client: an answer with more fields than
    /// [`Limits::field_section`](crate::Limits::field_section) (E34).
    FieldSectionTooLarge,
    /// Server: a body beyond [`Limits::unanswered_body`](crate::Limits::unanswered_body) before
    /// the answer (N06).
    UnansweredBodyTooLarge,
}

impl Violation {
    /// The code that the CONNECT stream is reset and stopped with.
    pub const fn code(self) -> u64 {
        match self {
            // §3.3: "the client MUST close the WebTransport session with a `WT_ALPN_ERROR`
            // error code"
            Self::ProtocolNotOffered | Self::ProtocolMissing => WT_ALPN_ERROR,
            Self::TooManyStreams
            | Self::TooMuchData
            | Self::LimitNotRaised
            | Self::LimitTooHigh => WT_FLOW_CONTROL_ERROR,
            // A limit of ours and no mistake in the bytes: the client may try again.
            Self::UnansweredBodyTooLarge => H3_REQUEST_REJECTED,
            // §6 and RFC 9297 §3.3; for the forbidden capsules §5.4 names no code.
            Self::TruncatedClose
            | Self::MessageTooLong
            | Self::MessageNotUtf8
            | Self::Truncated
            | Self::ForbiddenCapsule
            | Self::MalformedCapsule
            | Self::MalformedResponse
            | Self::FieldSectionTooLarge => H3_MESSAGE_ERROR,
        }
    }

    /// Where the rule stands: "draft §…" is draft-ietf-webtrans-http3-16.
    pub const fn section(self) -> &'static str {
        match self {
            Self::MessageTooLong | Self::MessageNotUtf8 => "draft §6",
            Self::TruncatedClose | Self::Truncated | Self::MalformedCapsule => "RFC 9297 §3.3",
            Self::ForbiddenCapsule => "draft §5.4",
            Self::TooManyStreams | Self::LimitTooHigh => "draft §5.6.2",
            Self::TooMuchData | Self::LimitNotRaised => "draft §5.6.4",
            Self::ProtocolNotOffered | Self::ProtocolMissing => "draft §3.3",
            Self::MalformedResponse => "RFC 9114 §4.1.2",
            Self::FieldSectionTooLarge => "RFC 9114 §4.2.2",
            Self::UnansweredBodyTooLarge => "draft §3.2",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TruncatedClose => "close capsule too short for its code",
            Self::MessageTooLong => "close message longer than 1024 bytes",
            Self::MessageNotUtf8 => "close message that is not UTF-8",
            Self::Truncated => "end of the CONNECT stream inside a capsule",
            Self::ForbiddenCapsule => "capsule for the flow control of a stream",
            Self::MalformedCapsule => "capsule whose length does not fit its fields",
            Self::TooManyStreams => "more streams than allowed",
            Self::TooMuchData => "more stream data than allowed",
            Self::LimitNotRaised => "flow control limit that does not rise",
            Self::LimitTooHigh => "stream limit above 2^60",
            Self::ProtocolNotOffered => "choice of a protocol that was not offered",
            Self::ProtocolMissing => "no choice of a protocol although one is required",
            Self::MalformedResponse => "malformed response",
            Self::FieldSectionTooLarge => "response with more header fields than allowed",
            Self::UnansweredBodyTooLarge => {
                "request with a larger body than is kept before the answer"
            }
        })
    }
}

#[cfg(test)]
mod tests;
