//! Field sections (RFC 9204) with the static table only: capacity 0, no blocked streams.
//!
//! Strict where a peer could be: what needs a dynamic table, or is coded in a way that no conformant encoder
//! writes, is an error of the connection. What the fields mean, and whether they may stand so, is not known here.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod static_table;

pub(crate) use decoder::decode;
pub(crate) use encoder::{Encoder, Literal};
pub(crate) use static_table::{Line, Name};

/// Why a field section was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// QPACK_DECOMPRESSION_FAILED, of the connection.
    Decompression,
    /// Its size is over the limit; an error of this message only.
    TooLarge,
}

#[cfg(test)]
mod tests;
