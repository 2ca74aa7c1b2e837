//! Bitshuffle: the first bits of all elements of a block, then their second bits, and so on.
//!
//! Blocks may be compressed, with LZ4 or Zstandard. A block is a multiple of eight elements; fewer than eight
//! at the end are left as they are.
//!
//! Source: Masui et al. 2015, "A compression scheme for radio data in high performance computing";
//! <https://github.com/kiyo-masui/bitshuffle>, `bshuf_h5filter.c` for the frame.

use hdf5_reader::messages::filter_pipeline::FilterDescription;

/// Elements are taken by so many.
const GROUP: usize = 8;
/// Bytes of a block where the writer has set none, and the least number of elements.
const BLOCK_BYTES: usize = 8192;
const LEAST_ELEMENTS: usize = 128;
/// How the filter numbers compressors.
const NOT_COMPRESSED: u32 = 0;
const LZ4: u32 = 2;
const ZSTD: u32 = 3;

/// Undoes the filter, for what decodes to at most so many bytes.
///
/// # Errors
/// A frame that is damaged, that holds more, or that is compressed in a way that is not known.
pub(super) fn decode(
    filter: &FilterDescription,
    encoded: &[u8],
    most_bytes: usize,
) -> Result<Vec<u8>, String> {
    // The first two are the version of the filter.
    let stated = |place: usize| filter.client_data.get(place).copied().unwrap_or(0);
    let item_bytes = (stated(2) as usize).max(1);
    let items = stated(3) as usize;
    let items = if items == 0 { default_items(item_bytes) } else { items };
    let block_bytes = items.checked_mul(item_bytes).filter(|_| items.is_multiple_of(GROUP));
    let block_bytes = block_bytes.ok_or_else(|| format!("blocks of {items} elements"))?;
    match stated(4) {
        NOT_COMPRESSED if encoded.len() > most_bytes => Err(damaged()),
        NOT_COMPRESSED => Ok(plain(encoded, item_bytes, block_bytes)),
        compressor @ (LZ4 | ZSTD) => decompress(encoded, item_bytes, compressor, most_bytes),
        compressor => Err(format!("the compressor {compressor} is not known")),
    }
}

fn damaged() -> String {
    "the frame is damaged".to_owned()
}

fn default_items(item_bytes: usize) -> usize {
    (BLOCK_BYTES / item_bytes / GROUP * GROUP).max(LEAST_ELEMENTS)
}

/// The length of the block that so many bytes begin with: the last one is shorter, and may be empty.
fn block_of(rest_bytes: usize, item_bytes: usize, block_bytes: usize) -> usize {
    let group_bytes = GROUP * item_bytes;
    rest_bytes.min(block_bytes) / group_bytes * group_bytes
}

fn plain(encoded: &[u8], item_bytes: usize, block_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    loop {
        let (block, after) = rest.split_at(block_of(rest.len(), item_bytes, block_bytes));
        if block.is_empty() {
            out.extend_from_slice(after);
            return out;
        }
        unshuffle(block, item_bytes, &mut out);
        rest = after;
    }
}

/// A frame: the length of all, the length of a block, then blocks, each after its compressed length; numbers
/// have their greatest byte first.
fn decompress(
    encoded: &[u8],
    item_bytes: usize,
    compressor: u32,
    most_bytes: usize,
) -> Result<Vec<u8>, String> {
    let (plain_bytes, rest) = encoded.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (block_bytes, mut rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    let plain_bytes = usize::try_from(u64::from_be_bytes(*plain_bytes)).map_err(|_| damaged())?;
    let block_bytes = u32::from_be_bytes(*block_bytes) as usize;
    let is_whole = block_bytes > 0 && block_bytes.is_multiple_of(GROUP * item_bytes);
    if plain_bytes > most_bytes || !is_whole {
        return Err(damaged());
    }
    // The room grows with what comes: a frame may promise more than it holds.
    let (mut out, mut block) = (Vec::new(), Vec::new());
    loop {
        let length = block_of(plain_bytes - out.len(), item_bytes, block_bytes);
        if length == 0 {
            break;
        }
        let (stated, after) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let stated = u32::from_be_bytes(*stated) as usize;
        let (compressed, after) = after.split_at_checked(stated).ok_or_else(damaged)?;
        block.resize(length, 0);
        let found = match compressor {
            LZ4 => lz4_flex::block::decompress_into(compressed, &mut block).ok(),
            _ => zstd::bulk::decompress_to_buffer(compressed, &mut block[..]).ok(),
        };
        if found != Some(length) {
            return Err(damaged());
        }
        unshuffle(&block, item_bytes, &mut out);
        rest = after;
    }
    out.extend_from_slice(rest);
    if out.len() == plain_bytes { Ok(out) } else { Err(damaged()) }
}

/// Appends the elements of one block. Row `8 * byte + bit` of the block holds that bit of all elements, eight
/// elements in a byte, the first one in the lowest bit.
fn unshuffle(block: &[u8], item_bytes: usize, out: &mut Vec<u8>) {
    let row_bytes = block.len() / item_bytes / GROUP;
    let start = out.len();
    out.resize(start + block.len(), 0);
    let items = &mut out[start..];
    for byte in 0..item_bytes {
        let rows: [&[u8]; 8] =
            std::array::from_fn(|bit| &block[(8 * byte + bit) * row_bytes..][..row_bytes]);
        for group in 0..row_bytes {
            let bits = u64::from_le_bytes(rows.map(|row| row[group]));
            for (item, value) in transposed(bits).to_le_bytes().into_iter().enumerate() {
                items[(group * GROUP + item) * item_bytes + byte] = value;
            }
        }
    }
}

/// A matrix of eight bytes of eight bits, with rows for columns.
///
/// Source: Warren, Hacker's Delight, section 7-3.
const fn transposed(matrix: u64) -> u64 {
    let mut x = matrix;
    let mut swap = (x ^ (x >> 7)) & 0x00AA_00AA_00AA_00AA;
    x ^= swap ^ (swap << 7);
    swap = (x ^ (x >> 14)) & 0x0000_CCCC_0000_CCCC;
    x ^= swap ^ (swap << 14);
    swap = (x ^ (x >> 28)) & 0x0000_0000_F0F0_F0F0;
    x ^ swap ^ (swap << 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        for row in 0..8 {
            for column in 0..8 {
                assert_eq!(transposed(1 << (8 * row + column)), 1 << (8 * column + row));
            }
        }
    }

    /// What a writer makes of a block.
    fn shuffled(items: &[u8], item_bytes: usize) -> Vec<u8> {
        let count = items.len() / item_bytes;
        let bit = |item: usize, row: usize| items[item * item_bytes + row / 8] >> (row % 8) & 1;
        (0..8 * item_bytes)
            .flat_map(|row| (0..count / 8).map(move |group| (row, group)))
            .map(|(row, group)| (0..8).map(|item| bit(8 * group + item, row) << item).sum())
            .collect()
    }

    fn filter(item_bytes: u32, compressor: u32) -> FilterDescription {
        FilterDescription {
            id: 32_008,
            name: None,
            client_data: vec![0, 3, item_bytes, 16, compressor],
        }
    }

    #[test]
    fn blocks_are_undone_and_what_is_left_over_stays() {
        for item_bytes in [1, 2, 3, 8] {
            let items: Vec<u8> = (0..item_bytes * 45).map(|at| (at * at / 3) as u8).collect();
            let blocks: Vec<&[u8]> = [0..16, 16..32, 32..40]
                .map(|part| &items[part.start * item_bytes..part.end * item_bytes])
                .to_vec();
            let tail = &items[40 * item_bytes..];
            let mut plain: Vec<u8> =
                blocks.iter().flat_map(|block| shuffled(block, item_bytes)).collect();
            plain.extend_from_slice(tail);
            let most = items.len();
            let of = |encoded: &[u8], compressor, most| {
                decode(&filter(item_bytes as u32, compressor), encoded, most)
            };
            assert_eq!(of(&plain, NOT_COMPRESSED, most).as_deref(), Ok(&items[..]));
            assert!(of(&plain, NOT_COMPRESSED, most - 1).is_err());
            for compressor in [LZ4, ZSTD] {
                let mut frame = (most as u64).to_be_bytes().to_vec();
                frame.extend((16 * item_bytes as u32).to_be_bytes());
                for block in &blocks {
                    let block = shuffled(block, item_bytes);
                    let packed = match compressor {
                        LZ4 => lz4_flex::block::compress(&block),
                        _ => zstd::bulk::compress(&block, 1).expect("a vector takes every byte"),
                    };
                    frame.extend((packed.len() as u32).to_be_bytes());
                    frame.extend(packed);
                }
                frame.extend_from_slice(tail);
                assert_eq!(of(&frame, compressor, most).as_deref(), Ok(&items[..]));
                assert!(of(&frame, compressor, most - 1).is_err(), "it holds too much");
                for cut in 0..frame.len() {
                    assert!(of(&frame[..cut], compressor, most).is_err(), "cut at {cut}");
                }
            }
        }
    }
}
