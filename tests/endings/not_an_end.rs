//! What is not an end: N01 to N17.

use std::time::Duration;

use bytes::Bytes;
use webtransport_session::{
    CloseReason, Config, ConnectError, ConnectionLost, Dialect, Dir, Event, Input, Negotiated,
    Output, Requirement, Response, SendError, SessionId, Side, Stats, StreamId, Support, Transport,
    Violation,
};

use crate::support::{
    setting::{DATAGRAM, ENABLE_CONNECT_PROTOCOL, ENABLED_16, MAX_FIELD_SECTION_SIZE},
    *,
};

const GREASE: u64 = 0x21;

fn drain_frame() -> Vec<u8> {
    data_frame(&tlv(0x78ae, b""))
}

fn goaway(id: u64) -> Vec<u8> {
    tlv(0x07, &varint(id))
}

fn opened(session: SessionId) -> Output {
    let response = Box::default();
    event(Event::SessionOpened { session, response })
}

fn draining(session: SessionId) -> Output {
    event(Event::SessionDraining { session })
}

fn datagram(session: SessionId, payload: &[u8]) -> Output {
    let payload = Bytes::copy_from_slice(payload);
    event(Event::DatagramReceived { session, payload })
}

fn stream_opened(session: SessionId, stream: StreamId) -> Output {
    event(Event::StreamOpened { session, stream })
}

fn stream_data(session: SessionId, stream: StreamId, data: &[u8], fin: bool) -> Output {
    let data = Bytes::copy_from_slice(data);
    event(Event::StreamData {
        session,
        stream,
        data,
        fin,
    })
}

fn stream_reset(session: SessionId, stream: StreamId, code: Option<u32>) -> Output {
    event(Event::StreamReset {
        session,
        stream,
        code,
    })
}

fn stream_stopped(session: SessionId, stream: StreamId, code: Option<u32>) -> Output {
    event(Event::StreamStopped {
        session,
        stream,
        code,
    })
}

/// Both halves of a refused stream, as far as the peer has opened them.
fn refused(stream: StreamId, code: u64) -> Vec<Output> {
    match stream.dir() {
        Dir::Bi => vec![reset(stream, code), stop_sending(stream, code)],
        Dir::Uni => vec![stop_sending(stream, code)],
    }
}

/// The session is alive: datagrams and streams work in both directions.
#[track_caller]
fn works(rig: &mut Rig, session: SessionId) {
    let connect: u64 = session.connect_stream().into();
    rig.peer_sends_datagram(connect, b"alive");
    assert_eq!(rig.outputs(), [datagram(session, b"alive")]);
    let stream = rig.peer_uni(90);
    rig.peer_opens(stream, session, b"alive");
    let expected = [
        stream_opened(session, stream),
        stream_data(session, stream, b"alive", false),
    ];
    assert_eq!(rig.outputs(), expected);
    let stream = rig.we_open(session, Dir::Bi);
    rig.connection.credit(stream).unwrap().spend(1);
    rig.feed_fin(stream, b"alive");
    let expected = [stream_data(session, stream, b"alive", true)];
    assert_eq!(rig.outputs(), expected);
    assert!(rig.connection.datagram(session).is_ok());
    assert!(rig.connection.sessions().any(|open| open == session));
}

/// The answer goes out or comes in; everything that follows is given but the answer itself and
/// the call to read on.
fn outputs_of_answer(rig: &mut Rig, session: SessionId) -> Vec<Output> {
    let connect = session.connect_stream();
    match rig.side() {
        Side::Client => {
            rig.feed(connect, &response("200"));
            rig.outputs()
        }
        Side::Server => {
            rig.connection
                .accept(rig.now, session, Response::default())
                .unwrap();
            let mut outputs = rig.outputs();
            assert_eq!(outputs.remove(0), write(connect, OK_200, false));
            outputs.retain(|output| *output != read(connect));
            outputs
        }
    }
}

fn stats(rig: &Rig) -> (u64, u64, u64) {
    let Stats {
        datagrams_absorbed,
        streams_refused,
        requests_refused,
        ..
    } = rig.connection.stats();
    (datagrams_absorbed, streams_refused, requests_refused)
}

fn session_id(id: u64) -> SessionId {
    SessionId::try_from(StreamId::from(id)).unwrap()
}

// ---- N01, N02: draining

#[test]
fn n01_drain_is_told_once_in_every_dialect_and_everything_keeps_working() {
    both_roles(|side| {
        for dialect in DIALECTS {
            let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
            rig.feed(CONNECT, &drain_frame());
            assert_eq!(rig.outputs(), [draining(session)]);
            rig.feed(CONNECT, &drain_frame());
            rig.feed(rig.peer_control(), &goaway(0));
            assert_eq!(rig.outputs(), []);
            works(&mut rig, session);
        }
    });
}

#[test]
fn n01_drain_behind_a_goaway_says_nothing_new() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.feed(rig.peer_control(), &goaway(0));
        assert_eq!(rig.outputs(), [draining(session)]);
        rig.feed(CONNECT, &drain_frame());
        assert_eq!(rig.outputs(), []);
        works(&mut rig, session);
        rig.feed_fin(CONNECT, &close_frame(1, b"now"));
        let fin = write(CONNECT, b"", true);
        assert_eq!(rig.outputs()[0], fin);
    });
}

#[test]
fn n01_drain_before_the_answer_follows_the_opening() {
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, b"");
        rig.feed(rig.peer_control(), &goaway(4));
        rig.feed(rig.peer_control(), &goaway(4));
        assert_eq!(rig.outputs(), []);
        let expected = [
            read(stream),
            opened(session),
            draining(session),
            stream_opened(session, stream),
        ];
        assert_eq!(outputs_of_answer(&mut rig, session), expected);
        rig.feed(CONNECT, &drain_frame());
        assert_eq!(rig.outputs(), []);
    });

    let (mut rig, session) = Rig::requested(Side::Server);
    let stream = rig.peer_uni(0);
    rig.peer_opens(stream, session, b"");
    rig.feed(CONNECT, &[drain_frame(), drain_frame()].concat());
    assert_eq!(rig.outputs(), []);
    let expected = [
        read(stream),
        opened(session),
        draining(session),
        stream_opened(session, stream),
    ];
    assert_eq!(outputs_of_answer(&mut rig, session), expected);
    works(&mut rig, session);
}

#[test]
fn n01_drain_right_behind_the_answer() {
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.feed(CONNECT, &[response("200"), drain_frame()].concat());
    assert_eq!(rig.outputs(), [opened(session), draining(session)]);
}

#[test]
fn n01_our_own_drain_changes_nothing() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.connection.drain(session);
        rig.connection.drain(session);
        let drain = write(CONNECT, &drain_frame(), false);
        assert_eq!(rig.outputs(), std::slice::from_ref(&drain));
        works(&mut rig, session);

        // Before the answer it waits for that.
        let (mut rig, session) = Rig::requested(side);
        rig.connection.drain(session);
        assert_eq!(rig.outputs(), []);
        match side {
            Side::Client => {
                rig.feed(CONNECT, &response("200"));
                assert_eq!(rig.outputs(), [drain, opened(session)]);
            }
            Side::Server => {
                rig.connection
                    .accept(rig.now, session, Response::default())
                    .unwrap();
                let both = [OK_200, &drain_frame()].concat();
                assert_eq!(rig.outputs()[0], write(CONNECT, &both, false));
            }
        }
    });
}

#[test]
fn n02_goaway_is_told_to_every_session() {
    both_roles(|side| {
        let mut rig = Rig::with(side, Config::default(), Dialect::Draft02);
        let [first, second, pending] = [0, 4, 8].map(|id| rig.request_session(id));
        rig.answer(first);
        rig.answer(second);
        rig.feed(rig.peer_control(), &goaway(12));
        assert_eq!(rig.outputs(), [draining(first), draining(second)]);
        // The one below the id goes on.
        let answer = outputs_of_answer_of(&mut rig, pending);
        assert_eq!(answer, [opened(pending), draining(pending)]);
        works(&mut rig, first);
    });
}

/// The same for a dialect whose answer says more.
fn outputs_of_answer_of(rig: &mut Rig, session: SessionId) -> Vec<Output> {
    match rig.side() {
        Side::Client => rig.feed(session.connect_stream(), &response("200")),
        Side::Server => rig
            .connection
            .accept(rig.now, session, Response::default())
            .unwrap(),
    }
    let mut outputs = rig.outputs();
    outputs.retain(|output| matches!(output, Output::Event(_)));
    outputs
}

#[test]
fn n02_goaway_is_told_to_sessions_that_are_requested_behind_it() {
    let mut rig = Rig::with(Side::Server, Config::default(), Dialect::Draft02);
    rig.feed(rig.peer_control(), &goaway(0));
    let session = rig.request_session(0);
    let answer = outputs_of_answer_of(&mut rig, session);
    assert_eq!(answer, [opened(session), draining(session)]);
    rig.feed(rig.peer_control(), &goaway(0));
    assert_eq!(rig.outputs(), []);
}

#[test]
fn n02_client_asks_for_no_session_behind_a_goaway() {
    let request = request();
    for id in [0, 4, (1 << 62) - 4] {
        let mut rig = Rig::with(Side::Client, Config::default(), Dialect::Draft02);
        rig.feed(rig.peer_control(), &goaway(id));
        let refused = rig.connection.connect(rig.now, &request).err();
        assert_eq!(refused, Some(ConnectError::GoingAway));
        assert_eq!(rig.outputs(), []);
    }
}

#[test]
fn n02_goaway_leaves_open_sessions_at_or_above_it_open() {
    let (mut rig, session) = Rig::open(Side::Client);
    rig.feed(rig.peer_control(), &goaway(0));
    assert_eq!(rig.outputs(), [draining(session)]);
    works(&mut rig, session);
}

// ---- N03: what is unknown

#[test]
fn n03_unknown_capsules_and_frames_are_skipped() {
    both_roles(|side| {
        for chunk_len in [usize::MAX, 1, 7] {
            let (mut rig, session) = Rig::open(side);
            rig.chunk_len = chunk_len;
            let unknown = [
                tlv(GREASE, b"frame"),
                data_frame(&[grease(b"capsule"), tlv(0x1234_5678, b"")].concat()),
                data_frame(b""),
                tlv(0x1f * 1000 + 0x21, &[0; 1000]),
                drain_frame(),
            ]
            .concat();
            rig.feed(CONNECT, &unknown);
            assert_eq!(rig.outputs(), [draining(session)]);
            rig.chunk_len = usize::MAX;
            works(&mut rig, session);
        }
    });
}

#[test]
fn n03_unknown_frames_in_front_of_headers_are_skipped() {
    let grease = tlv(GREASE, b"frame");
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.chunk_len = 1;
    rig.feed(CONNECT, &[grease.clone(), response("200")].concat());
    assert_eq!(rig.outputs(), [opened(session)]);

    let mut rig = Rig::new(Side::Server);
    rig.chunk_len = 1;
    let request = connect_request(rig.token());
    rig.feed(CONNECT, &[grease, request].concat());
    let events = rig.events();
    assert!(
        matches!(events[..], [Event::SessionRequested { .. }]),
        "{events:?}"
    );
}

#[test]
fn n03_unknown_capsule_and_frame_of_any_length_are_not_kept() {
    // Longer than every limit there is, and skipped in pieces.
    const LEN: usize = 16 << 20;
    let piece = [0; 1 << 16];
    both_roles(|side| {
        for in_capsule in [true, false] {
            let (mut rig, session) = Rig::open(side);
            let mut header = varint(GREASE);
            header.extend(varint(LEN as u64));
            if in_capsule {
                let mut frame = varint(0x00);
                frame.extend(varint((header.len() + LEN) as u64));
                rig.feed(CONNECT, &frame);
            }
            rig.feed(CONNECT, &header);
            for _ in 0..LEN / piece.len() {
                rig.feed(CONNECT, &piece);
            }
            rig.feed(CONNECT, &drain_frame());
            assert_eq!(rig.outputs(), [draining(session)]);
        }
    });
}

#[test]
fn n03_unknown_settings_are_ignored() {
    both_roles(|side| {
        let mut rig = Rig::before_settings(side, Config::default());
        let entries = [
            (GREASE, 7),
            (DATAGRAM, 1),
            (ENABLE_CONNECT_PROTOCOL, 1),
            (0x01, 65_536),
            (0x07, 100),
            (MAX_FIELD_SECTION_SIZE, 1 << 40),
            (ENABLED_16, 1),
            ((1 << 62) - 1, (1 << 62) - 1),
        ];
        let bytes = [&[0x00][..], &settings(&entries)].concat();
        rig.chunk_len = 1;
        rig.feed(rig.peer_control(), &bytes);
        let events = rig.events();
        assert!(matches!(events[..], [Event::Ready(_)]), "{events:?}");
    });
}

#[test]
fn n03_unknown_frames_on_the_control_stream_are_skipped() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.chunk_len = 3;
        let frames = [tlv(GREASE, &[0; 20_000]), tlv(0x1234_5678, b""), goaway(0)];
        rig.feed(rig.peer_control(), &frames.concat());
        assert_eq!(rig.outputs(), [draining(session)]);
    });
}

#[test]
fn n03_max_push_id_and_priorities_that_cannot_be_read_mean_nothing_at_a_server() {
    let (mut rig, session) = Rig::open(Side::Server);
    let frames = [
        tlv(0xf0700, b"\0u=1:i"),
        tlv(0xf0700, &[0; 20_000]),
        tlv(0x0d, &[0]),
        tlv(0x0d, &[5]),
    ];
    rig.feed(rig.peer_control(), &frames.concat());
    assert_eq!(rig.outputs(), []);
    works(&mut rig, session);
}

#[test]
fn n03_unknown_unidirectional_streams_are_stopped() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        for (n, kind) in [GREASE, 0x41, 0x55, 0x1234_5678, (1 << 62) - 1]
            .into_iter()
            .enumerate()
        {
            let stream = rig.peer_uni(4 + n as u64);
            rig.chunk_len = 1;
            rig.feed(stream, &varint(kind));
            assert_eq!(
                rig.outputs(),
                [stop_sending(stream, H3_STREAM_CREATION_ERROR)],
                "{kind:#x}"
            );
            assert!(!rig.connection.wants(stream));
            rig.chunk_len = usize::MAX;
            rig.feed_fin(stream, b"on its way");
            rig.peer_resets(stream, 0);
            assert_eq!(rig.outputs(), []);
        }
        works(&mut rig, session);
    });
}

// ---- N04: data streams

/// Codes on the wire, and the application's (§4.4).
const CODES: [(u64, Option<u32>); 13] = [
    (APPLICATION_0, Some(0)),
    (APPLICATION_0 + 0x1d, Some(0x1d)),
    (APPLICATION_0 + 0x1e, None), // 0x1f * N + 0x21
    (APPLICATION_0 + 0x1f, Some(0x1e)),
    (0x52e5_ac98_3162, Some(u32::MAX)),
    (0x52e5_ac98_3163, None),
    (APPLICATION_0 - 1, None),
    (WT_SESSION_GONE, None),
    (WT_BUFFERED_STREAM_REJECTED, None),
    (0x10f, None), // Chromium
    (0x10c, None), // Firefox
    (0, None),
    ((1 << 62) - 1, None),
];

#[test]
fn n04_reset_of_a_data_stream_is_an_event_of_that_stream_only() {
    both_roles(|side| {
        for (wire, code) in CODES {
            let (mut rig, session) = Rig::open(side);
            rig.one_stream_of_each_kind(session);
            for stream in [rig.peer_bidi(0), rig.peer_uni(0)] {
                rig.peer_resets(stream, wire);
                let expected = [stream_reset(session, stream, code)];
                assert_eq!(rig.outputs(), expected, "{wire:#x}");
                // Once.
                rig.peer_resets(stream, wire);
                rig.feed_fin(stream, b"late");
                assert_eq!(rig.outputs(), []);
            }
            let ours = rig.we_open(session, Dir::Bi);
            rig.peer_resets(ours, wire);
            assert_eq!(rig.outputs(), [stream_reset(session, ours, code)]);
            assert!(rig.connection.credit(ours).is_ok());
            works(&mut rig, session);
        }
    });
}

#[test]
fn n04_stop_of_a_data_stream_is_answered_and_is_an_event_of_that_stream_only() {
    both_roles(|side| {
        for (wire, code) in CODES {
            let (mut rig, session) = Rig::open(side);
            rig.one_stream_of_each_kind(session);
            let ours = [
                rig.we_open(session, Dir::Bi),
                rig.we_open(session, Dir::Uni),
            ];
            for stream in [rig.peer_bidi(0)].into_iter().chain(ours) {
                rig.peer_stops(stream, wire);
                let expected = [reset(stream, wire), stream_stopped(session, stream, code)];
                assert_eq!(rig.outputs(), expected, "{wire:#x}");
                let sending = rig.connection.credit(stream).err();
                let expected = match stream.dir() {
                    Dir::Bi => SendError::Stopped(code),
                    Dir::Uni => SendError::StreamClosed, // nothing is left of it
                };
                assert_eq!(sending, Some(expected));
                rig.peer_stops(stream, wire);
                assert_eq!(rig.outputs(), []);
            }
            works(&mut rig, session);
        }
    });
}

#[test]
fn n04_stop_is_answered_with_the_header_where_quic_can_promise_it() {
    both_roles(|side| {
        let mut transport = Transport::new(Support::Yes);
        transport.reset_stream_at = Support::Yes;
        let mut rig = Rig::on(side, Config::default(), Dialect::Draft16, transport);
        let session = rig.open_session();
        let stream = rig.we_open(session, Dir::Uni);
        rig.peer_stops(stream, APPLICATION_0);
        let expected = [
            reset_after(stream, APPLICATION_0, 3),
            stream_stopped(session, stream, Some(0)),
        ];
        assert_eq!(rig.outputs(), expected);
    });
}

#[test]
fn n04_reset_and_stop_of_ours_carry_the_code_and_where_quic_can_promise_it_the_header() {
    // §4.4: "WebTransport implementations MUST use the RESET_STREAM_AT frame with a Reliable Size
    // set to at least the size of the WebTransport header"
    both_roles(|side| {
        for (can, header_len) in [(Support::Yes, 3), (Support::Unknown, 0), (Support::No, 0)] {
            let mut transport = Transport::new(Support::Yes);
            transport.reset_stream_at = can;
            for (wire, code) in CODES {
                let Some(code) = code else { continue };
                let config = Config::default();
                let mut rig = Rig::on(side, config, Dialect::Draft16, transport.clone());
                let session = rig.open_session();
                for dir in [Dir::Bi, Dir::Uni] {
                    let ours = rig.we_open(session, dir);
                    rig.connection.credit(ours).unwrap().spend(100);
                    rig.connection.reset(ours, code).unwrap();
                    let expected = [reset_after(ours, wire, header_len)];
                    assert_eq!(rig.outputs(), expected, "{wire:#x}");
                }
                // The header of their stream is theirs.
                let theirs = rig.peer_bidi(0);
                rig.peer_opens(theirs, session, b"");
                rig.drain();
                rig.connection.stop(theirs, code).unwrap();
                rig.connection.reset(theirs, code).unwrap();
                let expected = [stop_sending(theirs, wire), reset(theirs, wire)];
                assert_eq!(rig.outputs(), expected, "{wire:#x}");
                works(&mut rig, session);
            }
        }
    });
}

#[test]
fn n04_session_gone_on_a_data_stream_may_overtake_the_capsule() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let stream = rig.peer_bidi(0);
        rig.peer_opens(stream, session, b"");
        rig.drain();
        rig.peer_resets(stream, WT_SESSION_GONE);
        rig.peer_stops(stream, WT_SESSION_GONE);
        let expected = [
            reset(stream, WT_SESSION_GONE),
            stream_reset(session, stream, None),
            stream_stopped(session, stream, None),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.feed_fin(CONNECT, &close_frame(4242, b"bye-bye"));
        let fin = write(CONNECT, b"", true);
        rig.ends(session, by_capsule(4242, "bye-bye"), &[fin]);
    });
}

#[test]
fn n04_fin_and_bytes_before_a_reset_are_delivered() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, b"one");
        rig.feed(stream, b"two");
        rig.peer_resets(stream, APPLICATION_0);
        let expected = [
            stream_opened(session, stream),
            stream_data(session, stream, b"one", false),
            stream_data(session, stream, b"two", false),
            stream_reset(session, stream, Some(0)),
        ];
        assert_eq!(rig.outputs(), expected);
    });
}

// ---- N05: datagrams

#[test]
fn n05_datagram_of_a_session_that_is_gone_is_absorbed_and_counted() {
    both_roles(|side| {
        // Lingering, and forgotten.
        let (mut rig, session) = Rig::open(side);
        rig.connection.close(rig.now, session, 7, "done");
        rig.drain();
        rig.peer_sends_datagram(CONNECT, b"late");
        assert_eq!(stats(&rig), (1, 0, 0));
        rig.feed_fin(CONNECT, b"");
        rig.peer_sends_datagram(CONNECT, b"later");
        assert_eq!(rig.outputs(), []);
        assert_eq!(stats(&rig), (2, 0, 0));
    });
}

#[test]
fn n05_datagram_of_a_rejected_session_is_absorbed_and_counted() {
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.peer_sends_datagram(CONNECT, b"early");
    rig.connection
        .reject(rig.now, session, http::StatusCode::NOT_FOUND.into())
        .unwrap();
    rig.drain();
    rig.peer_sends_datagram(CONNECT, b"late");
    assert_eq!(rig.outputs(), []);
    assert_eq!(stats(&rig), (2, 0, 0));

    let (mut rig, _) = Rig::requested(Side::Client);
    rig.peer_sends_datagram(CONNECT, b"early");
    rig.feed(CONNECT, &response("404"));
    rig.drain();
    rig.peer_sends_datagram(CONNECT, b"late");
    assert_eq!(rig.outputs(), []);
    assert_eq!(stats(&rig), (2, 0, 0));
}

#[test]
fn n05_datagram_of_a_refused_request_is_absorbed_and_counted() {
    let mut rig = Rig::new(Side::Server);
    rig.takes = 0; // the answer stays, and with it the slot
    rig.feed(CONNECT, &connect_request("other"));
    rig.drain();
    rig.peer_sends_datagram(CONNECT, b"late");
    assert_eq!(rig.outputs(), []);
    assert_eq!(stats(&rig), (1, 0, 1));
}

#[test]
fn n05_datagram_of_a_session_that_was_never_requested() {
    let (mut rig, _) = Rig::open(Side::Client);
    rig.peer_sends_datagram(400, b"?");
    assert_eq!(rig.outputs(), []);
    assert_eq!(stats(&rig), (1, 0, 0));

    // At a server the request may be on its way, for as long as streams are kept.
    let (mut rig, _) = Rig::open(Side::Server);
    rig.peer_sends_datagram(400, b"?");
    rig.wait(Duration::from_millis(4_999));
    assert_eq!(stats(&rig), (0, 0, 0));
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.outputs(), []);
    assert_eq!(stats(&rig), (1, 0, 0));

    // The id turns out to be a data stream's.
    let (mut rig, session) = Rig::open(Side::Server);
    let stream = rig.peer_bidi(0);
    rig.peer_sends_datagram(stream.into(), b"?");
    rig.peer_opens(stream, session, b"");
    rig.peer_sends_datagram(stream.into(), b"?");
    assert_eq!(rig.outputs(), [stream_opened(session, stream)]);
    assert_eq!(stats(&rig), (2, 0, 0));
}

#[test]
fn n05_datagrams_over_a_limit_are_dropped_newest_first_and_counted() {
    // Waiting for the answer.
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        for n in 0..70 {
            rig.peer_sends_datagram(CONNECT, &[n]);
        }
        assert_eq!(stats(&rig), (6, 0, 0));
        let mut expected = vec![opened(session)];
        expected.extend((0..64).map(|n| datagram(session, &[n])));
        assert_eq!(outputs_of_answer(&mut rig, session), expected);

        // By bytes.
        let (mut rig, _) = Rig::requested(side);
        for _ in 0..3 {
            rig.peer_sends_datagram(CONNECT, &[0; 32 * 1024]);
        }
        assert_eq!(stats(&rig), (1, 0, 0));
    });

    // Waiting for the request.
    let mut rig = Rig::new(Side::Server);
    for n in 0..70 {
        rig.peer_sends_datagram(4 * u64::from(n % 2), &[n]);
    }
    assert_eq!(stats(&rig), (6, 0, 0));
    let session = rig.request_session(CONNECT);
    let mut expected = vec![opened(session)];
    expected.extend((0..64).step_by(2).map(|n| datagram(session, &[n])));
    assert_eq!(outputs_of_answer(&mut rig, session), expected);
}

#[test]
fn n05_datagrams_that_the_application_does_not_poll_are_dropped_newest_first_and_counted() {
    both_roles(|side| {
        let mut config = Config::default();
        config.limits.undelivered_datagrams = 3;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        for n in 0..5 {
            rig.peer_sends_datagram(CONNECT, &[n]);
        }
        let expected = [0, 1, 2].map(|n| datagram(session, &[n]));
        assert_eq!(rig.outputs(), expected);
        assert_eq!(stats(&rig), (2, 0, 0));
        works(&mut rig, session);
    });
}

// ---- N06: what comes before the answer

#[test]
fn n06_body_before_the_answer_is_read_after_it() {
    // Chromium sends a GREASE capsule in the packet of its CONNECT.
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.feed(CONNECT, &data_frame(&grease(b"chromium")));
    rig.feed(CONNECT, &data_frame(&tlv(0x00, b"a datagram")));
    rig.feed(CONNECT, &close_frame(4242, b"bye-bye"));
    assert_eq!(rig.outputs(), []);
    assert!(rig.connection.wants(session.connect_stream()));
    let expected = [
        write(CONNECT, b"", true),
        opened(session),
        datagram(session, b"a datagram"),
        closed(session, by_capsule(4242, "bye-bye")),
    ];
    rig.connection
        .accept(rig.now, session, Response::default())
        .unwrap();
    let mut outputs = rig.outputs();
    outputs.retain(|output| *output != read(CONNECT));
    // The answer and the FIN go in one write.
    assert_eq!(outputs[0], write(CONNECT, OK_200, true));
    assert_eq!(outputs[1..], expected[1..]);
}

/// Found by a model: the stream was announced, and what it had brought was lost.
#[test]
fn n11_what_a_parked_stream_brought_is_told_before_an_end_that_came_too_early() {
    let (mut rig, session) = Rig::requested(Side::Server);
    let stream = rig.peer_uni(0);
    rig.peer_opens(stream, session, b"last words");
    rig.feed(CONNECT, &close_frame(4242, b"bye-bye"));
    rig.connection
        .accept(rig.now, session, Response::default())
        .unwrap();
    let data = Event::StreamData {
        session,
        stream,
        data: "last words".into(),
        fin: false,
    };
    let expected = [
        opened(session),
        Output::Event(Event::StreamOpened { session, stream }),
        Output::Event(data),
        closed(session, by_capsule(4242, "bye-bye")),
    ];
    let mut outputs = rig.outputs();
    outputs.retain(|output| matches!(output, Output::Event(_)));
    assert_eq!(outputs, expected);
    rig.is_over(session);
}

#[test]
fn n06_body_is_dropped_with_a_rejection() {
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.feed(CONNECT, &close_frame(4242, b"bye-bye"));
    rig.connection
        .reject(rig.now, session, http::StatusCode::NOT_FOUND.into())
        .unwrap();
    let events = rig.events();
    assert!(
        matches!(
            events[..],
            [Event::SessionClosed {
                reason: CloseReason::Rejected { .. },
                ..
            }]
        ),
        "{events:?}"
    );
    rig.is_over(session);
}

#[test]
fn n06_connect_stream_is_wanted_until_the_limit() {
    let limit = Config::default().limits.unanswered_body;
    let body = data_frame(&tlv(GREASE, &vec![0; limit]));
    let head = 5; // the frame's type and length: those of the capsule are body
    let (mut rig, session) = Rig::requested(Side::Server);
    let connect = session.connect_stream();
    assert!(rig.connection.wants(connect));
    rig.feed(CONNECT, &body[..head + limit - 1]);
    assert!(rig.connection.wants(connect));
    rig.feed(CONNECT, &body[head + limit - 1..head + limit]);
    assert!(!rig.connection.wants(connect));
    // The answer makes room, and says so.
    rig.connection
        .accept(rig.now, session, Response::default())
        .unwrap();
    let expected = [
        write(CONNECT, OK_200, false),
        read(CONNECT),
        opened(session),
    ];
    assert_eq!(rig.outputs(), expected);
    assert!(rig.connection.wants(connect));
    rig.feed(CONNECT, &body[head + limit..]);
    works(&mut rig, session);
}

#[test]
fn n06_host_that_pushes_beyond_the_limit_loses_the_request() {
    let limit = Config::default().limits.unanswered_body;
    let body = data_frame(&vec![0; 2 * limit]);
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.feed(CONNECT, &body[..limit + 5]);
    assert_eq!(rig.outputs(), []);
    rig.feed(CONNECT, &body[limit + 5..limit + 6]);
    let reason = CloseReason::Violation(Violation::UnansweredBodyTooLarge);
    let actions = [
        reset(CONNECT, H3_REQUEST_REJECTED),
        stop_sending(CONNECT, H3_REQUEST_REJECTED),
    ];
    rig.ends(session, reason, &actions);
}

#[test]
fn n06_the_same_before_the_settings() {
    let limit = Config::default().limits.unanswered_body;
    let body = data_frame(&vec![0; 2 * limit]);
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.feed(CONNECT, &connect_request(rig.token()));
    rig.feed(CONNECT, &body[..limit + 4]);
    assert!(rig.connection.wants(CONNECT.into()));
    rig.feed(CONNECT, &body[limit + 4..limit + 5]);
    assert!(!rig.connection.wants(CONNECT.into()));
    assert_eq!(rig.outputs(), []);
    rig.feed(CONNECT, &body[limit + 5..limit + 6]);
    let expected = [
        reset(CONNECT, H3_REQUEST_REJECTED),
        stop_sending(CONNECT, H3_REQUEST_REJECTED),
    ];
    assert_eq!(rig.outputs(), expected);
    assert_eq!(stats(&rig), (0, 0, 1));
}

// ---- N07 to N10: streams without a session

#[test]
fn n07_stream_for_a_session_that_is_over_is_refused_and_counted() {
    type End = fn(&mut Rig, SessionId);
    let ends: [(&str, End); 4] = [
        ("lingering", |rig, session| {
            rig.connection.close(rig.now, session, 7, "done");
        }),
        ("closed by the peer", |rig, _| rig.feed_fin(CONNECT, b"")),
        ("aborted by the peer", |rig, _| rig.peer_resets(CONNECT, 9)),
        ("in the grace of E12", |rig, _| {
            rig.peer_stops(CONNECT, WT_SESSION_GONE);
        }),
    ];
    both_roles(|side| {
        for (condition, end) in ends {
            let (mut rig, session) = Rig::open(side);
            end(&mut rig, session);
            rig.drain();
            for stream in [rig.peer_bidi(0), rig.peer_uni(0)] {
                rig.peer_opens(stream, session, b"late");
                let expected = refused(stream, WT_SESSION_GONE);
                assert_eq!(rig.outputs(), expected, "{condition}");
                rig.feed_fin(stream, b"later");
                rig.peer_stops(stream, 1);
                assert_eq!(rig.outputs(), [], "{condition}");
                assert!(!rig.connection.wants(stream), "{condition}");
            }
            assert_eq!(stats(&rig), (0, 2, 0), "{condition}");
        }
    });
}

#[test]
fn n07_stream_for_a_session_that_was_rejected_is_refused_and_counted() {
    let check = |mut rig: Rig, session: SessionId, requests: u64| {
        rig.drain();
        for stream in [rig.peer_bidi(0), rig.peer_uni(0)] {
            rig.peer_opens(stream, session, b"late");
            assert_eq!(rig.outputs(), refused(stream, WT_SESSION_GONE));
        }
        assert_eq!(stats(&rig), (0, 2, requests));
    };
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.connection
        .reject(rig.now, session, http::StatusCode::NOT_FOUND.into())
        .unwrap();
    check(rig, session, 0);

    let (mut rig, session) = Rig::requested(Side::Client);
    rig.feed_fin(CONNECT, &response("404"));
    check(rig, session, 0);

    // Never announced, with the answer gone and with the answer stuck.
    for takes in [usize::MAX, 0] {
        let mut rig = Rig::new(Side::Server);
        rig.takes = takes;
        rig.feed_fin(CONNECT, &connect_request("other"));
        check(rig, session_id(CONNECT), 1);
    }
}

#[test]
fn n07_half_that_is_over_is_not_wanted_and_brings_nothing_more() {
    type End = fn(&mut Rig, StreamId);
    let ends: [(&str, End); 3] = [
        ("finished", |rig, stream| rig.feed_fin(stream, b"")),
        ("reset", |rig, stream| rig.peer_resets(stream, 9)),
        ("stopped by us", |rig, stream| {
            rig.connection.stop(stream, 7).unwrap();
        }),
    ];
    both_roles(|side| {
        for (condition, end) in ends {
            for is_paused in [false, true] {
                let (mut rig, session) = Rig::open(side);
                let stream = rig.peer_bidi(0);
                rig.peer_opens(stream, session, b"early");
                rig.drain();
                assert!(rig.connection.wants(stream), "{condition}");
                if is_paused {
                    rig.connection.pause(stream);
                    assert!(!rig.connection.wants(stream), "{condition}");
                }
                end(&mut rig, stream);
                rig.drain();
                assert!(!rig.connection.wants(stream), "{condition}");
                rig.connection.resume(stream);
                assert!(!rig.connection.wants(stream), "{condition}");
                rig.feed(stream, b"late");
                rig.feed_fin(stream, b"later");
                assert_eq!(rig.outputs(), [], "{condition}");
                // The other half lives on.
                assert!(rig.connection.credit(stream).is_ok(), "{condition}");
                works(&mut rig, session);
            }
        }
    });
}

#[test]
fn n08_stream_for_a_request_on_its_way_is_parked() {
    for chunk_len in [usize::MAX, 1] {
        let mut rig = Rig::new(Side::Server);
        rig.chunk_len = chunk_len;
        let session = session_id(CONNECT);
        let streams = [rig.peer_bidi(0), rig.peer_uni(0)];
        for stream in streams {
            rig.peer_opens(stream, session, b"early");
            assert!(!rig.connection.wants(stream));
        }
        rig.feed_fin(streams[1], b"er");
        rig.peer_sends_datagram(CONNECT, b"earliest");
        assert_eq!(rig.outputs(), []);
        rig.chunk_len = usize::MAX;
        assert_eq!(rig.request_session(CONNECT), session);
        rig.wait(Duration::from_millis(9_999));
        assert_eq!(rig.outputs(), []);
        let expected = [
            read(streams[0]),
            opened(session),
            stream_opened(session, streams[0]),
            stream_data(session, streams[0], b"early", false),
            stream_opened(session, streams[1]),
            stream_data(session, streams[1], b"earlyer", true),
            datagram(session, b"earliest"),
        ];
        assert_eq!(outputs_of_answer(&mut rig, session), expected);
        assert!(rig.connection.wants(streams[0]));
        assert!(!rig.connection.wants(streams[1]));
    }
}

#[test]
fn n08_parked_stream_over_the_limit_is_refused_newest_first() {
    both_roles(|side| {
        let mut config = Config::default();
        config.limits.buffered_streams = 2;
        let mut rig = Rig::with(side, config, Dialect::Draft16);
        // At a server the request may come later; a client has sent it.
        let session = match side {
            Side::Client => rig.request_session(CONNECT),
            Side::Server => session_id(CONNECT),
        };
        let streams = [0, 1, 2].map(|n| rig.peer_uni(n));
        let newest = rig.peer_bidi(0);
        for stream in streams {
            rig.peer_opens(stream, session, b"");
        }
        rig.peer_opens(newest, session, b"");
        let mut expected = refused(streams[2], WT_BUFFERED_STREAM_REJECTED);
        expected.extend(refused(newest, WT_BUFFERED_STREAM_REJECTED));
        assert_eq!(rig.outputs(), expected);
        assert_eq!(stats(&rig), (0, 2, 0));
        if side == Side::Server {
            rig.request_session(CONNECT);
        }
        let expected = [
            read(streams[0]),
            read(streams[1]),
            opened(session),
            stream_opened(session, streams[0]),
            stream_opened(session, streams[1]),
        ];
        assert_eq!(outputs_of_answer(&mut rig, session), expected);
    });
}

#[test]
fn n08_room_for_parked_streams_comes_back() {
    let mut config = Config::default();
    config.limits.buffered_streams = 1;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    rig.peer_opens_for(400, rig.peer_uni(0), b"expires");
    rig.wait(Duration::from_secs(5));
    rig.drain();
    rig.peer_opens_for(CONNECT, rig.peer_uni(1), b"adopted");
    let session = rig.request_session(CONNECT);
    rig.answer(session);
    rig.peer_opens_for(400, rig.peer_uni(2), b"parked");
    assert_eq!(rig.outputs(), []);
}

#[test]
fn n08_parked_bytes_over_the_limit_cost_the_stream() {
    // Only a host that pushes gets here: `wants` is false.
    both_roles(|side| {
        let mut rig = Rig::new(side);
        let session = match side {
            Side::Client => rig.request_session(CONNECT),
            Side::Server => session_id(CONNECT),
        };
        let (large, small) = (rig.peer_bidi(0), rig.peer_uni(0));
        rig.peer_opens(small, session, b"small");
        rig.peer_opens(large, session, &[0; 40_000]);
        assert_eq!(rig.outputs(), []);
        rig.feed(large, &[0; 40_000]);
        assert_eq!(rig.outputs(), refused(large, WT_BUFFERED_STREAM_REJECTED));
        rig.feed(large, &[0; 40_000]);
        assert_eq!(rig.outputs(), []);
        assert_eq!(stats(&rig), (0, 1, 0));
        if side == Side::Server {
            rig.request_session(CONNECT);
        }
        let expected = [
            read(small),
            opened(session),
            stream_opened(session, small),
            stream_data(session, small, b"small", false),
        ];
        assert_eq!(outputs_of_answer(&mut rig, session), expected);
    });
}

#[test]
fn n08_parked_stream_whose_request_never_comes_is_refused_at_its_deadline() {
    let (mut rig, _) = Rig::open(Side::Server);
    let (bi, uni) = (rig.peer_bidi(0), rig.peer_uni(0));
    rig.peer_opens_for(400, bi, b"?");
    rig.wait(Duration::from_millis(1_000));
    rig.peer_opens_for(400, uni, b"?");
    rig.wait(Duration::from_millis(3_999));
    assert_eq!(rig.outputs(), []);
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.outputs(), refused(bi, WT_BUFFERED_STREAM_REJECTED));
    rig.wait(Duration::from_millis(1_000));
    assert_eq!(rig.outputs(), refused(uni, WT_BUFFERED_STREAM_REJECTED));
    assert_eq!(stats(&rig), (0, 2, 0));
}

#[test]
fn n08_parked_stream_whose_request_is_refused_goes_with_it() {
    let mut rig = Rig::new(Side::Server);
    let stream = rig.peer_bidi(0);
    rig.peer_opens_for(CONNECT, stream, b"early");
    rig.peer_sends_datagram(CONNECT, b"early");
    rig.feed_fin(CONNECT, &connect_request("other"));
    let outputs = rig.outputs();
    assert_eq!(outputs[1..], refused(stream, WT_SESSION_GONE));
    assert_eq!(stats(&rig), (1, 1, 1));
}

#[test]
fn n09_stream_for_what_can_be_no_session_is_refused_at_once() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let data_stream = match side {
            Side::Client => rig.we_open(session, Dir::Bi),
            Side::Server => rig.peer_bidi(4),
        };
        if side == Side::Server {
            rig.peer_opens(data_stream, session, b"");
            rig.drain();
        }
        for stream in [rig.peer_bidi(0), rig.peer_uni(0)] {
            rig.peer_opens_for(data_stream.into(), stream, b"x");
            let expected = refused(stream, WT_BUFFERED_STREAM_REJECTED);
            assert_eq!(rig.outputs(), expected, "a data stream");
        }
        let mut count = 2;
        if side == Side::Server {
            let itself = rig.peer_bidi(5);
            rig.peer_opens_for(itself.into(), itself, b"x");
            let expected = refused(itself, WT_BUFFERED_STREAM_REJECTED);
            assert_eq!(rig.outputs(), expected, "itself");
            count += 1;
        } else {
            for stream in [rig.peer_bidi(1), rig.peer_uni(1)] {
                rig.peer_opens_for(4, stream, b"x");
                let expected = refused(stream, WT_BUFFERED_STREAM_REJECTED);
                assert_eq!(rig.outputs(), expected, "never requested");
                count += 1;
            }
        }
        assert_eq!(stats(&rig), (0, count, 0));
        works(&mut rig, session);
    });
}

#[test]
fn n09_stream_parked_for_what_turns_out_to_be_no_request_is_refused_then() {
    let (mut rig, session) = Rig::open(Side::Server);
    let mistaken = rig.peer_bidi(4);
    let parked = rig.peer_uni(0);
    rig.peer_opens_for(mistaken.into(), parked, b"x");
    assert_eq!(rig.outputs(), []);
    rig.peer_opens(mistaken, session, b"");
    let mut expected = refused(parked, WT_BUFFERED_STREAM_REJECTED);
    expected.push(stream_opened(session, mistaken));
    assert_eq!(rig.outputs(), expected);
    assert_eq!(stats(&rig), (0, 1, 0));
}

#[test]
fn n09_stream_parked_for_one_that_ends_before_it_says_anything_is_refused_then() {
    let (mut rig, _) = Rig::open(Side::Server);
    let (mistaken, parked) = (rig.peer_bidi(4), rig.peer_uni(0));
    rig.peer_opens_for(mistaken.into(), parked, b"x");
    rig.peer_sends_datagram(mistaken.into(), b"x");
    rig.feed_fin(mistaken, b"");
    let mut expected = vec![reset(mistaken, H3_REQUEST_INCOMPLETE)];
    expected.extend(refused(parked, WT_BUFFERED_STREAM_REJECTED));
    assert_eq!(rig.outputs(), expected);
    assert_eq!(stats(&rig), (1, 1, 0));
}

#[test]
fn n09_client_refuses_streams_before_it_has_asked_for_anything() {
    let mut rig = Rig::before_settings(Side::Client, Config::default());
    for stream in [rig.peer_bidi(0), rig.peer_uni(0)] {
        rig.peer_opens_for(CONNECT, stream, b"x");
        let expected = refused(stream, WT_BUFFERED_STREAM_REJECTED);
        assert_eq!(rig.outputs(), expected);
    }
}

#[test]
fn n10_data_stream_that_ends_inside_its_header_is_absorbed() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let mut n = 0;
        for dir in [Dir::Bi, Dir::Uni] {
            let header = stream_header(dir, 400);
            for cut in 0..header.len() {
                for is_reset in [true, false] {
                    let stream = match dir {
                        Dir::Bi => rig.peer_bidi(n),
                        Dir::Uni => rig.peer_uni(n),
                    };
                    n += 1;
                    if is_reset {
                        rig.feed(stream, &header[..cut]);
                        rig.peer_resets(stream, WT_SESSION_GONE);
                    } else {
                        rig.feed_fin(stream, &header[..cut]);
                    }
                    let code = match is_reset {
                        true => H3_REQUEST_CANCELLED,
                        false => H3_REQUEST_INCOMPLETE,
                    };
                    let expected = match dir {
                        Dir::Bi => vec![reset(stream, code)],
                        Dir::Uni => vec![],
                    };
                    assert_eq!(rig.outputs(), expected, "{stream} behind {cut} bytes");
                    assert!(!rig.connection.wants(stream));
                }
            }
        }
        assert_eq!(stats(&rig), (0, 0, 0));
        works(&mut rig, session);
    });
}

// ---- N11, N12: parked until the session opens

#[test]
fn n11_what_overtakes_the_answer_follows_the_opening() {
    both_roles(|side| {
        for chunk_len in [usize::MAX, 1] {
            let (mut rig, session) = Rig::requested(side);
            rig.chunk_len = chunk_len;
            let (bi, uni) = (rig.peer_bidi(0), rig.peer_uni(0));
            rig.peer_sends_datagram(CONNECT, b"first");
            rig.peer_opens(uni, session, b"uni");
            rig.feed_fin(uni, b"");
            rig.peer_sends_datagram(CONNECT, b"second");
            rig.peer_opens(bi, session, b"bi");
            assert_eq!(rig.outputs(), []);
            assert!(!rig.connection.wants(bi));
            assert!(!rig.connection.wants(uni));
            let mut streams = [(bi, &b"bi"[..], false), (uni, b"uni", true)];
            streams.sort();
            let mut expected = vec![read(bi), opened(session)];
            for (stream, data, fin) in streams {
                expected.push(stream_opened(session, stream));
                expected.push(stream_data(session, stream, data, fin));
            }
            expected.push(datagram(session, b"first"));
            expected.push(datagram(session, b"second"));
            rig.chunk_len = usize::MAX;
            assert_eq!(outputs_of_answer(&mut rig, session), expected);
            rig.feed(bi, b"more");
            let expected = [stream_data(session, bi, b"more", false)];
            assert_eq!(rig.outputs(), expected);
            works(&mut rig, session);
        }
    });
}

#[test]
fn n12_end_of_a_parked_stream_follows_its_opening() {
    both_roles(|side| {
        for after_request in [true, false] {
            if side == Side::Client && !after_request {
                continue; // a client knows what it asked for
            }
            let mut rig = Rig::new(side);
            let session = session_id(CONNECT);
            if after_request {
                rig.request_session(CONNECT);
            }
            // A stop comes before the header too.
            let [was_reset, was_stopped, both, early] = [
                rig.peer_uni(0),
                rig.peer_bidi(0),
                rig.peer_bidi(1),
                rig.peer_bidi(2),
            ];
            rig.peer_opens(was_reset, session, b"lost with the reset");
            rig.peer_resets(was_reset, APPLICATION_0);
            rig.peer_opens(was_stopped, session, b"data");
            rig.peer_stops(was_stopped, WT_SESSION_GONE);
            rig.peer_opens(both, session, b"lost too");
            rig.peer_stops(both, APPLICATION_0 + 1);
            rig.peer_resets(both, APPLICATION_0 + 2);
            rig.peer_stops(early, APPLICATION_0 + 3);
            rig.peer_opens(early, session, b"");
            // Resets go out as soon as the stream is the session's.
            let mut resets = vec![
                (was_stopped, reset(was_stopped, WT_SESSION_GONE)),
                (both, reset(both, APPLICATION_0 + 1)),
                (early, reset(early, APPLICATION_0 + 3)),
            ];
            resets.sort_by_key(|&(stream, _)| stream);
            let mut actions: Vec<_> = resets.into_iter().map(|(_, action)| action).collect();
            if after_request {
                assert_eq!(rig.outputs(), actions);
                actions.clear();
            } else {
                assert_eq!(rig.outputs(), []);
                rig.feed(CONNECT, &connect_request(rig.token()));
                let outputs = rig.outputs();
                assert_eq!(outputs[..3], actions);
                assert_eq!(outputs.len(), 4);
            }
            let mut events = vec![
                (was_reset, stream_opened(session, was_reset)),
                (was_reset, stream_reset(session, was_reset, Some(0))),
                (was_stopped, stream_opened(session, was_stopped)),
                (
                    was_stopped,
                    stream_data(session, was_stopped, b"data", false),
                ),
                (was_stopped, stream_stopped(session, was_stopped, None)),
                (both, stream_opened(session, both)),
                (both, stream_reset(session, both, Some(2))),
                (both, stream_stopped(session, both, Some(1))),
                (early, stream_opened(session, early)),
                (early, stream_stopped(session, early, Some(3))),
            ];
            events.sort_by_key(|&(stream, _)| stream);
            let mut expected = vec![read(was_stopped), read(early), opened(session)];
            expected.extend(events.into_iter().map(|(_, event)| event));
            assert_eq!(outputs_of_answer(&mut rig, session), expected);
            works(&mut rig, session);
        }
    });
}

// ---- N13, N14: SETTINGS

#[test]
fn n13_requests_before_the_settings_are_held_and_announced_in_the_order_of_ids() {
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    for stream in [8, 0, 4] {
        rig.feed(stream, &connect_request("webtransport"));
    }
    let early = rig.peer_uni(0);
    rig.peer_opens_for(0, early, b"early");
    rig.feed(0, &data_frame(&tlv(0x00, b"earlier")));
    assert_eq!(rig.outputs(), []);
    assert_eq!(rig.connection.sessions().count(), 0);
    assert!(rig.connection.wants(0.into()));
    let theirs = peer_settings(Side::Server, Dialect::Draft02);
    rig.feed(rig.peer_control(), &theirs);
    let events = rig.events();
    assert!(
        matches!(
            events[0],
            Event::Ready(Negotiated {
                dialect: Some(Dialect::Draft02),
                ..
            })
        ),
        "{events:?}"
    );
    let requested: Vec<_> = events[1..].iter().map(Event::session).collect();
    let expected = [0, 4, 8].map(|id| Some(session_id(id)));
    assert_eq!(requested, expected);
    let answer = outputs_of_answer_of(&mut rig, session_id(0));
    let expected = [
        opened(session_id(0)),
        stream_opened(session_id(0), early),
        stream_data(session_id(0), early, b"early", false),
        datagram(session_id(0), b"earlier"),
    ];
    assert_eq!(answer, expected);
}

#[test]
fn n13_held_requests_count_as_unanswered() {
    let mut config = Config::default();
    config.limits.unanswered_requests = 2;
    let mut rig = Rig::before_settings(Side::Server, config);
    for stream in [0, 4] {
        rig.feed(stream, &connect_request(rig.token()));
    }
    assert_eq!(rig.outputs(), []);
    rig.feed(8, &connect_request(rig.token()));
    let expected = [
        reset(8, H3_REQUEST_REJECTED),
        stop_sending(8, H3_REQUEST_REJECTED),
    ];
    assert_eq!(rig.outputs(), expected);
    assert_eq!(stats(&rig), (0, 0, 1));
}

#[test]
fn n13_held_request_that_the_client_takes_back_is_not_announced() {
    type TakeBack = fn(&mut Rig);
    let ways: [(&str, TakeBack, Vec<Output>); 3] = [
        (
            "RESET",
            |rig| rig.peer_resets(CONNECT, 9),
            vec![reset(CONNECT, H3_REQUEST_CANCELLED)],
        ),
        (
            "FIN",
            |rig| rig.feed_fin(CONNECT, b""),
            vec![reset(CONNECT, H3_REQUEST_CANCELLED)],
        ),
        (
            "STOP_SENDING",
            |rig| rig.peer_stops(CONNECT, 9),
            vec![reset(CONNECT, 9), stop_sending(CONNECT, 9)],
        ),
    ];
    for (condition, take_back, expected) in ways {
        let mut rig = Rig::before_settings(Side::Server, Config::default());
        rig.feed(CONNECT, &connect_request(rig.token()));
        take_back(&mut rig);
        assert_eq!(rig.outputs(), expected, "{condition}");
        let theirs = peer_settings(Side::Server, Dialect::Draft16);
        rig.feed(rig.peer_control(), &theirs);
        let events = rig.events();
        assert!(matches!(events[..], [Event::Ready(_)]), "{condition}");
        assert_eq!(stats(&rig), (0, 0, 1), "{condition}");
    }
}

/// A peer that lacks something: what it announces, what QUIC can do, and what we speak.
struct Lack {
    missing: Requirement,
    entries: Vec<(u64, u64)>,
    transport: Transport,
    config: Config,
}

fn lacks(side: Side) -> Vec<Lack> {
    const WT: (u64, u64) = (ENABLED_16, 1);
    let lack = |missing, entries: &[(u64, u64)]| Lack {
        missing,
        entries: entries.to_vec(),
        transport: Transport::new(Support::Yes),
        config: Config::default(),
    };
    let whole = [(DATAGRAM, 1), (ENABLE_CONNECT_PROTOCOL, 1), WT];
    let mut no_datagrams = lack(Requirement::Datagrams, &whole);
    no_datagrams.transport = Transport::new(Support::No);
    let mut no_reset = lack(Requirement::ResetStreamAt, &whole);
    no_reset.transport.peer_reset_stream_at = Support::No;
    let mut no_dialect = lack(Requirement::Dialect, &whole);
    no_dialect.config = speaking(Dialect::Draft02);
    let mut all = vec![
        no_dialect,
        lack(Requirement::Datagrams, &[(ENABLE_CONNECT_PROTOCOL, 1), WT]),
        no_datagrams,
        no_reset,
    ];
    if side == Side::Client {
        let no_webtransport = [(DATAGRAM, 1), (ENABLE_CONNECT_PROTOCOL, 1)];
        all.push(lack(Requirement::WebTransport, &no_webtransport));
        all.push(lack(Requirement::ExtendedConnect, &[(DATAGRAM, 1), WT]));
    }
    all
}

/// Started, with the CONNECT of a server's client before or after these SETTINGS.
fn lacking(side: Side, lack: Lack) -> Rig {
    let mut rig = Rig::started(side, lack.config, Dialect::Draft16, lack.transport);
    let bytes = [&[0x00][..], &settings(&lack.entries)].concat();
    rig.feed(rig.peer_control(), &bytes);
    rig
}

#[test]
fn n14_server_says_once_what_is_missing_and_aborts_each_request() {
    for lack in lacks(Side::Server) {
        let missing = lack.missing;
        let mut rig = lacking(Side::Server, lack);
        assert_eq!(rig.outputs(), [event(Event::Unsupported(missing))]);
        for stream in [0, 4] {
            rig.feed(stream, &connect_request("webtransport-h3"));
            let expected = [
                reset(stream, H3_MESSAGE_ERROR),
                stop_sending(stream, H3_MESSAGE_ERROR),
            ];
            assert_eq!(rig.outputs(), expected, "{missing:?}");
        }
        assert_eq!(stats(&rig), (0, 0, 2));
        assert!(!rig.connection.is_closed());
    }
}

#[test]
fn n14_server_aborts_what_it_held() {
    let lack = lacks(Side::Server).swap_remove(1);
    let mut rig = Rig::before_settings(Side::Server, lack.config);
    rig.feed(CONNECT, &connect_request(rig.token()));
    let bytes = [&[0x00][..], &settings(&lack.entries)].concat();
    rig.feed(rig.peer_control(), &bytes);
    let expected = [
        reset(CONNECT, H3_MESSAGE_ERROR),
        stop_sending(CONNECT, H3_MESSAGE_ERROR),
        event(Event::Unsupported(lack.missing)),
    ];
    assert_eq!(rig.outputs(), expected);
}

#[test]
fn n14_client_is_told_what_is_missing_and_cannot_connect() {
    let request = request();
    for lack in lacks(Side::Client) {
        let missing = lack.missing;
        let mut rig = lacking(Side::Client, lack);
        assert_eq!(rig.outputs(), [event(Event::Unsupported(missing))]);
        let refused = rig.connection.connect(rig.now, &request).err();
        assert_eq!(refused, Some(ConnectError::Unsupported(missing)));
        rig.wait(Duration::from_secs(3600));
        assert_eq!(rig.outputs(), []);
        assert!(!rig.connection.is_closed());
    }
    let mut rig = Rig::before_settings(Side::Client, Config::default());
    let refused = rig.connection.connect(rig.now, &request).err();
    assert_eq!(refused, Some(ConnectError::NotReady));
}

#[test]
fn n14_client_closes_such_a_connection_where_it_was_told_to() {
    for mut lack in lacks(Side::Client) {
        lack.config.close_unsupported = true;
        let missing = lack.missing;
        let mut rig = lacking(Side::Client, lack);
        let code = WT_REQUIREMENTS_NOT_MET;
        let expected = [
            close_connection(code, ""),
            event(Event::Unsupported(missing)),
            connection_closed(&ConnectionLost::Local { code: Some(code) }),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("unsupported");
    }
    // At a server it has no effect.
    for mut lack in lacks(Side::Server) {
        lack.config.close_unsupported = true;
        let rig = lacking(Side::Server, lack);
        assert!(!rig.connection.is_closed());
    }
}

#[test]
fn n14_what_is_unknown_never_fails() {
    both_roles(|side| {
        let mut rig = Rig::on(
            side,
            Config::default(),
            Dialect::Draft16,
            Transport::new(Support::Unknown),
        );
        let session = rig.open_session();
        works(&mut rig, session);
    });
}

// ---- N15, N16: capsules

#[test]
fn n15_flow_control_capsules_mean_nothing_while_it_is_off() {
    // §5.1: "If flow control is not enabled, an endpoint MUST ignore receipt of any flow control
    // capsules, since the peer might not have received SETTINGS at the time they were sent"
    both_roles(|side| {
        for dialect in DIALECTS {
            let mut kinds = vec![
                0x190b_4d3d,
                0x190b_4d3f,
                0x190b_4d40,
                0x190b_4d41,
                0x190b_4d43,
                0x190b_4d44,
            ];
            if matches!(dialect, Dialect::Draft02 | Dialect::Draft07) {
                // Unknown there (E24).
                kinds.extend([0x190b_4d3e, 0x190b_4d42]);
            }
            let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
            rig.chunk_len = 5;
            for kind in kinds {
                for payload in [
                    &[][..],
                    &[0],
                    &[5],
                    &[4],          // lower than the last
                    &[0x40],       // cut off
                    &[0, 0, 0, 0], // longer than its fields
                    &[0xff; 8],    // above 2^60
                    &[0; 4000],
                ] {
                    rig.feed(CONNECT, &data_frame(&tlv(kind, payload)));
                    let outputs = rig.outputs();
                    assert_eq!(outputs, [], "{dialect:?} {kind:#x} {payload:?}");
                }
            }
            rig.chunk_len = usize::MAX;
            works(&mut rig, session);
        }
    });
}

#[test]
fn n16_datagram_capsule_is_a_datagram() {
    both_roles(|side| {
        for chunk_len in [usize::MAX, 1, 3] {
            let (mut rig, session) = Rig::open(side);
            rig.chunk_len = chunk_len;
            let capsules = [tlv(0x00, b"one"), tlv(0x00, b""), tlv(0x00, b"two")];
            rig.feed(CONNECT, &data_frame(&capsules.concat()));
            let expected = [&b"one"[..], b"", b"two"].map(|payload| datagram(session, payload));
            assert_eq!(rig.outputs(), expected);
            // One over two DATA frames.
            let capsule = tlv(0x00, b"three");
            let (front, back) = capsule.split_at(4);
            rig.feed(CONNECT, &[data_frame(front), data_frame(back)].concat());
            assert_eq!(rig.outputs(), [datagram(session, b"three")]);
        }
    });
}

#[test]
fn n16_datagram_capsule_over_the_limit_is_skipped() {
    both_roles(|side| {
        let mut config = Config::default();
        config.limits.datagram_capsule = 1_000;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        for (len, is_kept) in [(999, true), (1_000, true), (1_001, false), (70_000, false)] {
            let payload = vec![7; len];
            rig.feed(CONNECT, &data_frame(&tlv(0x00, &payload)));
            let expected = match is_kept {
                true => vec![datagram(session, &payload)],
                false => vec![],
            };
            assert_eq!(rig.outputs(), expected, "{len} bytes");
        }
        works(&mut rig, session);
    });
}

#[test]
fn n16_datagram_capsules_count_as_undelivered_datagrams() {
    both_roles(|side| {
        let mut config = Config::default();
        config.limits.undelivered_datagrams = 2;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        for n in 0..4 {
            rig.feed(CONNECT, &data_frame(&tlv(0x00, &[n])));
        }
        let expected = [0, 1].map(|n| datagram(session, &[n]));
        assert_eq!(rig.outputs(), expected);
        assert_eq!(stats(&rig), (2, 0, 0));
    });
}

// ---- N17: what concerns nobody

#[test]
fn n17_facts_about_streams_that_are_gone_or_cannot_be_are_ignored() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let gone = rig.peer_bidi(0);
        rig.peer_opens(gone, session, b"");
        rig.feed_fin(gone, b"");
        rig.connection.reset(gone, 1).unwrap();
        rig.drain();
        let our_uni = rig.we_open(session, Dir::Uni);
        rig.drain();
        let never_ours = StreamId::new(side, Dir::Bi, 5_000);
        let streams = [
            gone,
            never_ours,
            StreamId::from(1 << 62),
            StreamId::from(u64::MAX),
        ];
        for stream in streams {
            let (len, fin) = (3, true);
            rig.feed_fin(stream, b"what?");
            rig.peer_resets(stream, 1);
            rig.peer_stops(stream, 1);
            rig.handle(Input::Written { stream, len, fin });
            rig.handle(Input::StreamWritable { stream });
            assert!(!rig.connection.wants(stream), "{stream}");
            assert!(rig.connection.credit(stream).is_err(), "{stream}");
            assert!(rig.connection.finish(stream).is_err(), "{stream}");
            assert!(rig.connection.reset(stream, 1).is_err(), "{stream}");
            assert!(rig.connection.stop(stream, 1).is_err(), "{stream}");
            rig.connection.pause(stream);
            rig.connection.resume(stream);
        }
        // Halves that do not exist.
        rig.feed_fin(our_uni, b"what?");
        rig.peer_resets(our_uni, 1);
        rig.peer_stops(rig.peer_uni(7), 1);
        // Answers to writes that were never offered, and calls that nobody waits for.
        let (stream, len, fin) = (session.connect_stream(), usize::MAX, true);
        rig.handle(Input::Written { stream, len, fin });
        rig.handle(Input::StreamWritable { stream });
        rig.handle(Input::StreamsAvailable { dir: Dir::Bi });
        rig.handle(Input::StreamsAvailable { dir: Dir::Uni });
        rig.handle(Input::Timeout);
        rig.handle(Input::StreamData {
            stream: rig.peer_uni(8),
            data: Bytes::new(),
            fin: false,
        });
        assert_eq!(rig.outputs(), []);
        assert_eq!(stats(&rig), (0, 0, 0));
        works(&mut rig, session);
    });
}

#[test]
fn n17_everything_after_the_connection_is_ignored() {
    both_roles(|side| {
        let (mut rig, _) = Rig::open(side);
        rig.connection_lost(ConnectionLost::IdleTimeout);
        // Before the end is polled, and after.
        let expected = rig.connection.stats();
        rig.feed_fin(CONNECT, &close_frame(1, b"late"));
        rig.peer_sends_datagram(CONNECT, b"late");
        rig.feed(rig.peer_control(), &goaway(8));
        assert_eq!(rig.outputs().len(), 2);
        assert_eq!(rig.connection.stats(), expected);
        rig.is_inert("after the loss");
    });
}

#[test]
fn n07_a_pause_before_the_application_was_told_of_the_stream_is_none() {
    let mut rig = Rig::new(Side::Server);
    let stream = rig.peer_uni(0);
    rig.peer_opens_for(CONNECT, stream, b"early");
    rig.connection.pause(stream);
    let session = rig.request_session(CONNECT);
    let response = Response::default();
    rig.connection.accept(rig.now, session, response).unwrap();
    let told = rig.events();
    let payload =
        |event: &Event| matches!(event, Event::StreamData { data, .. } if data == "early");
    assert!(told.iter().any(payload), "{told:?}");
    assert!(rig.connection.wants(stream));
}

#[test]
fn n07_reads_go_on_when_half_is_delivered() {
    for limit in [1_000, 4_000, 20_000] {
        let mut config = Config::default();
        config.limits.undelivered_bytes = limit;
        let (mut rig, session) = Rig::open_with(Side::Server, config, Dialect::Draft16);
        let streams = [0, 1].map(|n| rig.peer_uni(n));
        let wants = |rig: &Rig| streams.map(|stream| rig.connection.wants(stream));
        for stream in streams {
            rig.peer_opens(stream, session, b"");
        }
        rig.drain();
        let mut waiting = 0;
        while wants(&rig) == [true; 2] {
            rig.feed(streams[0], &[0; 100]);
            waiting += 1;
        }
        let mut polled = 0;
        while wants(&rig) == [false; 2] {
            assert!(matches!(rig.connection.poll(), Some(Output::Event(_))));
            polled += 1;
        }
        assert!(
            polled * 2 >= waiting && polled < waiting,
            "{limit}: {polled} of {waiting}"
        );
        assert_eq!(rig.connection.poll(), Some(read(streams[0])));
        assert_eq!(rig.connection.poll(), Some(read(streams[1])));
        // Once for all of them.
        let rest = rig.outputs();
        assert_eq!(rest.len(), waiting - polled);
        assert!(rest.iter().all(|output| matches!(output, Output::Event(_))));
    }
}

#[test]
fn n07_a_stream_that_is_resumed_is_read_when_nothing_else_holds_reads_back() {
    both_roles(|side| {
        let mut config = Config::default();
        config.limits.undelivered_bytes = 1_000;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, b"");
        rig.drain();
        rig.connection.pause(stream);
        rig.feed(stream, &[0; 2_000]);
        rig.connection.resume(stream);
        assert_eq!(rig.connection.poll_action(), None);
        let outputs = rig.outputs();
        let reads = outputs.iter().filter(|&output| *output == read(stream));
        assert_eq!(reads.count(), 1, "{outputs:?}");
        assert!(rig.connection.wants(stream));
    });
}

#[test]
fn who_could_not_open_a_stream_is_told_when_quic_has_one() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        for dir in [Dir::Bi, Dir::Uni] {
            rig.handle(Input::StreamsAvailable { dir });
            assert_eq!(rig.outputs(), [], "nobody wanted one");
            drop(rig.connection.open(session, dir).unwrap());
            for told in [vec![event(Event::StreamsAvailable { dir })], vec![]] {
                rig.handle(Input::StreamsAvailable { dir });
                assert_eq!(rig.outputs(), told);
            }
        }
    });
}
