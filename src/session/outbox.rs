//! What waits to be polled from a session: actions before events, each in its own order.
//!
//! Nearly always nothing does, so that the queues have a place of their own, which a connection lends
//! to whichever of its sessions is at work.

use bytes::Bytes;

use super::{Action, Event};
use crate::queue::Queue;

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone))]
pub(crate) struct Outbox {
    queues: Option<Box<Queues>>,
}

/// Room for outputs.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Queues {
    actions: Queue<Action, KEPT>,
    events: Queue<Event, KEPT>,
    /// How many of the events are datagrams.
    datagrams: u32,
}

/// Room for so many stays when all were polled.
const KEPT: usize = 16;

impl Outbox {
    pub(super) fn action(&mut self, action: Action) {
        self.queues().actions.push(action);
    }

    pub(super) fn event(&mut self, event: Event) {
        self.queues().events.push(event);
    }

    /// False when there are `limit` already: the newest is dropped. One chunk can hold thousands.
    pub(super) fn datagram(&mut self, payload: Bytes, limit: u32) -> bool {
        let queues = self.queues();
        let room = queues.datagrams < limit;
        if room {
            queues.datagrams += 1;
            self.event(Event::DatagramReceived { payload });
        }
        room
    }

    pub(super) fn next_action(&mut self) -> Option<Action> {
        self.queues.as_mut()?.actions.pop()
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        let queues = self.queues.as_mut()?;
        let event = queues.events.pop()?;
        if matches!(event, Event::DatagramReceived { .. }) {
            queues.datagrams -= 1;
        }
        Some(event)
    }

    /// There is nobody to perform them.
    pub(super) fn drop_actions(&mut self) {
        if let Some(queues) = &mut self.queues {
            queues.actions.clear();
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        match &self.queues {
            Some(queues) => queues.actions.is_empty() && queues.events.is_empty(),
            None => true,
        }
    }

    /// Takes the room that `other` has, unless this has some of its own. `other` is empty.
    pub(crate) fn borrow_room(&mut self, other: &mut Self) {
        if self.queues.is_none() {
            self.queues = other.queues.take();
        }
    }

    /// Takes back what was lent. `other` is empty.
    pub(crate) fn take_back(&mut self, other: &mut Self) {
        if let Some(queues) = other.queues.take() {
            self.queues = Some(queues);
        }
    }

    fn queues(&mut self) -> &mut Queues {
        self.queues.get_or_insert_default()
    }
}

/// Room in which nothing lies is no difference.
#[cfg(feature = "testing")]
impl PartialEq for Outbox {
    fn eq(&self, other: &Self) -> bool {
        match (self.is_empty(), other.is_empty()) {
            (false, false) => self.queues == other.queues,
            (is_empty, other) => is_empty == other,
        }
    }
}

#[cfg(feature = "testing")]
impl Eq for Outbox {}

#[cfg(feature = "testing")]
impl std::hash::Hash for Outbox {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let queues = self.queues.as_ref().filter(|_| !self.is_empty());
        queues.hash(state);
    }
}
