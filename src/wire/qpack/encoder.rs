//! Writes field sections that refer to the static table only.

use super::integer;
use super::static_table::{self, Match};

/// Appends one field section to a buffer.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    size: u64,
}

impl<'a> Encoder<'a> {
    /// Writes the prefix: nothing inserted, base 0.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        out.extend_from_slice(&[0, 0]);
        Self { out, size: 0 }
    }

    /// The size of the section as RFC 9114 §4.2.2 counts it, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Writes a field line, in the shortest way that needs neither a dynamic table nor Huffman coding.
    pub(crate) fn encode_field(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len().saturating_add(value.len()).saturating_add(32);
        self.size += u64::try_from(size).unwrap_or(u64::MAX);
        // RFC 9204 §7.1.3: "An encoder might also choose not to index values for fields that are
        // considered to be highly valuable or sensitive to recovery, such as the Cookie or
        // Authorization header fields." The bit asks the same of those who pass it on.
        let never_indexed = matches!(name, b"authorization" | b"cookie");
        match static_table::find(name, value) {
            Match::Field(index) => {
                integer::put(self.out, 0b1100_0000, 6, usize::from(index));
                return;
            }
            Match::Name(index) => {
                let pattern = if never_indexed {
                    0b0111_0000
                } else {
                    0b0101_0000
                };
                integer::put(self.out, pattern, 4, usize::from(index));
            }
            Match::None => {
                let pattern = if never_indexed {
                    0b0011_0000
                } else {
                    0b0010_0000
                };
                integer::put(self.out, pattern, 3, name.len());
                self.out.extend_from_slice(name);
            }
        }
        integer::put(self.out, 0, 7, value.len());
        self.out.extend_from_slice(value);
    }
}
