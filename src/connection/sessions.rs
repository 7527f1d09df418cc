//! Sessions on this connection: their CONNECT streams, their answers, and what a
//! [`Session`](crate::session::Session) says, put into HTTP/3 and into events.

use std::time::Instant;

use bytes::Bytes;

use super::{
    Connection, Phase,
    deadlines::Deadlines,
    handshake::{self, Answered, Head, Unreadable},
    outgoing::Outgoing,
    request_stream::{Frames, Item},
    slot::{ConnectStream, Slot},
};
use crate::{
    Action, AnswerError, CloseReason, ConnectError, Dialect, Dir, Endpoint, Event, Http3Error,
    Priority, Rejection, Request, Response, SessionId, Side, StreamId, Violation,
    session::{self, Session, Terms},
    wire::{error_code::WT_SESSION_GONE, frame},
};
use http::StatusCode;

impl Connection {
    /// Works on one session, then carries out what it said. `None`: there is no such session.
    pub(super) fn with_session<R>(
        &mut self,
        session: SessionId,
        work: impl FnOnce(&mut ConnectStream, Instant) -> R,
    ) -> Option<R> {
        let now = self.now?;
        let stream = session.connect_stream();
        let Some(Slot::Connect(connect)) = self.slots.get_mut(stream) else {
            return None;
        };
        let was_requested = connect.session.is_requested();
        let early = connect.session.early_datagrams();
        connect.session.lend(&mut self.room);
        let result = work(connect, now);
        self.buffered
            .recount(early, connect.session.early_datagrams());
        if was_requested && !connect.session.is_requested() && self.side == Side::Server {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        if connect.session.is_quiet() {
            connect.session.give_back(&mut self.room);
            arm(&mut self.deadlines, stream, connect);
            if connect.is_over() {
                self.drop_connect_if_over(stream);
            }
            return Some(result);
        }
        while let Some(Slot::Connect(connect)) = self.slots.get_mut(stream) {
            match connect.session.poll() {
                Some(session::Output::Action(action)) => self.perform(session, action),
                Some(session::Output::Event(event)) => self.tell(session, event),
                None => {
                    connect.session.give_back(&mut self.room);
                    break;
                }
            }
        }
        self.arm_session(stream);
        self.drop_connect_if_over(stream);
        Some(result)
    }

    /// The same of what is done most: where the session is open and stays so, nothing can follow but
    /// what it says, because its deadline only moves away.
    pub(super) fn with_open_session<R>(
        &mut self,
        session: SessionId,
        work: impl FnOnce(&mut ConnectStream, Instant) -> R,
    ) -> Option<R> {
        let now = self.now?;
        let connect = match self.slots.get_mut(session.connect_stream()) {
            Some(Slot::Connect(connect)) if connect.session.is_open() => connect,
            _ => return self.with_session(session, work),
        };
        let result = work(connect, now);
        if !connect.session.is_quiet() {
            self.with_session(session, |_, _| ());
        }
        Some(result)
    }

    /// A session's action, in HTTP/3's terms.
    fn perform(&mut self, session: SessionId, action: session::Action) {
        let connect = session.connect_stream();
        match action {
            session::Action::SendBody { data, fin } => {
                let framed = match data.is_empty() {
                    true => data,
                    false => frame::encode(frame::DATA, &data),
                };
                self.send(connect, framed, fin);
            }
            session::Action::ResetConnect { code } => self.reset_half(connect, code, 0),
            session::Action::StopConnect { code } => self.out.action(Action::StopSending {
                stream: connect,
                code,
            }),
            // The FIN went before it: a stream's half is over when QUIC has taken that.
            session::Action::Finish { stream } => self.end_if_over(stream),
            session::Action::Reset {
                stream,
                code,
                reliable_size,
            } => {
                let header_is_written = self.outgoing(stream).is_none_or(|out| out.len() == 0);
                let reliable_size = if header_is_written { reliable_size } else { 0 };
                self.reset_half(stream, code, reliable_size);
                self.end_if_over(stream);
            }
            session::Action::StopSending { stream, code } => {
                self.out.action(Action::StopSending { stream, code });
                self.end_if_over(stream);
            }
        }
    }

    /// A session's event, in the application's terms.
    fn tell(&mut self, session: SessionId, event: session::Event) {
        let event = match event {
            session::Event::Opened => Event::SessionOpened {
                session,
                response: self.take_response(session),
            },
            session::Event::Draining => Event::SessionDraining { session },
            session::Event::Closed { reason } => {
                self.session_ended();
                self.log.session_closed(session, &reason);
                let is_withdrawn = matches!(reason, CloseReason::Withdrawn { .. });
                self.out.event(Event::SessionClosed { session, reason });
                if is_withdrawn {
                    self.count_cheap();
                }
                return;
            }
            session::Event::DatagramReceived { payload } => {
                return self.tell_datagram(session, payload);
            }
            session::Event::StreamOpened { stream } => {
                self.out.event(Event::StreamOpened { session, stream });
                return self.release_parked(stream);
            }
            session::Event::StreamReset { stream, code } => {
                self.out.event(Event::StreamReset {
                    session,
                    stream,
                    code,
                });
                return self.end_if_over(stream);
            }
            session::Event::StreamStopped { stream, code } => Event::StreamStopped {
                session,
                stream,
                code,
            },
            session::Event::StreamWritable { stream } => Event::StreamWritable { session, stream },
            session::Event::StreamsAvailable { dir } => Event::StreamsAvailable { dir },
        };
        self.out.event(event);
    }

    #[inline]
    pub(super) fn tell_datagram(&mut self, session: SessionId, payload: Bytes) {
        let event = Event::DatagramReceived { session, payload };
        if !self.out.datagram(event, &self.config.limits) {
            self.stats.datagrams_absorbed += 1;
        }
    }

    fn take_response(&mut self, session: SessionId) -> Box<Response> {
        match self.slots.get_mut(session.connect_stream()) {
            Some(Slot::Connect(connect)) => {
                let response = connect.response.take().unwrap_or_default();
                connect.priority = connect.priority.answered(&response.headers);
                response
            }
            _ => Box::default(),
        }
    }

    fn session_ended(&mut self) {
        self.live = self.live.saturating_sub(1);
        if self.live == 0 {
            self.idle_since = self.now;
        }
        if self.side == Side::Client && std::mem::take(&mut self.refused.session) {
            self.out.event(Event::StreamsAvailable { dir: Dir::Bi });
        }
    }

    // ---- deadlines

    fn arm_session(&mut self, stream: StreamId) {
        if let Some(Slot::Connect(connect)) = self.slots.get_mut(stream) {
            arm(&mut self.deadlines, stream, connect);
        }
    }

    pub(super) fn connect_expired(&mut self, stream: StreamId) {
        let held_back = self.held_back;
        let Some(session) = self.session_of(stream) else {
            return;
        };
        let overdue = self.with_session(session, |connect, now| {
            connect.armed = None;
            let overdue = connect.session.has_lingered(now);
            if held_back && connect.session.is_open() {
                // Nobody reads: that the peer is silent says nothing.
                connect.session.pause();
                connect.session.resume(now);
            }
            connect.session.handle(now, session::Input::Timeout);
            overdue
        });
        if overdue == Some(true) {
            // E52: a reset only if our last byte is still here.
            if self.outgoing(stream).is_some_and(|out| !out.is_written()) {
                self.reset_half(stream, WT_SESSION_GONE, 0);
            }
            self.drop_connect_if_over(stream);
        }
    }

    pub(super) fn session_of(&self, stream: StreamId) -> Option<SessionId> {
        let connect = self.slots.get(stream)?.as_connect()?;
        Some(connect.session.id())
    }

    pub(super) fn drop_connect_if_over(&mut self, stream: StreamId) {
        let Some(Slot::Connect(connect)) = self.slots.get_mut(stream) else {
            return;
        };
        if connect.is_over() {
            self.deadlines.arm(stream, &mut connect.armed, None);
            self.stats = self.stats.plus(connect.session.stats());
            self.connects.remove(connect.session.id());
            self.slots.remove(stream);
        }
    }

    /// A session begins, and with it the slot of its CONNECT stream.
    pub(super) fn begin(&mut self, connect: ConnectStream) {
        let session = connect.session.id();
        let slot = Slot::Connect(Box::new(connect));
        self.slots.insert(session.connect_stream(), slot);
        self.connects.insert(session);
        self.live += 1;
    }

    // ---- the client's request

    /// Whether this may be sent, in which dialect, and as which HEADERS.
    pub(super) fn may_request(
        &mut self,
        request: &Request,
    ) -> Result<(Dialect, Bytes), ConnectError> {
        let dialect = self.may_connect()?;
        request.validate()?;
        let head = handshake::connect(request, dialect);
        if !self.may_send(&head) {
            return Err(ConnectError::HeadersTooLarge);
        }
        Ok((dialect, head.frame))
    }

    fn may_connect(&mut self) -> Result<Dialect, ConnectError> {
        if self.side == Side::Server {
            return Err(ConnectError::NotClient);
        }
        if self.is_closed() {
            return Err(ConnectError::Closed);
        }
        let dialect = match self.agreement {
            None | Some(Ok(None)) => return Err(ConnectError::NotReady),
            Some(Ok(Some(dialect))) => dialect,
            Some(Err(missing)) => return Err(ConnectError::Unsupported(missing)),
        };
        // §4.7: "A client receiving GOAWAY cannot initiate CONNECT requests for new WebTransport
        // sessions on that HTTP/3 connection"
        if self.goaway.received.is_some() || self.goaway.sent {
            return Err(ConnectError::GoingAway);
        }
        let limit = self.theirs.map_or(0, |server| {
            let flow_control = dialect.peer_flow_control(&self.ours, &server);
            dialect.session_limit(&server, flow_control.is_some())
        });
        if u64::from(self.live) >= limit.min(self.config.limits.sessions.into()) {
            self.refused.session = true;
            return Err(ConnectError::Blocked);
        }
        Ok(dialect)
    }

    pub(super) fn bind_session(
        &mut self,
        stream: StreamId,
        request: &Request,
        head: Bytes,
        dialect: Dialect,
    ) -> SessionId {
        let session = SessionId::from_connect_stream(stream);
        let (Some(now), Some(transport)) = (self.now, self.transport.clone()) else {
            return session;
        };
        let ours = SessionId::try_from(stream).is_ok();
        if !ours || !self.seen.mark(stream) {
            return session;
        }
        let mut terms = Terms::new(dialect, transport);
        terms.peer_flow_control = self
            .theirs
            .and_then(|server| dialect.peer_flow_control(&self.ours, &server));
        let machine = Session::new(now, self.side, session, terms, self.config.clone());
        let mut connect = ConnectStream::new(machine, Frames::new());
        connect.offer(&request.protocols, request.protocol_required);
        connect.priority = Priority::of_request(&request.headers);
        self.begin(connect);
        self.send(stream, head, false);
        self.send_grease(stream);
        self.arm_session(stream);
        session
    }

    /// The CONNECT stream's bytes.
    pub(super) fn connect_data(&mut self, stream: StreamId, mut data: Bytes, fin: bool) {
        let Some(Slot::Connect(connect)) = self.slots.get_mut(stream) else {
            return;
        };
        let session = connect.session.id();
        if fin {
            connect.session.note_fin();
        }
        while !data.is_empty() {
            let Some(Slot::Connect(connect)) = self.slots.get_mut(stream) else {
                return;
            };
            if !connect.session.is_receiving() {
                return;
            }
            if connect.session.has_close_capsule() {
                self.with_session(session, |connect, now| connect.session.refuse_more(now));
                return;
            }
            let limit = self.config.limits.field_section;
            match connect.frames.next(&mut data, self.side, limit) {
                None => break,
                Some(Ok(Item::Body(payload))) => {
                    let is_last = fin && data.is_empty() && connect.frames.is_between();
                    self.body(session, payload, is_last);
                    if is_last {
                        return;
                    }
                }
                Some(Ok(Item::Head(section))) => self.response(session, &section),
                Some(Ok(Item::HeadTooLarge)) => {
                    self.violate(session, Violation::FieldSectionTooLarge);
                }
                Some(Ok(Item::Idle)) => self.count_cheap(),
                Some(Err(error)) => return self.fail(error),
            }
        }
        if fin {
            self.connect_finished(session);
        }
    }

    fn connect_finished(&mut self, session: SessionId) {
        let Some(connect) = self.connect_stream(session) else {
            return;
        };
        if !connect.session.is_receiving() {
            return;
        }
        // RFC 9114 §7.1: "When a stream terminates cleanly, if the last frame on the stream was
        // truncated, this MUST be treated as a connection error of type H3_FRAME_ERROR."
        if !connect.frames.is_between() {
            return self.fail(Http3Error::Frame);
        }
        self.body(session, Bytes::new(), true);
    }

    fn body(&mut self, session: SessionId, data: Bytes, fin: bool) {
        let body = session::Input::Body { data, fin };
        self.with_session(session, |connect, now| connect.session.handle(now, body));
    }

    fn violate(&mut self, session: SessionId, violation: Violation) {
        self.with_session(session, |connect, now| connect.session.fail(now, violation));
    }

    fn response(&mut self, session: SessionId, section: &[u8]) {
        match handshake::read_response(section, self.config.limits.field_section) {
            Ok(Answered::Interim) => {
                self.with_session(session, |connect, _| connect.frames.expect_head());
                self.count_cheap();
            }
            Ok(Answered::Rejected(rejection)) => {
                self.with_session(session, |connect, now| {
                    connect.session.reject(now, Endpoint::Peer, rejection);
                });
            }
            Ok(Answered::Accepted(headers)) => {
                self.with_session(session, |connect, now| {
                    let dialect = connect.session.dialect();
                    let (protocols, required) = connect.offered();
                    let response = handshake::response_of(headers, dialect, protocols, required);
                    connect.offered = None;
                    match response {
                        Ok(response) => {
                            connect.response = Some(Box::new(response));
                            connect.session.open(now);
                        }
                        Err(violation) => connect.session.fail(now, violation),
                    }
                });
            }
            Err(Unreadable::Malformed) => self.violate(session, Violation::MalformedResponse),
            Err(Unreadable::TooLarge) => self.violate(session, Violation::FieldSectionTooLarge),
            Err(Unreadable::Connection(error)) => self.fail(error),
        }
    }

    // ---- the server's answer

    pub(super) fn answer_with_accept(
        &mut self,
        session: SessionId,
        response: Response,
    ) -> Result<(), AnswerError> {
        let connect = self.unanswered_request(session)?;
        let is_offered = |chosen| connect.offered().0.contains(chosen);
        if !response.protocol.as_ref().is_none_or(is_offered) {
            return Err(AnswerError::ProtocolNotOffered);
        }
        let head = handshake::accept(&response, connect.session.dialect());
        if !self.may_send(&head) {
            return Err(AnswerError::HeadersTooLarge);
        }
        self.send(session.connect_stream(), head.frame, false);
        self.send_grease(session.connect_stream());
        self.with_session(session, |connect, now| {
            connect.offered = None;
            connect.response = Some(Box::new(response));
            connect.session.open_unread(now);
        });
        // What was parked is with the application now, and no end in here can take it away.
        self.with_session(session, |connect, _| connect.session.read_held());
        // What was not wanted before the answer is now.
        if self.wants(session.connect_stream()) {
            self.out.action(Action::Read {
                stream: session.connect_stream(),
            });
        }
        Ok(())
    }

    pub(super) fn answer_with_reject(
        &mut self,
        session: SessionId,
        mut rejection: Rejection,
    ) -> Result<(), AnswerError> {
        self.unanswered_request(session)?;
        if rejection.status.is_informational() || rejection.status.is_success() {
            rejection.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        let head = handshake::reject(&rejection);
        if !self.may_send(&head) {
            return Err(AnswerError::HeadersTooLarge);
        }
        self.send(session.connect_stream(), head.frame, false);
        self.with_session(session, |connect, now| {
            connect.session.reject(now, Endpoint::Local, rejection);
        });
        self.refusal = self.now.map(|now| (session.connect_stream(), now));
        Ok(())
    }

    /// Everything of a stream is with the peer: the last refusal may be one of them.
    pub(super) fn acknowledged(&mut self, stream: StreamId) {
        if self.refusal.is_some_and(|(refused, _)| refused == stream) {
            self.refusal = None;
        }
    }

    /// RFC 9114 §4.2.2: "An implementation that has received this parameter SHOULD NOT send an HTTP
    /// message header that exceeds the indicated size". Nor may one of our own making use up what
    /// may be unwritten, or the peer is blamed for it.
    pub(super) fn may_send(&self, head: &Head) -> bool {
        let theirs = self.theirs.and_then(|peer| peer.max_field_section_size);
        head.size <= theirs.unwrap_or(u64::MAX)
            && head.frame.len() <= self.config.limits.unwritten_bytes
    }

    fn unanswered_request(&self, session: SessionId) -> Result<&ConnectStream, AnswerError> {
        self.connect_stream(session)
            .filter(|connect| self.side == Side::Server && connect.session.is_requested())
            .ok_or(AnswerError::Gone)
    }

    // ---- bytes to QUIC

    /// The bytes of this stream that are on their way.
    pub(super) fn outgoing(&mut self, stream: StreamId) -> Option<&mut Outgoing> {
        match self.slots.get_mut(stream)? {
            Slot::Control(outgoing) | Slot::Grease(outgoing) => Some(outgoing),
            Slot::Request(request) => request.outgoing(),
            Slot::Connect(connect) => Some(&mut connect.outgoing),
            Slot::Data(data) => data.sending.as_mut().map(|sending| &mut sending.outgoing),
            Slot::Preamble(_) | Slot::PeerControl(_) | Slot::PeerEncoder | Slot::PeerDecoder(_) => {
                None
            }
        }
    }

    /// Queues protocol bytes of a stream.
    pub(super) fn send(&mut self, stream: StreamId, data: Bytes, fin: bool) {
        let Some(outgoing) = self.outgoing(stream) else {
            return;
        };
        let before = outgoing.len();
        let queue = outgoing.push(data, fin);
        let (added, blocked) = (outgoing.len() - before, outgoing.is_blocked());
        self.unwritten += added;
        if queue {
            self.out.write(stream);
        }
        self.check_unwritten(blocked);
    }

    pub(super) fn check_unwritten(&mut self, blocked: bool) {
        if blocked && self.unwritten > self.config.limits.unwritten_bytes {
            self.fail(Http3Error::ExcessiveLoad);
        }
    }

    /// Resets our half of a stream, and drops what QUIC has not taken of it.
    pub(super) fn reset_half(&mut self, stream: StreamId, code: u64, reliable_size: u64) {
        if let Some(outgoing) = self.outgoing(stream) {
            let dropped = std::mem::take(outgoing).len();
            self.unwritten -= dropped;
        }
        if let Some(Slot::Data(data)) = self.slots.get_mut(stream) {
            data.sending = None;
        }
        self.out.action(Action::Reset {
            stream,
            code,
            reliable_size,
        });
    }

    /// Counts something that costs the peer next to nothing.
    pub(super) fn count_cheap(&mut self) {
        if self.now.is_some_and(|now| self.flood.is_excessive(now)) {
            self.fail(Http3Error::ExcessiveLoad);
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }
}

/// When the session next needs the clock.
fn arm(deadlines: &mut Deadlines, stream: StreamId, connect: &mut ConnectStream) {
    let due = connect.session.due();
    // While a session is open its deadline only ever moves away: it is looked at when it comes.
    let lazy = connect.session.is_open() && connect.armed <= due && connect.armed.is_some();
    if !lazy {
        deadlines.arm(stream, &mut connect.armed, due);
    }
}
