//! How many instructions each operation takes, counted by valgrind: `cargo bench --bench instructions`.
//!
//! Wants valgrind and `cargo install gungraun-runner`, of the same version as `gungraun` here. What it
//! prints is for all rounds of a run together.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a bench may panic, writes small numbers, and looks at what it expects"
)]

use std::any::Any;

use gungraun::{library_benchmark, library_benchmark_group, main};

mod operations;

use operations::{Operation, Work};

#[library_benchmark]
#[benches::operation(iter = operations::all(), setup = Operation::ready)]
fn run(work: Work) -> Box<dyn Any> {
    work()
}

library_benchmark_group!(name = instructions, benchmarks = run);
main!(library_benchmark_groups = instructions);
