//! What our application does in front of a peer, in either role, and what it is told.
//!
//! Both sides open a unidirectional stream with [`READY`] when the session is open for them, and act
//! when they have the other's: then nothing races with the opening.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, StatusCode, header::LOCATION};
use quinn_proto::VarInt;
use webtransport_session::{
    CloseReason, Config, ConnectionLost, Dialect, Dir, Event, Rejection, Request, Response,
    SessionId, Side, StreamId,
    host::quinn_proto::{Endpoint, Peer, PeerId},
};

use crate::{
    identity::Identity,
    node::{Application, Node, Seen},
};

/// What each side says on a stream of its own as soon as the session is open.
pub(crate) const READY: &[u8] = b"ready";
/// What is on a stream that its receiver is to abort.
pub(crate) const ABORT: &[u8] = b"abort";

/// What a peer may take to close the connection after a session of its.
const MOMENT: Duration = Duration::from_millis(250);

/// What our application does when the session is open at both ends, if it is not said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Waits for the peer.
    Wait,
    /// `close` with code and message.
    Close(u32, String),
    /// `shutdown` of the connection with code and message.
    Shutdown(u32, &'static str),
    /// Closes the QUIC connection.
    Abort(u64, &'static str),
    /// Drains, and waits.
    Drain,
    /// Sends GOAWAY, and waits.
    GoAway,
    /// FIN on the CONNECT stream, behind the crate's back.
    Fin,
    /// RESET_STREAM on the CONNECT stream, behind the crate's back.
    Reset(u64),
    /// STOP_SENDING on the CONNECT stream, behind the crate's back.
    Stop(u64),
    /// Cuts the network.
    Vanish,
    /// Sends on a stream and in a datagram, gets both back, and closes with 0.
    Converse,
    /// Resets a stream of the peer with 71 and stops it with 72, has one of its own treated so by
    /// the peer, and closes with 0.
    AbortStreams,
    /// Sends a datagram, and waits.
    Datagram,
    /// Server: answers with this status.
    Reject(u16),
    /// Server: answers with 302.
    Redirect,
    /// Server: does not answer.
    Withhold,
    /// Client: closes before the answer.
    CloseEarly(u32),
    /// Client: asks for another session on the same connection.
    Second,
}

/// How our side is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) act: Act,
    pub(crate) config: Config,
    /// The idle timeout of its QUIC.
    pub(crate) idle: Duration,
    /// When it is given up.
    pub(crate) patience: Duration,
    /// How many sessions end before it closes the connection.
    pub(crate) sessions: usize,
    /// Client: bidirectional streams to use up before the request, so that its id is not 0.
    pub(crate) skip: usize,
}

impl Setup {
    /// With deadlines that are short.
    pub(crate) fn new(act: Act) -> Self {
        let mut config = Config::default();
        config.deadlines.request = Some(Duration::from_secs(1));
        config.deadlines.linger = Duration::from_millis(500);
        config.deadlines.idle_connection = Some(Duration::from_secs(2));
        Self {
            act,
            config,
            idle: Duration::from_secs(5),
            // Also for a peer that starts slowly on a busy machine.
            patience: Duration::from_secs(30),
            sessions: 1,
            skip: 0,
        }
    }
}

/// What our application was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Each session with the reason of its end, in the order of the ends.
    pub(crate) reasons: Vec<(u64, CloseReason)>,
    /// How the connection ended; `None`: it hung.
    pub(crate) connection: Option<ConnectionLost>,
    /// What came in a session, in words.
    pub(crate) notes: Vec<String>,
    /// What is spoken; at a server, as the first request says.
    pub(crate) dialect: Option<Dialect>,
}

/// One end of ours with one connection.
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    node: Node,
    told: Arc<Mutex<Told>>,
    patience: Duration,
    sessions: usize,
}

impl Ours {
    /// A server, whose network `cut` cuts.
    pub(crate) fn server(
        identity: &Identity,
        setup: Setup,
        cut: Box<dyn Fn() + Send>,
    ) -> anyhow::Result<Self> {
        let quic = identity.server(setup.idle)?;
        let endpoint = Endpoint::server(quic, Arc::new(setup.config.clone()));
        Self::start(endpoint, setup, Side::Server, cut)
    }

    fn start(
        endpoint: Endpoint,
        setup: Setup,
        side: Side,
        cut: Box<dyn Fn() + Send>,
    ) -> anyhow::Result<Self> {
        let told = Arc::<Mutex<Told>>::default();
        let (patience, sessions) = (setup.patience, setup.sessions);
        let plays = Plays {
            setup,
            side,
            cut,
            told: Arc::clone(&told),
            received: BTreeMap::new(),
            awaited: 0,
        };
        let node = Node::start(endpoint, plays)?;
        Ok(Self {
            address: node.address,
            node,
            told,
            patience,
            sessions,
        })
    }

    /// Client: connects, through a network that `cut` cuts.
    pub(crate) fn client(
        identity: &Identity,
        setup: Setup,
        server: SocketAddr,
        cut: Box<dyn Fn() + Send>,
    ) -> anyhow::Result<Self> {
        let quic = identity.client(setup.idle)?;
        let endpoint = Endpoint::client(Arc::new(setup.config.clone()));
        let ours = Self::start(endpoint, setup, Side::Client, cut)?;
        ours.node
            .call(move |now, turn| turn.endpoint.connect(now, quic, server, "localhost"))??;
        Ok(ours)
    }

    /// Waits until all sessions have ended and the connection is over: by the peer, who has a
    /// moment for that, or else by us. Its last packets are sent until this is dropped.
    pub(crate) fn wait(&self) -> Told {
        let is_over = |seen: &Seen| matches!(seen.event, Event::ConnectionClosed { .. });
        let mut ended = 0;
        let last = self.node.wait("end", self.patience, |seen| {
            ended += usize::from(matches!(seen.event, Event::SessionClosed { .. }));
            (ended == self.sessions || is_over(seen)).then(|| seen.clone())
        });
        if let Ok(last) = last.as_ref()
            && !is_over(last)
        {
            let over = |seen: &Seen| is_over(seen).then_some(());
            if self.node.wait("end", MOMENT, over).is_err() {
                let id = last.peer;
                let _gone = self.node.call(move |now, turn| {
                    if let Some(peer) = turn.endpoint.peer(id) {
                        peer.sessions().shutdown(now, 0, "");
                    }
                });
                let _hung = self.node.wait("end", self.patience, over);
            }
        }
        lock(&self.told).clone()
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Plays {
    setup: Setup,
    side: Side,
    cut: Box<dyn Fn() + Send>,
    told: Arc<Mutex<Told>>,
    /// What came on streams that have not ended.
    received: BTreeMap<StreamId, Vec<u8>>,
    /// What of [`Act::Converse`] or [`Act::AbortStreams`] is still to come back.
    awaited: usize,
}

impl Application for Plays {
    fn event(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        id: PeerId,
        event: Event,
    ) -> Option<Event> {
        match endpoint.peer(id) {
            Some(peer) => self.take(now, peer, &event),
            None => self.note(format!("after the end: {event:?}")),
        }
        Some(event)
    }
}

impl Plays {
    fn note(&self, note: String) {
        lock(&self.told).notes.push(note);
    }

    fn take(&mut self, now: Instant, peer: &mut Peer, event: &Event) {
        match event {
            Event::Ready(negotiated) if self.side == Side::Client => {
                lock(&self.told).dialect = negotiated.dialect;
                for _ in 0..self.setup.skip {
                    skip_a_stream(peer);
                }
                self.connect(now, peer);
            }
            Event::Unsupported(missing) => {
                self.note(format!("unsupported: {missing:?}"));
                peer.sessions().shutdown(now, 0, "");
            }
            Event::SessionRequested { session, request } => {
                lock(&self.told).dialect = request.dialect;
                answer(peer, now, *session, &self.setup.act);
            }
            Event::SessionOpened { session, .. } => {
                if let Ok(stream) = peer.open(now, *session, Dir::Uni) {
                    let _written = peer.write(stream, READY);
                    let _gone = peer.sessions().finish(stream);
                }
            }
            Event::SessionDraining { session } => self.note(format!("{session}: draining")),
            Event::SessionClosed { session, reason } => {
                let session = u64::from(session.connect_stream());
                lock(&self.told).reasons.push((session, reason.clone()));
            }
            Event::DatagramReceived { session, payload } => {
                let text = payload.escape_ascii();
                self.note(format!("{session}: datagram {text}"));
                if payload.starts_with(b"o-") {
                    self.came_back(now, peer, *session);
                } else {
                    let _lost = peer.send_datagram(*session, payload);
                }
            }
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } => {
                let received = self.received.entry(*stream).or_default();
                received.extend_from_slice(data);
                if received == ABORT && stream.initiator() != self.side {
                    let _gone = peer.sessions().reset(*stream, 71);
                    let _gone = peer.sessions().stop(*stream, 72);
                }
                if *fin {
                    let all = self.received.remove(stream).unwrap_or_default();
                    self.stream_ended(now, peer, *session, *stream, &all);
                }
            }
            Event::StreamReset { session, code, .. } => {
                self.note(format!("{session}: stream reset with {code:?}"));
                self.came_back(now, peer, *session);
            }
            Event::StreamStopped { session, code, .. } => {
                self.note(format!("{session}: stream stopped with {code:?}"));
                self.came_back(now, peer, *session);
            }
            Event::ConnectionClosed { reason } => {
                lock(&self.told).connection = Some(reason.clone());
            }
            _ => {}
        }
    }

    fn connect(&mut self, now: Instant, peer: &mut Peer) {
        let Ok(uri) = "https://localhost/peers?a=1".parse() else {
            return;
        };
        match peer.connect(now, &Request::new(uri)) {
            Ok(session) => {
                if let Act::CloseEarly(code) = self.setup.act {
                    peer.sessions().close(now, session, code, "");
                }
            }
            Err(error) => {
                self.note(format!("connect: {error}"));
                peer.sessions().shutdown(now, 0, "");
            }
        }
    }

    fn stream_ended(
        &mut self,
        now: Instant,
        peer: &mut Peer,
        session: SessionId,
        stream: StreamId,
        data: &[u8],
    ) {
        if data == READY {
            self.act(now, peer, session);
            return;
        }
        let dir = stream.dir();
        let text = data.escape_ascii();
        self.note(format!("{session}: {dir:?} {text}"));
        if stream.initiator() == self.side {
            self.came_back(now, peer, session);
        } else if dir == Dir::Bi {
            let _written = peer.write(stream, data);
            let _gone = peer.sessions().finish(stream);
        } else if data == b"done" {
            self.came_back(now, peer, session);
        }
    }

    /// One more of the things that a conversation waits for.
    fn came_back(&mut self, now: Instant, peer: &mut Peer, session: SessionId) {
        self.awaited = self.awaited.saturating_sub(1);
        let is_script = matches!(self.setup.act, Act::Converse | Act::AbortStreams);
        if self.awaited == 0 && is_script {
            peer.sessions().close(now, session, 0, "");
        }
    }

    fn act(&mut self, now: Instant, peer: &mut Peer, session: SessionId) {
        let stream = session.connect_stream();
        match self.setup.act.clone() {
            Act::Close(code, message) => peer.sessions().close(now, session, code, message),
            Act::Shutdown(code, message) => peer.sessions().shutdown(now, code, message),
            Act::Abort(code, reason) => peer.abort(now, code, reason.as_bytes()),
            Act::Drain => peer.sessions().drain(session),
            Act::GoAway => peer.sessions().go_away(),
            Act::Fin => _ = peer.quic.send_stream(stream.into()).finish(),
            Act::Reset(code) => reset(peer, stream, code),
            Act::Stop(code) => stop(peer, stream, code),
            Act::Vanish => (self.cut)(),
            Act::Converse => {
                // Both of ours, and the peer's word that it has all of its own.
                self.awaited = 3;
                if let Ok(stream) = peer.open(now, session, Dir::Bi) {
                    let _written = peer.write(stream, b"o-bi");
                    let _gone = peer.sessions().finish(stream);
                }
                let _lost = peer.send_datagram(session, b"o-datagram");
            }
            Act::Datagram => _ = peer.send_datagram(session, b"o-datagram"),
            Act::AbortStreams => {
                // Both ends of ours, and the peer's word that both of its own are.
                self.awaited = 3;
                if let Ok(stream) = peer.open(now, session, Dir::Bi) {
                    let _written = peer.write(stream, ABORT);
                }
            }
            Act::Second => {
                self.setup.act = Act::Wait;
                self.connect(now, peer);
            }
            Act::Wait | Act::Reject(_) | Act::Redirect | Act::Withhold | Act::CloseEarly(_) => {}
        }
    }
}

fn answer(peer: &mut Peer, now: Instant, session: SessionId, act: &Act) {
    let rejection = match act {
        Act::Withhold => return,
        Act::Reject(status) => StatusCode::from_u16(*status).ok().map(Rejection::from),
        Act::Redirect => Some(redirect()),
        _ => None,
    };
    // Errors: it left meanwhile.
    let _left = match rejection {
        Some(rejection) => peer.sessions().reject(now, session, rejection),
        None => peer.sessions().accept(now, session, Response::default()),
    };
}

/// What [`Act::Redirect`] answers.
pub(crate) fn redirect() -> Rejection {
    let mut rejection = Rejection::from(StatusCode::FOUND);
    let elsewhere = HeaderValue::from_static("https://example.net/");
    rejection.headers.insert(LOCATION, elsewhere);
    rejection
}

fn reset(peer: &mut Peer, stream: StreamId, code: u64) {
    if let Ok(code) = VarInt::from_u64(code) {
        let _closed = peer.quic.send_stream(stream.into()).reset(code);
    }
}

fn stop(peer: &mut Peer, stream: StreamId, code: u64) {
    if let Ok(code) = VarInt::from_u64(code) {
        let _closed = peer.quic.recv_stream(stream.into()).stop(code);
    }
}

fn skip_a_stream(peer: &mut Peer) {
    if let Some(id) = peer.quic.streams().open(quinn_proto::Dir::Bi) {
        let _closed = peer.quic.send_stream(id).reset(VarInt::from_u32(0x10c));
    }
}
