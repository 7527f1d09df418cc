//! Two programs with a relay between them, and what a scenario can do and expect there.

use std::{path::PathBuf, time::Duration};

use host_suite::{Limit, Raw, Verb, report::What};
use webtransport_session::{CloseReason, Config, ConnectionLost, SessionId, Side, StreamId};

use crate::{Failure, process::Process, relay::Relay, scenarios};

/// The client that most scenarios have; a second one is 1. Servers call them the same.
pub(crate) const FIRST: usize = 0;

/// How the programs are started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) client: Config,
    pub(crate) server: Config,
    pub(crate) idle: Duration,
    pub(crate) server_alpn: &'static str,
    pub(crate) streams: u32,
    pub(crate) stream_window: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            client: Config::default(),
            server: Config::default(),
            idle: Duration::from_secs(30),
            server_alpn: "h3",
            streams: 100,
            stream_window: 1 << 18,
        }
    }
}

impl Setup {
    pub(crate) fn config(&mut self, side: Side) -> &mut Config {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    pub(crate) fn both(&mut self, set: impl Fn(&mut Config)) {
        set(&mut self.client);
        set(&mut self.server);
    }
}

/// A program for each side, and the server's certificate.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) client: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Stage {
    scenario: &'static str,
    cast: Cast,
    setup: Setup,
    pub(crate) clients: Vec<Process>,
    pub(crate) server: Process,
    pub(crate) relay: Relay,
    /// Limits of a stack that explain what was told.
    pub(crate) excused: Vec<(Side, Limit)>,
    /// The server was killed: nobody asks it how things ended.
    is_server_new: bool,
}

impl Stage {
    /// Starts the server; a client is to [`enter`](Self::enter).
    pub(crate) fn new(scenario: &'static str, cast: Cast, setup: Setup) -> Result<Self, Failure> {
        let mut server = start_server(&cast, &setup, "127.0.0.1:0")?;
        let relay =
            Relay::start(server.listening()?).map_err(|error| Failure(error.to_string()))?;
        Ok(Self {
            scenario,
            cast,
            setup,
            clients: Vec::new(),
            server,
            relay,
            excused: Vec::new(),
            is_server_new: false,
        })
    }

    /// What the programs have declared for this scenario.
    pub(crate) fn limits(&self) -> Vec<(Side, Limit)> {
        let client = self.clients.first();
        let of = |side, process: &Process| {
            let limits = process.limits.iter();
            let mine = limits.filter(|limit| limit.scenario == self.scenario);
            mine.map(|limit| (side, limit.clone())).collect::<Vec<_>>()
        };
        let mut limits = of(Side::Server, &self.server);
        limits.extend(
            client
                .map(|client| of(Side::Client, client))
                .unwrap_or_default(),
        );
        limits
    }

    /// Starts a client, which connects.
    pub(crate) fn enter(&mut self) -> Result<usize, Failure> {
        let mut arguments = vec!["client".into(), self.relay.address.to_string()];
        arguments.extend(common(&self.cast, &self.setup, &self.setup.client)?);
        let client = Process::start("client".into(), &self.cast.client, &arguments)?;
        self.clients.push(client);
        Ok(self.clients.len() - 1)
    }

    /// The first client connects and opens a session.
    pub(crate) fn open(&mut self) -> Result<SessionId, Failure> {
        self.ready()?;
        self.open_another()
    }

    /// The first client connects and hears of the server's SETTINGS.
    pub(crate) fn ready(&mut self) -> Result<(), Failure> {
        self.enter()?;
        self.wait(Side::Client, "ready", |what| {
            matches!(what, What::Ready { .. }).then_some(())
        })
    }

    /// A further session of the first client.
    pub(crate) fn open_another(&mut self) -> Result<SessionId, Failure> {
        let session = self.request("/")?;
        for side in [Side::Client, Side::Server] {
            self.opened(side, session)?;
        }
        Ok(session)
    }

    pub(crate) fn opened(&mut self, side: Side, session: SessionId) -> Result<(), Failure> {
        self.wait(side, "opened", |what| {
            (*what == What::Opened { session }).then_some(())
        })
    }

    /// The first client asks for a session, and the server hears of it.
    pub(crate) fn request(&mut self, path: &str) -> Result<SessionId, Failure> {
        let path = path.to_owned();
        self.order(Side::Client, Verb::Connect { path })?;
        let session = self.wait(Side::Client, "connecting", |what| match what {
            What::Connecting { session } => Some(*session),
            _ => None,
        })?;
        self.wait(Side::Server, "requested", |what| {
            matches!(what, What::Requested { session: asked, .. } if *asked == session)
                .then_some(())
        })?;
        Ok(session)
    }

    pub(crate) fn actor(&mut self, side: Side) -> Result<&mut Process, Failure> {
        match side {
            Side::Server => Ok(&mut self.server),
            Side::Client => self
                .clients
                .get_mut(FIRST)
                .ok_or(Failure("no client has entered".into())),
        }
    }

    pub(crate) fn order(&mut self, side: Side, verb: Verb) -> Result<(), Failure> {
        self.actor(side)?.order(FIRST, verb)
    }

    /// Bytes on a stream, made behind the sessions' back.
    pub(crate) fn write(
        &mut self,
        side: Side,
        stream: StreamId,
        data: &[u8],
        fin: bool,
    ) -> Result<(), Failure> {
        let data = data.to_vec();
        self.order(side, Verb::Raw(Raw::Write { stream, data, fin }))
    }

    pub(crate) fn close(
        &mut self,
        side: Side,
        session: SessionId,
        code: u32,
        message: &str,
    ) -> Result<(), Failure> {
        let message = message.to_owned();
        self.order(
            side,
            Verb::Close {
                session,
                code,
                message,
            },
        )
    }

    pub(crate) fn wait<T>(
        &mut self,
        side: Side,
        what: &str,
        found: impl FnMut(&What) -> Option<T>,
    ) -> Result<T, Failure> {
        self.actor(side)?.wait(FIRST, what, found)
    }

    /// Waits for the session's end, which must have exactly this reason, or what a limit of the stack
    /// says that it is told instead.
    pub(crate) fn closed(
        &mut self,
        side: Side,
        session: SessionId,
        reason: impl Into<CloseReason>,
    ) -> Result<(), Failure> {
        let expected = format!("{:?}", reason.into());
        let told = self.end_of(side, session)?.1;
        self.judge(side, &format!("session {session}"), &expected, told)
    }

    /// Waits for the session's end; its reason is one with this label.
    pub(crate) fn closed_somehow(
        &mut self,
        side: Side,
        session: SessionId,
        label: &[&str],
    ) -> Result<String, Failure> {
        let (told, reason) = self.end_of(side, session)?;
        if label.contains(&told.as_str()) {
            return Ok(reason);
        }
        self.judge(
            side,
            &format!("session {session}"),
            &label.join(" or "),
            reason.clone(),
        )?;
        Ok(reason)
    }

    fn end_of(&mut self, side: Side, session: SessionId) -> Result<(String, String), Failure> {
        self.wait(
            side,
            &format!("the end of session {session}"),
            |what| match what {
                What::Closed {
                    session: of,
                    label,
                    reason,
                } if *of == session => Some((label.clone(), reason.clone())),
                _ => None,
            },
        )
    }

    /// Waits for the connection's end.
    pub(crate) fn connection_closed(
        &mut self,
        side: Side,
        reason: ConnectionLost,
    ) -> Result<(), Failure> {
        let (_, told) = self.end_of_connection(side)?;
        self.judge(side, "the connection", &format!("{reason:?}"), told)
    }

    /// Waits for the connection's end; its reason is one with this label.
    pub(crate) fn connection_closed_somehow(
        &mut self,
        side: Side,
        label: &str,
    ) -> Result<String, Failure> {
        let (told, reason) = self.end_of_connection(side)?;
        if told != label {
            self.judge(side, "the connection", label, reason.clone())?;
        }
        Ok(reason)
    }

    fn end_of_connection(&mut self, side: Side) -> Result<(String, String), Failure> {
        self.wait(side, "the end of the connection", |what| match what {
            What::ConnectionClosed { label, reason } => Some((label.clone(), reason.clone())),
            _ => None,
        })
    }

    fn judge(
        &mut self,
        side: Side,
        whose: &str,
        expected: &str,
        told: String,
    ) -> Result<(), Failure> {
        if told == expected {
            return Ok(());
        }
        // A limit is told as a session's reason, also where no session is left.
        let of_session = format!("ConnectionLost({told})");
        let limits = self.limits().into_iter();
        let limit = limits
            .filter(|(of, limit)| (*of == side) != limit.at_peer)
            .find(|(_, limit)| limit.told == told || limit.told == of_session);
        let Some(limit) = limit else {
            return Err(Failure(format!(
                "the {side:?} was told of {whose}: {told}, not: {expected}"
            )));
        };
        self.excused.push(limit);
        Ok(())
    }

    /// The server is killed and started anew at the same address.
    pub(crate) fn restart_server(&mut self) -> Result<(), Failure> {
        let address = self.server.listening()?.to_string();
        self.server.kill();
        self.server = start_server(&self.cast, &self.setup, &address)?;
        self.server.listening()?;
        self.is_server_new = true;
        Ok(())
    }

    /// Ends all that is left, and looks over everything that was told: every session that was ends
    /// exactly once, and nothing of it comes later.
    pub(crate) fn end(&mut self) -> Result<Vec<(Side, Limit)>, Failure> {
        let all = self.clients.len();
        for (number, client) in self.clients.iter_mut().enumerate() {
            if !is_over(client, FIRST) {
                client.order(
                    FIRST,
                    Verb::Abort {
                        code: 0x100,
                        reason: "over".into(),
                    },
                )?;
                client.wait(FIRST, "the end of the connection", end_of_connection)?;
            }
            if !self.is_server_new
                && self.server.log.iter().any(|(of, _)| *of == number)
                && !is_over(&mut self.server, number)
            {
                self.server
                    .wait(number, "the end of the connection", end_of_connection)?;
            }
        }
        for client in &mut self.clients {
            client.leave()?;
            check(client, FIRST)?;
        }
        self.server.leave()?;
        for number in 0..all {
            check(&self.server, number)?;
        }
        Ok(std::mem::take(&mut self.excused))
    }

    /// Whether a side was told of no end at all.
    pub(crate) fn is_quiet(&mut self, side: Side) -> bool {
        let is_end =
            |what: &What| matches!(what, What::Closed { .. } | What::ConnectionClosed { .. });
        self.actor(side)
            .is_ok_and(|process| process.count(FIRST, is_end) == 0)
    }

    /// A limit is one of a scenario.
    pub(crate) fn knows_its_limits(&self) -> Result<(), Failure> {
        let mut limits = self.server.limits.iter();
        let mut of_clients = self.clients.iter().flat_map(|client| &client.limits);
        let is_unknown =
            |limit: &&Limit| !scenarios::all().any(|scenario| scenario.id == limit.scenario);
        match limits.find(is_unknown).or(of_clients.find(is_unknown)) {
            Some(limit) => Err(Failure(format!("no scenario is called {}", limit.scenario))),
            None => Ok(()),
        }
    }

    /// What each program told, for whoever looks for a mistake.
    pub(crate) fn story(&self) -> String {
        let clients = self.clients.iter().map(|client| ("client", client));
        let mut story = format!("---- {}, as it was told\n", self.scenario);
        for (name, process) in clients.chain([("server", &self.server)]) {
            for (peer, what) in &process.log {
                story += &format!("{name} {peer}: {what:?}\n");
            }
        }
        story
    }
}

fn is_over(process: &mut Process, peer: usize) -> bool {
    process.count(peer, |what| end_of_connection(what).is_some()) > 0
}

fn end_of_connection(what: &What) -> Option<()> {
    matches!(what, What::ConnectionClosed { .. }).then_some(())
}

fn start_server(cast: &Cast, setup: &Setup, address: &str) -> Result<Process, Failure> {
    let mut arguments = vec!["server".into(), address.into()];
    arguments.extend(common(cast, setup, &setup.server)?);
    if setup.server_alpn != "h3" {
        arguments.extend(["--alpn".into(), setup.server_alpn.into()]);
    }
    Process::start("server".into(), &cast.server, &arguments)
}

fn common(cast: &Cast, setup: &Setup, config: &Config) -> Result<Vec<String>, Failure> {
    let config = serde_json::to_string(config).map_err(|error| Failure(error.to_string()))?;
    let options = [
        ("--certificate", cast.certificate.display().to_string()),
        ("--key", cast.key.display().to_string()),
        ("--idle", setup.idle.as_millis().to_string()),
        ("--streams", setup.streams.to_string()),
        ("--stream-window", setup.stream_window.to_string()),
        ("--config", config),
    ];
    Ok(options
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect())
}

/// The promise, over all that a program told of a connection.
fn check(process: &Process, peer: usize) -> Result<(), Failure> {
    let mut announced = std::collections::BTreeMap::new();
    let mut is_over = false;
    for what in process
        .log
        .iter()
        .filter(|(of, _)| *of == peer)
        .map(|(_, what)| what)
    {
        let broken = |text: &str| Err(Failure(format!("{text}: {what:?}")));
        if is_over {
            return broken("after the end of the connection");
        }
        match what {
            What::Failed { .. } => return broken("an order was refused"),
            What::ConnectionClosed { .. } => is_over = true,
            _ => {}
        }
        let Some(session) = session_of(what) else {
            continue;
        };
        if announced.get(&session) == Some(&true) {
            return broken("after the end of the session");
        }
        announced.insert(session, matches!(what, What::Closed { .. }));
    }
    match announced.iter().find(|(_, closed)| !**closed) {
        Some((session, _)) => Err(Failure(format!("session {session} never ended"))),
        None => Ok(()),
    }
}

fn session_of(what: &What) -> Option<SessionId> {
    match *what {
        What::Requested { session, .. }
        | What::Connecting { session }
        | What::Opened { session }
        | What::Draining { session }
        | What::Closed { session, .. }
        | What::Datagram { session, .. }
        | What::SentDatagram { session, .. }
        | What::Open { session, .. }
        | What::StreamOpened { session, .. }
        | What::StreamEnded { session, .. }
        | What::StreamReset { session, .. }
        | What::StreamStopped { session, .. } => Some(session),
        What::Ready { .. }
        | What::Unsupported(_)
        | What::Sent { .. }
        | What::ConnectionClosed { .. }
        | What::Failed { .. } => None,
    }
}
