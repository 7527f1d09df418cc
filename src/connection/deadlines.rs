//! When each stream next needs the clock: at most one instant a stream.
//!
//! Which deadline it is, the slot knows. A session that hears from its peer does not touch this:
//! its inactivity is armed for the time that was known last and moved when that has come.

use std::{collections::BTreeSet, time::Instant};

use crate::StreamId;

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Deadlines {
    queue: BTreeSet<(Instant, StreamId)>,
}

impl Deadlines {
    /// Moves a stream's deadline from `armed`, which the slot remembers, to `due`.
    pub(super) fn arm(
        &mut self,
        stream: StreamId,
        armed: &mut Option<Instant>,
        due: Option<Instant>,
    ) {
        if *armed == due {
            return;
        }
        if let Some(at) = *armed {
            self.queue.remove(&(at, stream));
            if self.queue.is_empty() {
                // Empty, it would keep room for eleven: most sessions that are open wait for nothing.
                self.queue = BTreeSet::new();
            }
        }
        if let Some(at) = due {
            self.queue.insert((at, stream));
        }
        *armed = due;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// The next stream whose deadline has come. Its slot no longer has one.
    pub(super) fn expired(&mut self, now: Instant) -> Option<StreamId> {
        let &(at, stream) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some(stream)
    }

    #[cfg(feature = "testing")]
    pub(super) fn set_back(&mut self, by: std::time::Duration) {
        self.queue = std::mem::take(&mut self.queue)
            .into_iter()
            .map(|(at, stream)| (crate::session::set_back(at, by), stream))
            .collect();
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}
