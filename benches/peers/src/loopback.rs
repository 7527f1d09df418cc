//! Over UDP on loopback: `benches/loopback` measures, and here its figures become tables.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{kept::Kept, measure::Result};

/// A stack and a work.
#[derive(Debug)]
pub struct Stack {
    pub work: String,
    pub by: String,
    /// For each of what is done, in the program alone.
    pub instructions: f64,
    /// One of each round.
    pub runs: Vec<Run>,
}

/// Seconds, and what was done in them.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// More than `done` where datagrams were lost.
    started: f64,
    done: f64,
    user: f64,
    system: f64,
    wall: f64,
}

/// A work, as it is shown.
#[derive(Debug)]
pub struct Table {
    pub id: &'static str,
    pub title: &'static str,
    /// So many of what is done are one unit of the CPU's column.
    each: f64,
    unit: &'static str,
    /// So many of what is done, in a second of the clock, are one of the last column.
    rate: f64,
    rate_unit: &'static str,
    instructions: &'static str,
}

pub const RAW: &str = "raw";
/// As it is used; and its server alone, behind a client by hand.
const OURS: [&str; 2] = ["ours", "ours-by-hand"];

/// In this order: those that are client and server, then servers behind a client by hand.
pub const STACKS: &[(&str, &str)] = &[
    (RAW, "raw QUIC"),
    ("ours", "this crate"),
    ("web-transport-quinn", "web-transport-quinn"),
    ("wtransport", "wtransport"),
    ("ours-by-hand", "this crate as server"),
    ("h3-webtransport", "h3-webtransport as server"),
];

pub const TABLES: &[Table] = &[
    datagrams("datagram-100", "Datagrams of 100 B, in bursts of 32"),
    datagrams("datagram-1200", "Datagrams of 1200 B, in bursts of 32"),
    datagrams("datagram-100-alone", "Datagrams of 100 B, one at a time"),
    Table {
        id: "stream",
        title: "One unidirectional stream",
        each: 1024.0,
        unit: "s per GiB",
        rate: 1.0,
        rate_unit: "MiB/s",
        instructions: "instructions per MiB",
    },
    Table {
        id: "connection",
        title: "A connection with one session, opened and closed",
        each: 1e6,
        unit: "µs each",
        rate: 1.0,
        rate_unit: "each second",
        instructions: "instructions each",
    },
    Table {
        id: "session",
        title: "A session on a ready connection, closed and the next opened",
        each: 1e6,
        unit: "µs each",
        rate: 1.0,
        rate_unit: "each second",
        instructions: "instructions each",
    },
];

const fn datagrams(id: &'static str, title: &'static str) -> Table {
    Table {
        id,
        title,
        each: 1e6,
        unit: "s per million",
        rate: 1000.0,
        rate_unit: "thousand/s",
        instructions: "instructions each",
    }
}

/// Runs that package.
pub fn measure(benches: &Path) -> Result<Value> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["run", "--quiet", "--release", "--manifest-path"])
        .arg(benches.join("loopback/Cargo.toml"));
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("benches/loopback: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub fn read(kept: &Value) -> Vec<Stack> {
    let stack = |row: &Value| {
        Some(Stack {
            work: row["work"].as_str()?.to_owned(),
            by: row["by"].as_str()?.to_owned(),
            instructions: row["instructions"].as_f64()?,
            runs: row["runs"].as_array()?.iter().filter_map(run).collect(),
        })
    };
    let rows = kept.as_array().into_iter().flatten();
    rows.filter_map(stack).collect()
}

fn run(run: &Value) -> Option<Run> {
    let number = |key: &str| run[key].as_f64();
    Some(Run {
        started: number("started")?,
        done: number("done")?,
        user: number("user")?,
        system: number("system")?,
        wall: number("wall")?,
    })
}

pub fn write(found: &Kept<Vec<Stack>>, out: &mut String) -> Result<()> {
    write!(out, "{HEAD}{}", found.paragraph())?;
    for table in TABLES {
        let Some(raw) = find(&found.figures, table.id, RAW) else {
            continue;
        };
        writeln!(
            out,
            "### {}\n\n| | CPU, {} | user + system | by raw | {} | more than raw | {} |\n|---|--:|--:|--:|--:|--:|--:|",
            table.title, table.unit, table.instructions, table.rate_unit
        )?;
        for &(by, name) in STACKS {
            if let Some(stack) = find(&found.figures, table.id, by) {
                writeln!(out, "{}", line(table, name, stack, raw))?;
            }
        }
        writeln!(out)?;
        for remark in remarks(table, &found.figures) {
            writeln!(out, "{remark}\n")?;
        }
    }
    Ok(())
}

fn line(table: &Table, name: &str, stack: &Stack, raw: &Stack) -> String {
    let cpu = Spread::of(stack.runs.iter().map(|run| run.cpu() * table.each));
    let user = Spread::of(
        stack
            .runs
            .iter()
            .map(|run| run.user / run.done * table.each),
    );
    let system = Spread::of(
        stack
            .runs
            .iter()
            .map(|run| run.system / run.done * table.each),
    );
    let rate = Spread::of(
        stack
            .runs
            .iter()
            .map(|run| run.done / run.wall / table.rate),
    );
    let (by_raw, more) = match stack.by.as_str() {
        RAW => ("1".into(), "-".into()),
        _ => {
            let ratio = ratio(stack, raw);
            let more = stack.instructions - raw.instructions;
            let share = more / raw.instructions * 100.0;
            (ratio.show(), format!("{more:+.0} ({share:+.1} %)"))
        }
    };
    format!(
        "| {name} | {} | {} + {} | {by_raw} | {:.0} | {more} | {} |",
        cpu.show(),
        short(user.median),
        short(system.median),
        stack.instructions,
        short(rate.median),
    )
}

/// Who needs less than this crate does, and what was lost.
fn remarks(table: &Table, found: &[Stack]) -> Vec<String> {
    let mut remarks = Vec::new();
    for (ours, peers) in [
        (OURS[0], &["web-transport-quinn", "wtransport"][..]),
        (OURS[1], &["h3-webtransport"]),
    ] {
        let Some(ours) = find(found, table.id, ours) else {
            continue;
        };
        let peers = peers.iter().filter_map(|by| find(found, table.id, by));
        for peer in peers {
            let cpu = (ratio(ours, peer).median - 1.0) * 100.0;
            let instructions = (ours.instructions / peer.instructions - 1.0) * 100.0;
            if cpu >= 0.05 || instructions >= 0.05 {
                remarks.push(format!(
                    "Beside {} this crate needs {cpu:+.1} % of CPU and {instructions:+.1} % of instructions.",
                    peer.by
                ));
            }
        }
    }
    for stack in found.iter().filter(|stack| stack.work == table.id) {
        let sum = |of: fn(&Run) -> f64| stack.runs.iter().map(of).sum::<f64>();
        let (started, done) = (sum(|run| run.started), sum(|run| run.done));
        if started > done {
            let lost = (started - done) / started * 100.0;
            remarks.push(format!("Of {} {lost:.2} % were lost.", stack.by));
        }
    }
    remarks
}

pub fn find<'a>(found: &'a [Stack], work: &str, by: &str) -> Option<&'a Stack> {
    let mut found = found.iter();
    found.find(|stack| stack.work == work && stack.by == by && !stack.runs.is_empty())
}

/// CPU of the one by the other's, in the same round.
pub fn ratio(stack: &Stack, by: &Stack) -> Spread {
    let pairs = stack.runs.iter().zip(&by.runs);
    Spread::of(pairs.map(|(stack, by)| stack.cpu() / by.cpu()))
}

impl Run {
    /// Seconds for each of what was done.
    fn cpu(&self) -> f64 {
        (self.user + self.system) / self.done
    }
}

/// Of all rounds.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    least: f64,
    pub median: f64,
    most: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(figures.len() / 2),
            most: at(figures.len().saturating_sub(1)),
        }
    }

    fn show(self) -> String {
        let Self {
            least,
            median,
            most,
        } = self;
        format!("{} ({} to {})", short(median), short(least), short(most))
    }
}

/// Three digits that count.
fn short(figure: f64) -> String {
    match figure.abs() {
        0.0..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

const HEAD: &str = "
## Over UDP on loopback

Client and server in one process and on one thread, a tokio runtime of that thread alone, all of them over the same
quinn with the same certificate, windows, buffers and congestion control, and the UDP sockets that it makes, batches of
packets included: [loopback/](loopback). \"Raw QUIC\" is quinn with nothing above it: datagrams without a prefix, bare
streams, and for a session a bidirectional stream with about as many bytes. \"This crate\" is the host for quinn of
[examples/hosts/quinn](../examples/hosts/quinn), as a user copies it.

`h3-webtransport` has no client. It and \"this crate as server\" stand behind one that is written by hand and does the
least: compare those two with each other. Neither `h3-webtransport` nor `wtransport` sends a close capsule: a session of
theirs ends with its connection (of the former by the client by hand, which sends the capsule, and waits until it is
acknowledged: nothing reads it there, so that takes as long as an acknowledgement may wait). What comes on a stream
is taken without a copy where there is a function for that, which `wtransport` has not.

CPU is what getrusage counts for the process, user and system, both ends together: the median of seven rounds (least to
most). In each round each stack has its turn, in a process of its own, and \"by raw\" is its CPU by that of raw QUIC in the
same round. Instructions are callgrind's for the whole program in user space, the difference of two sizes, so that
start-up falls out; how packets and timers fall is part of it, and differs from run to run by a few percent. The last
column is by the clock: on a machine that does other things it says little.

A burst is sent when the one before has arrived whole, which the ends tell each other in memory; what has not arrived
after a second is lost, and more is sent until as many have arrived as are counted.

![CPU of each stack by that of raw QUIC](loopback.svg)

";
