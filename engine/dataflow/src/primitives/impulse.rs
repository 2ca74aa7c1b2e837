//! Impulse: where every pipeline begins.

use crate::graph::Operation;
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::ptransform::PTransform;

/// One empty byte string, once: the root of everything that is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Impulse;

impl PTransform<Pipeline> for Impulse {
    type Output = PCollection<Vec<u8>>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        pipeline.add(Operation::Impulse, &[])
    }
}
