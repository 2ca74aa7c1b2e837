//! How numbers lie at one side of a filter.

use array::{DType, Native};
use half::f16;

/// The type of numbers, and the unit that is big endian, unless that is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) dtype: DType,
    pub(crate) swap_bytes: usize,
}

impl Lane {
    /// Bytes of one element.
    pub(crate) fn item_bytes(self) -> usize {
        self.dtype.item_bytes().unwrap_or(1)
    }

    /// Turns the bytes of every element, where they are turned.
    pub(super) fn swapped(self, bytes: &[u8]) -> Vec<u8> {
        let mut own = bytes.to_vec();
        if self.swap_bytes > 1 {
            own.chunks_exact_mut(self.swap_bytes).for_each(<[u8]>::reverse);
        }
        own
    }

    /// Integers, those of 64 bits without a sign by their bits.
    pub(super) fn ints(self, bytes: &[u8]) -> Vec<i64> {
        let bytes = self.swapped(bytes);
        match self.dtype {
            DType::Int8 => read(&bytes, |it: i8| it.into()),
            DType::Int16 => read(&bytes, |it: i16| it.into()),
            DType::Int32 => read(&bytes, |it: i32| it.into()),
            DType::UInt8 => read(&bytes, |it: u8| it.into()),
            DType::UInt16 => read(&bytes, |it: u16| it.into()),
            DType::UInt32 => read(&bytes, |it: u32| it.into()),
            DType::UInt64 => read(&bytes, u64::cast_signed),
            _ => read(&bytes, |it: i64| it),
        }
    }

    /// Numbers as floats; integers of 64 bits to the nearest.
    pub(super) fn floats(self, bytes: &[u8]) -> Vec<f64> {
        match self.dtype {
            DType::Float16 => read(&self.swapped(bytes), |it: f16| it.into()),
            DType::Float32 => read(&self.swapped(bytes), |it: f32| it.into()),
            DType::Float64 => read(&self.swapped(bytes), |it: f64| it),
            DType::UInt64 => read(&self.swapped(bytes), |it: u64| it as f64),
            _ => self.ints(bytes).into_iter().map(|it| it as f64).collect(),
        }
    }

    /// Appends integers; of those that are too wide, the lower bits.
    pub(super) fn push_ints(self, ints: &[i64], out: &mut Vec<u8>) {
        let start = out.len();
        match self.dtype {
            DType::Int8 | DType::UInt8 => write(ints, |it| it as u8, out),
            DType::Int16 | DType::UInt16 => write(ints, |it| it as u16, out),
            DType::Int32 | DType::UInt32 => write(ints, |it| it as u32, out),
            _ => write(ints, |it| it, out),
        }
        self.swap_back(&mut out[start..]);
    }

    /// Appends numbers; where elements are integers, without what stands behind the point.
    pub(super) fn push_floats(self, floats: &[f64], out: &mut Vec<u8>) {
        let start = out.len();
        match self.dtype {
            DType::Float16 => write(floats, f16::from_f64, out),
            DType::Float32 => write(floats, |it| it as f32, out),
            DType::Float64 => write(floats, |it| it, out),
            DType::UInt64 => write(floats, |it| it as u64, out),
            _ => {
                let ints: Vec<i64> = floats.iter().map(|&it| it as i64).collect();
                return self.push_ints(&ints, out);
            }
        }
        self.swap_back(&mut out[start..]);
    }

    /// Appends elements of this lane as elements of another.
    pub(super) fn convert(self, bytes: &[u8], to: Self, out: &mut Vec<u8>) {
        if self.dtype == to.dtype {
            let start = out.len();
            out.extend(self.swapped(bytes));
            to.swap_back(&mut out[start..]);
        } else if self.dtype.is_integer() && to.dtype.is_integer() {
            to.push_ints(&self.ints(bytes), out);
        } else {
            to.push_floats(&self.floats(bytes), out);
        }
    }

    /// A value as arithmetic in this type rounds it; that of integers is done in `f64`.
    pub(super) fn rounded(self, value: f64) -> f64 {
        match self.dtype {
            DType::Float16 => f16::from_f64(value).into(),
            DType::Float32 => f64::from(value as f32),
            _ => value,
        }
    }

    /// Whether a whole number is in the range of this type.
    pub(super) fn holds(self, value: f64) -> bool {
        let (least, end) = match self.dtype {
            DType::Int8 => (-128.0, 128.0),
            DType::Int16 => (-32768.0, 32768.0),
            DType::Int32 => (-2147483648.0, 2147483648.0),
            DType::Int64 => (-9223372036854775808.0, 9223372036854775808.0),
            DType::UInt8 => (0.0, 256.0),
            DType::UInt16 => (0.0, 65536.0),
            DType::UInt32 => (0.0, 4294967296.0),
            DType::UInt64 => (0.0, 18446744073709551616.0),
            _ => return self.rounded(value) == value || value.is_nan(),
        };
        value >= least && value < end
    }

    /// A float with so many bits of its mantissa, to the nearest, ties to even.
    ///
    /// Source: Klöwer et al. 2021, "Compressing atmospheric data into its real information
    /// content", <https://www.nature.com/articles/s43588-021-00156-2>.
    pub(super) fn bit_rounded(self, value: f64, keep_bits: u32) -> f64 {
        let bits = self.mantissa_bits();
        if keep_bits >= bits {
            return value;
        }
        // The value is one of this type: bits beyond its mantissa are zero in 64 bits as well.
        let dropped = 52 - keep_bits;
        let half = (1u64 << (dropped - 1)) - 1;
        let stored = value.to_bits();
        let rounded = stored + half + (stored >> dropped & 1);
        self.rounded(f64::from_bits(rounded >> dropped << dropped))
    }

    /// Bits of the mantissa of a float, but the first, which is not stored.
    pub(crate) fn mantissa_bits(self) -> u32 {
        match self.dtype {
            DType::Float16 => 10,
            DType::Float32 => 23,
            _ => 52,
        }
    }

    fn swap_back(self, bytes: &mut [u8]) {
        if self.swap_bytes > 1 {
            bytes.chunks_exact_mut(self.swap_bytes).for_each(<[u8]>::reverse);
        }
    }
}

fn read<T: Native, Wide>(bytes: &[u8], widen: impl Fn(T) -> Wide) -> Vec<Wide> {
    bytes.chunks_exact(size_of::<T>()).map(|item| widen(T::from_le_slice(item))).collect()
}

fn write<T: Native, Wide: Copy>(items: &[Wide], narrow: impl Fn(Wide) -> T, out: &mut Vec<u8>) {
    items.iter().for_each(|&item| narrow(item).push_le(out));
}
