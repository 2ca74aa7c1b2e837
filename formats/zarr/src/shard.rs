//! Shards: many chunks in one object, with an index of where each lies.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use objects::{Edge, EdgeBytes};

/// Offset and length of a chunk that is not there.
const ABSENT: u64 = u64::MAX;
const ENTRY_BYTES: u64 = 16;
const CHECKSUM_BYTES: u64 = 4;
/// Entries of indices that are kept for one array, at least one index.
const KEPT_ENTRIES: usize = 1 << 20;

/// How an array is sharded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sharding {
    /// Shape of a shard.
    pub(crate) shape: Vec<u64>,
    /// Chunks of a shard along every dimension.
    pub(crate) counts: Vec<u64>,
    /// Whether the index stands at the start.
    pub(crate) is_index_first: bool,
    /// Whether a checksum follows the index.
    pub(crate) has_checksum: bool,
}

/// Where each chunk of a shard lies, in C order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShardIndex(Vec<Option<Range<u64>>>);

impl Sharding {
    /// The number of chunks in a shard.
    pub(crate) fn chunk_count(&self) -> u64 {
        self.counts.iter().product()
    }

    fn index_bytes(&self) -> u64 {
        let checksum_bytes = if self.has_checksum { CHECKSUM_BYTES } else { 0 };
        self.chunk_count() * ENTRY_BYTES + checksum_bytes
    }

    /// Where the index stands in its object.
    pub(crate) fn index_edge(&self) -> Edge {
        let index_bytes = self.index_bytes();
        if self.is_index_first { Edge::First(index_bytes) } else { Edge::Last(index_bytes) }
    }

    /// The place of a chunk in its shard, given its index in the array.
    pub(crate) fn place_of(&self, chunk_index: &[u64]) -> usize {
        let pairs = chunk_index.iter().zip(&self.counts);
        pairs.fold(0, |place, (index, count)| place * count + index % count) as usize
    }

    /// The index in the array of the chunk at a place of a shard.
    pub(crate) fn chunk_at(&self, shard: &[u64], mut place: usize) -> Vec<u64> {
        let mut chunk = vec![0; shard.len()];
        for dimension in (0..shard.len()).rev() {
            let count = self.counts[dimension];
            chunk[dimension] = shard[dimension] * count + place as u64 % count;
            place /= count as usize;
        }
        chunk
    }

    /// The shard of a chunk.
    pub(crate) fn shard_of(&self, chunk_index: &[u64]) -> Vec<u64> {
        chunk_index.iter().zip(&self.counts).map(|(index, count)| index / count).collect()
    }

    /// Reads the index from a whole shard.
    ///
    /// # Errors
    /// The reason why this is no shard.
    pub(crate) fn index_in(&self, shard: &[u8]) -> Result<ShardIndex, String> {
        let length = (self.index_bytes() as usize).min(shard.len());
        let index =
            if self.is_index_first { &shard[..length] } else { &shard[shard.len() - length..] };
        self.parse(index, shard.len() as u64)
    }

    /// Reads the index from the edge of a shard.
    ///
    /// # Errors
    /// The reason why this is no shard.
    pub(crate) fn index_of(&self, edge: &EdgeBytes) -> Result<ShardIndex, String> {
        self.parse(&edge.bytes, edge.size_bytes)
    }

    fn parse(&self, index: &[u8], shard_bytes: u64) -> Result<ShardIndex, String> {
        let index_bytes = self.index_bytes();
        if index.len() as u64 != index_bytes {
            return Err(format!("its {shard_bytes} bytes do not hold an index of {index_bytes}"));
        }
        let (entries, checksum) = index.split_at((self.chunk_count() * ENTRY_BYTES) as usize);
        if self.has_checksum && crc32c::crc32c(entries).to_le_bytes() != checksum {
            return Err("the checksum of the shard's index is wrong".to_owned());
        }
        let number = |bytes: &[u8]| {
            u64::from_le_bytes(bytes.try_into().expect("entries are two numbers of eight bytes"))
        };
        let entry = |entry: &[u8]| match (number(&entry[..8]), number(&entry[8..])) {
            (ABSENT, ABSENT) => Ok(None),
            (offset, length) => match offset.checked_add(length) {
                Some(end) if end <= shard_bytes => Ok(Some(offset..end)),
                _ => Err(format!(
                    "its index says {length} bytes at {offset}, but the shard has {shard_bytes}"
                )),
            },
        };
        let entries = entries.chunks_exact(ENTRY_BYTES as usize).map(entry);
        Ok(ShardIndex(entries.collect::<Result<_, String>>()?))
    }

    /// The index of chunks, which stand at these ranges.
    pub(crate) fn index(&self, chunks: impl IntoIterator<Item = Option<Range<u64>>>) -> Vec<u8> {
        let mut index = Vec::with_capacity(self.index_bytes() as usize);
        for chunk in chunks {
            let (offset, length) = match chunk {
                Some(range) => (range.start, range.end - range.start),
                None => (ABSENT, ABSENT),
            };
            index.extend_from_slice(&offset.to_le_bytes());
            index.extend_from_slice(&length.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&index);
        index.extend_from_slice(&checksum.to_le_bytes());
        index
    }
}

impl ShardIndex {
    /// Where the chunk at a place lies; `None` if it is not there.
    pub(crate) fn range(&self, place: usize) -> Option<Range<u64>> {
        self.0.get(place).cloned().flatten()
    }

    /// Where the chunks at these places lie, without those that are not there.
    pub(crate) fn ranges(&self, places: &[usize]) -> Vec<Range<u64>> {
        places.iter().filter_map(|&place| self.range(place)).collect()
    }
}

/// Indices that were read lately, by the linear index of their shard.
#[derive(Debug, Default)]
pub(crate) struct IndexCache {
    kept: Mutex<Kept>,
    /// Whether none is kept.
    is_off: bool,
}

#[derive(Debug, Default)]
struct Kept {
    indices: BTreeMap<u64, Arc<ShardIndex>>,
    oldest: VecDeque<u64>,
    entry_count: usize,
}

impl IndexCache {
    /// Keeps none.
    pub(crate) fn off() -> Self {
        Self { is_off: true, ..Self::default() }
    }

    pub(crate) fn get(&self, shard: u64) -> Option<Arc<ShardIndex>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.indices.get(&shard).map(Arc::clone)
    }

    /// Keeps an index, and forgets the oldest ones when there are too many.
    pub(crate) fn put(&self, shard: u64, index: Arc<ShardIndex>) {
        if self.is_off {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry_count += index.0.len();
        match kept.indices.insert(shard, index) {
            Some(replaced) => kept.entry_count -= replaced.0.len(),
            None => kept.oldest.push_back(shard),
        }
        while kept.entry_count > KEPT_ENTRIES && kept.oldest.len() > 1 {
            let oldest = kept.oldest.pop_front().and_then(|shard| kept.indices.remove(&shard));
            kept.entry_count -= oldest.map_or(0, |index| index.0.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharding() -> Sharding {
        Sharding {
            shape: vec![4, 6],
            counts: vec![2, 3],
            is_index_first: false,
            has_checksum: true,
        }
    }

    fn shard(chunks: &[Option<Range<u64>>]) -> Vec<u8> {
        [vec![7; 20], sharding().index(chunks.to_vec())].concat()
    }

    #[track_caller]
    fn check_damaged(shard: &[u8], says: &str) {
        let why = sharding().index_in(shard).expect_err("damaged");
        assert!(why.contains(says), "{why}");
    }

    #[test]
    fn an_index_comes_back() {
        let chunks = [Some(0..5), None, Some(5..20), Some(3..3), None, None];
        let index = sharding().index_in(&shard(&chunks)).expect("an index");
        assert_eq!(index, ShardIndex(chunks.to_vec()));
        assert_eq!((index.range(2), index.range(1), index.range(99)), (Some(5..20), None, None));
    }

    #[test]
    fn chunks_know_their_shard_and_place() {
        assert_eq!(sharding().shard_of(&[3, 7]), [1, 2]);
        assert_eq!(sharding().place_of(&[3, 7]), 4);
        assert_eq!(sharding().chunk_at(&[1, 2], 4), [3, 7]);
    }

    #[test]
    fn damage_is_named() {
        let whole = shard(&[const { None }; 6]);
        check_damaged(&[], "do not hold an index of 100");
        check_damaged(&whole[..99], "do not hold");
        check_damaged(&whole[..110], "checksum");
        let beyond = [Some(0..121), None, None, None, None, None];
        check_damaged(&shard(&beyond), "121 bytes at 0, but the shard has 120");
        let overflowing = [Some(u64::MAX - 1..u64::MAX), None, None, None, None, None];
        check_damaged(&shard(&overflowing), "but the shard has 120");
    }

    #[test]
    fn old_indices_are_forgotten() {
        let cache = IndexCache::default();
        let big = || Arc::new(ShardIndex(vec![None; KEPT_ENTRIES / 2]));
        for shard in [1, 2, 2, 3] {
            cache.put(shard, big());
        }
        assert_eq!([1, 2, 3].map(|shard| cache.get(shard).is_some()), [false, true, true]);
    }
}
