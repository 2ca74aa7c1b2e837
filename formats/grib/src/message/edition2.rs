//! Messages of edition 2: sections that say their number, some of which may come again.

use array::error::Result;
use bytes::Bytes;

use super::grids::Grids;
use super::product::{Product, Source, product};
use super::scan::check_length;
use super::window::Window;
use crate::calendar::Moment;
use crate::fault::{corrupt, of_the_file, unsupported};
use crate::field::{CcsdsOptions, Field, Groups, Packed, Packing, Scale};
use crate::grid::parse_edition_2;
use crate::octets::Octets;
use crate::sniff::END;

/// Bytes of section 0.
const INDICATOR_BYTES: u64 = 16;
/// Length and number of a section.
const SECTION_HEAD_BYTES: u64 = 5;

/// Sections that hold until they come again.
#[derive(Default)]
struct Current {
    source: Option<Source>,
    grid: Option<Result<usize>>,
    product: Option<Result<Product>>,
    representation: Option<Bytes>,
    /// Where a bitmap lies; `Some(None)` if there is none.
    bitmap: Option<Result<Option<std::ops::Range<u64>>>>,
    /// The bitmap that a later section may refer to.
    defined: Option<std::ops::Range<u64>>,
}

/// Reads the headers of a message that lies between `start` and `end`: its fields, those among
/// them that this reader cannot read as errors.
///
/// # Errors
/// Damage of the message as a whole.
pub(super) fn parse(
    window: &mut Window<'_>,
    grids: &mut Grids,
    start: u64,
    end: u64,
) -> Result<Vec<Result<Field>>> {
    let limit = end - END.len() as u64;
    let head = window.section(start, INDICATOR_BYTES, limit)?;
    let discipline = head[6];
    let mut current = Current::default();
    let mut fields = Vec::new();
    let mut at = start + INDICATOR_BYTES;
    while at < limit {
        let head = window.section(at, SECTION_HEAD_BYTES, limit)?;
        let head = Octets::new(&head, "a section");
        let (length, number) = (head.unsigned(1, 4)?, head.octet(5)?);
        if length < SECTION_HEAD_BYTES || length > limit - at {
            let message = format!("section {number} at byte {at} has {length} bytes");
            return Err(corrupt(message));
        }
        if number == 7 {
            let data = at + SECTION_HEAD_BYTES..at + length;
            fields.push(of_the_file(field(&current, grids, start, data))?);
        } else {
            let section = Section { number, at, length, discipline };
            current.take(window, grids, &section, limit)?;
        }
        at += length;
    }
    if fields.is_empty() {
        return Err(corrupt("the message has no section 7: no values"));
    }
    Ok(fields)
}

struct Section {
    number: u8,
    at: u64,
    length: u64,
    discipline: u8,
}

impl Current {
    fn take(
        &mut self,
        window: &mut Window<'_>,
        grids: &mut Grids,
        section: &Section,
        limit: u64,
    ) -> Result<()> {
        let whole = |window: &mut Window<'_>| window.section(section.at, section.length, limit);
        match section.number {
            1 => self.source = Some(source(&Octets::new(&whole(window)?, "section 1"))?),
            // Local use: nothing that is needed here.
            2 => {}
            3 => {
                let bytes = whole(window)?;
                let parse = || parse_edition_2(&Octets::new(&bytes, "section 3"));
                self.grid = Some(of_the_file(grids.place(2, &bytes, parse))?);
            }
            4 => {
                let source = self.source.ok_or_else(|| corrupt("section 4 before section 1"))?;
                let bytes = whole(window)?;
                let octets = Octets::new(&bytes, "section 4");
                self.product = Some(of_the_file(product(&octets, section.discipline, &source))?);
            }
            5 => self.representation = Some(Bytes::copy_from_slice(&whole(window)?)),
            6 => {
                let head = window.section(section.at, SECTION_HEAD_BYTES + 1, limit)?;
                let end = section.at + section.length;
                self.bitmap = Some(match head[5] {
                    0 => {
                        self.defined = Some(section.at + SECTION_HEAD_BYTES + 1..end);
                        Ok(self.defined.clone())
                    }
                    254 => match &self.defined {
                        Some(range) => Ok(Some(range.clone())),
                        None => Err(corrupt("a bitmap as defined before, and none was")),
                    },
                    255 => Ok(None),
                    other => Err(unsupported(format!("the bitmap {other}, which is only named"))),
                });
            }
            other => return Err(corrupt(format!("section {other} at byte {}", section.at))),
        }
        Ok(())
    }
}

fn source(section: &Octets<'_>) -> Result<Source> {
    let number =
        |octet, count| Ok::<_, array::error::Error>(section.unsigned(octet, count)? as i64);
    let date = [number(13, 2)?, number(15, 1)?, number(16, 1)?];
    let time = [number(17, 1)?, number(18, 1)?, number(19, 1)?];
    Ok(Source {
        centre: section.unsigned(6, 2)? as u16,
        sub_centre: section.unsigned(8, 2)? as u16,
        versions: [section.octet(10)?, section.octet(11)?],
        reference: Moment::new(date, time)?,
        data_type: section.octet(21)?,
    })
}

fn field(
    current: &Current,
    grids: &Grids,
    start: u64,
    data: std::ops::Range<u64>,
) -> Result<Field> {
    let missing = |number: u8| corrupt(format!("section 7 without section {number} before it"));
    let source = current.source.as_ref().ok_or_else(|| missing(1))?;
    let grid = current.grid.clone().ok_or_else(|| missing(3))??;
    let product = current.product.clone().ok_or_else(|| missing(4))??;
    let representation = current.representation.as_ref().ok_or_else(|| missing(5))?;
    let bitmap = current.bitmap.clone().ok_or_else(|| missing(6))??;
    let section = Octets::new(representation, "section 5");
    let point_count = grids.get(grid).shape.point_count();
    let value_count = section.unsigned(6, 4)?;
    check_counts(point_count, value_count, bitmap.as_ref())?;
    let packing = packing(&section)?;
    let length = data.end - data.start;
    match &packing {
        Packing::Simple(scale) => check_length(value_count, scale.width, length)?,
        Packing::Ieee { bytes } => check_length(value_count, *bytes as u32 * 4, length / 2)?,
        Packing::Ccsds(scale, _) | Packing::Jpeg2000(scale) | Packing::Png(scale) => {
            check_length(0, scale.width, 0)?;
        }
        Packing::Complex(scale, _) | Packing::SecondOrder(scale, _) => {
            check_length(0, scale.width, 0)?;
        }
    }
    let Product { parameter, level, step, member, is_ensemble, is_forecast, derived } = product;
    Ok(Field {
        offset: start,
        edition: 2,
        centre: source.centre,
        parameter,
        level,
        reference: source.reference.seconds(),
        step,
        member,
        is_ensemble,
        is_forecast,
        derived,
        grid,
        packed: Packed { point_count, value_count: Some(value_count), bitmap, data, packing },
    })
}

fn check_counts(points: u64, values: u64, bitmap: Option<&std::ops::Range<u64>>) -> Result<()> {
    match bitmap {
        None if points != values => {
            Err(corrupt(format!("{values} values without a bitmap on a grid of {points} points")))
        }
        Some(range) if range.end - range.start < points.div_ceil(8) => {
            let bytes = range.end - range.start;
            Err(corrupt(format!("a bitmap of {bytes} bytes for {points} points")))
        }
        _ => Ok(()),
    }
}

/// How values are packed: templates of section 5.
fn packing(section: &Octets<'_>) -> Result<Packing> {
    let template = section.unsigned(10, 2)?;
    if template == 4 {
        return match section.octet(12)? {
            1 => Ok(Packing::Ieee { bytes: 4 }),
            2 => Ok(Packing::Ieee { bytes: 8 }),
            other => Err(unsupported(format!("floats of precision {other}"))),
        };
    }
    if !matches!(template, 0 | 2 | 3 | 40 | 41 | 42 | 40_000 | 40_010) {
        let message = format!("the packing of data representation template 5.{template}");
        return Err(unsupported(message));
    }
    let scale = Scale {
        reference: section.ieee(12)?,
        binary: section.signed(16, 2)?,
        decimal: section.signed(18, 2)?,
        width: section.octet(20)?.into(),
    };
    Ok(match template {
        0 => Packing::Simple(scale),
        2 | 3 => Packing::Complex(scale, Box::new(groups(section, template == 3)?)),
        40 | 40_000 => Packing::Jpeg2000(scale),
        41 | 40_010 => Packing::Png(scale),
        _ => Packing::Ccsds(
            scale,
            CcsdsOptions {
                flags: section.octet(22)?,
                block_size: section.octet(23)?.into(),
                reference_interval: section.unsigned(24, 2)? as u32,
            },
        ),
    })
}

fn groups(section: &Octets<'_>, has_differences: bool) -> Result<Groups> {
    let groups = Groups {
        missing: section.octet(23)?,
        count: section.unsigned(32, 4)?,
        width_reference: section.unsigned(36, 1)?,
        width_bits: section.octet(37)?.into(),
        length_reference: section.unsigned(38, 4)?,
        length_increment: section.unsigned(42, 1)?,
        last_length: section.unsigned(43, 4)?,
        length_bits: section.octet(47)?.into(),
        order: if has_differences { section.octet(48)? } else { 0 },
        descriptor_octets: if has_differences { section.octet(49)?.into() } else { 0 },
    };
    if groups.missing > 2 || groups.order > 2 {
        let (missing, order) = (groups.missing, groups.order);
        let message = format!("missing values of kind {missing}, differences of order {order}");
        return Err(unsupported(message));
    }
    if groups.width_bits > 32 || groups.length_bits > 32 || groups.descriptor_octets > 4 {
        return Err(corrupt("groups whose widths need more than 32 bits"));
    }
    Ok(groups)
}
