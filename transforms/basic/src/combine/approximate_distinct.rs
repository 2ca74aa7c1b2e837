//! How many distinct values there are, nearly, in little memory.

use std::fmt;
use std::marker::PhantomData;

use dataflow::combine::CombineFacts;
use dataflow::prelude::{CombineFn, Element, Error, ErrorCode, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::encoding::encoding_of;

/// The number of distinct values, by a HyperLogLog sketch.
///
/// Equal are values with equal encodings. Of `2^precision` registers the standard error is
/// `1.04 / 2^(precision / 2)`: 1.6 % by default, in at most 4 KiB a key; few values are counted
/// nearly exactly, and take few bytes. Exact in the sense of facts: sketches merge to the same
/// bits in every order, so every run gives the same estimate.
///
/// ```
/// use basic::ApproximateDistinct;
/// use dataflow::prelude::CombineFn;
///
/// let distinct = ApproximateDistinct::new();
/// let mut sketch = distinct.create();
/// (0..1000i64).for_each(|n| distinct.add(&mut sketch, n % 10));
/// assert_eq!(distinct.extract(sketch), 10);
/// ```
///
/// Source: Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog: the analysis of a near-optimal
/// cardinality estimation algorithm", AofA 2007; the estimator, which needs no table of biases, is
/// algorithm 6 of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017,
/// <https://arxiv.org/abs/1702.01284>.
pub struct ApproximateDistinct<T> {
    precision: u32,
    of: PhantomData<fn(T)>,
}

/// Bytes of one register of a sparse sketch: its index and its value.
const SPARSE_BYTES: usize = 4;

impl<T> ApproximateDistinct<T> {
    /// A sketch of 4096 registers.
    pub const fn new() -> Self {
        Self { precision: 12, of: PhantomData }
    }

    /// A sketch of `2^precision` registers.
    ///
    /// # Errors
    /// A precision that is not in 4 to 18.
    pub fn with_precision(precision: u32) -> Result<Self> {
        if !(4..=18).contains(&precision) {
            let message = format!("a sketch of precision {precision} is not offered");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend("choose a precision from 4 (26 % error) to 18 (0.2 % error)"));
        }
        Ok(Self { precision, of: PhantomData })
    }

    const fn register_count(&self) -> usize {
        1 << self.precision
    }

    /// Raises a register to `rank`, if it is lower.
    ///
    /// A sketch of as many bytes as there are registers has a byte for each; one of fewer has four
    /// bytes, ascending by index, for each that is not zero.
    fn raise(&self, sketch: &mut Vec<u8>, index: usize, rank: u8) {
        if sketch.len() == self.register_count() {
            sketch[index] = sketch[index].max(rank);
            return;
        }
        let entries = sketch.as_chunks_mut::<SPARSE_BYTES>().0;
        match entries.binary_search_by_key(&index, |entry| entry_of(*entry).0) {
            Ok(place) => entries[place][3] = entries[place][3].max(rank),
            Err(place) => {
                let [a, b, c, _] = (index as u32 * 256).to_be_bytes();
                let at = place * SPARSE_BYTES;
                sketch.splice(at..at, [a, b, c, rank]);
                if sketch.len() == self.register_count() {
                    *sketch = self.registers(sketch, true);
                }
            }
        }
    }

    /// All registers of a sketch.
    fn registers(&self, sketch: &[u8], is_sparse: bool) -> Vec<u8> {
        if !is_sparse {
            return sketch.to_vec();
        }
        let mut registers = vec![0; self.register_count()];
        for entry in sketch.as_chunks::<SPARSE_BYTES>().0 {
            let (index, rank) = entry_of(*entry);
            registers[index] = rank;
        }
        registers
    }
}

fn entry_of([a, b, c, rank]: [u8; SPARSE_BYTES]) -> (usize, u8) {
    (u32::from_be_bytes([0, a, b, c]) as usize, rank)
}

impl<T> Default for ApproximateDistinct<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for ApproximateDistinct<T> {
    fn clone(&self) -> Self {
        Self { precision: self.precision, of: PhantomData }
    }
}

impl<T> fmt::Debug for ApproximateDistinct<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApproximateDistinct(precision {})", self.precision)
    }
}

impl<T: Element> CombineFn for ApproximateDistinct<T> {
    type In = T;
    type Acc = Vec<u8>;
    type Out = u64;

    fn create(&self) -> Vec<u8> {
        Vec::new()
    }

    fn add(&self, sketch: &mut Vec<u8>, value: T) {
        let hash = xxh3_64(&encoding_of(&value));
        let index = (hash >> (64 - self.precision)) as usize;
        // The bit that is set ends the run of zeroes where the hash itself does.
        let rest = hash << self.precision | 1 << (self.precision - 1);
        self.raise(sketch, index, rest.leading_zeros() as u8 + 1);
    }

    fn merge(&self, sketch: &mut Vec<u8>, mut other: Vec<u8>) {
        if other.len() > sketch.len() {
            std::mem::swap(sketch, &mut other);
        }
        if other.len() == self.register_count() {
            for (index, rank) in other.into_iter().enumerate() {
                self.raise(sketch, index, rank);
            }
            return;
        }
        for entry in other.as_chunks::<SPARSE_BYTES>().0 {
            let (index, rank) = entry_of(*entry);
            self.raise(sketch, index, rank);
        }
    }

    fn extract(&self, sketch: Vec<u8>) -> u64 {
        let is_sparse = sketch.len() < self.register_count();
        let registers = self.registers(&sketch, is_sparse);
        estimate(&registers, 64 - self.precision).round() as u64
    }

    fn facts(&self) -> CombineFacts {
        CombineFacts::default().with_parameters(format!("precision={}", self.precision))
    }
}

/// The estimate from registers whose values are at most `hash_bits + 1`.
///
/// Source: Ertl, algorithm 6.
fn estimate(registers: &[u8], hash_bits: u32) -> f64 {
    let mut counts = vec![0u32; hash_bits as usize + 2];
    registers.iter().for_each(|&rank| counts[usize::from(rank)] += 1);
    let all = registers.len() as f64;
    let saturated = f64::from(counts[hash_bits as usize + 1]);
    let mut sum = all * tau(1.0 - saturated / all);
    for count in counts[1..=hash_bits as usize].iter().rev() {
        sum = 0.5 * (sum + f64::from(*count));
    }
    sum += all * sigma(f64::from(counts[0]) / all);
    all / (2.0 * std::f64::consts::LN_2) * (all / sum)
}

/// What registers of zero add; infinite if all are.
fn sigma(mut share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, share);
    loop {
        share *= share;
        let before = sum;
        sum += share * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// What registers that cannot grow any more add.
fn tau(mut share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - share);
    loop {
        share = share.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - share) * (1.0 - share) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::combine_all;

    /// Three standard errors: one honest sketch of 400 misses it.
    #[track_caller]
    fn check(precision: u32, count: i64) {
        let function = ApproximateDistinct::with_precision(precision).expect("is offered");
        let got = combine_all(&function, (0..count).chain(0..count / 2));
        let error = (got as f64 - count as f64).abs() / count.max(1) as f64;
        let limit = 3.0 * 1.04 / f64::from(1u32 << precision).sqrt();
        assert!(error <= limit, "{got} instead of {count}: {error} > {limit}");
    }

    #[test]
    fn estimates_are_within_three_standard_errors() {
        for precision in [4, 10, 12, 14] {
            for count in [0, 1, 100, 1000, 3000, 10_000, 100_000] {
                check(precision, count);
            }
        }
    }

    #[test]
    fn estimates_spread_as_the_standard_error_says() {
        // The root of the mean square of the errors of 300 sketches of 256 registers, each of other
        // values; it has itself a deviation of 4 %.
        let function = ApproximateDistinct::with_precision(8).expect("is offered");
        let errors = (0..300i64).map(|round| {
            let values = (0..5000).map(|n| round * 5000 + n);
            combine_all(&function, values) as f64 / 5000.0 - 1.0
        });
        let spread = (errors.map(|error| error * error).sum::<f64>() / 300.0).sqrt();
        let standard = 1.04 / 16.0;
        assert!((0.85 * standard..1.15 * standard).contains(&spread), "{spread}");
    }

    #[test]
    fn precisions_out_of_range_are_refused() {
        for precision in [3, 19] {
            let error = ApproximateDistinct::<i64>::with_precision(precision).expect_err("refused");
            assert_eq!(error.code(), ErrorCode::INVALID_RECIPE);
        }
    }
}
