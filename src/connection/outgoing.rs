//! Protocol bytes of one stream on their way to QUIC: one write outstanding at a time.
//!
//! What the bytes mean is not known here. A write is taken when it is polled, so that bytes queued
//! meanwhile go with it, and bytes of a stream that was reset are never offered.

use bytes::{Buf, Bytes, BytesMut};

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Outgoing {
    /// Offered to QUIC, what it left of that, or what is offered next.
    front: Bytes,
    /// Queued behind what was offered; never empty. Few streams ever have it.
    back: Option<Box<BytesMut>>,
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
        self.front.len() + self.back.as_ref().map_or(0, |back| back.len())
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
        if !data.is_empty() {
            self.append(data);
        }
        self.fin = fin;
        if queue {
            self.state = State::Queued;
        }
        queue
    }

    fn append(&mut self, data: Bytes) {
        match (&mut self.back, self.state) {
            (None, State::Idle) => self.front = data,
            (None, State::Queued) => {
                let mut front = BytesMut::from(std::mem::take(&mut self.front));
                front.extend_from_slice(&data);
                self.front = front.freeze();
            }
            (back, _) => back.get_or_insert_default().extend_from_slice(&data),
        }
    }

    /// The write to offer to QUIC.
    pub(super) fn offer(&mut self) -> Option<(Bytes, bool)> {
        if self.state != State::Queued {
            return None;
        }
        if self.front.is_empty() {
            self.front = self
                .back
                .take()
                .map_or_else(Bytes::new, |back| back.freeze());
        }
        let fin = self.fin && self.back.is_none();
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
        } else if self.back.is_none() && !self.fin {
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
