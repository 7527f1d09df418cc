use proptest::prelude::*;

use super::*;

fn wire(session: u64, payload: &[u8]) -> Bytes {
    let (bytes, len) = header(session);
    Bytes::from([&bytes[..usize::from(len)], payload].concat())
}

#[test]
fn a_datagram_names_a_quarter_of_its_stream_id() {
    assert_eq!(wire(0, b"ab"), &b"\x00ab"[..]);
    assert_eq!(wire(4, b"ab"), &b"\x01ab"[..]);
    assert_eq!(wire(256, b""), &b"\x40\x40"[..]);
}

#[test]
fn what_was_written_is_read() {
    for session in [0, 4, 252, 256, 65_532, 65_536, 4 << 30, 4 * MAX_QUARTER] {
        for payload in [&b""[..], b"payload"] {
            assert_eq!(
                parse(wire(session, payload)),
                Some((session, Bytes::copy_from_slice(payload)))
            );
        }
    }
}

#[test]
fn the_payload_is_a_slice_of_the_datagram() {
    let data = wire(4, b"payload");
    let (_, payload) = parse(data.clone()).expect("a datagram");
    assert_eq!(payload.as_ptr(), data[1..].as_ptr());
}

#[test]
fn e46_a_datagram_shorter_than_its_quarter_id_is_none() {
    let whole = wire(4 * MAX_QUARTER, b"");
    for len in 0..whole.len() {
        assert_eq!(parse(whole.slice(..len)), None);
    }
    assert!(parse(whole).is_some());
}

#[test]
fn e46_a_quarter_id_above_that_of_any_stream_is_none() {
    let (bytes, _) = varint::encode(MAX_QUARTER + 1);
    assert_eq!(parse(Bytes::copy_from_slice(&bytes)), None);
    assert_eq!(parse(Bytes::from_static(&[0xff; 12])), None);
}

proptest! {
    #[test]
    fn no_datagram_makes_it_panic(data in proptest::collection::vec(any::<u8>(), 0..16)) {
        if let Some((session, payload)) = parse(Bytes::from(data.clone())) {
            prop_assert_eq!(session % 4, 0);
            prop_assert!(data.ends_with(&payload));
        }
    }
}
