//! What tests of keyed chunks share: chunks in memory, and transforms that run on them.

use array::{DatasetChunk, Key};
use dataflow::error::Result;
use dataflow::prelude::{Create, PCollection, PTransform, Pipeline};
use dataflow::testing::{ChaosRunner, ReferenceRunner};

use crate::keyed::{Chunks, split_chunks};

pub(crate) type Keyed = Vec<(Key, DatasetChunk)>;

pub(crate) fn chunks(text: &str) -> Chunks {
    text.parse().expect("chunks")
}

/// The chunks of a dataset in memory.
pub(crate) fn cut(whole: &DatasetChunk, at: &Chunks) -> Keyed {
    let pieces = split_chunks(&Key::default(), whole, at).expect("known dimensions");
    pieces.collect::<Result<_>>().expect("pieces")
}

pub(crate) fn sorted(mut keyed: Keyed) -> Keyed {
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed
}

/// What a transform makes of chunks, by key: on the reference runner, or by chance from a seed.
pub(crate) fn run_on<X>(seed: Option<u64>, input: Keyed, transform: X) -> Result<Keyed>
where
    X: PTransform<PCollection<(Key, DatasetChunk)>, Output = PCollection<(Key, DatasetChunk)>>,
{
    let pipeline = Pipeline::new();
    let output = pipeline.apply(Create::of(input)).apply(transform).collect();
    let report = match seed {
        None => pipeline.run(&ReferenceRunner)?,
        Some(seed) => pipeline.run(&ChaosRunner::new(seed))?,
    };
    Ok(sorted(report.get(&output)?.iter().collect()))
}
