//! Cells: what one group of a stage puts aside for a group of the next.
//!
//! All cells of a group are one blob, a *segment*, in the order of the groups that will read them.
//! Where each lies goes through the shuffle.

use array::{ArrayBuffer, Chunk, DType};
use bytes::Bytes;
use dataflow::Element;
use dataflow::blob::damaged_blob;
use dataflow::error::Result;
use serde::{Deserialize, Serialize};

/// Where a cell lies: a range of a segment, and how its bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub(crate) struct CellPlace {
    /// The group that put it aside, in C order.
    pub(crate) segment: u64,
    /// Where it begins in the segment.
    pub(crate) start: u64,
    /// Bytes as they are stored; none for a cell of fill values.
    pub(crate) stored_bytes: u64,
    /// Bytes as they were.
    pub(crate) raw_bytes: u64,
    /// CRC-32C of the stored bytes.
    pub(crate) crc32c: u32,
}

/// A cell that is ready to be stored.
#[derive(Debug)]
pub(crate) struct EncodedCell {
    pub(crate) bytes: Bytes,
    pub(crate) raw_bytes: u64,
    pub(crate) crc32c: u32,
}

impl EncodedCell {
    /// The bytes of each element are put beside those of the others and compressed (LZ4), unless
    /// that makes them no fewer.
    pub(crate) fn of(elements: ArrayBuffer) -> Result<Self> {
        let chunk = elements.freeze()?;
        let payload = chunk.payload();
        let raw_bytes = payload.len() as u64;
        let mut bytes = lz4_flex::block::compress(&shuffled(payload, chunk.dtype())).into();
        if raw_bytes <= Bytes::len(&bytes) as u64 {
            bytes = payload.clone();
        }
        let crc32c = crc32c::crc32c(&bytes);
        Ok(Self { bytes, raw_bytes, crc32c })
    }
}

impl CellPlace {
    /// The elements of a cell that was fetched from the segment of `key`.
    ///
    /// # Errors
    /// Bytes that are not those that were stored.
    pub(crate) fn decode(
        &self,
        key: &str,
        stored: Bytes,
        dtype: DType,
        shape: Vec<u64>,
    ) -> Result<Chunk> {
        if crc32c::crc32c(&stored) != self.crc32c {
            return Err(damaged_blob(key, "a checksum does not match"));
        }
        if self.stored_bytes == self.raw_bytes {
            return Chunk::new(dtype, shape, stored);
        }
        let raw = lz4_flex::block::decompress(&stored, self.raw_bytes as usize)
            .map_err(|why| damaged_blob(key, &why.to_string()))?;
        Chunk::new(dtype, shape, unshuffled(raw, dtype).into())
    }
}

/// First bytes of all elements, then second bytes, and so on: numbers that are near each other
/// differ in few of their bytes.
fn shuffled(bytes: &[u8], dtype: DType) -> Vec<u8> {
    match dtype.item_bytes() {
        Some(2) => lanes::<2>(bytes),
        Some(4) => lanes::<4>(bytes),
        Some(8) => lanes::<8>(bytes),
        Some(16) => lanes::<16>(bytes),
        _ => bytes.to_vec(),
    }
}

fn unshuffled(bytes: Vec<u8>, dtype: DType) -> Vec<u8> {
    match dtype.item_bytes() {
        Some(2) => items::<2>(&bytes),
        Some(4) => items::<4>(&bytes),
        Some(8) => items::<8>(&bytes),
        Some(16) => items::<16>(&bytes),
        _ => bytes,
    }
}

fn lanes<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let count = bytes.len() / N;
    let mut out = vec![0; bytes.len()];
    if count == 0 {
        return out;
    }
    let (items, _) = bytes.as_chunks::<N>();
    for (lane, out) in out.chunks_exact_mut(count).enumerate() {
        out.iter_mut().zip(items).for_each(|(out, item)| *out = item[lane]);
    }
    out
}

fn items<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let count = bytes.len() / N;
    let mut out = vec![0; bytes.len()];
    if count == 0 {
        return out;
    }
    let (items, _) = out.as_chunks_mut::<N>();
    for (lane, bytes) in bytes.chunks_exact(count).enumerate() {
        items.iter_mut().zip(bytes).for_each(|(item, byte)| item[lane] = *byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use array::{Region, Scalar};

    use super::*;

    #[track_caller]
    fn check(chunk: &Chunk, is_smaller: bool) {
        let whole = Region::whole(chunk.shape());
        let mut buffer = ArrayBuffer::zeroed(chunk.dtype(), chunk.shape());
        buffer.write(&vec![0; chunk.shape().len()], chunk, &whole).expect("fits");
        let cell = EncodedCell::of(buffer).expect("encodes");
        let EncodedCell { bytes, raw_bytes, crc32c } = cell;
        let stored_bytes = bytes.len() as u64;
        assert_eq!(stored_bytes < raw_bytes, is_smaller);
        let place = CellPlace { segment: 0, start: 0, stored_bytes, raw_bytes, crc32c };
        let back = place.decode("a", bytes.clone(), chunk.dtype(), chunk.shape().to_vec());
        assert_eq!(&back.expect("decodes"), chunk);
        let mut damaged = bytes.to_vec();
        damaged[0] ^= 1;
        let damaged = place.decode("a", damaged.into(), chunk.dtype(), chunk.shape().to_vec());
        assert_eq!(damaged.expect_err("damaged").place("blob"), Some("a"));
    }

    #[test]
    fn cells_come_back() {
        let numbers: Vec<f32> = (0..1000u16).map(|n| 280.0 + f32::from(n)).collect();
        check(&Chunk::of([10, 100], &numbers).expect("as many"), true);
        check(&Chunk::of([1], &[1.1f64]).expect("one"), false);
        check(&Chunk::of([3], &[1u8, 2, 3]).expect("three"), false);
        check(&Chunk::of_texts([2, 1], &["a", "ü"]).expect("two"), false);
        let wide = ArrayBuffer::filled(&[9, 9], &Scalar::of(-1i64)).freeze().expect("numbers");
        check(&wide, true);
    }
}
