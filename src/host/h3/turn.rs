//! One turn: what QUIC has is taken in, what is due is done. Nothing is decided here.

use std::{
    task::{Context, Poll, ready},
    time::Instant,
};

use ::h3::{
    proto::frame::{Frame, PayloadLen, SettingId},
    quic::{RecvStream, SendStream},
};

use super::{Host, Output, PROBE, Phase, Stack, agree, openings};
use crate::{
    Event, Http3Error, Negotiated, SessionId, StreamId, session,
    wire::{error_code, settings::Settings},
};

impl<C: Stack> Host<C> {
    /// The next event or request; `None` once [`Event::ConnectionClosed`] was given. Pending: the
    /// task is woken when QUIC has something, but not when the time of
    /// [`poll_timeout`](Self::poll_timeout) comes, nor by commands.
    ///
    /// One chunk of each stream that has any is read at a time: who does not poll holds the peer
    /// back.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<Output<C>>> {
        self.tick(now);
        self.wakes.watch(cx.waker());
        loop {
            if let Some(output) = self.output() {
                return Poll::Ready(Some(output));
            }
            if matches!(self.phase, Phase::Over) {
                return Poll::Ready(None);
            }
            self.turn(cx, now);
            let is_idle = self.out.is_empty() && self.wakes.is_empty();
            if is_idle && !matches!(self.phase, Phase::Lost(_) | Phase::Over) {
                return Poll::Pending;
            }
        }
    }

    /// When to [`poll`](Self::poll) at the latest; `None`: not before QUIC has something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let request = self.config.deadlines.request;
        let connects = self.sessions.values();
        let probe = self.probed.filter(|_| !self.sessions.is_empty());
        let until = match self.phase {
            Phase::Ending { until, .. } => until,
            Phase::Lost(_) => self.now,
            Phase::Running | Phase::Over => None,
        };
        connects
            .map(|connect| connect.session.due())
            .chain(self.held.values().map(|held| held.due(request)))
            .chain(self.streams.values().map(|data| data.parked_until()))
            .chain(self.early.iter().map(|early| early.due))
            .chain([probe.and_then(|probed| probed.checked_add(PROBE)), until])
            .flatten()
            .min()
    }

    fn turn(&mut self, cx: &mut Context<'_>, now: Instant) {
        if !self.is_closed() {
            self.accept_streams(cx);
        }
        if !self.is_closed() {
            self.read_control(cx);
        }
        while let Some(stream) = self.h3.inner.conn.of_sessions.pop_front() {
            self.attach_unidirectional(stream);
        }
        for stream in self.wakes.take() {
            self.serve(stream);
        }
        if !self.is_closed() {
            // Streams first: what came before STOP_SENDING may say why.
            self.probe_sessions();
            self.expire(now);
        }
        self.settle(now);
    }

    /// Bidirectional streams, requests among them.
    fn accept_streams(&mut self, cx: &mut Context<'_>) {
        loop {
            match self.h3.inner.poll_accept_bi(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(stream)) => self.accepted(stream),
                Poll::Ready(Err(error)) => return self.lose(error),
            }
        }
        // h3 would keep the id of each stream that it accepts itself until its request is done, and
        // those of sessions never are. So they were accepted behind its back, and it is asked only
        // to forget the requests that are done.
        if std::mem::take(&mut self.tidy) {
            match self.h3.poll_accept_request_stream(cx) {
                Poll::Pending | Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(stream))) => self.accepted(stream),
                Poll::Ready(Err(error)) => self.lose(error),
            }
        }
    }

    fn accepted(&mut self, mut stream: C::BidiStream) {
        let id = StreamId::from(stream.send_id().into_inner());
        self.seen.mark(id);
        // RFC 9114 §5.2: requests from the id in the GOAWAY on are not processed.
        let refused = (self.goaway.sent).is_some_and(|from| u64::from(id) >= from.into_inner());
        if refused {
            stream.stop_sending(error_code::H3_REQUEST_REJECTED);
            stream.reset(error_code::H3_REQUEST_REJECTED);
            return;
        }
        self.begin(id, stream);
    }

    fn read_control(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(frame) = self.h3.inner.poll_control(cx) {
            match frame {
                Ok(frame) => self.control_frame(frame),
                Err(error) => return self.lose(error),
            }
        }
    }

    fn control_frame(&mut self, frame: Frame<PayloadLen>) {
        match frame {
            Frame::Settings(settings) => {
                let get = |id| settings.get(id);
                self.agreed(Settings {
                    max_field_section_size: get(SettingId::MAX_HEADER_LIST_SIZE),
                    enable_connect_protocol: get(SettingId::ENABLE_CONNECT_PROTOCOL).unwrap_or(0),
                    h3_datagram: get(SettingId::H3_DATAGRAM).unwrap_or(0),
                    enable_webtransport: get(SettingId::ENABLE_WEBTRANSPORT).unwrap_or(0),
                    max_sessions_draft04: get(SettingId::WEBTRANSPORT_MAX_SESSIONS),
                    ..Settings::default()
                });
            }
            Frame::Goaway(id) => {
                let id = id.into_inner();
                // RFC 9114 §5.2: "Receiving a GOAWAY containing a larger identifier than previously
                // received MUST be treated as a connection error of type H3_ID_ERROR."
                if self.goaway.received.is_some_and(|before| before < id) {
                    return self.fail(Http3Error::Id);
                }
                self.goaway.received = Some(id);
                for session in self.session_ids() {
                    self.with_session(session, |connect, now| {
                        connect.session.handle(now, session::Input::GoAway { id });
                    });
                }
            }
            // Those that mean something elsewhere h3 has refused.
            Frame::Data(_)
            | Frame::Headers(_)
            | Frame::CancelPush(_)
            | Frame::PushPromise(_)
            | Frame::MaxPushId(_)
            | Frame::WebTransportStream(_)
            | Frame::Grease => {}
        }
    }

    fn agreed(&mut self, theirs: Settings) {
        let flags = [
            theirs.enable_connect_protocol,
            theirs.h3_datagram,
            theirs.enable_webtransport,
        ];
        // RFC 9220 §3, RFC 9297 §2.1.1: any other value is H3_SETTINGS_ERROR.
        if flags.iter().any(|&flag| flag > 1) {
            return self.fail(Http3Error::Settings);
        }
        let agreement = agree(&self.ours, &theirs);
        self.theirs = Some(theirs);
        self.agreement = Some(agreement);
        self.event(match agreement {
            Ok(dialect) => Event::Ready(Negotiated {
                dialect,
                flow_control: false,
            }),
            Err(missing) => Event::Unsupported(missing),
        });
        self.announce_held();
    }

    /// A stream was woken, or has more.
    fn serve(&mut self, stream: StreamId) {
        if stream == openings::OPENINGS {
            return self.serve_openings();
        }
        if self.streams.contains_key(&stream) {
            return self.serve_data(stream);
        }
        if self.heads.contains_key(&stream) {
            return self.serve_head(stream);
        }
        if let Ok(session) = SessionId::try_from(stream) {
            self.serve_connect(session);
        }
    }

    /// What the clock brings.
    fn expire(&mut self, now: Instant) {
        for session in self.session_ids() {
            self.expire_session(session, now);
        }
        self.expire_held(now);
        self.expire_parked(now);
        let before = self.early.len();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        self.early.retain(|early| !is_due(early.due));
        let expired = u64::try_from(before - self.early.len()).unwrap_or(0);
        self.stats.datagrams_absorbed += expired;
        let probe_due = self.probed.and_then(|probed| probed.checked_add(PROBE));
        if probe_due.is_none_or(|due| due <= now) {
            self.probed = Some(now);
            self.probe_streams();
        }
    }

    /// What follows when nothing else is to be done.
    fn settle(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Running | Phase::Over => {}
            Phase::Ending { until, parting } => {
                // As in `Connection`: the page of a browser has to hear of its session first.
                if self.sessions.is_empty() {
                    if let Some(parting) = parting.take() {
                        let at = now.checked_add(parting);
                        *until = [at, *until].into_iter().flatten().min();
                    }
                }
                if until.is_none_or(|until| until <= now) {
                    self.close_connection(error_code::H3_NO_ERROR, "");
                }
            }
            // The streams were drained first: a close capsule wins over the loss.
            Phase::Lost(reason) => {
                if self.wakes.is_empty() {
                    let reason = reason.clone();
                    self.conclude(reason);
                }
            }
        }
    }

    pub(super) fn session_ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }
}

/// Waits for nothing: for futures of h3's that hand bytes to QUIC in one go.
pub(super) fn at_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    Poll::Ready(ready!(future.as_mut().poll(&mut cx)))
}
