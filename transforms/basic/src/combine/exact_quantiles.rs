//! Quantiles of few floats.

use dataflow::combine::CombineFacts;
use dataflow::prelude::{CombineFn, Result};

use crate::combine::quantiles::{check_finite, checked, rank_of};

/// Quantiles without error, of values that fit in memory.
///
/// The quantile `q` of `n` values is the one of rank `floor(q * (n - 1))`, counted from zero
/// in ascending order, as in [`Quantiles`](crate::Quantiles), which keeps counts instead of values.
/// Of no values the list is empty. Memory: 8 bytes a value. NaN and infinities end the bundle with
/// an error.
///
/// ```
/// use basic::ExactQuantiles;
/// use dataflow::prelude::CombineFn;
///
/// let median = ExactQuantiles::of([0.5])?;
/// let mut values = median.create();
/// [9.0, 1.0, 4.0].map(|value| median.add(&mut values, value));
/// assert_eq!(median.extract(values), [4.0]);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExactQuantiles(Vec<f64>);

impl ExactQuantiles {
    /// These quantiles, each from 0 (the least value) to 1 (the greatest).
    ///
    /// # Errors
    /// A quantile that is not in 0 to 1.
    pub fn of(quantiles: impl Into<Vec<f64>>) -> Result<Self> {
        checked(quantiles.into()).map(Self)
    }
}

impl CombineFn for ExactQuantiles {
    type In = f64;
    type Acc = Vec<f64>;
    type Out = Vec<f64>;

    fn create(&self) -> Vec<f64> {
        Vec::new()
    }

    fn add(&self, values: &mut Vec<f64>, value: f64) {
        check_finite(value);
        values.push(value);
    }

    fn merge(&self, values: &mut Vec<f64>, mut other: Vec<f64>) {
        values.append(&mut other);
    }

    fn extract(&self, mut values: Vec<f64>) -> Vec<f64> {
        if values.is_empty() {
            return values;
        }
        values.sort_by(f64::total_cmp);
        let at = |quantile: &f64| values[rank_of(*quantile, values.len() as u64) as usize];
        self.0.iter().map(at).collect()
    }

    fn facts(&self) -> CombineFacts {
        CombineFacts::default().with_parameters(format!("{:?}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::combine_all;

    #[track_caller]
    fn check(values: &[f64], want: &[f64]) {
        let quartiles = ExactQuantiles::of([0.0, 0.25, 0.5, 0.75, 1.0]).expect("is valid");
        assert_eq!(combine_all(&quartiles, values.to_vec()), want);
    }

    #[test]
    fn ranks_are_rounded_down() {
        check(&[5.0, 3.0, 1.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        check(&[2.0, 1.0], &[1.0, 1.0, 1.0, 1.0, 2.0]);
        check(&[7.0], &[7.0; 5]);
        check(&[], &[]);
    }
}
