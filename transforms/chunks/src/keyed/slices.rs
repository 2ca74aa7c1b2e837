//! Offsets and sizes as ranges.

use std::ops::Range;

use array::{Key, Sizes};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// The range of elements of a chunk on each dimension, counted from `base`.
///
/// A dimension without an offset begins at zero, one without a base is counted from zero. Ranges
/// are in the order of `sizes`.
///
/// # Errors
/// An offset of a dimension that has no size, an offset before the base.
///
/// Source: xarray-beam 0.11.5, `offsets_to_slices`.
///
/// ```
/// use array::{Key, Sizes};
/// use chunks::offsets_to_slices;
/// let sizes = Sizes::of([("x", 5), ("y", 10)]);
/// let slices = offsets_to_slices(&Key::new([("x", 100)]), &sizes, &Sizes::default())?;
/// assert_eq!(slices, [("x".to_owned(), 100..105), ("y".to_owned(), 0..10)]);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
pub fn offsets_to_slices(
    key: &Key,
    sizes: &Sizes,
    base: &Sizes,
) -> Result<Vec<(String, Range<u64>)>> {
    if let Some((name, offset)) = key.offsets().find(|(name, _)| sizes.get(name).is_none()) {
        let message = format!("an offset of {name}={offset} is given, but no size");
        let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
        return Err(error.mend(format!("the sizes are: {sizes}")));
    }
    let slice = |(name, length): (&str, u64)| {
        let (offset, from) = (key.offset(name).unwrap_or(0), base.get(name).unwrap_or(0));
        let start = offset.checked_sub(from).ok_or_else(|| {
            let message = format!("the offset {name}={offset} lies before the base {from}");
            Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
                .mend("count from a base that is not after the chunk")
        })?;
        Ok((name.to_owned(), start..start + length))
    };
    sizes.iter().map(slice).collect()
}
