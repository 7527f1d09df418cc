//! Every ending over links that lose, delay and reorder: between our client and our server for many
//! seeds, and with two of the peers.
//!
//! What is lost is sent again, so that nearly all reasons are those of a good link. Some endings are
//! said by one packet that is never sent again; then the reason is what is true without it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, ConnectionLost, Deadline, Endpoint, Rejection,
};

use crate::{
    identity::Identity,
    options::Options,
    peers::{self, Act, Ours, Setup, Told},
    relay::{Conditions, Relay},
    table::{Cell, Row, Section, Table},
};

/// How many of a hundred packets are lost, in either direction.
const LOSSES: [u32; 3] = [1, 5, 20];
/// How long each packet takes, in milliseconds; so they are reordered too.
const DELAY: std::ops::RangeInclusive<u64> = 1..=20;
/// Played at a time: nearly all of it is waiting.
const AT_A_TIME: usize = 16;
/// So many of the seeds may end before there was a connection; but one always may.
const MAY_NOT_CONNECT: [u64; 2] = [1, 5];
/// And in so many, what is never sent again may be lost.
const MAY_BE_LOST: [u64; 2] = [3, 5];
/// Seeds for each that `--runs` says, for ourselves.
const SEEDS: u64 = 10;

pub(crate) fn run(
    options: &Options,
    keep: &mut dyn FnMut(Section) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut section = Section::new("loss", "Loss and reordering");
    section.notes.push(format!(
        "From the first packet on, by a seed, the packets of both directions are lost, and each of \
         the others takes {} to {} ms by itself, so that they are reordered. A cell counts what \
         happened over all seeds; each time it was one of the true reasons, and nothing hung.",
        DELAY.start(),
        DELAY.end(),
    ));
    let seeds = SEEDS * options.runs as u64;
    let mut table = columns(&format!("Our client and our server, {seeds} seeds each"));
    for ending in endings() {
        if options.wants(ending.name) || options.wants("ourselves") {
            let cells =
                LOSSES.map(|loss| tally(loss, seeds, &|link, seed| ending.play(link, seed)));
            table.rows.push(Row::new(ending.name, cells));
        }
    }
    section.tables.push(table);

    let [passed, dropped] = &PACKETS;
    section.notes.push(format!(
        "Between ourselves {} packets got through, and {} were lost.",
        passed.load(Ordering::SeqCst),
        dropped.load(Ordering::SeqCst),
    ));

    let runs = options.runs as u64;
    let mut table = columns(&format!("Peers, {runs} seeds each"));
    let (lossy, skipped) = peers::lossy(options);
    for lossy in lossy {
        if options.wants(&lossy.name()) {
            let version = peers::version_of(lossy.peer, options);
            section.version(lossy.peer, version);
            let cells = LOSSES.map(|loss| tally(loss, runs, &|link, seed| lossy.play(link, seed)));
            table.rows.push(Row::new(lossy.name(), cells));
        }
    }
    if let Some(why) = skipped {
        let cells = LOSSES.map(|_| Cell::skipped(&*why));
        table.rows.push(Row::new("all with aioquic", cells));
    }
    section.tables.push(table);
    keep(section)
}

/// How many packets got through between ourselves, and how many were lost.
static PACKETS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn columns(title: &str) -> Table {
    Table::new(
        title,
        &["what happens", "1 % lost", "5 % lost", "20 % lost"],
    )
}

/// Plays something with each seed, and counts what comes of it.
fn tally(
    loss_percent: u32,
    seeds: u64,
    play: &(dyn Fn(Conditions, u64) -> anyhow::Result<Outcome> + Sync),
) -> Cell {
    let counts = Mutex::new(BTreeMap::<Outcome, u64>::new());
    let wrong = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst) as u64;
                    if seed >= seeds {
                        return;
                    }
                    let delay_ms = DELAY;
                    let link = Conditions {
                        loss_percent,
                        delay_ms,
                    };
                    match play(link, seed) {
                        Ok(what) => *lock(&counts).entry(what).or_default() += 1,
                        Err(error) => lock(&wrong).push(format!("seed {seed}: {error:#}")),
                    }
                }
            });
        }
    });
    let counts = lock(&counts);
    let words = counts
        .iter()
        .map(|(what, count)| format!("{count} × {}", what.words()))
        .collect::<Vec<_>>()
        .join("; ");
    let wrong = lock(&wrong);
    let many = |which: fn(&Outcome) -> bool, [parts, of]: [u64; 2]| {
        let count: u64 = counts
            .iter()
            .filter(|(what, _)| which(what))
            .map(|(_, n)| n)
            .sum();
        count > (seeds * parts / of).max(1)
    };
    if let Some(first) = wrong.first() {
        Cell::failure(format!("{words}; {} wrong", wrong.len()), first)
    } else if many(
        |what| matches!(what, Outcome::NeverConnected(_)),
        MAY_NOT_CONNECT,
    ) || many(|what| matches!(what, Outcome::Lost(_)), MAY_BE_LOST)
    {
        Cell::failure(words, "So many go wrong for another reason than loss")
    } else {
        Cell::pass(words)
    }
}

/// What came of one seed, in the words of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// What said how it ended was lost for ever: the reasons without it.
    Lost(String),
    /// There was no connection.
    NeverConnected(String),
    /// The reasons of a good link.
    Said(String),
}

impl Outcome {
    fn words(&self) -> String {
        match self {
            Self::Lost(words) | Self::Said(words) => words.clone(),
            Self::NeverConnected(label) => format!("never connected: `{label}`"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An ending between our client and our server, and the reasons that are true of it at each.
struct Ending {
    name: &'static str,
    client: Act,
    server: Act,
    /// One of these.
    at_client: Vec<CloseReason>,
    /// One of these; or none, if the request need not be announced.
    at_server: Vec<CloseReason>,
    need_not_be_announced: bool,
    change: fn(&mut Setup, &mut Setup),
}

impl Ending {
    fn new(
        name: &'static str,
        client: Act,
        server: Act,
        at_client: CloseReason,
        at_server: CloseReason,
    ) -> Self {
        Self {
            name,
            client,
            server,
            at_client: vec![at_client],
            at_server: vec![at_server],
            need_not_be_announced: false,
            change: |_, _| {},
        }
    }

    fn or_at_client(mut self, reasons: &[CloseReason]) -> Self {
        self.at_client.extend_from_slice(reasons);
        self
    }

    fn or_at_server(mut self, reasons: &[CloseReason]) -> Self {
        self.at_server.extend_from_slice(reasons);
        self
    }

    fn with(mut self, change: fn(&mut Setup, &mut Setup)) -> Self {
        self.change = change;
        self
    }

    fn play(&self, link: Conditions, seed: u64) -> anyhow::Result<Outcome> {
        let identity = Identity::fresh()?;
        let (mut client, mut server) = (setup(&self.client), setup(&self.server));
        (self.change)(&mut client, &mut server);
        let network = Arc::new(OnceLock::<Relay>::new());
        let cut = |network: &Arc<OnceLock<Relay>>| {
            let network = Arc::clone(network);
            Box::new(move || {
                if let Some(relay) = network.get() {
                    relay.cut();
                }
            })
        };
        let server = Ours::server(&identity, server, cut(&network))?;
        let relay = Relay::start(server.address, link, seed)?;
        let address = relay.address;
        let _first = network.set(relay);
        let client = Ours::client(&identity, client, address, cut(&network))?;
        let (at_client, at_server) = thread::scope(|scope| {
            // It is kept until both are told: its last packets may have to be sent again.
            let at_server = scope.spawn(move || (server.wait(), server));
            (client.wait(), at_server.join())
        });
        let (at_server, _server) =
            at_server.map_err(|_| anyhow::anyhow!("the server's thread panicked"))?;
        if let Some(relay) = network.get() {
            let (passed, dropped) = relay.counts();
            PACKETS[0].fetch_add(passed, Ordering::SeqCst);
            PACKETS[1].fetch_add(dropped, Ordering::SeqCst);
        }
        self.judge(&at_client, &at_server)
    }

    fn judge(&self, client: &Told, server: &Told) -> anyhow::Result<Outcome> {
        let hung = "a connection hung";
        anyhow::ensure!(
            client.connection.is_some(),
            "{hung}: {client:?}, {server:?}"
        );
        if let Some(never) = never_connected(client) {
            // The server may know of nothing, or of a connection that never came to be.
            anyhow::ensure!(server.reasons.is_empty(), "{client:?}, {server:?}");
            return Ok(never);
        }
        anyhow::ensure!(
            server.connection.is_some(),
            "{hung}: {client:?}, {server:?}"
        );
        let one_of = |told: &Told, reasons: &[CloseReason]| match &*told.reasons {
            [(0, reason)] => reasons.contains(reason),
            _ => false,
        };
        let is_unannounced = self.need_not_be_announced && server.reasons.is_empty();
        let is_true =
            one_of(client, &self.at_client) && (is_unannounced || one_of(server, &self.at_server));
        anyhow::ensure!(is_true, "{client:?}, {server:?}");
        let label = |told: &Told| {
            let label = told.reasons.first().map(|(_, reason)| reason.label());
            label.unwrap_or("never announced")
        };
        let words = format!("`{}` and `{}`", label(client), label(server));
        let first_of = |told: &Told, reasons: &[CloseReason]| match (&*told.reasons, reasons) {
            ([(_, reason)], [first, ..]) => reason == first,
            _ => is_unannounced,
        };
        let is_said = first_of(client, &self.at_client) && first_of(server, &self.at_server);
        Ok(if is_said {
            Outcome::Said(words)
        } else {
            Outcome::Lost(words)
        })
    }
}

/// So much may be lost that a connection never comes to be, or is over at one end before the other
/// is sure of it. Then there was no session.
pub(crate) fn never_connected(told: &Told) -> Option<Outcome> {
    let lost = told.connection.as_ref()?;
    let is_silence = matches!(
        lost,
        ConnectionLost::HandshakeFailed
            | ConnectionLost::IdleTimeout
            | ConnectionLost::StatelessReset
    );
    (told.reasons.is_empty() && is_silence).then(|| Outcome::NeverConnected(lost.label().into()))
}

/// With time for what is lost to be sent again, and none that strikes before.
fn setup(act: &Act) -> Setup {
    let mut setup = Setup::new(act.clone());
    setup.idle = Duration::from_secs(10);
    setup.patience = Duration::from_secs(40);
    let deadlines = &mut setup.config.deadlines;
    deadlines.request = Some(Duration::from_secs(20));
    deadlines.linger = Duration::from_secs(8);
    deadlines.idle_connection = Some(Duration::from_secs(20));
    setup
}

fn endings() -> Vec<Ending> {
    let local = |code, message: &str| CloseReason::Local {
        code,
        message: message.into(),
    };
    let peer = |code, message: &str| {
        let via = CloseVia::Capsule;
        CloseReason::Peer {
            code,
            message: message.into(),
            via,
        }
    };
    let fin = || {
        let (code, message, via) = (0, "".into(), CloseVia::Fin);
        CloseReason::Peer { code, message, via }
    };
    let aborted = |by, code| CloseReason::Aborted { by, code };
    let rejected = |by| {
        let rejection = Box::new(Rejection::from(http::StatusCode::FORBIDDEN));
        CloseReason::Rejected { by, rejection }
    };
    let lost = |lost: ConnectionLost| CloseReason::ConnectionLost(lost);
    let by_peer = || {
        let (code, reason) = (0x10c, "off".into());
        lost(ConnectionLost::PeerApplication { code, reason })
    };
    let withdrawn = || CloseReason::Withdrawn { code: Some(0x10c) };
    let timed_out = CloseReason::TimedOut;
    // The end of the connection may come before the answer to an ending, which is lost with it.
    let shut = || {
        let (code, reason) = (0x100, "".into());
        lost(ConnectionLost::PeerApplication { code, reason })
    };
    let silence = [
        lost(ConnectionLost::IdleTimeout),
        lost(ConnectionLost::StatelessReset),
    ];
    let bye = || Act::Close(7, "bye".into());
    let gone = 0x170d_7b68;
    let (reset, stop) = (AbortedBy::Reset, AbortedBy::StopSending);
    let mut early = Ending::new(
        "the client closes before the answer",
        Act::CloseEarly(5),
        Act::Wait,
        local(5, ""),
        withdrawn(),
    )
    // If the answer is on its way.
    .or_at_server(&[aborted(reset, 0x10c), aborted(stop, 0x10c), shut()]);
    early.need_not_be_announced = true;
    vec![
        Ending::new(
            "the client closes",
            bye(),
            Act::Wait,
            local(7, "bye"),
            peer(7, "bye"),
        ),
        Ending::new(
            "the server closes",
            Act::Wait,
            bye(),
            peer(7, "bye"),
            local(7, "bye"),
        ),
        Ending::new(
            "both close",
            bye(),
            Act::Close(8, "late".into()),
            local(7, "bye"),
            local(8, "late"),
        )
        .or_at_client(&[peer(8, "late")])
        .or_at_server(&[peer(7, "bye")]),
        Ending::new(
            "the client shuts down",
            Act::Shutdown(9, "off"),
            Act::Wait,
            local(9, "off"),
            peer(9, "off"),
        ),
        Ending::new(
            "the server shuts down",
            Act::Wait,
            Act::Shutdown(9, "off"),
            peer(9, "off"),
            local(9, "off"),
        ),
        Ending::new("FIN from the client", Act::Fin, Act::Wait, fin(), fin())
            .or_at_client(&[shut()]),
        Ending::new("FIN from the server", Act::Wait, Act::Fin, fin(), fin())
            .or_at_server(&[shut()]),
        Ending::new(
            "RESET_STREAM from the client",
            Act::Reset(0x10c),
            Act::Wait,
            aborted(reset, gone),
            aborted(reset, 0x10c),
        )
        // Whichever half of the answer comes first.
        .or_at_client(&[aborted(stop, gone), shut()]),
        Ending::new(
            "STOP_SENDING from the client",
            Act::Stop(0x10c),
            Act::Wait,
            aborted(stop, 0x10c),
            aborted(stop, 0x10c),
        )
        .or_at_client(&[shut()]),
        Ending::new(
            "the server rejects",
            Act::Wait,
            Act::Reject(403),
            rejected(Endpoint::Peer),
            rejected(Endpoint::Local),
        ),
        Ending::new(
            "the server does not answer",
            Act::Wait,
            Act::Withhold,
            timed_out(Deadline::Request),
            withdrawn(),
        )
        .or_at_server(&[shut()])
        .or_at_server(&silence)
        .with(|client, _| client.config.deadlines.request = Some(Duration::from_secs(2))),
        early,
        Ending::new(
            "the client closes the connection",
            Act::Abort(0x10c, "off"),
            Act::Wait,
            lost(ConnectionLost::Local { code: Some(0x10c) }),
            by_peer(),
        )
        .or_at_server(&silence)
        .with(|client, server| {
            (client.idle, server.idle) = (Duration::from_secs(4), Duration::from_secs(4))
        }),
        Ending::new(
            "the server closes the connection",
            Act::Wait,
            Act::Abort(0x10c, "off"),
            by_peer(),
            lost(ConnectionLost::Local { code: Some(0x10c) }),
        )
        .or_at_client(&silence)
        .with(|client, server| {
            (client.idle, server.idle) = (Duration::from_secs(4), Duration::from_secs(4))
        }),
        Ending::new(
            "the network goes",
            Act::Vanish,
            Act::Wait,
            silence[0].clone(),
            silence[0].clone(),
        )
        .with(|client, server| {
            (client.idle, server.idle) = (Duration::from_secs(3), Duration::from_secs(3))
        }),
        Ending::new(
            "the client says nothing",
            Act::Wait,
            Act::Wait,
            peer(0, ""),
            timed_out(Deadline::Inactivity),
        )
        .with(|_, server| server.config.deadlines.inactivity = Some(Duration::from_secs(2))),
    ]
}
