//! Adapter for servers that keep hyperium's [`h3`](http3) 0.0.8: sessions beside ordinary requests.
//!
//! A [`Host`] has h3's connection inside. It is polled for events of sessions ([`Event`]) and for
//! ordinary requests, which go on as with h3 alone; each session is a [`Session`] of layer 1. There
//! is no runtime here, no task and no timer: any executor polls, and the clock is the caller's.
//!
//! ```no_run
//! # use std::{future::poll_fn, sync::Arc, time::Instant};
//! # use webtransport_session::{Config, Event, Response, host::h3::{Host, Output, Stack}};
//! # #[expect(clippy::disallowed_methods, reason = "this is a caller")]
//! # async fn serve<C: Stack>(quic: C) -> Result<(), webtransport_session::host::h3::http3::error::ConnectionError> {
//! // `quic` is what `h3::server::Connection` would get, as `h3_quinn::Connection::new(…)`.
//! let mut host = Host::server(quic, Arc::new(Config::default())).await?;
//! // Also to be awaited, beside this: `host.poll_timeout()`, and QUIC's datagrams, which go into
//! // `host.handle_datagram(…)`.
//! while let Some(output) = poll_fn(|cx| host.poll(cx, Instant::now())).await {
//!     match output {
//!         Output::Request(request) => {
//!             let (request, mut stream) = request.resolve().await.unwrap(); // better in a task
//!             println!("{} {}", request.method(), request.uri());
//!             stream.send_response(http::Response::new(())).await.unwrap();
//!             stream.finish().await.unwrap();
//!         }
//!         Output::Event(Event::SessionRequested { session, .. }) => {
//!             let _left_meanwhile = host.accept(Instant::now(), session, Response::default());
//!         }
//!         Output::Event(Event::SessionClosed { session, reason }) => println!("{session}: {reason}"),
//!         Output::Event(_) => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # What h3 cannot do
//!
//! - **Dialects.** h3 0.0.8 has the settings of [`Dialect::Draft02`] alone (0x2b603742 and 0x2b603743),
//!   not that of draft 07 (0xc671706a) nor any later, and does not show them where a client sends
//!   them. All browsers of today connect; a client that speaks 07 or later only finds no WebTransport
//!   here, and a request that it makes all the same is answered with 501.
//! - **Datagrams.** The crate `h3-datagram` 0.0.2 writes quarter stream id 0 into whatever it sends,
//!   so that every datagram goes to the first session of the connection. So datagrams are taken from
//!   QUIC and given to QUIC by the caller: [`Host::handle_datagram`], [`Host::datagram`].
//! - **STOP_SENDING** is told to those alone who write. This host asks for each CONNECT stream
//!   whenever it is polled, and for all streams once a second ([`poll_timeout`](Host::poll_timeout)
//!   says when): on an otherwise silent connection it is that late.
//! - **To stop a stream while it is read**: `h3-quinn` 0.0.10 panics. So the half is let go of, and
//!   quinn sends STOP_SENDING with code 0 instead of the one that was meant, but for streams that have
//!   bytes to be read at that time. Of a stack that takes it say so:
//!   [`Host::may_stop_reading`]. Resets have their codes.
//! - **The reason phrase** of CONNECTION_CLOSE, and what exactly befell QUIC. The idle timeout and
//!   the application code come through h3; the rest does with the feature `quinn-proto` and a stack
//!   on quinn, else it is [`ConnectionLost::Unknown`]. [`Host::on_loss`] asks the stack itself, and
//!   should be used where the stack can be asked.
//! - **Limits.** h3 collects the HEADERS of any request whole before anybody can look at them, however
//!   long: what QUIC lets a peer send on one stream is the limit, and QUIC's number of streams that of
//!   requests. [`Limits`](crate::Limits) hold for what is a session's.
//! - **Priorities** (PRIORITY_UPDATE) are not shown, nor final sizes, RESET_STREAM_AT and keying
//!   material.

mod answers;
mod commands;
mod connects;
mod demux;
mod lost;
mod openings;
mod pipe;
mod requests;
mod streams;
#[cfg(test)]
mod tests;
mod turn;
mod wake;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

/// The version of h3 that this joins.
pub use ::h3 as http3;

use ::h3::{
    error::ConnectionError,
    proto::varint::VarInt,
    quic::{BidiStream, Connection, OpenStreams, SendStreamUnframed},
    server::{self, Builder},
};

use crate::{
    Config, ConnectionLost, Dialect, Event, Requirement, SessionId, Side, Stats, StreamId,
    connection::{log::Log, seen::Seen},
    dialect,
    session::Session,
    wire::settings::Settings,
};
use connects::Connect;
use demux::Demux;
use openings::Openings;
use requests::{Head, Held};
use streams::Data;
use wake::Wakes;

pub use requests::OrdinaryRequest;

/// A QUIC connection that h3 runs on, with what sessions need besides: streams that take bytes as
/// they are. Every type that fits is one; `h3_quinn::Connection` does.
pub trait Stack:
    Connection<Bytes, RecvStream: Send + 'static>
    + OpenStreams<
        Bytes,
        SendStream: SendStreamUnframed<Bytes> + Send + 'static,
        BidiStream: BidiStream<
            Bytes,
            SendStream: SendStreamUnframed<Bytes> + Send + 'static,
            RecvStream: Send + 'static,
        >,
    >
{
}

impl<C> Stack for C where
    C: Connection<Bytes, RecvStream: Send + 'static>
        + OpenStreams<
            Bytes,
            SendStream: SendStreamUnframed<Bytes> + Send + 'static,
            BidiStream: BidiStream<
                Bytes,
                SendStream: SendStreamUnframed<Bytes> + Send + 'static,
                RecvStream: Send + 'static,
            >,
        >
{
}

/// What [`Host::poll`] gives.
#[expect(
    clippy::exhaustive_enums,
    reason = "deliberate: a server that ignores one is wrong"
)]
pub enum Output<C: Stack> {
    /// Of a session, or of the connection.
    Event(Event),
    /// A request that is no session's.
    Request(OrdinaryRequest<C>),
}

/// One connection of a server: h3's, with its sessions. See the [module](self) for how to drive it.
///
/// Commands are carried out at once as far as QUIC takes it, and otherwise by the next
/// [`poll`](Self::poll): poll after them. Dropping a host closes the connection.
pub struct Host<C: Stack> {
    h3: server::Connection<Demux<C>, Bytes>,
    config: Arc<Config>,
    ours: Settings,
    theirs: Option<Settings>,
    /// Known with their SETTINGS.
    agreement: Option<Result<Option<Dialect>, Requirement>>,
    openings: Openings<C>,
    may_stop_reading: bool,
    on_loss: Option<OnLoss>,
    /// Bidirectional streams of the peer's that do not say yet what they are.
    heads: BTreeMap<StreamId, Head<C>>,
    /// Sessions that are wanted before the SETTINGS are in.
    held: BTreeMap<StreamId, Held>,
    sessions: BTreeMap<SessionId, Connect>,
    streams: BTreeMap<StreamId, Data>,
    /// Datagrams of requests that have not come.
    early: VecDeque<Early>,
    /// The peer's bidirectional streams that were accepted.
    seen: Seen,
    /// h3 has to be asked which of its requests are done.
    tidy: bool,
    goaway: GoAway,
    phase: Phase,
    /// The latest time that a caller told.
    now: Option<Instant>,
    /// When all streams were last asked for STOP_SENDING.
    probed: Option<Instant>,
    wakes: Wakes,
    out: VecDeque<Output<C>>,
    /// How many of them are datagrams.
    datagrams: u32,
    stats: Stats,
    log: Log,
}

type OnLoss = Box<dyn Fn() -> Option<ConnectionLost> + Send>;

struct Early {
    session: SessionId,
    payload: Bytes,
    due: Option<Instant>,
}

#[derive(Default)]
struct GoAway {
    /// Requests from this id on are refused.
    sent: Option<VarInt>,
    received: Option<u64>,
}

#[derive(Debug)]
enum Phase {
    Running,
    /// Every session was closed: the connection is, when the peer knows or this is over.
    Ending {
        until: Option<Instant>,
        /// How long it waits besides, when the peer knows; `None` when it does.
        parting: Option<Duration>,
    },
    /// The connection is gone; what had come before is still read.
    Lost(ConnectionLost),
    /// That was told.
    Over,
}

/// How long STOP_SENDING may go unnoticed on a silent connection.
const PROBE: Duration = Duration::from_secs(1);

impl<C: Stack> Host<C> {
    /// The server's end of a connection, with h3's defaults. Of `config` the dialects other than
    /// [`Dialect::Draft02`], flow control and `deadlines.idle_connection` have no effect.
    ///
    /// # Errors
    /// Those of [`Builder::build`]: QUIC is gone already.
    pub async fn server(quic: C, config: Arc<Config>) -> Result<Self, ConnectionError> {
        Self::server_with(&mut server::builder(), quic, config).await
    }

    /// The same, with h3's own settings as in `builder`. What sessions need is set in it: WebTransport,
    /// Extended CONNECT, datagrams, the number of sessions, and no GREASE, for whose sake h3 loses a
    /// frame of the control stream when QUIC is blocked.
    ///
    /// # Errors
    /// Those of [`Builder::build`]: QUIC is gone already.
    pub async fn server_with(
        builder: &mut Builder,
        quic: C,
        config: Arc<Config>,
    ) -> Result<Self, ConnectionError> {
        let sessions = u64::from(config.limits.sessions);
        let speaks = config.dialects.contains(Dialect::Draft02);
        let ours = Settings {
            enable_connect_protocol: 1,
            h3_datagram: 1,
            enable_webtransport: u64::from(speaks),
            max_sessions_draft04: Some(sessions),
            ..Settings::default()
        };
        builder
            .enable_webtransport(speaks)
            .enable_extended_connect(true)
            .enable_datagram(true)
            .max_webtransport_sessions(sessions)
            .send_grease(false);
        let wakes = Wakes::default();
        let opener = quic.opener();
        let h3 = builder.build(Demux::new(quic)).await?;
        Ok(Self {
            openings: Openings::new(opener, wakes.waker(openings::OPENINGS)),
            h3,
            config,
            ours,
            theirs: None,
            agreement: None,
            may_stop_reading: false,
            on_loss: None,
            heads: BTreeMap::new(),
            held: BTreeMap::new(),
            sessions: BTreeMap::new(),
            streams: BTreeMap::new(),
            early: VecDeque::new(),
            seen: Seen::default(),
            tidy: false,
            goaway: GoAway::default(),
            phase: Phase::Running,
            now: None,
            probed: None,
            wakes,
            out: VecDeque::new(),
            datagrams: 0,
            stats: Stats::default(),
            log: Log::new(Side::Server),
        })
    }

    /// Asks the stack itself why the connection is gone, because h3 tells less. With quinn, and the
    /// feature `quinn-proto`, `host.on_loss(move || connection.close_reason().map(Into::into))`, as
    /// `examples/h3_server` does.
    #[must_use]
    pub fn on_loss(mut self, reason: impl Fn() -> Option<ConnectionLost> + Send + 'static) -> Self {
        self.on_loss = Some(Box::new(reason));
        self
    }

    /// The stack takes `stop_sending` for a stream also while a read of it waits. Without this the
    /// code of a STOP_SENDING is mostly lost; with this `h3-quinn` 0.0.10 panics.
    #[must_use]
    pub fn may_stop_reading(mut self) -> Self {
        self.may_stop_reading = true;
        self
    }

    // ---- facts

    /// Sessions whose end has not been told, in order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> + '_ {
        let open = |connect: &Connect| !connect.session.is_closed();
        self.sessions
            .iter()
            .filter(move |(_, connect)| open(connect))
            .map(|(&session, _)| session)
    }

    /// When the peer last sent anything for a session; `None` when it is gone.
    #[must_use]
    pub fn last_activity(&self, session: SessionId) -> Option<Instant> {
        Some(self.sessions.get(&session)?.session.last_activity())
    }

    /// [`Event::ConnectionClosed`] is out or about to come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Lost(_) | Phase::Over)
    }

    /// What was absorbed and refused so far, ordinary requests aside.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let live = self
            .sessions
            .values()
            .map(|connect| connect.session.stats());
        live.fold(self.stats, Stats::plus)
    }

    // ---- inside

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
    }

    fn event(&mut self, event: Event) {
        let is_datagram = matches!(event, Event::DatagramReceived { .. });
        if is_datagram {
            if self.datagrams >= self.config.limits.undelivered_datagrams {
                self.stats.datagrams_absorbed += 1;
                return;
            }
            self.datagrams += 1;
        }
        self.out.push_back(Output::Event(event));
    }

    fn output(&mut self) -> Option<Output<C>> {
        let output = self.out.pop_front()?;
        if matches!(output, Output::Event(Event::DatagramReceived { .. })) {
            self.datagrams = self.datagrams.saturating_sub(1);
        }
        Some(output)
    }

    /// Whether requests are still announced.
    fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    fn session(&self, session: SessionId) -> Option<&Session> {
        Some(&self.sessions.get(&session)?.session)
    }
}

impl<C: Stack> fmt::Debug for Host<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("sessions", &self.sessions.keys())
            .field("streams", &self.streams.keys())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl<C: Stack> fmt::Debug for Output<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Request(request) => f.debug_tuple("Request").field(request).finish(),
        }
    }
}

/// `dialect` is asked here alone: what both sides' SETTINGS come to.
fn agree(ours: &Settings, theirs: &Settings) -> Result<Option<Dialect>, Requirement> {
    let transport = transport();
    dialect::choose(Side::Server, ours, theirs, &transport)
}

/// What is known of a stack under h3.
fn transport() -> crate::Transport {
    crate::Transport::new(crate::Support::Unknown)
}
