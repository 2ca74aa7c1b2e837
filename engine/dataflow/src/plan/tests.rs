use crate::plan::{CompileOptions, compile};
use crate::prelude::*;
use crate::testing::ReferenceRunner;

#[derive(Clone)]
struct Sum;

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

#[derive(Clone)]
struct AddSide(PCollectionView<i64>);

impl DoFn for AddSide {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let side = *ctx.side(&self.0)?;
        ctx.output(element + side)
    }
}

const FUSED: CompileOptions = CompileOptions { fuse: true, lift: true };

/// A collection and its own total as side input: the reader cannot run where the total is made.
fn shifted_by_own_total() -> (Pipeline, Collected<i64>) {
    let pipeline = Pipeline::new();
    let numbers = pipeline.apply(Create::of([1i64, 2, 3]));
    let total = numbers.apply(CombineGlobally::of(Sum)).as_singleton_view();
    let shifted = numbers.apply_named("Shift", ParDo::of(AddSide(total)).with_side(&total));
    (pipeline, shifted.collect())
}

#[track_caller]
fn check(pipeline: &Pipeline, options: CompileOptions, want: &str) {
    let plan = compile(pipeline, options).expect("compiles");
    let want: Vec<&str> = want.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(plan.explain().lines().collect::<Vec<_>>(), want);
}

#[test]
fn a_side_input_of_the_own_stage_breaks_fusion() {
    let (pipeline, shifted) = shifted_by_own_total();
    check(&pipeline, FUSED, "x");
    let report = pipeline.run(&ReferenceRunner).expect("runs");
    let mut got: Vec<i64> = report.get(&shifted).expect("asked for").iter().collect();
    got.sort_unstable();
    assert_eq!(got, [7, 8, 9]);
}
