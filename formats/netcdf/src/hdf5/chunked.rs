//! Reads a dataset in chunks: which chunks a region needs, and how they are decoded into place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use array::error::{Error, Result};
use array::{ChunkGrid, NamedCodec, Region};
use bytes::Bytes;

use super::file::Hdf5;
use super::index::{ChunkIndex, Entry};
use super::pipeline::Pipeline;
use crate::target::{Origin, Target};

/// A dataset in chunks.
#[derive(Debug)]
pub(crate) struct Chunked {
    file: Arc<Hdf5>,
    grid: ChunkGrid,
    chunk_shape: Vec<u64>,
    index: ChunkIndex,
    pipeline: Pipeline,
    unit_bytes: usize,
    swap_bytes: usize,
    /// One element, little endian, for chunks that were never written.
    fill: Vec<u8>,
    /// By place in the grid; read when they are first asked for.
    entries: OnceLock<Vec<Entry>>,
}

/// The chunks that some regions need, by their place in the grid.
#[derive(Debug)]
pub(crate) struct ChunkPlan {
    chunks: Vec<Planned>,
    /// For every region, whether it meets chunks that were never written.
    has_holes: Vec<bool>,
}

#[derive(Debug)]
struct Planned {
    entry: Entry,
    /// The regions that meet the chunk.
    regions: Vec<usize>,
}

impl Chunked {
    /// A dataset of this stored shape.
    pub(crate) fn new(
        file: &Arc<Hdf5>,
        shape: &[u64],
        index: ChunkIndex,
        pipeline: Pipeline,
        swap_bytes: usize,
        fill: Vec<u8>,
    ) -> Self {
        let chunk_shape = index.chunk_shape();
        Self {
            file: Arc::clone(file),
            grid: ChunkGrid::regular(shape, &chunk_shape),
            chunk_shape,
            index,
            pipeline,
            unit_bytes: fill.len(),
            swap_bytes,
            fill,
            entries: OnceLock::new(),
        }
    }

    /// Bytes of all chunks, encoded.
    ///
    /// Cost: the first call reads the index of chunks; memory: 32 bytes a chunk, kept.
    ///
    /// # Errors
    /// An index that is damaged.
    pub(crate) fn encoded_bytes(&self) -> Result<u64> {
        Ok(self.entries()?.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes)))
    }

    fn entries(&self) -> Result<&[Entry]> {
        if let Some(entries) = self.entries.get() {
            return Ok(entries);
        }
        // A failure is not kept: the next attempt may succeed.
        let entries = self.index.read(&self.file, &self.grid)?;
        Ok(self.entries.get_or_init(|| entries))
    }

    /// Finds the chunks that regions need, and where they lie in the file.
    ///
    /// Each chunk is listed once, however many regions meet it.
    ///
    /// # Errors
    /// As [`Self::encoded_bytes`], or a chunk that lies outside of the file.
    pub(crate) fn plan(&self, regions: &[&Region]) -> Result<(ChunkPlan, Vec<Range<u64>>)> {
        let entries = self.entries()?;
        let mut chunks: BTreeMap<u64, Planned> = BTreeMap::new();
        let mut has_holes = Vec::with_capacity(regions.len());
        for (place, region) in regions.iter().enumerate() {
            let (found, expected) = self.meeting(entries, region);
            has_holes.push((found.len() as u64) < expected);
            for entry in found {
                let planned = Planned { entry, regions: Vec::new() };
                chunks.entry(entry.linear).or_insert(planned).regions.push(place);
            }
        }
        let chunks: Vec<Planned> = chunks.into_values().collect();
        let ranges = chunks.iter().map(|Planned { entry, .. }| {
            let range = self.file.range(entry.address, entry.bytes);
            range.map_err(|error| self.at_chunk(error, entry))
        });
        let ranges = ranges.collect::<Result<_>>()?;
        Ok((ChunkPlan { chunks, has_holes }, ranges))
    }

    /// The filters in the words of numcodecs.
    ///
    /// # Errors
    /// A filter that has none there, or that does there something else.
    pub(crate) fn codecs(&self) -> Result<Vec<NamedCodec>> {
        self.pipeline.codecs(self.index.chunk_bytes())
    }

    /// Elements of a chunk along every dimension of storage.
    pub(crate) fn chunk_shape(&self) -> &[u64] {
        &self.chunk_shape
    }

    /// Where the chunk at a place of the grid lies, and one bit for each filter that was left out;
    /// `None` for a chunk that was never written.
    ///
    /// # Errors
    /// As [`Self::plan`], or no such place.
    pub(crate) fn location(&self, index: &[u64]) -> Result<Option<(Range<u64>, u32)>> {
        let counts = self.grid.counts();
        let is_inside =
            index.len() == counts.len() && index.iter().zip(&counts).all(|(i, n)| i < n);
        if !is_inside {
            return Err(Error::internal(format!("there is no chunk {index:?} of {counts:?}")));
        }
        let linear = index.iter().zip(&counts).fold(0, |linear, (i, count)| linear * count + i);
        let entries = self.entries()?;
        let Ok(place) = entries.binary_search_by_key(&linear, |entry| entry.linear) else {
            return Ok(None);
        };
        let entry = &entries[place];
        let range = self.file.range(entry.address, entry.bytes);
        let range = range.map_err(|error| self.at_chunk(error, entry))?;
        Ok(Some((range, entry.mask)))
    }

    /// The written chunks that meet a region, and how many there would be if all were written.
    fn meeting(&self, entries: &[Entry], region: &Region) -> (Vec<Entry>, u64) {
        let axes = self.grid.axes().iter().zip(region.ranges());
        let counts = axes.map(|(axis, range)| {
            let chunks = axis.chunks_meeting(&range);
            chunks.end - chunks.start
        });
        let expected: u64 = counts.product();
        if expected > entries.len() as u64 {
            // Few chunks of a large region were written: look at those, not at the grid.
            let meets = |entry: &&Entry| {
                self.grid.region(&self.grid.index_of(entry.linear)).intersection(region).is_some()
            };
            return (entries.iter().filter(meets).copied().collect(), expected);
        }
        let counts = self.grid.counts();
        let found = self.grid.chunks_meeting(region).filter_map(|index| {
            let linear = index.iter().zip(&counts).fold(0, |linear, (i, count)| linear * count + i);
            let place = entries.binary_search_by_key(&linear, |entry| entry.linear).ok()?;
            Some(entries[place])
        });
        (found.collect(), expected)
    }

    /// Decodes chunks into the targets of their regions; one target for each region.
    ///
    /// Memory: one decoded chunk; the bytes of each are let go when it is done.
    ///
    /// # Errors
    /// A chunk that is damaged; the error names it.
    pub(crate) fn decode(
        &self,
        plan: ChunkPlan,
        pieces: Vec<Bytes>,
        targets: &mut [Target<'_>],
    ) -> Result<()> {
        for (target, has_holes) in targets.iter_mut().zip(plan.has_holes) {
            if has_holes {
                target.fill(&target.region.clone(), &self.fill);
            }
        }
        let chunk_bytes = self.index.chunk_bytes();
        self.file.scratch.with(|scratch| {
            for (planned, piece) in plan.chunks.into_iter().zip(pieces) {
                let entry = &planned.entry;
                let decoded = self
                    .pipeline
                    .decode(&piece, entry.mask, chunk_bytes, scratch)
                    .map_err(|error| self.at_chunk(error, entry))?;
                let chunk = self.grid.region(&self.grid.index_of(entry.linear));
                let start = chunk.start();
                let origin = Origin { shape: &self.chunk_shape, start: &start };
                for &region in &planned.regions {
                    let target = &mut targets[region];
                    let Some(part) = chunk.intersection(&target.region) else { continue };
                    target.for_each_run(&part, origin, |first, out| {
                        decoded.copy(first, out, self.unit_bytes, self.swap_bytes);
                    });
                }
            }
            Ok(())
        })
    }

    fn at_chunk(&self, error: Error, entry: &Entry) -> Error {
        let index = self.grid.index_of(entry.linear);
        let Entry { address, bytes, .. } = entry;
        error.at("chunk", format!("{index:?} ({bytes} bytes at {address})"))
    }
}
