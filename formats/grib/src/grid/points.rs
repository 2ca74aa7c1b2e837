//! The points of grids that have fewer of them near the poles.

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

    /// The latitudes of all points, in the order of the file.
    pub(crate) fn point_latitudes(&self) -> Vec<f64> {
        let rows = self.latitudes.iter().zip(&self.lengths);
        rows.flat_map(|(&latitude, &length)| (0..length).map(move |_| latitude)).collect()
    }

    /// The longitudes of all points, in the order of the file.
    pub(crate) fn point_longitudes(&self) -> Vec<f64> {
        let first = self.first_longitude;
        let row = |&length: &u64| {
            (0..length).map(move |index| first + index as f64 * 360.0 / length as f64)
        };
        self.lengths.iter().flat_map(row).collect()
    }
}
