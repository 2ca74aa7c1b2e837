//! A reduction as a combine function.

use std::panic::resume_unwind;

use array::{DatasetChunk, Key};
use dataflow::combine::{Accuracy, CombineFacts, CombineFn};
use dataflow::error::{Error, Result};

use crate::reduce::partial::{Over, Partial, finish, merge, partials};
use crate::reduce::reducer::Reducer;

/// Reduces chunks to one: over dimensions, and over all chunks that it is given.
///
/// For [`CombinePerKey`](dataflow::prelude::CombinePerKey) on chunks that got new keys, and for
/// [`CombineGlobally`](dataflow::prelude::CombineGlobally): elements are `(Key, DatasetChunk)`,
/// where the key says where the chunk lies. Without dimensions, elements at the same place in all
/// chunks are reduced. Results of sums, means and variances depend on the order of merging within
/// the tolerance that its facts declare; [`Reduce`](crate::Reduce) merges in the order of keys.
///
/// ```
/// use chunks::{ReduceFn, Reduction};
/// let mean_of_chunks = ReduceFn::of(Reduction::mean(), [""; 0]);
/// ```
///
/// Source: xarray-beam 0.11.5, `MeanCombineFn`.
#[derive(Debug, Clone)]
pub struct ReduceFn<R> {
    reducer: R,
    over: Over,
}

impl<R: Reducer> ReduceFn<R> {
    /// Reduces over these dimensions.
    pub fn of<S: Into<String>>(reducer: R, dimensions: impl IntoIterator<Item = S>) -> Self {
        let dimensions = dimensions.into_iter().map(Into::into).collect();
        Self { reducer, over: Over { dimensions, groups: None } }
    }
}

/// Ends the bundle with an error, where a signature has no room for it.
fn or_end<T>(outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|error: Error| resume_unwind(Box::new(error)))
}

impl<R: Reducer> CombineFn for ReduceFn<R> {
    type In = (Key, DatasetChunk);
    type Acc = Partial;
    type Out = DatasetChunk;

    fn create(&self) -> Partial {
        Partial::new()
    }

    fn add(&self, accumulator: &mut Partial, value: (Key, DatasetChunk)) {
        for (_, partial) in or_end(partials(&self.reducer, &self.over, &value.0, &value.1)) {
            or_end(merge(&self.reducer, accumulator, partial));
        }
    }

    fn merge(&self, accumulator: &mut Partial, other: Partial) {
        or_end(merge(&self.reducer, accumulator, other));
    }

    fn extract(&self, accumulator: Partial) -> DatasetChunk {
        or_end(finish(&self.reducer, accumulator))
    }

    fn facts(&self) -> CombineFacts {
        let parameters = format!("{} over {:?}", self.reducer.parameters(), self.over.dimensions);
        let facts = CombineFacts::default().with_parameters(parameters);
        match self.reducer.accuracy() {
            Accuracy::Exact => facts,
            Accuracy::Within { relative } => facts.with_tolerance(relative),
        }
    }
}

/// Merges partials: what [`Reduce`](crate::Reduce) combines before and after the shuffle where the
/// order does not matter.
#[derive(Debug, Clone)]
pub(crate) struct MergePartials<R> {
    pub(crate) reducer: R,
}

impl<R: Reducer> CombineFn for MergePartials<R> {
    type In = Partial;
    type Acc = Partial;
    type Out = Partial;

    fn create(&self) -> Partial {
        Partial::new()
    }

    fn add(&self, accumulator: &mut Partial, value: Partial) {
        or_end(merge(&self.reducer, accumulator, value));
    }

    fn merge(&self, accumulator: &mut Partial, other: Partial) {
        or_end(merge(&self.reducer, accumulator, other));
    }

    fn extract(&self, accumulator: Partial) -> Partial {
        accumulator
    }

    fn facts(&self) -> CombineFacts {
        CombineFacts::default().with_parameters(self.reducer.parameters())
    }
}
