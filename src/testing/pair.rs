//! Two connections joined in memory, with a clock that jumps.
//!
//! Plays QUIC for both ends, as far as a session can tell the difference: streams with their halves,
//! datagrams, the end of the connection, the idle timeout. What lies between is a [`Link`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use super::{Link, Script};
use crate::{
    Action, AnswerError, CloseMessage, Config, ConnectError, Connection, ConnectionLost,
    DatagramError, Dir, Event, Input, OpenError, Output, Rejection, Request, Response, SendError,
    SessionId, Side, StreamId, Support, Transport,
};

/// A client and a server, joined in memory, with a clock that jumps to whatever is next.
///
/// ```
/// use webtransport_session::{CloseReason, Event, testing::Pair};
///
/// let mut pair = Pair::new();
/// let session = pair.open_session();
/// pair.client.connection.close(pair.now(), session, 7, "bye");
/// pair.run();
/// let told = pair.server.take_events();
/// assert!(matches!(
///     &told[..],
///     [Event::SessionClosed { reason: CloseReason::Peer { code: 7, .. }, .. }]
/// ));
/// ```
#[derive(Debug)]
pub struct Pair {
    /// The client's end.
    pub client: End,
    /// The server's end.
    pub server: End,
    /// What lies between them.
    pub link: Link,
    script: Script,
    start: Instant,
    now: Instant,
}

/// One end of a [`Pair`].
#[derive(Debug)]
pub struct End {
    /// The machine. Command it as you like; [`Pair::run`] carries out what it wants. Do not poll
    /// it.
    pub connection: Connection,
    events: VecDeque<Event>,
    inbox: BTreeMap<StreamId, Inbox>,
    /// Streams that are not read any more.
    stopped: BTreeSet<StreamId>,
    /// Streams of which nothing can come any more.
    finished: BTreeSet<StreamId>,
    opened_bi: u64,
    opened_uni: u64,
    closed: bool,
    /// When QUIC gives up, should nothing arrive.
    idle: Instant,
}

/// What QUIC holds of a stream until it is read.
#[derive(Debug, Default)]
struct Inbox {
    pieces: VecDeque<Input>,
}

/// QUIC's idle timeout at both ends.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// With default configurations and a perfect link.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Config::default(), Config::default(), Link::perfect())
    }

    /// With these. Both ends are connected, and have not heard of each other.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "an origin; only offsets from it are ever seen"
    )]
    pub fn with(client: Config, server: Config, link: Link) -> Self {
        let start = Instant::now();
        let mut pair = Self {
            client: End::new(Connection::client(Arc::new(client)), start),
            server: End::new(Connection::server(Arc::new(server)), start),
            link,
            script: Script::default(),
            start,
            now: start,
        };
        for side in [Side::Client, Side::Server] {
            let end = pair.end(side);
            let control = end.next_stream(Dir::Uni);
            end.connection
                .start(start, control, Transport::new(Support::Yes));
        }
        pair
    }

    // ---- in one line

    /// Opens a session at `https://example.org/`, and accepts it. The events up to there are
    /// dropped.
    ///
    /// # Panics
    /// If it does not open, with the transcript.
    pub fn open_session(&mut self) -> SessionId {
        let session = self.request_session();
        self.accept_and_wait(session);
        self.client.events.clear();
        self.server.events.clear();
        session
    }

    /// Asks for a session at `https://example.org/`; the server has been told when this returns.
    /// The events up to there are dropped.
    ///
    /// # Panics
    /// If the request does not arrive, with the transcript.
    pub fn request_session(&mut self) -> SessionId {
        let request = Request::new(http::Uri::from_static("https://example.org/"));
        let session = self.ask_for(&request);
        self.client.events.clear();
        self.server.events.clear();
        session
    }

    pub(super) fn ask_for(&mut self, request: &Request) -> SessionId {
        self.run();
        let session = self.connect(request);
        self.run();
        let session = session.unwrap_or_else(|error| panic!("{error}:\n{}", self.script));
        let arrived = self.server.connection.sessions().any(|id| id == session);
        assert!(arrived, "the request did not arrive:\n{}", self.script);
        session
    }

    pub(super) fn accept_and_wait(&mut self, session: SessionId) {
        self.accept(session, Response::default());
        self.run();
        let opened = self.client.has_opened(session) && self.server.has_opened(session);
        assert!(opened, "the session did not open:\n{}", self.script);
    }

    // ---- what needs no stream of QUIC's: as on the connection itself, and in the transcript

    /// Server: [`Connection::accept`]. An error shows in the transcript.
    pub fn accept(&mut self, session: SessionId, response: Response) {
        let result = self.server.connection.accept(self.now, session, response);
        self.remark_result(&format_args!("accept {session}"), result);
    }

    /// Server: [`Connection::reject`]. An error shows in the transcript.
    pub fn reject(&mut self, session: SessionId, rejection: Rejection) {
        let what = format!("reject {session}: {}", rejection.status);
        let result = self.server.connection.reject(self.now, session, rejection);
        self.remark_result(&what, result);
    }

    /// [`Connection::close`].
    pub fn close(
        &mut self,
        side: Side,
        session: SessionId,
        code: u32,
        message: impl Into<CloseMessage>,
    ) {
        let (now, message) = (self.now, message.into());
        let what = format!("close {session}: {code} {:?}", message.as_str());
        self.remark(side, &what);
        let connection = &mut self.end(side).connection;
        connection.close(now, session, code, message);
    }

    /// [`Connection::shutdown`].
    pub fn shutdown(&mut self, side: Side, code: u32, message: impl Into<CloseMessage>) {
        let (now, message) = (self.now, message.into());
        self.remark(side, &format!("shut down: {code} {:?}", message.as_str()));
        self.end(side).connection.shutdown(now, code, message);
    }

    fn remark_result(&mut self, what: &dyn Display, result: Result<(), AnswerError>) {
        match result {
            Ok(()) => self.remark(Side::Server, what),
            Err(error) => self.remark(Side::Server, &format_args!("{what}: {error}")),
        }
    }

    // ---- what needs a stream of QUIC's

    /// Client: asks for a session.
    ///
    /// # Errors
    /// Those of [`Connection::connect`].
    pub fn connect(&mut self, request: &Request) -> Result<SessionId, ConnectError> {
        let stream = self.client.peek_stream(Dir::Bi);
        let permit = self.client.connection.connect(self.now, request)?;
        let session = permit.bind(stream);
        self.client.next_stream(Dir::Bi);
        let remark = format!("connect {session}: {}", request.uri);
        self.remark(Side::Client, &remark);
        Ok(session)
    }

    /// Opens a stream of a session.
    ///
    /// # Errors
    /// Those of [`Connection::open`].
    pub fn open_stream(
        &mut self,
        side: Side,
        session: SessionId,
        dir: Dir,
    ) -> Result<StreamId, OpenError> {
        let end = self.end(side);
        let stream = end.peek_stream(dir);
        end.connection.open(session, dir)?.bind(stream);
        end.next_stream(dir);
        self.remark(side, &format!("open {session}/{stream}"));
        self.drain(side);
        Ok(stream)
    }

    /// Writes payload to a stream; gives how much of it was taken.
    ///
    /// # Errors
    /// Those of [`Connection::credit`].
    pub fn write(&mut self, side: Side, stream: StreamId, data: &[u8]) -> Result<usize, SendError> {
        self.drain(side);
        let credit = self.end(side).connection.credit(stream)?;
        let data = Bytes::copy_from_slice(credit.clamp(data));
        credit.spend(data.len());
        let len = data.len();
        let fin = false;
        self.send(side, Input::StreamData { stream, data, fin });
        Ok(len)
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// Those of [`Connection::datagram`].
    pub fn send_datagram(
        &mut self,
        side: Side,
        session: SessionId,
        payload: &[u8],
    ) -> Result<(), DatagramError> {
        let permit = self.end(side).connection.datagram(session)?;
        let data = permit.encode(payload);
        self.send(side, Input::DatagramReceived { data });
        Ok(())
    }

    /// Closes QUIC at once, without a word to the sessions' peers but CONNECTION_CLOSE.
    pub fn close_connection(&mut self, side: Side, code: u64, reason: &'static str) {
        self.remark(side, &format!("close the connection: {code:#x} {reason:?}"));
        let lost = ConnectionLost::Local { code };
        self.tell(side, Input::ConnectionClosed { reason: lost });
        self.close_quic(side, code, reason);
    }

    /// QUIC at one end says that the connection is over; the other end is told nothing.
    pub fn lose_connection(&mut self, side: Side, reason: ConnectionLost) {
        self.end(side).closed = true;
        self.tell(side, Input::ConnectionClosed { reason });
    }

    /// Makes a fact arrive at one end as if the other had sent it, without that end knowing.
    pub fn send_as(&mut self, from: Side, input: Input) {
        // What the machine has said itself goes first.
        self.drain(from);
        self.remark(from, &"what follows was not sent by this machine");
        self.send(from, input);
    }

    // ---- time

    /// The time at both ends.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// Lets everything that is under way arrive, with all that follows. Deadlines on the way are
    /// kept; those behind it do not run out.
    pub fn run(&mut self) {
        loop {
            self.drain_both();
            match self.link.next_arrival() {
                Some(arrival) => self.step(arrival),
                None => return,
            }
        }
    }

    /// Lets so much time pass, with all that happens in it.
    pub fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            self.drain_both();
            match self.next() {
                Some(next) if next <= until => self.step(next),
                Some(_) | None => break,
            }
        }
        self.now = until;
    }

    /// What happens next: an arrival or a deadline.
    fn next(&self) -> Option<Instant> {
        [
            self.link.next_arrival(),
            self.client.deadline(self.link.is_cut()),
            self.server.deadline(self.link.is_cut()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Goes to `limit`, or to the deadline before it.
    fn step(&mut self, limit: Instant) {
        let next = self.next().map_or(limit, |next| next.min(limit));
        self.now = self.now.max(next);
        for side in [Side::Client, Side::Server] {
            self.expire(side);
        }
        while let Some(parcel) = self.link.arrival(self.now) {
            let now = self.now;
            self.end(parcel.to).idle = now + IDLE_TIMEOUT;
            self.arrive(parcel.to, parcel.input);
            self.drain_both();
        }
    }

    fn expire(&mut self, side: Side) {
        let (now, cut) = (self.now, self.link.is_cut());
        let end = self.end(side);
        if end.closed {
            return;
        }
        if cut && end.idle <= now {
            let reason = ConnectionLost::IdleTimeout;
            end.closed = true;
            self.tell(side, Input::ConnectionClosed { reason });
        } else if end.connection.poll_timeout().is_some_and(|due| due <= now) {
            self.tell(side, Input::Timeout);
        }
        self.drain(side);
    }

    // ---- what happened

    /// The transcript so far.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// One end.
    pub fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Writes a line of your own into the transcript.
    pub fn remark(&mut self, side: Side, text: &dyn Display) {
        let at = self.elapsed();
        self.script.remark(at, side, text);
    }

    // ---- QUIC, as far as it matters

    fn tell(&mut self, side: Side, input: Input) {
        let (at, now) = (self.elapsed(), self.now);
        self.script.input(at, side, &input);
        self.end(side).connection.handle(now, input);
    }

    fn send(&mut self, from: Side, input: Input) {
        let to = from.other();
        self.link.send(self.now, to, input);
    }

    fn arrive(&mut self, side: Side, input: Input) {
        if self.end(side).closed {
            return;
        }
        match input {
            Input::StreamData { stream, .. } | Input::StreamReset { stream, .. } => {
                if matches!(input, Input::StreamData { fin: true, .. }) {
                    self.send(side, Input::StreamAcknowledged { stream });
                }
                let end = self.end(side);
                if end.stopped.contains(&stream) || end.finished.contains(&stream) {
                    return;
                }
                if !matches!(input, Input::StreamData { fin: false, .. }) {
                    end.finished.insert(stream);
                }
                end.inbox.entry(stream).or_default().pieces.push_back(input);
                self.read(side, stream);
            }
            Input::StreamStopped { stream, .. } => {
                self.read(side, stream);
                self.tell(side, input);
            }
            Input::ConnectionClosed { .. } => {
                self.end(side).closed = true;
                self.tell(side, input);
            }
            Input::Written { .. }
            | Input::StreamWritable { .. }
            | Input::StreamAcknowledged { .. }
            | Input::StreamsAvailable { .. }
            | Input::DatagramReceived { .. }
            | Input::Timeout => self.tell(side, input),
        }
    }

    /// Reads a stream while the machine wants it.
    fn read(&mut self, side: Side, stream: StreamId) {
        loop {
            let end = self.end(side);
            if !end.connection.wants(stream) {
                return;
            }
            let Some(inbox) = end.inbox.get_mut(&stream) else {
                return;
            };
            let Some(mut input) = inbox.pieces.pop_front() else {
                end.inbox.remove(&stream);
                return;
            };
            while self.link.merges() {
                let Some(inbox) = self.end(side).inbox.get_mut(&stream) else {
                    break;
                };
                if !merge(&mut input, &mut inbox.pieces) {
                    break;
                }
            }
            self.tell(side, input);
        }
    }

    fn drain_both(&mut self) {
        self.drain(Side::Client);
        self.drain(Side::Server);
    }

    /// Carries out what an end wants, and keeps what it tells.
    fn drain(&mut self, side: Side) {
        while let Some(output) = self.end(side).connection.poll() {
            let at = self.elapsed();
            match output {
                Output::Event(event) => {
                    self.script.event(at, side, &event);
                    self.end(side).events.push_back(event);
                }
                Output::Action(action) => {
                    self.script.action(at, side, &action);
                    self.perform(side, action);
                }
            }
        }
    }

    fn perform(&mut self, side: Side, action: Action) {
        match action {
            Action::Write {
                stream,
                mut data,
                fin,
            } => {
                let len = self.link.takes(data.len());
                let fin = fin && len == data.len();
                let blocked = len < data.len();
                data.truncate(len);
                if len > 0 || fin {
                    self.send(side, Input::StreamData { stream, data, fin });
                }
                self.tell(side, Input::Written { stream, len, fin });
                if blocked {
                    self.link
                        .send(self.now, side, Input::StreamWritable { stream });
                }
            }
            Action::Read { stream } => self.read(side, stream),
            Action::Reset { stream, code, .. } => {
                let final_size = None;
                self.send(
                    side,
                    Input::StreamReset {
                        stream,
                        code,
                        final_size,
                    },
                );
            }
            Action::StopSending { stream, code } => {
                let end = self.end(side);
                end.stopped.insert(stream);
                end.inbox.remove(&stream);
                self.send(side, Input::StreamStopped { stream, code });
            }
            Action::CloseConnection { code, reason } => self.close_quic(side, code, reason),
        }
    }

    fn close_quic(&mut self, side: Side, code: u64, reason: &'static str) {
        if std::mem::replace(&mut self.end(side).closed, true) {
            return;
        }
        let reason = Bytes::from_static(reason.as_bytes());
        let reason = ConnectionLost::PeerApplication { code, reason };
        self.send(side, Input::ConnectionClosed { reason });
    }
}

impl End {
    fn new(connection: Connection, now: Instant) -> Self {
        Self {
            connection,
            events: VecDeque::new(),
            inbox: BTreeMap::new(),
            stopped: BTreeSet::new(),
            finished: BTreeSet::new(),
            opened_bi: 0,
            opened_uni: 0,
            closed: false,
            idle: now + IDLE_TIMEOUT,
        }
    }

    /// The next event that was not taken.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The events that were not taken, which stay.
    pub fn events(&self) -> impl Iterator<Item = &Event> + '_ {
        self.events.iter()
    }

    /// All events that were not taken.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    fn has_opened(&self, session: SessionId) -> bool {
        self.events.iter().any(
            |event| matches!(event, Event::SessionOpened { session: id, .. } if *id == session),
        )
    }

    fn deadline(&self, cut: bool) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let idle = cut.then_some(self.idle);
        [self.connection.poll_timeout(), idle]
            .into_iter()
            .flatten()
            .min()
    }

    /// The stream that QUIC would open next.
    fn peek_stream(&self, dir: Dir) -> StreamId {
        let index = match dir {
            Dir::Bi => self.opened_bi,
            Dir::Uni => self.opened_uni,
        };
        StreamId::new(self.connection.side(), dir, index)
    }

    fn next_stream(&mut self, dir: Dir) -> StreamId {
        let stream = self.peek_stream(dir);
        match dir {
            Dir::Bi => self.opened_bi += 1,
            Dir::Uni => self.opened_uni += 1,
        }
        stream
    }
}

/// Adds the next piece of the same stream to this one. False when there is none to add.
fn merge(input: &mut Input, pieces: &mut VecDeque<Input>) -> bool {
    let Input::StreamData { data, fin, .. } = input else {
        return false;
    };
    let Some(Input::StreamData {
        data: more,
        fin: last,
        ..
    }) = pieces.front()
    else {
        return false;
    };
    let mut both = BytesMut::with_capacity(data.len() + more.len());
    both.extend_from_slice(data);
    both.extend_from_slice(more);
    *data = both.freeze();
    *fin |= *last;
    pieces.pop_front();
    true
}
