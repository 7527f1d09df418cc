//! Two ends in memory, each an [`Endpoint`] over a real QUIC stack, and the link between them. Time is
//! a number here: it jumps to whatever is due next.
//!
//! What `testing::Pair` plays of QUIC is quinn's own doing here.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fastrand::Rng;
use quinn_proto::{
    self as quic, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use webtransport_session::{
    CloseReason, ConnectError, Connection, ConnectionLost, Dir, Event, OpenError, Rejection,
    Request, Response, SendError, SessionId, Side, StreamId,
    host::quinn_proto::{Endpoint, Peer, PeerId},
};

use crate::setup::{ROUND_TRIP, Setup};

/// Longer than any exchange here, shorter than any deadline.
const SOON: Duration = Duration::from_millis(800);

// ---- the two of them

pub struct Pair {
    pub now: Instant,
    pub client: End,
    pub server: End,
    dials: quic::ClientConfig,
}

impl Pair {
    /// Connected, with SETTINGS on both sides, and nothing left to tell.
    pub fn connected(setup: Setup) -> Self {
        let mut pair = Self::connecting(setup);
        pair.settle();
        for side in [Side::Client, Side::Server] {
            let events = pair.side(side).take();
            assert!(matches!(events[..], [Event::Ready(_)]), "{events:?}");
        }
        pair
    }

    /// The same, with one session that is open.
    pub fn in_session(setup: Setup) -> (Self, SessionId) {
        let mut pair = Self::connected(setup);
        let session = pair.open_session();
        (pair, session)
    }

    /// The client has not sent anything yet.
    pub fn connecting(setup: Setup) -> Self {
        let crypto = QuicServerConfig::try_from(setup.server_tls).unwrap();
        let mut config = quic::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(setup.server_quic));
        let sessions = Arc::new(setup.server);
        let server = match setup.server_endpoint {
            None => Endpoint::server(config, sessions),
            Some(endpoint) => {
                let (endpoint, config) = (Arc::new(endpoint), Some(Arc::new(config)));
                Endpoint::new(quic::Endpoint::new(endpoint, config, true, None), sessions)
            }
        };

        let crypto = QuicClientConfig::try_from(setup.client_tls).unwrap();
        let mut dials = quic::ClientConfig::new(Arc::new(crypto));
        dials.transport_config(Arc::new(setup.client_quic));
        let client = Endpoint::client(Arc::new(setup.client));

        #[expect(
            clippy::disallowed_methods,
            reason = "an origin; only offsets from it matter"
        )]
        let now = Instant::now();
        let mut pair = Self {
            now,
            client: End::new(Side::Client, client, now),
            server: End::new(Side::Server, server, now),
            dials,
        };
        pair.dial();
        pair
    }

    /// One more connection.
    pub fn dial(&mut self) -> PeerId {
        let config = self.dials.clone();
        let client = &mut self.client.endpoint;
        let dialled = client.connect(self.now, config, address(Side::Server), "localhost");
        dialled.unwrap()
    }

    /// Opens a session and forgets the events of it.
    pub fn open_session(&mut self) -> SessionId {
        let session = self.client.connect("/game");
        self.settle();
        self.server.accept(session);
        self.settle();
        let opened = |event: &Event| matches!(event, Event::SessionOpened { .. });
        assert!(self.client.take().iter().any(opened));
        assert!(self.server.take().iter().any(opened));
        session
    }

    pub fn side(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Lets all happen that follows soon.
    pub fn settle(&mut self) {
        self.run(SOON);
    }

    /// Lets all happen that happens within this time.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        // A timer that is always due would never let the clock go on.
        for _ in 0..100_000 {
            self.turn();
            match self.next_due() {
                Some(at) if at <= until => self.set_now(at),
                Some(_) | None => return self.set_now(until),
            }
        }
        panic!("still busy at {:?} before the end", until - self.now);
    }

    /// As `run`, with applications: `work` is called whenever something may have changed, until it
    /// says that it is done.
    pub fn run_until(&mut self, time: Duration, mut work: impl FnMut(&mut Self) -> bool) {
        let until = self.now + time;
        for _ in 0..1_000_000 {
            self.turn();
            if work(self) {
                return;
            }
            let told = self.untaken();
            self.turn();
            if self.untaken() > told {
                continue;
            }
            let at = self.next_due().filter(|&at| at <= until);
            self.set_now(at.expect("this should be over by now"));
        }
        panic!("still busy at {:?} before the end", until - self.now);
    }

    /// All that is due now: packets in, timers, hosts, packets out.
    pub fn turn(&mut self) {
        self.client.turn();
        self.server.turn();
        self.client.send(&mut self.server);
        self.server.send(&mut self.client);
    }

    /// Lets the packets that are under way arrive, and polls nobody: quinn knows, its host does not.
    pub fn arrive(&mut self) {
        self.set_now(self.now + ROUND_TRIP / 2);
        self.client.deliver();
        self.server.deliver();
    }

    fn next_due(&self) -> Option<Instant> {
        let due = [self.client.next_due(), self.server.next_due()];
        due.into_iter().flatten().min()
    }

    fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.client.now = self.now;
        self.server.now = self.now;
    }

    fn untaken(&self) -> usize {
        self.client.told.len() + self.server.told.len()
    }
}

/// What becomes of the packets that an end sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Up,
    /// They wait until it is up.
    Held,
    /// They are lost.
    Cut,
    /// Each n-th is lost.
    Lossy(usize),
    Bad(Weather),
}

/// How many of a hundred packets, drawn anew for each, are …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// lost,
    pub lost: u32,
    /// on the way for up to three round trips more, so that others overtake them,
    pub late: u32,
    /// there twice,
    pub twice: u32,
    /// changed in one bit, or cut short.
    pub spoilt: u32,
}

/// What a server does with a connection that is new.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Open,
    Shut,
    /// Open to those who have proven their address.
    Asks,
}

// ---- one of them

/// Commands are for its first connection, unless they are given to `endpoint`.
pub struct End {
    side: Side,
    pub endpoint: Endpoint,
    pub link: Link,
    pub door: Door,
    pub now: Instant,
    /// Where it sends from. A client may move; what is sent to where it was is lost.
    pub address: SocketAddr,
    /// What draws the weather.
    pub random: Rng,
    /// What is under way to it, from whom, and when it arrives.
    pub inbox: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    /// What its application was told, and of which connection.
    pub told: Vec<(PeerId, Event)>,
    /// How often it asked for a proof of an address.
    pub asked: usize,
    outbox: Vec<(SocketAddr, Vec<u8>)>,
    sent: usize,
}

impl End {
    fn new(side: Side, endpoint: Endpoint, now: Instant) -> Self {
        Self {
            side,
            endpoint,
            link: Link::Up,
            door: Door::Open,
            now,
            address: address(side),
            random: Rng::with_seed(0),
            inbox: VecDeque::new(),
            told: Vec::new(),
            asked: 0,
            outbox: Vec::new(),
            sent: 0,
        }
    }

    fn turn(&mut self) {
        self.deliver();
        self.endpoint.handle_timeout(self.now);
        self.poll();
        let mut packet = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit(self.now, &mut packet) {
            assert_eq!(transmit.size, packet.len());
            let packet = std::mem::take(&mut packet);
            self.outbox.push((transmit.destination, packet));
        }
    }

    pub fn poll(&mut self) {
        while let Some(told) = self.endpoint.poll(self.now) {
            self.told.push(told);
        }
    }

    fn deliver(&mut self) {
        while self.inbox.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, from, packet) = self.inbox.pop_front().unwrap();
            self.receive(from, &packet);
        }
    }

    fn receive(&mut self, from: SocketAddr, packet: &[u8]) {
        let endpoint = &mut self.endpoint;
        let Some(incoming) = endpoint.handle(self.now, from, None, None, packet.into()) else {
            return;
        };
        match self.door {
            Door::Open => _ = endpoint.accept(self.now, incoming),
            Door::Shut => endpoint.refuse(incoming),
            Door::Asks => match endpoint.retry(incoming) {
                Ok(()) => self.asked += 1,
                Err(again) => _ = endpoint.accept(self.now, *again),
            },
        }
    }

    fn send(&mut self, to: &mut Self) {
        if self.link == Link::Held {
            return;
        }
        for (destination, packet) in std::mem::take(&mut self.outbox) {
            self.sent += 1;
            let weather = match self.link {
                Link::Up | Link::Held => Weather::default(),
                Link::Cut => continue,
                Link::Lossy(every) if self.sent % every == 0 => continue,
                Link::Lossy(_) => Weather::default(),
                Link::Bad(weather) => weather,
            };
            let moved = to.address != address(to.side);
            assert!(destination == to.address || moved, "{destination}");
            if destination != to.address {
                continue;
            }
            if self.happens(weather.lost) {
                continue;
            }
            let copies = if self.happens(weather.twice) { 2 } else { 1 };
            for _ in 0..copies {
                let mut arrival = self.now + ROUND_TRIP / 2;
                if self.happens(weather.late) {
                    arrival += ROUND_TRIP * self.random.u32(1..=30) / 10;
                }
                let mut packet = packet.clone();
                if self.happens(weather.spoilt) {
                    spoil(&mut packet, &mut self.random);
                }
                let behind = to.inbox.partition_point(|(at, ..)| *at <= arrival);
                to.inbox.insert(behind, (arrival, self.address, packet));
            }
        }
    }

    fn happens(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    fn next_due(&self) -> Option<Instant> {
        let arrival = self.inbox.front().map(|(at, ..)| *at);
        let due = [arrival, self.endpoint.poll_timeout()];
        due.into_iter().flatten().min()
    }

    /// Its first connection.
    pub fn peer(&mut self) -> &mut Peer {
        let first = self.endpoint.peers().next().expect("a connection");
        self.endpoint.peer(first).unwrap()
    }

    /// That of quinn, for what a test does behind the host's back.
    pub fn quic(&mut self) -> &mut quic::Connection {
        &mut self.peer().quic
    }

    pub fn sessions(&mut self) -> &mut Connection {
        self.peer().sessions()
    }

    /// The events since the last call.
    pub fn take(&mut self) -> Vec<Event> {
        self.told.drain(..).map(|(_, event)| event).collect()
    }

    /// Takes the events, which must hold exactly one end of this session and nothing of it after.
    pub fn end_of(&mut self, session: SessionId) -> CloseReason {
        let events = self.take();
        let mut of_session = events
            .iter()
            .filter(|event| event.session() == Some(session))
            .rev();
        let Some(Event::SessionClosed { reason, .. }) = of_session.next() else {
            panic!("{session} did not end: {events:?}");
        };
        let is_end = |event: &Event| matches!(event, Event::SessionClosed { .. });
        assert!(!of_session.any(is_end), "twice: {events:?}");
        reason.clone()
    }

    /// Takes the events, the last of which must be the end of the connection.
    pub fn loss(&mut self) -> ConnectionLost {
        let events = self.take();
        let is_end = |event: &&Event| matches!(event, Event::ConnectionClosed { .. });
        assert_eq!(events.iter().filter(is_end).count(), 1, "{events:?}");
        match events.last() {
            Some(Event::ConnectionClosed { reason }) => reason.clone(),
            _ => panic!("not the last: {events:?}"),
        }
    }

    /// Takes the events: the session ends with this loss, and then the connection, and that is all.
    #[track_caller]
    pub fn assert_lost(&mut self, session: SessionId, lost: &ConnectionLost) {
        let reason = CloseReason::ConnectionLost(lost.clone());
        let session_closed = Event::SessionClosed { session, reason };
        let reason = lost.clone();
        let connection_closed = Event::ConnectionClosed { reason };
        assert_eq!(self.take(), [session_closed, connection_closed]);
    }

    // ---- what an application does, where it must succeed

    pub fn connect(&mut self, path: &str) -> SessionId {
        let uri = format!("https://localhost{path}").parse().unwrap();
        self.try_connect(&Request::new(uri)).unwrap()
    }

    pub fn try_connect(&mut self, request: &Request) -> Result<SessionId, ConnectError> {
        let now = self.now;
        self.peer().connect(now, request)
    }

    pub fn accept(&mut self, session: SessionId) {
        let (now, response) = (self.now, Response::default());
        self.sessions().accept(now, session, response).unwrap();
    }

    pub fn reject(&mut self, session: SessionId, rejection: Rejection) {
        let now = self.now;
        self.sessions().reject(now, session, rejection).unwrap();
    }

    pub fn close(&mut self, session: SessionId, code: u32, message: &str) {
        let now = self.now;
        self.sessions().close(now, session, code, message);
    }

    pub fn shutdown(&mut self, code: u32, message: &str) {
        let now = self.now;
        self.sessions().shutdown(now, code, message);
    }

    pub fn abort(&mut self, code: u64, reason: &[u8]) {
        let now = self.now;
        self.peer().abort(now, code, reason);
    }

    /// On quinn itself, behind the host's back.
    pub fn close_quic(&mut self, code: u32, reason: &'static str) {
        let now = self.now;
        self.quic()
            .close(now, VarInt::from_u32(code), reason.into());
    }

    pub fn open(&mut self, session: SessionId, dir: Dir) -> StreamId {
        self.try_open(session, dir).unwrap()
    }

    pub fn try_open(&mut self, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        let now = self.now;
        self.peer().open(now, session, dir)
    }

    pub fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.peer().write(stream, data)
    }

    pub fn write_all(&mut self, stream: StreamId, data: &[u8]) {
        assert_eq!(self.write(stream, data), Ok(data.len()));
    }

    pub fn finish(&mut self, stream: StreamId) {
        self.sessions().finish(stream).unwrap();
    }

    pub fn datagram(&mut self, session: SessionId, payload: &[u8]) {
        self.peer().send_datagram(session, payload).unwrap();
    }
}

/// One bit is another, or the end is missing.
fn spoil(packet: &mut Vec<u8>, random: &mut Rng) {
    let at = random.usize(..packet.len());
    if random.u32(..4) == 0 {
        packet.truncate(at);
    } else {
        packet[at] ^= 1 << random.u32(..8);
    }
}

fn address(side: Side) -> SocketAddr {
    let port = match side {
        Side::Client => 4433,
        Side::Server => 4434,
    };
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// All bytes that came on a stream, and whether its FIN did.
pub fn received(events: &[Event], stream: StreamId) -> (Bytes, bool) {
    let mut bytes = Vec::new();
    let mut ended = false;
    for event in events {
        match event {
            Event::StreamData {
                stream: on,
                data,
                fin,
                ..
            } if *on == stream => {
                assert!(!ended, "data after the FIN: {event:?}");
                bytes.extend_from_slice(data);
                ended = *fin;
            }
            _ => {}
        }
    }
    (bytes.into(), ended)
}
