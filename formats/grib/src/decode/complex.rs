//! Complex packing of edition 2: groups of integers of one width each, or of their differences.
//!
//! Source: WMO Manual on Codes, FM 92 GRIB, regulation 92.9.4, data templates 7.2 and 7.3.

use array::error::Result;

use super::field::constant;
use super::sink::{Real, Scaling, Sink};
use crate::bits::Bits;
use crate::fault::corrupt;
use crate::field::{Groups, Scale};
use crate::octets::sign_and_magnitude;

/// Wider integers are damage: none of their values is exact.
const MOST_WIDTH: u64 = 32;

/// Unpacks groups.
///
/// # Errors
/// Groups that do not hold as many values as there are, or too few bytes.
pub(super) fn unpack<T: Real>(
    data: &[u8],
    scale: &Scale,
    groups: &Groups,
    count: usize,
    sink: &mut Sink<'_, T>,
) -> Result<()> {
    if groups.count == 0 {
        constant(scale, count, sink);
        return Ok(());
    }
    let mut heads = Bits::new(data);
    let mut differences = Differences::read(&mut heads, groups)?;
    let mut references = heads.clone();
    heads.skip(groups.count, scale.width)?;
    let mut widths = heads.clone();
    heads.skip(groups.count, groups.width_bits)?;
    let mut lengths = heads.clone();
    heads.skip(groups.count, groups.length_bits)?;
    let mut values = heads.rest();
    let scaling = Scaling::new(scale);
    let mut left = count as u64;
    for index in 0..groups.count {
        let reference = references.read(scale.width)?;
        let width = widths.read(groups.width_bits)? + groups.width_reference;
        let steps = lengths.read(groups.length_bits)?;
        let length = match index + 1 == groups.count {
            true => groups.last_length,
            false => groups.length_reference + steps * groups.length_increment,
        };
        left = left.checked_sub(length).filter(|_| width <= MOST_WIDTH).ok_or_else(|| {
            corrupt(format!("group {index} has {length} values of {width} bits, too many"))
        })?;
        let width = width as u32;
        for _ in 0..length {
            let integer = values.read(width)?;
            // In a group of no width, its reference says whether all of it is missing.
            let (mark, bits) = if width == 0 { (reference, scale.width) } else { (integer, width) };
            if is_missing(mark, bits, groups.missing) {
                sink.push_missing();
            } else {
                let integer = differences.next(reference as i64 + integer as i64);
                sink.push(scaling.value(integer as f64));
            }
        }
    }
    if left > 0 {
        return Err(corrupt(format!("{left} of {count} values are in no group")));
    }
    Ok(())
}

/// Whether a number of so many bits stands for a missing value: the highest does, or the two
/// highest do.
fn is_missing(number: u64, bits: u32, kinds: u8) -> bool {
    let highest = (1u64 << bits) - 1;
    kinds > 0 && number == highest || kinds > 1 && highest > 0 && number == highest - 1
}

/// Undoes differences between neighbours, missing values left out.
struct Differences {
    order: u8,
    /// The first values, as they are.
    first: [i64; 2],
    /// What was taken from all differences.
    bias: i64,
    /// Values so far.
    seen: u64,
    last: i64,
    before_last: i64,
}

impl Differences {
    fn read(bits: &mut Bits<'_>, groups: &Groups) -> Result<Self> {
        let width = groups.descriptor_octets * 8;
        let (mut first, mut bias) = ([0; 2], 0);
        for value in first.iter_mut().take(groups.order.into()) {
            *value = bits.read(width)? as i64;
        }
        if groups.order > 0 && width > 0 {
            bias = sign_and_magnitude(bits.read(width)?, width as usize);
        }
        Ok(Self { order: groups.order, first, bias, seen: 0, last: 0, before_last: 0 })
    }

    fn next(&mut self, difference: i64) -> i64 {
        // Numbers of damaged files may leave the range of integers; they are wrong either way.
        let value = match self.first.get(self.seen as usize) {
            Some(first) if self.seen < self.order.into() => *first,
            _ => {
                let biased = difference.wrapping_add(self.bias);
                match self.order {
                    0 => difference,
                    1 => self.last.wrapping_add(biased),
                    _ => self
                        .last
                        .wrapping_mul(2)
                        .wrapping_sub(self.before_last)
                        .wrapping_add(biased),
                }
            }
        };
        (self.before_last, self.last) = (self.last, value);
        self.seen += 1;
        value
    }
}
