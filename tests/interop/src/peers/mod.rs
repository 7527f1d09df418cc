//! Other implementations, as clients and as servers, over loopback UDP or in memory.
//!
//! A case says what our application does, what the peer does, and exactly what both are told of it.

mod aioquic;
mod guest;
mod h3;
mod ours;
mod shiguredo;
mod web_transport_quinn;
mod wtransport;

use std::{collections::BTreeSet, sync::Arc};

use http::StatusCode;
use webtransport_session::{
    AbortedBy, CloseReason, CloseVia, ConnectionLost, Dialect, Endpoint, Rejection, Side,
};

use crate::{
    identity::Identity,
    options::Options,
    relay::{Conditions, Relay},
    table::{Cell, Row, Section, Table},
};
use guest::{Deed, Guest, Invitation};
mod lossy;

pub(crate) use lossy::lossy;
pub(crate) use ours::{Act, Ours, Setup, Told};

pub(crate) fn run(
    options: &Options,
    keep: &mut dyn FnMut(Section) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for section in [
        // In memory, and so at once.
        shiguredo::section,
        wtransport::section,
        web_transport_quinn::section,
        h3::section,
        aioquic::section,
    ] {
        let section = section(options)?;
        // A filter may leave nothing.
        if section.tables.iter().any(|table| !table.rows.is_empty()) {
            keep(section)?;
        }
    }
    Ok(())
}

/// One thing that is tried with a peer.
pub(crate) struct Case {
    name: String,
    setup: Setup,
    deed: Deed,
    /// What our application has to be told: of each session in order, and in it.
    reasons: Vec<(u64, CloseReason)>,
    notes: Vec<String>,
    /// How the connection has to end for us: one of these.
    connections: Vec<ConnectionLost>,
    /// What the peer tells: one of these.
    told: Vec<Vec<String>>,
    /// Whether the order of it is chance.
    any_order: bool,
    /// Where the peer does otherwise than it should: what that is, with its evidence.
    sent_wrong: &'static str,
    told_wrong: &'static str,
}

impl Case {
    fn new(name: impl Into<String>, act: Act, deed: Deed, reason: CloseReason) -> Self {
        // If it ends under the session, it ends so; else as our shutdown of it does.
        let connection = match &reason {
            CloseReason::ConnectionLost(lost) => lost.clone(),
            _ => ConnectionLost::Local { code: Some(0x100) },
        };
        Self {
            name: name.into(),
            setup: Setup::new(act),
            deed,
            reasons: vec![(0, reason)],
            notes: Vec::new(),
            connections: vec![connection],
            told: Vec::new(),
            any_order: false,
            sent_wrong: "",
            told_wrong: "",
        }
    }

    /// Another session that ends, after those before.
    fn and(mut self, session: u64, reason: CloseReason) -> Self {
        self.reasons.push((session, reason));
        self.setup.sessions += 1;
        self
    }

    /// What the peer tells, line by line; said twice, it is one of both.
    fn told(mut self, lines: &[impl AsRef<str>]) -> Self {
        let lines = lines.iter().map(|line| line.as_ref().into());
        self.told.push(lines.collect());
        self
    }

    /// What the peer tells comes in any order; it is told sorted.
    fn any_order(mut self) -> Self {
        self.any_order = true;
        self
    }

    /// What comes in our session beside its end.
    fn notes(mut self, notes: &[&str]) -> Self {
        self.notes = notes.iter().map(|&note| note.into()).collect();
        self
    }

    /// How the connection ends, one of these.
    fn connection(mut self, lost: &[ConnectionLost]) -> Self {
        self.connections = lost.to_vec();
        self
    }

    /// The peer sends what it should not.
    fn sent_wrong(mut self, why: &'static str) -> Self {
        self.sent_wrong = why;
        self
    }

    /// The peer's application is told what is not true.
    fn told_wrong(mut self, why: &'static str) -> Self {
        self.told_wrong = why;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.setup);
        self
    }
}

/// Starts a peer.
type Start<'a> = &'a dyn Fn(Invitation) -> anyhow::Result<Guest>;

/// Runs all cases of a peer in one role.
fn table(
    options: &Options,
    title: &str,
    (side, dialect): (Side, Dialect),
    cases: Vec<Case>,
    start: Start<'_>,
) -> anyhow::Result<Table> {
    let identity = Identity::fresh()?;
    let mut spoken = BTreeSet::new();
    let mut table = Table::new(title, &["what happens", "our application", "the peer's"]);
    for case in cases {
        if options.wants(&case.name) || options.wants(title) {
            let played = play(&identity, side, &case, start, Conditions::perfect(), 0);
            table.rows.push(match played {
                Ok((told, lines)) => {
                    spoken.extend(told.dialect);
                    case.judge(&told, lines)
                }
                Err(error) => {
                    let cell = Cell::failure("no result", format!("{error:#}"));
                    Row::new(&*case.name, [cell, Cell::nothing()])
                }
            });
        }
    }
    if !spoken.is_empty() {
        let spoken = format!("{spoken:?}");
        let cell = Cell::expect(spoken, &format!("{:?}", BTreeSet::from([dialect])));
        table.rows.push(Row::new(
            "the dialect in all of them",
            [cell, Cell::nothing()],
        ));
    }
    Ok(table)
}

/// Plays one case; gives what our application was told, and what the peer tells.
fn play(
    identity: &Identity,
    side: Side,
    case: &Case,
    start: Start<'_>,
    conditions: Conditions,
    seed: u64,
) -> anyhow::Result<(Told, Vec<String>)> {
    let setup = case.setup.clone();
    let invitation = |server| Invitation {
        side,
        deed: case.deed.clone(),
        identity: identity.clone(),
        idle: setup.idle,
        server,
    };
    match side {
        Side::Server => {
            let guest = start(invitation(None))?;
            let server = guest.address.ok_or_else(|| anyhow::anyhow!("no address"))?;
            let relay = Arc::new(Relay::start(server, conditions, seed)?);
            let network = Arc::clone(&relay);
            let cut = Box::new(move || network.cut());
            let ours = Ours::client(identity, setup, relay.address, cut)?;
            Ok((ours.wait(), guest.told()?))
        }
        Side::Client => {
            let network = Arc::new(std::sync::OnceLock::<Relay>::new());
            let later = Arc::clone(&network);
            let cut = Box::new(move || {
                if let Some(network) = later.get() {
                    network.cut();
                }
            });
            let ours = Ours::server(identity, setup.clone(), cut)?;
            let relay = Relay::start(ours.address, conditions, seed)?;
            let address = relay.address;
            let _first = network.set(relay);
            let guest = start(invitation(Some(address)))?;
            Ok((ours.wait(), guest.told()?))
        }
    }
}

impl Case {
    fn judge(&self, told: &Told, mut lines: Vec<String>) -> Row {
        if self.any_order {
            lines.sort();
        }
        let mut notes = told.notes.clone();
        notes.sort();
        let mut expected_notes = self.notes.clone();
        expected_notes.sort();
        let ours = words(&told.reasons, &notes, told.connection.as_ref());
        let expected = words(&self.reasons, &expected_notes, self.connections.first());
        let connection = told.connection.as_ref();
        let is_true = told.reasons == self.reasons
            && notes == expected_notes
            && connection.is_some_and(|lost| self.connections.contains(lost));
        let ours = cell(ours, &expected, is_true, self.sent_wrong);
        let is_told = self.told.contains(&lines) || (self.told.is_empty() && lines.is_empty());
        let expected = self.told.iter().map(|told| told.join("; "));
        let expected = Vec::from_iter(expected).join("; or: ");
        let peers = cell(lines.join("; "), &expected, is_told, self.told_wrong);
        Row::new(&*self.name, [ours, peers])
    }
}

fn cell(measured: String, expected: &str, is_expected: bool, wrong: &str) -> Cell {
    let (measured, expected) = (brief(&measured), brief(expected));
    match (is_expected, wrong) {
        (false, _) => Cell::failure(measured, format!("expected: {expected}")),
        (true, "") => Cell::pass(measured),
        (true, wrong) => Cell::deviation(measured, wrong),
    }
}

/// What our application was told, for people.
fn words(
    reasons: &[(u64, CloseReason)],
    notes: &[String],
    connection: Option<&ConnectionLost>,
) -> String {
    let mut words = Vec::from_iter(notes.iter().cloned());
    for (session, reason) in reasons {
        let label = reason.label();
        words.push(format!("{session}: `{label}`, {reason}"));
    }
    let of_session = |reason: &CloseReason| matches!(reason, CloseReason::ConnectionLost(_));
    if !reasons.iter().any(|(_, reason)| of_session(reason)) {
        words.push(match connection {
            // How it ends when the session has.
            Some(ConnectionLost::Local { code: Some(0x100) }) => String::new(),
            Some(lost) => format!("then the connection: {lost}"),
            None => "the connection hung".into(),
        });
    }
    words.retain(|word| !word.is_empty());
    words.join("; ")
}

/// For a cell: a long message is as good in part.
fn brief(text: &str) -> String {
    const RUN: usize = 16;
    const LONG: usize = 200;
    if text.is_empty() {
        return "nothing".into();
    }
    let mut brief = String::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        let mut run = 1;
        while rest.next_if_eq(&first).is_some() {
            run += 1;
        }
        if run > RUN {
            brief.push_str(&format!("{first}… ({run} times)"));
        } else {
            brief.extend(std::iter::repeat_n(first, run));
        }
    }
    if let Some((end, _)) = brief.char_indices().nth(LONG) {
        brief.truncate(end);
        brief.push('…');
    }
    brief
}

/// The version of a dependency of this package, as locked.
fn version(package: &str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let name = format!("name = \"{package}\"\nversion = \"");
    let version = lock
        .split_once(&name)
        .and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("of unknown version").into()
}

/// Our client asks for a second session where the server allows one: it is not asked.
fn second(name: &str) -> Case {
    let refused = "connect: no stream or session to spare: StreamsAvailable follows";
    Case::new(name, Act::Second, Deed::Wait, local(0, "")).notes(&[refused])
}

/// Runs all cases of a peer that speaks draft 07 in both roles, and carries one session on a
/// connection.
fn both_roles(
    options: &Options,
    name: &str,
    as_client: Vec<Case>,
    as_server: Vec<Case>,
    start: Start<'_>,
) -> anyhow::Result<[Table; 2]> {
    let dialect = Dialect::Draft07;
    let title = format!("{name} as client");
    let mut client = table(options, &title, (Side::Client, dialect), as_client, start)?;
    if !client.rows.is_empty() {
        client.rows.push(one_session());
    }
    let title = format!("{name} as server");
    let server = table(options, &title, (Side::Server, dialect), as_server, start)?;
    Ok([client, server])
}

/// What a client that knows one session on a connection cannot be tried with.
fn one_session() -> Row {
    let one = || Cell::unsupported("It has no function for a second session on a connection");
    Row::new("two sessions", [one(), one()])
}

fn local(code: u32, message: &str) -> CloseReason {
    let message = message.into();
    CloseReason::Local { code, message }
}

fn rejected(by: Endpoint, status: u16) -> CloseReason {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let rejection = Box::new(Rejection::from(status));
    CloseReason::Rejected { by, rejection }
}

fn closed_with(code: u64, reason: &'static str) -> ConnectionLost {
    let reason = reason.into();
    ConnectionLost::PeerApplication { code, reason }
}

fn peer_closed(code: u32, message: &str) -> CloseReason {
    let (message, via) = (message.into(), CloseVia::Capsule);
    CloseReason::Peer { code, message, via }
}

fn peer_finished() -> CloseReason {
    let (code, message, via) = (0, "".into(), CloseVia::Fin);
    CloseReason::Peer { code, message, via }
}

fn aborted(by: AbortedBy, code: u64) -> CloseReason {
    CloseReason::Aborted { by, code }
}

/// What comes in a session of ours in a conversation.
const CONVERSED: [&str; 5] = [
    "0: Bi o-bi",
    "0: Bi p-bi",
    "0: Uni done",
    "0: datagram o-datagram",
    "0: datagram p-datagram",
];
/// And in the peer's.
const CONVERSED_THERE: [&str; 4] = [
    "Bi p-bi",
    "Bi o-bi",
    "datagram o-datagram",
    "datagram p-datagram",
];

/// A close capsule (draft §6).
fn capsule(code: u32, message: &[u8]) -> Vec<u8> {
    let len = 4 + message.len();
    let mut capsule = vec![0x68, 0x43];
    match u8::try_from(len) {
        Ok(len @ 0..64) => capsule.push(len),
        _ => capsule.extend((len as u16 | 0x4000).to_be_bytes()),
    }
    capsule.extend(code.to_be_bytes());
    capsule.extend(message);
    capsule
}

/// The version of a peer that is a crate, or of aioquic as installed.
pub(crate) fn version_of(peer: &str, options: &Options) -> String {
    if peer != aioquic::NAME {
        return version(peer);
    }
    let installed = aioquic::install(options).and_then(|python| aioquic::version(&python));
    installed.unwrap_or_else(|_| "of unknown version".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Verdict;

    #[test]
    fn a_capsule_has_a_length_that_fits_it() {
        assert_eq!(capsule(7, b"bye"), b"\x68\x43\x07\0\0\0\x07bye");
        assert_eq!(&capsule(0, &[b'x'; 59])[..3], b"\x68\x43\x3f");
        assert_eq!(&capsule(0, &[b'x'; 60])[..4], b"\x68\x43\x40\x40");
        assert_eq!(capsule(0, &[b'x'; 1024]).len(), 2 + 2 + 4 + 1024);
    }

    #[test]
    fn a_cell_is_brief() {
        assert_eq!(brief(""), "nothing");
        assert_eq!(brief("a bb ccc"), "a bb ccc");
        assert_eq!(brief(&format!("a{}b", "ü".repeat(512))), "aü… (512 times)b");
        let long = brief(&"ab".repeat(512));
        assert_eq!((long.chars().count(), long.ends_with("ab…")), (201, true));
    }

    #[test]
    fn what_is_not_as_expected_is_a_failure_of_ours_and_never_a_deviation() {
        let case = Case::new("x", Act::Wait, Deed::Wait, peer_closed(7, "bye"))
            .sent_wrong("a reason")
            .told(&["end"]);
        let mut told = Told {
            reasons: vec![(0, peer_closed(7, "bye"))],
            connection: Some(ConnectionLost::Local { code: Some(0x100) }),
            notes: Vec::new(),
            dialect: None,
        };
        let verdicts = |told: &Told, line: &str| {
            let row = case.judge(told, vec![line.into()]);
            [row.cells[0].verdict, row.cells[1].verdict]
        };
        assert_eq!(verdicts(&told, "end"), [Verdict::Deviation, Verdict::Pass]);
        assert_eq!(verdicts(&told, "?"), [Verdict::Deviation, Verdict::Failure]);
        told.reasons = vec![(0, peer_closed(7, "by"))];
        assert_eq!(verdicts(&told, "end"), [Verdict::Failure, Verdict::Pass]);
        told.reasons = vec![(0, peer_closed(7, "bye"))];
        told.notes = vec!["0: draining".into()];
        assert_eq!(verdicts(&told, "end"), [Verdict::Failure, Verdict::Pass]);
        told.notes.clear();
        told.connection = None;
        assert_eq!(verdicts(&told, "end"), [Verdict::Failure, Verdict::Pass]);
    }
}
