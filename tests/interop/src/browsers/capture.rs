//! Records what browsers send to our server, for the tests of the crate itself.
//!
//! Each file is a trace of the crate's own, without payload; beside them `README.md` says where
//! they are from. There is nothing personal in them: pages of ours on loopback, fresh profiles.

use std::{fmt::Write as _, fs, path::Path, thread, time::Duration};

use anyhow::Context as _;
use serde_json::{Value, json};
use webtransport_session::{Config, Event, Side, trace::Writer};

use super::{
    Bench, Kind, Opened, Place,
    leaving::{BEAT, IDLE, INACTIVITY, Way, tell},
};
use crate::{
    node,
    options::Options,
    server,
    table::{package, today},
};

/// A recording: its name, what the page asks with, and how it leaves.
struct Take {
    name: &'static str,
    options: fn() -> Value,
    path: &'static str,
    way: Way,
    what: &'static str,
}

const TAKES: [Take; 6] = [
    Take {
        name: "close",
        options: || json!({}),
        path: "/quiet",
        way: Way::CloseWithCode,
        what: "`close({closeCode: 4242, reason: \"bye-bye\"})`",
    },
    Take {
        name: "long-message",
        options: || json!({}),
        path: "/quiet",
        way: Way::TooLongMessage,
        what: "`close` with 400 times `€` and code 7",
    },
    Take {
        name: "streams",
        options: || json!({}),
        path: "/quiet",
        way: Way::CloseWithStreams,
        what: "`close({closeCode: 5, reason: \"streams\"})` with 4 streams of each kind open",
    },
    Take {
        name: "pagehide",
        options: || json!({}),
        path: "/quiet",
        way: Way::PageHide,
        what: "navigate, with a `pagehide` handler that calls `close` with 77 and \"pagehide\"",
    },
    Take {
        name: "tab-closed",
        options: || json!({}),
        path: "/quiet",
        way: Way::TabClosed,
        what: "the tab is closed",
    },
    Take {
        name: "protocols",
        options: || json!({ "protocols": ["game-1", "game-2"] }),
        path: "/echo",
        way: Way::Close,
        what: "the protocols game-1 and game-2 are offered, and the last is chosen; `close()`",
    },
];

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let dir = package().join("../fixtures/browsers");
    fs::create_dir_all(&dir)?;
    let mut list = String::from(HEAD);
    for kind in [Kind::Chromium, Kind::Firefox] {
        let mut bench = Bench::new(kind, kind.program(options)?, options)?;
        let version = bench.browser()?.version()?;
        for take in &TAKES {
            let name = format!("{}-{}.jsonl", kind.id(), take.name);
            let reason = record(&mut bench, take, &dir.join(&name)).context(take.name)?;
            eprintln!("   {name}: {reason}");
            let (browser, what, date) = (kind.name(), take.what, today());
            let _ = writeln!(
                list,
                "| {name} | {browser} {version} | {date} | {what} | {reason} |"
            );
        }
    }
    fs::write(dir.join("README.md"), list)?;
    Ok(())
}

const HEAD: &str = "\
# What browsers send

Recordings of connections at this crate's server, made by `cargo run --release -- capture` in
`tests/interop`: headless browsers from Debian on Linux, with fresh profiles, and pages of our own on
loopback. Payload is left out. `tests/browsers.rs` runs them again.

| file | browser | recorded | what the page or user does | the server's reason |
|---|---|---|---|---|
";

/// Gives the reason that the server gave.
fn record(bench: &mut Bench, take: &Take, file: &Path) -> anyhow::Result<String> {
    let mut config = node::config(Some(INACTIVITY));
    config.deadlines.inactivity_close = (4002, "silence".into());
    let node = server::start(&bench.identity, IDLE, config.clone())?;
    node.record()?;
    let (tab, state) = bench.request(&node, Place::Page, take.path, (take.options)())?;
    anyhow::ensure!(state["ready"]["state"] == "resolved", "not opened: {state}");
    let patience = Duration::from_secs(10);
    let (peer, session) = node.wait("SessionOpened", patience, |seen| match seen.event {
        Event::SessionOpened { session, .. } => Some((seen.peer, session)),
        _ => None,
    })?;
    let opened = Opened {
        tab,
        place: Place::Page,
        peer,
        session,
    };
    bench.session(&opened, "beat", json!([BEAT]))?;
    take.way.prepare(bench, &opened)?;
    thread::sleep(Duration::from_millis(3 * BEAT));
    take.way.act(bench, &node, &opened)?;
    let reason = node.wait("SessionClosed", patience, |seen| match &seen.event {
        Event::SessionClosed { reason, .. } => Some(tell(reason)),
        _ => None,
    })?;
    // What comes behind the end belongs to it.
    thread::sleep(Duration::from_millis(300));
    bench.close(&opened.tab);
    let records = node
        .recorded()?
        .remove(&peer)
        .context("nothing was recorded")?;
    write(file, &config, &records)?;
    Ok(reason)
}

fn write(
    file: &Path,
    config: &Config,
    records: &[webtransport_session::trace::Record],
) -> anyhow::Result<()> {
    let out = fs::File::create(file).with_context(|| file.display().to_string())?;
    let mut writer = Writer::new(out, Side::Server, config)?;
    writer.write(records)?;
    Ok(())
}
