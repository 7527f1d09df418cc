//! We end it: E60 to E65.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use webtransport_session::{
    AnswerError, CloseMessage, CloseReason, Config, ConnectError, ConnectionLost, DatagramError,
    Dialect, Dir, Event, Http3Error, Input, OpenError, Output, Rejection, Response, SendError,
    SessionId, Side, StreamClosed, StreamId, Support, Transport,
};

use crate::support::*;

fn local(code: u32, message: &str) -> CloseReason {
    let message = CloseMessage::from(message);
    CloseReason::Local { code, message }
}

/// Closed with (7, "done"), with live streams; everything is polled.
fn closed_by_us(side: Side) -> (Rig, SessionId) {
    let (mut rig, session) = Rig::open(side);
    rig.one_stream_of_each_kind(session);
    rig.connection.close(rig.now, session, 7, "done");
    rig.drain();
    (rig, session)
}

fn abort(code: u64) -> [Output; 2] {
    [reset(CONNECT, code), stop_sending(CONNECT, code)]
}

// ---- E60: close

#[test]
fn e60_close_is_capsule_and_fin_and_streams_gone_and_no_stop_sending() {
    both_roles(|side| {
        for (code, message) in [(4242, "bye-bye"), (0, ""), (u32::MAX, "ü")] {
            let (mut rig, session) = Rig::open(side);
            let mut expected = vec![write(CONNECT, &close_frame(code, message.as_bytes()), true)];
            expected.extend(rig.one_stream_of_each_kind(session));
            rig.connection.close(rig.now, session, code, message);
            rig.ends_after_linger(session, local(code, message), &expected);
        }
    });
}

#[test]
fn e60_close_looks_the_same_in_every_dialect() {
    both_roles(|side| {
        for dialect in [
            Dialect::Draft02,
            Dialect::Draft07,
            Dialect::Draft14,
            Dialect::Draft16,
        ] {
            let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
            rig.connection.close(rig.now, session, 7, "done");
            let capsule = write(CONNECT, &close_frame(7, b"done"), true);
            rig.closes(session, local(7, "done"), &[capsule]);
            rig.feed_fin(CONNECT, b"");
            rig.is_over(session);
        }
    });
}

#[test]
fn e60_resets_carry_the_header_where_quic_can_promise_it() {
    both_roles(|side| {
        let mut transport = Transport::new(Support::Yes);
        transport.reset_stream_at = Support::Yes;
        let mut rig = Rig::on(side, Config::default(), Dialect::Draft16, transport);
        let session = rig.open_session();
        let bi = rig.we_open(session, Dir::Bi);
        let uni = rig.we_open(session, Dir::Uni);
        rig.connection.close(rig.now, session, 7, "done");
        // §4.4: the reliable size is that of the header: two varints, of 2 and of 1 byte.
        let mut streams = vec![
            (bi, reset_after(bi, WT_SESSION_GONE, 3)),
            (bi, stop_sending(bi, WT_SESSION_GONE)),
            (uni, reset_after(uni, WT_SESSION_GONE, 3)),
        ];
        streams.sort_by_key(|&(stream, _)| stream);
        let mut expected = vec![write(CONNECT, &close_frame(7, b"done"), true)];
        expected.extend(streams.into_iter().map(|(_, action)| action));
        rig.ends_after_linger(session, local(7, "done"), &expected);
    });
}

#[test]
fn e60_header_that_quic_has_not_taken_goes_with_its_stream() {
    both_roles(|side| {
        let mut transport = Transport::new(Support::Yes);
        transport.reset_stream_at = Support::Yes;
        let mut rig = Rig::on(side, Config::default(), Dialect::Draft16, transport);
        let session = rig.open_session();
        rig.takes = 1;
        let stream = rig.we_open(session, Dir::Uni);
        rig.takes = usize::MAX;
        rig.connection.close(rig.now, session, 7, "done");
        let expected = [
            write(CONNECT, &close_frame(7, b"done"), true),
            reset(stream, WT_SESSION_GONE),
        ];
        rig.ends_after_linger(session, local(7, "done"), &expected);
    });
}

#[test]
fn e60_only_halves_that_are_alive_are_ended() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let (their_bi, their_uni) = (rig.peer_bidi(0), rig.peer_uni(0));
        for stream in [their_bi, their_uni] {
            rig.peer_opens(stream, session, b"");
            rig.feed_fin(stream, b"all");
        }
        rig.drain();
        let [finished, stopped, stopped_by_us] = [(); 3].map(|()| rig.we_open(session, Dir::Bi));
        let was_reset = rig.we_open(session, Dir::Uni);
        rig.connection.finish(finished).unwrap();
        rig.peer_stops(stopped, 1);
        rig.connection.stop(stopped_by_us, 1).unwrap();
        rig.connection.reset(was_reset, 1).unwrap();
        rig.drain();
        rig.connection.close(rig.now, session, 7, "done");
        let mut alive = vec![
            (their_bi, reset(their_bi, WT_SESSION_GONE)),
            (finished, stop_sending(finished, WT_SESSION_GONE)),
            (stopped, stop_sending(stopped, WT_SESSION_GONE)),
            (stopped_by_us, reset(stopped_by_us, WT_SESSION_GONE)),
        ];
        alive.sort_by_key(|&(stream, _)| stream);
        let mut expected = vec![write(CONNECT, &close_frame(7, b"done"), true)];
        expected.extend(alive.into_iter().map(|(_, action)| action));
        rig.ends_after_linger(session, local(7, "done"), &expected);
    });
}

#[test]
fn e60_close_goes_behind_capsules_that_are_queued() {
    both_roles(|side| {
        let drain = data_frame(&tlv(0x78ae, b""));
        let (mut rig, session) = Rig::open(side);
        rig.connection.drain(session);
        rig.connection.close(rig.now, session, 7, "done");
        let both = [drain.clone(), close_frame(7, b"done")].concat();
        rig.ends_after_linger(session, local(7, "done"), &[write(CONNECT, &both, true)]);

        // The one in front is with QUIC in part.
        let (mut rig, session) = Rig::open(side);
        rig.takes = 2;
        rig.connection.drain(session);
        assert_eq!(rig.outputs(), [write(CONNECT, &drain, false)]);
        rig.takes = usize::MAX;
        rig.connection.close(rig.now, session, 7, "done");
        rig.closes(session, local(7, "done"), &[]);
        let stream = session.connect_stream();
        rig.handle(Input::StreamWritable { stream });
        let expected = [
            write(CONNECT, &drain[2..], false),
            write(CONNECT, &close_frame(7, b"done"), true),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.feed_fin(CONNECT, b"");
        rig.is_over(session);
    });
}

#[test]
fn e60_close_is_told_at_once_although_our_half_is_blocked() {
    both_roles(|side| {
        for takes in 0..8 {
            let (mut rig, session) = Rig::open(side);
            let gone = rig.one_stream_of_each_kind(session);
            rig.takes = takes;
            rig.connection.close(rig.now, session, 7, "done");
            let capsule = close_frame(7, b"done");
            let mut expected = vec![write(CONNECT, &capsule, true)];
            expected.extend(gone);
            rig.closes(session, local(7, "done"), &expected);
            assert!(!rig.connection.is_settled());
            rig.takes = usize::MAX;
            let stream = session.connect_stream();
            rig.handle(Input::StreamWritable { stream });
            assert_eq!(rig.outputs(), [write(CONNECT, &capsule[takes..], true)]);
            rig.feed_fin(CONNECT, b"");
            rig.is_over(session);
        }
    });
}

#[test]
fn e60_close_behind_an_answer_that_quic_has_not_taken() {
    let mut rig = Rig::new(Side::Server);
    let session = rig.request_session(CONNECT);
    rig.connection
        .accept(rig.now, session, Response::default())
        .unwrap();
    rig.connection.close(rig.now, session, 7, "done");
    let both = [OK_200, &close_frame(7, b"done")].concat();
    let outputs = rig.outputs();
    assert_eq!(outputs[0], write(CONNECT, &both, true));
    let response = Box::default();
    let opened = event(Event::SessionOpened { session, response });
    assert_eq!(
        outputs[outputs.len() - 2..],
        [opened, closed(session, local(7, "done"))]
    );
}

#[test]
fn e60_everything_is_refused_afterwards() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.one_stream_of_each_kind(session);
        let stream = rig.peer_bidi(0);
        rig.connection.close(rig.now, session, 7, "done");
        // Before the actions are polled, and after.
        for _ in 0..2 {
            let connection = &mut rig.connection;
            for dir in [Dir::Bi, Dir::Uni] {
                let refused = connection.open(session, dir).err();
                assert_eq!(refused, Some(OpenError::SessionClosed));
            }
            let refused = connection.datagram(session).err();
            assert_eq!(refused, Some(DatagramError::SessionClosed));
            assert_eq!(connection.max_datagram_payload(session, 1200), None);
            let refused = connection.credit(stream).err();
            assert_eq!(refused, Some(SendError::StreamClosed));
            assert_eq!(connection.finish(stream), Err(StreamClosed));
            assert_eq!(connection.reset(stream, 1), Err(StreamClosed));
            assert_eq!(connection.stop(stream, 1), Err(StreamClosed));
            assert_eq!(connection.sessions().count(), 0);
            rig.drain();
        }
    });
}

#[test]
fn e60_later_input_of_the_session_is_absorbed() {
    both_roles(|side| {
        let (mut rig, session) = closed_by_us(side);
        let (bi, uni) = (rig.peer_bidi(0), rig.peer_uni(0));
        // Streams that were alive: their ends are over, whatever they still say.
        rig.feed(bi, b"late");
        rig.feed_fin(uni, b"late");
        rig.peer_resets(bi, APPLICATION_0);
        rig.peer_stops(bi, APPLICATION_0);
        rig.handle(Input::StreamWritable { stream: bi });
        rig.peer_sends_datagram(CONNECT, b"late");
        for capsule in [
            tlv(0x78ae, b""),
            tlv(0x00, b"a datagram in a capsule"),
            grease(b"late"),
        ] {
            rig.feed(CONNECT, &data_frame(&capsule));
        }
        assert_eq!(rig.outputs(), []);
        assert_eq!(rig.connection.stats().datagrams_absorbed, 1);
        // New ones are refused (N07).
        rig.peer_opens(rig.peer_uni(1), session, b"late");
        let refused = [stop_sending(rig.peer_uni(1), WT_SESSION_GONE)];
        assert_eq!(rig.outputs(), refused);
        assert_eq!(rig.connection.stats().streams_refused, 1);
        rig.feed_fin(CONNECT, b"");
        assert_eq!(rig.outputs(), []);
        rig.is_over(session);
    });
}

#[test]
fn e60_mistakes_of_the_peer_are_no_violations_any_more() {
    both_roles(|side| {
        for (condition, capsule) in [
            ("E20", tlv(0x2843, b"abc")),
            ("E21", tlv(0x2843, &[b'a'; 1029])),
            ("E22", close_capsule(1, b"\xff")),
            ("E24", tlv(0x190b_4d3e, b"\0\0")),
            ("E26", tlv(0x78ae, b"x")),
        ] {
            for fin in [true, false] {
                let (mut rig, session) = closed_by_us(side);
                rig.feed_maybe_fin(CONNECT, &data_frame(&capsule), fin);
                assert_eq!(rig.outputs(), [], "{condition}");
                if !fin {
                    rig.wait(Duration::from_secs(3));
                    let stop = stop_sending(CONNECT, WT_SESSION_GONE);
                    assert_eq!(rig.outputs(), [stop], "{condition}");
                }
                rig.is_over(session);
            }
        }
        // E23
        let (mut rig, session) = closed_by_us(side);
        rig.feed_fin(CONNECT, &data_frame(&[0x68]));
        assert_eq!(rig.outputs(), []);
        rig.is_over(session);
    });
}

#[test]
fn e60_mistakes_of_http3_are_still_the_connections() {
    both_roles(|side| {
        let (mut rig, _) = closed_by_us(side);
        rig.feed(CONNECT, &headers(&[("x", "y")]));
        let lost = ConnectionLost::Http3(Http3Error::FrameUnexpected);
        let close = close_connection(0x105, "H3_FRAME_UNEXPECTED");
        rig.connection_ends(&[], &lost, &[close], "trailers");
    });
}

// ---- E61, E62: twice, and both

#[test]
fn e61_second_close_does_nothing() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.connection.close(rig.now, session, 7, "done");
        rig.connection.close(rig.now, session, 8, "again");
        let capsule = write(CONNECT, &close_frame(7, b"done"), true);
        rig.closes(session, local(7, "done"), &[capsule]);
        rig.connection.close(rig.now, session, 9, "and again");
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, b"");
        rig.connection.close(rig.now, session, 9, "and again");
        rig.is_over(session);
    });
}

#[test]
fn e61_close_behind_the_peers_end_does_nothing() {
    type End = fn(&mut Rig);
    let ends: [(&str, End); 5] = [
        ("capsule and FIN", |rig| {
            rig.feed_fin(CONNECT, &close_frame(1, b"first"));
        }),
        ("capsule", |rig| {
            rig.feed(CONNECT, &close_frame(1, b"first"))
        }),
        ("FIN", |rig| rig.feed_fin(CONNECT, b"")),
        ("RESET", |rig| rig.peer_resets(CONNECT, 9)),
        ("STOP_SENDING", |rig| rig.peer_stops(CONNECT, 9)),
    ];
    both_roles(|side| {
        for (condition, end) in ends {
            // What the peer's end gives without the close is the measure.
            let (mut rig, _) = Rig::open(side);
            end(&mut rig);
            let alone = rig.outputs();
            let (mut rig, session) = Rig::open(side);
            end(&mut rig);
            rig.connection.close(rig.now, session, 7, "late");
            assert_eq!(rig.outputs(), alone, "{condition}");
        }
    });
}

#[test]
fn e61_close_during_the_grace_of_e12_does_nothing() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.peer_stops(CONNECT, WT_SESSION_GONE);
        assert_eq!(rig.outputs(), [reset(CONNECT, WT_SESSION_GONE)]);
        rig.connection.close(rig.now, session, 7, "late");
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, &close_frame(4242, b"bye-bye"));
        rig.ends(session, by_capsule(4242, "bye-bye"), &[]);
    });
}

#[test]
fn e61_close_of_what_never_was_does_nothing() {
    both_roles(|side| {
        let mut rig = Rig::new(side);
        let never = SessionId::try_from(webtransport_session::StreamId::from(400)).unwrap();
        rig.connection.close(rig.now, never, 7, "what?");
        assert_eq!(rig.outputs(), []);
    });
}

#[test]
fn e62_crossing_closes_give_each_side_what_it_knew_first() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.connection.close(rig.now, session, 7, "ours");
        rig.feed_fin(CONNECT, &close_frame(8, b"theirs"));
        let capsule = write(CONNECT, &close_frame(7, b"ours"), true);
        rig.ends(session, local(7, "ours"), &[capsule]);

        let (mut rig, session) = Rig::open(side);
        rig.feed_fin(CONNECT, &close_frame(8, b"theirs"));
        rig.connection.close(rig.now, session, 7, "ours");
        let fin = write(CONNECT, b"", true);
        rig.ends(session, by_capsule(8, "theirs"), &[fin]);
    });
}

#[test]
fn e62_peers_capsule_without_fin_crosses_ours() {
    both_roles(|side| {
        let (mut rig, session) = closed_by_us(side);
        rig.feed(CONNECT, &close_frame(8, b"theirs"));
        rig.wait(Duration::from_millis(2_999));
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, b"");
        assert_eq!(rig.outputs(), []);
        rig.is_over(session);

        // E11: bytes behind their capsule are stopped; our FIN stays.
        let (mut rig, session) = closed_by_us(side);
        rig.feed(CONNECT, &close_frame(8, b"theirs"));
        rig.feed(CONNECT, &data_frame(b"x"));
        assert_eq!(rig.outputs(), [stop_sending(CONNECT, H3_MESSAGE_ERROR)]);
        rig.is_over(session);
    });
}

// ---- E63: before it opened

#[test]
fn e63_close_before_the_answer_aborts_the_request() {
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        rig.connection.close(rig.now, session, 7, "never mind");
        let actions = abort(H3_REQUEST_CANCELLED);
        rig.ends(session, local(7, "never mind"), &actions);
    });
}

#[test]
fn e63_streams_parked_for_it_are_gone() {
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        let stream = rig.peer_bidi(0);
        rig.peer_opens(stream, session, b"early");
        rig.connection.close(rig.now, session, 7, "never mind");
        let mut expected = abort(H3_REQUEST_CANCELLED).to_vec();
        expected.push(reset(stream, WT_SESSION_GONE));
        expected.push(stop_sending(stream, WT_SESSION_GONE));
        rig.ends(session, local(7, "never mind"), &expected);
    });
}

#[test]
fn e63_late_answer_is_ignored() {
    for answer in [
        response("200"),
        response("404"),
        response("nonsense"),
        tlv(0x01, &[0, 0, 0x80]), // QPACK that nobody reads
    ] {
        let (mut rig, session) = Rig::requested(Side::Client);
        rig.connection.close(rig.now, session, 7, "never mind");
        rig.drain();
        rig.feed_fin(CONNECT, &answer);
        assert_eq!(rig.outputs(), []);
        rig.is_over(session);
    }

    let (mut rig, session) = Rig::requested(Side::Server);
    rig.connection.close(rig.now, session, 7, "never mind");
    let accept = rig.connection.accept(rig.now, session, Response::default());
    assert_eq!(accept, Err(AnswerError::Gone));
    rig.ends(
        session,
        local(7, "never mind"),
        &abort(H3_REQUEST_CANCELLED),
    );
}

#[test]
fn e63_request_that_quic_has_not_taken_is_dropped() {
    let mut rig = Rig::new(Side::Client);
    rig.takes = 5;
    let session = rig.request_session(CONNECT);
    rig.connection.close(rig.now, session, 7, "never mind");
    let stream = session.connect_stream();
    rig.handle(Input::StreamWritable { stream });
    let actions = abort(H3_REQUEST_CANCELLED);
    rig.ends(session, local(7, "never mind"), &actions);
}

#[test]
fn e63_half_that_the_server_stopped_is_not_reset_again() {
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.peer_stops(CONNECT, 9);
    rig.drain();
    rig.connection.close(rig.now, session, 7, "never mind");
    let actions = [stop_sending(CONNECT, H3_REQUEST_CANCELLED)];
    rig.ends(session, local(7, "never mind"), &actions);
}

// ---- E64: shutdown

const OURS: ConnectionLost = ConnectionLost::Local {
    code: Some(H3_NO_ERROR),
};

fn control(side: Side) -> webtransport_session::StreamId {
    webtransport_session::StreamId::new(side, Dir::Uni, 0)
}

fn goaway(side: Side, id: u64) -> Output {
    write(control(side), &tlv(0x07, &varint(id)), false)
}

/// What GOAWAY names: the first request that a server has not seen, or push 0.
fn first_unseen(side: Side, unseen: u64) -> u64 {
    match side {
        Side::Client => 0,
        Side::Server => unseen,
    }
}

#[test]
fn e64_shutdown_closes_every_session_and_waits_for_the_peer() {
    both_roles(|side| {
        let mut rig = Rig::with(side, Config::default(), Dialect::Draft02);
        let [first, second, unanswered] = [0, 4, 8].map(|id| rig.request_session(id));
        rig.answer(first);
        rig.answer(second);
        let stream = rig.we_open(first, Dir::Uni);
        rig.connection.shutdown(rig.now, 7, "restart");
        let capsule = close_frame(7, b"restart");
        // Clients of draft 02 are browsers, of which one would not live to see the capsules.
        let goaway = (side == Side::Client).then(|| goaway(side, 0));
        let expected = [
            write(0, &capsule, true),
            reset(stream, WT_SESSION_GONE),
            write(4, &capsule, true),
            reset(8, H3_REQUEST_CANCELLED),
            stop_sending(8, H3_REQUEST_CANCELLED),
            closed(first, local(7, "restart")),
            closed(second, local(7, "restart")),
            closed(unanswered, local(7, "restart")),
        ];
        let expected: Vec<_> = goaway.into_iter().chain(expected).collect();
        assert_eq!(rig.outputs(), expected);
        rig.wait(Duration::from_millis(2_000));
        rig.feed_fin(0, b"");
        assert_eq!(rig.outputs(), []);
        assert!(!rig.connection.is_settled());
        rig.feed_fin(4, &close_frame(1, b"you too"));
        if side == Side::Server {
            // A page has to hear of its session before it hears of the connection.
            rig.wait(Duration::from_millis(99));
            assert_eq!(rig.outputs(), []);
            rig.wait(Duration::from_millis(1));
        }
        let close = close_connection(H3_NO_ERROR, "");
        rig.connection_ends(&[], &OURS, &[close], "settled");
    });
}

#[test]
fn e64_shutdown_waits_no_longer_than_the_linger() {
    both_roles(|side| {
        let (mut rig, _) = Rig::open(side);
        rig.connection.shutdown(rig.now, 7, "restart");
        rig.drain();
        rig.wait(Duration::from_millis(2_999));
        assert_eq!(rig.outputs(), []);
        rig.wait(Duration::from_millis(1));
        let expected = [
            stop_sending(CONNECT, WT_SESSION_GONE),
            close_connection(H3_NO_ERROR, ""),
        ];
        rig.connection_ends(&[], &OURS, &expected, "linger");
    });
}

#[test]
fn e64_shutdown_waits_until_quic_has_the_capsule() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.takes = 2;
        rig.connection.shutdown(rig.now, 7, "restart");
        rig.drain();
        rig.feed_fin(CONNECT, b"");
        assert_eq!(rig.outputs(), []);
        rig.takes = usize::MAX;
        let stream = session.connect_stream();
        rig.handle(Input::StreamWritable { stream });
        let rest = &close_frame(7, b"restart")[2..];
        let expected = [
            write(CONNECT, rest, true),
            close_connection(H3_NO_ERROR, ""),
        ];
        rig.connection_ends(&[], &OURS, &expected, "written");
    });
}

#[test]
fn e64_shutdown_without_sessions_closes_at_once() {
    both_roles(|side| {
        for dialect in DIALECTS {
            let mut rig = Rig::with(side, speaking(dialect), dialect);
            rig.connection.shutdown(rig.now, 7, "restart");
            let close = close_connection(H3_NO_ERROR, "");
            rig.connection_ends(&[], &OURS, &[close], "no sessions");
        }
    });
}

#[test]
fn e64_shutdown_before_quic_is_connected_closes_at_once() {
    both_roles(|side| {
        let mut rig = Rig::before_start(side, Config::default(), Dialect::Draft16);
        rig.connection.shutdown(rig.now, 7, "restart");
        let close = close_connection(H3_NO_ERROR, "");
        rig.connection_ends(&[], &OURS, &[close], "handshake");
    });
}

#[test]
fn e64_shutdown_of_unanswered_sessions_alone_waits_for_nobody() {
    both_roles(|side| {
        let (mut rig, session) = Rig::requested(side);
        rig.connection.shutdown(rig.now, 7, "restart");
        let expected = [
            reset(CONNECT, H3_REQUEST_CANCELLED),
            stop_sending(CONNECT, H3_REQUEST_CANCELLED),
            close_connection(H3_NO_ERROR, ""),
            closed(session, local(7, "restart")),
            connection_closed(&OURS),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("unanswered");
    });
}

/// A request that we refused, and the shutdown right behind it.
fn refused_and_shut_down() -> Rig {
    let (mut rig, session) = Rig::requested(Side::Server);
    let rejection = Rejection::from(StatusCode::FORBIDDEN);
    let (now, connection) = (rig.now, &mut rig.connection);
    connection.reject(now, session, rejection).unwrap();
    connection.shutdown(now, 7, "restart");
    rig.drain();
    assert!(!rig.connection.is_closed());
    rig
}

#[test]
fn e64_shutdown_waits_until_the_peer_knows_our_refusal() {
    let mut rig = refused_and_shut_down();
    let stream = StreamId::from(4);
    rig.handle(Input::StreamAcknowledged { stream });
    assert_eq!(rig.outputs(), []);
    let stream = StreamId::from(CONNECT);
    rig.handle(Input::StreamAcknowledged { stream });
    let close = close_connection(H3_NO_ERROR, "");
    rig.connection_ends(&[], &OURS, &[close], "acknowledged");
}

#[test]
fn e64_shutdown_does_not_wait_for_a_refusal_that_the_peer_does_not_want() {
    let mut rig = refused_and_shut_down();
    rig.peer_stops(CONNECT, H3_REQUEST_CANCELLED);
    let close = close_connection(H3_NO_ERROR, "");
    rig.connection_ends(&[], &OURS, &[close], "stopped");
}

#[test]
fn e64_shutdown_waits_for_a_refusal_no_longer_than_the_linger() {
    let mut rig = refused_and_shut_down();
    rig.wait(Duration::from_millis(2_999));
    assert_eq!(rig.outputs(), []);
    rig.wait(Duration::from_millis(1));
    let close = close_connection(H3_NO_ERROR, "");
    rig.connection_ends(&[], &OURS, &[close], "linger");
}

#[test]
fn e37_a_refusal_is_settled_once_acknowledged_or_after_the_linger() {
    for acknowledged in [false, true] {
        let (mut rig, session) = Rig::requested(Side::Server);
        let rejection = Rejection::from(StatusCode::FORBIDDEN);
        rig.connection.reject(rig.now, session, rejection).unwrap();
        rig.drain();
        assert!(!rig.connection.is_settled());
        if acknowledged {
            let stream = StreamId::from(CONNECT);
            rig.handle(Input::StreamAcknowledged { stream });
        } else {
            rig.wait(Duration::from_secs(3));
        }
        assert!(rig.connection.is_settled());
        assert_eq!(rig.outputs(), []);
    }
}

#[test]
fn e64_session_that_lingers_already_keeps_its_reason() {
    both_roles(|side| {
        let (mut rig, _) = Rig::open(side);
        rig.feed(CONNECT, &close_frame(1, b"theirs"));
        rig.drain();
        rig.connection.shutdown(rig.now, 7, "restart");
        let expected = [goaway(side, first_unseen(side, 4))];
        assert_eq!(rig.outputs(), expected);
        rig.feed_fin(CONNECT, b"");
        let close = close_connection(H3_NO_ERROR, "");
        rig.connection_ends(&[], &OURS, &[close], "settled");
    });
}

#[test]
fn e64_session_in_the_grace_of_e12_is_waited_for_no_longer_than_the_linger() {
    both_roles(|side| {
        for grace in [1, 5] {
            let mut config = Config::default();
            config.deadlines.stop_grace = Duration::from_secs(grace);
            let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
            rig.peer_stops(CONNECT, WT_SESSION_GONE);
            rig.drain();
            rig.connection.shutdown(rig.now, 7, "restart");
            let expected = [goaway(side, first_unseen(side, 4))];
            assert_eq!(rig.outputs(), expected);
            rig.wait(Duration::from_secs(3));
            let mut expected = vec![
                close_connection(H3_NO_ERROR, ""),
                closed(session, aborted_by_stop(WT_SESSION_GONE)),
                connection_closed(&OURS),
            ];
            if grace == 1 {
                expected.insert(0, stop_sending(CONNECT, WT_SESSION_GONE));
            }
            assert_eq!(rig.outputs(), expected);
            rig.is_inert("grace");
        }
    });
}

#[test]
fn e64_requests_behind_a_shutdown_are_rejected() {
    let (mut rig, _) = Rig::open(Side::Server);
    rig.connection.shutdown(rig.now, 7, "restart");
    rig.drain();
    rig.feed(4, &connect_request(rig.token()));
    let expected = [
        reset(4, H3_REQUEST_REJECTED),
        stop_sending(4, H3_REQUEST_REJECTED),
    ];
    assert_eq!(rig.outputs(), expected);
    assert_eq!(rig.connection.stats().requests_refused, 1);

    let (mut rig, _) = Rig::open(Side::Client);
    rig.connection.shutdown(rig.now, 7, "restart");
    let request = request();
    let refused = rig.connection.connect(rig.now, &request).err();
    assert_eq!(refused, Some(ConnectError::GoingAway));
}

#[test]
fn e64_requests_held_for_the_settings_are_rejected() {
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.feed(CONNECT, &connect_request(rig.token()));
    rig.connection.shutdown(rig.now, 7, "restart");
    let expected = [
        reset(CONNECT, H3_REQUEST_REJECTED),
        stop_sending(CONNECT, H3_REQUEST_REJECTED),
        close_connection(H3_NO_ERROR, ""),
    ];
    rig.connection_ends(&[], &OURS, &expected, "held");
}

#[test]
fn e64_second_shutdown_does_nothing() {
    both_roles(|side| {
        let (mut rig, _) = Rig::open(side);
        rig.connection.shutdown(rig.now, 7, "restart");
        rig.drain();
        rig.wait(Duration::from_millis(2_000));
        rig.connection.shutdown(rig.now, 8, "again");
        assert_eq!(rig.outputs(), []);
        rig.wait(Duration::from_millis(1_000));
        let expected = [
            stop_sending(CONNECT, WT_SESSION_GONE),
            close_connection(H3_NO_ERROR, ""),
        ];
        rig.connection_ends(&[], &OURS, &expected, "the first linger");
    });
}

#[test]
fn e64_going_away_ends_nothing_and_the_shutdown_behind_it_sends_no_second_goaway() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.connection.go_away();
        rig.connection.go_away();
        let expected = [
            goaway(side, first_unseen(side, 4)),
            write(CONNECT, &data_frame(&tlv(0x78ae, b"")), false),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.wait(Duration::from_secs(3600));
        assert_eq!(rig.outputs(), []);
        rig.peer_sends_datagram(CONNECT, b"still open");
        let payload = Bytes::from_static(b"still open");
        assert_eq!(
            rig.outputs(),
            [event(Event::DatagramReceived { session, payload })]
        );
        rig.connection.shutdown(rig.now, 7, "restart");
        let capsule = write(CONNECT, &close_frame(7, b"restart"), true);
        rig.closes(session, local(7, "restart"), &[capsule]);
    });
}

#[test]
fn e64_requests_behind_going_away_are_rejected() {
    // Chromium crashes at a GOAWAY, and draft 02 is what it speaks: there the refusal alone tells.
    for (dialect, goaway) in [
        (Dialect::Draft02, None),
        (Dialect::Draft07, Some(goaway(Side::Server, 4))),
        (Dialect::Draft16, Some(goaway(Side::Server, 4))),
    ] {
        let (mut rig, session) = Rig::open_with(Side::Server, Config::default(), dialect);
        rig.connection.go_away();
        let drain = write(CONNECT, &data_frame(&tlv(0x78ae, b"")), false);
        let expected: Vec<_> = goaway.into_iter().chain([drain]).collect();
        assert_eq!(rig.outputs(), expected, "{dialect:?}");
        rig.feed(4, &connect_request(rig.token()));
        let expected = [
            reset(4, H3_REQUEST_REJECTED),
            stop_sending(4, H3_REQUEST_REJECTED),
        ];
        assert_eq!(rig.outputs(), expected, "{dialect:?}");
        assert_eq!(rig.connection.sessions().next(), Some(session));
    }
}

#[test]
fn e64_shutdown_that_overflows_what_quic_does_not_take_ends_once() {
    both_roles(|side| {
        let mut config = Config::default();
        config.limits.unwritten_bytes = 100;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        rig.takes = 0;
        rig.connection.go_away();
        rig.drain();
        let goodbye = "a long goodbye".repeat(8);
        rig.connection.shutdown(rig.now, 7, goodbye.as_str());
        let lost = ConnectionLost::Http3(Http3Error::ExcessiveLoad);
        let expected = [
            close_connection(0x107, "H3_EXCESSIVE_LOAD"),
            closed(session, local(7, &goodbye)),
            connection_closed(&lost),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("overflow");
    });
}

#[test]
fn e64_datagrams_and_streams_of_closed_sessions_are_absorbed_while_it_waits() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.connection.shutdown(rig.now, 7, "restart");
        rig.drain();
        rig.peer_sends_datagram(CONNECT, b"late");
        let stream = rig.peer_uni(0);
        rig.peer_opens(stream, session, b"late");
        assert_eq!(rig.outputs(), [stop_sending(stream, WT_SESSION_GONE)]);
        assert_eq!(rig.connection.stats().datagrams_absorbed, 1);
    });
}

// ---- E65: the message

#[test]
fn e65_message_over_1024_bytes_is_cut_at_a_character() {
    both_roles(|side| {
        for (message, kept) in [
            ("a".repeat(1024), 1024),
            ("a".repeat(1025), 1024),
            ("ü".repeat(600), 1024),
            (format!("a{}", "ü".repeat(600)), 1023),
            (format!("{}𝄞", "a".repeat(1021)), 1021),
            ("€".repeat(400), 1023),
        ] {
            let (mut rig, session) = Rig::open(side);
            let cut = &message[..kept];
            rig.connection.close(rig.now, session, 7, message.clone());
            let capsule = write(CONNECT, &close_frame(7, cut.as_bytes()), true);
            rig.ends_after_linger(session, local(7, cut), &[capsule]);
        }
    });
}

#[test]
fn e65_message_of_shutdown_and_inactivity_is_cut_too() {
    both_roles(|side| {
        let (long, cut) = ("ab".repeat(1000), "ab".repeat(512));
        let capsule = write(CONNECT, &close_frame(7, cut.as_bytes()), true);

        let (mut rig, session) = Rig::open(side);
        rig.connection.shutdown(rig.now, 7, long.clone());
        let goaway = goaway(side, first_unseen(side, 4));
        rig.closes(session, local(7, &cut), &[goaway, capsule.clone()]);

        let mut config = Config::default();
        config.deadlines.inactivity = Some(Duration::from_secs(5));
        config.deadlines.inactivity_close = (7, CloseMessage::from(long));
        let (mut rig, _) = Rig::open_with(side, config, Dialect::Draft16);
        rig.wait(Duration::from_secs(5));
        assert_eq!(rig.outputs()[0], capsule);
    });
}
