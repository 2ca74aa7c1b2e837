//! Integers that a codec of others compresses: JPEG 2000, PNG, CCSDS 121.0.
//!
//! Each is told how much it may make before it makes anything.

use array::error::Result;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
use png::{ColorType, Decoder, Limits};
use rust_aec::{AecFlags, AecParams, flags_from_grib2_ccsds_flags};

use super::guard::guarded;
use super::sink::{Real, Scaling, Sink};
use crate::bits::Bits;
use crate::fault::{corrupt, unsupported};
use crate::field::{CcsdsOptions, Scale};

/// Integers that the decoder of JPEG 2000, which computes in single precision, keeps exact.
const MOST_JPEG2000_BITS: u8 = 24;
/// Beside its pixels, what the decoder of PNG may hold.
const PNG_WORKING_BYTES: usize = 1 << 20;

/// CCSDS 121.0 lossless compression, as libaec has it.
///
/// # Errors
/// Bytes that are not such a stream of so many integers.
pub(super) fn unpack_ccsds<T: Real>(
    data: &[u8],
    scale: &Scale,
    options: &CcsdsOptions,
    count: usize,
    sink: &mut Sink<'_, T>,
) -> Result<()> {
    let mut flags = flags_from_grib2_ccsds_flags(options.flags);
    // How integers lie in memory is not the file's to say.
    flags.insert(AecFlags::MSB);
    flags.remove(AecFlags::DATA_3BYTE);
    if flags.contains(AecFlags::DATA_SIGNED) {
        return Err(unsupported("signed integers in CCSDS packing"));
    }
    let width = scale.width as u8;
    let params = AecParams::new(width, options.block_size, options.reference_interval, flags);
    let integers = guarded("CCSDS", || {
        rust_aec::decode(data, params, count).map_err(|error| corrupt(format!("CCSDS: {error}")))
    })?;
    let cell = match width {
        ..=8 => 1,
        9..=16 => 2,
        _ => 4,
    };
    let scaling = Scaling::new(scale);
    for cell in integers.chunks_exact(cell) {
        let integer = cell.iter().fold(0u32, |number, &byte| number << 8 | u32::from(byte));
        sink.push(scaling.value(f64::from(integer)));
    }
    Ok(())
}

/// JPEG 2000: one component, as many pixels as values.
///
/// # Errors
/// Bytes that are not such a picture.
pub(super) fn unpack_jpeg2000<T: Real>(
    data: &[u8],
    scale: &Scale,
    count: usize,
    sink: &mut Sink<'_, T>,
) -> Result<()> {
    let damage = |error: &dyn std::fmt::Display| corrupt(format!("JPEG 2000: {error}"));
    let scaling = Scaling::new(scale);
    guarded("JPEG 2000", || {
        let settings = DecodeSettings { resolve_palette_indices: false, ..Default::default() };
        let image = Image::new(data, &settings).map_err(|error| damage(&error))?;
        check_pixels("JPEG 2000", image.width(), image.height(), count)?;
        let bits = image.original_bit_depth();
        if bits > MOST_JPEG2000_BITS {
            return Err(unsupported(format!("JPEG 2000 packing of {bits} bits")));
        }
        let mut context = DecoderContext::default();
        let decoded = image.decode(&mut context).map_err(|error| damage(&error))?;
        let [component] = decoded.components() else {
            return Err(corrupt("JPEG 2000: more than one component"));
        };
        if component.samples().len() != count {
            return Err(corrupt("JPEG 2000: pixels are missing"));
        }
        for &sample in component.samples() {
            sink.push(scaling.value(f64::from(sample).round()));
        }
        Ok(())
    })
}

/// PNG: as many pixels as values, whose channels are the bytes of an integer.
///
/// # Errors
/// Bytes that are not such a picture.
pub(super) fn unpack_png<T: Real>(
    data: &[u8],
    scale: &Scale,
    count: usize,
    sink: &mut Sink<'_, T>,
) -> Result<()> {
    let damage = |error: &dyn std::fmt::Display| corrupt(format!("PNG: {error}"));
    let limits = Limits { bytes: count.saturating_mul(8).saturating_add(PNG_WORKING_BYTES) };
    let (pixels, row_bytes, row) = guarded("PNG", || {
        let decoder = Decoder::new_with_limits(std::io::Cursor::new(data), limits);
        let mut reader = decoder.read_info().map_err(|error| damage(&error))?;
        let info = reader.info();
        check_pixels("PNG", info.width, info.height, count)?;
        if info.color_type == ColorType::Indexed {
            return Err(corrupt("PNG: a palette"));
        }
        let bits = info.bit_depth as usize * info.color_type.samples();
        if bits != scale.width as usize {
            let width = scale.width;
            return Err(corrupt(format!("PNG: pixels of {bits} bits for integers of {width}")));
        }
        let row = info.width as usize;
        let length = reader.output_buffer_size();
        let length = length.ok_or_else(|| corrupt("PNG: more bytes than can be counted"))?;
        let mut pixels = vec![0; length];
        let frame = reader.next_frame(&mut pixels).map_err(|error| damage(&error))?;
        Ok((pixels, frame.line_size, row))
    })?;
    let scaling = Scaling::new(scale);
    for line in pixels.chunks_exact(row_bytes.max(1)) {
        // Rows begin at whole bytes.
        let mut bits = Bits::new(line);
        for _ in 0..row {
            sink.push(scaling.value(bits.read(scale.width)? as f64));
        }
    }
    Ok(())
}

fn check_pixels(codec: &str, width: u32, height: u32, count: usize) -> Result<()> {
    if u64::from(width) * u64::from(height) == count as u64 {
        return Ok(());
    }
    Err(corrupt(format!("{codec}: a picture of {width} by {height} for {count} values")))
}
