//! The session never opened, or ended with its opening: E29 to E39.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use webtransport_session::{
    AbortedBy, Action, AnswerError, CloseReason, Config, Deadline, Dialect, Dir, Endpoint, Event,
    Http3Error, Input, Output, Protocol, Rejection, Request, Response, SessionId, Side, StreamId,
    Violation,
};

use crate::support::{
    setting::{DATAGRAM, ENABLE_CONNECT_PROTOCOL, ENABLED_16, MAX_FIELD_SECTION_SIZE},
    *,
};

const LIMIT: Duration = Duration::from_secs(10);
/// HEADERS with a 404: QPACK's static entry 27.
const NOT_FOUND: &[u8] = &[0x01, 0x03, 0x00, 0x00, 0xdb];
/// HEADERS with a 400: static entry 67.
const BAD_REQUEST: &[u8] = &[0x01, 0x04, 0x00, 0x00, 0xff, 0x04];
/// HEADERS with a 500: static entry 71.
const INTERNAL_SERVER_ERROR: &[u8] = &[0x01, 0x04, 0x00, 0x00, 0xff, 0x08];
/// HEADERS with a 501: the name of static entry 24, and the value.
const NOT_IMPLEMENTED: &[u8] = &[0x01, 0x08, 0x00, 0x00, 0x5f, 0x09, 0x03, b'5', b'0', b'1'];
/// HEADERS with a 431, likewise.
const FIELDS_TOO_LARGE: &[u8] = &[0x01, 0x08, 0x00, 0x00, 0x5f, 0x09, 0x03, b'4', b'3', b'1'];

fn abort(stream: u64, code: u64) -> [Output; 2] {
    [reset(stream, code), stop_sending(stream, code)]
}

/// Two streams of the peer's that came before the answer, and what ends them.
fn parked(rig: &mut Rig, session: SessionId) -> Vec<Output> {
    let (bi, uni) = (rig.peer_bidi(0), rig.peer_uni(0));
    rig.peer_opens(bi, session, b"");
    rig.peer_opens(uni, session, b"early");
    assert_eq!(rig.outputs(), []);
    let mut gone = vec![
        (bi, reset(bi, WT_SESSION_GONE)),
        (bi, stop_sending(bi, WT_SESSION_GONE)),
        (uni, stop_sending(uni, WT_SESSION_GONE)),
    ];
    gone.sort_by_key(|&(stream, _)| stream);
    gone.into_iter().map(|(_, action)| action).collect()
}

fn and(first: &[Output], then: Vec<Output>) -> Vec<Output> {
    [first.to_vec(), then].concat()
}

fn rejected_by(by: Endpoint, rejection: Rejection) -> CloseReason {
    let rejection = Box::new(rejection);
    CloseReason::Rejected { by, rejection }
}

fn rejected_by_peer(status: u16) -> CloseReason {
    let status = StatusCode::from_u16(status).unwrap();
    rejected_by(Endpoint::Peer, status.into())
}

/// How a server answers the first request with a 404, and wants no more of it.
fn not_found() -> [Output; 2] {
    [
        write(CONNECT, NOT_FOUND, true),
        stop_sending(CONNECT, H3_NO_ERROR),
    ]
}

fn opened(session: SessionId) -> Output {
    let response = Box::default();
    event(Event::SessionOpened { session, response })
}

fn writable() -> Input {
    Input::StreamWritable {
        stream: CONNECT.into(),
    }
}

// ---- E29

/// A client whose request the server stopped with this code.
fn stopped(code: u64) -> (Rig, SessionId, Vec<Output>) {
    let (mut rig, session) = Rig::requested(Side::Client);
    let gone = parked(&mut rig, session);
    rig.peer_stops(CONNECT, code);
    let expected = match code {
        WT_SESSION_GONE => vec![],
        _ => vec![reset(CONNECT, code)],
    };
    assert_eq!(rig.outputs(), expected, "not yet an end");
    assert!(rig.connection.wants(CONNECT.into()), "the answer may come");
    assert!(rig.connection.sessions().eq([session]));
    (rig, session, gone)
}

const STOPS: [u64; 4] = [0, H3_NO_ERROR, H3_REQUEST_CANCELLED, H3_REQUEST_REJECTED];

#[test]
fn e29_stop_sending_in_front_of_a_rejection_is_no_end() {
    for code in STOPS {
        let (mut rig, session, gone) = stopped(code);
        rig.feed_fin(CONNECT, &response("404"));
        rig.ends(session, rejected_by_peer(404), &gone);

        let (mut rig, session, gone) = stopped(code);
        rig.feed(CONNECT, &response("404"));
        let actions = [stop_sending(CONNECT, H3_REQUEST_CANCELLED)];
        rig.ends(session, rejected_by_peer(404), &and(&actions, gone));
    }
}

#[test]
fn e29_a_2xx_behind_stop_sending_opens_nothing() {
    for code in STOPS {
        let (mut rig, session, gone) = stopped(code);
        rig.feed(CONNECT, &response("200"));
        let actions = and(&[stop_sending(CONNECT, code)], gone);
        rig.ends(session, aborted_by_stop(code), &actions);
    }
}

#[test]
fn e29_an_interim_response_behind_stop_sending_changes_nothing() {
    let (mut rig, session, gone) = stopped(H3_NO_ERROR);
    rig.feed(CONNECT, &response("103"));
    assert_eq!(rig.outputs(), []);
    rig.feed_fin(CONNECT, &response("403"));
    rig.ends(session, rejected_by_peer(403), &gone);
}

#[test]
fn e29_a_reset_behind_stop_sending_is_a_reset() {
    let (mut rig, session, gone) = stopped(H3_NO_ERROR);
    rig.peer_resets(CONNECT, 7);
    rig.ends(session, aborted_by_reset(7), &gone);
}

#[test]
fn e29_a_fin_behind_stop_sending_is_a_malformed_response() {
    let (mut rig, session, gone) = stopped(H3_NO_ERROR);
    rig.feed_fin(CONNECT, b"");
    let reason = CloseReason::Violation(Violation::MalformedResponse);
    rig.ends(session, reason, &gone);
}

#[test]
fn e29_nothing_behind_stop_sending_is_a_timeout() {
    let (mut rig, session, gone) = stopped(H3_NO_ERROR);
    rig.wait(LIMIT);
    let actions = [stop_sending(CONNECT, H3_REQUEST_CANCELLED)];
    let reason = CloseReason::TimedOut(Deadline::Request);
    rig.ends(session, reason, &and(&actions, gone));
}

#[test]
fn e29_only_the_first_stop_sending_counts() {
    for first in [H3_NO_ERROR, WT_SESSION_GONE] {
        let (mut rig, session, gone) = stopped(first);
        rig.peer_stops(CONNECT, 7);
        assert_eq!(rig.outputs(), []);
        rig.peer_resets(CONNECT, 8);
        let actions = match first {
            WT_SESSION_GONE => and(&[reset(CONNECT, H3_REQUEST_CANCELLED)], gone),
            _ => gone,
        };
        rig.ends(session, aborted_by_reset(8), &actions);
    }
}

#[test]
fn e29_a_request_that_quic_does_not_take_is_dropped() {
    let mut rig = Rig::new(Side::Client);
    rig.takes = 0;
    let session = rig.request_session(CONNECT);
    rig.takes = usize::MAX;
    rig.peer_stops(CONNECT, H3_NO_ERROR);
    rig.handle(writable());
    assert_eq!(rig.outputs(), [reset(CONNECT, H3_NO_ERROR)]);
    rig.feed_fin(CONNECT, &response("404"));
    rig.ends(session, rejected_by_peer(404), &[]);
}

#[test]
fn e29_a_2xx_behind_session_gone_opens_and_the_capsule_gives_the_reason() {
    let (mut rig, session, gone) = stopped(WT_SESSION_GONE);
    rig.feed(CONNECT, &response("200"));
    let mut expected = and(&[reset(CONNECT, WT_SESSION_GONE)], gone);
    expected.push(opened(session));
    assert_eq!(rig.outputs(), expected);
    rig.feed_fin(CONNECT, &close_frame(9, b"short"));
    rig.ends(session, by_capsule(9, "short"), &[]);
}

#[test]
fn e29_a_2xx_behind_session_gone_opens_and_the_grace_ends_it() {
    let (mut rig, session, gone) = stopped(WT_SESSION_GONE);
    rig.feed(CONNECT, &response("200"));
    let mut expected = and(&[reset(CONNECT, WT_SESSION_GONE)], gone);
    expected.push(opened(session));
    assert_eq!(rig.outputs(), expected);
    rig.wait(Duration::from_secs(1));
    let actions = [stop_sending(CONNECT, WT_SESSION_GONE)];
    rig.ends(session, aborted_by_stop(WT_SESSION_GONE), &actions);
}

#[test]
fn e29_answer_and_capsule_behind_session_gone_may_come_together() {
    let (mut rig, session, gone) = stopped(WT_SESSION_GONE);
    let wire = [response("200"), close_frame(9, b"short")].concat();
    rig.feed_fin(CONNECT, &wire);
    let mut expected = and(&[reset(CONNECT, WT_SESSION_GONE)], gone);
    expected.push(opened(session));
    expected.push(closed(session, by_capsule(9, "short")));
    assert_eq!(rig.outputs(), expected);
    rig.is_over(session);
}

#[test]
fn e29_behind_session_gone_our_half_ends_with_everything_else_too() {
    let gone = WT_SESSION_GONE;
    // It was stopped: a FIN would not arrive.
    let (mut rig, session, streams) = stopped(gone);
    rig.feed_fin(CONNECT, &response("404"));
    let actions = and(&[reset(CONNECT, gone)], streams);
    rig.ends(session, rejected_by_peer(404), &actions);

    let (mut rig, session, streams) = stopped(gone);
    rig.feed_fin(CONNECT, b"");
    let reason = CloseReason::Violation(Violation::MalformedResponse);
    let actions = and(&[reset(CONNECT, H3_MESSAGE_ERROR)], streams);
    rig.ends(session, reason, &actions);

    let (mut rig, session, streams) = stopped(gone);
    rig.wait(LIMIT);
    let reason = CloseReason::TimedOut(Deadline::Request);
    let actions = and(&abort(CONNECT, H3_REQUEST_CANCELLED), streams);
    rig.ends(session, reason, &actions);
}

// ---- E30, E31, E32

#[test]
fn e30_a_rejection_gives_status_and_headers() {
    let (mut rig, session) = Rig::requested(Side::Client);
    let gone = parked(&mut rig, session);
    let fields = [
        (":status", "429"),
        ("retry-after", "7"),
        ("x", "1"),
        ("x", "2"),
    ];
    rig.feed(CONNECT, &headers(&fields));
    let mut rejection = Rejection::from(StatusCode::TOO_MANY_REQUESTS);
    for (name, value) in &fields[1..] {
        rejection.headers.append(*name, value.parse().unwrap());
    }
    let reason = rejected_by(Endpoint::Peer, rejection);
    let actions = [
        write(CONNECT, b"", true),
        stop_sending(CONNECT, H3_REQUEST_CANCELLED),
    ];
    rig.ends(session, reason, &and(&actions, gone));
}

#[test]
fn e30_with_the_fin_there_is_nothing_to_stop() {
    let body = data_frame(b"not here");
    for body in [b"".as_slice(), &body] {
        let (mut rig, session) = Rig::requested(Side::Client);
        let gone = parked(&mut rig, session);
        rig.feed_fin(CONNECT, &[&response("404"), body].concat());
        let actions = [write(CONNECT, b"", true)];
        rig.ends(session, rejected_by_peer(404), &and(&actions, gone));
    }
}

#[test]
fn e30_the_body_is_skipped_and_does_not_delay_the_reason() {
    let (mut rig, session) = Rig::requested(Side::Client);
    let body = [data_frame(&[b'x'; 100]), headers(&[("x", "trailer")])].concat();
    let (front, back) = body.split_at(50);
    rig.feed(CONNECT, &[&response("404"), front].concat());
    let actions = [
        write(CONNECT, b"", true),
        stop_sending(CONNECT, H3_REQUEST_CANCELLED),
    ];
    rig.closes(session, rejected_by_peer(404), &actions);
    assert!(!rig.connection.wants(CONNECT.into()));
    rig.feed(CONNECT, back);
    assert_eq!(rig.outputs(), []);
    rig.is_over(session);
}

#[test]
fn e30_a_rejection_split_at_any_byte_is_the_same() {
    let wire = [response("404"), data_frame(b"not here")].concat();
    for at in 0..wire.len() {
        let (mut rig, session) = Rig::requested(Side::Client);
        rig.feed(CONNECT, &wire[..at]);
        rig.feed_fin(CONNECT, &wire[at..]);
        let mut actions = vec![write(CONNECT, b"", true)];
        if at >= response("404").len() {
            actions.push(stop_sending(CONNECT, H3_REQUEST_CANCELLED));
        }
        rig.ends(session, rejected_by_peer(404), &actions);
    }
}

#[test]
fn e30_the_slot_is_free_at_once() {
    let (mut rig, first) = Rig::requested(Side::Client);
    rig.feed(CONNECT, &response("503"));
    let actions = [
        write(CONNECT, b"", true),
        stop_sending(CONNECT, H3_REQUEST_CANCELLED),
    ];
    rig.closes(first, rejected_by_peer(503), &actions);
    assert!(rig.connection.is_settled());
    let second = rig.request_session(4);
    rig.answer(second);
    rig.feed_fin(4, b"");
    rig.ends(second, by_fin(), &[write(4, b"", true)]);
}

#[test]
fn e30_a_connect_that_was_refused_may_be_tried_again() {
    let (mut rig, first) = Rig::requested(Side::Client);
    let request = Request::new("https://example.org/game".parse().unwrap());
    assert!(rig.connection.connect(rig.now, &request).is_err());
    rig.feed_fin(CONNECT, &response("503"));
    let available = Event::StreamsAvailable { dir: Dir::Bi };
    assert_eq!(
        rig.outputs(),
        [
            write(CONNECT, b"", true),
            event(available),
            closed(first, rejected_by_peer(503))
        ]
    );
    rig.is_over(first);
}

#[test]
fn e30_early_datagrams_are_absorbed_and_counted() {
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.peer_sends_datagram(CONNECT, b"early");
    rig.peer_sends_datagram(CONNECT, b"bird");
    rig.feed_fin(CONNECT, &response("404"));
    let actions = [write(CONNECT, b"", true)];
    rig.closes(session, rejected_by_peer(404), &actions);
    assert_eq!(rig.connection.stats().datagrams_absorbed, 2);
    rig.is_over(session);
}

#[test]
fn e31_a_redirection_is_a_rejection_and_not_followed() {
    for status in [300, 301, 302, 303, 307, 308] {
        let (mut rig, session) = Rig::requested(Side::Client);
        let location = ("location", "https://example.org/elsewhere");
        rig.feed_fin(
            CONNECT,
            &headers(&[(":status", &status.to_string()), location]),
        );
        let mut rejection = Rejection::from(StatusCode::from_u16(status).unwrap());
        let value = location.1.parse().unwrap();
        rejection.headers.insert(location.0, value);
        let reason = rejected_by(Endpoint::Peer, rejection);
        rig.ends(session, reason, &[write(CONNECT, b"", true)]);
    }
}

#[test]
fn e32_interim_responses_are_skipped() {
    for final_status in ["200", "404"] {
        let (mut rig, session) = Rig::requested(Side::Client);
        for interim in ["100", "102", "103", "103", "199"] {
            let fields = [(":status", interim), ("link", "<a>")];
            rig.feed(CONNECT, &headers(&fields));
            rig.feed(CONNECT, &grease(b"between"));
        }
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, &response(final_status));
        if final_status == "200" {
            assert_eq!(
                rig.outputs(),
                [
                    write(CONNECT, b"", true),
                    opened(session),
                    closed(session, by_fin())
                ]
            );
            rig.is_over(session);
        } else {
            let actions = [write(CONNECT, b"", true)];
            rig.ends(session, rejected_by_peer(404), &actions);
        }
    }
}

// ---- E33, E34, E35

#[test]
fn e33_reset_instead_of_an_answer_gives_its_code() {
    for interim in [false, true] {
        for code in [
            0,
            H3_REQUEST_REJECTED,
            H3_REQUEST_CANCELLED,
            WT_SESSION_GONE,
        ] {
            let (mut rig, session) = Rig::requested(Side::Client);
            let gone = parked(&mut rig, session);
            if interim {
                rig.feed(CONNECT, &response("103"));
            }
            rig.peer_resets(CONNECT, code);
            let reason = aborted_by_reset(code);
            assert_eq!(reason.is_retryable(), code == H3_REQUEST_REJECTED);
            let actions = and(&[reset(CONNECT, H3_REQUEST_CANCELLED)], gone);
            rig.ends(session, reason, &actions);
        }
    }
}

#[test]
fn e33_a_reset_inside_the_answer_is_a_reset() {
    let wire = response("200");
    for at in 0..wire.len() {
        let (mut rig, session) = Rig::requested(Side::Client);
        rig.feed(CONNECT, &wire[..at]);
        rig.peer_resets(CONNECT, 7);
        let actions = [reset(CONNECT, H3_REQUEST_CANCELLED)];
        rig.ends(session, aborted_by_reset(7), &actions);
    }
}

#[test]
fn e33_a_request_that_quic_does_not_take_is_dropped() {
    let mut rig = Rig::new(Side::Client);
    rig.takes = 0;
    let session = rig.request_session(CONNECT);
    rig.takes = usize::MAX;
    rig.peer_resets(CONNECT, H3_REQUEST_REJECTED);
    rig.handle(writable());
    let actions = [reset(CONNECT, H3_REQUEST_CANCELLED)];
    rig.ends(session, aborted_by_reset(H3_REQUEST_REJECTED), &actions);
}

#[test]
fn e33_requests_that_were_dropped_leave_nothing_unwritten() {
    let mut config = Config::default();
    config.limits.unwritten_bytes = 200;
    let mut rig = Rig::with(Side::Client, config, Dialect::Draft16);
    rig.takes = 0;
    for index in 0..20 {
        let session = rig.request_session(index * 4);
        rig.peer_resets(index * 4, H3_REQUEST_REJECTED);
        let reason = aborted_by_reset(H3_REQUEST_REJECTED);
        let actions = [reset(index * 4, H3_REQUEST_CANCELLED)];
        rig.closes(session, reason, &actions);
    }
}

#[test]
fn e34_a_fin_instead_of_an_answer_is_a_malformed_response() {
    for front in [vec![], response("103"), grease(b"ignored")] {
        let (mut rig, session) = Rig::requested(Side::Client);
        let gone = parked(&mut rig, session);
        rig.feed(CONNECT, &front);
        rig.feed_fin(CONNECT, b"");
        let reason = CloseReason::Violation(Violation::MalformedResponse);
        let actions = and(&[reset(CONNECT, H3_MESSAGE_ERROR)], gone);
        rig.ends(session, reason, &actions);
    }
}

#[test]
fn e34_a_malformed_response_opens_nothing() {
    let long_name = "x".repeat(70_000);
    let malformed: [(&str, &[(&str, &str)]); 29] = [
        ("nothing", &[]),
        ("no status", &[("x", "y")]),
        ("two statuses", &[(":status", "200"), (":status", "200")]),
        ("101", &[(":status", "101")]),
        ("a status of two digits", &[(":status", "20")]),
        ("a status of four digits", &[(":status", "2000")]),
        ("a status below 100", &[(":status", "099")]),
        ("a status that is no number", &[(":status", "2xx")]),
        ("an empty status", &[(":status", "")]),
        ("a name in upper case", &[(":status", "200"), ("X-Y", "z")]),
        ("a name with a space", &[(":status", "200"), ("x y", "z")]),
        ("an empty name", &[(":status", "200"), ("", "z")]),
        (
            "a value with a line break",
            &[(":status", "200"), ("x", "y\nz")],
        ),
        (
            "a name that is too long",
            &[(":status", "200"), (&long_name[..65_536], "")],
        ),
        (
            "an unknown pseudo-header",
            &[(":status", "200"), (":x", "y")],
        ),
        ("a path", &[(":status", "200"), (":path", "/")]),
        ("a method", &[(":status", "200"), (":method", "CONNECT")]),
        ("a scheme", &[(":status", "200"), (":scheme", "https")]),
        ("an authority", &[(":status", "200"), (":authority", "a")]),
        ("a protocol", &[(":status", "200"), (":protocol", "a")]),
        ("a pseudo-header late", &[("x", "y"), (":status", "200")]),
        ("connection", &[(":status", "200"), ("connection", "close")]),
        ("te", &[(":status", "200"), ("te", "gzip")]),
        (
            "transfer-encoding",
            &[(":status", "200"), ("transfer-encoding", "chunked")],
        ),
        ("204", &[(":status", "204")]),
        ("205", &[(":status", "205")]),
        ("206", &[(":status", "206")]),
        (
            "content-length",
            &[(":status", "200"), ("content-length", "0")],
        ),
        (
            "content-type",
            &[(":status", "200"), ("content-type", "text/html")],
        ),
    ];
    let reason = CloseReason::Violation(Violation::MalformedResponse);
    for (condition, fields) in malformed {
        println!("{condition}");
        let mut config = Config::default();
        config.limits.field_section = 1 << 20;
        let mut rig = Rig::with(Side::Client, config, Dialect::Draft16);
        let session = rig.request_session(CONNECT);
        let gone = parked(&mut rig, session);
        rig.feed(CONNECT, &headers(fields));
        let actions = and(&abort(CONNECT, H3_MESSAGE_ERROR), gone);
        rig.ends(session, reason.clone(), &actions);

        let (mut rig, session) = Rig::requested(Side::Client);
        if headers(fields).len() > 16_384 {
            continue; // too large in the first place
        }
        rig.feed_fin(CONNECT, &headers(fields));
        let actions = [reset(CONNECT, H3_MESSAGE_ERROR)];
        rig.ends(session, reason.clone(), &actions);
    }
}

#[test]
fn e34_a_malformed_interim_response_is_malformed() {
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.feed(CONNECT, &headers(&[("x", "y"), (":status", "103")]));
    let reason = CloseReason::Violation(Violation::MalformedResponse);
    rig.ends(session, reason, &abort(CONNECT, H3_MESSAGE_ERROR));
}

#[test]
fn e34_a_rejection_may_have_what_a_2xx_may_not() {
    for field in [("content-length", "3"), ("content-type", "text/html")] {
        let (mut rig, session) = Rig::requested(Side::Client);
        rig.feed_fin(CONNECT, &headers(&[(":status", "404"), field]));
        let mut rejection = Rejection::from(StatusCode::NOT_FOUND);
        rejection.headers.insert(field.0, field.1.parse().unwrap());
        let reason = rejected_by(Endpoint::Peer, rejection);
        rig.ends(session, reason, &[write(CONNECT, b"", true)]);
    }
}

#[test]
fn e34_a_response_with_too_many_fields_opens_nothing() {
    let value = "x".repeat(8_000);
    let fields = [
        (":status", "200"),
        ("a", &value),
        ("b", &value),
        ("c", &value),
    ];
    // Over the limit by its frame, and over it only as its fields are counted: 32 bytes each.
    let many = [&[(":status", "200")][..], &[("a", ""); 500]].concat();
    assert!(headers(&many).len() < 16_384);
    for wire in [headers(&fields), headers(&many)] {
        for at in [1, 5, 100, wire.len()] {
            let (mut rig, session) = Rig::requested(Side::Client);
            let gone = parked(&mut rig, session);
            rig.feed(CONNECT, &wire[..at]);
            rig.feed(CONNECT, &wire[at..]);
            let reason = CloseReason::Violation(Violation::FieldSectionTooLarge);
            let actions = and(&abort(CONNECT, H3_MESSAGE_ERROR), gone);
            rig.ends(session, reason, &actions);
        }
    }
}

#[test]
fn e34_a_field_section_that_is_too_large_is_seen_at_its_length() {
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.feed(CONNECT, &[varint(0x01), varint(16_385)].concat());
    let reason = CloseReason::Violation(Violation::FieldSectionTooLarge);
    rig.ends(session, reason, &abort(CONNECT, H3_MESSAGE_ERROR));
}

#[test]
fn e34_data_before_the_answer_breaks_http3() {
    for front in [vec![], response("103")] {
        let (mut rig, session) = Rig::requested(Side::Client);
        rig.feed(CONNECT, &[front, data_frame(b"")].concat());
        let lost = webtransport_session::ConnectionLost::Http3(Http3Error::FrameUnexpected);
        let close = close_connection(0x105, "H3_FRAME_UNEXPECTED");
        rig.connection_ends(&[session], &lost, &[close], "DATA before HEADERS");
    }
}

#[test]
fn e35_goaway_that_covers_the_request_ends_it() {
    for id in [0, 4] {
        let mut rig = Rig::new(Side::Client);
        let session = rig.request_session(4);
        let gone = parked(&mut rig, session);
        rig.feed(rig.peer_control(), &tlv(0x07, &varint(id)));
        let by = AbortedBy::GoAway;
        let code = H3_REQUEST_REJECTED;
        let reason = CloseReason::Aborted { by, code };
        assert!(reason.is_retryable());
        let actions = and(&abort(4, H3_REQUEST_CANCELLED), gone);
        rig.ends(session, reason, &actions);
    }
}

#[test]
fn e35_goaway_above_the_request_leaves_it() {
    let (mut rig, session) = Rig::requested(Side::Client);
    rig.feed(rig.peer_control(), &tlv(0x07, &varint(4)));
    assert_eq!(rig.outputs(), []);
    rig.feed(CONNECT, &response("200"));
    let draining = Event::SessionDraining { session };
    assert_eq!(rig.outputs(), [opened(session), event(draining)]);
    rig.feed_fin(CONNECT, b"");
    rig.ends(session, by_fin(), &[write(CONNECT, b"", true)]);
}

#[test]
fn e35_goaway_leaves_a_session_that_is_open() {
    let (mut rig, session) = Rig::open(Side::Client);
    rig.feed(rig.peer_control(), &tlv(0x07, &varint(0)));
    let draining = Event::SessionDraining { session };
    assert_eq!(rig.outputs(), [event(draining)]);
    rig.peer_sends_datagram(CONNECT, b"still");
    assert!(matches!(rig.events()[..], [Event::DatagramReceived { .. }]));
    rig.feed_fin(CONNECT, b"");
    rig.ends(session, by_fin(), &[write(CONNECT, b"", true)]);
}

#[test]
fn e35_goaway_ends_each_request_that_it_covers_and_no_other() {
    let dialect = Dialect::Draft02;
    let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
    let sessions = [0, 4, 8].map(|stream| rig.request_session(stream));
    rig.answer(sessions[1]);
    rig.feed(rig.peer_control(), &tlv(0x07, &varint(4)));
    let reason = CloseReason::Aborted {
        by: AbortedBy::GoAway,
        code: H3_REQUEST_REJECTED,
    };
    let [our_half, their_half] = abort(8, H3_REQUEST_CANCELLED);
    let draining = Event::SessionDraining {
        session: sessions[1],
    };
    assert_eq!(
        rig.outputs(),
        [
            our_half,
            their_half,
            event(draining),
            closed(sessions[2], reason)
        ]
    );
    assert!(rig.connection.sessions().eq([sessions[0], sessions[1]]));
}

#[test]
fn e35_a_lower_goaway_ends_the_requests_that_the_first_had_left() {
    let dialect = Dialect::Draft02;
    let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
    let sessions = [0, 4, 8, 12].map(|stream| rig.request_session(stream));
    let by = AbortedBy::GoAway;
    let code = H3_REQUEST_REJECTED;
    for (id, ended) in [
        (12, &sessions[3..]),
        (12, &[]),
        (4, &sessions[1..3]),
        (4, &[]),
    ] {
        rig.feed(rig.peer_control(), &tlv(0x07, &varint(id)));
        let reason = CloseReason::Aborted { by, code };
        let expected = ended.iter().map(|&session| closed(session, reason.clone()));
        let mut outputs = rig.outputs();
        outputs.retain(|output| matches!(output, Output::Event(_)));
        assert!(outputs.into_iter().eq(expected), "{id}");
    }
    assert!(rig.connection.sessions().eq([sessions[0]]));
}

// ---- E36, E37

/// A server with a request in hand, and streams that wait for its answer.
fn asked() -> (Rig, SessionId, Vec<Output>) {
    let (mut rig, session) = Rig::requested(Side::Server);
    let gone = parked(&mut rig, session);
    (rig, session, gone)
}

/// The client took the request back: no answer is possible any more.
#[track_caller]
fn is_withdrawn(mut rig: Rig, session: SessionId, code: Option<u64>, actions: &[Output]) {
    rig.closes(session, CloseReason::Withdrawn { code }, actions);
    let (now, connection) = (rig.now, &mut rig.connection);
    let answer = connection.accept(now, session, Response::default());
    assert_eq!(answer, Err(AnswerError::Gone));
    let answer = connection.reject(now, session, StatusCode::NOT_FOUND.into());
    assert_eq!(answer, Err(AnswerError::Gone));
    rig.is_over(session);
}

#[test]
fn e36_a_reset_before_the_answer_withdraws_the_request() {
    for code in [0, H3_REQUEST_CANCELLED, WT_SESSION_GONE] {
        let (mut rig, session, gone) = asked();
        rig.peer_resets(CONNECT, code);
        let actions = and(&[reset(CONNECT, H3_REQUEST_CANCELLED)], gone);
        is_withdrawn(rig, session, Some(code), &actions);
    }
}

#[test]
fn e36_stop_sending_before_the_answer_withdraws_the_request() {
    for code in [0, H3_REQUEST_CANCELLED, WT_SESSION_GONE] {
        let (mut rig, session, gone) = asked();
        rig.peer_stops(CONNECT, code);
        let actions = and(&abort(CONNECT, code), gone);
        is_withdrawn(rig, session, Some(code), &actions);
    }
}

#[test]
fn e36_a_fin_before_the_answer_withdraws_the_request() {
    let bodies = [
        ("nothing", vec![]),
        ("a close", close_frame(1, b"unread")),
        (
            "half a close",
            data_frame(&close_capsule(1, b"unread")[..5]),
        ),
        ("a broken close", data_frame(&tlv(0x2843, b""))),
        (
            "a close and more",
            [close_frame(1, b""), grease(b"")].concat(),
        ),
        ("a drain", data_frame(&tlv(0x78ae, b""))),
    ];
    for (condition, body) in bodies {
        println!("{condition}");
        let (mut rig, session, gone) = asked();
        rig.feed(CONNECT, &body);
        assert_eq!(rig.outputs(), []);
        assert!(rig.connection.wants(CONNECT.into()));
        rig.feed_fin(CONNECT, b"");
        let actions = and(&[reset(CONNECT, H3_REQUEST_CANCELLED)], gone);
        is_withdrawn(rig, session, None, &actions);
    }
}

#[test]
fn e36_a_request_that_comes_with_its_fin_is_announced_and_withdrawn() {
    let request = connect_request("webtransport-h3");
    let wires = [
        request.clone(),
        [request, close_frame(1, b"unread")].concat(),
    ];
    for wire in wires {
        let mut rig = Rig::new(Side::Server);
        rig.feed_fin(CONNECT, &wire);
        let outputs = rig.outputs();
        let session = SessionId::try_from(StreamId::from(CONNECT)).unwrap();
        let reason = CloseReason::Withdrawn { code: None };
        assert!(
            matches!(
                &outputs[..],
                [_, Output::Event(Event::SessionRequested { .. }), _]
            ),
            "{outputs:?}"
        );
        assert_eq!(outputs[0], reset(CONNECT, H3_REQUEST_CANCELLED));
        assert_eq!(outputs[2], closed(session, reason));
        rig.is_over(session);
    }
}

#[test]
fn e36_of_several_the_first_counts() {
    let (mut rig, session, gone) = asked();
    rig.peer_stops(CONNECT, 7);
    rig.peer_resets(CONNECT, 8);
    rig.feed_fin(CONNECT, b"");
    let actions = and(&abort(CONNECT, 7), gone);
    is_withdrawn(rig, session, Some(7), &actions);
}

#[test]
fn e37_a_rejection_of_ours_goes_out_with_a_fin() {
    let (mut rig, session, gone) = asked();
    let rejection = Rejection::from(StatusCode::NOT_FOUND);
    let (now, connection) = (rig.now, &mut rig.connection);
    connection.reject(now, session, rejection.clone()).unwrap();
    let again = connection.reject(now, session, rejection.clone());
    assert_eq!(again, Err(AnswerError::Gone));
    let late = connection.accept(now, session, Response::default());
    assert_eq!(late, Err(AnswerError::Gone));
    let reason = rejected_by(Endpoint::Local, rejection);
    let actions = not_found();
    rig.ends(session, reason, &and(&actions, gone));
}

#[test]
fn e37_an_answer_with_more_headers_than_the_client_takes_is_not_sent() {
    // The client says 1000: its SETTINGS, with the dialect's.
    let mut settings = settings(&[
        (DATAGRAM, 1),
        (ENABLED_16, 1),
        (MAX_FIELD_SECTION_SIZE, 1000),
    ]);
    settings.insert(0, 0x00);
    for (len, limit, fits) in [
        (800, 64 << 10, true),
        (1000, 64 << 10, false),
        (800, 700, false),
    ] {
        let mut config = Config::default();
        config.limits.unwritten_bytes = limit;
        let mut rig = Rig::before_settings(Side::Server, config);
        rig.feed(rig.peer_control(), &settings);
        rig.drain();
        let session = rig.request_session(CONNECT);
        let mut rejection = Rejection::from(StatusCode::FORBIDDEN);
        let why = HeaderValue::try_from("x".repeat(len)).unwrap();
        rejection.headers.insert("why", why.clone());
        let mut response = Response::default();
        response.headers.insert("why", why);
        let (now, connection) = (rig.now, &mut rig.connection);
        if !fits {
            let rejected = connection.reject(now, session, rejection);
            assert_eq!(rejected, Err(AnswerError::HeadersTooLarge));
            let accepted = connection.accept(now, session, response.clone());
            assert_eq!(accepted, Err(AnswerError::HeadersTooLarge));
            assert_eq!(rig.outputs(), []);
            response = Response::default();
        }
        // It still waits.
        let (now, connection) = (rig.now, &mut rig.connection);
        connection.accept(now, session, response).unwrap();
    }
}

#[test]
fn a_request_with_more_headers_than_the_server_takes_is_not_sent() {
    let mut settings = settings(&[
        (DATAGRAM, 1),
        (ENABLE_CONNECT_PROTOCOL, 1),
        (ENABLED_16, 1),
        (MAX_FIELD_SECTION_SIZE, 1000),
    ]);
    settings.insert(0, 0x00);
    let mut rig = Rig::before_settings(Side::Client, Config::default());
    rig.feed(rig.peer_control(), &settings);
    rig.drain();
    for (len, fits) in [(1000, false), (600, true)] {
        let mut request = request();
        let value = HeaderValue::try_from("x".repeat(len)).unwrap();
        request.headers.insert("cookie", value);
        let permit = rig.connection.connect(rig.now, &request);
        assert_eq!(permit.is_ok(), fits, "{permit:?}");
    }
}

#[test]
fn e37_headers_go_out_with_the_rejection() {
    let (mut rig, session) = Rig::requested(Side::Server);
    let mut rejection = Rejection::from(StatusCode::NOT_FOUND);
    rejection.headers.insert("x-why", "no".parse().unwrap());
    let reject = rig.connection.reject(rig.now, session, rejection.clone());
    reject.unwrap();
    let mut section = vec![0x00, 0x00, 0xdb, 0x25];
    section.extend(b"x-why\x02no");
    let reason = rejected_by(Endpoint::Local, rejection);
    let actions = [
        write(CONNECT, &tlv(0x01, &section), true),
        stop_sending(CONNECT, H3_NO_ERROR),
    ];
    rig.ends(session, reason, &actions);
}

#[test]
fn e37_a_rejection_that_would_mean_something_else_is_sent_as_500() {
    for status in [100, 101, 199, 200, 204, 299] {
        let (mut rig, session) = Rig::requested(Side::Server);
        let rejection = Rejection::from(StatusCode::from_u16(status).unwrap());
        let reject = rig.connection.reject(rig.now, session, rejection);
        reject.unwrap();
        let sent = Rejection::from(StatusCode::INTERNAL_SERVER_ERROR);
        let reason = rejected_by(Endpoint::Local, sent);
        let actions = [
            write(CONNECT, INTERNAL_SERVER_ERROR, true),
            stop_sending(CONNECT, H3_NO_ERROR),
        ];
        rig.ends(session, reason, &actions);
    }
}

#[test]
fn e37_what_came_before_the_rejection_is_dropped_unread() {
    let (mut rig, session, gone) = asked();
    rig.feed(CONNECT, &close_frame(1, b"unread"));
    rig.peer_sends_datagram(CONNECT, b"early");
    let rejection = Rejection::from(StatusCode::NOT_FOUND);
    let reject = rig.connection.reject(rig.now, session, rejection.clone());
    reject.unwrap();
    let reason = rejected_by(Endpoint::Local, rejection);
    let actions = not_found();
    rig.closes(session, reason, &and(&actions, gone));
    assert_eq!(rig.connection.stats().datagrams_absorbed, 1);
    assert_eq!(rig.connection.stats().streams_refused, 2);
    rig.is_over(session);
}

#[test]
fn e37_a_rejection_waits_until_quic_takes_it() {
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.takes = 2;
    let rejection = Rejection::from(StatusCode::NOT_FOUND);
    let reject = rig.connection.reject(rig.now, session, rejection.clone());
    reject.unwrap();
    let reason = rejected_by(Endpoint::Local, rejection);
    let actions = not_found();
    rig.closes(session, reason, &actions);
    assert!(!rig.connection.is_settled());
    rig.takes = usize::MAX;
    rig.handle(writable());
    assert_eq!(rig.outputs(), [write(CONNECT, &NOT_FOUND[2..], true)]);
    rig.is_over(session);
}

// ---- E38

/// The request on stream 0 is answered so, counted, and never heard of; the next one is.
#[track_caller]
fn is_refused(mut rig: Rig, condition: &str, actions: &[Output]) {
    assert_eq!(rig.outputs(), actions, "{condition}");
    assert_eq!(rig.connection.stats().requests_refused, 1, "{condition}");
    assert_eq!(rig.connection.sessions().count(), 0, "{condition}");
    assert!(rig.connection.is_settled(), "{condition}");
    assert!(!rig.connection.wants(CONNECT.into()), "{condition}");
    rig.feed_fin(CONNECT, &close_frame(1, b"late"));
    rig.peer_resets(CONNECT, 7);
    rig.peer_stops(CONNECT, 7);
    rig.wait(Duration::from_secs(20));
    assert_eq!(rig.outputs(), [], "{condition}");
    assert_eq!(rig.connection.stats().requests_refused, 1, "{condition}");
    let next = rig.request_session(4);
    rig.answer(next);
}

type Fields = &'static [(&'static str, &'static str)];

/// A CONNECT with one field more, less, or other.
const METHOD: (&str, &str) = (":method", "CONNECT");
const PROTOCOL: (&str, &str) = (":protocol", "webtransport-h3");
const SCHEME: (&str, &str) = (":scheme", "https");
const AUTHORITY: (&str, &str) = (":authority", "example.org");
const PATH: (&str, &str) = (":path", "/game");

#[test]
fn e38_a_malformed_connect_is_never_announced() {
    let whole = [METHOD, PROTOCOL, SCHEME, AUTHORITY, PATH];
    let with = |extra: &[(&'static str, &'static str)]| [&whole[..], extra].concat();
    let without = |name: &str| -> Vec<_> {
        let kept = whole.iter().filter(|field| field.0 != name);
        kept.copied().collect()
    };
    let instead = |field: (&'static str, &'static str)| {
        let mut fields = without(field.0);
        fields.push(field);
        fields
    };
    let malformed = [
        ("nothing", vec![]),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("no authority", without(":authority")),
        ("no path", without(":path")),
        ("an empty authority", instead((":authority", ""))),
        ("an empty path", instead((":path", ""))),
        ("two methods", with(&[METHOD])),
        ("two protocols", with(&[PROTOCOL])),
        ("two schemes", with(&[SCHEME])),
        ("two authorities", with(&[AUTHORITY])),
        ("two paths", with(&[PATH])),
        ("a status", with(&[(":status", "200")])),
        ("an unknown pseudo-header", with(&[(":x", "y")])),
        (
            "a pseudo-header late",
            vec![METHOD, ("x", "y"), PROTOCOL, SCHEME, AUTHORITY, PATH],
        ),
        ("a name in upper case", with(&[("X-Y", "z")])),
        ("a name with a space", with(&[("x y", "z")])),
        ("a value with a line break", with(&[("x", "y\rz")])),
        ("connection", with(&[("connection", "close")])),
        ("keep-alive", with(&[("keep-alive", "1")])),
        ("proxy-connection", with(&[("proxy-connection", "x")])),
        (
            "transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
        ),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("te", with(&[("te", "gzip")])),
        ("another host", with(&[("host", "example.net")])),
        ("content-length", with(&[("content-length", "0")])),
        ("content-type", with(&[("content-type", "text/html")])),
        (
            "two origins",
            with(&[("origin", "https://a"), ("origin", "https://b")]),
        ),
        (
            "a plain CONNECT with a scheme",
            vec![METHOD, AUTHORITY, SCHEME],
        ),
        ("a plain CONNECT with a path", vec![METHOD, AUTHORITY, PATH]),
        ("a GET with a protocol", instead((":method", "GET"))),
        (
            "a GET without a scheme",
            vec![(":method", "GET"), AUTHORITY, PATH],
        ),
        (
            "a GET without a path",
            vec![(":method", "GET"), SCHEME, AUTHORITY],
        ),
    ];
    for (condition, fields) in malformed {
        let mut rig = Rig::new(Side::Server);
        rig.feed(CONNECT, &headers(&fields));
        is_refused(rig, condition, &abort(CONNECT, H3_MESSAGE_ERROR));

        let mut rig = Rig::new(Side::Server);
        rig.feed_fin(CONNECT, &headers(&fields));
        is_refused(rig, condition, &[reset(CONNECT, H3_MESSAGE_ERROR)]);
    }
}

#[test]
fn e38_a_request_that_is_not_ours_is_answered_with_a_status() {
    const UDP: (&str, &str) = (":protocol", "connect-udp");
    const HTTP: (&str, &str) = (":scheme", "http");
    let get: Fields = &[(":method", "GET"), SCHEME, AUTHORITY, PATH];
    let requests: [(&str, Fields, &[u8]); 5] = [
        ("a GET", get, NOT_FOUND),
        ("a plain CONNECT", &[METHOD, AUTHORITY], NOT_IMPLEMENTED),
        (
            "another protocol",
            &[METHOD, UDP, SCHEME, AUTHORITY, PATH],
            NOT_IMPLEMENTED,
        ),
        (
            "another protocol over http",
            &[METHOD, UDP, HTTP, AUTHORITY, PATH],
            NOT_IMPLEMENTED,
        ),
        (
            "plain http",
            &[METHOD, PROTOCOL, HTTP, AUTHORITY, PATH],
            BAD_REQUEST,
        ),
    ];
    for (condition, fields, answer) in requests {
        let wire = headers(fields);
        for at in 0..=wire.len() {
            let mut rig = Rig::new(Side::Server);
            rig.feed(CONNECT, &wire[..at]);
            rig.feed(CONNECT, &wire[at..]);
            let actions = [
                write(CONNECT, answer, true),
                stop_sending(CONNECT, H3_NO_ERROR),
            ];
            is_refused(rig, condition, &actions);
        }
        let mut rig = Rig::new(Side::Server);
        rig.feed_fin(CONNECT, &wire);
        is_refused(rig, condition, &[write(CONNECT, answer, true)]);

        let mut rig = Rig::new(Side::Server);
        rig.feed_fin(CONNECT, &[wire, data_frame(b"body")].concat());
        is_refused(rig, condition, &[write(CONNECT, answer, true)]);
    }
}

/// Whatever the version of `http` makes of it.
#[test]
fn e38_an_authority_or_path_that_no_uri_has_is_answered_with_a_status() {
    let authorities = [
        "me@example.org",
        "me:word@example.org",
        ":443",
        "[]",
        "[]:1",
        "[a]",
        "example.org:b",
        "example.org:65536",
        "example.org:1:2",
        "a b",
    ];
    let paths = [
        "*",
        "a",
        "?a",
        "#a",
        "/a#b",
        "@evil.example/",
        ".evil.example/",
        "http://evil.example/",
        "/a b",
        "/\u{7f}",
        "/\u{85}",
        "/\u{2028}",
        "/?\u{202e}",
    ];
    let authorities = authorities.map(|authority| (authority, PATH.1));
    let paths = paths.map(|path| (AUTHORITY.1, path));
    for (authority, path) in authorities.into_iter().chain(paths) {
        let mut rig = Rig::new(Side::Server);
        let fields = [
            METHOD,
            PROTOCOL,
            SCHEME,
            (":authority", authority),
            (":path", path),
        ];
        rig.feed(CONNECT, &headers(&fields));
        let actions = [
            write(CONNECT, BAD_REQUEST, true),
            stop_sending(CONNECT, H3_NO_ERROR),
        ];
        is_refused(rig, &format!("{authority} {path}"), &actions);
    }
}

#[test]
fn e38_the_token_of_a_dialect_that_is_not_spoken_is_unknown() {
    let mut rig = Rig::new(Side::Server);
    rig.feed(CONNECT, &connect_request("webtransport"));
    let actions = [
        write(CONNECT, NOT_IMPLEMENTED, true),
        stop_sending(CONNECT, H3_NO_ERROR),
    ];
    is_refused(rig, "a token of draft 07", &actions);
}

#[test]
fn e38_a_request_that_was_refused_is_not_unanswered() {
    let mut config = Config::default();
    config.limits.unanswered_requests = 1;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    for stream in [0, 4, 8] {
        rig.feed(stream, &connect_request("webtransport"));
        let actions = [
            write(stream, NOT_IMPLEMENTED, true),
            stop_sending(stream, H3_NO_ERROR),
        ];
        assert_eq!(rig.outputs(), actions);
    }
    let session = rig.request_session(12);
    rig.answer(session);
    for stream in [16, 20, 24] {
        rig.feed(stream, &connect_request("webtransport-h3"));
        assert_eq!(rig.outputs(), abort(stream, H3_REQUEST_REJECTED));
    }
    rig.feed_fin(12, b"");
    rig.closes(session, by_fin(), &[write(12, b"", true)]);
    rig.request_session(28);
}

#[test]
fn e38_what_is_no_mistake_is_announced() {
    let mut fields = vec![METHOD, PROTOCOL, SCHEME, AUTHORITY, PATH];
    fields.extend([
        ("origin", "https://example.org"),
        ("host", "example.org"),
        ("te", "trailers"),
        ("x", "1"),
        ("x", "2"),
        ("capsule-protocol", "?1"),
        ("wt-available-protocols", "\"game-2\", \"game-1\";a=1"),
    ]);
    let mut rig = Rig::new(Side::Server);
    rig.feed(CONNECT, &headers(&fields));
    let session = SessionId::try_from(StreamId::from(CONNECT)).unwrap();
    let uri = "https://example.org/game".parse().unwrap();
    let protocols = ["game-2", "game-1"].map(|name| Protocol::try_from(name).unwrap());
    let mut request = Request::new(uri)
        .origin("https://example.org".parse().unwrap())
        .protocols(protocols);
    request.dialect = Some(Dialect::Draft16);
    for (name, value) in [("x", "1"), ("x", "2"), ("capsule-protocol", "?1")] {
        request.headers.append(name, value.parse().unwrap());
    }
    let request = Box::new(request);
    let requested = Event::SessionRequested { session, request };
    assert_eq!(rig.outputs(), [event(requested)]);
    assert_eq!(rig.connection.stats().requests_refused, 0);
}

#[test]
fn e38_a_request_with_too_many_fields_is_answered_with_431() {
    let value = "x".repeat(16_384);
    let by_frame = headers(&[METHOD, PROTOCOL, SCHEME, AUTHORITY, PATH, ("x", &value)]);
    let whole = [METHOD, PROTOCOL, SCHEME, AUTHORITY, PATH];
    let by_fields = headers(&[&whole[..], &[("a", ""); 500]].concat());
    for wire in [by_frame, by_fields] {
        let mut rig = Rig::new(Side::Server);
        rig.feed(CONNECT, &wire);
        let actions = [
            write(CONNECT, FIELDS_TOO_LARGE, true),
            stop_sending(CONNECT, H3_NO_ERROR),
        ];
        is_refused(rig, "too many fields", &actions);

        let mut rig = Rig::new(Side::Server);
        rig.feed_fin(CONNECT, &wire);
        let actions = [write(CONNECT, FIELDS_TOO_LARGE, true)];
        is_refused(rig, "too many fields, and a FIN", &actions);
    }
}

#[test]
fn e38_a_second_session_is_refused_where_one_is_allowed() {
    for dialect in [Dialect::Draft07, Dialect::Draft14, Dialect::Draft16] {
        for fin in [false, true] {
            let (mut rig, first) = Rig::open_with(Side::Server, speaking(dialect), dialect);
            let request = connect_request(rig.token());
            let actions = if fin {
                rig.feed_fin(4, &request);
                vec![reset(4, H3_REQUEST_REJECTED)]
            } else {
                rig.feed(4, &request);
                abort(4, H3_REQUEST_REJECTED).to_vec()
            };
            assert_eq!(rig.outputs(), actions, "{dialect:?}");
            assert_eq!(rig.connection.stats().requests_refused, 1);
            assert!(rig.connection.sessions().eq([first]));
            rig.feed_fin(CONNECT, b"");
            rig.closes(first, by_fin(), &[write(CONNECT, b"", true)]);
            let third = rig.request_session(8);
            rig.answer(third);
        }
    }
}

#[test]
fn e38_sessions_over_the_limit_are_refused() {
    let dialect = Dialect::Draft02;
    let mut config = speaking(dialect);
    config.limits.sessions = 2;
    let mut rig = Rig::with(Side::Server, config, dialect);
    let first = rig.request_session(0);
    let second = rig.request_session(4);
    rig.answer(first);
    rig.feed(8, &connect_request(rig.token()));
    assert_eq!(rig.outputs(), abort(8, H3_REQUEST_REJECTED));
    assert_eq!(rig.connection.stats().requests_refused, 1);
    assert!(rig.connection.sessions().eq([first, second]));
    rig.feed_fin(CONNECT, b"");
    rig.closes(first, by_fin(), &[write(CONNECT, b"", true)]);
    rig.request_session(12);
}

#[test]
fn e38_unanswered_requests_over_the_limit_are_refused() {
    let dialect = Dialect::Draft02;
    let mut config = speaking(dialect);
    config.limits.unanswered_requests = 2;
    let mut rig = Rig::with(Side::Server, config, dialect);
    let sessions = [0, 4].map(|stream| rig.request_session(stream));
    rig.feed(8, &connect_request(rig.token()));
    assert_eq!(rig.outputs(), abort(8, H3_REQUEST_REJECTED));
    assert_eq!(rig.connection.stats().requests_refused, 1);
    rig.answer(sessions[1]);
    rig.request_session(12);
}

#[test]
fn e38_answers_that_quic_does_not_take_are_limited() {
    let mut config = Config::default();
    config.limits.answered_requests = 1;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    rig.takes = 0;
    let get = headers(&[(":method", "GET"), SCHEME, AUTHORITY, PATH]);
    rig.feed(CONNECT, &get);
    let actions = not_found();
    assert_eq!(rig.outputs(), actions);
    rig.feed(4, &get);
    assert_eq!(rig.outputs(), abort(4, H3_REQUEST_REJECTED));
    rig.feed_fin(8, &get);
    assert_eq!(rig.outputs(), [reset(8, H3_REQUEST_REJECTED)]);
    assert_eq!(rig.connection.stats().requests_refused, 3);
    rig.takes = usize::MAX;
    rig.handle(writable());
    assert_eq!(rig.outputs(), [write(CONNECT, NOT_FOUND, true)]);
    rig.feed(12, &get);
    let actions = [write(12, NOT_FOUND, true), stop_sending(12, H3_NO_ERROR)];
    assert_eq!(rig.outputs(), actions);
}

#[test]
fn e38_streams_that_waited_for_a_refused_request_go_with_it() {
    let get = headers(&[(":method", "GET"), SCHEME, AUTHORITY, PATH]);
    let not_found = not_found();
    let refusals = [
        (headers(&[METHOD]), abort(CONNECT, H3_MESSAGE_ERROR)),
        (get, not_found),
    ];
    for (request, actions) in refusals {
        let mut rig = Rig::new(Side::Server);
        let session = SessionId::try_from(StreamId::from(CONNECT)).unwrap();
        let gone = parked(&mut rig, session);
        rig.peer_sends_datagram(CONNECT, b"early");
        rig.feed(CONNECT, &request);
        assert_eq!(rig.outputs(), and(&actions, gone));
        let stats = rig.connection.stats();
        assert_eq!(stats.requests_refused, 1);
        assert_eq!(stats.streams_refused, 2);
        assert_eq!(stats.datagrams_absorbed, 1);
        rig.is_over(session);
    }
}

#[test]
fn e38_a_fin_instead_of_a_request_is_an_incomplete_request() {
    let mut rig = Rig::new(Side::Server);
    rig.feed_fin(CONNECT, &grease(b"no request"));
    let actions = [reset(CONNECT, H3_REQUEST_INCOMPLETE)];
    is_refused(rig, "a FIN instead of HEADERS", &actions);
}

#[test]
fn e38_an_answer_that_the_client_stops_is_dropped() {
    let mut config = Config::default();
    config.limits.answered_requests = 1;
    config.limits.unwritten_bytes = 20;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    rig.takes = 0;
    let get = headers(&[(":method", "GET"), SCHEME, AUTHORITY, PATH]);
    for index in 0..20 {
        let stream = index * 4;
        rig.feed_fin(stream, &get);
        assert_eq!(rig.outputs(), [write(stream, NOT_FOUND, true)]);
        rig.peer_stops(stream, 7);
        rig.peer_resets(stream, 8);
        let stream = stream.into();
        rig.handle(Input::StreamWritable { stream });
        assert_eq!(rig.outputs(), [reset(stream, 7)]);
    }
}

#[test]
fn e38_a_request_that_is_never_whole_is_never_announced() {
    let wire = connect_request("webtransport-h3");
    for at in 0..wire.len() {
        let mut rig = Rig::new(Side::Server);
        rig.feed(CONNECT, &wire[..at]);
        rig.peer_resets(CONNECT, 7);
        assert_eq!(rig.outputs(), [reset(CONNECT, H3_REQUEST_CANCELLED)]);
        assert_eq!(rig.connection.sessions().count(), 0);
        assert!(rig.connection.is_settled());
    }
}

// ---- E39

/// The server's 2xx is with the host, and QUIC takes none of it.
fn unsent(polled: bool) -> (Rig, SessionId) {
    let (mut rig, session) = Rig::requested(Side::Server);
    let response = Response::default();
    let accept = rig.connection.accept(rig.now, session, response);
    accept.unwrap();
    if polled {
        rig.takes = 0;
        assert_eq!(
            rig.outputs(),
            [
                write(CONNECT, OK_200, false),
                Output::Action(Action::Read {
                    stream: CONNECT.into()
                }),
                opened(session)
            ]
        );
        rig.takes = usize::MAX;
    }
    (rig, session)
}

/// What is left of the outputs when reads and the opening, which must be there, are taken out.
fn without_the_opening(rig: &mut Rig, session: SessionId) -> Vec<Output> {
    let mut outputs = rig.outputs();
    let read = Output::Action(Action::Read {
        stream: CONNECT.into(),
    });
    outputs.retain(|output| *output != read);
    let at = outputs.iter().position(|output| *output == opened(session));
    drop(outputs.drain(at.expect("opened")..=at.unwrap()));
    outputs
}

#[test]
fn e39_a_2xx_and_then_the_end_is_a_session_that_opened() {
    type End = fn(&mut Rig);
    let gone = WT_SESSION_GONE;
    let ends: [(&str, End, CloseReason, Vec<Output>); 4] = [
        (
            "FIN",
            |rig| rig.feed_fin(CONNECT, b""),
            by_fin(),
            vec![write(CONNECT, b"", true)],
        ),
        (
            "a close",
            |rig| rig.feed_fin(CONNECT, &close_frame(1, b"bye")),
            by_capsule(1, "bye"),
            vec![write(CONNECT, b"", true)],
        ),
        (
            "RESET",
            |rig| rig.peer_resets(CONNECT, 7),
            aborted_by_reset(7),
            vec![reset(CONNECT, gone)],
        ),
        (
            "STOP_SENDING",
            |rig| rig.peer_stops(CONNECT, 7),
            aborted_by_stop(7),
            abort(CONNECT, 7).to_vec(),
        ),
    ];
    for (condition, end, reason, actions) in ends {
        println!("{condition}");
        let (mut rig, session) = Rig::requested(Side::Client);
        rig.feed(CONNECT, &response("200"));
        end(&mut rig);
        let mut expected = actions.clone();
        expected.push(opened(session));
        expected.push(closed(session, reason.clone()));
        assert_eq!(rig.outputs(), expected);
        rig.is_over(session);

        // At a server, with the 2xx not polled yet: it goes out with the FIN, or not at all.
        let (mut rig, session) = unsent(false);
        end(&mut rig);
        let mut expected = actions.clone();
        if expected == [write(CONNECT, b"", true)] {
            expected = vec![write(CONNECT, OK_200, true)];
        }
        expected.push(closed(session, reason.clone()));
        assert_eq!(without_the_opening(&mut rig, session), expected);
        rig.is_over(session);

        // With the 2xx polled, and QUIC taking nothing.
        let (mut rig, session) = unsent(true);
        end(&mut rig);
        if actions == [write(CONNECT, b"", true)] {
            rig.closes(session, reason, &[]);
            rig.handle(writable());
            assert_eq!(rig.outputs(), [write(CONNECT, OK_200, true)]);
        } else {
            rig.closes(session, reason, &actions);
            rig.handle(writable());
            assert_eq!(rig.outputs(), []);
        }
        rig.is_over(session);
    }
}

#[test]
fn e39_answer_and_end_in_one_piece_are_told_in_order_at_any_split() {
    let ends = [
        (vec![], by_fin()),
        (close_frame(1, b"bye"), by_capsule(1, "bye")),
    ];
    for (end, reason) in ends {
        let wire = [response("200"), end].concat();
        for at in 0..=wire.len() {
            let (mut rig, session) = Rig::requested(Side::Client);
            rig.feed(CONNECT, &wire[..at]);
            rig.feed_fin(CONNECT, &wire[at..]);
            let expected = [
                write(CONNECT, b"", true),
                opened(session),
                closed(session, reason.clone()),
            ];
            assert_eq!(rig.outputs(), expected);
            rig.is_over(session);
        }
    }
}

#[test]
fn e39_a_close_before_the_answer_counts_after_it() {
    let (mut rig, session) = Rig::requested(Side::Server);
    let wire = close_frame(1, b"impatient");
    for byte in wire {
        rig.feed(CONNECT, &[byte]);
    }
    assert_eq!(rig.outputs(), []);
    let response = Response::default();
    let accept = rig.connection.accept(rig.now, session, response);
    accept.unwrap();
    assert_eq!(
        without_the_opening(&mut rig, session),
        [
            write(CONNECT, OK_200, true),
            closed(session, by_capsule(1, "impatient"))
        ]
    );
    assert!(rig.connection.wants(CONNECT.into()), "the FIN may come");
    rig.feed_fin(CONNECT, b"");
    assert!(rig.connection.is_settled());
    rig.is_over(session);
}

#[test]
fn e39_what_waited_is_told_between_opening_and_end() {
    let (mut rig, session) = Rig::requested(Side::Client);
    let gone = parked(&mut rig, session);
    rig.peer_sends_datagram(CONNECT, b"early");
    rig.feed_fin(CONNECT, &response("200"));
    let outputs = rig.outputs();
    let (bi, stream) = (rig.peer_bidi(0), rig.peer_uni(0));
    let reads = [bi, stream].map(|stream| Output::Action(Action::Read { stream }));
    let mut expected = Vec::from(reads);
    expected.push(write(CONNECT, b"", true));
    expected.extend(gone);
    let data = Bytes::from_static(b"early");
    let fin = false;
    let payload = data.clone();
    expected.extend([
        opened(session),
        event(Event::StreamOpened {
            session,
            stream: bi,
        }),
        event(Event::StreamOpened { session, stream }),
        event(Event::StreamData {
            session,
            stream,
            data,
            fin,
        }),
        event(Event::DatagramReceived { session, payload }),
        closed(session, by_fin()),
    ]);
    assert_eq!(outputs, expected);
    assert_eq!(rig.connection.stats(), Default::default());
    rig.is_over(session);
}
