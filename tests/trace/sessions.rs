//! The same for sessions alone, without a connection.

use std::sync::Arc;

use fastrand::Rng;
use webtransport_session::{
    Config, Dialect, Dir, FlowControl, Rejection, SessionId, Side, StreamId, Support, Transport,
    session::{Event, Input, Output, Session, Terms},
    testing::{Ending, Link, Pair},
    trace::{Problem, Reader, Record, Replay, SessionHeader, SessionStep, Writer},
};

use super::{Duration, MARK, SIDES, contains, with_records};

/// What a pair gives a session whose peer has this configuration.
fn header(side: Side, config: Config, peer: &Config) -> SessionHeader {
    let id = SessionId::try_from(StreamId::from(0)).unwrap();
    let mut terms = Terms::new(Dialect::Draft16, Transport::new(Support::Yes));
    terms.peer_flow_control = peer.flow_control;
    SessionHeader::new(side, id, terms, config)
}

fn recorded(pair: &mut Pair<Session>) {
    for side in SIDES {
        pair.end(side).machine.set_recording(true);
    }
}

fn written(header: &SessionHeader, records: &[Record<SessionStep>], payload: bool) -> Vec<u8> {
    let writer = Writer::of_session(Vec::new(), header).unwrap();
    with_records(writer.with_payload(payload), records)
}

fn read(file: &[u8]) -> (SessionHeader, Vec<Record<SessionStep>>) {
    let reader = Reader::of_session(file).unwrap();
    let header = reader.header().clone();
    (header, reader.map(Result::unwrap).collect())
}

/// What came out, and what a recorder of the replay made of it.
fn replayed(
    header: &SessionHeader,
    records: &[Record<SessionStep>],
) -> (Vec<Output>, Vec<Record<SessionStep>>) {
    let mut replay = Replay::of_session(header);
    replay.session().set_recording(true);
    let outputs = records
        .iter()
        .flat_map(|record| replay.step(record.clone()))
        .collect();
    (outputs, replay.session().take_trace())
}

fn events(outputs: &[Output]) -> Vec<Event> {
    let events = outputs.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event.clone()),
        Output::Action(_) => None,
    });
    events.collect()
}

/// What came out at one end, by a transcript. That of a pair speaks of QUIC's streams, of which the
/// CONNECT stream is 0: so does this.
fn outputs(script: &str, side: Side) -> Vec<String> {
    let lines = super::lines(script, side).into_iter();
    lines
        .filter(|line| !line.starts_with("<-"))
        .map(|line| {
            if let Some(stream) = line.strip_prefix("-> Finish ") {
                return format!("-> Write {stream}: 0 bytes, FIN");
            }
            line.replace("-> SendBody:", "-> Write 0:")
                .replace("-> ResetConnect:", "-> Reset 0:")
                .replace("-> StopConnect:", "-> StopSending 0:")
        })
        .collect()
}

/// From a file the same recording again, and what the pair's transcript says. Gives the outputs.
fn assert_replayed(
    header: &SessionHeader,
    records: &[Record<SessionStep>],
    script: &str,
    what: &str,
) -> Vec<Output> {
    let file = written(header, records, true);
    let (read_header, read_records) = read(&file);
    assert_eq!(read_header, *header, "{what}");
    assert_eq!(read_records, records, "{what}");
    let (given, again) = replayed(&read_header, &read_records);
    assert_eq!(again, records, "{what}");

    let (transcript, complete) = Replay::run(Reader::of_session(file.as_slice()).unwrap());
    complete.unwrap();
    let transcript = outputs(&transcript.to_string(), header.side);
    assert_eq!(transcript, outputs(script, header.side), "{what}");
    assert_eq!(transcript.len(), given.len(), "{what}");

    let (quiet, _) = replayed(header, &read(&written(header, records, false)).1);
    assert_eq!(quiet, without_payload(given.clone()), "{what}");
    given
}

fn without_payload(mut outputs: Vec<Output>) -> Vec<Output> {
    for output in &mut outputs {
        if let Output::Event(Event::DatagramReceived { payload }) = output {
            *payload = vec![0; payload.len()].into();
        }
    }
    outputs
}

#[test]
fn every_ending_of_a_session_alone_is_replayed() {
    let mut ends = 0;
    for ending in Ending::all() {
        for &side in ending.sides() {
            let mut pair = ending.session_pair(side, Link::seeded(5));
            recorded(&mut pair);
            pair.play(side, &ending);
            pair.wait(ending.duration());
            let header = header(side, ending.config(), &ending.config());
            let records = pair.end(side).machine.take_trace();
            let script = pair.script().to_string();
            let what = format!("{} at {side:?}:\n{script}", ending.id());
            let given = events(&assert_replayed(&header, &records, &script, &what));
            assert!(given.ends_with(&pair.end(side).take_events()), "{what}");
            let reasons = given.iter().filter_map(|event| match event {
                Event::Closed { reason } => Some(reason),
                _ => None,
            });
            assert!(reasons.eq([&ending.reason()]), "{what}");
            ends += 1;
        }
    }
    assert!(ends > 40, "{ends}");
}

/// A pair, what it did by chance, and what it told.
struct Run {
    pair: Pair<Session>,
    dice: Rng,
    configs: [Config; 2],
    events: [Vec<Event>; 2],
    streams: Vec<StreamId>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut config = Config::default();
        if seed % 3 == 0 {
            config.deadlines.inactivity = Some(Duration::from_millis(700));
        }
        if seed % 2 == 0 {
            // Little, so that opens and writes are refused.
            config.flow_control = Some(FlowControl::new(2000, 3, 3));
        }
        let configs = [config.clone(), config.clone()];
        let mut pair = Pair::sessions(config.clone(), config, Link::seeded(seed));
        recorded(&mut pair);
        Self {
            pair,
            dice: Rng::with_seed(seed),
            configs,
            events: [Vec::new(), Vec::new()],
            streams: Vec::new(),
        }
    }

    fn play(seed: u64) -> Self {
        let mut run = Self::new(seed);
        // Some things are asked for before there is an answer.
        for turn in 0..60 {
            if turn == 4 {
                run.answer(seed);
            }
            run.turn();
            run.listen();
        }
        let side = run.dice.choice(SIDES).unwrap();
        match seed % 4 {
            0 => run.pair.close(side, session(), 3, "closing time"),
            1 => run.pair.close_connection(side, 9, "enough"),
            2 => run.pair.link.cut(),
            _ => {}
        }
        run.pair.wait(Duration::from_secs(40));
        run.listen();
        run
    }

    fn answer(&mut self, seed: u64) {
        if seed % 10 == 9 {
            let rejection = Rejection::from(http::StatusCode::FORBIDDEN);
            self.pair.reject(session(), rejection);
        } else {
            self.pair.accept(session(), Default::default());
        }
    }

    fn turn(&mut self) {
        let (now, side) = (self.pair.now(), self.dice.choice(SIDES).unwrap());
        let stream = self.stream();
        let dir = self.dice.choice([Dir::Bi, Dir::Uni]).unwrap();
        let code = self.dice.u32(..1000);
        let payload = vec![MARK; 1 + self.dice.usize(..200)];
        let choice = self.dice.usize(..26);
        let machine = &mut self.pair.end(side).machine;
        match choice {
            0..4 => self
                .streams
                .extend(self.pair.open_stream(side, session(), dir)),
            4 => drop(machine.open_stream(dir)),
            5..9 => drop(self.pair.write(side, stream, &payload)),
            9 => drop(machine.credit(stream)),
            10 => {
                if let Ok(credit) = machine.credit(stream) {
                    credit.spend(0);
                }
            }
            11..14 => drop(self.pair.send_datagram(side, session(), &payload)),
            14 => drop(machine.finish(stream)),
            15 => drop(machine.reset(stream, code)),
            16 => drop(machine.stop(stream, code)),
            17 => machine.pause(),
            18 => machine.resume(now),
            19 => machine.consumed(500),
            20 if code < 300 => machine.drain(),
            21 if code < 50 => machine.close(now, code, "bye"),
            22 if code < 50 => machine.fail(now, webtransport_session::Violation::MessageTooLong),
            // Tells of those that were refused, and of permits that were dropped.
            23 => machine.handle(now, Input::StreamsAvailable { dir }),
            24 => machine.handle(now, Input::StreamWritable { stream }),
            _ => {
                let millis = self.dice.u64(..60);
                self.pair.wait(Duration::from_millis(millis));
            }
        }
    }

    fn stream(&mut self) -> StreamId {
        let at = self.dice.usize(..self.streams.len() + 1);
        let bogus = self.dice.u64(..40);
        self.streams.get(at).copied().unwrap_or(bogus.into())
    }

    fn listen(&mut self) {
        for (side, events) in SIDES.into_iter().zip(&mut self.events) {
            events.extend(self.pair.end(side).take_events());
        }
    }

    fn take(&mut self, side: Side) -> (SessionHeader, Vec<Record<SessionStep>>) {
        let [client, server] = self.configs.clone();
        let header = match side {
            Side::Client => header(side, client, &server),
            Side::Server => header(side, server, &client),
        };
        (header, self.pair.end(side).machine.take_trace())
    }
}

fn session() -> SessionId {
    SessionId::try_from(StreamId::from(0)).unwrap()
}

#[test]
fn a_replay_of_a_session_from_a_file_gives_what_the_pair_gave() {
    let mut kinds = Vec::new();
    let mut has_payload = 0;
    for seed in 0..100 {
        let mut run = Run::play(seed);
        let script = run.pair.script().to_string();
        for (at, side) in SIDES.into_iter().enumerate() {
            let (header, records) = run.take(side);
            let what = format!("seed {seed}, {side:?}");
            let given = assert_replayed(&header, &records, &script, &what);
            assert_eq!(events(&given), run.events[at], "{what}");

            let file = written(&header, &records, true);
            let redacted = written(&header, &records, false);
            assert!(!contains(&redacted, "a7a7"), "{what}");
            has_payload += usize::from(contains(&file, "a7a7"));
            kinds.extend(records.iter().map(kind));
        }
    }
    assert!(has_payload > 100, "of 200: {has_payload}");
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 19, "{kinds:?}");
}

/// Which call, and what became of it.
fn kind(record: &Record<SessionStep>) -> &'static str {
    match &record.step {
        SessionStep::Missed => "missed",
        SessionStep::Open => "open",
        SessionStep::Reject { .. } => "reject",
        SessionStep::Fail { .. } => "fail",
        SessionStep::Input(_) => "input",
        SessionStep::Poll { .. } => "poll",
        SessionStep::OpenStream { bound, dir } => match (bound, dir) {
            (Some(_), Dir::Bi) => "open a bidirectional stream",
            (Some(_), Dir::Uni) => "open a unidirectional stream",
            (None, Dir::Bi) => "open a bidirectional stream, dropped",
            (None, Dir::Uni) => "open a unidirectional stream, dropped",
        },
        SessionStep::Credit { spent: Some(0), .. } => "credit of which nothing was spent",
        SessionStep::Credit { spent: Some(_), .. } => "credit",
        SessionStep::Credit { spent: None, .. } => "credit, dropped",
        SessionStep::Consumed { .. } => "consumed",
        SessionStep::Finish { .. } => "finish",
        SessionStep::Reset { .. } => "reset",
        SessionStep::Stop { .. } => "stop",
        SessionStep::Drain => "drain",
        SessionStep::Close { .. } => "close",
        SessionStep::Pause => "pause",
        SessionStep::Resume => "resume",
    }
}

#[test]
fn a_sessions_file_that_was_cut_gives_what_is_whole_and_names_the_line() {
    let mut run = Run::play(1);
    let (header, records) = run.take(Side::Server);
    let records = &records[..records.len().min(30)];
    let file = written(&header, records, false);
    for len in 1..file.len() {
        let cut = &file[..len];
        let before = cut.iter().filter(|&&byte| byte == b'\n').count();
        let reader = match Reader::of_session(cut) {
            Ok(reader) => reader,
            Err(error) => {
                assert_eq!((before, error.line), (0, 1), "{error}");
                assert!(matches!(error.problem, Problem::Truncated), "{error}");
                continue;
            }
        };
        let (_, complete) = Replay::run(reader);
        match complete {
            Ok(()) => assert!(cut.ends_with(b"\n")),
            Err(error) => {
                assert!(matches!(error.problem, Problem::Truncated), "{error}");
                assert_eq!(error.line, u64::try_from(before).unwrap() + 1);
                assert_eq!(Reader::of_session(cut).unwrap().count(), before);
            }
        }
    }
}

#[test]
fn a_file_of_the_other_layer_is_refused_at_its_first_line() {
    let session = written(
        &header(Side::Client, Config::default(), &Config::default()),
        &[],
        false,
    );
    let error = Reader::new(session.as_slice()).unwrap_err();
    assert_eq!(error.line, 1);
    assert!(matches!(
        error.problem,
        Problem::AnotherLayer {
            found: 1,
            expected: 2
        }
    ));
    let (_, connection) = super::short();
    let error = Reader::of_session(connection.as_slice()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: a trace of layer 2, read as one of layer 1 (1: a session, 2: a connection)"
    );
}

fn datagram_capsule() -> Input {
    Input::Body {
        data: b"\0\x02\xa7\xa7"[..].into(),
        fin: false,
    }
}

#[test]
fn without_payload_the_body_of_the_connect_stream_stays() {
    let header = header(Side::Server, Config::default(), &Config::default());
    let body = datagram_capsule();
    let datagram = Input::DatagramReceived {
        payload: vec![MARK; 3].into(),
    };
    let records = [body, datagram].map(|input| {
        let step = SessionStep::Input(input);
        Record::new(Duration::ZERO, step)
    });
    let file = written(&header, &records, false);
    let file = String::from_utf8(file).unwrap();
    assert!(file.contains(r#"{"Body":{"data":"0002a7a7","fin":false}}"#));
    assert!(file.contains(r#"{"DatagramReceived":{"payload":"000000"}}"#));
}

#[test]
fn a_sessions_recording_from_later_on_says_so_and_holds_no_body_either() {
    let begins: [fn(&mut Session); 2] = [
        |session| session.set_recording(true),
        // Turned off, and on again.
        |session| {
            for on in [true, false] {
                session.set_recording(on);
                drop(session.take_trace());
            }
            session.set_recording(true);
        },
    ];
    for begin in begins {
        let now = super::now();
        let header = header(Side::Server, Config::default(), &Config::default());
        let (terms, config) = (header.terms.clone(), Arc::new(header.config.clone()));
        let mut session = Session::new(now, header.side, header.id, terms, config);
        session.open(now);
        begin(&mut session);
        session.handle(now, datagram_capsule());
        let records = session.take_trace();

        let file = written(&header, &records, false);
        assert!(!contains(&file, "a7a7"));
        assert!(contains(
            &file,
            r#"{"Body":{"data":"00000000","fin":false}}"#
        ));
        let (script, complete) = Replay::run(Reader::of_session(file.as_slice()).unwrap());
        let error = complete.unwrap_err();
        assert_eq!(error.line, 2);
        assert!(matches!(error.problem, Problem::NotFromTheBeginning));
        assert_eq!(script.lines().count(), 0);

        let file = written(&header, &records, true);
        assert!(contains(&file, "a7a7"));
        let (_, complete) = Replay::run(Reader::of_session(file.as_slice()).unwrap());
        let error = complete.unwrap_err();
        assert!(matches!(error.problem, Problem::NotFromTheBeginning));
    }
}

#[test]
fn a_hostile_file_of_a_session_is_replayed_without_harm() {
    let max = u64::MAX;
    let flow = format!(r#"{{"max_data":{max},"max_streams_bidi":{max},"max_streams_uni":{max}}}"#);
    let transport = format!(
        r#"{{"datagrams":"No","reset_stream_at":"Yes","peer_reset_stream_at":"No","stream_receive_window":{max}}}"#
    );
    let header = format!(
        r#"{{"webtransport-session-trace":1,"layer":1,"side":"client","id":0,"terms":{{"dialect":"Draft16","peer_flow_control":{flow},"transport":{transport}}},"config":{{"flow_control":{flow}}}}}"#
    );
    let steps = [
        r#""Resume""#.to_string(),
        r#""Open""#.to_string(),
        format!(r#"{{"Consumed":{{"len":{max}}}}}"#),
        r#"{"Input":{"StreamOpened":{"stream":1}}}"#.to_string(),
        format!(r#"{{"Input":{{"StreamData":{{"stream":1,"len":{max},"fin":false}}}}}}"#),
        format!(r#"{{"Input":{{"StreamData":{{"stream":1,"len":{max},"fin":false}}}}}}"#),
        format!(r#"{{"Input":{{"StreamReset":{{"stream":1,"code":{max},"final_size":{max}}}}}}}"#),
        format!(r#"{{"OpenStream":{{"dir":"Bi","bound":{max}}}}}"#),
        r#"{"OpenStream":{"dir":"Bi","bound":4}}"#.to_string(),
        format!(r#"{{"Credit":{{"stream":4,"spent":{max}}}}}"#),
        format!(r#"{{"Credit":{{"stream":4,"spent":{max}}}}}"#),
        format!(r#"{{"Input":{{"GoAway":{{"id":{max}}}}}}}"#),
        format!(r#"{{"Poll":{{"times":{max}}}}}"#),
    ];
    let records: Vec<_> = steps
        .iter()
        .zip([max, 0].into_iter().cycle())
        .map(|(step, at)| format!(r#"{{"at":{at},"step":{step}}}"#))
        .collect();
    let file = format!("{header}\n{}\n", records.join("\n"));
    let (_, complete) = Replay::run(Reader::of_session(file.as_bytes()).unwrap());
    complete.unwrap();
    let (header, records) = read(file.as_bytes());
    assert_eq!(read(&written(&header, &records, false)).1, records);
}
