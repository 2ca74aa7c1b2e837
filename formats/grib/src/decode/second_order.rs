//! Second-order packing of edition 1, in its general extended form.
//!
//! Source: ECMWF, "GRIB 1 second-order packing", as ecCodes reads `grid_second_order`.

use array::error::Result;

use super::sink::{Real, Scaling, Sink};
use crate::bits::Bits;
use crate::fault::corrupt;
use crate::field::{Scale, SecondOrder};
use crate::octets::sign_and_magnitude;

/// Wider integers are damage.
const MOST_WIDTH: u64 = 32;

/// Unpacks groups, or differences of up to the third order.
///
/// # Errors
/// Groups that do not hold as many values as there are, or too few bytes.
pub(super) fn unpack<T: Real>(
    data: &[u8],
    scale: &Scale,
    second: &SecondOrder,
    count: usize,
    sink: &mut Sink<'_, T>,
) -> Result<()> {
    let order = usize::from(second.order);
    let mut heads = Bits::new(data);
    let mut integers = Vec::with_capacity(count.min(data.len() * 64));
    let mut bias = 0;
    if order > 0 {
        for _ in 0..order {
            integers.push(heads.read(second.descriptor_bits)? as i64);
        }
        let bits = second.descriptor_bits.max(1);
        bias = sign_and_magnitude(heads.read(bits)?, bits as usize);
        heads.align();
    }
    let mut widths = heads.clone();
    heads.skip(second.group_count, second.width_bits)?;
    let mut lengths = heads.clone();
    heads.skip(second.group_count, second.length_bits)?;
    let mut firsts = heads.clone();
    heads.skip(second.group_count, second.first_bits)?;
    let mut values = heads.rest();
    for index in 0..second.group_count {
        let width = widths.read(second.width_bits)?;
        let length = lengths.read(second.length_bits)?;
        let first = firsts.read(second.first_bits)? as i64;
        let end = integers.len() as u64 + length;
        if end > count as u64 || width > MOST_WIDTH {
            let message = format!("group {index} has {length} values of {width} bits, too many");
            return Err(corrupt(message));
        }
        for _ in 0..length {
            integers.push(first + values.read(width as u32)? as i64);
        }
    }
    if integers.len() != count {
        let found = integers.len();
        return Err(corrupt(format!("{found} of {count} values are packed")));
    }
    undo_differences(&mut integers, order, bias);
    if let Some(row) = second.backward_row {
        integers.chunks_mut(row as usize).skip(1).step_by(2).for_each(<[i64]>::reverse);
    }
    let scaling = Scaling::new(scale);
    integers.iter().for_each(|&integer| sink.push(scaling.value(integer as f64)));
    Ok(())
}

fn undo_differences(integers: &mut [i64], order: usize, bias: i64) {
    let start = order;
    // The last differences of every lower order; numbers of damaged files may wrap.
    let mut last = [0i64; 3];
    if order == 0 || integers.len() <= order {
        return;
    }
    last[0] = integers[start - 1];
    if order >= 2 {
        last[1] = integers[start - 1].wrapping_sub(integers[start - 2]);
    }
    if order >= 3 {
        let before = integers[start - 2].wrapping_sub(integers[start - 3]);
        last[2] = last[1].wrapping_sub(before);
    }
    for integer in &mut integers[start..] {
        let mut sum = integer.wrapping_add(bias);
        for place in (0..order).rev() {
            sum = last[place].wrapping_add(sum);
            last[place] = sum;
        }
        *integer = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::undo_differences;

    #[test]
    fn differences_of_every_order_come_back() {
        let values: Vec<i64> = (0..12).map(|i| i * i * i - 5 * i * i + 7).collect();
        for order in 1..=3 {
            let mut stored = values.clone();
            for _ in 0..order {
                for place in (1..stored.len()).rev() {
                    stored[place] -= stored[place - 1];
                }
            }
            let mut packed = values[..order].to_vec();
            packed.extend(stored[order..].iter().map(|difference| difference - 4));
            undo_differences(&mut packed, order, 4);
            assert_eq!(packed, values, "order {order}");
        }
    }
}
