//! Server: requests until they are a session, or are answered without becoming one.

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::{
    Connection,
    handshake::{self, Asked, Unreadable, Wanted},
    outgoing::Outgoing,
    request_stream::{Frames, Item},
    slot::{ConnectStream, Held, RequestPhase, RequestStream, Slot},
};
use crate::{
    Action, Event, Http3Error, Priority, Rejection, SessionId, StreamId, dialect,
    session::{self, Session, Terms},
    wire::error_code::{
        H3_MESSAGE_ERROR, H3_NO_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_INCOMPLETE,
        H3_REQUEST_REJECTED, WT_SESSION_GONE,
    },
};

impl RequestStream {
    pub(super) fn outgoing(&mut self) -> Option<&mut Outgoing> {
        match &mut self.phase {
            RequestPhase::Answered(outgoing) => Some(outgoing),
            RequestPhase::Head | RequestPhase::Held(_) => None,
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        matches!(self.phase, RequestPhase::Answered(_))
    }

    fn held(&self) -> Option<&Held> {
        match &self.phase {
            RequestPhase::Held(held) => Some(held),
            RequestPhase::Head | RequestPhase::Answered(_) => None,
        }
    }

    /// Keeps what came behind the HEADERS; false if that is too much.
    fn hold(&mut self, data: &[u8], limit: usize) -> bool {
        match &mut self.phase {
            RequestPhase::Held(held) if held.body.len() >= limit => return false,
            RequestPhase::Held(held) => held.body.extend_from_slice(data),
            RequestPhase::Head | RequestPhase::Answered(_) => {}
        }
        true
    }

    /// The code that a FIN is answered with, before there is a session.
    fn finished(&self) -> Result<u64, Http3Error> {
        match self.held() {
            _ if !self.frames.is_between() => Err(Http3Error::Frame),
            Some(_) => Ok(H3_REQUEST_CANCELLED),
            None => Ok(H3_REQUEST_INCOMPLETE),
        }
    }
}

impl Connection {
    /// A client's stream has begun with a frame.
    pub(super) fn begin_request(&mut self, stream: StreamId, kind: u64) {
        let request = RequestStream {
            frames: Frames::after_kind(kind),
            phase: RequestPhase::Head,
            ended: false,
            armed: None,
        };
        self.slots.insert(stream, Slot::Request(Box::new(request)));
    }

    /// A request stream's bytes, while it is no session's.
    pub(super) fn request_data(&mut self, stream: StreamId, mut data: Bytes, fin: bool) {
        let section_limit = self.config.limits.field_section;
        let body_limit = self.config.limits.unanswered_body;
        if let (true, Some(Slot::Request(request))) = (fin, self.slots.get_mut(stream)) {
            request.ended = true;
        }
        loop {
            let request = match self.slots.get_mut(stream) {
                Some(Slot::Request(request)) if !request.is_answered() => request,
                Some(Slot::Connect(_)) => return self.connect_data(stream, data, fin),
                _ => return,
            };
            match request.frames.next(&mut data, self.side, section_limit) {
                None if !fin => return,
                None => match request.finished() {
                    Ok(code) => return self.refuse_request(stream, code),
                    Err(error) => return self.fail(error),
                },
                Some(Ok(Item::Idle)) => self.count_cheap(),
                Some(Ok(Item::Head(section))) => self.request_head(stream, &section),
                Some(Ok(Item::HeadTooLarge)) => {
                    self.answer(stream, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
                }
                Some(Ok(Item::Body(data))) if request.hold(&data, body_limit) => {}
                Some(Ok(Item::Body(_))) => {
                    return self.refuse_request(stream, H3_REQUEST_REJECTED);
                }
                Some(Err(error)) => return self.fail(error),
            }
        }
    }

    fn request_head(&mut self, stream: StreamId, section: &[u8]) {
        match handshake::read_request(section, self.config.limits.field_section) {
            Ok(Asked::Session(wanted)) => self.session_wanted(stream, wanted),
            Ok(Asked::Other(status)) => self.answer(stream, status),
            Err(Unreadable::TooLarge) => {
                self.answer(stream, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            }
            Err(Unreadable::Malformed) => self.refuse_request(stream, H3_MESSAGE_ERROR),
            Err(Unreadable::Connection(error)) => self.fail(error),
        }
    }

    fn session_wanted(&mut self, stream: StreamId, wanted: Wanted) {
        let Some(since) = self.now else {
            return;
        };
        let is_full = self.unanswered >= self.config.limits.unanswered_requests;
        if is_full || self.goaway.sent {
            return self.refuse_request(stream, H3_REQUEST_REJECTED);
        }
        let Some(Slot::Request(request)) = self.slots.get_mut(stream) else {
            return;
        };
        self.unanswered += 1;
        request.phase = RequestPhase::Held(Held {
            wanted,
            body: BytesMut::new(),
            since,
        });
        self.announce(stream);
        let due = self
            .config
            .deadlines
            .request
            .and_then(|wait| since.checked_add(wait));
        match self.slots.get_mut(stream) {
            Some(Slot::Request(request)) if request.held().is_some() => {
                self.deadlines.arm(stream, &mut request.armed, due);
            }
            _ => {}
        }
    }

    /// Announces a request that was held, once both sides' SETTINGS are known.
    ///
    /// §3.1: "the server MUST NOT process any incoming WebTransport requests until the client's
    /// SETTINGS have been received"
    pub(super) fn announce(&mut self, stream: StreamId) {
        let (Some(agreement), Some(theirs), Some(transport)) =
            (self.agreement, self.theirs, self.transport.clone())
        else {
            return;
        };
        let Some(held) = self
            .slots
            .get(stream)
            .and_then(Slot::as_request)
            .and_then(RequestStream::held)
        else {
            return;
        };
        if agreement.is_err() {
            return self.refuse_request(stream, H3_MESSAGE_ERROR);
        }
        let Some(dialect) = dialect::of_request(held.wanted.token, &self.ours, &theirs) else {
            return self.answer(stream, StatusCode::NOT_IMPLEMENTED);
        };
        // §3.1: "the server MUST treat all established and newly incoming WebTransport sessions as
        // malformed". Of a client that announces nothing only the request says what it needs.
        if dialect::missing(self.side, Some(dialect), &theirs, &transport).is_some() {
            return self.refuse_request(stream, H3_MESSAGE_ERROR);
        }
        let peer_flow_control = dialect.peer_flow_control(&self.ours, &theirs);
        let limit = dialect.session_limit(&self.ours, peer_flow_control.is_some());
        if u64::from(self.live) >= limit.min(self.config.limits.sessions.into()) {
            return self.refuse_request(stream, H3_REQUEST_REJECTED);
        }
        let Ok(session) = SessionId::try_from(stream) else {
            return;
        };
        let Some(Slot::Request(mut request)) = self.slots.remove(stream) else {
            return;
        };
        let RequestPhase::Held(held) = request.phase else {
            return;
        };
        self.deadlines.arm(stream, &mut request.armed, None);
        let mut terms = Terms::new(dialect, transport);
        terms.peer_flow_control = peer_flow_control;
        let machine = Session::new(held.since, self.side, session, terms, self.config.clone());
        let asked = held.wanted.into_request(dialect);
        let mut connect = ConnectStream::new(machine, request.frames);
        connect.offer(&asked.protocols, false);
        // RFC 9218 §7: the frame "overrides any other signal", also where it came first.
        let update = self.priorities.remove(&stream);
        connect.priority = update.unwrap_or_else(|| Priority::of_request(&asked.headers));
        self.begin(connect);
        self.out.event(Event::SessionRequested {
            session,
            request: asked,
        });
        let body = session::Input::Body {
            data: held.body.freeze(),
            fin: false,
        };
        let went_away = self.goaway.received;
        self.with_session(session, |connect, now| {
            connect.session.handle(now, body);
            // §4.7: "a signal to applications to initiate shutdown for all WebTransport sessions"
            if let Some(id) = went_away {
                connect.session.handle(now, session::Input::GoAway { id });
            }
        });
        self.adopt_orphans(session);
    }

    /// Announces all that were held, in the order of ids.
    pub(super) fn announce_held(&mut self) {
        for stream in self.held_requests() {
            self.announce(stream);
        }
    }

    /// Refuses all that were held: the connection ends.
    pub(super) fn refuse_held_requests(&mut self) {
        for stream in self.held_requests() {
            self.refuse_request(stream, H3_REQUEST_REJECTED);
        }
    }

    fn held_requests(&self) -> Vec<StreamId> {
        if self.unanswered == 0 {
            return Vec::new();
        }
        let is_held = |slot: &Slot| {
            slot.as_request()
                .is_some_and(|request| request.held().is_some())
        };
        self.slots.ids_of(is_held)
    }

    /// Answers a request that is not a session's, and forgets it when QUIC has the answer.
    fn answer(&mut self, stream: StreamId, status: StatusCode) {
        if self.answered >= self.config.limits.answered_requests {
            return self.refuse_request(stream, H3_REQUEST_REJECTED);
        }
        self.stats.requests_refused += 1;
        self.release_request(stream);
        let Some(Slot::Request(request)) = self.slots.get_mut(stream) else {
            return;
        };
        let ended = request.ended;
        request.phase = RequestPhase::Answered(Outgoing::default());
        self.answered += 1;
        let head = handshake::reject(&Rejection::from(status));
        self.send(stream, head.frame, true);
        if !ended {
            // RFC 9114 §4.1: "the server […] MAY abort reading the request stream"
            self.out.action(Action::StopSending {
                stream,
                code: H3_NO_ERROR,
            });
        }
        self.forsake(stream);
        self.count_cheap();
    }

    /// Aborts a request that was never announced.
    pub(super) fn refuse_request(&mut self, stream: StreamId, code: u64) {
        let ended = self
            .slots
            .get(stream)
            .and_then(Slot::as_request)
            .is_some_and(|request| request.ended);
        self.release_request(stream);
        self.remove_request(stream);
        self.stats.requests_refused += 1;
        self.out.action(Action::Reset {
            stream,
            code,
            reliable_size: 0,
        });
        if !ended {
            self.out.action(Action::StopSending { stream, code });
        }
        self.forsake(stream);
        self.count_cheap();
    }

    /// It no longer waits for the SETTINGS.
    fn release_request(&mut self, stream: StreamId) {
        if let Some(Slot::Request(request)) = self.slots.get_mut(stream) {
            self.deadlines.arm(stream, &mut request.armed, None);
            if request.held().is_some() {
                self.unanswered = self.unanswered.saturating_sub(1);
            }
        }
    }

    fn remove_request(&mut self, stream: StreamId) {
        let Some(Slot::Request(request)) = self.slots.get_mut(stream) else {
            return;
        };
        if let RequestPhase::Answered(outgoing) = &request.phase {
            self.unwritten -= outgoing.len();
            self.answered = self.answered.saturating_sub(1);
        }
        self.slots.remove(stream);
    }

    /// Streams that waited for this request have no session.
    fn forsake(&mut self, stream: StreamId) {
        if let Ok(session) = SessionId::try_from(stream) {
            self.forsake_orphans(session, WT_SESSION_GONE);
        }
    }

    // ---- other facts

    pub(super) fn request_reset(&mut self, stream: StreamId) {
        let Some(Slot::Request(request)) = self.slots.get_mut(stream) else {
            return;
        };
        request.ended = true;
        // An answer still goes out: its reader may be somebody else's.
        if !request.is_answered() {
            self.refuse_request(stream, H3_REQUEST_CANCELLED);
        }
    }

    pub(super) fn request_stopped(&mut self, stream: StreamId, code: u64) {
        match self.slots.get(stream) {
            Some(Slot::Request(request)) if request.is_answered() => {
                self.remove_request(stream);
                self.out.action(Action::Reset {
                    stream,
                    code,
                    reliable_size: 0,
                });
            }
            _ => self.refuse_request(stream, code),
        }
    }

    /// QUIC took some of an answer.
    pub(super) fn request_written(&mut self, stream: StreamId) {
        let is_done = self.outgoing(stream).is_some_and(|out| out.is_finished());
        if is_done {
            self.remove_request(stream);
        }
    }

    pub(super) fn request_expired(&mut self, stream: StreamId) {
        if let Some(Slot::Request(request)) = self.slots.get_mut(stream) {
            request.armed = None;
            self.refuse_request(stream, H3_REQUEST_CANCELLED);
        }
    }
}
