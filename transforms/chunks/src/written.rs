//! What is known of a unit once it is in the store.

use dataflow::Element;
use serde::{Deserialize, Serialize};

/// A unit of a target array that was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct Written {
    /// The name of the array.
    pub array: String,
    /// The index of the unit, one number per dimension.
    pub index: Vec<u64>,
    /// Bytes of the object.
    pub encoded_bytes: u64,
    /// CRC-32C of the object.
    pub crc32c: u32,
}
