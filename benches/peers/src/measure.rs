//! Runs the harnesses, and reads what they found.

use std::{
    alloc::System,
    collections::BTreeMap,
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use peers::operations::{Operation, memory::Holding};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::kept;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// By operation and by who does it.
pub type Key = (&'static str, &'static str);
pub type Figures = BTreeMap<Key, f64>;
/// Allocations and reallocations.
pub type Counts = BTreeMap<Key, (f64, f64)>;

/// Instructions a round.
pub fn instructions(package: &Path, all: &[Operation]) -> Result<Figures> {
    let output = bench(package, "instructions", &["--output-format=json"])?;
    let mut figures = Figures::new();
    for summary in serde_json::Deserializer::from_str(&output).into_iter::<Value>() {
        let summary = summary?;
        let Some(operation) = summary["id"]
            .as_str()
            .and_then(|id| id.rsplit('_').next()?.parse::<usize>().ok())
            .and_then(|index| all.get(index))
        else {
            continue;
        };
        let total = &summary["profiles"][0]["data"]["total"]["metrics"];
        let counted = total["Ir"]["values"]["new"].as_f64();
        let counted = counted.ok_or_else(|| format!("no instructions of {}", operation.name()))?;
        let each = counted / operation.rounds as f64;
        figures.insert((operation.row, operation.by), each);
    }
    Ok(figures)
}

/// Nanoseconds a round.
pub fn time(package: &Path, all: &[Operation]) -> Result<Figures> {
    let quick = [
        "--warm-up-time=0.1",
        "--measurement-time=0.3",
        "--sample-size=10",
        "--noplot",
    ];
    bench(package, "time", &quick)?;
    let mut figures = Figures::new();
    for operation in all {
        let found = package.join("target/criterion");
        let found = found.join(operation.row).join(operation.by);
        let Ok(estimates) = fs::read_to_string(found.join("new/estimates.json")) else {
            continue;
        };
        let estimates: Value = serde_json::from_str(&estimates)?;
        let run = estimates["median"]["point_estimate"].as_f64();
        let run = run.ok_or("criterion says no median")?;
        let each = run / operation.rounds as f64;
        figures.insert((operation.row, operation.by), each);
    }
    Ok(figures)
}

fn bench(package: &Path, name: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["bench", "--bench", name, "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--")
        .args(arguments);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo bench --bench {name}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Allocations and reallocations a round, and bytes that are held.
pub fn allocated(all: &[Operation]) -> Value {
    json!({ "counts": kept::write(allocations(all)), "held": kept::write(bytes_held()) })
}

/// Allocations and reallocations, as they were written.
pub fn counts(kept: &Value, rows: impl Iterator<Item = Key>) -> Counts {
    kept::read(kept, rows, |pair| {
        Some((pair[0].as_f64()?, pair[1].as_f64()?))
    })
}

/// Bytes, as they were written.
pub fn held(kept: &Value) -> Figures {
    kept::numbers(kept, holdings().map(|holding| (holding.row, holding.by)))
}

fn allocations(all: &[Operation]) -> BTreeMap<Key, [f64; 2]> {
    let count = |operation: &Operation| {
        let work = operation.ready();
        let region = Region::new(ALLOCATOR);
        let kept = work();
        let counted = region.change();
        drop(kept);
        let each = |count: usize| count as f64 / operation.rounds as f64;
        let found = [each(counted.allocations), each(counted.reallocations)];
        ((operation.row, operation.by), found)
    };
    all.iter().map(count).collect()
}

fn bytes_held() -> Figures {
    holdings()
        .map(|holding| {
            let bytes = (holding.measure)(&live);
            ((holding.row, holding.by), bytes as f64)
        })
        .collect()
}

fn holdings() -> impl Iterator<Item = &'static Holding> {
    let ours = peers::operations::memory::ALL.iter();
    ours.chain(peers::shiguredo::HOLDINGS)
}

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
