//! Where decoded values go: one after the other, with gaps where the bitmap says so.

use array::error::Result;

use crate::fault::corrupt;
use crate::field::Scale;

/// A float that values are rounded to.
pub(crate) trait Real: Copy + Send + 'static {
    /// What stands for a missing value.
    const MISSING: Self;

    /// The nearest one.
    fn of(value: f64) -> Self;

    /// Its bytes, little endian, into a cell of as many.
    fn store(self, cell: &mut [u8]);
}

impl Real for f32 {
    const MISSING: Self = Self::NAN;

    fn of(value: f64) -> Self {
        value as Self
    }

    fn store(self, cell: &mut [u8]) {
        cell.copy_from_slice(&self.to_le_bytes());
    }
}

impl Real for f64 {
    const MISSING: Self = Self::NAN;

    fn of(value: f64) -> Self {
        value
    }

    fn store(self, cell: &mut [u8]) {
        cell.copy_from_slice(&self.to_le_bytes());
    }
}

/// Values of all points, as far as they are known.
pub(super) struct Sink<'a, T> {
    values: Vec<T>,
    point_count: usize,
    /// A bit for every point that has a value.
    bitmap: Option<&'a [u8]>,
}

impl<'a, T: Real> Sink<'a, T> {
    /// Room for the values of so many points, which a bitmap is long enough for.
    pub(super) fn new(point_count: usize, bitmap: Option<&'a [u8]>) -> Self {
        Self { values: Vec::with_capacity(point_count), point_count, bitmap }
    }

    /// The number of values that are packed: the points that the bitmap has.
    pub(super) fn value_count(&self) -> usize {
        let Some(bitmap) = self.bitmap else { return self.point_count };
        let (whole, rest) = (self.point_count / 8, self.point_count % 8);
        let ones: u32 = bitmap[..whole].iter().map(|byte| byte.count_ones()).sum();
        let last = if rest == 0 { 0 } else { (bitmap[whole] >> (8 - rest)).count_ones() };
        (ones + last) as usize
    }

    /// Adds the value of the next point that has one.
    pub(super) fn push(&mut self, value: f64) {
        self.push_real(T::of(value));
    }

    /// Adds a missing value for the next point that the bitmap has.
    pub(super) fn push_missing(&mut self) {
        self.push_real(T::MISSING);
    }

    fn push_real(&mut self, value: T) {
        if let Some(bitmap) = self.bitmap {
            while self.values.len() < self.point_count && !has(bitmap, self.values.len()) {
                self.values.push(T::MISSING);
            }
        }
        self.values.push(value);
    }

    /// The values of all points.
    ///
    /// # Errors
    /// More or fewer values than points.
    pub(super) fn finish(mut self) -> Result<Vec<T>> {
        if let Some(bitmap) = self.bitmap {
            while self.values.len() < self.point_count && !has(bitmap, self.values.len()) {
                self.values.push(T::MISSING);
            }
        }
        let (values, points) = (self.values.len(), self.point_count);
        if values == points {
            return Ok(self.values);
        }
        Err(corrupt(format!("values for {values} points were packed, there are {points}")))
    }
}

fn has(bitmap: &[u8], point: usize) -> bool {
    bitmap[point / 8] >> (7 - point % 8) & 1 == 1
}

/// Makes values of integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaling {
    reference: f64,
    binary: f64,
    decimal: f64,
}

impl Scaling {
    pub(super) fn new(scale: &Scale) -> Self {
        Self {
            reference: scale.reference,
            binary: power(scale.binary, 2.0),
            decimal: power(-scale.decimal, 10.0),
        }
    }

    pub(super) fn value(&self, integer: f64) -> f64 {
        (integer * self.binary + self.reference) * self.decimal
    }
}

/// A power by multiplications alone, as the C library has it to the last digit.
fn power(exponent: i64, base: f64) -> f64 {
    let steps = exponent.unsigned_abs().min(2000);
    (0..steps).fold(1.0, |power, _| if exponent < 0 { power / base } else { power * base })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_where_the_bitmap_has_zeros() {
        let mut sink = Sink::<f32>::new(10, Some(&[0b0110_0001, 0b0100_0000]));
        assert_eq!(sink.value_count(), 4);
        (1..=4).for_each(|value| sink.push(f64::from(value)));
        let values = sink.finish().expect("four values");
        let known: Vec<(usize, f32)> =
            values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan()).collect();
        assert_eq!(known, [(1, 1.0), (2, 2.0), (7, 3.0), (9, 4.0)]);
        assert_eq!(values.len(), 10);
    }

    #[test]
    fn too_many_and_too_few_values_are_damage() {
        for count in [2, 4] {
            let mut sink = Sink::<f64>::new(3, None);
            (0..count).for_each(|_| sink.push(1.0));
            assert!(sink.finish().is_err(), "{count}");
        }
        let mut sink = Sink::<f64>::new(3, Some(&[0b1010_0000]));
        sink.push(1.0);
        assert!(sink.finish().is_err());
    }

    #[test]
    fn scales() {
        let scale = Scale { reference: 2.0, binary: -1, decimal: 1, width: 8 };
        assert_eq!(Scaling::new(&scale).value(6.0), 0.5);
        assert_eq!(power(3, 2.0), 8.0);
        assert_eq!(power(0, 10.0), 1.0);
    }
}
