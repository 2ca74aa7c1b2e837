//! Elements as numbers, of whatever type.

use std::cmp::Ordering;

use array::{Chunk, DType, Native};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use half::f16;

/// An element that can be computed with.
pub(crate) trait Number: Native {
    /// Whether it may be NaN, and sums of it are rounded.
    const IS_FLOAT: bool;

    /// The value, widened or rounded to the nearest.
    fn to_float(self) -> f64;

    /// The value of an integer; a float has none.
    fn to_int(self) -> i128;

    /// Zero for integers, NaN for floats.
    fn nothing() -> Self;

    /// By value; NaN is equal to all.
    fn compare(self, other: Self) -> Ordering;

    fn is_nan(self) -> bool {
        Self::IS_FLOAT && self.to_float().is_nan()
    }

    /// By value, and zero with a sign before zero without: no two differ that are equal.
    fn compare_all(self, other: Self) -> Ordering {
        let by_sign = || self.to_float().total_cmp(&other.to_float());
        self.compare(other).then_with(|| if Self::IS_FLOAT { by_sign() } else { Ordering::Equal })
    }
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl Number for $type {
            const IS_FLOAT: bool = false;

            fn to_float(self) -> f64 {
                self as f64
            }
            fn to_int(self) -> i128 {
                i128::from(self)
            }
            fn nothing() -> Self {
                0
            }
            fn compare(self, other: Self) -> Ordering {
                self.cmp(&other)
            }
        }
    )+};
}

macro_rules! floats {
    ($($type:ty: $nan:expr;)+) => {$(
        impl Number for $type {
            const IS_FLOAT: bool = true;

            fn to_float(self) -> f64 {
                f64::from(self)
            }
            fn to_int(self) -> i128 {
                0
            }
            fn nothing() -> Self {
                $nan
            }
            fn compare(self, other: Self) -> Ordering {
                self.partial_cmp(&other).unwrap_or(Ordering::Equal)
            }
        }
    )+};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);
floats! {
    f16: f16::NAN;
    f32: Self::NAN;
    f64: Self::NAN;
}

/// Evaluates an expression with the Rust type of the elements of a [`DType`].
///
/// Bools are bytes of 0 and 1.
macro_rules! with_number {
    ($dtype:expr, $number:ident => $body:expr) => {{
        macro_rules! as_number {
            ($type:ty) => {{
                type $number = $type;
                $body
            }};
        }
        match $dtype {
            array::DType::Int8 => as_number!(i8),
            array::DType::Int16 => as_number!(i16),
            array::DType::Int32 => as_number!(i32),
            array::DType::Int64 => as_number!(i64),
            array::DType::Bool | array::DType::UInt8 => as_number!(u8),
            array::DType::UInt16 => as_number!(u16),
            array::DType::UInt32 => as_number!(u32),
            array::DType::UInt64 => as_number!(u64),
            array::DType::Float16 => as_number!(half::f16),
            array::DType::Float32 => as_number!(f32),
            array::DType::Float64 => as_number!(f64),
            other => Err($crate::reduce::number::not_numbers(other)),
        }
    }};
}
pub(crate) use with_number;

pub(crate) fn not_numbers(dtype: DType) -> Error {
    let message = format!("elements of {dtype} cannot be reduced");
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
        .mend("drop the variable before, or make it numbers")
}

/// The elements of a chunk, read one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a, T> {
    payload: &'a [u8],
    of: std::marker::PhantomData<T>,
}

impl<'a, T: Number> Values<'a, T> {
    pub(crate) fn new(chunk: &'a Chunk) -> Self {
        Self { payload: chunk.payload(), of: std::marker::PhantomData }
    }

    /// The element at a place in C order.
    pub(crate) fn get(&self, place: usize) -> T {
        T::from_le_slice(&self.payload[place * size_of::<T>()..][..size_of::<T>()])
    }
}

/// A chunk of these numbers along one axis, of a type whose elements they are.
pub(crate) fn chunk_of<T: Number>(dtype: DType, values: &[T]) -> Result<Chunk> {
    let mut payload = Vec::with_capacity(size_of_val(values));
    values.iter().for_each(|value| value.push_le(&mut payload));
    Chunk::new(dtype, [values.len() as u64], payload.into())
}

/// All elements of a chunk, bools as bytes.
pub(crate) fn values_of<T: Number>(chunk: &Chunk) -> Vec<T> {
    chunk.payload().chunks_exact(size_of::<T>()).map(T::from_le_slice).collect()
}
