//! Functions that combine many values into one, in any order and grouping.

mod context;
mod life;

use crate::element::Element;
use crate::error::Result;

pub use context::{CombineContext, CombineFnWithContext};
pub(crate) use life::{LiveCombineFn, combine_nothing};

/// Combines values by way of an accumulator.
///
/// What must hold: `merge` is associative and commutative, and a fresh accumulator changes
/// nothing; then values may be combined before and after a shuffle, in any order.
///
/// The life of an instance: `setup`, any number of the others in any order, `teardown`; the last
/// also after a failure. Instances are clones of the one in the pipeline, and each runs on one
/// thread; accumulators travel between them, each compacted before.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `CombineFn`",
    note = "implement `CombineFn` for it, or use one of `Sum`, `Count`, `Min`, `Max`, `Mean`"
)]
pub trait CombineFn: Clone + Send + Sync + 'static {
    /// What is combined.
    type In: Element;
    /// What is carried along.
    type Acc: Element;
    /// What comes out.
    type Out: Element;

    /// Prepares the instance: opens what all its calls need.
    ///
    /// # Errors
    /// Whatever keeps it from working.
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }

    /// An accumulator of no value.
    fn create(&self) -> Self::Acc;

    /// Adds a value.
    fn add(&self, accumulator: &mut Self::Acc, value: Self::In);

    /// Adds what `other` has accumulated.
    fn merge(&self, accumulator: &mut Self::Acc, other: Self::Acc);

    /// Makes an accumulator smaller that is about to travel, and does not change what it stands for.
    ///
    /// So a function may gather values and combine them many at a time.
    fn compact(&self, accumulator: &mut Self::Acc) {
        let _: &mut Self::Acc = accumulator;
    }

    /// The result.
    fn extract(&self, accumulator: Self::Acc) -> Self::Out;

    /// Closes what `setup` has opened.
    fn teardown(&mut self) {}

    /// What is known of this function; see [`CombineFacts`].
    fn facts(&self) -> CombineFacts {
        CombineFacts::default()
    }
}

/// What a [`CombineFn`] says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct CombineFacts {
    /// Arguments that change the result: they are part of the plan's identity.
    pub parameters: String,
    /// To be raised when the code changes its results.
    pub version: u32,
    /// Whether results depend on the order of merging, as sums of floats do, and by how much.
    pub accuracy: Accuracy,
}

impl CombineFacts {
    /// Names the arguments that change the result.
    #[must_use]
    pub fn with_parameters(mut self, parameters: impl Into<String>) -> Self {
        self.parameters = parameters.into();
        self
    }

    /// Declares the version of the code.
    #[must_use]
    pub fn with_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Says that results may differ by rounding.
    #[must_use]
    pub fn with_tolerance(mut self, relative: f64) -> Self {
        self.accuracy = Accuracy::Within { relative };
        self
    }
}

/// How equal the results of two orders of merging are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Accuracy {
    /// To the bit.
    #[default]
    Exact,
    /// Up to rounding.
    Within {
        /// The greatest difference, relative to the greater value.
        relative: f64,
    },
}
