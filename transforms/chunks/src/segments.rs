//! Segments as a source: the cells that groups of one stage have put aside for a group of the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, Chunk, ChunkGrid, DType, Fetched, Placement, Region, SourceFacts,
};
use dataflow::blob::{BlobStore, FetchedBlobs};
use dataflow::error::{Error, Result};

use crate::cells::CellPlace;

/// What one group can read: from each group of the stage before, at most one cell.
#[derive(Debug)]
pub(crate) struct Segments {
    /// As those of the source, but cut into the groups that wrote.
    facts: SourceFacts,
    /// The prefix of the keys of blobs.
    prefix: String,
    cells: BTreeMap<u64, CellPlace>,
    blobs: Arc<dyn BlobStore>,
}

impl Segments {
    /// The cells at these places, in segments of the groups of `grid`.
    pub(crate) fn new(
        source: &SourceFacts,
        grid: ChunkGrid,
        prefix: String,
        cells: BTreeMap<u64, CellPlace>,
        blobs: Arc<dyn BlobStore>,
    ) -> Self {
        let facts =
            SourceFacts { grid, is_random_access: false, recode_bytes: 0, ..source.clone() };
        Self { facts, prefix, cells, blobs }
    }

    /// The key of a segment.
    pub(crate) fn key(prefix: &str, segment: u64) -> String {
        format!("{prefix}/{segment}")
    }

    fn cell_of(&self, region: &Region) -> Result<CellPlace> {
        let mut groups = self.facts.grid.chunks_meeting(region);
        let cell = match (groups.next(), groups.next()) {
            (Some(group), None) => self.cells.get(&self.facts.grid.linear_index(&group)),
            _ => None,
        };
        let missing = || Error::internal(format!("no cell was put aside for {region}"));
        cell.copied().ok_or_else(missing)
    }
}

impl ArraySource for Segments {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let fetch = |region: &Region| {
            let place = self.cell_of(region)?;
            let key = Self::key(&self.prefix, place.segment);
            let range = place.start..place.start + place.stored_bytes;
            let bytes = if place.stored_bytes == 0 {
                None
            } else {
                Some(self.blobs.fetch(&key, std::slice::from_ref(&range))?)
            };
            Ok(FetchedCell { shape: region.shape(), place, key, bytes })
        };
        let cells = regions.iter().map(fetch).collect::<Result<_>>()?;
        Ok(Box::new(FetchedCells { facts: self.facts.clone(), cells }))
    }
}

struct FetchedCells {
    facts: SourceFacts,
    cells: Vec<FetchedCell>,
}

struct FetchedCell {
    shape: Vec<u64>,
    place: CellPlace,
    key: String,
    /// None for a cell of fill values.
    bytes: Option<Box<dyn FetchedBlobs>>,
}

impl FetchedCell {
    /// The elements; nothing for a cell of fill values.
    fn decode(self, dtype: DType) -> Result<Option<Chunk>> {
        let Some(bytes) = self.bytes else { return Ok(None) };
        let missing = || Error::internal("a range without bytes");
        let stored = bytes.wait()?.into_iter().next().ok_or_else(missing)?;
        self.place.decode(&self.key, &stored, dtype, self.shape).map(Some)
    }
}

impl Fetched for FetchedCells {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        for (cell, to) in self.cells.into_iter().zip(places) {
            let shape = cell.shape.clone();
            match cell.decode(self.facts.dtype)? {
                Some(chunk) => to.into.write(&to.at, &chunk, &Region::whole(&shape))?,
                None => to.into.fill(&to.at, &shape, &self.facts.fill)?,
            }
        }
        Ok(())
    }

    fn into_chunks(self: Box<Self>, dtype: DType, regions: &[Region]) -> Result<Vec<Chunk>> {
        let decode = |(cell, region): (FetchedCell, &Region)| match cell.decode(dtype)? {
            Some(chunk) => Ok(chunk),
            None => ArrayBuffer::filled(&region.shape(), &self.facts.fill).freeze(),
        };
        self.cells.into_iter().zip(regions).map(decode).collect()
    }
}
