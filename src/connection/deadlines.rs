//! When each stream next needs the clock: at most one instant a stream.
//!
//! Which deadline it is, the slot knows. A session that hears from its peer does not touch this:
//! its inactivity is armed for the time that was known last and moved when that has come.

use std::{collections::BTreeSet, time::Instant};

use crate::StreamId;

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Deadlines {
    /// The first of them: of most connections the only one.
    first: Option<(Instant, StreamId)>,
    /// Those behind it.
    rest: BTreeSet<(Instant, StreamId)>,
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
            self.remove((at, stream));
        }
        if let Some(at) = due {
            self.insert((at, stream));
        }
        *armed = due;
    }

    fn insert(&mut self, new: (Instant, StreamId)) {
        let behind = match self.first {
            Some(first) if first < new => new,
            first => {
                self.first = Some(new);
                match first {
                    Some(first) => first,
                    None => return,
                }
            }
        };
        self.rest.insert(behind);
    }

    fn remove(&mut self, old: (Instant, StreamId)) {
        if self.first == Some(old) {
            self.drop_first();
        } else {
            self.rest.remove(&old);
            self.give_back();
        }
    }

    fn drop_first(&mut self) {
        self.first = None;
        // Nearly always it was the only one.
        if !self.rest.is_empty() {
            self.first = self.rest.pop_first();
            self.give_back();
        }
    }

    /// Empty, the tree would keep room for eleven.
    fn give_back(&mut self) {
        if self.rest.is_empty() {
            self.rest = BTreeSet::new();
        }
    }

    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.first.map(|(at, _)| at)
    }

    /// The next stream whose deadline has come. Its slot no longer has one.
    pub(super) fn expired(&mut self, now: Instant) -> Option<StreamId> {
        let (_, stream) = self.first.filter(|&(at, _)| at <= now)?;
        self.drop_first();
        Some(stream)
    }

    #[cfg(feature = "testing")]
    pub(super) fn set_back(&mut self, by: std::time::Duration) {
        let set_back = |(at, stream)| (crate::session::set_back(at, by), stream);
        self.first = self.first.map(set_back);
        self.rest = std::mem::take(&mut self.rest)
            .into_iter()
            .map(set_back)
            .collect();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "an origin; only offsets from it matter"
)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn they_come_in_the_order_of_time_however_they_were_moved() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::default();
        let mut armed = [None; 5];
        let moves = [
            (0, Some(30)),
            (1, Some(20)),
            (2, Some(40)),
            (1, Some(50)),
            (3, Some(10)),
            (4, Some(30)),
            (2, None),
            (3, Some(60)),
        ];
        for (stream, due) in moves {
            let armed = &mut armed[stream];
            let stream = StreamId::from(u64::try_from(stream).unwrap());
            deadlines.arm(stream, armed, due.map(at));
        }
        assert_eq!(deadlines.next(), Some(at(30)));
        assert_eq!(deadlines.expired(at(29)), None);
        let order: Vec<_> = std::iter::from_fn(|| deadlines.expired(at(100))).collect();
        assert_eq!(order, [0, 4, 1, 3].map(StreamId::from));
        assert_eq!(deadlines.next(), None);
    }
}
