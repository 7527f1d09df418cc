//! The facts, each to the slot it concerns.

use bytes::Bytes;
use std::time::Instant;

use super::{
    Connection, Phase,
    control::{CONTROL, PUSH, QPACK_DECODER, QPACK_ENCODER},
    parking::Destination,
    slot::{DataStream, Preamble, Reading, RequestPhase, Slot},
};
use crate::{
    Action, ConnectionLost, Dir, Event, Http3Error, Input, SessionId, Side, StreamId, Support,
    session,
    wire::{
        datagram,
        error_code::{
            H3_REQUEST_CANCELLED, H3_REQUEST_INCOMPLETE, H3_STREAM_CREATION_ERROR,
            WT_BUFFERED_STREAM_REJECTED,
        },
        stream_header, varint,
    },
};

impl Connection {
    #[inline(never)]
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::StreamData { stream, data, fin } => self.stream_data(stream, data, fin),
            Input::StreamReset {
                stream,
                code,
                final_size,
            } => self.stream_reset(stream, code, final_size),
            Input::StreamStopped { stream, code } => self.stream_stopped(stream, code),
            Input::Written { stream, len, fin } => self.written(stream, len, fin),
            Input::StreamWritable { stream } => self.writable(stream),
            Input::StreamAcknowledged { stream } => self.acknowledged(stream),
            Input::StreamsAvailable { dir } => self.streams_available(dir),
            Input::DatagramReceived { data } => self.datagram_received(data),
            Input::ConnectionClosed { reason } => {
                self.out.drop_actions();
                self.lose(self.reason_of_loss(reason));
            }
            Input::Timeout => self.timeout(),
        }
    }

    /// E44: what a transport loss means before QUIC was connected.
    fn reason_of_loss(&self, reason: ConnectionLost) -> ConnectionLost {
        if self.transport.is_none() && reason.is_transport() {
            ConnectionLost::HandshakeFailed
        } else {
            reason
        }
    }

    // ---- streams

    /// The peer can have opened it, and nothing of it has come yet.
    pub(super) fn is_unseen(&self, stream: StreamId) -> bool {
        stream.initiator() != self.side
            && u64::from(stream) <= varint::MAX
            && !self.seen.contains(stream)
    }

    /// Makes a slot for a stream that the peer has just opened.
    fn greet(&mut self, stream: StreamId) {
        if self.is_unseen(stream) && self.seen.mark(stream) {
            self.slots.insert(stream, Slot::Preamble(Box::default()));
        }
    }

    pub(super) fn stream_data(&mut self, stream: StreamId, data: Bytes, fin: bool) {
        if data.is_empty() && !fin {
            return;
        }
        // Nearly all that comes is payload of streams that are known.
        match self.slots.get(stream) {
            Some(Slot::Data(slot)) if slot.is_receiving() => {
                self.payload(slot.session, stream, data, fin);
            }
            _ => self.data_elsewhere(stream, data, fin),
        }
    }

    /// Bytes of any other stream.
    #[inline(never)]
    fn data_elsewhere(&mut self, stream: StreamId, data: Bytes, fin: bool) {
        if stream.initiator() != self.side && self.seen.mark(stream) {
            return self.preamble(stream, Preamble::default(), data, fin);
        }
        match self.slots.get_mut(stream) {
            Some(Slot::Preamble(preamble)) => {
                let preamble = std::mem::take(preamble.as_mut());
                self.slots.remove(stream);
                self.preamble(stream, preamble, data, fin);
            }
            Some(Slot::PeerControl(_)) => self.control_data(stream, data, fin),
            Some(Slot::PeerEncoder) => self.encoder_data(&data, fin),
            Some(Slot::PeerDecoder(_)) => self.decoder_data(stream, &data, fin),
            Some(Slot::Request(_)) => self.request_data(stream, data, fin),
            Some(Slot::Connect(_)) => self.connect_data(stream, data, fin),
            Some(Slot::Data(_)) => self.data(stream, data, fin),
            Some(Slot::Control(_) | Slot::Grease(_)) | None => {}
        }
    }

    /// The first bytes of a peer's stream: what it is. It has no slot yet.
    fn preamble(&mut self, stream: StreamId, mut preamble: Preamble, mut data: Bytes, fin: bool) {
        if preamble.kind.is_none() {
            preamble.kind = preamble.read(&mut data);
        }
        let Some(kind) = preamble.kind else {
            return self.unfinished(stream, preamble, fin);
        };
        let is_session_stream = match stream.dir() {
            Dir::Uni => kind == stream_header::UNI,
            Dir::Bi => kind == stream_header::BIDI,
        };
        if is_session_stream {
            let Some(session) = preamble.read(&mut data) else {
                return self.unfinished(stream, preamble, fin);
            };
            return self.session_stream(stream, session, &preamble, data, fin);
        }
        let stopped = preamble.stopped;
        match (stream.dir(), self.side) {
            (Dir::Uni, _) => self.uni_stream(stream, kind),
            (Dir::Bi, Side::Server) => self.begin_request(stream, kind),
            // §4.3 defines the one kind of stream that a server opens.
            (Dir::Bi, Side::Client) => return self.fail(Http3Error::StreamCreation),
        }
        if let Some(code) = stopped {
            self.stream_stopped(stream, code);
        }
        self.stream_data(stream, data, fin);
    }

    fn unfinished(&mut self, stream: StreamId, preamble: Preamble, fin: bool) {
        if fin {
            self.ended_early(stream, H3_REQUEST_INCOMPLETE);
        } else {
            self.slots
                .insert(stream, Slot::Preamble(Box::new(preamble)));
        }
    }

    fn session_stream(
        &mut self,
        stream: StreamId,
        session: u64,
        preamble: &Preamble,
        data: Bytes,
        fin: bool,
    ) {
        // RFC 9114 §6.1: without an extension that says otherwise a server opens no such stream.
        let is_foreign = self.side == Side::Client && stream.dir() == Dir::Bi;
        if is_foreign && matches!(self.agreement, Some(Err(_))) {
            return self.fail(Http3Error::StreamCreation);
        }
        // What waited for a request under this stream's id waits for nothing.
        if let Ok(mistaken) = SessionId::try_from(stream) {
            self.forsake_orphans(mistaken, WT_BUFFERED_STREAM_REJECTED);
        }
        self.attach(stream, session, preamble, data, fin);
    }

    fn uni_stream(&mut self, stream: StreamId, kind: u64) {
        let (is_second, slot) = match kind {
            CONTROL => (
                std::mem::replace(&mut self.critical.control, true),
                Slot::PeerControl(Default::default()),
            ),
            QPACK_ENCODER => (
                std::mem::replace(&mut self.critical.encoder, true),
                Slot::PeerEncoder,
            ),
            QPACK_DECODER => (
                std::mem::replace(&mut self.critical.decoder, true),
                Slot::PeerDecoder(Default::default()),
            ),
            PUSH => {
                return self.fail(match self.side {
                    Side::Server => Http3Error::StreamCreation,
                    Side::Client => Http3Error::Id,
                });
            }
            _ => {
                // RFC 9114 §6.2: "the recipient MUST either abort reading of the stream or discard
                // incoming data without further processing."
                self.out.action(Action::StopSending {
                    stream,
                    code: H3_STREAM_CREATION_ERROR,
                });
                return self.count_cheap();
            }
        };
        if is_second {
            return self.fail(Http3Error::StreamCreation);
        }
        self.slots.insert(stream, slot);
    }

    /// A stream that ended before it said what it was: normal where a reset overtakes its header.
    fn ended_early(&mut self, stream: StreamId, code: u64) {
        self.slots.remove(stream);
        if stream.dir() == Dir::Bi {
            self.out.action(Action::Reset {
                stream,
                code,
                reliable_size: 0,
            });
        }
        if let Ok(session) = SessionId::try_from(stream) {
            self.forsake_orphans(session, WT_BUFFERED_STREAM_REJECTED);
        }
        // With RESET_STREAM_AT the header of a session's stream always arrives.
        let reliable = self
            .transport
            .as_ref()
            .is_some_and(|transport| transport.peer_reset_stream_at == Support::Yes);
        if !reliable {
            self.forgive_nameless(stream.dir());
        }
        self.count_cheap();
    }

    fn stream_reset(&mut self, stream: StreamId, code: u64, final_size: Option<u64>) {
        self.greet(stream);
        match self.slots.get(stream) {
            Some(Slot::Preamble(_)) => self.ended_early(stream, H3_REQUEST_CANCELLED),
            Some(Slot::PeerControl(_) | Slot::PeerEncoder | Slot::PeerDecoder(_)) => {
                self.fail(Http3Error::ClosedCriticalStream);
            }
            Some(Slot::Request(_)) => self.request_reset(stream),
            Some(Slot::Connect(_)) => {
                self.connect_fact(stream, session::Input::ConnectReset { code });
            }
            Some(Slot::Data(_)) => self.data_reset(stream, code, final_size),
            Some(Slot::Control(_) | Slot::Grease(_)) | None => {}
        }
    }

    fn stream_stopped(&mut self, stream: StreamId, code: u64) {
        self.greet(stream);
        // Nothing of it will be acknowledged any more.
        self.acknowledged(stream);
        match self.slots.get_mut(stream) {
            Some(Slot::Preamble(preamble)) if stream.dir() == Dir::Bi => {
                preamble.stopped = preamble.stopped.or(Some(code));
            }
            Some(Slot::Control(_)) => self.fail(Http3Error::ClosedCriticalStream),
            Some(Slot::Grease(_)) => self.grease_stopped(stream),
            Some(Slot::Request(_)) => self.request_stopped(stream, code),
            Some(Slot::Connect(_)) => {
                self.connect_fact(stream, session::Input::ConnectStopped { code });
            }
            Some(Slot::Data(_)) => self.data_stopped(stream, code),
            Some(
                Slot::Preamble(_) | Slot::PeerControl(_) | Slot::PeerEncoder | Slot::PeerDecoder(_),
            )
            | None => {}
        }
    }

    fn connect_fact(&mut self, stream: StreamId, input: session::Input) {
        if let Some(session) = self.session_of(stream) {
            self.with_session(session, |connect, now| connect.session.handle(now, input));
        }
    }

    #[inline]
    pub(super) fn data_is_wanted(&self, slot: &DataStream) -> bool {
        slot.parked.is_none() && slot.reading == Reading::On && !self.held_back
    }

    #[inline(never)]
    pub(super) fn is_wanted_elsewhere(&self, stream: StreamId, slot: Option<&Slot>) -> bool {
        let body = self.config.limits.unanswered_body;
        let Some(slot) = slot else {
            return !self.is_closed() && self.is_unseen(stream);
        };
        match slot {
            Slot::Preamble(_) | Slot::PeerControl(_) | Slot::PeerEncoder | Slot::PeerDecoder(_) => {
                true
            }
            Slot::Control(_) | Slot::Grease(_) => false,
            Slot::Request(request) => match &request.phase {
                RequestPhase::Head => true,
                RequestPhase::Held(held) => held.body.len() < body,
                RequestPhase::Answered(_) => false,
            },
            Slot::Connect(connect) => {
                connect.session.is_receiving() && connect.session.held_body() < body
            }
            Slot::Data(data) => self.data_is_wanted(data),
        }
    }

    // ---- what QUIC takes

    fn written(&mut self, stream: StreamId, len: usize, fin: bool) {
        let Some(outgoing) = self.outgoing(stream) else {
            return;
        };
        let before = outgoing.len();
        let again = outgoing.written(len, fin);
        let (taken, blocked) = (before - outgoing.len(), outgoing.is_blocked());
        self.unwritten -= taken;
        if again {
            self.out.write(stream);
        }
        self.check_unwritten(blocked);
        match self.slots.get(stream) {
            Some(Slot::Request(_)) => self.request_written(stream),
            Some(Slot::Connect(_)) => self.drop_connect_if_over(stream),
            Some(Slot::Data(_)) => self.data_written(stream),
            Some(Slot::Grease(_)) => self.grease_written(stream),
            _ => {}
        }
    }

    fn writable(&mut self, stream: StreamId) {
        match self.outgoing(stream) {
            Some(outgoing) => {
                if outgoing.writable() {
                    self.out.write(stream);
                }
            }
            None => self.data_writable(stream),
        }
    }

    fn streams_available(&mut self, dir: Dir) {
        let refused = match dir {
            Dir::Bi => &mut self.refused.bi,
            Dir::Uni => &mut self.refused.uni,
        };
        if std::mem::take(refused) {
            self.out.event(Event::StreamsAvailable { dir });
        }
    }

    // ---- datagrams

    /// With what follows from it, which for nearly all is nothing.
    pub(super) fn datagram_received(&mut self, data: Bytes) {
        let Some((session, payload)) = datagram::parse(data) else {
            return self.fail(Http3Error::Datagram);
        };
        let Ok(session) = SessionId::try_from(StreamId::from(session)) else {
            return self.fail(Http3Error::Datagram);
        };
        let connect = self.slots.get_mut(session.connect_stream());
        if let (Some(Slot::Connect(connect)), Some(now)) = (connect, self.now) {
            // Nothing else follows from a datagram of a session that is open.
            if connect.session.hears(now) {
                return self.tell_datagram(session, payload);
            }
        }
        self.datagram_elsewhere(session, payload);
        self.settle();
    }

    /// A datagram whose session is not open.
    #[inline(never)]
    fn datagram_elsewhere(&mut self, session: SessionId, payload: Bytes) {
        match self.destination(session) {
            Destination::Session => self.session_datagram(session, payload),
            Destination::Expected
                if self
                    .buffered
                    .has_datagram_room(payload.len(), &self.config.limits) =>
            {
                if let Some(now) = self.now {
                    self.buffered.add_datagram(session, &payload, now);
                }
            }
            Destination::Expected | Destination::Gone | Destination::Never => {
                self.stats.datagrams_absorbed += 1;
            }
        }
    }

    fn session_datagram(&mut self, session: SessionId, payload: Bytes) {
        let has_room = self
            .buffered
            .has_datagram_room(payload.len(), &self.config.limits);
        let requested = self
            .connect_stream(session)
            .is_some_and(|connect| connect.session.is_requested());
        if requested && !has_room {
            self.stats.datagrams_absorbed += 1;
            return;
        }
        let input = session::Input::DatagramReceived { payload };
        self.with_session(session, |connect, now| connect.session.handle(now, input));
    }

    // ---- time

    pub(super) fn idle_deadline(&self) -> Option<Instant> {
        if self.side == Side::Client || self.live > 0 || self.phase != Phase::Running {
            return None;
        }
        // CONNECTION_CLOSE must not outrun what a session said last: its linger comes first.
        if !self.is_settled() {
            return None;
        }
        self.idle_since?
            .checked_add(self.config.deadlines.idle_connection?)
    }

    /// Until when an unacknowledged refusal is waited for.
    pub(super) fn refusal_deadline(&self) -> Option<Instant> {
        self.refusal?.1.checked_add(self.config.deadlines.linger)
    }

    pub(super) fn buffered_deadline(&self) -> Option<Instant> {
        self.buffered
            .oldest()?
            .checked_add(self.config.deadlines.buffered)
    }

    fn timeout(&mut self) {
        let Some(now) = self.now else {
            return;
        };
        // All that are due first: what is handled may be due again at once.
        let mut due = Vec::new();
        while let Some(stream) = self.deadlines.expired(now) {
            due.push(stream);
        }
        for stream in due {
            match self.slots.get(stream) {
                Some(Slot::Request(_)) => self.request_expired(stream),
                Some(Slot::Connect(_)) => self.connect_expired(stream),
                Some(Slot::Data(_)) => self.data_expired(stream),
                _ => {}
            }
        }
        if self.buffered_deadline().is_some_and(|at| at <= now) {
            let until = now
                .checked_sub(self.config.deadlines.buffered)
                .unwrap_or(now);
            self.stats.datagrams_absorbed += self.buffered.expire(until);
        }
        if self.refusal_deadline().is_some_and(|at| at <= now) {
            self.refusal = None;
        }
        let is_idle = self.idle_deadline().is_some_and(|at| at <= now);
        let is_overdue =
            matches!(self.phase, Phase::Ending { until, .. } if until.is_some_and(|at| at <= now));
        if is_idle || is_overdue {
            self.close_now();
        }
    }
}
