//! Layer 2: one HTTP/3 connection that carries WebTransport sessions, and nothing else.
//!
//! This file is the surface and the commands. `demux.rs` takes the facts in and hands each stream's
//! bytes to what they belong to; `requests.rs`, `sessions.rs`, `streams.rs` and `control.rs` are
//! those; `dialect.rs`, beside this folder, knows the drafts. Why a session ends is decided in [`crate::session`].

mod buffered;
mod commands;
mod connects;
pub(crate) mod control;
mod deadlines;
mod demux;
mod flood;
mod grease;
pub(crate) mod handshake;
pub(crate) mod log;
mod outgoing;
mod outputs;
mod parking;
mod permit;
mod priorities;
pub(crate) mod request_stream;
mod requests;
mod resumption;
pub(crate) mod seen;
mod sessions;
mod slot;
#[cfg(feature = "testing")]
mod states;
mod streams;
#[cfg(test)]
mod tests;

/// Keeps a step of the caller's while recording is on; otherwise nothing of it is made.
macro_rules! record {
    ($connection:expr, $step:expr) => {
        #[cfg(feature = "trace")]
        {
            use crate::trace::Step;
            let now = $connection.now;
            $connection.recorder.record(now, || $step);
        }
    };
}
use record;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use permit::{ConnectPermit, OpenPermit, ProtocolStreamPermit};

use crate::{
    Action, Config, ConnectionLost, Event, Http3Error, Input, Output, Priority, RememberedSettings,
    Requirement, SessionId, Side, Stats, StreamId, Support, Transport, dialect,
    session::outbox::Outbox,
    table::Table,
    wire::{error_code, settings::Settings},
};
use buffered::Buffered;
use connects::Connects;
use deadlines::Deadlines;
use flood::Flood;
use log::Log;
use outputs::{Outputs, Queued};
use priorities::Priorities;
use seen::Seen;
use slot::{ConnectStream, Slot};

/// One HTTP/3 connection carrying WebTransport sessions.
///
/// A pure state machine: it owns no socket and no clock. Drive it like this:
///
/// 1. Make one with [`client`](Self::client) or [`server`](Self::server) when QUIC makes its
///    connection; call [`start`](Self::start) when QUIC is connected, and open what
///    [`protocol_stream`](Self::protocol_stream) asks for.
/// 2. Tell it what QUIC tells you, with [`handle`](Self::handle). Read a stream while
///    [`wants`](Self::wants) says so.
/// 3. After that, and after each command, call [`poll`](Self::poll) until it gives `None`: perform
///    the [`Action`]s on QUIC, give the [`Event`]s to the application. Then let QUIC transmit.
/// 4. Feed [`Input::Timeout`] when [`poll_timeout`](Self::poll_timeout) is due.
///
/// The chapter of [`host`](crate::host) says all this at length, for any QUIC stack.
///
/// Inputs and commands may come in any number before a poll. Nothing a peer does makes a call fail;
/// every session ends with exactly one [`Event::SessionClosed`].
///
/// [`SessionId`] is unique within one connection only: the first is 0 on each. Key your players by
/// connection *and* session.
#[derive(Debug)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
pub struct Connection {
    side: Side,
    config: Arc<Config>,
    phase: Phase,
    /// The latest time that a caller told; `None` before the first call that told one.
    now: Option<Instant>,
    transport: Option<Transport>,
    ours: Settings,
    theirs: Option<Settings>,
    /// Client: what the server said on the connection before, until it is known whether it keeps to
    /// that.
    remembered: Option<Box<Settings>>,
    agreement: Option<Result<Option<crate::Dialect>, Requirement>>,
    /// Ours.
    control: Option<StreamId>,
    critical: Critical,
    goaway: GoAway,
    slots: Table<StreamId, Slot>,
    /// The slots that are CONNECT streams'.
    connects: Connects,
    seen: Seen,
    buffered: Buffered,
    priorities: Priorities,
    deadlines: Deadlines,
    out: Outputs,
    /// Empty: room that is lent to the session at work.
    room: Outbox,
    flood: Flood,
    /// Protocol bytes in all slots that QUIC has not taken.
    unwritten: usize,
    /// Sessions whose end has not been told.
    live: u32,
    /// Server: requests for sessions that were not answered.
    unanswered: u32,
    /// Server: other requests whose answer QUIC has not taken.
    answered: u32,
    /// Since when there is no session.
    idle_since: Option<Instant>,
    refused: Refused,
    /// Server: the last refusal that the peer may not know yet, and when it was made.
    refusal: Option<(StreamId, Instant)>,
    /// The stream that means nothing was opened.
    has_greased: bool,
    /// Reads are held back until enough events are polled.
    held_back: bool,
    stats: Stats,
    log: Log,
    #[cfg(feature = "trace")]
    recorder: crate::trace::Recorder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "testing", derive(Hash))]
enum Phase {
    Running,
    /// `shutdown` waits for the peer, at most so long.
    Ending {
        until: Option<Instant>,
        /// How long it waits besides, when the peer is through; `None` when it does.
        parting: Option<Duration>,
    },
    Closed,
}

/// Which of the peer's critical streams are open.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Critical {
    control: bool,
    encoder: bool,
    decoder: bool,
    max_push_id: Option<u64>,
}

#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct GoAway {
    /// We sent it.
    sent: bool,
    /// The id in the peer's last one.
    received: Option<u64>,
}

/// What was refused, so that its being possible again must be told.
#[derive(Debug, Default)]
#[cfg_attr(feature = "testing", derive(Clone, PartialEq, Eq, Hash))]
struct Refused {
    bi: bool,
    uni: bool,
    session: bool,
}

impl Connection {
    /// The client's end.
    #[must_use]
    pub fn client(config: Arc<Config>) -> Self {
        Self::new(Side::Client, config)
    }

    /// The server's end.
    #[must_use]
    pub fn server(config: Arc<Config>) -> Self {
        Self::new(Side::Server, config)
    }

    /// The client's end of a connection that resumes another, with what the server said on that:
    /// its [`remembered_settings`](Self::remembered_settings), kept with the TLS session ticket
    /// that is used now (draft §3.2).
    ///
    /// Where the server accepts early data ([`Transport::early_data_accepted`]) it is bound by what
    /// it said: if the new SETTINGS take anything back, the connection is closed with
    /// H3_SETTINGS_ERROR. Where it does not, what was said before counts for nothing. Sessions wait
    /// for the new SETTINGS either way (§4.6).
    #[must_use]
    pub fn client_resuming(config: Arc<Config>, remembered: RememberedSettings) -> Self {
        Self {
            remembered: Some(Box::new(remembered.0)),
            ..Self::new(Side::Client, config)
        }
    }

    pub(crate) fn new(side: Side, config: Arc<Config>) -> Self {
        Self {
            side,
            ours: dialect::announced(side, &config),
            config,
            phase: Phase::Running,
            now: None,
            transport: None,
            theirs: None,
            remembered: None,
            agreement: None,
            control: None,
            critical: Critical::default(),
            goaway: GoAway::default(),
            slots: Table::default(),
            connects: Connects::default(),
            seen: Seen::default(),
            buffered: Buffered::default(),
            priorities: Priorities::new(),
            deadlines: Deadlines::default(),
            out: Outputs::default(),
            room: Outbox::default(),
            flood: Flood::default(),
            unwritten: 0,
            live: 0,
            unanswered: 0,
            answered: 0,
            idle_since: None,
            refused: Refused::default(),
            refusal: None,
            has_greased: false,
            held_back: false,
            stats: Stats::default(),
            log: Log::new(side),
            #[cfg(feature = "trace")]
            recorder: crate::trace::Recorder::new(),
        }
    }

    // ---- the host's side

    /// Once, when QUIC's handshake is complete. Inputs may come before it; what is lost before it is a
    /// failed handshake. A second call is ignored.
    ///
    /// Then give it a stream for each [`protocol_stream`](Self::protocol_stream): nothing is sent,
    /// and no session announced, before there is a control stream.
    pub fn start(&mut self, now: Instant, transport: Transport) {
        self.tick(now);
        if self.is_closed() || self.transport.is_some() {
            return;
        }
        record!(
            self,
            Step::Start {
                transport: transport.clone(),
                remembered: self
                    .remembered
                    .as_deref()
                    .map(|settings| Box::new(RememberedSettings(*settings)))
            }
        );
        if transport.datagrams == Support::No {
            // RFC 9297 §2.1.1: a peer that reads of datagrams in SETTINGS only takes it for an error.
            self.ours.h3_datagram = 0;
            self.ours.h3_datagram_draft04 = 0;
        }
        self.transport = Some(transport.clone());
        self.idle_since = Some(self.now(now));
        self.hold_to_remembered(&transport);
        self.settle();
    }

    /// Asks to open a unidirectional stream that HTTP/3 itself needs. To be asked after
    /// [`start`](Self::start), and whenever QUIC may have a stream to spare, until it gives `None`:
    /// first comes our control stream (RFC 9114 §6.2.1); then, with [`Config::grease`], one of a
    /// reserved type, which the peer has to ignore (RFC 9114 §6.2.3).
    pub fn protocol_stream(&mut self) -> Option<ProtocolStreamPermit<'_>> {
        let is_running = self.transport.is_some() && !self.is_closed();
        let is_wanted = self.control.is_none() || self.may_grease();
        (is_running && is_wanted).then(|| ProtocolStreamPermit::new(self))
    }

    /// Takes in one fact about QUIC. Never fails. Time never goes back: an earlier `now` counts as
    /// the latest one.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.tick(now);
        record!(self, Step::Input(input.clone()));
        if self.is_closed() {
            return;
        }
        // Nearly all that comes is one of the first two.
        if let Input::DatagramReceived { data } = input {
            return self.datagram_received(data);
        }
        if let Input::StreamData { stream, data, fin } = input {
            self.stream_data(stream, data, fin);
        } else {
            self.take(input);
        }
        self.settle();
    }

    /// Actions first, then events, each in order; `None` until the next input or command. To be
    /// polled until then: polling an event may itself queue an action.
    #[inline]
    pub fn poll(&mut self) -> Option<Output> {
        // Half of all polls find nothing.
        if self.out.is_waiting() {
            self.next_output()
        } else {
            None
        }
    }

    fn next_output(&mut self) -> Option<Output> {
        record!(self, Step::Poll { times: 1 });
        if self.out.is_action_waiting() {
            if let Some(action) = self.next_action() {
                return Some(Output::Action(action));
            }
        }
        if let Event::StreamData { session, data, .. } = self.out.release_event()? {
            let (session, len) = (*session, data.len());
            self.consumed(session, len);
        }
        if self.held_back {
            self.release_reads();
        }
        // Last of all, so that it is moved once.
        self.out.next_event().map(Output::Event)
    }

    /// The next action, past any events: for a host whose application polls on a tick, and for one
    /// that wants something on the wire at once, such as the header of a stream just opened.
    pub fn poll_action(&mut self) -> Option<Action> {
        #[cfg(feature = "trace")]
        if self.out.is_action_waiting() {
            record!(self, Step::PollAction { times: 1 });
        }
        self.next_action()
    }

    fn next_action(&mut self) -> Option<Action> {
        loop {
            match self.out.next_action()? {
                Queued::Action(action) => return Some(action),
                Queued::Write(stream) => {
                    if let Some((data, fin)) =
                        self.outgoing(stream).and_then(outgoing::Outgoing::offer)
                    {
                        return Some(Action::Write { stream, data, fin });
                    }
                }
            }
        }
    }

    /// When [`Input::Timeout`] is due. Any input, command or poll may change it: ask anew before each
    /// sleep.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ending = match self.phase {
            Phase::Ending { until, .. } => until,
            Phase::Running => None,
            Phase::Closed => return None,
        };
        [
            self.deadlines.next(),
            ending,
            self.idle_deadline(),
            self.buffered_deadline(),
            self.refusal_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether bytes of this stream should be read from QUIC now. Ask before every read. True for each
    /// stream of the peer's that is not known yet.
    ///
    /// False while a data stream waits for its session, is [paused](Self::pause) or too much is
    /// undelivered: the bytes stay in QUIC's window, and [`Action::Read`] says when to go on. Also
    /// false for streams that are over, and where this side has no half to read.
    #[must_use]
    pub fn wants(&self, stream: StreamId) -> bool {
        // Asked of data streams before each read.
        match self.slots.get(stream) {
            Some(Slot::Data(slot)) => self.data_is_wanted(slot),
            slot => self.is_wanted_elsewhere(stream, slot),
        }
    }

    // ---- for the next connection

    /// Client: what the server said in its SETTINGS, for
    /// [`client_resuming`](Self::client_resuming). `None` before they came. Still there when the
    /// connection is over.
    #[must_use]
    pub fn remembered_settings(&self) -> Option<RememberedSettings> {
        let is_known = self.side == Side::Client && self.remembered.is_none();
        self.theirs.filter(|_| is_known).map(RememberedSettings)
    }

    // ---- facts

    /// Which end this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// Sessions that [`Event::SessionClosed`] has not been queued for, in order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> + '_ {
        let is_live = |session: &SessionId| {
            self.connect_stream(*session)
                .is_some_and(|connect| !connect.session.is_closed())
        };
        self.connects.iter().filter(is_live)
    }

    /// When the peer last sent anything for this session. What we send does not count. `None` when
    /// the session is gone.
    #[must_use]
    pub fn last_activity(&self, session: SessionId) -> Option<Instant> {
        let connect = self.connect_stream(session)?;
        Some(connect.session.last_activity())
    }

    /// How urgent a session is (draft §3.4): what the client said last, in its request's Priority
    /// field or since, and what the answer's Priority field made of it. `None` when the session is
    /// over.
    #[must_use]
    pub fn priority(&self, session: SessionId) -> Option<Priority> {
        self.session_priority(session)
    }

    /// No CONNECT stream is open in either direction, and the peer knows our last refusal or had the
    /// linger to learn of it: closing QUIC now loses nothing that a close capsule, a FIN or a refusal
    /// says. A reset is not waited for: give QUIC a turn to send it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.refusal.is_none() && self.connects.is_empty()
    }

    /// [`Event::ConnectionClosed`] has been queued; there is nothing more to feed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// What was absorbed and refused so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let connects = self.connects.iter();
        let connects = connects.filter_map(|session| self.connect_stream(session));
        connects
            .map(|connect| connect.session.stats())
            .fold(self.stats, Stats::plus)
    }

    // ---- inside

    /// As [`client_resuming`](Self::client_resuming) was told.
    #[cfg(feature = "trace")]
    pub(crate) fn remember(&mut self, remembered: Option<RememberedSettings>) {
        let remembered = remembered.map(|settings| Box::new(settings.0));
        self.remembered = self.remembered.take().or(remembered);
    }

    /// The latest time that was told, if any was.
    #[cfg(feature = "trace")]
    pub(crate) fn latest(&self) -> Option<Instant> {
        self.now
    }

    #[cfg(feature = "trace")]
    pub(crate) fn recorder(&mut self) -> &mut crate::trace::Recorder {
        &mut self.recorder
    }

    #[inline]
    fn tick(&mut self, now: Instant) {
        if self.now.is_none_or(|latest| latest < now) {
            self.now = Some(now);
        }
    }

    /// The latest time that is known, where `now` is the caller's.
    fn now(&self, now: Instant) -> Instant {
        self.now.map_or(now, |latest| latest.max(now))
    }

    #[inline]
    fn connect_stream(&self, session: SessionId) -> Option<&ConnectStream> {
        self.slots.get(session.connect_stream())?.as_connect()
    }

    /// What follows from a change, whatever it was: there may be too much to deliver, and a
    /// shutdown that waited may be done.
    #[inline]
    fn settle(&mut self) {
        self.check_backlog();
        self.part_if_settled();
    }

    #[inline]
    fn check_backlog(&mut self) {
        if self.is_backlogged() {
            self.hold_back();
        }
    }

    /// While the connection ends: when the peer is through, at once, or after a moment that lets its
    /// application hear of it.
    #[inline]
    fn part_if_settled(&mut self) {
        let Phase::Ending { until, parting } = self.phase else {
            return;
        };
        if !self.is_settled() {
            return;
        }
        match (parting, self.now) {
            (Some(parting), Some(now)) if !parting.is_zero() => {
                let at = now.checked_add(parting);
                self.phase = Phase::Ending {
                    until: [at, until].into_iter().flatten().min(),
                    parting: None,
                };
            }
            (Some(_), _) => self.close_now(),
            // Until its time is over.
            (None, _) => {}
        }
    }

    /// Our own polite end.
    fn close_now(&mut self) {
        let code = error_code::H3_NO_ERROR;
        self.close_connection(code, "", ConnectionLost::Local { code: Some(code) });
    }

    /// The peer broke HTTP/3.
    #[cold]
    fn fail(&mut self, error: Http3Error) {
        self.close_connection(error.code(), error.name(), ConnectionLost::Http3(error));
    }

    fn close_connection(&mut self, code: u64, reason: &'static str, lost: ConnectionLost) {
        if self.is_closed() {
            return;
        }
        self.out.action(Action::CloseConnection { code, reason });
        self.lose(lost);
    }

    /// The connection is over: each session is told in order, then the application.
    fn lose(&mut self, reason: ConnectionLost) {
        // Who waits to open something waits for nothing.
        self.refused = Refused::default();
        for session in self.connect_streams() {
            let reason = reason.clone();
            self.with_session(session, |connect, now| {
                connect
                    .session
                    .handle(now, crate::session::Input::ConnectionClosed { reason });
            });
        }
        self.stats = self.stats();
        self.phase = Phase::Closed;
        self.slots.clear();
        self.connects = Connects::default();
        self.room = Outbox::default();
        self.buffered = Buffered::default();
        self.priorities.clear();
        self.deadlines.clear();
        self.unwritten = 0;
        self.log.connection_closed(&reason);
        self.out.event(Event::ConnectionClosed { reason });
    }

    /// The CONNECT streams there are, ascending.
    fn connect_streams(&self) -> Vec<SessionId> {
        self.connects.iter().collect()
    }
}
