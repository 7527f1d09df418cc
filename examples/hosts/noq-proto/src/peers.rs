//! All connections of one socket: packets to each, a turn of each, packets from each.

use std::{collections::HashMap, io, num::NonZeroUsize, sync::Arc, time::Instant};

use bytes::BytesMut;
use host_suite::{Application, Order};
use mio::net::UdpSocket;
use noq_proto::{
    self as quic, ConnectionHandle, DatagramEvent, Endpoint, FourTuple, Incoming, Transmit,
};
use webtransport_session::{Config, Connection};

use crate::host::Host;

pub(crate) struct Peers {
    endpoint: Endpoint,
    socket: UdpSocket,
    config: Arc<Config>,
    stream_window: u32,
    /// Noq uses its handles again, when a connection is drained.
    peers: HashMap<ConnectionHandle, Peer>,
    /// How many there have been.
    count: usize,
}

struct Peer {
    /// What the runner calls it.
    number: usize,
    host: Host,
    application: Application,
}

impl Peers {
    pub(crate) fn new(
        endpoint: Endpoint,
        socket: UdpSocket,
        config: Arc<Config>,
        stream_window: u32,
    ) -> Self {
        Self {
            endpoint,
            socket,
            config,
            stream_window,
            peers: HashMap::new(),
            count: 0,
        }
    }

    /// Client.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        tls: quic::ClientConfig,
        server: std::net::SocketAddr,
    ) -> Result<(), quic::ConnectError> {
        let (handle, quic) = self.endpoint.connect(now, tls, server, "localhost")?;
        self.add(handle, quic, Connection::client(Arc::clone(&self.config)));
        Ok(())
    }

    fn add(&mut self, handle: ConnectionHandle, quic: quic::Connection, sessions: Connection) {
        let peer = Peer {
            number: self.count,
            host: Host::new(quic, sessions, self.stream_window),
            application: Application::new(self.count),
        };
        self.count += 1;
        self.peers.insert(handle, peer);
    }

    pub(crate) fn obey(&mut self, now: Instant, order: Order) {
        let mut peers = self.peers.values_mut();
        if let Some(peer) = peers.find(|peer| peer.number == order.peer) {
            peer.application.obey(&mut peer.host, now, order.verb);
        }
    }

    /// Takes in what the socket has.
    pub(crate) fn receive(&mut self) -> io::Result<()> {
        loop {
            let mut packet = BytesMut::zeroed(2048);
            let (len, from) = match self.socket.recv_from(&mut packet) {
                Ok(received) => received,
                // Mostly of an earlier packet, which nobody took.
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => continue,
                    _ => return Err(error),
                },
            };
            let (now, mut answer) = (Instant::now(), Vec::new());
            let path = FourTuple::from_remote(from);
            let packet = packet.split_to(len);
            match self.endpoint.handle(now, path, None, packet, &mut answer) {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    if let Some(peer) = self.peers.get_mut(&handle) {
                        peer.host.quic.handle_event(event);
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => self.accept(now, incoming),
                Some(DatagramEvent::Response(transmit)) => {
                    send(&self.socket, &transmit, &answer);
                }
                None => {}
            }
        }
    }

    fn accept(&mut self, now: Instant, incoming: Incoming) {
        let mut answer = Vec::new();
        match self.endpoint.accept(incoming, now, &mut answer, None) {
            Ok((handle, quic)) => {
                self.add(handle, quic, Connection::server(Arc::clone(&self.config)));
            }
            Err(failed) => {
                if let Some(transmit) = failed.response {
                    send(&self.socket, &transmit, &answer);
                }
            }
        }
    }

    /// A turn of each connection. When the next one is due, should nothing happen before.
    ///
    /// A server of thousands keeps those apart that something happened to, as the `Endpoint` of the
    /// crate's own host does.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        self.peers.retain(|handle, peer| {
            peer.turn(now, *handle, &mut self.endpoint, &self.socket);
            next = [next, peer.host.poll_timeout()].into_iter().flatten().min();
            // Not at `ConnectionClosed`: our own CONNECTION_CLOSE may have to be sent again.
            !peer.host.quic.is_drained()
        });
        next
    }

    /// Whether a connection is closed, and the peer may not know yet.
    pub(crate) fn is_closing(&self) -> bool {
        self.peers.values().any(|peer| peer.host.quic.is_closed())
    }
}

impl Peer {
    fn turn(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        endpoint: &mut Endpoint,
        socket: &UdpSocket,
    ) {
        if self.host.poll_timeout().is_some_and(|due| due <= now) {
            self.host.handle_timeout(now);
        }
        let mut packet = Vec::new();
        let mut goes_on = true;
        while goes_on {
            goes_on = false;
            while let Some(event) = self.host.poll(now) {
                self.application.event(&mut self.host, now, event);
            }
            let quic = &mut self.host.quic;
            while let Some(transmit) = quic.poll_transmit(now, NonZeroUsize::MIN, &mut packet) {
                send(socket, &transmit, &packet);
                packet.clear();
            }
            while let Some(event) = quic.poll_endpoint_events() {
                if let Some(event) = endpoint.handle_event(handle, event) {
                    quic.handle_event(event);
                    goes_on = true;
                }
            }
        }
    }
}

/// A packet that the socket does not take is lost, as on the way.
fn send(socket: &UdpSocket, transmit: &Transmit, packet: &[u8]) {
    let packet = packet.get(..transmit.size).unwrap_or_default();
    let _lost = socket.send_to(packet, transmit.destination);
}
