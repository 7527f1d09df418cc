//! All stacks and works, in turn: each in a process of its own, round by round, so that a machine
//! that grows busy is busy for all of them.

use std::{
    env,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    Result,
    work::{Work, warm},
};

const ROUNDS: usize = 7;

/// A work, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub id: &'static str,
    pub work: Work,
    stacks: &'static [&'static str],
    /// For the clock and the CPU: about half a second.
    count: u64,
    /// For callgrind, which counts from the process' start: what is started once falls out of the
    /// difference.
    counted: [u64; 2],
}

const ALL: &[&str] = &[
    "raw",
    "ours",
    "wtransport",
    "web-transport-quinn",
    "h3-webtransport",
    "ours-by-hand",
];

pub const WORKS: &[Row] = &[
    Row {
        id: "datagram-100",
        work: Work::Datagrams {
            len: 100,
            burst: 32,
        },
        stacks: ALL,
        count: 600_000,
        counted: [2000, 10_000],
    },
    Row {
        id: "datagram-1200",
        work: Work::Datagrams {
            len: 1200,
            burst: 32,
        },
        stacks: ALL,
        count: 150_000,
        counted: [2000, 10_000],
    },
    Row {
        id: "datagram-100-alone",
        work: Work::Datagrams { len: 100, burst: 1 },
        stacks: ALL,
        count: 30_000,
        counted: [1000, 4000],
    },
    Row {
        id: "stream",
        work: Work::Stream,
        stacks: ALL,
        count: 256,
        counted: [4, 16],
    },
    Row {
        id: "connection",
        work: Work::Connections,
        stacks: ALL,
        count: 600,
        counted: [10, 40],
    },
    Row {
        id: "session",
        work: Work::Sessions,
        stacks: &["raw", "ours"],
        count: 10_000,
        counted: [100, 500],
    },
];

/// Seconds, and instructions each.
pub fn all() -> Result<Value> {
    let mut rows = Vec::new();
    for row in WORKS {
        let mut runs: Vec<Vec<Value>> = vec![Vec::new(); row.stacks.len()];
        for round in 1..=ROUNDS {
            eprintln!("{}: round {round} of {ROUNDS}", row.id);
            for (by, runs) in row.stacks.iter().zip(&mut runs) {
                runs.push(run(by, row)?);
            }
        }
        for (by, runs) in row.stacks.iter().zip(runs) {
            eprintln!("{}: instructions of {by}", row.id);
            let instructions = instructions(by, row)?;
            rows.push(json!({
                "work": row.id,
                "by": by,
                "instructions": instructions,
                "runs": runs,
            }));
        }
    }
    Ok(json!(rows))
}

fn run(by: &str, row: &Row) -> Result<Value> {
    let mut command = Command::new(env::current_exe()?);
    command.args([by, row.id, &row.count.to_string()]);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{by} {}: {}", row.id, output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Each, in the program alone: what the kernel does is not counted.
fn instructions(by: &str, row: &Row) -> Result<f64> {
    let [small, large] = row.counted;
    let more = (large + warm(large)) - (small + warm(small));
    let difference = callgrind(by, row, large)?.saturating_sub(callgrind(by, row, small)?);
    Ok(difference as f64 / more as f64)
}

fn callgrind(by: &str, row: &Row, count: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([by, row.id, &count.to_string()]);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let mut collected = said.lines().filter_map(|line| {
        let (_, count) = line.split_once("Collected :")?;
        count.trim().parse().ok()
    });
    match collected.next() {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("callgrind of {by} {}: {said}", row.id).into()),
    }
}
