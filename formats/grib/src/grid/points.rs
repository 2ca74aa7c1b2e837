//! The points of grids that have fewer of them near the poles.

use super::projected::Place;

/// Rows on parallels, each with its own number of points around the globe.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReducedRows {
    /// The latitude of every row.
    pub(crate) latitudes: Vec<f64>,
    /// The points of every row.
    pub(crate) lengths: Vec<u64>,
    /// The longitude of the first point of every row.
    pub(crate) first_longitude: f64,
}

impl ReducedRows {
    /// The number of points.
    pub(crate) fn point_count(&self) -> u64 {
        self.lengths.iter().sum()
    }

    /// All points, in the order of the file.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let first = self.first_longitude;
        let row = move |(&latitude, &length): (&f64, &u64)| {
            let longitude = move |index| first + index as f64 * 360.0 / length as f64;
            (0..length).map(move |index| Place { latitude, longitude: longitude(index) })
        };
        self.latitudes.iter().zip(&self.lengths).flat_map(row)
    }
}
