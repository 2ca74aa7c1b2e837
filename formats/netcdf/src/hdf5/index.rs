//! Where every chunk of a dataset lies: the index of chunks, read whole and once.
//!
//! Six kinds of indexes say the same: for a place in the grid of chunks, an address, a length and
//! the filters that were left out.

use array::ChunkGrid;
use array::error::Result;
use hdf5_reader::btree_v1::{BTreeV1Key, collect_btree_v1_leaves_storage};
use hdf5_reader::chunk_index::{
    ChunkEntry, collect_implicit_chunk_entries, collect_v2_chunk_entries_storage,
};
use hdf5_reader::extensible_array::collect_extensible_array_chunk_entries_storage;
use hdf5_reader::fixed_array::collect_fixed_array_chunk_entries_storage;
use hdf5_reader::messages::layout::ChunkIndexing;

use super::file::Hdf5;
use super::guard::guarded;
use super::space::Space;
use crate::fault::corrupt;

/// The index of the chunks of a dataset, not read yet.
#[derive(Debug)]
pub(crate) struct ChunkIndex {
    address: u64,
    indexing: Option<ChunkIndexing>,
    chunk_shape: Vec<u32>,
    chunk_bytes: u64,
    unit_bytes: usize,
    space: Space,
}

/// Where one chunk lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its place in the grid, counted in C order.
    pub(super) linear: u64,
    /// Its address.
    pub(super) address: u64,
    /// Its bytes, encoded.
    pub(super) bytes: u64,
    /// One bit for every filter that was left out.
    pub(super) mask: u32,
}

impl ChunkIndex {
    /// An index at `address` of chunks of the shape that a layout message states.
    ///
    /// # Errors
    /// Chunks that do not fit the shape of the dataset, or that the format cannot hold.
    pub(super) fn new(
        address: u64,
        indexing: Option<ChunkIndexing>,
        stated_shape: &[u32],
        space: &Space,
        unit_bytes: usize,
    ) -> Result<Self> {
        // Some versions list the bytes of an element behind the shape.
        let rank = space.dimensions.len();
        let shape = stated_shape.get(..rank).filter(|shape| rank > 0 && !shape.contains(&0));
        let shape = shape.ok_or_else(|| {
            let dimensions = &space.dimensions;
            corrupt(format!("chunks of {stated_shape:?} do not fit an array of {dimensions:?}"))
        })?;
        let bytes = shape.iter().try_fold(unit_bytes as u64, |n, &m| n.checked_mul(u64::from(m)));
        // The format keeps the size of a chunk in four bytes.
        let chunk_bytes = bytes
            .filter(|&bytes| bytes <= u64::from(u32::MAX))
            .ok_or_else(|| corrupt(format!("chunks of {shape:?} are too large")))?;
        let (chunk_shape, space) = (shape.to_vec(), space.clone());
        Ok(Self { address, indexing, chunk_shape, chunk_bytes, unit_bytes, space })
    }

    /// Elements of a chunk along every dimension.
    pub(crate) fn chunk_shape(&self) -> Vec<u64> {
        self.chunk_shape.iter().copied().map(u64::from).collect()
    }

    /// Bytes of a decoded chunk.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes as usize
    }

    /// Reads the entries of all chunks that were written, by their place in the grid.
    ///
    /// # Errors
    /// An index that is damaged, or chunks that lie outside of the grid or of the file.
    pub(super) fn read(&self, file: &Hdf5, grid: &ChunkGrid) -> Result<Vec<Entry>> {
        if file.is_undefined(self.address) || self.space.dimensions.contains(&0) {
            return Ok(Vec::new());
        }
        let found = guarded(|| self.collect(file))?;
        let mut entries = Vec::with_capacity(found.len());
        for chunk in found {
            if !file.is_undefined(chunk.address) {
                entries.extend(self.entry(&chunk, grid)?);
            }
        }
        entries.sort_unstable_by_key(|entry| entry.linear);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].linear == pair[1].linear) {
            let index = grid.index_of(pair[0].linear);
            return Err(corrupt("the index lists a chunk twice").at("chunk", format!("{index:?}")));
        }
        Ok(entries)
    }

    fn entry(&self, chunk: &ChunkEntry, grid: &ChunkGrid) -> Result<Option<Entry>> {
        let mut linear = 0u64;
        let axes = grid.axes().iter().zip(&self.chunk_shape).zip(&chunk.offsets);
        for ((axis, &length), &offset) in axes {
            let length = u64::from(length);
            if offset % length != 0 {
                let message =
                    format!("a chunk begins at element {offset}, which is no chunk's first");
                return Err(corrupt(message).at("chunk", format!("{:?}", chunk.offsets)));
            }
            // A dataset that shrank may keep chunks outside of its shape.
            if offset / length >= axis.chunk_count() {
                return Ok(None);
            }
            linear = linear * axis.chunk_count() + offset / length;
        }
        // Indexes of chunks without filters leave the length out.
        let bytes = if chunk.size == 0 { self.chunk_bytes } else { chunk.size };
        Ok(Some(Entry { linear, address: chunk.address, bytes, mask: chunk.filter_mask }))
    }

    fn collect(&self, file: &Hdf5) -> hdf5_reader::error::Result<Vec<ChunkEntry>> {
        let (storage, address) = (file.storage(), self.address);
        let (offset, length) = (file.offset_bytes(), file.length_bytes());
        // Arrays of entries number chunks as if the dataset had grown as far as it can.
        let (shape, greatest) = (&self.space.dimensions[..], &self.space.greatest[..]);
        let chunk = &self.chunk_shape[..];
        let rank = shape.len() as u32;
        match &self.indexing {
            None => {
                let leaves = collect_btree_v1_leaves_storage(
                    storage,
                    address,
                    offset,
                    length,
                    Some(rank),
                    chunk,
                    None,
                )?;
                Ok(leaves.into_iter().filter_map(|leaf| of_leaf(leaf, shape.len())).collect())
            }
            Some(ChunkIndexing::SingleChunk { filtered_size, filters }) => Ok(vec![ChunkEntry {
                address,
                size: *filtered_size,
                filter_mask: *filters,
                offsets: vec![0; shape.len()],
            }]),
            Some(ChunkIndexing::Implicit) => collect_implicit_chunk_entries(
                address,
                greatest,
                chunk,
                self.unit_bytes,
                None,
                storage.len(),
            ),
            Some(ChunkIndexing::FixedArray { .. }) => collect_fixed_array_chunk_entries_storage(
                storage, address, offset, length, greatest, chunk, None,
            ),
            Some(ChunkIndexing::ExtensibleArray { .. }) => {
                collect_extensible_array_chunk_entries_storage(
                    storage,
                    address,
                    offset,
                    length,
                    shape,
                    Some(greatest),
                    chunk,
                    None,
                )
            }
            Some(ChunkIndexing::BTreeV2) => collect_v2_chunk_entries_storage(
                storage, address, offset, length, rank, chunk, None,
            ),
        }
    }
}

fn of_leaf((key, address): (BTreeV1Key, u64), rank: usize) -> Option<ChunkEntry> {
    match key {
        BTreeV1Key::RawData { chunk_size, filter_mask, offsets } => Some(ChunkEntry {
            address,
            size: u64::from(chunk_size),
            filter_mask,
            offsets: offsets.get(..rank)?.to_vec(),
        }),
        _ => None,
    }
}
