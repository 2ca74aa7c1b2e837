//! Variance and standard deviation.

use dataflow::combine::CombineFacts;
use dataflow::prelude::CombineFn;

/// How much two orders of merging may differ, relative to the greater result.
const TOLERANCE: f64 = 1e-9;

/// Whether values are all there are, or a sample of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Population,
    Sample,
}

impl Of {
    /// What the sum of squares is divided by.
    fn divisor(self, count: u64) -> f64 {
        match self {
            Self::Population => count as f64,
            Self::Sample => count.saturating_sub(1) as f64,
        }
    }
}

/// Count, mean, and the sum of the squared distances from the mean.
type Moments = (u64, f64, f64);

/// Source: Welford, "Note on a method for calculating corrected sums of squares and products",
/// Technometrics 4(3), 1962.
fn add((count, mean, squares): &mut Moments, value: f64) {
    *count += 1;
    let before = value - *mean;
    *mean += before / *count as f64;
    *squares += before * (value - *mean);
}

/// Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American
/// Statistician 37(3), 1983, equations 2.1.
fn merge(moments: &mut Moments, other: Moments) {
    let ((count, mean, squares), (more, other_mean, other_squares)) = (*moments, other);
    if more == 0 {
        return;
    }
    if count == 0 {
        *moments = other;
        return;
    }
    let (all, distance) = ((count + more) as f64, other_mean - mean);
    // Equal means stay as they are, so that values that are all the same have no variance.
    let merged_mean = mean + distance * (more as f64 / all);
    let between = distance * distance * (count as f64 / all) * more as f64;
    *moments = (count + more, merged_mean, squares + other_squares + between);
}

/// The variance of floats; NaN of too few: of none, and for a sample of one.
///
/// Results of two orders of merging agree within 1e-9 of the greater one. A mean far from zero
/// does no harm: no squares of the values themselves are added up.
///
/// ```
/// use basic::Variance;
/// use dataflow::prelude::CombineFn;
///
/// let variance = Variance::sample();
/// let mut moments = variance.create();
/// [2.0, 4.0, 4.0, 4.0, 6.0].map(|value| variance.add(&mut moments, value));
/// assert_eq!(variance.extract(moments), 2.0);
/// ```
///
/// Source: Welford, Technometrics 4(3), 1962, and Chan, Golub and LeVeque, The American
/// Statistician 37(3), 1983.
#[derive(Debug, Clone, Copy)]
pub struct Variance(Of);

impl Variance {
    /// The variance of values that are a sample: the sum of squares by one less than their number.
    pub const fn sample() -> Self {
        Self(Of::Sample)
    }

    /// The variance of values that are all there are: the sum of squares by their number.
    pub const fn population() -> Self {
        Self(Of::Population)
    }
}

/// The standard deviation of floats: the square root of the [`Variance`].
///
/// ```
/// use basic::StdDev;
/// use dataflow::prelude::CombineFn;
///
/// let deviation = StdDev::population();
/// let mut moments = deviation.create();
/// [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].map(|value| deviation.add(&mut moments, value));
/// assert_eq!(deviation.extract(moments), 2.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct StdDev(Of);

impl StdDev {
    /// The deviation of values that are a sample.
    pub const fn sample() -> Self {
        Self(Of::Sample)
    }

    /// The deviation of values that are all there are.
    pub const fn population() -> Self {
        Self(Of::Population)
    }
}

macro_rules! of_moments {
    ($($name:ident $finish:expr;)+) => {$(
        impl CombineFn for $name {
            type In = f64;
            type Acc = Moments;
            type Out = f64;

            fn create(&self) -> Moments {
                (0, 0.0, 0.0)
            }

            fn add(&self, moments: &mut Moments, value: f64) {
                add(moments, value);
            }

            fn merge(&self, moments: &mut Moments, other: Moments) {
                merge(moments, other);
            }

            fn extract(&self, (count, _, squares): Moments) -> f64 {
                let divisor = self.0.divisor(count);
                if divisor == 0.0 { f64::NAN } else { $finish(squares / divisor) }
            }

            fn facts(&self) -> CombineFacts {
                CombineFacts::default()
                    .with_parameters(format!("of {:?}", self.0))
                    .with_tolerance(TOLERANCE)
            }
        }
    )+};
}

of_moments! {
    Variance std::convert::identity;
    StdDev f64::sqrt;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::combine_all;

    #[track_caller]
    fn check(values: &[f64], sample: f64, population: f64) {
        let got = |function: Variance| combine_all(&function, values.to_vec());
        let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
        assert!(same(got(Variance::sample()), sample), "{}", got(Variance::sample()));
        assert!(same(got(Variance::population()), population));
        let deviation = combine_all(&StdDev::sample(), values.to_vec());
        assert!(same(deviation, sample.sqrt()), "{deviation}");
    }

    #[test]
    fn squares_are_divided_by_the_count_or_one_less() {
        check(&[1.0, 2.0, 3.0, 4.0], 5.0 / 3.0, 1.25);
        check(&[7.0, 7.0], 0.0, 0.0);
        check(&[7.0], f64::NAN, 0.0);
        check(&[], f64::NAN, f64::NAN);
    }

    #[test]
    fn a_mean_far_from_zero_does_no_harm() {
        // The sum of squares would be 4e18, where floats are 512 apart.
        check(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0], 30.0, 22.5);
    }

    #[test]
    fn an_empty_side_changes_nothing() {
        let mut moments = (2, 3.0, 4.0);
        merge(&mut moments, (0, 0.0, 0.0));
        assert_eq!(moments, (2, 3.0, 4.0));
    }
}
