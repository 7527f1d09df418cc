//! The peer's bidirectional streams until it is known what they are: a session's stream, the CONNECT
//! of a session, or a request that is h3's.
//!
//! What a CONNECT says is read by `connection::handshake`, as in layer 2.

use std::{
    fmt,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use ::h3::{
    error::StreamError,
    frame::{FrameStream, FrameStreamError},
    proto::{
        coding::Encode,
        frame::{Frame, PayloadLen},
    },
    quic::OpenStreams,
    server::{RequestResolver, RequestStream},
    stream::BufRecvStream,
};
use bytes::Bytes;
use http::StatusCode;

use super::{Host, Stack, connects::Connect, demux::Demux, pipe::Pipe, transport};
use crate::{
    Event, Rejection, SessionId, Side, StreamId,
    connection::handshake::{self, Asked, Wanted},
    dialect,
    session::{Session, Terms},
    wire::{
        error_code::{
            H3_MESSAGE_ERROR, H3_NO_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED,
            WT_SESSION_GONE,
        },
        varint,
    },
};

/// A stream whose first frame has not come.
pub(super) struct Head<C: Stack> {
    resolver: RequestResolver<Demux<C>, Bytes>,
    waker: Waker,
}

/// A CONNECT before the SETTINGS.
pub(super) struct Held {
    wanted: Wanted,
    pipe: Pipe,
    since: Instant,
}

impl Held {
    pub(super) fn due(&self, wait: Option<Duration>) -> Option<Instant> {
        self.since.checked_add(wait?)
    }
}

/// A request that is no session's, for the server to answer as with h3 alone.
pub struct OrdinaryRequest<C: Stack> {
    resolver: RequestResolver<Demux<C>, Bytes>,
    section: Bytes,
}

impl<C: Stack> OrdinaryRequest<C> {
    /// What [`RequestResolver::resolve_request`] gives: the request, and the stream to answer on.
    /// It waits for QUIC only where it has to answer 431 by itself.
    ///
    /// # Errors
    /// The request was malformed or too large and is answered already, or the connection is gone.
    pub async fn resolve(
        self,
    ) -> Result<
        (
            http::Request<()>,
            RequestStream<<C as OpenStreams<Bytes>>::BidiStream, Bytes>,
        ),
        StreamError,
    > {
        let head = Frame::Headers(self.section);
        let resolved = self.resolver.accept_with_frame(Ok(Some(head)))?;
        resolved.resolve().await
    }
}

impl<C: Stack> fmt::Debug for OrdinaryRequest<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrdinaryRequest").finish_non_exhaustive()
    }
}

impl<C: Stack> Host<C> {
    /// The peer has opened a bidirectional stream.
    pub(super) fn begin(&mut self, stream: StreamId, quic: C::BidiStream) {
        let frames = FrameStream::new(BufRecvStream::new(quic));
        let resolver = self.h3.create_resolver(frames);
        let waker = self.wakes.waker(stream);
        self.heads.insert(stream, Head { resolver, waker });
        self.wakes.again(stream);
    }

    pub(super) fn serve_head(&mut self, stream: StreamId) {
        let Some(head) = self.heads.get_mut(&stream) else {
            return;
        };
        let mut cx = Context::from_waker(&head.waker);
        if let Poll::Ready(frame) = head.resolver.frame_stream.poll_next(&mut cx) {
            if let Some(head) = self.heads.remove(&stream) {
                self.begun(stream, head.resolver, frame);
            }
        }
    }

    fn begun(
        &mut self,
        stream: StreamId,
        resolver: RequestResolver<Demux<C>, Bytes>,
        frame: Result<Option<Frame<PayloadLen>>, FrameStreamError>,
    ) {
        match frame {
            Ok(Some(Frame::WebTransportStream(session))) => {
                // h3 gives the number to those who write it down.
                let mut encoded = Vec::with_capacity(8);
                session.encode(&mut encoded);
                let session = varint::get(&encoded).map_or(u64::MAX, |(id, _)| id);
                let pipe = self.bidirectional(stream, resolver.frame_stream);
                self.attach(session, stream, pipe);
            }
            Ok(Some(Frame::Headers(section))) => {
                match handshake::read_request(&section, self.config.limits.field_section) {
                    Ok(Asked::Session(wanted)) => {
                        let pipe = self.bidirectional(stream, resolver.frame_stream);
                        self.session_wanted(stream, wanted, pipe);
                    }
                    // What is wrong with it h3 finds too.
                    Ok(Asked::Other(_)) | Err(_) => {
                        self.forsake(stream);
                        self.tidy = true;
                        let request = OrdinaryRequest { resolver, section };
                        self.out.push_back(super::Output::Request(request));
                    }
                }
            }
            frame => {
                self.forsake(stream);
                // No request: h3 resets it, or ends the connection.
                let _never_one = resolver.accept_with_frame(frame);
            }
        }
    }

    fn bidirectional(&self, stream: StreamId, frames: FrameStream<C::BidiStream, Bytes>) -> Pipe {
        Pipe::bidirectional(frames.into_inner(), self.wakes.waker(stream))
    }

    // ---- CONNECT

    fn session_wanted(&mut self, stream: StreamId, wanted: Wanted, pipe: Pipe) {
        let Some(since) = self.now else {
            return;
        };
        let requested = |connect: &&Connect| connect.session.is_requested();
        let unanswered = self.held.len() + self.sessions.values().filter(requested).count();
        let limit = usize::try_from(self.config.limits.unanswered_requests).unwrap_or(usize::MAX);
        if unanswered >= limit || !self.is_running() {
            return self.refuse_request(stream, pipe, H3_REQUEST_REJECTED);
        }
        let held = Held {
            wanted,
            pipe,
            since,
        };
        self.held.insert(stream, held);
        self.announce(stream);
    }

    /// §3.1: "the server MUST NOT process any incoming WebTransport requests until the client's
    /// SETTINGS have been received"
    fn announce(&mut self, stream: StreamId) {
        let (Some(agreement), Some(theirs)) = (self.agreement, self.theirs) else {
            return;
        };
        let Some(held) = self.held.remove(&stream) else {
            return;
        };
        let (mut pipe, wanted) = (held.pipe, held.wanted);
        // §3.1: "the server MUST treat all established and newly incoming WebTransport sessions as
        // malformed".
        if agreement.is_err() {
            return self.refuse_request(stream, pipe, H3_MESSAGE_ERROR);
        }
        let Some(dialect) = dialect::of_request(wanted.token, &self.ours, &theirs) else {
            let head = handshake::reject(&Rejection::from(StatusCode::NOT_IMPLEMENTED));
            pipe.queue(&head.frame);
            pipe.finish();
            if pipe.flush().is_err() || !pipe.is_sent() {
                pipe.reset(H3_REQUEST_REJECTED);
            }
            pipe.stop(H3_NO_ERROR, self.may_stop_reading);
            self.stats.requests_refused += 1;
            return self.forsake(stream);
        };
        let limit = dialect.session_limit(&self.ours, false);
        let live = self.sessions().count();
        if u64::try_from(live).unwrap_or(u64::MAX) >= limit {
            return self.refuse_request(stream, pipe, H3_REQUEST_REJECTED);
        }
        let Ok(session) = SessionId::try_from(stream) else {
            return;
        };
        let terms = Terms::new(dialect, transport());
        let config = self.config.clone();
        let machine = Session::new(held.since, Side::Server, session, terms, config);
        let request = wanted.into_request(dialect);
        let connect = Connect::new(machine, pipe, request.protocols.clone());
        self.sessions.insert(session, connect);
        self.event(Event::SessionRequested { session, request });
        self.adopt(session);
        self.wakes.again(stream);
    }

    /// Announces all that were held, in the order of ids.
    pub(super) fn announce_held(&mut self) {
        for stream in self.held.keys().copied().collect::<Vec<_>>() {
            self.announce(stream);
        }
    }

    pub(super) fn refuse_held(&mut self) {
        for (stream, held) in std::mem::take(&mut self.held) {
            self.refuse_request(stream, held.pipe, H3_REQUEST_REJECTED);
        }
    }

    /// Requests that the SETTINGS did not come for.
    pub(super) fn expire_held(&mut self, now: Instant) {
        let wait = self.config.deadlines.request;
        let is_due = |held: &Held| held.due(wait).is_some_and(|due| due <= now);
        let due = self.held.iter().filter(|(_, held)| is_due(held));
        for stream in due.map(|(&stream, _)| stream).collect::<Vec<_>>() {
            if let Some(held) = self.held.remove(&stream) {
                self.refuse_request(stream, held.pipe, H3_REQUEST_CANCELLED);
            }
        }
    }

    /// Aborts a request that was never announced.
    fn refuse_request(&mut self, stream: StreamId, mut pipe: Pipe, code: u64) {
        pipe.reset(code);
        pipe.stop(code, self.may_stop_reading);
        self.stats.requests_refused += 1;
        self.forsake(stream);
    }

    /// Streams and datagrams that waited for this request have no session.
    fn forsake(&mut self, request: StreamId) {
        if let Ok(session) = SessionId::try_from(request) {
            self.refuse_parked(session, WT_SESSION_GONE);
            self.forget_early(session);
        }
    }
}
