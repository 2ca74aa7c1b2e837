//! What the elements of a chunk mean as a whole: whether any is there, and between what they lie.

use array::error::Result;
use array::{Chunk, Region};

use super::Packing;
use crate::numbers::{Numbers, floats};

/// Elements that are looked at together.
const PIECE: u64 = 1 << 16;

impl Packing {
    /// Whether every element of a chunk is missing: NaN, or what `_FillValue` or `missing_value`
    /// says is missing.
    ///
    /// A chunk without elements has none that is missing. Memory: 64 thousand elements at once.
    /// Cost: up to the first piece with an element that is there.
    ///
    /// # Errors
    /// Elements that are no numbers or not of the packing's type.
    pub fn is_all_missing(&self, chunk: &Chunk) -> Result<bool> {
        let stored = Self { scale_factor: None, add_offset: None, ..self.clone() };
        for piece in pieces(chunk)? {
            let is_missing = match stored.numbers(&piece?)? {
                Numbers::Ints(values) => values.iter().all(Option::is_none),
                Numbers::Floats(values) => values.iter().all(|value| value.is_nan()),
            };
            if !is_missing {
                return Ok(false);
            }
        }
        Ok(chunk.element_count() > 0)
    }

    /// The least and the greatest of the values that a chunk means; `None` if all are missing.
    ///
    /// Memory: 64 thousand elements at once. Cost: O(elements).
    ///
    /// # Errors
    /// Those of [`Packing::decode`].
    pub fn extent(&self, chunk: &Chunk) -> Result<Option<(f64, f64)>> {
        let mut extent: Option<(f64, f64)> = None;
        for piece in pieces(chunk)? {
            let decoded = self.decode(&piece?)?;
            let values: Vec<f64> = floats(&decoded).unwrap_or_default();
            for value in values.into_iter().filter(|value| !value.is_nan()) {
                let (least, greatest) = extent.unwrap_or((value, value));
                extent = Some((least.min(value), greatest.max(value)));
            }
        }
        Ok(extent)
    }
}

/// A chunk in pieces of one dimension.
fn pieces(chunk: &Chunk) -> Result<impl Iterator<Item = Result<Chunk>>> {
    let count = chunk.element_count();
    let flat = Chunk::new(chunk.dtype(), [count], chunk.payload().clone())?;
    let starts = (0..count).step_by(PIECE as usize);
    Ok(starts.map(move |start| {
        let piece = start..count.min(start + PIECE);
        flat.slice(&Region::new(std::iter::once(piece)))
    }))
}

#[cfg(test)]
mod tests {
    use array::{Attributes, DType, Scalar};

    use super::*;

    fn packing(fill: i16) -> Packing {
        let mut attributes = Attributes::default();
        attributes.set("_FillValue", Scalar::of(fill));
        attributes.set("scale_factor", Scalar::of(0.5));
        Packing::parse(&attributes, DType::Int16).expect("numbers")
    }

    #[test]
    fn one_element_that_is_there_is_enough() {
        let mut values = vec![-1i16; 200_000];
        let chunk = |values: &[i16]| Chunk::of([2, 100_000], values).expect("as many");
        assert!(packing(-1).is_all_missing(&chunk(&values)).expect("numbers"));
        assert_eq!(packing(-1).extent(&chunk(&values)).expect("numbers"), None);
        values[199_999] = 4;
        values[7] = -8;
        assert!(!packing(-1).is_all_missing(&chunk(&values)).expect("numbers"));
        let extent = packing(-1).extent(&chunk(&values)).expect("numbers");
        assert_eq!(extent, Some((-4.0, 2.0)));
    }

    #[test]
    fn without_a_fill_integers_are_there_and_nan_is_not() {
        let plain = |dtype| Packing::parse(&Attributes::default(), dtype).expect("no attributes");
        let zeros = Chunk::of([3], &[0i16; 3]).expect("three");
        assert!(!plain(DType::Int16).is_all_missing(&zeros).expect("numbers"));
        let nan = Chunk::of([3], &[f32::NAN; 3]).expect("three");
        assert!(plain(DType::Float32).is_all_missing(&nan).expect("numbers"));
        let none = Chunk::of([0], &[0f32; 0]).expect("none");
        assert!(!plain(DType::Float32).is_all_missing(&none).expect("numbers"));
        let texts = Chunk::of_texts([1], &["a"]).expect("one");
        assert!(plain(DType::Text).is_all_missing(&texts).is_err());
    }
}
