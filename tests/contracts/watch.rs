//! A connection, and somebody who watches that it keeps its promises.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use webtransport_session::{
    Action, Connection, Dir, Event, Input, Output, SessionId, Side, StreamId, trace::Step,
};

pub struct Watched {
    pub connection: Connection,
    origin: Instant,
    now: Instant,
    /// The latest time that the connection was told.
    told: Option<Instant>,
    sessions: BTreeMap<SessionId, Session>,
    streams: BTreeMap<StreamId, Stream>,
    writes: BTreeMap<StreamId, Writing>,
    ready: bool,
    /// `CloseConnection` was polled, or QUIC is gone.
    closing: bool,
    /// `ConnectionClosed` was polled.
    over: bool,
    /// Everything that came out, commands' answers too.
    pub log: Vec<String>,
}

/// What the application was told of a session.
#[derive(Debug, Default)]
struct Session {
    opened: bool,
    draining: bool,
    closed: bool,
}

/// What the application was told of a stream.
#[derive(Debug)]
struct Stream {
    session: SessionId,
    ended: bool,
    stopped: bool,
}

/// What became of our half, as QUIC sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Idle,
    Offered { len: usize, fin: bool },
    Finished,
    Reset,
}

impl Watched {
    pub fn new(connection: Connection) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an origin; only offsets from it matter"
        )]
        let now = Instant::now();
        // Time can go back from here.
        let origin = now + Duration::from_secs(3600);
        Self {
            connection,
            origin,
            now: origin,
            told: None,
            sessions: BTreeMap::new(),
            streams: BTreeMap::new(),
            writes: BTreeMap::new(),
            ready: false,
            closing: false,
            over: false,
            log: Vec::new(),
        }
    }

    /// The time that the connection is told next.
    pub fn now(&mut self) -> Instant {
        self.told = self.told.max(Some(self.now));
        self.now
    }

    pub fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    pub fn go_back(&mut self, duration: Duration) {
        self.now -= duration;
    }

    pub fn say(&mut self, what: impl std::fmt::Debug) {
        self.log.push(format!("{what:?}"));
    }

    /// What QUIC takes is noted where it answers a write.
    pub fn handle(&mut self, input: Input) {
        if let Input::Written { stream, len, fin } = input {
            if let Some(writing @ Writing::Offered { .. }) = self.writes.get_mut(&stream) {
                let Writing::Offered {
                    len: offered,
                    fin: offered_fin,
                } = *writing
                else {
                    return;
                };
                let all = len >= offered && fin && offered_fin;
                *writing = if all {
                    Writing::Finished
                } else {
                    Writing::Idle
                };
            }
        }
        // There is no QUIC to do anything on, unless we close it first.
        self.closing |=
            matches!(input, Input::ConnectionClosed { .. }) && !self.connection.is_closed();
        let now = self.now();
        self.connection.handle(now, input);
        self.check_questions();
    }

    /// Makes a call whose answer says nothing. A deadline that has come must not come again at once.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Input(input) => {
                let is_timeout = input == Input::Timeout;
                self.handle(input);
                if let Some(due) = self.connection.poll_timeout().filter(|_| is_timeout) {
                    assert!(Some(due) > self.told, "a deadline that has come stays");
                }
            }
            Step::Poll { times } => _ = (0..times).all(|_| self.poll()),
            other => {
                use Step::{Close, Shutdown, Start};
                if matches!(other, Start { .. } | Close { .. } | Shutdown { .. }) {
                    self.now();
                }
                let outputs = other.apply(self.now, &mut self.connection);
                outputs.iter().for_each(|output| self.output(output));
            }
        }
    }

    /// A client's session is announced by what `bind` did.
    pub fn bound(&mut self, session: SessionId, before: &BTreeSet<SessionId>) {
        let is_live = self.connection.sessions().any(|live| live == session);
        if is_live && !before.contains(&session) {
            let known = self.sessions.insert(session, Session::default());
            assert!(known.is_none(), "{session} is bound twice");
        }
    }

    /// A stream that we opened, if its id was any good.
    pub fn opened(&mut self, session: SessionId, stream: StreamId) {
        let ours = stream.initiator() == self.connection.side();
        if ours && u64::from(stream) < 1 << 62 {
            self.streams.entry(stream).or_insert(Stream {
                session,
                ended: stream.dir() == Dir::Uni,
                stopped: false,
            });
        }
    }

    fn poll(&mut self) -> bool {
        let output = self.connection.poll();
        match &output {
            Some(output) => self.output(output),
            None => self.check_sessions(),
        }
        output.is_some()
    }

    /// Performs all actions on a QUIC that takes everything.
    pub fn perform(&mut self) {
        while let Some(action) = self.connection.poll_action() {
            self.output(&Output::Action(action.clone()));
            if let Action::Write { stream, data, fin } = action {
                let len = data.len();
                self.handle(Input::Written { stream, len, fin });
            }
        }
    }

    fn output(&mut self, output: &Output) {
        self.say(output);
        match output {
            Output::Action(action) => self.action(action),
            Output::Event(event) => self.event(event),
        }
    }

    fn action(&mut self, action: &Action) {
        assert!(!self.over && !self.closing, "{action:?} after the end");
        match *action {
            Action::Write {
                stream,
                ref data,
                fin,
            } => {
                let writing = self.writes.entry(stream).or_insert(Writing::Idle);
                assert_eq!(*writing, Writing::Idle, "{action:?}");
                assert!(fin || !data.is_empty(), "{action:?} writes nothing");
                *writing = Writing::Offered {
                    len: data.len(),
                    fin,
                };
                self.check_side(stream, true);
            }
            Action::Reset { stream, .. } => {
                let writing = self.writes.insert(stream, Writing::Reset);
                assert_ne!(writing, Some(Writing::Reset), "{action:?} again");
                self.check_side(stream, true);
            }
            Action::StopSending { stream, .. } => self.check_side(stream, false),
            Action::Read { stream } => self.check_side(stream, false),
            Action::CloseConnection { .. } => self.closing = true,
        }
    }

    /// Nothing is done on a half that the stream does not have.
    fn check_side(&self, stream: StreamId, sends: bool) {
        let ours = stream.initiator() == self.connection.side();
        assert!(
            stream.dir() == Dir::Bi || ours == sends,
            "stream {stream} has no such half"
        );
        assert!(u64::from(stream) < 1 << 62);
    }

    fn event(&mut self, event: &Event) {
        assert!(!self.over, "{event:?} after ConnectionClosed");
        if let Event::SessionRequested { session, .. } = event {
            assert_eq!(self.connection.side(), Side::Server);
            let known = self.sessions.insert(*session, Session::default());
            assert!(known.is_none(), "{session} is requested twice");
        }
        if let Some(id) = event.session() {
            let session = self.sessions.get_mut(&id).expect("an announced session");
            assert!(!session.closed, "{event:?} after SessionClosed");
            match event {
                Event::SessionOpened { .. } => {
                    assert!(!std::mem::replace(&mut session.opened, true), "{event:?}");
                }
                Event::SessionDraining { .. } => {
                    assert!(session.opened, "{event:?} before it opened");
                    assert!(!std::mem::replace(&mut session.draining, true), "{event:?}");
                }
                Event::SessionClosed { .. } => session.closed = true,
                Event::SessionRequested { .. } | Event::PriorityChanged { .. } => {}
                _ => assert!(session.opened, "{event:?} before it opened"),
            }
        }
        match *event {
            Event::StreamOpened { session, stream } => {
                let ended = false;
                let stopped = stream.dir() == Dir::Uni;
                let opened = Stream {
                    session,
                    ended,
                    stopped,
                };
                assert!(stream.initiator() != self.connection.side());
                let known = self.streams.insert(stream, opened);
                assert!(known.is_none(), "{stream} is opened twice");
            }
            Event::StreamData {
                session,
                stream,
                ref data,
                fin,
            } => {
                let told = self.told(session, stream);
                assert!(!told.ended, "{event:?} after its end");
                assert!(fin || !data.is_empty(), "{event:?} says nothing");
                told.ended = fin;
            }
            Event::StreamReset {
                session, stream, ..
            } => {
                let told = self.told(session, stream);
                assert!(!std::mem::replace(&mut told.ended, true), "{event:?}");
            }
            Event::StreamStopped {
                session, stream, ..
            } => {
                let told = self.told(session, stream);
                assert!(!std::mem::replace(&mut told.stopped, true), "{event:?}");
            }
            Event::StreamWritable { session, stream } => {
                let told = self.told(session, stream);
                assert!(!told.stopped, "{event:?} after StreamStopped");
            }
            Event::Ready(_) | Event::Unsupported(_) => {
                assert!(!std::mem::replace(&mut self.ready, true), "{event:?} again");
            }
            Event::ConnectionClosed { .. } => {
                assert!(self.sessions.values().all(|session| session.closed));
                self.over = true;
            }
            _ => {}
        }
    }

    fn told(&mut self, session: SessionId, stream: StreamId) -> &mut Stream {
        let told = self.streams.get_mut(&stream).expect("an opened stream");
        assert_eq!(told.session, session);
        told
    }

    /// What the connection says of itself is what it told.
    fn check_sessions(&self) {
        let live: Vec<_> = self.connection.sessions().collect();
        let announced: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| !session.closed)
            .map(|(&id, _)| id)
            .collect();
        assert_eq!(live, announced);
        assert_eq!(self.connection.is_closed(), self.over);
    }

    /// Questions of every kind have an answer.
    fn check_questions(&self) {
        for id in [0, 1, 2, 3, 4, 8, 1 << 61, 1 << 62, u64::MAX] {
            let stream = StreamId::from(id);
            let _ = self.connection.wants(stream);
            if let Ok(session) = SessionId::try_from(stream) {
                let _ = self.connection.last_activity(session);
                let live = self.connection.sessions().any(|live| live == session);
                assert_eq!(self.connection.priority(session).is_some(), live);
                let _ = self.connection.max_datagram_payload(session, 10);
                let _ = self.connection.datagram(session);
            }
        }
        let _ = (self.connection.is_settled(), self.connection.stats());
        let _ = self.connection.remembered_settings();
    }

    /// QUIC is gone: everything ends, once.
    pub fn finish(&mut self) {
        self.handle(Input::ConnectionClosed {
            reason: webtransport_session::ConnectionLost::IdleTimeout,
        });
        while self.poll() {}
        assert!(self.over && self.connection.is_closed());
        assert!(self.sessions.values().all(|session| session.closed));
        assert_eq!(self.connection.poll_timeout(), None);
        self.handle(Input::Timeout);
        assert!(!self.poll());
    }

    /// Since the beginning: times differ between two runs, offsets do not.
    pub fn next_wake(&self) -> Option<Duration> {
        let due = self.connection.poll_timeout()?;
        Some(due.saturating_duration_since(self.origin))
    }
}
