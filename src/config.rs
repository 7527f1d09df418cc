//! What an endpoint decides before a connection starts, and what its QUIC stack can do.
//!
//! Only values and their defaults: what each limit or deadline does when it is reached is
//! decided where it is kept.

#![allow(
    clippy::exhaustive_enums,
    reason = "deliberate: an answer has three values, and a host or policy that ignores a dialect is wrong"
)]

use std::time::Duration;

use crate::CloseMessage;

/// The settings of an endpoint, shared by all its connections in an `Arc`.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use webtransport_session::Config;
///
/// let mut config = Config::default();
/// config.limits.sessions = 1;
/// config.deadlines.inactivity = Some(Duration::from_secs(20));
/// let shared = Arc::new(config);
/// # assert!(!shared.close_unsupported);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Config {
    /// How much a peer can make one connection remember.
    pub limits: Limits,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// The dialects that we announce and speak. All by default.
    pub dialects: Dialects,
    /// What each session of the peer may send and open (draft §5). `None`, the default: session flow
    /// control is not offered, and QUIC's alone applies.
    pub flow_control: Option<FlowControl>,
    /// Client: close the connection with WT_REQUIREMENTS_NOT_MET when the server cannot carry
    /// sessions (draft §3.1). `false` by default, and without effect at a server.
    pub close_unsupported: bool,
    /// The seed of the GREASE that we send: settings, frames, capsules and a stream of reserved
    /// types, which every peer has to ignore (RFC 9114 §7.2.8, RFC 9297 §5.4). The same seed gives
    /// the same bytes. `None`, the default, sends none.
    ///
    /// The stream takes a host that asks
    /// [`Connection::protocol_stream`](crate::Connection::protocol_stream) until there is none.
    pub grease: Option<u64>,
}

/// How much a peer can make one connection remember.
///
/// Counts and bytes are for each connection. A limit of 0 allows none.
///
/// # The worst case
///
/// Beside these limits there are QUIC's: `bidi` and `uni` streams of both sides open at a time,
/// `read` bytes that the host feeds at a time, `datagram` bytes that one datagram keeps alive. A
/// peer that does its worst, while the application polls no event, can make one connection hold at
/// most
///
/// ```text
///   (bidi + uni + buffered_streams) × 1 KiB               slots
/// + bidi × 2 × max(field_section, 1028)                   HEADERS, or a close capsule, in pieces
/// + unanswered_requests × (8 × field_section + 2 × unanswered_body + 2 × read)
/// + sessions × 2 × datagram_capsule                       DATAGRAM capsules in pieces
/// + 2 × buffered_bytes + buffered_datagrams × 128
/// + max(buffered_streams, sessions) × 64                  streams refused before their session
/// + 2 × control_frame
/// + unanswered_requests × 128                             priorities that came first
/// + 8 × undelivered_bytes + 2 × read
/// + undelivered_datagrams × (128 + max(datagram, datagram_capsule))
/// + 2 × unwritten_bytes
/// ```
///
/// bytes. A factor of 2 is what a growing buffer may have in reserve. Events are counted with the
/// headers they hold; when four times `undelivered_bytes` wait, which takes a host that feeds what
/// is not wanted or a peer that goes on with what always is (new streams, requests, priorities), the
/// connection is closed with H3_EXCESSIVE_LOAD.
///
/// # Floods
///
/// So it is when in one second more than 1024 things happen that cost the peer next to nothing:
///
/// - a frame on the control stream, an instruction's byte on a QPACK stream, and on a request stream
///   an empty frame, one of unknown type or an informational response;
/// - a request that is refused before the application hears of it, or taken back before its answer;
/// - a stream of unknown type, and one that ends before it says what it is;
/// - a stream that is refused at once because the session that it names is not there.
///
/// Requests that the application answered are not counted, nor are datagrams and the streams of a
/// session that is there or was: these QUIC's limits pace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Limits {
    /// Sessions at a time, open or about to open. Default 16. A server refuses a request beyond
    /// it with H3_REQUEST_REJECTED; a client's `connect` is blocked.
    pub sessions: u32,
    /// Server: requests that wait for an answer, or for the client's SETTINGS. Default 16.
    /// Beyond it: H3_REQUEST_REJECTED. So many priorities are kept for requests that have not
    /// come yet (RFC 9218 §7); beyond it the newest is ignored.
    pub unanswered_requests: u32,
    /// Server: requests answered with a refusal whose stream the client keeps open. Default 64.
    /// Beyond it: H3_REQUEST_REJECTED.
    pub answered_requests: u32,
    /// Server: bytes of one CONNECT's body kept until the request is answered (draft §3.2).
    /// Default 16 KiB. Beyond it:
    /// [`Violation::UnansweredBodyTooLarge`](crate::Violation::UnansweredBodyTooLarge).
    pub unanswered_body: usize,
    /// Streams that wait for their session to open (draft §4.6). Default 32. Beyond it the
    /// newest is refused with WT_BUFFERED_STREAM_REJECTED.
    pub buffered_streams: u32,
    /// Bytes of all streams that wait for their session to open, where a host feeds them although
    /// `wants` is false. Default 64 KiB. Beyond it the stream is refused with
    /// WT_BUFFERED_STREAM_REJECTED.
    pub buffered_bytes: usize,
    /// Datagrams that wait for their session to open (draft §4.6). Default 64. Beyond it the
    /// newest is dropped and counted.
    pub buffered_datagrams: u32,
    /// Entries in the peer's SETTINGS. Default 64. Beyond it the connection is closed with
    /// H3_EXCESSIVE_LOAD.
    pub settings: u32,
    /// Bytes of one frame on the control stream. Default 16 KiB. Beyond it the connection is
    /// closed with H3_EXCESSIVE_LOAD; frames of unknown type are skipped at any length, and a
    /// priority that is longer is ignored.
    pub control_frame: usize,
    /// Bytes of one field section, counted as RFC 9114 §4.2.2 does and announced as
    /// SETTINGS_MAX_FIELD_SECTION_SIZE. Default 16 KiB. Beyond it a request is answered with 431,
    /// and a response is a
    /// [`Violation::FieldSectionTooLarge`](crate::Violation::FieldSectionTooLarge).
    pub field_section: usize,
    /// Bytes of a datagram that comes in a DATAGRAM capsule (RFC 9297 §3.5). Default 64 KiB.
    /// A longer one is skipped.
    pub datagram_capsule: usize,
    /// Datagrams in events not polled yet. Default 1024. Beyond it the newest is dropped and
    /// counted.
    pub undelivered_datagrams: u32,
    /// Bytes of events not polled yet, datagrams aside. Default 1 MiB. Beyond it `wants` is false for data
    /// streams, so that the bytes stay in QUIC's own window, until no more than half of it is left. Then
    /// all of them are read on, so it should not be small where many are open.
    pub undelivered_bytes: usize,
    /// Protocol bytes that QUIC does not take. Default 64 KiB. Beyond it the connection is closed
    /// with H3_EXCESSIVE_LOAD.
    pub unwritten_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        Self {
            sessions: 16,
            unanswered_requests: 16,
            answered_requests: 64,
            unanswered_body: 16 * KIB,
            buffered_streams: 32,
            buffered_bytes: 64 * KIB,
            buffered_datagrams: 64,
            settings: 64,
            control_frame: 16 * KIB,
            field_section: 16 * KIB,
            datagram_capsule: 64 * KIB,
            undelivered_datagrams: 1024,
            undelivered_bytes: 1024 * KIB,
            unwritten_bytes: 64 * KIB,
        }
    }
}

/// How long things may take, on the caller's clock.
///
/// Where a deadline is an `Option`, `None` waits for ever. Zero means at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Deadlines {
    /// From a request to its answer, in either role. Default 10 s. Then the session ends with
    /// [`Deadline::Request`](crate::Deadline::Request).
    pub request: Option<Duration>,
    /// Nothing received for an open session: no datagram, stream bytes or capsule. What we send
    /// does not count, nor do QUIC's acknowledgements and PINGs. Then the session ends with
    /// [`Deadline::Inactivity`](crate::Deadline::Inactivity).
    ///
    /// `None` by default, because a page that only listens looks dead. Nothing else detects a
    /// closed Firefox tab: where clients send something regularly, set it.
    pub inactivity: Option<Duration>,
    /// From the end of a session, or from `shutdown`, until a peer that has not closed its half
    /// of the CONNECT stream is not waited for any longer. Default 3 s.
    pub linger: Duration,
    /// Server: a connection that carries no session for this long is closed with H3_NO_ERROR.
    /// Default 30 s. Without effect at a client.
    pub idle_connection: Option<Duration>,
    /// How long streams and datagrams wait for their session to open. Default 5 s. So long, from the
    /// last of them, it is also known which streams were refused before their session was requested,
    /// and that it owes session flow control's credit for them.
    pub buffered: Duration,
    /// How long STOP_SENDING(WT_SESSION_GONE) waits for the close capsule that it may have
    /// overtaken. Default 1 s; zero does not wait.
    pub stop_grace: Duration,
    /// The code and message sent to the peer when `inactivity` strikes. Default 0 and "".
    pub inactivity_close: (u32, CloseMessage),
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            request: Some(Duration::from_secs(10)),
            inactivity: None,
            linger: Duration::from_secs(3),
            idle_connection: Some(Duration::from_secs(30)),
            buffered: Duration::from_secs(5),
            stop_grace: Duration::from_secs(1),
            inactivity_close: (0, CloseMessage::default()),
        }
    }
}

/// How far ahead of our application the peer of a session may be (draft §5).
///
/// It is announced in SETTINGS, and given anew as the application reads and as streams close. It
/// applies when the peer offers flow control too, in dialects that have it: from draft 13 on. A peer
/// that offers no flow control is limited by QUIC alone.
///
/// All zero is the same as not to offer it.
///
/// A server whose TLS takes 0-RTT must not lower these while clients hold its session tickets (§3.2):
/// they leave with H3_SETTINGS_ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct FlowControl {
    /// Bytes of stream payload that the application has not read, over all streams of a session. At
    /// most 2^62 - 1.
    ///
    /// The bytes that a peer had sent on a stream before it was reset or stopped count only where
    /// the QUIC stack tells the final size. Else as much is given back for such a stream as may have
    /// been sent on it: a [`stream_receive_window`](Transport::stream_receive_window) if we stopped
    /// it, and if the peer reset it at most this limit, or what is left of it. So a session can
    /// become too generous, but never stuck. The same is true of streams that end before they name
    /// their session, where QUIC has no RESET_STREAM_AT: each session allows one more.
    pub max_data: u64,
    /// Bidirectional streams that are open at a time. At most 2^60.
    pub max_streams_bidi: u64,
    /// Unidirectional streams that are open at a time. At most 2^60.
    pub max_streams_uni: u64,
}

impl FlowControl {
    /// With these limits.
    #[must_use]
    pub const fn new(max_data: u64, max_streams_bidi: u64, max_streams_uni: u64) -> Self {
        Self {
            max_data,
            max_streams_bidi,
            max_streams_uni,
        }
    }

    /// §5.1: flow control is declared "with any value other than \"0\"".
    pub(crate) const fn is_declared(&self) -> bool {
        self.max_data != 0 || self.max_streams_bidi != 0 || self.max_streams_uni != 0
    }
}

/// A family of drafts that share a SETTINGS codepoint, and so behave alike. Ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Dialect {
    /// Drafts 02 to 05 (0x2b603742): what Chromium and Firefox speak.
    Draft02,
    /// Drafts 07 to 12 (0xc671706a).
    Draft07,
    /// Drafts 13 and 14 (0x14e9cd29).
    Draft14,
    /// Drafts 15 and 16 (0x2c7cf000).
    Draft16,
}

impl Dialect {
    #[cfg(feature = "serde")]
    const EACH: [Self; 4] = [Self::Draft02, Self::Draft07, Self::Draft14, Self::Draft16];

    const fn bit(self) -> u8 {
        match self {
            Self::Draft02 => 1,
            Self::Draft07 => 2,
            Self::Draft14 => 4,
            Self::Draft16 => 8,
        }
    }
}

/// A set of dialects, never empty. The newest that both ends announce is spoken.
///
/// A set without [`Dialect::Draft02`] reaches no browser of today.
///
/// ```
/// use webtransport_session::{Dialect, Dialects};
///
/// let browsers = Dialects::only(Dialect::Draft02).with(Dialect::Draft07);
/// assert_ne!(browsers, Dialects::ALL);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dialects(u8);

impl Dialects {
    /// Every dialect this crate speaks.
    pub const ALL: Self = Self(15);

    /// The set of one.
    pub const fn only(dialect: Dialect) -> Self {
        Self(dialect.bit())
    }

    /// This set and one more.
    pub const fn with(self, dialect: Dialect) -> Self {
        Self(self.0 | dialect.bit())
    }

    pub(crate) const fn contains(self, dialect: Dialect) -> bool {
        self.0 & dialect.bit() != 0
    }
}

impl Default for Dialects {
    fn default() -> Self {
        Self::ALL
    }
}

/// A list, the oldest first.
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl serde::Serialize for Dialects {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(Dialect::EACH.into_iter().filter(|&one| self.contains(one)))
    }
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl<'de> serde::Deserialize<'de> for Dialects {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dialects = Vec::<Dialect>::deserialize(deserializer)?;
        let Some((&first, rest)) = dialects.split_first() else {
            return Err(serde::de::Error::custom("at least one dialect is spoken"));
        };
        Ok(rest
            .iter()
            .fold(Self::only(first), |set, &dialect| set.with(dialect)))
    }
}

/// What the QUIC stack can do, as known when it is connected.
///
/// Most stacks cannot tell everything: only a known [`Support::No`] ever fails set-up. How to find
/// each out is in the chapter of [`host`](crate::host#what-the-stack-can-do).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Transport {
    /// Whether both sides negotiated QUIC DATAGRAM frames (RFC 9221). With `No` our SETTINGS announce
    /// none, and no session is possible.
    pub datagrams: Support,
    /// Whether resets carry their reliable size: `Yes` when both sides negotiated
    /// RESET_STREAM_AT and the host performs
    /// [`Action::Reset::reliable_size`](crate::Action::Reset). Otherwise streams are reset plainly,
    /// after their header was written (draft §4.4).
    pub reset_stream_at: Support,
    /// Whether the peer announced RESET_STREAM_AT in its transport parameters (draft §3.1). `No` only
    /// where they were seen without it: sessions of drafts 13 and later then fail with
    /// [`Requirement::ResetStreamAt`](crate::Requirement::ResetStreamAt).
    pub peer_reset_stream_at: Support,
    /// Bytes that the stack lets the peer send on one stream ahead of the reader; where it tunes
    /// itself, the most. Counts where there is [`Config::flow_control`]: too large makes that
    /// generous, too small may get a session stuck.
    pub stream_receive_window: u64,
    /// Client: the server accepted early data on this connection (RFC 9001 §4.6), so that what it
    /// said on the one before still holds: see
    /// [`Connection::client_resuming`](crate::Connection::client_resuming).
    #[cfg_attr(feature = "serde", serde(default))]
    pub early_data_accepted: bool,
}

impl Transport {
    /// The rest as on quinn-proto: RESET_STREAM_AT unknown, a window of 1.25 MB. No
    /// early data.
    pub fn new(datagrams: Support) -> Self {
        Self {
            datagrams,
            reset_stream_at: Support::Unknown,
            peer_reset_stream_at: Support::Unknown,
            stream_receive_window: 1_250_000,
            early_data_accepted: false,
        }
    }
}

/// Whether something can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Support {
    /// It is there.
    Yes,
    /// It is known not to be there.
    No,
    /// The stack cannot tell. Never a reason to fail.
    Unknown,
}

#[cfg(test)]
mod tests;
