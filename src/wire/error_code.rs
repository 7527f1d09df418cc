//! Error codes as they are on the wire, and the range that carries an application's own (§4.4).
//!
//! When to use which is not known here.

// RFC 9114 §8.1
pub(crate) const H3_NO_ERROR: u64 = 0x100;
pub(crate) const H3_GENERAL_PROTOCOL_ERROR: u64 = 0x101;
pub(crate) const H3_STREAM_CREATION_ERROR: u64 = 0x103;
pub(crate) const H3_CLOSED_CRITICAL_STREAM: u64 = 0x104;
pub(crate) const H3_FRAME_UNEXPECTED: u64 = 0x105;
pub(crate) const H3_FRAME_ERROR: u64 = 0x106;
pub(crate) const H3_EXCESSIVE_LOAD: u64 = 0x107;
pub(crate) const H3_ID_ERROR: u64 = 0x108;
pub(crate) const H3_SETTINGS_ERROR: u64 = 0x109;
pub(crate) const H3_MISSING_SETTINGS: u64 = 0x10a;
pub(crate) const H3_REQUEST_REJECTED: u64 = 0x10b;
pub(crate) const H3_REQUEST_CANCELLED: u64 = 0x10c;
pub(crate) const H3_REQUEST_INCOMPLETE: u64 = 0x10d;
pub(crate) const H3_MESSAGE_ERROR: u64 = 0x10e;

// RFC 9297 §5.2
pub(crate) const H3_DATAGRAM_ERROR: u64 = 0x33;

// RFC 9204 §8.3
pub(crate) const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
pub(crate) const QPACK_ENCODER_STREAM_ERROR: u64 = 0x201;
pub(crate) const QPACK_DECODER_STREAM_ERROR: u64 = 0x202;

// §9.5
pub(crate) const WT_BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;
pub(crate) const WT_SESSION_GONE: u64 = 0x170d_7b68;
pub(crate) const WT_FLOW_CONTROL_ERROR: u64 = 0x045d_4487;
pub(crate) const WT_ALPN_ERROR: u64 = 0x0817_b3dd;
pub(crate) const WT_REQUIREMENTS_NOT_MET: u64 = 0x212c_0d48;

/// §4.4: "0x00000000 corresponds to 0x52e4a40fa8db, and 0xffffffff corresponds to 0x52e5ac983162."
const FIRST: u64 = 0x52e4_a40f_a8db;
const LAST: u64 = 0x52e5_ac98_3162;
/// RFC 9114 §8.1: every code of the form 0x1f * N + 0x21 is reserved.
const PERIOD: u64 = 0x1f;

/// The code on the wire for an application's own.
pub(crate) const fn from_application(code: u32) -> u64 {
    let code = code as u64;
    // One reserved code follows each 0x1e that are not.
    FIRST + code + code / (PERIOD - 1)
}

/// The application's own code, or `None` where the one on the wire is not of an application.
pub(crate) fn to_application(code: u64) -> Option<u32> {
    // §4.4: "there are codepoints inside that range of form "0x1f * N + 0x21" that are reserved"
    if !(FIRST..=LAST).contains(&code) || (code - 0x21) % PERIOD == 0 {
        return None;
    }
    let shifted = code - FIRST;
    u32::try_from(shifted - shifted / PERIOD).ok()
}

#[cfg(test)]
mod tests;
