//! A client and a server, and between them a network that delays what it likes, keeps only the order
//! within each stream, and may be gone at any time.
//!
//! Everything an end wants is done at once; what reaches the other end, and when, is explored.
//! Streams are named by QUIC in the order in which they are opened, so that what is opened alike is
//! called alike. Clocks stand still until [`Move::Wait`], which takes them to the next deadline and
//! sets everything back by as much, so that states do not differ by when they are reached.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use webtransport_session::{
    Action, Config, Connection, ConnectionLost, Dialect, Dialects, Dir, Event, FlowControl, Input,
    OpenError, Output, Rejection, Request, Response, SendError, SessionId, Side, StreamId, Support,
    Transport,
};

use crate::{
    application::{Application, agree, wrong},
    network::{Network, Packet, carry},
    search::World,
};

/// What may be done in all, and where.
pub struct Plan {
    dialect: Dialect,
    flow_control: Option<FlowControl>,
    /// How often each command may be given.
    commands: &'static [(Side, Command, u8)],
    /// How often the network may fail.
    cuts: u8,
    /// How often a deadline may come while there is something else to do.
    waits: u8,
    /// QUIC takes what is written when it likes.
    slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    Connect,
    Accept,
    Reject,
    Close,
    Drain,
    GoAway,
    ShutDown,
    Open(Dir),
    /// Two bytes.
    Write,
    Finish,
    Reset,
    Stop,
    Datagram,
}

use Command::{
    Accept, Close, Connect, Datagram, Drain, Finish, GoAway, Open, Reject, Reset, ShutDown, Stop,
    Write,
};
use Side::{Client, Server};

/// Two sessions, every way to end one, and a network that fails.
pub const MEETING: Plan = Plan {
    dialect: Dialect::Draft02,
    flow_control: None,
    commands: &[
        (Client, Connect, 2),
        (Server, Accept, 2),
        (Server, Reject, 1),
        (Client, Close, 2),
        (Server, Close, 2),
        (Server, Drain, 1),
    ],
    cuts: 1,
    waits: 2,
    slow: true,
};

/// One session with streams and datagrams on it.
pub const TALKING: Plan = Plan {
    dialect: Dialect::Draft16,
    flow_control: None,
    commands: &[
        (Client, Connect, 1),
        (Server, Accept, 1),
        (Client, Open(Dir::Bi), 1),
        (Server, Open(Dir::Uni), 1),
        (Client, Write, 1),
        (Server, Write, 1),
        (Client, Finish, 1),
        (Server, Finish, 1),
        (Server, Reset, 1),
        (Client, Stop, 1),
        (Server, Datagram, 1),
        (Client, Close, 1),
        (Server, Close, 1),
    ],
    cuts: 1,
    waits: 1,
    slow: false,
};

/// One session in which there is room for one stream of each kind and three bytes.
pub const COUNTING: Plan = Plan {
    dialect: Dialect::Draft16,
    flow_control: Some(FlowControl::new(3, 1, 1)),
    commands: &[
        (Client, Connect, 1),
        (Server, Accept, 1),
        (Client, Open(Dir::Uni), 3),
        (Server, Open(Dir::Bi), 2),
        (Client, Write, 3),
        (Client, Finish, 2),
        (Client, Reset, 1),
        (Server, Finish, 2),
        (Server, Stop, 1),
        (Client, Stop, 1),
        (Client, Close, 1),
    ],
    cuts: 0,
    waits: 1,
    slow: false,
};

/// Either side leaves while requests are on their way.
pub const LEAVING: Plan = Plan {
    dialect: Dialect::Draft07,
    flow_control: None,
    commands: &[
        (Client, Connect, 2),
        (Server, Accept, 2),
        (Server, Reject, 1),
        (Server, GoAway, 1),
        (Client, ShutDown, 1),
        (Server, ShutDown, 1),
        (Server, Close, 1),
        (Client, Open(Dir::Uni), 1),
    ],
    cuts: 1,
    waits: 2,
    slow: false,
};

/// More than can be explored: for walks by chance.
#[allow(dead_code, reason = "for fuzzing")]
pub const EVERYTHING: Plan = Plan {
    dialect: Dialect::Draft16,
    flow_control: Some(FlowControl::new(5, 2, 2)),
    commands: &[
        (Client, Connect, 9),
        (Server, Accept, 9),
        (Server, Reject, 2),
        (Client, Close, 9),
        (Server, Close, 9),
        (Client, Drain, 2),
        (Server, Drain, 2),
        (Server, GoAway, 1),
        (Client, ShutDown, 1),
        (Server, ShutDown, 1),
        (Client, Open(Dir::Uni), 30),
        (Client, Open(Dir::Bi), 30),
        (Server, Open(Dir::Uni), 30),
        (Server, Open(Dir::Bi), 30),
        (Client, Write, 60),
        (Server, Write, 60),
        (Client, Finish, 30),
        (Server, Finish, 30),
        (Client, Reset, 30),
        (Server, Reset, 30),
        (Client, Stop, 30),
        (Server, Stop, 30),
        (Client, Datagram, 30),
        (Server, Datagram, 30),
    ],
    cuts: 1,
    waits: 20,
    slow: true,
};

#[derive(Clone, Debug)]
pub enum Move {
    /// The next bytes of a stream reach an end.
    Arrive(Side, StreamId),
    /// A reset reaches an end, and not the bytes before it.
    Overtake(Side, StreamId),
    /// STOP_SENDING reaches an end.
    Stop(Side, StreamId),
    Datagram(Side),
    LoseDatagram(Side),
    /// CONNECTION_CLOSE reaches an end.
    Closed(Side),
    /// QUIC at this end hears nothing any more.
    Cut(Side),
    /// QUIC takes what was written.
    Take(Side, StreamId),
    /// Until the next deadline.
    Wait,
    Command(Side, usize),
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct End {
    machine: Connection,
    incoming: Network,
    application: Application,
    /// Writes that QUIC has not taken.
    untaken: Vec<(StreamId, Bytes, bool)>,
    opened: [u64; 2],
    /// Streams that the application may write, and those that it may read.
    writes: BTreeSet<StreamId>,
    reads: BTreeSet<StreamId>,
    /// Streams that the peer opened: told once each.
    told: BTreeSet<StreamId>,
    /// Whose the streams are.
    owners: BTreeMap<StreamId, SessionId>,
}

#[derive(Clone)]
pub struct Joined {
    client: End,
    server: End,
    left: Vec<u8>,
    cuts: u8,
    waits: u8,
    plan: &'static Plan,
}

impl std::hash::Hash for Joined {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.client, &self.server).hash(state);
        (&self.left, self.cuts, self.waits).hash(state);
    }
}

/// What time it always is.
#[expect(clippy::disallowed_methods, reason = "an origin; only offsets matter")]
static NOW: LazyLock<Instant> = LazyLock::new(|| Instant::now() + Duration::from_secs(86400));

fn now() -> Instant {
    *NOW
}

impl End {
    fn new(machine: Connection) -> Self {
        Self {
            machine,
            incoming: Network::default(),
            application: Application::default(),
            untaken: Vec::new(),
            opened: [0; 2],
            writes: BTreeSet::new(),
            reads: BTreeSet::new(),
            told: BTreeSet::new(),
            owners: BTreeMap::new(),
        }
    }

    /// The stream that QUIC opens next.
    fn next_stream(&mut self, dir: Dir) -> StreamId {
        let count = &mut self.opened[usize::from(dir == Dir::Uni)];
        *count += 1;
        StreamId::new(self.machine.side(), dir, *count - 1)
    }

    fn is_live(&self) -> bool {
        self.application.lost.is_none()
    }

    /// The first session that is (not) open yet.
    fn session(&self, opened: bool) -> Option<SessionId> {
        let mut sessions = self.application.sessions.iter();
        let wanted = sessions.find(|(_, told)| told.closed.is_none() && told.opened == opened);
        wanted.map(|(&id, _)| id)
    }
}

impl Joined {
    pub fn new(plan: &'static Plan) -> Self {
        let mut config = Config::default();
        config.flow_control = plan.flow_control;
        config.dialects = Dialects::only(plan.dialect);
        config.deadlines.idle_connection = None;
        let config = Arc::new(config);
        let mut joined = Self {
            client: End::new(Connection::client(config.clone())),
            server: End::new(Connection::server(config)),
            left: plan.commands.iter().map(|&(.., times)| times).collect(),
            cuts: plan.cuts,
            waits: plan.waits,
            plan,
        };
        for side in [Client, Server] {
            let end = joined.end(side);
            let control = end.next_stream(Dir::Uni);
            end.machine.start(now(), Transport::new(Support::Yes));
            end.machine.protocol_stream().unwrap().bind(control);
            joined.drain(side).unwrap();
            while let Some(&(stream, ..)) = joined.end(side).untaken.first() {
                joined.make(&Move::Take(side, stream)).unwrap();
            }
        }
        joined
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Client => &mut self.client,
            Server => &mut self.server,
        }
    }

    fn ends(&mut self, side: Side) -> (&mut End, &mut End) {
        match side {
            Client => (&mut self.client, &mut self.server),
            Server => (&mut self.server, &mut self.client),
        }
    }

    fn tell(&mut self, side: Side, input: Input) -> Result<(), String> {
        self.end(side).machine.handle(now(), input);
        self.drain(side)
    }

    fn move_on(&mut self, step: &Move) -> Result<(), String> {
        match *step {
            Move::Arrive(side, stream) => {
                let packet = self.end(side).incoming.next(stream).unwrap();
                self.arrive(side, stream, packet)
            }
            Move::Overtake(side, stream) => {
                let packet = self.end(side).incoming.overtake(stream).unwrap();
                self.arrive(side, stream, packet)
            }
            Move::Stop(side, stream) => {
                let end = self.end(side);
                let code = end.incoming.stops.remove(&stream).unwrap();
                if let Ok(session) = SessionId::try_from(stream) {
                    end.application.facts(session).stop = Some(code);
                }
                self.tell(side, Input::StreamStopped { stream, code })
            }
            Move::Datagram(side) => {
                let data = self.end(side).incoming.datagrams.pop_front().unwrap();
                self.tell(side, Input::DatagramReceived { data })
            }
            Move::LoseDatagram(side) => {
                self.end(side).incoming.datagrams.pop_front();
                Ok(())
            }
            Move::Closed(side) => {
                let reason = self.end(side).incoming.close.take().unwrap();
                self.lose(side, reason)
            }
            Move::Cut(side) => {
                self.cuts = self.cuts.saturating_sub(1);
                self.lose(side, ConnectionLost::IdleTimeout)
            }
            Move::Take(side, stream) => {
                let end = self.end(side);
                let at = end
                    .untaken
                    .iter()
                    .position(|&(id, ..)| id == stream)
                    .unwrap();
                let (stream, data, fin) = end.untaken.remove(at);
                self.perform(side, Action::Write { stream, data, fin })
            }
            Move::Wait => {
                if !self.is_quiet() {
                    self.waits = self.waits.saturating_sub(1);
                }
                self.wait()
            }
            Move::Command(side, n) => {
                self.left[n] -= 1;
                self.command(side, self.plan.commands[n].1)
            }
        }
    }

    /// Everything that an end wants and says.
    fn drain(&mut self, side: Side) -> Result<(), String> {
        let mut count = 0;
        loop {
            let slow = self.plan.slow;
            let (end, peer) = self.ends(side);
            let Some(output) = end.machine.poll() else {
                break;
            };
            count += 1;
            if count > 100 {
                return wrong("there is no end to it");
            }
            match output {
                Output::Action(Action::Write { stream, data, fin }) if slow => {
                    end.untaken.push((stream, data, fin));
                }
                Output::Action(action) => self.perform(side, action)?,
                Output::Event(event) => {
                    end.application.hear(side, &event, &peer.application)?;
                    end.hear(&event)?;
                }
            }
        }
        self.look(side)
    }

    fn perform(&mut self, side: Side, action: Action) -> Result<(), String> {
        let prompt = self.waits == self.plan.waits;
        let (end, peer) = self.ends(side);
        if !end.is_live() {
            return wrong(format!("{action:?} without QUIC"));
        }
        let answer = match &action {
            Action::Write { stream, data, fin } => Some(Input::Written {
                stream: *stream,
                len: data.len(),
                fin: *fin,
            }),
            Action::Reset { stream, .. } => {
                end.untaken.retain(|(untaken, ..)| untaken != stream);
                end.writes.remove(stream);
                None
            }
            Action::StopSending { stream, .. } => {
                end.reads.remove(stream);
                let told = SessionId::try_from(*stream)
                    .ok()
                    .and_then(|session| end.application.sessions.get(&session));
                let is_close = told.is_some_and(|told| told.opened && told.facts.closed.is_some());
                let aborted =
                    told.is_some_and(|told| told.facts.stop.or(told.facts.reset).is_some());
                if prompt && peer.is_live() && is_close && !aborted {
                    return wrong(format!("{action:?} outruns the capsule"));
                }
                None
            }
            Action::CloseConnection { code, .. } => {
                end.untaken.clear();
                end.application.lost = Some(ConnectionLost::Local { code: Some(*code) });
                if end.application.shut_down.is_none() || *code != 0x100 {
                    return wrong(format!("{action:?} of its own accord"));
                }
                None
            }
            Action::Read { .. } => None,
        };
        if peer.is_live() {
            carry(action, &mut end.incoming, &mut peer.incoming);
        }
        match answer {
            Some(written) => self.tell(side, written),
            None => Ok(()),
        }
    }

    /// What must be so whenever an end has nothing more to say.
    fn look(&mut self, side: Side) -> Result<(), String> {
        let end = self.end(side);
        let announced: Vec<_> = end
            .application
            .sessions
            .iter()
            .filter(|(_, told)| told.closed.is_none())
            .map(|(&id, _)| id)
            .collect();
        let live: Vec<_> = end.machine.sessions().collect();
        if live != announced {
            return wrong(format!("{live:?} live, {announced:?} are announced"));
        }
        if end.machine.is_closed() != end.application.over.is_some() {
            return wrong("it is over, and nobody was told");
        }
        if end.machine.is_closed() && end.machine.poll_timeout().is_some() {
            return wrong("what is over waits for something");
        }
        Ok(())
    }

    /// Ends QUIC at one end, in whatever way.
    fn lose(&mut self, side: Side, reason: ConnectionLost) -> Result<(), String> {
        let end = self.end(side);
        end.incoming.shut();
        end.untaken.clear();
        end.application.lost = Some(reason.clone());
        self.tell(side, Input::ConnectionClosed { reason })
    }

    fn arrive(&mut self, side: Side, stream: StreamId, packet: Packet) -> Result<(), String> {
        if let Ok(session) = SessionId::try_from(stream) {
            let facts = self.end(side).application.facts(session);
            match packet {
                Packet::Data { fin, .. } => facts.fin |= fin,
                Packet::Reset { code } => facts.reset = Some(code),
            }
        }
        let is_goaway = matches!(&packet, Packet::Data { data, .. } if data.first() == Some(&7));
        if is_goaway && stream.dir() == Dir::Uni && stream.index() == 0 {
            self.end(side).application.told_to_go = true;
        }
        match packet {
            Packet::Data { data, fin } => {
                self.tell(side, Input::StreamData { stream, data, fin })?;
                if fin && self.ends(side).1.is_live() {
                    self.tell(side.other(), Input::StreamAcknowledged { stream })?;
                }
                Ok(())
            }
            Packet::Reset { code } => {
                let final_size = None;
                self.tell(
                    side,
                    Input::StreamReset {
                        stream,
                        code,
                        final_size,
                    },
                )
            }
        }
    }

    /// Until the next deadline. Everything happened that much earlier, so that it stays now.
    fn wait(&mut self) -> Result<(), String> {
        let due = self.deadline().unwrap();
        let by = due.saturating_duration_since(now());
        for side in [Client, Server] {
            let end = self.end(side);
            end.machine.set_back(by);
            for told in end
                .application
                .sessions
                .values_mut()
                .filter(|told| !told.opened)
            {
                told.facts.waited += by;
            }
        }
        for side in [Client, Server] {
            let is_due = self
                .end(side)
                .machine
                .poll_timeout()
                .is_some_and(|due| due <= now());
            if is_due && self.end(side).is_live() {
                self.tell(side, Input::Timeout)?;
                let again = self.end(side).machine.poll_timeout();
                if again.is_some_and(|due| due <= now()) {
                    return wrong("a deadline that has come stays");
                }
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let ends = [&self.client, &self.server].into_iter();
        ends.filter(|end| end.is_live())
            .filter_map(|end| end.machine.poll_timeout())
            .min()
    }

    /// With every stream over and every byte read, the whole of the peer's limits is there again.
    fn check_credit(&self) -> Result<(), String> {
        let has_streams = |end: &End| end.machine.streams_held() > 3;
        let is_idle = !has_streams(&self.client) && !has_streams(&self.server);
        let is_live = self.client.is_live() && self.server.is_live();
        let is_counted = self.plan.flow_control.is_some() && is_live;
        if !is_counted || !is_idle || !self.is_quiet() {
            return Ok(());
        }
        for end in [&self.client, &self.server] {
            let Some(session) = end.session(true) else {
                continue;
            };
            let mut machine = end.machine.clone();
            for dir in [Dir::Bi, Dir::Uni] {
                if let Err(OpenError::Blocked) = machine.open(session, dir) {
                    return wrong(format!("nobody can ever open a {dir:?} stream again"));
                }
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        [&self.client, &self.server].iter().all(|end| {
            end.incoming
                .streams
                .keys()
                .all(|&stream| !end.machine.wants(stream))
                && end.incoming.stops.is_empty()
                && end.incoming.datagrams.is_empty()
                && end.incoming.close.is_none()
                && end.untaken.is_empty()
        })
    }

    fn can(&self, side: Side, command: Command) -> bool {
        let end = if side == Client {
            &self.client
        } else {
            &self.server
        };
        if !end.is_live() || (end.application.shut_down.is_some() && command != Close) {
            return false;
        }
        match command {
            Connect => end.application.ready,
            Accept | Reject => end.session(false).is_some(),
            Close => end.session(true).or(end.session(false)).is_some(),
            Drain | Open(_) | Datagram => end.session(true).is_some(),
            Write | Finish | Reset => !end.writes.is_empty(),
            Stop => !end.reads.is_empty(),
            GoAway | ShutDown => true,
        }
    }

    fn command(&mut self, side: Side, command: Command) -> Result<(), String> {
        let has_limits = self.plan.flow_control.is_some();
        let (end, peer) = self.ends(side);
        let session = end.session(true);
        match command {
            Connect => {
                let request = Request::new("https://example.org/".parse().unwrap());
                let stream = StreamId::new(Client, Dir::Bi, end.opened[0]);
                if let Ok(permit) = end.machine.connect(now(), &request) {
                    let session = permit.bind(stream);
                    end.opened[0] += 1;
                    end.application.announce(session)?;
                } else if !end.application.told_to_go && end.machine.sessions().count() == 0 {
                    return wrong("no session, though there is none");
                }
            }
            Accept => {
                let session = end.session(false).unwrap();
                end.application.facts(session).accepted = true;
                end.machine
                    .accept(now(), session, Response::default())
                    .map_err(|e| e.to_string())?;
            }
            Reject => {
                let session = end.session(false).unwrap();
                end.application.facts(session).rejected = true;
                let rejection = Rejection::from(StatusCode::FORBIDDEN);
                end.machine
                    .reject(now(), session, rejection)
                    .map_err(|e| e.to_string())?;
            }
            Close => {
                let session = session.or(end.session(false)).unwrap();
                let code = if side == Client { 1 } else { 2 };
                end.application.facts(session).closed.get_or_insert(code);
                end.machine.close(now(), session, code, "");
            }
            ShutDown => {
                end.application.shut_down = Some(3);
                for told in end.application.sessions.values_mut() {
                    told.facts.closed.get_or_insert(3);
                }
                end.machine.shutdown(now(), 3, "");
            }
            Drain => end.machine.drain(session.unwrap()),
            GoAway => end.machine.go_away(),
            Open(dir) => match end.machine.open(session.unwrap(), dir) {
                Ok(permit) => {
                    let index = end.opened[usize::from(dir == Dir::Uni)];
                    let stream = StreamId::new(side, dir, index);
                    permit.bind(stream);
                    end.opened[usize::from(dir == Dir::Uni)] += 1;
                    end.owners.insert(stream, session.unwrap());
                    end.writes.insert(stream);
                    if dir == Dir::Bi {
                        end.reads.insert(stream);
                    }
                }
                Err(OpenError::Blocked) if has_limits => {}
                // Silence where STOP_SENDING waits for its capsule (E12).
                Err(OpenError::SessionClosed) => {}
                Err(error) => return wrong(format!("open: {error}")),
            },
            Write => {
                let &stream = end.writes.first().unwrap();
                match end.machine.credit(stream) {
                    Ok(credit) => {
                        let data = Bytes::copy_from_slice(credit.clamp(b"ab"));
                        credit.spend(data.len());
                        if peer.is_live() {
                            peer.incoming
                                .send(stream, Packet::Data { data, fin: false });
                        }
                    }
                    Err(SendError::Blocked) => {}
                    Err(error) => return wrong(format!("credit: {error}")),
                }
            }
            Finish => {
                let stream = end.writes.pop_first().unwrap();
                end.machine.finish(stream).map_err(|e| e.to_string())?;
            }
            Reset => {
                let stream = end.writes.pop_first().unwrap();
                end.machine.reset(stream, 7).map_err(|e| e.to_string())?;
            }
            Stop => {
                let stream = end.reads.pop_first().unwrap();
                end.machine.stop(stream, 8).map_err(|e| e.to_string())?;
            }
            Datagram => {
                if let Ok(permit) = end.machine.datagram(session.unwrap()) {
                    let data = permit.encode(b"d");
                    if peer.is_live() {
                        peer.incoming.datagrams.push_back(data);
                    }
                }
            }
        }
        self.drain(side)
    }
}

impl End {
    /// What the application is told of streams.
    fn hear(&mut self, event: &Event) -> Result<(), String> {
        match *event {
            Event::StreamOpened { session, stream } => {
                self.owners.insert(stream, session);
                if !self.told.insert(stream) {
                    return wrong(format!("{event:?} again"));
                }
                self.reads.insert(stream);
                if stream.dir() == Dir::Bi {
                    self.writes.insert(stream);
                }
            }
            Event::StreamData { stream, fin, .. } => {
                if !self.reads.contains(&stream) {
                    return wrong(format!("{event:?} is not read"));
                }
                if fin {
                    self.reads.remove(&stream);
                }
            }
            Event::StreamReset { stream, .. } => {
                let was_read = self.reads.remove(&stream);
                if !was_read {
                    return wrong(format!("{event:?} is not read"));
                }
            }
            Event::StreamStopped { stream, .. } => {
                self.writes.remove(&stream);
            }
            Event::SessionClosed { session, .. } => {
                // Its streams are gone with it.
                let owners = &self.owners;
                self.reads.retain(|stream| owners[stream] != session);
                self.writes.retain(|stream| owners[stream] != session);
                self.owners.retain(|_, owner| *owner != session);
            }
            _ => {}
        }
        Ok(())
    }
}

impl World for Joined {
    type Move = Move;

    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        let lost = |end: &End| end.application.lost.is_some();
        let one_is_lost = lost(&self.client) || lost(&self.server);
        for (side, end) in [(Client, &self.client), (Server, &self.server)] {
            for &(stream, ..) in &end.untaken {
                moves.push(Move::Take(side, stream));
            }
            if !end.is_live() {
                continue;
            }
            for &stream in end.incoming.streams.keys() {
                if end.machine.wants(stream) {
                    moves.push(Move::Arrive(side, stream));
                    if end.incoming.can_overtake(stream) {
                        moves.push(Move::Overtake(side, stream));
                    }
                }
            }
            moves.extend(
                end.incoming
                    .stops
                    .keys()
                    .map(|&stream| Move::Stop(side, stream)),
            );
            if !end.incoming.datagrams.is_empty() {
                moves.extend([Move::Datagram(side), Move::LoseDatagram(side)]);
            }
            if end.incoming.close.is_some() {
                moves.push(Move::Closed(side));
            }
            if self.cuts > 0 || one_is_lost {
                moves.push(Move::Cut(side));
            }
        }
        for (n, &(side, command, _)) in self.plan.commands.iter().enumerate() {
            if self.left[n] > 0 && self.can(side, command) {
                moves.push(Move::Command(side, n));
            }
        }
        if self.deadline().is_some() && (self.waits > 0 || self.is_quiet()) {
            moves.push(Move::Wait);
        }
        moves
    }

    fn make(&mut self, step: &Move) -> Result<(), String> {
        self.move_on(step)?;
        self.check_credit()
    }

    fn rest(&self) -> Result<(), String> {
        let is_over = |end: &End| end.application.over.is_some();
        if is_over(&self.client) || is_over(&self.server) {
            return match is_over(&self.client) && is_over(&self.server) {
                true => Ok(()),
                false => wrong("one end is over, the other is not"),
            };
        }
        for (ours, theirs) in [(&self.client, &self.server), (&self.server, &self.client)] {
            for (id, told) in &ours.application.sessions {
                let prompt = self.waits == self.plan.waits;
                agree(told, theirs.application.sessions.get(id), prompt)?;
            }
            if !ours.untaken.is_empty() || !ours.incoming.is_empty() {
                return wrong("something is never read");
            }
            if ours.machine.sessions().count() > 0 {
                continue;
            }
            // Our control stream and the peer's.
            let held = ours.machine.streams_held();
            if held != 2 || !ours.machine.is_settled() {
                return wrong(format!("{held} streams are held of nothing"));
            }
        }
        Ok(())
    }
}
