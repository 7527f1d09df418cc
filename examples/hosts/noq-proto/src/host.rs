//! One connection: noq-proto's and the sessions on it. Knows no socket, no endpoint and no other
//! connection.
//!
//! Drive noq's connection as ever (packets, timers, endpoint events); instead of polling its events,
//! call [`Host::poll`] until it gives `None`, then transmit. Go on transmitting after
//! `Event::ConnectionClosed`, until noq's connection is drained.

use std::time::Instant;

use bytes::Bytes;
use noq_proto::{self as quic, ConnectionError, ReadError, StreamEvent, VarInt, WriteError};
use webtransport_session::{
    Action, ConnectError, Connection, ConnectionLost, DatagramError, Dir, Event, Input, OpenError,
    Output, Request, SendError, SessionId, StreamId, Support, Transport,
};

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) quic: quic::Connection,
    /// Commands go here. What they queue is performed by the next [`poll`](Host::poll).
    pub(crate) sessions: Connection,
    /// The window that noq's configuration gives the peer on each stream, in bytes.
    stream_window: u32,
    /// Why QUIC is over, until all streams were read.
    lost: Option<ConnectionLost>,
}

impl Host {
    pub(crate) fn new(quic: quic::Connection, sessions: Connection, stream_window: u32) -> Self {
        Self {
            quic,
            sessions,
            stream_window,
            lost: None,
        }
    }

    /// Moves everything that can move between QUIC and the sessions; the next event, if there is
    /// one.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Event> {
        loop {
            match self.sessions.poll() {
                Some(Output::Event(event)) => return Some(event),
                Some(Output::Action(action)) => self.perform(now, action),
                None if self.feed(now) => {}
                None => return None,
            }
        }
    }

    /// When to call [`handle_timeout`](Host::handle_timeout) at the latest.
    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        let due = [self.quic.poll_timeout(), self.sessions.poll_timeout()];
        due.into_iter().flatten().min()
    }

    /// Lets the timers run out that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.quic.handle_timeout(now);
        if self.sessions.poll_timeout().is_some_and(|due| due <= now) {
            self.sessions.handle(now, Input::Timeout);
        }
    }

    // ---- QUIC to sessions

    /// Takes in one event of QUIC's. False when there is none.
    fn feed(&mut self, now: Instant) -> bool {
        match self.quic.poll() {
            Some(quic::Event::Connected) => self.start(now),
            Some(quic::Event::DatagramReceived) => {
                while let Some(data) = self.quic.datagrams().recv() {
                    self.sessions.handle(now, Input::DatagramReceived { data });
                }
            }
            Some(quic::Event::Stream(event)) => self.stream_event(now, event),
            Some(quic::Event::ConnectionLost { reason }) => {
                self.lost.get_or_insert_with(|| lost(reason));
            }
            // Of no interest to sessions. New kinds of events come with new extensions of noq's.
            Some(_) => {}
            // The streams were read to their ends: a close capsule wins over the loss.
            None => match self.lost.take() {
                Some(reason) => self.end(now, reason),
                None => return false,
            },
        }
        true
    }

    fn stream_event(&mut self, now: Instant, event: StreamEvent) {
        let input = match event {
            // One event for any number of streams, and none for the first data of each.
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.quic.streams().accept(dir) {
                    self.read(now, id);
                }
                return;
            }
            StreamEvent::Readable { id } => return self.read(now, id),
            StreamEvent::Writable { id } => Input::StreamWritable {
                stream: stream_of(id),
            },
            StreamEvent::Stopped { id, error_code } => {
                // What came before the STOP_SENDING may say why.
                self.read(now, id);
                Input::StreamStopped {
                    stream: stream_of(id),
                    code: error_code.into(),
                }
            }
            StreamEvent::Finished { id } => Input::StreamAcknowledged {
                stream: stream_of(id),
            },
            StreamEvent::Available { dir } => {
                self.open_protocol_streams();
                Input::StreamsAvailable {
                    dir: match dir {
                        quic::Dir::Bi => Dir::Bi,
                        quic::Dir::Uni => Dir::Uni,
                    },
                }
            }
        };
        self.sessions.handle(now, input);
    }

    fn start(&mut self, now: Instant) {
        // Whether the peer takes them. That we do is noq's default.
        let mut transport = Transport::new(match self.quic.datagrams().max_size() {
            Some(_) => Support::Yes,
            None => Support::No,
        });
        transport.stream_receive_window = self.stream_window.into();
        self.sessions.start(now, transport);
        self.open_protocol_streams();
    }

    /// Without credit for one, `Available` follows.
    fn open_protocol_streams(&mut self) {
        while let Some(permit) = self.sessions.protocol_stream() {
            let Some(id) = self.quic.streams().open(quic::Dir::Uni) else {
                return;
            };
            permit.bind(stream_of(id));
        }
    }

    fn read(&mut self, now: Instant, id: quic::StreamId) {
        let stream = stream_of(id);
        // False for what is no half to read, of which noq must not be asked.
        while self.sessions.wants(stream) {
            let mut receive = self.quic.recv_stream(id);
            // Its end was read, or it was stopped.
            let Ok(mut chunks) = receive.read(true) else {
                return;
            };
            let input = match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => Input::StreamData {
                    stream,
                    data: chunk.bytes,
                    fin: false,
                },
                Ok(None) => Input::StreamData {
                    stream,
                    data: Bytes::new(),
                    fin: true,
                },
                Err(ReadError::Reset(code)) => Input::StreamReset {
                    stream,
                    code: code.into(),
                    final_size: None,
                },
                Err(ReadError::Blocked) => return,
            };
            // Whether there is credit to transmit: the loop looks after each poll anyway.
            let _should_transmit = chunks.finalize();
            self.sessions.handle(now, input);
        }
    }

    fn end(&mut self, now: Instant, reason: ConnectionLost) {
        self.sessions
            .handle(now, Input::ConnectionClosed { reason });
    }

    // ---- sessions to QUIC

    fn perform(&mut self, now: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let mut send = self.quic.send_stream(id_of(stream));
                // Until noq refuses: only then does `Writable` or `Stopped` follow.
                let mut len = 0;
                while len < data.len() {
                    match send.write(&data[len..]) {
                        Ok(written) => len += written,
                        Err(_) => break,
                    }
                }
                let fin = fin && len == data.len() && send.finish().is_ok();
                self.sessions
                    .handle(now, Input::Written { stream, len, fin });
            }
            Action::Read { stream } => self.read(now, id_of(stream)),
            // A stream that is over needs neither.
            Action::Reset { stream, code, .. } => {
                let _over = self.quic.send_stream(id_of(stream)).reset(code_of(code));
            }
            Action::StopSending { stream, code } => {
                let _over = self.quic.recv_stream(id_of(stream)).stop(code_of(code));
            }
            Action::CloseConnection { code, reason } => {
                let reason = Bytes::from_static(reason.as_bytes());
                self.quic.close(now, code_of(code), reason);
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
        let id = self.quic.streams().open(quic::Dir::Bi);
        Ok(permit.bind(stream_of(id.ok_or(ConnectError::Blocked)?)))
    }

    /// Opens a stream of a session.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        session: SessionId,
        dir: Dir,
    ) -> Result<StreamId, OpenError> {
        let permit = self.sessions.open(session, dir)?;
        let id = self.quic.streams().open(match dir {
            Dir::Bi => quic::Dir::Bi,
            Dir::Uni => quic::Dir::Uni,
        });
        let stream = stream_of(id.ok_or(OpenError::Blocked)?);
        permit.bind(stream);
        // The stream header, so that there is credit at once.
        while let Some(action) = self.sessions.poll_action() {
            self.perform(now, action);
        }
        Ok(stream)
    }

    /// Writes payload; gives how many bytes noq took. Fewer than all is not blocked.
    pub(crate) fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        let credit = self.sessions.credit(stream)?;
        match self
            .quic
            .send_stream(id_of(stream))
            .write(credit.clamp(data))
        {
            Ok(written) => {
                credit.spend(written);
                Ok(written)
            }
            Err(WriteError::Blocked) => Err(SendError::Blocked),
            // The event with the code follows.
            Err(WriteError::Stopped(_)) => Err(SendError::Stopped(None)),
            Err(WriteError::ClosedStream) => Err(SendError::StreamClosed),
        }
    }

    /// The inner result is noq's own. It drops its oldest datagram when its buffer is full.
    pub(crate) fn send_datagram(
        &mut self,
        session: SessionId,
        payload: &[u8],
    ) -> Result<Result<(), quic::SendDatagramError>, DatagramError> {
        let datagram = self.sessions.datagram(session)?.encode(payload);
        Ok(self.quic.datagrams().send(datagram, true))
    }

    /// The largest payload of a datagram, in bytes. It changes with the path.
    pub(crate) fn max_datagram_size(&mut self, session: SessionId) -> Option<usize> {
        let quic_max = self.quic.datagrams().max_size()?;
        self.sessions.max_datagram_payload(session, quic_max)
    }

    /// Closes QUIC at once. What has reached noq is read before the sessions end.
    pub(crate) fn abort(&mut self, now: Instant, code: u32, reason: &[u8]) {
        if !self.quic.is_closed() {
            self.quic
                .close(now, code.into(), Bytes::copy_from_slice(reason));
            // Noq gives no event for it.
            let code = code.into();
            self.lost = Some(ConnectionLost::Local { code: Some(code) });
        }
    }
}

fn lost(error: ConnectionError) -> ConnectionLost {
    match error {
        ConnectionError::VersionMismatch => ConnectionLost::VersionMismatch,
        ConnectionError::TransportError(error) => ConnectionLost::LocalTransport {
            code: error.code.into(),
            reason: error.reason.into(),
        },
        ConnectionError::ConnectionClosed(close) => ConnectionLost::PeerTransport {
            code: close.error_code.into(),
            reason: close.reason,
        },
        ConnectionError::ApplicationClosed(close) => ConnectionLost::PeerApplication {
            code: close.error_code.into(),
            reason: close.reason,
        },
        ConnectionError::Reset => ConnectionLost::StatelessReset,
        ConnectionError::TimedOut => ConnectionLost::IdleTimeout,
        // Never an event.
        ConnectionError::LocallyClosed => ConnectionLost::Unknown,
        ConnectionError::CidsExhausted => ConnectionLost::LocalTransport {
            code: quic::TransportErrorCode::INTERNAL_ERROR.into(),
            reason: Bytes::from_static(b"connection ids exhausted"),
        },
    }
}

fn stream_of(id: quic::StreamId) -> StreamId {
    u64::from(id).into()
}

pub(crate) fn id_of(stream: StreamId) -> quic::StreamId {
    code_of(stream.into()).into()
}

pub(crate) fn code_of(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}
