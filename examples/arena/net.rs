//! QUIC on plain UDP sockets: what comes in goes to the endpoint, what the endpoint has goes out.
//!
//! A [`Net`] is one QUIC endpoint with its sockets, and waits for nothing by itself: [`Waker`]
//! does, for any number of them. Knows no game.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mio::{Events, Interest, Poll, Token, net::UdpSocket};
use quinn_proto::{ClientConfig, ConnectError};
use webtransport_session::{
    Event,
    host::quinn_proto::{Endpoint, Peer, PeerId},
};

use crate::{Failure, clock, traces::Traces};

/// Connections at a time; more are refused.
const CONNECTIONS: usize = 1024;
/// Datagrams taken in at a time, so that the timers get their turn under any load.
const BATCH: usize = 256;

pub(crate) struct Net {
    endpoint: Endpoint,
    sockets: Vec<UdpSocket>,
    received: Vec<u8>,
    to_send: Vec<u8>,
    traces: Option<Traces>,
}

impl Net {
    pub(crate) fn new(sockets: Vec<UdpSocket>, endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            sockets,
            received: vec![0; 65_536],
            to_send: Vec::new(),
            traces: None,
        }
    }

    /// Records each connection that is accepted from here on.
    pub(crate) fn record(&mut self, traces: Traces) {
        self.traces = Some(traces);
    }

    /// Starts a connection as a client.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        config: ClientConfig,
        server: SocketAddr,
    ) -> Result<PeerId, ConnectError> {
        self.endpoint.connect(now, config, server, "localhost")
    }

    /// A connection, to be commanded: what that leaves to do is done by the next
    /// [`poll`](Self::poll).
    pub(crate) fn peer(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.endpoint.peer(id)
    }

    /// Takes in what the sockets have. True if there may be more.
    pub(crate) fn receive(&mut self, now: Instant) -> bool {
        let mut more = false;
        for socket in &self.sockets {
            let traces = self.traces.as_mut();
            more |= receive(socket, &mut self.received, &mut self.endpoint, traces, now);
        }
        more
    }

    /// When [`expire`](Self::expire) is due.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    /// Lets the timers run out whose time has come.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    /// The next event of any connection. Poll until there is none: only then is everything sent.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<(PeerId, Event)> {
        let event = self.endpoint.poll(now);
        if let (None, Some(traces)) = (&event, &mut self.traces) {
            // Before the last packet is out: then a connection is forgotten.
            traces.write(&mut self.endpoint);
        }
        if event.is_none() {
            self.to_send.clear();
            while let Some(transmit) = self.endpoint.poll_transmit(now, &mut self.to_send) {
                send(&self.sockets, transmit.destination, &self.to_send);
                self.to_send.clear();
            }
            if let Some(traces) = &mut self.traces {
                traces.close(&self.endpoint);
            }
        }
        event
    }
}

fn receive(
    socket: &UdpSocket,
    received: &mut [u8],
    endpoint: &mut Endpoint,
    mut traces: Option<&mut Traces>,
    now: Instant,
) -> bool {
    let to = socket.local_addr().ok().map(|address| address.ip());
    for _ in 0..BATCH {
        let (len, from) = match socket.recv_from(received) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // Some systems report here that an earlier datagram found no listener.
            Err(_) => continue,
        };
        let datagram = BytesMut::from(received.get(..len).unwrap_or_default());
        match endpoint.handle(now, from, to, None, datagram) {
            Some(incoming) if endpoint.len() >= CONNECTIONS => endpoint.refuse(incoming),
            Some(incoming) => {
                let id = endpoint.accept(now, incoming);
                if let (Some(id), Some(traces)) = (id, traces.as_deref_mut()) {
                    if let Some(peer) = endpoint.peer(id) {
                        traces.begin(id, peer.sessions());
                    }
                }
            }
            None => {}
        }
    }
    true
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
