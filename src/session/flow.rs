//! Session flow control (§5), as sums: what the peer may still send and open here, and what we may
//! there.
//!
//! Counts only. Which capsule says so, and what it means to go beyond a limit, is `facts.rs`'s.

use crate::{Dir, FlowControl, Violation};

/// §5.6.2: "This value cannot exceed 2^60, as it is not possible to encode stream IDs larger than
/// 2^62-1."
pub(super) const MAX_STREAMS: u64 = 1 << 60;
/// What a variable-length integer can say.
const MAX_DATA: u64 = (1 << 62) - 1;

#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Flow {
    pub(super) received: Windows,
    pub(super) sent: Allowances,
    /// How far QUIC lets a stream run ahead of its reader, in bytes.
    pub(super) stream_window: u64,
}

/// What we allow the peer.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Windows {
    pub(super) data: Window,
    bidi: Window,
    uni: Window,
}

/// What the peer allows us.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Allowances {
    pub(super) data: Allowance,
    bidi: Allowance,
    uni: Allowance,
}

/// A limit of ours that moves on as the peer's use of it is over and done with.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Window {
    /// How far the limit stays ahead of what was given back.
    size: u64,
    /// What the peer was told.
    limit: u64,
    used: u64,
    returned: u64,
    max: u64,
    /// Whether a peer that has used it up is told of every unit that was given back.
    eager: bool,
}

/// A limit of the peer's.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Allowance {
    limit: u64,
    used: u64,
    max: u64,
    /// The limit that the peer was told to be in our way.
    complained: Option<u64>,
}

impl Flow {
    pub(super) fn new(ours: FlowControl, theirs: FlowControl, stream_window: u64) -> Self {
        Self {
            received: Windows {
                data: Window::new(ours.max_data, MAX_DATA, false),
                bidi: Window::new(ours.max_streams_bidi, MAX_STREAMS, true),
                uni: Window::new(ours.max_streams_uni, MAX_STREAMS, true),
            },
            sent: Allowances {
                data: Allowance::new(theirs.max_data, MAX_DATA),
                bidi: Allowance::new(theirs.max_streams_bidi, MAX_STREAMS),
                uni: Allowance::new(theirs.max_streams_uni, MAX_STREAMS),
            },
            stream_window,
        }
    }
}

impl Windows {
    pub(super) fn streams(&mut self, dir: Dir) -> &mut Window {
        match dir {
            Dir::Bi => &mut self.bidi,
            Dir::Uni => &mut self.uni,
        }
    }
}

impl Allowances {
    pub(super) fn streams(&mut self, dir: Dir) -> &mut Allowance {
        match dir {
            Dir::Bi => &mut self.bidi,
            Dir::Uni => &mut self.uni,
        }
    }
}

impl Window {
    fn new(size: u64, max: u64, eager: bool) -> Self {
        let size = size.min(max);
        Self {
            size,
            limit: size,
            used: 0,
            returned: 0,
            max,
            eager,
        }
    }

    /// The peer used so much more. False when that is more than it may.
    pub(super) fn take(&mut self, amount: u64) -> bool {
        self.used = self.used.saturating_add(amount);
        self.used <= self.limit
    }

    /// What the peer may still use, and may have used without our having seen it.
    pub(super) fn unused(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// How much to give back where nobody knows what was used. All that went unseen so far fits into
    /// what is left of the limit, and all but `size` of that was given back before.
    pub(super) fn lost(&self) -> u64 {
        self.unused().min(self.size)
    }

    /// So much of it is over and done with.
    pub(super) fn give(&mut self, amount: u64) {
        self.returned = self.returned.saturating_add(amount);
    }

    /// The limit that the peer is to be told now. `None`: not worth a capsule yet. `asked`: the peer
    /// says that the limit is in its way.
    pub(super) fn update(&mut self, asked: bool) -> Option<u64> {
        let next = self.returned.saturating_add(self.size).min(self.max);
        let raise = next.saturating_sub(self.limit);
        let is_due =
            asked || raise >= self.size.div_ceil(2) || (self.eager && self.used >= self.limit);
        if raise == 0 || !is_due {
            return None;
        }
        self.limit = next;
        Some(next)
    }
}

impl Allowance {
    fn new(limit: u64, max: u64) -> Self {
        Self {
            limit: limit.min(max),
            used: 0,
            max,
            complained: None,
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Uses some of it; what was asked for is [`left`](Self::left).
    pub(super) fn take(&mut self, amount: u64) {
        self.used = self.used.saturating_add(amount);
    }

    /// The peer gives a new limit. `may_repeat`: the same one again is no mistake.
    pub(super) fn raise(&mut self, limit: u64, may_repeat: bool) -> Result<(), Violation> {
        if limit > self.max {
            return Err(Violation::LimitTooHigh);
        }
        // §5.6.2, §5.6.4: "that does not increase the […] value previously received, it MUST close
        // the WebTransport session with a WT_FLOW_CONTROL_ERROR error code"
        if limit < self.limit || (limit == self.limit && !may_repeat) {
            return Err(Violation::LimitNotRaised);
        }
        self.limit = limit;
        Ok(())
    }

    /// Something could not be done for want of it: the limit to complain of, once for each.
    pub(super) fn complain(&mut self) -> Option<u64> {
        if self.complained == Some(self.limit) {
            return None;
        }
        self.complained = Some(self.limit);
        self.complained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_beyond_what_can_be_said_of_it() {
        let all = FlowControl {
            max_data: u64::MAX,
            max_streams_bidi: u64::MAX,
            max_streams_uni: u64::MAX,
        };
        let mut flow = Flow::new(all, all, 0);
        assert_eq!(flow.received.data.unused(), 0x3fff_ffff_ffff_ffff);
        assert_eq!(flow.sent.data.left(), 0x3fff_ffff_ffff_ffff);
        for dir in [Dir::Bi, Dir::Uni] {
            assert_eq!(flow.received.streams(dir).unused(), 1 << 60);
            assert_eq!(flow.sent.streams(dir).left(), 1 << 60);
        }
    }

    #[test]
    fn a_window_moves_when_half_of_it_was_given_back() {
        let mut window = Window::new(10, MAX_DATA, false);
        assert!(window.take(10));
        window.give(4);
        assert_eq!(window.update(false), None);
        window.give(1);
        assert_eq!(window.update(false), Some(15));
        assert_eq!(window.update(false), None);
        assert!(window.take(5));
        assert!(!window.take(1));
    }

    #[test]
    fn who_asks_is_given_what_there_is_and_nothing_twice() {
        let mut window = Window::new(10, MAX_DATA, false);
        assert_eq!(window.update(true), None);
        window.give(1);
        assert_eq!(window.update(true), Some(11));
        assert_eq!(window.update(true), None);
    }

    #[test]
    fn an_eager_window_frees_a_peer_that_has_used_it_up() {
        let mut window = Window::new(10, MAX_STREAMS, true);
        assert!(window.take(9));
        window.give(1);
        assert_eq!(window.update(false), None);
        assert!(window.take(1));
        assert_eq!(window.update(false), Some(11));
    }

    #[test]
    fn a_window_never_opens_beyond_what_can_be_said() {
        let mut window = Window::new(u64::MAX, MAX_STREAMS, true);
        assert!(window.take(MAX_STREAMS));
        window.give(MAX_STREAMS);
        assert_eq!(window.update(true), None);
        assert!(!window.take(u64::MAX));
    }

    #[test]
    fn a_window_of_nothing_stays_shut() {
        let mut window = Window::new(0, MAX_DATA, true);
        assert_eq!(window.update(true), None);
        assert!(!window.take(1));
    }

    #[test]
    fn limits_only_rise() {
        let mut allowance = Allowance::new(3, MAX_STREAMS);
        assert_eq!(
            allowance.raise(MAX_STREAMS + 1, false),
            Err(Violation::LimitTooHigh)
        );
        assert_eq!(allowance.raise(3, false), Err(Violation::LimitNotRaised));
        assert_eq!(allowance.raise(3, true), Ok(()));
        assert_eq!(allowance.raise(2, true), Err(Violation::LimitNotRaised));
        assert_eq!(allowance.raise(MAX_STREAMS, false), Ok(()));
        allowance.take(4);
        assert_eq!(allowance.left(), MAX_STREAMS - 4);
    }

    #[test]
    fn each_limit_is_complained_of_once() {
        let mut allowance = Allowance::new(0, MAX_DATA);
        assert_eq!(allowance.complain(), Some(0));
        assert_eq!(allowance.complain(), None);
        allowance.raise(5, false).unwrap();
        assert_eq!(allowance.complain(), Some(5));
    }
}
