//! What waits to be polled: actions before events, each in its own order.
//!
//! A write is queued as a mark only: its bytes are taken when it is polled.

use http::{HeaderMap, HeaderValue};

use crate::{Action, CloseReason, Event, Limits, StreamId, queue::Queue};

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Outputs {
    actions: Queue<Queued, KEPT>,
    events: Queue<Event, KEPT>,
    datagrams: u32,
    bytes: usize,
}

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) enum Queued {
    Write(StreamId),
    Action(Action),
}

/// Room for so many stays when all were polled.
const KEPT: usize = 64;
/// What an event costs beside what it holds.
const EVENT: usize = size_of::<Event>();
/// What a message costs beside its fields.
const REQUEST: usize = 512;
/// What a field costs beside its text.
const FIELD: usize = 192;

impl Outputs {
    pub(super) fn action(&mut self, action: Action) {
        self.actions.push(Queued::Action(action));
    }

    pub(super) fn write(&mut self, stream: StreamId) {
        self.actions.push(Queued::Write(stream));
    }

    #[inline]
    pub(super) fn event(&mut self, event: Event) {
        self.bytes += cost(&event);
        self.events.push(event);
    }

    /// False when there are too many already: the newest is dropped.
    #[inline]
    pub(super) fn datagram(&mut self, event: Event, limits: &Limits) -> bool {
        let room = self.datagrams < limits.undelivered_datagrams;
        if room {
            self.datagrams += 1;
            self.events.push(event);
        }
        room
    }

    /// Whether a poll finds something, be it a mark that has lost its meaning.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.is_action_waiting() || !self.events.is_empty()
    }

    #[inline]
    pub(super) fn is_action_waiting(&self) -> bool {
        !self.actions.is_empty()
    }

    #[inline]
    pub(super) fn next_action(&mut self) -> Option<Queued> {
        self.actions.pop()
    }

    /// The event that is polled now: it no longer counts as undelivered.
    #[inline]
    pub(super) fn release_event(&mut self) -> Option<&Event> {
        let event = self.events.front()?;
        if matches!(event, Event::DatagramReceived { .. }) {
            self.datagrams -= 1;
        } else {
            self.bytes -= cost(event);
        }
        Some(event)
    }

    /// Takes what was [released](Self::release_event).
    #[inline]
    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Bytes of events that the application has not polled, datagrams aside.
    pub(super) fn undelivered(&self) -> usize {
        self.bytes
    }

    /// Drops the actions: there is no QUIC to perform them.
    pub(super) fn drop_actions(&mut self) {
        self.actions.clear();
    }
}

/// What an event holds: about as much as its parts occupy, so that headers weigh what they cost.
#[inline]
fn cost(event: &Event) -> usize {
    if let Event::StreamData { data, .. } = event {
        EVENT + data.len()
    } else if matches!(event, Event::StreamOpened { .. }) {
        EVENT
    } else {
        EVENT + held_by_others(event)
    }
}

#[inline(never)]
fn held_by_others(event: &Event) -> usize {
    match event {
        Event::SessionRequested { request, .. } => {
            let offered = request
                .protocols
                .iter()
                .map(|name| name.as_str().len() + 16);
            let uri = request
                .uri
                .authority()
                .map_or(0, |host| host.as_str().len())
                + request
                    .uri
                    .path_and_query()
                    .map_or(0, |path| path.as_str().len());
            let origin = request.origin.as_ref().map_or(0, HeaderValue::len);
            REQUEST + uri + origin + offered.sum::<usize>() + weight(&request.headers)
        }
        Event::SessionOpened { response, .. } => REQUEST + weight(&response.headers),
        Event::SessionClosed { reason, .. } => match reason {
            CloseReason::Rejected { rejection, .. } => REQUEST + weight(&rejection.headers),
            CloseReason::Peer { message, .. } => message.size(),
            CloseReason::Local { .. }
            | CloseReason::Aborted { .. }
            | CloseReason::Withdrawn { .. }
            | CloseReason::Violation(_)
            | CloseReason::TimedOut(_)
            | CloseReason::ConnectionLost(_) => 0,
        },
        Event::Ready(_)
        | Event::StreamData { .. }
        | Event::Unsupported(_)
        | Event::SessionDraining { .. }
        | Event::PriorityChanged { .. }
        | Event::DatagramReceived { .. }
        | Event::StreamOpened { .. }
        | Event::StreamReset { .. }
        | Event::StreamStopped { .. }
        | Event::StreamWritable { .. }
        | Event::StreamsAvailable { .. }
        | Event::ConnectionClosed { .. } => 0,
    }
}

fn weight(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| FIELD + name.as_str().len() + value.len())
        .sum()
}
