//! Measures everything and writes `benches/RESULTS.md` with its charts anew:
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```
//!
//! Wants valgrind and gungraun-runner, of the version of `gungraun` in Cargo.toml. With `allocations` as
//! its argument it prints only those, and needs neither; with `again` it takes instructions and time
//! from the last run.
#![allow(missing_docs, reason = "a program")]

mod charts;
mod measure;
mod report;
mod rows;
mod scaling;

use std::{env, path::Path};

use measure::Result;

fn main() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = peers::all();
    let allocations = measure::allocations(&all);
    let held = measure::held();
    let argument = env::args().nth(1);
    if argument.as_deref() == Some("allocations") {
        for ((row, by), (allocations, reallocations)) in &allocations {
            println!("{row:<40} {by:<28} {allocations:>8.2} {reallocations:>8.2}");
        }
        for ((row, by), bytes) in &held {
            println!("{row:<40} {by:<28} {bytes:>8}");
        }
        return Ok(());
    }
    let again = argument.as_deref() == Some("again");
    let found = report::Found {
        instructions: measure::instructions(package, &all, again)?,
        time: measure::time(package, &all, again)?,
        allocations,
        held,
        scaling: scaling::measure(),
    };
    let benches = package.parent().ok_or("benches/ is above")?;
    charts::draw(&found, benches)?;
    report::write(&found, benches)
}
