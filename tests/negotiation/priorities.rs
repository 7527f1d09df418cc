//! How urgent a session is: the Priority field, PRIORITY_UPDATE, the event and the getter (§3.4).

use webtransport_session::{
    Config, Dialect, Event, Output, Priority, Request, Response, SessionId, Side, StreamId,
};

use crate::support::*;

/// PRIORITY_UPDATE of a request stream.
fn update(stream: u64, value: &str) -> Vec<u8> {
    tlv(0xf0700, &[&varint(stream), value.as_bytes()].concat())
}

fn changed(session: SessionId, priority: Priority) -> Output {
    event(Event::PriorityChanged { session, priority })
}

fn connect_with(rig: &Rig, more: &[(&str, &str)]) -> Vec<u8> {
    connect_request_with(rig.token(), more)
}

fn requested(rig: &mut Rig, stream: u64, more: &[(&str, &str)]) -> SessionId {
    rig.feed(stream, &connect_with(rig, more));
    let events = rig.events();
    let [Event::SessionRequested { session, .. }] = events[..] else {
        panic!("{events:?}");
    };
    session
}

fn with_priority(value: &str) -> Response {
    let mut response = Response::default();
    response.headers.insert("priority", value.parse().unwrap());
    response
}

#[test]
fn a_server_reads_the_field_of_the_request() {
    let cases: [(&[(&str, &str)], Priority); 5] = [
        (&[], Priority::default()),
        (
            &[("priority", "u=0, i")],
            Priority::new(0).incremental(true),
        ),
        (&[("priority", "u=9")], Priority::default()),
        (&[("priority", "u=1,")], Priority::default()),
        (
            &[("priority", "u=1"), ("priority", "i")],
            Priority::new(1).incremental(true),
        ),
    ];
    for (fields, expected) in cases {
        let mut rig = Rig::new(Side::Server);
        let session = requested(&mut rig, CONNECT, fields);
        assert_eq!(
            rig.connection.priority(session),
            Some(expected),
            "{fields:?}"
        );
        rig.answer(session);
        assert_eq!(
            rig.connection.priority(session),
            Some(expected),
            "{fields:?}"
        );
    }
}

#[test]
fn an_update_is_told_when_it_changes_something() {
    let mut rig = Rig::new(Side::Server);
    let session = requested(&mut rig, CONNECT, &[("priority", "u=5, i")]);
    let control = rig.peer_control();
    // RFC 9218 §7: "Omitting a priority parameter is a signal to use its default value."
    rig.feed(control, &update(CONNECT, "u=1"));
    assert_eq!(rig.outputs(), [changed(session, Priority::new(1))]);
    assert_eq!(rig.connection.priority(session), Some(Priority::new(1)));
    rig.answer(session);
    rig.feed(control, &update(CONNECT, "u=1"));
    assert_eq!(rig.outputs(), []);
    rig.chunk_len = 1;
    rig.feed(
        control,
        &[update(CONNECT, "i"), update(CONNECT, "")].concat(),
    );
    let incremental = Priority::default().incremental(true);
    assert_eq!(
        rig.outputs(),
        [
            changed(session, incremental),
            changed(session, Priority::default())
        ]
    );
}

#[test]
fn an_update_that_cannot_be_read_changes_nothing() {
    let mut rig = Rig::new(Side::Server);
    let session = requested(&mut rig, CONNECT, &[("priority", "u=5")]);
    let too_long = format!("u=1, x=\"{}\"", "x".repeat(16 * 1024));
    for value in ["u=1,", "u=1:i", "\u{e9}", &too_long] {
        rig.feed(rig.peer_control(), &update(CONNECT, value));
        assert_eq!(rig.outputs(), []);
        assert_eq!(rig.connection.priority(session), Some(Priority::new(5)));
    }
    // A parameter that is out of range is one that was omitted.
    rig.feed(rig.peer_control(), &update(CONNECT, "u=8"));
    assert_eq!(rig.outputs(), [changed(session, Priority::default())]);
}

#[test]
fn the_last_update_before_the_request_wins_over_the_field_of_the_request() {
    // RFC 9218 §7: "Servers SHOULD buffer the most recently received PRIORITY_UPDATE frame and apply
    // it once the referenced stream is opened."
    let mut rig = Rig::new(Side::Server);
    rig.feed(rig.peer_control(), &update(CONNECT, "u=6"));
    rig.feed(rig.peer_control(), &update(CONNECT, "u=2"));
    rig.feed(rig.peer_control(), &update(CONNECT, "u=1:i"));
    assert_eq!(rig.outputs(), []);
    let session = requested(&mut rig, CONNECT, &[("priority", "u=5, i")]);
    assert_eq!(rig.connection.priority(session), Some(Priority::new(2)));
}

#[test]
fn an_update_may_come_while_the_request_does() {
    let mut rig = Rig::new(Side::Server);
    let head = connect_with(&rig, &[]);
    let (front, back) = head.split_at(1);
    rig.feed(CONNECT, front);
    rig.feed(rig.peer_control(), &update(CONNECT, "u=6"));
    rig.feed(CONNECT, &back[..5]);
    rig.feed(rig.peer_control(), &update(CONNECT, "u=7"));
    rig.feed(CONNECT, &back[5..]);
    let events = rig.events();
    let [Event::SessionRequested { session, .. }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(rig.connection.priority(session), Some(Priority::new(7)));
}

#[test]
fn an_update_with_the_settings_finds_the_request_that_waits_for_them() {
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.feed(CONNECT, &connect_with(&rig, &[]));
    let settings = peer_settings(Side::Server, Dialect::Draft16);
    rig.feed(2, &[settings, update(CONNECT, "u=4")].concat());
    let outputs = rig.outputs();
    let [
        _,
        Output::Event(Event::SessionRequested { session, .. }),
        last,
    ] = &outputs[..]
    else {
        panic!("{outputs:?}");
    };
    assert_eq!(*last, changed(*session, Priority::new(4)));
}

#[test]
fn no_more_updates_are_kept_than_requests_may_wait() {
    let mut config = speaking(Dialect::Draft02);
    config.limits.unanswered_requests = 3;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft02);
    for stream in [0, 4, 8, 12, 4] {
        let value = format!("u={}", stream / 4 + 4);
        rig.feed(rig.peer_control(), &update(stream, &value));
    }
    let urgency = |rig: &mut Rig, stream| {
        let session = requested(rig, stream, &[]);
        rig.answer(session);
        rig.connection.priority(session).unwrap().urgency()
    };
    assert_eq!(urgency(&mut rig, 0), 4);
    // What became of the first leaves room for another.
    rig.feed(rig.peer_control(), &update(16, "u=1"));
    assert_eq!(urgency(&mut rig, 4), 5);
    assert_eq!(urgency(&mut rig, 8), 6);
    assert_eq!(urgency(&mut rig, 12), 3, "there was no room");
    assert_eq!(urgency(&mut rig, 16), 1);
}

#[test]
fn updates_for_what_is_no_request_any_more_take_no_room() {
    let mut config = Config::default();
    config.limits.unanswered_requests = 1;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    // Stream 4 turns out to be a stream of a session, stream 8 to be nothing.
    rig.feed(rig.peer_control(), &update(4, "u=1"));
    rig.peer_opens_for(CONNECT, StreamId::from(4), b"");
    rig.feed(rig.peer_control(), &update(8, "u=1"));
    rig.peer_resets(8, 7);
    rig.feed(
        rig.peer_control(),
        &[update(4, "u=1"), update(8, "u=1")].concat(),
    );
    rig.feed(rig.peer_control(), &update(CONNECT, "u=1"));
    rig.drain();
    rig.feed(CONNECT, &connect_with(&rig, &[]));
    let session = SessionId::try_from(StreamId::from(CONNECT)).unwrap();
    assert_eq!(rig.connection.priority(session), Some(Priority::new(1)));
}

#[test]
fn after_its_end_a_session_has_no_priority() {
    let (mut rig, session) = Rig::open(Side::Server);
    rig.connection.close(rig.now, session, 0, "");
    rig.drain();
    rig.feed(rig.peer_control(), &update(CONNECT, "u=1"));
    assert_eq!(rig.connection.priority(session), None);
    rig.feed_fin(CONNECT, b"");
    rig.feed(rig.peer_control(), &update(CONNECT, "u=1"));
    assert_eq!(rig.outputs(), []);
    assert_eq!(rig.connection.priority(session), None);

    // E12: nothing more of it is told while its reason is waited for.
    let (mut rig, session) = Rig::open(Side::Server);
    rig.peer_stops(CONNECT, WT_SESSION_GONE);
    rig.drain();
    rig.feed(rig.peer_control(), &update(CONNECT, "u=1"));
    assert_eq!(rig.outputs(), []);
    rig.feed_fin(CONNECT, b"");
    assert_eq!(
        rig.events(),
        [Event::SessionClosed {
            session,
            reason: by_fin()
        }]
    );
}

#[test]
fn a_client_sends_the_field_and_knows_what_it_said() {
    let mut rig = Rig::new(Side::Client);
    let asked = Priority::new(1).incremental(true);
    let request = request().priority(asked);
    assert_eq!(request.headers["priority"], "u=1, i");
    let permit = rig.connection.connect(rig.now, &request).unwrap();
    let session = permit.bind(CONNECT.into());
    let outputs = rig.outputs();
    let [Output::Action(webtransport_session::Action::Write { data, .. })] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert!(data.ends_with(b"\x27\x01priority\x06u=1, i"), "{data:?}");
    assert_eq!(rig.connection.priority(session), Some(asked));
    rig.answer(session);
    assert_eq!(rig.connection.priority(session), Some(asked));
    // Said twice, the last counts.
    let twice = Request::priority(request, Priority::default());
    assert_eq!(twice.headers["priority"], "u=3");
    assert_eq!(twice.headers.len(), 1);
}

#[test]
fn the_field_of_the_answer_overrides_what_it_names_at_both_ends() {
    // §3.4: "a client that receives a response Priority header field could alter its view of a
    // WebTransport session priority"
    let asked = Priority::new(5).incremental(true);
    let answered = Priority::new(2).incremental(true);
    let mut rig = Rig::new(Side::Client);
    let request = request().priority(asked);
    let permit = rig.connection.connect(rig.now, &request).unwrap();
    let session = permit.bind(CONNECT.into());
    rig.feed(
        CONNECT,
        &headers(&[(":status", "200"), ("priority", "u=2")]),
    );
    rig.drain();
    assert_eq!(rig.connection.priority(session), Some(answered));

    let mut rig = Rig::new(Side::Server);
    let session = requested(&mut rig, CONNECT, &[("priority", "u=5, i")]);
    let response = with_priority("u=2");
    rig.connection.accept(rig.now, session, response).unwrap();
    rig.drain();
    assert_eq!(rig.connection.priority(session), Some(answered));
    rig.feed(rig.peer_control(), &update(CONNECT, "u=7"));
    assert_eq!(rig.outputs(), [changed(session, Priority::new(7))]);
}

#[test]
fn a_front_that_ends_in_the_id_says_nothing() {
    let mut config = Config::default();
    // As much as the peer's SETTINGS need.
    config.limits.control_frame = 7;
    let mut rig = Rig::with(Side::Server, config, Dialect::Draft16);
    rig.feed(rig.peer_control(), &update(1 << 40, "u=1"));
    assert_eq!(rig.outputs(), []);
    let session = rig.open_session();
    assert_eq!(rig.connection.priority(session), Some(Priority::default()));
}
