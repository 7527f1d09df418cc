//! Counts of what was absorbed without an event.

/// What was absorbed and refused, for a metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams of sessions that were gone, refused, never requested, or over a limit.
    pub datagrams_absorbed: u64,
    /// The peer's streams that were refused: their session was gone, or there was no room.
    pub streams_refused: u64,
    /// Requests that were not announced: malformed, over a limit, or not for a session.
    pub requests_refused: u64,
}

impl Stats {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            datagrams_absorbed: self.datagrams_absorbed + other.datagrams_absorbed,
            streams_refused: self.streams_refused + other.streams_refused,
            requests_refused: self.requests_refused + other.requests_refused,
        }
    }
}
