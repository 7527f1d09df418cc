//! The game server: sessions become players, positions go round, and who leaves is gone at once.
//!
//! One thread, one loop: take in what came, let timers run out, answer events, tell everybody
//! where everybody is. What the players do and why they leave it learns from events alone.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use mio::net::UdpSocket;
use quinn_proto::{TransportConfig, VarInt};
use webtransport_session::{
    CloseReason, Config, ConnectionLost, Dir, Event, Rejection, Request, Response, SessionId,
    StreamId,
    host::quinn_proto::{Endpoint, Peer, PeerId},
};

use crate::{
    Failure, clock,
    game::{Conduct, Departure, Game},
    identity::Identity,
    net::{self, Net, TICK, Waker},
    traces::Traces,
};

/// The one path that is not accepted, and how it is answered.
pub(crate) const REFUSED: (&str, StatusCode) = ("/refused", StatusCode::FORBIDDEN);
/// The path that [`Rules::slow`] is about.
pub(crate) const SLOW: &str = "/slow";
/// What a cheat is told.
pub(crate) const CHEATING: (u32, &str) = (4001, "that is outside the field");
/// What a peer is told who opens a stream: this game has none.
const NO_STREAMS: u32 = 1;

/// What is different from server to server.
pub(crate) struct Rules {
    pub(crate) sessions: Config,
    /// QUIC's idle timeout, in milliseconds.
    pub(crate) idle_ms: u32,
    /// How long a request for [`SLOW`] waits for its answer. `None`: it is a path like all others.
    pub(crate) slow: Option<Duration>,
    /// Where each connection is recorded.
    pub(crate) traces: Option<Traces>,
}

/// What the server noticed, for a log.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) at: Instant,
    pub(crate) conn: u64,
    pub(crate) fact: Fact,
}

#[derive(Debug)]
pub(crate) enum Fact {
    Requested {
        session: SessionId,
        request: Box<Request>,
    },
    Opened {
        session: SessionId,
        player: u32,
    },
    Closed {
        session: SessionId,
        reason: CloseReason,
        /// `None`: the session never opened.
        departure: Option<Departure>,
    },
    ConnectionClosed {
        reason: ConnectionLost,
    },
}

pub(crate) struct Server<R> {
    net: Net,
    waker: Waker,
    /// A session is unique within its connection only: the first of each connection is 0.
    game: Game<(PeerId, SessionId)>,
    slow: Option<Duration>,
    /// Requests that wait for their answer, the next one first.
    waiting: VecDeque<(Instant, PeerId, SessionId)>,
    report: R,
}

impl<R: FnMut(Report) -> Result<(), Failure>> Server<R> {
    pub(crate) fn new(
        sockets: Vec<UdpSocket>,
        identity: &Identity,
        rules: Rules,
        report: R,
    ) -> Result<Self, Failure> {
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(VarInt::from_u32(rules.idle_ms).into()));
        let mut quic = identity.server()?;
        quic.transport_config(Arc::new(transport));
        let mut net = Net::new(sockets, Endpoint::server(quic, Arc::new(rules.sessions)));
        if let Some(traces) = rules.traces {
            net.record(traces);
        }
        let waker = Waker::new().map_err(Failure::Socket)?;
        waker.watch(&mut net).map_err(Failure::Socket)?;
        Ok(Self {
            net,
            waker,
            game: Game::default(),
            slow: rules.slow,
            waiting: VecDeque::new(),
            report,
        })
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Result<(), Failure> {
        let mut now = clock::now();
        let mut tick = now;
        while !stop.load(Ordering::Relaxed) {
            let more = self.net.receive(now);
            self.net.expire(now);
            self.answer_waiting(now);
            self.drive(now)?;
            if tick <= now {
                self.game.tick(now);
                self.tell_everybody();
                self.drive(now)?;
                tick = now + TICK;
            }
            let until = net::earlier(tick, self.net.timeout());
            let until = if more { now } else { until };
            now = self.waker.wait(until).map_err(Failure::Socket)?;
        }
        Ok(())
    }

    /// Answers all events, and sends what is to be sent.
    fn drive(&mut self, now: Instant) -> Result<(), Failure> {
        while let Some((conn, event)) = self.net.poll(now) {
            self.on_event(conn, event, now)?;
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an application looks at the events that mean something to it"
    )]
    fn on_event(&mut self, conn: PeerId, event: Event, now: Instant) -> Result<(), Failure> {
        match event {
            Event::SessionRequested { session, request } => {
                self.on_request(conn, session, request.path(), now);
                self.report(conn, Fact::Requested { session, request })
            }
            Event::SessionOpened { session, .. } => {
                let player = self.game.spawn((conn, session), now);
                self.report(conn, Fact::Opened { session, player })
            }
            Event::SessionClosed { session, reason } => {
                let departure = self.game.despawn((conn, session), &reason, now);
                if departure.is_some() {
                    self.tell_of_departure();
                }
                let fact = Fact::Closed {
                    session,
                    reason,
                    departure,
                };
                self.report(conn, fact)
            }
            Event::DatagramReceived { session, payload } => {
                if self.game.heard((conn, session), &payload, now) == Conduct::Cheating {
                    let (code, message) = CHEATING;
                    self.with(conn, |peer| {
                        peer.sessions().close(now, session, code, message);
                    });
                }
                Ok(())
            }
            Event::StreamOpened { stream, .. } => {
                self.refuse_stream(conn, stream);
                Ok(())
            }
            // The connection is forgotten by `Net` when its last packet is out.
            Event::ConnectionClosed { reason } => {
                self.report(conn, Fact::ConnectionClosed { reason })
            }
            // Nothing of ours hangs on these.
            _ => Ok(()),
        }
    }

    // ---- who may come

    fn on_request(&mut self, conn: PeerId, session: SessionId, path: &str, now: Instant) {
        let (refused, status) = REFUSED;
        if path == refused {
            self.with(conn, |peer| {
                let rejection = Rejection::from(status);
                let connection = peer.sessions();
                let _left_meanwhile = connection.reject(now, session, rejection);
            });
            return;
        }
        match self.slow.filter(|_| path == SLOW) {
            Some(wait) => self.waiting.push_back((now + wait, conn, session)),
            None => self.accept(conn, session, now),
        }
    }

    fn accept(&mut self, conn: PeerId, session: SessionId, now: Instant) {
        self.with(conn, |peer| {
            let connection = peer.sessions();
            let _left_meanwhile = connection.accept(now, session, Response::default());
        });
    }

    fn answer_waiting(&mut self, now: Instant) {
        while let Some(&(due, conn, session)) = self.waiting.front() {
            if due > now {
                break;
            }
            self.waiting.pop_front();
            self.accept(conn, session, now);
        }
    }

    // ---- what the players are told

    /// Where everybody is, as datagrams: what is lost is told again by the next tick.
    fn tell_everybody(&mut self) {
        for (conn, session) in self.game.players() {
            let Some(peer) = self.net.peer(conn) else {
                continue;
            };
            let Some(largest) = peer.max_datagram_size(session) else {
                continue;
            };
            for datagram in self.game.state_for((conn, session), largest) {
                let _lost = peer.send_datagram(session, &datagram);
            }
        }
    }

    /// The latest departure does not wait for the next tick.
    fn tell_of_departure(&mut self) {
        let Some(datagram) = self.game.last_departure() else {
            return;
        };
        for (conn, session) in self.game.players() {
            if let Some(peer) = self.net.peer(conn) {
                let _lost = peer.send_datagram(session, datagram);
            }
        }
    }

    // ---- helpers

    /// This game has no streams, so that none is kept.
    fn refuse_stream(&mut self, conn: PeerId, stream: StreamId) {
        self.with(conn, |peer| {
            let connection = peer.sessions();
            let _over_already = connection.stop(stream, NO_STREAMS);
            if stream.dir() == Dir::Bi {
                let _over_already = connection.reset(stream, NO_STREAMS);
            }
        });
    }

    fn with(&mut self, conn: PeerId, command: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.net.peer(conn) {
            command(peer);
        }
    }

    fn report(&mut self, conn: PeerId, fact: Fact) -> Result<(), Failure> {
        let at = clock::now();
        let conn = conn.into();
        (self.report)(Report { at, conn, fact })
    }
}
