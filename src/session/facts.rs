//! What each input means: bytes become capsules, capsules and stream facts become what the session
//! is told or what happens to it as a whole.
//!
//! What then becomes of the session is decided in `state.rs` and carried out in `life.rs`.

use std::time::Instant;

use bytes::Bytes;

use super::{
    Body, Event, Input, Once, Session,
    state::{Fact, State},
    streams,
};
use crate::{
    Side, StreamId, Violation,
    wire::{
        capsule::{self, Capsule},
        error_code,
    },
};

impl Session {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Body { data, fin } => self.body(data, fin),
            Input::ConnectReset { code } => {
                self.connect.peer_is_done();
                self.apply(Fact::PeerReset { code });
            }
            Input::ConnectStopped { code } => self.stopped(code),
            Input::StreamOpened { stream } => {
                if self.stream_opened(stream) {
                    self.out.event(Event::StreamOpened { stream });
                }
            }
            Input::StreamData { stream, len, fin } => {
                self.stream_data(stream, len, fin);
            }
            Input::StreamReset {
                stream,
                code,
                final_size,
            } => {
                if self.streams.receives(stream) == Some(true) {
                    self.last_activity = self.now;
                    self.count_reset(stream, final_size);
                    self.streams.reset_by_peer(stream, code, &mut self.out);
                }
            }
            Input::StreamStopped { stream, code } => {
                self.streams.stopped_by_peer(stream, code, &mut self.out);
            }
            Input::StreamWritable { stream } => {
                if self.streams.writable(stream) {
                    self.out.event(Event::StreamWritable { stream });
                }
            }
            Input::StreamsAvailable { dir } => {
                if std::mem::take(self.refused(dir)) && self.state == State::Open {
                    self.out.event(Event::StreamsAvailable { dir });
                }
            }
            Input::DatagramReceived { payload } => self.datagram_received(payload),
            Input::GoAway { id } => self.go_away(id),
            Input::ConnectionClosed { reason } => {
                self.apply(Fact::Lost(reason));
                self.connect.abandon();
                self.streams.clear();
                self.out.drop_actions();
            }
            Input::Timeout => self.timeout(),
        }
    }

    fn body(&mut self, data: Bytes, fin: bool) {
        if !self.connect.is_receiving() {
            return;
        }
        if fin {
            self.connect.note_fin();
        }
        if !data.is_empty() {
            self.last_activity = self.now;
        }
        if self.body == Body::Held {
            match self.side {
                Side::Client if !data.is_empty() => {
                    return self.apply(Fact::Violated(Violation::MalformedResponse));
                }
                Side::Client => {}
                Side::Server => {
                    // What a host reads while it is asked to may overshoot once; more may not come.
                    let full = self.held_body() >= self.config.limits.unanswered_body;
                    if full && !data.is_empty() {
                        return self.apply(Fact::Violated(Violation::UnansweredBodyTooLarge));
                    }
                    if !data.is_empty() {
                        let early = self.early.get_or_insert_default();
                        early.body.extend_from_slice(&data);
                    }
                }
            }
        } else {
            self.read_capsules(data);
        }
        if fin {
            self.connect.peer_is_done();
            // RFC 9297 §3.3: a stream that ends inside a capsule is malformed.
            if self.capsules.is_none() {
                self.apply(Fact::PeerFinished);
            } else {
                self.apply(Fact::Violated(Violation::Truncated));
            }
        }
    }

    /// Whether bytes that waited for the answer hold a WT_DRAIN_SESSION.
    pub(super) fn asks_to_drain(&self, mut held: Bytes) -> bool {
        let mut capsules = capsule::Decoder::new();
        while let Some(Ok(capsule)) = capsules.next(&mut held, self.capsule_rules()) {
            match capsule {
                Capsule::Drain => return true,
                Capsule::Close { .. } => return false,
                Capsule::Datagram { .. } | Capsule::Flow { .. } | Capsule::Ignored => {}
            }
        }
        false
    }

    fn capsule_rules(&self) -> capsule::Rules {
        capsule::Rules {
            flow_control: self.streams.flow.is_some(),
            stream_data_prohibited: self.dialect.prohibits_stream_data_capsules(),
            datagram_limit: match self.state {
                State::Open => self.config.limits.datagram_capsule,
                // Nobody would get it.
                State::Requested | State::Stopped | State::Closed => 0,
            },
        }
    }

    pub(super) fn read_capsules(&mut self, data: Bytes) {
        let begun = self.capsules.take();
        let mut decoder = begun.map_or_else(capsule::Decoder::new, |decoder| *decoder);
        self.read_with(&mut decoder, data);
        // Most sessions read few capsules, and those whole.
        if !decoder.is_between() {
            self.capsules = Some(Box::new(decoder));
        }
    }

    fn read_with(&mut self, decoder: &mut capsule::Decoder, mut data: Bytes) {
        let rules = self.capsule_rules();
        while !data.is_empty() {
            match self.body {
                Body::Capsules => {}
                Body::Closed { .. } => return self.excess(),
                Body::Held | Body::Absorbed => return,
            }
            match decoder.next(&mut data, rules) {
                None => return,
                Some(Ok(capsule)) => self.capsule(capsule),
                Some(Err(violation)) => {
                    // After our own close the peer's mistakes are nobody's business.
                    self.body = Body::Absorbed;
                    self.apply(Fact::Violated(violation));
                }
            }
        }
    }

    fn capsule(&mut self, capsule: Capsule) {
        match capsule {
            Capsule::Close { code, message } => {
                self.body = Body::Closed {
                    ended_by_it: self.state != State::Closed,
                };
                let message = message.into();
                self.apply(Fact::PeerClosed { code, message });
            }
            Capsule::Drain => self.told_to_drain(),
            Capsule::Datagram { payload } => {
                if self.state == State::Open {
                    // Copied, so that it does not keep a large buffer of QUIC's alive; QUIC's own
                    // datagrams are not.
                    self.tell_datagram(Bytes::copy_from_slice(&payload));
                }
            }
            Capsule::Flow { kind, value } => self.flow_capsule(kind, value),
            Capsule::Ignored => {}
        }
    }

    pub(super) fn excess(&mut self) {
        if let Body::Closed { ended_by_it } = self.body {
            self.body = Body::Absorbed;
            self.connect
                .refuse_more(error_code::H3_MESSAGE_ERROR, ended_by_it, &mut self.out);
        }
    }

    fn told_to_drain(&mut self) {
        match (self.state, self.draining) {
            (State::Requested, Once::Unsaid) => self.draining = Once::Owed,
            (State::Open, Once::Unsaid) => {
                self.draining = Once::Said;
                self.out.event(Event::Draining);
            }
            (
                State::Requested | State::Open | State::Stopped | State::Closed,
                Once::Unsaid | Once::Owed | Once::Said,
            ) => {}
        }
    }

    fn go_away(&mut self, id: u64) {
        let covers = self.side == Side::Client && id <= self.id.connect_stream().into();
        if covers && self.state == State::Requested {
            self.apply(Fact::WentAway);
        } else {
            self.told_to_drain();
        }
    }

    fn stopped(&mut self, code: u64) {
        if !self.connect.is_sending() {
            return; // after our FIN or reset it says nothing new (E13)
        }
        match self.state {
            State::Open => self.stopped_while_open(code),
            State::Requested if self.stopped_early().is_some() => {}
            State::Requested | State::Stopped | State::Closed => {
                self.apply(Fact::PeerStopped { code });
            }
        }
    }

    pub(super) fn stopped_while_open(&mut self, code: u64) {
        if code == error_code::WT_SESSION_GONE && !self.config.deadlines.stop_grace.is_zero() {
            self.apply(Fact::PeerGone);
        } else {
            self.apply(Fact::PeerStopped { code });
        }
    }

    /// Whether the application is to be told now.
    fn stream_opened(&mut self, stream: StreamId) -> bool {
        if !streams::is_theirs(self.side, stream) {
            return false;
        }
        self.last_activity = self.now;
        match self.state {
            State::Requested => {
                if self.streams.insert_theirs(stream, false) {
                    self.count_stream(stream.dir());
                }
                false
            }
            State::Open => {
                self.streams.insert_theirs(stream, true) && self.count_stream(stream.dir())
            }
            State::Stopped | State::Closed => {
                self.absorb(1, 0);
                streams::refuse_theirs(stream, &mut self.out);
                false
            }
        }
    }

    /// Whether the stream is over with it; `None` when it did not receive any more.
    fn stream_data(&mut self, stream: StreamId, len: u64, fin: bool) -> Option<bool> {
        // Where bytes are counted, that comes first: one too many ends the session, and the stream.
        let is_counted = self.streams.flow.is_some();
        let is_over = self.streams.receive(stream, len, fin && !is_counted)?;
        if len > 0 || fin {
            self.last_activity = self.now;
        }
        if !is_counted {
            return Some(is_over);
        }
        self.count_data(len);
        Some(fin && self.streams.receive(stream, 0, true) == Some(true))
    }

    // ---- what `Connection` tells the application itself

    /// A stream of the peer's: whether the application is to be told of it.
    pub(crate) fn meets(&mut self, now: Instant, stream: StreamId) -> bool {
        self.tick(now);
        let is_told = self.stream_opened(stream);
        self.update_windows(None);
        is_told
    }

    /// Payload of a data stream: whether the stream is over with it. `None`: the application is not
    /// to have it.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        stream: StreamId,
        len: u64,
        fin: bool,
    ) -> Option<bool> {
        self.tick(now);
        let is_over = self.stream_data(stream, len, fin);
        if fin {
            // Bytes alone move no window: that the application has them does.
            self.update_windows(None);
        }
        is_over.filter(|_| self.state == State::Open)
    }

    /// A datagram: whether the application is to have it. False changes nothing.
    #[inline]
    pub(crate) fn hears(&mut self, now: Instant) -> bool {
        let is_open = self.state == State::Open;
        if is_open {
            self.note_activity(now);
        }
        is_open
    }

    /// Payload of a stream that goes on, or that came whole and is to be known to nobody: the same, but
    /// for flow control, which has to count it.
    #[inline]
    pub(crate) fn hears_uncounted(&mut self, now: Instant) -> bool {
        self.streams.flow.is_none() && self.hears(now)
    }

    /// The peer of a session that is open sent something. A connection's clock never goes back.
    #[inline]
    fn note_activity(&mut self, now: Instant) {
        self.now = now;
        self.last_activity = now;
        if self.awake_or_due.is_none() {
            self.awake_or_due = Some(now);
        }
    }

    fn datagram_received(&mut self, payload: Bytes) {
        match self.state {
            State::Open => {
                self.last_activity = self.now;
                self.tell_datagram(payload);
            }
            State::Requested if self.has_early_room(payload.len()) => {
                self.last_activity = self.now;
                self.early.get_or_insert_default().push(&payload);
            }
            State::Requested | State::Stopped | State::Closed => {
                self.absorb(0, 1);
            }
        }
    }

    fn has_early_room(&self, len: usize) -> bool {
        let limits = &self.config.limits;
        let limit = usize::try_from(limits.buffered_datagrams).unwrap_or(usize::MAX);
        let (count, bytes) = self.early_datagrams();
        count < limit && bytes + len <= limits.buffered_bytes
    }

    pub(super) fn tell_datagram(&mut self, payload: Bytes) {
        let limit = self.config.limits.undelivered_datagrams;
        if !self.out.datagram(payload, limit) {
            self.absorb(0, 1);
        }
    }

    /// Counts what the application never hears of.
    pub(super) fn absorb(&mut self, streams: u64, datagrams: u64) {
        if streams > 0 || datagrams > 0 {
            let stats = self.stats.get_or_insert_default();
            stats.streams_refused += streams;
            stats.datagrams_absorbed += datagrams;
        }
    }

    fn timeout(&mut self) {
        if self.poll_timeout().is_none_or(|due| due > self.now) {
            return;
        }
        self.awake_or_due = None;
        match self.state {
            State::Requested => self.apply(Fact::RequestOverdue),
            State::Open => self.apply(Fact::Inactive),
            State::Stopped => self.apply(Fact::GraceOver),
            // The linger is over (E52).
            State::Closed => self
                .connect
                .stop_peer(error_code::WT_SESSION_GONE, &mut self.out),
        }
    }
}
