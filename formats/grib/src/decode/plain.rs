//! Values of one width: integers and floats.

use array::error::Result;

use super::sink::{Real, Scaling, Sink};
use crate::bits::Bits;
use crate::fault::corrupt;
use crate::field::Scale;

/// Simple packing.
///
/// # Errors
/// Too few bytes.
pub(super) fn unpack<T: Real>(
    data: &[u8],
    scale: &Scale,
    count: usize,
    sink: &mut Sink<'_, T>,
) -> Result<()> {
    let scaling = Scaling::new(scale);
    match scale.width {
        8 => enough(data, count, 1)?
            .iter()
            .for_each(|&byte| sink.push(scaling.value(f64::from(byte)))),
        16 => enough(data, count, 2)?
            .as_chunks::<2>()
            .0
            .iter()
            .for_each(|pair| sink.push(scaling.value(f64::from(u16::from_be_bytes(*pair))))),
        width => {
            let mut bits = Bits::new(data);
            for _ in 0..count {
                sink.push(scaling.value(bits.read(width)? as f64));
            }
        }
    }
    Ok(())
}

/// Floats of four or eight bytes.
///
/// # Errors
/// Too few bytes.
pub(super) fn unpack_floats<T: Real>(
    data: &[u8],
    bytes: usize,
    count: usize,
    sink: &mut Sink<'_, T>,
) -> Result<()> {
    let data = enough(data, count, bytes)?;
    if bytes == 4 {
        let floats = data.as_chunks::<4>().0.iter();
        floats.for_each(|cell| sink.push(f64::from(f32::from_be_bytes(*cell))));
    } else {
        let floats = data.as_chunks::<8>().0.iter();
        floats.for_each(|cell| sink.push(f64::from_be_bytes(*cell)));
    }
    Ok(())
}

fn enough(data: &[u8], count: usize, bytes: usize) -> Result<&[u8]> {
    count.checked_mul(bytes).and_then(|wanted| data.get(..wanted)).ok_or_else(|| {
        corrupt(format!("{count} values of {bytes} bytes are packed in {}", data.len()))
    })
}
