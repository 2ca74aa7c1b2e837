//! GroupByKey: the values of each key, together.

use std::sync::Arc;

use crate::element::Element;
use crate::graph::{GroupBy, Operation};
use crate::pcollection::PCollection;
use crate::primitives::check_key;
use crate::ptransform::PTransform;
use crate::shuffle::Iterable;

/// Every key once, with all its values in no order.
///
/// Keys are equal if their encodings are. The values may be more than memory holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct GroupByKey;

impl<K: Element, V: Element> PTransform<PCollection<(K, V)>> for GroupByKey {
    type Output = PCollection<(K, Iterable<V>)>;

    fn expand(self, input: PCollection<(K, V)>) -> Self::Output {
        let pipeline = input.pipeline();
        check_key::<K>(pipeline);
        pipeline.add(Operation::Group(Arc::new(GroupBy::<K, V>::new())), &[input.id()])
    }
}
