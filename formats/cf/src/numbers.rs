//! The elements of a chunk as numbers of one type, whatever type they have.
//!
//! Knows nothing of attributes.

use array::{Chunk, DType, Native};
use half::f16;

/// A type in which decoded values are computed.
pub(crate) trait Float: Native {
    fn of_i64(value: i64) -> Self;
    fn of_u64(value: u64) -> Self;
    fn of_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
}

impl Float for f64 {
    fn of_i64(value: i64) -> Self {
        value as Self
    }
    fn of_u64(value: u64) -> Self {
        value as Self
    }
    fn of_f64(value: f64) -> Self {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
}

impl Float for f32 {
    fn of_i64(value: i64) -> Self {
        value as Self
    }
    fn of_u64(value: u64) -> Self {
        value as Self
    }
    fn of_f64(value: f64) -> Self {
        value as Self
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f16 {
    fn of_i64(value: i64) -> Self {
        Self::from_f64(value as f64)
    }
    fn of_u64(value: u64) -> Self {
        Self::from_f64(value as f64)
    }
    fn of_f64(value: f64) -> Self {
        Self::from_f64(value)
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

/// Numbers with what is missing marked.
#[derive(Debug)]
pub(crate) enum Numbers {
    /// Exact; `None` is missing.
    Ints(Vec<Option<i128>>),
    /// NaN is missing.
    Floats(Vec<f64>),
}

/// The elements rounded to `F`, each once; `None` if they are no numbers.
pub(crate) fn floats<F: Float>(chunk: &Chunk) -> Option<Vec<F>> {
    Some(match chunk.dtype() {
        DType::Int8 => each(chunk, |value: i8| F::of_i64(value.into())),
        DType::Int16 => each(chunk, |value: i16| F::of_i64(value.into())),
        DType::Int32 => each(chunk, |value: i32| F::of_i64(value.into())),
        DType::Int64 => each(chunk, F::of_i64),
        DType::UInt8 => each(chunk, |value: u8| F::of_u64(value.into())),
        DType::UInt16 => each(chunk, |value: u16| F::of_u64(value.into())),
        DType::UInt32 => each(chunk, |value: u32| F::of_u64(value.into())),
        DType::UInt64 => each(chunk, F::of_u64),
        DType::Float16 => each(chunk, |value: f16| F::of_f64(value.into())),
        DType::Float32 => each(chunk, |value: f32| F::of_f64(value.into())),
        DType::Float64 => each(chunk, F::of_f64),
        _ => return None,
    })
}

/// The elements, exactly; `None` if they are no integers.
pub(crate) fn ints(chunk: &Chunk) -> Option<Vec<i128>> {
    Some(match chunk.dtype() {
        DType::Int8 => each(chunk, |value: i8| value.into()),
        DType::Int16 => each(chunk, |value: i16| value.into()),
        DType::Int32 => each(chunk, |value: i32| value.into()),
        DType::Int64 => each(chunk, |value: i64| value.into()),
        DType::UInt8 => each(chunk, |value: u8| value.into()),
        DType::UInt16 => each(chunk, |value: u16| value.into()),
        DType::UInt32 => each(chunk, |value: u32| value.into()),
        DType::UInt64 => each(chunk, |value: u64| value.into()),
        _ => return None,
    })
}

fn each<T: Native, U>(chunk: &Chunk, convert: impl Fn(T) -> U) -> Vec<U> {
    let elements = chunk.payload().chunks_exact(size_of::<T>());
    elements.map(|bytes| convert(T::from_le_slice(bytes))).collect()
}
