//! A client and a server that hand each other their bytes at once: no link, no script, no copies
//! that a QUIC stack would not make.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use webtransport_session::{
    Action, Config, Connection, Dialect, Dialects, Dir, Event, FlowControl, Input, Output, Request,
    Response, SessionId, Side, StreamId, Support, Transport,
};

/// Both ends of a connection.
#[derive(Debug)]
pub struct Ends {
    pub client: Connection,
    pub server: Connection,
    pub now: Instant,
    /// The stream that the client opens next for a session.
    next: u64,
}

impl Ends {
    /// New, and nothing has happened.
    pub fn new(config: &Arc<Config>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an origin; only offsets from it matter"
        )]
        let now = Instant::now();
        Self {
            client: Connection::client(config.clone()),
            server: Connection::server(config.clone()),
            now,
            next: 0,
        }
    }

    /// QUIC is connected: both say their SETTINGS.
    pub fn start(&mut self) {
        for side in [Side::Client, Side::Server] {
            let now = self.now;
            let control = StreamId::new(side, Dir::Uni, 0);
            let end = self.end(side);
            end.start(now, Transport::new(Support::Yes));
            if let Some(permit) = end.protocol_stream() {
                permit.bind(control);
            }
        }
        self.exchange();
    }

    /// SETTINGS are exchanged.
    pub fn ready(config: &Arc<Config>) -> Self {
        let mut ends = Self::new(config);
        ends.start();
        ends
    }

    /// With so many sessions that are open.
    pub fn with_sessions(config: &Arc<Config>, count: usize) -> Self {
        let mut ends = Self::ready(config);
        let request = request();
        for _ in 0..count {
            ends.open(&request);
        }
        assert_eq!(ends.client.sessions().count(), count);
        assert_eq!(ends.server.sessions().count(), count);
        ends
    }

    /// The client asks for a session, and gets it.
    pub fn open(&mut self, request: &Request) -> SessionId {
        let permit = self.client.connect(self.now, request);
        let permit = permit.expect("a session more is within the limits");
        let session = permit.bind(self.next.into());
        self.next += 4;
        self.exchange();
        session
    }

    /// Carries everything over, until both are quiet. The server takes whoever asks.
    pub fn exchange(&mut self) {
        loop {
            let moved = self.carry(Side::Client) | self.carry(Side::Server);
            if !moved {
                return;
            }
        }
    }

    fn carry(&mut self, from: Side) -> bool {
        let now = self.now;
        let (near, far) = match from {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        };
        let mut moved = false;
        while let Some(output) = near.poll() {
            moved = true;
            match output {
                Output::Action(Action::Write { stream, data, fin }) => {
                    let len = data.len();
                    near.handle(now, Input::Written { stream, len, fin });
                    far.handle(now, Input::StreamData { stream, data, fin });
                }
                Output::Action(Action::Reset { stream, code, .. }) => {
                    let final_size = None;
                    far.handle(
                        now,
                        Input::StreamReset {
                            stream,
                            code,
                            final_size,
                        },
                    );
                }
                Output::Action(Action::StopSending { stream, code }) => {
                    far.handle(now, Input::StreamStopped { stream, code });
                }
                Output::Event(Event::SessionRequested { session, .. }) => {
                    let answered = near.accept(now, session, Response::default());
                    answered.expect("the client is still here");
                }
                Output::Action(_) | Output::Event(_) => {}
            }
        }
        moved
    }

    pub fn end(&mut self, side: Side) -> &mut Connection {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

/// Polls until there is nothing; QUIC takes every write. Gives the number of events.
#[inline]
pub fn drain(connection: &mut Connection, now: Instant) -> usize {
    let mut events = 0;
    while let Some(output) = connection.poll() {
        match output {
            Output::Action(Action::Write { stream, data, fin }) => {
                let len = data.len();
                connection.handle(now, Input::Written { stream, len, fin });
            }
            Output::Action(_) => {}
            Output::Event(event) => {
                std::hint::black_box(event);
                events += 1;
            }
        }
    }
    events
}

/// What every client here asks for.
pub fn request() -> Request {
    let uri = "https://example.org/game".parse().expect("a URI");
    Request::new(uri).origin("https://example.org".parse().expect("an origin"))
}

/// As it comes: one session, the latest dialect, no flow control.
pub fn plain() -> Arc<Config> {
    Arc::new(Config::default())
}

/// The same with flow control.
pub fn flow_control() -> Arc<Config> {
    let mut config = Config::default();
    config.flow_control = Some(FlowControl::new(1 << 20, 1 << 20, 1 << 20));
    Arc::new(config)
}

/// Any number of sessions on one connection, without flow control.
pub fn crowded() -> Arc<Config> {
    let mut config = Config::default();
    config.dialects = Dialects::only(Dialect::Draft02);
    config.limits.sessions = 1 << 20;
    config.limits.unanswered_requests = 1 << 20;
    Arc::new(config)
}

/// So many pieces that share one buffer, as what a QUIC stack hands out shares its packets.
pub fn pieces(whole: &[u8], count: usize) -> Vec<Bytes> {
    let shared = Bytes::from(whole.repeat(16));
    (0..count)
        .map(|n| {
            let at = (n % 16) * whole.len();
            shared.slice(at..at + whole.len())
        })
        .collect()
}
