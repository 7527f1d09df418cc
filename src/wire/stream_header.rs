//! What stands in front of a session's stream (§4.2, §4.3): which kind of stream it is, and whose.
//!
//! Reading it is the work of whoever tells streams apart; `varint::Partial` is enough for that.

use super::{frame, varint};
use crate::Dir;

/// The type of a unidirectional stream of a session.
pub(crate) const UNI: u64 = 0x54;
/// The signal at the front of a bidirectional stream of a session.
pub(crate) const BIDI: u64 = frame::WT_STREAM;

/// The header at the front of twelve bytes, and its length, which is at most 10.
pub(crate) const fn encode(dir: Dir, session: u64) -> ([u8; 12], u8) {
    let kind = match dir {
        Dir::Uni => UNI,
        Dir::Bi => BIDI,
    };
    let ([a, b, ..], _) = varint::encode(kind);
    let ([c, d, e, f, g, h, i, j], len) = varint::encode(session);
    let len = match len {
        1 => 3,
        2 => 4,
        4 => 6,
        _ => 10,
    };
    ([a, b, c, d, e, f, g, h, i, j, 0, 0], len)
}

// Both take two bytes.
const _: () = assert!(varint::size(UNI) == 2 && varint::size(BIDI) == 2);

#[cfg(test)]
mod tests;
