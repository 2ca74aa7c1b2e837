//! What is measured, where and when: section 4 of edition 2.

use array::error::Result;

use crate::calendar::{Moment, TimeUnit};
use crate::fault::unsupported;
use crate::field::Step;
use crate::levels::{self, Level};
use crate::octets::Octets;
use crate::parameters::{self, ECMWF, Keys, LAST_EARLY_VERSION, Parameter};

/// What section 1 says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) centre: u16,
    pub(super) sub_centre: u16,
    /// Versions of the master tables and of the local ones.
    pub(super) versions: [u8; 2],
    pub(super) reference: Moment,
    /// Analysis, forecast, members of an ensemble: code table 1.4.
    pub(super) data_type: u8,
}

/// What section 4 says.
#[derive(Debug, Clone)]
pub(super) struct Product {
    pub(super) parameter: Parameter,
    pub(super) level: Level,
    pub(super) step: Step,
    pub(super) member: Option<i64>,
    pub(super) is_ensemble: bool,
    pub(super) is_forecast: bool,
    pub(super) derived: Option<u8>,
}

/// Where the parts of a template begin, in octets of section 4, beyond those that all share.
#[derive(Debug, Clone, Copy)]
struct Template {
    /// The number of the member.
    member: Option<usize>,
    /// What was made out of all members.
    derived: Option<usize>,
    /// The end of the time range, before the list of ranges.
    range: Option<usize>,
}

fn template(number: u64) -> Result<Template> {
    let (member, derived, range) = match number {
        0 => (None, None, None),
        1 | 60 => (Some(36), None, None),
        2 => (None, Some(35), None),
        8 => (None, None, Some(35)),
        11 => (Some(36), None, Some(38)),
        12 => (None, Some(35), Some(37)),
        61 => (Some(36), None, Some(45)),
        other => {
            return Err(unsupported(format!("the product definition template 4.{other}")));
        }
    };
    Ok(Template { member, derived, range })
}

/// Reads section 4.
///
/// # Errors
/// A template that this reader does not know, or damage.
pub(super) fn product(section: &Octets<'_>, discipline: u8, source: &Source) -> Result<Product> {
    let template = template(section.unsigned(8, 2)?)?;
    let range = template.range.map(|octet| Range::parse(section, octet)).transpose()?;
    let keys = Keys {
        place: [discipline, section.octet(10)?, section.octet(11)?],
        centre: source.centre,
        versions: source.versions,
        is_early: source.versions[0] <= LAST_EARLY_VERSION
            && (source.centre == ECMWF || source.sub_centre == ECMWF),
        processing: range.as_ref().map(|range| range.processing.into()),
        surfaces: [section.octet(23)?, section.octet(29)?],
        scales: [section.present_signed(24, 1)?, section.present_signed(30, 1)?],
        values: [section.present_signed(25, 4)?, section.present_signed(31, 4)?],
        process: section.octet(12)?.into(),
        range_length: range.as_ref().map(|range| range.length),
        range_unit: range.as_ref().map(|range| range.unit.into()),
    };
    let member = template.member.map(|octet| section.octet(octet)).transpose()?;
    Ok(Product {
        parameter: parameters::of_edition_2(&keys),
        level: levels::of_edition_2(&keys),
        step: step(section, source, range.as_ref())?,
        member: member.map(i64::from),
        is_ensemble: member.is_some(),
        is_forecast: source.data_type != 0,
        derived: template.derived.map(|octet| section.octet(octet)).transpose()?,
    })
}

/// A time range over which values were combined.
struct Range {
    end: Option<Moment>,
    count: u8,
    processing: u8,
    /// 1: values of successive forecasts, which all begin later; 2: of successive times of one.
    increment: u8,
    unit: u8,
    length: i64,
}

impl Range {
    fn parse(section: &Octets<'_>, at: usize) -> Result<Self> {
        let number =
            |octet, count| Ok::<_, array::error::Error>(section.unsigned(octet, count)? as i64);
        let date = [number(at, 2)?, number(at + 2, 1)?, number(at + 3, 1)?];
        let time = [number(at + 4, 1)?, number(at + 5, 1)?, number(at + 6, 1)?];
        Ok(Self {
            // Some writers leave it empty.
            end: Moment::new(date, time).ok(),
            count: section.octet(at + 7)?,
            processing: section.octet(at + 12)?,
            increment: section.octet(at + 13)?,
            unit: section.octet(at + 14)?,
            length: number(at + 15, 4)?,
        })
    }
}

fn step(section: &Octets<'_>, source: &Source, range: Option<&Range>) -> Result<Step> {
    let unit = TimeUnit::of_edition_2(section.octet(18)?)?;
    let count = section.present_signed(19, 4)?.unwrap_or(0);
    let start = unit.seconds(count, source.reference);
    let Some(range) = range else { return Ok(Step { start, end: start, kind: "instant" }) };
    let kind = match range.processing {
        0 => "avg",
        1 => "accum",
        2 => "max",
        3 => "min",
        4 => "diff",
        5 => "rms",
        6 => "sd",
        7 => "cov",
        9 => "ratio",
        11 => "sum",
        13 => "median",
        255 => "instant",
        other => return Err(unsupported(format!("the statistical processing {other}"))),
    };
    let told = range.end.map(|end| end.seconds() - source.reference.seconds());
    let end = match (range.count, range.increment) {
        (1, 1) => start,
        (1, _) => match TimeUnit::of_edition_2(range.unit)? {
            TimeUnit::Seconds(unit) => start.saturating_add(range.length.saturating_mul(unit)),
            unit => told.unwrap_or_else(|| unit.seconds(range.length, source.reference)),
        },
        _ => told.unwrap_or(start),
    };
    Ok(Step { start, end, kind })
}
