use super::*;

#[test]
fn a_frame_is_its_type_its_length_and_its_payload() {
    assert_eq!(&encode(GOAWAY, &[0x04])[..], [0x07, 0x01, 0x04]);
    assert_eq!(&encode(HEADERS, &[])[..], [0x01, 0x00]);
    assert_eq!(
        &encode(PRIORITY_UPDATE_REQUEST, b"ab")[..],
        [0x80, 0x0f, 0x07, 0x00, 0x02, b'a', b'b']
    );
}

#[test]
fn a_long_payload_has_a_long_length() {
    let wire = encode(DATA, &[7; 64]);
    assert_eq!(&wire[..4], [0x00, 0x40, 0x40, 7]);
    assert_eq!(wire.len(), 3 + 64);
}

#[test]
fn a_header_alone_is_what_stands_before_a_payload() {
    let mut out = Vec::new();
    put_header(&mut out, DATA, 64);
    assert_eq!(out, [0x00, 0x40, 0x40]);
}

#[test]
fn the_types_of_http2_are_reserved_and_no_others() {
    let reserved: Vec<u64> = (0..0x100).filter(|&kind| is_reserved_http2(kind)).collect();
    assert_eq!(reserved, [0x02, 0x06, 0x08, 0x09]);
}

// RFC 9114 §7.1: "A frame payload that contains additional bytes after the identified fields
// or a frame payload that terminates before the end of the identified fields MUST be treated
// as a connection error of type H3_FRAME_ERROR."
#[test]
fn a_payload_of_one_integer_is_neither_longer_nor_shorter() {
    assert_eq!(single_varint(&[0x25]), Some(37));
    assert_eq!(single_varint(&[0x40, 0x25]), Some(37));
    assert_eq!(single_varint(&[0xff; 8]), Some(varint::MAX));
    assert_eq!(single_varint(&[]), None);
    assert_eq!(single_varint(&[0x40]), None);
    assert_eq!(single_varint(&[0x25, 0x00]), None);
    assert_eq!(single_varint(&[0xff; 9]), None);
}

#[test]
fn a_payload_that_is_written_in_place_makes_the_same_frame() {
    for len in [0, 1, 63, 64, 300, 16_383, 16_384] {
        let payload = vec![7; len];
        let (frame, result) = encode_with(HEADERS, |out| {
            out.put(&payload);
            out.as_ref().len()
        });
        assert_eq!(frame, encode(HEADERS, &payload), "{len} bytes");
        assert_eq!(result, 16 + len);
    }
}
