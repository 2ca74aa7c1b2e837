//! Quantiles of any number of floats, in little memory.

use dataflow::combine::CombineFacts;
use dataflow::prelude::{CombineFn, Error, ErrorCode, ErrorKind, Result};

use crate::encoding::end_bundle;

/// Quantiles by a DDSketch: each within a relative error of the value that has that rank.
///
/// The quantile `q` of `n` values is the one of rank `floor(q * (n - 1))`, counted from zero
/// in ascending order. What comes out is within `accuracy` (1 % by default) of it, relative to it;
/// the least and the greatest value are exact. The list has the order in which quantiles were
/// asked for; of no values it is empty.
///
/// Values are counted in bins whose edges grow by the factor `(1 + accuracy) / (1 - accuracy)`.
/// Nothing but counts is added up, so sketches merge to the same bits in every order: exact in the
/// sense of facts. Memory: 16 bytes a bin that is not empty, one bin for each 2 % of growth
/// between the least and the greatest value; no bins are ever merged away. NaN and infinities have
/// no bin: they end the bundle with an error that says so.
///
/// ```
/// use basic::Quantiles;
/// use dataflow::prelude::CombineFn;
///
/// let quantiles = Quantiles::of([0.0, 0.5, 1.0])?;
/// let mut sketch = quantiles.create();
/// (1..=1000).for_each(|n| quantiles.add(&mut sketch, f64::from(n)));
/// let values = quantiles.extract(sketch);
/// assert_eq!((values[0], values[2]), (1.0, 1000.0));
/// assert!((values[1] - 500.0).abs() <= 0.01 * 500.0);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
///
/// Source: Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
/// relative-error guarantees", VLDB 12(12), 2019, <https://arxiv.org/abs/1908.10693>.
#[derive(Debug, Clone)]
pub struct Quantiles {
    quantiles: Vec<f64>,
    accuracy: f64,
    /// The logarithm of the factor by which the edges of bins grow.
    log_growth: f64,
}

/// Counts by the indices of bins, ascending.
type Bins = Vec<(i32, u64)>;

/// What is negative, zero and positive; and the least and the greatest value.
type Sketch = (Bins, u64, Bins, Option<(f64, f64)>);

impl Quantiles {
    /// These quantiles, each from 0 (the least value) to 1 (the greatest).
    ///
    /// # Errors
    /// A quantile that is not in 0 to 1.
    pub fn of(quantiles: impl Into<Vec<f64>>) -> Result<Self> {
        let quantiles = checked(quantiles.into())?;
        Ok(Self { quantiles, accuracy: 0.01, log_growth: log_growth(0.01) })
    }

    /// Allows this relative error instead of 1 %.
    ///
    /// # Errors
    /// An accuracy that is not in 1e-6 to 0.5.
    pub fn with_accuracy(mut self, accuracy: f64) -> Result<Self> {
        if !(1e-6..=0.5).contains(&accuracy) {
            let message = format!("quantiles of accuracy {accuracy} are not offered");
            return Err(invalid(message).mend("choose an accuracy from 0.000001 to 0.5"));
        }
        self.accuracy = accuracy;
        self.log_growth = log_growth(accuracy);
        Ok(self)
    }

    /// The bin of a positive value: bin `i` holds what is in `growth^(i-1)` to `growth^i`.
    fn bin_of(&self, value: f64) -> i32 {
        (value.ln() / self.log_growth).ceil() as i32
    }

    /// The value that is within the accuracy of all values of a bin.
    fn value_of(&self, bin: i32) -> f64 {
        let growth = self.log_growth.exp();
        (f64::from(bin) * self.log_growth).exp() * 2.0 / (1.0 + growth)
    }

    /// About the value of a rank: what is most negative has the greatest bin.
    fn value_at(&self, (negative, zeroes, positive, _): &Sketch, rank: u64) -> f64 {
        let mut before = 0;
        for (bin, count) in negative.iter().rev() {
            before += count;
            if rank < before {
                return -self.value_of(*bin);
            }
        }
        before += zeroes;
        if rank < before {
            return 0.0;
        }
        for (bin, count) in positive {
            before += count;
            if rank < before {
                return self.value_of(*bin);
            }
        }
        f64::INFINITY
    }
}

fn log_growth(accuracy: f64) -> f64 {
    ((1.0 + accuracy) / (1.0 - accuracy)).ln()
}

fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}

/// Quantiles that are shares of one.
pub(super) fn checked(quantiles: Vec<f64>) -> Result<Vec<f64>> {
    match quantiles.iter().find(|quantile| !(0.0..=1.0).contains(*quantile)) {
        None => Ok(quantiles),
        Some(quantile) => Err(invalid(format!("there is no quantile {quantile}"))
            .mend("name quantiles from 0, the least value, to 1, the greatest")),
    }
}

/// Ends the bundle if a value has no rank.
pub(super) fn check_finite(value: f64) {
    if !value.is_finite() {
        let message = format!("quantiles of {value} are asked for");
        let error = Error::new(ErrorCode::USER_ERROR, ErrorKind::User, message);
        end_bundle(error.mend("drop values that are not finite with `Filter` before"));
    }
}

/// The rank of a quantile among `count` values, of which there must be one.
pub(super) fn rank_of(quantile: f64, count: u64) -> u64 {
    (quantile * (count - 1) as f64).floor() as u64
}

fn count_in(bins: &mut Bins, bin: i32, more: u64) {
    match bins.binary_search_by_key(&bin, |(known, _)| *known) {
        Ok(place) => bins[place].1 += more,
        Err(place) => bins.insert(place, (bin, more)),
    }
}

impl CombineFn for Quantiles {
    type In = f64;
    type Acc = Sketch;
    type Out = Vec<f64>;

    fn create(&self) -> Sketch {
        (Vec::new(), 0, Vec::new(), None)
    }

    fn add(&self, (negative, zeroes, positive, ends): &mut Sketch, value: f64) {
        check_finite(value);
        if value > 0.0 {
            count_in(positive, self.bin_of(value), 1);
        } else if value < 0.0 {
            count_in(negative, self.bin_of(-value), 1);
        } else {
            *zeroes += 1;
        }
        // One zero, whatever its sign: else the order would decide which one is kept.
        let value = value + 0.0;
        let (least, greatest) = ends.unwrap_or((value, value));
        *ends = Some((least.min(value), greatest.max(value)));
    }

    fn merge(&self, (negative, zeroes, positive, ends): &mut Sketch, other: Sketch) {
        other.0.into_iter().for_each(|(bin, count)| count_in(negative, bin, count));
        *zeroes += other.1;
        other.2.into_iter().for_each(|(bin, count)| count_in(positive, bin, count));
        *ends = match (*ends, other.3) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (ends, others) => ends.or(others),
        };
    }

    fn extract(&self, sketch: Sketch) -> Vec<f64> {
        let Some((least, greatest)) = sketch.3 else { return Vec::new() };
        let counts = sketch.0.iter().chain(&sketch.2).map(|(_, count)| count);
        let count = counts.sum::<u64>() + sketch.1;
        let value = |quantile: &f64| match rank_of(*quantile, count) {
            0 => least,
            rank if rank == count - 1 => greatest,
            rank => self.value_at(&sketch, rank).clamp(least, greatest),
        };
        self.quantiles.iter().map(value).collect()
    }

    fn facts(&self) -> CombineFacts {
        let (quantiles, accuracy) = (&self.quantiles, self.accuracy);
        CombineFacts::default().with_parameters(format!("{quantiles:?} accuracy={accuracy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExactQuantiles;
    use crate::tests::combine_all;

    const ASKED: [f64; 7] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0];

    #[track_caller]
    fn check(accuracy: f64, values: &[f64]) {
        let sketch = Quantiles::of(ASKED).and_then(|it| it.with_accuracy(accuracy));
        let got = combine_all(&sketch.expect("is valid"), values.to_vec());
        let want = combine_all(&ExactQuantiles::of(ASKED).expect("is valid"), values.to_vec());
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            // The last bits are those of the logarithm.
            let limit = accuracy * (1.0 + 1e-9) * want.abs();
            assert!((got - want).abs() <= limit, "{got} instead of {want} at {accuracy}");
        }
    }

    #[test]
    fn quantiles_are_within_the_accuracy() {
        let uniform: Vec<f64> = (0..5000).map(|n| f64::from(n * 7919 % 5000) - 1000.0).collect();
        let tailed: Vec<f64> = (0..5000).map(|n| (f64::from(n) / 200.0).exp() - 1.0).collect();
        let signed: Vec<f64> = tailed.iter().zip(&uniform).map(|(a, b)| a * b.signum()).collect();
        for accuracy in [0.001, 0.01, 0.2] {
            for values in [&uniform, &tailed, &signed] {
                check(accuracy, values);
            }
        }
    }

    #[test]
    fn all_floats_have_a_bin() {
        check(0.01, &[f64::MIN, -1.0, -f64::MIN_POSITIVE, 5e-324, f64::MIN_POSITIVE, f64::MAX]);
        check(0.01, &[0.0, -0.0, 0.0]);
        check(0.01, &[42.0]);
        check(0.01, &[]);
    }

    #[test]
    fn shares_and_accuracies_out_of_range_are_refused() {
        for quantile in [-0.1, 1.1, f64::NAN] {
            assert!(Quantiles::of([quantile]).is_err());
        }
        for accuracy in [0.0, 0.6, f64::NAN] {
            assert!(Quantiles::of([0.5]).expect("is valid").with_accuracy(accuracy).is_err());
        }
    }
}
