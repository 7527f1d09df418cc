use super::*;

const SIDES: [Side; 2] = [Side::Client, Side::Server];
const DIRS: [Dir; 2] = [Dir::Bi, Dir::Uni];

#[test]
fn the_low_two_bits_name_initiator_and_direction() {
    // RFC 9000 §2.1, table 1.
    let kinds: Vec<_> = (0..4)
        .map(|id| (StreamId::from(id).initiator(), StreamId::from(id).dir()))
        .collect();
    assert_eq!(
        kinds,
        [
            (Side::Client, Dir::Bi),
            (Side::Server, Dir::Bi),
            (Side::Client, Dir::Uni),
            (Side::Server, Dir::Uni),
        ]
    );
}

#[test]
fn an_id_is_made_of_what_it_tells() {
    for id in (0..64).chain([LIMIT - 4, LIMIT - 1, LIMIT, u64::MAX - 1, u64::MAX]) {
        let id = StreamId::from(id);
        assert_eq!(StreamId::new(id.initiator(), id.dir(), id.index()), id);
    }
}

#[test]
fn an_index_too_large_never_names_a_stream_that_can_exist() {
    for side in SIDES {
        for dir in DIRS {
            for index in [LIMIT >> 2, LIMIT - 1, LIMIT, LIMIT + 1, u64::MAX] {
                let id = StreamId::new(side, dir, index);
                assert!(u64::from(id) >= LIMIT, "{id}");
                assert_eq!((id.initiator(), id.dir()), (side, dir));
            }
            assert!(u64::from(StreamId::new(side, dir, (LIMIT >> 2) - 1)) < LIMIT);
        }
    }
}

#[test]
fn a_session_is_named_by_client_initiated_bidirectional_streams_only() {
    for id in 0..64 {
        let session = SessionId::try_from(StreamId::from(id));
        if id % 4 == 0 {
            assert_eq!(
                session.map(SessionId::connect_stream),
                Ok(StreamId::from(id))
            );
        } else {
            assert_eq!(session, Err(NotASessionId));
        }
    }
    assert!(SessionId::try_from(StreamId::from(LIMIT - 4)).is_ok());
    assert_eq!(
        SessionId::try_from(StreamId::from(LIMIT)),
        Err(NotASessionId)
    );
}

#[test]
fn ids_are_logged_as_bare_numbers_that_can_be_padded() {
    let session = SessionId::try_from(StreamId::from(8)).unwrap();
    assert_eq!(format!("{session} {:>4}", StreamId::from(11)), "8   11");
}

#[cfg(feature = "serde")]
#[test]
fn stored_ids_are_numbers_and_a_session_is_checked_when_read() {
    let stream = StreamId::from(7);
    assert_eq!(serde_json::to_string(&stream).unwrap(), "7");
    assert_eq!(serde_json::from_str::<StreamId>("7").unwrap(), stream);

    let session = SessionId::try_from(StreamId::from(4)).unwrap();
    assert_eq!(serde_json::to_string(&session).unwrap(), "4");
    assert_eq!(serde_json::from_str::<SessionId>("4").unwrap(), session);
    assert!(serde_json::from_str::<SessionId>("5").is_err());
    assert_eq!(
        serde_json::to_string(&(Side::Client, Dir::Uni)).unwrap(),
        r#"["Client","Uni"]"#
    );
}

#[cfg(feature = "quinn-proto")]
#[test]
fn quinn_names_the_same_streams() {
    for id in 0..64 {
        let ours = StreamId::from(id);
        let quinns = quinn_proto::StreamId::from(ours);
        assert_eq!(u64::from(quinns), id);
        assert_eq!(StreamId::from(quinns), ours);
    }
}

#[cfg(feature = "quinn-proto")]
#[test]
fn an_id_that_never_exists_keeps_its_kind_at_quinn() {
    for id in [LIMIT, LIMIT + 1, LIMIT + 2, u64::MAX] {
        let ours = StreamId::from(id);
        let back = StreamId::from(quinn_proto::StreamId::from(ours));
        assert_eq!(
            (back.initiator(), back.dir()),
            (ours.initiator(), ours.dir())
        );
        assert_eq!(back.index(), (LIMIT >> 2) - 1);
    }
}
