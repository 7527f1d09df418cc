use super::*;
use crate::wire::{capsule, settings, stream_header};

#[test]
fn what_is_sent_is_reserved_and_has_an_encoding() {
    let mut random = Random(0);
    let mut lengths = [0; 9];
    for _ in 0..10_000 {
        let kind = random.reserved();
        assert_eq!((kind - 0x21) % 0x1f, 0);
        assert!(kind <= varint::MAX);
        let capsule = random.reserved_capsule();
        assert_eq!((capsule - 0x17) % 0x29, 0);
        assert!(capsule <= varint::MAX);
        assert!(random.payload().len() <= Random::PAYLOAD);
        lengths[varint::size(kind)] += 1;
    }
    for len in [2, 4, 8] {
        assert!(lengths[len] > 100, "{len}: {}", lengths[len]);
    }
}

#[test]
fn nothing_that_means_something_is_reserved() {
    let known = [
        settings::MAX_FIELD_SECTION_SIZE,
        settings::ENABLE_CONNECT_PROTOCOL,
        settings::H3_DATAGRAM,
        settings::H3_DATAGRAM_DRAFT04,
        settings::ENABLE_WEBTRANSPORT,
        settings::MAX_SESSIONS_DRAFT04,
        settings::MAX_SESSIONS_DRAFT07,
        settings::MAX_SESSIONS_DRAFT13,
        settings::WT_ENABLED,
        settings::INITIAL_MAX_DATA,
        settings::INITIAL_MAX_STREAMS_UNI,
        settings::INITIAL_MAX_STREAMS_BIDI,
        frame::DATA,
        frame::HEADERS,
        frame::CANCEL_PUSH,
        frame::SETTINGS,
        frame::PUSH_PROMISE,
        frame::GOAWAY,
        frame::MAX_PUSH_ID,
        frame::PRIORITY_UPDATE_REQUEST,
        frame::PRIORITY_UPDATE_PUSH,
        stream_header::UNI,
        stream_header::BIDI,
        0x01, // QPACK_MAX_TABLE_CAPACITY, and push streams
        0x07, // QPACK_BLOCKED_STREAMS
    ];
    for id in known {
        assert!(id < 0x21 || (id - 0x21) % 0x1f != 0, "{id:#x}");
    }
    // The capsules' own types, by how they are written.
    let drain = varint::get(&capsule::drain()).unwrap().0;
    for kind in [drain, 0x00, 0x2843]
        .into_iter()
        .chain(0x190b_4d3d..=0x190b_4d44)
    {
        assert!(kind < 0x17 || (kind - 0x17) % 0x29 != 0, "{kind:#x}");
    }
}

#[test]
fn what_quic_had_not_taken_of_a_stream_that_is_stopped_counts_no_longer() {
    #[expect(clippy::disallowed_methods, reason = "an origin; only offsets matter")]
    let now = std::time::Instant::now();
    let config = crate::Config {
        grease: Some(3),
        ..Default::default()
    };
    let mut connection = Connection::client(config.into());
    connection.start(now, crate::Transport::new(crate::Support::Yes));
    let [control, stream] = [0, 1].map(|index| StreamId::new(crate::Side::Client, Dir::Uni, index));
    connection.protocol_stream().unwrap().bind(control);
    let control_len = connection.unwritten;
    connection.protocol_stream().unwrap().bind(stream);
    assert!(connection.unwritten > control_len);
    let code = H3_NO_ERROR;
    connection.handle(now, crate::Input::StreamStopped { stream, code });
    assert_eq!(connection.unwritten, control_len);
}
