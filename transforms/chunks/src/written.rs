//! What is known of a unit once it is in the store.

use array::WrittenUnit;
use dataflow::Element;
use dataflow::dofn::ProcessContext;
use dataflow::error::Result;
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

impl Written {
    /// A unit of an array, of which its sink says this.
    pub(crate) fn of(array: &str, index: Vec<u64>, unit: WrittenUnit) -> Self {
        let WrittenUnit { encoded_bytes, crc32c } = unit;
        Self { array: array.to_owned(), index, encoded_bytes, crc32c }
    }

    /// Puts it out, and counts it.
    ///
    /// # Errors
    /// Whatever fails downstream.
    pub(crate) fn put_out(self, ctx: &mut ProcessContext<'_, Self>) -> Result<()> {
        ctx.count("units_written", 1);
        ctx.count("bytes_written", self.encoded_bytes);
        ctx.output(self)
    }
}
