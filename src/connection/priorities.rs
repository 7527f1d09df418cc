//! How urgent clients say that their sessions are: PRIORITY_UPDATE (RFC 9218 §7), for sessions and
//! for requests that have not come yet.
//!
//! What a priority means, and the Priority field, are in [`crate::priority`].

use std::collections::BTreeMap;

use super::{Connection, slot::Slot};
use crate::{
    Dir, Event, Http3Error, Priority, SessionId, Side, StreamId,
    wire::{frame, varint},
};

/// The last priority of each request that is not a session's yet.
pub(super) type Priorities = BTreeMap<StreamId, Priority>;

impl Connection {
    /// Server: a PRIORITY_UPDATE frame, or its front where `is_cut`.
    pub(super) fn priority_update(
        &mut self,
        kind: u64,
        payload: &[u8],
        is_cut: bool,
    ) -> Result<(), Http3Error> {
        let Some((id, id_len)) = varint::get(payload) else {
            return if is_cut {
                Ok(())
            } else {
                Err(Http3Error::Frame)
            };
        };
        let stream = StreamId::from(id);
        let is_request = stream.initiator() == Side::Client && stream.dir() == Dir::Bi;
        // RFC 9218 §7.2: "If a server receives a PRIORITY_UPDATE (type=0xF0700) for a stream ID that
        // is not a request stream, this MUST be treated as a connection error of type H3_ID_ERROR."
        // So is a push (0xF0701) "that has not yet been promised", and none ever is.
        if kind == frame::PRIORITY_UPDATE_PUSH || !is_request {
            return Err(Http3Error::Id);
        }
        let value = payload.get(id_len..).filter(|_| !is_cut);
        // RFC 9218 §7: failure to parse MAY be an error. It is only a hint.
        if let Some(priority) = value.and_then(Priority::of_update) {
            self.reprioritize(stream, priority);
        }
        Ok(())
    }

    fn reprioritize(&mut self, stream: StreamId, priority: Priority) {
        if let Some(Slot::Connect(connect)) = self.slots.get_mut(stream) {
            let is_live = connect.session.is_requested() || connect.session.is_open();
            if is_live && connect.priority != priority {
                connect.priority = priority;
                let session = connect.session.id();
                self.out.event(Event::PriorityChanged { session, priority });
            }
            return;
        }
        if !self.may_become_session(stream) {
            return;
        }
        // RFC 9218 §7: "Servers SHOULD buffer the most recently received PRIORITY_UPDATE frame and
        // apply it once the referenced stream is opened. Holding PRIORITY_UPDATE frames for each
        // stream requires server resources, which can be bounded by local implementation policy."
        let mut priorities = std::mem::take(&mut self.priorities);
        let limit = self.config.limits.unanswered_requests;
        let has_room = |priorities: &Priorities| {
            priorities.contains_key(&stream)
                || u32::try_from(priorities.len()).is_ok_and(|count| count < limit)
        };
        // Not each time, so that as many as are kept cost no more for each.
        if !has_room(&priorities) {
            priorities.retain(|&stream, _| self.may_become_session(stream));
        }
        if has_room(&priorities) {
            priorities.insert(stream, priority);
        }
        self.priorities = priorities;
    }

    /// Its request has not come, or waits for the SETTINGS.
    fn may_become_session(&self, stream: StreamId) -> bool {
        match self.slots.get(stream) {
            None => self.is_unseen(stream),
            Some(Slot::Preamble(_)) => true,
            Some(Slot::Request(request)) => !request.is_answered(),
            Some(_) => false,
        }
    }

    pub(super) fn session_priority(&self, session: SessionId) -> Option<Priority> {
        let connect = self.connect_stream(session)?;
        (!connect.session.is_closed()).then_some(connect.priority)
    }
}
