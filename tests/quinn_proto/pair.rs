//! Two ends in memory, each a quinn endpoint with one connection and its host, and the link between
//! them. Time is a number here: it jumps to whatever is due next.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn_proto::{
    self as quic, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use webtransport_session::{
    CloseReason, Config, ConnectionLost, Dir, Event, OpenError, Request, Response, SendError,
    SessionId, Side, StreamId, host::quinn_proto::Host,
};

use crate::setup::{ROUND_TRIP, Setup};

/// Longer than any exchange here, shorter than any deadline.
const SOON: Duration = Duration::from_millis(800);

// ---- the two of them

pub struct Pair {
    pub now: Instant,
    pub client: End,
    pub server: End,
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
        let now = origin();
        let addresses = [4433, 4434].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));

        let crypto = QuicServerConfig::try_from(setup.server_tls).unwrap();
        let mut config = quic::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(setup.server_quic));
        let endpoint_config = Arc::new(setup.server_endpoint);
        let server = Endpoint::new(endpoint_config, Some(Arc::new(config)), true, None);

        let crypto = QuicClientConfig::try_from(setup.client_tls).unwrap();
        let mut config = quic::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(setup.client_quic));
        let mut client = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let (handle, quic) = client
            .connect(now, config, addresses[1], "localhost")
            .unwrap();

        let mut client = End::new(client, addresses[0], setup.client);
        let host = Host::client(client.config.clone());
        client.peer = Some(Peer::new(handle, quic, host, now));
        let server = End::new(server, addresses[1], setup.server);
        Self {
            now,
            client,
            server,
        }
    }

    /// Opens a session and forgets the events of it.
    pub fn open_session(&mut self) -> SessionId {
        let session = self.client().connect("/game");
        self.settle();
        self.server().accept(session);
        self.settle();
        let opened = |event: &Event| matches!(event, Event::SessionOpened { .. });
        assert!(self.client().take().iter().any(opened));
        assert!(self.server().take().iter().any(opened));
        session
    }

    pub fn client(&mut self) -> &mut Peer {
        self.client.peer()
    }

    pub fn server(&mut self) -> &mut Peer {
        self.server.peer()
    }

    pub fn side(&mut self, side: Side) -> &mut Peer {
        match side {
            Side::Client => self.client(),
            Side::Server => self.server(),
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
        let from = self.client.address;
        self.client.turn(self.now, self.server.address);
        self.server.turn(self.now, from);
        self.client.send(self.now, &mut self.server);
        self.server.send(self.now, &mut self.client);
    }

    /// Lets the packets that are under way arrive, and polls nobody: quinn knows, its host does not.
    pub fn arrive(&mut self) {
        self.set_now(self.now + ROUND_TRIP / 2);
        self.client.deliver(self.now, self.server.address);
        self.server.deliver(self.now, self.client.address);
    }

    fn next_due(&mut self) -> Option<Instant> {
        let ends = [&mut self.client, &mut self.server];
        ends.into_iter().filter_map(End::next_due).min()
    }

    fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
        for end in [&mut self.client, &mut self.server] {
            if let Some(peer) = &mut end.peer {
                peer.now = self.now;
            }
        }
    }

    fn untaken(&self) -> usize {
        let peers = [&self.client.peer, &self.server.peer];
        let peers = peers.into_iter().flatten();
        peers.map(|peer| peer.events.len()).sum()
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
}

// ---- one of them

pub struct End {
    pub endpoint: Endpoint,
    pub link: Link,
    pub peer: Option<Peer>,
    address: SocketAddr,
    config: Arc<Config>,
    inbox: VecDeque<(Instant, Vec<u8>)>,
    outbox: Vec<Vec<u8>>,
    sent: usize,
}

impl End {
    fn new(endpoint: Endpoint, address: SocketAddr, config: Config) -> Self {
        Self {
            endpoint,
            link: Link::Up,
            peer: None,
            address,
            config: Arc::new(config),
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            sent: 0,
        }
    }

    fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().expect("a connection")
    }

    /// This end forgets its connection, as after a restart.
    pub fn forget(&mut self) {
        if let Some(peer) = self.peer.take() {
            let gone = quic::EndpointEvent::drained();
            assert!(self.endpoint.handle_event(peer.handle, gone).is_none());
        }
    }

    fn turn(&mut self, now: Instant, from: SocketAddr) {
        self.deliver(now, from);
        let Some(peer) = &mut self.peer else {
            return;
        };
        peer.now = now;
        if peer.quic.poll_timeout().is_some_and(|at| at <= now) {
            peer.quic.handle_timeout(now);
        }
        if peer.host.poll_timeout().is_some_and(|at| at <= now) {
            peer.host.handle_timeout(now);
        }
        peer.poll();
        while let Some(event) = peer.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(peer.handle, event) {
                peer.quic.handle_event(event);
            }
        }
        self.outbox.append(&mut peer.transmit());
    }

    fn deliver(&mut self, now: Instant, from: SocketAddr) {
        while self.inbox.front().is_some_and(|(at, _)| *at <= now) {
            let (_, packet) = self.inbox.pop_front().unwrap();
            self.receive(now, from, &packet);
        }
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let mut answer = Vec::new();
        let event = self
            .endpoint
            .handle(now, from, None, None, packet.into(), &mut answer);
        match event {
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = self.endpoint.accept(incoming, now, &mut answer, None);
                match accepted {
                    Ok((handle, quic)) => {
                        let host = Host::server(self.config.clone());
                        self.peer = Some(Peer::new(handle, quic, host, now));
                    }
                    Err(refused) => assert!(refused.response.is_none()),
                }
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => self.peer().quic.handle_event(event),
            Some(DatagramEvent::Response(_)) => self.outbox.push(answer),
            None => {}
        }
    }

    fn send(&mut self, now: Instant, to: &mut Self) {
        if self.link == Link::Held {
            return;
        }
        for packet in self.outbox.drain(..) {
            self.sent += 1;
            let is_lost = match self.link {
                Link::Up | Link::Held => false,
                Link::Cut => true,
                Link::Lossy(every) => self.sent % every == 0,
            };
            if !is_lost {
                to.inbox.push_back((now + ROUND_TRIP / 2, packet));
            }
        }
    }

    fn next_due(&mut self) -> Option<Instant> {
        let arrival = self.inbox.front().map(|(at, _)| *at);
        let timers = self
            .peer
            .as_mut()
            .map(|peer| [peer.quic.poll_timeout(), peer.host.poll_timeout()]);
        let timers = timers.into_iter().flatten();
        timers.chain([arrival]).flatten().min()
    }
}

/// One connection: quinn's, its host, and what that told its application.
pub struct Peer {
    pub quic: quic::Connection,
    pub host: Host,
    pub now: Instant,
    handle: ConnectionHandle,
    events: Vec<Event>,
}

impl Peer {
    fn new(handle: ConnectionHandle, quic: quic::Connection, host: Host, now: Instant) -> Self {
        Self {
            quic,
            host,
            now,
            handle,
            events: Vec::new(),
        }
    }

    pub fn poll(&mut self) {
        while let Some(event) = self.host.poll(&mut self.quic, self.now) {
            self.events.push(event);
        }
    }

    /// The packets that quinn has; they are the caller's.
    fn transmit(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut packet = Vec::new();
        while self.quic.poll_transmit(self.now, 1, &mut packet).is_some() {
            packets.push(std::mem::take(&mut packet));
        }
        packets
    }

    /// The events since the last call.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
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

    // ---- what an application does, where it must succeed

    pub fn connect(&mut self, path: &str) -> SessionId {
        let uri = format!("https://localhost{path}").parse().unwrap();
        self.host
            .connect(&mut self.quic, self.now, &Request::new(uri))
            .unwrap()
    }

    pub fn accept(&mut self, session: SessionId) {
        let connection = self.host.connection();
        connection
            .accept(self.now, session, Response::default())
            .unwrap();
    }

    pub fn close(&mut self, session: SessionId, code: u32, message: &str) {
        let connection = self.host.connection();
        connection.close(self.now, session, code, message);
    }

    pub fn open(&mut self, session: SessionId, dir: Dir) -> StreamId {
        self.try_open(session, dir).unwrap()
    }

    pub fn try_open(&mut self, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        self.host.open(&mut self.quic, self.now, session, dir)
    }

    pub fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.host.write(&mut self.quic, stream, data)
    }

    pub fn write_all(&mut self, stream: StreamId, data: &[u8]) {
        assert_eq!(self.write(stream, data), Ok(data.len()));
    }

    pub fn finish(&mut self, stream: StreamId) {
        self.host.connection().finish(stream).unwrap();
    }

    pub fn datagram(&mut self, session: SessionId, payload: &[u8]) {
        self.host
            .send_datagram(&mut self.quic, session, payload)
            .unwrap();
    }
}

pub fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
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

/// An origin; only offsets from it matter.
pub fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "an origin; only offsets from it matter"
    )]
    *ORIGIN.get_or_init(Instant::now)
}
