//! What authors of pipelines use: `use levain::prelude::*;`.

pub use basic::{
    All, Any, ApproximateDistinct, CoGroupByKey, CombineGroupedValues, Count, Distinct, Earliest,
    ExactQuantiles, Failed, Filter, FlatMap, FullJoin, GenerateSequence, GroupIntoBatches,
    Histogram, HistogramCounts, HotKeyFanout, InnerJoin, Keys, KvSwap, Latest, LeftJoin, Map, Max,
    Mean, Min, OfField, Outcomes, Partition, Quantiles, RegexFind, RegexFindAll, RegexMatches,
    RegexReplace, RegexSplit, RightJoin, Sample, SingleInputTupleCombineFn, StdDev, Sum,
    TaggedIterable, ToList, ToSet, ToStrings, Top, TryMap, TryParDo, TupleCombineFn, Values,
    Variance, WithKeys,
};
pub use dataflow::options::{OnError, RunOptions};
pub use dataflow::prelude::*;
pub use dataflow::runner::{JobReport, Runner};
pub use direct::DirectRunner;
