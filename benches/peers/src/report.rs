//! The tables of `RESULTS.md`.

use std::{fmt::Write as _, fs, path::Path};

use peers::{
    operations::{FLOOR, OURS},
    quic::RAW,
};

use crate::{
    kept::{Kept, Run},
    loopback::{self, Stack},
    measure::{Counts, Figures, Result},
    rows::{HELD, ROWS, Row, WHOLES},
    scaling::Line,
};

/// All that was measured.
#[derive(Debug)]
pub struct Found {
    pub instructions: Kept<Figures>,
    pub time: Kept<Figures>,
    pub allocations: Kept<Counts>,
    /// Of the same run as the allocations.
    pub held: Figures,
    pub scaling: Kept<Vec<Line>>,
    pub loopback: Kept<Vec<Stack>>,
}

/// Which of the peers that do all of a row's work needs least.
pub fn best_peer(figures: &Figures, row: &str) -> Option<(&'static str, f64)> {
    least(figures, row, |by| !by.ends_with(CODEC))
}

/// Which of those that only read or write the bytes needs least.
fn best_codec(figures: &Figures, row: &str) -> Option<(&'static str, f64)> {
    least(figures, row, |by| by.ends_with(CODEC))
}

fn least(
    figures: &Figures,
    row: &str,
    is_meant: impl Fn(&str) -> bool,
) -> Option<(&'static str, f64)> {
    let peers = figures
        .iter()
        .filter(|((id, by), _)| *id == row && ![OURS, FLOOR, RAW].contains(by) && is_meant(by));
    peers
        .map(|((_, by), figure)| (*by, *figure))
        .min_by(|left, right| left.1.total_cmp(&right.1))
}

const CODEC: &str = " (codec)";

pub fn write(run: &Run, found: &Found, benches: &Path) -> Result<()> {
    let mut out = String::from(HEAD);
    writeln!(out, "{}\n", run.say())?;
    write!(out, "{CODE}{}", found.instructions.paragraph())?;
    // One note is enough where they are of one run.
    if found.allocations.note != found.instructions.note {
        let of = found.allocations.paragraph();
        write!(out, "{}", of.replacen("Not", "Allocations: not", 1))?;
    }
    writeln!(out, "{CODE_TABLE}")?;
    for row in ROWS {
        writeln!(out, "{}", line(found, row))?;
    }
    writeln!(out, "{CHARTS}")?;
    writeln!(
        out,
        "{WHOLE}{}{WHOLE_TABLE}",
        found.instructions.paragraph()
    )?;
    for row in WHOLES {
        let of = |by| found.instructions.figures.get(&(row.id, by)).copied();
        let (Some(raw), Some(ours)) = (of(RAW), of(OURS)) else {
            continue;
        };
        let more = ours - raw;
        let aim = row.aim.map_or("-".into(), |aim| {
            format!("≤ +{aim} {}", verdict(more <= aim))
        });
        writeln!(
            out,
            "| {} | {raw:.0} | {ours:.0} | {more:+.0} ({:+.1} %) | {aim} |",
            row.title,
            more / raw * 100.0
        )?;
    }
    loopback::write(&found.loopback, &mut out)?;
    let note = found.scaling.paragraph();
    writeln!(out, "{SCALING}{note}{SCALING_TABLE}")?;
    for line in &found.scaling.figures {
        writeln!(
            out,
            "| {} | {} | {} | {:.1} |",
            line.sessions, line.connections, line.threads, line.nanoseconds
        )?;
    }
    writeln!(out)?;
    write_time(found, &mut out)?;
    writeln!(
        out,
        "{MEMORY}{}{MEMORY_TABLE}",
        found.allocations.paragraph()
    )?;
    for row in HELD {
        let Some(ours) = found.held.get(&(row.id, OURS)) else {
            continue;
        };
        let peer = best_peer(&found.held, row.id);
        let aim = row
            .aim
            .map_or("-".into(), |aim| format!("{aim} {}", verdict(*ours <= aim)));
        writeln!(
            out,
            "| {} | {ours} | {} | {aim} |",
            row.title,
            peer.map_or("-".into(), |(by, bytes)| format!("{bytes} ({by})")),
        )?;
    }
    fs::write(benches.join("RESULTS.md"), out)?;
    Ok(())
}

fn write_time(found: &Found, out: &mut String) -> Result<()> {
    writeln!(out, "{TIME}{}{TIME_TABLE}", found.time.paragraph())?;
    for row in ROWS {
        let Some(ours) = found.time.figures.get(&(row.id, OURS)) else {
            continue;
        };
        let floor = nanoseconds(found.time.figures.get(&(row.id, FLOOR)).copied());
        let peer = best_peer(&found.time.figures, row.id);
        writeln!(
            out,
            "| {} | {} | {floor} | {} | {} |",
            row.title,
            nanoseconds(Some(*ours)),
            peer.map_or("-".into(), |(by, time)| format!(
                "{} ({by})",
                nanoseconds(Some(time))
            )),
            peer.map_or("-".into(), |(_, time)| format!("{:.1}", time / ours)),
        )?;
    }
    Ok(())
}

fn line(found: &Found, row: &Row) -> String {
    let ours = found.instructions.figures.get(&(row.id, OURS)).copied();
    let floor = found.instructions.figures.get(&(row.id, FLOOR)).copied();
    let peer = best_peer(&found.instructions.figures, row.id);
    let allocations = found.allocations.figures.get(&(row.id, OURS)).copied();
    let ratio = ours.zip(peer).map(|(ours, peer)| peer.1 / ours);
    let aim = match (row.aim, ours, allocations) {
        (Some((most, allocated)), Some(ours), Some(counted)) => {
            let met = ours <= most && counted.0 + counted.1 <= allocated + ONCE;
            let allowed = match allocated.is_finite() {
                true => format!(", {allocated} A"),
                false => String::new(),
            };
            format!("≤ {most}{allowed} {}", verdict(met))
        }
        _ => "-".into(),
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {aim} |",
        row.title,
        number(ours),
        counted(allocations),
        number(floor),
        peer.map_or("-".into(), |(by, figure)| {
            let allocations = found.allocations.figures.get(&(row.id, by)).copied();
            format!("{}, {} ({by})", number(Some(figure)), counted(allocations))
        }),
        ratio.map_or("-".into(), |ratio| format!("{ratio:.1}")),
        best_codec(&found.instructions.figures, row.id).map_or("-".into(), |(by, figure)| {
            let by = by.trim_end_matches(CODEC);
            format!("{} ({by})", number(Some(figure)))
        }),
    )
}

/// A run makes one box of its own, which is not the work's.
const ONCE: f64 = 0.05;

fn verdict(met: bool) -> &'static str {
    if met { "✓" } else { "**missed**" }
}

fn number(figure: Option<f64>) -> String {
    figure.map_or("-".into(), |figure| format!("{figure:.0}"))
}

fn nanoseconds(figure: Option<f64>) -> String {
    figure.map_or("-".into(), |figure| match figure {
        0.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    })
}

/// Reallocations only where there are any; parts of one come of tables that grow.
fn counted(counted: Option<(f64, f64)>) -> String {
    let Some((allocations, reallocations)) = counted else {
        return "-".into();
    };
    let short = |count: f64| {
        let text = format!("{count:.1}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        text.to_owned()
    };
    match reallocations {
        0.0..ONCE => format!("{} A", short(allocations)),
        _ => format!("{} A + {} R", short(allocations), short(reallocations)),
    }
}

const HEAD: &str = "\
# What it costs

Written by `cargo run --release --manifest-path benches/peers/Cargo.toml`; do not edit. That wants valgrind, and
`cargo install gungraun-runner --version 0.20.0 --locked`. Ours and the peers' were measured in one run, of one build, on
one machine: trust ratios before figures. A part that an earlier run measured says so under its title. What each row does
is in [operations/](operations), and in [peers/src](peers/src) for the peers.

Instructions are counted by callgrind, user space only, and repeat to within 1 %. \"A\" are allocations and \"R\"
reallocations. \"Floor\" is what the work takes when it is written by hand for nothing else. \"Best peer\" is whichever
of the peers that do the whole work needs least, and \"ratio\" is its figure by ours: above 1 ours is less. \"Codec alone\"
is what a peer's codec needs for the bytes of the row, without a session to find or to make and without an event.

What keeps the rows that miss their aims is in [MISSED.md](MISSED.md).

";

const CODE: &str = "\
## Instructions and allocations

Each row counts everything until there is nothing left to poll, and what an event holds is dropped. \"Decode\" and
\"encode\" of a CONNECT are the codec alone, from frame to `Request` and back, without a session.

";

const CODE_TABLE: &str = "\
| work | ours | | floor | best peer | ratio | codec alone | aim |
|---|--:|---|--:|---|--:|---|---|";

const CHARTS: &str = "
![Instructions of each row that has an aim](instructions.svg)

![Allocations of each row that has an aim](allocations.svg)
";

const WHOLE: &str = "\
## Over raw QUIC

Both endpoints together: two quinn-proto ends in memory, with their cryptography, packets and acknowledgements. \"Raw\" does
the same without anything above QUIC: datagrams without a prefix, a bare stream, and for a session a
bidirectional stream with as many bytes.

";

const WHOLE_TABLE: &str = "\
| work | raw | with this crate | more | aim |
|---|--:|--:|--:|---|";

const SCALING: &str = "\
## Scaling

Nanoseconds of the clock for each datagram of 100 bytes that comes in, the best of five runs; sessions and connections
in turn, so that each is cold. Instructions do not grow (see the rows with 1000 and 10,000 sessions); what grows
here are misses of the cache.

";

const SCALING_TABLE: &str = "\
| sessions on a connection | connections | threads | ns |
|--:|--:|--:|--:|";

const TIME: &str = "\
## Time

Nanoseconds, the median of criterion, on a machine that does other things too.

";

const TIME_TABLE: &str = "\
| work | ours | floor | best peer | ratio |
|---|--:|--:|---|--:|";

const MEMORY: &str = "
## Memory

Bytes.

";

const MEMORY_TABLE: &str = "\
| what | ours | best peer | aim |
|---|--:|---|---|";
