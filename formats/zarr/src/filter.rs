//! One filter from elements to elements: differences, scales, rounding, other types.
//!
//! A filter is applied to the bytes of a chunk in the order in which they are stored; both its
//! sides say how their elements lie. A filter that rounds leaves alone what readers would take for
//! something else: values that are not finite, fill values, and what would become one of them.

use array::Scalar;
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::Value;

use crate::element::{Element, Wire};

mod lane;

pub(crate) use lane::Lane;

/// Elements that are worked on at once.
const BLOCK_ELEMENTS: usize = 4096;

/// A filter from elements to elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    pub(crate) change: Change,
    /// As elements come, and as they are given back.
    pub(crate) plain: Lane,
    /// As elements lie in the store.
    pub(crate) stored: Lane,
    /// Values that must come back as they were: those that mask.
    pub(crate) kept: Vec<Scalar>,
}

/// What a filter does to elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// The first element, then the difference of each to the one before.
    Delta,
    /// `(x - offset) * scale`, rounded.
    ScaleOffset { scale: f64, offset: f64 },
    /// Rounded to a power of two that is finer than so many decimal digits.
    Quantize { digits: i32 },
    /// Rounded to so many bits of the mantissa.
    BitRound { keep_bits: u32 },
    /// Another type.
    AsType,
}

impl Filter {
    /// Whether a codec of this name is a filter.
    pub(crate) fn is_name(name: &str) -> bool {
        let name = name.strip_prefix("numcodecs.").unwrap_or(name);
        ["delta", "fixedscaleoffset", "quantize", "bitround", "astype"].contains(&name)
    }

    /// The filter of this name with this configuration, of either format, for elements that lie
    /// so.
    ///
    /// # Errors
    /// A configuration that makes no sense, or types that filters do not work on.
    pub(crate) fn of(name: &str, configuration: &Value, elements: Lane) -> Result<Self> {
        let short = name.strip_prefix("numcodecs.").unwrap_or(name);
        let lane = |key: &str| configuration.get(key).filter(|it| !it.is_null()).map(lane_of);
        let number = |key: &str| configuration.get(key).and_then(Value::as_f64);
        let int = |key: &str| configuration.get(key).and_then(Value::as_i64);
        let refuse = || {
            let message = format!("the filter `{name}` with {configuration} cannot be read");
            Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
        };
        let change = match short {
            "delta" => Some(Change::Delta),
            "fixedscaleoffset" => number("scale")
                .zip(number("offset"))
                .map(|(scale, offset)| Change::ScaleOffset { scale, offset }),
            "quantize" => int("digits")
                .and_then(|digits| i32::try_from(digits).ok())
                .map(|digits| Change::Quantize { digits }),
            "bitround" => int("keepbits")
                .and_then(|bits| u32::try_from(bits).ok())
                .map(|keep_bits| Change::BitRound { keep_bits }),
            "astype" => Some(Change::AsType),
            _ => None,
        };
        let change = change.ok_or_else(refuse)?;
        let (plain, stored) = match change {
            Change::AsType => ("decode_dtype", "encode_dtype"),
            _ => ("dtype", "astype"),
        };
        let plain = lane(plain).transpose()?.unwrap_or(elements);
        let stored = lane(stored).transpose()?.unwrap_or(plain);
        let filter = Self { change, plain, stored, kept: Vec::new() };
        // A filter looks at bytes as its own type, whatever the elements are.
        let fits = plain.item_bytes() == elements.item_bytes() && filter.is_possible();
        if fits { Ok(filter) } else { Err(refuse()) }
    }

    /// A change of the order of bytes alone.
    pub(crate) fn swap(plain: Lane, stored: Lane) -> Self {
        Self { change: Change::AsType, plain, stored, kept: Vec::new() }
    }

    fn is_possible(&self) -> bool {
        let (plain, stored) = (self.plain.dtype, self.stored.dtype);
        let are_numbers = [plain, stored].iter().all(|it| it.is_float() || it.is_integer());
        match self.change {
            Change::Delta => are_numbers && plain.is_float() == stored.is_float(),
            Change::Quantize { .. } => plain.is_float() && stored.is_float(),
            Change::BitRound { .. } => plain == stored,
            Change::ScaleOffset { scale, .. } => are_numbers && scale != 0.0 && scale.is_finite(),
            Change::AsType => are_numbers,
        }
    }

    /// Bytes of the filtered elements of so many bytes.
    pub(crate) fn stored_bytes(&self, plain_bytes: usize) -> usize {
        plain_bytes / self.plain.item_bytes() * self.stored.item_bytes()
    }

    /// Undoes the filter.
    ///
    /// # Errors
    /// The reason why these bytes are not what the filter wrote.
    pub(crate) fn decode(&self, encoded: &Bytes) -> Result<Bytes, String> {
        let (plain, stored) = (self.plain, self.stored);
        let count = encoded.len() / stored.item_bytes();
        if count * stored.item_bytes() != encoded.len() {
            return Err(format!("{} bytes are no elements of {}", encoded.len(), stored.dtype));
        }
        let is_scaled = matches!(self.change, Change::ScaleOffset { .. } | Change::Delta);
        if plain == stored && !is_scaled {
            return Ok(encoded.clone());
        }
        let mut decoded = Vec::new();
        decoded
            .try_reserve_exact(count * plain.item_bytes())
            .map_err(|_| format!("there is no memory for {count} elements"))?;
        let blocks = encoded.chunks(BLOCK_ELEMENTS * stored.item_bytes());
        match self.change {
            Change::Delta if plain.dtype.is_float() => {
                let mut sum = None;
                blocks.for_each(|block| {
                    let mut floats = stored.floats(block);
                    for float in &mut floats {
                        let next = sum.map_or(*float, |sum| plain.rounded(sum + *float));
                        *float = *sum.insert(next);
                    }
                    plain.push_floats(&floats, &mut decoded);
                });
            }
            Change::Delta => {
                let mut sum = 0i64;
                blocks.for_each(|block| {
                    let mut ints = stored.ints(block);
                    for int in &mut ints {
                        sum = sum.wrapping_add(*int);
                        *int = sum;
                    }
                    plain.push_ints(&ints, &mut decoded);
                });
            }
            Change::ScaleOffset { scale, offset } => blocks.for_each(|block| {
                let mut floats = stored.floats(block);
                let (scale, offset) = (stored.rounded(scale), stored.rounded(offset));
                let unscaled = |it: f64| stored.rounded(stored.rounded(it / scale) + offset);
                floats.iter_mut().for_each(|it| *it = unscaled(*it));
                plain.push_floats(&floats, &mut decoded);
            }),
            Change::Quantize { .. } | Change::BitRound { .. } | Change::AsType => {
                blocks.for_each(|block| stored.convert(block, plain, &mut decoded));
            }
        }
        Ok(decoded.into())
    }

    /// Applies the filter.
    ///
    /// # Errors
    /// Elements that the filter would not give back, within what it rounds.
    pub(crate) fn encode(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut encoded = Vec::with_capacity(self.stored_bytes(plain.len()));
        let blocks = plain.chunks(BLOCK_ELEMENTS * self.plain.item_bytes());
        match self.change {
            Change::Delta if self.plain.dtype.is_integer() => {
                let mut before = 0i64;
                for block in blocks {
                    let mut ints = self.plain.ints(block);
                    for int in &mut ints {
                        let this = *int;
                        *int = this.wrapping_sub(before);
                        before = this;
                    }
                    self.stored.push_ints(&ints, &mut encoded);
                }
                self.check_comes_back(plain, &encoded)?;
            }
            Change::ScaleOffset { scale, offset } if self.plain.dtype.is_float() => {
                for block in blocks {
                    let floats = self.plain.floats(block);
                    let scaled = floats.iter().map(|&it| self.scaled(it, scale, offset));
                    let scaled: Vec<f64> = scaled.collect::<Result<_>>()?;
                    self.stored.push_floats(&scaled, &mut encoded);
                }
            }
            Change::Quantize { digits } if self.plain == self.stored => {
                let scale = 10f64.powi(digits).log2().ceil().exp2();
                let round = |it: f64| {
                    let scaled = self.plain.rounded(it * scale);
                    self.plain.rounded(scaled.round_ties_even() / scale)
                };
                blocks.for_each(|block| self.push_rounded(block, round, &mut encoded));
            }
            Change::BitRound { keep_bits } if self.plain.dtype.is_float() => {
                let lane = self.plain;
                let round = |it: f64| lane.bit_rounded(it, keep_bits);
                blocks.for_each(|block| self.push_rounded(block, round, &mut encoded));
            }
            Change::AsType if self.plain.dtype == self.stored.dtype => {
                blocks.for_each(|block| self.plain.convert(block, self.stored, &mut encoded));
            }
            Change::AsType => {
                blocks.for_each(|block| self.plain.convert(block, self.stored, &mut encoded));
                self.check_comes_back(plain, &encoded)?;
            }
            _ => return Err(Error::internal(format!("{self:?} is only read"))),
        }
        Ok(encoded)
    }

    /// Refuses elements that do not come back bit for bit.
    fn check_comes_back(&self, plain: &[u8], encoded: &[u8]) -> Result<()> {
        let decoded = self.decode(&Bytes::copy_from_slice(encoded));
        if decoded.is_ok_and(|decoded| decoded == plain) {
            return Ok(());
        }
        let (plain, stored) = (self.plain.dtype, self.stored.dtype);
        let message = format!("elements of {plain} do not come back from {stored}");
        Err(not_held(message).mend("store wider elements: leave `astype` out"))
    }

    fn push_rounded(&self, block: &[u8], round: impl Fn(f64) -> f64, encoded: &mut Vec<u8>) {
        let mut floats = self.plain.floats(block);
        for float in &mut floats {
            let rounded = round(*float);
            let is_new_fill = || self.is_kept(rounded) && rounded != *float;
            if float.is_finite() && !self.is_kept(*float) && rounded.is_finite() && !is_new_fill() {
                *float = rounded;
            }
        }
        self.stored.push_floats(&floats, encoded);
    }

    fn scaled(&self, value: f64, scale: f64, offset: f64) -> Result<f64> {
        let (plain, stored) = (self.plain, self.stored);
        // As numpy does: a number beside an array has the type of the array.
        let shifted = plain.rounded(value - plain.rounded(offset));
        let scaled = plain.rounded(shifted * plain.rounded(scale)).round_ties_even();
        let unscaled = stored.rounded(stored.rounded(scaled) / stored.rounded(scale));
        let back = stored.rounded(unscaled + stored.rounded(offset));
        let is_held = stored.holds(scaled) && (scaled.is_finite() || stored.dtype.is_float());
        let back = plain.rounded(back);
        let is_same_fill = self.is_kept(value) == self.is_kept(back);
        let is_fill_kept = !self.is_kept(value) || back == value || value.is_nan();
        if is_held && is_same_fill && is_fill_kept {
            return Ok(scaled);
        }
        let message = format!(
            "{value} does not fit {} by a scale of {scale} and an offset of {offset}",
            stored.dtype
        );
        Err(not_held(message).mend("choose another scale, offset or `astype`, or `quantize`"))
    }

    fn is_kept(&self, value: f64) -> bool {
        let same = |kept: f64| kept == value || kept.is_nan() && value.is_nan();
        self.kept.iter().filter_map(Scalar::as_float).any(same)
    }

    /// An element that any chunk may be padded with: the fill value, or what stands for zero where
    /// the filter does not hold that.
    pub(crate) fn padding(&self, fill: &Scalar) -> Scalar {
        let Change::ScaleOffset { offset, .. } = self.change else { return fill.clone() };
        let mut bytes = Vec::new();
        Lane { swap_bytes: 1, ..self.plain }.push_floats(&[offset], &mut bytes);
        let stored = self.encode(&self.plain.swapped(fill.bytes()));
        match (stored, Scalar::new(fill.dtype(), bytes)) {
            (Err(_), Ok(offset)) => offset,
            _ => fill.clone(),
        }
    }
}

/// A type of numpy as metadata name it: `<i2`, `float32`.
fn lane_of(dtype: &Value) -> Result<Lane> {
    let element = Element::of_v2(dtype, false).or_else(|_| Element::of_v3(dtype, false))?;
    match element.wire {
        Wire::Fixed { swap_bytes, .. } => Ok(Lane { dtype: element.dtype, swap_bytes }),
        _ => {
            let message = format!("no filter works on {dtype}");
            Err(Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message))
        }
    }
}

fn not_held(message: String) -> Error {
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
        .context("a chunk cannot be filtered")
}

#[cfg(test)]
mod tests;
