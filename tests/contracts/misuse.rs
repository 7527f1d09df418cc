//! A peer, a QUIC and an application that do everything wrong, in any order: commands get an error or
//! are ignored, nothing panics, and each session still ends exactly once. `watch.rs` judges.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use proptest::{collection::vec, prelude::*};
use webtransport_session::{
    Config, ConnectError, Connection, ConnectionLost, Deadlines, Dialect, Dir, Input, OpenError,
    Protocol, Rejection, Request, Response, SendError, SessionId, Side, StreamId, Support,
    Transport,
};

use crate::{
    support::{
        WT_SESSION_GONE, close_frame, connect_request, data_frame, grease, headers, peer_settings,
        response, stream_header, tlv, varint,
    },
    watch::Watched,
};

/// Something that happens, or that somebody does.
#[derive(Clone, Debug)]
enum Step {
    // QUIC and the peer
    Start {
        control: u64,
    },
    Data {
        stream: u64,
        data: Bytes,
        fin: bool,
    },
    Reset {
        stream: u64,
        code: u64,
    },
    Stop {
        stream: u64,
        code: u64,
    },
    Written {
        stream: u64,
        len: usize,
        fin: bool,
    },
    Writable {
        stream: u64,
    },
    Available {
        dir: Dir,
    },
    Datagram {
        data: Bytes,
    },
    Lost {
        reason: ConnectionLost,
    },
    Timeout,
    Wait {
        millis: u64,
    },
    GoBack {
        millis: u64,
    },
    // the host
    Poll,
    PollAction,
    PollAll,
    /// All actions; what is written is answered as QUIC does when all is well.
    Perform,
    // the application
    Connect {
        bind: Option<u64>,
    },
    Accept {
        session: u64,
        protocol: bool,
    },
    Reject {
        session: u64,
        status: u16,
    },
    Drain {
        session: u64,
    },
    Close {
        session: u64,
        code: u32,
    },
    GoAway,
    Shutdown,
    Open {
        session: u64,
        dir: Dir,
        bind: Option<u64>,
    },
    Grease {
        bind: Option<u64>,
    },
    Credit {
        stream: u64,
        spend: usize,
    },
    Finish {
        stream: u64,
    },
    ResetOurs {
        stream: u64,
    },
    StopTheirs {
        stream: u64,
    },
    Pause {
        stream: u64,
    },
    Resume {
        stream: u64,
    },
}

// ---- what is drawn

/// Mostly ids that mean something; sometimes ones that cannot.
fn stream() -> impl Strategy<Value = u64> {
    prop_oneof![
        20 => 0..24u64,
        1 => Just((1 << 62) - 4),
        1 => (1u64 << 62)..(1 << 62) + 4,
        1 => Just(u64::MAX),
    ]
}

fn session() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(0), 4 => Just(4), 2 => Just(8), 1 => stream()]
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
        8 => (dir(), session()).prop_map(|(dir, id)| stream_header(dir, id & ((1 << 62) - 1))),
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
        Just(ConnectionLost::Local { code: 0x100 }),
        Just(ConnectionLost::PeerApplication {
            code: 7,
            reason: Bytes::from_static(b"gone"),
        }),
    ]
}

/// Bytes that make sense on the stream that they come on, at the right time.
fn fitting(side: Side) -> impl Strategy<Value = Step> {
    let head = match side {
        Side::Client => response("200"),
        Side::Server => connect_request("webtransport"),
    };
    let (control, peer) = match side {
        Side::Client => (3, Side::Server),
        Side::Server => (2, Side::Client),
    };
    let on = |stream: StreamId, data: Vec<u8>, fin| Step::Data {
        stream: stream.into(),
        data: data.into(),
        fin,
    };
    let body = prop_oneof![
        4 => capsule().prop_map(|capsule| data_frame(&capsule)),
        3 => "[a-z]{0,3}".prop_map(|text| close_frame(7, text.as_bytes())),
        2 => Just(Vec::new()),
        1 => Just(grease(b"grease")),
    ];
    prop_oneof![
        2 => (prop_oneof![1 => 0..1u64, 9 => 1..5u64], 0..4u8).prop_map(move |(n, end)| {
            on(StreamId::new(Side::Client, Dir::Bi, n), head.clone(), end == 0)
        }),
        4 => (prop_oneof![9 => 0..1u64, 1 => 1..4u64], body, 0..4u8).prop_map(move |(n, body, end)| {
            on(StreamId::new(Side::Client, Dir::Bi, n), body, end == 0)
        }),
        4 => (dir(), 1..6u64, 0..3u64, any::<bool>()).prop_map(move |(dir, n, session, fin)| {
            let header = stream_header(dir, 4 * session);
            on(StreamId::new(peer, dir, n), [header, b"payload".to_vec()].concat(), fin)
        }),
        4 => (dir(), 1..6u64, any::<bool>()).prop_map(move |(dir, n, fin)| {
            // Payload of a stream that has begun, the beginning of one that has not.
            on(StreamId::new(peer, dir, n), stream_header(dir, 0), fin)
        }),
        1 => (0..4u64).prop_map(move |n| on(StreamId::from(control), tlv(0x07, &varint(4 * n)), false)),
        1 => (0..6u64, 0..9u8).prop_map(move |(n, urgency)| {
            let value = format!("u={urgency}");
            let update = [varint(4 * n), value.into_bytes()].concat();
            // Only a server takes it.
            let kind = if side == Side::Server { 0xf0700 } else { 0x40 };
            on(StreamId::from(control), tlv(kind, &update), false)
        }),
    ]
}

fn fact(side: Side) -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => fitting(side),
        4 => (stream(), vec(phrase(), 0..3), any::<bool>()).prop_map(|(stream, data, fin)| {
            Step::Data { stream, data: data.concat().into(), fin }
        }),
        1 => stream().prop_map(|control| Step::Start { control }),
        6 => (facts_on(), code()).prop_map(|(stream, code)| Step::Reset { stream, code }),
        6 => (facts_on(), code()).prop_map(|(stream, code)| Step::Stop { stream, code }),
        6 => (stream(), 0..80usize, any::<bool>())
            .prop_map(|(stream, len, fin)| Step::Written { stream, len, fin }),
        6 => stream().prop_map(|stream| Step::Writable { stream }),
        2 => dir().prop_map(|dir| Step::Available { dir }),
        8 => (session(), vec(any::<u8>(), 0..4)).prop_map(|(id, payload)| Step::Datagram {
            data: [varint(id / 4), payload].concat().into(),
        }),
        8 => Just(Step::Timeout),
        8 => (0..4000u64).prop_map(|millis| Step::Wait { millis }),
        2 => (0..4000u64).prop_map(|millis| Step::GoBack { millis }),
    ]
}

/// Not the control streams, most of the time: their end is the end of all.
fn facts_on() -> impl Strategy<Value = u64> {
    stream().prop_map(|stream| match stream {
        2 | 3 => stream + 4,
        other => other,
    })
}

fn command() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Poll),
        4 => Just(Step::PollAction),
        2 => Just(Step::PollAll),
        12 => Just(Step::Perform),
        4 => proptest::option::weighted(0.9, prop_oneof![
            2 => Just(0), 2 => Just(4), 1 => Just(8), 1 => stream(),
        ]).prop_map(|bind| Step::Connect { bind }),
        8 => (session(), any::<bool>())
            .prop_map(|(session, protocol)| Step::Accept { session, protocol }),
        2 => (session(), 100..600u16)
            .prop_map(|(session, status)| Step::Reject { session, status }),
        2 => session().prop_map(|session| Step::Drain { session }),
        2 => (session(), any::<u32>()).prop_map(|(session, code)| Step::Close { session, code }),
        6 => (session(), dir(), proptest::option::weighted(0.9, stream()))
            .prop_map(|(session, dir, bind)| Step::Open { session, dir, bind }),
        1 => proptest::option::weighted(0.9, stream()).prop_map(|bind| Step::Grease { bind }),
        4 => (stream(), 0..9usize).prop_map(|(stream, spend)| Step::Credit { stream, spend }),
        2 => stream().prop_map(|stream| Step::Finish { stream }),
        2 => stream().prop_map(|stream| Step::ResetOurs { stream }),
        2 => stream().prop_map(|stream| Step::StopTheirs { stream }),
        2 => stream().prop_map(|stream| Step::Pause { stream }),
        2 => stream().prop_map(|stream| Step::Resume { stream }),
    ]
}

/// What ends everything is rare, or nothing else would happen.
fn steps(side: Side) -> impl Strategy<Value = Vec<Step>> {
    let rare = prop_oneof![
        vec(any::<u8>(), 0..3).prop_map(|data| Step::Datagram { data: data.into() }),
        Just(Step::GoAway),
        Just(Step::Shutdown),
        lost().prop_map(|reason| Step::Lost { reason }),
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

/// The steps that lead there.
fn prelude(side: Side, beginning: Beginning) -> Vec<Step> {
    let (control, ours) = match side {
        Side::Client => (3, 2),
        Side::Server => (2, 3),
    };
    let data = |stream: u64, data: Vec<u8>| Step::Data {
        stream,
        data: data.into(),
        fin: false,
    };
    let request = match side {
        Side::Client => Step::Connect { bind: Some(0) },
        Side::Server => data(0, connect_request("webtransport")),
    };
    let answer = match side {
        Side::Client => data(0, response("200")),
        Side::Server => Step::Accept {
            session: 0,
            protocol: false,
        },
    };
    let (their_bi, our_bi) = match side {
        Side::Client => (1, 8),
        Side::Server => (8, 1),
    };
    let open = |dir, bind| Step::Open {
        session: 0,
        dir,
        bind: Some(bind),
    };
    let stages = [
        (Beginning::Started, vec![Step::Start { control: ours }]),
        (
            Beginning::Ready,
            vec![data(control, peer_settings(side, Dialect::Draft02))],
        ),
        (Beginning::Requested, vec![request]),
        (Beginning::Open, vec![answer]),
        (
            Beginning::Busy,
            vec![
                data(control + 4, stream_header(Dir::Uni, 0)),
                data(their_bi, stream_header(Dir::Bi, 0)),
                open(Dir::Uni, ours + 4),
                open(Dir::Bi, our_bi),
            ],
        ),
    ];
    let mut steps = Vec::new();
    for (stage, stage_steps) in stages {
        if stage <= beginning {
            steps.extend(stage_steps);
            steps.push(Step::Perform);
            steps.push(Step::PollAll);
        }
    }
    steps
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

fn run(side: Side, steps: &[Step]) -> Vec<String> {
    let config = Arc::new(config());
    let connection = match side {
        Side::Client => Connection::client(config),
        Side::Server => Connection::server(config),
    };
    let mut watched = Watched::new(connection);
    for step in steps {
        take(&mut watched, step);
        let wake = watched.next_wake();
        watched.say(wake);
    }
    watched.finish();
    watched.log
}

fn take(watched: &mut Watched, step: &Step) {
    match *step {
        Step::Start { control } => {
            let (now, transport) = (watched.now(), Transport::new(Support::Yes));
            watched.connection.start(now, control.into(), transport);
        }
        Step::Data {
            stream,
            ref data,
            fin,
        } => watched.handle(Input::StreamData {
            stream: stream.into(),
            data: data.clone(),
            fin,
        }),
        Step::Reset { stream, code } => watched.handle(Input::StreamReset {
            stream: stream.into(),
            code,
            final_size: Some(code),
        }),
        Step::Stop { stream, code } => watched.handle(Input::StreamStopped {
            stream: stream.into(),
            code,
        }),
        Step::Written { stream, len, fin } => watched.handle(Input::Written {
            stream: stream.into(),
            len,
            fin,
        }),
        Step::Writable { stream } => watched.handle(Input::StreamWritable {
            stream: stream.into(),
        }),
        Step::Available { dir } => watched.handle(Input::StreamsAvailable { dir }),
        Step::Datagram { ref data } => {
            watched.handle(Input::DatagramReceived { data: data.clone() })
        }
        Step::Lost { ref reason } => watched.handle(Input::ConnectionClosed {
            reason: reason.clone(),
        }),
        Step::Timeout => watched.timeout(),
        Step::Wait { millis } => watched.wait(Duration::from_millis(millis)),
        Step::GoBack { millis } => watched.go_back(Duration::from_millis(millis)),
        Step::Poll => drop(watched.poll()),
        Step::PollAction => drop(watched.poll_action()),
        Step::PollAll => watched.poll_all(),
        Step::Perform => watched.perform(),
        Step::Connect { bind } => connect(watched, bind),
        Step::Accept { session, protocol } => with_session(watched, session, |watched, session| {
            let mut response = Response::default();
            if protocol {
                response = response.protocol(Protocol::try_from("never offered").unwrap());
            }
            let now = watched.now();
            let answer = watched.connection.accept(now, session, response);
            watched.say(answer);
        }),
        Step::Reject { session, status } => with_session(watched, session, |watched, session| {
            let rejection = Rejection::from(StatusCode::from_u16(status).unwrap());
            let now = watched.now();
            let answer = watched.connection.reject(now, session, rejection);
            watched.say(answer);
        }),
        Step::Drain { session } => with_session(watched, session, |watched, session| {
            watched.connection.drain(session);
        }),
        Step::Close { session, code } => with_session(watched, session, |watched, session| {
            let now = watched.now();
            watched.connection.close(now, session, code, "closed");
        }),
        Step::GoAway => watched.connection.go_away(),
        Step::Shutdown => {
            let now = watched.now();
            watched.connection.shutdown(now, 1, "shut down");
        }
        Step::Open { session, dir, bind } => with_session(watched, session, |watched, session| {
            open(watched, session, dir, bind);
        }),
        Step::Grease { bind } => {
            let permit = watched.connection.grease();
            let bound = permit.map(|permit| bind.map(|stream| permit.bind(stream.into())));
            watched.say(bound);
        }
        Step::Credit { stream, spend } => credit(watched, stream.into(), spend),
        Step::Finish { stream } => {
            let done = watched.connection.finish(stream.into());
            watched.say(done);
        }
        Step::ResetOurs { stream } => {
            let done = watched.connection.reset(stream.into(), 1);
            watched.say(done);
        }
        Step::StopTheirs { stream } => {
            let done = watched.connection.stop(stream.into(), 2);
            watched.say(done);
        }
        Step::Pause { stream } => watched.connection.pause(stream.into()),
        Step::Resume { stream } => watched.connection.resume(stream.into()),
    }
}

fn with_session(watched: &mut Watched, session: u64, work: impl FnOnce(&mut Watched, SessionId)) {
    if let Ok(session) = SessionId::try_from(StreamId::from(session)) {
        work(watched, session);
    }
}

fn connect(watched: &mut Watched, bind: Option<u64>) {
    let before: BTreeSet<_> = watched.connection.sessions().collect();
    let request = Request::new("https://example.org/game".parse().unwrap());
    let now = watched.now();
    let is_client = watched.connection.side() == Side::Client;
    let bound = watched
        .connection
        .connect(now, &request)
        .map(|permit| bind.map(|stream| permit.bind(stream.into())));
    match bound {
        Ok(Some(session)) => watched.bound(session, &before),
        Ok(None) => {}
        Err(error) => {
            assert_eq!(error == ConnectError::NotClient, !is_client);
            watched.say(error);
        }
    }
}

fn open(watched: &mut Watched, session: SessionId, dir: Dir, bind: Option<u64>) {
    let opened = watched.connection.open(session, dir).map(|permit| {
        assert_eq!(permit.dir(), dir);
        bind.map(|stream| permit.bind(stream.into()))
    });
    match (opened, bind) {
        (Ok(Some(())), Some(stream)) => watched.opened(session, stream.into()),
        (Ok(_), _) => {}
        (Err(error), _) => {
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
    let steps = [
        Step::Stop { stream: 1, code: 7 },
        Step::Data {
            stream: 1,
            data: header_and_payload.into(),
            fin: false,
        },
        Step::PollAll,
    ];
    let steps = [prelude(Side::Client, Beginning::Requested), steps.to_vec()].concat();
    let log = run(Side::Client, &steps);
    let resets = log.iter().filter(|line| line.contains("Reset {"));
    assert_eq!(resets.count(), 1);
}

#[test]
fn nothing_is_written_to_an_id_that_cannot_be() {
    for id in [(1 << 62) + 3, u64::MAX] {
        let log = run(Side::Server, &[Step::Start { control: id }, Step::PollAll]);
        assert!(!log.iter().any(|line| line.contains("Write")), "{log:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_a_client_each_session_ends_once(
        beginning in beginning(),
        steps in steps(Side::Client),
    ) {
        let steps = [prelude(Side::Client, beginning), steps].concat();
        prop_assert_eq!(run(Side::Client, &steps), run(Side::Client, &steps));
    }

    #[test]
    fn whatever_is_done_to_a_server_each_session_ends_once(
        beginning in beginning(),
        steps in steps(Side::Server),
    ) {
        let steps = [prelude(Side::Server, beginning), steps].concat();
        prop_assert_eq!(run(Side::Server, &steps), run(Side::Server, &steps));
    }
}
