//! Bytes on the wire: what RFC 9000, 9114, 9204, 9297 and the draft lay out, and nothing of what it means.
//!
//! Nothing here knows a session, a stream's state or a clock. Whatever is read in pieces is given
//! the same `&mut Bytes` until it answers `None`, and answers the same for every chunking.

pub(crate) mod buffer;
pub(crate) mod capsule;
pub(crate) mod datagram;
pub(crate) mod error_code;
pub(crate) mod frame;
pub(crate) mod qpack;
pub(crate) mod settings;
pub(crate) mod stream_header;
pub(crate) mod tlv;
pub(crate) mod varint;

#[cfg(test)]
mod chunks;
