//! Joins a [`Connection`] to quiche's: facts in, actions out. It knows nothing of sockets, and
//! decides nothing about sessions.

use std::{collections::BTreeSet, error::Error, net::SocketAddr, time::Instant};

use bytes::{BufMut as _, BytesMut};
use quiche::{RecvInfo, Shutdown};
use webtransport_session::{
    Action, ConnectError, Connection, ConnectionLost, Dir, Event, Input, OpenError, Output,
    Request, SendError, SessionId, Side, StreamId, Support, Transport,
};

/// The most bytes that one read takes.
const READ: usize = 64 * 1024;

/// One connection.
pub(crate) struct Host {
    pub(crate) quic: quiche::Connection,
    pub(crate) sessions: Connection,
    /// What the peer may send on one stream ahead of the reader, in bytes, as configured.
    stream_window: u64,
    opened: Opened,
    /// Streams whose FIN quiche has taken, until it says that the peer has it.
    finished: BTreeSet<StreamId>,
    /// Why the connection is over, where quiche tells it only now.
    lost: Option<ConnectionLost>,
}

/// How many streams we opened: quiche takes ids instead of giving them.
#[derive(Default)]
struct Opened {
    bi: u64,
    uni: u64,
}

impl Host {
    pub(crate) fn new(quic: quiche::Connection, sessions: Connection, stream_window: u64) -> Self {
        Self {
            quic,
            sessions,
            stream_window,
            opened: Opened::default(),
            finished: BTreeSet::new(),
            lost: None,
        }
    }

    // ---- quiche to sessions

    /// Takes in a packet, and reads at once: a reset in the next one drops what was not read.
    pub(crate) fn receive(&mut self, now: Instant, packet: &mut [u8], info: RecvInfo) {
        let was_over = self.reason().is_some();
        match self.quic.recv(packet, info) {
            // quiche closes with PROTOCOL_VIOLATION for it.
            Err(quiche::Error::UnknownVersion) => self.lost = Some(ConnectionLost::VersionMismatch),
            // Nothing else makes `recv` close without a word.
            _ if !was_over && self.reason() == Some(ConnectionLost::Unknown) => {
                self.lost = Some(ConnectionLost::StatelessReset);
            }
            // Errors are told by `local_error`.
            _ => {}
        }
        while let Ok(data) = self.quic.dgram_recv_buf() {
            let data = data.into();
            self.sessions.handle(now, Input::DatagramReceived { data });
        }
        for id in self.quic.readable() {
            self.read(now, id.into());
        }
    }

    /// Once in each turn, when its packets are in. Then `poll` until `None`, and `transmit`.
    pub(crate) fn feed(&mut self, now: Instant) {
        self.quic.on_timeout();
        if self.quic.is_established() {
            self.start(now);
        }
        // quiche tells of STOP_SENDING and of acknowledgements only when it is asked about the
        // stream, and names no writable stream while the connection's window is full.
        let connects = self.sessions.sessions().map(SessionId::connect_stream);
        let asked: Vec<_> = connects.chain(self.finished.iter().copied()).collect();
        for stream in self.quic.writable().map(StreamId::from).chain(asked) {
            self.ask(now, stream);
        }
        if self.quic.peer_streams_left_bidi() > 0 {
            self.sessions
                .handle(now, Input::StreamsAvailable { dir: Dir::Bi });
        }
        if self.quic.peer_streams_left_uni() > 0 {
            self.sessions
                .handle(now, Input::StreamsAvailable { dir: Dir::Uni });
        }
        // Behind everything that could be read.
        if let Some(reason) = self.reason() {
            self.sessions
                .handle(now, Input::ConnectionClosed { reason });
        }
        if self.sessions.poll_timeout().is_some_and(|due| due <= now) {
            self.sessions.handle(now, Input::Timeout);
        }
    }

    /// Once: another call is ignored. But streams may be to spare later on.
    fn start(&mut self, now: Instant) {
        let datagrams = match self.quic.dgram_max_writable_len() {
            Some(_) => Support::Yes,
            None => Support::No,
        };
        let mut transport = Transport::new(datagrams);
        transport.stream_receive_window = self.stream_window;
        self.sessions.start(now, transport);
        while let Some(permit) = self.sessions.protocol_stream() {
            let Some(stream) = open(&mut self.quic, &mut self.opened, Dir::Uni) else {
                return;
            };
            permit.bind(stream);
        }
    }

    fn read(&mut self, now: Instant, stream: StreamId) {
        // quiche forgets a stream when its last byte is read, and that we are to send no more on it.
        let stopped = self.quic.stream_capacity(stream.into());
        while self.sessions.wants(stream) {
            // Without room for a byte quiche tells a FIN that comes alone, but keeps it readable.
            let room = self.quic.stream_readable_len(stream.into(), READ).max(1);
            let mut data = BytesMut::with_capacity(room);
            let read = (&mut data).limit(room);
            let input = match self.quic.stream_recv_buf(stream.into(), read) {
                Ok((_, fin)) => {
                    let data = data.freeze();
                    Input::StreamData { stream, data, fin }
                }
                Err(quiche::Error::StreamReset(code)) => Input::StreamReset {
                    stream,
                    code,
                    final_size: None,
                },
                Err(_nothing_there) => break,
            };
            self.sessions.handle(now, input);
        }
        if let Err(quiche::Error::StreamStopped(code)) = stopped {
            self.stopped(now, stream, code);
        }
    }

    /// Asks quiche about our half of a stream.
    fn ask(&mut self, now: Instant, stream: StreamId) {
        match self.quic.stream_capacity(stream.into()) {
            Ok(0) => {}
            Ok(_) => self.sessions.handle(now, Input::StreamWritable { stream }),
            Err(quiche::Error::StreamStopped(code)) => self.stopped(now, stream, code),
            // Forgotten: both halves are over, and ours is acknowledged.
            Err(_) if self.finished.remove(&stream) => {
                self.sessions
                    .handle(now, Input::StreamAcknowledged { stream });
            }
            Err(_) => {}
        }
    }

    /// Whichever call finds it first: to the next one quiche may not know the stream any more.
    fn stopped(&mut self, now: Instant, stream: StreamId, code: u64) {
        self.finished.remove(&stream);
        self.sessions
            .handle(now, Input::StreamStopped { stream, code });
    }

    /// Why the connection is over, if it is.
    fn reason(&self) -> Option<ConnectionLost> {
        let bytes = |error: &quiche::ConnectionError| error.reason.clone().into();
        let reason = match (self.quic.peer_error(), self.quic.local_error()) {
            _ if self.lost.is_some() => return self.lost.clone(),
            (Some(error), _) if error.is_app => ConnectionLost::PeerApplication {
                code: error.error_code,
                reason: bytes(error),
            },
            (Some(error), _) => ConnectionLost::PeerTransport {
                code: error.error_code,
                reason: bytes(error),
            },
            (None, Some(error)) if error.is_app => ConnectionLost::Local {
                code: Some(error.error_code),
            },
            (None, Some(error)) => ConnectionLost::LocalTransport {
                code: error.error_code,
                reason: bytes(error),
            },
            (None, None) if self.quic.is_timed_out() => ConnectionLost::IdleTimeout,
            (None, None) if self.quic.is_closed() => ConnectionLost::Unknown,
            (None, None) => return None,
        };
        Some(reason)
    }

    // ---- sessions to quiche

    /// The next event. Actions on the way are performed.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Event> {
        loop {
            match self.sessions.poll()? {
                Output::Action(action) => self.perform(now, action),
                Output::Event(event) => return Some(event),
            }
        }
    }

    /// The next packet, written to the front of `out`: how long it is, and where it goes.
    pub(crate) fn transmit(&mut self, out: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let sent = self.quic.send(out).or_else(|error| {
            if error != quiche::Error::Done {
                // INTERNAL_ERROR, unless quiche has named another.
                let _closed_already = self.quic.close(false, 1, b"");
            }
            self.quic.send(out)
        });
        sent.ok().map(|(len, info)| (len, info.to))
    }

    /// When to `feed` again, though no packet has come.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let dues = [self.sessions.poll_timeout(), self.quic.timeout_instant()];
        dues.into_iter().flatten().min()
    }

    /// Whether we closed it, and the peer may not know yet.
    pub(crate) fn is_closing(&self) -> bool {
        self.quic.local_error().is_some() && !self.quic.is_closed()
    }

    /// Whether nothing is left to do: CONNECTION_CLOSE is sent, or came, and was waited for.
    pub(crate) fn is_over(&self) -> bool {
        self.quic.is_closed() && self.sessions.is_closed()
    }

    fn perform(&mut self, now: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let taken = self.quic.stream_send(stream.into(), &data, fin);
                let fin = fin && taken == Ok(data.len());
                if fin {
                    self.finished.insert(stream);
                }
                let len = taken.unwrap_or(0);
                self.sessions
                    .handle(now, Input::Written { stream, len, fin });
                if let Err(quiche::Error::StreamStopped(code)) = taken {
                    self.stopped(now, stream, code);
                }
            }
            Action::Read { stream } => self.read(now, stream),
            Action::Reset { stream, code, .. } => {
                self.finished.remove(&stream);
                let _over = self
                    .quic
                    .stream_shutdown(stream.into(), Shutdown::Write, code);
            }
            Action::StopSending { stream, code } => {
                let _over = self
                    .quic
                    .stream_shutdown(stream.into(), Shutdown::Read, code);
            }
            Action::CloseConnection { code, reason } => {
                let _closed = self.quic.close(true, code, reason.as_bytes());
            }
        }
    }

    // ---- what needs both

    /// Client: asks for a session.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<SessionId, ConnectError> {
        let permit = self.sessions.connect(now, request)?;
        let stream = open(&mut self.quic, &mut self.opened, Dir::Bi);
        Ok(permit.bind(stream.ok_or(ConnectError::Blocked)?))
    }

    /// Opens a stream of a session.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        session: SessionId,
        dir: Dir,
    ) -> Result<StreamId, OpenError> {
        let permit = self.sessions.open(session, dir)?;
        let stream = open(&mut self.quic, &mut self.opened, dir).ok_or(OpenError::Blocked)?;
        permit.bind(stream);
        // The stream header: without it there is no credit.
        while let Some(action) = self.sessions.poll_action() {
            self.perform(now, action);
        }
        Ok(stream)
    }

    /// Sends on a stream: how many bytes were taken.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        stream: StreamId,
        data: &[u8],
    ) -> Result<usize, SendError> {
        let credit = self.sessions.credit(stream)?;
        let taken = self
            .quic
            .stream_send(stream.into(), credit.clamp(data), false);
        credit.spend(taken.unwrap_or(0));
        match taken {
            Ok(written) => Ok(written),
            Err(quiche::Error::Done) => Err(SendError::Blocked),
            Err(quiche::Error::StreamStopped(code)) => {
                self.stopped(now, stream, code);
                Err(SendError::Stopped(None))
            }
            Err(_) => Err(SendError::StreamClosed),
        }
    }

    /// Sends a datagram: the session's or quiche's own answer.
    pub(crate) fn send_datagram(
        &mut self,
        session: SessionId,
        payload: &[u8],
    ) -> Result<(), Box<dyn Error>> {
        let mut frame = Vec::new();
        let permit = self.sessions.datagram(session)?;
        permit.encode_into(payload, &mut frame);
        Ok(self.quic.dgram_send_buf(frame)?)
    }

    /// The largest payload of a datagram, in bytes.
    pub(crate) fn max_datagram_size(&self, session: SessionId) -> Option<usize> {
        let max = self.quic.dgram_max_writable_len()?;
        self.sessions.max_datagram_payload(session, max)
    }

    /// Closes at once, not as the sessions asked for.
    pub(crate) fn abort(&mut self, code: u64, reason: &[u8]) {
        // Before the handshake quiche sends another code.
        if self.quic.close(true, code, reason).is_ok() {
            self.lost
                .get_or_insert(ConnectionLost::Local { code: Some(code) });
        }
    }
}

/// The next stream of ours, if the peer allows one more.
fn open(quic: &mut quiche::Connection, opened: &mut Opened, dir: Dir) -> Option<StreamId> {
    let (side, index) = match (quic.is_server(), dir) {
        (true, Dir::Bi) => (Side::Server, &mut opened.bi),
        (true, Dir::Uni) => (Side::Server, &mut opened.uni),
        (false, Dir::Bi) => (Side::Client, &mut opened.bi),
        (false, Dir::Uni) => (Side::Client, &mut opened.uni),
    };
    let stream = StreamId::new(side, dir, *index);
    // The priority that it has anyway: what this does is make the stream, or fail.
    quic.stream_priority(stream.into(), 127, true).ok()?;
    *index += 1;
    Some(stream)
}
