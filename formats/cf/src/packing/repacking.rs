//! One packing for values of several: chosen from what the packings can say, without reading any
//! element.

use array::error::{Error, ErrorCode, ErrorKind, Result};
use array::{Chunk, DType, Scalar};
use serde::{Deserialize, Serialize};

use super::{Packing, Unpackable, is_nan, undecodable};
use crate::numbers::floats;

/// The values that packed integers may mean, and the type that holds as many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PackedRange {
    dtype: DType,
    least: f64,
    greatest: f64,
}

impl PackedRange {
    /// The range that holds both; `None` if no integer type of at most 32 bits has the elements of
    /// both types.
    pub fn merge(self, other: Self) -> Option<Self> {
        let dtype =
            self.dtype.promote(other.dtype).filter(|dtype| integers_of(*dtype).is_some())?;
        let least = self.least.min(other.least);
        Some(Self { dtype, least, greatest: self.greatest.max(other.greatest) })
    }
}

/// The integers that elements of a type can be, if they have at most 32 bits.
fn integers_of(dtype: DType) -> Option<(i64, i64)> {
    Some(match dtype {
        DType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DType::UInt8 => (0, u8::MAX.into()),
        DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DType::UInt16 => (0, u16::MAX.into()),
        DType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DType::UInt32 => (0, u32::MAX.into()),
        _ => return None,
    })
}

impl Packing {
    /// The values that elements may mean; `None` where they are no integers of at most 32 bits that
    /// are scaled by finite numbers.
    ///
    /// Integers at the ends that are missing values are left out.
    pub fn range(&self) -> Option<PackedRange> {
        let (mut least, mut greatest) = integers_of(self.read_as).filter(|_| self.is_scaled())?;
        let masked: Vec<i64> = self.masked().iter().filter_map(whole).collect();
        while least < greatest && masked.contains(&least) {
            least += 1;
        }
        while least < greatest && masked.contains(&greatest) {
            greatest -= 1;
        }
        let number = |of: &Option<Scalar>, none: f64| match of {
            Some(of) => of.as_float().filter(|it| it.is_finite()),
            None => Some(none),
        };
        let scale = number(&self.scale_factor, 1.0)?;
        let offset = number(&self.add_offset, 0.0)?;
        let ends = [least, greatest].map(|end| end as f64 * scale + offset);
        let (least, greatest) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let is_finite = least.is_finite() && greatest.is_finite();
        is_finite.then_some(PackedRange { dtype: self.read_as, least, greatest })
    }
}

fn whole(scalar: &Scalar) -> Option<i64> {
    if is_nan(scalar) { None } else { i64::try_from(scalar.as_int()?).ok() }
}

/// Integers that stand for all values of a range: `integer * scale_factor + add_offset`, and one
/// more that stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CommonPacking {
    dtype: DType,
    scale_factor: f64,
    add_offset: f64,
}

impl CommonPacking {
    /// The finest packing that holds a range in its type.
    pub fn of(range: PackedRange) -> Self {
        let PackedRange { dtype, least, greatest } = range;
        let (first, last) = codes(dtype);
        let scale = (greatest - least) / (last - first) as f64;
        let scale_factor = if scale > 0.0 { scale } else { 1.0 };
        // The middle of the range is the middle of the integers.
        let add_offset = (least + greatest) / 2.0 - (first + last) as f64 / 2.0 * scale_factor;
        Self { dtype, scale_factor, add_offset }
    }

    /// The type of packed elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The attribute `scale_factor`.
    pub fn scale_factor(&self) -> f64 {
        self.scale_factor
    }

    /// The attribute `add_offset`.
    pub fn add_offset(&self) -> f64 {
        self.add_offset
    }

    /// What stands for a missing value.
    #[expect(clippy::missing_panics_doc, reason = "codes leave one integer of the type")]
    pub fn fill_value(&self) -> Scalar {
        let (first, last) = codes(self.dtype);
        let fill = if self.dtype.is_unsigned() { last + 1 } else { first - 1 };
        Scalar::from_int(self.dtype, fill.into()).expect("one integer is left")
    }

    /// By how much a value changes at the most, but for the rounding of floats.
    pub fn greatest_error(&self) -> f64 {
        self.scale_factor / 2.0
    }

    /// Packs unpacked values; NaN becomes the fill value.
    ///
    /// # Errors
    /// Elements that are no numbers; a value out of the range that this was made for.
    pub fn encode(&self, values: &Chunk) -> Result<Chunk> {
        let numbers: Vec<f64> = floats(values).ok_or_else(|| {
            undecodable(format!("elements of {} cannot be packed", values.dtype()))
        })?;
        let wide = Chunk::of(values.shape(), &numbers)?;
        let packed = self.packing().encode(&wide, Unpackable::Refuse);
        packed.map_err(|error| self.out_of_range(&error))
    }

    /// What the attributes of packed elements say.
    fn packing(&self) -> Packing {
        Packing {
            stored: self.dtype,
            read_as: self.dtype,
            scale_factor: Some(Scalar::of(self.scale_factor)),
            add_offset: Some(Scalar::of(self.add_offset)),
            fill_value: vec![self.fill_value()],
            missing_value: Vec::new(),
            valid_min: Vec::new(),
            valid_max: Vec::new(),
        }
    }

    #[cold]
    fn out_of_range(&self, error: &Error) -> Error {
        let (first, last) = codes(self.dtype);
        let [least, greatest] =
            [first, last].map(|code| code as f64 * self.scale_factor + self.add_offset);
        let message =
            format!("{}: packed for values between {least} and {greatest}", error.message());
        Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
            .mend("bake with --packing decode")
    }
}

/// The integers that stand for values: all but one of the type.
fn codes(dtype: DType) -> (i64, i64) {
    let (least, greatest) = integers_of(dtype).expect("integers of at most 32 bits");
    if dtype.is_unsigned() { (least, greatest - 1) } else { (least + 1, greatest) }
}

#[cfg(test)]
mod tests {
    use array::Attributes;

    use super::*;

    fn packing(scale: f64, offset: f64, fill: Option<i16>) -> Packing {
        let mut attributes = Attributes::default();
        attributes.set("scale_factor", Scalar::of(scale));
        attributes.set("add_offset", Scalar::of(offset));
        if let Some(fill) = fill {
            attributes.set("_FillValue", Scalar::of(fill));
        }
        Packing::parse(&attributes, DType::Int16).expect("a packing")
    }

    #[test]
    fn every_value_of_two_packings_is_packed_within_the_error() {
        let (a, b) = (packing(0.01, 273.15, Some(i16::MIN)), packing(-0.002, 250.0, None));
        let range = a.range().and_then(|range| range.merge(b.range()?)).expect("integers");
        let common = CommonPacking::of(range);
        assert_eq!(common.dtype(), DType::Int16);
        let codes: Vec<i16> = (i16::MIN..=i16::MAX).step_by(7).chain([i16::MAX]).collect();
        let stored = Chunk::of([codes.len() as u64], &codes).expect("a chunk");
        for packing in [a, b] {
            let values = packing.decode(&stored).expect("decodes");
            let packed = common.encode(&values).expect("all lie in the range");
            let packed = packed.values::<i16>().expect("16 bits");
            for (value, code) in floats(&values).expect("floats").into_iter().zip(packed) {
                let again = f64::from(code) * common.scale_factor() + common.add_offset();
                let missing = common.fill_value().as_int() == Some(code.into());
                assert_eq!(missing, f64::is_nan(value));
                assert!(missing || (again - value).abs() <= common.greatest_error() * 1.000_001);
            }
        }
    }

    #[test]
    fn bytes_without_sign_keep_their_last_one_for_what_is_missing() {
        let mut attributes = Attributes::default();
        attributes.set("scale_factor", Scalar::of(1.0));
        let bytes = Packing::parse(&attributes, DType::UInt8).expect("a packing");
        let common = CommonPacking::of(bytes.range().expect("integers"));
        assert_eq!(common.fill_value(), Scalar::of(255u8));
        let values = Chunk::of([4], &[0.0, 255.0, f64::NAN, 128.0]).expect("a chunk");
        let packed = common.encode(&values).expect("packs").values::<u8>().expect("bytes");
        assert_eq!(packed[..3], [0, 254, 255]);
    }

    #[test]
    fn a_value_that_was_not_packed_for_is_refused() {
        let common = CommonPacking::of(packing(1.0, 0.0, None).range().expect("integers"));
        let values = Chunk::of([1], &[40_000.0]).expect("a chunk");
        let error = common.encode(&values).expect_err("out of range");
        assert_eq!(error.code(), ErrorCode::NOT_REPRESENTABLE);
    }

    #[test]
    fn what_is_no_scaled_integer_has_no_range() {
        let mut scaled = Attributes::default();
        scaled.set("scale_factor", Scalar::of(0.5));
        let plain = Attributes::default();
        for (attributes, dtype) in
            [(&scaled, DType::Float32), (&scaled, DType::Int64), (&plain, DType::Int16)]
        {
            let packing = Packing::parse(attributes, dtype).expect("a packing");
            assert!(packing.range().is_none(), "{dtype}");
        }
    }
}
