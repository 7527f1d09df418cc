//! Which sessions there are, in order: so that nobody need look through all streams for them.

use std::ops::Range;

use crate::SessionId;

/// Eight bytes each and little more, as there may be many, and most often there is one. What an
/// end moves up are these alone.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Connects(Vec<SessionId>);

/// Room for so many stays when all are gone.
const KEPT: usize = 4;

impl Connects {
    pub(super) fn insert(&mut self, session: SessionId) {
        let Err(at) = self.0.binary_search(&session) else {
            return;
        };
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(KEPT.max(self.0.len() / 4));
        }
        self.0.insert(at, session);
    }

    pub(super) fn remove(&mut self, session: SessionId) {
        let Ok(at) = self.0.binary_search(&session) else {
            return;
        };
        self.0.remove(at);
        if self.0.capacity() > KEPT.max(self.0.len() * 4) {
            self.0.shrink_to(KEPT.max(self.0.len() * 2));
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.0.iter().copied()
    }

    /// Ascending.
    pub(super) fn range(&self, range: Range<SessionId>) -> &[SessionId] {
        let place = |id| self.0.partition_point(|session| *session < id);
        let places = place(range.start)..place(range.end);
        self.0.get(places).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn they_are_a_set_in_order_that_takes_no_more_than_it_needs() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut connects, mut expected) = (Connects::default(), BTreeSet::new());
        for step in 0..4_000 {
            let [one, other] =
                [(); 2].map(|()| SessionId::from_connect_stream((4 * random.u64(..400)).into()));
            // First there come more than go.
            if random.u32(..4_000) > step {
                connects.insert(one);
                expected.insert(one);
            } else {
                connects.remove(one);
                expected.remove(&one);
            }
            assert!(connects.iter().eq(expected.iter().copied()));
            assert_eq!(connects.is_empty(), expected.is_empty());
            let range = one.min(other)..one.max(other);
            let found = connects.range(range.clone()).iter();
            assert!(found.eq(expected.range(range)));
            assert!(connects.0.capacity() <= KEPT.max(expected.len() * 4));
        }
    }
}
