//! What each operation allocates, and what connections and sessions hold: `cargo bench --bench
//! allocations`. Prints `allocations reallocations` a round, and bytes.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a bench may panic, writes small numbers, and looks at what it expects"
)]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod operations;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn main() {
    for operation in operations::all() {
        let work = operation.ready();
        let region = Region::new(ALLOCATOR);
        let kept = work();
        let counted = region.change();
        drop(kept);
        let each = |count: usize| count as f64 / operation.rounds as f64;
        println!(
            "{:<48} {:>8.2} {:>8.2}",
            operation.name(),
            each(counted.allocations),
            each(counted.reallocations)
        );
    }
    for holding in operations::memory::ALL {
        let name = format!("{}/{}", holding.row, holding.by);
        println!("{name:<48} {:>8}", (holding.measure)(&live));
    }
}
