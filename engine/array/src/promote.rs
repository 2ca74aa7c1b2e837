//! The type that holds the values of two types, and values brought into it.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use half::f16;

use crate::chunk::Chunk;
use crate::dtype::{DType, Native};

impl DType {
    /// The least type that holds the values of both, as NumPy's `promote_types` has it; `None`
    /// where there is none.
    ///
    /// As there, a 64-bit integer with a sign and one without, or with a float, become `Float64`,
    /// which does not hold all of them. Numbers and texts have no type in common here: NumPy would
    /// write the numbers out. Not associative; [`DType::promote_all`] is.
    pub fn promote(self, other: Self) -> Option<Self> {
        match (self, other) {
            _ if self == other => Some(self),
            (Self::Bytes(a), Self::Bytes(b)) => Some(Self::Bytes(a.max(b))),
            (Self::Bytes(_), Self::Text) | (Self::Text, Self::Bytes(_)) => Some(Self::Text),
            _ => number(self.kind()?.joined(other.kind()?)),
        }
    }

    /// The same for any number of types, whatever their order: that of all integers first, then
    /// with all floats, as NumPy's `result_type` has it.
    pub fn promote_all(types: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut types: Vec<Self> = types.into_iter().collect();
        types.sort_unstable_by_key(|dtype| (dtype.kind().map(|kind| kind.rank), *dtype));
        let mut types = types.into_iter();
        let first = types.next()?;
        types.try_fold(first, Self::promote)
    }

    /// What a number is; `None` for texts.
    fn kind(self) -> Option<Kind> {
        let bytes = self.item_bytes()?;
        Some(match self {
            Self::Bool => Kind { rank: Rank::Bool, bytes },
            Self::Complex64 | Self::Complex128 => Kind { rank: Rank::Complex, bytes: bytes / 2 },
            _ if self.is_unsigned() => Kind { rank: Rank::Unsigned, bytes },
            _ if self.is_integer() => Kind { rank: Rank::Signed, bytes },
            _ if self.is_float() => Kind { rank: Rank::Float, bytes },
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Bool,
    Unsigned,
    Signed,
    Float,
    Complex,
}

/// A number of so many bytes; of complex ones, of each part.
#[derive(Debug, Clone, Copy)]
struct Kind {
    rank: Rank,
    bytes: usize,
}

impl Kind {
    fn joined(self, other: Self) -> Self {
        let (low, high) = if self.rank <= other.rank { (self, other) } else { (other, self) };
        let least = match (low.rank, high.rank) {
            (a, b) if a == b => low.bytes,
            (Rank::Bool, _) => 1,
            (Rank::Float, _) => low.bytes,
            // A sign takes a bit, and a fraction more than that.
            (Rank::Unsigned, Rank::Signed) if low.bytes == 8 => {
                return Self { rank: Rank::Float, bytes: 8 };
            }
            _ => (2 * low.bytes).min(8),
        };
        Self { rank: high.rank, bytes: high.bytes.max(least) }
    }
}

/// The type of such numbers; complex ones have parts of four bytes at the least.
fn number(kind: Kind) -> Option<DType> {
    Some(match (kind.rank, kind.bytes) {
        (Rank::Bool, _) => DType::Bool,
        (Rank::Unsigned, 1) => DType::UInt8,
        (Rank::Unsigned, 2) => DType::UInt16,
        (Rank::Unsigned, 4) => DType::UInt32,
        (Rank::Unsigned, 8) => DType::UInt64,
        (Rank::Signed, 1) => DType::Int8,
        (Rank::Signed, 2) => DType::Int16,
        (Rank::Signed, 4) => DType::Int32,
        (Rank::Signed, 8) => DType::Int64,
        (Rank::Float, 2) => DType::Float16,
        (Rank::Float, 4) => DType::Float32,
        (Rank::Float, 8) => DType::Float64,
        (Rank::Complex, 2 | 4) => DType::Complex64,
        (Rank::Complex, 8) => DType::Complex128,
        _ => return None,
    })
}

/// A number that can be brought into every wider type.
trait Widen: Native {
    fn to_int(self) -> Option<i128>;
    fn to_float(self) -> f64;
    fn of_int(int: i128) -> Option<Self>;
    fn of_float(float: f64) -> Option<Self>;
}

macro_rules! widen_ints {
    ($($type:ty),+) => {$(
        impl Widen for $type {
            fn to_int(self) -> Option<i128> {
                Some(i128::from(self))
            }
            fn to_float(self) -> f64 {
                self as f64
            }
            fn of_int(int: i128) -> Option<Self> {
                Self::try_from(int).ok()
            }
            fn of_float(_: f64) -> Option<Self> {
                None
            }
        }
    )+};
}

macro_rules! widen_floats {
    ($($type:ty: $of:expr;)+) => {$(
        impl Widen for $type {
            fn to_int(self) -> Option<i128> {
                None
            }
            fn to_float(self) -> f64 {
                f64::from(self)
            }
            fn of_int(int: i128) -> Option<Self> {
                Some($of(int as f64))
            }
            fn of_float(float: f64) -> Option<Self> {
                Some($of(float))
            }
        }
    )+};
}

widen_ints!(i8, i16, i32, i64, u8, u16, u32, u64);
widen_floats! {
    f16: f16::from_f64;
    f32: |float| float as f32;
    f64: |float| float;
}

macro_rules! with_native {
    ($dtype:expr, $native:ident => $body:expr, $otherwise:expr) => {
        match $dtype {
            DType::Int8 => {
                type $native = i8;
                $body
            }
            DType::Int16 => {
                type $native = i16;
                $body
            }
            DType::Int32 => {
                type $native = i32;
                $body
            }
            DType::Int64 => {
                type $native = i64;
                $body
            }
            DType::UInt8 => {
                type $native = u8;
                $body
            }
            DType::UInt16 => {
                type $native = u16;
                $body
            }
            DType::UInt32 => {
                type $native = u32;
                $body
            }
            DType::UInt64 => {
                type $native = u64;
                $body
            }
            DType::Float16 => {
                type $native = f16;
                $body
            }
            DType::Float32 => {
                type $native = f32;
                $body
            }
            DType::Float64 => {
                type $native = f64;
                $body
            }
            _ => $otherwise,
        }
    };
}

impl Chunk {
    /// The same values as elements of a wider type: one that [`DType::promote`] gives for the own
    /// type and another.
    ///
    /// Integers that a float does not hold are rounded to the next one. Bytes become wider bytes, or
    /// texts without the zero bytes at their end. Cost: O(elements); nothing if the type is the own.
    ///
    /// # Errors
    /// A type that is not wider, bytes that are not UTF-8.
    pub fn widened(&self, dtype: DType) -> Result<Self> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        match (self.dtype(), dtype) {
            (DType::Bytes(from), DType::Bytes(to)) if from < to => self.padded(from, to),
            (DType::Bytes(length), DType::Text) => self.as_texts(length),
            (DType::Bool, _) => {
                Self::new(DType::UInt8, self.shape(), self.payload().clone())?.widened(dtype)
            }

            (from, _) => with_native!(from, From => {
                let values = self.payload().chunks_exact(size_of::<From>()).map(From::from_le_slice);
                with_native!(dtype, To => self.of_widened::<To>(values), Err(self.too_narrow(dtype)))
            }, Err(self.too_narrow(dtype))),
        }
    }

    fn of_widened<T: Widen>(&self, values: impl Iterator<Item = impl Widen>) -> Result<Self> {
        let mut payload = Vec::with_capacity(self.element_count() as usize * size_of::<T>());
        for value in values {
            let widened = match value.to_int() {
                Some(int) => T::of_int(int),
                None => T::of_float(value.to_float()),
            };
            widened.ok_or_else(|| self.too_narrow(T::DTYPE))?.push_le(&mut payload);
        }
        Self::new(T::DTYPE, self.shape(), payload.into())
    }

    fn padded(&self, from: u32, to: u32) -> Result<Self> {
        let mut payload = vec![0; self.element_count() as usize * to as usize];
        if from > 0 {
            let cells = payload.chunks_exact_mut(to as usize);
            for (cell, bytes) in cells.zip(self.payload().chunks_exact(from as usize)) {
                cell[..bytes.len()].copy_from_slice(bytes);
            }
        }
        Self::new(DType::Bytes(to), self.shape(), payload.into())
    }

    fn as_texts(&self, length: u32) -> Result<Self> {
        if length == 0 {
            let texts = vec![""; self.element_count() as usize];
            return Self::of_texts(self.shape(), &texts);
        }
        let text = |bytes: &'_ [u8]| {
            let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            str::from_utf8(&bytes[..end]).map(str::to_owned).map_err(|_| {
                let message = "an element is not UTF-8, and cannot stand beside texts";
                Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
            })
        };
        let texts: Result<Vec<String>> =
            self.payload().chunks_exact(length as usize).map(text).collect();
        Self::of_texts(self.shape(), &texts?)
    }

    fn too_narrow(&self, dtype: DType) -> Error {
        Error::internal(format!("elements of {} do not fit {dtype}", self.dtype()))
    }

    /// The same elements with the dimensions in another order: dimension `i` of the result is
    /// dimension `order[i]` of this chunk.
    ///
    /// Cost: O(elements).
    ///
    /// # Errors
    /// An order that does not name each dimension once.
    pub fn transposed(&self, order: &[usize]) -> Result<Self> {
        let mut named = order.to_vec();
        named.sort_unstable();
        if !named.iter().copied().eq(0..self.shape().len()) {
            let message = format!("{order:?} is no order of {} dimensions", self.shape().len());
            return Err(Error::internal(message));
        }
        if order.iter().copied().eq(0..order.len()) {
            return Ok(self.clone());
        }
        let shape: Vec<u64> = order.iter().map(|&axis| self.shape()[axis]).collect();
        let places = places_in_order(self.shape(), order);
        match self.dtype().item_bytes() {
            Some(item) => {
                let mut payload = Vec::with_capacity(self.payload().len());
                for place in places {
                    payload.extend_from_slice(&self.payload()[place * item..][..item]);
                }
                Self::new(self.dtype(), shape, payload.into())
            }
            None => {
                let texts = self.texts()?;
                let texts: Vec<&str> = places.map(|place| texts[place]).collect();
                Self::of_texts(shape, &texts)
            }
        }
    }
}

/// The places of the elements of a box in C order, as they follow each other once its dimensions
/// are in another order.
fn places_in_order(shape: &[u64], order: &[usize]) -> impl Iterator<Item = usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as usize;
    }
    let lengths: Vec<usize> = order.iter().map(|&axis| shape[axis] as usize).collect();
    let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    let count: usize = lengths.iter().product();
    let mut index = vec![0; lengths.len()];
    let mut place = 0;
    (0..count).map(move |_| {
        let current = place;
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            place += strides[axis];
            if index[axis] < lengths[axis] {
                break;
            }
            place -= strides[axis] * lengths[axis];
            index[axis] = 0;
        }
        current
    })
}

#[cfg(test)]
mod tests {
    use dataflow::testing::shared_file;
    use serde_json::Value;

    use super::*;

    /// NumPy's name for a type that Levain has, too.
    fn dtype(name: &str) -> Option<DType> {
        let name = name.trim_start_matches(['|', '<', '>']);
        Some(match name {
            "f4" => DType::Float32,
            "i2" => DType::Int16,
            _ if name.starts_with('U') => DType::Text,
            _ if name.starts_with('S') => DType::Bytes(name[1..].parse().ok()?),
            _ => name.parse().ok()?,
        })
    }

    #[test]
    fn golden_numpy_promote_types() {
        let Some(path) = shared_file("golden/numpy_promote_types.json") else { return };
        let text = std::fs::read_to_string(path).expect("the file is there");
        let golden: Value = serde_json::from_str(&text).expect("vectors are JSON");
        let (mut passed, mut written_out, mut not_ours) = (0, 0, 0);
        for case in golden["cases"].as_array().expect("there are cases") {
            let name = |key: &str| case["input"][key].as_str().expect("a name");
            let (Some(a), Some(b)) = (dtype(name("a")), dtype(name("b"))) else {
                // Dates are integers with units here, and objects are nothing.
                not_ours += 1;
                continue;
            };
            let expected = case["expected"].as_str().and_then(dtype);
            let is_number = |dtype: DType| dtype.kind().is_some();
            if is_number(a) != is_number(b) {
                assert_eq!(a.promote(b), None, "{a} and {b}");
                written_out += 1;
                continue;
            }
            assert_eq!(a.promote(b), expected, "{a} and {b}");
            assert_eq!(b.promote(a), expected, "{b} and {a}");
            passed += 1;
        }
        assert!(passed > 100, "{passed} equal, {written_out} refused, {not_ours} not ours");
    }

    #[test]
    fn the_order_of_many_types_does_not_matter() {
        let types = [DType::UInt16, DType::Float16, DType::Int16];
        let all = Some(DType::Float64);
        assert_eq!(DType::promote_all(types), all);
        assert_eq!(DType::promote_all(types.into_iter().rev()), all);
        assert_eq!(DType::promote_all([]), None);
    }

    #[test]
    fn values_stay_what_they_are_in_a_wider_type() {
        let narrow = Chunk::of([3], &[-1i16, 0, 300]).expect("three");
        let wide = narrow.widened(DType::Float64).expect("wider");
        assert_eq!(wide.values::<f64>().expect("floats"), [-1.0, 0.0, 300.0]);
        assert!(narrow.widened(DType::UInt8).is_err());
        let bytes = Chunk::new(DType::Bytes(2), [2], b"a\0bc".as_slice().into()).expect("two");
        let wider = bytes.widened(DType::Bytes(3)).expect("wider");
        assert_eq!(wider.payload().as_ref(), b"a\0\0bc\0");
        assert_eq!(bytes.widened(DType::Text).expect("texts").texts().expect("texts"), ["a", "bc"]);
    }

    #[test]
    fn dimensions_change_places() {
        let chunk = Chunk::of([2, 3, 2], &(0..12).collect::<Vec<i32>>()).expect("twelve");
        let turned = chunk.transposed(&[2, 0, 1]).expect("an order");
        assert_eq!(turned.shape(), [2, 2, 3]);
        let expected = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11];
        assert_eq!(turned.values::<i32>().expect("integers"), expected);
        assert_eq!(turned.transposed(&[1, 2, 0]).expect("back"), chunk);
        assert!(chunk.transposed(&[0, 0, 1]).is_err());
    }
}
