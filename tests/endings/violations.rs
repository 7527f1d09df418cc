//! The peer breaks a rule of the session: E20 to E27, as far as they need no flow control.

use http::HeaderValue;
use webtransport_session::{
    Action, CloseReason, Config, Dialect, Event, Output, Protocol, Request, Response, SessionId,
    Side, Violation,
};

use crate::support::*;

const MAX_STREAM_DATA: u64 = 0x190b_4d3e;
const STREAM_DATA_BLOCKED: u64 = 0x190b_4d42;
const DRAIN: u64 = 0x78ae;
const CLOSE: u64 = 0x2843;

/// RESET_STREAM and STOP_SENDING on the CONNECT stream.
fn abort(code: u64) -> [Output; 2] {
    [reset(CONNECT, code), stop_sending(CONNECT, code)]
}

/// `capsules` in a DATA frame, whole and cut at every byte, end an open session with `violation`
/// and a session error H3_MESSAGE_ERROR.
fn violates(condition: &str, capsules: &[u8], violation: Violation) {
    assert_eq!(violation.code(), H3_MESSAGE_ERROR);
    let wire = data_frame(capsules);
    both_roles(|side| {
        for at in 0..=wire.len() {
            println!("{condition}, {at} of {}", wire.len());
            let (mut rig, session) = Rig::open(side);
            let gone = rig.one_stream_of_each_kind(session);
            rig.feed(CONNECT, &wire[..at]);
            rig.feed(CONNECT, &wire[at..]);
            let actions = [abort(H3_MESSAGE_ERROR).to_vec(), gone].concat();
            rig.ends(session, CloseReason::Violation(violation), &actions);
        }
    });
}

/// A session that goes on: a datagram in a capsule still arrives.
#[track_caller]
fn goes_on(mut rig: Rig, session: SessionId) {
    assert_eq!(rig.outputs(), []);
    rig.feed(CONNECT, &data_frame(&tlv(0x00, b"alive")));
    let payload = b"alive".as_slice().into();
    let received = Event::DatagramReceived { session, payload };
    assert_eq!(rig.outputs(), [Output::Event(received)]);
    rig.feed_fin(CONNECT, b"");
    rig.ends(session, by_fin(), &[write(CONNECT, b"", true)]);
}

// ---- E20, E21, E22

#[test]
fn e20_a_close_capsule_without_room_for_its_code_is_an_error() {
    for len in 0..4 {
        let capsule = tlv(CLOSE, &[0; 4][..len]);
        violates(&format!("{len} bytes"), &capsule, Violation::TruncatedClose);
    }
}

#[test]
fn e20_it_is_an_error_at_the_length_already() {
    for len in 0..4 {
        let head = [varint(CLOSE), varint(len)].concat();
        violates(&format!("{len} bytes"), &head, Violation::TruncatedClose);
    }
}

#[test]
fn e20_a_good_close_behind_a_bad_one_comes_too_late() {
    let capsules = [tlv(CLOSE, b"abc"), close_capsule(1, b"good")].concat();
    violates("bad, good", &capsules, Violation::TruncatedClose);
}

#[test]
fn e20_another_session_goes_on() {
    both_roles(|side| {
        let dialect = Dialect::Draft02;
        let mut rig = Rig::with(side, speaking(dialect), dialect);
        let sessions = [0, 4].map(|stream| rig.request_session(stream));
        for session in sessions {
            rig.answer(session);
        }
        rig.feed(CONNECT, &data_frame(&tlv(CLOSE, b"abc")));
        let reason = CloseReason::Violation(Violation::TruncatedClose);
        rig.closes(sessions[0], reason, &abort(H3_MESSAGE_ERROR));
        assert!(rig.connection.sessions().eq([sessions[1]]));
        rig.feed_fin(4, &close_frame(1, b"good"));
        let actions = [write(4, b"", true)];
        rig.ends(sessions[1], by_capsule(1, "good"), &actions);
    });
}

#[test]
fn e20_in_a_body_before_the_answer_it_counts_after_the_answer() {
    let (mut rig, session) = Rig::requested(Side::Server);
    rig.feed(CONNECT, &data_frame(&tlv(CLOSE, b"abc")));
    assert_eq!(rig.outputs(), []);
    let response = Response::default();
    let accepted = rig.connection.accept(rig.now, session, response.clone());
    accepted.unwrap();
    let response = Box::new(response);
    let reason = CloseReason::Violation(Violation::TruncatedClose);
    let [our_half, their_half] = abort(H3_MESSAGE_ERROR);
    assert_eq!(
        rig.outputs(),
        [
            our_half,
            their_half,
            event(Event::SessionOpened { session, response }),
            closed(session, reason)
        ]
    );
    rig.is_over(session);
}

#[test]
fn e21_a_message_that_is_too_long_is_an_error_at_the_length_already() {
    for len in [1025, 1026, 0x4000, (1 << 62) - 5] {
        let head = [varint(CLOSE), varint(4 + len)].concat();
        violates(&format!("{len} bytes"), &head, Violation::MessageTooLong);
    }
}

#[test]
fn e21_a_message_that_is_too_long_is_an_error_with_all_its_bytes_too() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        rig.feed_fin(CONNECT, &close_frame(1, &[b'x'; 1025]));
        let reason = CloseReason::Violation(Violation::MessageTooLong);
        // With the FIN in there is nothing left to stop.
        rig.ends(session, reason, &[reset(CONNECT, H3_MESSAGE_ERROR)]);
    });
}

#[test]
fn e22_a_message_that_is_not_utf_8_is_an_error() {
    let messages: [(&str, &[u8]); 6] = [
        ("a byte that UTF-8 does not have", b"\xff"),
        ("a continuation byte alone", b"ok \x80"),
        (
            "a character cut off",
            "é".as_bytes().split_last().unwrap().1,
        ),
        ("a character cut in the middle", b"\xe2\x82x"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a character in too many bytes", b"\xc0\x80"),
    ];
    for (condition, message) in messages {
        let capsule = close_capsule(1, message);
        violates(condition, &capsule, Violation::MessageNotUtf8);
    }
}

// ---- E23

#[test]
fn e23_a_fin_inside_a_capsule_is_an_error() {
    let capsules = [
        ("a close", close_capsule(1, b"cut")),
        ("a drain", tlv(DRAIN, b"")),
        ("a datagram", tlv(0x00, b"datagram")),
        ("one to be ignored", grease(b"ignored")),
        ("a long one to be ignored", tlv(0x40, &[0; 100])),
    ];
    both_roles(|side| {
        for (condition, capsule) in &capsules {
            for at in 1..capsule.len() {
                println!("{condition}, {at} of {}", capsule.len());
                let (mut rig, session) = Rig::open(side);
                let gone = rig.one_stream_of_each_kind(session);
                rig.feed_fin(CONNECT, &data_frame(&capsule[..at]));
                let reason = CloseReason::Violation(Violation::Truncated);
                let actions = [vec![reset(CONNECT, H3_MESSAGE_ERROR)], gone].concat();
                rig.ends(session, reason, &actions);
            }
        }
    });
}

#[test]
fn e23_a_fin_that_comes_alone_inside_a_capsule_is_an_error() {
    both_roles(|side| {
        let (mut rig, session) = Rig::open(side);
        let wire = close_capsule(1, b"cut");
        for byte in &wire[..wire.len() - 1] {
            rig.feed(CONNECT, &data_frame(&[*byte]));
        }
        rig.feed(CONNECT, &grease(b"between frames"));
        assert_eq!(rig.outputs(), []);
        rig.feed_fin(CONNECT, b"");
        let reason = CloseReason::Violation(Violation::Truncated);
        rig.ends(session, reason, &[reset(CONNECT, H3_MESSAGE_ERROR)]);
    });
}

// ---- E24, E26

#[test]
fn e24_flow_control_of_a_stream_is_an_error_in_drafts_13_and_later() {
    // Nothing but the type is looked at.
    for kind in [MAX_STREAM_DATA, STREAM_DATA_BLOCKED] {
        for capsule in [varint(kind), tlv(kind, &[0, 1]), tlv(kind, b"")] {
            violates("default dialect", &capsule, Violation::ForbiddenCapsule);
            for dialect in [Dialect::Draft14, Dialect::Draft16] {
                both_roles(|side| {
                    println!("{dialect:?}, {kind:#x}");
                    let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
                    rig.feed(CONNECT, &data_frame(&capsule));
                    let reason = CloseReason::Violation(Violation::ForbiddenCapsule);
                    rig.ends(session, reason, &abort(H3_MESSAGE_ERROR));
                });
            }
        }
    }
}

#[test]
fn e24_flow_control_of_a_stream_is_unknown_and_skipped_in_older_drafts() {
    for kind in [MAX_STREAM_DATA, STREAM_DATA_BLOCKED] {
        for dialect in [Dialect::Draft02, Dialect::Draft07] {
            both_roles(|side| {
                println!("{dialect:?}, {kind:#x}");
                let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
                rig.feed(CONNECT, &data_frame(&tlv(kind, &[0, 1])));
                rig.feed(CONNECT, &data_frame(&tlv(kind, b"")));
                goes_on(rig, session);
            });
        }
    }
}

#[test]
fn e26_a_drain_with_something_in_it_is_an_error_at_the_length_already() {
    for len in [1, 4, 1 << 20] {
        let head = [varint(DRAIN), varint(len)].concat();
        violates(&format!("{len} bytes"), &head, Violation::MalformedCapsule);
    }
    violates("whole", &tlv(DRAIN, b"x"), Violation::MalformedCapsule);
}

#[test]
fn e26_a_drain_with_something_in_it_is_an_error_in_every_dialect() {
    for dialect in [
        Dialect::Draft02,
        Dialect::Draft07,
        Dialect::Draft14,
        Dialect::Draft16,
    ] {
        both_roles(|side| {
            println!("{dialect:?}");
            let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
            rig.feed(CONNECT, &data_frame(&tlv(DRAIN, b"x")));
            let reason = CloseReason::Violation(Violation::MalformedCapsule);
            rig.ends(session, reason, &abort(H3_MESSAGE_ERROR));
        });
    }
}

// ---- E27

const HEADER: &str = "wt-protocol";

fn protocol(name: &str) -> Protocol {
    Protocol::try_from(name).unwrap()
}

/// A client that has sent `request`, in this dialect.
fn asked(dialect: Dialect, request: &Request) -> (Rig, SessionId) {
    let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
    let permit = rig.connection.connect(rig.now, request).unwrap();
    let session = permit.bind(CONNECT.into());
    rig.drain();
    (rig, session)
}

fn offering(names: &[&str]) -> Request {
    Request::new("https://example.org/game".parse().unwrap())
        .protocols(names.iter().map(|name| protocol(name)))
}

/// A 200 with these values of WT-Protocol.
fn choosing(values: &[&str]) -> Vec<u8> {
    let mut fields = vec![(":status", "200")];
    fields.extend(values.iter().map(|value| (HEADER, *value)));
    headers(&fields)
}

#[track_caller]
fn is_refused(dialect: Dialect, request: &Request, values: &[&str], violation: Violation) {
    println!("{dialect:?}, {values:?}");
    assert_eq!(violation.code(), WT_ALPN_ERROR);
    let (mut rig, session) = asked(dialect, request);
    let (bi, uni) = (rig.peer_bidi(0), rig.peer_uni(0));
    rig.peer_opens(bi, session, b"");
    rig.peer_opens(uni, session, b"");
    rig.feed(CONNECT, &choosing(values));
    let mut actions = abort(WT_ALPN_ERROR).to_vec();
    actions.push(reset(bi, WT_SESSION_GONE));
    actions.push(stop_sending(bi, WT_SESSION_GONE));
    actions.push(stop_sending(uni, WT_SESSION_GONE));
    rig.ends(session, CloseReason::Violation(violation), &actions);
}

#[track_caller]
fn is_opened(dialect: Dialect, request: &Request, values: &[&str], chosen: Option<&str>) {
    println!("{dialect:?}, {values:?}");
    let (mut rig, session) = asked(dialect, request);
    rig.feed(CONNECT, &choosing(values));
    let mut response = Response::default();
    response.protocol = chosen.map(protocol);
    let response = Box::new(response);
    let opened = Event::SessionOpened { session, response };
    assert_eq!(rig.outputs(), [Output::Event(opened)]);
    goes_on(rig, session);
}

/// What a String of a structured field is not.
const MALFORMED: [&[&str]; 6] = [
    &[""],
    &["game-1"],
    &["42"],
    &["\"game-1"],
    &["\"game-1\", \"game-2\""],
    &["\"game-1\"", "\"game-2\""],
];

#[test]
fn e27_no_choice_is_an_error_where_one_is_required() {
    let request = offering(&["game-2", "game-1"]).require_protocol();
    for dialect in [Dialect::Draft14, Dialect::Draft16] {
        is_refused(dialect, &request, &[], Violation::ProtocolMissing);
        for values in MALFORMED {
            is_refused(dialect, &request, values, Violation::ProtocolMissing);
        }
    }
}

#[test]
fn e27_no_choice_is_fine_where_none_is_required() {
    let request = offering(&["game-2", "game-1"]);
    for dialect in [Dialect::Draft14, Dialect::Draft16] {
        is_opened(dialect, &request, &[], None);
        for values in MALFORMED {
            is_opened(dialect, &request, values, None);
        }
    }
}

#[test]
fn e27_a_choice_that_was_not_offered_is_an_error_in_drafts_15_and_later() {
    let offered = ["game-2", "game-1"];
    for request in [offering(&offered), offering(&offered).require_protocol()] {
        for value in ["\"chess\"", "\"\"", "\"GAME-1\"", "\"chess\";a=1"] {
            let violation = Violation::ProtocolNotOffered;
            is_refused(Dialect::Draft16, &request, &[value], violation);
        }
    }
}

#[test]
fn e27_a_choice_that_was_not_offered_is_none_in_drafts_13_and_14() {
    let request = offering(&["game-1"]);
    is_opened(Dialect::Draft14, &request, &["\"chess\""], None);
    let (request, missing) = (request.require_protocol(), Violation::ProtocolMissing);
    is_refused(Dialect::Draft14, &request, &["\"chess\""], missing);
}

#[test]
fn e27_a_choice_that_was_offered_is_the_sessions() {
    let request = offering(&["game-2", "game-1"]).require_protocol();
    for dialect in [Dialect::Draft14, Dialect::Draft16] {
        is_opened(dialect, &request, &["\"game-1\""], Some("game-1"));
        is_opened(dialect, &request, &["\"game-2\";a=1"], Some("game-2"));
    }
}

#[test]
fn e27_a_choice_is_ignored_where_none_was_offered() {
    for dialect in [Dialect::Draft14, Dialect::Draft16] {
        is_opened(dialect, &offering(&[]), &["\"chess\""], None);
    }
}

#[test]
fn e27_older_drafts_require_nothing() {
    let request = offering(&["game-1"]).require_protocol();
    for dialect in [Dialect::Draft02, Dialect::Draft07] {
        is_opened(dialect, &request, &[], None);
        is_opened(dialect, &request, &["\"chess\""], None);
        // Drafts 10 to 12 have the header and announce themselves as 07 does; draft 02 has none, but
        // is what Chromium speaks with it.
        is_opened(dialect, &request, &["\"game-1\""], Some("game-1"));
    }
}

#[test]
fn e27_the_offer_goes_out_in_every_dialect() {
    let request = offering(&["game-2", "game-1"]);
    for dialect in [Dialect::Draft02, Dialect::Draft16] {
        let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
        let permit = rig.connection.connect(rig.now, &request).unwrap();
        permit.bind(CONNECT.into());
        let outputs = rig.outputs();
        let [Output::Action(Action::Write { data, .. })] = &outputs[..] else {
            panic!("{outputs:?}");
        };
        // A literal name of 22 bytes, and the value.
        let field = b"\x27\x0fwt-available-protocols\x12\"game-2\", \"game-1\"";
        assert!(data.ends_with(field), "{dialect:?}: {data:?}");
    }
}

#[test]
fn e27_a_fin_with_the_answer_leaves_nothing_to_stop() {
    let (mut rig, session) = asked(Dialect::Draft16, &offering(&["game-1"]));
    rig.feed_fin(CONNECT, &choosing(&["\"chess\""]));
    let reason = CloseReason::Violation(Violation::ProtocolNotOffered);
    rig.ends(session, reason, &[reset(CONNECT, WT_ALPN_ERROR)]);
}

#[test]
fn e27_an_offer_in_a_plain_header_is_a_mistake_of_the_caller() {
    let mut rig = Rig::with(Side::Client, Config::default(), Dialect::Draft16);
    let mut request = offering(&["game-1"]);
    let value = HeaderValue::from_static("\"chess\"");
    request.headers.insert("wt-available-protocols", value);
    assert!(rig.connection.connect(rig.now, &request).is_err());
    assert_eq!(rig.outputs(), []);
}
