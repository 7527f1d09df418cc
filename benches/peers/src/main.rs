//! Measures everything and writes `benches/RESULTS.md` with its charts anew:
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```
//!
//! Wants valgrind and gungraun-runner, of the version of `gungraun` in Cargo.toml. With the names of
//! parts (`instructions`, `allocations`, `scaling`, `time`, `loopback`) it measures those alone, and
//! takes the others from `benches/figures`, where each run leaves what it found; with `report` it
//! measures nothing. The report says which part is not of its run.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    reason = "a program, which owns its clock"
)]

mod charts;
mod kept;
mod loopback;
mod loopback_chart;
mod machine;
mod measure;
mod report;
mod rows;
mod scaling;
mod sheet;

use std::{env, path::Path};

use kept::Run;
use measure::Result;

fn main() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let benches = package.parent().ok_or("benches/ is above")?;
    let run = Run::new(benches, env::args().skip(1).collect())?;
    let all = peers::all();
    let operations = || all.iter().map(|operation| (operation.row, operation.by));
    let instructions = run.part("instructions", || {
        Ok(kept::write(measure::instructions(package, &all)?))
    })?;
    let allocations = run.part("allocations", || Ok(measure::allocated(&all)))?;
    let scaling = run.part("scaling", || Ok(scaling::write(&scaling::measure())))?;
    let time = run.part("time", || Ok(kept::write(measure::time(package, &all)?)))?;
    let loopback = run.part("loopback", || loopback::measure(benches))?;
    let found = report::Found {
        instructions: instructions.map(|kept| kept::numbers(&kept, operations())),
        held: measure::held(&allocations.figures["held"]),
        allocations: allocations.map(|kept| measure::counts(&kept["counts"], operations())),
        scaling: scaling.map(|kept| scaling::read(&kept)),
        time: time.map(|kept| kept::numbers(&kept, operations())),
        loopback: loopback.map(|kept| loopback::read(&kept)),
    };
    charts::draw(&found, benches)?;
    let chart = benches.join("loopback.svg");
    loopback_chart::draw(&found.loopback.figures, &chart)?;
    report::write(&run, &found, benches)
}
