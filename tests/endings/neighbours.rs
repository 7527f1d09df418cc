//! Two sessions that live on one connection: what is one's never reaches the other, and what ends
//! one ends the other only where it ends the connection.

use bytes::Bytes;
use webtransport_session::{
    CloseReason, ConnectionLost, Dialect, Dir, Event, Http3Error, Output, SessionId, Side,
    StreamId, Violation,
};

use crate::support::*;

/// The CONNECT stream of the second session; the first has 0.
const OTHER: u64 = 4;
const CONNECTS: [u64; 2] = [CONNECT, OTHER];

fn two_sessions(side: Side) -> (Rig, [SessionId; 2]) {
    let dialect = Dialect::Draft02;
    let mut rig = Rig::with(side, speaking(dialect), dialect);
    let sessions = CONNECTS.map(|stream| rig.request_session(stream));
    for session in sessions {
        rig.answer(session);
    }
    (rig, sessions)
}

/// The peer's stream of this kind for one of the two.
fn stream(rig: &Rig, dir: Dir, index: u64) -> StreamId {
    match dir {
        Dir::Bi => rig.peer_bidi(7 + index),
        Dir::Uni => rig.peer_uni(index),
    }
}

fn datagram(session: SessionId, payload: &'static [u8]) -> Output {
    let payload = Bytes::from_static(payload);
    event(Event::DatagramReceived { session, payload })
}

#[test]
fn a_datagram_is_told_to_the_session_that_it_names() {
    both_roles(|side| {
        let (mut rig, [first, second]) = two_sessions(side);
        rig.peer_sends_datagram(OTHER, b"to the second");
        rig.peer_sends_datagram(CONNECT, b"to the first");
        rig.peer_sends_datagram(OTHER, b"again");
        let told = [
            datagram(second, b"to the second"),
            datagram(first, b"to the first"),
            datagram(second, b"again"),
        ];
        assert_eq!(rig.outputs(), told);
        for (connect, session) in CONNECTS.into_iter().zip([first, second]) {
            rig.feed(connect, &data_frame(&tlv(0x00, b"in a capsule")));
            assert_eq!(rig.outputs(), [datagram(session, b"in a capsule")]);
        }
    });
}

#[test]
fn a_datagram_goes_out_in_the_name_of_its_session() {
    both_roles(|side| {
        let (rig, sessions) = two_sessions(side);
        for (session, sent) in sessions.into_iter().zip([b"\x00x", b"\x01x"]) {
            let permit = rig.connection.datagram(session).unwrap();
            assert_eq!(permit.encode(b"x").as_ref(), sent);
        }
    });
}

#[test]
fn a_stream_is_told_to_the_session_that_it_names() {
    both_roles(|side| {
        for dir in [Dir::Bi, Dir::Uni] {
            let (mut rig, sessions) = two_sessions(side);
            // The second session's comes first.
            let streams = [1, 0].map(|index| stream(&rig, dir, index));
            let owners = [sessions[1], sessions[0]];
            for (session, stream) in owners.into_iter().zip(streams) {
                rig.peer_opens(stream, session, b"");
                let opened = Event::StreamOpened { session, stream };
                assert_eq!(rig.outputs(), [event(opened)]);
            }
            for (session, stream) in owners.into_iter().zip(streams) {
                let data = Bytes::from_static(b"payload");
                rig.feed_fin(stream, &data);
                let fin = true;
                let told = Event::StreamData {
                    session,
                    stream,
                    data,
                    fin,
                };
                assert_eq!(rig.outputs(), [event(told)]);
            }
        }
    });
}

#[test]
fn the_end_of_a_stream_is_told_to_its_session() {
    both_roles(|side| {
        let (mut rig, sessions) = two_sessions(side);
        let streams = [0, 1].map(|index| stream(&rig, Dir::Bi, index));
        for (session, stream) in sessions.into_iter().zip(streams) {
            rig.peer_opens(stream, session, b"");
        }
        rig.drain();
        for (session, stream) in sessions.into_iter().zip(streams).rev() {
            let code = Some(0);
            rig.peer_resets(stream, APPLICATION_0);
            let told = Event::StreamReset {
                session,
                stream,
                code,
            };
            assert_eq!(rig.outputs(), [event(told)]);
            rig.peer_stops(stream, APPLICATION_0);
            let told = Event::StreamStopped {
                session,
                stream,
                code,
            };
            let answer = reset(stream, APPLICATION_0);
            assert_eq!(rig.outputs(), [answer, event(told)]);
        }
    });
}

#[test]
fn what_ends_a_session_on_its_connect_stream_leaves_the_other() {
    let abort = |code| vec![reset(OTHER, code), stop_sending(OTHER, code)];
    type End = fn(&mut Rig);
    let ends: [(End, CloseReason, Vec<Output>); 5] = [
        (
            |rig| rig.feed_fin(OTHER, &close_frame(7, b"bye")),
            by_capsule(7, "bye"),
            vec![write(OTHER, b"", true)],
        ),
        (
            |rig| rig.feed_fin(OTHER, b""),
            by_fin(),
            vec![write(OTHER, b"", true)],
        ),
        (
            |rig| rig.peer_resets(OTHER, 7),
            aborted_by_reset(7),
            vec![reset(OTHER, WT_SESSION_GONE)],
        ),
        (|rig| rig.peer_stops(OTHER, 7), aborted_by_stop(7), abort(7)),
        (
            |rig| rig.feed(OTHER, &data_frame(&tlv(0x2843, b"abc"))),
            CloseReason::Violation(Violation::TruncatedClose),
            abort(H3_MESSAGE_ERROR),
        ),
    ];
    both_roles(|side| {
        for (end, reason, actions) in &ends {
            let (mut rig, [first, second]) = two_sessions(side);
            let theirs = stream(&rig, Dir::Uni, 0);
            rig.peer_opens(theirs, first, b"");
            rig.drain();
            end(&mut rig);
            rig.closes(second, reason.clone(), actions);
            assert!(rig.connection.sessions().eq([first]), "{reason}");
            rig.peer_sends_datagram(CONNECT, b"alive");
            assert_eq!(rig.outputs(), [datagram(first, b"alive")], "{reason}");
            rig.feed(theirs, b"alive");
            assert_eq!(rig.events().len(), 1, "{reason}");
            rig.we_open(first, Dir::Uni);
        }
    });
}

#[test]
fn what_breaks_http3_on_a_connect_stream_ends_the_other_too() {
    let empty_frames = data_frame(b"").repeat(1025);
    let breaks: [(&str, Vec<u8>, bool, Http3Error, &str); 4] = [
        (
            "trailers",
            headers(&[("x", "y")]),
            false,
            Http3Error::FrameUnexpected,
            "H3_FRAME_UNEXPECTED",
        ),
        (
            "a frame that does not belong there",
            tlv(0x03, &[0]),
            false,
            Http3Error::FrameUnexpected,
            "H3_FRAME_UNEXPECTED",
        ),
        (
            "half a frame",
            vec![0x00, 0x05, 0x17],
            true,
            Http3Error::Frame,
            "H3_FRAME_ERROR",
        ),
        (
            "a flood",
            empty_frames,
            false,
            Http3Error::ExcessiveLoad,
            "H3_EXCESSIVE_LOAD",
        ),
    ];
    both_roles(|side| {
        for (condition, bytes, fin, error, name) in &breaks {
            let (mut rig, sessions) = two_sessions(side);
            rig.feed_maybe_fin(OTHER, bytes, *fin);
            let close = close_connection(error.code(), name);
            let lost = ConnectionLost::Http3(*error);
            rig.connection_ends(&sessions, &lost, &[close], condition);
        }
    });
}
