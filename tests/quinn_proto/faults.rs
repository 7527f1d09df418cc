//! Everything that a network and a peer can do to quinn, drawn from a seed, in the middle of traffic:
//! each session still ends once, at both ends, and with the reason that the facts allow.
//!
//! `FAULTS=10000 cargo test --release --test quinn_proto faults` plays more of them;
//! `FAULT=42 cargo test --test quinn_proto faults -- --nocapture` plays one alone and tells what came.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    net::{Ipv4Addr, SocketAddr},
    panic,
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use quinn_proto::{self as quic, EndpointConfig, RandomConnectionIdGenerator};
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, Config, ConnectionLost, Deadline, Dialect, Dialects, Dir,
    Endpoint as End, Event, Rejection, SessionId, Side, StreamId, host::quinn_proto::Endpoint,
};

use crate::{
    pair::{Link, Pair, Weather},
    setup::{Setup, server_tls},
};

const FAULTS: u64 = 132;
const SIDES: [Side; 2] = [Side::Client, Side::Server];
const STATUS: u16 = 403;
const ABORTED: u64 = 0x1234;
/// On a CONNECT stream, behind the host's back.
const RESET: u32 = 0x10c;
const WT_SESSION_GONE: u64 = 0x170d_7b68;

/// How it ends. One side does it, or it happens to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Close,
    BothClose,
    Shutdown,
    /// CONNECTION_CLOSE, which is sent again only when it is asked for.
    Abort,
    /// Its application resets the CONNECT stream on quinn itself.
    Reset,
    /// The server says no.
    Reject,
    /// The client's application says nothing any more.
    Inactive,
    /// Nothing arrives, in either direction.
    Silence,
    /// Nothing that this side sends arrives: it acknowledges nothing.
    Unheard,
    /// The same, and the other side closes.
    CloseUnheard,
    /// The server forgets everything.
    Restart,
}

const ENDINGS: [Ending; 11] = [
    Ending::Close,
    Ending::BothClose,
    Ending::Shutdown,
    Ending::Abort,
    Ending::Reset,
    Ending::Reject,
    Ending::Inactive,
    Ending::Silence,
    Ending::Unheard,
    Ending::CloseUnheard,
    Ending::Restart,
];

fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

#[test]
fn under_any_fault_each_session_ends_once_and_with_a_true_reason() {
    if let Some(seed) = number("FAULT") {
        Case::play(seed).check(true);
        return;
    }
    let mut seen = BTreeSet::new();
    let mut happened = BTreeMap::new();
    for seed in 0..number("FAULTS").unwrap_or(FAULTS) {
        let result = panic::catch_unwind(|| {
            let case = Case::play(seed);
            case.check(false);
            (case.ending, case.side == Side::Client, case.happened)
        });
        let Ok((ending, is_client, faults)) = result else {
            panic!(
                "again, alone: FAULT={seed} cargo test --test quinn_proto faults -- --nocapture"
            );
        };
        seen.insert((ending, is_client));
        for fault in faults {
            *happened.entry(fault).or_insert(0) += 1;
        }
    }
    println!("{happened:?}");
    assert_eq!(seen.len(), 2 * ENDINGS.len(), "each ending at each side");
    for fault in [
        "lost",
        "late",
        "twice",
        "spoilt",
        "moved",
        "new keys",
        "small windows",
        "early data refused",
        "from the first packet on",
        "blackout",
    ] {
        assert!(happened.contains_key(fault), "never: {fault}");
    }
}

struct Case {
    seed: u64,
    ending: Ending,
    side: Side,
    pair: Pair,
    session: SessionId,
    random: Rng,
    weather: Weather,
    /// By which a client knows the server after a restart.
    keys: EndpointConfig,
    /// What each application was told, and which of its streams it may write to.
    told: [Vec<Event>; 2],
    streams: [BTreeMap<StreamId, usize>; 2],
    happened: BTreeSet<&'static str>,
}

impl Case {
    fn play(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let ending = ENDINGS[(seed % 11) as usize];
        let side = SIDES[(seed / 11 % 2) as usize];
        let mut happened = BTreeSet::new();
        let setup = setup(&mut random, ending, &mut happened);
        let keys = setup.server_endpoint.clone().unwrap();
        let mut pair = Pair::connecting(setup);
        let weather = weather(&mut random, &mut happened);
        for side in SIDES {
            pair.side(side).random = Rng::with_seed(random.u64(..));
        }
        let mut case = Self {
            seed,
            ending,
            side,
            pair,
            session: SessionId::try_from(StreamId::from(0)).unwrap(),
            random,
            weather,
            keys,
            told: [Vec::new(), Vec::new()],
            streams: [BTreeMap::new(), BTreeMap::new()],
            happened,
        };
        if case.random.bool() {
            case.happened.insert("from the first packet on");
            case.set_link(Link::Bad(weather));
        }
        case.begin();
        case.set_link(Link::Bad(weather));
        if ending != Ending::Reject {
            for _ in 0..case.random.u32(5..40) {
                case.live_a_little();
            }
        }
        case.end();
        let speaks = !matches!(ending, Ending::Inactive | Ending::Silence);
        for _ in 0..20 {
            if speaks && ending != Ending::Reject {
                case.traffic();
            }
            case.run(Duration::from_millis(50));
        }
        // The longest way: one side's idle timeout, then the other's.
        case.run(Duration::from_secs(150));
        case
    }

    fn set_link(&mut self, link: Link) {
        self.pair.client.link = link;
        self.pair.server.link = link;
    }

    fn run(&mut self, time: Duration) {
        self.pair.run(time);
        for (side, told) in SIDES.into_iter().zip(&mut self.told) {
            told.extend(self.pair.side(side).take());
        }
    }

    fn wait_for(&mut self, side: usize, what: impl Fn(&Event) -> bool) {
        for _ in 0..400 {
            if self.told[side].iter().any(&what) {
                return;
            }
            self.run(Duration::from_millis(50));
        }
        panic!("{:?}", self.told);
    }

    /// Until the session is open, or refused.
    fn begin(&mut self) {
        self.wait_for(0, |event| matches!(event, Event::Ready(_)));
        let session = self.pair.client.connect("/game");
        assert_eq!(session, self.session);
        self.wait_for(1, |event| matches!(event, Event::SessionRequested { .. }));
        if self.ending != Ending::Reject {
            self.pair.server.accept(session);
            self.wait_for(0, |event| matches!(event, Event::SessionOpened { .. }));
        }
    }

    fn live_a_little(&mut self) {
        self.traffic();
        match self.random.u32(..20) {
            0 | 1 => {
                self.happened.insert("moved");
                let port = self.random.u16(10_000..);
                self.pair.client.address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                if self.random.bool() {
                    self.pair.client.quic().local_address_changed();
                } else {
                    self.pair.client.quic().ping();
                }
                // In calm weather: a path that is not validated in time trips a debug assertion of
                // quinn-proto 0.11.19 (quinn-rs/quinn#2658).
                self.set_link(Link::Up);
                self.run(Duration::from_millis(200));
                self.set_link(Link::Bad(self.weather));
            }
            // Once: quinn changes its keys unasked too, and where both sides do so again before either
            // has heard, quinn-proto 0.11.19 may decrypt nothing any more.
            2 | 3 if self.happened.insert("new keys") => {
                let side = SIDES[self.random.usize(..2)];
                self.pair.side(side).quic().force_key_update();
            }
            4 => {
                self.happened.insert("blackout");
                self.set_link(Link::Cut);
                let millis = self.random.u64(..3000);
                self.run(Duration::from_millis(millis));
                self.set_link(Link::Bad(self.weather));
            }
            _ => {}
        }
        let millis = self.random.u64(..60);
        self.run(Duration::from_millis(millis));
    }

    /// Both applications do something that they may do, wherever the session stands.
    fn traffic(&mut self) {
        for (n, side) in SIDES.into_iter().enumerate() {
            let (session, streams) = (self.session, &mut self.streams[n]);
            let end = self.pair.side(side);
            if end.endpoint.is_empty() {
                continue;
            }
            let now = end.now;
            let peer = end.peer();
            if !peer.sessions().sessions().any(|open| open == session) {
                continue;
            }
            for _ in 0..self.random.u32(..4) {
                let some = streams.keys().nth(self.random.usize(..4)).copied();
                match (self.random.u32(..10), some) {
                    (0..3, _) => {
                        let payload = [n as u8; 100];
                        let _ = peer.send_datagram(session, &payload[..self.random.usize(1..100)]);
                    }
                    (3 | 4, _) => {
                        let dir = [Dir::Uni, Dir::Bi][self.random.usize(..2)];
                        if let Ok(stream) = peer.open(now, session, dir) {
                            streams.insert(stream, 0);
                        }
                    }
                    (5, Some(stream)) => {
                        let _ = peer.sessions().reset(stream, 5);
                        streams.remove(&stream);
                    }
                    (6, Some(stream)) => {
                        let _ = peer.sessions().finish(stream);
                        streams.remove(&stream);
                    }
                    (_, Some(stream)) => {
                        let sent = streams.get_mut(&stream).unwrap();
                        let more: Vec<u8> = (*sent..*sent + self.random.usize(1..2000))
                            .map(pattern)
                            .collect();
                        if let Ok(written) = peer.write(stream, &more) {
                            *sent += written;
                        }
                    }
                    (_, None) => {}
                }
            }
        }
    }

    fn end(&mut self) {
        let (side, session) = (self.side, self.session);
        match self.ending {
            Ending::Close => self.pair.side(side).close(session, 7, "bye"),
            Ending::BothClose => {
                self.pair.client.close(session, 7, "bye");
                self.pair.server.close(session, 7, "bye");
            }
            Ending::Shutdown => self.pair.side(side).shutdown(7, "bye"),
            Ending::Abort => self.pair.side(side).abort(ABORTED, b"why"),
            Ending::Reset => {
                let quic = self.pair.side(side).quic();
                let connect = quic::StreamId::from(session.connect_stream());
                quic.send_stream(connect).reset(RESET.into()).unwrap();
            }
            Ending::Reject => {
                let status = http::StatusCode::from_u16(STATUS).unwrap();
                self.pair.server.reject(session, Rejection::from(status));
            }
            Ending::Inactive => {}
            Ending::Silence => self.set_link(Link::Cut),
            Ending::Unheard => self.pair.side(side).link = Link::Cut,
            Ending::CloseUnheard => {
                self.pair.side(side).link = Link::Cut;
                self.pair.side(side.other()).close(session, 7, "bye");
            }
            Ending::Restart => {
                let keys = Arc::new(self.keys.clone());
                let restarted = quic::Endpoint::new(keys, None, true, None);
                self.pair.server.endpoint = Endpoint::new(restarted, Arc::default());
            }
        }
    }

    // ---- what both were told

    fn check(&self, aloud: bool) {
        let (seed, ending, side) = (self.seed, self.ending, self.side);
        for (n, at) in SIDES.into_iter().enumerate() {
            let told = &self.told[n];
            if aloud {
                println!(
                    "{seed}, {ending:?} by {side:?}, {:?}: {at:?}",
                    self.happened
                );
                for event in told {
                    let mut line = format!("{event:?}");
                    line.truncate(150);
                    println!("    {line}");
                }
            }
            // A server that has forgotten everything tells nothing.
            if ending == Ending::Restart && at == Side::Server {
                continue;
            }
            let reason = self.only_end(told);
            let is_true = self.is_true(at, reason);
            assert!(
                is_true,
                "{seed}, {ending:?} by {side:?}: {at:?} was told {reason:?}"
            );

            let Some(Event::ConnectionClosed { reason: lost }) = told.last() else {
                panic!(
                    "{seed}: the connection of {at:?} did not end: {:?}",
                    told.last()
                );
            };
            let ends = told
                .iter()
                .filter(|event| matches!(event, Event::ConnectionClosed { .. }));
            assert_eq!(ends.count(), 1, "{seed}");
            if let CloseReason::ConnectionLost(with) = reason {
                assert_eq!(with, lost, "{seed}");
            }
            self.payload_is_as_it_was_sent(told);
        }
    }

    /// The reason, told once; nothing of the session comes after it.
    fn only_end<'e>(&self, told: &'e [Event]) -> &'e CloseReason {
        let of_session = |event: &&Event| event.session() == Some(self.session);
        let ends = told.iter().filter_map(|event| match event {
            Event::SessionClosed { reason, .. } => Some(reason),
            _ => None,
        });
        let ends: Vec<_> = ends.collect();
        assert_eq!(ends.len(), 1, "{}: {ends:?}", self.seed);
        let last = told.iter().rfind(of_session);
        let is_end = matches!(last, Some(Event::SessionClosed { .. }));
        assert!(is_end, "{}: {last:?} after the end", self.seed);
        ends[0]
    }

    /// Whether the facts allow this reason at this side.
    fn is_true(&self, at: Side, reason: &CloseReason) -> bool {
        let message = || "bye".into();
        let local = CloseReason::Local {
            code: 7,
            message: message(),
        };
        let capsule = |code| CloseReason::Peer {
            code,
            message: message(),
            via: CloseVia::Capsule,
        };
        let lost = |lost: ConnectionLost| *reason == CloseReason::ConnectionLost(lost);
        let code = WT_SESSION_GONE;
        let gone = |by| CloseReason::Aborted { by, code };
        let is_ours = at == self.side;
        match self.ending {
            Ending::Close | Ending::Shutdown if is_ours => *reason == local,
            Ending::Close | Ending::Shutdown => *reason == capsule(7),
            Ending::BothClose => *reason == local,
            Ending::Abort if is_ours => lost(ConnectionLost::Local {
                code: Some(ABORTED),
            }),
            // The one packet that says so may be lost, and whoever sent it be gone when asked again.
            Ending::Abort => {
                lost(ConnectionLost::PeerApplication {
                    code: ABORTED,
                    reason: "why".into(),
                }) || lost(ConnectionLost::IdleTimeout)
                    || lost(ConnectionLost::StatelessReset)
            }
            // Who has reset its half is answered with both.
            Ending::Reset if is_ours => matches!(reason, CloseReason::Aborted { .. }),
            Ending::Reset => {
                *reason
                    == CloseReason::Aborted {
                        by: AbortedBy::Reset,
                        code: RESET.into(),
                    }
            }
            Ending::Reject => {
                let by = match at {
                    Side::Client => End::Peer,
                    Side::Server => End::Local,
                };
                matches!(reason, CloseReason::Rejected { by: who, rejection }
                    if *who == by && rejection.status == STATUS)
            }
            Ending::Inactive if at == Side::Server => {
                *reason == CloseReason::TimedOut(Deadline::Inactivity)
            }
            Ending::Inactive => *reason == capsule(9),
            Ending::Silence | Ending::Unheard => lost(ConnectionLost::IdleTimeout),
            // The close may wait behind what was not acknowledged; when the linger is over, the other
            // side gives up.
            Ending::CloseUnheard if is_ours => {
                *reason == capsule(7)
                    || *reason == gone(AbortedBy::Reset)
                    || *reason == gone(AbortedBy::StopSending)
                    || lost(ConnectionLost::IdleTimeout)
            }
            Ending::CloseUnheard => *reason == local,
            Ending::Restart => {
                lost(ConnectionLost::StatelessReset) || lost(ConnectionLost::IdleTimeout)
            }
        }
    }

    /// What arrives of a stream is the front of what was written to it.
    fn payload_is_as_it_was_sent(&self, told: &[Event]) {
        let mut streams = BTreeMap::<StreamId, usize>::new();
        for event in told {
            if let Event::StreamData { stream, data, .. } = event {
                let received = streams.entry(*stream).or_default();
                for byte in data {
                    assert_eq!(*byte, pattern(*received), "{}: {stream}", self.seed);
                    *received += 1;
                }
            }
        }
    }
}

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

fn weather(random: &mut Rng, happened: &mut BTreeSet<&'static str>) -> Weather {
    let mut some = |name, most| {
        let percent = if random.bool() {
            0
        } else {
            random.u32(1..=most)
        };
        happened.extend((percent > 0).then_some(name));
        percent
    };
    Weather {
        lost: some("lost", 20),
        late: some("late", 40),
        twice: some("twice", 20),
        spoilt: some("spoilt", 10),
    }
}

/// Windows of so many bytes: of each stream, of the connection, or of what quinn keeps to send.
#[derive(Clone, Copy)]
enum Small {
    Stream(u32),
    Connection(u32),
    Buffer(u32),
}

impl Small {
    fn apply(self, setup: &mut Setup) {
        for quic in [&mut setup.client_quic, &mut setup.server_quic] {
            match self {
                Self::Stream(size) => quic.stream_receive_window(size.into()),
                Self::Connection(size) => quic.receive_window(size.into()),
                Self::Buffer(size) => quic.send_window(size.into()),
            };
        }
    }
}

fn setup(random: &mut Rng, ending: Ending, happened: &mut BTreeSet<&'static str>) -> Setup {
    let mut setup = Setup::default();
    let small = (random.u32(..3) == 0).then(|| {
        happened.insert("small windows");
        let size = [8, 30, 200][random.usize(..3)];
        [Small::Stream, Small::Connection, Small::Buffer][random.usize(..3)](size)
    });
    if random.u32(..4) == 0 {
        happened.insert("early data refused");
        setup.client_tls.enable_early_data = true;
        let client_tls = setup.client_tls.clone();
        let early = || {
            let mut server_tls = server_tls();
            server_tls.max_early_data_size = u32::MAX;
            let mut early = Setup {
                client_tls: client_tls.clone(),
                server_tls,
                ..Setup::default()
            };
            // Quinn keeps to the windows that it remembers, also where early data is refused.
            if let Some(small) = small {
                small.apply(&mut early);
            }
            early
        };
        // The ticket is of a server that knows nothing of the next.
        let mut before = Pair::connecting(early());
        before.run(Duration::from_secs(8));
        setup = early();
    } else if let Some(small) = small {
        small.apply(&mut setup);
    }
    let dialect = [Dialect::Draft02, Dialect::Draft16][random.usize(..2)];
    for config in [&mut setup.client, &mut setup.server] {
        *config = Config::default();
        config.dialects = Dialects::only(dialect);
        // A bad network takes its time, and that is not what this is about.
        config.deadlines.request = None;
        config.deadlines.linger = Duration::from_secs(25);
        config.deadlines.inactivity_close = (9, "bye".into());
    }
    if ending == Ending::Inactive {
        setup.server.deadlines.inactivity = Some(Duration::from_secs(8));
    }
    // Quinn's default ids are its own after a restart only: no reset is sent for others'.
    let mut endpoint = EndpointConfig::default();
    endpoint.cid_generator(|| Box::<RandomConnectionIdGenerator>::default());
    setup.server_endpoint = Some(endpoint);
    setup
}
