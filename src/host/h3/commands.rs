//! What the application commands, answers to requests aside.

use std::time::{Duration, Instant};

use bytes::Bytes;

use ::h3::proto::varint::VarInt;

use super::{Host, Phase, Stack, turn};
use crate::{
    CloseMessage, DatagramError, Dir, Http3Error, OpenError, SendError, SessionId, Side,
    StreamClosed, StreamId, wire::datagram,
};

impl<C: Stack> Host<C> {
    // ---- sessions

    /// Tells the peer that this session will end soon (WT_DRAIN_SESSION, §4.7). Nothing else
    /// changes; a session that is gone is left alone.
    pub fn drain(&mut self, session: SessionId) {
        self.with_session(session, |connect, _| connect.session.drain());
    }

    /// Ends a session, open or not; one that is gone stays as it ended. The message is cut at
    /// [`CloseMessage::MAX_LEN`] bytes.
    pub fn close(
        &mut self,
        now: Instant,
        session: SessionId,
        code: u32,
        message: impl Into<CloseMessage>,
    ) {
        self.tick(now);
        let message = message.into();
        self.with_session(session, |connect, now| {
            connect.session.close(now, code, message);
        });
    }

    // ---- the connection

    /// GOAWAY, and a drain for each session; new sessions and new requests are refused, old ones go
    /// on. Nothing ends by itself after it: see [`shutdown`](Self::shutdown).
    ///
    /// A client that has announced sessions is sent the drains alone: Chromium crashes at a GOAWAY.
    pub fn go_away(&mut self) {
        if self.is_closed() {
            return;
        }
        self.send_goaway();
        for session in self.session_ids() {
            self.drain(session);
        }
    }

    /// Closes each session, waits until the peer has closed every CONNECT stream or
    /// [`Deadlines::linger`](crate::Deadlines::linger) is over, then closes the connection with
    /// H3_NO_ERROR. Ends with [`Event::ConnectionClosed`](crate::Event::ConnectionClosed). A second
    /// call is ignored.
    ///
    /// Ordinary requests are not waited for: [`go_away`](Self::go_away) first, and let them finish.
    pub fn shutdown(&mut self, now: Instant, code: u32, message: impl Into<CloseMessage>) {
        self.tick(now);
        if !self.is_running() {
            return;
        }
        let message = message.into();
        let parting = match self.agreement {
            Some(Ok(Some(dialect))) if !self.sessions.is_empty() => dialect.parting(),
            _ => Duration::ZERO,
        };
        self.phase = Phase::Ending {
            until: now.checked_add(self.config.deadlines.linger),
            parting: Some(parting),
        };
        self.send_goaway();
        for session in self.session_ids() {
            self.close(now, session, code, message.clone());
        }
        self.refuse_held();
    }

    /// Closes at once: with the next [`poll`](Self::poll) sessions end with
    /// [`ConnectionLost::Local`](crate::ConnectionLost::Local), but for what had reached QUIC before
    /// and ended them already.
    pub fn abort(&mut self, code: u64, reason: &str) {
        self.close_connection(code, reason);
    }

    fn send_goaway(&mut self) {
        // RFC 9114 §5.2: "requests […] with the indicated identifier or greater are rejected"
        let Ok(from) = VarInt::from_u64(self.seen.next(Side::Client, Dir::Bi).into()) else {
            return;
        };
        // As in `Connection`: Chromium, which has said that it speaks draft 02, crashes at one.
        if let Some(Ok(Some(dialect))) = self.agreement {
            if !dialect.takes_goaway() {
                self.goaway.sent = Some(from);
                return;
            }
        }
        // A few bytes on the control stream, which QUIC takes in one go. Were it blocked, the drains
        // and close capsules would say the same.
        let goaway = self.h3.inner.shutdown(&mut self.goaway.sent, from);
        if let std::task::Poll::Ready(Err(error)) = turn::at_once(goaway) {
            self.lose(error);
        }
    }

    // ---- streams of sessions

    /// Opens a stream of a session.
    ///
    /// # Errors
    /// [`OpenError::NotOpen`] before the answer, [`OpenError::SessionClosed`] after the end,
    /// [`OpenError::Blocked`] while QUIC has no stream to spare.
    pub fn open(&mut self, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        self.open_stream(session, dir)
    }

    /// Writes payload to a stream; gives how many bytes QUIC took. Fewer than all does not mean
    /// blocked: write on until [`SendError::Blocked`], and only then
    /// [`Event::StreamWritable`](crate::Event::StreamWritable) follows.
    ///
    /// # Errors
    /// [`SendError::Blocked`], [`SendError::Stopped`] when the peer asked to stop,
    /// [`SendError::StreamClosed`] when our half is over or was never open.
    pub fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        let owner = self.streams.get_mut(&stream);
        let owner = owner.ok_or(SendError::StreamClosed)?;
        let session = self.sessions.get_mut(&owner.session);
        let session = &mut session.ok_or(SendError::StreamClosed)?.session;
        let credit = session.credit(stream)?;
        match owner.pipe.write(credit.clamp(data)) {
            Ok(Some(written)) => {
                credit.spend(written);
                Ok(written)
            }
            Ok(None) => Err(SendError::Blocked),
            Err(fault) => {
                drop(credit);
                self.stream_fault(stream, fault);
                // The event with the code follows, or the connection's.
                Err(SendError::Stopped(None))
            }
        }
    }

    /// Finishes our half of a stream.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn finish(&mut self, stream: StreamId) -> Result<(), StreamClosed> {
        self.of_stream(stream, |session| session.finish(stream))
    }

    /// Resets our half of a stream with an application error code (§4.4).
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn reset(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        self.of_stream(stream, |session| session.reset(stream, code))
    }

    /// Asks the peer to stop sending, with an application error code (§4.4), which not every stack
    /// sends: see the [module](crate::host::h3). Its half is over at once.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn stop(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        self.of_stream(stream, |session| session.stop(stream, code))
    }

    fn of_stream(
        &mut self,
        stream: StreamId,
        work: impl FnOnce(&mut crate::session::Session) -> Result<(), StreamClosed>,
    ) -> Result<(), StreamClosed> {
        let owner = self.streams.get(&stream).ok_or(StreamClosed)?.session;
        self.with_session(owner, |connect, _| work(&mut connect.session))
            .unwrap_or(Err(StreamClosed))
    }

    /// The stream is not read until [`resume`](Self::resume): QUIC holds the peer back. Inactivity
    /// of its session is not counted meanwhile. Bytes that were not read are lost when the session
    /// ends.
    pub fn pause(&mut self, stream: StreamId) {
        self.set_paused(stream, true);
    }

    /// Reads go on.
    pub fn resume(&mut self, stream: StreamId) {
        self.set_paused(stream, false);
    }

    // ---- datagrams

    /// Takes in the payload of a QUIC DATAGRAM frame. Events come out of the next
    /// [`poll`](Self::poll).
    pub fn handle_datagram(&mut self, now: Instant, data: Bytes) {
        self.tick(now);
        if self.is_closed() {
            return;
        }
        match datagram::parse(data) {
            Some((session, payload)) => self.datagram_received(session, payload),
            None => self.fail(Http3Error::Datagram),
        }
    }

    /// The payload of the QUIC DATAGRAM frame that carries `payload`, for QUIC to send now. It is at
    /// most 8 bytes longer.
    ///
    /// # Errors
    /// [`DatagramError::NotOpen`] before the answer, [`DatagramError::SessionClosed`] after the end.
    pub fn datagram(&self, session: SessionId, payload: &[u8]) -> Result<Bytes, DatagramError> {
        let session = self.session(session).ok_or(DatagramError::SessionClosed)?;
        Ok(session.datagram()?.encode(payload))
    }
}
