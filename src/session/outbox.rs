//! What waits to be polled from a session: actions before events, each in its own order.
//!
//! Nearly always nothing does, so that the queues have a place of their own, which a connection lends
//! to whichever of its sessions is at work.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Action, Event};

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone))]
pub(crate) struct Outbox {
    queues: Option<Box<Queues>>,
}

/// Room for outputs.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Queues {
    actions: VecDeque<Action>,
    /// The event that is polled next: mostly the only one.
    first: Option<Event>,
    /// Those behind it.
    events: VecDeque<Event>,
    /// How many of the events are datagrams.
    datagrams: u32,
}

/// Room for so many stays when all were polled.
const KEPT: usize = 16;

impl Outbox {
    pub(super) fn action(&mut self, action: Action) {
        self.queues().actions.push_back(action);
    }

    pub(super) fn event(&mut self, event: Event) {
        let queues = self.queues();
        if queues.first.is_none() {
            queues.first = Some(event);
        } else {
            queues.events.push_back(event);
        }
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
        let actions = &mut self.queues.as_mut()?.actions;
        let action = actions.pop_front()?;
        give_back(actions);
        Some(action)
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        let queues = self.queues.as_mut()?;
        let event = queues.first.take()?;
        if matches!(event, Event::DatagramReceived { .. }) {
            queues.datagrams -= 1;
        }
        if !queues.events.is_empty() {
            queues.first = queues.events.pop_front();
            give_back(&mut queues.events);
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
            Some(queues) => queues.actions.is_empty() && queues.first.is_none(),
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

fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT {
        *queue = VecDeque::new();
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
