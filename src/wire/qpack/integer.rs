//! Integers that begin inside a byte (RFC 7541 §5.1, RFC 9204 §4.1.1).

use super::super::{buffer::Buffer, varint};

/// RFC 9204 §4.1.1: 62 bits must be understood. That many fit in nine bytes after the first.
const MAX_CONTINUATION: u32 = 9;

/// Takes an integer off the front whose first `bits` bits are the low ones of the first byte, `1 <= bits <= 8`.
/// `None`: it is cut off, or longer or larger than any that an honest encoder writes.
#[inline]
pub(super) fn take(input: &mut &[u8], bits: u32) -> Option<u64> {
    let (&first, rest) = input.split_first()?;
    *input = rest;
    let full = full_prefix(bits);
    let value = first & full;
    if value < full {
        Some(value.into())
    } else {
        continued(input, value)
    }
}

/// The rest of an integer that does not fit in its first byte.
#[inline(never)]
fn continued(input: &mut &[u8], prefix: u8) -> Option<u64> {
    let mut value = u64::from(prefix);
    let mut shift = 0;
    loop {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        // Nine times seven bits and a prefix cannot overflow.
        value += u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
        // RFC 7541 §5.1: "Integer encodings that exceed implementation limits -- in value or
        // octet length -- MUST be treated as decoding errors."
        if shift >= 7 * MAX_CONTINUATION {
            return None;
        }
    }
    (value <= varint::MAX).then_some(value)
}

/// Appends `value`; `pattern` is what stands above its first `bits` bits, `1 <= bits <= 8`.
#[inline]
pub(super) fn put(out: &mut Buffer, pattern: u8, bits: u32, value: usize) {
    let full = full_prefix(bits);
    match u8::try_from(value) {
        Ok(value) if value < full => out.push(pattern | value),
        _ => {
            out.push(pattern | full);
            put_rest(out, value.saturating_sub(full.into()));
        }
    }
}

/// What is left of an integer behind a full prefix.
#[inline(never)]
fn put_rest(out: &mut Buffer, mut rest: usize) {
    while rest >= 0x80 {
        out.push(0x80 | low_seven(rest));
        rest >>= 7;
    }
    out.push(low_seven(rest));
}

/// The first `bits` bits all set: the value goes on in the next byte.
const fn full_prefix(bits: u32) -> u8 {
    if bits < 8 { (1 << bits) - 1 } else { u8::MAX }
}

fn low_seven(value: usize) -> u8 {
    value.to_le_bytes().first().map_or(0, |byte| byte & 0x7f)
}

#[cfg(test)]
mod tests;
