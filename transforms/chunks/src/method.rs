//! The ways in which the elements of one array can move.

use serde::{Deserialize, Serialize};

/// Who reads what, and what is put aside in between; extents are in elements, one per dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Encoded chunks are copied as they are.
    Passthrough,
    /// Blocks that share no source chunk are read once, in windows of so many source slabs along one
    /// dimension.
    Sweep {
        /// The dimension along which windows follow each other.
        dimension: usize,
        /// The extents of a block.
        block: Vec<u64>,
        /// Source chunks along the dimension that are read before anything else may begin.
        window: u64,
    },
    /// Each group of target units reads every source chunk that it meets.
    Direct {
        /// The extents of a group.
        group: Vec<u64>,
    },
    /// Each map group is read once and put aside in cells, which reduce groups read.
    Packed {
        /// The extents of what one task reads and cuts into cells.
        map_group: Vec<u64>,
        /// The same for each stage in between.
        middle: Vec<Vec<u64>>,
        /// The extents of what one task gathers and writes.
        reduce_group: Vec<u64>,
    },
}
