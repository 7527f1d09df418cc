//! What each dialect says and understands, byte for byte, and which one is spoken: the table of
//! drafts, line by line, and what browsers were recorded to send.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, writes small numbers, and looks at what it expects"
)]

#[path = "endings/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the endings")]
mod support;

use http::StatusCode;
use support::{setting::*, *};
use webtransport_session::{
    Action, AnswerError, CloseReason, Config, ConnectError, ConnectionLost, Dialect, Dialects, Dir,
    Event, Http3Error, Output, Protocol, Rejection, Request, Requirement, Response, SessionId,
    Side, StreamId, Support, Transport, Violation,
};

// ---- what each role sends

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// The first bytes of our control stream.
fn announced(side: Side, config: Config) -> Vec<u8> {
    let mut rig = Rig::before_start(side, config, Dialect::Draft16);
    let control = StreamId::new(side, Dir::Uni, 0);
    rig.start(Transport::new(Support::Yes));
    let outputs = rig.outputs();
    let [Output::Action(Action::Write { stream, data, .. })] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(*stream, control);
    data.to_vec()
}

#[test]
fn a_server_announces_what_reaches_every_peer() {
    let bytes = "00 04 26 0801 3301 80ffd27701 ab60374201 ab60374310 c0000000c671706a01 \
        ac7cf00001 0680004000";
    assert_eq!(announced(Side::Server, Config::default()), hex(bytes));
}

#[test]
fn a_client_announces_what_reaches_every_server() {
    let bytes = "00 04 1f 3301 80ffd27701 ab60374201 c0000000c671706a01 ac7cf00001 0680004000";
    assert_eq!(announced(Side::Client, Config::default()), hex(bytes));
}

#[test]
fn each_dialect_alone_is_announced_alone() {
    let servers = [
        "00 04 18 0801 3301 80ffd27701 ab60374201 ab60374310 0680004000",
        "00 04 17 0801 3301 80ffd27701 c0000000c671706a01 0680004000",
        "00 04 13 0801 3301 80ffd27701 94e9cd2901 0680004000",
        "00 04 13 0801 3301 80ffd27701 ac7cf00001 0680004000",
    ];
    let clients = [
        "00 04 11 3301 80ffd27701 ab60374201 0680004000",
        "00 04 15 3301 80ffd27701 c0000000c671706a01 0680004000",
        "00 04 11 3301 80ffd27701 94e9cd2901 0680004000",
        "00 04 11 3301 80ffd27701 ac7cf00001 0680004000",
    ];
    for (side, expected) in [(Side::Server, servers), (Side::Client, clients)] {
        for (dialect, bytes) in DIALECTS.into_iter().zip(expected) {
            let bytes = hex(bytes);
            assert_eq!(
                announced(side, speaking(dialect)),
                bytes,
                "{side:?}, {dialect:?}"
            );
        }
    }
}

#[test]
fn limits_are_announced_as_they_are() {
    let mut config = speaking(Dialect::Draft02);
    config.limits.sessions = 100;
    config.limits.field_section = 5;
    let bytes = "00 04 16 0801 3301 80ffd27701 ab60374201 ab6037434064 0605";
    assert_eq!(announced(Side::Server, config), hex(bytes));
}

// ---- which one is spoken

/// What SETTINGS say.
type Entries<'a> = &'a [(u64, u64)];

/// The peer's SETTINGS come in. Gives the one event that says what follows.
fn negotiate(
    side: Side,
    config: Config,
    transport: Transport,
    entries: Entries<'_>,
) -> (Rig, Event) {
    let mut rig = Rig::started(side, config, Dialect::Draft16, transport);
    let bytes = [vec![0x00], settings(entries)].concat();
    rig.feed(rig.peer_control(), &bytes);
    let mut events = rig.events();
    let event = events.remove(0);
    (rig, event)
}

fn met(side: Side, config: Config, entries: Entries<'_>) -> (Rig, Event) {
    let entries = [&[(DATAGRAM, 1), (ENABLE_CONNECT_PROTOCOL, 1)], entries].concat();
    negotiate(side, config, Transport::new(Support::Yes), &entries)
}

fn dialect(event: &Event) -> Option<Dialect> {
    match event {
        Event::Ready(negotiated) => negotiated.dialect,
        other => panic!("{other:?}"),
    }
}

/// Every set of dialects but the empty one.
fn sets() -> Vec<Vec<Dialect>> {
    (1..16)
        .map(|bits| {
            let is_in = |&(n, _): &(usize, &Dialect)| bits >> n & 1 == 1;
            let set = DIALECTS.iter().enumerate().filter(is_in);
            set.map(|(_, &dialect)| dialect).collect()
        })
        .collect()
}

fn config_of(set: &[Dialect]) -> Config {
    let mut config = Config::default();
    let (first, rest) = set.split_first().unwrap();
    let only = Dialects::only(*first);
    config.dialects = rest.iter().fold(only, |set, &dialect| set.with(dialect));
    config
}

/// Draft 14 is announced only where nothing else is.
fn is_announced(dialect: Dialect, set: &[Dialect]) -> bool {
    set.contains(&dialect) && (dialect != Dialect::Draft14 || set.len() == 1)
}

#[test]
fn the_newest_that_both_announce_is_spoken() {
    both_roles(|side| {
        for ours in sets() {
            for theirs in sets() {
                let entries: Vec<_> = theirs.iter().copied().map(codepoint).collect();
                let (_, event) = met(side, config_of(&ours), &entries);
                let common = DIALECTS
                    .into_iter()
                    .filter(|dialect| is_announced(*dialect, &ours) && theirs.contains(dialect));
                let expected = match common.max() {
                    Some(newest) => Ok(Some(newest)),
                    None => Err(Requirement::Dialect),
                };
                let chosen = match event {
                    Event::Ready(negotiated) => Ok(negotiated.dialect),
                    Event::Unsupported(missing) => Err(missing),
                    other => panic!("{other:?}"),
                };
                assert_eq!(chosen, expected, "{ours:?} and {theirs:?}");
            }
        }
    });
}

#[test]
fn a_number_of_sessions_announces_a_dialect_where_it_is_not_0() {
    both_roles(|side| {
        for (setting, of) in [
            (MAX_SESSIONS_07, Dialect::Draft07),
            (MAX_SESSIONS_13, Dialect::Draft14),
        ] {
            for value in [1, 2, 100, (1 << 62) - 1] {
                let (_, event) = met(side, speaking(of), &[(setting, value)]);
                assert_eq!(dialect(&event), Some(of), "{value}");
            }
        }
        // 0 is as good as silence, and so is the number without the dialect that it belongs to.
        let nothing = [
            (ENABLED_02, 0),
            (MAX_SESSIONS_04, 5),
            (MAX_SESSIONS_07, 0),
            (MAX_SESSIONS_13, 0),
            (ENABLED_16, 0),
        ];
        let (_, event) = met(side, Config::default(), &nothing);
        match side {
            Side::Client => assert_eq!(event, Event::Unsupported(Requirement::WebTransport)),
            Side::Server => assert_eq!(dialect(&event), None),
        }
    });
}

#[test]
fn a_switch_that_is_neither_on_nor_off_is_an_error() {
    both_roles(|side| {
        let (_, event) = met(side, Config::default(), &[(ENABLED_02, 2)]);
        let reason = ConnectionLost::Http3(Http3Error::Settings);
        assert_eq!(event, Event::ConnectionClosed { reason });
    });
    // Draft 16 says so of clients; what a server does with it is its own business.
    let (_, event) = met(Side::Client, Config::default(), &[(ENABLED_16, 2)]);
    let reason = ConnectionLost::Http3(Http3Error::Settings);
    assert_eq!(event, Event::ConnectionClosed { reason });
    let (_, event) = met(Side::Server, Config::default(), &[(ENABLED_16, 2)]);
    assert_eq!(dialect(&event), None);
}

#[test]
fn unknown_settings_harm_nobody() {
    both_roles(|side| {
        let entries = [(ENABLED_02, 1), (0x21, 7), (0x1_0000_0000, 9), (0x4d44, 1)];
        let (_, event) = met(side, Config::default(), &entries);
        assert_eq!(dialect(&event), Some(Dialect::Draft02));
    });
}

/// What a server that spoke `ours` makes of a CONNECT.
fn asked(ours: &[Dialect], entries: Entries<'_>, token: &str) -> Option<Dialect> {
    let (mut rig, _) = met(Side::Server, config_of(ours), entries);
    rig.feed(CONNECT, &connect_request(token));
    let outputs = rig.outputs();
    match &outputs[..] {
        [Output::Event(Event::SessionRequested { request, .. })] => request.dialect,
        [Output::Action(answer), stop] => {
            // `:status` 501 as a name of the static table and a value.
            let data = hex("01 08 0000 5f09 03 353031").into();
            let (stream, fin) = (CONNECT.into(), true);
            assert_eq!(*answer, Action::Write { stream, data, fin });
            assert_eq!(*stop, stop_sending(CONNECT, H3_NO_ERROR));
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_announces_nothing_is_known_by_its_token() {
    let limits: [Entries<'_>; 5] = [
        &[],
        &[(LIMITS[0], 1)],
        &[(LIMITS[1], 1)],
        &[(LIMITS[2], 0)],
        &[(LIMITS[0], 9), (LIMITS[1], 9), (LIMITS[2], 9)],
    ];
    for ours in sets() {
        let speaks = |dialect| is_announced(dialect, &ours).then_some(dialect);
        for (n, entries) in limits.into_iter().enumerate() {
            let case = format!("{ours:?}, {entries:?}");
            let newest = asked(&ours, entries, "webtransport-h3");
            assert_eq!(newest, speaks(Dialect::Draft16), "{case}");
            let sent_limits = n > 0;
            let expected = speaks(Dialect::Draft14)
                .filter(|_| sent_limits)
                .or(speaks(Dialect::Draft07));
            assert_eq!(asked(&ours, entries, "webtransport"), expected, "{case}");
        }
        assert_eq!(asked(&ours, &[], "websocket"), None);
    }
}

#[test]
fn the_token_of_another_dialect_that_both_announced_is_taken_with_its_rules() {
    let all = [Dialect::Draft02, Dialect::Draft07, Dialect::Draft16];
    let cases: [(&[Dialect], &str, Option<Dialect>); 8] = [
        (&all, "webtransport-h3", Some(Dialect::Draft16)),
        (&all, "webtransport", Some(Dialect::Draft07)),
        (
            &[Dialect::Draft02, Dialect::Draft16],
            "webtransport",
            Some(Dialect::Draft02),
        ),
        (&[Dialect::Draft02], "webtransport", Some(Dialect::Draft02)),
        (&[Dialect::Draft07], "webtransport", Some(Dialect::Draft07)),
        (&[Dialect::Draft16], "webtransport", None),
        (&[Dialect::Draft02], "webtransport-h3", None),
        (&[Dialect::Draft07], "webtransport-h3", None),
    ];
    for (theirs, token, expected) in cases {
        let entries: Vec<_> = theirs.iter().copied().map(codepoint).collect();
        assert_eq!(
            asked(&all, &entries, token),
            expected,
            "{theirs:?}, {token}"
        );
    }
}

// ---- what is missing

/// The event, and what a client's `connect` says.
fn missing(
    side: Side,
    config: Config,
    transport: Transport,
    entries: Entries<'_>,
) -> Option<Requirement> {
    let (mut rig, event) = negotiate(side, config, transport, entries);
    let missing = match event {
        Event::Unsupported(missing) => Some(missing),
        Event::Ready(_) => None,
        other => panic!("{other:?}"),
    };
    if let (Side::Client, Some(missing)) = (side, missing) {
        let request = request();
        let error = rig.connection.connect(rig.now, &request).err();
        assert_eq!(error, Some(ConnectError::Unsupported(missing)));
    }
    missing
}

fn transport(datagrams: Support, peer_reset_stream_at: Support) -> Transport {
    let mut transport = Transport::new(datagrams);
    transport.peer_reset_stream_at = peer_reset_stream_at;
    transport
}

/// Whether it wants RFC 9297's datagrams, and resets that deliver the stream header (§3.1).
fn is_new(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Draft14 | Dialect::Draft16)
}

fn another(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::Draft02 => Dialect::Draft16,
        _ => Dialect::Draft02,
    }
}

#[test]
fn a_client_needs_the_first_thing_that_is_missing() {
    let none = || transport(Support::No, Support::No);
    for dialect in DIALECTS {
        let missing = |transport, entries: Entries<'_>| {
            missing(Side::Client, speaking(dialect), transport, entries)
        };
        let enough = vec![
            codepoint(dialect),
            (ENABLE_CONNECT_PROTOCOL, 1),
            (DATAGRAM, 1),
        ];
        let is_02 = dialect == Dialect::Draft02;

        assert_eq!(missing(none(), &[]), Some(Requirement::WebTransport));
        let others = [codepoint(another(dialect))];
        assert_eq!(missing(none(), &others), Some(Requirement::Dialect));
        // Draft 02 has no setting for it; the others do.
        let after_dialect = match is_02 {
            true => Requirement::Datagrams,
            false => Requirement::ExtendedConnect,
        };
        assert_eq!(missing(none(), &enough[..1]), Some(after_dialect));
        assert_eq!(missing(none(), &enough[..2]), Some(Requirement::Datagrams));
        assert_eq!(missing(none(), &enough), Some(Requirement::Datagrams));
        let no_reset = || transport(Support::Yes, Support::No);
        assert_eq!(
            missing(no_reset(), &enough[..2]),
            Some(Requirement::Datagrams)
        );
        assert_eq!(
            missing(no_reset(), &enough),
            is_new(dialect).then_some(Requirement::ResetStreamAt)
        );
    }
}

#[test]
fn a_server_needs_the_first_thing_that_is_missing() {
    let none = || transport(Support::No, Support::No);
    for dialect in DIALECTS {
        let missing = |transport, entries: Entries<'_>| {
            missing(Side::Server, speaking(dialect), transport, entries)
        };
        let enough = [codepoint(dialect), (DATAGRAM, 1)];

        let others = [codepoint(another(dialect))];
        assert_eq!(missing(none(), &others), Some(Requirement::Dialect));
        // Drafts 09 to 12 have clients say nothing: the request tells.
        assert_eq!(missing(none(), &[]), Some(Requirement::Datagrams));
        assert_eq!(missing(none(), &enough[..1]), Some(Requirement::Datagrams));
        assert_eq!(missing(none(), &enough), Some(Requirement::Datagrams));
        let no_reset = || transport(Support::Yes, Support::No);
        assert_eq!(
            missing(no_reset(), &enough),
            is_new(dialect).then_some(Requirement::ResetStreamAt)
        );
        assert_eq!(missing(no_reset(), &enough[1..]), None);
    }
}

/// A client that announces no dialect shows by its token that it needs what it has not.
#[test]
fn what_a_request_needs_of_a_client_that_announces_nothing_is_asked_when_it_comes() {
    // §3.1: "the server MUST treat all established and newly incoming WebTransport sessions as
    // malformed"
    let cases: [(Support, u64, &str, bool); 6] = [
        (Support::Unknown, DATAGRAM, "webtransport-h3", true),
        (Support::No, DATAGRAM, "webtransport-h3", false),
        (Support::Yes, DATAGRAM_DRAFT04, "webtransport-h3", false),
        (Support::No, DATAGRAM, "webtransport", true),
        (Support::No, DATAGRAM_DRAFT04, "webtransport", true),
        (Support::Yes, DATAGRAM, "webtransport", true),
    ];
    for (reset_stream_at, datagrams, token, is_taken) in cases {
        // The other way round, the request waits for the SETTINGS.
        for settings_first in [true, false] {
            let transport = transport(Support::Yes, reset_stream_at);
            let mut rig =
                Rig::started(Side::Server, Config::default(), Dialect::Draft16, transport);
            let control = rig.peer_control();
            let settings = [vec![0x00], settings(&[(datagrams, 1)])].concat();
            let mut flights = [(control, settings), (CONNECT, connect_request(token))];
            if !settings_first {
                flights.reverse();
            }
            let mut outputs = Vec::new();
            for (stream, bytes) in flights {
                rig.feed(stream, &bytes);
                outputs.extend(rig.outputs());
            }
            let is_event = |output: &Output| matches!(output, Output::Event(_));
            let (events, actions): (Vec<_>, Vec<_>) = outputs.into_iter().partition(is_event);
            let case = format!("{token}, {reset_stream_at:?}, SETTINGS first: {settings_first}");
            let Some((Output::Event(ready), told)) = events.split_first() else {
                panic!("{case}: {events:?}");
            };
            assert_eq!(dialect(ready), None, "{case}");
            if is_taken {
                let requested = matches!(told, [Output::Event(Event::SessionRequested { .. })]);
                assert!(requested, "{case}: {told:?}");
                assert_eq!(actions, [], "{case}");
            } else {
                let refused = [
                    reset(CONNECT, H3_MESSAGE_ERROR),
                    stop_sending(CONNECT, H3_MESSAGE_ERROR),
                ];
                assert_eq!(actions, refused, "{case}");
                assert_eq!(told, [], "{case}");
            }
        }
    }
}

#[test]
fn what_is_unknown_never_fails() {
    both_roles(|side| {
        for dialect in DIALECTS {
            let enough = [
                codepoint(dialect),
                (ENABLE_CONNECT_PROTOCOL, 1),
                (DATAGRAM, 1),
            ];
            let unknown = transport(Support::Unknown, Support::Unknown);
            assert_eq!(missing(side, speaking(dialect), unknown, &enough), None);
        }
    });
}

#[test]
fn datagrams_of_the_older_draft_will_do_in_older_dialects() {
    both_roles(|side| {
        for dialect in DIALECTS {
            let entries = [
                codepoint(dialect),
                (DATAGRAM_DRAFT04, 1),
                (ENABLE_CONNECT_PROTOCOL, 1),
            ];
            // §3.1 wants the one of RFC 9297. A peer between the two is taken as it is.
            let (config, expected) = match is_new(dialect) {
                true => (speaking(dialect), Some(Requirement::Datagrams)),
                false => (Config::default(), None),
            };
            let yes = transport(Support::Yes, Support::Yes);
            let missing = missing(side, config, yes, &entries);
            assert_eq!(missing, expected, "{dialect:?}");
        }
    });
}

#[test]
fn a_client_that_is_told_to_closes_what_cannot_carry_sessions() {
    let mut config = Config::default();
    config.close_unsupported = true;
    let (rig, event) = met(Side::Client, config, &[]);
    assert_eq!(event, Event::Unsupported(Requirement::WebTransport));
    assert!(rig.connection.is_closed());
    let code = WT_REQUIREMENTS_NOT_MET;
    let mut config = Config::default();
    config.close_unsupported = true;
    let mut rig = Rig::before_settings(Side::Client, config);
    rig.feed(3, &[vec![0x00], settings(&[])].concat());
    let close = Action::CloseConnection { code, reason: "" };
    assert_eq!(rig.outputs().first(), Some(&Output::Action(close)));
}

// ---- the CONNECT and its answer

/// A field section as this crate writes it: indexed where the static table has it, else literal.
struct Section(Vec<u8>);

impl Section {
    fn new(front: &[u8]) -> Self {
        Self([&[0, 0], front].concat())
    }

    /// A literal with a literal name.
    fn field(mut self, name: &str, value: &str) -> Self {
        match name.len() {
            len @ 0..7 => self.0.push(0x20 | len as u8),
            len => self.0.extend([0x27, len as u8 - 7]),
        }
        self.0.extend(name.as_bytes());
        self.value(value)
    }

    /// A literal whose name the static table has.
    fn named(mut self, index: u8, value: &str) -> Self {
        self.0.push(0x50 | index);
        self.value(value)
    }

    fn indexed(mut self, index: u8) -> Self {
        self.0.push(0xc0 | index);
        self
    }

    fn value(mut self, value: &str) -> Self {
        self.0.push(value.len() as u8);
        self.0.extend(value.as_bytes());
        self
    }

    fn frame(self) -> Vec<u8> {
        tlv(0x01, &self.0)
    }
}

fn connect_head(token: &str) -> Section {
    Section::new(&[])
        .indexed(15)
        .field(":protocol", token)
        .indexed(23)
        .named(0, "example.org")
        .named(1, "/game")
}

fn ok_head() -> Section {
    Section::new(&[]).indexed(25)
}

fn offering() -> Request {
    request().protocols([name("v2"), name("v1")])
}

fn name(name: &str) -> Protocol {
    Protocol::try_from(name).unwrap()
}

fn connect(rig: &mut Rig, request: &Request, stream: u64) -> SessionId {
    rig.connection
        .connect(rig.now, request)
        .unwrap()
        .bind(stream.into())
}

#[test]
fn a_client_asks_with_the_token_and_the_headers_of_the_dialect() {
    let offered = ("wt-available-protocols", "\"v2\", \"v1\"");
    for dialect in DIALECTS {
        let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
        connect(&mut rig, &offering(), CONNECT);
        let head = connect_head(rig.token());
        let head = match dialect {
            Dialect::Draft02 => head.field("sec-webtransport-http3-draft02", "1"),
            _ => head,
        };
        let head = head.field(offered.0, offered.1);
        assert_eq!(
            rig.outputs(),
            [write(CONNECT, &head.frame(), false)],
            "{dialect:?}"
        );
    }
}

#[test]
fn a_client_that_offers_nothing_does_not_say_so() {
    for dialect in [Dialect::Draft07, Dialect::Draft14, Dialect::Draft16] {
        let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
        let request = request();
        connect(&mut rig, &request, CONNECT);
        let head = connect_head(rig.token()).frame();
        assert_eq!(rig.outputs(), [write(CONNECT, &head, false)], "{dialect:?}");
    }
}

#[test]
fn a_client_says_its_origin_where_it_has_one() {
    // §3.2: "If the WebTransport session is coming from a browser client, an `Origin` header MUST
    // be provided within the request."
    for dialect in DIALECTS {
        let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
        let request = request();
        let request = request.origin("https://play.example".parse().unwrap());
        connect(&mut rig, &request, CONNECT);
        // The name `origin` is entry 90 of the static table: 75 more than four bits hold.
        let mut head = connect_head(rig.token());
        head.0.extend([0x5f, 75]);
        let head = head.value("https://play.example");
        let head = match dialect {
            Dialect::Draft02 => head.field("sec-webtransport-http3-draft02", "1"),
            _ => head,
        };
        let head = head.frame();
        assert_eq!(rig.outputs(), [write(CONNECT, &head, false)], "{dialect:?}");
    }
}

/// A server that has read a CONNECT with these fields beside its own.
fn server_asked(dialect: Dialect, more: &[(&str, &str)]) -> (Rig, SessionId, Request) {
    let mut rig = Rig::with(Side::Server, speaking(dialect), dialect);
    rig.feed(CONNECT, &connect_request_with(rig.token(), more));
    let mut events = rig.events();
    let Some(Event::SessionRequested { session, request }) = events.pop() else {
        panic!("{events:?}");
    };
    (rig, session, *request)
}

#[test]
fn a_server_answers_with_the_headers_of_the_dialect() {
    for dialect in DIALECTS {
        let (mut rig, session, request) = server_asked(
            dialect,
            &[
                ("sec-webtransport-http3-draft02", "1"),
                ("wt-available-protocols", "\"v2\", \"v1\""),
                ("origin", "https://example.org"),
                ("user-agent", "test"),
            ],
        );
        // Draft 02 knows no protocols, but Chromium offers them in its dialect.
        let offered = [name("v2"), name("v1")];
        assert_eq!(request.protocols, offered, "{dialect:?}");
        // The application sees no header that is the dialect's.
        assert_eq!(request.headers.len(), 1);
        assert_eq!(request.headers["user-agent"], "test");
        assert_eq!(request.origin.unwrap(), "https://example.org");

        let chosen = Response::default().protocol(name("v1"));
        rig.connection.accept(rig.now, session, chosen).unwrap();
        let head = match dialect {
            Dialect::Draft02 => ok_head().field("sec-webtransport-http3-draft", "draft02"),
            _ => ok_head(),
        };
        let head = head.field("wt-protocol", "\"v1\"");
        let outputs = rig.outputs();
        assert_eq!(
            outputs[0],
            write(CONNECT, &head.frame(), false),
            "{dialect:?}"
        );
    }
}

#[test]
fn a_server_can_only_choose_what_was_offered() {
    for dialect in DIALECTS {
        let offers: [&[(&str, &str)]; 3] = [
            &[],
            &[("wt-available-protocols", "\"v3\"")],
            // A field that cannot be read is no offer.
            &[("wt-available-protocols", "\"v1\", v2")],
        ];
        for offer in offers {
            let (mut rig, session, _) = server_asked(dialect, offer);
            let chosen = Response::default().protocol(name("v1"));
            let answer = rig.connection.accept(rig.now, session, chosen);
            assert_eq!(answer, Err(AnswerError::ProtocolNotOffered), "{dialect:?}");
            // It is still unanswered.
            rig.connection
                .accept(rig.now, session, Response::default())
                .unwrap();
        }
    }
}

#[test]
fn an_answer_that_is_no_2xx_has_no_header_of_the_dialect() {
    for dialect in DIALECTS {
        let (mut rig, session, _) = server_asked(dialect, &[]);
        let rejection = Rejection::from(StatusCode::FORBIDDEN);
        rig.connection.reject(rig.now, session, rejection).unwrap();
        // `:status` 403 is entry 68 of the static table: 5 more than six bits hold.
        let head = tlv(0x01, &[0, 0, 0xff, 5]);
        let outputs = rig.outputs();
        assert_eq!(outputs[0], write(CONNECT, &head, true), "{dialect:?}");
    }
}

/// What a client that offered `v2` and `v1` makes of a 200 with these fields.
fn answered(
    dialect: Dialect,
    request: &Request,
    more: &[(&str, &str)],
) -> Result<Option<Protocol>, Violation> {
    let mut rig = Rig::with(Side::Client, speaking(dialect), dialect);
    connect(&mut rig, request, CONNECT);
    rig.drain();
    rig.feed(CONNECT, &headers(&[&[(":status", "200")], more].concat()));
    let mut outputs = rig.outputs();
    match outputs.pop() {
        Some(Output::Event(Event::SessionOpened { response, .. })) => {
            assert_eq!(outputs, []);
            assert!(!response.headers.contains_key("wt-protocol"));
            Ok(response.protocol)
        }
        Some(Output::Event(Event::SessionClosed {
            reason: CloseReason::Violation(violation),
            ..
        })) => {
            let abort = [
                reset(CONNECT, WT_ALPN_ERROR),
                stop_sending(CONNECT, WT_ALPN_ERROR),
            ];
            assert_eq!(outputs, abort);
            Err(violation)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_server_chose_counts_as_the_dialect_has_it() {
    let chosen: &[(&str, &str)] = &[("wt-protocol", "\"v1\"; parameter")];
    let other: &[(&str, &str)] = &[("wt-protocol", "\"v9\"")];
    let unreadable: &[(&str, &str)] = &[("wt-protocol", "v1")];
    let missing: &[(&str, &str)] = &[("sec-webtransport-http3-draft", "draft02")];
    let offers = offering();
    let requires = offering().require_protocol();
    for dialect in DIALECTS {
        let answered = |request, more| answered(dialect, request, more);
        let v1 = Ok(Some(name("v1")));
        assert_eq!(answered(&offers, chosen), v1, "{dialect:?}");
        assert_eq!(answered(&requires, chosen), v1, "{dialect:?}");

        // §3.3: "the client MUST close the WebTransport session with a `WT_ALPN_ERROR` error code"
        let enforced = dialect == Dialect::Draft16;
        let not_offered = match enforced {
            true => Err(Violation::ProtocolNotOffered),
            false => Ok(None),
        };
        assert_eq!(answered(&offers, other), not_offered, "{dialect:?}");

        assert_eq!(answered(&offers, unreadable), Ok(None), "{dialect:?}");
        assert_eq!(answered(&offers, missing), Ok(None), "{dialect:?}");
        let knows = matches!(dialect, Dialect::Draft14 | Dialect::Draft16);
        let required = match knows {
            true => Err(Violation::ProtocolMissing),
            false => Ok(None),
        };
        assert_eq!(answered(&requires, missing), required, "{dialect:?}");
        assert_eq!(answered(&requires, unreadable), required, "{dialect:?}");
        let other_though_required = match enforced {
            true => Err(Violation::ProtocolNotOffered),
            false => required,
        };
        assert_eq!(
            answered(&requires, other),
            other_though_required,
            "{dialect:?}"
        );

        // Who offers nothing is not interested.
        let plain = request();
        assert_eq!(answered(&plain, other), Ok(None), "{dialect:?}");
    }
}

// ---- how many sessions

#[test]
fn a_server_takes_as_many_sessions_as_the_dialect_lets_it_announce() {
    for dialect in DIALECTS {
        let mut config = speaking(dialect);
        config.limits.sessions = 3;
        let mut rig = Rig::with(Side::Server, config, dialect);
        let limit = match dialect {
            Dialect::Draft02 => 3,
            // §5.1: without flow control there is one session at a time.
            Dialect::Draft07 | Dialect::Draft14 | Dialect::Draft16 => 1,
        };
        for n in 0..limit {
            let session = rig.request_session(4 * n);
            rig.answer(session);
        }
        let next = 4 * limit;
        rig.feed(next, &connect_request(rig.token()));
        let refused = [
            reset(next, H3_REQUEST_REJECTED),
            stop_sending(next, H3_REQUEST_REJECTED),
        ];
        assert_eq!(rig.outputs(), refused, "{dialect:?}");
        // One ends, another may come.
        rig.feed_fin(CONNECT, b"");
        rig.drain();
        rig.request_session(next + 4);
    }
}

#[test]
fn a_client_asks_for_no_more_sessions_than_the_server_takes() {
    let cases: [(Dialect, Entries<'_>, u64); 8] = [
        (Dialect::Draft02, &[(ENABLED_02, 1)], 16),
        (
            Dialect::Draft02,
            &[(ENABLED_02, 1), (MAX_SESSIONS_04, 2)],
            2,
        ),
        (
            Dialect::Draft02,
            &[(ENABLED_02, 1), (MAX_SESSIONS_04, 0)],
            0,
        ),
        (
            Dialect::Draft02,
            &[(ENABLED_02, 1), (MAX_SESSIONS_04, 99)],
            16,
        ),
        (Dialect::Draft07, &[(MAX_SESSIONS_07, 3)], 3),
        (Dialect::Draft07, &[(MAX_SESSIONS_07, 99)], 16),
        (Dialect::Draft14, &[(MAX_SESSIONS_13, 7)], 1),
        (Dialect::Draft16, &[(ENABLED_16, 1)], 1),
    ];
    for (dialect, entries, limit) in cases {
        let (mut rig, event) = met(Side::Client, speaking(dialect), entries);
        assert!(matches!(event, Event::Ready(_)), "{event:?}");
        let request = request();
        for n in 0..limit {
            connect(&mut rig, &request, 4 * n);
        }
        rig.drain();
        let error = rig.connection.connect(rig.now, &request).err();
        assert_eq!(error, Some(ConnectError::Blocked), "{entries:?}");
        if limit == 0 {
            continue;
        }
        rig.peer_resets(CONNECT, 7);
        let available = Event::StreamsAvailable { dir: Dir::Bi };
        assert!(rig.events().contains(&available), "{entries:?}");
        connect(&mut rig, &request, 4 * limit);
    }
}

// ---- capsules

#[test]
fn capsules_for_the_flow_control_of_streams_are_forbidden_where_the_dialect_knows_them() {
    for dialect in DIALECTS {
        for kind in [0x190b_4d3e, 0x190b_4d42] {
            for side in [Side::Client, Side::Server] {
                let (mut rig, session) = Rig::open_with(side, speaking(dialect), dialect);
                rig.feed(CONNECT, &data_frame(&tlv(kind, &[0, 0])));
                if matches!(dialect, Dialect::Draft02 | Dialect::Draft07) {
                    assert_eq!(rig.outputs(), [], "{dialect:?}, {kind:#x}");
                    continue;
                }
                rig.ends(
                    session,
                    CloseReason::Violation(Violation::ForbiddenCapsule),
                    &[
                        reset(CONNECT, H3_MESSAGE_ERROR),
                        stop_sending(CONNECT, H3_MESSAGE_ERROR),
                    ],
                );
            }
        }
    }
}

#[test]
fn the_padding_capsule_of_draft_02_is_skipped() {
    for dialect in DIALECTS {
        let (mut rig, session) = Rig::open_with(Side::Server, speaking(dialect), dialect);
        let padded = [tlv(0xff_37a2, b"padding"), close_capsule(7, b"bye")].concat();
        rig.feed_fin(CONNECT, &data_frame(&padded));
        rig.ends(session, by_capsule(7, "bye"), &[write(CONNECT, b"", true)]);
    }
}

// ---- browsers, as they were recorded

const CHROMIUM: &str = "00 04 29 01 80010000 06 80004000 07 4064 33 01 80ffd277 01 ab603742 01 \
    c000000c7572cd1b c000000058584d94";
const FIREFOX: &str = "00 04 15 01 80010000 07 14 ab603742 01 80ffd277 01 33 01 08 01";

/// A server as it is by default, and a browser's control stream with a GREASE frame behind it.
fn browser(control: &str) -> Rig {
    let mut rig = Rig::before_settings(Side::Server, Config::default());
    rig.feed(2, &[hex(control), grease(b"grease")].concat());
    let events = rig.events();
    assert_eq!(events.len(), 1);
    assert_eq!(dialect(&events[0]), Some(Dialect::Draft02));
    rig
}

#[test]
fn browsers_speak_draft_02_with_a_server_that_speaks_everything() {
    for control in [CHROMIUM, FIREFOX] {
        let mut rig = browser(control);
        let request = headers(&[
            (":scheme", "https"),
            (":method", "CONNECT"),
            (":authority", "127.0.0.1:4433"),
            (":path", "/"),
            (":protocol", "webtransport"),
            ("sec-webtransport-http3-draft02", "1"),
            ("origin", "http://localhost:8000"),
        ]);
        rig.feed(CONNECT, &request);
        let events = rig.events();
        let [Event::SessionRequested { session, request }] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(request.dialect, Some(Dialect::Draft02));
        assert_eq!(request.headers.len(), 0);
        rig.connection
            .accept(rig.now, *session, Response::default())
            .unwrap();
        let head = ok_head().field("sec-webtransport-http3-draft", "draft02");
        assert_eq!(rig.outputs()[0], write(CONNECT, &head.frame(), false));
    }
}

#[test]
fn chromium_sends_a_grease_capsule_together_with_its_connect() {
    let mut rig = browser(CHROMIUM);
    let grease_capsule = data_frame(&tlv(0x29 * 0x1234 + 0x17, b"grease"));
    let request = connect_request("webtransport");
    rig.feed(CONNECT, &[request, grease_capsule].concat());
    let events = rig.events();
    let [Event::SessionRequested { session, .. }] = events[..] else {
        panic!("{events:?}");
    };
    rig.answer(session);
    // And leaves with a capsule and a FIN at once.
    rig.feed_fin(CONNECT, &hex("00 07 6843 04 00000000"));
    rig.ends(session, by_capsule(0, ""), &[write(CONNECT, b"", true)]);
}

#[test]
fn a_server_that_speaks_only_the_newest_reaches_no_browser() {
    for control in [CHROMIUM, FIREFOX] {
        let mut rig = Rig::before_settings(Side::Server, speaking(Dialect::Draft16));
        rig.feed(2, &hex(control));
        assert_eq!(rig.events(), [Event::Unsupported(Requirement::Dialect)]);
    }
}

#[test]
fn chromium_with_draft_07_switched_on_is_answered_in_it() {
    let entries = [
        (0x01, 65536),
        (0x06, 16384),
        (0x07, 100),
        (DATAGRAM, 1),
        (DATAGRAM_DRAFT04, 1),
        (ENABLED_02, 1),
        (MAX_SESSIONS_07, 16),
    ];
    let yes = Transport::new(Support::Yes);
    let (_, event) = negotiate(Side::Server, Config::default(), yes, &entries);
    assert_eq!(dialect(&event), Some(Dialect::Draft07));
}

/// Safari 26.4 is reported to send only the limits of session flow control.
#[test]
fn safari_is_answered_in_draft_07_by_a_server_that_speaks_everything() {
    let entries = LIMITS.map(|limit| (limit, 100));
    let all = DIALECTS.to_vec();
    assert_eq!(
        asked(&all, &entries, "webtransport"),
        Some(Dialect::Draft07)
    );
}
