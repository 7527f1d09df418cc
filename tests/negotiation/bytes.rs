//! Reads what was written, by hand.

use webtransport_session::{Action, Output, StreamId};

pub fn get(bytes: &[u8]) -> (u64, &[u8]) {
    let len = 1 << (bytes[0] >> 6);
    let (number, rest) = bytes.split_at(len);
    let value = number
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte));
    (value & !(3 << (8 * len - 2)), rest)
}

/// Types and payloads, one after the other.
pub fn tlvs(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (kind, rest) = get(bytes);
        let (len, rest) = get(rest);
        let (payload, rest) = rest.split_at(len as usize);
        found.push((kind, payload));
        bytes = rest;
    }
    found
}

pub fn is_reserved(kind: u64) -> bool {
    kind >= 0x21 && (kind - 0x21) % 0x1f == 0
}

pub fn is_reserved_capsule(kind: u64) -> bool {
    kind >= 0x17 && (kind - 0x17) % 0x29 == 0
}

/// What goes out on a stream.
pub fn written(outputs: &[Output], stream: impl Into<StreamId>) -> Vec<u8> {
    let wanted = stream.into();
    let mut bytes = Vec::new();
    for output in outputs {
        match output {
            Output::Action(Action::Write { stream, data, .. }) if *stream == wanted => {
                bytes.extend_from_slice(data);
            }
            _ => {}
        }
    }
    bytes
}
