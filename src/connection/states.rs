//! A connection as one state among many, for whoever explores them all.

use std::time::{Duration, Instant};

use super::{
    Connection, Phase,
    slot::{RequestPhase, Slot},
};
use crate::session::set_back;

/// Comparing states: `Clone`, `Eq` and `Hash` take in all that a connection will ever act on, and
/// [`set_back`](Self::set_back) makes those alike that differ in when they were reached. What it
/// logs, and what was recorded of it, is no part of its state.
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl Connection {
    /// Makes it one to which everything happened that much earlier: what is told it at `now` does
    /// what it would have done at `now + by`.
    pub fn set_back(&mut self, by: Duration) {
        self.deadlines.set_back(by);
        self.flood.set_back(by);
        self.buffered.set_back(by);
        if let Phase::Ending {
            until: Some(at), ..
        } = &mut self.phase
        {
            *at = set_back(*at, by);
        }
        if let Some((_, at)) = &mut self.refusal {
            *at = set_back(*at, by);
        }
        for at in [&mut self.now, &mut self.idle_since] {
            earlier(at, by);
        }
        for slot in self.slots.values_mut() {
            match slot {
                Slot::Request(request) => {
                    earlier(&mut request.armed, by);
                    if let RequestPhase::Held(held) = &mut request.phase {
                        held.since = set_back(held.since, by);
                    }
                }
                Slot::Connect(connect) => {
                    connect.session.set_back(by);
                    earlier(&mut connect.armed, by);
                }
                Slot::Data(data) => {
                    if let Some(parked) = &mut data.parked {
                        earlier(&mut parked.armed, by);
                    }
                }
                Slot::Preamble(_)
                | Slot::Grease(_)
                | Slot::Control(_)
                | Slot::PeerControl(_)
                | Slot::PeerEncoder
                | Slot::PeerDecoder(_) => {}
            }
        }
    }

    /// The number of streams of which it knows anything, its own control stream and the peer's
    /// three included: what must not grow with the number of those that are over.
    #[must_use]
    pub fn streams_held(&self) -> usize {
        self.slots.len()
    }
}

fn earlier(at: &mut Option<Instant>, by: Duration) {
    *at = at.map(|at| set_back(at, by));
}
