//! Every way in which a page leaves: the reason that our server gives, and how soon.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use serde_json::json;
use webtransport_session::{CloseReason, CloseVia, ConnectionLost, Deadline, Event};

use super::{Bench, Kind, Opened, Place};
use crate::{
    node::{self, Node},
    options::RUNS,
    server,
    table::{Cell, Row, Table},
};

/// How long a server that counts on heartbeats lets a page be silent.
pub(crate) const INACTIVITY: Duration = Duration::from_millis(1500);
/// How long QUIC lets a connection be silent, without a heartbeat in the application.
pub(crate) const IDLE: Duration = Duration::from_millis(3000);
/// Between heartbeats.
pub(crate) const BEAT: u64 = 100;
/// What a silent way may take beyond the deadline, and one that says something at all.
const LATE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_millis(150);

/// What a page or user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Close,
    CloseWithCode,
    LongestMessage,
    TooLongMessage,
    CloseWithStreams,
    Navigate,
    Reload,
    TabClosed,
    FrameRemoved,
    WorkerTerminated,
    PageHide,
    RendererKilled,
    Quit,
    Terminated,
    Killed,
    KilledWithoutDeadline,
    Dropped,
    DroppedWithoutDeadline,
}

const WAYS: [Way; 18] = [
    Way::Close,
    Way::CloseWithCode,
    Way::LongestMessage,
    Way::TooLongMessage,
    Way::CloseWithStreams,
    Way::Navigate,
    Way::Reload,
    Way::TabClosed,
    Way::FrameRemoved,
    Way::WorkerTerminated,
    Way::PageHide,
    Way::RendererKilled,
    Way::Quit,
    Way::Terminated,
    Way::Killed,
    Way::KilledWithoutDeadline,
    Way::Dropped,
    Way::DroppedWithoutDeadline,
];

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Close => "`close()`",
            Self::CloseWithCode => "`close({closeCode: 4242, reason: \"bye-bye\"})`",
            Self::LongestMessage => {
                "`close` with a message of 1024 bytes, 3 in each character but one"
            }
            Self::TooLongMessage => "`close` with a message of 1200 bytes, 3 in each character",
            Self::CloseWithStreams => "`close` with 8 streams open",
            Self::Navigate => "navigate",
            Self::Reload => "reload",
            Self::TabClosed => "tab closed",
            Self::FrameRemoved => "iframe removed",
            Self::WorkerTerminated => "worker terminated",
            Self::PageHide => "navigate, with a `pagehide` handler that calls `close`",
            Self::RendererKilled => "renderer killed (SIGKILL)",
            Self::Quit => "browser quit",
            Self::Terminated => "browser ended (SIGTERM)",
            Self::Killed => "browser killed (SIGKILL)",
            Self::KilledWithoutDeadline => "browser killed, server without inactivity deadline",
            Self::Dropped => "network dropped",
            Self::DroppedWithoutDeadline => "network dropped, server without inactivity deadline",
        })
    }
}

/// How our server should learn of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    /// By the page's own close.
    Says(CloseReason),
    /// By the browser's close for the page, with code 0; or by silence, where this browser is known to
    /// say nothing.
    Ought,
    /// By silence: there is nobody left to say anything.
    Silence(CloseReason),
}

impl Way {
    fn expected(self) -> Expected {
        let says = |code, message: &str| {
            Expected::Says(CloseReason::Peer {
                code,
                message: message.into(),
                via: CloseVia::Capsule,
            })
        };
        match self {
            Self::Close => says(0, ""),
            Self::CloseWithCode => says(4242, "bye-bye"),
            Self::LongestMessage => says(7, &longest()),
            // The API's own rule: the longest prefix of whole characters within 1024 bytes.
            Self::TooLongMessage => says(7, &"€".repeat(341)),
            Self::CloseWithStreams => says(5, "streams"),
            Self::PageHide => says(77, "pagehide"),
            Self::Navigate
            | Self::Reload
            | Self::TabClosed
            | Self::FrameRemoved
            | Self::WorkerTerminated
            | Self::RendererKilled
            | Self::Quit
            | Self::Terminated => Expected::Ought,
            Self::Killed | Self::Dropped => Expected::Silence(inactivity()),
            Self::KilledWithoutDeadline | Self::DroppedWithoutDeadline => {
                Expected::Silence(CloseReason::ConnectionLost(ConnectionLost::IdleTimeout))
            }
        }
    }

    /// Firefox says what a page says, and nothing for it. Chromium closes for the page, but when it
    /// ends as a whole that may come too late.
    fn may_be_silent(self, kind: Kind) -> bool {
        kind == Kind::Firefox || matches!(self, Self::Quit | Self::Terminated)
    }

    /// Chromium's network service is a process of its own.
    fn is_outlived(self, kind: Kind) -> bool {
        let killed = matches!(self, Self::Killed | Self::KilledWithoutDeadline);
        killed && kind == Kind::Chromium
    }

    pub(crate) fn place(self) -> Place {
        match self {
            Self::FrameRemoved => Place::Frame,
            Self::WorkerTerminated => Place::Worker,
            _ => Place::Page,
        }
    }

    fn has_deadline(self) -> bool {
        !matches!(
            self,
            Self::KilledWithoutDeadline | Self::DroppedWithoutDeadline
        )
    }

    /// What has to be there before.
    pub(crate) fn prepare(self, bench: &mut Bench, opened: &Opened) -> anyhow::Result<()> {
        match self {
            Self::PageHide => {
                bench.session(opened, "closeOnHide", json!([77, "pagehide"]))?;
            }
            Self::CloseWithStreams => {
                bench.session(opened, "keepStreams", json!([4]))?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn act(self, bench: &mut Bench, node: &Node, opened: &Opened) -> anyhow::Result<()> {
        let tab = &opened.tab;
        let blank = bench.blank();
        let mut close = |args| bench.session(opened, "closeSession", args).map(drop);
        match self {
            Self::Close => close(json!([])),
            Self::CloseWithCode => close(json!([4242, "bye-bye"])),
            Self::LongestMessage => close(json!([7, longest()])),
            Self::TooLongMessage => close(json!([7, "€".repeat(400)])),
            Self::CloseWithStreams => close(json!([5, "streams"])),
            Self::Navigate | Self::PageHide => bench.browser()?.navigate(tab, &blank),
            Self::Reload => bench.browser()?.reload(tab),
            Self::TabClosed => bench.browser()?.close(tab),
            Self::FrameRemoved => bench
                .call(tab, Place::Page, "removeFrame", &json!([]))
                .map(drop),
            Self::WorkerTerminated => bench
                .call(tab, Place::Page, "endWorker", &json!([]))
                .map(drop),
            Self::RendererKilled => bench.browser()?.kill_renderers(),
            Self::Quit => bench.browser()?.quit(),
            Self::Terminated => bench.browser()?.terminate(),
            Self::Killed | Self::KilledWithoutDeadline => bench.browser()?.kill(),
            Self::Dropped | Self::DroppedWithoutDeadline => node.vanish(),
        }
    }

    /// Whether the browser is of no more use.
    fn ends_browser(self) -> bool {
        matches!(
            self,
            Self::RendererKilled
                | Self::Quit
                | Self::Terminated
                | Self::Killed
                | Self::KilledWithoutDeadline
        )
    }
}

/// 1024 bytes.
fn longest() -> String {
    "€".repeat(341) + "."
}

fn inactivity() -> CloseReason {
    CloseReason::TimedOut(Deadline::Inactivity)
}

/// One end, as our server saw it.
struct Seen {
    reason: CloseReason,
    after_act: Duration,
    after_last: Duration,
    /// How many frames came in after the act that could say how it ended.
    facts: u64,
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Table> {
    let mut table = Table::new(
        &format!(
            "Ways of leaving (the page sends a datagram every {BEAT} ms; the server's inactivity \
             deadline is {} ms, its QUIC idle timeout {} ms)",
            INACTIVITY.as_millis(),
            IDLE.as_millis()
        ),
        &[
            "way",
            "our reason",
            "ms after the act",
            "ms after the last that came",
        ],
    );
    for way in WAYS {
        if bench.options.wants(&format!("leaving: {way}")) {
            table.rows.push(measure(bench, way));
        }
    }
    Ok(table)
}

fn measure(bench: &mut Bench, way: Way) -> Row {
    let mut all = Vec::new();
    for _ in 0..bench.options.runs {
        match once(bench, way) {
            Ok(seen) => all.push(seen),
            Err(error) => {
                bench.end_browser();
                return Row::new(
                    way.to_string(),
                    [Cell::failure("no result", format!("{error:#}"))],
                );
            }
        }
    }
    let [reason, delays @ ..] = judge(bench.kind, way, &all);
    Row::new(way.to_string(), std::iter::once(reason).chain(delays))
}

fn once(bench: &mut Bench, way: Way) -> anyhow::Result<Seen> {
    let mut config = node::config(way.has_deadline().then_some(INACTIVITY));
    config.deadlines.inactivity_close = (4002, "silence".into());
    // A server for each run, so that nothing of another is in what it tells.
    let node = server::start(&bench.identity, IDLE, config)?;
    let opened = bench.open(&node, way.place(), "/quiet")?;
    bench.session(&opened, "beat", json!([BEAT]))?;
    way.prepare(bench, &opened)?;
    let until = Instant::now() + Duration::from_millis(400);
    let mut last = until;
    while let Some(seen) = node.next(until.saturating_duration_since(Instant::now())) {
        last = seen.at;
    }

    let (peer, session) = (opened.peer, opened.session);
    let before = node.facts(peer, session)?;
    let act = Instant::now();
    way.act(bench, &node, &opened)?;
    let ended = node.wait(
        "SessionClosed",
        IDLE + Duration::from_secs(5),
        |seen| match &seen.event {
            Event::SessionClosed { session, reason } if *session == opened.session => {
                Some((seen.at, reason.clone()))
            }
            Event::DatagramReceived { .. } => {
                last = seen.at;
                None
            }
            _ => None,
        },
    );
    if way.ends_browser() {
        bench.end_browser();
    } else {
        bench.close(&opened.tab);
    }
    let (at, reason) = ended?;
    let facts = node.facts(peer, session)?.saturating_sub(before);
    Ok(Seen {
        facts,
        reason,
        after_act: at.saturating_duration_since(act),
        after_last: at.saturating_duration_since(last),
    })
}

/// The cells of a row.
fn judge(kind: Kind, way: Way, all: &[Seen]) -> [Cell; 3] {
    let mut told = BTreeMap::<String, usize>::new();
    for seen in all {
        *told.entry(tell(&seen.reason)).or_default() += 1;
    }
    let mut words = Vec::new();
    for (what, &times) in &told {
        words.push(if told.len() == 1 {
            what.clone()
        } else {
            format!("{what} ({times}×)")
        });
    }
    let measured = words.join(", ");
    let said = CloseReason::Peer {
        code: 0,
        message: "".into(),
        via: CloseVia::Capsule,
    };
    let silent = all
        .iter()
        .filter(|seen| seen.reason == inactivity())
        .count();
    // Its own CONNECTION_CLOSE, and nothing of the CONNECT stream before it.
    let is_overtaken = |seen: &&Seen| {
        let lost = CloseReason::ConnectionLost(ConnectionLost::PeerApplication {
            code: 0x100,
            reason: Default::default(),
        });
        kind == Kind::Firefox && seen.reason == lost && seen.facts == 1
    };
    let overtaken = all.iter().filter(is_overtaken).count();
    let all_are = |reason: &CloseReason| all.iter().all(|seen| seen.reason == *reason);
    let reason = match way.expected() {
        Expected::Says(reason) | Expected::Silence(reason) => {
            if all_are(&reason) {
                Cell::pass(measured)
            } else if way.is_outlived(kind)
                && all
                    .iter()
                    .all(|seen| seen.reason == reason || seen.reason == said)
            {
                Cell::deviation(
                    measured,
                    "the main process was killed; the others end when they notice, and sometimes close \
                     the session before they do: that capsule came",
                )
            } else if all
                .iter()
                .all(|seen| seen.reason == reason || is_overtaken(&seen))
            {
                Cell::deviation(
                    measured,
                    format!(
                        "in {overtaken} of {} runs the browser sent CONNECTION_CLOSE(0x100) alone: no \
                         byte of its close capsule, nor a FIN, had come before",
                        all.len()
                    ),
                )
            } else {
                Cell::failure(measured, format!("expected: {}", tell(&reason)))
            }
        }
        Expected::Ought if all_are(&said) => Cell::pass(measured),
        Expected::Ought
            if all.iter().all(|seen| {
                seen.reason == said
                    || (way.may_be_silent(kind) && seen.reason == inactivity() && seen.facts == 0)
            }) =>
        {
            Cell::deviation(
                measured,
                format!(
                    "{} says nothing here ({silent} of {} runs): QUIC counted no STREAM, \
                     RESET_STREAM, STOP_SENDING or CONNECTION_CLOSE frame after the act, so that only \
                     the deadline tells",
                    kind.name(),
                    all.len()
                ),
            )
        }
        Expected::Ought => Cell::failure(measured, "expected: a close capsule, or nothing at all"),
    };

    let by_silence = |seen: &&Seen| {
        matches!(
            seen.reason,
            CloseReason::TimedOut(_) | CloseReason::ConnectionLost(ConnectionLost::IdleTimeout)
        )
    };
    let spoken: Vec<_> = all.iter().filter(|seen| !by_silence(seen)).collect();
    let quiet: Vec<_> = all.iter().filter(by_silence).collect();
    let mut acts: Vec<_> = all.iter().map(|seen| seen.after_act).collect();
    // A busy machine delays a single run as it likes.
    let is_judged = all.len() >= RUNS;
    let after_act = spread(&mut acts);
    let mut soon: Vec<_> = spoken.iter().map(|seen| seen.after_act).collect();
    let after_act = if median(&mut soon) <= SOON || !is_judged {
        Cell::pass(after_act)
    } else {
        Cell::failure(after_act, "expected: within 150 ms")
    };
    let after_last = if quiet.is_empty() {
        Cell::nothing()
    } else {
        let limit = if way.has_deadline() { INACTIVITY } else { IDLE };
        let mut lasts: Vec<_> = quiet.iter().map(|seen| seen.after_last).collect();
        let text = spread(&mut lasts);
        // QUIC's idle timeout counts from the last packet of any kind, which may be later.
        let late = if way.has_deadline() {
            LATE
        } else {
            LATE + Duration::from_millis(500)
        };
        if !is_judged || lasts.last().is_some_and(|&most| most <= limit + late) {
            Cell::pass(text)
        } else {
            let limit = limit.as_millis();
            Cell::failure(
                text,
                format!("expected: {limit} ms and {} more", late.as_millis()),
            )
        }
    };
    [reason, after_act, after_last]
}

/// Zero of none.
fn median(all: &mut [Duration]) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn spread(all: &mut [Duration]) -> String {
    let ms = |duration: Duration| duration.as_millis();
    let middle = ms(median(all));
    match all {
        [] => String::new(),
        [_] => middle.to_string(),
        [least, .., most] => format!("{middle} [{}–{}]", ms(*least), ms(*most)),
    }
}

/// A reason in few words, exact but for the text of long messages.
pub(crate) fn tell(reason: &CloseReason) -> String {
    match reason {
        CloseReason::Peer { code, message, via } => {
            let via = match via {
                CloseVia::Capsule => "",
                CloseVia::Fin => " by FIN",
            };
            let message = message.as_str();
            if message.len() > 40 {
                format!("peer-close {code}, {} bytes{via}", message.len())
            } else {
                format!("peer-close {code} {message:?}{via}")
            }
        }
        CloseReason::Local { code, message } => {
            let message = message.as_str();
            if message.len() > 40 {
                format!("local-close {code}, {} bytes", message.len())
            } else {
                format!("local-close {code} {message:?}")
            }
        }
        CloseReason::Aborted { code, .. } => format!("{} {code:#x}", reason.label()),
        CloseReason::Rejected { rejection, .. } => {
            format!("{} {}", reason.label(), rejection.status.as_u16())
        }
        CloseReason::Withdrawn { .. }
        | CloseReason::Violation(_)
        | CloseReason::TimedOut(_)
        | CloseReason::ConnectionLost(_) => match reason {
            CloseReason::ConnectionLost(ConnectionLost::PeerApplication { code, .. }) => {
                format!("{} {code:#x}", reason.label())
            }
            _ => reason.label().into(),
        },
    }
}
