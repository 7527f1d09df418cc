//! CONNECT streams: their bytes into [`Session`]s, and what those say into HTTP/3 and events.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{
    Host, Stack,
    pipe::{Fault, Pipe, Read},
};
use crate::{
    Event, Http3Error, Protocol, Response, SessionId, Side,
    connection::request_stream::{Frames, Item},
    session::{self, Session},
    wire::{error_code::WT_SESSION_GONE, frame},
};

/// A session and its CONNECT stream.
pub(super) struct Connect {
    pub(super) session: Session,
    pub(super) pipe: Pipe,
    frames: Frames,
    /// What the request offered.
    pub(super) protocols: Vec<Protocol>,
    /// The 2xx, until the application has been told.
    pub(super) response: Option<Box<Response>>,
}

impl Connect {
    pub(super) fn new(session: Session, pipe: Pipe, protocols: Vec<Protocol>) -> Self {
        Self {
            session,
            pipe,
            frames: Frames::after_head(),
            protocols,
            response: None,
        }
    }
}

impl<C: Stack> Host<C> {
    /// Works on one session, then carries out what it said. `None`: there is no such session.
    pub(super) fn with_session<R>(
        &mut self,
        id: SessionId,
        work: impl FnOnce(&mut Connect, Instant) -> R,
    ) -> Option<R> {
        let now = self.now?;
        let result = work(self.sessions.get_mut(&id)?, now);
        while let Some(connect) = self.sessions.get_mut(&id) {
            match connect.session.poll() {
                Some(session::Output::Action(action)) => self.perform(id, action),
                Some(session::Output::Event(event)) => self.tell(id, event),
                None => break,
            }
        }
        self.flush_connect(id);
        self.drop_session_if_over(id);
        Some(result)
    }

    /// A session's action, in HTTP/3's terms.
    fn perform(&mut self, id: SessionId, action: session::Action) {
        let may_stop_reading = self.may_stop_reading;
        match action {
            session::Action::SendBody { data, fin } => {
                if let Some(Connect { pipe, .. }) = self.sessions.get_mut(&id) {
                    if !data.is_empty() {
                        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
                        let mut header = BytesMut::with_capacity(16);
                        frame::put_header(&mut header, frame::DATA, len);
                        pipe.queue(&header);
                        pipe.queue(&data);
                    }
                    if fin {
                        pipe.finish();
                    }
                }
            }
            session::Action::ResetConnect { code } => {
                if let Some(connect) = self.sessions.get_mut(&id) {
                    connect.pipe.reset(code);
                }
            }
            session::Action::StopConnect { code } => {
                // A FIN that lies behind what is stopped is nothing to stop.
                if let Some(connect) = self.sessions.get_mut(&id) {
                    connect.pipe.stop(code, may_stop_reading);
                }
            }
            session::Action::Finish { stream } => self.with_pipe(stream, Pipe::finish),
            // RESET_STREAM_AT is nothing that h3 knows.
            session::Action::Reset { stream, code, .. } => {
                self.with_pipe(stream, |pipe| pipe.reset_behind_header(code));
            }
            session::Action::StopSending { stream, code } => {
                self.with_pipe(stream, |pipe| pipe.stop(code, may_stop_reading));
            }
        }
    }

    /// A session's event, in the application's terms.
    fn tell(&mut self, session: SessionId, event: session::Event) {
        let event = match event {
            session::Event::Opened => {
                let connect = self.sessions.get_mut(&session);
                let response = connect.and_then(|connect| connect.response.take());
                Event::SessionOpened {
                    session,
                    response: response.unwrap_or_default(),
                }
            }
            session::Event::Draining => Event::SessionDraining { session },
            session::Event::Closed { reason } => {
                self.log.session_closed(session, &reason);
                Event::SessionClosed { session, reason }
            }
            session::Event::DatagramReceived { payload } => {
                Event::DatagramReceived { session, payload }
            }
            session::Event::StreamOpened { stream } => {
                self.told(stream);
                Event::StreamOpened { session, stream }
            }
            session::Event::StreamReset { stream, code } => Event::StreamReset {
                session,
                stream,
                code,
            },
            session::Event::StreamStopped { stream, code } => Event::StreamStopped {
                session,
                stream,
                code,
            },
            session::Event::StreamWritable { stream } => Event::StreamWritable { session, stream },
            session::Event::StreamsAvailable { dir } => Event::StreamsAvailable { dir },
        };
        self.event(event);
    }

    // ---- the peer's half

    /// The stream was woken.
    pub(super) fn serve_connect(&mut self, id: SessionId) {
        self.flush_connect(id);
        if self.read_connect(id) {
            self.wakes.again(id.connect_stream());
        }
    }

    /// Takes in one chunk. False: there is no more for now.
    fn read_connect(&mut self, id: SessionId) -> bool {
        let Some(connect) = self.sessions.get_mut(&id) else {
            return false;
        };
        match connect.pipe.read() {
            Read::Nothing => return false,
            Read::Data(data) => {
                self.connect_data(id, data);
                return true;
            }
            Read::Fin => self.connect_finished(id),
            Read::Reset(code) => {
                self.with_session(id, |connect, now| {
                    let input = session::Input::ConnectReset { code };
                    connect.session.handle(now, input);
                });
            }
            Read::Lost(error) => self.lose_quic(&error),
        }
        false
    }

    fn connect_data(&mut self, id: SessionId, mut data: Bytes) {
        let limit = self.config.limits.field_section;
        while !data.is_empty() {
            let Some(connect) = self.sessions.get_mut(&id) else {
                return;
            };
            if !connect.session.is_receiving() {
                return;
            }
            if connect.session.has_close_capsule() {
                self.with_session(id, |connect, now| connect.session.refuse_more(now));
                return;
            }
            match connect.frames.next(&mut data, Side::Server, limit) {
                None => return,
                Some(Ok(Item::Body(data))) => {
                    let body = session::Input::Body { data, fin: false };
                    self.with_session(id, |connect, now| connect.session.handle(now, body));
                }
                Some(Ok(Item::Idle | Item::Head(_) | Item::HeadTooLarge)) => {}
                Some(Err(error)) => return self.fail(error),
            }
        }
    }

    fn connect_finished(&mut self, id: SessionId) {
        let Some(connect) = self.sessions.get_mut(&id) else {
            return;
        };
        // RFC 9114 §7.1: "When a stream terminates cleanly, if the last frame on the stream was
        // truncated, this MUST be treated as a connection error of type H3_FRAME_ERROR."
        if connect.session.is_receiving() && !connect.frames.is_between() {
            return self.fail(Http3Error::Frame);
        }
        self.with_session(id, |connect, now| {
            let data = Bytes::new();
            let body = session::Input::Body { data, fin: true };
            connect.session.handle(now, body);
        });
    }

    // ---- our half

    fn flush_connect(&mut self, id: SessionId) {
        if let Some(connect) = self.sessions.get_mut(&id) {
            if let Err(fault) = connect.pipe.flush() {
                self.connect_fault(id, fault);
            }
        }
    }

    fn connect_fault(&mut self, id: SessionId, fault: Fault) {
        match fault {
            Fault::Gone => {}
            Fault::Lost(error) => self.lose_quic(&error),
            Fault::Stopped(code) => {
                // What came before the STOP_SENDING may say why.
                while self.read_connect(id) {}
                self.with_session(id, |connect, now| {
                    let input = session::Input::ConnectStopped { code };
                    connect.session.handle(now, input);
                    // After our FIN it says nothing new, and the session does not reset (E13).
                    if connect.session.is_closed() {
                        connect.pipe.reset(code);
                    }
                });
            }
        }
    }

    pub(super) fn probe_sessions(&mut self) {
        for id in self.session_ids() {
            if let Some(connect) = self.sessions.get_mut(&id) {
                if let Err(fault) = connect.pipe.probe() {
                    self.connect_fault(id, fault);
                }
            }
        }
    }

    // ---- the end

    pub(super) fn expire_session(&mut self, id: SessionId, now: Instant) {
        let Some(connect) = self.sessions.get_mut(&id) else {
            return;
        };
        if connect.session.due().is_none_or(|due| due > now) {
            return;
        }
        self.with_session(id, |connect, now| {
            let is_overdue = connect.session.has_lingered(now);
            connect.session.handle(now, session::Input::Timeout);
            // E52: a reset only if our last byte is still here.
            if is_overdue && !connect.pipe.is_sent() {
                connect.pipe.reset(WT_SESSION_GONE);
            }
        });
    }

    fn drop_session_if_over(&mut self, id: SessionId) {
        let Some(connect) = self.sessions.get(&id) else {
            return;
        };
        if connect.session.is_drained() && connect.pipe.is_sent() {
            self.stats = self.stats.plus(connect.session.stats());
            self.sessions.remove(&id);
        }
    }
}
