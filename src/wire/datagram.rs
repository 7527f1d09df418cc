//! HTTP datagrams in QUIC DATAGRAM frames (RFC 9297 §2.1): whose they are.
//!
//! Whether that session exists is not known here.

use bytes::{Buf, Bytes};

use super::varint;

/// RFC 9297 §2.1: a stream id is at most 2^62-1, so a quarter of one is at most this.
const MAX_QUARTER: u64 = (1 << 60) - 1;

/// The CONNECT stream's id and the payload, or `None`: H3_DATAGRAM_ERROR.
#[inline]
pub(crate) fn parse(mut data: Bytes) -> Option<(u64, Bytes)> {
    // RFC 9297 §2.1: a payload too short for the Quarter Stream ID field, and a value above 2^60-1,
    // are each a connection error of type H3_DATAGRAM_ERROR.
    let (quarter, len) = varint::get(&data)?;
    if quarter > MAX_QUARTER {
        return None;
    }
    data.advance(len);
    Some((quarter * 4, data))
}

/// What goes in front of a payload: at the front of eight bytes, and its length.
#[inline]
pub(crate) const fn header(session: u64) -> ([u8; 8], u8) {
    let (bytes, len) = varint::encode(session / 4);
    let len = match len {
        1 => 1,
        2 => 2,
        4 => 4,
        _ => 8,
    };
    (bytes, len)
}

#[cfg(test)]
mod tests;
