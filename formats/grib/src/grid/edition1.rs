//! Grids of edition 1: section 2.

use array::Scalar;
use array::error::Result;

use super::layout::{Grid, Points, Scan, Shape, Span, gaussian_latitudes, latitudes, longitudes};
use super::points::ReducedRows;
use crate::fault::{corrupt, unsupported};
use crate::octets::Octets;

/// Octets of a grid in which coordinates are thousandths of a degree.
const THOUSANDTH: f64 = 1000.0;

/// Reads section 2 of a message of edition 1.
///
/// # Errors
/// A grid that this reader does not know, or damage.
pub(crate) fn parse(section: &Octets<'_>) -> Result<Grid> {
    let scan = || Scan::parse(section.octet(28)? & !0x10);
    match section.octet(6)? {
        0 => on_parallels("regular_ll", section, scan()?),
        4 => on_parallels("regular_gg", section, scan()?),
        10 => rotated(section, scan()?),
        1 => mercator(section, scan()?),
        3 => conic("lambert", section, scan()?),
        5 => conic("polar_stereographic", section, scan()?),
        50 | 60 | 70 | 80 => Err(unsupported("spherical harmonics, which are no values on a grid")),
        90 => Err(unsupported("the grid `space_view`")),
        other => Err(unsupported(format!("the grid of data representation type {other}"))),
    }
}

fn degrees(section: &Octets<'_>, octet: usize) -> Result<f64> {
    Ok(section.signed(octet, 3)? as f64 / THOUSANDTH)
}

fn rows(section: &Octets<'_>) -> Result<Shape> {
    let count = |octet| {
        let count = section.present(octet, 2)?;
        count.ok_or_else(|| corrupt("a grid without a number of points"))
    };
    Ok(Shape::Rows { ni: count(7)?, nj: count(9)? })
}

fn on_parallels(kind: &'static str, section: &Octets<'_>, scan: Scan) -> Result<Grid> {
    let is_gaussian = kind == "regular_gg";
    let first_latitude = degrees(section, 11)?;
    let nj = section.unsigned(9, 2)?;
    let own_latitudes = || {
        if is_gaussian {
            return gaussian_latitudes(section.unsigned(26, 2)?, first_latitude, nj, scan);
        }
        let span = Span { first: first_latitude, last: degrees(section, 18)?, step: None };
        latitudes(span, nj, scan)
    };
    let Some(ni) = section.present(7, 2)? else {
        let lengths = row_lengths(section, nj)?;
        let kind = if is_gaussian { "reduced_gg" } else { "reduced_ll" };
        let ends = (degrees(section, 14)?, degrees(section, 21)?);
        return reduced(kind, own_latitudes()?, lengths, ends, scan);
    };
    let step = section.present(24, 2)?.map(|step| step as f64 / THOUSANDTH);
    let span = Span { first: degrees(section, 14)?, last: degrees(section, 21)?, step };
    let mut grid = Grid::new(kind, Shape::Rows { ni, nj }, scan)?;
    grid.points =
        Points::Axes { latitudes: own_latitudes()?, longitudes: longitudes(span, ni, scan)? };
    Ok(grid)
}

/// The list of points of every row, behind the vertical coordinates.
fn row_lengths(section: &Octets<'_>, nj: u64) -> Result<Vec<u64>> {
    let (vertical_count, place) = (section.unsigned(4, 1)?, section.unsigned(5, 1)?);
    if place == 255 {
        return Err(corrupt("a reduced grid without the lengths of its rows"));
    }
    let start = (place + 4 * vertical_count) as usize;
    let lengths = section.bytes(start.max(1), nj as usize * 2)?.chunks_exact(2);
    Ok(lengths.map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1])).collect())
}

/// A grid whose rows have different lengths.
///
/// # Errors
/// Too many points, or an order of them that has no rows of one length.
pub(super) fn reduced(
    kind: &'static str,
    latitudes: Vec<f64>,
    lengths: Vec<u64>,
    (first, last): (f64, f64),
    scan: Scan,
) -> Result<Grid> {
    if scan.is_west || !scan.is_plain() {
        return Err(unsupported(format!("the grid `{kind}` in another order than row by row")));
    }
    let count = lengths.iter().try_fold(0u64, |sum, &length| sum.checked_add(length));
    let count = count.ok_or_else(|| corrupt("a grid of more points than can be counted"))?;
    let longest = lengths.iter().copied().max().unwrap_or(0).max(1);
    let grid = Grid::new(kind, Shape::List { count }, scan)?;
    let gap = 360.0 / longest as f64;
    let is_global = (last - first).rem_euclid(360.0) + 1.5 * gap > 360.0;
    if latitudes.len() != lengths.len() || !is_global {
        return Ok(grid.with("GRIB_note", "the points of a part of this grid are not worked out"));
    }
    let rows = ReducedRows { latitudes, lengths, first_longitude: first };
    Ok(Grid { points: Points::Reduced(rows), ..grid })
}

fn rotated(section: &Octets<'_>, scan: Scan) -> Result<Grid> {
    let grid = Grid::new("rotated_ll", rows(section)?, scan)?;
    Ok(corner(grid, section)?
        .with_number("GRIB_latitudeOfLastGridPointInDegrees", degrees(section, 18)?)
        .with_number("GRIB_longitudeOfLastGridPointInDegrees", degrees(section, 21)?)
        .with_number("GRIB_latitudeOfSouthernPoleInDegrees", degrees(section, 33)?)
        .with_number("GRIB_longitudeOfSouthernPoleInDegrees", degrees(section, 36)?)
        .with_number("GRIB_angleOfRotationInDegrees", section.ibm(39)?))
}

/// Adds the first point.
fn corner(grid: Grid, section: &Octets<'_>) -> Result<Grid> {
    Ok(grid
        .with_number("GRIB_latitudeOfFirstGridPointInDegrees", degrees(section, 11)?)
        .with_number("GRIB_longitudeOfFirstGridPointInDegrees", degrees(section, 14)?)
        .with("GRIB_iScansNegatively", Scalar::of(i64::from(section.octet(28)? >> 7)))
        .with("GRIB_jScansPositively", Scalar::of(i64::from(section.octet(28)? >> 6 & 1))))
}

fn mercator(section: &Octets<'_>, scan: Scan) -> Result<Grid> {
    let grid = corner(Grid::new("mercator", rows(section)?, scan)?, section)?;
    Ok(grid
        .with_number("GRIB_latitudeOfLastGridPointInDegrees", degrees(section, 18)?)
        .with_number("GRIB_longitudeOfLastGridPointInDegrees", degrees(section, 21)?)
        .with_number("GRIB_LaDInDegrees", degrees(section, 24)?)
        .with_number("GRIB_DiInMetres", section.unsigned(29, 3)? as f64)
        .with_number("GRIB_DjInMetres", section.unsigned(32, 3)? as f64))
}

fn conic(kind: &'static str, section: &Octets<'_>, scan: Scan) -> Result<Grid> {
    let grid = corner(Grid::new(kind, rows(section)?, scan)?, section)?
        .with_number("GRIB_LoVInDegrees", degrees(section, 18)?)
        .with_number("GRIB_DxInMetres", section.unsigned(21, 3)? as f64)
        .with_number("GRIB_DyInMetres", section.unsigned(24, 3)? as f64)
        .with("GRIB_projectionCentreFlag", Scalar::of(i64::from(section.octet(27)?)));
    if kind != "lambert" {
        // Edition 1 measures steps at 60 degrees.
        return Ok(grid.with_number("GRIB_LaDInDegrees", 60.0));
    }
    Ok(grid
        .with_number("GRIB_Latin1InDegrees", degrees(section, 29)?)
        .with_number("GRIB_Latin2InDegrees", degrees(section, 32)?)
        .with_number("GRIB_latitudeOfSouthernPoleInDegrees", degrees(section, 35)?)
        .with_number("GRIB_longitudeOfSouthernPoleInDegrees", degrees(section, 38)?))
}
