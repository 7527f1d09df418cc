//! One end of a [`Pair`](super::Pair): the machine, what it told, and what QUIC holds for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use super::Machine;
use crate::{Connection, Dir, Input, SessionId, StreamId};

/// QUIC's idle timeout at both ends.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// One end of a [`Pair`](super::Pair).
#[derive(Debug)]
pub struct End<M: Machine = Connection> {
    /// The machine itself. Command it as you like;
    /// [`Pair::run`](super::Pair::run) carries out what it wants. Do not poll it.
    pub machine: M,
    pub(super) events: VecDeque<M::Event>,
    pub(super) quic: Quic,
}

/// QUIC as this end sees it.
#[derive(Debug)]
pub(super) struct Quic {
    /// What it holds of each stream until that is read.
    pub(super) inbox: BTreeMap<StreamId, VecDeque<Input>>,
    /// Streams of which the machine was told.
    pub(super) heard: BTreeSet<StreamId>,
    /// Streams of which a write was not taken as a whole.
    pub(super) blocked: BTreeSet<StreamId>,
    /// Streams that are not read any more.
    pub(super) stopped: BTreeSet<StreamId>,
    /// Streams of which nothing can come any more.
    pub(super) finished: BTreeSet<StreamId>,
    opened_bi: u64,
    opened_uni: u64,
    pub(super) closed: bool,
    /// When QUIC gives up, should nothing arrive.
    pub(super) idle: Instant,
}

impl<M: Machine> End<M> {
    pub(super) fn new(machine: M, now: Instant) -> Self {
        Self {
            machine,
            events: VecDeque::new(),
            quic: Quic {
                inbox: BTreeMap::new(),
                heard: BTreeSet::new(),
                blocked: BTreeSet::new(),
                stopped: BTreeSet::new(),
                finished: BTreeSet::new(),
                opened_bi: 0,
                opened_uni: 0,
                closed: false,
                idle: now + IDLE_TIMEOUT,
            },
        }
    }

    /// The next event that was not taken.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.events.pop_front()
    }

    /// The events that were not taken, which stay.
    pub fn events(&self) -> impl Iterator<Item = &M::Event> + '_ {
        self.events.iter()
    }

    /// All events that were not taken.
    pub fn take_events(&mut self) -> Vec<M::Event> {
        self.events.drain(..).collect()
    }

    pub(super) fn has_opened(&self, session: SessionId) -> bool {
        self.events.iter().any(|event| M::opens(event, session))
    }

    /// What happens here next, if nothing arrives.
    pub(super) fn deadline(&self, cut: bool) -> Option<Instant> {
        if self.quic.closed {
            return None;
        }
        let idle = cut.then_some(self.quic.idle);
        self.machine.poll_timeout().into_iter().chain(idle).min()
    }

    /// The stream that QUIC would open next.
    pub(super) fn peek_stream(&self, dir: Dir) -> StreamId {
        let index = match dir {
            Dir::Bi => self.quic.opened_bi,
            Dir::Uni => self.quic.opened_uni,
        };
        StreamId::new(self.machine.side(), dir, index)
    }

    pub(super) fn next_stream(&mut self, dir: Dir) -> StreamId {
        let stream = self.peek_stream(dir);
        match dir {
            Dir::Bi => self.quic.opened_bi += 1,
            Dir::Uni => self.quic.opened_uni += 1,
        }
        stream
    }
}
