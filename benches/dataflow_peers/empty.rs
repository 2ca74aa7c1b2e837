//! Integers through a DoFn that does nothing, here or on a runner of Beam whose workers are this process.

use std::hint::black_box;

use basic::{Count, Filter, FlatMap, Map};
use beam::BeamRunner;
use dataflow::prelude::{CombineGlobally, Create, Pipeline, Reshuffle};
use dataflow::runner::Runner;
use direct::DirectRunner;

use crate::{Outcome, measure};

const BUNDLES: u64 = 64;

/// Where the elements of the DoFn come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The DoFn before, in the same stage.
    Stage,
    /// What the runner has shuffled.
    Shuffle,
}

/// Runs `count` elements on the job server at `place`, which is `HOST:PORT` or `direct`.
pub(crate) fn run(place: &str, count: u64, origin: Origin) -> Outcome {
    match place {
        "direct" => run_on(&DirectRunner::new(), count, origin),
        endpoint => run_on(
            &BeamRunner::at(endpoint).with_pipeline_option("parallelism", "2"),
            count,
            origin,
        ),
    }
}

fn run_on(runner: &dyn Runner, count: u64, origin: Origin) -> Outcome {
    measure(|| {
        let pipeline = Pipeline::new();
        let of_a_bundle = count.div_ceil(BUNDLES);
        let made = FlatMap::of(move |bundle: u64| {
            bundle * of_a_bundle..((bundle + 1) * of_a_bundle).min(count)
        });
        let mut elements = pipeline.apply(Create::of(0..BUNDLES)).apply(Reshuffle).apply(made);
        if origin == Origin::Shuffle {
            elements = elements.apply(Reshuffle);
        }
        let passed = elements.apply(Map::of(|n: u64| black_box(n)));
        let few = passed.apply(Filter::by(|n: &u64| n & 0xffff == 0));
        let counted = few.apply(CombineGlobally::of(Count::new())).collect();
        let report = pipeline.run(runner).expect("runs");
        (report.get(&counted).expect("asked for").iter().sum(), report.shuffle.spilled_bytes)
    })
}
