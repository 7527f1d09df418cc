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
//! What is not listed changes nothing, with one exception: bytes behind the close capsule are
//! answered with H3_MESSAGE_ERROR, on our half too although it has its FIN (§6, E11).
//!
#![doc = include_str!("life.md")]

mod close;
mod credit;
mod event;
mod facts;
mod flow;
mod life;
pub(crate) mod outbox;
mod permit;
#[cfg(feature = "trace")]
mod recording;
mod state;
#[cfg(feature = "testing")]
mod states;
mod streams;
#[cfg(test)]
mod tests;

/// Keeps a step of the caller's while recording is on; otherwise nothing of it is made.
macro_rules! record {
    ($session:expr, $step:expr) => {
        #[cfg(feature = "trace")]
        match &mut $session.recorder {
            Some(recorder) => {
                use crate::trace::SessionStep;
                recorder.record(Some($session.now), || $step);
            }
            None => $session.is_used = true,
        }
    };
}
use record;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

pub use event::{Action, Event, Input, Output};
pub use permit::{DatagramPermit, OpenPermit, SendCredit, StreamHeader};
#[cfg(feature = "testing")]
pub(crate) use states::set_back;

use crate::{
    CloseMessage, Config, DatagramError, Dialect, Dir, Endpoint, FlowControl, OpenError, Rejection,
    SendError, SessionId, Side, Stats, StreamClosed, StreamId, Support, Transport, Violation,
    wire::{capsule, datagram, error_code},
};
use close::ConnectStream;
use flow::Flow;
use outbox::Outbox;
use state::{Fact, State};
use streams::Streams;

/// Whose a datagram is: the session that the whole payload of a QUIC DATAGRAM frame is for, and its
/// own payload (RFC 9297 §2.1). What is sent a [`DatagramPermit`] encodes.
///
/// `None` where there is no session id in it: a connection error of type H3_DATAGRAM_ERROR.
///
/// ```
/// use bytes::Bytes;
/// use webtransport_session::session::split_datagram;
///
/// // Quarter stream id 1: stream 4.
/// let (session, payload) = split_datagram(Bytes::from_static(b"\x01hello")).unwrap();
/// assert_eq!((u64::from(session.connect_stream()), &payload[..]), (4, &b"hello"[..]));
/// assert_eq!(split_datagram(Bytes::new()), None);
/// ```
#[must_use]
pub fn split_datagram(data: Bytes) -> Option<(SessionId, Bytes)> {
    let (stream, payload) = datagram::parse(data)?;
    let session = SessionId::from_connect_stream(stream.into());
    Some((session, payload))
}

/// What both sides' SETTINGS agreed on, as your HTTP/3 saw them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Terms {
    /// The dialect that was chosen.
    pub dialect: Dialect,
    /// The limits in the peer's SETTINGS, if both sides declared flow control (§5.1). What this side
    /// declared is in [`Config::flow_control`].
    pub peer_flow_control: Option<FlowControl>,
    /// What the QUIC stack can do.
    pub transport: Transport,
}

impl Terms {
    /// Terms without session flow control.
    #[must_use]
    pub fn new(dialect: Dialect, transport: Transport) -> Self {
        Self {
            dialect,
            peer_flow_control: None,
            transport,
        }
    }
}

/// One WebTransport session. See the [module](self) for how to drive it.
///
/// Feed it with [`handle`](Self::handle), ask [`poll`](Self::poll) until it gives `None`, and drop
/// it when [`is_drained`](Self::is_drained).
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub struct Session {
    id: SessionId,
    side: Side,
    dialect: Dialect,
    /// A stack without RESET_STREAM_AT resets plainly, once the header is written.
    resets_reliably: bool,
    config: Arc<Config>,
    state: State,
    connect: ConnectStream,
    body: Body,
    /// The capsule that is being read; `None` between two of them.
    capsules: Option<Box<capsule::Decoder>>,
    /// WT_DRAIN_SESSION or GOAWAY: what the application knows of it.
    draining: Once,
    /// Our own WT_DRAIN_SESSION.
    drain: Once,
    streams: Streams,
    /// What came before the answer.
    early: Option<Box<Early>>,
    /// An open was refused: `StreamsAvailable` is owed.
    refused_bi: bool,
    refused_uni: bool,
    /// The latest time that a caller told.
    now: Instant,
    last_activity: Instant,
    /// How many hold reads back.
    paused: u32,
    /// While the session is open: when reads were last held back, or it opened. Inactivity counts from
    /// here at the earliest; `None`: from the next time that is told. Otherwise the deadline of the
    /// request, the grace or the linger, by state.
    awake_or_due: Option<Instant>,
    /// `None`: nothing was absorbed.
    stats: Option<Box<Stats>>,
    out: Outbox,
    /// `None` until it is asked for: a connection's sessions have none.
    #[cfg(feature = "trace")]
    recorder: Option<Box<crate::trace::Recorder<crate::trace::SessionStep>>>,
    /// There were calls before there was a recorder.
    #[cfg(feature = "trace")]
    is_used: bool,
}

/// What becomes of the bytes on the CONNECT stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
enum Body {
    /// Kept until the answer.
    Held,
    /// Read as capsules.
    Capsules,
    /// WT_CLOSE_SESSION was the last thing the peer may say.
    Closed { ended_by_it: bool },
    /// Of no interest.
    Absorbed,
}

/// Something that is said at most once, and not before the session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
enum Once {
    Unsaid,
    Owed,
    Said,
}

/// What came before the answer.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Early {
    /// Of the CONNECT stream.
    body: BytesMut,
    /// The code of STOP_SENDING on the CONNECT stream (E29).
    stopped: Option<u64>,
    /// Datagrams that overtook the answer (§4.6).
    payloads: Vec<Bytes>,
    /// Of the datagrams.
    bytes: usize,
}

impl Session {
    /// The CONNECT was sent (client) or received (server); it is not answered yet.
    #[must_use]
    pub fn new(now: Instant, side: Side, id: SessionId, terms: Terms, config: Arc<Config>) -> Self {
        let due = after(now, config.deadlines.request);
        let has_flow = terms.dialect.has_flow_control();
        let ours = config.flow_control.filter(FlowControl::is_declared);
        let theirs = terms.peer_flow_control.filter(|_| has_flow);
        let flow = ours.zip(theirs).map(|(ours, theirs)| {
            let stream_window = terms.transport.stream_receive_window;
            Box::new(Flow::new(ours, theirs, stream_window))
        });
        Self {
            id,
            side,
            dialect: terms.dialect,
            resets_reliably: terms.transport.reset_stream_at == Support::Yes,
            config,
            state: State::Requested,
            connect: ConnectStream::new(),
            body: Body::Held,
            capsules: None,
            draining: Once::Unsaid,
            drain: Once::Unsaid,
            streams: Streams::new(flow),
            early: None,
            refused_bi: false,
            refused_uni: false,
            now,
            last_activity: now,
            awake_or_due: due,
            paused: 0,
            stats: None,
            out: Outbox::default(),
            #[cfg(feature = "trace")]
            recorder: None,
            #[cfg(feature = "trace")]
            is_used: false,
        }
    }

    // ---- what your HTTP/3 decides

    /// A 2xx was sent or received. Ignored unless the session waits for its answer.
    pub fn open(&mut self, now: Instant) {
        self.tick(now);
        record!(self, SessionStep::Open);
        self.open_unread(now);
        self.read_held();
    }

    /// Without what came before the answer, for which the caller has to call
    /// [`read_held`](Self::read_held): an end in there is to find everything told.
    pub(crate) fn open_unread(&mut self, now: Instant) {
        self.tick(now);
        match self.stopped_early() {
            Some(code) if code != error_code::WT_SESSION_GONE => {
                self.apply(Fact::AcceptedStopped { code });
            }
            Some(_) | None => self.apply(Fact::Accepted),
        }
    }

    /// Another final answer was sent or received. Ignored unless the session waits for its answer.
    pub fn reject(&mut self, now: Instant, by: Endpoint, rejection: Rejection) {
        self.tick(now);
        record!(
            self,
            SessionStep::Reject {
                by,
                rejection: Box::new(rejection.clone()),
            }
        );
        self.apply(Fact::Rejected {
            by,
            rejection: Box::new(rejection),
        });
    }

    /// A violation that your HTTP/3 saw: a malformed response, or a protocol that was not offered.
    pub fn fail(&mut self, now: Instant, violation: Violation) {
        self.tick(now);
        record!(self, SessionStep::Fail { violation });
        self.apply(Fact::Violated(violation));
    }

    /// Takes in one fact. Never fails.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.tick(now);
        record!(self, SessionStep::Input(input.clone()));
        self.take(input);
        self.update_windows(None);
    }

    /// Actions first, then events, each in order; `None` until the next input or command.
    pub fn poll(&mut self) -> Option<Output> {
        #[cfg(feature = "trace")]
        if !self.out.is_empty() {
            record!(self, SessionStep::Poll { times: 1 });
        }
        if let Some(action) = self.out.next_action() {
            return Some(Output::Action(action));
        }
        self.out.next_event().map(Output::Event)
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Open if self.paused > 0 => None,
            State::Open => match self.awake_or_due {
                Some(awake) => after(
                    self.last_activity.max(awake),
                    self.config.deadlines.inactivity,
                ),
                // At once, to be told the time.
                None => self.config.deadlines.inactivity.map(|_| self.now),
            },
            State::Closed if !self.connect.is_receiving() => None,
            State::Requested | State::Stopped | State::Closed => self.awake_or_due,
        }
    }

    // ---- commands

    /// Asks to open a stream.
    ///
    /// # Errors
    /// [`OpenError::NotOpen`] before the answer, [`OpenError::SessionClosed`] after the end,
    /// [`OpenError::Blocked`] while the peer's limit is used up (§5.3).
    pub fn open_stream(&mut self, dir: Dir) -> Result<OpenPermit<'_>, OpenError> {
        match self.may_open(dir) {
            Ok(()) => Ok(OpenPermit { session: self, dir }),
            Err(error) => {
                record!(self, SessionStep::OpenStream { dir, bound: None });
                Err(error)
            }
        }
    }

    /// Asks to write payload to a stream.
    ///
    /// # Errors
    /// [`SendError::Stopped`] when the peer asked to stop, [`SendError::StreamClosed`] when our half
    /// is over or was never open, [`SendError::Blocked`] while the peer's limit is used up (§5.4).
    pub fn credit(&mut self, stream: StreamId) -> Result<SendCredit<'_>, SendError> {
        match self.may_write(stream, false) {
            Ok(len) => Ok(SendCredit::new(self, stream, len)),
            Err(error) => {
                record!(
                    self,
                    SessionStep::Credit {
                        stream,
                        spent: None
                    }
                );
                Err(error)
            }
        }
    }

    /// The application has read so many bytes of stream payload, or dropped them: the peer may send as
    /// many more. Without flow control this does nothing.
    ///
    /// Bytes that came on a stream before the session was open, and that was reset before then, are
    /// not to be counted: the session does so itself.
    pub fn consumed(&mut self, len: u64) {
        record!(self, SessionStep::Consumed { len });
        if let Some(flow) = &mut self.streams.flow {
            flow.received.data.give(len);
            self.tell_data_limit(false);
        }
    }

    /// Finishes our half of a stream.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn finish(&mut self, stream: StreamId) -> Result<(), StreamClosed> {
        record!(self, SessionStep::Finish { stream });
        let result = self.streams.finish(stream, &mut self.out);
        self.update_windows(None);
        result
    }

    /// Resets our half of a stream with an application error code (§4.4).
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn reset(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        record!(self, SessionStep::Reset { stream, code });
        let result = self.streams.reset(stream, code, &mut self.out);
        self.update_windows(None);
        result
    }

    /// Asks the peer to stop sending, with an application error code (§4.4). Its half is over at
    /// once.
    ///
    /// # Errors
    /// [`StreamClosed`] when that half is over or was never open.
    pub fn stop(&mut self, stream: StreamId, code: u32) -> Result<(), StreamClosed> {
        record!(self, SessionStep::Stop { stream, code });
        let result = self.streams.stop(stream, code, &mut self.out);
        if result.is_ok() {
            self.release_unseen();
        }
        self.update_windows(None);
        result
    }

    /// Asks to send a datagram.
    ///
    /// # Errors
    /// [`DatagramError::NotOpen`] before the answer, [`DatagramError::SessionClosed`] after the end.
    #[inline]
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
        record!(self, SessionStep::Drain);
        self.say_drain();
    }

    fn say_drain(&mut self) {
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
        let message = message.into();
        record!(
            self,
            SessionStep::Close {
                code,
                message: message.clone(),
            }
        );
        self.apply(Fact::LocallyClosed { code, message });
    }

    /// Reads are held back: a peer that talks must not look dead because nobody listens, so the
    /// inactivity deadline does not run. Each `pause` needs its [`resume`](Self::resume).
    pub fn pause(&mut self) {
        record!(self, SessionStep::Pause);
        self.paused = self.paused.saturating_add(1);
    }

    /// Reads go on; inactivity counts from now.
    pub fn resume(&mut self, now: Instant) {
        self.tick(now);
        record!(self, SessionStep::Resume);
        self.paused = self.paused.saturating_sub(1);
        self.count_inactivity_from(Some(self.now));
    }

    // ---- facts

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Which end this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// It was answered with 2xx, and has not ended: streams and datagrams are delivered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether something may still come on this stream of the session. Deliver nothing of one where
    /// it may not: we have stopped it, or it is over.
    #[inline]
    #[must_use]
    pub fn is_receiving_on(&self, stream: StreamId) -> bool {
        self.streams.receives(stream) == Some(true)
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
        self.stats.as_deref().copied().unwrap_or_default()
    }

    // ---- what `Connection` asks besides

    /// Reads go on, but nobody says what time it is: inactivity counts from when somebody does.
    pub(crate) fn resume_untimed(&mut self) {
        self.paused = self.paused.saturating_sub(1);
        self.count_inactivity_from(None);
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.state == State::Requested
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// When the clock is next needed: once the session is over, for what we said last to have left,
    /// whether or not the peer is done.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Closed => self.awake_or_due,
            State::Requested | State::Open | State::Stopped => self.poll_timeout(),
        }
    }

    /// Whether the session is over, and what we said last must have left.
    pub(crate) fn has_lingered(&self, now: Instant) -> bool {
        self.is_closed() && self.awake_or_due.is_some_and(|at| at <= now)
    }

    /// Nothing waits to be polled.
    pub(crate) fn is_quiet(&self) -> bool {
        self.out.is_empty()
    }

    /// Lends room for what is about to come out.
    #[inline]
    pub(crate) fn lend(&mut self, room: &mut Outbox) {
        self.out.borrow_room(room);
    }

    /// Gives it back when everything was polled.
    #[inline]
    pub(crate) fn give_back(&mut self, room: &mut Outbox) {
        room.take_back(&mut self.out);
    }

    /// Whether the peer's half of the CONNECT stream may still bring something.
    pub(crate) fn is_receiving(&self) -> bool {
        self.connect.is_receiving()
    }

    /// Bytes that wait for the answer.
    pub(crate) fn held_body(&self) -> usize {
        self.early.as_ref().map_or(0, |early| early.body.len())
    }

    /// The code of a STOP_SENDING that came before the answer.
    fn stopped_early(&self) -> Option<u64> {
        self.early.as_ref()?.stopped
    }

    /// Datagrams that wait for the answer, and their bytes.
    pub(crate) fn early_datagrams(&self) -> (usize, usize) {
        match &self.early {
            Some(early) => (early.payloads.len(), early.bytes),
            None => (0, 0),
        }
    }

    /// Whether a stream may be opened now.
    pub(crate) fn may_open(&mut self, dir: Dir) -> Result<(), OpenError> {
        match self.state {
            State::Requested => Err(OpenError::NotOpen),
            State::Open => {
                if self.can_open(dir) {
                    return Ok(());
                }
                self.refuse_open(dir);
                Err(OpenError::Blocked)
            }
            State::Stopped | State::Closed => Err(OpenError::SessionClosed),
        }
    }

    pub(crate) fn is_sending_on(&self, stream: StreamId) -> bool {
        self.streams.sending(stream).is_ok()
    }

    /// A stream that waited for the answer was refused: whether our half was still open.
    pub(crate) fn forget(&mut self, stream: StreamId) -> bool {
        let was_sending = self.streams.forget(stream);
        self.release_unseen();
        self.update_windows(None);
        was_sending
    }

    /// Whether the peer's half of a stream is open. `None`: both are over, or it was never here.
    pub(crate) fn receives(&self, stream: StreamId) -> Option<bool> {
        self.streams.receives(stream)
    }

    /// Whether WT_CLOSE_SESSION was the last thing the peer may say on the CONNECT stream.
    pub(crate) fn has_close_capsule(&self) -> bool {
        matches!(self.body, Body::Closed { .. })
    }

    /// FIN came behind bytes of the CONNECT stream that are now fed: whatever they bring, there is
    /// nothing left to stop.
    pub(crate) fn note_fin(&mut self) {
        self.connect.note_fin();
    }

    /// Bytes outside of any capsule came behind WT_CLOSE_SESSION.
    pub(crate) fn refuse_more(&mut self, now: Instant) {
        self.tick(now);
        self.excess();
    }

    // ---- inside

    #[inline]
    fn tick(&mut self, now: Instant) {
        if self.now < now {
            self.now = now;
        }
        if self.awake_or_due.is_none() {
            self.count_inactivity_from(Some(self.now));
        }
    }

    /// At the earliest; `None`: from the next time that is told.
    fn count_inactivity_from(&mut self, awake: Option<Instant>) {
        if self.state == State::Open {
            self.awake_or_due = awake;
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
            let reliable_len = if self.resets_reliably { header_len } else { 0 };
            if self.streams.insert_ours(stream, reliable_len) {
                self.opened(dir);
            }
        }
    }
}

impl Early {
    /// Copies, so that a small datagram does not keep a large buffer of QUIC's alive.
    fn push(&mut self, payload: &Bytes) {
        self.bytes += payload.len();
        self.payloads.push(Bytes::copy_from_slice(payload));
    }
}

fn after(now: Instant, wait: Option<Duration>) -> Option<Instant> {
    now.checked_add(wait?)
}
