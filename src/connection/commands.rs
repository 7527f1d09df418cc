//! What the application commands: sessions, the connection as a whole, streams and datagrams.
//!
//! Each records itself, does its part, and lets what follows happen. Here is only the surface; the
//! work is in the files of the things themselves.

use std::time::{Duration, Instant};

use super::{ConnectPermit, Connection, OpenPermit, Phase, record, streams};
use crate::{
    AnswerError, CloseMessage, ConnectError, DatagramError, Dir, OpenError, Rejection, Request,
    Response, SendError, SessionId, Side, StreamClosed, StreamId,
    session::{DatagramPermit, SendCredit},
};

impl Connection {
    // ---- sessions

    /// Client: asks for a session. Nothing happens until [`ConnectPermit::bind`].
    ///
    /// # Errors
    /// Each [`ConnectError`] says what the caller can do.
    pub fn connect<'a>(
        &'a mut self,
        now: Instant,
        request: &'a Request,
    ) -> Result<ConnectPermit<'a>, ConnectError> {
        self.tick(now);
        match self.may_request(request) {
            Ok((dialect, head)) => Ok(ConnectPermit::new(self, request, head, dialect)),
            Err(error) => {
                record!(
                    self,
                    Step::Connect {
                        request: Box::new(request.clone()),
                        bound: None
                    }
                );
                Err(error)
            }
        }
    }

    /// Server: accepts a request with 200. [`Event::SessionOpened`](crate::Event::SessionOpened) follows.
    ///
    /// # Errors
    /// [`AnswerError::Gone`] when the client left meanwhile, which is normal;
    /// [`AnswerError::ProtocolNotOffered`] when the response names a protocol that the request did
    /// not; [`AnswerError::HeadersTooLarge`]. After both the request still waits for its answer.
    pub fn accept(
        &mut self,
        now: Instant,
        session: SessionId,
        response: Response,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        record!(
            self,
            Step::Accept {
                session,
                response: Box::new(response.clone())
            }
        );
        self.answer_with_accept(session, response)?;
        self.settle();
        Ok(())
    }

    /// Server: answers a request with a final status that is not 2xx. [`Event::SessionClosed`](crate::Event::SessionClosed)
    /// follows. A status below 300 is sent as 500.
    ///
    /// # Errors
    /// [`AnswerError::Gone`] when the client left meanwhile, which is normal;
    /// [`AnswerError::HeadersTooLarge`]: the request still waits for its answer.
    pub fn reject(
        &mut self,
        now: Instant,
        session: SessionId,
        rejection: Rejection,
    ) -> Result<(), AnswerError> {
        self.tick(now);
        record!(
            self,
            Step::Reject {
                session,
                rejection: Box::new(rejection.clone())
            }
        );
        self.answer_with_reject(session, rejection)?;
        self.settle();
        Ok(())
    }

    /// Tells the peer that this session will end soon (WT_DRAIN_SESSION, §4.7). Nothing else
    /// changes; a session that is gone is left alone.
    pub fn drain(&mut self, session: SessionId) {
        record!(self, Step::Drain { session });
        self.with_session(session, |connect, _| connect.session.drain());
        self.settle();
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
        record!(
            self,
            Step::Close {
                session,
                code,
                message: message.clone()
            }
        );
        self.with_session(session, |connect, now| {
            connect.session.close(now, code, message);
        });
        self.settle();
    }

    // ---- the connection

    /// GOAWAY, and a drain for each session; new sessions are refused, old ones go on. Nothing ends
    /// by itself after it: see [`shutdown`](Self::shutdown).
    ///
    /// A client that speaks no dialect but draft 02 is sent the drains alone: Chromium crashes at a
    /// GOAWAY.
    pub fn go_away(&mut self) {
        record!(self, Step::GoAway);
        if self.is_closed() {
            return;
        }
        self.send_goaway();
        for session in self.connect_streams() {
            self.with_session(session, |connect, _| connect.session.drain());
        }
        self.settle();
    }

    /// Closes each session, waits until the peer has closed every CONNECT stream or
    /// [`Deadlines::linger`](crate::Deadlines::linger) is over, then closes the connection with
    /// H3_NO_ERROR. Ends with [`Event::ConnectionClosed`](crate::Event::ConnectionClosed). A second call is ignored.
    pub fn shutdown(&mut self, now: Instant, code: u32, message: impl Into<CloseMessage>) {
        self.tick(now);
        let message = message.into();
        record!(
            self,
            Step::Shutdown {
                code,
                message: message.clone()
            }
        );
        if self.phase != Phase::Running {
            return;
        }
        let parting = match self.agreement {
            Some(Ok(Some(dialect))) if self.side == Side::Server && self.live > 0 => {
                dialect.parting()
            }
            _ => Duration::ZERO,
        };
        // First of all: what follows may be one byte too many and end the connection.
        self.phase = Phase::Ending {
            until: self.now(now).checked_add(self.config.deadlines.linger),
            parting: Some(parting),
        };
        self.send_goaway();
        for session in self.connect_streams() {
            self.with_session(session, |connect, now| {
                connect.session.close(now, code, message.clone());
            });
        }
        self.refuse_held_requests();
        self.settle();
    }

    // ---- streams of sessions

    /// Asks to open a stream of a session.
    ///
    /// # Errors
    /// [`OpenError::NotOpen`] before the answer, [`OpenError::SessionClosed`] after the end,
    /// [`OpenError::Blocked`] while the session's limit is used up (§5.3).
    pub fn open(&mut self, session: SessionId, dir: Dir) -> Result<OpenPermit<'_>, OpenError> {
        match self.may_open(session, dir) {
            Ok(()) => Ok(OpenPermit::new(self, session, dir)),
            Err(error) => {
                record!(
                    self,
                    Step::Open {
                        session,
                        dir,
                        bound: None
                    }
                );
                Err(error)
            }
        }
    }

    /// Asks to write payload to a stream.
    ///
    /// # Errors
    /// [`SendError::Blocked`] while the stream header is not with QUIC or the session's limit is used up
    /// (§5.4),
    /// [`SendError::Stopped`] when the peer asked to stop, [`SendError::StreamClosed`] when our half
    /// is over or was never open.
    pub fn credit(&mut self, stream: StreamId) -> Result<SendCredit<'_>, SendError> {
        let credit = self
            .may_write(stream)
            .and_then(|()| streams::credit(&mut self.slots, stream));
        #[cfg(feature = "trace")]
        let credit = self.recorder.credit(self.now, stream, credit);
        credit
    }

    /// Finishes our half of a stream.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn finish(&mut self, stream: StreamId) -> Result<(), StreamClosed> {
        record!(self, Step::Finish { stream });
        let result = self.finish_stream(stream);
        self.settle();
        result
    }

    /// Resets our half of a stream with an application error code (§4.4).
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn reset(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        record!(self, Step::Reset { stream, code });
        self.reset_stream(stream, code)
    }

    /// Asks the peer to stop sending, with an application error code (§4.4). Its half is over at
    /// once.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn stop(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        record!(self, Step::Stop { stream, code });
        self.stop_stream(stream, code)
    }

    /// [`wants`](Self::wants) is false for this stream until [`resume`](Self::resume). Bytes that
    /// are fed anyway come out as events. Inactivity of its session is not counted meanwhile.
    pub fn pause(&mut self, stream: StreamId) {
        record!(self, Step::Pause { stream });
        self.set_paused(stream, true);
    }

    /// Reads go on: gives an [`Action::Read`](crate::Action::Read).
    pub fn resume(&mut self, stream: StreamId) {
        record!(self, Step::Resume { stream });
        self.set_paused(stream, false);
    }

    // ---- datagrams

    /// Asks to send a datagram. QUIC's own answer counts: too large, or no room.
    ///
    /// # Errors
    /// [`DatagramError::NotOpen`] before the answer, [`DatagramError::SessionClosed`] after the end.
    #[inline]
    pub fn datagram(&self, session: SessionId) -> Result<DatagramPermit<'_>, DatagramError> {
        match self.connect_stream(session) {
            Some(connect) => connect.session.datagram(),
            None => Err(DatagramError::SessionClosed),
        }
    }

    /// The largest payload that fits, in bytes. `quic_max`: what QUIC takes in one DATAGRAM frame now,
    /// in bytes of the frame's payload. `None`: the session is not open, or nothing fits.
    #[must_use]
    pub fn max_datagram_payload(&self, session: SessionId, quic_max: usize) -> Option<usize> {
        let permit = self.datagram(session).ok()?;
        quic_max.checked_sub(permit.header().len())
    }
}
