//! Two machines joined in memory, with a clock that jumps: how they are made, commanded and run.
//!
//! What lies between them is a [`Link`]; QUIC is played in `quic.rs`.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{End, Link, Machine, Script, end::IDLE_TIMEOUT};
use crate::{
    AnswerError, CloseMessage, Config, ConnectError, Connection, ConnectionLost, DatagramError,
    Dialect, Dir, Input, OpenError, Rejection, Request, Response, SendError, SessionId, Side,
    StreamId, Support, Transport,
    session::{Session, Terms},
};

/// A client and a server, joined in memory, with a clock that jumps to whatever is next.
///
/// ```
/// use webtransport_session::{CloseReason, Event, Side, testing::Pair};
///
/// let mut pair = Pair::new();
/// let session = pair.open_session();
/// pair.close(Side::Client, session, 7, "bye");
/// pair.run();
/// let told = pair.server.take_events();
/// assert!(matches!(
///     &told[..],
///     [Event::SessionClosed { reason: CloseReason::Peer { code: 7, .. }, .. }]
/// ));
/// ```
///
/// Of two [`Session`]s without an HTTP/3: [`Pair::sessions`].
#[derive(Debug)]
pub struct Pair<M: Machine = Connection> {
    /// The client's end.
    pub client: End<M>,
    /// The server's end.
    pub server: End<M>,
    /// What lies between them.
    pub link: Link,
    pub(super) script: Script,
    pub(super) start: Instant,
    pub(super) now: Instant,
}

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
    pub fn with(client: Config, server: Config, link: Link) -> Self {
        let client = Connection::client(Arc::new(client));
        let server = Connection::server(Arc::new(server));
        Self::of(client, server, link)
    }

    /// The same, and both ends are [recorded](Connection::set_recording) from the beginning.
    #[cfg(feature = "trace")]
    #[cfg_attr(docsrs, doc(cfg(feature = "trace")))]
    #[must_use]
    pub fn recorded(client: Config, server: Config, link: Link) -> Self {
        let mut client = Connection::client(Arc::new(client));
        let mut server = Connection::server(Arc::new(server));
        client.set_recording(true);
        server.set_recording(true);
        Self::of(client, server, link)
    }

    /// Of connections that have not been started.
    #[expect(
        clippy::disallowed_methods,
        reason = "an origin; only offsets from it are ever seen"
    )]
    fn of(client: Connection, server: Connection, link: Link) -> Self {
        let start = Instant::now();
        let ends = (client, server);
        let mut pair = Self::join(start, ends, link);
        for side in [Side::Client, Side::Server] {
            let end = pair.end(side);
            end.machine.start(start, Transport::new(Support::Yes));
            loop {
                let stream = end.peek_stream(Dir::Uni);
                let Some(permit) = end.machine.protocol_stream() else {
                    break;
                };
                permit.bind(stream);
                end.next_stream(Dir::Uni);
            }
        }
        pair
    }

    /// Client: asks for a session.
    ///
    /// # Errors
    /// Those of [`Connection::connect`].
    pub fn connect(&mut self, request: &Request) -> Result<SessionId, ConnectError> {
        let stream = self.client.peek_stream(Dir::Bi);
        let permit = self.client.machine.connect(self.now, request)?;
        let session = permit.bind(stream);
        self.client.next_stream(Dir::Bi);
        let remark = format!("connect {session}: {}", request.uri);
        self.remark(Side::Client, &remark);
        Ok(session)
    }

    pub(super) fn remark_result(&mut self, what: &dyn Display, result: Result<(), AnswerError>) {
        match result {
            Ok(()) => self.remark(Side::Server, what),
            Err(error) => self.remark(Side::Server, &format_args!("{what}: {error}")),
        }
    }
}

impl Pair<Session> {
    /// Two sessions alone, for those with an HTTP/3 of their own: it was asked for one, and has not
    /// answered. With these configurations.
    ///
    /// What an HTTP/3 would say with an answer both sessions are told at once. DATA frames and stream
    /// headers are not there, and payload counts without being kept.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "an origin; only offsets from it are ever seen"
    )]
    pub fn sessions(client: Config, server: Config, link: Link) -> Self {
        let start = Instant::now();
        let (of_client, of_server) = (client.flow_control, server.flow_control);
        let session = |side, config| {
            let mut terms = Terms::new(Dialect::Draft16, Transport::new(Support::Yes));
            terms.peer_flow_control = match side {
                Side::Client => of_server,
                Side::Server => of_client,
            };
            let id = SessionId::from_connect_stream(StreamId::new(Side::Client, Dir::Bi, 0));
            Session::new(start, side, id, terms, Arc::new(config))
        };
        let ends = (session(Side::Client, client), session(Side::Server, server));
        let mut pair = Self::join(start, ends, link);
        // The CONNECT stream.
        pair.client.next_stream(Dir::Bi);
        pair
    }
}

impl<M: Machine> Pair<M> {
    fn join(now: Instant, (client, server): (M, M), link: Link) -> Self {
        Self {
            client: End::new(client, now),
            server: End::new(server, now),
            link,
            script: Script::default(),
            start: now,
            now,
        }
    }

    // ---- in one line

    /// Opens a session at `https://example.org/`, and accepts it. A second one on the same connection
    /// needs [`Config::flow_control`] at both ends; a pair of [`Session`]s has one. The events up to there are
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
        let session = M::ask(self, request);
        self.run();
        let arrived = self.server.machine.is_live(session);
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

    /// The server accepts a request. An error shows in the transcript.
    pub fn accept(&mut self, session: SessionId, response: Response) {
        M::accept(self, session, response);
    }

    /// The server refuses a request. An error shows in the transcript.
    pub fn reject(&mut self, session: SessionId, rejection: Rejection) {
        M::reject(self, session, rejection);
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
        self.end(side).machine.close(now, session, code, message);
    }

    /// [`Connection::shutdown`].
    pub fn shutdown(&mut self, side: Side, code: u32, message: impl Into<CloseMessage>) {
        let (now, message) = (self.now, message.into());
        self.remark(side, &format!("shut down: {code} {:?}", message.as_str()));
        self.end(side).machine.shutdown(now, code, message);
    }

    // ---- what needs a stream of QUIC's

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
        end.machine.open(session, dir, stream)?;
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
        let len = self.end(side).machine.write(stream, data)?;
        self.remark(side, &format_args!("write {stream}: {len} bytes"));
        let data = Bytes::copy_from_slice(data.get(..len).unwrap_or(data));
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
        let data = self.end(side).machine.datagram(session, payload)?;
        let len = payload.len();
        self.remark(
            side,
            &format_args!("send a datagram of {session}: {len} bytes"),
        );
        self.send(side, Input::DatagramReceived { data });
        Ok(())
    }

    /// Closes QUIC at once, without a word to the sessions' peers but CONNECTION_CLOSE.
    pub fn close_connection(&mut self, side: Side, code: u64, reason: &'static str) {
        self.remark(side, &format!("close the connection: {code:#x} {reason:?}"));
        let lost = ConnectionLost::Local { code: Some(code) };
        self.tell(side, Input::ConnectionClosed { reason: lost });
        self.close_quic(side, code, reason);
    }

    /// QUIC at one end says that the connection is over; the other end is told nothing.
    pub fn lose_connection(&mut self, side: Side, reason: ConnectionLost) {
        self.end(side).quic.closed = true;
        self.tell(side, Input::ConnectionClosed { reason });
    }

    /// Makes a fact arrive at one end as if the other had sent it, without that end knowing.
    pub fn send_as(&mut self, from: Side, input: Input) {
        self.flush(from);
        self.remark(from, &"what follows was not sent by this machine");
        self.send(from, input);
    }

    /// As [`send_as`](Self::send_as), and nothing of it is lost on the way.
    pub(super) fn send_safely(&mut self, from: Side, input: Input) {
        self.flush(from);
        self.link.send_safely(self.now, from.other(), input);
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
            self.end(parcel.to).quic.idle = now + IDLE_TIMEOUT;
            self.arrive(parcel.to, parcel.input);
            self.drain_both();
        }
    }

    fn expire(&mut self, side: Side) {
        let (now, cut) = (self.now, self.link.is_cut());
        let end = self.end(side);
        if end.quic.closed {
            return;
        }
        if cut && end.quic.idle <= now {
            let reason = ConnectionLost::IdleTimeout;
            end.quic.closed = true;
            self.tell(side, Input::ConnectionClosed { reason });
        } else if end.machine.poll_timeout().is_some_and(|due| due <= now) {
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

    /// Forgets the transcript so far, for long runs.
    pub fn clear_script(&mut self) {
        self.script = Script::default();
    }

    /// One end.
    pub fn end(&mut self, side: Side) -> &mut End<M> {
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
}
