//! Strings in the Huffman code of RFC 7541 appendix B, which QPACK shares. Read only: we write none.
//!
//! A table of eight bits a step: nearly every character of a header is one step. It is made when compiling,
//! from the lengths of the codes alone, because the code is canonical.

use std::slice::IterMut;

use super::Error;

/// Appends what `source` stands for to `out`, at most `room` bytes of it.
pub(super) fn decode(source: &[u8], out: &mut Vec<u8>, room: usize) -> Result<(), Error> {
    // The shortest code has five bits: no more than this can come out.
    let most = room.min(source.len().saturating_mul(8) / 5);
    let start = out.len();
    let end = start.saturating_add(most);
    out.resize(end, 0);
    let mut slots = out.get_mut(start..).unwrap_or_default().iter_mut();
    let result = fill(source, &mut slots);
    let unused = slots.len();
    out.truncate(end.saturating_sub(unused));
    result
}

/// Puts one byte into each slot; too few of them are `TooLarge`.
fn fill(source: &[u8], slots: &mut IterMut<'_, u8>) -> Result<(), Error> {
    let mut rest = source;
    // The next `count` bits of `source` on top, zeros below.
    let mut bits: u64 = 0;
    let mut count: u32 = 0;
    let [root, ..] = &STEPS;
    let mut node = root;
    loop {
        if count < 8 {
            if let Some((&chunk, after)) = rest.split_first_chunk() {
                rest = after;
                count += 32;
                bits |= u64::from(u32::from_be_bytes(chunk)) << (64 - count);
            } else if let Some((&byte, after)) = rest.split_first() {
                rest = after;
                count += 8;
                bits |= u64::from(byte) << (64 - count);
            } else {
                break;
            }
        }
        let [next, ..] = bits.to_be_bytes();
        let used = match step(node, next) {
            Step::Symbol { symbol, len } => {
                *slots.next().ok_or(Error::TooLarge)? = symbol;
                node = root;
                len
            }
            Step::Node(below) => {
                node = STEPS.get(usize::from(below)).unwrap_or(root);
                8
            }
            // RFC 7541 §5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be
            // treated as a decoding error."
            Step::EndOfString => return Err(Error::Decompression),
        };
        bits <<= used;
        count -= u32::from(used);
    }
    // Less than eight bits are left. Behind them it goes on with ones, as a padding does.
    loop {
        let [next, ..] = bits.to_be_bytes();
        let next = next | u8::MAX.checked_shr(count).unwrap_or(0);
        match step(node, next) {
            Step::Symbol { symbol, len } if u32::from(len) <= count => {
                *slots.next().ok_or(Error::TooLarge)? = symbol;
                node = root;
                bits <<= len;
                count -= u32::from(len);
            }
            // RFC 7541 §5.2: "A padding strictly longer than 7 bits MUST be treated as a decoding
            // error. A padding not corresponding to the most significant bits of the code for the
            // EOS symbol MUST be treated as a decoding error."
            Step::Node(_) if std::ptr::eq(node, root) && next == u8::MAX => return Ok(()),
            Step::Symbol { .. } | Step::Node(_) | Step::EndOfString => {
                return Err(Error::Decompression);
            }
        }
    }
}

/// What eight bits mean after those that led to a node.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A code ends after the first `len` of them, `1 <= len <= 8`.
    Symbol {
        symbol: u8,
        len: u8,
    },
    /// No code ends yet.
    Node(u8),
    EndOfString,
}

/// What eight bits mean at one node.
type Steps = [Step; 256];

/// As many as there are beginnings of 0, 8, 16 and 24 bits that are no whole code.
const NODES: usize = 15;
/// The root first.
static STEPS: [Steps; NODES] = steps();

#[inline]
fn step(node: &Steps, bits: u8) -> Step {
    node.get(usize::from(bits))
        .copied()
        .unwrap_or(Step::EndOfString)
}

const END_OF_STRING: usize = 256;
const LONGEST: u32 = 30;

/// How many bits the code of each byte has, then that of EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// Gives out the codes in order of length and then of symbol, which is what canonical means.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when compiling only"
)]
const fn steps() -> [Steps; NODES] {
    let mut steps = [[Step::EndOfString; 256]; NODES];
    let mut nodes = 1;
    let mut code: u32 = 0;
    let mut len = 1;
    while len <= LONGEST {
        code <<= 1;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as u32 == len {
                // Down the tree, a byte of the code at a time, to the node where it ends.
                let path = (code << (32 - len)).to_be_bytes();
                let depth = (len as usize - 1) / 8;
                let mut node = 0;
                let mut at = 0;
                while at < depth {
                    let below = &mut steps[node][path[at] as usize];
                    node = match *below {
                        Step::Node(below) => below as usize,
                        Step::Symbol { .. } | Step::EndOfString => {
                            *below = Step::Node(nodes as u8);
                            nodes += 1;
                            nodes - 1
                        }
                    };
                    at += 1;
                }
                // All that begins with the last bits of the code.
                let last = len as usize - 8 * depth;
                let step = if symbol == END_OF_STRING {
                    Step::EndOfString
                } else {
                    Step::Symbol {
                        symbol: symbol as u8,
                        len: last as u8,
                    }
                };
                let mut tail = 0;
                while tail < 1 << (8 - last) {
                    steps[node][path[depth] as usize + tail] = step;
                    tail += 1;
                }
                code += 1;
            }
            symbol += 1;
        }
        len += 1;
    }
    assert!(nodes == NODES && code == 1 << LONGEST);
    steps
}

#[cfg(test)]
mod tests;
