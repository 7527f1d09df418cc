use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::wire::chunks::chunkings;

const RULES: Rules = Rules {
    flow_control: false,
    stream_data_prohibited: true,
    datagram_limit: 1000,
};

type Seen = Vec<Result<Capsule, Violation>>;

fn read_with(chunks: impl IntoIterator<Item = Bytes>, rules: Rules) -> (Seen, Decoder) {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for mut chunk in chunks {
        while let Some(next) = decoder.next(&mut chunk, rules) {
            seen.push(next);
        }
        assert!(chunk.is_empty(), "None although there was input");
    }
    (seen, decoder)
}

/// The same for every chunking, also with an unknown capsule before and behind it.
fn read(wire: &[u8]) -> Seen {
    let (whole, decoder) = read_with([Bytes::copy_from_slice(wire)], RULES);
    for chunks in chunkings(wire) {
        let (seen, its_decoder) = read_with(chunks, RULES);
        assert_eq!(seen, whole);
        assert_eq!(its_decoder.is_between(), decoder.is_between());
    }
    let unknown = frame::encode(0x29 * 7 + 0x17, b"grease");
    let surrounded = [&unknown[..], wire, &unknown].concat();
    let (seen, _) = read_with([Bytes::from(surrounded)], RULES);
    assert_eq!(seen.first(), Some(&Ok(Capsule::Ignored)));
    assert_eq!(seen.get(1..=whole.len()), Some(&whole[..]));
    whole
}

fn header(kind: u64, len: u64) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_header(&mut out, kind, len);
    out
}

/// How many bytes it takes until the violation is seen.
fn seen_after(wire: &[u8], violation: Violation) -> usize {
    let mut decoder = Decoder::new();
    for (at, byte) in wire.iter().enumerate() {
        if let Some(next) = decoder.next(&mut Bytes::copy_from_slice(&[*byte]), RULES) {
            assert_eq!(next, Err(violation));
            return at + 1;
        }
    }
    panic!("no violation");
}

#[test]
fn close_is_written_byte_for_byte() {
    assert_eq!(
        &close(0x0102_0304, "bye")[..],
        b"\x68\x43\x07\x01\x02\x03\x04bye"
    );
    assert_eq!(&close(0, "")[..], b"\x68\x43\x04\0\0\0\0");
    assert_eq!(close(0, &"x".repeat(1024)).len(), 2 + 2 + 4 + 1024);
}

#[test]
fn drain_is_written_byte_for_byte() {
    assert_eq!(&drain()[..], [0x80, 0x00, 0x78, 0xae, 0x00]);
}

#[test]
fn e06_a_close_comes_back_over_any_chunks() {
    for (code, message) in [
        (0, ""),
        (7, "bye"),
        (u32::MAX, "schöne Grüße 👋"),
        (1, &*"é".repeat(512)),
    ] {
        let expected = Capsule::Close {
            code,
            message: message.into(),
        };
        assert_eq!(read(&close(code, message)), [Ok(expected)]);
    }
}

#[test]
fn n01_a_drain_comes_back_over_any_chunks() {
    assert_eq!(read(&drain()), [Ok(Capsule::Drain)]);
}

#[test]
fn n16_a_datagram_comes_back_over_any_chunks() {
    for payload in [&b""[..], b"payload"] {
        let expected = Capsule::Datagram {
            payload: Bytes::copy_from_slice(payload),
        };
        assert_eq!(read(&frame::encode(DATAGRAM, payload)), [Ok(expected)]);
    }
}

#[test]
fn n16_a_datagram_over_the_limit_is_passed_over_and_nothing_is_held() {
    let fits = frame::encode(DATAGRAM, &[7; 1000]);
    assert_eq!(
        read(&fits),
        [Ok(Capsule::Datagram {
            payload: fits.slice(3..)
        })]
    );
    assert_eq!(
        read(&frame::encode(DATAGRAM, &[7; 1001])),
        [Ok(Capsule::Ignored)]
    );

    let mut decoder = Decoder::new();
    assert_eq!(
        decoder.next(&mut Bytes::from(header(DATAGRAM, varint::MAX)), RULES),
        None
    );
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..1024 {
        assert_eq!(decoder.next(&mut megabyte.clone(), RULES), None);
    }
    assert!(!decoder.is_between());
}

#[test]
fn a_datagram_that_comes_in_one_chunk_is_not_copied() {
    let mut decoder = Decoder::new();
    let wire = frame::encode(DATAGRAM, b"payload");
    let Some(Ok(Capsule::Datagram { payload })) = decoder.next(&mut wire.clone(), RULES) else {
        panic!("a datagram")
    };
    assert_eq!(payload.as_ptr(), wire[2..].as_ptr());
}

#[test]
fn n03_n15_capsules_of_no_meaning_here_are_passed_over() {
    let flow_control = [
        0x190b_4d3d, // WT_MAX_DATA
        0x190b_4d3f, // WT_MAX_STREAMS
        0x190b_4d40,
        0x190b_4d41, // WT_DATA_BLOCKED
        0x190b_4d43, // WT_STREAMS_BLOCKED
        0x190b_4d44,
    ];
    for kind in flow_control
        .into_iter()
        .chain([0x17, 0xff_37a2, varint::MAX])
    {
        for payload in [&b""[..], b"\x40", b"malformed, which nobody looks at"] {
            assert_eq!(
                read(&frame::encode(kind, payload)),
                [Ok(Capsule::Ignored)],
                "{kind:#x}"
            );
        }
    }
}

#[test]
fn e11_what_follows_a_close_is_left_in_the_input() {
    let mut input = Bytes::from([&close(7, "bye")[..], b"more"].concat());
    let mut decoder = Decoder::new();
    assert!(matches!(
        decoder.next(&mut input, RULES),
        Some(Ok(Capsule::Close { code: 7, .. }))
    ));
    assert!(decoder.is_between());
    assert_eq!(input, "more");
}

#[test]
fn several_capsules_in_one_chunk_come_one_by_one() {
    let wire = [
        &drain()[..],
        &frame::encode(DATAGRAM, b"a"),
        &frame::encode(0x17, b"x"),
        &close(1, "z"),
    ]
    .concat();
    let expected = [
        Ok(Capsule::Drain),
        Ok(Capsule::Datagram {
            payload: Bytes::from_static(b"a"),
        }),
        Ok(Capsule::Ignored),
        Ok(Capsule::Close {
            code: 1,
            message: "z".into(),
        }),
    ];
    assert_eq!(read(&wire), expected);
}

#[test]
fn e20_a_close_without_a_whole_code_is_seen_at_its_length() {
    for len in 0..4 {
        let wire = frame::encode(CLOSE, &[0; 4][..len]);
        assert_eq!(read(&wire), [Err(Violation::TruncatedClose)]);
        assert_eq!(seen_after(&wire, Violation::TruncatedClose), 3);
    }
}

// §6: "its length MUST NOT exceed 1024 bytes."
#[test]
fn e21_a_message_too_long_is_seen_at_its_length_before_any_byte_of_it() {
    let too_long = close(0, &"x".repeat(1025));
    assert_eq!(read(&too_long), [Err(Violation::MessageTooLong)]);
    assert_eq!(seen_after(&too_long, Violation::MessageTooLong), 4);
    assert_eq!(
        seen_after(&header(CLOSE, varint::MAX), Violation::MessageTooLong),
        10
    );
    assert!(matches!(
        read(&close(0, &"x".repeat(1024)))[..],
        [Ok(Capsule::Close { .. })]
    ));
}

// §6: "If the Application Error Message exceeds 1024 bytes or is not valid UTF-8, the receiver
// MUST reset the stream with code H3_MESSAGE_ERROR."
#[test]
fn e22_a_message_that_is_not_utf8_is_a_violation() {
    for message in [
        &b"\xff"[..],
        b"cut \xf0\x9f\x91",
        b"\xc0\x80",
        b"\xed\xa0\x80",
    ] {
        let wire = frame::encode(CLOSE, &[&[0; 4], message].concat());
        assert_eq!(read(&wire), [Err(Violation::MessageNotUtf8)]);
    }
}

#[test]
fn e22_the_code_of_a_close_is_no_part_of_its_message() {
    assert_eq!(
        read(&frame::encode(CLOSE, b"\xff\xff\xff\xffok")),
        [Ok(Capsule::Close {
            code: u32::MAX,
            message: "ok".into()
        })]
    );
}

#[test]
fn e23_a_fin_may_come_between_capsules_only() {
    let wire = [&drain()[..], &close(7, "bye")].concat();
    for len in 0..=wire.len() {
        let (_, decoder) = read_with([Bytes::copy_from_slice(&wire[..len])], RULES);
        assert_eq!(
            decoder.is_between(),
            [0, drain().len(), wire.len()].contains(&len),
            "after {len} bytes"
        );
    }
}

// §5.4: "Endpoints MUST treat receipt of a WT_MAX_STREAM_DATA or a WT_STREAM_DATA_BLOCKED capsule
// as a session error."
#[test]
fn e24_capsules_of_stream_data_are_seen_at_their_type() {
    for kind in [MAX_STREAM_DATA, STREAM_DATA_BLOCKED] {
        let wire = frame::encode(kind, &[0, 0]);
        assert_eq!(read(&wire), [Err(Violation::ForbiddenCapsule)]);
        assert_eq!(seen_after(&wire, Violation::ForbiddenCapsule), 4);
    }
}

#[test]
fn e24_capsules_of_stream_data_are_unknown_where_the_dialect_does_not_forbid_them() {
    let rules = Rules {
        stream_data_prohibited: false,
        ..RULES
    };
    for kind in [MAX_STREAM_DATA, STREAM_DATA_BLOCKED] {
        for chunks in chunkings(&frame::encode(kind, &[0, 0])) {
            assert_eq!(read_with(chunks, rules).0, [Ok(Capsule::Ignored)]);
        }
    }
}

#[test]
fn e26_a_drain_that_is_not_empty_is_seen_at_its_length() {
    let wire = frame::encode(DRAIN, b"x");
    assert_eq!(read(&wire), [Err(Violation::MalformedCapsule)]);
    assert_eq!(seen_after(&wire, Violation::MalformedCapsule), 5);
    assert_eq!(
        seen_after(&header(DRAIN, varint::MAX), Violation::MalformedCapsule),
        12
    );
}

#[test]
fn after_a_violation_everything_is_swallowed() {
    let wire = [
        &frame::encode(DRAIN, b"x")[..],
        &close(7, "bye"),
        &frame::encode(MAX_STREAM_DATA, b""),
    ]
    .concat();
    let (seen, decoder) = read_with([Bytes::from(wire)], RULES);
    assert_eq!(seen, [Err(Violation::MalformedCapsule)]);
    assert!(!decoder.is_between());
}

fn any_wire() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        Just(DATAGRAM),
        Just(CLOSE),
        Just(DRAIN),
        Just(0x190b_4d3d_u64),
        Just(MAX_STREAM_DATA),
        0..=varint::MAX
    ];
    let payload = proptest::collection::vec(any::<u8>(), 0..12);
    let capsule =
        (kind, payload).prop_map(|(kind, payload)| frame::encode(kind, &payload).to_vec());
    let noise = proptest::collection::vec(any::<u8>(), 0..12);
    proptest::collection::vec(prop_oneof![4 => capsule, 1 => noise], 0..6)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_for_every_chunking(wire in any_wire()) {
        let (whole, decoder) = read_with([Bytes::copy_from_slice(&wire)], RULES);
        for chunks in chunkings(&wire) {
            let (seen, its_decoder) = read_with(chunks, RULES);
            prop_assert_eq!(&seen, &whole);
            prop_assert_eq!(its_decoder.is_between(), decoder.is_between());
        }
    }
}
