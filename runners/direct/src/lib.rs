//! The direct runner: bundles on the threads of this process, within a byte budget.
//!
//! Stages that do not wait for each other run together. A bundle starts when what it declares is
//! granted; what grows with the input is held in memory as far as the budget goes, then spilled.
//! Only transient errors are tried again. The runner never names an element type.
//!
//! ```
//! use dataflow::prelude::{Create, Pipeline};
//! use direct::DirectRunner;
//!
//! let pipeline = Pipeline::new();
//! let numbers = pipeline.apply(Create::of([1i64, 2, 3])).collect();
//! let report = pipeline.run(&DirectRunner::new())?;
//! assert_eq!(report.get(&numbers)?.iter().sum::<i64>(), 6);
//! # Ok::<(), dataflow::error::Error>(())
//! ```

mod runner;
mod schedule;

pub use runner::DirectRunner;
