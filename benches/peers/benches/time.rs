//! How long each operation takes, ours and the peers'. For a machine that does nothing else.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn time(criterion: &mut Criterion) {
    for operation in peers::all() {
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
