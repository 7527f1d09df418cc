//! HTTP/3 frames (RFC 9114 §7.2): their types, and how to write them. `tlv` reads them.
//!
//! Which frame may come on which stream is not known here.

use bytes::{Buf, BufMut, Bytes};

use super::{buffer::Buffer, varint};

pub(crate) const DATA: u64 = 0x0;
pub(crate) const HEADERS: u64 = 0x1;
pub(crate) const CANCEL_PUSH: u64 = 0x3;
pub(crate) const SETTINGS: u64 = 0x4;
pub(crate) const PUSH_PROMISE: u64 = 0x5;
pub(crate) const GOAWAY: u64 = 0x7;
pub(crate) const MAX_PUSH_ID: u64 = 0xd;
/// §4.3: no frame, but the signal that a bidirectional stream carries a session's data.
pub(crate) const WT_STREAM: u64 = 0x41;
/// RFC 9218 §7.2, of a request.
pub(crate) const PRIORITY_UPDATE_REQUEST: u64 = 0xf0700;
/// RFC 9218 §7.2, of a push.
pub(crate) const PRIORITY_UPDATE_PUSH: u64 = 0xf0701;

/// RFC 9114 §7.2.8: types that only HTTP/2 has, and whose receipt is an error.
pub(crate) const fn is_reserved_http2(kind: u64) -> bool {
    matches!(kind, 0x02 | 0x06 | 0x08 | 0x09)
}

/// Appends the type and length of a frame.
pub(crate) fn put_header(out: &mut impl BufMut, kind: u64, len: u64) {
    varint::put(out, kind);
    varint::put(out, len);
}

/// A whole frame, or a whole capsule: they have one shape. One allocation.
pub(crate) fn encode(kind: u64, payload: &[u8]) -> Bytes {
    let mut out = Buffer::new();
    put(&mut out, kind, payload);
    out.freeze()
}

/// Appends a whole frame.
pub(crate) fn put(out: &mut Buffer, kind: u64, payload: &[u8]) {
    varint::write(out, kind);
    varint::write(out, u64::try_from(payload.len()).unwrap_or(u64::MAX));
    out.put(payload);
}

/// A whole frame whose payload is written behind room for type and length, which are not known before.
pub(crate) fn encode_with<R>(kind: u64, write: impl FnOnce(&mut Buffer) -> R) -> (Bytes, R) {
    /// Two of the longest integers.
    const ROOM: usize = 16;
    let mut out = Buffer::new();
    out.put(&[0; ROOM]);
    let result = write(&mut out);
    let len = u64::try_from(out.as_ref().len().saturating_sub(ROOM)).unwrap_or(u64::MAX);
    let (kind, kind_size) = varint::bits(kind);
    let (len, len_size) = varint::bits(len);
    // Both at once, at the end of the room.
    if let Some(room) = out.as_mut().first_chunk_mut::<ROOM>() {
        *room = (u128::from(kind) << (8 * len_size) | u128::from(len)).to_be_bytes();
    }
    let mut frame = out.freeze();
    frame.advance(ROOM.saturating_sub(kind_size + len_size));
    (frame, result)
}

/// The integer that the payload of GOAWAY, MAX_PUSH_ID and CANCEL_PUSH consists of, or `None` if it does not.
pub(crate) fn single_varint(payload: &[u8]) -> Option<u64> {
    // RFC 9114 §7.1: "A frame payload that contains additional bytes after the identified fields
    // or a frame payload that terminates before the end of the identified fields MUST be treated
    // as a connection error of type H3_FRAME_ERROR."
    varint::get(payload)
        .filter(|&(_, len)| len == payload.len())
        .map(|(value, _)| value)
}

#[cfg(test)]
mod tests;
