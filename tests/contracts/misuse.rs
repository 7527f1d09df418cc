//! A peer, a QUIC and an application that do everything wrong, in any order: commands get an error or
//! are ignored, nothing panics, and each session still ends exactly once. `watch.rs` judges.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use proptest::{collection::vec, prelude::*};
use webtransport_session::{
    Config, ConnectError, Connection, ConnectionLost, Deadlines, Dialect, Dir, Input, OpenError,
    Protocol, Rejection, Request, Response, SendError, SessionId, Side, StreamId, Support,
    Transport, trace::Step,
};

use crate::{
    support::{
        CONNECT, WT_SESSION_GONE, close_frame, connect_request, data_frame, grease, headers,
        peer_settings, request, response, stream_header, tlv, varint,
    },
    watch::Watched,
};

/// Something that happens, or that somebody does.
#[derive(Clone, Debug)]
enum Turn {
    Call(Step),
    /// All actions; what is written is answered as QUIC does when all is well.
    Perform,
    Wait {
        millis: u64,
    },
    GoBack {
        millis: u64,
    },
}

use Turn::Call;

const POLL_ALL: Turn = Call(Step::Poll { times: u64::MAX });

fn input(input: Input) -> Turn {
    Call(Step::Input(input))
}

fn data(stream: impl Into<StreamId>, data: Vec<u8>, fin: bool) -> Turn {
    let (stream, data) = (stream.into(), data.into());
    input(Input::StreamData { stream, data, fin })
}

fn start() -> Turn {
    Call(Step::Start {
        transport: Transport::new(Support::Yes),
        remembered: None,
    })
}

fn binds(bound: StreamId) -> Turn {
    Call(Step::ProtocolStream { bound })
}

fn connect(bound: Option<StreamId>) -> Turn {
    let request = Box::new(request());
    Call(Step::Connect { request, bound })
}

// ---- what is drawn

/// Mostly ids that mean something; sometimes ones that cannot.
fn id() -> impl Strategy<Value = u64> {
    prop_oneof![
        20 => 0..24u64,
        1 => Just((1 << 62) - 4),
        1 => (1u64 << 62)..(1 << 62) + 4,
        1 => Just(u64::MAX),
    ]
}

fn stream() -> impl Strategy<Value = StreamId> {
    id().prop_map(StreamId::from)
}

/// What the peer says is a session.
fn session_id() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(0), 4 => Just(4), 2 => Just(8), 1 => id()]
}

fn session() -> impl Strategy<Value = SessionId> {
    session_id().prop_filter_map("no session", |id| {
        SessionId::try_from(StreamId::from(id)).ok()
    })
}

fn dir() -> impl Strategy<Value = Dir> {
    prop_oneof![Just(Dir::Bi), Just(Dir::Uni)]
}

fn code() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(WT_SESSION_GONE),
        Just(0x10c),
        Just(0x52e4_a40f_a8db),
        any::<u64>()
    ]
}

/// What a peer may say, whole or cut short, on the right stream or not.
fn phrase() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![
        1 => Just(peer_settings(Side::Server, Dialect::Draft02)),
        1 => Just(peer_settings(Side::Client, Dialect::Draft16)),
        1 => Just(vec![0x02]),
        1 => Just(vec![0x03, 0x41]),
        4 => prop_oneof![Just("webtransport"), Just("webtransport-h3")].prop_map(connect_request),
        4 => Just(response("200")),
        1 => prop_oneof![Just("103"), Just("404"), Just("101"), Just("204")].prop_map(response),
        1 => Just(headers(&[(":method", "GET"), (":scheme", "https"), (":path", "/")])),
        8 => (dir(), session_id()).prop_map(|(dir, id)| stream_header(dir, id & ((1 << 62) - 1))),
        2 => (any::<u32>(), "[a-z]{0,9}").prop_map(|(code, text)| close_frame(code, text.as_bytes())),
        2 => capsule().prop_map(|capsule| data_frame(&capsule)),
        1 => Just(grease(b"grease")),
        1 => (0..24u64).prop_map(|id| tlv(0x07, &varint(id))),
        1 => vec(any::<u8>(), 0..12),
    ];
    (whole, any::<prop::sample::Index>(), 0..8u8).prop_map(|(mut bytes, at, cut)| {
        if cut == 0 {
            bytes.truncate(at.index(bytes.len() + 1));
        }
        bytes
    })
}

fn capsule() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(tlv(0x78ae, b"")),
        Just(tlv(0x00, b"datagram")),
        Just(tlv(0x17, b"grease")),
        Just(tlv(0x190b_4d3e, b"")),
        Just(tlv(0x2843, b"abc")),
        Just(tlv(0x190b_4d3d, &varint(7))),
    ]
}

fn lost() -> impl Strategy<Value = ConnectionLost> {
    prop_oneof![
        Just(ConnectionLost::IdleTimeout),
        Just(ConnectionLost::Local { code: Some(0x100) }),
        Just(ConnectionLost::PeerApplication {
            code: 7,
            reason: Bytes::from_static(b"gone"),
        }),
    ]
}

/// Bytes that make sense on the stream that they come on, at the right time.
fn fitting(side: Side) -> impl Strategy<Value = Turn> {
    let head = match side {
        Side::Client => response("200"),
        Side::Server => connect_request("webtransport"),
    };
    let peer = side.other();
    let body = prop_oneof![
        4 => capsule().prop_map(|capsule| data_frame(&capsule)),
        3 => "[a-z]{0,3}".prop_map(|text| close_frame(7, text.as_bytes())),
        2 => Just(Vec::new()),
        1 => Just(grease(b"grease")),
    ];
    prop_oneof![
        2 => (prop_oneof![1 => 0..1u64, 9 => 1..5u64], 0..4u8).prop_map(move |(n, end)| {
            data(StreamId::new(Side::Client, Dir::Bi, n), head.clone(), end == 0)
        }),
        4 => (prop_oneof![9 => 0..1u64, 1 => 1..4u64], body, 0..4u8).prop_map(move |(n, body, end)| {
            data(StreamId::new(Side::Client, Dir::Bi, n), body, end == 0)
        }),
        4 => (dir(), 1..6u64, 0..3u64, any::<bool>()).prop_map(move |(dir, n, session, fin)| {
            let header = stream_header(dir, 4 * session);
            data(StreamId::new(peer, dir, n), [header, b"payload".to_vec()].concat(), fin)
        }),
        4 => (dir(), 1..6u64, any::<bool>()).prop_map(move |(dir, n, fin)| {
            // Payload of a stream that has begun, the beginning of one that has not.
            data(StreamId::new(peer, dir, n), stream_header(dir, 0), fin)
        }),
        1 => (0..4u64).prop_map(move |n| data(control(peer), tlv(0x07, &varint(4 * n)), false)),
        1 => (0..6u64, 0..9u8).prop_map(move |(n, urgency)| {
            let value = format!("u={urgency}");
            let update = [varint(4 * n), value.into_bytes()].concat();
            // Only a server takes it.
            let kind = if side == Side::Server { 0xf0700 } else { 0x40 };
            data(control(peer), tlv(kind, &update), false)
        }),
    ]
}

fn fact(side: Side) -> impl Strategy<Value = Turn> {
    prop_oneof![
        40 => fitting(side),
        4 => (stream(), vec(phrase(), 0..3), any::<bool>())
            .prop_map(|(stream, phrases, fin)| data(stream, phrases.concat(), fin)),
        1 => Just(start()),
        6 => (facts_on(), code()).prop_map(|(stream, code)| {
            input(Input::StreamReset { stream, code, final_size: Some(code) })
        }),
        6 => (facts_on(), code())
            .prop_map(|(stream, code)| input(Input::StreamStopped { stream, code })),
        6 => (stream(), 0..80usize, any::<bool>())
            .prop_map(|(stream, len, fin)| input(Input::Written { stream, len, fin })),
        6 => stream().prop_map(|stream| input(Input::StreamWritable { stream })),
        2 => dir().prop_map(|dir| input(Input::StreamsAvailable { dir })),
        8 => (session_id(), vec(any::<u8>(), 0..4)).prop_map(|(id, payload)| {
            input(Input::DatagramReceived { data: [varint(id / 4), payload].concat().into() })
        }),
        8 => Just(input(Input::Timeout)),
        8 => (0..4000u64).prop_map(|millis| Turn::Wait { millis }),
        2 => (0..4000u64).prop_map(|millis| Turn::GoBack { millis }),
    ]
}

/// Not the control streams, most of the time: their end is the end of all.
fn facts_on() -> impl Strategy<Value = StreamId> {
    id().prop_map(|id| match id {
        2 | 3 => StreamId::from(id + 4),
        other => StreamId::from(other),
    })
}

fn call() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Poll { times: 1 }),
        4 => Just(Step::PollAction { times: 1 }),
        2 => Just(Step::Poll { times: u64::MAX }),
        8 => (session(), any::<bool>()).prop_map(|(session, chooses)| {
            let protocol = chooses.then(|| Protocol::try_from("never offered").unwrap());
            let response = protocol.into_iter().fold(Response::default(), Response::protocol);
            Step::Accept { session, response: Box::new(response) }
        }),
        2 => (session(), 100..600u16).prop_map(|(session, status)| {
            let rejection = Rejection::from(StatusCode::from_u16(status).unwrap());
            Step::Reject { session, rejection: Box::new(rejection) }
        }),
        2 => session().prop_map(|session| Step::Drain { session }),
        2 => (session(), any::<u32>()).prop_map(|(session, code)| {
            Step::Close { session, code, message: "closed".into() }
        }),
        6 => (session(), dir(), proptest::option::weighted(0.9, stream()))
            .prop_map(|(session, dir, bound)| Step::Open { session, dir, bound }),
        1 => stream().prop_map(|bound| Step::ProtocolStream { bound }),
        4 => (stream(), 0..9usize)
            .prop_map(|(stream, spent)| Step::Credit { stream, spent: Some(spent) }),
        2 => stream().prop_map(|stream| Step::Finish { stream }),
        2 => stream().prop_map(|stream| Step::Reset { stream, code: 1 }),
        2 => stream().prop_map(|stream| Step::Stop { stream, code: 2 }),
        2 => stream().prop_map(|stream| Step::Pause { stream }),
        2 => stream().prop_map(|stream| Step::Resume { stream }),
    ]
}

fn command() -> impl Strategy<Value = Turn> {
    let stream = prop_oneof![2 => Just(0), 2 => Just(4), 1 => Just(8), 1 => id()];
    let stream = stream.prop_map(StreamId::from);
    prop_oneof![
        45 => call().prop_map(Call),
        12 => Just(Turn::Perform),
        4 => proptest::option::weighted(0.9, stream).prop_map(connect),
    ]
}

/// What ends everything is rare, or nothing else would happen.
fn turns(side: Side) -> impl Strategy<Value = Vec<Turn>> {
    let (code, message) = (1, "shut down".into());
    let rare = prop_oneof![
        vec(any::<u8>(), 0..3)
            .prop_map(|data| input(Input::DatagramReceived { data: data.into() })),
        Just(Call(Step::GoAway)),
        Just(Call(Step::Shutdown { code, message })),
        lost().prop_map(|reason| input(Input::ConnectionClosed { reason })),
    ];
    vec(
        prop_oneof![60 => fact(side), 60 => command(), 1 => rare],
        0..80,
    )
}

/// How far things have gone well before they go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Beginning {
    Nothing,
    Started,
    Ready,
    Requested,
    Open,
    /// With a stream of each kind.
    Busy,
}

fn beginning() -> impl Strategy<Value = Beginning> {
    prop_oneof![
        1 => Just(Beginning::Nothing),
        1 => Just(Beginning::Started),
        1 => Just(Beginning::Ready),
        2 => Just(Beginning::Requested),
        3 => Just(Beginning::Open),
        6 => Just(Beginning::Busy),
    ]
}

/// The control stream of a side.
fn control(side: Side) -> StreamId {
    StreamId::new(side, Dir::Uni, 0)
}

/// What leads there.
fn prelude(side: Side, beginning: Beginning) -> Vec<Turn> {
    let peer = side.other();
    let connect_stream = StreamId::from(CONNECT);
    let session = SessionId::try_from(connect_stream).unwrap();
    let hears = |stream, bytes| data(stream, bytes, false);
    let (request, answer) = match side {
        Side::Client => (
            connect(Some(connect_stream)),
            hears(connect_stream, response("200")),
        ),
        Side::Server => (
            hears(connect_stream, connect_request("webtransport")),
            Call(Step::Accept {
                session,
                response: Box::default(),
            }),
        ),
    };
    let hears_of = |dir, n| hears(StreamId::new(peer, dir, n), stream_header(dir, CONNECT));
    let opens = |dir, n| {
        let bound = Some(StreamId::new(side, dir, n));
        Call(Step::Open {
            session,
            dir,
            bound,
        })
    };
    let (their_bi, our_bi) = match side {
        Side::Client => (0, 2),
        Side::Server => (2, 0),
    };
    let stages = [
        (Beginning::Started, vec![start(), binds(control(side))]),
        (
            Beginning::Ready,
            vec![hears(control(peer), peer_settings(side, Dialect::Draft02))],
        ),
        (Beginning::Requested, vec![request]),
        (Beginning::Open, vec![answer]),
        (
            Beginning::Busy,
            vec![
                hears_of(Dir::Uni, 1),
                hears_of(Dir::Bi, their_bi),
                opens(Dir::Uni, 1),
                opens(Dir::Bi, our_bi),
            ],
        ),
    ];
    let mut turns = Vec::new();
    for (stage, stage_turns) in stages {
        if stage <= beginning {
            turns.extend(stage_turns);
            turns.extend([Turn::Perform, POLL_ALL]);
        }
    }
    turns
}

fn config() -> Config {
    let mut config = Config::default();
    let mut deadlines = Deadlines::default();
    deadlines.request = Some(Duration::from_secs(5));
    deadlines.inactivity = Some(Duration::from_secs(6));
    deadlines.idle_connection = Some(Duration::from_secs(9));
    config.deadlines = deadlines;
    config.limits.sessions = 2;
    config.limits.unanswered_requests = 2;
    config.limits.answered_requests = 1;
    config.limits.unanswered_body = 40;
    config.limits.buffered_streams = 2;
    config.limits.buffered_bytes = 40;
    config.limits.buffered_datagrams = 2;
    config.limits.undelivered_datagrams = 2;
    config.limits.undelivered_bytes = 1500;
    config.limits.unwritten_bytes = 300;
    config.grease = Some(7);
    config
}

// ---- what is done

fn run(side: Side, turns: &[Turn]) -> Vec<String> {
    let config = Arc::new(config());
    let connection = match side {
        Side::Client => Connection::client(config),
        Side::Server => Connection::server(config),
    };
    let mut watched = Watched::new(connection);
    for turn in turns {
        match turn {
            Call(step) => call_and_ask(&mut watched, step.clone()),
            Turn::Perform => watched.perform(),
            &Turn::Wait { millis } => watched.wait(Duration::from_millis(millis)),
            &Turn::GoBack { millis } => watched.go_back(Duration::from_millis(millis)),
        }
        let wake = watched.next_wake();
        watched.say(wake);
    }
    watched.finish();
    watched.log
}

/// `Step::apply` drops the answers of commands: those that give one are made here.
fn call_and_ask(watched: &mut Watched, step: Step) {
    let answer = match step {
        Step::Connect { request, bound } => return request_session(watched, &request, bound),
        Step::Open {
            session,
            dir,
            bound,
        } => return open(watched, session, dir, bound),
        Step::Credit { stream, spent } => return credit(watched, stream, spent.unwrap()),
        Step::Accept { session, response } => {
            let now = watched.now();
            format!("{:?}", watched.connection.accept(now, session, *response))
        }
        Step::Reject { session, rejection } => {
            let now = watched.now();
            format!("{:?}", watched.connection.reject(now, session, *rejection))
        }
        Step::ProtocolStream { bound } => {
            let granted = watched.connection.protocol_stream().is_some();
            let permit = watched.connection.protocol_stream();
            let bound = permit.map(|permit| permit.bind(bound));
            assert_eq!(bound.is_some(), granted, "dropping a permit spends nothing");
            format!("{bound:?}")
        }
        Step::Finish { stream } => format!("{:?}", watched.connection.finish(stream)),
        Step::Reset { stream, code } => format!("{:?}", watched.connection.reset(stream, code)),
        Step::Stop { stream, code } => format!("{:?}", watched.connection.stop(stream, code)),
        without_answer => return watched.step(without_answer),
    };
    watched.log.push(answer);
}

fn request_session(watched: &mut Watched, request: &Request, bound: Option<StreamId>) {
    let before: BTreeSet<_> = watched.connection.sessions().collect();
    let now = watched.now();
    let is_client = watched.connection.side() == Side::Client;
    let permit = watched.connection.connect(now, request);
    match permit.map(|permit| bound.map(|stream| permit.bind(stream))) {
        Ok(Some(session)) => watched.bound(session, &before),
        Ok(None) => {}
        Err(error) => {
            assert_eq!(error == ConnectError::NotClient, !is_client);
            watched.say(error);
        }
    }
}

fn open(watched: &mut Watched, session: SessionId, dir: Dir, bound: Option<StreamId>) {
    let opened = watched.connection.open(session, dir).map(|permit| {
        assert_eq!(permit.dir(), dir);
        bound.inspect(|&stream| permit.bind(stream))
    });
    match opened {
        Ok(Some(stream)) => watched.opened(session, stream),
        Ok(None) => {}
        Err(error) => {
            assert_ne!(error, OpenError::Blocked, "there is no such limit");
            watched.say(error);
        }
    }
}

fn credit(watched: &mut Watched, stream: StreamId, spend: usize) {
    let error = match watched.connection.credit(stream) {
        Ok(credit) => {
            assert!(credit.len() > 0 && credit.clamp(b"data") == b"data");
            credit.spend(spend);
            None
        }
        Err(error) => Some(error),
    };
    watched.say(error);
    if error == Some(SendError::Blocked) {
        // Asking again does not change the answer.
        let again = watched.connection.credit(stream).err();
        assert_eq!(again, error);
    }
}

/// STOP_SENDING has its answer; that there is no room for the payload behind it is no second one.
#[test]
fn a_parked_stream_that_was_stopped_is_reset_once() {
    let header_and_payload = [stream_header(Dir::Bi, 0), vec![b'p'; 50]].concat();
    let (stream, code) = (1.into(), 7);
    let turns = [
        input(Input::StreamStopped { stream, code }),
        data(stream, header_and_payload, false),
        POLL_ALL,
    ];
    let turns = [prelude(Side::Client, Beginning::Requested), turns.to_vec()].concat();
    let log = run(Side::Client, &turns);
    let resets = log.iter().filter(|line| line.contains("Reset {"));
    assert_eq!(resets.count(), 1);
}

#[test]
fn nothing_is_written_to_an_id_that_cannot_be() {
    for id in [(1 << 62) + 3, u64::MAX] {
        let log = run(Side::Server, &[start(), binds(id.into()), POLL_ALL]);
        assert!(!log.iter().any(|line| line.contains("Write")), "{log:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_a_client_each_session_ends_once(
        beginning in beginning(),
        turns in turns(Side::Client),
    ) {
        let turns = [prelude(Side::Client, beginning), turns].concat();
        prop_assert_eq!(run(Side::Client, &turns), run(Side::Client, &turns));
    }

    #[test]
    fn whatever_is_done_to_a_server_each_session_ends_once(
        beginning in beginning(),
        turns in turns(Side::Server),
    ) {
        let turns = [prelude(Side::Server, beginning), turns].concat();
        prop_assert_eq!(run(Side::Server, &turns), run(Side::Server, &turns));
    }
}
