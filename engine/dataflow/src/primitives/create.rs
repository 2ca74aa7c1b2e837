//! Create: a collection of values that the recipe holds.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::coder::{Coder, Context};
use crate::dofn::{DoFn, DoFnFacts, ProcessContext};
use crate::element::Element;
use crate::error::Result;
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::primitives::{Impulse, ParDo, Reshuffle};
use crate::ptransform::PTransform;

/// The most pieces that values are spread in.
const PIECE_LIMIT: usize = 1024;

/// A collection of these values.
///
/// The values are part of the plan's identity. They are spread over all threads without being
/// encoded: only their places travel.
#[derive(Debug, Clone)]
pub struct Create<T>(Arc<Vec<T>>);

impl<T: Element> Create<T> {
    /// A collection of these values.
    pub fn of(values: impl IntoIterator<Item = T>) -> Self {
        Self(Arc::new(values.into_iter().collect()))
    }
}

impl<T: Element> PTransform<Pipeline> for Create<T> {
    type Output = PCollection<T>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        let identity = match identity_of(&self.0) {
            Ok(identity) => identity,
            Err(error) => {
                pipeline.mistake(error);
                String::new()
            }
        };
        pipeline
            .apply(Impulse)
            .apply_named("Split", ParDo::of(Split { count: self.0.len() }))
            .apply(Reshuffle)
            .apply_named("Read", ParDo::of(Read { values: self.0, identity }))
    }
}

fn identity_of<T: Element>(values: &[T]) -> Result<String> {
    let (coder, mut bytes) = (T::coder(), Vec::new());
    let mut identity = 0u128;
    for value in values {
        bytes.clear();
        bytes.extend_from_slice(&identity.to_le_bytes());
        coder.encode(value, Context::Outer, &mut bytes)?;
        identity = xxh3_128(&bytes);
    }
    Ok(format!("{} values {identity:032x}", values.len()))
}

/// Puts out the ranges of places that are read together.
#[derive(Clone)]
struct Split {
    count: usize,
}

impl DoFn for Split {
    type In = Vec<u8>;
    type Out = (u64, u64);

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, (u64, u64)>) -> Result<()> {
        let step = self.count.div_ceil(PIECE_LIMIT).max(1);
        (0..self.count).step_by(step).try_for_each(|start| {
            let end = (start + step).min(self.count);
            ctx.output((start as u64, end as u64))
        })
    }
}

/// Puts out the values of a range.
#[derive(Clone)]
struct Read<T> {
    values: Arc<Vec<T>>,
    identity: String,
}

impl<T: Element> DoFn for Read<T> {
    type In = (u64, u64);
    type Out = T;

    fn process(&mut self, range: (u64, u64), ctx: &mut ProcessContext<'_, T>) -> Result<()> {
        let values = &self.values[range.0 as usize..range.1 as usize];
        values.iter().try_for_each(|value| ctx.output(value.clone()))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.identity.clone())
    }
}
