//! Grids of edition 2: section 3.

use array::Scalar;
use array::error::Result;

use super::earth::Earth;
use super::edition1::reduced;
use super::layout::{Grid, Points, Scan, Shape, Span, gaussian_latitudes, latitudes, longitudes};
use super::projected::{Conic, EqualArea, Mercator, Place, Projection, Rotation};
use crate::fault::{corrupt, unsupported};
use crate::octets::Octets;

/// Coordinates are millionths of a degree, unless the grid says otherwise.
const MILLIONTH: f64 = 1e6;
/// Distances are thousandths of a metre.
const MILLIMETRE: f64 = 1e3;

/// Reads section 3 of a message of edition 2.
///
/// # Errors
/// A grid that this reader does not know, or damage.
pub(crate) fn parse(section: &Octets<'_>) -> Result<Grid> {
    if section.octet(6)? != 0 {
        return Err(unsupported("a grid that is only named and not described"));
    }
    let template = section.unsigned(13, 2)?;
    let grid = match template {
        0 => on_parallels("regular_ll", section)?,
        40 => on_parallels("regular_gg", section)?,
        1 => rotated(on_parallels("rotated_ll", section)?, section)?,
        41 => rotated(on_parallels("rotated_gg", section)?, section)?,
        10 => mercator(section)?,
        20 => conic("polar_stereographic", section)?,
        30 => conic("lambert", section)?,
        140 => equal_area(section)?,
        101 => {
            let count = section.unsigned(7, 4)?;
            Grid::new("unstructured_grid", Shape::List { count }, Scan::default())?
                .with("GRIB_numberOfGridUsed", Scalar::of(section.unsigned(16, 3)? as i64))
        }
        50..=53 | 61..=63 => {
            return Err(unsupported("spherical harmonics, which are no values on a grid"));
        }
        90 => return Err(unsupported("the grid `space_view`")),
        150 => return Err(unsupported("the grid `healpix`")),
        other => return Err(unsupported(format!("the grid of definition template 3.{other}"))),
    };
    let (own, told) = (grid.shape.point_count(), section.unsigned(7, 4)?);
    if own != told {
        return Err(corrupt(format!("a grid of {own} points says that it has {told}")));
    }
    Ok(grid)
}

fn rows(section: &Octets<'_>) -> Result<Shape> {
    let count = |octet| {
        let count = section.present(octet, 4)?;
        count.ok_or_else(|| corrupt("a grid without a number of points"))
    };
    Ok(Shape::Rows { ni: count(31)?, nj: count(35)? })
}

/// What to divide coordinates of grids on parallels by.
fn parts_of_degree(section: &Octets<'_>) -> Result<f64> {
    let angle = section.present(39, 4)?.filter(|angle| *angle != 0);
    let parts = section.present(43, 4)?.filter(|parts| *parts != 0);
    Ok(match (angle, parts) {
        (Some(angle), Some(parts)) => parts as f64 / angle as f64,
        _ => MILLIONTH,
    })
}

fn on_parallels(kind: &'static str, section: &Octets<'_>) -> Result<Grid> {
    let scan = Scan::parse(section.octet(72)?)?;
    let is_gaussian = kind.ends_with("_gg");
    let parts = parts_of_degree(section)?;
    let degrees = |octet| section.signed(octet, 4).map(|number| number as f64 / parts);
    let nj = section.unsigned(35, 4)?;
    let first = degrees(47)?;
    if nj > section.unsigned(7, 4)? {
        return Err(corrupt(format!("a grid of {nj} rows has fewer points")));
    }
    let own_latitudes = || {
        if is_gaussian {
            return gaussian_latitudes(section.unsigned(68, 4)?, first, nj, scan);
        }
        latitudes(Span { first, last: degrees(56)?, step: None }, nj, scan)
    };
    let Some(ni) = section.present(31, 4)? else {
        let lengths = row_lengths(section, nj)?;
        if kind.starts_with("rotated") {
            return Err(unsupported("a rotated grid whose rows have different lengths"));
        }
        let kind = if is_gaussian { "reduced_gg" } else { "reduced_ll" };
        return reduced(kind, own_latitudes()?, lengths, (degrees(51)?, degrees(60)?), scan);
    };
    let step = section.present(64, 4)?.map(|step| step as f64 / parts);
    let span = Span { first: degrees(51)?, last: degrees(60)?, step };
    let mut grid = Grid::new(kind, Shape::Rows { ni, nj }, scan)?;
    grid.points =
        Points::Axes { latitudes: own_latitudes()?, longitudes: longitudes(span, ni, scan)? };
    Ok(grid)
}

fn row_lengths(section: &Octets<'_>, nj: u64) -> Result<Vec<u64>> {
    let octets = usize::from(section.octet(11)?);
    if octets == 0 || section.octet(12)? != 1 {
        return Err(unsupported("a reduced grid without the numbers of points of its rows"));
    }
    let list = section.bytes(73, (nj as usize).saturating_mul(octets))?;
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, &byte| n << 8 | u64::from(byte));
    Ok(list.chunks_exact(octets).map(number).collect())
}

/// Adds the first point, in the units of grids that are not on parallels.
fn corner(grid: Grid, section: &Octets<'_>, octet: usize) -> Result<Grid> {
    let scan = grid.scan;
    Ok(grid
        .with_number("GRIB_latitudeOfFirstGridPointInDegrees", degrees(section, octet)?)
        .with_number("GRIB_longitudeOfFirstGridPointInDegrees", degrees(section, octet + 4)?)
        .with("GRIB_iScansNegatively", Scalar::of(i64::from(scan.is_west)))
        .with("GRIB_jScansPositively", Scalar::of(i64::from(scan.is_north)))
        .with("GRIB_shapeOfTheEarth", Scalar::of(i64::from(section.octet(15)?))))
}

fn degrees(section: &Octets<'_>, octet: usize) -> Result<f64> {
    Ok(section.signed(octet, 4)? as f64 / MILLIONTH)
}

fn metres(section: &Octets<'_>, octet: usize) -> Result<f64> {
    Ok(section.unsigned(octet, 4)? as f64 / MILLIMETRE)
}

/// Turns a grid on parallels and meridians of a rotated globe into places on ours.
fn rotated(grid: Grid, section: &Octets<'_>) -> Result<Grid> {
    let rotation = Rotation { south_pole: place(section, 73)?, angle: section.ieee(81)? };
    Ok(corner(grid, section, 47)?
        .with_number("GRIB_latitudeOfLastGridPointInDegrees", degrees(section, 56)?)
        .with_number("GRIB_longitudeOfLastGridPointInDegrees", degrees(section, 60)?)
        .rotated(rotation))
}

fn place(section: &Octets<'_>, octet: usize) -> Result<Place> {
    Ok(Place { latitude: degrees(section, octet)?, longitude: degrees(section, octet + 4)? })
}

fn steps(section: &Octets<'_>, octet: usize) -> Result<(f64, f64)> {
    Ok((metres(section, octet)?, metres(section, octet + 4)?))
}

fn mercator(section: &Octets<'_>) -> Result<Grid> {
    let grid = Grid::new("mercator", rows(section)?, Scan::parse(section.octet(60)?)?)?;
    let true_at = degrees(section, 48)?;
    let grid = corner(grid, section, 39)?
        .with_number("GRIB_LaDInDegrees", true_at)
        .with_number("GRIB_latitudeOfLastGridPointInDegrees", degrees(section, 52)?)
        .with_number("GRIB_longitudeOfLastGridPointInDegrees", degrees(section, 56)?)
        .with_number("GRIB_orientationOfTheGridInDegrees", degrees(section, 61)?)
        .with_number("GRIB_DiInMetres", metres(section, 65)?)
        .with_number("GRIB_DjInMetres", metres(section, 69)?);
    let of = |earth| Mercator::new(earth, true_at).map(Projection::Mercator);
    let projection = Earth::of_edition_2(section)?.and_then(of);
    Ok(grid.on_plane(projection, place(section, 39)?, steps(section, 65)?))
}

fn conic(kind: &'static str, section: &Octets<'_>) -> Result<Grid> {
    let grid = Grid::new(kind, rows(section)?, Scan::parse(section.octet(65)?)?)?;
    let (true_at, central) = (degrees(section, 48)?, degrees(section, 52)?);
    let (first, steps) = (place(section, 39)?, steps(section, 56)?);
    let (centre_flags, earth) = (section.octet(64)?, Earth::of_edition_2(section)?);
    let grid = corner(grid, section, 39)?
        .with_number("GRIB_LaDInDegrees", true_at)
        .with_number("GRIB_LoVInDegrees", central)
        .with_number("GRIB_DxInMetres", steps.0)
        .with_number("GRIB_DyInMetres", steps.1)
        .with("GRIB_projectionCentreFlag", Scalar::of(i64::from(centre_flags)));
    if kind != "lambert" {
        let is_south = centre_flags & 0x80 != 0;
        let of = |earth| Conic::polar(earth, central, true_at, is_south).map(Projection::Conic);
        return Ok(grid.on_plane(earth.and_then(of), first, steps));
    }
    let parallels = [degrees(section, 66)?, degrees(section, 70)?];
    let of = |earth| Conic::lambert(earth, central, parallels).map(Projection::Conic);
    Ok(grid
        .with_number("GRIB_Latin1InDegrees", parallels[0])
        .with_number("GRIB_Latin2InDegrees", parallels[1])
        .with_number("GRIB_latitudeOfSouthernPoleInDegrees", degrees(section, 74)?)
        .with_number("GRIB_longitudeOfSouthernPoleInDegrees", degrees(section, 78)?)
        .on_plane(earth.and_then(of), first, steps))
}

fn equal_area(section: &Octets<'_>) -> Result<Grid> {
    let scan = Scan::parse(section.octet(64)?)?;
    let grid = Grid::new("lambert_azimuthal_equal_area", rows(section)?, scan)?;
    let (centre, steps) = (place(section, 47)?, steps(section, 56)?);
    let of = |earth| Projection::EqualArea(EqualArea::new(earth, centre));
    let projection = Earth::of_edition_2(section)?.map(of);
    Ok(corner(grid, section, 39)?
        .with_number("GRIB_standardParallelInDegrees", centre.latitude)
        .with_number("GRIB_centralLongitudeInDegrees", centre.longitude)
        .with_number("GRIB_DxInMetres", steps.0)
        .with_number("GRIB_DyInMetres", steps.1)
        .on_plane(projection, place(section, 39)?, steps))
}
