//! What authors of pipelines use: `use levain::prelude::*;`.

pub use basic::{Count, Filter, FlatMap, Map, Max, Mean, Min, Sum};
pub use dataflow::options::RunOptions;
pub use dataflow::prelude::*;
pub use dataflow::runner::{JobReport, Runner};
pub use direct::DirectRunner;
