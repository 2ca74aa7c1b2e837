//! Messages of edition 1: sections 1 to 4, each of which begins with its length.

use array::error::Result;

use super::grids::Grids;
use super::scan::check_length;
use super::window::Window;
use crate::calendar::{Moment, TimeUnit};
use crate::fault::{corrupt, unsupported};
use crate::field::{Field, Packed, Packing, Scale, SecondOrder, Step};
use crate::grid::{Grid, Shape, parse_edition_1};
use crate::levels;
use crate::octets::Octets;
use crate::parameters::{self, ECMWF};
use crate::sniff::END;

/// Bytes of section 0.
const INDICATOR_BYTES: u64 = 8;
/// Bytes of the data section before the values.
const DATA_HEAD_BYTES: u64 = 11;
/// A length of three bytes with this bit counts 120 bytes.
const LARGE: u64 = 0x80_0000;
/// Types of ECMWF that are members of an ensemble: control and perturbed forecasts.
const MEMBERS: [u64; 2] = [10, 11];

/// The length of the message that begins here.
///
/// Lengths above 8 MiB are counted by 120 bytes, and the length of section 4 says how many of the
/// last of them are too many: a custom of ECMWF, which all readers follow.
///
/// # Errors
/// A message that ends inside of its headers.
pub(super) fn length(window: &mut Window<'_>, start: u64) -> Result<u64> {
    let head = window.section(start, INDICATOR_BYTES, window.file_length())?;
    let told = Octets::new(&head, "section 0").unsigned(5, 3)?;
    if told & LARGE == 0 {
        return Ok(told);
    }
    let places = Places::find(window, start, window.file_length())?;
    Ok(match places.data {
        (_, excess) if excess < 120 => ((told & !LARGE) * 120 + 4).saturating_sub(excess),
        _ => told,
    })
}

/// Where the sections of a message lie: start and length.
struct Places {
    product: (u64, u64),
    grid: Option<(u64, u64)>,
    bitmap: Option<(u64, u64)>,
    data: (u64, u64),
}

impl Places {
    fn find(window: &mut Window<'_>, start: u64, limit: u64) -> Result<Self> {
        let mut at = start + INDICATOR_BYTES;
        let mut next = |window: &mut Window<'_>| {
            let head = window.section(at, 3, limit)?;
            let length = Octets::new(&head, "a section").unsigned(1, 3)?;
            let place = (at, length);
            at += length;
            Ok::<_, array::error::Error>(place)
        };
        let product = next(window)?;
        let head = window.section(product.0, product.1, limit)?;
        let flags = Octets::new(&head, "section 1").octet(8)?;
        let grid = if flags & 0x80 == 0 { None } else { Some(next(window)?) };
        let bitmap = if flags & 0x40 == 0 { None } else { Some(next(window)?) };
        Ok(Self { product, grid, bitmap, data: next(window)? })
    }
}

/// Reads the headers of a message that lies between `start` and `end`.
///
/// # Errors
/// Damage, or a feature that this reader does not offer.
pub(super) fn parse(
    window: &mut Window<'_>,
    grids: &mut Grids,
    start: u64,
    end: u64,
) -> Result<Field> {
    let limit = end - END.len() as u64;
    let places = Places::find(window, start, limit)?;
    let product = window.section(places.product.0, places.product.1, limit)?;
    let product = Octets::new(&product, "section 1");
    let Some((at, length)) = places.grid else {
        let number = product.octet(7)?;
        return Err(unsupported(format!("the grid {number}, which is only named")));
    };
    let section = window.section(at, length, limit)?;
    let grid = grids.place(1, &section, || parse_edition_1(&Octets::new(&section, "section 2")))?;
    let packed = packed(window, &places, limit, product.signed(27, 2)?, grids.get(grid))?;
    let centre = product.unsigned(5, 1)? as u16;
    let sub_centre = product.unsigned(26, 1)? as u16;
    let (reference, step) = times(&product, centre)?;
    let (member, is_ensemble) = member(&product, centre, sub_centre)?;
    Ok(Field {
        offset: start,
        edition: 1,
        centre,
        parameter: parameters::of_edition_1(
            product.octet(4)?,
            product.octet(9)?,
            centre,
            sub_centre,
        ),
        level: levels::of_edition_1(&product)?,
        reference,
        is_forecast: step.end != 0,
        step,
        member,
        is_ensemble,
        derived: None,
        grid,
        packed,
    })
}

/// When the forecast begins, and what time it is for: octets 13 to 25.
fn times(product: &Octets<'_>, centre: u16) -> Result<(i64, Step)> {
    let number = |octet| Ok::<_, array::error::Error>(i64::from(product.octet(octet)?));
    // The last year of a century is its hundredth.
    let year = (number(25)? - 1) * 100 + number(13)?;
    let date = [year, number(14)?, number(15)?];
    let moment = Moment::new(date, [number(16)?, number(17)?, 0])?;
    let unit = TimeUnit::of_edition_1(product.octet(18)?)?;
    let after = |count: i64| unit.seconds(count, moment);
    let (first, second) = (number(19)?, number(20)?);
    let range = |kind| Step { start: after(first), end: after(second), kind };
    let instant = |count: i64| Step { start: after(count), end: after(count), kind: "instant" };
    let step = match product.octet(21)? {
        0 => instant(first),
        1 => instant(0),
        10 => instant(first << 8 | second),
        // ECMWF has no other way to write maxima.
        2 => range(if centre == ECMWF { "max" } else { "accum" }),
        3 => range("avg"),
        4 => range("accum"),
        5 => range("diff"),
        113 => Step { kind: "avgfc", ..instant(first) },
        118 => range("max"),
        119 => range("min"),
        123 => Step { kind: "avgua", ..instant(0) },
        other => return Err(unsupported(format!("the time range indicator {other}"))),
    };
    Ok((moment.seconds(), step))
}

/// The member of an ensemble, which the local part of ECMWF tells, and whether it is one.
fn member(product: &Octets<'_>, centre: u16, sub_centre: u16) -> Result<(Option<i64>, bool)> {
    if product.len() < 50 || centre != ECMWF && sub_centre != ECMWF {
        return Ok((None, false));
    }
    let is_ensemble = MEMBERS.contains(&product.unsigned(43, 1)?);
    let number = match product.octet(41)? {
        1 | 26 | 30 | 36 => product.unsigned(50, 1)?,
        12 | 15 | 16 => product.unsigned(50, 2)?,
        _ => return Ok((None, false)),
    };
    Ok((Some(number as i64), is_ensemble))
}

/// Where values and bitmap lie, and how values are packed: sections 3 and 4.
fn packed(
    window: &mut Window<'_>,
    places: &Places,
    limit: u64,
    decimal: i64,
    grid: &Grid,
) -> Result<Packed> {
    let point_count = grid.shape.point_count();
    let bitmap = match places.bitmap {
        None => None,
        Some((at, length)) => {
            let head = window.section(at, 6, limit)?;
            let number = Octets::new(&head, "section 3").unsigned(5, 2)?;
            if number != 0 {
                return Err(unsupported(format!("the bitmap {number}, which is only named")));
            }
            let bytes = length.checked_sub(6).filter(|bytes| *bytes >= point_count.div_ceil(8));
            let bytes = bytes.ok_or_else(|| {
                corrupt(format!("a bitmap section of {length} bytes for {point_count} points"))
            })?;
            Some(at + 6..at + 6 + bytes)
        }
    };
    let (at, told) = places.data;
    // In a large message the length of the section is not what it says.
    let data_end = if told < 120 && limit - at > 120 { limit } else { at.saturating_add(told) };
    if data_end > limit || data_end < at + DATA_HEAD_BYTES {
        return Err(corrupt(format!("a data section of {told} bytes leaves the message")));
    }
    let head = window.section(at, DATA_HEAD_BYTES.max(32).min(data_end - at), limit)?;
    let section = Octets::new(&head, "section 4");
    let flags = section.octet(4)?;
    let scale = Scale {
        reference: section.ibm(7)?,
        binary: section.signed(5, 2)?,
        decimal,
        width: section.octet(11)?.into(),
    };
    let (packing, head_bytes) = packing(&section, flags, scale, grid, bitmap.is_some())?;
    let data = at + head_bytes..data_end;
    if matches!(packing, Packing::Simple(_)) && bitmap.is_none() {
        check_length(point_count, scale.width, data.end.saturating_sub(data.start))?;
    }
    Ok(Packed { point_count, value_count: None, bitmap, data, packing })
}

fn packing(
    section: &Octets<'_>,
    flags: u8,
    scale: Scale,
    grid: &Grid,
    has_bitmap: bool,
) -> Result<(Packing, u64)> {
    if flags & 0x80 != 0 {
        return Err(unsupported("spherical harmonics, which are no values on a grid"));
    }
    if flags & 0x40 == 0 {
        if flags & 0x10 != 0 {
            return Err(unsupported("a matrix of values at every point"));
        }
        if scale.width > 32 {
            return Err(unsupported(format!("integers of {} bits", scale.width)));
        }
        return Ok((Packing::Simple(scale), DATA_HEAD_BYTES));
    }
    let extended = section.octet(14)?;
    // No matrix, no secondary bitmap, groups of different widths, their general extended form.
    if extended & 0x78 != 0x18 {
        let message = format!("second-order packing of the kind {extended:#010b}");
        return Err(unsupported(message));
    }
    let order = extended & 3;
    let is_backward = extended & 4 != 0;
    let backward_row = match grid.shape {
        Shape::Rows { ni, .. } if is_backward => Some(ni),
        _ if is_backward => return Err(unsupported("rows of many lengths that run both ways")),
        _ => None,
    };
    if is_backward && has_bitmap {
        return Err(unsupported("rows that run both ways, and a bitmap"));
    }
    let (descriptor_bits, head_bytes) =
        if order > 0 { (section.octet(26)?.into(), 26) } else { (0, 25) };
    let second = SecondOrder {
        first_bits: section.octet(11)?.into(),
        group_count: section.unsigned(17, 2)? + (section.unsigned(21, 1)? << 16),
        width_bits: section.octet(22)?.into(),
        length_bits: section.octet(23)?.into(),
        order,
        descriptor_bits,
        backward_row,
    };
    let widths = [second.first_bits, second.width_bits, second.length_bits, descriptor_bits];
    if widths.iter().any(|&width| width > 32) {
        return Err(corrupt(format!("groups of {widths:?} bits")));
    }
    Ok((Packing::SecondOrder(scale, second), head_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_century_turns_at_the_end_of_its_last_year() {
        let mut bytes = vec![0u8; 28];
        bytes[12..21].copy_from_slice(&[100, 12, 31, 18, 0, 1, 0, 0, 0]);
        bytes[24] = 20;
        let (reference, _) = times(&Octets::new(&bytes, "section 1"), 0).expect("a date");
        // 2000-12-31T18:00:00Z.
        assert_eq!(reference, 978_285_600);
    }
}
