//! Combine functions: many values in, one out, in any order and grouping.
//!
//! Each is exact (every order of merging gives the same bits) or says in its facts within which
//! tolerance it is. Where Beam has a name for one, it is that name.

mod count;
mod extremes;
mod min_max_count;
mod sum;

mod mean;
mod variance;

mod logical;
mod to_list;
mod to_set;

mod by_time;
mod sample;
mod top;

mod approximate_distinct;
mod exact_quantiles;
mod histogram;
mod quantiles;

mod compose;
mod tuple;

pub use approximate_distinct::ApproximateDistinct;
pub use by_time::{ByTimeGlobally, ByTimePerKey, Earliest, Latest};
pub use compose::OfField;
pub use count::{Count, CountPerElement};
pub use exact_quantiles::ExactQuantiles;
pub use extremes::{Max, Min};
pub use histogram::{Histogram, HistogramCounts};
pub use logical::{All, Any};
pub use mean::Mean;
pub use min_max_count::{IntegerExtent, MinMaxCount};
pub use quantiles::Quantiles;
pub use sample::{Sample, SampleAny};
pub use sum::Sum;
pub use to_list::ToList;
pub use to_set::{ToSet, ValueSet, ValueSetCoder};
pub use top::{ByKey, Natural, Ranking, Top};
pub use tuple::{SingleInputTupleCombineFn, TupleCombineFn};
pub use variance::{StdDev, Variance};
