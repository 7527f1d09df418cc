//! Writes field sections that refer to the static table only.

use super::super::buffer::Buffer;
use super::integer;
use super::static_table::{self, Line, Name};

/// A field line written when compiling: of its name and value neither is in the static table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal {
    bytes: [u8; Self::MAX],
    len: usize,
    size: u64,
}

impl Literal {
    const MAX: usize = 32;

    /// Fails when compiling for what has no room, or a length that looks otherwise.
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "evaluated when compiling only"
    )]
    pub(crate) const fn of(name: &[u8], value: &[u8]) -> Self {
        // RFC 9204 §4.5.6: three bits of the name's length in the first byte, here all set.
        assert!(name.len() >= 7 && name.len() < 7 + 0x80 && value.len() < 0x7f);
        let mut bytes = [0; Self::MAX];
        bytes[0] = 0b0010_0111;
        bytes[1] = name.len() as u8 - 7;
        let behind_name = 2 + name.len();
        bytes[behind_name] = value.len() as u8;
        let mut at = 0;
        while at < name.len() {
            bytes[2 + at] = name[at];
            at += 1;
        }
        at = 0;
        while at < value.len() {
            bytes[behind_name + 1 + at] = value[at];
            at += 1;
        }
        Self {
            bytes,
            len: behind_name + 1 + value.len(),
            size: (name.len() + value.len() + 32) as u64,
        }
    }
}

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

    /// The same of one that was written when compiling.
    #[inline]
    pub(crate) fn encode_literal(&mut self, line: &Literal) {
        self.size += line.size;
        self.out.put(line.bytes.get(..line.len).unwrap_or_default());
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
