use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::wire::chunks::chunkings;

/// RFC 9000 appendix A.1, the last of them not the shortest.
const EXAMPLES: [(&[u8], u64); 5] = [
    (
        &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
        151_288_809_941_952_652,
    ),
    (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
    (&[0x7b, 0xbd], 15_293),
    (&[0x25], 37),
    (&[0x40, 0x25], 37),
];

const EDGES: [(u64, usize); 9] = [
    (0, 1),
    (0x3f, 1),
    (0x40, 2),
    (0x3fff, 2),
    (0x4000, 4),
    (0x3fff_ffff, 4),
    (0x4000_0000, 8),
    (MAX - 1, 8),
    (MAX, 8),
];

fn encoded(v: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, v);
    out
}

#[test]
fn the_examples_of_rfc_9000_are_read() {
    for (wire, value) in EXAMPLES {
        assert_eq!(get(wire), Some((value, wire.len())));
    }
}

#[test]
fn every_edge_takes_its_size_and_comes_back() {
    for (value, len) in EDGES {
        let wire = encoded(value);
        assert_eq!((size(value), wire.len()), (len, len), "{value:#x}");
        assert_eq!(get(&wire), Some((value, len)));
        let (bytes, encoded_len) = encode(value);
        assert_eq!(&bytes[..encoded_len], &wire[..]);
    }
}

#[test]
fn the_shortest_encoding_is_that_of_rfc_9000() {
    for (wire, value) in &EXAMPLES[..4] {
        assert_eq!(encoded(*value), *wire);
    }
}

#[test]
fn above_the_maximum_it_saturates() {
    assert_eq!(encoded(MAX + 1), [0xff; 8]);
    assert_eq!(encoded(u64::MAX), encoded(MAX));
    assert_eq!(size(u64::MAX), 8);
}

#[test]
fn put_appends() {
    let mut out = BytesMut::from(&b"x"[..]);
    put(&mut out, 37);
    assert_eq!(&out[..], b"x\x25");
}

#[test]
fn trailing_data_is_left_alone() {
    for (wire, value) in EXAMPLES {
        let longer = [wire, b"rest"].concat();
        assert_eq!(get(&longer), Some((value, wire.len())));
        let mut input = Bytes::from(longer);
        assert_eq!(Partial::default().read(&mut input), Some(value));
        assert_eq!(input, "rest");
    }
}

#[test]
fn what_is_cut_off_is_nothing_yet() {
    for (wire, _) in EXAMPLES {
        for len in 0..wire.len() {
            assert_eq!(get(&wire[..len]), None);
        }
    }
}

#[test]
fn a_partial_reads_one_after_another_over_any_chunks() {
    let wire: Vec<u8> = EXAMPLES
        .iter()
        .flat_map(|(wire, _)| wire.iter().copied())
        .collect();
    for chunks in chunkings(&wire) {
        let mut partial = Partial::default();
        let mut values = Vec::new();
        for mut chunk in chunks {
            while let Some(value) = partial.read(&mut chunk) {
                assert!(partial.is_empty());
                values.push(value);
            }
            assert!(chunk.is_empty());
        }
        assert_eq!(values, EXAMPLES.map(|(_, value)| value));
        assert!(partial.is_empty());
    }
}

#[test]
fn a_partial_is_empty_only_between_integers() {
    let mut partial = Partial::default();
    assert!(partial.is_empty());
    assert_eq!(partial.read(&mut Bytes::new()), None);
    assert!(partial.is_empty());
    assert_eq!(partial.read(&mut Bytes::from_static(&[0x40])), None);
    assert!(!partial.is_empty());
    assert_eq!(partial.read(&mut Bytes::from_static(&[0x25])), Some(37));
    assert!(partial.is_empty());
}

#[test]
fn a_partial_is_small() {
    assert!(size_of::<Partial>() <= 16);
}

proptest! {
    #[test]
    fn any_value_comes_back(value in 0..=MAX) {
        prop_assert_eq!(get(&encoded(value)), Some((value, size(value))));
    }

    #[test]
    fn any_bytes_are_read_the_same_in_pieces(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        let mut partial = Partial::default();
        let first = bytes.iter().find_map(|byte| partial.read(&mut Bytes::copy_from_slice(&[*byte])));
        prop_assert_eq!(first, get(&bytes).map(|(value, _)| value));
    }
}
