//! Reshuffle: spreads elements evenly over bundles.

use crate::element::Element;
use crate::graph::Operation;
use crate::pcollection::PCollection;
use crate::ptransform::PTransform;

/// The same elements, spread evenly: what follows runs on all threads, and a retry begins here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reshuffle;

impl<T: Element> PTransform<PCollection<T>> for Reshuffle {
    type Output = PCollection<T>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        input.pipeline().add(Operation::Reshuffle, &[input.id()])
    }
}
