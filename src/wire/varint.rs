//! QUIC's variable-length integers (RFC 9000 §16), whole and in pieces.
//!
//! Any encoding of a value is accepted, the shortest is written. What a number means is decided elsewhere.

use bytes::{Buf, BufMut, Bytes};

use super::buffer::Buffer;

/// The largest value that has an encoding.
pub(crate) const MAX: u64 = (1 << 62) - 1;

/// How many bytes the shortest encoding of `v` takes; 8 above `MAX`.
pub(crate) const fn size(v: u64) -> usize {
    match v {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// The shortest encoding at the front of eight bytes, and its length. Above `MAX` it is that of `MAX`.
#[inline]
pub(crate) const fn encode(v: u64) -> ([u8; 8], usize) {
    let (front, len) = front(v);
    (front.to_be_bytes(), len)
}

/// The same as the low bytes of an integer in network order.
#[inline]
pub(crate) const fn bits(v: u64) -> (u64, usize) {
    let (front, len) = front(v);
    (front >> (64 - 8 * len), len)
}

/// The same as the high bytes.
#[inline]
const fn front(v: u64) -> (u64, usize) {
    let v = if v > MAX { MAX } else { v };
    let len = size(v);
    // RFC 9000 §16: the two most significant bits are the base-2 logarithm of the length.
    let log = len.trailing_zeros() as u64;
    (v << (64 - 8 * len) | log << 62, len)
}

/// Appends the shortest encoding of `v`. Above `MAX` it is that of `MAX`.
pub(crate) fn put(out: &mut impl BufMut, v: u64) {
    let (bytes, len) = encode(v);
    out.put_slice(bytes.get(..len).unwrap_or_default());
}

/// The same into a buffer of ours.
pub(crate) fn write(out: &mut Buffer, v: u64) {
    let (bytes, len) = encode(v);
    out.put_front(bytes, len);
}

/// The value at the front of `bytes` and its length, or `None` if it is not all there.
#[inline]
pub(crate) fn get(bytes: &[u8]) -> Option<(u64, usize)> {
    match bytes.first()? >> 6 {
        0 => bytes.first().map(|&v| (u64::from(v), 1)),
        1 => bytes
            .first_chunk()
            .map(|&v| (u64::from(u16::from_be_bytes(v) & 0x3fff), 2)),
        2 => bytes
            .first_chunk()
            .map(|&v| (u64::from(u32::from_be_bytes(v) & 0x3fff_ffff), 4)),
        _ => bytes
            .first_chunk()
            .map(|&v| (u64::from_be_bytes(v) & MAX, 8)),
    }
}

/// One integer after another, each assembled over any chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
pub(crate) struct Partial {
    value: u64,
    missing: u8,
}

impl Partial {
    pub(crate) const fn new() -> Self {
        Self {
            value: 0,
            missing: 0,
        }
    }

    /// Whether no byte of an integer has been read.
    pub(crate) const fn is_empty(self) -> bool {
        self.missing == 0
    }

    /// Takes bytes off `input` until an integer is complete. `None`: wants more.
    #[inline]
    pub(crate) fn read(&mut self, input: &mut Bytes) -> Option<u64> {
        if self.is_empty() {
            if let Some((value, len)) = get(input) {
                input.advance(len);
                return Some(value);
            }
        }
        self.read_bytewise(input)
    }

    fn read_bytewise(&mut self, input: &mut Bytes) -> Option<u64> {
        while let Some(&byte) = input.first() {
            input.advance(1);
            if self.is_empty() {
                self.missing = (1 << (byte >> 6)) - 1;
                self.value = u64::from(byte & 0x3f);
            } else {
                self.missing -= 1;
                self.value = self.value << 8 | u64::from(byte);
            }
            if self.missing == 0 {
                return Some(self.value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
