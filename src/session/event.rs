//! What goes into a [`Session`](super::Session) and what comes out: plain data, nothing decided here.

use bytes::Bytes;

use crate::{CloseReason, ConnectionLost, Dir, StreamId};

/// A fact about one session, as your HTTP/3 saw it.
///
/// Never fails; facts about unknown or finished streams are absorbed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(
    clippy::exhaustive_enums,
    reason = "deliberate: a host matches all of it"
)]
pub enum Input {
    /// DATA payload of the CONNECT stream, in order, and its FIN.
    Body {
        /// Payload bytes; may be empty with `fin`.
        #[cfg_attr(feature = "serde", serde(with = "crate::hex"))]
        data: Bytes,
        /// The peer finished its half of the CONNECT stream.
        fin: bool,
    },
    /// RESET_STREAM arrived for the CONNECT stream.
    ConnectReset {
        /// The HTTP/3 error code.
        code: u64,
    },
    /// STOP_SENDING arrived for the CONNECT stream.
    ConnectStopped {
        /// The HTTP/3 error code.
        code: u64,
    },
    /// A peer's stream whose header named this session.
    StreamOpened {
        /// The stream.
        stream: StreamId,
    },
    /// Payload length of a data stream; the bytes stay with you.
    StreamData {
        /// The stream.
        stream: StreamId,
        /// Payload bytes received, without the stream header.
        len: u64,
        /// The peer finished the stream.
        fin: bool,
    },
    /// RESET_STREAM arrived for a data stream.
    StreamReset {
        /// The stream.
        stream: StreamId,
        /// The HTTP/3 error code.
        code: u64,
        /// The stream's final size in bytes, where the stack tells it.
        final_size: Option<u64>,
    },
    /// STOP_SENDING arrived for a data stream. The answer is an [`Action::Reset`].
    StreamStopped {
        /// The stream.
        stream: StreamId,
        /// The HTTP/3 error code.
        code: u64,
    },
    /// QUIC takes bytes for this stream again. Comes out only where a write was refused.
    StreamWritable {
        /// The stream.
        stream: StreamId,
    },
    /// QUIC's own stream limit rose. Comes out only where an open was refused.
    StreamsAvailable {
        /// Which limit.
        dir: Dir,
    },
    /// A datagram whose quarter stream id named this session.
    DatagramReceived {
        /// The payload behind the quarter stream id.
        #[cfg_attr(feature = "serde", serde(with = "crate::hex"))]
        payload: Bytes,
    },
    /// GOAWAY arrived on the control stream.
    GoAway {
        /// A request stream's id at a client, a push id at a server.
        id: u64,
    },
    /// The connection is over. Feed the streams' bytes first.
    ConnectionClosed {
        /// Why.
        reason: ConnectionLost,
    },
    /// The time that [`Session::poll_timeout`](super::Session::poll_timeout) named has come.
    Timeout,
}

/// What to do on HTTP/3 and QUIC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "deliberate: a host that ignores one is wrong"
)]
pub enum Action {
    /// Put it in a DATA frame on the CONNECT stream; HTTP/3 keeps what QUIC does not take.
    SendBody {
        /// Capsule bytes; may be empty with `fin`.
        data: Bytes,
        /// Finish our half after them.
        fin: bool,
    },
    /// Send RESET_STREAM on the CONNECT stream, and drop what it has not sent.
    ResetConnect {
        /// The HTTP/3 error code.
        code: u64,
    },
    /// Send STOP_SENDING on the CONNECT stream.
    StopConnect {
        /// The HTTP/3 error code.
        code: u64,
    },
    /// Finish our half of a data stream.
    Finish {
        /// The stream.
        stream: StreamId,
    },
    /// Send RESET_STREAM, or RESET_STREAM_AT with this reliable size where it was negotiated.
    Reset {
        /// The stream.
        stream: StreamId,
        /// The HTTP/3 error code.
        code: u64,
        /// Bytes that must still arrive: the stream header, or 0.
        reliable_size: u64,
    },
    /// Send STOP_SENDING on a data stream.
    StopSending {
        /// The stream.
        stream: StreamId,
        /// The HTTP/3 error code.
        code: u64,
    },
}

/// What happened to the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The session is established.
    Opened,
    /// The peer asks to end the session soon (WT_DRAIN_SESSION or GOAWAY, §4.7). At most once.
    Draining,
    /// The session is over. Once, and the last event.
    Closed {
        /// Why.
        reason: CloseReason,
    },
    /// A datagram, also one that came in a DATAGRAM capsule.
    DatagramReceived {
        /// The payload.
        payload: Bytes,
    },
    /// The peer opened a stream.
    StreamOpened {
        /// The stream.
        stream: StreamId,
    },
    /// The peer reset its half of a stream.
    StreamReset {
        /// The stream.
        stream: StreamId,
        /// The application's code; `None` when it is not one (§4.4).
        code: Option<u32>,
    },
    /// The peer asked to stop sending on a stream.
    StreamStopped {
        /// The stream.
        stream: StreamId,
        /// The application's code; `None` when it is not one (§4.4).
        code: Option<u32>,
    },
    /// A write that was refused may be tried again.
    StreamWritable {
        /// The stream.
        stream: StreamId,
    },
    /// An [`open_stream`](super::Session::open_stream) that was refused may be tried again.
    StreamsAvailable {
        /// Which kind of stream.
        dir: Dir,
    },
}

/// One thing that came out of [`Session::poll`](super::Session::poll).
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "deliberate: there is no third kind"
)]
pub enum Output {
    /// For HTTP/3 and QUIC.
    Action(Action),
    /// For the application.
    Event(Event),
}
