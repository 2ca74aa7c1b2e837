//! Flatten: several collections as one.

use crate::element::Element;
use crate::graph::Operation;
use crate::pcollection::{PCollection, PCollectionList};
use crate::primitives::check_pipeline;
use crate::ptransform::PTransform;

/// All elements of all collections of a list; a collection that stands twice counts twice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flatten;

impl<T: Element> PTransform<PCollectionList<T>> for Flatten {
    type Output = PCollection<T>;

    fn expand(self, list: PCollectionList<T>) -> Self::Output {
        let pipeline = list.pipeline();
        for collection in list.collections() {
            check_pipeline(pipeline, collection.pipeline());
        }
        let inputs: Vec<_> = list.collections().iter().map(PCollection::id).collect();
        pipeline.add(Operation::Flatten, &inputs)
    }
}
