//! What was recorded is replayed: the same outputs, byte for byte, from a file.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks for one event"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fastrand::Rng;
use webtransport_session::{
    Action, Config, Connection, Dir, Event, Input, Output, Rejection, Request, Response, SessionId,
    Side, StreamId, Support, Transport,
    testing::{Ending, Link, Pair},
    trace::{Calls, Header, Problem, Reader, Record, Replay, Step, Writer},
};

#[path = "trace/sessions.rs"]
mod sessions;

const SIDES: [Side; 2] = [Side::Client, Side::Server];
/// Payload is made of these.
const MARK: u8 = 0xa7;

// ---- a run that uses everything

/// Both ends from their beginning, recorded.
fn recorded(pair: &mut Pair, configs: [&Config; 2]) {
    let now = pair.now();
    for (side, config) in SIDES.into_iter().zip(configs) {
        let mut connection = connection(&Header::new(side, config.clone()));
        connection.set_recording(true);
        connection.start(now, Transport::new(Support::Yes));
        let permit = connection.protocol_stream().unwrap();
        permit.bind(StreamId::new(side, Dir::Uni, 0));
        pair.end(side).machine = connection;
    }
}

/// A pair, what it did by chance, and what it told.
struct Run {
    pair: Pair,
    dice: Rng,
    configs: [Config; 2],
    events: [Vec<Event>; 2],
    sessions: Vec<SessionId>,
    streams: Vec<StreamId>,
    foreign: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut config = Config::default();
        config.limits.sessions = 3;
        if seed % 3 == 0 {
            config.deadlines.inactivity = Some(Duration::from_millis(700));
        }
        if seed % 4 == 0 {
            config.limits.undelivered_bytes = 300;
        }
        let configs = [config.clone(), config];
        let [client, server] = configs.clone();
        let link = if seed % 10 == 0 {
            Link::perfect()
        } else {
            Link::seeded(seed)
        };
        let mut pair = Pair::with(client, server, link);
        recorded(&mut pair, [&configs[0], &configs[1]]);
        Self {
            pair,
            dice: Rng::with_seed(seed),
            configs,
            events: [Vec::new(), Vec::new()],
            sessions: Vec::new(),
            streams: Vec::new(),
            foreign: 0,
        }
    }

    /// Anything but the end of the connection, sixty times; then that, perhaps.
    fn play(seed: u64) -> Self {
        let mut run = Self::new(seed);
        for _ in 0..60 {
            run.turn();
            run.listen();
        }
        let side = run.dice.choice(SIDES).unwrap();
        match seed % 5 {
            0 => run.pair.shutdown(side, 3, "closing time"),
            1 => run.pair.close_connection(side, 9, "enough"),
            2 => run.pair.link.cut(),
            3 => run.connection(side).go_away(),
            _ => {}
        }
        run.pair.wait(Duration::from_secs(40));
        run.listen();
        run
    }

    fn connection(&mut self, side: Side) -> &mut Connection {
        &mut self.pair.end(side).machine
    }

    fn turn(&mut self) {
        let (now, side) = (self.pair.now(), self.dice.choice(SIDES).unwrap());
        let session = self.session();
        let stream = self.stream();
        let dir = self.dice.choice([Dir::Bi, Dir::Uni]).unwrap();
        let code = self.dice.u32(..1000);
        let payload = vec![MARK; 1 + self.dice.usize(..200)];
        match self.dice.usize(..27) {
            0 => {
                let mut request = Request::new("https://example.org/a?b".parse().unwrap())
                    .protocols(["p".try_into().unwrap()]);
                request.headers.append("x", "y".parse().unwrap());
                self.sessions.extend(self.pair.connect(&request));
            }
            1 => {
                let request = Request::new("https://example.org/".parse().unwrap());
                drop(self.connection(side).connect(now, &request));
            }
            2..5 => self
                .streams
                .extend(self.pair.open_stream(side, session, dir)),
            5 => drop(self.connection(side).open(session, dir)),
            6..10 => drop(self.pair.write(side, stream, &payload)),
            10 => drop(self.connection(side).credit(stream)),
            11 => {
                if let Ok(credit) = self.connection(side).credit(stream) {
                    credit.spend(0);
                }
            }
            12..15 => drop(self.pair.send_datagram(side, session, &payload)),
            15 => drop(self.connection(side).finish(stream)),
            16 => drop(self.connection(side).reset(stream, code)),
            17 => drop(self.connection(side).stop(stream, code)),
            18 => self.connection(side).pause(stream),
            19 => self.connection(side).resume(stream),
            20 => self.connection(side).drain(session),
            21 => self.connection(side).close(now, session, code, "bye"),
            22 => self.foreign(side, &payload),
            // Tells of those that were refused, and of permits that were dropped.
            23 => self.pair.send_as(side, Input::StreamsAvailable { dir }),
            _ => {
                let millis = self.dice.u64(..60);
                self.pair.wait(Duration::from_millis(millis));
            }
        }
    }

    /// A stream that is none of ours, of a type that nobody knows or of a session.
    fn foreign(&mut self, side: Side, payload: &[u8]) {
        self.foreign += 1;
        let stream = StreamId::new(side, Dir::Uni, 100 + self.foreign);
        let head = self
            .dice
            .choice([&b"\x21"[..], b"\x40\x54\x00", b"\x40\x54\x04"])
            .unwrap();
        let data = [head, payload].concat().into();
        let fin = self.foreign % 2 == 0;
        self.pair
            .send_as(side, Input::StreamData { stream, data, fin });
    }

    fn session(&mut self) -> SessionId {
        let bogus = SessionId::try_from(StreamId::from(8)).unwrap();
        let at = self.dice.usize(..self.sessions.len() + 1);
        self.sessions.get(at).copied().unwrap_or(bogus)
    }

    fn stream(&mut self) -> StreamId {
        let at = self.dice.usize(..self.streams.len() + 1);
        let bogus = self.dice.u64(..40);
        self.streams.get(at).copied().unwrap_or(bogus.into())
    }

    /// Keeps the events, and answers requests one way or another.
    fn listen(&mut self) {
        let now = self.pair.now();
        for (side, at) in [(Side::Client, 0), (Side::Server, 1)] {
            for event in self.pair.end(side).take_events() {
                match &event {
                    Event::StreamOpened { stream, .. } => self.streams.push(*stream),
                    Event::SessionRequested { session, .. } => {
                        let (session, answer) = (*session, self.dice.usize(..6));
                        let server = self.connection(side);
                        match answer {
                            0 => {}
                            1 => {
                                let status = http::StatusCode::FORBIDDEN;
                                let rejection = Rejection::from(status);
                                let _left_meanwhile = server.reject(now, session, rejection);
                            }
                            _ => {
                                let response = Response::default();
                                let response = response.protocol("p".try_into().unwrap());
                                let _left_meanwhile = server.accept(now, session, response);
                            }
                        }
                    }
                    _ => {}
                }
                self.events[at].push(event);
            }
        }
    }

    fn take(&mut self, side: Side) -> (Header, Vec<Record>) {
        let config = match side {
            Side::Client => &self.configs[0],
            Side::Server => &self.configs[1],
        };
        let header = Header::new(side, config.clone());
        (header, self.connection(side).take_trace())
    }
}

// ---- there and back

fn written(header: &Header, records: &[Record], payload: bool) -> Vec<u8> {
    let writer = Writer::new(Vec::new(), header.side, &header.config).unwrap();
    with_records(writer.with_payload(payload), records)
}

/// Writes these, and gives the file.
fn with_records<S: Calls>(mut writer: Writer<Vec<u8>, S>, records: &[Record<S>]) -> Vec<u8> {
    // In two pieces, as a server would.
    let (front, back) = records.split_at(records.len() / 2);
    writer.write(front).unwrap();
    writer.write(back).unwrap();
    writer.into_inner()
}

fn read(file: &[u8]) -> (Header, Vec<Record>) {
    let reader = Reader::new(file).unwrap();
    let header = reader.header().clone();
    (header, reader.map(Result::unwrap).collect())
}

/// What came out, and what a recorder of the replay made of it.
fn replayed(header: &Header, records: &[Record]) -> (Vec<Output>, Vec<Record>) {
    let mut replay = Replay::new(header);
    replay.connection().set_recording(true);
    let outputs = records
        .iter()
        .flat_map(|record| replay.step(record.clone()))
        .collect();
    (outputs, replay.connection().take_trace())
}

/// The lines about one end, without times and remarks.
fn lines(script: &str, side: Side) -> Vec<&str> {
    let side = match side {
        Side::Client => " ms client ",
        Side::Server => " ms server ",
    };
    let lines = script.lines().filter_map(|line| line.split_once(side));
    lines
        .map(|(_, line)| line)
        .filter(|line| !line.starts_with("--"))
        .collect()
}

fn events(outputs: &[Output]) -> Vec<Event> {
    let events = outputs.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event.clone()),
        Output::Action(_) => None,
    });
    events.collect()
}

/// The same without what applications said to each other.
fn without_payload(mut outputs: Vec<Output>) -> Vec<Output> {
    for output in &mut outputs {
        if let Output::Event(
            Event::StreamData { data, .. } | Event::DatagramReceived { payload: data, .. },
        ) = output
        {
            *data = vec![0; data.len()].into();
        }
    }
    outputs
}

fn data(input: &Input) -> Option<&Bytes> {
    match input {
        Input::StreamData { data, .. } | Input::DatagramReceived { data } => Some(data),
        _ => None,
    }
}

/// That the redacted file has the same records, but for bytes that became zeros.
fn assert_alike(records: &[Record], redacted: &[Record]) {
    assert_eq!(records.len(), redacted.len());
    for (record, redacted) in records.iter().zip(redacted) {
        let (mut record, zeroed) = (record.clone(), redacted);
        if let (Step::Input(input), Step::Input(zeroed)) = (&mut record.step, &zeroed.step) {
            if let (Some(bytes), Some(zeros)) = (data(input), data(zeroed)) {
                assert_eq!(bytes.len(), zeros.len());
                for (byte, zero) in bytes.iter().zip(zeros) {
                    assert!(byte == zero || *zero == 0);
                }
                let zeros = zeros.clone();
                if let Input::StreamData { data, .. } | Input::DatagramReceived { data } = input {
                    *data = zeros;
                }
            }
        }
        assert_eq!(record, *redacted);
    }
}

fn contains(file: &[u8], digits: &str) -> bool {
    file.windows(digits.len())
        .any(|window| window == digits.as_bytes())
}

#[test]
fn a_replay_from_a_file_gives_what_the_pair_gave() {
    let mut kinds = Vec::new();
    let mut has_payload = 0;
    for seed in 0..300 {
        let mut run = Run::play(seed);
        for (at, side) in SIDES.into_iter().enumerate() {
            let (header, records) = run.take(side);
            let file = written(&header, &records, true);
            let (read_header, read_records) = read(&file);
            assert_eq!(read_header, header);
            assert_eq!(read_records, records, "seed {seed}");

            let (outputs, again) = replayed(&header, &read_records);
            assert_eq!(again, records, "seed {seed}");
            assert_eq!(events(&outputs), run.events[at], "seed {seed}");
            let (script, complete) = Replay::run(Reader::new(file.as_slice()).unwrap());
            complete.unwrap();
            let live = run.pair.script().to_string();
            assert_eq!(
                lines(&script.to_string(), side),
                lines(&live, side),
                "seed {seed}"
            );

            let redacted = written(&header, &records, false);
            assert!(!contains(&redacted, "a7a7"), "seed {seed}");
            has_payload += usize::from(contains(&file, "a7a7"));
            let (_, zeroed) = read(&redacted);
            assert_alike(&records, &zeroed);
            let (quiet, _) = replayed(&header, &zeroed);
            assert_eq!(quiet, without_payload(outputs), "seed {seed}");
            kinds.extend(records.iter().map(kind));
        }
    }
    assert!(has_payload > 300, "of 600: {has_payload}");
    kinds.sort_unstable();
    kinds.dedup();
    // All but what no pair calls, and what is never recorded.
    assert_eq!(kinds.len(), 23, "{kinds:?}");
}

/// Which call, and what became of it.
fn kind(record: &Record) -> &'static str {
    match &record.step {
        Step::Start { .. } => "start",
        Step::ProtocolStream { .. } => "protocol stream",
        Step::Missed => "missed",
        Step::Input(_) => "input",
        Step::Poll { .. } => "poll",
        Step::PollAction { .. } => "poll_action",
        Step::Connect { bound: Some(_), .. } => "connect",
        Step::Connect { bound: None, .. } => "connect, dropped",
        Step::Open {
            bound: Some(_),
            dir: Dir::Bi,
            ..
        } => "open a bidirectional stream",
        Step::Open {
            bound: Some(_),
            dir: Dir::Uni,
            ..
        } => "open a unidirectional stream",
        Step::Open {
            bound: None,
            dir: Dir::Bi,
            ..
        } => "open a bidirectional stream, dropped",
        Step::Open {
            bound: None,
            dir: Dir::Uni,
            ..
        } => "open a unidirectional stream, dropped",
        Step::Credit { spent: Some(0), .. } => "credit of which nothing was spent",
        Step::Credit { spent: Some(_), .. } => "credit",
        Step::Credit { spent: None, .. } => "credit, dropped",
        Step::Accept { response, .. } if response.protocol.is_some() => "accept with a protocol",
        Step::Accept { .. } => "accept",
        Step::Reject { .. } => "reject",
        Step::Drain { .. } => "drain",
        Step::Close { .. } => "close",
        Step::GoAway => "go_away",
        Step::Shutdown { .. } => "shutdown",
        Step::Finish { .. } => "finish",
        Step::Reset { .. } => "reset",
        Step::Stop { .. } => "stop",
        Step::Pause { .. } => "pause",
        Step::Resume { .. } => "resume",
    }
}

#[test]
fn any_calls_in_any_order_are_replayed_byte_for_byte() {
    let mut polls = 0;
    for seed in 0..300 {
        let mut run = Run::play(seed);
        let mut dice = Rng::with_seed(seed + 1000);
        for side in SIDES {
            let (header, records) = run.take(side);
            let mut live = connection(&header);
            live.set_recording(true);
            let outputs = applied(&mut live, shaken(&mut dice, records), &mut dice);
            let records = live.take_trace();
            polls += records.iter().filter(|r| kind(r) == "poll_action").count();

            let (header, read) = read(&written(&header, &records, true));
            assert_eq!(read, records, "seed {seed}");
            let (again, recorded) = replayed(&header, &read);
            assert_eq!(again, outputs, "seed {seed}");
            assert_eq!(recorded, records, "seed {seed}");

            let (_, zeroed) = self::read(&written(&header, &records, false));
            assert_alike(&records, &zeroed);
            let (quiet, _) = replayed(&header, &zeroed);
            assert_eq!(
                without_payload(quiet),
                without_payload(outputs),
                "seed {seed}"
            );
        }
    }
    assert!(polls > 300);
}

fn connection(header: &Header) -> Connection {
    let config = Arc::new(header.config.clone());
    match header.side {
        Side::Client => Connection::client(config),
        Side::Server => Connection::server(config),
    }
}

/// Steps that are left out, come twice, change places or go to another stream.
fn shaken(dice: &mut Rng, records: Vec<Record>) -> Vec<Record> {
    let mut shaken = Vec::new();
    for record in records {
        match dice.usize(..30) {
            0 => {}
            1 => shaken.extend([record.clone(), record]),
            2 => shaken.insert(dice.usize(..shaken.len() + 1), record),
            3 => {
                let mut record = record;
                if let Step::Input(Input::StreamData { stream, .. })
                | Step::Connect {
                    bound: Some(stream),
                    ..
                }
                | Step::Open {
                    bound: Some(stream),
                    ..
                } = &mut record.step
                {
                    *stream = dice.u64(..24).into();
                }
                shaken.push(record);
            }
            _ => shaken.push(record),
        }
    }
    shaken
}

/// Makes the calls, with some polls of the other kind.
fn applied(live: &mut Connection, records: Vec<Record>, dice: &mut Rng) -> Vec<Output> {
    let now = now();
    let mut outputs = Vec::new();
    for record in records {
        let at = now + record.at;
        if dice.usize(..4) == 0 {
            outputs.extend(Step::PollAction { times: 1 }.apply(at, live));
        }
        outputs.extend(record.step.apply(at, live));
    }
    outputs
}

#[expect(clippy::disallowed_methods, reason = "an origin")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn every_ending_is_replayed() {
    for ending in Ending::all() {
        for &side in ending.sides() {
            let mut pair = ending.pair(side, Link::seeded(5));
            let configs = [ending.config(), ending.config()];
            recorded(&mut pair, [&configs[0], &configs[1]]);
            let session = pair.play(side, &ending);
            pair.wait(ending.duration());
            let header = Header::new(side, ending.config());
            let records = pair.end(side).machine.take_trace();
            let told = pair.end(side).take_events();
            for payload in [true, false] {
                let (header, records) = read(&written(&header, &records, payload));
                let (outputs, _) = replayed(&header, &records);
                let again = events(&outputs);
                assert!(again.ends_with(&told), "{} {session}", ending.id());
            }
        }
    }
}

// ---- files that are not whole

/// A short recording, and its file.
fn short() -> (Vec<Record>, Vec<u8>) {
    let mut run = Run::new(0);
    let request = Request::new("https://example.org/".parse().unwrap());
    run.pair.run();
    let session = run.pair.connect(&request).unwrap();
    run.pair.run();
    run.pair.accept(session, Response::default());
    run.pair.run();
    run.pair
        .send_datagram(Side::Client, session, b"x=1")
        .unwrap();
    let stream = run
        .pair
        .open_stream(Side::Client, session, Dir::Uni)
        .unwrap();
    run.pair
        .write(Side::Client, stream, b"some payload")
        .unwrap();
    run.pair.close(Side::Client, session, 7, "bye");
    run.pair.run();
    let (header, records) = run.take(Side::Server);
    let file = written(&header, &records, false);
    (records, file)
}

#[test]
fn a_file_that_was_cut_gives_what_is_whole_and_names_the_line() {
    let (records, file) = short();
    let whole = read(&file).1.len();
    assert_eq!(whole, records.len());
    let transcript = Replay::run(Reader::new(file.as_slice()).unwrap()).0;
    let transcript = transcript.to_string();
    let mut ends_of_lines = 0;
    for len in 1..=file.len() {
        let cut = &file[..len];
        let is_whole = cut.ends_with(b"\n");
        let before = cut.iter().filter(|&&byte| byte == b'\n').count();
        let reader = match Reader::new(cut) {
            Ok(reader) => reader,
            Err(error) => {
                assert_eq!((before, error.line), (0, 1), "{error}");
                assert!(matches!(error.problem, Problem::Truncated), "{error}");
                continue;
            }
        };
        let (script, complete) = Replay::run(reader);
        assert!(transcript.starts_with(&script.to_string()));
        if is_whole {
            ends_of_lines += 1;
            complete.unwrap();
            continue;
        }
        let error = complete.unwrap_err();
        let line = before + 1;
        assert_eq!(
            error.to_string(),
            format!("line {line}: cut off: the file ends here, inside of a line")
        );
        assert_eq!(Reader::new(cut).unwrap().count(), before);
    }
    assert_eq!(ends_of_lines, whole + 1);
}

#[test]
fn a_line_that_was_damaged_is_named() {
    let (_, file) = short();
    let lines: Vec<_> = file.split_inclusive(|&byte| byte == b'\n').collect();
    for damaged in 1..lines.len() {
        let mut lines = lines.clone();
        lines[damaged] = b"{\"at\":oops}\n";
        let (_, complete) = Replay::run(Reader::new(&*lines.concat()).unwrap());
        let error = complete.unwrap_err();
        assert_eq!(error.line, u64::try_from(damaged).unwrap() + 1);
        assert!(matches!(error.problem, Problem::Malformed(_)), "{error}");
    }
}

#[test]
fn a_hostile_file_is_replayed_without_harm() {
    let header = r#"{"webtransport-session-trace":1,"side":"client","config":{}}"#;
    let max = u64::MAX;
    let records = [
        format!(
            r#"{{"at":{max},"step":{{"Start":{{"transport":{{"datagrams":"No","reset_stream_at":"Yes","peer_reset_stream_at":"No","stream_receive_window":{max}}}}}}}}}"#
        ),
        format!(r#"{{"at":0,"step":{{"Poll":{{"times":{max}}}}}}}"#),
        format!(r#"{{"at":1,"step":{{"Credit":{{"stream":{max},"spent":{max}}}}}}}"#),
        format!(r#"{{"at":1,"step":{{"Open":{{"session":0,"dir":"Bi","bound":{max}}}}}}}"#),
        format!(
            r#"{{"at":1,"step":{{"Input":{{"Written":{{"stream":{max},"len":{max},"fin":true}}}}}}}}"#
        ),
        r#"{"at":1,"step":{"Input":"Timeout"}}"#.to_string(),
    ];
    let file = format!("{header}\n{}\n", records.join("\n"));
    let (_, complete) = Replay::run(Reader::new(file.as_bytes()).unwrap());
    complete.unwrap();
    let (header, records) = read(file.as_bytes());
    assert_eq!(read(&written(&header, &records, false)).1, records);
}

// ---- another process

/// The files were recorded once, by other processes: this one gives the same transcripts. `chromium`
/// is a player of the arena in Chromium 156 whose tab was closed, recorded without payload.
#[test]
fn a_recording_of_another_process_gives_its_transcript() {
    let close = (
        include_str!("fixtures/close.jsonl"),
        include_str!("fixtures/close.txt"),
    );
    let chromium = (
        include_str!("fixtures/chromium.jsonl"),
        include_str!("fixtures/chromium.txt"),
    );
    for (file, transcript) in [close, chromium] {
        let (script, complete) = Replay::run(Reader::new(file.as_bytes()).unwrap());
        complete.unwrap();
        assert_eq!(script.to_string(), transcript);
    }
    let end = "SessionClosed 0: closed by the peer with code 0";
    assert!(chromium.1.trim_end().ends_with(end));
}

// ---- what only some connections have

#[test]
fn grease_and_remembered_settings_are_in_the_recording() {
    let server = |limit: u32| {
        let mut config = Config::default();
        config.limits.sessions = limit;
        config
    };
    let known = {
        let mut pair = Pair::with(Config::default(), server(16), Link::perfect());
        pair.run();
        pair.client.machine.remembered_settings().unwrap()
    };
    let mut config = Config::default();
    config.grease = Some(7);
    let mut client = Connection::client_resuming(Arc::new(config.clone()), known);
    client.set_recording(true);
    let mut transport = Transport::new(Support::Yes);
    transport.early_data_accepted = true;
    #[expect(clippy::disallowed_methods, reason = "an origin; only offsets matter")]
    let now = Instant::now();
    client.start(now, transport);
    client.protocol_stream().unwrap().bind(2.into());
    client.protocol_stream().unwrap().bind(6.into());
    // Fewer sessions than it had said.
    let mut pair = Pair::with(Config::default(), server(1), Link::perfect());
    pair.server.machine.set_recording(true);
    let settings = match pair.server.machine.poll().unwrap() {
        Output::Action(Action::Write { data, .. }) => data,
        output => panic!("{output:?}"),
    };
    client.handle(
        now,
        Input::StreamData {
            stream: 3.into(),
            data: settings,
            fin: false,
        },
    );
    let live: Vec<_> = std::iter::from_fn(|| client.poll()).collect();
    let lost = |output: &Output| matches!(output, Output::Event(Event::ConnectionClosed { .. }));
    assert!(live.iter().any(lost), "{live:?}");

    let mut file = Vec::new();
    let writer = Writer::new(&mut file, Side::Client, &config).unwrap();
    let mut writer = writer.with_payload(true);
    writer.write(&client.take_trace()).unwrap();
    let reader = Reader::new(file.as_slice()).unwrap();
    let mut replay = Replay::new(reader.header());
    let again = reader.flat_map(|record| replay.step(record.unwrap()));
    assert_eq!(again.collect::<Vec<_>>(), live);
}

// ---- from later on

const SECRET: &[u8] = b"SECRETPAYLOAD";

/// A stream that was open before carries this; the file without payload, and what a reader says.
fn from_later_on(forgets: fn(&mut Pair)) -> (String, Option<Problem>) {
    let mut pair = Pair::recorded(Config::default(), Config::default(), Link::perfect());
    let session = pair.open_session();
    let stream = pair.open_stream(Side::Client, session, Dir::Bi).unwrap();
    pair.write(Side::Client, stream, b"x").unwrap();
    pair.run();
    forgets(&mut pair);
    pair.write(Side::Client, stream, SECRET).unwrap();
    pair.run();
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, Side::Server, &Config::default()).unwrap();
    writer.write(&pair.server.machine.take_trace()).unwrap();
    let complete = Replay::run(Reader::new(file.as_slice()).unwrap()).1;
    let text = String::from_utf8(file).unwrap();
    (text, complete.err().map(|error| error.problem))
}

#[test]
fn a_recording_from_later_on_says_so_and_holds_no_payload_either() {
    let hex: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
    let (file, problem) = from_later_on(|pair| {
        pair.server.machine.set_recording(false);
        drop(pair.server.machine.take_trace());
        pair.server.machine.set_recording(true);
    });
    assert!(!file.contains(&hex[..8]), "{file}");
    assert!(matches!(problem, Some(Problem::NotFromTheBeginning)));
    // The rest of a recording, in a file of its own.
    let (file, _) = from_later_on(|pair| drop(pair.server.machine.take_trace()));
    assert!(!file.contains(&hex[..8]), "{file}");
    // All of it.
    let (file, problem) = from_later_on(|_| ());
    assert!(!file.contains(&hex[..8]), "{file}");
    assert!(problem.is_none());
}
