//! Protocol bytes of one stream on their way to QUIC: one write outstanding at a time.
//!
//! What the bytes mean is not known here. A write is taken when it is polled, so that bytes queued
//! meanwhile go with it, and bytes of a stream that was reset are never offered.

use bytes::{Buf, Bytes, BytesMut};

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Outgoing {
    /// Offered to QUIC, or what it left of that.
    front: Bytes,
    /// Queued behind.
    back: Bytes,
    /// FIN after the last byte.
    fin: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
enum State {
    /// Nothing to write.
    #[default]
    Idle,
    /// Waits to be polled.
    Queued,
    /// Polled, perhaps with the FIN; the answer is owed.
    Offered { fin: bool },
    /// QUIC took less than all.
    Blocked,
    /// QUIC has everything and the FIN.
    Finished,
}

impl Outgoing {
    pub(super) fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Whether QUIC has every byte that was queued, and the FIN if there was to be one.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.state, State::Idle | State::Finished)
    }

    /// Bytes that QUIC has not taken.
    pub(super) fn len(&self) -> usize {
        self.front.len() + self.back.len()
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.state == State::Blocked
    }

    /// Queues bytes, and perhaps the FIN. True when a write must now be polled.
    #[must_use]
    pub(super) fn push(&mut self, data: Bytes, fin: bool) -> bool {
        if self.fin {
            return false;
        }
        let queue = self.state == State::Idle && (!data.is_empty() || fin);
        if self.back.is_empty() {
            self.back = data;
        } else {
            let mut back = BytesMut::from(std::mem::take(&mut self.back));
            back.extend_from_slice(&data);
            self.back = back.freeze();
        }
        self.fin = fin;
        if queue {
            self.state = State::Queued;
        }
        queue
    }

    /// The write to offer to QUIC.
    pub(super) fn offer(&mut self) -> Option<(Bytes, bool)> {
        if self.state != State::Queued {
            return None;
        }
        if self.front.is_empty() {
            self.front = std::mem::take(&mut self.back);
        }
        let fin = self.fin && self.back.is_empty();
        self.state = State::Offered { fin };
        Some((self.front.clone(), fin))
    }

    /// What QUIC took of the last offer. True when a write must now be polled.
    #[must_use]
    pub(super) fn written(&mut self, len: usize, fin: bool) -> bool {
        let State::Offered { fin: offered_fin } = self.state else {
            return false;
        };
        self.front.advance(len.min(self.front.len()));
        if !self.front.is_empty() || (offered_fin && !fin) {
            self.state = State::Blocked;
            return false;
        }
        // Empty, it would still keep the allocation alive.
        self.front = Bytes::new();
        self.state = if offered_fin {
            State::Finished
        } else if self.back.is_empty() && !self.fin {
            State::Idle
        } else {
            State::Queued
        };
        self.state == State::Queued
    }

    /// QUIC takes bytes again. True when a write must now be polled.
    #[must_use]
    pub(super) fn writable(&mut self) -> bool {
        let blocked = self.is_blocked();
        if blocked {
            self.state = State::Queued;
        }
        blocked
    }
}
