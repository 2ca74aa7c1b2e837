//! The latitudes of Gaussian grids: where a Legendre polynomial is zero.

use std::f64::consts::PI;

/// Rows between pole and equator that any model has, several times over.
pub(super) const MOST_ROWS: u64 = 20_000;

/// The latitudes of `2 * n` rows, from north to south, in degrees.
///
/// Cost: O(n²). Source: W. H. Press et al., "Numerical Recipes", 4.6, Gauss-Legendre abscissas by
/// Newton's method.
pub(super) fn latitudes(n: usize) -> Vec<f64> {
    let rows = 2 * n;
    let degree = rows as f64;
    let mut northern = Vec::with_capacity(n);
    for row in 0..n {
        let mut sine = (PI * (row as f64 + 0.75) / (degree + 0.5)).cos();
        // Quadratic: a few steps reach the last digit.
        for _ in 0..12 {
            let (value, slope) = legendre(rows, sine);
            let step = value / slope;
            sine -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        northern.push(sine.asin().to_degrees());
    }
    let southern: Vec<f64> = northern.iter().rev().map(|latitude| -latitude).collect();
    northern.extend(southern);
    northern
}

/// The Legendre polynomial of a degree and its slope.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for n in 2..=degree {
        let n = n as f64;
        (before, value) = (value, ((2.0 * n - 1.0) * x * value - (n - 1.0) * before) / n);
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::latitudes;

    #[test]
    fn rows_of_two_and_of_sixteen() {
        let two = latitudes(1);
        assert!((two[0] - (1.0 / 3f64.sqrt()).asin().to_degrees()).abs() < 1e-12, "{two:?}");
        // <https://confluence.ecmwf.int/display/EMOS/N16>
        let sixteen = latitudes(16);
        assert!((sixteen[0] - 85.760_587_12).abs() < 1e-8, "{sixteen:?}");
        assert!((sixteen[15] - 2.768_903_01).abs() < 1e-8, "{sixteen:?}");
        assert_eq!(sixteen[15], -sixteen[16]);
    }
}
