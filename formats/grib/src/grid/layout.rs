//! What a grid is, whatever edition describes it.

use array::error::Result;
use array::{AttributeValue, Attributes, Scalar};

use super::gaussian;
use super::points::ReducedRows;
use super::projected::{Place, Projected, Projection, Rotation};
use crate::fault::{corrupt, unsupported};

/// A grid of more points than these is taken for damage: a field of one value costs no bytes, so
/// that nothing else bounds what a file may claim.
const MOST_POINTS: u64 = 1 << 31;
/// The same for one row or one column.
const MOST_POINTS_OF_ROW: u64 = 1 << 22;

/// A grid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    /// The name that ecCodes gives as `gridType`.
    pub(crate) kind: &'static str,
    /// The shape of its points.
    pub(crate) shape: Shape,
    /// The order in which a file holds them.
    pub(crate) scan: Scan,
    /// Where they are, as far as this reader works that out.
    pub(crate) points: Points,
    /// The parameters of its projection, by the names of ecCodes.
    pub(crate) attributes: Attributes,
}

/// The shape of the points of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Rows along `i`, one behind the other along `j`.
    Rows {
        /// Points of a row.
        ni: u64,
        /// Rows.
        nj: u64,
    },
    /// Points without rows of one length.
    List {
        /// Points.
        count: u64,
    },
}

impl Shape {
    /// The number of points.
    pub(crate) fn point_count(self) -> u64 {
        match self {
            // Both are below 2 to the 32nd.
            Self::Rows { ni, nj } => ni * nj,
            Self::List { count } => count,
        }
    }
}

/// The order of points: flag table 3.4 of edition 2, table 8 of edition 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scan {
    /// Points of a row go west.
    pub(crate) is_west: bool,
    /// Rows go north.
    pub(crate) is_north: bool,
    /// Points of a column follow each other, not those of a row.
    pub(crate) is_by_columns: bool,
    /// Every second row, or column, runs backwards.
    pub(crate) is_alternating: bool,
}

impl Scan {
    /// The order that flags say.
    ///
    /// # Errors
    /// Rows that are shifted against each other.
    pub(crate) fn parse(flags: u8) -> Result<Self> {
        if flags & 0x0f != 0 {
            return Err(unsupported(format!("the scanning mode {flags:#010b}: rows are shifted")));
        }
        Ok(Self {
            is_west: flags & 0x80 != 0,
            is_north: flags & 0x40 != 0,
            is_by_columns: flags & 0x20 != 0,
            is_alternating: flags & 0x10 != 0,
        })
    }

    /// Whether values must be moved to lie in rows that all run alike.
    pub(crate) fn is_plain(self) -> bool {
        !self.is_by_columns && !self.is_alternating
    }
}

/// Where the points of a grid are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Points {
    /// On parallels and meridians: degrees along `j` and along `i`.
    Axes {
        /// Of every row.
        latitudes: Vec<f64>,
        /// Of every point of a row.
        longitudes: Vec<f64>,
    },
    /// On parallels, fewer of them near the poles.
    Reduced(ReducedRows),
    /// Where a projection puts them.
    Projected(Projected),
    /// They are not worked out.
    Unknown,
}

/// First and last of an axis, in degrees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// The step that the file gives, without a sign.
    pub(crate) step: Option<f64>,
}

impl Grid {
    /// A grid without coordinates, whose size is believable.
    ///
    /// # Errors
    /// Too many points.
    pub(crate) fn new(kind: &'static str, shape: Shape, scan: Scan) -> Result<Self> {
        let count = shape.point_count();
        let is_long = match shape {
            Shape::Rows { ni, nj } => ni.max(nj) > MOST_POINTS_OF_ROW,
            Shape::List { .. } => false,
        };
        if count == 0 || count > MOST_POINTS || is_long {
            return Err(corrupt(format!("a grid of {count} points")));
        }
        let mut attributes = Attributes::default();
        attributes.set("GRIB_gridType", kind);
        if let Shape::Rows { ni, nj } = shape {
            attributes.set("GRIB_Nx", Scalar::of(ni as i64));
            attributes.set("GRIB_Ny", Scalar::of(nj as i64));
        }
        Ok(Self { kind, shape, scan, points: Points::Unknown, attributes })
    }

    /// Adds a parameter of the projection.
    pub(crate) fn with(mut self, name: &str, value: impl Into<AttributeValue>) -> Self {
        self.attributes.set(name, value);
        self
    }

    /// Adds where the points are on a plane, from the first one on by steps in metres.
    pub(crate) fn on_plane(
        self,
        projection: Option<Projection>,
        first: Place,
        steps: (f64, f64),
    ) -> Self {
        let (shape, scan) = (self.shape, self.scan);
        let of = |projection| Projected::from_first(projection, first, steps, shape, scan);
        self.projected(projection.and_then(of))
    }

    /// Adds where the points are, unless that cannot be worked out.
    fn projected(self, points: Option<Projected>) -> Self {
        match points {
            Some(points) => Self { points: Points::Projected(points), ..self },
            None => self.with("GRIB_note", "the points of this grid are not worked out"),
        }
    }

    /// Takes parallels and meridians for those of a globe whose poles were moved.
    pub(crate) fn rotated(self, rotation: Rotation) -> Self {
        let grid = self
            .with_number("GRIB_latitudeOfSouthernPoleInDegrees", rotation.south_pole.latitude)
            .with_number("GRIB_longitudeOfSouthernPoleInDegrees", rotation.south_pole.longitude)
            .with_number("GRIB_angleOfRotationInDegrees", rotation.angle);
        let points = match &grid.points {
            Points::Axes { latitudes, longitudes } => {
                Some(Projected::rotated(rotation, longitudes.clone(), latitudes.clone()))
            }
            _ => None,
        };
        Self { points: Points::Unknown, ..grid }.projected(points)
    }

    /// Adds a number of the projection.
    pub(crate) fn with_number(self, name: &str, value: f64) -> Self {
        self.with(name, Scalar::of(value))
    }
}

/// The longitudes of a row, in degrees, ascending by steps across the date line.
///
/// # Errors
/// A step of nothing.
pub(crate) fn longitudes(span: Span, count: u64, scan: Scan) -> Result<Vec<f64>> {
    let Span { mut first, mut last, step } = span;
    // As peers have it, a row across the date line or the meridian of Greenwich begins in the west.
    if scan.is_west {
        while last > first {
            last -= 360.0;
        }
    } else {
        while last < first {
            first -= 360.0;
        }
    }
    if count > 1 && first == last {
        let step = step.filter(|step| *step > 0.0);
        let step = step.ok_or_else(|| corrupt(format!("{count} points on one meridian")))?;
        let step = if scan.is_west { -step } else { step };
        last = first + step * (count - 1) as f64;
    }
    Ok(evenly(first, last, count))
}

/// The latitudes of the rows of a grid with equal steps.
///
/// # Errors
/// Rows that go the other way than the scanning mode says.
pub(crate) fn latitudes(span: Span, count: u64, scan: Scan) -> Result<Vec<f64>> {
    let Span { first, last, .. } = span;
    if count > 1 && (last > first) != scan.is_north {
        let message = format!("rows from latitude {first} to {last} against the scanning mode");
        return Err(corrupt(message));
    }
    Ok(evenly(first, last, count))
}

/// The latitudes of the rows of a Gaussian grid with `2 * n` rows from pole to pole.
///
/// # Errors
/// A first row that is none of them, or more rows than there are.
pub(crate) fn gaussian_latitudes(n: u64, first: f64, count: u64, scan: Scan) -> Result<Vec<f64>> {
    if n == 0 || n > gaussian::MOST_ROWS {
        return Err(corrupt(format!("a Gaussian grid of {n} rows between pole and equator")));
    }
    let mut rows = gaussian::latitudes(n as usize);
    if scan.is_north {
        rows.reverse();
    }
    let distance = |row: &f64| (row - first).abs();
    let nearest =
        (0..rows.len()).min_by(|&a, &b| distance(&rows[a]).total_cmp(&distance(&rows[b])));
    let start = nearest.unwrap_or(0);
    let is_row = distance(&rows[start]) < 22.5 / n as f64;
    match rows.get(start..start.saturating_add(count as usize)) {
        Some(rows) if is_row => Ok(rows.to_vec()),
        _ => Err(corrupt(format!("{count} rows from latitude {first} on a Gaussian grid of {n}"))),
    }
}

fn evenly(first: f64, last: f64, count: u64) -> Vec<f64> {
    let step = if count > 1 { (last - first) / (count - 1) as f64 } else { 0.0 };
    // Degrees are written as millionths at best: what is beyond a billionth is rounding alone.
    let round = |degrees: f64| (degrees * 1e9).round() / 1e9;
    (0..count).map(|index| round(first + step * index as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: f64, last: f64, flags: u8, want: &[f64]) {
        let scan = Scan::parse(flags).expect("a plain mode");
        let span = Span { first, last, step: Some(90.0) };
        assert_eq!(longitudes(span, want.len() as u64, scan).expect("steps"), want);
    }

    #[test]
    fn longitudes_go_on_across_the_date_line_and_either_way() {
        check(0.0, 270.0, 0, &[0.0, 90.0, 180.0, 270.0]);
        check(-180.0, 90.0, 0, &[-180.0, -90.0, 0.0, 90.0]);
        check(270.0, 90.0, 0, &[-90.0, 0.0, 90.0]);
        check(90.0, 270.0, 0x80, &[90.0, 0.0, -90.0]);
        check(0.0, 0.0, 0, &[0.0, 90.0, 180.0, 270.0, 360.0]);
        check(7.0, 7.0, 0, &[7.0]);
    }

    #[test]
    fn rows_agree_with_the_scanning_mode() {
        let span = Span { first: 90.0, last: -90.0, step: None };
        let south = latitudes(span, 5, Scan::default()).expect("from north to south");
        assert_eq!(south, [90.0, 45.0, 0.0, -45.0, -90.0]);
        assert!(latitudes(span, 5, Scan { is_north: true, ..Scan::default() }).is_err());
        assert!(Scan::parse(0x08).is_err());
    }

    #[test]
    fn some_rows_of_a_gaussian_grid() {
        let all = gaussian_latitudes(32, 87.864, 64, Scan::default()).expect("all rows");
        assert!((all[0] - 87.863_798_8).abs() < 1e-6 && (all[0] + all[63]).abs() < 1e-12);
        let some = gaussian_latitudes(32, all[20], 5, Scan::default()).expect("five rows");
        assert_eq!(some, all[20..25]);
        assert!(gaussian_latitudes(32, 87.864, 65, Scan::default()).is_err());
    }
}
