//! `Endpoint`: many connections behind one address, on a network that is a queue.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use quinn_proto::{
    self as quic,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use webtransport_session::{
    CloseReason, CloseVia, Config, ConnectionLost, Dir, Event, Request, Response, SendError,
    SessionId,
    host::quinn_proto::{Endpoint, PeerId},
};

use crate::{
    pair::{origin, received},
    setup::{client_tls, server_tls},
};

/// Every address is that of a client, but this one.
const SERVER: u16 = 443;

struct Network {
    now: Instant,
    server: Endpoint,
    clients: Vec<Endpoint>,
    /// From, to, and what.
    wire: VecDeque<(u16, u16, BytesMut)>,
    accepts: bool,
    /// What an endpoint's application was told, by the endpoint's address.
    told: Vec<(u16, PeerId, Event)>,
}

impl Network {
    fn new() -> Self {
        let crypto = QuicServerConfig::try_from(server_tls()).unwrap();
        let config = quic::ServerConfig::with_crypto(Arc::new(crypto));
        Self {
            now: origin(),
            server: Endpoint::server(config, Arc::new(Config::default())),
            clients: Vec::new(),
            wire: VecDeque::new(),
            accepts: true,
            told: Vec::new(),
        }
    }

    /// Gives the address of a new client, which is its place.
    fn add_client(&mut self) -> u16 {
        let mut client = Endpoint::client(Arc::new(Config::default()));
        connect(&mut client, self.now);
        self.clients.push(client);
        u16::try_from(self.clients.len() - 1).unwrap()
    }

    fn at(&mut self, address: u16) -> &mut Endpoint {
        match address {
            SERVER => &mut self.server,
            _ => &mut self.clients[usize::from(address)],
        }
    }

    /// One turn of every endpoint's loop, as its docs say.
    fn turn(&mut self) {
        let now = self.now;
        for (from, to, packet) in std::mem::take(&mut self.wire) {
            let accepts = self.accepts;
            let endpoint = self.at(to);
            let incoming = endpoint.handle(now, socket_of(from), None, None, packet);
            match incoming {
                Some(incoming) if accepts => _ = endpoint.accept(now, incoming),
                Some(incoming) => endpoint.refuse(incoming),
                None => {}
            }
        }
        for address in self.addresses() {
            self.at(address).handle_timeout(now);
            while let Some((peer, event)) = self.at(address).poll(now) {
                self.answer(address, peer, &event);
                self.told.push((address, peer, event));
            }
            let mut packet = Vec::new();
            while let Some(transmit) = self.at(address).poll_transmit(now, &mut packet) {
                assert_eq!(transmit.size, packet.len());
                let to = transmit.destination.port();
                self.wire.push_back((address, to, packet.as_slice().into()));
                packet.clear();
            }
        }
    }

    /// Clients ask for a session as soon as they can, the server accepts it.
    fn answer(&mut self, address: u16, peer: PeerId, event: &Event) {
        let now = self.now;
        let peer = self.at(address).peer(peer).unwrap();
        match event {
            Event::Ready(_) if address != SERVER => {
                let request = Request::new("https://localhost/game".parse().unwrap());
                peer.connect(now, &request).unwrap();
            }
            Event::SessionRequested { session, .. } => {
                let accepted = Response::default();
                peer.sessions().accept(now, *session, accepted).unwrap();
            }
            _ => {}
        }
    }

    /// Turns until nothing is on the wire, and lets this much time go by.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            self.turn();
            if !self.wire.is_empty() {
                continue;
            }
            let due = self.addresses().into_iter();
            let due = due.filter_map(|address| self.at(address).poll_timeout());
            match due.min().filter(|due| *due <= until) {
                Some(due) => self.now = self.now.max(due),
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("it never comes to rest");
    }

    fn addresses(&self) -> Vec<u16> {
        let clients = 0..u16::try_from(self.clients.len()).unwrap();
        clients.chain([SERVER]).collect()
    }

    /// The session that the server has with this connection.
    fn opened(&self, wanted: PeerId) -> SessionId {
        let opened = self.told.iter().find_map(|(at, peer, event)| match event {
            Event::SessionOpened { session, .. } if (*at, *peer) == (SERVER, wanted) => {
                Some(*session)
            }
            _ => None,
        });
        opened.unwrap()
    }

    /// How sessions ended for the server, in order.
    fn ends(&self) -> Vec<(PeerId, &CloseReason)> {
        let ends = self
            .told
            .iter()
            .filter_map(|(at, peer, event)| match event {
                Event::SessionClosed { reason, .. } if *at == SERVER => Some((*peer, reason)),
                _ => None,
            });
        ends.collect()
    }
}

fn connect(client: &mut Endpoint, now: Instant) -> PeerId {
    let crypto = QuicClientConfig::try_from(client_tls()).unwrap();
    let config = quic::ClientConfig::new(Arc::new(crypto));
    client
        .connect(now, config, socket_of(SERVER), "localhost")
        .unwrap()
}

fn socket_of(address: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, address))
}

/// Longer than any exchange here, shorter than any deadline.
const SOON: Duration = Duration::from_millis(500);

#[test]
fn every_connection_has_its_own_sessions_and_its_own_end() {
    let mut net = Network::new();
    for _ in 0..3 {
        net.add_client();
    }
    net.run(SOON);
    let peers: Vec<_> = net.server.peers().collect();
    assert_eq!(peers.len(), 3);
    assert_eq!(peers.iter().map(|&peer| u64::from(peer)).max(), Some(3));

    // All three sessions have the same id: each is the first of its connection.
    let session = net.opened(peers[0]);
    assert!(peers.iter().all(|&peer| net.opened(peer) == session));

    let now = net.now;
    let second = net.server.peer(peers[1]).unwrap();
    second.sessions().close(now, session, 7, "kicked");
    net.run(SOON);
    let kicked = CloseReason::Local {
        code: 7,
        message: "kicked".into(),
    };
    assert_eq!(net.ends(), [(peers[1], &kicked)]);
    assert!(net.server.peers().eq(peers.iter().copied()));

    // Without its client's packets the first connection idles out, and is forgotten.
    net.clients[0] = Endpoint::client(Arc::new(Config::default()));
    net.run(Duration::from_secs(120));
    assert!(net.server.is_empty());
    assert_eq!(net.server.len(), 0);
    assert_eq!(net.server.poll_timeout(), None);
    assert!(net.server.peer(peers[0]).is_none());
    assert_eq!(net.ends().len(), 3);
}

#[test]
fn each_connection_exports_keying_material_of_its_own() {
    let mut net = Network::new();
    for _ in 0..2 {
        net.add_client();
    }
    net.run(SOON);
    let servers: Vec<_> = net.server.peers().collect();
    let session = net.opened(servers[0]);
    let secret = |endpoint: &mut Endpoint, peer| {
        let mut secret = [0; 16];
        endpoint
            .peer(peer)
            .unwrap()
            .export_keying_material(session, b"label", b"", &mut secret)
            .unwrap();
        secret
    };
    let of_server: Vec<_> = servers
        .iter()
        .map(|&peer| secret(&mut net.server, peer))
        .collect();
    let of_clients = net.clients.iter_mut().map(|client| {
        let peer = client.peers().next().unwrap();
        secret(client, peer)
    });
    assert_eq!(of_server, of_clients.collect::<Vec<_>>());
    assert_ne!(of_server[0], of_server[1]);
}

#[test]
fn ids_are_never_used_again() {
    let mut net = Network::new();
    let client = net.add_client();
    net.run(SOON);
    let now = net.now;
    let first = net.clients[0].peers().next().unwrap();
    let quic = net.clients[0].peer(first).unwrap();
    quic.abort(now, 5, b"gone");
    net.run(Duration::from_secs(10));
    assert!(net.at(client).is_empty());
    let by_peer = ConnectionLost::PeerApplication {
        code: 5,
        reason: "gone".into(),
    };
    assert_eq!(
        net.ends().iter().map(|end| end.1).collect::<Vec<_>>(),
        [&CloseReason::ConnectionLost(by_peer)]
    );

    // Quinn gives the same handle again.
    let second = connect(&mut net.clients[0], now);
    assert!(second > first);
    net.run(SOON);
    assert!(net.server.peers().all(|peer| u64::from(peer) == 2));
}

#[test]
fn what_is_written_and_sent_through_a_peer_arrives() {
    let mut net = Network::new();
    net.add_client();
    net.run(SOON);
    let now = net.now;
    let peer = net.clients[0].peers().next().unwrap();
    let peer = net.clients[0].peer(peer).unwrap();
    let session = peer.host.sessions().next().unwrap();
    assert!(peer.max_datagram_size(session).unwrap() > 1000);
    peer.send_datagram(session, b"datagram").unwrap();
    let stream = peer.open(now, session, Dir::Uni).unwrap();
    let mut data = BytesMut::from(&b"stream"[..]);
    peer.write_buf(stream, &mut data).unwrap();
    assert!(data.is_empty());
    peer.sessions().finish(stream).unwrap();
    assert_eq!(peer.write(stream, b"more"), Err(SendError::StreamClosed));
    net.run(SOON);

    let told = |wanted: fn(&Event) -> bool| net.told.iter().any(|(_, _, event)| wanted(event));
    assert!(told(
        |event| matches!(event, Event::DatagramReceived { payload, .. } if payload == "datagram")
    ));
    let events = net.told.into_iter().map(|(_, _, event)| event);
    let events: Vec<_> = events.collect();
    assert_eq!(received(&events, stream), ("stream".into(), true));
}

#[test]
fn what_a_blocked_stream_does_not_take_stays_with_the_caller() {
    let mut net = Network::new();
    net.add_client();
    net.run(SOON);
    let now = net.now;
    let peer = net.clients[0].peers().next().unwrap();
    let peer = net.clients[0].peer(peer).unwrap();
    let session = peer.host.sessions().next().unwrap();
    let stream = peer.open(now, session, Dir::Uni).unwrap();
    let all = 64 << 20;
    let mut data = BytesMut::zeroed(all);
    assert_eq!(peer.write_buf(stream, &mut data), Err(SendError::Blocked));
    assert!(!data.is_empty() && data.len() < all);
    // Told when to go on.
    net.run(SOON);
    assert!(net.told.iter().any(|(_, _, event)| matches!(
        event,
        Event::StreamWritable { stream: on, .. } if *on == stream
    )));
}

#[test]
fn a_refused_connection_is_told_so() {
    let mut net = Network::new();
    net.accepts = false;
    net.add_client();
    net.run(Duration::from_secs(10));
    assert!(net.server.is_empty());
    assert!(net.clients[0].is_empty());
    let told: Vec<_> = net.told.iter().map(|(_, _, event)| event).collect();
    assert!(
        matches!(
            told[..],
            [Event::ConnectionClosed {
                reason: ConnectionLost::HandshakeFailed
            }]
        ),
        "{told:?}"
    );
}

/// An unknown version of QUIC is answered without a connection. Nobody can make the answers pile up.
#[test]
fn answers_without_a_connection_are_sent_and_limited() {
    let mut net = Network::new();
    let mut initial = vec![0xc0, 0x1a, 0x1a, 0x1a, 0x1a, 8];
    initial.extend([1; 8]);
    initial.push(8);
    initial.resize(1200, 2);
    for _ in 0..1000 {
        let packet = initial.as_slice().into();
        let incoming = net.server.handle(net.now, socket_of(0), None, None, packet);
        assert!(incoming.is_none());
    }
    let mut answers = 0;
    let mut packet = Vec::new();
    while let Some(transmit) = net.server.poll_transmit(net.now, &mut packet) {
        assert_eq!(transmit.destination, socket_of(0));
        assert_eq!(packet[1..5], [0; 4]);
        packet.clear();
        answers += 1;
    }
    assert_eq!(answers, 64);
}

#[test]
fn a_client_takes_no_connections() {
    let mut net = Network::new();
    net.add_client();
    net.turn();
    let (_, _, initial) = net.wire.pop_front().unwrap();
    let now = net.now;
    let client = &mut net.clients[0];
    assert!(
        client
            .handle(now, socket_of(9), None, None, initial)
            .is_none()
    );
    assert_eq!(client.len(), 1);
}

#[test]
fn a_session_over_one_connection_ends_once_with_its_reason() {
    let mut net = Network::new();
    net.add_client();
    net.run(SOON);
    let now = net.now;
    let peer = net.clients[0].peers().next().unwrap();
    let peer = net.clients[0].peer(peer).unwrap();
    peer.sessions().shutdown(now, 3, "done");
    net.run(Duration::from_secs(20));
    let closed = CloseReason::Peer {
        code: 3,
        message: "done".into(),
        via: CloseVia::Capsule,
    };
    assert!(matches!(net.ends()[..], [(_, reason)] if *reason == closed));
    assert!(net.server.is_empty() && net.clients[0].is_empty());
}

/// Whatever the order of a turn, and wherever it was cut short: no end is lost.
#[test]
fn a_connection_is_not_forgotten_before_its_end_was_told() {
    let mut net = Network::new();
    net.add_client();
    net.run(SOON);
    let peer = net.server.peers().next().unwrap();
    // The client is silent from now on.
    net.clients.clear();
    let mut told = Vec::new();
    let mut now = net.now;
    for _ in 0..100 {
        now += Duration::from_secs(1);
        let _touched = net.server.peer(peer);
        while let Some((_, event)) = net.server.poll(now) {
            told.push(event);
        }
        // Later than its place.
        net.server.handle_timeout(now);
        while net.server.poll_transmit(now, &mut Vec::new()).is_some() {}
    }
    let reason = CloseReason::ConnectionLost(ConnectionLost::IdleTimeout);
    assert!(
        matches!(&told[..], [Event::SessionClosed { reason: why, .. }, Event::ConnectionClosed { .. }] if *why == reason),
        "{told:?}"
    );
    assert!(net.server.is_empty());
}

#[test]
fn what_is_commanded_after_the_turn_makes_the_next_one_due() {
    let mut net = Network::new();
    net.add_client();
    net.run(SOON);
    let now = net.now;
    let peer = net.server.peers().next().unwrap();
    let session = net.opened(peer);
    assert!(net.server.poll_timeout().unwrap() > now);
    let sessions = net.server.peer(peer).unwrap().sessions();
    sessions.close(now, session, 7, "kicked");
    assert!(net.server.poll_timeout().unwrap() <= now);
    net.turn();
    assert!(net.server.poll_timeout().unwrap() > now);
}

#[test]
fn a_client_proves_its_address_when_it_is_asked_to() {
    let mut net = Network::new();
    net.add_client();
    net.turn();
    let now = net.now;
    let mut retries = 0;
    for _ in 0..10 {
        for (from, to, packet) in std::mem::take(&mut net.wire) {
            let incoming = net.at(to).handle(now, socket_of(from), None, None, packet);
            match incoming.map(|incoming| net.server.retry(incoming)) {
                Some(Ok(())) => retries += 1,
                Some(Err(again)) => assert!(net.server.accept(now, *again).is_some()),
                None => {}
            }
        }
        net.turn();
    }
    assert_eq!(retries, 1);
    net.run(SOON);
    assert_eq!(net.server.len(), 1);
    net.opened(net.server.peers().next().unwrap());
}
