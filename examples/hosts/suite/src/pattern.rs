//! The bytes that streams carry here: each depends on its place, so that what is lost, doubled or in
//! disorder is seen.

/// Fills `bytes` with what stands at `offset` and behind.
pub(crate) fn fill(bytes: &mut [u8], offset: u64) {
    for (at, byte) in (offset..).zip(bytes) {
        *byte = byte_at(at);
    }
}

/// Whether `bytes` are what stands at `offset`.
pub(crate) fn matches(bytes: &[u8], offset: u64) -> bool {
    (offset..).zip(bytes).all(|(at, byte)| *byte == byte_at(at))
}

fn byte_at(at: u64) -> u8 {
    // 251 is a prime: no power of two is a period.
    u8::try_from(at % 251).unwrap_or_default()
}
