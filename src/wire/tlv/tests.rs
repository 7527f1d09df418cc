use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::wire::chunks::chunkings;
use crate::wire::{frame, varint};

/// Type and length, the payload as far as it came, and whether it came to its end.
type Seen = (u64, u64, Vec<u8>, bool);

/// Reads all chunks.
fn read(chunks: Vec<Bytes>) -> (Vec<Seen>, Reader) {
    let mut reader = Reader::new();
    let mut seen: Vec<Seen> = Vec::new();
    for mut chunk in chunks {
        while let Some(part) = reader.next(&mut chunk) {
            match part {
                Part::Header { kind, len } => {
                    assert!(
                        seen.last().is_none_or(|last| last.3),
                        "a header inside a payload"
                    );
                    seen.push((kind, len, Vec::new(), false));
                }
                Part::Payload { data, end } => {
                    let last = seen.last_mut().expect("a payload before any header");
                    assert!(!last.3, "a payload after its end");
                    last.2.extend_from_slice(&data);
                    last.3 = end;
                }
            }
        }
        assert!(chunk.is_empty(), "None although there was input");
    }
    (seen, reader)
}

fn three_frames() -> Vec<u8> {
    [
        &frame::encode(0x21, b"")[..],
        &frame::encode(0x4567, b"hello"),
        &frame::encode(0x1234_5678, b"!"),
    ]
    .concat()
}

#[test]
fn any_chunking_gives_the_same_parts() {
    let expected = vec![
        (0x21, 0, vec![], true),
        (0x4567, 5, b"hello".to_vec(), true),
        (0x1234_5678, 1, b"!".to_vec(), true),
    ];
    for chunks in chunkings(&three_frames()) {
        let (seen, reader) = read(chunks);
        assert_eq!(seen, expected);
        assert!(reader.is_between());
    }
}

#[test]
fn an_empty_payload_ends_at_once_and_needs_no_input() {
    let mut reader = Reader::new();
    let mut input = Bytes::from_static(&[0x07, 0x00]);
    assert_eq!(
        reader.next(&mut input),
        Some(Part::Header { kind: 7, len: 0 })
    );
    assert!(input.is_empty());
    assert!(!reader.is_between());
    assert_eq!(
        reader.next(&mut input),
        Some(Part::Payload {
            data: Bytes::new(),
            end: true
        })
    );
    assert!(reader.is_between());
    assert_eq!(reader.next(&mut input), None);
}

#[test]
fn a_payload_is_a_slice_of_the_input() {
    let wire = frame::encode(0, b"payload");
    let mut input = wire.clone();
    let mut reader = Reader::new();
    assert_eq!(
        reader.next(&mut input),
        Some(Part::Header { kind: 0, len: 7 })
    );
    let Some(Part::Payload { data, end: true }) = reader.next(&mut input) else {
        panic!("a payload")
    };
    assert_eq!(data.as_ptr(), wire[2..].as_ptr());
}

#[test]
fn only_the_start_and_the_ends_are_between() {
    let wire = three_frames();
    let ends = [2, 12, 18];
    for len in 0..=wire.len() {
        let (_, reader) = read(vec![Bytes::copy_from_slice(&wire[..len])]);
        assert_eq!(
            reader.is_between(),
            len == 0 || ends.contains(&len),
            "after {len} bytes"
        );
    }
}

#[test]
fn the_kind_is_known_before_the_length() {
    let mut reader = Reader::new();
    assert_eq!(reader.next(&mut Bytes::from_static(&[0x40])), None);
    assert_eq!(reader.begun_kind(), None);
    assert_eq!(reader.next(&mut Bytes::from_static(&[0x41, 0x40])), None);
    assert_eq!(reader.begun_kind(), Some(0x41));
    assert!(!reader.is_between());
    assert_eq!(
        reader.next(&mut Bytes::from_static(&[0x02])),
        Some(Part::Header { kind: 0x41, len: 2 })
    );
    assert_eq!(reader.begun_kind(), None);
}

#[test]
fn the_longest_payload_is_passed_over_piece_by_piece() {
    let mut wire = Vec::new();
    frame::put_header(&mut wire, varint::MAX, varint::MAX);
    let (seen, mut reader) = read(vec![Bytes::from(wire)]);
    assert_eq!(seen, [(varint::MAX, varint::MAX, vec![], false)]);
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..4096 {
        let mut input = megabyte.clone();
        assert_eq!(
            reader.next(&mut input),
            Some(Part::Payload {
                data: megabyte.clone(),
                end: false
            })
        );
        assert_eq!(reader.next(&mut input), None);
    }
    assert!(size_of::<Reader>() <= 32);
}

#[test]
fn a_payload_in_one_piece_is_not_copied() {
    let data = Bytes::from(b"payload".to_vec());
    let gathered = Collect::default()
        .push(data.clone(), true)
        .expect("the end");
    assert_eq!(gathered.as_ptr(), data.as_ptr());
}

#[test]
fn pieces_are_gathered_one_payload_after_another() {
    let mut collect = Collect::default();
    for _ in 0..2 {
        assert_eq!(collect.push(Bytes::from_static(b"pay"), false), None);
        assert_eq!(collect.push(Bytes::new(), false), None);
        assert_eq!(
            collect.push(Bytes::from_static(b"load"), true),
            Some(Bytes::from_static(b"payload"))
        );
        assert_eq!(collect.push(Bytes::new(), true), Some(Bytes::new()));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_whole_and_in_pieces(
        bytes in proptest::collection::vec(prop_oneof![0..8u8, any::<u8>()], 0..64),
        cut in 0usize..64,
    ) {
        let wire = Bytes::from(bytes);
        let cut = cut.min(wire.len());
        let bytewise = (0..wire.len()).map(|at| wire.slice(at..=at)).collect();
        let (whole, reader) = read(vec![wire.clone()]);
        for chunks in [bytewise, vec![wire.slice(..cut), wire.slice(cut..)]] {
            let (seen, its_reader) = read(chunks);
            prop_assert_eq!(&seen, &whole);
            prop_assert_eq!(its_reader.is_between(), reader.is_between());
            prop_assert_eq!(its_reader.begun_kind(), reader.begun_kind());
        }
    }
}
