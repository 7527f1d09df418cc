//! The results as Markdown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use webtransport_session::Side;

use crate::{
    hosts::Host,
    matrix::{Outcome, Played, Results, Selection},
};

pub(crate) fn render(selection: &Selection, results: &Results) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, selection, results);
    out
}

fn write(out: &mut String, selection: &Selection, results: &Results) -> std::fmt::Result {
    writeln!(out, "# Every scenario between any two hosts\n")?;
    writeln!(
        out,
        "Made by `cargo run -p host-suite -- --write RESULTS.md`, over UDP on loopback. A cell says how \
         many scenarios went as they should; behind a plus, how many as far as one of the two QUIC \
         stacks lets them, which is explained below; failures would be named.\n"
    )?;
    cross(out, selection, results)?;
    limits(out, results)?;
    failures(out, results)?;
    scenarios(out, selection, results)
}

fn cross(out: &mut String, selection: &Selection, results: &Results) -> std::fmt::Result {
    write!(out, "| client \\ server |")?;
    for server in &selection.servers {
        write!(out, " {} |", server.name)?;
    }
    writeln!(out, "\n|---|{}", "---|".repeat(selection.servers.len()))?;
    for client in &selection.clients {
        write!(out, "| {} |", client.name)?;
        for server in &selection.servers {
            write!(out, " {} |", cell(client, server, results))?;
        }
        writeln!(out)?;
    }
    writeln!(out)?;
    let mut versions: Vec<_> = selection.clients.iter().chain(&selection.servers).collect();
    versions.sort_by_key(|host| &host.name);
    versions.dedup_by_key(|host| &host.name);
    let versions: Vec<_> = versions.iter().map(|host| host.version()).collect();
    writeln!(out, "Stacks: {}.", versions.join(", "))
}

fn cell(client: &Host, server: &Host, results: &Results) -> String {
    let of_pair = |one: &&Played| one.client == client.name && one.server == server.name;
    let (mut passed, mut limited, mut failed) = (0, 0, 0);
    for one in results.played.iter().filter(of_pair) {
        match one.outcome {
            Outcome::Passed => passed += 1,
            Outcome::Limited(_) => limited += 1,
            Outcome::Failed(_) => failed += 1,
        }
    }
    if (passed, limited, failed) == (0, 0, 0) {
        return "not played".into();
    }
    let mut text = passed.to_string();
    if limited > 0 {
        text += &format!(" + {limited}");
    }
    if failed > 0 {
        text += &format!(", **{failed} failed**");
    }
    text
}

/// By host and why: in which scenarios, and what was told instead.
fn limits(out: &mut String, results: &Results) -> std::fmt::Result {
    let mut rows = BTreeMap::new();
    for one in &results.played {
        let Outcome::Limited(limits) = &one.outcome else {
            continue;
        };
        for (side, limit) in limits {
            let host = match side {
                Side::Client => &one.client,
                Side::Server => &one.server,
            };
            let (sides, scenarios): &mut (BTreeSet<_>, BTreeSet<_>) =
                rows.entry((host, &limit.why, &limit.told)).or_default();
            sides.insert(*side);
            scenarios.insert(limit.scenario.as_str());
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## What the stacks cannot supply\n")?;
    writeln!(out, "| host | as | scenarios | told instead | because |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for ((host, why, told), (sides, scenarios)) in rows {
        let sides: Vec<_> = sides.iter().map(|side| format!("{side:?}")).collect();
        let sides = sides.join(", ").to_lowercase();
        let scenarios = scenarios.into_iter().collect::<Vec<_>>().join(" ");
        let told = told.replace('|', "\\|");
        writeln!(out, "| {host} | {sides} | {scenarios} | {told} | {why} |")?;
    }
    Ok(())
}

fn failures(out: &mut String, results: &Results) -> std::fmt::Result {
    if results.is_good() {
        return Ok(());
    }
    writeln!(out, "\n## What failed\n")?;
    for (name, why) in &results.missing {
        writeln!(out, "- {name} was not played: {why}")?;
    }
    for (name, side, limit) in &results.idle_limits {
        writeln!(
            out,
            "- {name} as {side:?} declares a limit in {} that nothing has shown: {}",
            limit.scenario, limit.told
        )?;
    }
    for one in &results.played {
        if let Outcome::Failed(error) = &one.outcome {
            writeln!(
                out,
                "- {} {} to {}, the {:?} {}: {error}",
                one.scenario.id, one.client, one.server, one.actor, one.scenario.title
            )?;
        }
    }
    Ok(())
}

/// What was played, and how it went over all pairs.
fn scenarios(out: &mut String, selection: &Selection, results: &Results) -> std::fmt::Result {
    writeln!(out, "\n## What is played\n")?;
    writeln!(out, "| id | who | does what | passed | limited |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for scenario in &selection.scenarios {
        for actor in scenario.actors {
            let (mut passed, mut limited) = (0, 0);
            for one in &results.played {
                if one.scenario.id != scenario.id || one.actor != *actor {
                    continue;
                }
                match one.outcome {
                    Outcome::Passed => passed += 1,
                    Outcome::Limited(_) => limited += 1,
                    Outcome::Failed(_) => {}
                }
            }
            let (id, title) = (scenario.id, scenario.title);
            let actor = format!("{actor:?}").to_lowercase();
            writeln!(out, "| {id} | {actor} | {title} | {passed} | {limited} |")?;
        }
    }
    Ok(())
}
