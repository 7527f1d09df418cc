//! What the suite's application asks of a host.

use std::time::Instant;

use webtransport_session::{
    Action, AnswerError, CloseMessage, ConnectError, Connection, Dir, OpenError, Rejection,
    Request, Response, SendError, SessionId, StreamClosed, StreamId,
};

/// One connection: its sessions, and what of them touches QUIC.
///
/// What a call queues is performed by the host's own loop, which goes on after it.
pub trait Host {
    /// The commands that need no QUIC.
    fn sessions(&mut self) -> &mut dyn Sessions;

    /// Client: asks for a session.
    ///
    /// # Errors
    /// Those of [`Connection::connect`].
    fn connect(&mut self, now: Instant, request: &Request) -> Result<SessionId, ConnectError>;

    /// Opens a stream of a session.
    ///
    /// # Errors
    /// Those of [`Connection::open`].
    fn open(&mut self, now: Instant, session: SessionId, dir: Dir) -> Result<StreamId, OpenError>;

    /// Sends on a stream of a session; how many bytes were taken, at least one of any.
    ///
    /// # Errors
    /// [`SendError::Blocked`]: `StreamWritable` follows. Others are those of
    /// [`Connection::credit`].
    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> Result<usize, SendError>;

    /// Sends a datagram. An error is told in words.
    ///
    /// # Errors
    /// Whatever the session or QUIC says.
    fn send_datagram(&mut self, session: SessionId, payload: &[u8]) -> Result<(), String>;

    /// The largest payload of a datagram, in bytes.
    fn max_datagram_size(&mut self, session: SessionId) -> Option<usize>;

    /// Does to QUIC what an action asks, without the sessions' knowledge: a peer that breaks rules.
    /// A write needs no answer; what QUIC does not take at once is lost.
    fn raw(&mut self, now: Instant, action: Action);

    /// Closes the QUIC connection at once, with an application's code.
    fn abort(&mut self, now: Instant, code: u32, reason: &[u8]);
}

/// The commands of sessions that need no QUIC. A host over a
/// [`Connection`] has them already; one over sessions of its own has each made.
pub trait Sessions {
    /// [`Connection::accept`].
    fn accept(
        &mut self,
        now: Instant,
        session: SessionId,
        response: Response,
    ) -> Result<(), AnswerError>;
    /// [`Connection::reject`].
    fn reject(
        &mut self,
        now: Instant,
        session: SessionId,
        rejection: Rejection,
    ) -> Result<(), AnswerError>;
    /// [`Connection::close`].
    fn close(&mut self, now: Instant, session: SessionId, code: u32, message: CloseMessage);
    /// [`Connection::drain`].
    fn drain(&mut self, session: SessionId);
    /// [`Connection::go_away`].
    fn go_away(&mut self);
    /// [`Connection::shutdown`].
    fn shutdown(&mut self, now: Instant, code: u32, message: CloseMessage);
    /// [`Connection::finish`].
    fn finish(&mut self, stream: StreamId) -> Result<(), StreamClosed>;
    /// [`Connection::reset`].
    fn reset(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed>;
    /// [`Connection::stop`].
    fn stop(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed>;
    /// [`Connection::pause`].
    fn pause(&mut self, stream: StreamId);
    /// [`Connection::resume`].
    fn resume(&mut self, stream: StreamId);
}

impl Sessions for Connection {
    fn accept(
        &mut self,
        now: Instant,
        session: SessionId,
        response: Response,
    ) -> Result<(), AnswerError> {
        Self::accept(self, now, session, response)
    }

    fn reject(
        &mut self,
        now: Instant,
        session: SessionId,
        rejection: Rejection,
    ) -> Result<(), AnswerError> {
        Self::reject(self, now, session, rejection)
    }

    fn close(&mut self, now: Instant, session: SessionId, code: u32, message: CloseMessage) {
        Self::close(self, now, session, code, message);
    }

    fn drain(&mut self, session: SessionId) {
        Self::drain(self, session);
    }

    fn go_away(&mut self) {
        Self::go_away(self);
    }

    fn shutdown(&mut self, now: Instant, code: u32, message: CloseMessage) {
        Self::shutdown(self, now, code, message);
    }

    fn finish(&mut self, stream: StreamId) -> Result<(), StreamClosed> {
        Self::finish(self, stream)
    }

    fn reset(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        Self::reset(self, stream, code)
    }

    fn stop(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        Self::stop(self, stream, code)
    }

    fn pause(&mut self, stream: StreamId) {
        Self::pause(self, stream);
    }

    fn resume(&mut self, stream: StreamId) {
        Self::resume(self, stream);
    }
}
