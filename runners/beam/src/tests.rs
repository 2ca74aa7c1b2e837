//! Pipelines on real runners.

mod fake;
mod hostile;

mod elsewhere;
mod refused;

mod server;

mod rows;

mod flink;
mod prism;
mod python;
mod spark;

use dataflow::prelude::CombineFn;

/// The sum of integers.
#[derive(Debug, Clone)]
pub(crate) struct Sum;

impl CombineFn for Sum {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, accumulator: &mut i64, value: i64) {
        *accumulator += value;
    }

    fn merge(&self, accumulator: &mut i64, other: i64) {
        *accumulator += other;
    }

    fn extract(&self, accumulator: i64) -> i64 {
        accumulator
    }
}
