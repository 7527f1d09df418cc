//! Streams and datagrams that came before their session (§4.6): how many, and for whom.
//!
//! Streams lie parked in their own slots; datagrams for a session that was requested lie in that
//! session. Here are the datagrams that name a request which has not arrived, the index of the
//! streams that do, and the counts of all of them against the limits.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use bytes::Bytes;

use crate::{Dir, Limits, SessionId, StreamId};

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Buffered {
    /// Parked streams whose session was not requested yet.
    orphans: BTreeSet<(SessionId, StreamId)>,
    /// How many were refused before that, of each kind: their peer has counted them, and the
    /// session, should it come, owes credit for them.
    forsaken: BTreeMap<SessionId, Forsaken>,
    datagrams: VecDeque<Datagram>,
    streams: u32,
    datagram_count: usize,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
pub(super) struct Forsaken {
    pub(super) bidi: u32,
    pub(super) uni: u32,
}

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Datagram {
    session: SessionId,
    payload: Bytes,
    since: Instant,
}

impl Buffered {
    pub(super) fn has_stream_room(&self, limits: &Limits) -> bool {
        self.streams < limits.buffered_streams
    }

    pub(super) fn has_byte_room(&self, len: usize, limits: &Limits) -> bool {
        self.bytes.saturating_add(len) <= limits.buffered_bytes
    }

    pub(super) fn has_datagram_room(&self, len: usize, limits: &Limits) -> bool {
        let limit = usize::try_from(limits.buffered_datagrams).unwrap_or(usize::MAX);
        self.datagram_count < limit && self.has_byte_room(len, limits)
    }

    pub(super) fn add_stream(&mut self) {
        self.streams += 1;
    }

    pub(super) fn remove_stream(&mut self, bytes: usize) {
        self.streams = self.streams.saturating_sub(1);
        self.remove_bytes(bytes);
    }

    pub(super) fn add_bytes(&mut self, len: usize) {
        self.bytes += len;
    }

    pub(super) fn remove_bytes(&mut self, len: usize) {
        self.bytes = self.bytes.saturating_sub(len);
    }

    /// A session's own datagrams that wait for its answer: what there was, and what there is.
    pub(super) fn recount(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.datagram_count = (self.datagram_count + after.0).saturating_sub(before.0);
        self.bytes = (self.bytes + after.1).saturating_sub(before.1);
    }

    pub(super) fn add_orphan(&mut self, session: SessionId, stream: StreamId) {
        self.orphans.insert((session, stream));
    }

    pub(super) fn remove_orphan(&mut self, session: SessionId, stream: StreamId) {
        self.orphans.remove(&(session, stream));
    }

    /// A stream was refused whose session was not requested yet.
    pub(super) fn forsake(&mut self, session: SessionId, dir: Dir, limits: &Limits) {
        let limit = limits.buffered_streams.max(limits.sessions);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.forsaken.len() >= limit && !self.forsaken.contains_key(&session) {
            return;
        }
        let forsaken = self.forsaken.entry(session).or_default();
        match dir {
            Dir::Bi => forsaken.bidi = forsaken.bidi.saturating_add(1),
            Dir::Uni => forsaken.uni = forsaken.uni.saturating_add(1),
        }
    }

    pub(super) fn take_forsaken(&mut self, session: SessionId) -> Option<Forsaken> {
        self.forsaken.remove(&session)
    }

    /// The streams that wait for `session` to be requested, in the order of ids.
    pub(super) fn orphans_of(&self, session: SessionId) -> Vec<StreamId> {
        let first = (session, StreamId::from(0));
        let last = (session, StreamId::from(u64::MAX));
        self.orphans
            .range(first..=last)
            .map(|&(_, stream)| stream)
            .collect()
    }

    /// Copies, so that a small datagram does not keep a large buffer of QUIC's alive.
    pub(super) fn add_datagram(&mut self, session: SessionId, payload: &Bytes, now: Instant) {
        self.datagram_count += 1;
        self.bytes += payload.len();
        self.datagrams.push_back(Datagram {
            session,
            payload: Bytes::copy_from_slice(payload),
            since: now,
        });
    }

    /// The datagrams that waited for `session`, in the order of arrival.
    pub(super) fn datagrams_of(&mut self, session: SessionId) -> Vec<Bytes> {
        let mut found = Vec::new();
        self.datagrams.retain(|datagram| {
            let wanted = datagram.session == session;
            if wanted {
                found.push(datagram.payload.clone());
            }
            !wanted
        });
        self.forget(&found);
        self.give_back();
        found
    }

    /// When the oldest datagram came.
    pub(super) fn oldest_datagram(&self) -> Option<Instant> {
        self.datagrams.front().map(|datagram| datagram.since)
    }

    /// Drops the datagrams that came at `until` or before, and gives their number.
    pub(super) fn expire_datagrams(&mut self, until: Instant) -> u64 {
        let mut expired = Vec::new();
        while self.oldest_datagram().is_some_and(|since| since <= until) {
            expired.extend(self.datagrams.pop_front().map(|datagram| datagram.payload));
        }
        self.forget(&expired);
        self.give_back();
        u64::try_from(expired.len()).unwrap_or(u64::MAX)
    }

    #[cfg(feature = "testing")]
    pub(super) fn set_back(&mut self, by: std::time::Duration) {
        for datagram in &mut self.datagrams {
            datagram.since = crate::session::set_back(datagram.since, by);
        }
    }

    /// What many datagrams needed is not kept for none.
    fn give_back(&mut self) {
        if self.datagrams.is_empty() {
            self.datagrams = VecDeque::new();
        }
    }

    fn forget(&mut self, payloads: &[Bytes]) {
        self.datagram_count = self.datagram_count.saturating_sub(payloads.len());
        self.remove_bytes(payloads.iter().map(Bytes::len).sum());
    }
}
