//! Runs the harnesses, and reads what they found.

use std::{
    alloc::System,
    collections::BTreeMap,
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use peers::operations::Operation;
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// By operation and by who does it.
pub type Figures = BTreeMap<(&'static str, &'static str), f64>;

/// Instructions a round; `again`: as they were counted last.
pub fn instructions(package: &Path, all: &[Operation], again: bool) -> Result<Figures> {
    let kept = package.join("target/instructions.json");
    if !again {
        let output = bench(package, "instructions", &["--output-format=json"])?;
        fs::write(&kept, output)?;
    }
    let output = fs::read_to_string(kept)?;
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

/// Nanoseconds a round; `again`: as they were taken last.
pub fn time(package: &Path, all: &[Operation], again: bool) -> Result<Figures> {
    let quick = [
        "--warm-up-time=0.1",
        "--measurement-time=0.3",
        "--sample-size=10",
        "--noplot",
    ];
    if !again {
        bench(package, "time", &quick)?;
    }
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

/// Allocations and reallocations a round.
pub fn allocations(all: &[Operation]) -> BTreeMap<(&'static str, &'static str), (f64, f64)> {
    let count = |operation: &Operation| {
        let work = operation.ready();
        let region = Region::new(ALLOCATOR);
        let kept = work();
        let counted = region.change();
        drop(kept);
        let each = |count: usize| count as f64 / operation.rounds as f64;
        let found = (each(counted.allocations), each(counted.reallocations));
        ((operation.row, operation.by), found)
    };
    all.iter().map(count).collect()
}

/// Bytes.
pub fn held() -> Figures {
    let ours = peers::operations::memory::ALL.iter();
    let all = ours.chain(peers::shiguredo::HOLDINGS);
    all.map(|holding| {
        let bytes = (holding.measure)(&live);
        ((holding.row, holding.by), bytes as f64)
    })
    .collect()
}

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
