//! Which of the streams that can be opened have been: so that nothing need be remembered of those
//! that are gone.
//!
//! QUIC hands out ids of one kind in order, so what has been seen is one range with a few gaps.
//! A gap is a stream that the peer has opened implicitly and still owes; QUIC's stream limit bounds
//! their number.

use std::collections::BTreeSet;

use crate::{Dir, Side, StreamId, wire::varint};

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct Seen {
    kinds: [Kind; 4],
}

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Kind {
    /// Everything below has been seen, the gaps excepted.
    next: u64,
    gaps: BTreeSet<u64>,
}

/// Gaps beyond this count as seen: a stack that leaves more of them open has no such stream limit.
const MAX_GAPS: usize = 4096;

impl Seen {
    /// Marks a stream. True the first time; never for an id that cannot be.
    pub(crate) fn mark(&mut self, stream: StreamId) -> bool {
        if u64::from(stream) > varint::MAX {
            return false;
        }
        let index = stream.index();
        let Some(kind) = self.kinds.get_mut(slot(stream)) else {
            return false;
        };
        if index < kind.next {
            return kind.gaps.remove(&index);
        }
        let room = u64::try_from(MAX_GAPS.saturating_sub(kind.gaps.len())).unwrap_or(0);
        let first = kind.next.max(index.saturating_sub(room));
        kind.gaps.extend(first..index);
        kind.next = index.saturating_add(1);
        true
    }

    pub(crate) fn contains(&self, stream: StreamId) -> bool {
        self.kinds.get(slot(stream)).is_some_and(|kind| {
            let index = stream.index();
            index < kind.next && !kind.gaps.contains(&index)
        })
    }

    /// The lowest id of a kind that is above all that were seen.
    pub(crate) fn next(&self, initiator: Side, dir: Dir) -> StreamId {
        let kind = self.kinds.get(slot(StreamId::new(initiator, dir, 0)));
        StreamId::new(initiator, dir, kind.map_or(0, |kind| kind.next))
    }
}

fn slot(stream: StreamId) -> usize {
    let initiator = match stream.initiator() {
        Side::Client => 0,
        Side::Server => 1,
    };
    match stream.dir() {
        Dir::Bi => initiator,
        Dir::Uni => initiator + 2,
    }
}
