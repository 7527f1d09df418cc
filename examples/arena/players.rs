//! Players without a screen: each joins over a socket of its own, walks about, and leaves its way.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::Uri;
use mio::net::UdpSocket;
use quinn_proto::TransportConfig;
use webtransport_session::{
    Config, Event, Request, SessionId,
    host::quinn_proto::{Endpoint, PeerId},
};

use crate::{
    Failure, clock,
    format::{self, FIELD, Position},
    identity::Identity,
    net::{self, Net, TICK, Waker},
    ways::{Cue, Then, Way},
};

/// From one player's arrival to the next.
const ARRIVALS: Duration = Duration::from_millis(60);
/// When the first leaves, and how long after it the next does.
const FIRST_LEAVES: Duration = Duration::from_millis(1500);
const DEPARTURES: Duration = Duration::from_millis(200);
/// How long a player waits who will not wait for the answer.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often those say that they are there who say nothing else.
const KEEP_ALIVE: Duration = Duration::from_millis(400);

/// All of them, in one thread.
pub(crate) struct Players<R> {
    players: Vec<Player>,
    waker: Waker,
    /// Told of each act, in the moment before it.
    report: R,
}

impl<R: FnMut(Way, Instant)> Players<R> {
    /// One player for each way of leaving, spread over the server's addresses.
    pub(crate) fn new(
        servers: &[SocketAddr],
        identity: &Identity,
        report: R,
    ) -> Result<Self, Failure> {
        let waker = Waker::new().map_err(Failure::Socket)?;
        let mut arrives = clock::now();
        let mut leaves = arrives + FIRST_LEAVES;
        let mut players = Vec::new();
        for (way, server) in Way::ALL.into_iter().zip(servers.iter().cycle()) {
            let mut player = Player::new(way, *server, identity, arrives, leaves)?;
            waker.watch(&mut player.net).map_err(Failure::Socket)?;
            players.push(player);
            arrives += ARRIVALS;
            leaves += DEPARTURES;
        }
        Ok(Self {
            players,
            waker,
            report,
        })
    }

    /// Plays until told to stop.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Result<(), Failure> {
        let mut now = clock::now();
        while !stop.load(Ordering::Relaxed) {
            let mut until = now + TICK;
            for player in &mut self.players {
                let more = player.turn(now, &mut self.report);
                let due = if more { Some(now) } else { player.due() };
                until = net::earlier(until, due);
            }
            // With a player who vanished goes the socket, and nobody answers there any more.
            self.players.retain(|player| !player.is_gone);
            now = self.waker.wait(until).map_err(Failure::Socket)?;
        }
        Ok(())
    }
}

struct Player {
    way: Way,
    net: Net,
    config: quinn_proto::ClientConfig,
    server: SocketAddr,
    leaves: Instant,
    state: State,
    next_position: Instant,
    steps: u16,
    is_gone: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Connects at this time.
    Away(Instant),
    /// Is being let in.
    Arriving,
    /// Acts at this time.
    Playing(Place, Instant),
    /// Has asked, and gives up at this time.
    Asking(Place, Instant),
    /// Has acted, and acts once more at this time.
    Leaving(Place, Instant),
    Left,
}

/// The connection and the session of a player.
type Place = (PeerId, SessionId);

impl Player {
    fn new(
        way: Way,
        server: SocketAddr,
        identity: &Identity,
        arrives: Instant,
        leaves: Instant,
    ) -> Result<Self, Failure> {
        let from = SocketAddr::new(server.ip(), 0);
        let socket = UdpSocket::bind(from).map_err(Failure::Socket)?;
        let mut transport = TransportConfig::default();
        transport.keep_alive_interval(way.keeps_alive().then_some(KEEP_ALIVE));
        let mut config = identity.client()?;
        config.transport_config(Arc::new(transport));
        Ok(Self {
            way,
            net: Net::new(vec![socket], Endpoint::client(Arc::new(Config::default()))),
            config,
            server,
            leaves,
            state: State::Away(arrives),
            next_position: arrives,
            steps: 0,
            is_gone: false,
        })
    }

    /// Does what is due. True if there may be more to receive.
    fn turn(&mut self, now: Instant, report: &mut impl FnMut(Way, Instant)) -> bool {
        let more = self.net.receive(now);
        self.net.expire(now);
        self.drive(now, report);
        self.act(now, report);
        self.drive(now, report);
        more
    }

    fn due(&self) -> Option<Instant> {
        let due = match self.state {
            State::Away(at)
            | State::Playing(_, at)
            | State::Asking(_, at)
            | State::Leaving(_, at) => Some(at),
            State::Arriving | State::Left => None,
        };
        due.into_iter().chain(self.net.timeout()).min()
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an application looks at the events that mean something to it"
    )]
    fn drive(&mut self, now: Instant, report: &mut impl FnMut(Way, Instant)) {
        while let Some((conn, event)) = self.net.poll(now) {
            match event {
                Event::Ready(_) => self.ask(conn, now, report),
                Event::SessionOpened { session, .. } => {
                    self.state = State::Playing((conn, session), self.leaves.max(now));
                }
                Event::SessionClosed { .. } => self.state = State::Left,
                // A player without a screen looks at nothing else.
                _ => {}
            }
        }
    }

    /// Asks to be let in. What fails here shows as an ending that never comes.
    fn ask(&mut self, conn: PeerId, now: Instant, report: &mut impl FnMut(Way, Instant)) {
        let (path, name) = (self.way.path(), self.way.name());
        let uri = format!("https://localhost:{}{path}?way={name}", self.server.port());
        let (Ok(uri), Some(peer)) = (uri.parse::<Uri>(), self.net.peer(conn)) else {
            return;
        };
        let acts_now = self.way.cue() == Cue::Request;
        if acts_now {
            report(self.way, clock::now());
        }
        let request = Request::new(uri);
        let Ok(session) = peer.connect(now, &request) else {
            return;
        };
        if self.way.cue() == Cue::Unanswered {
            self.state = State::Asking((conn, session), now + PATIENCE);
        }
    }

    fn act(&mut self, now: Instant, report: &mut impl FnMut(Way, Instant)) {
        match self.state {
            State::Away(arrives) if arrives <= now => {
                let config = self.config.clone();
                let _conn = self.net.connect(now, config, self.server);
                self.state = State::Arriving;
            }
            State::Playing(place, leaves) if leaves > now => self.walk(place, now),
            State::Playing(place, at) | State::Asking(place, at) if at <= now => {
                self.leave(place, now, report);
            }
            State::Leaving((conn, session), at) if at <= now => {
                if let Some(peer) = self.net.peer(conn) {
                    self.way.act_again(peer, session, now);
                }
                self.state = State::Left;
            }
            State::Away(_)
            | State::Arriving
            | State::Playing(..)
            | State::Asking(..)
            | State::Leaving(..)
            | State::Left => {}
        }
    }

    fn leave(
        &mut self,
        (conn, session): Place,
        now: Instant,
        report: &mut impl FnMut(Way, Instant),
    ) {
        self.state = State::Left;
        let Some(peer) = self.net.peer(conn) else {
            return;
        };
        report(self.way, clock::now());
        match self.way.act(peer, session, now) {
            Then::Lingers => {}
            Then::ActsAgain(wait) => self.state = State::Leaving((conn, session), now + wait),
            Then::IsGone => self.is_gone = true,
        }
    }

    /// Sends a position, twenty times a second.
    fn walk(&mut self, (conn, session): Place, now: Instant) {
        if self.next_position > now {
            return;
        }
        self.next_position = now + TICK;
        self.steps = self.steps.wrapping_add(8);
        let position = Position {
            x: self.steps % FIELD.x,
            y: self.server.port() % FIELD.y,
        };
        if let Some(peer) = self.net.peer(conn) {
            let datagram = format::encode_position(position);
            let _lost = peer.send_datagram(session, &datagram);
        }
    }
}
