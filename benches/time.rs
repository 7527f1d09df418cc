//! How long each operation takes: `cargo bench --bench time`. For a machine that does nothing else.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a bench may panic, writes small numbers, and looks at what it expects"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

mod operations;

fn time(criterion: &mut Criterion) {
    for operation in operations::all() {
        // To make thousands of sessions ready takes longer than all that is measured.
        if operation.row.ends_with("000-sessions") {
            continue;
        }
        let mut group = criterion.benchmark_group(operation.row);
        group.throughput(Throughput::Elements(operation.rounds as u64));
        group.bench_function(operation.by, |bencher| {
            bencher.iter_batched(|| operation.ready(), |work| work(), BatchSize::LargeInput);
        });
        group.finish();
    }
}

criterion_group!(benches, time);
criterion_main!(benches);
