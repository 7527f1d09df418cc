//! Adapter for `quinn-proto` 0.11: no socket and no clock of its own either.
//!
//! [`Host`] joins one [`Connection`] to one of quinn's. [`Endpoint`] is for whoever has no loop
//! yet: a quinn endpoint with all its connections and their hosts, between a socket and the events.
//!
//! In a loop of your own, drive quinn's [`Connection`](quic::Connection) as ever; instead of polling
//! its events, call [`Host::poll`] until it gives `None`, then transmit what quinn has. After
//! [`Event::ConnectionClosed`] go on transmitting until quinn is drained, or its CONNECTION_CLOSE
//! is never sent.
//!
//! State of a host's own: the loss that was not reported yet.
//!
//! ```no_run
//! # use std::{sync::Arc, time::Instant};
//! # use webtransport_session::{Config, Event, Response, host::quinn_proto::Host};
//! # fn turn(quic: &mut quinn_proto::Connection, host: &mut Host, now: Instant) {
//! // After quinn has been given a datagram, a timeout or an endpoint event:
//! while let Some(event) = host.poll(quic, now) {
//!     match event {
//!         Event::SessionRequested { session, request } if request.path() == "/game" => {
//!             let _left_meanwhile = host.connection().accept(now, session, Response::default());
//!         }
//!         Event::SessionClosed { session, reason } => println!("{session} left: {reason}"),
//!         _ => {}
//!     }
//! }
//! // Now transmit: `quic.poll_transmit(…)`.
//! # }
//! # let _ = Host::server(Arc::new(Config::default()));
//! ```

mod endpoint;

use std::{sync::Arc, time::Instant};

use bytes::{Buf, Bytes};
use quinn_proto::{ReadError, ReadableError, StreamEvent, VarInt};

/// The version of quinn-proto that this joins.
pub use ::quinn_proto as quic;

use crate::{
    Action, Config, ConnectError, Connection, ConnectionLost, DatagramError, Dir, Event, Input,
    InvalidExport, OpenError, Output, RememberedSettings, Request, SendError, SessionId, StreamId,
    Support, Transport, exporter,
};

pub use endpoint::{Endpoint, Peer, PeerId};

/// A [`Connection`] joined to quinn-proto. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Host {
    sessions: Connection,
    stream_receive_window: Option<u64>,
    lost: Option<ConnectionLost>,
}

/// Why a datagram was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatagramSendError {
    /// The session cannot send.
    #[error(transparent)]
    Session(#[from] DatagramError),
    /// QUIC cannot send.
    #[error(transparent)]
    Quic(#[from] quic::SendDatagramError),
}

/// Why no keying material was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The request has not been answered yet.
    #[error("the session is not open yet")]
    NotOpen,
    /// The session has ended, or never was.
    #[error("the session is over")]
    SessionClosed,
    /// The label or the context will not do.
    #[error(transparent)]
    Invalid(#[from] InvalidExport),
    /// TLS gives no such number of bytes: none, or very many.
    #[error("TLS exports no such number of bytes")]
    Length,
}

impl Host {
    /// The client's end.
    #[must_use]
    pub fn client(config: Arc<Config>) -> Self {
        Self::new(Connection::client(config))
    }

    /// The client's end of a connection that resumes another: [`Connection::client_resuming`].
    /// Quinn tells whether early data was accepted; rustls has to be configured for it
    /// (`enable_early_data`).
    ///
    /// With an [`Endpoint`], put it in the place of [`Peer::host`] right after
    /// [`Endpoint::connect`].
    #[must_use]
    pub fn client_resuming(config: Arc<Config>, remembered: RememberedSettings) -> Self {
        Self::new(Connection::client_resuming(config, remembered))
    }

    /// The server's end.
    #[must_use]
    pub fn server(config: Arc<Config>) -> Self {
        Self::new(Connection::server(config))
    }

    fn new(sessions: Connection) -> Self {
        Self {
            sessions,
            stream_receive_window: None,
            lost: None,
        }
    }

    /// Tells what quinn's `TransportConfig::stream_receive_window` was set to, in bytes; by default
    /// 1.25 MB. To be told before quinn is connected, by whoever has set it and turns on
    /// [`Config::flow_control`]: quinn cannot be asked, and session credit is given back by it for
    /// streams whose final size quinn does not tell.
    pub fn set_stream_receive_window(&mut self, bytes: u64) {
        self.stream_receive_window = Some(bytes);
    }

    /// Moves everything that can move between QUIC and the sessions; the next event, if there is
    /// one.
    pub fn poll(&mut self, quic: &mut quic::Connection, now: Instant) -> Option<Event> {
        loop {
            match self.sessions.poll() {
                Some(Output::Event(event)) => return Some(event),
                Some(Output::Action(action)) => self.perform(quic, now, action),
                None => {
                    if !self.pull(quic, now) {
                        return None;
                    }
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. Quinn's own timer runs beside it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.poll_timeout()
    }

    /// Reports that the time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sessions.handle(now, Input::Timeout);
    }

    /// Sessions whose end has not been told, in order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.sessions()
    }

    /// Commands and getters of sessions and their streams. What they queue is performed by the next
    /// [`poll`](Self::poll) of this host; do not poll the connection itself.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.sessions
    }

    // ---- QUIC to sessions

    /// Takes in one event of QUIC's. False when there is none.
    fn pull(&mut self, quic: &mut quic::Connection, now: Instant) -> bool {
        let Some(event) = quic.poll() else {
            // The streams were drained first: a close capsule wins over the loss. Of a close that
            // was made on quinn itself there is no event, nor can its code be asked.
            let behind_our_back = quic.is_closed() && !self.sessions.is_closed();
            let behind_our_back = behind_our_back.then_some(ConnectionLost::Local { code: None });
            let Some(reason) = self.lost.take().or(behind_our_back) else {
                return false;
            };
            self.sessions
                .handle(now, Input::ConnectionClosed { reason });
            return true;
        };
        match event {
            quic::Event::HandshakeDataReady | quic::Event::DatagramsUnblocked => {}
            quic::Event::Connected => self.start(quic, now),
            quic::Event::ConnectionLost { reason } => {
                self.lost.get_or_insert_with(|| reason.into());
            }
            quic::Event::DatagramReceived => {
                while let Some(data) = quic.datagrams().recv() {
                    self.sessions.handle(now, Input::DatagramReceived { data });
                }
            }
            quic::Event::Stream(event) => self.stream_event(quic, now, event),
        }
        true
    }

    fn stream_event(&mut self, quic: &mut quic::Connection, now: Instant, event: StreamEvent) {
        match event {
            // One event for any number of streams, and none for the first data of each.
            StreamEvent::Opened { dir } => {
                while let Some(id) = quic.streams().accept(dir) {
                    self.read(quic, now, id);
                }
            }
            StreamEvent::Readable { id } => self.read(quic, now, id),
            StreamEvent::Writable { id } => {
                let stream = id.into();
                self.sessions.handle(now, Input::StreamWritable { stream });
            }
            StreamEvent::Stopped { id, error_code } => {
                // What came before the STOP_SENDING may say why.
                self.read_own_half(quic, now, id);
                let input = Input::StreamStopped {
                    stream: id.into(),
                    code: error_code.into(),
                };
                self.sessions.handle(now, input);
            }
            StreamEvent::Finished { id } => {
                let stream = id.into();
                self.sessions
                    .handle(now, Input::StreamAcknowledged { stream });
            }
            StreamEvent::Available { dir } => {
                self.open_protocol_streams(quic);
                let dir = dir_of(dir);
                self.sessions.handle(now, Input::StreamsAvailable { dir });
            }
        }
    }

    fn start(&mut self, quic: &mut quic::Connection, now: Instant) {
        let mut transport = Transport::new(datagrams(quic));
        transport.early_data_accepted = quic.side().is_client() && quic.accepted_0rtt();
        if let Some(window) = self.stream_receive_window {
            transport.stream_receive_window = window;
        }
        self.sessions.start(now, transport);
        self.open_protocol_streams(quic);
    }

    /// Without credit for one, `Available` follows.
    fn open_protocol_streams(&mut self, quic: &mut quic::Connection) {
        while let Some(permit) = self.sessions.protocol_stream() {
            let Some(id) = quic.streams().open(quic::Dir::Uni) else {
                return;
            };
            permit.bind(id.into());
        }
    }

    /// Reads a stream that this side may receive on.
    fn read_own_half(&mut self, quic: &mut quic::Connection, now: Instant, id: quic::StreamId) {
        if id.dir() == quic::Dir::Bi || id.initiator() != quic.side() {
            self.read(quic, now, id);
        }
    }

    fn read(&mut self, quic: &mut quic::Connection, now: Instant, id: quic::StreamId) {
        let stream = StreamId::from(id);
        let mut receive = quic.recv_stream(id);
        let mut chunks = match receive.read(true) {
            Ok(chunks) => chunks,
            Err(ReadableError::ClosedStream | ReadableError::IllegalOrderedRead) => return,
        };
        while self.sessions.wants(stream) {
            let input = match chunks.next(READ) {
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
                Err(ReadError::Blocked) => break,
            };
            let is_over = !matches!(input, Input::StreamData { fin: false, .. });
            self.sessions.handle(now, input);
            if is_over {
                break;
            }
        }
        // Whether there is something to transmit: the caller looks after every poll anyway.
        let _should_transmit = chunks.finalize();
    }

    // ---- sessions to QUIC

    fn perform(&mut self, quic: &mut quic::Connection, now: Instant, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                self.write_protocol(quic, now, stream, &data, fin)
            }
            Action::Read { stream } => self.read_own_half(quic, now, stream.into()),
            // A stream that is closed already needs neither.
            Action::Reset { stream, code, .. } => {
                let _ = quic.send_stream(stream.into()).reset(code_of(code));
            }
            Action::StopSending { stream, code } => {
                let _ = quic.recv_stream(stream.into()).stop(code_of(code));
            }
            Action::CloseConnection { code, reason } => {
                quic.close(now, code_of(code), Bytes::from_static(reason.as_bytes()));
            }
        }
    }

    fn write_protocol(
        &mut self,
        quic: &mut quic::Connection,
        now: Instant,
        stream: StreamId,
        data: &[u8],
        fin: bool,
    ) {
        let mut out = quic.send_stream(stream.into());
        // Until quinn refuses: only then does Writable or Stopped follow. Never an empty write, which
        // a blocked stream refuses too.
        let mut len = 0;
        while let Some(rest) = data.get(len..).filter(|rest| !rest.is_empty()) {
            match out.write(rest) {
                Ok(written) => len += written,
                Err(_) => break,
            }
        }
        let fin = fin && len == data.len() && out.finish().is_ok();
        self.sessions
            .handle(now, Input::Written { stream, len, fin });
    }

    /// Performs what is due on the wire; events stay for `poll`.
    fn act(&mut self, quic: &mut quic::Connection, now: Instant) {
        while let Some(action) = self.sessions.poll_action() {
            self.perform(quic, now, action);
        }
    }

    // ---- what touches both

    /// Client: asks for a session.
    ///
    /// # Errors
    /// Those of [`Connection::connect`]; [`ConnectError::Blocked`] also when QUIC has no stream to
    /// spare.
    pub fn connect(
        &mut self,
        quic: &mut quic::Connection,
        now: Instant,
        request: &Request,
    ) -> Result<SessionId, ConnectError> {
        let permit = self.sessions.connect(now, request)?;
        let id = quic
            .streams()
            .open(quic::Dir::Bi)
            .ok_or(ConnectError::Blocked)?;
        Ok(permit.bind(id.into()))
    }

    /// Opens a stream of a session.
    ///
    /// # Errors
    /// Those of [`Connection::open`]; [`OpenError::Blocked`] also when QUIC has no stream to spare.
    pub fn open(
        &mut self,
        quic: &mut quic::Connection,
        now: Instant,
        session: SessionId,
        dir: Dir,
    ) -> Result<StreamId, OpenError> {
        let permit = self.sessions.open(session, dir)?;
        let dir = match dir {
            Dir::Bi => quic::Dir::Bi,
            Dir::Uni => quic::Dir::Uni,
        };
        let id = quic.streams().open(dir).ok_or(OpenError::Blocked)?;
        permit.bind(id.into());
        // The stream header, so that there is credit at once.
        self.act(quic, now);
        Ok(id.into())
    }

    /// Writes payload to a stream; gives how many bytes QUIC took. Fewer than all does not mean
    /// blocked: write on until [`SendError::Blocked`], and only then
    /// [`Event::StreamWritable`] follows.
    ///
    /// # Errors
    /// Those of [`Connection::credit`], and QUIC's own.
    pub fn write(
        &mut self,
        quic: &mut quic::Connection,
        stream: StreamId,
        data: &[u8],
    ) -> Result<usize, SendError> {
        let credit = self.sessions.credit(stream)?;
        match quic.send_stream(stream.into()).write(credit.clamp(data)) {
            Ok(written) => {
                credit.spend(written);
                Ok(written)
            }
            Err(quic::WriteError::Blocked) => Err(SendError::Blocked),
            // The event with the code follows.
            Err(quic::WriteError::Stopped(_)) => Err(SendError::Stopped(None)),
            Err(quic::WriteError::ClosedStream) => Err(SendError::StreamClosed),
        }
    }

    /// Writes as much as QUIC takes, and takes it out of `data`.
    ///
    /// # Errors
    /// As [`write`](Self::write) does: [`SendError::Blocked`] when something is left, to be written
    /// after [`Event::StreamWritable`].
    pub fn write_buf(
        &mut self,
        quic: &mut quic::Connection,
        stream: StreamId,
        data: &mut impl Buf,
    ) -> Result<(), SendError> {
        while data.has_remaining() {
            let written = self.write(quic, stream, data.chunk())?;
            data.advance(written);
        }
        Ok(())
    }

    /// Sends a datagram; quinn drops its oldest when its buffer is full.
    ///
    /// # Errors
    /// Those of [`Connection::datagram`], and QUIC's own.
    pub fn send_datagram(
        &self,
        quic: &mut quic::Connection,
        session: SessionId,
        payload: &[u8],
    ) -> Result<(), DatagramSendError> {
        let permit = self.sessions.datagram(session)?;
        Ok(quic.datagrams().send(permit.encode(payload), true)?)
    }

    /// The largest datagram payload that can be sent now, in bytes. It changes with the path.
    pub fn max_datagram_size(
        &self,
        quic: &mut quic::Connection,
        session: SessionId,
    ) -> Option<usize> {
        let quic_max = quic.datagrams().max_size()?;
        self.sessions.max_datagram_payload(session, quic_max)
    }

    /// Fills `output` with a secret that only the two ends of this session know, the same at both for
    /// the same label and context (draft §4.8). `label` is 1 to 255 bytes, `context` at most 255.
    ///
    /// # Errors
    /// [`ExportError`] says which; `output` then holds nothing of use.
    pub fn export_keying_material(
        &self,
        quic: &quic::Connection,
        session: SessionId,
        label: &[u8],
        context: &[u8],
        output: &mut [u8],
    ) -> Result<(), ExportError> {
        // Who may send a datagram has an open session.
        let _permit = self
            .sessions
            .datagram(session)
            .map_err(|error| match error {
                DatagramError::NotOpen => ExportError::NotOpen,
                DatagramError::SessionClosed => ExportError::SessionClosed,
            })?;
        let context = exporter::context(session, label, context)?;
        quic.crypto_session()
            .export_keying_material(output, exporter::LABEL.as_bytes(), &context)
            .map_err(|_| ExportError::Length)
    }

    /// Closes at once: with the next [`poll`](Self::poll) sessions end with
    /// [`ConnectionLost::Local`], but for what had reached quinn before and ended them already.
    /// [`Connection::shutdown`] is the polite way.
    pub fn abort(&mut self, quic: &mut quic::Connection, now: Instant, code: u64, reason: &[u8]) {
        if !quic.is_closed() {
            quic.close(now, code_of(code), Bytes::copy_from_slice(reason));
            self.lost = Some(ConnectionLost::Local { code: Some(code) });
        }
    }
}

/// How much is read at a time, at most.
const READ: usize = 64 * 1024;

/// Whether both ends take them. What the peer said is in quinn's limit; what this end said quinn
/// tells only to somebody who sends, so here is one that is too large to go.
fn datagrams(quic: &mut quic::Connection) -> Support {
    let Some(max) = quic.datagrams().max_size() else {
        return Support::No;
    };
    let too_large = Bytes::from(vec![0; max.saturating_add(1)]);
    match quic.datagrams().send(too_large, false) {
        Err(quic::SendDatagramError::Disabled) => Support::No,
        _ => Support::Yes,
    }
}

fn dir_of(dir: quic::Dir) -> Dir {
    match dir {
        quic::Dir::Bi => Dir::Bi,
        quic::Dir::Uni => Dir::Uni,
    }
}

fn code_of(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}
