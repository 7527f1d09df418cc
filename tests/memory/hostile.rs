//! A peer that does its worst within QUIC's limits, while the application polls no event: what the
//! connection holds stays below the formula in the documentation of `Limits`, at every step.
//!
//! Each round draws other limits and other habits, so that every term of the formula has to hold
//! where the others are small. `script.rs` has the bytes.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use fastrand::Rng;
use webtransport_session::{
    CloseReason, Config, ConnectError, Dialect, Dir, Event, Input, Output, Request, Response,
    SessionId, Side, StreamId, Support, Transport, Violation,
};

use crate::{
    meter::{Acted, Metered},
    random::Draw,
    script::{self, Kind, Script, Stage},
    support::{
        H3_REQUEST_REJECTED, WT_BUFFERED_STREAM_REJECTED, WT_SESSION_GONE, peer_settings, response,
        settings, varint,
    },
    theme::{Habits, Settings, Theme},
    worst_case,
};

/// For each theme.
const ROUNDS: u64 = 20;
const STEPS: u32 = 4000;
const H3_EXCESSIVE_LOAD: u64 = 0x107;

/// What a limit does when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reaction {
    Sessions,
    Unanswered,
    Answered,
    UnansweredBody,
    BufferedStreams,
    BufferedBytes,
    BufferedDatagrams,
    Settings,
    ControlFrame,
    FieldSection,
    DatagramCapsule,
    UndeliveredDatagrams,
    UndeliveredBytes,
    UndeliveredFlood,
    Unwritten,
    CheapFlood,
}

const AT_A_SERVER: [Reaction; 16] = [
    Reaction::Sessions,
    Reaction::Unanswered,
    Reaction::Answered,
    Reaction::UnansweredBody,
    Reaction::BufferedStreams,
    Reaction::BufferedBytes,
    Reaction::BufferedDatagrams,
    Reaction::Settings,
    Reaction::ControlFrame,
    Reaction::FieldSection,
    Reaction::DatagramCapsule,
    Reaction::UndeliveredDatagrams,
    Reaction::UndeliveredBytes,
    Reaction::UndeliveredFlood,
    Reaction::Unwritten,
    Reaction::CheapFlood,
];

/// A client answers no requests, and writes little that the server did not make it write.
const AT_A_CLIENT: [Reaction; 11] = [
    Reaction::Sessions,
    Reaction::BufferedStreams,
    Reaction::BufferedBytes,
    Reaction::BufferedDatagrams,
    Reaction::Settings,
    Reaction::ControlFrame,
    Reaction::FieldSection,
    Reaction::DatagramCapsule,
    Reaction::UndeliveredDatagrams,
    Reaction::UndeliveredBytes,
    Reaction::CheapFlood,
];

pub fn no_peer_makes_a_connection_hold_more_than_the_formula() {
    for side in [Side::Server, Side::Client] {
        let mut seen = BTreeSet::<Reaction>::new();
        let mut over = Vec::new();
        for theme in Theme::ALL {
            let rounds = (0..ROUNDS).map(|seed| Round::new(side, theme, seed).play());
            let closest = rounds
                .inspect(|round| seen.extend(&round.seen))
                .max_by_key(Round::percent)
                .unwrap();
            println!("{closest}");
            if closest.percent() > 100 {
                over.push(closest.to_string());
            }
        }
        let expected: &[Reaction] = match side {
            Side::Server => &AT_A_SERVER,
            Side::Client => &AT_A_CLIENT,
        };
        for reaction in expected {
            assert!(seen.contains(reaction), "{side:?}: {reaction:?} never seen");
        }
        assert!(over.is_empty(), "{}", over.join("\n"));
    }
}

/// One connection and its peer.
struct Round {
    side: Side,
    peer: Side,
    theme: Theme,
    seed: u64,
    random: Rng,
    stage: Stage,
    victim: Metered,
    habits: Habits,
    streams: Vec<Stream>,
    /// The next index of each kind of stream.
    opened: [u64; 4],
    /// Ids that were or may be sessions'.
    sessions: Vec<SessionId>,
    bound: usize,
    most: usize,
    over: bool,
    steps: u32,
    seen: BTreeSet<Reaction>,
}

/// A stream of QUIC's.
struct Stream {
    id: StreamId,
    script: Script,
    fed: usize,
    /// The peer's half, and ours.
    receiving: bool,
    sending: bool,
    /// We asked the peer to stop: the host reads no more.
    stopped: bool,
}

impl Round {
    fn new(side: Side, theme: Theme, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let (limits, quic) = theme.limits(&mut random);
        let habits = theme.habits(&mut random);
        let mut config = Config::default();
        config.deadlines.idle_connection = None;
        config.limits = limits;
        let config = Arc::new(config);
        let peer = match side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        Self {
            side,
            peer,
            theme,
            seed,
            bound: worst_case(&config.limits, quic),
            stage: Stage {
                limits: config.limits.clone(),
                quic,
                token: match habits.dialect {
                    Dialect::Draft16 => "webtransport-h3",
                    Dialect::Draft02 | Dialect::Draft07 | Dialect::Draft14 => "webtransport",
                },
                fields: random.u64(..10),
                capsules: random.u64(..8),
            },
            random,
            victim: Metered::new(side, &config),
            habits,
            streams: Vec::new(),
            opened: [0, 0, 1, 1],
            sessions: Vec::new(),
            most: 0,
            over: false,
            steps: 0,
            seen: BTreeSet::new(),
        }
    }

    fn play(mut self) -> Self {
        self.victim.start(Transport::new(Support::Yes));
        self.act();
        self.control_stream();
        if self.habits.is_let_in && self.habits.settings == Settings::Plain {
            self.let_in();
        }
        for _ in 0..STEPS {
            if self.over {
                break;
            }
            self.steps += 1;
            let millis = self.random.u64(..3);
            self.victim.now += Duration::from_millis(millis);
            match self.random.weighted(&self.habits.steps) {
                0 => self.open_stream(),
                1 => self.feed_some_stream(),
                2 => self.send_datagram(),
                3 => self.application_answers(),
                4 => self.reset_some_stream(),
                5 => self.stop_some_stream(),
                _ => self.let_time_pass(),
            }
            self.act();
        }
        self.listen();
        self
    }

    fn check(&mut self) {
        self.most = self.most.max(self.victim.heap());
    }

    /// How much of what is allowed was held.
    fn percent(&self) -> usize {
        self.most * 100 / self.bound
    }

    // ---- the peer

    fn control_stream(&mut self) {
        let id = StreamId::new(self.peer, Dir::Uni, 0);
        let limits = &self.stage.limits;
        let mut bytes = vec![0x00];
        let plain = peer_settings(self.side, self.habits.dialect);
        match self.habits.settings {
            Settings::Never => return,
            Settings::Plain => bytes = plain,
            Settings::Unfinished => bytes.extend(script::settings_of_len(limits.control_frame)),
            Settings::TooLong => bytes.extend(script::settings_of_len(limits.control_frame + 1)),
            Settings::TooMany => {
                let many: Vec<_> = (0..=limits.settings.into())
                    .map(|n| (0x40 + n * 0x1f, n))
                    .collect();
                bytes.extend(settings(&many));
            }
        }
        if self.habits.settings == Settings::Unfinished {
            bytes.pop();
        }
        let reaction = match self.habits.settings {
            Settings::TooMany => Some(Reaction::Settings),
            Settings::TooLong => Some(Reaction::ControlFrame),
            Settings::Plain | Settings::Unfinished | Settings::Never => None,
        };
        let piece = self.random.among(&[1, 7, self.stage.quic.read]);
        for piece in bytes.chunks(piece) {
            self.victim.feed(id, piece, false);
            self.act();
        }
        self.seen.extend(reaction.filter(|_| self.over));
        let more = script::control(&mut self.random, &self.stage, self.side);
        self.streams.push(Stream::theirs(id, more));
    }

    fn open_stream(&mut self) {
        let kind = Kind::ALL[self.random.weighted(&self.habits.kinds)];
        let dir = kind.dir(&mut self.random);
        let limit = match dir {
            Dir::Bi => self.stage.quic.bidi,
            Dir::Uni => self.stage.quic.uni,
        };
        let is_early = self.habits.overtakes && self.steps < STEPS / 2;
        let may_ask = self.side == Side::Server && !is_early;
        if self.count(dir) >= limit || kind.is_request() && !may_ask {
            return;
        }
        // A stream that is skipped is open, for QUIC; nothing of it has come.
        while self.random.u64(..8) == 0 && self.count(dir) + 1 < limit {
            let skipped = self.next_stream(dir);
            self.streams.push(Stream::theirs(skipped, Script::empty()));
        }
        let id = self.next_stream(dir);
        let session = self.some_session(id);
        let script = kind.script(&mut self.random, &self.stage, dir, session);
        if kind.is_request() {
            self.sessions.extend(SessionId::try_from(id));
        }
        self.streams.push(Stream::theirs(id, script));
    }

    fn next_stream(&mut self, dir: Dir) -> StreamId {
        let index = &mut self.opened[u64::from(StreamId::new(self.peer, dir, 0)) as usize];
        *index += 1;
        StreamId::new(self.peer, dir, *index - 1)
    }

    /// Streams that QUIC counts: of either side, since at a client the sessions' are its own.
    fn count(&self, dir: Dir) -> usize {
        let alive = |stream: &&Stream| stream.receiving || stream.sending;
        let same = |stream: &&Stream| stream.id.dir() == dir && stream.script.kind != Kind::Control;
        self.streams.iter().filter(alive).filter(same).count()
    }

    /// A session that is open, was, will be, or never can be.
    fn some_session(&mut self, id: StreamId) -> u64 {
        let next = 4 * self.opened[0];
        let live = self.victim.ask().sessions().last();
        match self.random.u64(..16) {
            0 | 1 => next,
            2 => next + 4,
            3 if u64::from(id) % 4 == 0 => id.into(),
            4..=6 if !self.sessions.is_empty() => {
                let n = self.random.usize(..self.sessions.len());
                self.sessions[n].connect_stream().into()
            }
            _ => live.map_or(next, |session| session.connect_stream().into()),
        }
    }

    fn feed_some_stream(&mut self) {
        let Some(n) = self.some_stream() else {
            return;
        };
        let stream = &mut self.streams[n];
        if !stream.receiving || stream.stopped {
            return;
        }
        let id = stream.id;
        let wanted = self.victim.ask().wants(id);
        if !wanted {
            if stream.fed > stream.script.head && stream.script.kind == Kind::Data {
                let reaction = match self.session_of(n) {
                    Some(session) if self.is_open(session) => Some(Reaction::UndeliveredBytes),
                    _ => None,
                };
                self.seen.extend(reaction);
            }
            if !self.habits.pushes {
                return;
            }
        }
        let (read, random) = (self.stage.quic.read, &mut self.random);
        let stream = &mut self.streams[n];
        let most = match random.u64(..4) {
            0 => 1,
            1 => 16.min(read),
            _ => read,
        };
        let piece = random.usize(1..=most);
        let (piece, fin) = stream.next_piece(piece);
        if piece.is_empty() && !fin {
            return;
        }
        self.victim.feed(id, &piece, fin);
        if fin {
            self.streams[n].receiving = false;
        }
        let done = self.streams[n].fed == self.streams[n].script.bytes.len();
        if done && self.streams[n].script.kind == Kind::LongCapsule {
            let open = self.session_of(n).is_some_and(|id| self.is_open(id));
            self.seen.extend(open.then_some(Reaction::DatagramCapsule));
        }
        self.react(Some(n));
    }

    fn reset_some_stream(&mut self) {
        if let Some(n) = self.some_stream() {
            let stream = &mut self.streams[n];
            if !std::mem::take(&mut stream.receiving) || stream.script.kind == Kind::Control {
                return;
            }
            let (id, code) = (stream.id, self.random.among(&[0x10c, WT_SESSION_GONE]));
            self.victim.handle(|| Input::StreamReset {
                stream: id,
                code,
                final_size: None,
            });
            self.react(None);
        }
    }

    fn stop_some_stream(&mut self) {
        if let Some(n) = self.some_stream().filter(|&n| self.streams[n].sending) {
            let id = self.streams[n].id;
            let code = self.random.among(&[0x10c, WT_SESSION_GONE]);
            self.victim
                .handle(|| Input::StreamStopped { stream: id, code });
            self.react(None);
        }
    }

    fn some_stream(&mut self) -> Option<usize> {
        self.streams
            .retain(|stream| stream.receiving || stream.sending);
        let last = self.streams.len().checked_sub(1)?;
        Some(self.random.usize(..=last))
    }

    fn send_datagram(&mut self) {
        let session = self.some_session(StreamId::from(0));
        let mut data = varint(session / 4);
        let len = self.random.usize(..=self.stage.quic.datagram - data.len());
        data.resize(data.len() + len, b'd');
        let before = self.victim.ask().stats().datagrams_absorbed;
        self.victim.handle(|| Input::DatagramReceived {
            data: bytes::Bytes::copy_from_slice(&data),
        });
        let absorbed = self.victim.ask().stats().datagrams_absorbed > before;
        let id = SessionId::try_from(StreamId::from(session)).unwrap();
        let known = self.victim.ask().sessions().any(|session| session == id);
        if absorbed {
            self.seen.extend(match known {
                true if self.is_open(id) => Some(Reaction::UndeliveredDatagrams),
                true => Some(Reaction::BufferedDatagrams),
                false => None,
            });
        }
    }

    // ---- our side

    fn application_answers(&mut self) {
        if self.side == Side::Client {
            return self.connect();
        }
        let unanswered: Vec<_> = self.victim.ask().sessions().collect();
        let Some(last) = unanswered.len().checked_sub(1) else {
            return;
        };
        let session = unanswered[self.random.usize(..=last)];
        let kick = self.random.u64(..4) == 0;
        self.victim.with(|connection, now| {
            let answered = connection.accept(now, session, Response::default());
            if answered.is_err() && kick {
                connection.close(now, session, 1, "kicked");
            }
        });
        self.react(None);
    }

    /// One session that goes well, so far.
    fn let_in(&mut self) {
        let id = StreamId::new(Side::Client, Dir::Bi, 0);
        let session = SessionId::try_from(id).unwrap();
        match self.side {
            Side::Client => {
                self.connect();
                self.streams.pop();
                self.victim.feed(id, &response("200"), false);
                let script = script::body_only(&mut self.random, &self.stage);
                self.streams.push(Stream::theirs(id, script));
            }
            Side::Server => {
                self.opened[0] += 1;
                self.sessions.push(session);
                self.victim
                    .feed(id, &script::plain_connect(&self.stage), false);
                self.victim.with(|connection, now| {
                    let _ = connection.accept(now, session, Response::default());
                });
            }
        }
        self.act();
    }

    fn connect(&mut self) {
        if self.count(Dir::Bi) >= self.stage.quic.bidi {
            return;
        }
        let id = StreamId::new(Side::Client, Dir::Bi, self.opened[0]);
        let request = Request::new("https://example.org/game".parse().unwrap());
        let full = self.victim.ask().sessions().count() == self.stage.limits.sessions as usize;
        let result = self.victim.with(|connection, now| {
            let permit = connection.connect(now, &request)?;
            Ok::<_, ConnectError>(permit.bind(id))
        });
        match result {
            Ok(session) => {
                self.opened[0] += 1;
                self.sessions.push(session);
                let script = script::answer(&mut self.random, &self.stage);
                let mut stream = Stream::theirs(id, script);
                stream.sending = true;
                self.streams.push(stream);
            }
            Err(ConnectError::Blocked) if full => {
                self.seen.insert(Reaction::Sessions);
            }
            Err(_) => {}
        }
    }

    fn let_time_pass(&mut self) {
        let seconds = self.random.among(&[0, 0, 0, 1, 4]);
        self.victim.now += Duration::from_secs(seconds);
        let now = self.victim.now;
        if self
            .victim
            .ask()
            .poll_timeout()
            .is_some_and(|due| due <= now)
        {
            self.victim.handle(|| Input::Timeout);
        }
        self.react(None);
    }

    fn takes(&mut self) -> usize {
        if self.habits.starves {
            0
        } else {
            self.random.among(&[1, usize::MAX])
        }
    }

    /// Performs the actions.
    fn act(&mut self) {
        self.react(None);
    }

    /// Performs the actions; they may be the reaction to bytes of the stream `fed`.
    fn react(&mut self, fed: Option<usize>) {
        loop {
            self.check();
            let full = self.victim.ask().sessions().count() >= self.stage.limits.sessions as usize;
            let takes = self.takes();
            let Some(acted) = self.victim.act(takes) else {
                if self.habits.listens {
                    self.listen();
                }
                return;
            };
            self.note(acted, fed, full);
            let (id, change): (StreamId, fn(&mut Stream)) = match acted {
                Acted::Wrote { stream, fin: true } | Acted::Reset { stream, .. } => {
                    (stream, |stream| stream.sending = false)
                }
                Acted::Stopped { stream, .. } => (stream, |stream| stream.stopped = true),
                Acted::Closed { .. } => {
                    self.over = true;
                    continue;
                }
                Acted::Wrote { fin: false, .. } | Acted::Read => continue,
            };
            if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
                change(stream);
            }
        }
    }

    fn note(&mut self, acted: Acted, fed: Option<usize>, full: bool) {
        let stream = fed.map(|n| &self.streams[n]);
        let (kind, at_head) = match stream {
            Some(stream) => (Some(stream.script.kind), stream.fed <= stream.script.head),
            None => (None, false),
        };
        let held = matches!(self.habits.settings, Settings::Never | Settings::Unfinished);
        let reaction = match (acted, kind) {
            (Acted::Reset { code, .. }, Some(Kind::Connect)) if code == H3_REQUEST_REJECTED => {
                match (at_head, held, full) {
                    (true, false, true) => Some(Reaction::Sessions),
                    (true, true, _) => Some(Reaction::Unanswered),
                    (false, _, _) => Some(Reaction::UnansweredBody),
                    (true, false, false) => None,
                }
            }
            (Acted::Reset { code, .. }, Some(Kind::Get)) if code == H3_REQUEST_REJECTED => {
                Some(Reaction::Answered)
            }
            (Acted::Wrote { fin: true, .. }, Some(Kind::TooLarge)) => Some(Reaction::FieldSection),
            (Acted::Stopped { code, .. }, Some(Kind::Data))
                if code == WT_BUFFERED_STREAM_REJECTED =>
            {
                Some(match at_head {
                    true => Reaction::BufferedStreams,
                    false => Reaction::BufferedBytes,
                })
            }
            (Acted::Closed { code }, Some(Kind::Data)) if code == H3_EXCESSIVE_LOAD => {
                Some(Reaction::UndeliveredFlood)
            }
            (Acted::Closed { code }, Some(Kind::Get) | None)
                if code == H3_EXCESSIVE_LOAD && self.habits.starves =>
            {
                Some(Reaction::Unwritten)
            }
            (Acted::Closed { code }, Some(Kind::Idle)) if code == H3_EXCESSIVE_LOAD => {
                Some(Reaction::CheapFlood)
            }
            _ => None,
        };
        self.seen.extend(reaction);
    }

    /// What only the events tell.
    fn listen(&mut self) {
        let longest = self.stage.longest_datagram();
        let violations = self.victim.with(|connection, _| {
            let mut violations = [None; 2];
            while let Some(output) = connection.poll() {
                match output {
                    Output::Event(Event::SessionClosed {
                        reason: CloseReason::Violation(violation),
                        ..
                    }) => match violation {
                        Violation::UnansweredBodyTooLarge => {
                            violations[0] = Some(Reaction::UnansweredBody);
                        }
                        Violation::FieldSectionTooLarge => {
                            violations[1] = Some(Reaction::FieldSection);
                        }
                        _ => {}
                    },
                    Output::Event(Event::DatagramReceived { payload, .. }) => {
                        assert!(payload.len() <= longest, "a capsule that is too long");
                    }
                    _ => {}
                }
            }
            violations
        });
        self.seen.extend(violations.into_iter().flatten());
    }

    fn session_of(&self, n: usize) -> Option<SessionId> {
        let stream = &self.streams[n];
        let id = match stream.script.session {
            Some(session) => StreamId::from(session),
            None => stream.id,
        };
        SessionId::try_from(id).ok()
    }

    fn is_open(&self, session: SessionId) -> bool {
        self.victim.ask().datagram(session).is_ok()
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, theme, seed) = (self.side, self.theme, self.seed);
        let (percent, most, bound) = (self.percent(), self.most, self.bound);
        write!(
            f,
            "{side:?}, {theme:?}: {most} of {bound} bytes, {percent} % (seed {seed})"
        )
    }
}

impl Stream {
    fn theirs(id: StreamId, script: Script) -> Self {
        Self {
            id,
            script,
            fed: 0,
            receiving: true,
            sending: id.dir() == Dir::Bi,
            stopped: false,
        }
    }

    /// At most `len` bytes, not across the end of the head, and whether they are the last.
    fn next_piece(&mut self, len: usize) -> (Vec<u8>, bool) {
        let all = self.script.bytes.len();
        let stop = match self.script.head {
            head if self.fed < head => head,
            _ => all,
        };
        let end = stop.min(self.fed + len);
        let piece = self.script.bytes[self.fed..end].to_vec();
        self.fed = end;
        (piece, end == all && self.script.fin)
    }
}
