//! Element transforms and combine functions that every pipeline needs.
//!
//! Each file holds one idea. They are made of the primitives of `dataflow` and know nothing of
//! runners, plans or formats.

// Element by element.
mod keys;
mod map;
mod partition;
mod patterns;
mod to_strings;

// Elements that fail.
mod dead_letters;
mod failed;

// Many values into one.
mod combine;
mod combine_grouped;
mod distinct;

// By key.
mod co_group_by_key;
mod group_into_batches;
mod join;
mod tagged;

mod encoding;
mod generate_sequence;

pub use co_group_by_key::CoGroupByKey;
pub use combine::{
    All, Any, ApproximateDistinct, ByKey, ByTimeGlobally, ByTimePerKey, Count, CountPerElement,
    Earliest, ExactQuantiles, Histogram, HistogramCounts, IntegerExtent, Latest, Max, Mean, Min,
    MinMaxCount, Natural, OfField, Quantiles, Ranking, Sample, SampleAny,
    SingleInputTupleCombineFn, StdDev, Sum, ToList, ToSet, Top, TupleCombineFn, ValueSet,
    ValueSetCoder, Variance,
};
pub use combine_grouped::CombineGroupedValues;
pub use dataflow::primitives::HotKeyFanout;
pub use dead_letters::{Outcomes, TryMap, TryParDo};
pub use distinct::{Distinct, DistinctBy};
pub use failed::{Failed, FailedCoder};
pub use generate_sequence::{GenerateSequence, UnboundedSequence};
pub use group_into_batches::GroupIntoBatches;
pub use join::{FullJoin, InnerJoin, LeftJoin, RightJoin};
pub use keys::{Keys, KvSwap, Values, WithKeys};
pub use map::{Filter, FlatMap, Map};
pub use partition::Partition;
pub use patterns::{RegexFind, RegexFindAll, RegexMatches, RegexReplace, RegexSplit};
pub use tagged::{TaggedIterable, TaggedIterableCoder, TaggedValues};
pub use to_strings::{ElementToString, IterableToString, KvToString, ToStrings};

#[cfg(test)]
mod tests;
