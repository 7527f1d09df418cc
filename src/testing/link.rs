//! What lies between the two ends: when, in what pieces and in what order things arrive.
//!
//! Knows QUIC's promises and nothing of sessions: the bytes of a stream keep their order, and what
//! ends a stream stays behind them; streams and datagrams may overtake each other; datagrams may be
//! lost or come twice.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use fastrand::Rng;

use crate::{Input, Side, StreamId};

/// What lies between the two ends of a [`Pair`](super::Pair).
///
/// [`Link::perfect`] delivers everything in order after [`latency`](Self::latency).
/// [`Link::seeded`] does what a bad network may do, always the same for the same seed.
#[derive(Debug)]
pub struct Link {
    /// How long everything takes at least. 1 ms unless said otherwise.
    pub latency: Duration,
    /// How much longer it may take, by chance: so streams and datagrams overtake each other.
    pub jitter: Duration,
    /// Of 100 datagrams, so many are lost.
    pub datagrams_lost: u8,
    /// Of 100 datagrams, so many come twice.
    pub datagrams_doubled: u8,
    /// Whether stream bytes arrive in other pieces than they were sent in, and QUIC takes writes in
    /// pieces.
    pub pieces: bool,
    /// QUIC takes everything at once for now.
    pub(super) takes_all: bool,
    chance: Rng,
    cut: bool,
    lost: u64,
    under_way: BTreeMap<(Instant, u64), Parcel>,
    sent: u64,
    /// Nothing of this stream may arrive before.
    order: BTreeMap<(Side, StreamId), Instant>,
}

/// One fact on its way to one end.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) to: Side,
    pub(super) input: Input,
}

impl Default for Link {
    fn default() -> Self {
        Self::perfect()
    }
}

impl Link {
    /// In order, whole, and after 1 ms.
    #[must_use]
    pub fn perfect() -> Self {
        Self {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            datagrams_lost: 0,
            datagrams_doubled: 0,
            pieces: false,
            takes_all: false,
            chance: Rng::with_seed(0),
            cut: false,
            lost: 0,
            under_way: BTreeMap::new(),
            sent: 0,
            order: BTreeMap::new(),
        }
    }

    /// Splits, merges, delays, reorders, drops and doubles, as QUIC allows and the seed says.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            jitter: Duration::from_millis(20),
            datagrams_lost: 10,
            datagrams_doubled: 5,
            pieces: true,
            chance: Rng::with_seed(seed),
            ..Self::perfect()
        }
    }

    /// Cuts it: nothing arrives any more, in neither direction. QUIC's idle timeout, 30 s, runs from
    /// here on only: while the link is whole, QUIC is taken to keep itself alive.
    pub fn cut(&mut self) {
        self.cut = true;
        self.lost += u64::try_from(self.under_way.len()).unwrap_or(u64::MAX);
        self.under_way.clear();
    }

    /// Whether [`cut`](Self::cut) was called.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// How many datagrams and other things never arrived.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Sends a fact to an end.
    pub(super) fn send(&mut self, now: Instant, to: Side, input: Input) {
        match input {
            Input::StreamData { stream, data, fin } => self.send_data(now, to, stream, data, fin),
            Input::DatagramReceived { data } => {
                if self.happens(self.datagrams_lost) {
                    self.lost += 1;
                    return;
                }
                if self.happens(self.datagrams_doubled) {
                    let data = data.clone();
                    let due = self.due(now);
                    self.post(due, to, Input::DatagramReceived { data });
                }
                let due = self.due(now);
                self.post(due, to, Input::DatagramReceived { data });
            }
            Input::StreamReset { stream, .. } | Input::StreamStopped { stream, .. } => {
                let due = self.due_in_order(now, to, stream);
                self.post(due, to, input);
            }
            // QUIC has delivered what was sent before, as far as it is delivered at all.
            Input::ConnectionClosed { .. } => {
                let last = self.order.iter().filter(|((end, _), _)| *end == to);
                let last = last.map(|(_, &due)| due).max();
                let due = self.due(now).max(last.unwrap_or(now));
                self.post(due, to, input);
            }
            Input::Written { .. }
            | Input::StreamAcknowledged { .. }
            | Input::StreamWritable { .. }
            | Input::StreamsAvailable { .. }
            | Input::Timeout => {
                let due = self.due(now);
                self.post(due, to, input);
            }
        }
    }

    /// Sends a fact of which nothing is lost on the way, unless the link is cut.
    pub(super) fn send_safely(&mut self, now: Instant, to: Side, input: Input) {
        let due = self.due(now);
        self.post(due, to, input);
    }

    fn send_data(&mut self, now: Instant, to: Side, stream: StreamId, mut data: Bytes, fin: bool) {
        while self.pieces && data.len() > 1 && self.chance.bool() {
            let len = self.chance.usize(1..data.len());
            let piece = data.split_to(len);
            self.send_piece(now, to, stream, piece, false);
        }
        if fin && self.pieces && data.has_remaining() && self.chance.bool() {
            let data = std::mem::take(&mut data);
            self.send_piece(now, to, stream, data, false);
        }
        self.send_piece(now, to, stream, data, fin);
    }

    fn send_piece(&mut self, now: Instant, to: Side, stream: StreamId, data: Bytes, fin: bool) {
        let due = self.due_in_order(now, to, stream);
        self.post(due, to, Input::StreamData { stream, data, fin });
    }

    /// How much of a write QUIC takes at once.
    pub(super) fn takes(&mut self, len: usize) -> usize {
        if self.pieces && !self.takes_all && len > 0 && self.chance.u8(..4) == 0 {
            self.chance.usize(..len)
        } else {
            len
        }
    }

    /// Whether two pieces of a stream that lie side by side are read as one.
    pub(super) fn merges(&mut self) -> bool {
        self.pieces && self.chance.bool()
    }

    fn happens(&mut self, percent: u8) -> bool {
        percent > 0 && self.chance.u8(..100) < percent
    }

    fn due(&mut self, now: Instant) -> Instant {
        let jitter = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX);
        let late = match jitter {
            0 => 0,
            _ => self.chance.u64(..=jitter),
        };
        now + self.latency + Duration::from_micros(late)
    }

    fn due_in_order(&mut self, now: Instant, to: Side, stream: StreamId) -> Instant {
        let due = self.due(now);
        let order = self.order.entry((to, stream)).or_insert(due);
        *order = due.max(*order);
        *order
    }

    fn post(&mut self, due: Instant, to: Side, input: Input) {
        if self.cut {
            self.lost += 1;
            return;
        }
        self.sent += 1;
        self.under_way
            .insert((due, self.sent), Parcel { to, input });
    }

    /// When the next thing arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|(&(due, _), _)| due)
    }

    /// When the last thing arrives that is under way to this end.
    pub(super) fn last_arrival(&self, at: Side) -> Option<Instant> {
        let under_way = self.under_way.iter().rev();
        let mut there = under_way.filter(|(_, parcel)| parcel.to == at);
        there.next().map(|(&(due, _), _)| due)
    }

    /// What has arrived by now, one at a time.
    pub(super) fn arrival(&mut self, now: Instant) -> Option<Parcel> {
        if self.next_arrival()? > now {
            return None;
        }
        self.under_way.pop_first().map(|(_, parcel)| parcel)
    }
}
