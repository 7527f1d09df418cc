//! How much a peer may do that costs it next to nothing and us something. What counts is said in
//! [`Limits`](crate::Limits).

use std::time::{Duration, Instant};

/// That many in one second are a flood.
const LIMIT: u32 = 1024;
const WINDOW: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Flood {
    since: Option<Instant>,
    count: u32,
}

impl Flood {
    #[cfg(feature = "testing")]
    pub(super) fn set_back(&mut self, by: Duration) {
        self.since = self.since.map(|at| crate::session::set_back(at, by));
    }

    /// Counts one. True when it is one too many.
    pub(super) fn is_excessive(&mut self, now: Instant) -> bool {
        let fresh = self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= WINDOW);
        if fresh {
            self.since = Some(now);
            self.count = 0;
        }
        self.count += 1;
        self.count > LIMIT
    }
}
