//! Writes field sections that refer to the static table only.

use super::super::buffer::Buffer;
use super::integer;
use super::static_table::{self, Line, Name};

/// Appends one field section to a buffer.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    out: &'a mut Buffer,
    size: u64,
}

impl<'a> Encoder<'a> {
    /// Writes the prefix: nothing inserted, base 0.
    pub(crate) fn new(out: &'a mut Buffer) -> Self {
        out.put(&[0, 0]);
        Self { out, size: 0 }
    }

    /// The size of the section as RFC 9114 §4.2.2 counts it, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Writes a field line, in the shortest way that needs neither a dynamic table nor Huffman coding.
    pub(crate) fn encode_field(&mut self, name: &[u8], value: &[u8]) {
        self.count(name, value);
        // RFC 9204 §7.1.3: "An encoder might also choose not to index values for fields that are
        // considered to be highly valuable or sensitive to recovery, such as the Cookie or
        // Authorization header fields." The bit asks the same of those who pass it on.
        let never_indexed = matches!(name, b"authorization" | b"cookie");
        if let Some(first) = static_table::find(name) {
            let pattern = if never_indexed {
                0b0111_0000
            } else {
                0b0101_0000
            };
            self.encode_after(first, pattern, value);
        } else {
            let pattern = if never_indexed {
                0b0011_0000
            } else {
                0b0010_0000
            };
            integer::put(self.out, pattern, 3, name.len());
            self.out.put(name);
            self.encode_value(value);
        }
    }

    /// The same of one that was looked up when compiling.
    #[inline]
    pub(crate) fn encode_line(&mut self, line: Line) {
        let (name, value) = static_table::get(line.0.into()).unwrap_or_default();
        self.count(name, value);
        integer::put(self.out, 0b1100_0000, 6, usize::from(line.0));
    }

    /// The same of a name that was looked up when compiling, and is no secret's.
    #[inline]
    pub(crate) fn encode_known(&mut self, name: Name, value: &[u8]) {
        self.count(name.text, value);
        self.encode_after(name.first, 0b0101_0000, value);
    }

    /// With the name at this index of the static table; `pattern` is for when the value is not there.
    #[inline]
    fn encode_after(&mut self, first: u8, pattern: u8, value: &[u8]) {
        if let Some(index) = static_table::find_value(first, value) {
            integer::put(self.out, 0b1100_0000, 6, usize::from(index));
        } else {
            integer::put(self.out, pattern, 4, usize::from(first));
            self.encode_value(value);
        }
    }

    #[inline]
    fn encode_value(&mut self, value: &[u8]) {
        integer::put(self.out, 0, 7, value.len());
        self.out.put(value);
    }

    #[inline]
    fn count(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len().saturating_add(value.len()).saturating_add(32);
        self.size += u64::try_from(size).unwrap_or(u64::MAX);
    }
}
