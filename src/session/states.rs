//! A session as one state among many, for whoever explores them all.

use std::time::{Duration, Instant};

use super::Session;

/// Comparing states: `Clone`, `Eq` and `Hash` take in all that a session will ever act on, and
/// [`set_back`](Self::set_back) makes those alike that differ in when they were reached.
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl Session {
    /// Makes it one to which everything happened that much earlier: what is told it at `now` does
    /// what it would have done at `now + by`.
    pub fn set_back(&mut self, by: Duration) {
        for at in [&mut self.now, &mut self.last_activity] {
            *at = set_back(*at, by);
        }
        self.awake_or_due = self.awake_or_due.map(|at| set_back(at, by));
    }
}

/// Clocks begin somewhere; nothing is earlier than that.
pub(crate) fn set_back(at: Instant, by: Duration) -> Instant {
    at.checked_sub(by).unwrap_or(at)
}
