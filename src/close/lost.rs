//! Why a connection is over: what a host reports, and what HTTP/3 here finds.

use std::fmt;

use bytes::Bytes;

use super::{Origin, quote};
use crate::wire::error_code as code;

/// Why a connection is over.
///
/// A host reports all but `Http3`, and `HandshakeFailed` need not be: what is lost before `start`
/// counts as that. Where a stack does not tell two of them apart, the truth is `Unknown`; what of a
/// stack is which is in the chapter of [`host`](crate::host#why-the-connection-is-over). `Display` is
/// one line for a log, with the peer's text escaped.
///
/// ```
/// use webtransport_session::ConnectionLost;
///
/// let lost = ConnectionLost::PeerApplication { code: 0x100, reason: "bye".into() };
/// assert_eq!(lost.to_string(), "closed by the peer with code 0x100: \"bye\"");
/// assert_eq!(lost.label(), "peer-connection-close");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ConnectionLost {
    /// The peer's HTTP/3 or application closed it: CONNECTION_CLOSE of type 0x1d.
    PeerApplication {
        /// The code on the wire; one of HTTP/3 (RFC 9114 §8.1).
        code: u64,
        /// The peer's words, in no certain encoding. Empty where the stack does not keep them.
        #[cfg_attr(feature = "serde", serde(with = "crate::hex"))]
        reason: Bytes,
    },
    /// The peer's QUIC closed it: CONNECTION_CLOSE of type 0x1c.
    PeerTransport {
        /// The code on the wire; one of QUIC (RFC 9000 §20.1).
        code: u64,
        /// The peer's words, in no certain encoding.
        #[cfg_attr(feature = "serde", serde(with = "crate::hex"))]
        reason: Bytes,
    },
    /// Our own QUIC stack closed it, mostly because it caught the peer breaking QUIC.
    LocalTransport {
        /// The code on the wire; one of QUIC (RFC 9000 §20.1).
        code: u64,
        /// The stack's words.
        #[cfg_attr(feature = "serde", serde(with = "crate::hex"))]
        reason: Bytes,
    },
    /// We closed it: with `shutdown`, because it was idle, or the host without being told to. Only
    /// this last one is reported; few stacks give a sign of it.
    Local {
        /// The application code on the wire; `None` where the stack does not tell.
        code: Option<u64>,
    },
    /// The peer broke HTTP/3, and we closed it.
    Http3(Http3Error),
    /// QUIC heard nothing from the peer for its idle timeout (RFC 9000 §10.1).
    IdleTimeout,
    /// The peer has forgotten the connection (RFC 9000 §10.3), as after a restart.
    StatelessReset,
    /// It never came to be: whatever ended it before `start`. Which of them `Connection` decides,
    /// not the host.
    HandshakeFailed,
    /// The two ends have no version of QUIC in common.
    VersionMismatch,
    /// It is over, and the stack cannot tell why.
    Unknown,
}

impl ConnectionLost {
    /// One of a fixed set of words, for counters and log fields.
    ///
    /// | word | what happened | ending |
    /// |---|---|---|
    /// | `peer-connection-close` | `PeerApplication` | E40 |
    /// | `peer-transport-close` | `PeerTransport` | E41 |
    /// | `local-transport-close` | `LocalTransport` | E47 |
    /// | `local-connection-close` | `Local` | E45 E53 |
    /// | `http3-error` | `Http3` | E46 E05 |
    /// | `idle-timeout` | `IdleTimeout` | E42 |
    /// | `stateless-reset` | `StatelessReset` | E43 |
    /// | `handshake-failed` | `HandshakeFailed` | E44 |
    /// | `version-mismatch` | `VersionMismatch` | E44 |
    /// | `connection-lost` | `Unknown` | |
    pub const fn label(&self) -> &'static str {
        match self {
            Self::PeerApplication { .. } => "peer-connection-close",
            Self::PeerTransport { .. } => "peer-transport-close",
            Self::LocalTransport { .. } => "local-transport-close",
            Self::Local { .. } => "local-connection-close",
            Self::Http3(_) => "http3-error",
            Self::IdleTimeout => "idle-timeout",
            Self::StatelessReset => "stateless-reset",
            Self::HandshakeFailed => "handshake-failed",
            Self::VersionMismatch => "version-mismatch",
            Self::Unknown => "connection-lost",
        }
    }

    pub(crate) const fn origin(&self) -> Origin {
        match self {
            Self::PeerApplication { .. }
            | Self::PeerTransport { .. }
            | Self::LocalTransport { .. }
            | Self::Http3(_) => Origin::Peer,
            Self::Local { .. } => Origin::Local,
            Self::IdleTimeout
            | Self::StatelessReset
            | Self::HandshakeFailed
            | Self::VersionMismatch
            | Self::Unknown => Origin::Network,
        }
    }

    /// Whether QUIC or the peer ended it: before `start` that is a failed handshake (E44).
    pub(crate) const fn is_transport(&self) -> bool {
        match self {
            Self::PeerApplication { .. }
            | Self::PeerTransport { .. }
            | Self::LocalTransport { .. }
            | Self::IdleTimeout
            | Self::StatelessReset
            | Self::Unknown => true,
            Self::Local { .. } | Self::Http3(_) | Self::HandshakeFailed | Self::VersionMismatch => {
                false
            }
        }
    }
}

impl fmt::Display for ConnectionLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerApplication { code, reason } => {
                write!(f, "closed by the peer with code {code:#x}")?;
                quote(f, &String::from_utf8_lossy(reason))
            }
            Self::PeerTransport { code, reason } => {
                write!(f, "closed by the peer's QUIC with code {code:#x}")?;
                quote(f, &String::from_utf8_lossy(reason))
            }
            Self::LocalTransport { code, reason } => {
                write!(f, "closed by our QUIC with code {code:#x}")?;
                quote(f, &String::from_utf8_lossy(reason))
            }
            Self::Local { code: Some(code) } => write!(f, "closed by us with code {code:#x}"),
            Self::Local { code: None } => f.write_str("closed by us"),
            Self::Http3(error) => {
                write!(f, "the peer broke HTTP/3: {error} ({})", error.section())
            }
            Self::IdleTimeout => f.write_str("QUIC idle timeout"),
            Self::StatelessReset => f.write_str("the peer has forgotten it (stateless reset)"),
            Self::HandshakeFailed => f.write_str("the handshake failed"),
            Self::VersionMismatch => f.write_str("no version of QUIC in common"),
            Self::Unknown => f.write_str("for a reason that QUIC cannot tell"),
        }
    }
}

/// `TransportError` and `CidsExhausted` are `LocalTransport`, the latter as INTERNAL_ERROR;
/// `LocallyClosed`, which quinn does not report by itself, is `Local` without a code.
#[cfg(feature = "quinn-proto")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn-proto")))]
impl From<quinn_proto::ConnectionError> for ConnectionLost {
    fn from(error: quinn_proto::ConnectionError) -> Self {
        use quinn_proto::{ConnectionError, TransportErrorCode};
        match error {
            ConnectionError::VersionMismatch => Self::VersionMismatch,
            ConnectionError::TransportError(error) => Self::LocalTransport {
                code: error.code.into(),
                reason: error.reason.into(),
            },
            ConnectionError::ConnectionClosed(close) => Self::PeerTransport {
                code: close.error_code.into(),
                reason: close.reason,
            },
            ConnectionError::ApplicationClosed(close) => Self::PeerApplication {
                code: close.error_code.into(),
                reason: close.reason,
            },
            ConnectionError::Reset => Self::StatelessReset,
            ConnectionError::TimedOut => Self::IdleTimeout,
            ConnectionError::LocallyClosed => Self::Local { code: None },
            ConnectionError::CidsExhausted => Self::LocalTransport {
                code: TransportErrorCode::INTERNAL_ERROR.into(),
                reason: Bytes::from_static(b"connection ids exhausted"),
            },
        }
    }
}

/// A rule of HTTP/3, or of what WebTransport adds to the connection, that the peer broke. It ends
/// the connection, and every session on it.
///
/// Named by its code; `Display` gives the code's name and number.
///
/// ```
/// use webtransport_session::Http3Error;
///
/// assert_eq!(Http3Error::MissingSettings.to_string(), "H3_MISSING_SETTINGS (0x10a)");
/// assert_eq!(Http3Error::MissingSettings.section(), "RFC 9114 §6.2.1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Http3Error {
    /// The control stream does not begin with SETTINGS.
    MissingSettings,
    /// A setting twice, one that is forbidden, or one with a value that is.
    Settings,
    /// A frame where it does not belong.
    FrameUnexpected,
    /// A frame that does not fit its fields or is cut off, or a stream signal in the wrong place.
    Frame,
    /// A stream or push id that cannot be: a session id on a stream of the wrong kind, a rising
    /// GOAWAY, a push.
    Id,
    /// The end of a control or QPACK stream.
    ClosedCriticalStream,
    /// A stream that the peer may not open.
    StreamCreation,
    /// A datagram too short for its stream id, or with one that cannot be.
    Datagram,
    /// A field section that cannot be decoded.
    QpackDecompression,
    /// An instruction on the QPACK encoder stream that a dynamic table of size 0 forbids.
    QpackEncoderStream,
    /// An instruction on the QPACK decoder stream about something that was never sent.
    QpackDecoderStream,
    /// More of something than one of the [`Limits`](crate::Limits), or a flood as described there.
    ExcessiveLoad,
    /// A mistake that no other code is for.
    General,
}

impl Http3Error {
    /// The code that the connection is closed with.
    pub const fn code(self) -> u64 {
        match self {
            Self::MissingSettings => code::H3_MISSING_SETTINGS,
            Self::Settings => code::H3_SETTINGS_ERROR,
            Self::FrameUnexpected => code::H3_FRAME_UNEXPECTED,
            Self::Frame => code::H3_FRAME_ERROR,
            Self::Id => code::H3_ID_ERROR,
            Self::ClosedCriticalStream => code::H3_CLOSED_CRITICAL_STREAM,
            Self::StreamCreation => code::H3_STREAM_CREATION_ERROR,
            Self::Datagram => code::H3_DATAGRAM_ERROR,
            Self::QpackDecompression => code::QPACK_DECOMPRESSION_FAILED,
            Self::QpackEncoderStream => code::QPACK_ENCODER_STREAM_ERROR,
            Self::QpackDecoderStream => code::QPACK_DECODER_STREAM_ERROR,
            Self::ExcessiveLoad => code::H3_EXCESSIVE_LOAD,
            Self::General => code::H3_GENERAL_PROTOCOL_ERROR,
        }
    }

    /// The error of a code, where there is one.
    #[cfg(feature = "h3")]
    pub(crate) fn from_code(code: u64) -> Option<Self> {
        let each = [
            Self::MissingSettings,
            Self::Settings,
            Self::FrameUnexpected,
            Self::Frame,
            Self::Id,
            Self::ClosedCriticalStream,
            Self::StreamCreation,
            Self::Datagram,
            Self::QpackDecompression,
            Self::QpackEncoderStream,
            Self::QpackDecoderStream,
            Self::ExcessiveLoad,
            Self::General,
        ];
        each.into_iter().find(|error| error.code() == code)
    }

    /// Where the rule stands, or where most of the rules of this code do.
    pub const fn section(self) -> &'static str {
        match self {
            Self::MissingSettings | Self::ClosedCriticalStream => "RFC 9114 §6.2.1",
            Self::Settings => "RFC 9114 §7.2.4",
            Self::FrameUnexpected => "RFC 9114 §7.2",
            Self::Frame => "RFC 9114 §7.1",
            Self::Id | Self::General => "RFC 9114 §8.1",
            Self::StreamCreation => "RFC 9114 §6.2",
            Self::Datagram => "RFC 9297 §2.1",
            Self::QpackDecompression => "RFC 9204 §2.2",
            Self::QpackEncoderStream => "RFC 9204 §4.3",
            Self::QpackDecoderStream => "RFC 9204 §4.4",
            Self::ExcessiveLoad => "RFC 9114 §10.5",
        }
    }

    /// The code's name in its registry.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MissingSettings => "H3_MISSING_SETTINGS",
            Self::Settings => "H3_SETTINGS_ERROR",
            Self::FrameUnexpected => "H3_FRAME_UNEXPECTED",
            Self::Frame => "H3_FRAME_ERROR",
            Self::Id => "H3_ID_ERROR",
            Self::ClosedCriticalStream => "H3_CLOSED_CRITICAL_STREAM",
            Self::StreamCreation => "H3_STREAM_CREATION_ERROR",
            Self::Datagram => "H3_DATAGRAM_ERROR",
            Self::QpackDecompression => "QPACK_DECOMPRESSION_FAILED",
            Self::QpackEncoderStream => "QPACK_ENCODER_STREAM_ERROR",
            Self::QpackDecoderStream => "QPACK_DECODER_STREAM_ERROR",
            Self::ExcessiveLoad => "H3_EXCESSIVE_LOAD",
            Self::General => "H3_GENERAL_PROTOCOL_ERROR",
        }
    }
}

impl fmt::Display for Http3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests;
