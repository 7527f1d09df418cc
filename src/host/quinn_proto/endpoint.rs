//! All connections of one QUIC endpoint, each with its [`Host`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::{Buf, BytesMut};
use quinn_proto::{
    self as quic, ConnectionHandle, DatagramEvent, EcnCodepoint, Incoming, Transmit,
};

use super::{DatagramSendError, ExportError, Host};
use crate::{
    Config, ConnectError, Connection, Dir, Event, OpenError, Request, SendError, SessionId,
    StreamId,
};

/// Answers without a connection that wait to be sent, at most: a peer repeats what it wants.
const ANSWERS: usize = 64;

/// A quinn endpoint, its connections, and the sessions on them: what stands between a UDP socket
/// and the events.
///
/// Owns no socket and no clock. One turn of a loop, in this order:
/// 1. [`handle`](Self::handle) what the socket has, and [`handle_timeout`](Self::handle_timeout);
/// 2. [`poll`](Self::poll) until there is no event;
/// 3. [`poll_transmit`](Self::poll_transmit) until there is no packet;
/// 4. wait for the socket, but not beyond [`poll_timeout`](Self::poll_timeout).
///
/// Only connections that something happened to cost anything in a turn.
#[derive(Debug)]
pub struct Endpoint {
    quic: quic::Endpoint,
    config: Arc<Config>,
    peers: BTreeMap<PeerId, Peer>,
    /// Quinn uses its handles again; ours are never.
    ids: BTreeMap<ConnectionHandle, PeerId>,
    last_id: u64,
    /// To be polled for events.
    active: BTreeSet<PeerId>,
    /// To be polled for packets.
    sending: BTreeSet<PeerId>,
    timers: BTreeSet<(Instant, PeerId)>,
    answers: VecDeque<(Transmit, Vec<u8>)>,
    /// The latest time that the caller told.
    now: Option<Instant>,
}

/// Names a connection of an [`Endpoint`]. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

/// A connection and the sessions on it.
#[derive(Debug)]
pub struct Peer {
    /// QUIC. Do not close it here, or nobody can tell the code: see [`abort`](Self::abort).
    pub quic: quic::Connection,
    /// Its sessions.
    pub host: Host,
    handle: ConnectionHandle,
    armed: Option<Instant>,
    /// Its host has told everything, and nothing has happened since.
    is_polled: bool,
}

impl Endpoint {
    /// A client's endpoint.
    #[must_use]
    pub fn client(config: Arc<Config>) -> Self {
        Self::new(
            quic::Endpoint::new(Arc::default(), None, true, None),
            config,
        )
    }

    /// A server's endpoint.
    #[must_use]
    pub fn server(quic: quic::ServerConfig, config: Arc<Config>) -> Self {
        let quic = Some(Arc::new(quic));
        Self::new(
            quic::Endpoint::new(Arc::default(), quic, true, None),
            config,
        )
    }

    /// An endpoint as it was made with quinn; `config` is for all its connections.
    #[must_use]
    pub fn new(quic: quic::Endpoint, config: Arc<Config>) -> Self {
        Self {
            quic,
            config,
            peers: BTreeMap::new(),
            ids: BTreeMap::new(),
            last_id: 0,
            active: BTreeSet::new(),
            sending: BTreeSet::new(),
            timers: BTreeSet::new(),
            answers: VecDeque::new(),
            now: None,
        }
    }

    // ---- connections

    /// Client: starts a connection. `Event::Ready` follows, then sessions can be asked for.
    ///
    /// # Errors
    /// Quinn's own.
    pub fn connect(
        &mut self,
        now: Instant,
        config: quic::ClientConfig,
        server: SocketAddr,
        server_name: &str,
    ) -> Result<PeerId, quic::ConnectError> {
        self.tick(now);
        let (handle, quic) = self.quic.connect(now, config, server, server_name)?;
        let host = Host::client(Arc::clone(&self.config));
        Ok(self.add(handle, quic, host))
    }

    /// Server: takes a connection that [`handle`](Self::handle) gave. `None`: it failed already,
    /// and was answered.
    ///
    /// Each costs about 25 kB before its client has proven its address: above a number of
    /// [connections](Self::len) that you can afford, [`retry`](Self::retry) or
    /// [`refuse`](Self::refuse).
    pub fn accept(&mut self, now: Instant, incoming: Incoming) -> Option<PeerId> {
        self.tick(now);
        let mut answer = Vec::new();
        match self.quic.accept(incoming, now, &mut answer, None) {
            Ok((handle, quic)) => {
                let host = Host::server(Arc::clone(&self.config));
                Some(self.add(handle, quic, host))
            }
            Err(failed) => {
                if let Some(transmit) = failed.response {
                    self.answer(transmit, answer);
                }
                None
            }
        }
    }

    /// Server: turns a connection away with CONNECTION_REFUSED.
    pub fn refuse(&mut self, incoming: Incoming) {
        let mut answer = Vec::new();
        let transmit = self.quic.refuse(incoming, &mut answer);
        self.answer(transmit, answer);
    }

    /// Server: asks a client to prove its address before it is taken.
    ///
    /// # Errors
    /// The connection again, when it has done so already.
    pub fn retry(&mut self, incoming: Incoming) -> Result<(), Box<Incoming>> {
        let mut answer = Vec::new();
        match self.quic.retry(incoming, &mut answer) {
            Ok(transmit) => {
                self.answer(transmit, answer);
                Ok(())
            }
            Err(again) => Err(Box::new(again.into_incoming())),
        }
    }

    /// A connection, to be commanded: what that leaves to do is done by the next turn, which is due
    /// at once. `None` when it is over and its last packet is out, which is some time after
    /// [`Event::ConnectionClosed`].
    pub fn peer(&mut self, id: PeerId) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(&id)?;
        peer.is_polled = false;
        self.active.insert(id);
        Some(peer)
    }

    /// What was recorded of a connection since this was last called:
    /// [`Connection::take_trace`]. Empty when it is over, as [`peer`](Self::peer) has it.
    ///
    /// Nothing is left to do by that, so that it may be asked of every connection in each turn, at
    /// the latest before [`poll_transmit`](Self::poll_transmit), which forgets those that are over.
    #[cfg(feature = "trace")]
    #[cfg_attr(docsrs, doc(cfg(feature = "trace")))]
    #[must_use = "what was taken is not kept"]
    pub fn take_trace(&mut self, id: PeerId) -> Vec<crate::trace::Record> {
        self.peers
            .get_mut(&id)
            .map(|peer| peer.host.connection().take_trace())
            .unwrap_or_default()
    }

    /// All connections, in the order of their beginning.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.keys().copied()
    }

    /// How many connections there are, those included that are closing.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Quinn's endpoint: to change its server configuration, or to ask it something. Give it no
    /// packets.
    pub fn quic(&mut self) -> &mut quic::Endpoint {
        &mut self.quic
    }

    fn add(&mut self, handle: ConnectionHandle, quic: quic::Connection, host: Host) -> PeerId {
        self.last_id += 1;
        let id = PeerId(self.last_id);
        let peer = Peer {
            quic,
            host,
            handle,
            armed: None,
            is_polled: false,
        };
        self.ids.insert(handle, id);
        self.peers.insert(id, peer);
        self.active.insert(id);
        id
    }

    // ---- a turn

    /// Takes in a UDP datagram, with the address that it came to and its ECN bits where the socket
    /// tells them. A server is given each new connection: [`accept`](Self::accept) it or
    /// [`refuse`](Self::refuse) it.
    #[must_use = "a connection that is neither accepted nor refused hangs"]
    pub fn handle(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: Option<IpAddr>,
        ecn: Option<EcnCodepoint>,
        datagram: BytesMut,
    ) -> Option<Incoming> {
        self.tick(now);
        let mut answer = Vec::new();
        match self
            .quic
            .handle(now, from, to, ecn, datagram, &mut answer)?
        {
            DatagramEvent::NewConnection(incoming) => return Some(incoming),
            DatagramEvent::ConnectionEvent(handle, event) => {
                let id = self.ids.get(&handle).copied();
                if let Some(peer) = id.and_then(|id| self.peer(id)) {
                    peer.quic.handle_event(event);
                }
            }
            DatagramEvent::Response(transmit) => self.answer(transmit, answer),
        }
        None
    }

    /// When the next turn is due, should nothing arrive. In the past while there is something left
    /// to poll or to transmit.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_busy =
            !(self.active.is_empty() && self.sending.is_empty() && self.answers.is_empty());
        let due = self.timers.first().map(|&(due, _)| due);
        if is_busy { self.now } else { due }
    }

    /// Lets the timers run out whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        while let Some(&(due, id)) = self.timers.first().filter(|&&(due, _)| due <= now) {
            self.timers.remove(&(due, id));
            let Some(peer) = self.peer(id) else {
                continue;
            };
            peer.armed = None;
            peer.quic.handle_timeout(now);
            if peer.host.poll_timeout().is_some_and(|due| due <= now) {
                peer.host.handle_timeout(now);
            }
        }
    }

    /// The next event of any connection.
    pub fn poll(&mut self, now: Instant) -> Option<(PeerId, Event)> {
        while let Some(&id) = self.active.first() {
            if let Some(peer) = self.peers.get_mut(&id) {
                if let Some(event) = peer.host.poll(&mut peer.quic, now) {
                    return Some((id, event));
                }
                peer.is_polled = true;
                self.sending.insert(id);
            }
            self.active.remove(&id);
        }
        None
    }

    /// The next packet to send; its bytes are appended to `packet`.
    pub fn poll_transmit(&mut self, now: Instant, packet: &mut Vec<u8>) -> Option<Transmit> {
        if let Some((transmit, answer)) = self.answers.pop_front() {
            packet.extend_from_slice(answer.get(..transmit.size).unwrap_or_default());
            return Some(transmit);
        }
        while let Some(&id) = self.sending.first() {
            if let Some(peer) = self.peers.get_mut(&id) {
                if let Some(transmit) = peer.quic.poll_transmit(now, 1, packet) {
                    return Some(transmit);
                }
                if peer.exchange(&mut self.quic) {
                    continue;
                }
                self.rest(id);
            }
            self.sending.remove(&id);
        }
        None
    }

    /// There is nothing left to do for a connection until something happens to it.
    fn rest(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        // Not at `ConnectionClosed`: our own CONNECTION_CLOSE is still to be sent, perhaps again.
        // Nor before that was told.
        let over = peer.quic.is_drained() && peer.is_polled;
        let due = if over { None } else { peer.due() };
        if due != peer.armed {
            let before = std::mem::replace(&mut peer.armed, due);
            if let Some(before) = before {
                self.timers.remove(&(before, id));
            }
            self.timers.extend(due.map(|due| (due, id)));
        }
        if over {
            self.ids.remove(&peer.handle);
            self.peers.remove(&id);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
    }

    fn answer(&mut self, transmit: Transmit, bytes: Vec<u8>) {
        if self.answers.len() < ANSWERS {
            self.answers.push_back((transmit, bytes));
        }
    }
}

/// What touches both, as [`Host`] does it with its own QUIC connection.
impl Peer {
    /// Commands and getters that need no QUIC: [`Host::connection`].
    pub fn sessions(&mut self) -> &mut Connection {
        self.host.connection()
    }

    /// Client: asks for a session.
    ///
    /// # Errors
    /// Those of [`Host::connect`].
    pub fn connect(&mut self, now: Instant, request: &Request) -> Result<SessionId, ConnectError> {
        self.host.connect(&mut self.quic, now, request)
    }

    /// Opens a stream of a session.
    ///
    /// # Errors
    /// Those of [`Host::open`].
    pub fn open(
        &mut self,
        now: Instant,
        session: SessionId,
        dir: Dir,
    ) -> Result<StreamId, OpenError> {
        self.host.open(&mut self.quic, now, session, dir)
    }

    /// Writes payload to a stream; gives how many bytes QUIC took.
    ///
    /// # Errors
    /// Those of [`Host::write`].
    pub fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.host.write(&mut self.quic, stream, data)
    }

    /// Writes as much as QUIC takes, and takes it out of `data`.
    ///
    /// # Errors
    /// Those of [`Host::write_buf`].
    pub fn write_buf(&mut self, stream: StreamId, data: &mut impl Buf) -> Result<(), SendError> {
        self.host.write_buf(&mut self.quic, stream, data)
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// Those of [`Host::send_datagram`].
    pub fn send_datagram(
        &mut self,
        session: SessionId,
        payload: &[u8],
    ) -> Result<(), DatagramSendError> {
        self.host.send_datagram(&mut self.quic, session, payload)
    }

    /// The largest datagram payload that can be sent now, in bytes. It changes with the path.
    pub fn max_datagram_size(&mut self, session: SessionId) -> Option<usize> {
        self.host.max_datagram_size(&mut self.quic, session)
    }

    /// Fills `output` with keying material of a session.
    ///
    /// # Errors
    /// Those of [`Host::export_keying_material`].
    pub fn export_keying_material(
        &self,
        session: SessionId,
        label: &[u8],
        context: &[u8],
        output: &mut [u8],
    ) -> Result<(), ExportError> {
        self.host
            .export_keying_material(&self.quic, session, label, context, output)
    }

    /// Closes the connection at once: [`Host::abort`].
    pub fn abort(&mut self, now: Instant, code: u64, reason: &[u8]) {
        self.host.abort(&mut self.quic, now, code, reason);
    }

    /// Lets quinn's connection and its endpoint talk. True if the connection was told something,
    /// which it may have to pass on.
    fn exchange(&mut self, endpoint: &mut quic::Endpoint) -> bool {
        let mut told = false;
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(event);
                told = true;
            }
        }
        told
    }

    fn due(&mut self) -> Option<Instant> {
        let due = [self.quic.poll_timeout(), self.host.poll_timeout()];
        due.into_iter().flatten().min()
    }
}

impl From<PeerId> for u64 {
    fn from(id: PeerId) -> Self {
        id.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
