//! Reads a field section, and refuses all that a peer without a dynamic table of ours may not write.

use super::{Error, huffman, integer, static_table};

/// RFC 9114 §4.2.2: what each field line counts beside its name and its value.
const FIELD_OVERHEAD: usize = 32;

/// Gives each field line of a section to `on_field`, name and value, in order.
///
/// `limit` bounds the sum of names, values and 32 for each line (RFC 9114 §4.2.2), and nothing is expanded beyond
/// it. `on_field` cannot stop the reading: an error of the section is one of the connection, and must be found also
/// behind a line that makes the message malformed. Lines before an error have been given already.
///
/// No allocation, unless something is Huffman-coded: then one buffer for all lines.
pub(crate) fn decode(
    section: &[u8],
    limit: usize,
    mut on_field: impl FnMut(&[u8], &[u8]),
) -> Result<(), Error> {
    let mut rest = prefix(section).ok_or(Error::Decompression)?;
    let mut room = limit;
    let mut scratch = Vec::new();
    while !rest.is_empty() {
        let (name, value) = line(&mut rest).ok_or(Error::Decompression)?;
        room = room.checked_sub(FIELD_OVERHEAD).ok_or(Error::TooLarge)?;
        if let (Text::Plain(name), Text::Plain(value)) = (name, value) {
            room = room
                .checked_sub(name.len())
                .and_then(|room| room.checked_sub(value.len()))
                .ok_or(Error::TooLarge)?;
            on_field(name, value);
            continue;
        }
        scratch.clear();
        // Once, for the longest that may come.
        scratch.reserve(limit.min(section.len().saturating_mul(8) / 5));
        room = name.expand(&mut scratch, room)?;
        let split = scratch.len();
        room = value.expand(&mut scratch, room)?;
        let (expanded_name, expanded_value) = scratch.split_at_checked(split).unwrap_or_default();
        on_field(name.or(expanded_name), value.or(expanded_value));
    }
    Ok(())
}

/// A string as it stands in the section or in the static table.
#[derive(Clone, Copy)]
enum Text<'a> {
    Plain(&'a [u8]),
    Huffman(&'a [u8]),
}

impl<'a> Text<'a> {
    /// Writes to `scratch` what is not plain, and gives what is left of `room`.
    fn expand(self, scratch: &mut Vec<u8>, room: usize) -> Result<usize, Error> {
        let len = match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Huffman(bytes) => {
                let before = scratch.len();
                huffman::decode(bytes, scratch, room)?;
                scratch.len().saturating_sub(before)
            }
        };
        room.checked_sub(len).ok_or(Error::TooLarge)
    }

    fn or<'b>(self, expanded: &'b [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Huffman(_) => expanded,
        }
    }
}

/// RFC 9204 §4.5.1: what stands before the field lines.
fn prefix(section: &[u8]) -> Option<&[u8]> {
    let mut rest = section;
    // RFC 9204 §4.5.1.1: we announce a table of capacity 0, so that MaxEntries is 0 and any Required
    // Insert Count but 0 is one that no conformant encoder could have written.
    if integer::take(&mut rest, 8)? != 0 {
        return None;
    }
    // RFC 9204 §4.5.1.2: "An endpoint MUST treat a field block with a Sign bit of 1 as invalid if the
    // value of Required Insert Count is less than or equal to the value of Delta Base." With a count of
    // 0 it always is. Without the bit any Base may stand, since nothing refers to it.
    let negative = rest.first()? & 0x80 != 0;
    integer::take(&mut rest, 7)?;
    (!negative).then_some(rest)
}

/// One field line, off the front (RFC 9204 §4.5.2 to §4.5.6). `None`: cut off, or it refers to the dynamic table.
#[inline]
fn line<'a>(rest: &mut &'a [u8]) -> Option<(Text<'a>, Text<'a>)> {
    match rest.first()? {
        // Indexed, static.
        0b1100_0000..=0b1111_1111 => {
            let (name, value) = static_table::get(integer::take(rest, 6)?)?;
            Some((Text::Plain(name), Text::Plain(value)))
        }
        // Literal with a name of the static table.
        0b0101_0000..=0b0101_1111 | 0b0111_0000..=0b0111_1111 => {
            let (name, _) = static_table::get(integer::take(rest, 4)?)?;
            Some((Text::Plain(name), string(rest, 7)?))
        }
        // Literal with a literal name.
        0b0010_0000..=0b0011_1111 => Some((string(rest, 3)?, string(rest, 7)?)),
        // Indexed, literal or post-base, and dynamic.
        0b1000_0000..=0b1011_1111
        | 0b0100_0000..=0b0100_1111
        | 0b0110_0000..=0b0110_1111
        | 0b0000_0000..=0b0001_1111 => None,
    }
}

/// RFC 9204 §4.1.2: a string whose length has `bits` bits in the first byte, and the Huffman flag above them.
#[inline]
fn string<'a>(rest: &mut &'a [u8], bits: u32) -> Option<Text<'a>> {
    let huffman = rest.first()? >> bits & 1 == 1;
    let len = usize::try_from(integer::take(rest, bits)?).ok()?;
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(if huffman {
        Text::Huffman(bytes)
    } else {
        Text::Plain(bytes)
    })
}
