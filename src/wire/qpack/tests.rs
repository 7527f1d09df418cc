use proptest::prelude::*;

use super::super::buffer::Buffer;
use super::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn read_within(section: &[u8], limit: usize) -> Result<Fields, Error> {
    let mut fields = Vec::new();
    decode(section, limit, |name, value| {
        fields.push((name.to_vec(), value.to_vec()))
    })
    .map(|()| fields)
}

/// With the limit far away.
fn read(section: &[u8]) -> Result<Fields, Error> {
    read_within(section, 1 << 20)
}

fn field(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

fn written(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Buffer::new();
    let mut encoder = Encoder::new(&mut out);
    for (name, value) in fields {
        encoder.encode_field(name, value);
    }
    out.as_ref().to_vec()
}

fn section(lines: &[u8]) -> Vec<u8> {
    [&[0, 0], lines].concat()
}

#[test]
fn the_example_of_rfc_9204_without_a_dynamic_table_is_read_and_written() {
    // RFC 9204 appendix B.1.
    let wire = *b"\x00\x00\x51\x0b/index.html";
    assert_eq!(read(&wire), Ok(vec![field(":path", "/index.html")]));
    assert_eq!(written(&[field(":path", "/index.html")]), wire);
}

#[test]
fn an_empty_section_has_no_fields() {
    assert_eq!(read(&[0, 0]), Ok(vec![]));
    assert_eq!(written(&[]), [0, 0]);
}

#[test]
fn every_static_entry_takes_one_or_two_bytes() {
    for index in 0..99u8 {
        let wire = if index < 63 {
            section(&[0xc0 | index])
        } else {
            section(&[0xff, index - 63])
        };
        let fields = read(&wire).expect("a field");
        assert_eq!(written(&fields), wire);
    }
}

#[test]
fn a_literal_has_its_name_in_the_static_table_or_with_it() {
    let fields = vec![
        field("origin", "https://a.example"),
        field(":protocol", "webtransport"),
        field("x", ""),
    ];
    let wire = written(&fields);
    assert_eq!(
        &wire[..],
        &b"\0\0\x5f\x4b\x11https://a.example\x27\x02:protocol\x0cwebtransport\x21x\x00"[..]
    );
    assert_eq!(read(&wire), Ok(fields));
}

#[test]
fn a_literal_that_was_written_when_compiling_is_the_same_line() {
    static LINES: [Literal; 3] = [
        Literal::of(b":protocol", b"webtransport"),
        Literal::of(b":protocol", b"webtransport-h3"),
        Literal::of(b"sevenof", b""),
    ];
    let mut out = Buffer::new();
    let mut encoder = Encoder::new(&mut out);
    for line in &LINES {
        encoder.encode_literal(line);
    }
    let size = encoder.size();
    let fields = [
        field(":protocol", "webtransport"),
        field(":protocol", "webtransport-h3"),
        field("sevenof", ""),
    ];
    assert_eq!(out.as_ref(), written(&fields));
    assert_eq!(size, (9 + 12 + 32) + (9 + 15 + 32) + (7 + 32));
}

// RFC 9204 §7.1.3: "An encoder might also choose not to index values for fields that are
// considered to be highly valuable or sensitive to recovery, such as the Cookie or Authorization
// header fields."
#[test]
fn secrets_are_never_to_be_indexed() {
    assert_eq!(
        &written(&[field("authorization", "x")])[..],
        b"\0\0\x7f\x45\x01x"
    );
    assert_eq!(&written(&[field("cookie", "x")])[..], b"\0\0\x75\x01x");
    assert_eq!(&written(&[field("origin", "x")])[..], b"\0\0\x5f\x4b\x01x");
    assert_eq!(&written(&[field("cookie", "")])[..], b"\0\0\xc5");
}

#[test]
fn the_never_indexed_bit_changes_nothing_for_the_reader() {
    assert_eq!(read(b"\0\0\x71\x01x"), read(b"\0\0\x51\x01x"));
    assert_eq!(read(b"\0\0\x31a\x01x"), read(b"\0\0\x21a\x01x"));
    assert_eq!(read(b"\0\0\x31a\x01x"), Ok(vec![field("a", "x")]));
}

#[test]
fn names_and_values_may_be_huffman_coded_each_for_itself() {
    let custom_key = b"\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f";
    let custom_value = b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
    let both = [&[0x2f, 0x01], &custom_key[..], &[0x89], custom_value].concat();
    assert_eq!(
        read(&section(&both)),
        Ok(vec![field("custom-key", "custom-value")])
    );
    let name = [&[0x2f, 0x01], &custom_key[..], b"\x01v"].concat();
    assert_eq!(read(&section(&name)), Ok(vec![field("custom-key", "v")]));
    let value = [&b"\x21k"[..], &[0x89], &custom_value[..]].concat();
    assert_eq!(read(&section(&value)), Ok(vec![field("k", "custom-value")]));
    let reference = [&[0x51, 0x89], &custom_value[..]].concat();
    assert_eq!(
        read(&section(&reference)),
        Ok(vec![field(":path", "custom-value")])
    );
    assert_eq!(
        read(&section(&[name, both, value].concat())),
        Ok(vec![
            field("custom-key", "v"),
            field("custom-key", "custom-value"),
            field("k", "custom-value")
        ])
    );
}

#[test]
fn e46_a_section_that_needs_insertions_is_an_error() {
    for count in [1, 2, 0xfe] {
        assert_eq!(read(&[count, 0, 0xc1]), Err(Error::Decompression));
    }
    assert_eq!(read(&[0xff, 0x00, 0, 0xc1]), Err(Error::Decompression));
}

// RFC 9204 §4.5.1.2: "An endpoint MUST treat a field block with a Sign bit of 1 as invalid if the
// value of Required Insert Count is less than or equal to the value of Delta Base."
#[test]
fn e46_a_negative_base_is_an_error() {
    for base in [0x80, 0x81, 0xfe] {
        assert_eq!(read(&[0, base, 0xc1]), Err(Error::Decompression));
    }
    assert_eq!(read(&[0, 0xff, 0x00, 0xc1]), Err(Error::Decompression));
}

// RFC 9204 §4.5.1.2: "A field section that was encoded without references to the dynamic table
// can use any value for the Base"
#[test]
fn any_other_base_is_allowed() {
    for prefix in [
        &[0, 0][..],
        &[0, 1],
        &[0, 0x7e],
        &[0, 0x7f, 0x00],
        &[0, 0x7f, 0x80, 0x01],
    ] {
        assert_eq!(
            read(&[prefix, &[0xc1]].concat()),
            Ok(vec![field(":path", "/")])
        );
    }
}

#[test]
fn e46_references_to_the_dynamic_table_are_errors() {
    let indexed = [&[0x80][..], &[0xbe], &[0xbf, 0x00]];
    let indexed_post_base = [&[0x10][..], &[0x1e], &[0x1f, 0x00]];
    let name_reference = [
        &b"\x40\x01x"[..],
        b"\x4e\x01x",
        b"\x4f\x00\x01x",
        b"\x60\x01x",
    ];
    let name_reference_post_base = [
        &b"\x00\x01x"[..],
        b"\x06\x01x",
        b"\x07\x00\x01x",
        b"\x08\x01x",
    ];
    let lines = indexed
        .into_iter()
        .chain(indexed_post_base)
        .chain(name_reference)
        .chain(name_reference_post_base);
    for line in lines {
        assert_eq!(
            read(&section(line)),
            Err(Error::Decompression),
            "{line:02x?}"
        );
        assert_eq!(
            read(&section(&[&[0xc1], line].concat())),
            Err(Error::Decompression),
            "{line:02x?}"
        );
    }
}

#[test]
fn e46_an_index_beyond_the_static_table_is_an_error() {
    assert_eq!(
        read(&section(&[0xff, 98 - 63])),
        Ok(vec![field("x-frame-options", "sameorigin")])
    );
    assert_eq!(read(&section(&[0xff, 99 - 63])), Err(Error::Decompression));
    assert_eq!(
        read(&section(&[0x5f, 98 - 15, 0x00])),
        Ok(vec![field("x-frame-options", "")])
    );
    assert_eq!(
        read(&section(&[0x5f, 99 - 15, 0x00])),
        Err(Error::Decompression)
    );
    assert_eq!(
        read(&section(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        Err(Error::Decompression)
    );
}

#[test]
fn e46_integers_too_large_are_errors_wherever_they_stand() {
    let endless = [0xff; 16];
    let large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for integer in [&endless[..], &large[..]] {
        let tail = &integer[1..];
        for head in [
            &[0xff][..],
            &[0, 0x7f],
            &[0, 0, 0xff],
            &[0, 0, 0x5f],
            &[0, 0, 0x27],
            &[0, 0, 0x51, 0x7f],
        ] {
            assert_eq!(
                read(&[head, tail].concat()),
                Err(Error::Decompression),
                "{head:02x?}"
            );
        }
    }
}

#[test]
fn e46_bad_huffman_is_an_error_in_names_and_values() {
    let eos = [0xff, 0xff, 0xff, 0xff];
    let long_padding = [0x1f, 0xff];
    let zeros = [0x1e];
    for bad in [&eos[..], &long_padding, &zeros] {
        let len = u8::try_from(bad.len()).unwrap();
        let name = [&[0x28 | len], bad, b"\x01x"].concat();
        assert_eq!(
            read(&section(&name)),
            Err(Error::Decompression),
            "{bad:02x?}"
        );
        let value = [&[0x51, 0x80 | len], bad].concat();
        assert_eq!(
            read(&section(&value)),
            Err(Error::Decompression),
            "{bad:02x?}"
        );
    }
}

#[test]
fn e46_a_section_cut_anywhere_but_between_lines_is_an_error() {
    let fields = [
        field(":method", "CONNECT"),
        field("x-frame-options", "deny"),
        field(":authority", "a.example"),
        field("a-longer-name", "v"),
    ];
    let wire = written(&fields);
    let ends: Vec<usize> = (0..=fields.len())
        .map(|count| written(&fields[..count]).len())
        .collect();
    for len in 0..=wire.len() {
        let expected = match ends.iter().position(|&end| end == len) {
            Some(count) => Ok(fields[..count].to_vec()),
            None => Err(Error::Decompression),
        };
        assert_eq!(read(&wire[..len]), expected, "{len} bytes");
    }
}

// RFC 9114 §4.2.2: "The size of a field list is calculated based on the uncompressed size of
// fields, including the length of the name and value in bytes plus an overhead of 32 bytes for
// each field."
#[test]
fn the_size_is_that_of_names_values_and_32_for_each_line() {
    let sections = [
        (section(&[0xc1]), 5 + 1 + 32),
        (section(b"\x51\x0b/index.html"), 5 + 11 + 32),
        (section(b"\x21a\x02bc\xd9"), 1 + 2 + 32 + 7 + 3 + 32),
        (section(b"\x51\x86\xa8\xeb\x10\x64\x9c\xbf"), 5 + 8 + 32),
        (
            section(b"\x2e\xa8\xeb\x10\x64\x9c\xbf\x86\xa8\xeb\x10\x64\x9c\xbf"),
            8 + 8 + 32,
        ),
    ];
    for (wire, size) in sections {
        assert!(read_within(&wire, size).is_ok(), "{wire:02x?}");
        for limit in 0..size {
            assert_eq!(
                read_within(&wire, limit),
                Err(Error::TooLarge),
                "{wire:02x?} within {limit}"
            );
        }
    }
}

#[test]
fn an_empty_section_fits_any_limit() {
    assert_eq!(read_within(&[0, 0], 0), Ok(vec![]));
}

#[test]
fn lines_before_an_error_have_been_given() {
    let mut names = Vec::new();
    let result = decode(&section(&[0xc1, 0xcf, 0x80]), 1000, |name, _| {
        names.push(name.to_vec())
    });
    assert_eq!(result, Err(Error::Decompression));
    assert_eq!(names, [b":path".to_vec(), b":method".to_vec()]);
}

fn any_field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let name = prop_oneof![
        Just(b":path".to_vec()),
        Just(b":status".to_vec()),
        Just(b"cookie".to_vec()),
        Just(b"authorization".to_vec()),
        Just(b"x-frame-options".to_vec()),
        bytes(),
    ];
    let value = prop_oneof![
        Just(b"/".to_vec()),
        Just(b"200".to_vec()),
        Just(b"deny".to_vec()),
        bytes()
    ];
    (name, value)
}

proptest! {
    #[test]
    fn any_fields_come_back(fields in proptest::collection::vec(any_field(), 0..8)) {
        prop_assert_eq!(read(&written(&fields)), Ok(fields));
    }

    #[test]
    fn no_section_makes_it_panic_or_pass_its_limit(
        lines in proptest::collection::vec(any::<u8>(), 0..200),
        limit in 0usize..500,
    ) {
        for wire in [lines.clone(), section(&lines)] {
            let mut size = 0;
            let _ = decode(&wire, limit, |name, value| size += name.len() + value.len() + 32);
            prop_assert!(size <= limit);
        }
    }

    #[test]
    fn a_field_section_damaged_anywhere_never_panics(
        fields in proptest::collection::vec(any_field(), 1..4),
        at: proptest::sample::Index,
        flip in 1u8..=255,
    ) {
        let mut wire = written(&fields);
        let at = at.index(wire.len());
        wire[at] ^= flip;
        let _ = read(&wire);
    }
}
