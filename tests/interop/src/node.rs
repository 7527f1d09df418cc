//! One end of ours: the crate's endpoint on a UDP socket of loopback, in a thread of its own.
//!
//! What happens comes out over a channel, with its time; commands go in as closures that run in
//! the thread between two turns of its loop. How it answers by itself is its [`Application`].

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use bytes::BytesMut;
use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use webtransport_session::{
    Config, Event, SessionId,
    host::quinn_proto::{Endpoint, PeerId},
    trace::{Record, Step},
};

/// What a node does by itself, in its thread.
pub(crate) trait Application: Send + 'static {
    /// Answers an event at once. Gives what is to be told to whoever watches.
    fn event(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        peer: PeerId,
        event: Event,
    ) -> Option<Event>;
}

/// Something that happened, and when.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) peer: PeerId,
    pub(crate) event: Event,
}

type Command = Box<dyn FnOnce(Instant, &mut Turn) + Send>;

/// What a command may change.
pub(crate) struct Turn {
    pub(crate) endpoint: Endpoint,
    /// Neither takes nor sends packets any more: to the peer it has vanished.
    pub(crate) is_mute: bool,
    /// Connections that are recorded, with what was recorded.
    recorded: Option<BTreeMap<PeerId, Vec<Record<Step>>>>,
    /// How many facts there had been when a session ended.
    facts_at_end: BTreeMap<(PeerId, SessionId), u64>,
}

pub(crate) struct Node {
    /// Where its socket is bound.
    pub(crate) address: SocketAddr,
    commands: Option<Sender<Command>>,
    waker: Arc<Waker>,
    seen: Receiver<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

impl Node {
    /// Starts an endpoint on a free port of 127.0.0.1.
    pub(crate) fn start(endpoint: Endpoint, application: impl Application) -> anyhow::Result<Self> {
        let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut socket, Token(0), Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), Token(1))?);
        let (commands, to_run) = mpsc::channel();
        let (tell, seen) = mpsc::channel();
        let thread = thread::Builder::new().name("node".into()).spawn(move || {
            let turn = Turn {
                endpoint,
                is_mute: false,
                recorded: None,
                facts_at_end: BTreeMap::new(),
            };
            let result = run(poll, &socket, turn, application, &to_run, &tell);
            if let Err(error) = result {
                eprintln!("interop: our end on {address} failed: {error}");
            }
        })?;
        Ok(Self {
            address,
            commands: Some(commands),
            waker,
            seen,
            thread: Some(thread),
        })
    }

    /// Runs a closure in the node's thread, and gives its result.
    pub(crate) fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(Instant, &mut Turn) -> R + Send + 'static,
    ) -> anyhow::Result<R> {
        let (answer, result) = mpsc::sync_channel(1);
        let command: Command = Box::new(move |now, turn| {
            let _gone = answer.send(command(now, turn));
        });
        let commands = self.commands.as_ref().context("the node has ended")?;
        commands
            .send(command)
            .map_err(|_| anyhow!("the node has ended"))?;
        self.waker.wake()?;
        Ok(result.recv_timeout(PATIENCE)?)
    }

    /// The next thing that happened, for `patience` at most.
    pub(crate) fn next(&self, patience: Duration) -> Option<Seen> {
        self.seen.recv_timeout(patience).ok()
    }

    /// What is picked from the things that happen; others are dropped. The error says what was
    /// waited for and what came instead.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut pick: impl FnMut(&Seen) -> Option<T>,
    ) -> anyhow::Result<T> {
        let until = Instant::now() + patience;
        let mut others = Vec::new();
        while let Some(seen) = self.next(until.saturating_duration_since(Instant::now())) {
            if let Some(picked) = pick(&seen) {
                return Ok(picked);
            }
            let mut other = format!("{:?}", seen.event);
            other.truncate(
                other
                    .char_indices()
                    .nth(160)
                    .map_or(other.len(), |(end, _)| end),
            );
            others.push(other);
        }
        let from = others.len().saturating_sub(5);
        let others = others.get(from..).unwrap_or_default().join("; ");
        Err(anyhow!(
            "no {what} within {} ms; last: [{others}]",
            patience.as_millis()
        ))
    }

    /// Forgets what has happened until now.
    pub(crate) fn forget(&self) {
        while self.seen.try_recv().is_ok() {}
    }

    /// Neither takes nor sends packets from here on, with its socket open.
    pub(crate) fn vanish(&self) -> anyhow::Result<()> {
        self.call(|_, turn| turn.is_mute = true)
    }

    /// Records all connections that begin from here on.
    pub(crate) fn record(&self) -> anyhow::Result<()> {
        self.call(|_, turn| turn.recorded = Some(BTreeMap::new()))
    }

    /// [`Turn::facts`] until now.
    pub(crate) fn facts(&self, peer: PeerId, session: SessionId) -> anyhow::Result<u64> {
        self.call(move |_, turn| turn.facts(peer, session))
    }

    /// What was recorded, connection by connection.
    pub(crate) fn recorded(&self) -> anyhow::Result<BTreeMap<PeerId, Vec<Record<Step>>>> {
        self.call(|_, turn| turn.recorded.take().unwrap_or_default())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.commands = None;
        let _ended = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn run(
    mut poll: Poll,
    socket: &UdpSocket,
    mut turn: Turn,
    mut application: impl Application,
    commands: &Receiver<Command>,
    tell: &Sender<Seen>,
) -> io::Result<()> {
    let mut events = Events::with_capacity(8);
    let mut received = vec![0; 65_536];
    let mut to_send = Vec::new();
    loop {
        let due = turn.endpoint.poll_timeout();
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let now = Instant::now();
        // Not all at once, so that timers and answers get their turn; the poll is level-triggered
        // for nobody, so that what is left is read before the next wait.
        let mut more = true;
        while more {
            more = receive(socket, &mut received, &mut turn, now);
            loop {
                match commands.try_recv() {
                    Ok(command) => command(now, &mut turn),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                }
            }
            turn.endpoint.handle_timeout(now);
            while let Some((peer, event)) = turn.poll(now) {
                if let Event::SessionClosed { session, .. } = event {
                    let facts = turn.facts(peer, session);
                    turn.facts_at_end.insert((peer, session), facts);
                }
                // With all that our end took to get here.
                let at = Instant::now();
                if let Some(event) = application.event(now, &mut turn.endpoint, peer, event) {
                    let _nobody = tell.send(Seen { at, peer, event });
                }
            }
            while let Some(transmit) = turn.endpoint.poll_transmit(now, &mut to_send) {
                if !turn.is_mute {
                    // What the system does not take counts as lost on the way.
                    let _lost = socket.send_to(&to_send, transmit.destination);
                }
                to_send.clear();
            }
        }
    }
}

/// Takes in what the socket has. True if there may be more.
fn receive(socket: &UdpSocket, received: &mut [u8], turn: &mut Turn, now: Instant) -> bool {
    for _ in 0..64 {
        let (len, from) = match socket.recv_from(received) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => continue,
        };
        if turn.is_mute {
            continue;
        }
        let datagram = BytesMut::from(received.get(..len).unwrap_or_default());
        if let Some(incoming) = turn.endpoint.handle(now, from, None, None, datagram) {
            let id = turn.endpoint.accept(now, incoming);
            if let (Some(id), Some(recorded)) = (id, &mut turn.recorded)
                && let Some(peer) = turn.endpoint.peer(id)
            {
                peer.sessions().set_recording(true);
                recorded.insert(id, Vec::new());
            }
        }
    }
    true
}

impl Turn {
    /// How many frames have come from the peer that could say how a session ends, by QUIC's own
    /// count, below our host: of streams, RESET_STREAM, STOP_SENDING and CONNECTION_CLOSE.
    pub(crate) fn facts(&mut self, id: PeerId, session: SessionId) -> u64 {
        if let Some(&facts) = self.facts_at_end.get(&(id, session)) {
            return facts;
        }
        self.endpoint.peer(id).map_or(0, |peer| {
            let frames = peer.quic.stats().frame_rx;
            frames.stream + frames.reset_stream + frames.stop_sending + frames.connection_close
        })
    }

    /// The next event. What was recorded is taken before the last packet is out, for then a
    /// connection is forgotten.
    fn poll(&mut self, now: Instant) -> Option<(PeerId, Event)> {
        let event = self.endpoint.poll(now);
        let Some(recorded) = self.recorded.as_mut().filter(|_| event.is_none()) else {
            return event;
        };
        for (&id, records) in recorded {
            if let Some(peer) = self.endpoint.peer(id) {
                records.extend(peer.sessions().take_trace());
            }
        }
        // Whoever was looked at is to be polled again.
        self.endpoint.poll(now)
    }
}

/// The configuration of one end, with `inactivity` as the only deadline that is not the default.
pub(crate) fn config(inactivity: Option<Duration>) -> Config {
    let mut config = Config::default();
    config.deadlines.inactivity = inactivity;
    config
}
