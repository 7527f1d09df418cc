use super::*;

const DIALECTS: [Dialect; 4] = [
    Dialect::Draft02,
    Dialect::Draft07,
    Dialect::Draft14,
    Dialect::Draft16,
];

#[test]
fn all_dialects_are_spoken_by_default() {
    assert_eq!(Config::default().dialects, Dialects::ALL);
    assert!(
        DIALECTS
            .iter()
            .all(|&dialect| Dialects::ALL.contains(dialect))
    );
}

#[test]
fn a_set_contains_what_it_was_made_of_and_nothing_else() {
    for one in DIALECTS {
        for other in DIALECTS {
            let set = Dialects::only(one).with(other);
            for dialect in DIALECTS {
                assert_eq!(set.contains(dialect), dialect == one || dialect == other);
            }
        }
    }
    let every = DIALECTS
        .iter()
        .fold(Dialects::only(Dialect::Draft02), |set, &dialect| {
            set.with(dialect)
        });
    assert_eq!(every, Dialects::ALL);
}

#[test]
fn dialects_are_ordered_by_age() {
    assert!(DIALECTS.is_sorted());
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let limits = Limits::default();
    assert_eq!(
        (
            limits.sessions,
            limits.unanswered_requests,
            limits.answered_requests
        ),
        (16, 16, 64)
    );
    assert_eq!(limits.unanswered_body, 16 << 10);
    assert_eq!(
        (
            limits.buffered_streams,
            limits.buffered_bytes,
            limits.buffered_datagrams
        ),
        (32, 64 << 10, 64)
    );
    assert_eq!(
        (limits.settings, limits.control_frame, limits.field_section),
        (64, 16 << 10, 16 << 10)
    );
    assert_eq!(limits.datagram_capsule, 64 << 10);
    assert_eq!(
        (limits.undelivered_datagrams, limits.undelivered_bytes),
        (1024, 1 << 20)
    );
    assert_eq!(limits.unwritten_bytes, 64 << 10);

    let deadlines = Deadlines::default();
    assert_eq!(deadlines.request, Some(Duration::from_secs(10)));
    assert_eq!(deadlines.inactivity, None);
    assert_eq!(deadlines.linger, Duration::from_secs(3));
    assert_eq!(deadlines.idle_connection, Some(Duration::from_secs(30)));
    assert_eq!(deadlines.buffered, Duration::from_secs(5));
    assert_eq!(deadlines.stop_grace, Duration::from_secs(1));
    assert_eq!(deadlines.inactivity_close, (0, "".into()));
}

#[test]
fn a_transport_is_taken_for_no_more_than_was_said() {
    let transport = Transport::new(Support::Yes);
    assert_eq!(transport.datagrams, Support::Yes);
    assert_eq!(transport.reset_stream_at, Support::Unknown);
    assert_eq!(transport.peer_reset_stream_at, Support::Unknown);
    assert_eq!(transport.stream_receive_window, 1_250_000);
}

#[test]
fn a_configuration_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<std::sync::Arc<Config>>();
}

#[cfg(feature = "serde")]
#[test]
fn a_transport_is_stored_and_read() {
    let transport = Transport::new(Support::No);
    let stored = serde_json::to_string(&transport).unwrap();
    assert_eq!(
        serde_json::from_str::<Transport>(&stored).unwrap(),
        transport
    );
    assert_eq!(
        serde_json::to_string(&Dialect::Draft16).unwrap(),
        "\"Draft16\""
    );
}

#[cfg(feature = "serde")]
#[test]
fn a_configuration_is_stored_and_read_whatever_was_left_out() {
    let mut config = Config::default();
    config.limits.sessions = 3;
    config.deadlines.request = None;
    config.deadlines.linger = Duration::new(1, 2);
    config.deadlines.inactivity_close = (7, "gone \u{e9}".into());
    config.dialects = Dialects::only(Dialect::Draft16).with(Dialect::Draft02);
    config.close_unsupported = true;
    let stored = serde_json::to_string(&config).unwrap();
    assert!(stored.contains(r#""dialects":["Draft02","Draft16"]"#));
    assert_eq!(serde_json::from_str::<Config>(&stored).unwrap(), config);

    let mut partial = Config::default();
    partial.limits.sessions = 1;
    let stored = r#"{"limits":{"sessions":1}}"#;
    assert_eq!(serde_json::from_str::<Config>(stored).unwrap(), partial);
}

#[cfg(feature = "serde")]
#[test]
fn what_no_configuration_has_is_refused() {
    for stored in [
        r#"{"limit":{}}"#,
        r#"{"limits":{"session":1}}"#,
        r#"{"deadlines":{"lingers":null}}"#,
        r#"{"dialects":[]}"#,
        r#"{"dialects":["Draft99"]}"#,
    ] {
        assert!(serde_json::from_str::<Config>(stored).is_err(), "{stored}");
    }
}
