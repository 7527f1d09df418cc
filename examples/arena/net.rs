//! QUIC on plain UDP sockets: what comes in goes to quinn-proto, what quinn-proto has goes out.
//!
//! A [`Net`] is one QUIC endpoint with its sockets and connections, and waits for nothing by
//! itself: [`Waker`] does, for any number of them. Knows no game.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Incoming,
    ServerConfig,
};
use webtransport_session::{Config, Event, host::quinn_proto::Host};

use crate::{Failure, clock};

/// Connections at a time; more are refused.
const CONNECTIONS: usize = 1024;
/// Datagrams taken in at a time, so that the timers get their turn under any load.
const BATCH: usize = 256;

/// A QUIC connection and the sessions on it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) quic: Connection,
    pub(crate) host: Host,
    handle: ConnectionHandle,
}

pub(crate) struct Net {
    endpoint: Endpoint,
    sockets: Vec<UdpSocket>,
    sessions: Arc<Config>,
    /// By a number that is never used again, unlike quinn's handles.
    links: BTreeMap<u64, Link>,
    numbers: BTreeMap<ConnectionHandle, u64>,
    last_number: u64,
    /// Connections to which something happened since they were last polled dry.
    touched: BTreeSet<u64>,
    received: Vec<u8>,
    to_send: Vec<u8>,
}

impl Net {
    /// An endpoint; without a `server` configuration it only connects.
    pub(crate) fn new(
        sockets: Vec<UdpSocket>,
        server: Option<Arc<ServerConfig>>,
        sessions: Arc<Config>,
    ) -> Self {
        let config = Arc::new(EndpointConfig::default());
        Self {
            endpoint: Endpoint::new(config, server, true, None),
            sockets,
            sessions,
            links: BTreeMap::new(),
            numbers: BTreeMap::new(),
            last_number: 0,
            touched: BTreeSet::new(),
            received: vec![0; 65_536],
            to_send: Vec::new(),
        }
    }

    /// Starts a connection as a client; gives its number.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        config: ClientConfig,
        server: SocketAddr,
    ) -> Result<u64, quinn_proto::ConnectError> {
        let (handle, quic) = self.endpoint.connect(now, config, server, "localhost")?;
        let host = Host::client(Arc::clone(&self.sessions));
        Ok(self.add(Link { quic, host, handle }))
    }

    fn add(&mut self, link: Link) -> u64 {
        self.last_number += 1;
        self.numbers.insert(link.handle, self.last_number);
        self.links.insert(self.last_number, link);
        self.touched.insert(self.last_number);
        self.last_number
    }

    /// A connection, to be commanded: what that leaves to do is done by the next
    /// [`poll`](Self::poll).
    pub(crate) fn link(&mut self, number: u64) -> Option<&mut Link> {
        let link = self.links.get_mut(&number)?;
        self.touched.insert(number);
        Some(link)
    }

    /// Takes in what the sockets have. True if there may be more.
    pub(crate) fn receive(&mut self, now: Instant) -> bool {
        let mut more = false;
        for index in 0..self.sockets.len() {
            more |= self.receive_on(index, now);
        }
        more
    }

    fn receive_on(&mut self, index: usize, now: Instant) -> bool {
        for _ in 0..BATCH {
            let Some(socket) = self.sockets.get(index) else {
                return false;
            };
            let (len, from) = match socket.recv_from(&mut self.received) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Some systems report here that an earlier datagram found no listener.
                Err(_) => continue,
            };
            let to = socket.local_addr().ok().map(|address| address.ip());
            let datagram = BytesMut::from(self.received.get(..len).unwrap_or_default());
            self.to_send.clear();
            let event = self
                .endpoint
                .handle(now, from, to, None, datagram, &mut self.to_send);
            match event {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    let number = self.numbers.get(&handle).copied();
                    if let Some(link) = number.and_then(|number| self.link(number)) {
                        link.quic.handle_event(event);
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => self.accept(incoming, now),
                Some(DatagramEvent::Response(transmit)) => {
                    send(&self.sockets, transmit.destination, &self.to_send);
                }
                None => {}
            }
        }
        true
    }

    fn accept(&mut self, incoming: Incoming, now: Instant) {
        self.to_send.clear();
        if self.links.len() >= CONNECTIONS {
            let refusal = self.endpoint.refuse(incoming, &mut self.to_send);
            send(&self.sockets, refusal.destination, &self.to_send);
            return;
        }
        match self.endpoint.accept(incoming, now, &mut self.to_send, None) {
            Ok((handle, quic)) => {
                let host = Host::server(Arc::clone(&self.sessions));
                self.add(Link { quic, host, handle });
            }
            Err(error) => {
                if let Some(refusal) = error.response {
                    send(&self.sockets, refusal.destination, &self.to_send);
                }
            }
        }
    }

    /// When [`expire`](Self::expire) is due.
    pub(crate) fn timeout(&mut self) -> Option<Instant> {
        self.links.values_mut().filter_map(Link::timeout).min()
    }

    /// Lets the timers run out whose time has come.
    pub(crate) fn expire(&mut self, now: Instant) {
        for (number, link) in &mut self.links {
            if link.timeout().is_none_or(|due| due > now) {
                continue;
            }
            link.quic.handle_timeout(now);
            if link.host.poll_timeout().is_some_and(|due| due <= now) {
                link.host.handle_timeout(now);
            }
            self.touched.insert(*number);
        }
    }

    /// The next event of any connection, and its number. Poll until there is none: only then has
    /// everything been sent.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<(u64, Event)> {
        while let Some(&number) = self.touched.first() {
            if let Some(link) = self.links.get_mut(&number) {
                if let Some(event) = link.host.poll(&mut link.quic, now) {
                    return Some((number, event));
                }
                self.transmit(number, now);
            }
            self.touched.remove(&number);
        }
        None
    }

    /// Sends what a connection has to send, and forgets the connection when it is quite over:
    /// not at `ConnectionClosed`, or our CONNECTION_CLOSE would never be sent.
    fn transmit(&mut self, number: u64, now: Instant) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        while let Some(event) = link.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(link.handle, event) {
                link.quic.handle_event(event);
            }
        }
        loop {
            self.to_send.clear();
            let Some(transmit) = link.quic.poll_transmit(now, 1, &mut self.to_send) else {
                break;
            };
            send(&self.sockets, transmit.destination, &self.to_send);
        }
        if link.quic.is_drained() {
            self.numbers.remove(&link.handle);
            self.links.remove(&number);
        }
    }
}

impl Link {
    fn timeout(&mut self) -> Option<Instant> {
        let timeouts = [self.quic.poll_timeout(), self.host.poll_timeout()];
        timeouts.into_iter().flatten().min()
    }
}

/// Sends one datagram from the socket of the right kind of address. What the system does not take
/// counts as lost on the way: QUIC repeats what matters.
fn send(sockets: &[UdpSocket], to: SocketAddr, datagram: &[u8]) {
    let from = sockets.iter().find(|socket| {
        socket
            .local_addr()
            .is_ok_and(|from| from.is_ipv4() == to.is_ipv4())
    });
    if let Some(socket) = from {
        let _lost = socket.send_to(datagram, to);
    }
}

/// Waits for sockets and for time to pass.
pub(crate) struct Waker {
    poll: Poll,
    events: Events,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(64),
        })
    }

    /// Wakes for the sockets of this endpoint from now on.
    pub(crate) fn watch(&self, net: &mut Net) -> io::Result<()> {
        for socket in &mut net.sockets {
            // Every socket is looked at after each wait, so that none needs a name.
            self.poll
                .registry()
                .register(socket, Token(0), Interest::READABLE)?;
        }
        Ok(())
    }

    /// Returns when a socket has something, or at `until`. Gives the time.
    pub(crate) fn wait(&mut self, until: Instant) -> io::Result<Instant> {
        let timeout = until.saturating_duration_since(clock::now());
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Ok(()) | Err(_) => Ok(clock::now()),
        }
    }
}

/// Sockets on 127.0.0.1 and, where the machine has it, on ::1.
///
/// Both, because a browser may know only one of them by the name of localhost, and does not try
/// the other.
pub(crate) struct Loopback<S> {
    pub(crate) v4: S,
    pub(crate) v6: Option<S>,
    pub(crate) port: u16,
}

impl Loopback<UdpSocket> {
    pub(crate) fn udp(port: u16) -> Result<Self, Failure> {
        let local = |socket: &UdpSocket| socket.local_addr();
        Self::bind("UDP port", "--port", port, UdpSocket::bind, local)
    }
}

impl Loopback<std::net::TcpListener> {
    pub(crate) fn tcp(port: u16) -> Result<Self, Failure> {
        let local = |socket: &std::net::TcpListener| socket.local_addr();
        let bind = std::net::TcpListener::bind::<SocketAddr>;
        Self::bind("TCP port", "--page-port", port, bind, local)
    }
}

impl<S> Loopback<S> {
    fn bind(
        what: &'static str,
        flag: &'static str,
        port: u16,
        bind: impl Fn(SocketAddr) -> io::Result<S>,
        local: impl Fn(&S) -> io::Result<SocketAddr>,
    ) -> Result<Self, Failure> {
        let failure = |address: SocketAddr, error: io::Error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                Failure::Taken {
                    port: what,
                    address,
                    flag,
                }
            } else {
                Failure::Listen { address, error }
            }
        };
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let v4 = bind(address).map_err(|error| failure(address, error))?;
        // Where any port would do, the second socket follows the first.
        let port = local(&v4).map_err(|error| failure(address, error))?.port();
        let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
        let v6 = match bind(address) {
            Ok(socket) => Some(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(failure(address, error));
            }
            // In whatever words: this machine has no ::1.
            Err(_) => None,
        };
        Ok(Self { v4, v6, port })
    }

    /// What to tell people about it.
    pub(crate) fn note(&self) -> &'static str {
        match self.v6 {
            Some(_) => "on 127.0.0.1 and ::1",
            None => "on 127.0.0.1 alone, for this machine has no ::1",
        }
    }

    pub(crate) fn into_vec(self) -> Vec<S> {
        let mut sockets = vec![self.v4];
        sockets.extend(self.v6);
        sockets
    }
}

/// The nearer of two moments.
pub(crate) fn earlier(moment: Instant, other: Option<Instant>) -> Instant {
    other.map_or(moment, |other| moment.min(other))
}

/// How often positions are sent, by players and by the server.
pub(crate) const TICK: Duration = Duration::from_millis(50);
