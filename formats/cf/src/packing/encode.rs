//! From values to the elements that a file stores, as xarray packs them.

use array::error::{Error, ErrorCode, ErrorKind, Result};
use array::{Attributes, Chunk, DType, Native, Scalar};
use half::f16;

use super::{Packing, in_words, is_nan, is_numeric, undecodable, wrapped};
use crate::numbers::{Float, floats, ints};

/// What becomes of values that packed elements cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpackable {
    /// They are refused: what is out of the range of the type, and what would be read as missing.
    Refuse,
    /// They become other values, as xarray writes them without a word: integers lose their high
    /// bits, a value at the fill value becomes missing. What has no 64-bit integer is refused.
    Wrap,
}

impl Packing {
    /// The packing that stores values of a type as an `encoding` of xarray says: `scale_factor`,
    /// `add_offset`, `_FillValue`, `missing_value` and `_Unsigned`.
    ///
    /// Without a `stored` type it is the one in which they are scaled. A fill to which `_Unsigned`
    /// gives another sign may be given with either.
    ///
    /// # Errors
    /// Those of [`Packing::parse`]; fills that the stored type does not hold, or of which there are
    /// two; integers that are scaled by floats beside a fill value, since no integer is missing.
    ///
    /// Source: `encode_cf_variable` of xarray.
    pub fn of_encoding(
        encoding: &Attributes,
        stored: Option<DType>,
        values: DType,
    ) -> Result<Self> {
        let wanted = Self::parse(encoding, values)?;
        let has_fill = !wanted.fill_value.is_empty() || !wanted.missing_value.is_empty();
        let computed = if wanted.is_scaled() && !has_fill { wanted.scaled_dtype() } else { values };
        let is_float = |factor: &Option<Scalar>| {
            factor.as_ref().is_some_and(|factor| factor.dtype().is_float())
        };
        let needs_floats = wanted.scale_factor.is_some() || is_float(&wanted.add_offset);
        if needs_floats && !computed.is_float() {
            return Err(unencodable(format!("{values} with a fill value cannot be scaled"))
                .mend("give floats, in which something can be missing, or no fill value"));
        }
        let stored = stored.unwrap_or(computed);
        if !is_numeric(stored) || !is_numeric(values) {
            return Err(unencodable(format!("{values} cannot be packed into {stored}")));
        }
        let mut packing = Self::parse(encoding, stored)?;
        if let (Some(fill), Some(missing)) =
            (the_one(&packing.fill_value)?, the_one(&packing.missing_value)?)
            && fill.as_float() != missing.as_float()
            && !(is_nan(&fill) && is_nan(&missing))
        {
            let both = in_words(&[fill, missing]);
            return Err(unencodable(format!(
                "_FillValue and missing_value are not the same: {both}"
            )));
        }
        for fills in [&mut packing.fill_value, &mut packing.missing_value] {
            for fill in fills {
                *fill = stored_fill(fill, stored, packing.read_as)?;
            }
        }
        Ok(packing)
    }

    /// The attributes that say to a reader what the stored elements mean; of floats without one
    /// also a `_FillValue` of NaN, as xarray writes it.
    #[expect(clippy::missing_panics_doc, reason = "every float type has NaN")]
    pub fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        let factors = [("scale_factor", &self.scale_factor), ("add_offset", &self.add_offset)];
        for (name, factor) in factors {
            if let Some(factor) = factor {
                attributes.set(name, factor.clone());
            }
        }
        let fills = [("_FillValue", &self.fill_value), ("missing_value", &self.missing_value)];
        let bounds = [("valid_min", &self.valid_min), ("valid_max", &self.valid_max)];
        for (name, numbers) in fills.into_iter().chain(bounds) {
            match numbers.as_slice() {
                [] => {}
                [one] => attributes.set(name, one.clone()),
                several => attributes.set(name, array::AttributeValue::Numbers(several.to_vec())),
            }
        }
        if self.stored.is_float() && self.fill_value.is_empty() {
            let nan = Scalar::from_float(self.stored, f64::NAN).expect("floats have NaN");
            attributes.set("_FillValue", nan);
        }
        if self.read_as != self.stored {
            let sign = if self.read_as.is_unsigned() { "true" } else { "false" };
            attributes.set("_Unsigned", sign);
        }
        attributes
    }

    /// The elements that are stored for the values of a chunk.
    ///
    /// As xarray: `add_offset` is taken off, the rest is divided by `scale_factor`, each in the
    /// type of the values, or in that which [`Packing::decoded_dtype`] gives where nothing can be
    /// missing; NaN becomes the fill value; integers are rounded half to even. Cost: O(elements).
    ///
    /// # Errors
    /// Elements that are no numbers; an infinite value or NaN where there is no fill value and
    /// elements are integers; what [`Unpackable`] refuses.
    pub fn encode(&self, values: &Chunk, unpackable: Unpackable) -> Result<Chunk> {
        let fills = self.fill_value.iter().chain(&self.missing_value);
        let is_scaled_down = values.dtype().is_float() && fills.clone().next().is_some();
        let computed = match (self.is_scaled(), is_scaled_down) {
            (false, _) | (true, true) => values.dtype(),
            (true, false) => Self { read_as: values.dtype(), ..self.clone() }.scaled_dtype(),
        };
        let rule = Rule { fill: fills.into_iter().next(), unpackable };
        match computed {
            DType::Float16 => self.encode_floats::<f16>(values, rule),
            DType::Float32 => self.encode_floats::<f32>(values, rule),
            DType::Float64 => self.encode_floats::<f64>(values, rule),
            _ => self.encode_ints(values, rule),
        }
    }

    fn encode_floats<F: Float>(&self, values: &Chunk, rule: Rule<'_>) -> Result<Chunk> {
        let mut codes: Vec<F> = floats(values).ok_or_else(|| no_numbers(values))?;
        // As in `decode_floats`, one operation in `f64`, rounded, is that in the narrower type.
        if let Some(offset) = self.add_offset.as_ref().and_then(Scalar::as_float) {
            codes.iter_mut().for_each(|value| *value = F::of_f64(value.to_f64() - offset));
        }
        if let Some(scale) = self.scale_factor.as_ref().and_then(Scalar::as_float) {
            codes.iter_mut().for_each(|value| *value = F::of_f64(value.to_f64() / scale));
        }
        let codes = codes.into_iter().map(F::to_f64);
        let payload = match self.read_as {
            DType::Int8 => rule.integers::<i8>(codes),
            DType::UInt8 => rule.integers::<u8>(codes),
            DType::Int16 => rule.integers::<i16>(codes),
            DType::UInt16 => rule.integers::<u16>(codes),
            DType::Int32 => rule.integers::<i32>(codes),
            DType::UInt32 => rule.integers::<u32>(codes),
            DType::Int64 => rule.integers::<i64>(codes),
            DType::UInt64 => rule.integers::<u64>(codes),
            DType::Float16 => rule.floats::<f16>(codes),
            DType::Float32 => rule.floats::<f32>(codes),
            DType::Float64 => rule.floats::<f64>(codes),
            other => Err(unencodable(format!("values cannot be packed into {other}"))),
        };
        Chunk::new(self.stored, values.shape(), payload?.into())
    }

    /// Integers that are not scaled, or moved by an integer; none is missing.
    fn encode_ints(&self, values: &Chunk, rule: Rule<'_>) -> Result<Chunk> {
        let offset = self.add_offset.as_ref().and_then(Scalar::as_int).unwrap_or(0);
        let codes = ints(values).ok_or_else(|| no_numbers(values))?;
        let mut payload = Vec::new();
        for code in codes.into_iter().map(|value| value - offset) {
            let element = match rule.unpackable {
                _ if self.stored.is_float() => Scalar::from_float(self.stored, code as f64),
                Unpackable::Refuse => Scalar::from_int(self.read_as, code),
                Unpackable::Wrap => Some(wrapped(code, self.read_as)),
            };
            let element = element.ok_or_else(|| rule.out_of_range(code, self.read_as))?;
            payload.extend_from_slice(element.bytes());
        }
        Chunk::new(self.stored, values.shape(), payload.into())
    }
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// How numbers become elements.
#[derive(Debug, Clone, Copy)]
struct Rule<'a> {
    fill: Option<&'a Scalar>,
    unpackable: Unpackable,
}

impl Rule<'_> {
    /// The bytes of integers, rounded half to even.
    fn integers<T>(self, codes: impl Iterator<Item = f64>) -> Result<Vec<u8>>
    where
        T: Native + TryFrom<i128> + PartialEq,
    {
        let low_bits = |code: i128| T::from_le_slice(&code.to_le_bytes()[..size_of::<T>()]);
        let fill = self.fill.and_then(Scalar::as_int).map(low_bits);
        let mut payload = Vec::new();
        for code in codes {
            let element = if code.is_nan() {
                fill.ok_or_else(|| {
                    unencodable(format!("no {} stands for a missing value", T::DTYPE))
                        .mend("give a `_FillValue`")
                })?
            } else {
                let rounded = code.round_ties_even();
                // Most codes take the way without 128-bit arithmetic on floats.
                let whole = if (-TWO_TO_63..TWO_TO_63).contains(&rounded) {
                    i128::from(rounded as i64)
                } else if (0.0..2.0 * TWO_TO_63).contains(&rounded) {
                    i128::from(rounded as u64)
                } else {
                    return Err(self.out_of_range(code, T::DTYPE));
                };
                let element = match (self.unpackable, T::try_from(whole)) {
                    (_, Ok(element)) => element,
                    (Unpackable::Wrap, Err(_)) => low_bits(whole),
                    (Unpackable::Refuse, Err(_)) => return Err(self.out_of_range(code, T::DTYPE)),
                };
                if self.unpackable == Unpackable::Refuse && fill == Some(element) {
                    return Err(self.is_fill(code));
                }
                element
            };
            element.push_le(&mut payload);
        }
        Ok(payload)
    }

    /// The bytes of floats of the nearest values.
    fn floats<T: Float>(self, codes: impl Iterator<Item = f64>) -> Result<Vec<u8>> {
        let fill = self.fill.and_then(Scalar::as_float);
        let mut payload = Vec::new();
        for code in codes {
            let element = if code.is_nan() { fill.unwrap_or(code) } else { code };
            let element = T::of_f64(element);
            if self.unpackable == Unpackable::Refuse && !code.is_nan() {
                if code.is_finite() && !element.to_f64().is_finite() {
                    return Err(self.out_of_range(code, T::DTYPE));
                }
                if fill == Some(element.to_f64()) {
                    return Err(self.is_fill(code));
                }
            }
            element.push_le(&mut payload);
        }
        Ok(payload)
    }

    #[cold]
    fn out_of_range(self, code: impl std::fmt::Debug, dtype: DType) -> Error {
        unencodable(format!("a value would be stored as {code:?}, which is no {dtype}"))
    }

    #[cold]
    fn is_fill(self, code: f64) -> Error {
        unencodable(format!("a value would be stored as {code:?}, and read as missing"))
    }
}

/// The single fill of an attribute.
fn the_one(fills: &[Scalar]) -> Result<Option<Scalar>> {
    match fills {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let several = in_words(several);
            Err(unencodable(format!("one value stands for what is missing, not {several}")))
        }
    }
}

/// A fill as an element of the stored type: of the sign that it has there, if it was given as it
/// is read.
fn stored_fill(fill: &Scalar, stored: DType, read_as: DType) -> Result<Scalar> {
    let as_read = || fill.cast(read_as)?.as_int().map(|int| wrapped(int, stored));
    let element = match stored.is_float() {
        true => fill.as_float().and_then(|float| Scalar::from_float(stored, float)),
        false => fill.cast(stored).or_else(as_read),
    };
    element.ok_or_else(|| unencodable(format!("the fill value {fill} is no {stored}")))
}

fn no_numbers(values: &Chunk) -> Error {
    undecodable(format!("elements of {} cannot be packed", values.dtype()))
}

fn unencodable(message: String) -> Error {
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
}
