//! Session flow control (§5): what breaks it (E25, E26), and that nothing else does.

use bytes::Bytes;
use webtransport_session::{
    Action, CloseReason, Config, ConnectError, Dialect, Dir, Event, FlowControl, Input, OpenError,
    Output, SendError, SessionId, Side, StreamId, Support, Transport, Violation,
};

use crate::support::*;

const MAX_DATA: u64 = 0x190b_4d3d;
const MAX_STREAMS_BIDI: u64 = 0x190b_4d3f;
const MAX_STREAMS_UNI: u64 = 0x190b_4d40;
const DATA_BLOCKED: u64 = 0x190b_4d41;
const STREAMS_BLOCKED_BIDI: u64 = 0x190b_4d43;
const STREAMS_BLOCKED_UNI: u64 = 0x190b_4d44;
const WT_FLOW_CONTROL_ERROR: u64 = 0x045d_4487;

const ROOMY: FlowControl = FlowControl::new(1000, 10, 10);
const DIALECTS: [Dialect; 2] = [Dialect::Draft14, Dialect::Draft16];

/// The peer's control stream, with its limits.
fn peer_limits(side: Side, dialect: Dialect, limits: FlowControl) -> Vec<u8> {
    let announced = match dialect {
        Dialect::Draft14 => (setting::MAX_SESSIONS_13, 9),
        _ => (setting::ENABLED_16, 1),
    };
    let entries = [
        announced,
        (setting::MAX_DATA, limits.max_data),
        (setting::MAX_STREAMS_UNI, limits.max_streams_uni),
        (setting::MAX_STREAMS_BIDI, limits.max_streams_bidi),
    ];
    peer_settings_with(side, &entries)
}

fn connected(side: Side, dialect: Dialect, ours: FlowControl, theirs: FlowControl) -> Rig {
    let mut transport = Transport::new(Support::Yes);
    transport.stream_receive_window = 100;
    connected_on(transport, side, dialect, ours, theirs)
}

fn connected_on(
    transport: Transport,
    side: Side,
    dialect: Dialect,
    ours: FlowControl,
    theirs: FlowControl,
) -> Rig {
    let mut config = speaking(dialect);
    config.flow_control = Some(ours);
    let mut rig = Rig::started(side, config, dialect, transport);
    rig.feed(rig.peer_control(), &peer_limits(side, dialect, theirs));
    let events = rig.events();
    let [Event::Ready(negotiated)] = events[..] else {
        panic!("{events:?}");
    };
    assert!(negotiated.flow_control);
    rig
}

/// With one open session.
fn open(side: Side, ours: FlowControl, theirs: FlowControl) -> (Rig, SessionId) {
    let mut rig = connected(side, Dialect::Draft16, ours, theirs);
    let session = rig.open_session();
    (rig, session)
}

fn capsule(kind: u64, value: u64) -> Vec<u8> {
    data_frame(&tlv(kind, &varint(value)))
}

/// The machine writes such a capsule.
fn says(kind: u64, value: u64) -> Output {
    write(CONNECT, &capsule(kind, value), false)
}

fn abort() -> [Output; 2] {
    [
        reset(CONNECT, WT_FLOW_CONTROL_ERROR),
        stop_sending(CONNECT, WT_FLOW_CONTROL_ERROR),
    ]
}

fn violation(violation: Violation) -> CloseReason {
    CloseReason::Violation(violation)
}

/// What ends a peer's stream when the session is gone.
fn gone(stream: StreamId) -> Vec<Output> {
    let mut actions = vec![stop_sending(stream, WT_SESSION_GONE)];
    if stream.dir() == Dir::Bi {
        actions.insert(0, reset(stream, WT_SESSION_GONE));
    }
    actions
}

fn peer_stream(rig: &Rig, dir: Dir, n: u64) -> StreamId {
    match dir {
        Dir::Bi => rig.peer_bidi(n),
        Dir::Uni => rig.peer_uni(n),
    }
}

const DIRS: [Dir; 2] = [Dir::Bi, Dir::Uni];

// ---- E25

#[test]
fn e25_a_stream_beyond_the_limit_ends_the_session() {
    both_roles(|side| {
        for dir in DIRS {
            let (mut rig, session) = open(side, FlowControl::new(1000, 1, 1), ROOMY);
            let (first, second) = (peer_stream(&rig, dir, 0), peer_stream(&rig, dir, 1));
            rig.peer_opens(first, session, b"");
            assert_eq!(
                rig.outputs(),
                [event(Event::StreamOpened {
                    session,
                    stream: first
                })]
            );
            rig.peer_opens(second, session, b"payload");
            let actions = [abort().to_vec(), gone(first), gone(second)].concat();
            rig.ends(session, violation(Violation::TooManyStreams), &actions);
        }
    });
}

#[test]
fn e25_a_stream_beyond_the_limit_before_the_answer_ends_the_session_too() {
    let mut rig = connected(
        Side::Server,
        Dialect::Draft16,
        FlowControl::new(1000, 1, 0),
        ROOMY,
    );
    let session = rig.request_session(CONNECT);
    let stream = rig.peer_uni(0);
    rig.peer_opens(stream, session, b"early");
    let actions = [abort().to_vec(), gone(stream)].concat();
    rig.ends(session, violation(Violation::TooManyStreams), &actions);
}

#[test]
fn e25_data_beyond_the_limit_ends_the_session_wherever_it_is_cut() {
    both_roles(|side| {
        for cut in 0..=11 {
            let (mut rig, session) = open(side, FlowControl::new(10, 2, 2), ROOMY);
            let (one, other) = (rig.peer_uni(0), rig.peer_bidi(0));
            rig.peer_opens(one, session, &[1; 11][..cut]);
            rig.peer_opens(other, session, &[1; 11][cut..]);
            let mut streams = [one, other];
            streams.sort();
            let mut told = rig.outputs();
            let end = event(Event::SessionClosed {
                session,
                reason: violation(Violation::TooMuchData),
            });
            assert_eq!(told.pop(), Some(end), "{cut}: {told:?}");
            let actions: Vec<_> = told
                .into_iter()
                .filter(|output| matches!(output, Output::Action(_)))
                .collect();
            let is_known = |stream: &StreamId| cut < 11 || *stream == one;
            let gone: Vec<_> = streams
                .iter()
                .copied()
                .filter(is_known)
                .flat_map(gone)
                .collect();
            let late = if cut < 11 {
                Vec::new()
            } else {
                gone_late(other)
            };
            assert_eq!(actions, [abort().to_vec(), gone, late].concat(), "{cut}");
        }
    });
}

/// What ends a peer's stream that comes when the session is gone.
fn gone_late(stream: StreamId) -> Vec<Output> {
    gone(stream)
}

#[test]
fn e25_all_of_the_limit_may_be_used() {
    both_roles(|side| {
        let (mut rig, session) = open(side, FlowControl::new(10, 1, 1), ROOMY);
        let (uni, bidi) = (rig.peer_uni(0), rig.peer_bidi(0));
        rig.peer_opens(uni, session, &[1; 5]);
        rig.peer_opens(bidi, session, &[1; 5]);
        assert_eq!(rig.connection.sessions().count(), 1);
        let closed = |output: &Output| matches!(output, Output::Event(Event::SessionClosed { .. }));
        assert!(!rig.outputs().iter().any(closed));
    });
}

#[test]
fn e25_a_limit_that_does_not_rise_ends_the_session() {
    both_roles(|side| {
        for (kind, initial) in [
            (MAX_DATA, 1000),
            (MAX_STREAMS_BIDI, 10),
            (MAX_STREAMS_UNI, 10),
        ] {
            for limit in [initial, initial - 1, 0] {
                let (mut rig, session) = open(side, ROOMY, ROOMY);
                rig.feed(CONNECT, &capsule(kind, limit));
                rig.ends(session, violation(Violation::LimitNotRaised), &abort());
            }
            // The last one counts.
            let (mut rig, session) = open(side, ROOMY, ROOMY);
            rig.feed(CONNECT, &capsule(kind, initial + 1));
            assert_eq!(rig.outputs(), []);
            rig.feed(CONNECT, &capsule(kind, initial + 1));
            rig.ends(session, violation(Violation::LimitNotRaised), &abort());
        }
    });
}

#[test]
fn e25_draft_14_allows_the_same_limit_again_and_none_below() {
    both_roles(|side| {
        let mut rig = connected(side, Dialect::Draft14, ROOMY, ROOMY);
        let session = rig.open_session();
        rig.feed(CONNECT, &capsule(MAX_DATA, 1000));
        assert_eq!(rig.outputs(), []);
        rig.feed(CONNECT, &capsule(MAX_DATA, 999));
        rig.ends(session, violation(Violation::LimitNotRaised), &abort());
    });
}

#[test]
fn e25_a_stream_limit_above_2_to_the_60_ends_the_session() {
    both_roles(|side| {
        let kinds = [
            MAX_STREAMS_BIDI,
            MAX_STREAMS_UNI,
            STREAMS_BLOCKED_BIDI,
            STREAMS_BLOCKED_UNI,
        ];
        for kind in kinds {
            let (mut rig, session) = open(side, ROOMY, ROOMY);
            rig.feed(CONNECT, &capsule(kind, 1 << 60));
            assert_eq!(rig.outputs(), []);
            rig.feed(CONNECT, &capsule(kind, (1 << 60) + 1));
            rig.ends(session, violation(Violation::LimitTooHigh), &abort());
        }
    });
}

#[test]
fn e25_the_final_size_of_a_reset_stream_counts() {
    both_roles(|side| {
        // Of 13 bytes 3 are the header.
        for (final_size, fits) in [(13, true), (14, false)] {
            let (mut rig, session) = open(side, FlowControl::new(10, 1, 1), ROOMY);
            let stream = rig.peer_uni(0);
            rig.peer_opens(stream, session, &[1; 4]);
            rig.drain();
            rig.handle(Input::StreamReset {
                stream,
                code: WT_SESSION_GONE,
                final_size: Some(final_size),
            });
            if fits {
                let reset = event(Event::StreamReset {
                    session,
                    stream,
                    code: None,
                });
                // All ten are over and done with.
                let data = says_both(MAX_DATA, 20, MAX_STREAMS_UNI, 2);
                assert_eq!(rig.outputs(), [data, reset]);
            } else {
                let actions = [abort().to_vec(), gone(stream)].concat();
                rig.ends(session, violation(Violation::TooMuchData), &actions);
            }
        }
    });
}

/// Two capsules that go out together.
fn says_both(one: u64, value: u64, other: u64, other_value: u64) -> Output {
    let bytes = [capsule(one, value), capsule(other, other_value)].concat();
    write(CONNECT, &bytes, false)
}

// ---- E26, N15

#[test]
fn e26_a_flow_control_capsule_with_a_wrong_body_ends_the_session() {
    both_roles(|side| {
        let kinds = [
            MAX_DATA,
            MAX_STREAMS_BIDI,
            MAX_STREAMS_UNI,
            DATA_BLOCKED,
            STREAMS_BLOCKED_BIDI,
            STREAMS_BLOCKED_UNI,
        ];
        for kind in kinds {
            for body in [&b""[..], b"\x40", b"\x05\x00", &[0; 9]] {
                let (mut rig, session) = open(side, ROOMY, ROOMY);
                rig.feed(CONNECT, &data_frame(&tlv(kind, body)));
                let code = 0x10e;
                let actions = [reset(CONNECT, code), stop_sending(CONNECT, code)];
                rig.ends(session, violation(Violation::MalformedCapsule), &actions);
            }
        }
    });
}

#[test]
fn n15_flow_control_that_one_side_alone_declares_is_off() {
    both_roles(|side| {
        for (ours, theirs) in [
            (None, Some(ROOMY)),
            (Some(ROOMY), None),
            (Some(FlowControl::new(0, 0, 0)), Some(ROOMY)),
            (Some(ROOMY), Some(FlowControl::new(0, 0, 0))),
        ] {
            let mut config = speaking(Dialect::Draft16);
            config.flow_control = ours;
            let mut rig = Rig::before_settings(side, config);
            let none = FlowControl::new(0, 0, 0);
            let limits = peer_limits(side, Dialect::Draft16, theirs.unwrap_or(none));
            rig.feed(rig.peer_control(), &limits);
            let events = rig.events();
            let [Event::Ready(negotiated)] = events[..] else {
                panic!("{events:?}");
            };
            assert!(!negotiated.flow_control, "{ours:?}, {theirs:?}");
            let session = rig.open_session();
            rig.feed(CONNECT, &capsule(MAX_DATA, 0));
            rig.feed(CONNECT, &data_frame(&tlv(MAX_STREAMS_UNI, b"")));
            assert_eq!(rig.outputs(), []);
            let stream = rig.we_open(session, Dir::Uni);
            assert_eq!(rig.connection.credit(stream).unwrap().len(), usize::MAX);
        }
    });
}

// ---- what we may

#[test]
fn writes_stop_at_the_peers_limit_and_go_on_when_it_rises() {
    both_roles(|side| {
        let (mut rig, session) = open(side, ROOMY, FlowControl::new(10, 5, 5));
        let (one, other) = (
            rig.we_open(session, Dir::Uni),
            rig.we_open(session, Dir::Bi),
        );
        rig.connection.credit(one).unwrap().spend(4);
        let credit = rig.connection.credit(other).unwrap();
        assert_eq!(credit.len(), 6);
        assert_eq!(credit.clamp(&[0; 20]).len(), 6);
        // More than there is counts as all there is.
        credit.spend(20);
        for stream in [one, other, one] {
            let credit = rig.connection.credit(stream);
            assert_eq!(credit.err(), Some(SendError::Blocked));
        }
        // It is said once for each limit.
        assert_eq!(rig.outputs(), [says(DATA_BLOCKED, 10)]);
        rig.feed(CONNECT, &capsule(MAX_DATA, 13));
        let writable = [one, other].into_iter();
        let mut writable: Vec<_> = writable
            .map(|stream| event(Event::StreamWritable { session, stream }))
            .collect();
        writable.sort_by_key(|_| std::cmp::Reverse(one > other));
        let outputs = rig.outputs();
        assert_eq!(outputs.len(), 2);
        assert!(writable.iter().all(|event| outputs.contains(event)));
        rig.connection.credit(other).unwrap().spend(3);
        assert_eq!(rig.connection.credit(one).err(), Some(SendError::Blocked));
        assert_eq!(rig.outputs(), [says(DATA_BLOCKED, 13)]);
    });
}

#[test]
fn streams_stop_at_the_peers_limit_and_go_on_when_it_rises() {
    both_roles(|side| {
        for (dir, blocked, raised) in [
            (Dir::Bi, STREAMS_BLOCKED_BIDI, MAX_STREAMS_BIDI),
            (Dir::Uni, STREAMS_BLOCKED_UNI, MAX_STREAMS_UNI),
        ] {
            let (mut rig, session) = open(side, ROOMY, FlowControl::new(10, 1, 1));
            let stream = rig.we_open(session, dir);
            // A stream that is over counts all the same.
            rig.connection.reset(stream, 0).unwrap();
            rig.drain();
            for _ in 0..2 {
                let permit = rig.connection.open(session, dir);
                assert_eq!(permit.err(), Some(OpenError::Blocked));
            }
            assert_eq!(rig.outputs(), [says(blocked, 1)]);
            rig.feed(CONNECT, &capsule(raised, 2));
            assert_eq!(rig.outputs(), [event(Event::StreamsAvailable { dir })]);
            rig.we_open(session, dir);
            assert!(rig.connection.open(session, dir).is_err());
            assert_eq!(rig.outputs(), [says(blocked, 2)]);
        }
    });
}

#[test]
fn limits_that_start_at_nothing_rise_too() {
    both_roles(|side| {
        let (mut rig, session) = open(side, ROOMY, FlowControl::new(0, 0, 1));
        assert!(rig.connection.open(session, Dir::Bi).is_err());
        assert_eq!(rig.outputs(), [says(STREAMS_BLOCKED_BIDI, 0)]);
        let stream = rig.we_open(session, Dir::Uni);
        assert!(rig.connection.credit(stream).is_err());
        assert_eq!(rig.outputs(), [says(DATA_BLOCKED, 0)]);
        let limits = [capsule(MAX_DATA, 1), capsule(MAX_STREAMS_BIDI, 1)].concat();
        rig.feed(CONNECT, &limits);
        let expected = [
            event(Event::StreamWritable { session, stream }),
            event(Event::StreamsAvailable { dir: Dir::Bi }),
        ];
        assert_eq!(rig.outputs(), expected);
        assert_eq!(rig.connection.credit(stream).unwrap().len(), 1);
        assert!(rig.connection.open(session, Dir::Bi).is_ok());
    });
}

// ---- what the peer may

#[test]
fn what_the_application_reads_is_given_back_by_halves() {
    both_roles(|side| {
        let (mut rig, session) = open(side, FlowControl::new(10, 5, 5), ROOMY);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, &[1; 4]);
        rig.drain();
        // 4 of 10 are not worth a capsule.
        assert_eq!(rig.outputs(), []);
        rig.feed(stream, &[1; 2]);
        // What is not polled is not read.
        let connection = &mut rig.connection;
        assert!(matches!(
            connection.poll(),
            Some(Output::Event(Event::StreamData { .. }))
        ));
        assert_eq!(rig.outputs(), [says(MAX_DATA, 16)]);
    });
}

#[test]
fn a_blocked_peer_is_given_what_there_is() {
    both_roles(|side| {
        let (mut rig, session) = open(side, FlowControl::new(10, 5, 5), ROOMY);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, &[1; 4]);
        rig.drain();
        rig.feed(CONNECT, &capsule(DATA_BLOCKED, 10));
        assert_eq!(rig.outputs(), [says(MAX_DATA, 14)]);
        rig.feed(CONNECT, &capsule(DATA_BLOCKED, 10));
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(stream, b"");
        rig.drain();
        rig.feed(CONNECT, &capsule(STREAMS_BLOCKED_UNI, 5));
        assert_eq!(rig.outputs(), [says(MAX_STREAMS_UNI, 6)]);
        rig.feed(CONNECT, &capsule(STREAMS_BLOCKED_BIDI, 5));
        assert_eq!(rig.outputs(), []);
    });
}

#[test]
fn a_stream_is_given_back_when_both_its_halves_are_over_however_they_ended() {
    both_roles(|side| {
        let ours: [fn(&mut Rig, StreamId); 3] = [
            |rig, stream| rig.connection.finish(stream).unwrap(),
            |rig, stream| rig.connection.reset(stream, 1).unwrap(),
            |rig, stream| rig.peer_stops(stream, WT_SESSION_GONE),
        ];
        let theirs: [fn(&mut Rig, StreamId); 3] = [
            |rig, stream| rig.feed_fin(stream, b""),
            |rig, stream| rig.peer_resets(stream, WT_SESSION_GONE),
            |rig, stream| rig.connection.stop(stream, 1).unwrap(),
        ];
        for our_end in ours {
            for their_end in theirs {
                for ours_first in [false, true] {
                    let (mut rig, session) = open(side, FlowControl::new(1000, 1, 1), ROOMY);
                    let stream = rig.peer_bidi(0);
                    rig.peer_opens(stream, session, b"");
                    rig.drain();
                    let (one, other) = if ours_first {
                        (our_end, their_end)
                    } else {
                        (their_end, our_end)
                    };
                    one(&mut rig, stream);
                    assert!(!gives_a_stream(&rig.outputs()));
                    other(&mut rig, stream);
                    assert!(gives_a_stream(&rig.outputs()));
                }
            }
        }
    });
}

fn gives_a_stream(outputs: &[Output]) -> bool {
    let limit = capsule(MAX_STREAMS_BIDI, 2);
    let holds = |data: &Bytes| data.windows(limit.len()).any(|window| window == limit);
    outputs
        .iter()
        .any(|output| matches!(output, Output::Action(Action::Write { data, .. }) if holds(data)))
}

#[test]
fn header_data_and_fin_in_one_piece_are_counted_and_given_back() {
    both_roles(|side| {
        let (mut rig, session) = open(side, FlowControl::new(8, 1, 1), ROOMY);
        for n in 0..5 {
            let stream = rig.peer_uni(n);
            let mut bytes = stream_header(Dir::Uni, 0);
            bytes.extend([1; 8]);
            rig.feed_fin(stream, &bytes);
            assert_eq!(rig.connection.sessions().count(), 1, "{n}: {session}");
            rig.drain();
        }
    });
}

/// How a stream comes to its end.
type End = fn(&mut Rig, StreamId);

#[test]
fn what_nobody_knows_of_a_reset_or_stopped_stream_is_given_back_too_generously() {
    both_roles(|side| {
        let ends: [(End, u64); 2] = [
            // 4 that were read, and the 6 that may have been sent.
            (|rig, stream| rig.peer_resets(stream, WT_SESSION_GONE), 20),
            // 4 that were read, and the 100 of the stream's window: it may go on for a while.
            (|rig, stream| rig.connection.stop(stream, 1).unwrap(), 114),
        ];
        for (end, limit) in ends {
            let (mut rig, session) = open(side, FlowControl::new(10, 5, 5), ROOMY);
            let stream = rig.peer_uni(0);
            rig.peer_opens(stream, session, &[1; 4]);
            rig.drain();
            end(&mut rig, stream);
            let limit = capsule(MAX_DATA, limit);
            let outputs = rig.outputs();
            let said = outputs.iter().any(|output| {
                matches!(output, Output::Action(Action::Write { data, .. }) if data.starts_with(&limit))
            });
            assert!(said, "{outputs:?}");
        }
    });
}

/// Found by exploration: the limit doubled with each reset, and soon was none.
#[test]
fn resets_of_unknown_size_add_one_window_each() {
    both_roles(|side| {
        let (mut rig, session) = open(side, FlowControl::new(10, 9, 9), ROOMY);
        for (n, limit) in [(0, 20), (1, 30), (2, 40), (3, 50)] {
            let stream = rig.peer_uni(n);
            rig.peer_opens(stream, session, b"");
            rig.drain();
            rig.peer_resets(stream, WT_SESSION_GONE);
            let limit = capsule(MAX_DATA, limit);
            let outputs = rig.outputs();
            let said = outputs.iter().any(|output| {
                matches!(output, Output::Action(Action::Write { data, .. }) if data.starts_with(&limit))
            });
            assert!(said, "{outputs:?}");
        }
    });
}

#[test]
fn a_stream_that_ends_before_it_names_its_session_is_forgiven_where_its_header_can_be_lost() {
    both_roles(|side| {
        // §4.4: with RESET_STREAM_AT the header arrives, so that such a stream is nobody's.
        for (peer_reset_stream_at, forgiven) in [(Support::Unknown, 1), (Support::Yes, 0)] {
            let mut transport = Transport::new(Support::Yes);
            transport.peer_reset_stream_at = peer_reset_stream_at;
            let ours = FlowControl::new(10, 1, 1);
            let mut rig = connected_on(transport, side, Dialect::Draft16, ours, ROOMY);
            rig.open_session();
            let stream = rig.peer_uni(0);
            rig.feed(stream, &[0x40]);
            rig.peer_resets(stream, WT_SESSION_GONE);
            let limit = capsule(MAX_STREAMS_UNI, 2);
            let says = |output: &&Output| {
                matches!(output, Output::Action(Action::Write { data, .. })
                    if data.windows(limit.len()).any(|window| window == limit))
            };
            let outputs = rig.outputs();
            assert_eq!(outputs.iter().filter(says).count(), forgiven, "{outputs:?}");
        }
    });
}

#[test]
fn streams_and_data_before_the_answer_are_counted_and_given_back_after_it() {
    let limits = FlowControl::new(8, 5, 1);
    let mut rig = connected(Side::Server, Dialect::Draft16, limits, ROOMY);
    let session = rig.request_session(CONNECT);
    let stream = rig.peer_uni(0);
    let mut bytes = stream_header(Dir::Uni, 0);
    bytes.extend([1; 8]);
    rig.feed_fin(stream, &bytes);
    assert_eq!(rig.outputs(), []);
    rig.connection
        .accept(rig.now, session, webtransport_session::Response::default())
        .unwrap();
    let outputs = rig.outputs();
    let all: Vec<u8> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Action(Action::Write { data, .. }) => Some(data.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    for limit in [capsule(MAX_STREAMS_UNI, 2), capsule(MAX_DATA, 16)] {
        let said = all.windows(limit.len()).any(|window| window == limit);
        assert!(said, "{outputs:?}");
    }
}

// ---- sessions

#[test]
fn with_flow_control_there_may_be_several_sessions() {
    for dialect in DIALECTS {
        let mut rig = connected(Side::Client, dialect, ROOMY, ROOMY);
        for stream in [0, 4, 8] {
            let session = rig.request_session(stream);
            rig.answer(session);
        }
        assert_eq!(rig.connection.sessions().count(), 3);
        let mut rig = connected(Side::Server, dialect, ROOMY, ROOMY);
        for stream in [0, 4, 8] {
            let session = rig.request_session(stream);
            rig.answer(session);
        }
        assert_eq!(rig.connection.sessions().count(), 3);
    }
}

#[test]
fn draft_14_says_how_many_sessions_there_may_be() {
    let mut rig = connected(Side::Client, Dialect::Draft14, ROOMY, ROOMY);
    for n in 0..9 {
        rig.request_session(4 * n);
    }
    let request = request();
    let permit = rig.connection.connect(rig.now, &request);
    assert_eq!(permit.err(), Some(ConnectError::Blocked));
}

#[test]
fn each_session_has_its_own_limits() {
    let mut rig = connected(
        Side::Client,
        Dialect::Draft16,
        ROOMY,
        FlowControl::new(5, 1, 1),
    );
    let sessions = [0, 4].map(|stream| {
        let session = rig.request_session(stream);
        rig.answer(session);
        session
    });
    for session in sessions {
        let stream = rig.we_open(session, Dir::Uni);
        rig.connection.credit(stream).unwrap().spend(5);
        assert!(rig.connection.credit(stream).is_err());
        assert!(rig.connection.open(session, Dir::Uni).is_err());
        rig.drain();
    }
}

#[test]
fn what_one_session_uses_of_our_limits_is_not_taken_from_another() {
    both_roles(|side| {
        let mut rig = connected(side, Dialect::Draft16, FlowControl::new(5, 1, 1), ROOMY);
        let [first, second] = [CONNECT, 4].map(|stream| {
            let session = rig.request_session(stream);
            rig.answer(session);
            session
        });
        let streams = [0, 1, 2].map(|n| rig.peer_uni(n));
        rig.peer_opens(streams[0], first, &[1; 5]);
        rig.peer_opens(streams[1], second, &[1; 5]);
        assert!(rig.connection.sessions().eq([first, second]));
        rig.peer_opens(streams[2], first, b"");
        assert!(rig.connection.sessions().eq([second]));
        let over = |output: &Output| {
            matches!(output, Output::Event(Event::SessionClosed { session, reason })
                if *session == first && *reason == violation(Violation::TooManyStreams))
        };
        assert_eq!(
            rig.outputs().iter().filter(|output| over(output)).count(),
            1
        );
    });
}

#[test]
fn our_own_limits_are_announced_with_the_signals_that_go_with_them() {
    both_roles(|side| {
        let mut config = Config::default();
        config.flow_control = Some(FlowControl::new(4096, 3, 2));
        let mut rig = Rig::before_start(side, config, Dialect::Draft16);
        rig.start(Transport::new(Support::Yes));
        let outputs = rig.outputs();
        let [Output::Action(Action::Write { data, .. })] = &outputs[..] else {
            panic!("{outputs:?}");
        };
        for (id, value) in [
            (setting::MAX_DATA, 4096),
            (setting::MAX_STREAMS_BIDI, 3),
            (setting::MAX_STREAMS_UNI, 2),
            (setting::MAX_SESSIONS_13, 16),
            (setting::ENABLED_16, 1),
        ] {
            let entry = [varint(id), varint(value)].concat();
            let sent = data.windows(entry.len()).any(|window| window == entry);
            assert!(sent, "{id:#x}");
        }
    });
}

// ---- streams that never reach their session

/// Whether the machine has said this limit in what it wrote.
fn said(outputs: &[Output], kind: u64, value: u64) -> bool {
    let limit = capsule(kind, value);
    let holds = |data: &Bytes| data.windows(limit.len()).any(|window| window == limit);
    outputs
        .iter()
        .any(|output| matches!(output, Output::Action(Action::Write { data, .. }) if holds(data)))
}

/// It keeps so many streams for later.
fn server_with_room(room: u32) -> Rig {
    let mut config = speaking(Dialect::Draft16);
    config.flow_control = Some(FlowControl::new(10, 1, 1));
    config.limits.buffered_streams = room;
    config.limits.buffered_bytes = 2;
    let mut rig = Rig::before_settings(Side::Server, config);
    let limits = peer_limits(Side::Server, Dialect::Draft16, ROOMY);
    rig.feed(rig.peer_control(), &limits);
    rig.drain();
    rig
}

fn accept(rig: &mut Rig, session: SessionId) -> Vec<Output> {
    let accepted = webtransport_session::Response::default();
    rig.connection.accept(rig.now, session, accepted).unwrap();
    rig.outputs()
}

#[test]
fn a_stream_that_found_no_room_before_the_answer_is_given_back() {
    let mut rig = server_with_room(1);
    let session = rig.request_session(CONNECT);
    let (bidi, uni) = (rig.peer_bidi(1), rig.peer_uni(0));
    rig.peer_opens(bidi, session, b"");
    rig.peer_opens(uni, session, b"");
    rig.drain();
    let outputs = accept(&mut rig, session);
    assert!(said(&outputs, MAX_STREAMS_UNI, 2), "{outputs:?}");
    assert!(!said(&outputs, MAX_STREAMS_BIDI, 2), "{outputs:?}");
}

#[test]
fn a_stream_whose_bytes_found_no_room_is_given_back() {
    let mut rig = server_with_room(1);
    let session = rig.request_session(CONNECT);
    let uni = rig.peer_uni(0);
    rig.peer_opens(uni, session, b"123");
    rig.drain();
    let outputs = accept(&mut rig, session);
    assert!(said(&outputs, MAX_STREAMS_UNI, 2), "{outputs:?}");
    let data = Transport::new(Support::Yes).stream_receive_window;
    assert!(said(&outputs, MAX_DATA, 10 + data), "{outputs:?}");
}

#[test]
fn streams_that_were_refused_before_their_request_are_given_back_when_it_comes() {
    let ways: [fn(&mut Rig); 3] = [
        // No room for a second one.
        |rig| {
            let bidi = rig.peer_bidi(1);
            rig.peer_opens_for(CONNECT, bidi, b"");
            let uni = rig.peer_uni(0);
            rig.peer_opens_for(CONNECT, uni, b"");
        },
        // No room for its bytes.
        |rig| {
            let uni = rig.peer_uni(0);
            rig.peer_opens_for(CONNECT, uni, b"123");
        },
        // It waited too long.
        |rig| {
            let uni = rig.peer_uni(0);
            rig.peer_opens_for(CONNECT, uni, b"");
            rig.wait(std::time::Duration::from_secs(5));
        },
    ];
    for way in ways {
        let mut rig = server_with_room(1);
        way(&mut rig);
        rig.drain();
        let session = rig.request_session(CONNECT);
        let outputs = accept(&mut rig, session);
        assert!(said(&outputs, MAX_STREAMS_UNI, 2), "{outputs:?}");
    }
}

#[test]
fn a_stream_that_ended_inside_its_header_is_given_back() {
    both_roles(|side| {
        let (mut rig, _) = open(side, FlowControl::new(10, 1, 1), ROOMY);
        let uni = rig.peer_uni(0);
        rig.feed(uni, b"\x40");
        assert!(!said(&rig.outputs(), MAX_STREAMS_UNI, 2));
        rig.peer_resets(uni, WT_SESSION_GONE);
        assert!(said(&rig.outputs(), MAX_STREAMS_UNI, 2));
    });
}

#[test]
fn a_server_that_keeps_nothing_gives_back_what_it_refused_too() {
    let mut rig = server_with_room(0);
    let uni = rig.peer_uni(0);
    rig.peer_opens_for(CONNECT, uni, b"");
    rig.drain();
    let session = rig.request_session(CONNECT);
    let outputs = accept(&mut rig, session);
    assert!(said(&outputs, MAX_STREAMS_UNI, 2), "{outputs:?}");
}

#[test]
fn e25_streams_that_were_refused_count() {
    let mut rig = server_with_room(0);
    let session = rig.request_session(CONNECT);
    let (one, other) = (rig.peer_uni(0), rig.peer_uni(1));
    rig.peer_opens(one, session, b"");
    rig.drain();
    // Before the answer nothing is given back.
    rig.peer_opens(other, session, b"");
    let told = rig.events();
    let reason = violation(Violation::TooManyStreams);
    assert_eq!(told, [Event::SessionClosed { session, reason }]);
}

#[test]
fn no_payload_stays_no_payload_when_an_empty_stream_is_reset() {
    both_roles(|side| {
        let (mut rig, session) = open(side, FlowControl::new(0, 5, 5), ROOMY);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, b"");
        rig.drain();
        rig.peer_resets(stream, WT_SESSION_GONE);
        let outputs = rig.outputs();
        assert!(!said(&outputs, MAX_DATA, 100), "{outputs:?}");
        rig.feed(CONNECT, &capsule(DATA_BLOCKED, 0));
        assert_eq!(rig.outputs(), []);
    });
}

#[test]
fn without_flow_control_at_the_peer_nothing_is_counted() {
    both_roles(|side| {
        let mut config = speaking(Dialect::Draft16);
        config.flow_control = Some(FlowControl::new(10, 1, 1));
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, &[0; 2_000]);
        let told = rig.outputs();
        let actions = told.iter().filter(|told| matches!(told, Output::Action(_)));
        assert_eq!(actions.count(), 0, "{told:?}");
        assert!(rig.connection.wants(stream));
    });
}
