//! Tables as one-dimensional datasets: rows are the elements of a dimension, columns the variables.
//!
//! The reader of tables knows no arrays; this is what stands between.

mod column;
mod convert;
mod dataset;

pub(crate) use dataset::{TableDataset, csv_dialect};
