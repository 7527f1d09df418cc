//! SETTINGS that a client remembers from the connection before (§3.2, RFC 9114 §7.2.4.2).

use std::sync::Arc;

use webtransport_session::{
    Config, ConnectError, Connection, ConnectionLost, Dialect, Dir, Event, Http3Error, Negotiated,
    RememberedSettings, Requirement, SessionId, Side, Support, Transport,
};

use crate::support::{setting::*, *};

const H3_SETTINGS_ERROR: u64 = 0x109;

const ENOUGH: &[(u64, u64)] = &[(ENABLE_CONNECT_PROTOCOL, 1), (DATAGRAM, 1), (ENABLED_16, 1)];

fn remembered(entries: &[(u64, u64)]) -> RememberedSettings {
    let mut rig = Rig::before_settings(Side::Client, Config::default());
    assert_eq!(rig.connection.remembered_settings(), None);
    rig.feed(3, &[vec![0x00], settings(entries)].concat());
    rig.connection.remembered_settings().unwrap()
}

fn before_start(earlier: &[(u64, u64)]) -> Rig {
    let mut rig = Rig::before_start(Side::Client, Config::default(), Dialect::Draft16);
    let config = Arc::new(Config::default());
    rig.connection = Connection::client_resuming(config, remembered(earlier));
    rig
}

fn start(rig: &mut Rig, early_data_accepted: bool) {
    let mut transport = Transport::new(Support::Yes);
    transport.early_data_accepted = early_data_accepted;
    rig.start(transport);
}

/// Connected, with early data accepted, before the new SETTINGS.
fn resuming(earlier: &[(u64, u64)]) -> (Rig, Vec<Event>) {
    let mut rig = before_start(earlier);
    start(&mut rig, true);
    let events = rig.events();
    (rig, events)
}

fn new_settings(rig: &mut Rig, entries: &[(u64, u64)]) {
    rig.feed(3, &[vec![0x00], settings(entries)].concat());
}

fn connect(rig: &mut Rig, stream: u64) -> Result<SessionId, ConnectError> {
    let request = request();
    let permit = rig.connection.connect(rig.now, &request)?;
    Ok(permit.bind(stream.into()))
}

fn is_ready(events: &[Event], with: Dialect) -> bool {
    matches!(events, [Event::Ready(Negotiated { dialect, .. })] if *dialect == Some(with))
}

#[test]
fn a_client_knows_what_its_server_said_until_after_the_end() {
    let mut rig = Rig::new(Side::Client);
    let known = rig.connection.remembered_settings();
    assert!(known.is_some());
    rig.connection_lost(ConnectionLost::IdleTimeout);
    rig.drain();
    assert_eq!(rig.connection.remembered_settings(), known);
    let rig = Rig::new(Side::Server);
    assert_eq!(rig.connection.remembered_settings(), None);
}

#[test]
fn a_client_that_resumes_waits_for_the_settings_all_the_same() {
    // §4.6: "the client MUST wait for receipt of the server's SETTINGS frame before establishing any
    // WebTransport sessions by sending CONNECT requests"
    let (mut rig, events) = resuming(ENOUGH);
    assert_eq!(events, []);
    assert_eq!(rig.connection.remembered_settings(), None);
    assert_eq!(connect(&mut rig, CONNECT), Err(ConnectError::NotReady));

    new_settings(&mut rig, ENOUGH);
    assert!(is_ready(&rig.events(), Dialect::Draft16));
    let known = rig.connection.remembered_settings();
    assert_eq!(known, Some(remembered(ENOUGH)));
    let session = connect(&mut rig, CONNECT).unwrap();
    rig.drain();
    rig.answer(session);
    rig.we_open(session, Dir::Bi);
}

#[test]
fn nothing_is_ready_before_quic_is() {
    // §3.2: "Clients cannot initiate WebTransport sessions in 0-RTT packets"
    let mut rig = before_start(ENOUGH);
    assert_eq!(rig.outputs(), []);
    assert_eq!(connect(&mut rig, CONNECT), Err(ConnectError::NotReady));
}

#[test]
fn without_early_data_what_was_said_before_counts_for_nothing() {
    let mut rig = before_start(&[ENOUGH, &[(LIMITS[0], 100)]].concat());
    start(&mut rig, false);
    assert_eq!(rig.events(), []);
    assert_eq!(connect(&mut rig, CONNECT), Err(ConnectError::NotReady));
    new_settings(&mut rig, ENOUGH);
    assert!(is_ready(&rig.events(), Dialect::Draft16));
    assert_eq!(
        rig.connection.remembered_settings(),
        Some(remembered(ENOUGH))
    );

    let mut rig = before_start(ENOUGH);
    start(&mut rig, false);
    rig.drain();
    new_settings(&mut rig, &[]);
    assert_eq!(
        rig.events(),
        [Event::Unsupported(Requirement::WebTransport)]
    );
}

#[test]
fn a_server_that_takes_something_back_is_left() {
    // §3.2: "A client MUST close the connection with H3_SETTINGS_ERROR if the SETTINGS frame
    // received in the resumed connection reduces any flow control values from the cached previous
    // values."
    let mut cases = Vec::new();
    for setting in [
        LIMITS[0],
        LIMITS[1],
        LIMITS[2],
        MAX_SESSIONS_07,
        MAX_SESSIONS_13,
    ] {
        cases.push((setting, Some(10), Some(9)));
        cases.push((setting, Some(10), Some(0)));
        cases.push((setting, Some(1), None));
    }
    for setting in [DATAGRAM_DRAFT04, ENABLED_02] {
        cases.push((setting, Some(1), Some(0)));
        cases.push((setting, Some(1), None));
    }
    // These do not limit anything until they are there.
    for setting in [MAX_FIELD_SECTION_SIZE, MAX_SESSIONS_04] {
        cases.push((setting, Some(1000), Some(999)));
        cases.push((setting, Some(1000), None));
        cases.push((setting, None, Some(1000)));
    }
    let with = |setting, value: Option<u64>| {
        let more: Vec<_> = value.map(|value| (setting, value)).into_iter().collect();
        [ENOUGH, &more].concat()
    };
    for (setting, before, after) in cases {
        let condition = format!("{setting:#x}: {before:?}, then {after:?}");
        let (mut rig, events) = resuming(&with(setting, before));
        assert_eq!(events, [], "{condition}");
        new_settings(&mut rig, &with(setting, after));
        let lost = ConnectionLost::Http3(Http3Error::Settings);
        let close = close_connection(H3_SETTINGS_ERROR, "H3_SETTINGS_ERROR");
        rig.connection_ends(&[], &lost, &[close], &condition);
    }
    for missing in ENOUGH {
        let less = ENOUGH.iter().copied().filter(|entry| entry != missing);
        let less: Vec<_> = less.collect();
        let (mut rig, _) = resuming(ENOUGH);
        new_settings(&mut rig, &less);
        let lost = ConnectionLost::Http3(Http3Error::Settings);
        let close = close_connection(H3_SETTINGS_ERROR, "H3_SETTINGS_ERROR");
        rig.connection_ends(&[], &lost, &[close], &format!("without {missing:x?}"));
    }
}

#[test]
fn what_a_server_took_back_is_not_held_against_it_again() {
    let (mut rig, _) = resuming(&[ENOUGH, &[(LIMITS[0], 100)]].concat());
    new_settings(&mut rig, ENOUGH);
    rig.drain();
    assert!(rig.connection.is_closed());
    let known = rig.connection.remembered_settings();
    assert_eq!(known, Some(remembered(ENOUGH)));
}

#[test]
fn a_server_may_give_more_than_it_said() {
    let raised = [
        LIMITS[0],
        LIMITS[1],
        LIMITS[2],
        MAX_SESSIONS_07,
        MAX_FIELD_SECTION_SIZE,
    ];
    for setting in raised {
        let (mut rig, _) = resuming(&[ENOUGH, &[(setting, 1000)]].concat());
        new_settings(&mut rig, &[ENOUGH, &[(setting, 1001)]].concat());
        assert!(is_ready(&rig.events(), Dialect::Draft16), "{setting:#x}");
        let session = connect(&mut rig, CONNECT).unwrap();
        rig.drain();
        rig.answer(session);
    }
    // An absent limit is 0; settings of no interest may go.
    let (mut rig, _) = resuming(&[ENOUGH, &[(LIMITS[0], 0), (0x21, 7), (0x1, 0)]].concat());
    new_settings(&mut rig, ENOUGH);
    assert!(is_ready(&rig.events(), Dialect::Draft16));
}

#[test]
fn settings_that_came_before_the_start_are_checked_by_it() {
    let mut rig = before_start(ENOUGH);
    new_settings(&mut rig, ENOUGH);
    assert_eq!(rig.outputs(), []);
    start(&mut rig, true);
    assert!(is_ready(&rig.events(), Dialect::Draft16));

    for accepted in [true, false] {
        let mut rig = before_start(&[ENOUGH, &[(LIMITS[1], 1)]].concat());
        new_settings(&mut rig, ENOUGH);
        start(&mut rig, accepted);
        let events = rig.events();
        if accepted {
            let reason = ConnectionLost::Http3(Http3Error::Settings);
            assert_eq!(events, [Event::ConnectionClosed { reason }]);
        } else {
            assert!(is_ready(&events, Dialect::Draft16), "{events:?}");
        }
    }
}
