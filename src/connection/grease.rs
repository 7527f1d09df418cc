//! GREASE: what every peer has to ignore, sent so that it stays so (RFC 9114 §7.2.8, RFC 9297 §5.4).
//!
//! One reserved setting, frames and capsules, and one stream of a reserved type. All of it follows
//! from the configured seed and from where it stands: the same seed gives the same bytes. What of
//! the peer's is ignored is decided where it is read.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Connection, slot::Slot};
use crate::{
    Action, Dir, StreamId,
    wire::{error_code::H3_NO_ERROR, frame, varint},
};

impl Connection {
    /// The SETTINGS that go out, with a reserved one among them.
    pub(super) fn greased_settings(
        &self,
        ours: impl Iterator<Item = (u64, u64)> + Clone,
    ) -> impl Iterator<Item = (u64, u64)> {
        let reserved = self.random(Place::Settings).map(|mut random| {
            let at = random.below(ours.clone().count() + 1);
            (at, (random.reserved(), random.number()))
        });
        let (at, reserved) = reserved.unzip();
        let at = at.unwrap_or(0);
        ours.clone().take(at).chain(reserved).chain(ours.skip(at))
    }

    /// What follows the SETTINGS on our control stream.
    pub(super) fn control_grease(&self) -> Bytes {
        self.random(Place::Control)
            .map_or_else(Bytes::new, |mut random| random.frame())
    }

    /// Sends what follows our HEADERS on a CONNECT stream: a reserved frame and a reserved capsule.
    ///
    /// §3.2: "a client MAY optimistically send capsules on the CONNECT stream before receiving the
    /// server's response."
    pub(super) fn send_grease(&mut self, stream: StreamId) {
        let Some(mut random) = self.random(Place::Connect(stream)) else {
            return;
        };
        let other = random.frame();
        let payload = random.payload();
        let capsule = frame::encode(random.reserved_capsule(), &payload);
        let capsule = frame::encode(frame::DATA, &capsule);
        let mut parts = [other, capsule];
        if random.below(2) == 0 {
            parts.reverse();
        }
        self.send(stream, parts.concat().into(), false);
    }

    // ---- the stream

    pub(super) fn may_grease(&self) -> bool {
        self.config.grease.is_some() && !self.has_greased && !self.is_ending()
    }

    pub(super) fn bind_grease(&mut self, stream: StreamId) {
        let is_ours = stream.initiator() == self.side && stream.dir() == Dir::Uni;
        let Some(mut random) = self.random(Place::Stream) else {
            return;
        };
        if !is_ours || !self.seen.mark(stream) {
            return;
        }
        self.has_greased = true;
        self.slots.insert(stream, Slot::Grease(Default::default()));
        // RFC 9114 §6.2.3: "the payload and length of the stream are selected in any manner the
        // sending implementation chooses."
        let mut bytes = BytesMut::new();
        varint::put(&mut bytes, random.reserved());
        bytes.put_slice(&random.payload());
        self.send(stream, bytes.freeze(), true);
    }

    /// QUIC took some of it.
    pub(super) fn grease_written(&mut self, stream: StreamId) {
        if self.outgoing(stream).is_some_and(|out| out.is_finished()) {
            self.slots.remove(stream);
        }
    }

    /// The peer does not want the rest, as is its right.
    pub(super) fn grease_stopped(&mut self, stream: StreamId) {
        let left = self.outgoing(stream).map_or(0, |out| out.len());
        self.unwritten -= left;
        self.slots.remove(stream);
        // RFC 9114 §6.2.3: "either the H3_NO_ERROR error code or a reserved error code […] SHOULD
        // be used."
        self.out.action(Action::Reset {
            stream,
            code: H3_NO_ERROR,
            reliable_size: 0,
        });
    }

    /// `None`: nothing is to be sent.
    fn random(&self, place: Place) -> Option<Random> {
        let seed = self.config.grease?;
        let place = match place {
            Place::Settings => 1,
            Place::Control => 2,
            Place::Stream => 3,
            Place::Connect(stream) => u64::from(stream).wrapping_add(4),
        };
        Some(Random(seed.wrapping_add(place.wrapping_mul(Random::STEP))))
    }
}

/// Where it stands, so that what stands there depends on nothing else.
#[derive(Clone, Copy, Debug)]
enum Place {
    Settings,
    Control,
    Stream,
    Connect(StreamId),
}

/// A sequence of numbers that look random (SplitMix64). Written out here, so that a tree without
/// features needs no crate for it.
#[derive(Debug)]
struct Random(u64);

impl Random {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    /// Bytes of a payload, at most.
    const PAYLOAD: usize = 16;

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// Below 2^56, and of any length.
    fn number(&mut self) -> u64 {
        let shift = 8 + self.next() % 48;
        self.next() >> shift
    }

    /// Of a setting, a frame or a stream: RFC 9114 §7.2.8: "Frame types of the format 0x1f * N + 0x21
    /// for non-negative integer values of N are reserved to exercise the requirement that unknown
    /// types be ignored".
    fn reserved(&mut self) -> u64 {
        0x1f * self.number() + 0x21
    }

    /// RFC 9297 §5.4: "Capsule types with a value of the form 0x29 * N + 0x17 for integer values of N
    /// are reserved".
    fn reserved_capsule(&mut self) -> u64 {
        0x29 * self.number() + 0x17
    }

    fn payload(&mut self) -> Vec<u8> {
        let len = self.below(Self::PAYLOAD + 1);
        let bytes = std::iter::repeat_with(|| self.next().to_be_bytes());
        bytes.flatten().take(len).collect()
    }

    fn frame(&mut self) -> Bytes {
        let payload = self.payload();
        frame::encode(self.reserved(), &payload)
    }
}

#[cfg(test)]
mod tests;
