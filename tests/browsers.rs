//! What browsers sent to this crate, run again: `tests/fixtures/browsers` says of whom and when.
//!
//! The recordings stand in for the browsers where none is installed: what each means is asserted
//! here, whole and byte by byte, and what this crate does in answer.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks for one event"
)]

use bytes::{Buf, Bytes};
use webtransport_session::{
    Action, CloseReason, CloseVia, ConnectionLost, Deadline, Dialect, Event, Input, Negotiated,
    Output, Protocol, Request, SessionId, StreamId,
    trace::{Reader, Record, Replay, Step},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Browser {
    Chromium,
    Firefox,
}

use Browser::{Chromium, Firefox};

struct Recording {
    browser: Browser,
    name: &'static str,
    file: &'static str,
}

macro_rules! recordings {
    ($($browser:ident $file:literal $name:literal),* $(,)?) => {
        [$(Recording {
            browser: $browser,
            name: $name,
            file: include_str!(concat!("fixtures/browsers/", $file, "-", $name, ".jsonl")),
        }),*]
    };
}

const RECORDINGS: [Recording; 12] = recordings![
    Chromium "chromium" "close",
    Chromium "chromium" "long-message",
    Chromium "chromium" "streams",
    Chromium "chromium" "pagehide",
    Chromium "chromium" "tab-closed",
    Chromium "chromium" "protocols",
    Firefox "firefox" "close",
    Firefox "firefox" "long-message",
    Firefox "firefox" "streams",
    Firefox "firefox" "pagehide",
    Firefox "firefox" "tab-closed",
    Firefox "firefox" "protocols",
];

/// The one session of each recording.
fn session() -> SessionId {
    SessionId::try_from(StreamId::from(0)).unwrap()
}

impl Recording {
    fn records(&self) -> Vec<Record> {
        let reader = Reader::new(self.file.as_bytes()).unwrap();
        reader.collect::<Result<_, _>>().unwrap()
    }

    fn outputs(&self, records: impl IntoIterator<Item = Record>) -> Vec<Output> {
        let reader = Reader::new(self.file.as_bytes()).unwrap();
        let mut replay = Replay::new(reader.header());
        let outputs = records.into_iter().flat_map(|record| replay.step(record));
        outputs.collect()
    }

    /// The events that the server's application was given.
    fn events(&self, records: impl IntoIterator<Item = Record>) -> Vec<Event> {
        let outputs = self.outputs(records).into_iter();
        let events = outputs.filter_map(|output| match output {
            Output::Event(event) => Some(event),
            Output::Action(_) => None,
        });
        events.collect()
    }

    /// What the server did to QUIC. Reading on is left out, which goes by the pieces that came.
    fn actions(&self, records: impl IntoIterator<Item = Record>) -> Vec<Action> {
        let outputs = self.outputs(records).into_iter();
        let actions = outputs.filter_map(|output| match output {
            Output::Event(_) | Output::Action(Action::Read { .. }) => None,
            Output::Action(action) => Some(action),
        });
        actions.collect()
    }

    /// As far as before the end of the session, by the browser or by silence.
    fn before_the_end(&self) -> Vec<Record> {
        let mut is_answered = false;
        let goes_on = |record: &Record| match &record.step {
            Step::Accept { .. } => {
                is_answered = true;
                true
            }
            Step::Input(Input::StreamData { stream, .. }) => {
                !is_answered || *stream != session().connect_stream()
            }
            Step::Input(Input::Timeout) => false,
            _ => true,
        };
        self.records().into_iter().take_while(goes_on).collect()
    }

    /// What came on a stream, as it was read.
    fn pieces(&self, of: StreamId) -> Vec<Bytes> {
        let pieces = self
            .records()
            .into_iter()
            .filter_map(|record| match record.step {
                Step::Input(Input::StreamData { stream, data, .. }) if stream == of => Some(data),
                _ => None,
            });
        pieces.collect()
    }

    /// All that came on a stream.
    fn bytes(&self, of: StreamId) -> Bytes {
        self.pieces(of).concat().into()
    }

    /// Why the session ended.
    fn reason(&self) -> CloseReason {
        let peer = |code, message: &str| CloseReason::Peer {
            code,
            message: message.into(),
            via: CloseVia::Capsule,
        };
        match (self.browser, self.name) {
            (_, "close") => peer(4242, "bye-bye"),
            // 400 were given: the API cuts at 1024 bytes, between characters.
            (_, "long-message") => peer(7, &"€".repeat(341)),
            (_, "streams") => peer(5, "streams"),
            (_, "pagehide") => peer(77, "pagehide"),
            (Chromium, "tab-closed") | (_, "protocols") => peer(0, ""),
            // It says nothing.
            (Firefox, "tab-closed") => CloseReason::TimedOut(Deadline::Inactivity),
            (_, other) => panic!("{other}"),
        }
    }
}

/// Takes a QUIC varint.
fn varint(bytes: &mut Bytes) -> u64 {
    let len = 1 << (bytes[0] >> 6);
    let mut value = u64::from(bytes.get_u8() & 0x3f);
    for _ in 1..len {
        value = value << 8 | u64::from(bytes.get_u8());
    }
    value
}

/// Takes a type, a length and so many bytes.
fn tlv(bytes: &mut Bytes) -> (u64, Bytes) {
    let kind = varint(bytes);
    let len = usize::try_from(varint(bytes)).unwrap();
    (kind, bytes.split_to(len))
}

/// What was done to the CONNECT stream, behind the answer to the request.
fn behind_the_answer(actions: &[Action]) -> Vec<Action> {
    let of_stream = actions.iter().filter(|action| match action {
        Action::Write { stream, .. }
        | Action::Reset { stream, .. }
        | Action::StopSending { stream, .. } => *stream == session().connect_stream(),
        _ => false,
    });
    let mut of_stream = of_stream.cloned();
    let Some(Action::Write { mut data, fin, .. }) = of_stream.next() else {
        panic!("no answer in {actions:?}");
    };
    assert_eq!(tlv(&mut data).0, 0x01, "HEADERS");
    assert!(!data.has_remaining() && !fin);
    of_stream.collect()
}

/// A DATA frame with WT_CLOSE_SESSION, and FIN: by hand.
fn close_and_fin(code: u32, message: &str) -> Action {
    let len = u8::try_from(4 + message.len()).unwrap();
    let mut bytes = vec![0x00, 3 + len, 0x68, 0x43, len];
    bytes.extend(code.to_be_bytes());
    bytes.extend(message.as_bytes());
    Action::Write {
        stream: session().connect_stream(),
        data: bytes.into(),
        fin: true,
    }
}

fn requests(events: &[Event]) -> Vec<&Request> {
    let requests = events.iter().filter_map(|event| match event {
        Event::SessionRequested { request, .. } => Some(&**request),
        _ => None,
    });
    requests.collect()
}

#[test]
fn each_browser_negotiates_the_dialect_of_draft_02() {
    for recording in &RECORDINGS {
        let events = recording.events(recording.records());
        let Some(Event::Ready(Negotiated {
            dialect,
            flow_control,
            ..
        })) = events.first()
        else {
            panic!("{}: {:?}", recording.name, events.first());
        };
        assert_eq!(*dialect, Some(Dialect::Draft02));
        assert!(!flow_control);
    }
}

#[test]
fn the_settings_are_those_that_the_dialects_are_chosen_by() {
    for recording in &RECORDINGS {
        let mut control = recording.bytes(StreamId::from(2));
        assert_eq!(varint(&mut control), 0x00, "a control stream");
        let (kind, mut settings) = tlv(&mut control);
        assert_eq!(kind, 0x04, "SETTINGS");
        let mut known = Vec::new();
        let mut grease = 0;
        while settings.has_remaining() {
            match (varint(&mut settings), varint(&mut settings)) {
                // RFC 9114 §7.2.4.1: "0x1f * N + 0x21 for non-negative integer values of N"
                (id, _) if id >= 0x21 && (id - 0x21) % 0x1f == 0 => grease += 1,
                setting => known.push(setting),
            }
        }
        let expected: &[_] = match recording.browser {
            Chromium => &[
                (0x01, 65536),
                (0x06, 16384),
                (0x07, 100),
                (0x33, 1),
                (0xff_d277, 1),
                (0x2b60_3742, 1),
            ],
            Firefox => &[
                (0x01, 65536),
                (0x07, 20),
                (0x2b60_3742, 1),
                (0xff_d277, 1),
                (0x33, 1),
                (0x08, 1),
            ],
        };
        assert_eq!(
            known, expected,
            "{:?} {}",
            recording.browser, recording.name
        );
        let expected = match recording.browser {
            Chromium => 1,
            Firefox => 0,
        };
        assert_eq!(
            grease, expected,
            "{:?} {}",
            recording.browser, recording.name
        );
        // Behind them a frame of a reserved type, which harms nobody.
        let (kind, _) = tlv(&mut control);
        assert_eq!((kind - 0x21) % 0x1f, 0);
    }
}

#[test]
fn each_request_is_read_with_its_path_origin_and_fields() {
    for recording in &RECORDINGS {
        let name = recording.name;
        let events = recording.events(recording.records());
        let requests = requests(&events);
        let [request] = requests[..] else {
            panic!("{name}: {requests:?}");
        };
        let path = if name == "protocols" {
            "/echo"
        } else {
            "/quiet"
        };
        assert_eq!(request.path(), path, "{name}");
        assert_eq!(request.dialect, Some(Dialect::Draft02));
        let authority = request.uri.authority().unwrap();
        assert_eq!(authority.host(), "127.0.0.1");
        let origin = request.origin.as_ref().unwrap().to_str().unwrap();
        assert!(origin.starts_with("http://127.0.0.1:"), "{origin}");
        assert!(request.origin_is_any_of(&[origin]));
        let agent = request.headers.get("user-agent");
        let agent = agent.map(|agent| agent.to_str().unwrap());
        match recording.browser {
            Chromium => assert_eq!(agent, None),
            Firefox => assert!(agent.unwrap().contains("Firefox/"), "{agent:?}"),
        }
        // What is the dialect's is none of the application's business.
        assert!(
            request
                .headers
                .keys()
                .all(|name| !name.as_str().contains("webtransport"))
        );
    }
}

#[test]
fn protocols_are_negotiated_with_the_browser_that_offers_them() {
    let names = ["game-1", "game-2"].map(|name| Protocol::try_from(name).unwrap());
    for recording in RECORDINGS
        .iter()
        .filter(|recording| recording.name == "protocols")
    {
        let events = recording.events(recording.records());
        let opened = events.iter().find_map(|event| match event {
            Event::SessionOpened { response, .. } => Some(&response.protocol),
            _ => None,
        });
        let (offered, chosen): (&[_], _) = match recording.browser {
            Chromium => (&names, Some(names[1].clone())),
            Firefox => (&[], None),
        };
        assert_eq!(requests(&events)[0].protocols, offered);
        assert_eq!(opened, Some(&chosen));
    }
}

#[test]
fn a_session_ends_once_with_the_reason_that_the_page_gave() {
    for recording in &RECORDINGS {
        let events = recording.events(recording.records());
        let closed = Event::SessionClosed {
            session: session(),
            reason: recording.reason(),
        };
        let of_session: Vec<_> = events
            .iter()
            .filter(|event| event.session() == Some(session()))
            .collect();
        let ends = |event: &&&Event| matches!(event, Event::SessionClosed { .. });
        assert_eq!(of_session.iter().filter(ends).count(), 1);
        assert_eq!(
            of_session.last(),
            Some(&&closed),
            "{:?} {}",
            recording.browser,
            recording.name
        );
    }
}

#[test]
fn firefox_closes_the_connection_behind_the_end_of_its_session_and_chromium_does_not() {
    for recording in &RECORDINGS {
        let events = recording.events(recording.records());
        let lost = events.iter().find_map(|event| match event {
            Event::ConnectionClosed { reason } => Some(reason),
            _ => None,
        });
        match recording.browser {
            Chromium => assert_eq!(lost, None),
            // Also where the end was ours, of a page that was gone.
            Firefox => assert!(
                matches!(
                    lost,
                    Some(ConnectionLost::PeerApplication { code: 0x100, .. })
                ),
                "{lost:?}"
            ),
        }
    }
}

#[test]
fn a_grease_capsule_comes_with_the_request_and_is_skipped() {
    for recording in RECORDINGS.iter().filter(|of| of.browser == Chromium) {
        let mut pieces = recording.pieces(session().connect_stream()).into_iter();
        let mut first = pieces.next().unwrap();
        let (kind, _) = tlv(&mut first);
        assert_eq!(kind, 0x01, "HEADERS");
        let (kind, mut data) = tlv(&mut first);
        assert_eq!(kind, 0x00, "DATA");
        let (kind, _) = tlv(&mut data);
        // RFC 9297 §5.4: "0x29 * N + 0x17 for integer values of N"
        assert_eq!((kind - 0x17) % 0x29, 0);
        assert!(!data.has_remaining() && !first.has_remaining());
    }
}

#[test]
fn the_close_capsule_is_one_data_frame_with_the_last_of_the_stream() {
    for recording in &RECORDINGS {
        let CloseReason::Peer { code, message, .. } = recording.reason() else {
            continue;
        };
        let mut stream = recording.bytes(session().connect_stream());
        let mut last = None;
        while stream.has_remaining() {
            last = Some(tlv(&mut stream));
        }
        let (kind, mut data) = last.unwrap();
        assert_eq!(kind, 0x00, "DATA");
        let (kind, mut body) = tlv(&mut data);
        assert_eq!(kind, 0x2843, "WT_CLOSE_SESSION");
        assert!(!data.has_remaining());
        assert_eq!(body.get_u32(), code);
        assert_eq!(body, message.as_str().as_bytes());
    }
}

#[test]
fn streams_that_the_browser_abandons_with_its_session_have_no_code() {
    for recording in RECORDINGS
        .iter()
        .filter(|recording| recording.name == "streams")
    {
        let events = recording.events(recording.records());
        let opened = |event: &&Event| matches!(event, Event::StreamOpened { .. });
        assert_eq!(events.iter().filter(opened).count(), 8);
        let mut received = 0;
        for event in &events {
            match event {
                Event::StreamData { data, fin, .. } => {
                    assert!(!fin);
                    received += data.len();
                }
                // Chromium 0x10f, Firefox 0x10c: those are HTTP/3's.
                Event::StreamReset { code, .. } | Event::StreamStopped { code, .. } => {
                    assert_eq!(*code, None);
                }
                _ => {}
            }
        }
        assert_eq!(received, 8 * 3);
    }
}

#[test]
fn our_settings_come_first_and_nothing_else_goes_to_the_control_stream() {
    for recording in &RECORDINGS {
        let actions = recording.actions(recording.records());
        let control = StreamId::from(3);
        let of_control =
            |action: &&Action| matches!(action, Action::Write { stream, .. } if *stream == control);
        assert_eq!(actions.iter().filter(of_control).count(), 1);
        let Action::Write { stream, data, fin } = &actions[0] else {
            panic!("{:?}", actions[0]);
        };
        assert_eq!((*stream, *fin), (control, false));
        let mut data = data.clone();
        assert_eq!(varint(&mut data), 0x00, "a control stream");
        let (kind, mut settings) = tlv(&mut data);
        assert_eq!(kind, 0x04, "SETTINGS");
        assert!(!data.has_remaining());
        let mut known = Vec::new();
        while settings.has_remaining() {
            known.push((varint(&mut settings), varint(&mut settings)));
        }
        let expected = [
            (0x08, 1),
            (0x33, 1),
            (0xff_d277, 1),
            // Each dialect's own, of which both browsers know the first.
            (0x2b60_3742, 1),
            (0x2b60_3743, 16),
            (0xc671_706a, 1),
            (0x2c7c_f000, 1),
            (0x06, 16384),
        ];
        assert_eq!(known, expected);
    }
}

#[test]
fn the_close_of_a_browser_is_answered_with_fin_and_nothing_else() {
    for recording in &RECORDINGS {
        if recording.reason() == CloseReason::TimedOut(Deadline::Inactivity) {
            continue;
        }
        // §6: "The recipient MUST either close or reset the stream in response."
        let fin = Action::Write {
            stream: session().connect_stream(),
            data: Bytes::new(),
            fin: true,
        };
        let actions = recording.actions(recording.records());
        assert_eq!(
            behind_the_answer(&actions),
            [fin],
            "{:?} {}",
            recording.browser,
            recording.name
        );
        let before = recording.actions(recording.before_the_end());
        assert_eq!(behind_the_answer(&before), [], "nothing was to be answered");
    }
}

#[test]
fn a_page_that_fell_silent_is_told_of_the_end_with_a_capsule_and_fin() {
    let silent = |of: &&Recording| of.browser == Firefox && of.name == "tab-closed";
    let recording = RECORDINGS.iter().find(silent).unwrap();
    let actions = recording.actions(recording.records());
    assert_eq!(
        behind_the_answer(&actions),
        [close_and_fin(4002, "silence")]
    );
}

#[test]
fn a_close_of_ours_is_a_capsule_and_fin_in_front_of_each_browser() {
    for recording in &RECORDINGS {
        let mut records = recording.before_the_end();
        let at = records.last().unwrap().at;
        let close = Step::Close {
            session: session(),
            code: 0x0102_0304,
            message: "closing time".into(),
        };
        records.push(Record::new(at, close));
        records.push(Record::new(at, Step::Poll { times: 1000 }));
        assert_eq!(
            behind_the_answer(&recording.actions(records)),
            [close_and_fin(0x0102_0304, "closing time")],
            "{:?} {}",
            recording.browser,
            recording.name
        );
    }
}

#[test]
fn what_is_still_open_when_a_session_ends_is_reset_and_stopped() {
    const GONE: u64 = 0x170d_7b68;
    for recording in RECORDINGS.iter().filter(|of| of.name == "streams") {
        let actions = recording.actions(recording.records());
        let mut aborted = Vec::new();
        for action in actions {
            match action {
                Action::Reset { stream, code, .. } => {
                    aborted.push(("reset", u64::from(stream), code))
                }
                Action::StopSending { stream, code } => {
                    aborted.push(("stop", u64::from(stream), code))
                }
                _ => {}
            }
        }
        // §6: "the endpoint MUST reset the send side and abort reading on the receive side of all
        // unidirectional and bidirectional streams associated with the session"
        let (both, received) = ([4, 8, 12, 16], [14, 18, 22, 26]);
        let mut expected = Vec::new();
        match recording.browser {
            Chromium => {
                expected.extend(both.map(|stream| ("reset", stream, GONE)));
                expected.extend(both.map(|stream| ("stop", stream, GONE)));
            }
            // It aborted those before the end of its session, and its STOP_SENDING is answered.
            // RFC 9000 §3.5: "the endpoint SHOULD copy the error code from the STOP_SENDING frame"
            Firefox => expected.extend(both.map(|stream| ("reset", stream, 0x10c))),
        }
        expected.extend(received.map(|stream| ("stop", stream, GONE)));
        aborted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(aborted, expected, "{:?}", recording.browser);
    }
}

#[test]
fn everything_means_the_same_byte_by_byte() {
    // Streams that are given in smaller pieces give more of these.
    let whole = |events: Vec<Event>| {
        let is_whole = |event: &Event| !matches!(event, Event::StreamData { .. });
        events.into_iter().filter(is_whole).collect::<Vec<_>>()
    };
    for recording in &RECORDINGS {
        let mut pieces = Vec::new();
        for record in recording.records() {
            match record.step {
                Step::Input(Input::StreamData { stream, data, fin }) if !data.is_empty() => {
                    for at in 0..data.len() {
                        let input = Input::StreamData {
                            stream,
                            data: data.slice(at..=at),
                            fin: fin && at + 1 == data.len(),
                        };
                        pieces.push(Record::new(record.at, Step::Input(input)));
                    }
                }
                // There may be more to poll now.
                Step::Poll { .. } => {
                    pieces.push(Record::new(record.at, Step::Poll { times: 1000 }));
                }
                step => pieces.push(Record::new(record.at, step)),
            }
        }
        let done_by_byte = recording.actions(pieces.iter().cloned());
        let by_byte = whole(recording.events(pieces));
        let at_once = whole(recording.events(recording.records()));
        assert_eq!(done_by_byte, recording.actions(recording.records()));
        assert_eq!(
            by_byte, at_once,
            "{:?} {}",
            recording.browser, recording.name
        );
    }
}
