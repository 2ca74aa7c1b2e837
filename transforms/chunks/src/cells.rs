//! Cells: what one group of a stage puts aside for a group of the next.
//!
//! All cells of a group are one blob, a *segment*, in the order of the groups that will read them.
//! Where each lies goes through the shuffle. Where there is no store that all bundles reach, each cell
//! goes through the shuffle itself.

use array::{ArrayBuffer, Chunk, DType};
use bytes::Bytes;
use dataflow::Element;
use dataflow::blob::damaged_blob;
use dataflow::error::{Error, Result};
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

/// Bytes that are put in order and compressed together: so many stay in a cache between the two.
const BLOCK_BYTES: usize = 64 << 10;
const LENGTH_BYTES: usize = 4;

impl EncodedCell {
    /// Block by block, first bytes of all elements are put beside each other, then second bytes, and
    /// so on, as numbers that are near each other differ in few of theirs; then they are compressed
    /// (LZ4). A block stands after its length; one that does not get shorter stands as it is.
    pub(crate) fn of(elements: ArrayBuffer) -> Result<Self> {
        let chunk = elements.freeze()?;
        let (payload, item_bytes) = (chunk.payload(), item_bytes(chunk.dtype()));
        let mut lanes = vec![0; BLOCK_BYTES];
        let mut packed = vec![0; lz4_flex::block::get_maximum_output_size(BLOCK_BYTES)];
        let mut bytes = Vec::with_capacity(payload.len() / 2);
        for block in payload.chunks(BLOCK_BYTES) {
            let lanes = &mut lanes[..block.len()];
            shuffle(block, lanes, item_bytes);
            let length = lz4_flex::block::compress_into(lanes, &mut packed)
                .map_err(|why| Error::internal(format!("a cell is not compressed: {why}")))?;
            let stored = if length < block.len() { &packed[..length] } else { block };
            bytes.extend_from_slice(&(stored.len() as u32).to_le_bytes());
            bytes.extend_from_slice(stored);
        }
        let crc32c = crc32c::crc32c(&bytes);
        Ok(Self { bytes: bytes.into(), raw_bytes: payload.len() as u64, crc32c })
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
        stored: &[u8],
        dtype: DType,
        shape: Vec<u64>,
    ) -> Result<Chunk> {
        if crc32c::crc32c(stored) != self.crc32c {
            return Err(damaged_blob(key, "a checksum does not match"));
        }
        let (mut raw, mut rest) = (Vec::with_capacity(self.raw_bytes as usize), stored);
        let mut lanes = vec![0; BLOCK_BYTES];
        while raw.len() < self.raw_bytes as usize {
            let length = (self.raw_bytes as usize - raw.len()).min(BLOCK_BYTES);
            let block = take_block(&mut rest);
            let block = block.ok_or_else(|| damaged_blob(key, "a cell is cut short"))?;
            if block.len() == length {
                raw.extend_from_slice(block);
                continue;
            }
            let lanes = &mut lanes[..length];
            match lz4_flex::block::decompress_into(block, lanes) {
                Ok(own) if own == length => unshuffle(lanes, &mut raw, item_bytes(dtype)),
                Ok(_) => return Err(damaged_blob(key, "a block is too short")),
                Err(why) => return Err(damaged_blob(key, &why.to_string())),
            }
        }
        Chunk::new(dtype, shape, raw.into())
    }
}

fn take_block<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let (block, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(block)
}

/// Bytes of an element that are put in order; 1 where they stay as they are.
fn item_bytes(dtype: DType) -> usize {
    dtype.item_bytes().filter(|bytes| matches!(bytes, 2 | 4 | 8 | 16)).unwrap_or(1)
}

fn shuffle(bytes: &[u8], lanes: &mut [u8], item_bytes: usize) {
    match item_bytes {
        2 => shuffle_items::<2>(bytes, lanes),
        4 => shuffle_items::<4>(bytes, lanes),
        8 => shuffle_items::<8>(bytes, lanes),
        16 => shuffle_items::<16>(bytes, lanes),
        _ => lanes.copy_from_slice(bytes),
    }
}

fn shuffle_items<const N: usize>(bytes: &[u8], lanes: &mut [u8]) {
    let (items, _) = bytes.as_chunks::<N>();
    for (lane, out) in lanes.chunks_exact_mut(items.len().max(1)).enumerate() {
        out.iter_mut().zip(items).for_each(|(out, item)| *out = item[lane]);
    }
}

fn unshuffle(lanes: &[u8], bytes: &mut Vec<u8>, item_bytes: usize) {
    match item_bytes {
        2 => unshuffle_items::<2>(lanes, bytes),
        4 => unshuffle_items::<4>(lanes, bytes),
        8 => unshuffle_items::<8>(lanes, bytes),
        16 => unshuffle_items::<16>(lanes, bytes),
        _ => bytes.extend_from_slice(lanes),
    }
}

fn unshuffle_items<const N: usize>(lanes: &[u8], bytes: &mut Vec<u8>) {
    let count = lanes.len() / N;
    let lane: [&[u8]; N] = std::array::from_fn(|lane| &lanes[lane * count..(lane + 1) * count]);
    let start = bytes.len();
    bytes.resize(start + lanes.len(), 0);
    let (items, _) = bytes[start..].as_chunks_mut::<N>();
    for (place, item) in items.iter_mut().enumerate() {
        *item = std::array::from_fn(|byte| lane[byte][place]);
    }
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
        let back = place.decode("a", &bytes, chunk.dtype(), chunk.shape().to_vec());
        assert_eq!(&back.expect("decodes"), chunk);
        let mut damaged = bytes.to_vec();
        damaged[0] ^= 1;
        let damaged = place.decode("a", &damaged, chunk.dtype(), chunk.shape().to_vec());
        assert_eq!(damaged.expect_err("damaged").place("blob"), Some("a"));
    }

    #[test]
    fn large_cells_are_cut_into_blocks() {
        let count = 3 * BLOCK_BYTES as u64 / 8 + 5;
        let numbers: Vec<f64> = (0..count).map(|n| n as f64).collect();
        check(&Chunk::of([count], &numbers).expect("as many"), true);
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
