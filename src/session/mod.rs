//! Layer 1: bring your own HTTP/3. One session; you parse headers, frames and stream headers.
//!
//! [`Session`] is the whole of what WebTransport adds to a CONNECT stream: it reads the capsules,
//! knows the session's live streams, watches its deadlines, and says once, and truthfully, why the
//! session is over. [`Connection`](crate::Connection) drives one of these for each session; drive it
//! yourself when HTTP/3 is somebody else's.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use webtransport_session::{
//!     CloseReason, Config, Dialect, Side, SessionId, StreamId, Support, Transport,
//!     session::{Event, Input, Output, Session, Terms},
//! };
//!
//! # #[expect(clippy::disallowed_methods, reason = "this is a caller")]
//! let now = Instant::now();
//! let id = SessionId::try_from(StreamId::from(0))?;
//! let terms = Terms::new(Dialect::Draft07, Transport::new(Support::Yes));
//! let mut session = Session::new(now, Side::Server, id, terms, Arc::new(Config::default()));
//!
//! session.open(now); // the 2xx was sent
//! assert_eq!(session.poll(), Some(Output::Event(Event::Opened)));
//!
//! // The peer finishes the CONNECT stream.
//! session.handle(now, Input::Body { data: Default::default(), fin: true });
//! let mut reasons = Vec::new();
//! while let Some(output) = session.poll() {
//!     match output {
//!         Output::Action(action) => println!("for HTTP/3: {action:?}"),
//!         Output::Event(Event::Closed { reason }) => reasons.push(reason),
//!         Output::Event(event) => println!("for the application: {event:?}"),
//!     }
//! }
//! assert!(matches!(&reasons[..], [CloseReason::Peer { code: 0, .. }]));
//! assert!(session.is_drained());
//! # Ok::<(), webtransport_session::NotASessionId>(())
//! ```
//!
//! # The life of a session
//!
//! *abort(c)*: RESET_STREAM(c) on our half of the CONNECT stream unless it has its FIN, and
//! STOP_SENDING(c) on the other half if it is open. The last column is followed by RESET_STREAM and
//! STOP_SENDING with WT_SESSION_GONE for every half of the session's streams that is still alive.
//! What is not listed changes nothing.
//!
#![doc = include_str!("life.md")]

mod close;
mod event;
mod permit;
mod state;
mod streams;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

pub use event::{Action, Event, Input, Output};
pub use permit::{DatagramPermit, OpenPermit, SendCredit, StreamHeader};

use crate::{
    CloseMessage, CloseReason, Config, DatagramError, Dialect, Dir, Endpoint, OpenError, Rejection,
    SendError, SessionId, Side, Stats, StreamClosed, StreamId, Support, Transport, Violation,
    wire::{
        capsule::{self, Capsule},
        error_code,
    },
};
use close::ConnectStream;
use state::{Code, Fact, Parting, State, Step, Verdict, step};
use streams::Streams;

/// What both sides' SETTINGS agreed on, as your HTTP/3 saw them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Terms {
    /// The dialect that was chosen.
    pub dialect: Dialect,
    /// What the QUIC stack can do.
    pub transport: Transport,
}

impl Terms {
    /// Terms without session flow control.
    #[must_use]
    pub fn new(dialect: Dialect, transport: Transport) -> Self {
        Self { dialect, transport }
    }
}

/// One WebTransport session. See the [module](self) for how to drive it.
///
/// Feed it with [`handle`](Self::handle), ask [`poll`](Self::poll) until it gives `None`, and drop
/// it when [`is_drained`](Self::is_drained).
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    side: Side,
    terms: Terms,
    config: Arc<Config>,
    state: State,
    connect: ConnectStream,
    body: Body,
    capsules: capsule::Decoder,
    /// WT_DRAIN_SESSION or GOAWAY: what the application knows of it.
    draining: Once,
    /// Our own WT_DRAIN_SESSION.
    drain: Once,
    streams: Streams,
    early: EarlyDatagrams,
    /// An open was refused: `StreamsAvailable` is owed.
    refused_bi: bool,
    refused_uni: bool,
    /// The latest time that a caller told.
    now: Instant,
    last_activity: Instant,
    /// When reads were last held back, or the session opened: inactivity counts from here at the
    /// earliest.
    awake_since: Instant,
    /// How many hold reads back.
    paused: u32,
    /// Of the request, the grace or the linger, by state. Inactivity is worked out when asked.
    deadline: Option<Instant>,
    stats: Stats,
    out: Outbox,
}

/// What becomes of the bytes on the CONNECT stream.
#[derive(Debug)]
enum Body {
    /// Kept until the answer.
    Held(BytesMut),
    /// Read as capsules.
    Capsules,
    /// WT_CLOSE_SESSION was the last thing the peer may say.
    Closed { ended_by_it: bool },
    /// Of no interest.
    Absorbed,
}

/// Something that is said at most once, and not before the session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Once {
    Unsaid,
    Owed,
    Said,
}

/// Datagrams that overtook the answer (§4.6).
#[derive(Debug, Default)]
struct EarlyDatagrams {
    payloads: Vec<Bytes>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Outbox {
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

impl Outbox {
    fn action(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.events.is_empty()
    }
}

impl Session {
    /// The CONNECT was sent (client) or received (server); it is not answered yet.
    #[must_use]
    pub fn new(now: Instant, side: Side, id: SessionId, terms: Terms, config: Arc<Config>) -> Self {
        let deadline = after(now, config.deadlines.request);
        Self {
            id,
            side,
            terms,
            config,
            state: State::Requested,
            connect: ConnectStream::new(),
            body: Body::Held(BytesMut::new()),
            capsules: capsule::Decoder::new(),
            draining: Once::Unsaid,
            drain: Once::Unsaid,
            streams: Streams::default(),
            early: EarlyDatagrams::default(),
            refused_bi: false,
            refused_uni: false,
            now,
            last_activity: now,
            awake_since: now,
            paused: 0,
            deadline,
            stats: Stats::default(),
            out: Outbox::default(),
        }
    }

    // ---- what your HTTP/3 decides

    /// A 2xx was sent or received. Ignored unless the session waits for its answer.
    pub fn open(&mut self, now: Instant) {
        self.tick(now);
        match self.connect.stopped {
            Some(code) if code != error_code::WT_SESSION_GONE => {
                self.apply(Fact::AcceptedStopped { code });
            }
            Some(_) | None => self.apply(Fact::Accepted),
        }
    }

    /// Another final answer was sent or received. Ignored unless the session waits for its answer.
    pub fn reject(&mut self, now: Instant, by: Endpoint, rejection: Rejection) {
        self.tick(now);
        self.apply(Fact::Rejected {
            by,
            rejection: Box::new(rejection),
        });
    }

    /// A violation that your HTTP/3 saw: a malformed response, or a protocol that was not offered.
    pub fn fail(&mut self, now: Instant, violation: Violation) {
        self.tick(now);
        self.apply(Fact::Violated(violation));
    }

    /// Takes in one fact. Never fails.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.tick(now);
        match input {
            Input::Body { data, fin } => self.body(data, fin),
            Input::ConnectReset { code } => {
                self.connect.peer_is_done();
                self.apply(Fact::PeerReset { code });
            }
            Input::ConnectStopped { code } => self.stopped(code),
            Input::StreamOpened { stream } => self.stream_opened(stream),
            Input::StreamData { stream, len, fin } => self.stream_data(stream, len, fin),
            Input::StreamReset { stream, code, .. } => {
                if self.streams.is_receiving(stream) {
                    self.last_activity = self.now;
                    self.streams.reset_by_peer(stream, code, &mut self.out);
                }
            }
            Input::StreamStopped { stream, code } => {
                self.streams.stopped_by_peer(stream, code, &mut self.out);
            }
            Input::StreamWritable { stream } => {
                if self.streams.writable(stream) {
                    self.out.event(Event::StreamWritable { stream });
                }
            }
            Input::StreamsAvailable { dir } => {
                if std::mem::take(self.refused(dir)) && self.state == State::Open {
                    self.out.event(Event::StreamsAvailable { dir });
                }
            }
            Input::DatagramReceived { payload } => self.datagram_received(payload),
            Input::GoAway { id } => self.go_away(id),
            Input::ConnectionClosed { reason } => {
                self.apply(Fact::Lost(reason));
                self.connect.abandon();
                self.streams.clear();
                self.out.actions.clear();
            }
            Input::Timeout => self.timeout(),
        }
    }

    /// Actions first, then events, each in order; `None` until the next input or command.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(action) = self.out.actions.pop_front() {
            return Some(Output::Action(action));
        }
        self.out.events.pop_front().map(Output::Event)
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Open if self.paused > 0 => None,
            State::Open => after(
                self.last_activity.max(self.awake_since),
                self.config.deadlines.inactivity,
            ),
            State::Closed if !self.connect.is_receiving() => None,
            State::Requested | State::Stopped | State::Closed => self.deadline,
        }
    }

    // ---- commands

    /// Asks to open a stream.
    ///
    /// # Errors
    /// [`OpenError::NotOpen`] before the answer, [`OpenError::SessionClosed`] after the end.
    pub fn open_stream(&mut self, dir: Dir) -> Result<OpenPermit<'_>, OpenError> {
        self.may_open()?;
        Ok(OpenPermit { session: self, dir })
    }

    /// Asks to write payload to a stream.
    ///
    /// # Errors
    /// [`SendError::Stopped`] when the peer asked to stop, [`SendError::StreamClosed`] when our half
    /// is over or was never open.
    pub fn credit(&mut self, stream: StreamId) -> Result<SendCredit<'_>, SendError> {
        self.streams.sending(stream)?;
        Ok(SendCredit {
            session: self,
            stream,
            len: usize::MAX,
        })
    }

    /// Finishes our half of a stream.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn finish(&mut self, stream: StreamId) -> Result<(), StreamClosed> {
        self.streams.finish(stream, &mut self.out)
    }

    /// Resets our half of a stream with an application error code (§4.4).
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn reset(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        self.streams.reset(stream, code, &mut self.out)
    }

    /// Asks the peer to stop sending, with an application error code (§4.4). Its half is over at
    /// once.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn stop(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        self.streams.stop(stream, code, &mut self.out)
    }

    /// Asks to send a datagram.
    ///
    /// # Errors
    /// [`DatagramError::NotOpen`] before the answer, [`DatagramError::SessionClosed`] after the end.
    pub fn datagram(&self) -> Result<DatagramPermit<'_>, DatagramError> {
        match self.state {
            State::Requested => Err(DatagramError::NotOpen),
            State::Open => Ok(DatagramPermit::new(self.id)),
            State::Stopped | State::Closed => Err(DatagramError::SessionClosed),
        }
    }

    /// Tells the peer that this session will end soon (WT_DRAIN_SESSION, §4.7); before the answer
    /// it waits for that. Nothing else changes.
    pub fn drain(&mut self) {
        match (self.state, self.drain) {
            (State::Requested, Once::Unsaid) => self.drain = Once::Owed,
            (State::Open, Once::Unsaid | Once::Owed) => {
                self.drain = Once::Said;
                self.out.action(Action::SendBody {
                    data: capsule::drain(),
                    fin: false,
                });
            }
            (
                State::Requested | State::Open | State::Stopped | State::Closed,
                Once::Unsaid | Once::Owed | Once::Said,
            ) => {}
        }
    }

    /// Ends the session, open or not; one that is over stays as it ended. The message is cut at
    /// [`CloseMessage::MAX_LEN`] bytes.
    pub fn close(&mut self, now: Instant, code: u32, message: impl Into<CloseMessage>) {
        self.tick(now);
        self.apply(Fact::LocallyClosed {
            code,
            message: message.into(),
        });
    }

    /// Reads are held back: a peer that talks must not look dead because nobody listens, so the
    /// inactivity deadline does not run. Each `pause` needs its [`resume`](Self::resume).
    pub fn pause(&mut self) {
        self.paused = self.paused.saturating_add(1);
    }

    /// Reads go on; inactivity counts from now.
    pub fn resume(&mut self, now: Instant) {
        self.tick(now);
        self.paused = self.paused.saturating_sub(1);
        self.awake_since = self.now;
    }

    // ---- facts

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The reason has been given; the CONNECT stream may still owe something.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Nothing will come out any more: drop it. Ask after every poll loop.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_closed() && !self.connect.is_receiving() && self.out.is_empty()
    }

    /// When the peer last sent anything for this session. What we send does not count.
    #[must_use]
    pub fn last_activity(&self) -> Instant {
        self.last_activity
    }

    /// What was absorbed.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    // ---- what `Connection` asks besides

    pub(crate) fn is_requested(&self) -> bool {
        self.state == State::Requested
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.terms.dialect
    }

    /// Whether the peer's half of the CONNECT stream may still bring something.
    pub(crate) fn is_receiving(&self) -> bool {
        self.connect.is_receiving()
    }

    /// Bytes that wait for the answer.
    pub(crate) fn held_body(&self) -> usize {
        match &self.body {
            Body::Held(held) => held.len(),
            Body::Capsules | Body::Closed { .. } | Body::Absorbed => 0,
        }
    }

    /// Datagrams that wait for the answer, and their bytes.
    pub(crate) fn early_datagrams(&self) -> (usize, usize) {
        (self.early.payloads.len(), self.early.bytes)
    }

    /// Whether a stream may be opened now.
    pub(crate) fn may_open(&self) -> Result<(), OpenError> {
        match self.state {
            State::Requested => Err(OpenError::NotOpen),
            State::Open => Ok(()),
            State::Stopped | State::Closed => Err(OpenError::SessionClosed),
        }
    }

    pub(crate) fn is_sending_on(&self, stream: StreamId) -> bool {
        self.streams.sending(stream).is_ok()
    }

    /// A stream that waited for the answer was refused.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.streams.forget(stream);
    }

    pub(crate) fn has_stream(&self, stream: StreamId) -> bool {
        self.streams.contains(stream)
    }

    pub(crate) fn is_receiving_on(&self, stream: StreamId) -> bool {
        self.streams.is_receiving(stream)
    }

    /// Whether WT_CLOSE_SESSION was the last thing the peer may say on the CONNECT stream.
    pub(crate) fn has_close_capsule(&self) -> bool {
        matches!(self.body, Body::Closed { .. })
    }

    /// Bytes outside of any capsule came behind WT_CLOSE_SESSION.
    pub(crate) fn refuse_more(&mut self, now: Instant) {
        self.tick(now);
        self.excess();
    }

    // ---- inside

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The one place where a session changes its state.
    fn apply(&mut self, fact: Fact) {
        match step(self.side, self.state, &fact) {
            Step::Ignore => {}
            Step::NoteStop => {
                let code = fact.code();
                self.connect.stopped = Some(code);
                // With WT_SESSION_GONE a 2xx may still open the session, and then E12 resets.
                if code != error_code::WT_SESSION_GONE {
                    self.connect.reset(code, &mut self.out);
                }
            }
            Step::Open => self.become_open(),
            Step::Hold => self.become_stopped(),
            Step::End(verdict, parting) => self.become_closed(fact, verdict, parting),
        }
    }

    fn become_open(&mut self) {
        self.state = State::Open;
        self.deadline = None;
        self.awake_since = self.now;
        self.out.event(Event::Opened);
        let held = match std::mem::replace(&mut self.body, Body::Capsules) {
            Body::Held(held) => held.freeze(),
            Body::Capsules | Body::Closed { .. } | Body::Absorbed => Bytes::new(),
        };
        if let Some(code) = self.connect.stopped {
            self.stopped_while_open(code);
            return;
        }
        if self.draining == Once::Owed {
            self.draining = Once::Said;
            self.out.event(Event::Draining);
        }
        if self.drain == Once::Owed {
            self.drain();
        }
        self.streams.announce(&mut self.out);
        for payload in std::mem::take(&mut self.early).payloads {
            self.out.event(Event::DatagramReceived { payload });
        }
        // §3.2: "Bytes received before the server sends the response are processed once the
        // session is accepted or discarded if the session is rejected."
        self.read_capsules(held);
    }

    fn become_stopped(&mut self) {
        self.state = State::Stopped;
        self.deadline = after(self.now, Some(self.config.deadlines.stop_grace));
        if self.connect.is_sending() {
            self.connect
                .reset(error_code::WT_SESSION_GONE, &mut self.out);
        }
        self.streams.abandon(&mut self.out);
        self.early = EarlyDatagrams::default();
    }

    fn become_closed(&mut self, fact: Fact, verdict: Verdict, parting: Parting) {
        let was_requested = self.state == State::Requested;
        self.state = State::Closed;
        let code = match parting {
            Parting::Abort(Code::Cancelled) => error_code::H3_REQUEST_CANCELLED,
            Parting::Abort(Code::Gone) => error_code::WT_SESSION_GONE,
            Parting::Abort(Code::Message) => error_code::H3_MESSAGE_ERROR,
            Parting::Abort(Code::AsStated) => fact.code(),
            Parting::Decline => match self.side {
                Side::Client => error_code::H3_REQUEST_CANCELLED,
                Side::Server => error_code::H3_NO_ERROR,
            },
            Parting::Finish | Parting::Capsule | Parting::Silent => error_code::WT_SESSION_GONE,
        };
        let reason = fact.into_reason(verdict);
        let capsule = || {
            if let CloseReason::Local { code, message } = &reason {
                return capsule::close(*code, message);
            }
            let (code, message) = &self.config.deadlines.inactivity_close;
            capsule::close(*code, message)
        };
        self.connect.part(parting, code, capsule, &mut self.out);
        if parting == Parting::Silent {
            self.streams.clear();
        } else {
            self.streams.abandon(&mut self.out);
        }
        self.early = EarlyDatagrams::default();
        if was_requested {
            // Nothing on the stream was read as capsules, and nothing will be.
            self.body = Body::Absorbed;
        }
        self.deadline = after(self.now, Some(self.config.deadlines.linger));
        self.out.event(Event::Closed { reason });
    }

    fn body(&mut self, data: Bytes, fin: bool) {
        if !self.connect.is_receiving() {
            return;
        }
        if !data.is_empty() {
            self.last_activity = self.now;
        }
        if let Body::Held(held) = &mut self.body {
            match self.side {
                Side::Client if !data.is_empty() => {
                    return self.apply(Fact::Violated(Violation::MalformedResponse));
                }
                Side::Client => {}
                Side::Server => {
                    // What a host reads while it is asked to may overshoot once; more may not come.
                    let full = held.len() >= self.config.limits.unanswered_body;
                    if full && !data.is_empty() {
                        return self.apply(Fact::Violated(Violation::UnansweredBodyTooLarge));
                    }
                    held.extend_from_slice(&data);
                }
            }
        } else {
            self.read_capsules(data);
        }
        if fin {
            self.connect.peer_is_done();
            // RFC 9297 §3.3: a stream that ends inside a capsule is malformed.
            if self.capsules.is_between() {
                self.apply(Fact::PeerFinished);
            } else {
                self.apply(Fact::Violated(Violation::Truncated));
            }
        }
    }

    fn read_capsules(&mut self, mut data: Bytes) {
        let rules = capsule::Rules {
            stream_data_prohibited: self.terms.dialect.prohibits_stream_data_capsules(),
            datagram_limit: match self.state {
                State::Open => self.config.limits.datagram_capsule,
                // Nobody would get it.
                State::Requested | State::Stopped | State::Closed => 0,
            },
        };
        while !data.is_empty() {
            match self.body {
                Body::Capsules => {}
                Body::Closed { .. } => return self.excess(),
                Body::Held(_) | Body::Absorbed => return,
            }
            match self.capsules.next(&mut data, rules) {
                None => return,
                Some(Ok(capsule)) => self.capsule(capsule),
                Some(Err(violation)) => {
                    // After our own close the peer's mistakes are nobody's business.
                    self.body = Body::Absorbed;
                    self.apply(Fact::Violated(violation));
                }
            }
        }
    }

    fn capsule(&mut self, capsule: Capsule) {
        match capsule {
            Capsule::Close { code, message } => {
                self.body = Body::Closed {
                    ended_by_it: self.state != State::Closed,
                };
                match CloseMessage::from_peer(message) {
                    Ok(message) => self.apply(Fact::PeerClosed { code, message }),
                    Err(violation) => self.apply(Fact::Violated(violation)),
                }
            }
            Capsule::Drain => self.told_to_drain(),
            Capsule::Datagram { payload } => {
                if self.state == State::Open {
                    self.out.event(Event::DatagramReceived { payload });
                }
            }
            Capsule::Ignored => {}
        }
    }

    fn excess(&mut self) {
        if let Body::Closed { ended_by_it } = self.body {
            self.body = Body::Absorbed;
            self.connect
                .refuse_more(error_code::H3_MESSAGE_ERROR, ended_by_it, &mut self.out);
        }
    }

    fn told_to_drain(&mut self) {
        match (self.state, self.draining) {
            (State::Requested, Once::Unsaid) => self.draining = Once::Owed,
            (State::Open, Once::Unsaid) => {
                self.draining = Once::Said;
                self.out.event(Event::Draining);
            }
            (
                State::Requested | State::Open | State::Stopped | State::Closed,
                Once::Unsaid | Once::Owed | Once::Said,
            ) => {}
        }
    }

    fn go_away(&mut self, id: u64) {
        let covers = self.side == Side::Client && id <= self.id.connect_stream().into();
        if covers && self.state == State::Requested {
            self.apply(Fact::WentAway);
        } else {
            self.told_to_drain();
        }
    }

    fn stopped(&mut self, code: u64) {
        if !self.connect.is_sending() {
            return; // after our FIN or reset it says nothing new (E13)
        }
        match self.state {
            State::Open => self.stopped_while_open(code),
            State::Requested if self.connect.stopped.is_some() => {}
            State::Requested | State::Stopped | State::Closed => {
                self.apply(Fact::PeerStopped { code });
            }
        }
    }

    fn stopped_while_open(&mut self, code: u64) {
        if code == error_code::WT_SESSION_GONE && !self.config.deadlines.stop_grace.is_zero() {
            self.apply(Fact::PeerGone);
        } else {
            self.apply(Fact::PeerStopped { code });
        }
    }

    fn stream_opened(&mut self, stream: StreamId) {
        if !streams::is_theirs(self.side, stream) {
            return;
        }
        self.last_activity = self.now;
        match self.state {
            State::Requested => {
                self.streams.insert_theirs(stream, false);
            }
            State::Open => {
                if self.streams.insert_theirs(stream, true) {
                    self.out.event(Event::StreamOpened { stream });
                }
            }
            State::Stopped | State::Closed => {
                self.stats.streams_refused += 1;
                streams::refuse_theirs(stream, &mut self.out);
            }
        }
    }

    fn stream_data(&mut self, stream: StreamId, len: u64, fin: bool) {
        if !self.streams.is_receiving(stream) {
            return;
        }
        if len > 0 || fin {
            self.last_activity = self.now;
        }
        if fin {
            self.streams.finished_by_peer(stream);
        }
    }

    fn datagram_received(&mut self, payload: Bytes) {
        match self.state {
            State::Open => {
                self.last_activity = self.now;
                self.out.event(Event::DatagramReceived { payload });
            }
            State::Requested if self.early.has_room(payload.len(), &self.config) => {
                self.last_activity = self.now;
                self.early.push(&payload);
            }
            State::Requested | State::Stopped | State::Closed => {
                self.stats.datagrams_absorbed += 1;
            }
        }
    }

    fn timeout(&mut self) {
        if self.poll_timeout().is_none_or(|due| due > self.now) {
            return;
        }
        self.deadline = None;
        match self.state {
            State::Requested => self.apply(Fact::RequestOverdue),
            State::Open => self.apply(Fact::Inactive),
            State::Stopped => self.apply(Fact::GraceOver),
            // The linger is over (E52).
            State::Closed => self
                .connect
                .stop_peer(error_code::WT_SESSION_GONE, &mut self.out),
        }
    }

    fn refused(&mut self, dir: Dir) -> &mut bool {
        match dir {
            Dir::Bi => &mut self.refused_bi,
            Dir::Uni => &mut self.refused_uni,
        }
    }

    fn refuse_open(&mut self, dir: Dir) {
        *self.refused(dir) = true;
    }

    fn refuse_write(&mut self, stream: StreamId) {
        self.streams.refuse(stream);
    }

    fn bind(&mut self, stream: StreamId, dir: Dir, header_len: u8) {
        if !streams::is_theirs(self.side, stream) && stream.dir() == dir {
            // A stack without RESET_STREAM_AT resets plainly, once the header is written.
            let reliable = self.terms.transport.reset_stream_at == Support::Yes;
            let reliable_len = if reliable { header_len } else { 0 };
            self.streams.insert_ours(stream, reliable_len);
        }
    }
}

impl EarlyDatagrams {
    fn has_room(&self, len: usize, config: &Config) -> bool {
        let limit = usize::try_from(config.limits.buffered_datagrams).unwrap_or(usize::MAX);
        self.payloads.len() < limit && self.bytes + len <= config.limits.buffered_bytes
    }

    /// Copies, so that a small datagram does not keep a large buffer of QUIC's alive.
    fn push(&mut self, payload: &Bytes) {
        self.bytes += payload.len();
        self.payloads.push(Bytes::copy_from_slice(payload));
    }
}

fn after(now: Instant, wait: Option<Duration>) -> Option<Instant> {
    now.checked_add(wait?)
}
