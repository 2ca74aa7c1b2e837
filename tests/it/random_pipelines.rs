//! Random pipelines give on every runner what they give on the reference runner.
//!
//! A generator over the whole model makes programs; each runs on the direct runner with random
//! options and on the runner of chance. What differs is shrunk to a small program.

mod program;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use levain::dataflow::plan::CompileOptions;
use levain::dataflow::runner::NoObserver;
use levain::dataflow::testing::{ChaosRunner, ReferenceRunner};
use levain::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use program::{Asked, KINDS, Pair, Step, build, programs};

const CASES: u32 = 200;

/// How the direct runner runs, and the seed of the runner of chance.
#[derive(Debug, Clone)]
struct Way {
    fuse: bool,
    lift: bool,
    threads: usize,
    partition_count: usize,
    bundle_elements: Option<usize>,
    is_scarce: bool,
    seed: u64,
}

fn ways() -> impl Strategy<Value = Way> {
    let sizes = (1..4usize, 1..9usize, prop::option::of(1..6usize));
    (any::<(bool, bool, bool)>(), sizes, any::<u64>()).prop_map(
        |((fuse, lift, is_scarce), (threads, partition_count, bundle_elements), seed)| Way {
            fuse,
            lift,
            threads,
            partition_count,
            bundle_elements,
            is_scarce,
            seed,
        },
    )
}

/// Bytes for side inputs, which cannot be spilled, besides the least that a pipeline runs in.
const FOR_VIEWS_BYTES: u64 = 256 << 10;

impl Way {
    fn run_direct(&self, pipeline: &Pipeline) -> Result<JobReport> {
        let number = |n| NonZeroUsize::new(n).expect("ways have no zeroes");
        let compile_options = CompileOptions { fuse: self.fuse, lift: self.lift };
        let runner = DirectRunner::new().with_compile_options(compile_options);
        let runner = runner.with_threads(number(self.threads));
        let mut options = RunOptions::default().with_partition_count(number(self.partition_count));
        options.bundle_elements = self.bundle_elements.map(number);
        if self.is_scarce {
            let plan = pipeline.compile_for(&runner)?;
            let least = DirectRunner::least_memory_bytes(&plan);
            options.memory_bytes = Some(least + FOR_VIEWS_BYTES);
        }
        pipeline.run_with(&runner, &options, &NoObserver)
    }
}

/// The elements of one result.
type Elements = Vec<(Pair, Timestamp, Window)>;

/// The elements of a result, in order.
fn sorted(report: &JobReport, asked: &Asked) -> Result<Elements> {
    let mut elements = report.get(asked)?.try_iter().collect::<Result<Vec<_>>>()?;
    elements.sort_unstable();
    Ok(elements)
}

/// The results of a program, which must be there.
fn results(
    runner: &str,
    outcome: Result<JobReport>,
    asked: &[Asked],
) -> Result<Vec<Elements>, TestCaseError> {
    let fail = |error| TestCaseError::fail(format!("on the {runner} runner: {error}"));
    let report = outcome.map_err(fail)?;
    asked.iter().map(|asked| sorted(&report, asked).map_err(fail)).collect()
}

fn check(program: &[Step], way: &Way) -> Result<(), TestCaseError> {
    let (pipeline, asked) = build(program);
    let want = results("reference", pipeline.run(&ReferenceRunner), &asked)?;
    let direct = results("direct", way.run_direct(&pipeline), &asked)?;
    prop_assert_eq!(&direct, &want, "the direct runner gives something else");
    let chaos = results("chaos", pipeline.run(&ChaosRunner::new(way.seed)), &asked)?;
    prop_assert_eq!(&chaos, &want, "the runner of chance gives something else");
    Ok(())
}

#[test]
fn two_hundred_random_pipelines_give_what_the_reference_runner_gives() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    // The same programs every time: a failure is not gone when one looks again.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let kinds = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    let outcome = runner.run(&(programs(), ways()), |(program, way)| {
        for step in &program {
            *kinds.borrow_mut().entry(step.kind()).or_default() += 1;
        }
        check(&program, &way)
    });
    assert!(outcome.is_ok(), "{}", outcome.expect_err("is an error"));
    let kinds = kinds.into_inner();
    assert!(kinds.len() == KINDS && kinds.values().all(|count| *count > 20), "{kinds:?}");
    println!("{CASES} pipelines of {} steps: {kinds:?}", kinds.values().sum::<usize>());
}
