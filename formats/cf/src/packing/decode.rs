//! From stored elements to the values they mean, as xarray computes them.

use array::error::{Error, Result};
use array::{Chunk, DType, Scalar};
use half::f16;

use super::{Packing, undecodable};
use crate::numbers::{Float, Numbers, floats, ints};

impl Packing {
    /// The values that the stored elements of a chunk mean, with NaN for what is missing.
    ///
    /// As xarray's `mask_and_scale`: elements are rounded to the decoded type, compared with the
    /// fills, multiplied by `scale_factor` and moved by `add_offset`, each step in that type.
    /// Valid ranges mask nothing. Cost: O(elements); a chunk that is not packed is shared.
    ///
    /// # Errors
    /// Those of [`Packing::decoded_dtype`]; a chunk of another type; where values are scaled by an
    /// integer, one that the integers of that type do not hold.
    pub fn decode(&self, chunk: &Chunk) -> Result<Chunk> {
        let dtype = self.decoded_dtype()?;
        let view = self.view(chunk)?;
        match dtype {
            _ if !self.is_scaled() && self.masked().is_empty() => Ok(view),
            DType::Float16 => self.decode_floats::<f16>(&view),
            DType::Float32 => self.decode_floats::<f32>(&view),
            DType::Float64 => self.decode_floats::<f64>(&view),
            integer => self.decode_ints(&view, integer),
        }
    }

    /// The stored elements as numbers, exact where they are integers and not scaled.
    pub(crate) fn numbers(&self, chunk: &Chunk) -> Result<Numbers> {
        if self.is_scaled() {
            let decoded = self.decode(chunk)?;
            let exact = ints(&decoded).map(|ints| ints.into_iter().map(Some).collect());
            return match exact {
                Some(ints) => Ok(Numbers::Ints(ints)),
                None => Ok(Numbers::Floats(numeric(floats(&decoded), &decoded)?)),
            };
        }
        let view = self.view(chunk)?;
        let masked = self.masked();
        match ints(&view) {
            Some(ints) => {
                let is_missing = |value: i128| {
                    let is_same = |fill: &Scalar| match fill.as_int() {
                        Some(fill) => fill == value,
                        None => fill.as_float() == Some(value as f64),
                    };
                    masked.iter().any(is_same)
                };
                let present = ints.into_iter().map(|value| (!is_missing(value)).then_some(value));
                Ok(Numbers::Ints(present.collect()))
            }
            None => {
                let mut values: Vec<f64> = numeric(floats(&view), &view)?;
                self.mask(&mut values);
                Ok(Numbers::Floats(values))
            }
        }
    }

    /// The chunk with the sign that `_Unsigned` gives to its elements.
    fn view(&self, chunk: &Chunk) -> Result<Chunk> {
        if chunk.dtype() != self.stored {
            let (found, stored) = (chunk.dtype(), self.stored);
            return Err(Error::internal(format!("a chunk of {found} has the packing of {stored}")));
        }
        Chunk::new(self.read_as, chunk.shape(), chunk.payload().clone())
    }

    fn decode_floats<F: Float>(&self, view: &Chunk) -> Result<Chunk> {
        let mut values: Vec<F> = numeric(floats(view), view)?;
        self.mask(&mut values);
        // One operation in `f64`, rounded, is the operation in the narrower type: `f64` has more
        // than twice its digits.
        if let Some(scale) = self.scale_factor.as_ref().and_then(Scalar::as_float) {
            values.iter_mut().for_each(|value| *value = F::of_f64(value.to_f64() * scale));
        }
        if let Some(offset) = self.add_offset.as_ref().and_then(Scalar::as_float) {
            values.iter_mut().for_each(|value| *value = F::of_f64(value.to_f64() + offset));
        }
        Chunk::of(view.shape(), &values)
    }

    /// Makes NaN of every value that equals a fill, when both are compared as `f64`.
    ///
    /// A fill to which `_Unsigned` gave another sign is rounded first, as the values were. Other
    /// fills are not: xarray does not find the `int32` fill 2^31 - 1 among values that are rounded
    /// to `float32`, and what it reads is what these values mean.
    fn mask<F: Float>(&self, values: &mut [F]) {
        let is_rounded = self.read_as != self.stored && self.read_as.is_unsigned();
        let fill = |fill: &Scalar| match fill.as_int().map(u64::try_from) {
            Some(Ok(int)) if is_rounded && fill.dtype() == self.read_as => {
                Some(F::of_u64(int).to_f64())
            }
            _ => fill.as_float(),
        };
        let fills: Vec<f64> = self.masked().iter().filter_map(fill).collect();
        for value in values {
            if fills.contains(&value.to_f64()) {
                *value = F::of_f64(f64::NAN);
            }
        }
    }

    /// Values times an integer; floats lose their fraction first, as in xarray.
    fn decode_ints(&self, view: &Chunk, dtype: DType) -> Result<Chunk> {
        let fitting = |value: i128| {
            Scalar::from_int(dtype, value).ok_or_else(|| {
                undecodable(format!("{value}, a value scaled by an integer, is no {dtype}"))
            })
        };
        let values = match ints(view) {
            Some(ints) => ints,
            None => {
                let values: Vec<f64> = numeric(floats(view), view)?;
                let whole = |value: f64| {
                    let message =
                        || undecodable(format!("{value:?} cannot be scaled by an integer"));
                    value.is_finite().then_some(value as i128).ok_or_else(message)
                };
                values.into_iter().map(whole).collect::<Result<_>>()?
            }
        };
        let scale = self.scale_factor.as_ref().and_then(Scalar::as_int).unwrap_or(1);
        let mut payload = Vec::new();
        for value in values {
            fitting(value)?;
            payload.extend_from_slice(fitting(value * scale)?.bytes());
        }
        Chunk::new(dtype, view.shape(), payload.into())
    }
}

fn numeric<T>(values: Option<Vec<T>>, chunk: &Chunk) -> Result<Vec<T>> {
    values.ok_or_else(|| undecodable(format!("elements of {} are no numbers", chunk.dtype())))
}
