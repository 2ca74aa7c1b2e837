//! One field: its bytes, its packing, its order.

use array::error::Result;
use bytes::Bytes;

use super::complex;
use super::order;
use super::pictures;
use super::plain;
use super::second_order;
use super::sink::{Real, Sink};
use crate::fault::corrupt;
use crate::field::{Packed, Packing, Scale};
use crate::grid::Grid;

/// What was fetched of a field.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    /// The bitmap, if there is one.
    pub(crate) bitmap: Option<Bytes>,
    /// The packed values.
    pub(crate) data: Bytes,
}

/// Decodes all values of a field, in rows that run alike; missing ones are NaN.
///
/// Memory: the values, and for pictures and CCSDS as many integers beside them.
///
/// # Errors
/// Bytes that do not hold what the header says.
pub(crate) fn decode<T: Real>(packed: &Packed, encoded: &Encoded, grid: &Grid) -> Result<Vec<T>> {
    let mut sink = Sink::new(packed.point_count as usize, encoded.bitmap.as_deref());
    let count = sink.value_count();
    if packed.value_count.is_some_and(|told| told != count as u64) {
        let told = packed.value_count.unwrap_or(0);
        return Err(corrupt(format!("{told} values are packed, the bitmap has {count} points")));
    }
    let data = &encoded.data;
    match &packed.packing {
        Packing::Complex(scale, groups) => complex::unpack(data, scale, groups, count, &mut sink)?,
        Packing::Ieee { bytes } => plain::unpack_floats(data, *bytes, count, &mut sink)?,
        Packing::SecondOrder(scale, second) => {
            second_order::unpack(data, scale, second, count, &mut sink)?;
        }
        Packing::Simple(scale)
        | Packing::Ccsds(scale, _)
        | Packing::Jpeg2000(scale)
        | Packing::Png(scale)
            if scale.width == 0 =>
        {
            constant(scale, count, &mut sink);
        }
        Packing::Simple(scale) => plain::unpack(data, scale, count, &mut sink)?,
        Packing::Ccsds(scale, options) => {
            pictures::unpack_ccsds(data, scale, options, count, &mut sink)?;
        }
        Packing::Jpeg2000(scale) => pictures::unpack_jpeg2000(data, scale, count, &mut sink)?,
        Packing::Png(scale) => pictures::unpack_png(data, scale, count, &mut sink)?,
    }
    let values = sink.finish()?;
    Ok(order::in_rows(values, grid.shape, grid.scan))
}

/// A field without bits is its reference, to which writers do not apply the decimal scale.
pub(super) fn constant<T: Real>(scale: &Scale, count: usize, sink: &mut Sink<'_, T>) {
    (0..count).for_each(|_| sink.push(scale.reference));
}
