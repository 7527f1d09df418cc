//! What peers have to ignore: what we send of it, and that it changes nothing (RFC 9114 §7.2.8,
//! RFC 9297 §5.4).

use std::collections::BTreeSet;

use webtransport_session::{
    Action, CloseReason, Config, Dialect, Dir, Event, Input, Output, Response, SessionId, Side,
    StreamId, Support, Transport,
    testing::{Link, Pair},
};

use crate::{bytes::*, support::*};

fn greasing(seed: u64) -> Config {
    let mut config = Config::default();
    config.grease = Some(seed);
    config
}

fn control(side: Side) -> StreamId {
    StreamId::new(side, Dir::Uni, 0)
}

/// What our control stream begins with.
fn control_bytes(side: Side, config: Config) -> Vec<u8> {
    let mut rig = Rig::before_start(side, config, Dialect::Draft16);
    rig.start(Transport::new(Support::Yes));
    written(&rig.outputs(), control(side))
}

/// What we write on a CONNECT stream.
fn connect_bytes(side: Side, config: Config, stream: u64) -> Vec<u8> {
    let mut rig = Rig::with(side, config, Dialect::Draft16);
    match side {
        Side::Client => {
            let request = request();
            let permit = rig.connection.connect(rig.now, &request).unwrap();
            permit.bind(stream.into());
        }
        Side::Server => {
            rig.feed(stream, &connect_request(rig.token()));
            rig.drain();
            let session = SessionId::try_from(StreamId::from(stream)).unwrap();
            let response = Response::default();
            rig.connection.accept(rig.now, session, response).unwrap();
        }
    }
    written(&rig.outputs(), stream)
}

/// What we write on a stream of our own, and whether it was finished.
fn stream_bytes(side: Side, config: Config) -> Vec<u8> {
    let mut rig = Rig::started(side, config, Dialect::Draft16, Transport::new(Support::Yes));
    let stream = StreamId::new(side, Dir::Uni, 1);
    rig.connection.protocol_stream().unwrap().bind(stream);
    let outputs = rig.outputs();
    let [
        Output::Action(Action::Write {
            data, fin: true, ..
        }),
    ] = &outputs[..]
    else {
        panic!("{outputs:?}");
    };
    data.to_vec()
}

#[test]
fn without_a_seed_nothing_is_sent() {
    both_roles(|side| {
        let plain = control_bytes(side, Config::default());
        let [(0x04, entries)] = tlvs(&plain[1..])[..] else {
            panic!("{plain:x?}");
        };
        let mut rest = entries;
        while !rest.is_empty() {
            let (id, value) = get(rest);
            assert!(!is_reserved(id), "{id:#x}");
            rest = get(value).1;
        }
        let frames = connect_bytes(side, Config::default(), CONNECT);
        assert!(matches!(tlvs(&frames)[..], [(0x01, _)]), "{frames:x?}");
        let mut rig = Rig::new(side);
        assert!(rig.connection.protocol_stream().is_none());
    });
}

#[test]
fn no_stream_is_begun_when_the_connection_ends() {
    both_roles(|side| {
        let mut rig = Rig::with(side, greasing(1), Dialect::Draft16);
        rig.open_session();
        assert!(rig.connection.protocol_stream().is_some());
        rig.connection.shutdown(rig.now, 0, "");
        assert!(rig.connection.protocol_stream().is_none());
    });
}

#[test]
fn the_reserved_setting_stands_anywhere_among_the_others() {
    both_roles(|side| {
        let mut places = BTreeSet::new();
        let mut count = 0;
        for seed in 0..200 {
            let bytes = control_bytes(side, greasing(seed));
            let (_, mut rest) = tlvs(&bytes[1..])[0];
            let mut at = 0;
            while !rest.is_empty() {
                let (id, value) = get(rest);
                if is_reserved(id) {
                    places.insert(at);
                }
                rest = get(value).1;
                at += 1;
            }
            count = at;
        }
        assert_eq!(places, (0..count).collect());
    });
}

#[test]
fn settings_hold_one_more_and_a_frame_follows_them() {
    both_roles(|side| {
        let plain = control_bytes(side, Config::default());
        let mut places = BTreeSet::new();
        for seed in 0..200 {
            let bytes = control_bytes(side, greasing(seed));
            assert_eq!(bytes[0], 0x00);
            let [(0x04, entries), (kind, _)] = tlvs(&bytes[1..])[..] else {
                panic!("{bytes:x?}");
            };
            assert!(is_reserved(kind), "{kind:#x}");
            // Without the reserved one they are what they were.
            let (mut kept, mut reserved) = (Vec::new(), Vec::new());
            let mut rest = entries;
            while !rest.is_empty() {
                let (id, after) = get(rest);
                let after = get(after).1;
                let entry = &rest[..rest.len() - after.len()];
                match is_reserved(id) {
                    true => reserved.push(kept.len()),
                    false => kept.extend_from_slice(entry),
                }
                rest = after;
            }
            assert_eq!(reserved.len(), 1);
            places.extend(reserved);
            assert_eq!(tlv(0x04, &kept), plain[1..]);
        }
        assert!(places.len() > 3, "always at the same place");
    });
}

#[test]
fn a_frame_and_a_capsule_follow_the_headers_of_a_session() {
    both_roles(|side| {
        let plain = connect_bytes(side, Config::default(), CONNECT);
        let mut orders = [0; 2];
        for seed in 0..200 {
            let bytes = connect_bytes(side, greasing(seed), CONNECT);
            assert!(bytes.starts_with(&plain));
            let frames = tlvs(&bytes[plain.len()..]);
            let (capsules, other) = match frames[..] {
                [(0x00, capsules), (other, _)] => {
                    orders[0] += 1;
                    (capsules, other)
                }
                [(other, _), (0x00, capsules)] => {
                    orders[1] += 1;
                    (capsules, other)
                }
                _ => panic!("{frames:x?}"),
            };
            assert!(is_reserved(other), "{other:#x}");
            let [(capsule, _)] = tlvs(capsules)[..] else {
                panic!("{capsules:x?}");
            };
            assert!(is_reserved_capsule(capsule), "{capsule:#x}");
        }
        assert!(orders[0] > 20 && orders[1] > 20, "{orders:?}");
    });
}

#[test]
fn an_answer_that_opens_nothing_is_followed_by_nothing() {
    let mut rig = Rig::with(Side::Server, greasing(7), Dialect::Draft16);
    let session = rig.request_session(CONNECT);
    let rejection = http::StatusCode::FORBIDDEN.into();
    rig.connection.reject(rig.now, session, rejection).unwrap();
    let frames = written(&rig.outputs(), CONNECT);
    assert!(matches!(tlvs(&frames)[..], [(0x01, _)]), "{frames:x?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    both_roles(|side| {
        let all = |seed| {
            [
                control_bytes(side, greasing(seed)),
                connect_bytes(side, greasing(seed), CONNECT),
                stream_bytes(side, greasing(seed)),
            ]
        };
        for seed in [0, 1, 7, u64::MAX] {
            assert_eq!(all(seed), all(seed));
        }
        assert!(all(0).iter().zip(all(1)).all(|(one, other)| *one != other));
        // Each session has its own, whatever was before it.
        let first = connect_bytes(side, greasing(0), CONNECT);
        assert_ne!(first, connect_bytes(side, greasing(0), 4));
    });
}

#[test]
fn a_stream_that_means_nothing_is_opened_once_and_forgotten() {
    both_roles(|side| {
        let bytes = stream_bytes(side, greasing(3));
        let (kind, payload) = get(&bytes);
        assert!(is_reserved(kind), "{kind:#x}");
        assert!(payload.len() <= 16);

        let before = Rig::before_start(side, greasing(3), Dialect::Draft16);
        assert!(
            { before }.connection.protocol_stream().is_none(),
            "not connected"
        );
        let mut rig = Rig::with(side, greasing(3), Dialect::Draft16);
        // What is not bound can be asked for again; ids that cannot be are refused.
        assert!(rig.connection.protocol_stream().is_some());
        rig.connection
            .protocol_stream()
            .unwrap()
            .bind(control(side));
        let theirs = rig.peer_uni(5);
        rig.connection.protocol_stream().unwrap().bind(theirs);
        let bidi = StreamId::new(side, Dir::Bi, 5);
        rig.connection.protocol_stream().unwrap().bind(bidi);
        assert_eq!(rig.outputs(), []);
        let stream = StreamId::new(side, Dir::Uni, 1);
        rig.connection.protocol_stream().unwrap().bind(stream);
        assert_eq!(rig.outputs(), [write(stream, &bytes, true)]);
        assert!(rig.connection.protocol_stream().is_none());
        // It is over: whatever comes of it is absorbed.
        rig.peer_stops(stream, H3_STREAM_CREATION_ERROR);
        rig.handle(Input::StreamAcknowledged { stream });
        rig.handle(Input::StreamWritable { stream });
        assert_eq!(rig.outputs(), []);
        rig.connection_lost(webtransport_session::ConnectionLost::IdleTimeout);
        assert!(rig.connection.protocol_stream().is_none());
    });
}

#[test]
fn a_peer_that_stops_it_early_breaks_nothing() {
    both_roles(|side| {
        let mut rig = Rig::with(side, greasing(3), Dialect::Draft16);
        let stream = StreamId::new(side, Dir::Uni, 1);
        rig.takes = 1;
        rig.connection.protocol_stream().unwrap().bind(stream);
        rig.drain();
        assert!(!rig.connection.wants(stream));
        rig.peer_stops(stream, H3_STREAM_CREATION_ERROR);
        assert_eq!(rig.outputs(), [reset(stream, H3_NO_ERROR)]);
        rig.handle(Input::StreamWritable { stream });
        assert_eq!(rig.outputs(), []);
        rig.takes = usize::MAX;
        let session = rig.open_session();
        rig.we_open(session, Dir::Bi);
    });
}

#[test]
fn this_crate_ignores_what_it_sends() {
    for seed in 0..50 {
        for dialect in [Dialect::Draft02, Dialect::Draft07, Dialect::Draft16] {
            let mut config = speaking(dialect);
            config.grease = Some(seed);
            let mut pair = Pair::with(config.clone(), config, Link::perfect());
            let session = pair.open_session();
            assert!(
                pair.end(Side::Client).machine.protocol_stream().is_none(),
                "sent"
            );
            pair.close(Side::Client, session, 7, "bye");
            pair.run();
            let reasons = [
                (Side::Server, by_capsule(7, "bye")),
                (
                    Side::Client,
                    CloseReason::Local {
                        code: 7,
                        message: "bye".into(),
                    },
                ),
            ];
            for (side, reason) in reasons {
                let events = pair.end(side).take_events();
                assert_eq!(
                    events.last(),
                    Some(&Event::SessionClosed { session, reason })
                );
                assert!(pair.end(side).machine.is_settled());
            }
        }
    }
}
