use proptest::prelude::*;

use super::*;

fn taken(wire: &[u8], bits: u32) -> Option<(u64, usize)> {
    let mut rest = wire;
    let value = take(&mut rest, bits)?;
    Some((value, wire.len() - rest.len()))
}

fn written(pattern: u8, bits: u32, value: usize) -> Vec<u8> {
    let mut out = Buffer::new();
    put(&mut out, pattern, bits, value);
    out.as_ref().to_vec()
}

/// RFC 7541 appendix C.1, with other bits above the prefix.
#[test]
fn the_examples_of_rfc_7541_are_read_and_written() {
    assert_eq!(taken(&[0b1010_1010], 5), Some((10, 1)));
    assert_eq!(
        taken(&[0b1111_1111, 0b1001_1010, 0b0000_1010], 5),
        Some((1337, 3))
    );
    assert_eq!(taken(&[0b0010_1010], 8), Some((42, 1)));
    assert_eq!(written(0b1010_0000, 5, 10), [0b1010_1010]);
    assert_eq!(written(0, 5, 1337), [0b0001_1111, 0b1001_1010, 0b0000_1010]);
    assert_eq!(written(0, 8, 42), [0b0010_1010]);
}

#[test]
fn a_full_prefix_goes_on_in_the_next_byte() {
    assert_eq!(taken(&[0b0000_0111, 0], 3), Some((7, 2)));
    assert_eq!(written(0, 3, 6), [6]);
    assert_eq!(written(0, 3, 7), [7, 0]);
    assert_eq!(written(0, 8, 255), [255, 0]);
    assert_eq!(written(0, 8, 255 + 128), [255, 0x80, 1]);
}

#[test]
fn what_is_cut_off_is_none() {
    let wire = written(0, 5, 1337);
    for len in 0..wire.len() {
        assert_eq!(taken(&wire[..len], 5), None);
    }
}

#[test]
fn trailing_data_is_left_alone() {
    assert_eq!(
        taken(&[0b0001_1111, 0b1001_1010, 0b0000_1010, 0xff, 0xff], 5),
        Some((1337, 3))
    );
}

#[test]
fn zeros_that_a_longer_encoding_carries_change_nothing() {
    assert_eq!(taken(&[0xff, 0x80, 0x80, 0x00], 8), Some((255, 4)));
    assert_eq!(
        taken(
            &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
            8
        ),
        Some((255, 10))
    );
}

// RFC 7541 §5.1: "Integer encodings that exceed implementation limits -- in value or octet length
// -- MUST be treated as decoding errors."
#[test]
fn what_is_too_long_or_too_large_is_none() {
    assert_eq!(
        taken(
            &[
                0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00
            ],
            8
        ),
        None
    );
    assert_eq!(taken(&[0xff; 64], 8), None);
    let mut largest = vec![0xff];
    let mut rest = varint::MAX - 255;
    while rest >= 0x80 {
        largest.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
        rest >>= 7;
    }
    largest.push(u8::try_from(rest).unwrap());
    assert_eq!(taken(&largest, 8), Some((varint::MAX, 10)));
    largest[1] += 1;
    assert_eq!(taken(&largest, 8), None);
    assert_eq!(
        taken(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            8
        ),
        None
    );
}

proptest! {
    #[test]
    fn any_value_comes_back(value in prop_oneof![0usize..1000, 0..usize::MAX / 4], bits in 3u32..=8) {
        let wire = written(0, bits, value);
        prop_assert_eq!(taken(&wire, bits), Some((u64::try_from(value).unwrap(), wire.len())));
    }

    #[test]
    fn no_bytes_make_it_panic(wire in proptest::collection::vec(any::<u8>(), 0..16), bits in 1u32..=8) {
        let _ = taken(&wire, bits);
    }
}
