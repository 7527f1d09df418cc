//! What goes into a connection and what comes out, as plain data.
//!
//! Facts about QUIC go in, actions for QUIC and events for the application come out. All of it
//! can be compared, stored and replayed. Knows no order and no meaning: that is the machine's.

#![allow(
    clippy::exhaustive_enums,
    reason = "deliberate: a host that ignores an action, or cannot report a fact, is wrong"
)]

use bytes::Bytes;

use crate::{
    CloseReason, ConnectionLost, Dialect, Dir, Priority, Request, Response, SessionId, StreamId,
};

/// A fact about QUIC, for `handle`.
///
/// Handling one never fails: what the peer does wrong becomes actions and events, and facts about
/// streams that are unknown or over are absorbed. When each is to be fed, and in which order, is in
/// the chapter of [`host`](crate::host#the-inputs).
///
/// ```
/// use bytes::Bytes;
/// use webtransport_session::{Input, StreamId};
///
/// let stream = StreamId::from(0);
/// let input = Input::StreamData { stream, data: Bytes::from_static(b"\0\0"), fin: false };
/// assert_eq!(input, input.clone());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Input {
    /// The next bytes of a stream, in order, and whether the stream ends with them. The FIN may
    /// come alone or with the last bytes. A stream of the peer's needs no other announcement.
    StreamData {
        /// The stream that was read.
        stream: StreamId,
        /// What was read. Empty is allowed, and says nothing without `fin`.
        #[cfg_attr(feature = "serde", serde(with = "crate::hex"))]
        data: Bytes,
        /// Nothing follows.
        fin: bool,
    },
    /// RESET_STREAM or RESET_STREAM_AT arrived, or was found when the stream was read. Nothing more
    /// of this half follows.
    StreamReset {
        /// The stream whose receiving half ended.
        stream: StreamId,
        /// The code on the wire.
        code: u64,
        /// How many bytes the peer had sent, the stream header included, as the frame says; `None`
        /// where the stack does not tell.
        final_size: Option<u64>,
    },
    /// STOP_SENDING arrived, or a write found it. The answer is an [`Action::Reset`]; a stack that
    /// has reset by itself ignores it. Feed first what can be read of the same stream: it may say
    /// why, and STOP_SENDING may overtake it.
    StreamStopped {
        /// The stream whose sending half is not wanted any more.
        stream: StreamId,
        /// The code on the wire.
        code: u64,
    },
    /// The answer to each [`Action::Write`].
    Written {
        /// The stream that was written.
        stream: StreamId,
        /// How many of the bytes QUIC took, over all tries. 0 when the stream is blocked or gone.
        /// With fewer than all, the rest comes in a new `Write` after [`StreamWritable`](Self::StreamWritable).
        len: usize,
        /// Whether QUIC took the FIN. If there was one and it did not, that comes in a new `Write`
        /// too, with empty data.
        fin: bool,
    },
    /// QUIC takes bytes for this stream again. May come at any time and any number of times: it
    /// becomes an [`Action::Write`] or an event only where something was refused. Counts for nothing
    /// between an [`Action::Write`] and its answer: answer first.
    StreamWritable {
        /// The stream that can be written.
        stream: StreamId,
    },
    /// The peer acknowledged everything that was sent on this stream, the FIN included. To be told
    /// where the stack can: [`Connection::shutdown`](crate::Connection::shutdown) then knows that
    /// a refusal has arrived. Else it waits for [`Deadlines::linger`](crate::Deadlines::linger).
    StreamAcknowledged {
        /// The stream whose sending half is quite over.
        stream: StreamId,
    },
    /// QUIC's own limit of streams rose. May come at any time and any number of times: it becomes
    /// an event only where a permit was dropped.
    StreamsAvailable {
        /// The kind of stream that can be opened.
        dir: Dir,
    },
    /// A QUIC DATAGRAM frame arrived.
    DatagramReceived {
        /// Its whole payload.
        #[cfg_attr(feature = "serde", serde(with = "crate::hex"))]
        data: Bytes,
    },
    /// The connection is over: the peer closed it, it was lost, or the host closed it without
    /// having been told to. Feed first everything that can still be read, of all streams, or a close
    /// message in there is lost. The first one counts, and none behind
    /// [`Action::CloseConnection`]. Actions that were not polled are dropped.
    ConnectionClosed {
        /// Why.
        reason: ConnectionLost,
    },
    /// The time of [`Connection::poll_timeout`](crate::Connection::poll_timeout) has come. May come
    /// early.
    Timeout,
}

/// What to do on QUIC, in the order in which they come. Exhaustive: a host that ignores one is wrong.
///
/// An action on a stream that QUIC does not know any more is to be skipped, except that a
/// [`Write`](Self::Write) is always answered. Errors of the stack are to be ignored: what they mean
/// is fed as a fact of its own. More is in the chapter of [`host`](crate::host#the-actions).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Write protocol bytes, until QUIC has them all or refuses, then perhaps FIN. Answer with
    /// [`Input::Written`], at once or later: no second `Write` for this stream comes before the
    /// answer.
    Write {
        /// The stream to write to.
        stream: StreamId,
        /// What to write. Empty when only the FIN is left: then finish the stream, and write nothing.
        data: Bytes,
        /// Whether to finish the stream once all of `data` was taken.
        fin: bool,
    },
    /// Read this stream now, while [`wants`](crate::Connection::wants) says so: QUIC may have
    /// signalled its bytes long ago, and will not again.
    Read {
        /// The stream to read.
        stream: StreamId,
    },
    /// Abandon the sending half, and drop what it has not sent.
    Reset {
        /// The stream to reset.
        stream: StreamId,
        /// The code on the wire.
        code: u64,
        /// Bytes that still have to arrive, for RESET_STREAM_AT; 0 for a plain RESET_STREAM. Always
        /// 0 unless [`Transport::reset_stream_at`](crate::Transport::reset_stream_at) is
        /// [`Support::Yes`](crate::Support::Yes).
        reliable_size: u64,
    },
    /// Ask the peer to abandon its half, and read no more of it.
    StopSending {
        /// The stream to stop.
        stream: StreamId,
        /// The code on the wire.
        code: u64,
    },
    /// Close the connection, with a CONNECTION_CLOSE of the application's kind (0x1d). The last
    /// action: [`Event::ConnectionClosed`] is on its way without a further input. Go on transmitting
    /// until QUIC is drained, or the peer never hears of it.
    CloseConnection {
        /// The application code on the wire.
        code: u64,
        /// A few words for whoever reads the peer's log.
        reason: &'static str,
    },
}

/// What happened, for the application. 64 bytes at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The peer's SETTINGS are in: a client may `connect`.
    Ready(Negotiated),
    /// The peer's SETTINGS are in, and no session is possible: what is missing first.
    Unsupported(Requirement),
    /// Server: a client asks for a session. Answer with `accept` or `reject`, now or later. From
    /// here on a [`SessionClosed`](Self::SessionClosed) is owed.
    SessionRequested {
        /// The session, if it is accepted.
        session: SessionId,
        /// What was asked for.
        request: Box<Request>,
    },
    /// The session is open, in either role; at a server it follows `accept`.
    SessionOpened {
        /// The session that opened.
        session: SessionId,
        /// The answer, received or sent.
        response: Box<Response>,
    },
    /// The peer is about to end the session, or the connection (draft §4.7). Everything works on.
    SessionDraining {
        /// The session to bring to an end.
        session: SessionId,
    },
    /// Server: the client says anew how urgent the session is, before or after the answer (draft
    /// §3.4, RFC 9218 §7). What it said first is told by
    /// [`Connection::priority`](crate::Connection::priority).
    PriorityChanged {
        /// The session that it said so of.
        session: SessionId,
        /// What it said. Never what it had said before.
        priority: Priority,
    },
    /// The session is over. Exactly once for each session that the application was told about or
    /// has connected, also when it never opened, and the last event that names it.
    SessionClosed {
        /// The session that ended.
        session: SessionId,
        /// Why.
        reason: CloseReason,
    },
    /// A datagram arrived.
    DatagramReceived {
        /// The session it is for.
        session: SessionId,
        /// What the peer's application sent.
        payload: Bytes,
    },
    /// The peer opened a stream. `stream.dir()` says whether it can be answered.
    StreamOpened {
        /// The session it belongs to.
        session: SessionId,
        /// The new stream.
        stream: StreamId,
    },
    /// The next bytes of a stream, in order.
    StreamData {
        /// The session it belongs to.
        session: SessionId,
        /// The stream they came on.
        stream: StreamId,
        /// What the peer's application sent. Empty only with `fin`.
        data: Bytes,
        /// Nothing follows.
        fin: bool,
    },
    /// The peer abandoned its half of a stream.
    StreamReset {
        /// The session it belongs to.
        session: SessionId,
        /// The stream that ended.
        stream: StreamId,
        /// The application's code; `None`: the code was not an application's (draft §4.4), as
        /// when the peer cleans up after its session.
        code: Option<u32>,
    },
    /// The peer does not want the rest of what we send on a stream. It is reset already.
    StreamStopped {
        /// The session it belongs to.
        session: SessionId,
        /// The stream that must not be written any more.
        stream: StreamId,
        /// The application's code; `None`: the code was not an application's (draft §4.4).
        code: Option<u32>,
    },
    /// A write that was refused, by QUIC or by session credit, may be tried again.
    StreamWritable {
        /// The session it belongs to.
        session: SessionId,
        /// The stream to try.
        stream: StreamId,
    },
    /// An `open` or `connect` that was refused, by QUIC or by a limit, may be tried again.
    StreamsAvailable {
        /// The kind of stream to try. `connect` needs `Bi`.
        dir: Dir,
    },
    /// The connection is over. Once, and the last event of all.
    ConnectionClosed {
        /// Why.
        reason: ConnectionLost,
    },
}

// An application handles millions of these: the rare large parts are boxed.
const _: () = assert!(size_of::<Event>() <= 64);
const _: () = assert!(size_of::<Option<Output>>() <= 64);

impl Event {
    /// The session that the event is about; `None` for those about the connection.
    pub fn session(&self) -> Option<SessionId> {
        match *self {
            Self::SessionRequested { session, .. }
            | Self::SessionOpened { session, .. }
            | Self::SessionDraining { session }
            | Self::PriorityChanged { session, .. }
            | Self::SessionClosed { session, .. }
            | Self::DatagramReceived { session, .. }
            | Self::StreamOpened { session, .. }
            | Self::StreamData { session, .. }
            | Self::StreamReset { session, .. }
            | Self::StreamStopped { session, .. }
            | Self::StreamWritable { session, .. } => Some(session),
            Self::Ready(_)
            | Self::Unsupported(_)
            | Self::StreamsAvailable { .. }
            | Self::ConnectionClosed { .. } => None,
        }
    }
}

/// What `poll` gives: something to do on QUIC, or something to tell the application.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// For the host.
    Action(Action),
    /// For the application.
    Event(Event),
}

/// What both sides' SETTINGS agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Negotiated {
    /// The dialect of the sessions to come. `None` at a server whose client announces nothing, as
    /// drafts 09 to 12 allow: then [`Request::dialect`](crate::Request::dialect) says for each.
    pub dialect: Option<Dialect>,
    /// Whether sessions of this dialect have flow control (draft §5.1).
    pub flow_control: bool,
}

/// What a peer lacks to carry sessions (draft §3.1). Reported is the first missing, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Requirement {
    /// Its SETTINGS announce no WebTransport of any draft.
    WebTransport,
    /// It speaks only dialects that we do not.
    Dialect,
    /// The server's SETTINGS do not allow Extended CONNECT (RFC 9220).
    ExtendedConnect,
    /// Its SETTINGS or its QUIC do not allow HTTP datagrams (RFC 9297).
    Datagrams,
    /// Its QUIC is known to lack RESET_STREAM_AT.
    ResetStreamAt,
}

#[cfg(test)]
mod tests;
