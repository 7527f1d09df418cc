//! The peer ends the session on the CONNECT stream: E01 to E14.

use std::time::Duration;

use bytes::Bytes;
use webtransport_session::{
    AnswerError, CloseReason, Config, ConnectionLost, DatagramError, Dialect, Dir, Event,
    Http3Error, Input, OpenError, Output, Response, SendError, SessionId, Side, StreamClosed,
    StreamId, Support, Transport,
};

use crate::support::*;

const DIALECTS: [Dialect; 4] = [
    Dialect::Draft02,
    Dialect::Draft07,
    Dialect::Draft14,
    Dialect::Draft16,
];
/// Codes of aborts that say nothing of a close, as Chromium, quinn and HTTP/3 send them.
const CODES: [u64; 5] = [0, H3_NO_ERROR, H3_REQUEST_CANCELLED, 0x10f, APPLICATION_0];
const LINGER: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_secs(1);
const A_MOMENT: Duration = Duration::from_millis(1);

/// Our half of the CONNECT stream, finished in answer.
fn fin_back() -> Output {
    write(CONNECT, b"", true)
}

fn and(first: &[Output], then: Vec<Output>) -> Vec<Output> {
    [first.to_vec(), then].concat()
}

fn http3(error: Http3Error, name: &'static str) -> (ConnectionLost, Output) {
    let close = close_connection(error.code(), name);
    (ConnectionLost::Http3(error), close)
}

/// A session whose half of the CONNECT stream QUIC does not take: WT_DRAIN_SESSION is stuck in it.
fn blocked(side: Side) -> (Rig, SessionId) {
    let (mut rig, session) = Rig::open(side);
    rig.takes = 0;
    rig.connection.drain(session);
    assert_eq!(rig.outputs(), [write(CONNECT, &drain_frame(), false)]);
    rig.takes = usize::MAX;
    (rig, session)
}

fn drain_frame() -> Vec<u8> {
    data_frame(&tlv(0x78ae, b""))
}

fn writable() -> Input {
    Input::StreamWritable {
        stream: CONNECT.into(),
    }
}

// ---- E01

#[test]
fn e01_capsule_and_fin_give_code_and_message() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.feed_fin(CONNECT, &close_frame(4242, b"bye-bye"));
        rig.ends(session, by_capsule(4242, "bye-bye"), &[fin_back()]);
    });
}

#[test]
fn e01_capsule_and_fin_end_every_stream() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let gone = rig.one_stream_of_each_kind(session);
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        rig.ends(session, by_capsule(1, ""), &and(&[fin_back()], gone));
    });
}

#[test]
fn e01_a_reset_with_reset_stream_at_still_delivers_the_header_of_a_stream_of_ours() {
    both_roles(|side| {
        let mut transport = Transport::new(Support::Yes);
        transport.reset_stream_at = Support::Yes;
        let mut rig = Rig::on(side, Config::default(), Dialect::Draft16, transport);
        let session = rig.open_session();
        let ours = [Dir::Bi, Dir::Uni].map(|dir| rig.we_open(session, dir));
        let theirs = rig.peer_bidi(0);
        rig.peer_opens(theirs, session, b"");
        rig.drain();
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        let mut gone = vec![
            (ours[0], reset_after(ours[0], WT_SESSION_GONE, 3)),
            (ours[0], stop_sending(ours[0], WT_SESSION_GONE)),
            (ours[1], reset_after(ours[1], WT_SESSION_GONE, 3)),
            (theirs, reset(theirs, WT_SESSION_GONE)),
            (theirs, stop_sending(theirs, WT_SESSION_GONE)),
        ];
        gone.sort_by_key(|&(stream, _)| stream);
        let gone = gone.into_iter().map(|(_, action)| action).collect();
        rig.ends(session, by_capsule(1, ""), &and(&[fin_back()], gone));
    });
}

#[test]
fn e01_a_header_that_quic_has_not_taken_goes_with_its_stream() {
    both_roles(|side| {
        let mut transport = Transport::new(Support::Yes);
        transport.reset_stream_at = Support::Yes;
        let mut rig = Rig::on(side, Config::default(), Dialect::Draft16, transport);
        let session = rig.open_session();
        let stream = StreamId::new(side, Dir::Uni, 9);
        let permit = rig.connection.open(session, Dir::Uni).unwrap();
        permit.bind(stream);
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        let gone = vec![reset(stream, WT_SESSION_GONE)];
        rig.ends(session, by_capsule(1, ""), &and(&[fin_back()], gone));
    });
}

#[test]
fn e01_a_half_that_was_over_is_left_alone() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let ours = [Dir::Bi, Dir::Uni].map(|dir| rig.we_open(session, dir));
        let theirs = [rig.peer_bidi(0), rig.peer_bidi(1), rig.peer_uni(0)];
        for stream in theirs {
            rig.peer_opens(stream, session, b"");
        }
        rig.drain();
        rig.connection.finish(ours[0]).unwrap();
        rig.connection.reset(ours[1], 0).unwrap();
        rig.feed_fin(theirs[0], b"all");
        rig.peer_stops(theirs[1], APPLICATION_0);
        rig.connection.stop(theirs[2], 0).unwrap();
        rig.drain();
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        let mut gone = vec![
            (ours[0], stop_sending(ours[0], WT_SESSION_GONE)),
            (theirs[0], reset(theirs[0], WT_SESSION_GONE)),
            (theirs[1], stop_sending(theirs[1], WT_SESSION_GONE)),
        ];
        gone.sort_by_key(|&(stream, _)| stream);
        let gone = gone.into_iter().map(|(_, action)| action).collect();
        rig.ends(session, by_capsule(1, ""), &and(&[fin_back()], gone));
    });
}

#[test]
fn e01_a_stream_whose_fin_quic_has_not_taken_is_reset() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let stream = rig.we_open(session, Dir::Uni);
        rig.takes = 0;
        rig.connection.finish(stream).unwrap();
        assert_eq!(rig.outputs(), [write(stream, b"", true)]);
        rig.takes = usize::MAX;
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        let gone = vec![reset(stream, WT_SESSION_GONE)];
        rig.ends(session, by_capsule(1, ""), &and(&[fin_back()], gone));
    });
}

#[test]
fn e01_a_paused_stream_ends_like_any_other() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let gone = rig.one_stream_of_each_kind(session);
        rig.connection.pause(rig.peer_bidi(0));
        rig.connection.pause(rig.peer_uni(0));
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        rig.ends(session, by_capsule(1, ""), &and(&[fin_back()], gone));
    });
}

#[test]
fn e01_another_session_goes_on() {
    both_roles(|side| {
        let dialect = Dialect::Draft02;
        let mut rig = Rig::with(side, speaking(dialect), dialect);
        let sessions = [0, 800].map(|stream| rig.request_session(stream));
        for session in sessions {
            rig.answer(session);
        }
        let gone = rig.one_stream_of_each_kind(sessions[0]);
        let (theirs, ours) = (rig.peer_uni(1), rig.we_open(sessions[1], Dir::Uni));
        rig.peer_opens(theirs, sessions[1], b"");
        rig.drain();
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        let actions = and(&[fin_back()], gone);
        rig.closes(sessions[0], by_capsule(1, ""), &actions);
        assert!(rig.connection.sessions().eq([sessions[1]]));

        let session = sessions[1];
        let data = Bytes::from_static(b"alive");
        rig.feed(theirs, &data);
        rig.peer_sends_datagram(800, &data);
        rig.connection.credit(ours).unwrap().spend(1);
        let payload = data.clone();
        let expected = [
            Output::Event(Event::StreamData {
                session,
                stream: theirs,
                data,
                fin: false,
            }),
            Output::Event(Event::DatagramReceived { session, payload }),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.feed_fin(800, b"");
        let mut actions = vec![
            (ours, reset(ours, WT_SESSION_GONE)),
            (theirs, stop_sending(theirs, WT_SESSION_GONE)),
        ];
        actions.sort_by_key(|&(stream, _)| stream);
        let gone = actions.into_iter().map(|(_, action)| action).collect();
        let actions = and(&[write(800, b"", true)], gone);
        rig.ends(session, by_fin(), &actions);
    });
}

#[test]
fn e01_the_largest_code_and_the_longest_message_arrive_whole() {
    both_roles(|side| {
        let message = "é".repeat(512);
        let (mut rig, session) = Rig::open(side);
        rig.feed_fin(CONNECT, &close_frame(u32::MAX, message.as_bytes()));
        rig.ends(session, by_capsule(u32::MAX, &message), &[fin_back()]);
    });
}

#[test]
fn e01_every_dialect_has_the_capsule() {
    for dialect in DIALECTS {
        both_roles(|side| {
            println!("{dialect:?}");
            let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
            let gone = rig.one_stream_of_each_kind(session);
            rig.feed_fin(CONNECT, &close_frame(7, b"over"));
            rig.ends(session, by_capsule(7, "over"), &and(&[fin_back()], gone));
        });
    }
}

#[test]
fn e01_the_fin_back_waits_behind_bytes_that_quic_does_not_take() {
    both_roles(|side| {
        let (mut rig, session) = blocked(side);
        let gone = rig.one_stream_of_each_kind(session);
        rig.feed_fin(CONNECT, &close_frame(1, b""));
        rig.closes(session, by_capsule(1, ""), &gone);
        assert!(!rig.connection.is_settled());
        rig.handle(writable());
        assert_eq!(rig.outputs(), [write(CONNECT, &drain_frame(), true)]);
        rig.is_over(session);
    });
}

// ---- E02

#[test]
fn e02_the_capsule_alone_ends_it_and_a_later_fin_says_nothing_new() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let gone = rig.one_stream_of_each_kind(session);
        rig.feed(CONNECT, &close_frame(2, b"soon"));
        rig.closes(session, by_capsule(2, "soon"), &and(&[fin_back()], gone));
        assert!(rig.connection.wants(CONNECT.into()), "the FIN may come");
        assert!(!rig.connection.is_settled());
        rig.wait(LINGER - A_MOMENT);
        rig.feed_fin(CONNECT, b"");
        assert_eq!(rig.outputs(), []);
        assert!(rig.connection.is_settled());
        rig.is_over(session);
    });
}

#[test]
fn e02_without_a_fin_the_peer_is_stopped_after_the_linger() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.feed(CONNECT, &close_frame(2, b"soon"));
        rig.closes(session, by_capsule(2, "soon"), &[fin_back()]);
        rig.wait(LINGER - A_MOMENT);
        assert_eq!(rig.outputs(), []);
        assert!(!rig.connection.is_settled());
        rig.wait(A_MOMENT);
        assert_eq!(rig.outputs(), [stop_sending(CONNECT, WT_SESSION_GONE)]);
        assert!(rig.connection.is_settled());
        rig.is_over(session);
    });
}

#[test]
fn e02_a_linger_of_zero_stops_the_peer_at_once() {
    both_roles(|side| {
        let mut config = Config::default();
        config.deadlines.linger = Duration::ZERO;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        rig.feed(CONNECT, &close_frame(2, b""));
        rig.closes(session, by_capsule(2, ""), &[fin_back()]);
        rig.wait(Duration::ZERO);
        assert_eq!(rig.outputs(), [stop_sending(CONNECT, WT_SESSION_GONE)]);
        rig.is_over(session);
    });
}

#[test]
fn e02_after_the_capsule_the_loss_of_the_connection_is_not_the_sessions_end() {
    both_roles(|side| {
        for told in [true, false] {
            let (mut rig, session) = Rig::open(side);
            rig.feed(CONNECT, &close_frame(2, b"first"));
            if told {
                rig.closes(session, by_capsule(2, "first"), &[fin_back()]);
            }
            let reason = ConnectionLost::IdleTimeout;
            rig.connection_lost(reason.clone());
            let mut expected = vec![connection_closed(&reason)];
            if !told {
                expected.insert(0, closed(session, by_capsule(2, "first")));
            }
            assert_eq!(rig.outputs(), expected);
            rig.is_inert("lost after the capsule");
        }
    });
}

// ---- E03, E04

#[test]
fn e03_a_capsule_with_nothing_in_it_is_still_a_capsule() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let gone = rig.one_stream_of_each_kind(session);
        rig.feed_fin(CONNECT, &close_frame(0, b""));
        rig.ends(session, by_capsule(0, ""), &and(&[fin_back()], gone));
    });
}

#[test]
fn e04_a_bare_fin_is_a_close_with_code_0_and_no_message() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let gone = rig.one_stream_of_each_kind(session);
        rig.feed_fin(CONNECT, b"");
        rig.ends(session, by_fin(), &and(&[fin_back()], gone));
    });
}

#[test]
fn e04_a_fin_behind_other_capsules_and_frames_is_bare_too() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let wire = [
            grease(b"frame"),
            data_frame(&grease(b"capsule")),
            data_frame(b""),
        ];
        rig.feed_fin(CONNECT, &wire.concat());
        rig.ends(session, by_fin(), &[fin_back()]);
    });
}

// ---- E05

#[test]
fn e05_trailers_and_known_frames_break_http3() {
    let frames = [
        ("trailers", headers(&[("x", "y")])),
        ("another response", response("200")),
        ("CANCEL_PUSH", tlv(0x03, &[0])),
        ("SETTINGS", tlv(0x04, b"")),
        ("GOAWAY", tlv(0x07, &[0])),
        ("MAX_PUSH_ID", tlv(0x0d, &[0])),
        ("PRIORITY_UPDATE of a request", tlv(0xf0700, &[0])),
        ("PRIORITY_UPDATE of a push", tlv(0xf0701, &[0])),
        ("HTTP/2's PRIORITY", tlv(0x02, b"")),
        ("HTTP/2's PING", tlv(0x06, b"")),
        ("HTTP/2's WINDOW_UPDATE", tlv(0x08, b"")),
        ("HTTP/2's CONTINUATION", tlv(0x09, b"")),
    ];
    both_roles(|side| {
        for (condition, frame) in &frames {
            let (mut rig, session) = Rig::open(side);
            rig.one_stream_of_each_kind(session);
            let (lost, close) = http3(Http3Error::FrameUnexpected, "H3_FRAME_UNEXPECTED");
            rig.feed(CONNECT, frame);
            rig.connection_ends(&[session], &lost, &[close], condition);
        }
    });
}

#[test]
fn e05_what_came_before_the_frame_counts() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let wire = [data_frame(&tlv(0x00, b"datagram")), headers(&[("x", "y")])];
        rig.feed_fin(CONNECT, &wire.concat());
        let (lost, close) = http3(Http3Error::FrameUnexpected, "H3_FRAME_UNEXPECTED");
        let payload = Bytes::from_static(b"datagram");
        let received = Event::DatagramReceived { session, payload };
        let reason = CloseReason::ConnectionLost(lost.clone());
        assert_eq!(
            rig.outputs(),
            [
                close,
                Output::Event(received),
                closed(session, reason),
                connection_closed(&lost)
            ]
        );
    });
}

#[test]
fn e05_a_capsule_and_then_trailers_is_a_close() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let wire = [close_frame(1, b"first"), headers(&[("x", "y")])];
        rig.feed(CONNECT, &wire.concat());
        rig.ends(
            session,
            by_capsule(1, "first"),
            &[
                reset(CONNECT, H3_MESSAGE_ERROR),
                stop_sending(CONNECT, H3_MESSAGE_ERROR),
            ],
        );
    });
}

// ---- E06

/// The close, each byte of it in a DATA frame of its own, behind and between things to be ignored.
fn scattered_close(code: u32, message: &[u8]) -> Vec<u8> {
    let mut wire = grease(b"a frame");
    wire.extend(data_frame(&grease(b"a capsule")));
    let capsules = [grease(b""), close_capsule(code, message)].concat();
    for byte in capsules {
        wire.extend(grease(b"-"));
        wire.extend(data_frame(b""));
        wire.extend(data_frame(&[byte]));
    }
    wire
}

#[test]
fn e06_a_close_split_at_any_byte_is_the_same() {
    let wires = [close_frame(77, b"split"), scattered_close(77, b"split")];
    both_roles(|side| {
        for wire in &wires {
            for at in 0..=wire.len() {
                println!("{at} of {}", wire.len());
                let (mut rig, session) = Rig::open(side);
                rig.feed(CONNECT, &wire[..at]);
                rig.feed_fin(CONNECT, &wire[at..]);
                rig.ends(session, by_capsule(77, "split"), &[fin_back()]);
            }
        }
    });
}

#[test]
fn e06_a_close_that_comes_byte_by_byte_is_the_same() {
    let wires = [close_frame(77, b"bytes"), scattered_close(77, b"bytes")];
    both_roles(|side| {
        for wire in &wires {
            let (mut rig, session) = Rig::open(side);
            let gone = rig.one_stream_of_each_kind(session);
            let (last, front) = wire.split_last().unwrap();
            for byte in front {
                rig.feed(CONNECT, &[*byte]);
                rig.feed(CONNECT, b"");
                assert_eq!(rig.outputs(), []);
            }
            rig.feed_fin(CONNECT, &[*last]);
            let actions = and(&[fin_back()], gone);
            rig.ends(session, by_capsule(77, "bytes"), &actions);
        }
    });
}

#[test]
fn e06_a_close_behind_a_long_capsule_to_be_ignored_is_the_same() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let len = 1 << 20;
        let capsule = [varint(0x40), varint(len)].concat();
        rig.feed(CONNECT, &data_frame(&capsule));
        for _ in 0..len / 1024 {
            rig.feed(CONNECT, &data_frame(&[0x28; 1024]));
        }
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, &close_frame(77, b"long"));
        rig.ends(session, by_capsule(77, "long"), &[fin_back()]);
    });
}

// ---- E07, E08, E09

#[test]
fn e07_reset_on_connect_gives_its_code() {
    both_roles(|side| {
        for code in CODES.into_iter().chain([WT_SESSION_GONE]) {
            let (mut rig, session) = Rig::open(side);
            let gone = rig.one_stream_of_each_kind(session);
            rig.peer_resets(CONNECT, code);
            let actions = and(&[reset(CONNECT, WT_SESSION_GONE)], gone);
            rig.ends(session, aborted_by_reset(code), &actions);
        }
    });
}

#[test]
fn e07_a_reset_inside_a_capsule_is_a_reset() {
    both_roles(|side| {
        let wire = close_frame(1, b"never whole");
        for at in 0..wire.len() {
            let (mut rig, session) = Rig::open(side);
            rig.feed(CONNECT, &wire[..at]);
            rig.peer_resets(CONNECT, 7);
            let actions = [reset(CONNECT, WT_SESSION_GONE)];
            rig.ends(session, aborted_by_reset(7), &actions);
        }
    });
}

#[test]
fn e07_bytes_that_quic_does_not_take_are_dropped() {
    both_roles(|side| {
        let (mut rig, session) = blocked(side);
        rig.peer_resets(CONNECT, 7);
        rig.handle(writable());
        let actions = [reset(CONNECT, WT_SESSION_GONE)];
        rig.ends(session, aborted_by_reset(7), &actions);
    });
}

#[test]
fn e07_bytes_that_were_not_polled_are_dropped() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.connection.drain(session);
        rig.peer_resets(CONNECT, 7);
        let actions = [reset(CONNECT, WT_SESSION_GONE)];
        rig.ends(session, aborted_by_reset(7), &actions);
    });
}

#[test]
fn e08_stop_sending_on_connect_gives_its_code_and_gets_it_back() {
    both_roles(|side| {
        for code in CODES {
            let (mut rig, session) = Rig::open(side);
            let gone = rig.one_stream_of_each_kind(session);
            rig.peer_stops(CONNECT, code);
            let actions = and(&[reset(CONNECT, code), stop_sending(CONNECT, code)], gone);
            rig.ends(session, aborted_by_stop(code), &actions);
        }
    });
}

#[test]
fn e08_bytes_that_quic_does_not_take_are_dropped() {
    both_roles(|side| {
        let (mut rig, session) = blocked(side);
        rig.peer_stops(CONNECT, 7);
        rig.handle(writable());
        let actions = [reset(CONNECT, 7), stop_sending(CONNECT, 7)];
        rig.ends(session, aborted_by_stop(7), &actions);
    });
}

#[test]
fn e09_of_reset_and_stop_sending_the_first_counts() {
    both_roles(|side| {
        for polled_between in [true, false] {
            let (mut rig, session) = Rig::open(side);
            rig.peer_resets(CONNECT, 7);
            let reason = aborted_by_reset(7);
            let actions = [reset(CONNECT, WT_SESSION_GONE)];
            if polled_between {
                rig.closes(session, reason, &actions);
                rig.peer_stops(CONNECT, 8);
                rig.is_over(session);
            } else {
                rig.peer_stops(CONNECT, 8);
                rig.ends(session, reason, &actions);
            }

            let (mut rig, session) = Rig::open(side);
            rig.peer_stops(CONNECT, 8);
            let reason = aborted_by_stop(8);
            let actions = [reset(CONNECT, 8), stop_sending(CONNECT, 8)];
            if polled_between {
                rig.closes(session, reason, &actions);
                rig.peer_resets(CONNECT, 7);
                rig.is_over(session);
            } else {
                rig.peer_resets(CONNECT, 7);
                rig.ends(session, reason, &actions);
            }
        }
    });
}

// ---- E10

#[test]
fn e10_a_reset_after_the_capsule_only_ends_the_stream() {
    both_roles(|side| {
        for polled_between in [true, false] {
            let (mut rig, session) = Rig::open(side);
            rig.feed(CONNECT, &close_frame(3, b"first"));
            if polled_between {
                rig.closes(session, by_capsule(3, "first"), &[fin_back()]);
                rig.peer_resets(CONNECT, 7);
                assert_eq!(rig.outputs(), []);
                assert!(rig.connection.is_settled());
                rig.is_over(session);
            } else {
                rig.peer_resets(CONNECT, 7);
                rig.ends(session, by_capsule(3, "first"), &[fin_back()]);
            }
        }
    });
}

#[test]
fn e10_stop_sending_after_the_capsule_resets_nothing() {
    both_roles(|side| {
        for code in CODES.into_iter().chain([WT_SESSION_GONE]) {
            let (mut rig, session) = Rig::open(side);
            rig.feed(CONNECT, &close_frame(3, b"first"));
            rig.peer_stops(CONNECT, code);
            rig.closes(session, by_capsule(3, "first"), &[fin_back()]);
            rig.peer_stops(CONNECT, code);
            assert_eq!(rig.outputs(), []);
            assert!(!rig.connection.is_settled(), "the FIN may come");
            rig.feed_fin(CONNECT, b"");
            assert!(rig.connection.is_settled());
            rig.is_over(session);
        }
    });
}

#[test]
fn e10_a_fin_that_quic_has_not_taken_still_goes_out() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.takes = 0;
        rig.feed(CONNECT, &close_frame(3, b"first"));
        rig.closes(session, by_capsule(3, "first"), &[fin_back()]);
        rig.peer_resets(CONNECT, 7);
        assert_eq!(rig.outputs(), []);
        assert!(!rig.connection.is_settled());
        rig.takes = usize::MAX;
        rig.handle(writable());
        assert_eq!(rig.outputs(), [fin_back()]);
        rig.is_over(session);
    });
}

// ---- E11

/// Whatever can follow a close.
fn more() -> [(&'static str, Vec<u8>); 7] {
    [
        ("one byte", vec![0]),
        ("an empty DATA frame", data_frame(b"")),
        ("a DATA frame", data_frame(b"more")),
        ("a frame to be ignored", grease(b"")),
        ("a second close", close_frame(9, b"second")),
        ("trailers", headers(&[("x", "y")])),
        ("a frame for the control stream", tlv(0x04, b"")),
    ]
}

#[test]
fn e11_any_byte_after_the_close_resets_the_stream() {
    both_roles(|side| {
        for (condition, more) in more() {
            println!("{condition}");
            let (mut rig, session) = Rig::open(side);
            rig.feed(CONNECT, &close_frame(3, b"first"));
            rig.closes(session, by_capsule(3, "first"), &[fin_back()]);
            rig.feed(CONNECT, b"");
            assert_eq!(rig.outputs(), []);
            rig.feed(CONNECT, &more);
            assert_eq!(
                rig.outputs(),
                [
                    reset(CONNECT, H3_MESSAGE_ERROR),
                    stop_sending(CONNECT, H3_MESSAGE_ERROR)
                ]
            );
            assert!(rig.connection.is_settled());
            rig.is_over(session);
        }
    });
}

#[test]
fn e11_more_with_the_close_in_one_piece_resets_the_stream() {
    let capsule = close_capsule(3, b"first");
    let in_its_frame = [
        data_frame(&[capsule.clone(), vec![0]].concat()),
        data_frame(&[capsule.clone(), grease(b"")].concat()),
        data_frame(&[capsule.clone(), capsule].concat()),
    ];
    let behind_it = more().map(|(_, more)| [close_frame(3, b"first"), more].concat());
    both_roles(|side| {
        for wire in in_its_frame.iter().chain(&behind_it) {
            for at in 0..=wire.len() {
                let (mut rig, session) = Rig::open(side);
                rig.feed(CONNECT, &wire[..at]);
                rig.feed(CONNECT, &wire[at..]);
                rig.ends(
                    session,
                    by_capsule(3, "first"),
                    &[
                        reset(CONNECT, H3_MESSAGE_ERROR),
                        stop_sending(CONNECT, H3_MESSAGE_ERROR),
                    ],
                );
            }
        }
    });
}

#[test]
fn e11_our_own_close_goes_out_before_the_stream_is_stopped() {
    both_roles(|side| {
        for (condition, more) in more() {
            println!("{condition}");
            let (mut rig, session) = Rig::open(side);
            rig.connection.close(rig.now, session, 5, "ours");
            rig.feed(CONNECT, &close_frame(3, b"theirs"));
            rig.feed(CONNECT, &more);
            let reason = CloseReason::Local {
                code: 5,
                message: "ours".into(),
            };
            rig.ends(
                session,
                reason,
                &[
                    write(CONNECT, &close_frame(5, b"ours"), true),
                    stop_sending(CONNECT, H3_MESSAGE_ERROR),
                ],
            );
        }
    });
}

// ---- E12

/// A session whose CONNECT stream the peer stopped with WT_SESSION_GONE.
fn held(side: Side, config: Config) -> (Rig, SessionId) {
    let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
    let gone = rig.one_stream_of_each_kind(session);
    rig.peer_stops(CONNECT, WT_SESSION_GONE);
    let actions = and(&[reset(CONNECT, WT_SESSION_GONE)], gone);
    assert_eq!(rig.outputs(), actions, "only the event waits");
    assert!(rig.connection.sessions().eq([session]));
    (rig, session)
}

fn stopped_as_gone() -> CloseReason {
    aborted_by_stop(WT_SESSION_GONE)
}

#[test]
fn e12_the_capsule_that_stop_sending_overtook_gives_the_reason() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        rig.wait(GRACE - A_MOMENT);
        rig.feed(CONNECT, &close_frame(6, b"overtaken"));
        rig.closes(session, by_capsule(6, "overtaken"), &[]);
        assert!(!rig.connection.is_settled());
        rig.wait(LINGER);
        assert_eq!(rig.outputs(), [stop_sending(CONNECT, WT_SESSION_GONE)]);
        rig.is_over(session);
    });
}

#[test]
fn e12_the_order_of_webtransport_go_gives_the_reason_wherever_stop_sending_lands() {
    let wire = close_frame(6, b"split");
    both_roles(|side| {
        for at in 0..=wire.len() {
            let (mut rig, session) = Rig::open(side);
            rig.feed(CONNECT, &wire[..at]);
            rig.peer_stops(CONNECT, WT_SESSION_GONE);
            rig.feed(CONNECT, &wire[at..]);
            rig.feed_fin(CONNECT, b"");
            let action = match at == wire.len() {
                true => fin_back(),
                false => reset(CONNECT, WT_SESSION_GONE),
            };
            rig.ends(session, by_capsule(6, "split"), &[action]);
        }
    });
}

#[test]
fn e12_a_fin_without_a_capsule_is_a_close_too() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        rig.feed_fin(CONNECT, b"");
        rig.ends(session, by_fin(), &[]);
    });
}

#[test]
fn e12_a_reset_instead_of_the_capsule_is_an_abort() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        rig.peer_resets(CONNECT, 7);
        rig.ends(session, stopped_as_gone(), &[]);
    });
}

#[test]
fn e12_the_loss_of_the_connection_instead_of_the_capsule_is_an_abort() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        let reason = ConnectionLost::IdleTimeout;
        rig.connection_lost(reason.clone());
        let expected = [
            closed(session, stopped_as_gone()),
            connection_closed(&reason),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("lost while it waits");
    });
}

#[test]
fn e12_an_error_of_http3_instead_of_the_capsule_is_an_abort() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        rig.feed(CONNECT, &headers(&[("x", "y")]));
        let (lost, close) = http3(Http3Error::FrameUnexpected, "H3_FRAME_UNEXPECTED");
        let expected = [
            close,
            closed(session, stopped_as_gone()),
            connection_closed(&lost),
        ];
        assert_eq!(rig.outputs(), expected);
        rig.is_inert("HTTP/3 error while it waits");
    });
}

#[test]
fn e12_the_grace_without_a_capsule_is_an_abort() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        rig.wait(GRACE - A_MOMENT);
        assert_eq!(rig.outputs(), []);
        rig.wait(A_MOMENT);
        let actions = [stop_sending(CONNECT, WT_SESSION_GONE)];
        rig.ends(session, stopped_as_gone(), &actions);
    });
}

#[test]
fn e12_a_grace_of_zero_does_not_wait() {
    both_roles(|side| {
        let mut config = Config::default();
        config.deadlines.stop_grace = Duration::ZERO;
        let (mut rig, session) = Rig::open_with(side, config, Dialect::Draft16);
        let gone = rig.one_stream_of_each_kind(session);
        rig.peer_stops(CONNECT, WT_SESSION_GONE);
        let actions = [
            reset(CONNECT, WT_SESSION_GONE),
            stop_sending(CONNECT, WT_SESSION_GONE),
        ];
        rig.ends(session, stopped_as_gone(), &and(&actions, gone));
    });
}

#[test]
fn e12_inactivity_is_no_reason_while_it_waits() {
    both_roles(|side| {
        let mut config = Config::default();
        config.deadlines.inactivity = Some(GRACE / 2);
        let (mut rig, session) = held(side, config);
        rig.wait(GRACE);
        let actions = [stop_sending(CONNECT, WT_SESSION_GONE)];
        rig.ends(session, stopped_as_gone(), &actions);
    });
}

#[test]
fn e12_a_violation_ends_the_wait_as_an_abort() {
    let too_short = close_capsule(0, b"");
    let violations = [
        ("a short close", data_frame(&tlv(0x2843, b"abc"))),
        ("a long message", close_frame(1, &[b'x'; 1025])),
        ("a message that is not UTF-8", close_frame(1, &[0xff])),
        ("a long drain", data_frame(&tlv(0x78ae, b"x"))),
        ("a forbidden capsule", data_frame(&varint(0x190b_4d3e))),
    ];
    both_roles(|side| {
        for (condition, wire) in &violations {
            println!("{condition}");
            let (mut rig, session) = held(side, Config::default());
            rig.feed(CONNECT, wire);
            let actions = [stop_sending(CONNECT, H3_MESSAGE_ERROR)];
            rig.ends(session, stopped_as_gone(), &actions);
        }
        let (mut rig, session) = held(side, Config::default());
        rig.feed_fin(CONNECT, &data_frame(&too_short[..3]));
        rig.ends(session, stopped_as_gone(), &[]);
    });
}

#[test]
fn e12_any_byte_after_the_close_stops_the_stream() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        rig.feed(CONNECT, &close_frame(6, b"last"));
        rig.feed(CONNECT, &grease(b""));
        let actions = [stop_sending(CONNECT, H3_MESSAGE_ERROR)];
        rig.ends(session, by_capsule(6, "last"), &actions);
    });
}

#[test]
fn e12_nothing_of_the_session_is_delivered_while_it_waits() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        let before = rig.connection.stats();
        rig.peer_sends_datagram(CONNECT, b"late");
        rig.feed(CONNECT, &data_frame(&tlv(0x00, b"late")));
        rig.feed(CONNECT, &data_frame(&tlv(0x78ae, b"")));
        rig.feed(CONNECT, &grease(b"late"));
        rig.feed(rig.peer_bidi(0), b"late");
        rig.feed_fin(rig.peer_uni(0), b"late");
        rig.peer_stops(CONNECT, WT_SESSION_GONE);
        rig.peer_stops(CONNECT, 7);
        assert_eq!(rig.outputs(), []);

        let (bi, uni) = (rig.peer_bidi(1), rig.peer_uni(1));
        rig.peer_opens(bi, session, b"late");
        rig.peer_opens(uni, session, b"late");
        assert_eq!(
            rig.outputs(),
            [
                reset(bi, WT_SESSION_GONE),
                stop_sending(bi, WT_SESSION_GONE),
                stop_sending(uni, WT_SESSION_GONE)
            ]
        );
        let stats = rig.connection.stats();
        assert_eq!(stats.datagrams_absorbed, before.datagrams_absorbed + 1);
        assert_eq!(stats.streams_refused, before.streams_refused + 2);

        rig.feed_fin(CONNECT, &close_frame(6, b"now"));
        rig.ends(session, by_capsule(6, "now"), &[]);
    });
}

#[test]
fn e12_goaway_does_not_drain_a_session_that_waits() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        rig.feed(rig.peer_control(), &tlv(0x07, &[0]));
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, b"");
        rig.ends(session, by_fin(), &[]);
    });
}

#[test]
fn e12_commands_fail_as_for_a_session_that_is_over() {
    both_roles(|side| {
        let (mut rig, session) = held(side, Config::default());
        let connection = &mut rig.connection;
        for dir in [Dir::Bi, Dir::Uni] {
            let refused = connection.open(session, dir).unwrap_err();
            assert_eq!(refused, OpenError::SessionClosed);
        }
        let refused = connection.datagram(session).unwrap_err();
        assert_eq!(refused, DatagramError::SessionClosed);
        let gone = connection.accept(rig.now, session, Response::default());
        assert_eq!(gone, Err(AnswerError::Gone));
        let stream = rig.peer_bidi(0);
        let connection = &mut rig.connection;
        let refused = connection.credit(stream).unwrap_err();
        assert_eq!(refused, SendError::StreamClosed);
        assert_eq!(connection.finish(stream), Err(StreamClosed));
        assert_eq!(connection.reset(stream, 0), Err(StreamClosed));
        assert_eq!(connection.stop(stream, 0), Err(StreamClosed));
        connection.drain(session);
        connection.close(rig.now, session, 9, "too late");
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, &close_frame(6, b"theirs"));
        rig.ends(session, by_capsule(6, "theirs"), &[]);
    });
}

#[test]
fn e12_events_that_were_there_already_still_come() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.peer_sends_datagram(CONNECT, b"before");
        rig.peer_stops(CONNECT, WT_SESSION_GONE);
        let payload = Bytes::from_static(b"before");
        let received = Event::DatagramReceived { session, payload };
        assert_eq!(
            rig.outputs(),
            [reset(CONNECT, WT_SESSION_GONE), Output::Event(received)]
        );
        rig.feed_fin(CONNECT, b"");
        rig.ends(session, by_fin(), &[]);
    });
}

#[test]
fn e12_bytes_that_quic_does_not_take_are_dropped() {
    both_roles(|side| {
        let (mut rig, session) = blocked(side);
        rig.peer_stops(CONNECT, WT_SESSION_GONE);
        rig.handle(writable());
        assert_eq!(rig.outputs(), [reset(CONNECT, WT_SESSION_GONE)]);
        rig.feed_fin(CONNECT, b"");
        rig.ends(session, by_fin(), &[]);
    });
}

// ---- E13, E14

/// A session that we closed; QUIC has the capsule and the FIN.
fn closed_by_us(side: Side) -> (Rig, SessionId) {
    let (mut rig, session) = Rig::open(side);
    rig.connection.close(rig.now, session, 5, "ours");
    let reason = CloseReason::Local {
        code: 5,
        message: "ours".into(),
    };
    let capsule = write(CONNECT, &close_frame(5, b"ours"), true);
    rig.closes(session, reason, &[capsule]);
    (rig, session)
}

#[test]
fn e13_stop_sending_after_our_fin_counts_as_nothing() {
    both_roles(|side| {
        for code in CODES.into_iter().chain([WT_SESSION_GONE]) {
            let (mut rig, session) = closed_by_us(side);
            rig.peer_stops(CONNECT, code);
            assert_eq!(rig.outputs(), []);
            assert!(!rig.connection.is_settled(), "the peer's half is open");
            rig.feed_fin(CONNECT, b"");
            assert!(rig.connection.is_settled());
            rig.is_over(session);
        }
    });
}

#[test]
fn e14_after_our_close_a_reset_is_as_good_as_a_fin() {
    both_roles(|side| {
        let (mut rig, session) = closed_by_us(side);
        rig.peer_resets(CONNECT, 7);
        assert_eq!(rig.outputs(), []);
        assert!(rig.connection.is_settled());
        rig.is_over(session);
    });
}

#[test]
fn e14_a_close_that_quic_has_not_taken_still_goes_out() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.takes = 0;
        rig.connection.close(rig.now, session, 5, "ours");
        let reason = CloseReason::Local {
            code: 5,
            message: "ours".into(),
        };
        let capsule = write(CONNECT, &close_frame(5, b"ours"), true);
        rig.closes(session, reason, std::slice::from_ref(&capsule));
        rig.peer_resets(CONNECT, 7);
        assert_eq!(rig.outputs(), []);
        assert!(!rig.connection.is_settled());
        rig.takes = usize::MAX;
        rig.handle(writable());
        assert_eq!(rig.outputs(), [capsule]);
        rig.is_over(session);
    });
}

#[test]
fn e14_a_shutdown_goes_on_when_the_peer_resets() {
    both_roles(|side| {
        let (mut rig, _) = closed_by_us(side);
        rig.connection.shutdown(rig.now, 0, "");
        rig.drain();
        assert!(!rig.connection.is_closed());
        rig.peer_resets(CONNECT, 7);
        let reason = ConnectionLost::Local {
            code: Some(H3_NO_ERROR),
        };
        let actions = [close_connection(H3_NO_ERROR, "")];
        rig.connection_ends(&[], &reason, &actions, "settled by a reset");
    });
}
