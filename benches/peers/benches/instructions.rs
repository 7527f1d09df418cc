//! How many instructions each operation takes, ours and the peers', counted by valgrind.

use std::any::Any;

use gungraun::{library_benchmark, library_benchmark_group, main};
use peers::operations::{Operation, Work};

#[library_benchmark]
#[benches::operation(iter = peers::all(), setup = Operation::ready)]
fn run(work: Work) -> Box<dyn Any> {
    work()
}

library_benchmark_group!(name = operations, benchmarks = run);
main!(library_benchmark_groups = operations);
