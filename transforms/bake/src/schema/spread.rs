//! How far the values of a variable lie apart between files.

use serde::{Deserialize, Serialize};

/// The least and the greatest value of each element; NaN where it is missing in all files.
///
/// So the greatest difference of any two files is known, whatever the order of merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    least: Vec<f64>,
    greatest: Vec<f64>,
    /// An element is missing in some files only, or there are not equally many.
    is_torn: bool,
}

impl Spread {
    /// The values of one file.
    pub(crate) fn of(values: Vec<f64>) -> Self {
        Self { least: values.clone(), greatest: values, is_torn: false }
    }

    /// Adds what other files hold.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.is_torn |= other.is_torn || self.least.len() != other.least.len();
        for (least, more) in self.least.iter_mut().zip(&other.least) {
            self.is_torn |= least.is_nan() != more.is_nan();
            *least = least.min(*more);
        }
        for (greatest, more) in self.greatest.iter_mut().zip(&other.greatest) {
            *greatest = greatest.max(*more);
        }
    }

    /// The greatest difference, if none is greater than `tolerance` times the larger value or 1.
    pub(crate) fn within(&self, tolerance: f64) -> Option<f64> {
        let mut greatest_difference = 0f64;
        for (least, greatest) in self.least.iter().zip(&self.greatest) {
            let difference = greatest - least;
            let size = least.abs().max(greatest.abs()).max(1.0);
            // Equal infinities differ by NaN.
            if least != greatest && difference > tolerance * size {
                return None;
            }
            greatest_difference =
                greatest_difference.max(if least == greatest { 0.0 } else { difference });
        }
        (!self.is_torn).then_some(greatest_difference)
    }
}
