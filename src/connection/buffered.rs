//! Streams and datagrams that came before their session (§4.6): how many, and for whom.
//!
//! Streams lie parked in their own slots; datagrams for a session that was requested lie in that
//! session. Here are the datagrams that name a request which has not arrived, the index of the
//! streams that do, the number of those that were refused, and all of it against the limits.

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
    /// Those that were refused before that.
    forsaken: Option<Box<Forsaken>>,
    datagrams: VecDeque<Datagram>,
    streams: u32,
    datagram_count: usize,
    bytes: usize,
}

/// Streams that were refused before their session was requested: the peer has counted them, and the
/// session, should it come, owes credit for them.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Forsaken {
    owed: BTreeMap<SessionId, Owed>,
    /// When the last of them was refused.
    at: Instant,
}

/// How many streams, of each kind.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "testing", derive(PartialEq, Eq, Hash))]
pub(super) struct Owed {
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

    /// A stream was refused whose session was not requested yet. Beyond the limit it is forgotten, as
    /// it is with time: an honest peer has no more requests on their way, nor for so long.
    pub(super) fn forsake(&mut self, session: SessionId, dir: Dir, now: Instant, limits: &Limits) {
        let limit = limits.buffered_streams.max(limits.sessions);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let forsaken = self.forsaken.get_or_insert_with(|| {
            Box::new(Forsaken {
                owed: BTreeMap::new(),
                at: now,
            })
        });
        forsaken.at = now;
        if forsaken.owed.len() >= limit && !forsaken.owed.contains_key(&session) {
            return;
        }
        let owed = forsaken.owed.entry(session).or_default();
        match dir {
            Dir::Bi => owed.bidi = owed.bidi.saturating_add(1),
            Dir::Uni => owed.uni = owed.uni.saturating_add(1),
        }
    }

    /// How many were refused before their session, which has come.
    pub(super) fn take_forsaken(&mut self, session: SessionId) -> Option<Owed> {
        let forsaken = self.forsaken.as_mut()?;
        let owed = forsaken.owed.remove(&session);
        if forsaken.owed.is_empty() {
            self.forsaken = None;
        }
        owed
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

    /// Since when the first waits of what [expires](Self::expire).
    pub(super) fn oldest(&self) -> Option<Instant> {
        let forsaken = self.forsaken.as_ref().map(|forsaken| forsaken.at);
        self.oldest_datagram().into_iter().chain(forsaken).min()
    }

    fn oldest_datagram(&self) -> Option<Instant> {
        self.datagrams.front().map(|datagram| datagram.since)
    }

    /// Drops what has waited since `until` or longer, and gives the number of datagrams.
    pub(super) fn expire(&mut self, until: Instant) -> u64 {
        self.forsaken.take_if(|forsaken| forsaken.at <= until);
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
        if let Some(forsaken) = &mut self.forsaken {
            forsaken.at = crate::session::set_back(forsaken.at, by);
        }
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
