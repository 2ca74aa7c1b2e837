//! Grids of edition 1: section 2.

use array::Scalar;
use array::error::Result;

use super::earth::Earth;
use super::layout::{Grid, Points, Scan, Shape, Span, gaussian_latitudes, latitudes, longitudes};
use super::points::ReducedRows;
use super::projected::{Conic, Mercator, Place, Projection, Rotation};
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
        10 => rotated(on_parallels("rotated_ll", section, scan()?)?, section),
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
        if kind.starts_with("rotated") {
            return Err(unsupported("a rotated grid whose rows have different lengths"));
        }
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

fn rotated(grid: Grid, section: &Octets<'_>) -> Result<Grid> {
    let rotation = Rotation { south_pole: place(section, 33)?, angle: section.ibm(39)? };
    Ok(corner(grid, section)?
        .with_number("GRIB_latitudeOfLastGridPointInDegrees", degrees(section, 18)?)
        .with_number("GRIB_longitudeOfLastGridPointInDegrees", degrees(section, 21)?)
        .rotated(rotation))
}

/// Adds the first point.
fn corner(grid: Grid, section: &Octets<'_>) -> Result<Grid> {
    Ok(grid
        .with_number("GRIB_latitudeOfFirstGridPointInDegrees", degrees(section, 11)?)
        .with_number("GRIB_longitudeOfFirstGridPointInDegrees", degrees(section, 14)?)
        .with("GRIB_iScansNegatively", Scalar::of(i64::from(section.octet(28)? >> 7)))
        .with("GRIB_jScansPositively", Scalar::of(i64::from(section.octet(28)? >> 6 & 1))))
}

fn place(section: &Octets<'_>, octet: usize) -> Result<Place> {
    Ok(Place { latitude: degrees(section, octet)?, longitude: degrees(section, octet + 3)? })
}

fn steps(section: &Octets<'_>, octet: usize) -> Result<(f64, f64)> {
    Ok((section.unsigned(octet, 3)? as f64, section.unsigned(octet + 3, 3)? as f64))
}

fn mercator(section: &Octets<'_>, scan: Scan) -> Result<Grid> {
    let grid = corner(Grid::new("mercator", rows(section)?, scan)?, section)?;
    let (true_at, steps) = (degrees(section, 24)?, steps(section, 29)?);
    let of = |earth| Mercator::new(earth, true_at).map(Projection::Mercator);
    let projection = Earth::of_edition_1(section)?.and_then(of);
    Ok(grid
        .with_number("GRIB_latitudeOfLastGridPointInDegrees", degrees(section, 18)?)
        .with_number("GRIB_longitudeOfLastGridPointInDegrees", degrees(section, 21)?)
        .with_number("GRIB_LaDInDegrees", true_at)
        .with_number("GRIB_DiInMetres", steps.0)
        .with_number("GRIB_DjInMetres", steps.1)
        .on_plane(projection, place(section, 11)?, steps))
}

fn conic(kind: &'static str, section: &Octets<'_>, scan: Scan) -> Result<Grid> {
    let (central, centre_flags) = (degrees(section, 18)?, section.octet(27)?);
    let (first, steps) = (place(section, 11)?, steps(section, 21)?);
    let earth = Earth::of_edition_1(section)?;
    let grid = corner(Grid::new(kind, rows(section)?, scan)?, section)?
        .with_number("GRIB_LoVInDegrees", central)
        .with_number("GRIB_DxInMetres", steps.0)
        .with_number("GRIB_DyInMetres", steps.1)
        .with("GRIB_projectionCentreFlag", Scalar::of(i64::from(centre_flags)));
    if kind != "lambert" {
        // Edition 1 measures steps at 60 degrees.
        let (true_at, is_south) = (60.0, centre_flags & 0x80 != 0);
        let of = |earth| Conic::polar(earth, central, true_at, is_south).map(Projection::Conic);
        let grid = grid.with_number("GRIB_LaDInDegrees", true_at);
        return Ok(grid.on_plane(earth.and_then(of), first, steps));
    }
    let parallels = [degrees(section, 29)?, degrees(section, 32)?];
    let of = |earth| Conic::lambert(earth, central, parallels).map(Projection::Conic);
    Ok(grid
        .with_number("GRIB_Latin1InDegrees", parallels[0])
        .with_number("GRIB_Latin2InDegrees", parallels[1])
        .with_number("GRIB_latitudeOfSouthernPoleInDegrees", degrees(section, 35)?)
        .with_number("GRIB_longitudeOfSouthernPoleInDegrees", degrees(section, 38)?)
        .on_plane(earth.and_then(of), first, steps))
}
