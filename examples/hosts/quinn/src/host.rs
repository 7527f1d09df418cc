//! One connection: quinn's and the sessions on it, in one task.
//!
//! ```text
//! let mut host = Host::handshake(connecting, Connection::server(config), stream_window).await?;
//! while let Some(event) = host.next().await {
//!     // The application, which may use `host` here.
//! }
//! ```
//!
//! Commands from elsewhere come in beside it: [`next`](Host::next) may be dropped while it waits, as
//! `tokio::select!` does, and what a command queues is performed by the one that follows.

use std::{
    collections::BTreeMap,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};
use tokio::{task::unconstrained, time::sleep_until};
use webtransport_session::{
    Action, ConnectError, Connection, ConnectionLost, DatagramError, Dir, Event, Input, OpenError,
    Output, Request, SendError, SessionId, StreamId, Support, Transport,
};

use crate::{
    opening::Opening,
    signals::{Signal, Signals, Waiting},
};

/// RFC 9114 §8.1.
const H3_NO_ERROR: VarInt = VarInt::from_u32(0x100);
/// Taken in at once, at most; many more than that the sessions would drop before they are polled.
const DATAGRAMS: usize = 32;

#[derive(Debug)]
pub(crate) struct Host {
    quic: quinn::Connection,
    /// Commands go here. What they queue is performed by [`next`](Host::next).
    pub(crate) sessions: Connection,
    /// The window that quinn's configuration gives the peer on each stream, in bytes.
    stream_window: u32,
    opening: Opening,
    /// Quinn finishes what is dropped: kept until the peer knows the FIN, or until a reset.
    sending: BTreeMap<StreamId, Sending>,
    /// Quinn stops what is dropped: kept until FIN, a reset, or a stop of ours.
    receiving: BTreeMap<StreamId, RecvStream>,
    signals: Signals,
    /// These three wait for the peer.
    bi: Waiting<Result<(SendStream, RecvStream), ConnectionError>>,
    uni: Waiting<Result<RecvStream, ConnectionError>>,
    datagram: Waiting<Result<Bytes, ConnectionError>>,
    /// Rather early than set again whenever the sessions put it off.
    timer: Option<(Instant, Waiting<()>)>,
    /// The code that [`abort`](Host::abort) was called with.
    aborted: Option<u32>,
}

struct Sending {
    stream: SendStream,
    /// Waits for the peer's STOP_SENDING, or for its knowing all.
    stopped: Waiting<Result<Option<VarInt>, StoppedError>>,
    is_finished: bool,
}

impl Host {
    /// Waits for the handshake.
    ///
    /// # Errors
    /// The sessions again, of a connection that never came to be: their one event says why.
    pub(crate) async fn handshake(
        connecting: quinn::Connecting,
        mut sessions: Connection,
        stream_window: u32,
    ) -> Result<Self, Box<Connection>> {
        let quic = match connecting.await {
            Ok(quic) => quic,
            Err(error) => {
                let reason = lost(error);
                sessions.handle(Instant::now(), Input::ConnectionClosed { reason });
                return Err(Box::new(sessions));
            }
        };
        let signals = Signals::default();
        let waker = |signal| signals.waker(signal);
        let mut host = Self {
            opening: Opening::new(quic.clone(), signals.clone()),
            bi: Waiting::new(waker(Signal::Bi), accept_bi(quic.clone())),
            uni: Waiting::new(waker(Signal::Uni), accept_uni(quic.clone())),
            datagram: Waiting::new(waker(Signal::Datagram), read_datagram(quic.clone())),
            timer: None,
            signals,
            quic,
            sessions,
            stream_window,
            sending: BTreeMap::new(),
            receiving: BTreeMap::new(),
            aborted: None,
        };
        host.start();
        Ok(host)
    }

    /// The next event; `None` after `ConnectionClosed`. Quinn itself goes on transmitting what is
    /// left then.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(output) = self.sessions.poll() {
                match output {
                    Output::Event(event) => return Some(event),
                    Output::Action(action) => self.perform(action),
                }
            }
            if self.sessions.is_closed() {
                return None;
            }
            self.turn().await;
        }
    }

    // ---- QUIC to sessions

    /// Waits for a fact, and takes it in. Nothing is waited for in between: it is never half done.
    async fn turn(&mut self) {
        self.set_timer();
        match self.signals.next().await {
            Signal::Bi => self.accept_bi(),
            Signal::Uni => self.accept_uni(),
            Signal::Datagram => self.take_datagrams(),
            Signal::Stopped(stream) => self.check_stopped(stream),
            Signal::Readable(stream) => self.read(stream),
            Signal::Writable(stream) => self.feed(Input::StreamWritable { stream }),
            Signal::Available(dir) => self.check_available(dir),
            Signal::Timeout => self.check_timer(),
        }
    }

    fn set_timer(&mut self) {
        if let Some(due) = self.sessions.poll_timeout()
            && self.timer.as_ref().is_none_or(|&(at, _)| due < at)
        {
            // Tokio's budget would have it tell again and again that it is to be polled.
            let sleep = unconstrained(sleep_until(due.into()));
            let waker = self.signals.waker(Signal::Timeout);
            self.timer = Some((due, Waiting::new(waker, sleep)));
        }
    }

    fn check_timer(&mut self) {
        let timer = self.timer.as_mut();
        if timer.is_some_and(|(_, sleep)| sleep.poll().is_some()) {
            self.timer = None;
            self.feed(Input::Timeout);
        }
    }

    fn check_available(&mut self, dir: Dir) {
        if self.opening.is_available(dir) {
            self.open_protocol_streams();
            self.feed(Input::StreamsAvailable { dir });
        }
    }

    fn accept_bi(&mut self) {
        match self.bi.poll() {
            Some(Ok((send, receive))) => {
                self.bi.renew(accept_bi(self.quic.clone()));
                self.add(Some(send), Some(receive));
            }
            Some(Err(error)) => self.end(error),
            None => {}
        }
    }

    fn accept_uni(&mut self) {
        // An error says that the connection is over, which `accept_bi` tells.
        if let Some(Ok(receive)) = self.uni.poll() {
            self.uni.renew(accept_uni(self.quic.clone()));
            self.add(None, Some(receive));
        }
    }

    /// Takes in those that are there: a turn for each would cost more than they do, and so would
    /// renewing the future that is kept.
    fn take_datagrams(&mut self) {
        for _ in 1..DATAGRAMS {
            let Some(Ok(data)) = ready(self.quic.read_datagram()) else {
                break;
            };
            self.feed(Input::DatagramReceived { data });
        }
        // One more; else it waits for the next.
        if let Some(Ok(data)) = self.datagram.poll() {
            self.datagram.renew(read_datagram(self.quic.clone()));
            self.feed(Input::DatagramReceived { data });
        }
    }

    fn feed(&mut self, input: Input) {
        self.sessions.handle(Instant::now(), input);
    }

    fn start(&mut self) {
        // Of the peer. That this end takes them is quinn's default.
        let mut transport = Transport::new(match self.quic.max_datagram_size() {
            Some(_) => Support::Yes,
            None => Support::No,
        });
        transport.stream_receive_window = self.stream_window.into();
        self.sessions.start(Instant::now(), transport);
        self.open_protocol_streams();
    }

    /// Without credit for one, `Signal::Available` follows.
    fn open_protocol_streams(&mut self) {
        while let Some(permit) = self.sessions.protocol_stream() {
            let Some(send) = self.opening.uni() else {
                return;
            };
            permit.bind(stream_of(send.id()));
            self.add(Some(send), None);
        }
    }

    /// Takes a new stream, of either end's. What came with it is read at once.
    fn add(&mut self, send: Option<SendStream>, receive: Option<RecvStream>) {
        if let Some(receive) = receive {
            let stream = stream_of(receive.id());
            self.receiving.insert(stream, receive);
            self.read(stream);
        }
        if let Some(send) = send {
            let stream = stream_of(send.id());
            let sending = Sending {
                stopped: Waiting::new(self.signals.waker(Signal::Stopped(stream)), send.stopped()),
                stream: send,
                is_finished: false,
            };
            self.sending.insert(stream, sending);
        }
    }

    /// Reads what there is, as far as it is wanted. A stream that is not wanted stays unread, and the
    /// peer's window of it closed: that is the back-pressure. `Action::Read` goes on.
    fn read(&mut self, stream: StreamId) {
        let waker = self.signals.waker(Signal::Readable(stream));
        while self.sessions.wants(stream)
            && let Some(receive) = self.receiving.get_mut(&stream)
        {
            let input = match ready_or_wake(&waker, receive.read_chunk(usize::MAX, true)) {
                Some(Ok(Some(chunk))) => Input::StreamData {
                    stream,
                    data: chunk.bytes,
                    fin: false,
                },
                Some(Ok(None)) => Input::StreamData {
                    stream,
                    data: Bytes::new(),
                    fin: true,
                },
                Some(Err(ReadError::Reset(code))) => Input::StreamReset {
                    stream,
                    code: code.into(),
                    final_size: None,
                },
                // Nothing yet; or the connection is over, which `accept_bi` tells.
                None | Some(Err(_)) => return,
            };
            if !matches!(input, Input::StreamData { fin: false, .. }) {
                self.receiving.remove(&stream);
            }
            self.feed(input);
        }
    }

    /// Asks whether the peer has stopped a stream or knows all of it, and to be told of either.
    fn check_stopped(&mut self, stream: StreamId) {
        let Some(sending) = self.sending.get_mut(&stream) else {
            return;
        };
        match sending.stopped.poll() {
            Some(Ok(Some(code))) => {
                // Dropped, quinn resets it if the FIN came too late. Else the sessions reset it.
                if sending.is_finished {
                    self.sending.remove(&stream);
                }
                // What came before the STOP_SENDING may say why.
                self.read(stream);
                let code = code.into();
                self.feed(Input::StreamStopped { stream, code });
            }
            Some(Ok(None)) => {
                self.sending.remove(&stream);
                self.feed(Input::StreamAcknowledged { stream });
            }
            // Nothing yet; or the connection is over, which `accept_bi` tells.
            None | Some(Err(_)) => {}
        }
    }

    /// The connection is over. All that quinn still holds goes first: a close capsule in it wins.
    fn end(&mut self, error: ConnectionError) {
        while let Some(Ok(data)) = ready(self.quic.read_datagram()) {
            self.feed(Input::DatagramReceived { data });
        }
        while let Some(Ok((send, receive))) = ready(self.quic.accept_bi()) {
            self.add(Some(send), Some(receive));
        }
        while let Some(Ok(receive)) = ready(self.quic.accept_uni()) {
            self.add(None, Some(receive));
        }
        for stream in self.receiving.keys().copied().collect::<Vec<_>>() {
            self.read(stream);
        }
        for stream in self.sending.keys().copied().collect::<Vec<_>>() {
            self.check_stopped(stream);
        }
        let reason = match self.aborted {
            Some(code) => ConnectionLost::Local {
                code: Some(code.into()),
            },
            None => lost(error),
        };
        self.feed(Input::ConnectionClosed { reason });
    }

    // ---- sessions to QUIC

    fn perform(&mut self, action: Action) {
        match action {
            Action::Write { stream, data, fin } => {
                let (len, fin) = self.write_protocol(stream, &data, fin);
                self.feed(Input::Written { stream, len, fin });
            }
            Action::Read { stream } => self.read(stream),
            // A stream that is over needs neither.
            Action::Reset { stream, code, .. } => {
                if let Some(mut sending) = self.sending.remove(&stream) {
                    let _over = sending.stream.reset(code_of(code));
                }
            }
            Action::StopSending { stream, code } => {
                if let Some(mut receive) = self.receiving.remove(&stream) {
                    let _over = receive.stop(code_of(code));
                }
            }
            Action::CloseConnection { code, reason } => {
                self.quic.close(code_of(code), reason.as_bytes());
            }
        }
    }

    /// How many bytes quinn took, and whether the FIN.
    fn write_protocol(&mut self, stream: StreamId, data: &[u8], fin: bool) -> (usize, bool) {
        let Some(sending) = self.sending.get_mut(&stream) else {
            return (0, false);
        };
        let waker = self.signals.waker(Signal::Writable(stream));
        let mut len = 0;
        // Until quinn is blocked: only then does it wake.
        while len < data.len() {
            match ready_or_wake(&waker, sending.stream.write(&data[len..])) {
                Some(Ok(written)) => len += written,
                // Blocked, stopped, or over: each is told on its own.
                None | Some(Err(_)) => return (len, false),
            }
        }
        // Of a stream that was stopped quinn says too that it finished it.
        let is_stopped = || matches!(ready(sending.stream.stopped()), Some(Ok(Some(_))));
        sending.is_finished = fin && !is_stopped() && sending.stream.finish().is_ok();
        (len, sending.is_finished)
    }

    // ---- what needs both

    /// Client: asks for a session.
    pub(crate) fn connect(&mut self, request: &Request) -> Result<SessionId, ConnectError> {
        let permit = self.sessions.connect(Instant::now(), request)?;
        let (send, receive) = self.opening.bi().ok_or(ConnectError::Blocked)?;
        let session = permit.bind(stream_of(send.id()));
        self.add(Some(send), Some(receive));
        Ok(session)
    }

    /// Opens a stream of a session.
    pub(crate) fn open(&mut self, session: SessionId, dir: Dir) -> Result<StreamId, OpenError> {
        let permit = self.sessions.open(session, dir)?;
        let (send, receive) = match dir {
            Dir::Bi => self
                .opening
                .bi()
                .map(|(send, receive)| (send, Some(receive))),
            Dir::Uni => self.opening.uni().map(|send| (send, None)),
        }
        .ok_or(OpenError::Blocked)?;
        let stream = stream_of(send.id());
        permit.bind(stream);
        self.add(Some(send), receive);
        // The stream header, so that there is credit at once.
        while let Some(action) = self.sessions.poll_action() {
            self.perform(action);
        }
        Ok(stream)
    }

    /// Writes payload; gives how many bytes quinn took. Fewer than all is not blocked.
    pub(crate) fn write(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        let credit = self.sessions.credit(stream)?;
        let sending = self.sending.get_mut(&stream);
        let sending = sending.ok_or(SendError::StreamClosed)?;
        let waker = self.signals.waker(Signal::Writable(stream));
        match ready_or_wake(&waker, sending.stream.write(credit.clamp(data))) {
            Some(Ok(written)) => {
                credit.spend(written);
                Ok(written)
            }
            None => Err(SendError::Blocked),
            // The event with the code follows.
            Some(Err(WriteError::Stopped(_))) => Err(SendError::Stopped(None)),
            Some(Err(_)) => Err(SendError::StreamClosed),
        }
    }

    /// The inner result is quinn's own. It drops its oldest datagram when its buffer is full.
    pub(crate) fn send_datagram(
        &mut self,
        session: SessionId,
        payload: &[u8],
    ) -> Result<Result<(), quinn::SendDatagramError>, DatagramError> {
        let datagram = self.sessions.datagram(session)?.encode(payload);
        Ok(self.quic.send_datagram(datagram))
    }

    /// The largest payload of a datagram, in bytes. It changes with the path.
    pub(crate) fn max_datagram_size(&self, session: SessionId) -> Option<usize> {
        let quic_max = self.quic.max_datagram_size()?;
        self.sessions.max_datagram_payload(session, quic_max)
    }

    /// Closes QUIC at once. What has reached quinn is read before the sessions end.
    pub(crate) fn abort(&mut self, code: u32, reason: &[u8]) {
        if !self.is_closing() {
            self.aborted = Some(code);
            self.quic.close(code.into(), reason);
        }
    }

    /// QUIC is over, whether or not the sessions know.
    pub(crate) fn is_closing(&self) -> bool {
        self.quic.close_reason().is_some()
    }

    /// Both halves of a stream, for what the sessions shall not know of.
    pub(crate) fn halves(
        &mut self,
        stream: StreamId,
    ) -> (Option<&mut SendStream>, Option<&mut RecvStream>) {
        let sending = self.sending.get_mut(&stream);
        let send = sending.map(|sending| &mut sending.stream);
        (send, self.receiving.get_mut(&stream))
    }
}

impl Drop for Host {
    /// Quinn finishes streams that are dropped, and the FIN of a session is a clean end. None may go
    /// out before the connection is closed.
    fn drop(&mut self) {
        if !self.is_closing() {
            self.quic.close(H3_NO_ERROR, b"");
        }
    }
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.stream.fmt(f)
    }
}

/// What a future has already. Of quinn's that are used so, none loses anything when it is dropped.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    ready_or_wake(Waker::noop(), future)
}

/// What a future has already; else `waker` is woken when it is worth to ask again. Quinn remembers
/// wakers of reads and writes by stream, also when their future is dropped.
fn ready_or_wake<T>(waker: &Waker, future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

// Futures that can be kept: quinn's own borrow the connection.

async fn accept_bi(quic: quinn::Connection) -> Result<(SendStream, RecvStream), ConnectionError> {
    quic.accept_bi().await
}

async fn accept_uni(quic: quinn::Connection) -> Result<RecvStream, ConnectionError> {
    quic.accept_uni().await
}

async fn read_datagram(quic: quinn::Connection) -> Result<Bytes, ConnectionError> {
    quic.read_datagram().await
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
        // By the endpoint as a whole, or when the last handle was dropped: quinn keeps no code.
        ConnectionError::LocallyClosed => ConnectionLost::Local { code: None },
        ConnectionError::CidsExhausted => ConnectionLost::LocalTransport {
            code: quinn::TransportErrorCode::INTERNAL_ERROR.into(),
            reason: Bytes::from_static(b"connection ids exhausted"),
        },
    }
}

fn stream_of(id: quinn::StreamId) -> StreamId {
    u64::from(id).into()
}

pub(crate) fn code_of(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}
