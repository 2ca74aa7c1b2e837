//! MapOverlap: a function on every chunk and what lies around it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use array::{DatasetChunk, Key};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{GroupByKey, Iterable, PCollection, PTransform, ParDo};

use crate::blocks::halo::{BoundaryMode, Halo};
use crate::blocks::template::Template;
use crate::keyed::{Layout, missing};
use crate::room::Room;

/// Maps every chunk together with a halo of its neighbours, and cuts the halo off again.
///
/// Each chunk is split into what its neighbours need, and these pieces are consolidated. Chunks may
/// be cut in any way; results are cut as the template says. The function gets the key of the block
/// and the padded block, and must keep its lengths along dimensions with a halo.
///
/// Memory: a padded block and its result, granted before a bundle starts.
///
/// ```
/// # use array::{Dataset, DatasetChunk, Key};
/// # use chunks::{BoundaryMode, Chunks, MapOverlap, Template};
/// # fn smoothed(_: &Key, block: &DatasetChunk) -> dataflow::error::Result<DatasetChunk> { Ok(block.clone()) }
/// # let dataset = Dataset::default();
/// let template = Template::of(dataset, Chunks::default())?;
/// let smooth = MapOverlap::new(&template, smoothed);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
///
/// Source: Dask, "Overlapping computations", <https://docs.dask.org/en/stable/array-overlap.html>.
pub struct MapOverlap<F> {
    function: F,
    template: Arc<Template>,
    halos: Vec<Halo>,
}

impl<F> MapOverlap<F>
where
    F: Fn(&Key, &DatasetChunk) -> Result<DatasetChunk> + Clone + Send + Sync + 'static,
{
    /// Maps the chunks of this template, without any halo yet.
    pub fn new(template: &Template, function: F) -> Self {
        Self { function, template: Arc::new(template.clone()), halos: Vec::new() }
    }

    /// Adds a halo of `depth` elements on both sides along a dimension.
    ///
    /// # Errors
    /// A dimension that is not there or has a halo already, a depth beyond the whole dimension.
    pub fn along(
        mut self,
        dimension: impl Into<String>,
        depth: u64,
        mode: BoundaryMode,
    ) -> Result<Self> {
        let dimension = dimension.into();
        let size = self.template.dataset().expect_dimension(&dimension)?.length;
        let invalid = |message: String| {
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
        };
        if self.halos.iter().any(|halo| halo.dimension == dimension) {
            let message = format!("`{dimension}` has a halo already");
            return Err(invalid(message).mend("give each dimension one halo"));
        }
        if depth > size {
            let message = format!("a halo of {depth} is deeper than `{dimension}` of {size}");
            return Err(invalid(message).mend("choose a depth within the dimension"));
        }
        self.halos.push(Halo { dimension, depth, mode, size });
        Ok(self)
    }
}

impl<F> fmt::Debug for MapOverlap<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapOverlap").field("halos", &self.halos).finish_non_exhaustive()
    }
}

impl<F> PTransform<PCollection<(Key, DatasetChunk)>> for MapOverlap<F>
where
    F: Fn(&Key, &DatasetChunk) -> Result<DatasetChunk> + Clone + Send + Sync + 'static,
{
    type Output = PCollection<(Key, DatasetChunk)>;

    fn name(&self) -> String {
        "MapOverlap".to_owned()
    }

    fn expand(self, input: PCollection<(Key, DatasetChunk)>) -> Self::Output {
        let blocks = Blocks { template: self.template, halos: self.halos };
        let exchange = ExchangeFn { blocks: blocks.clone() };
        let pieces = input.apply_named("Exchange", ParDo::of(exchange)).apply(GroupByKey);
        pieces.apply_named("Map", ParDo::of(MapPaddedFn { function: self.function, blocks }))
    }
}

const MEND: &str = "give `MapOverlap` the template of the chunks that there are";

/// The blocks of results, and their halos.
#[derive(Debug, Clone)]
struct Blocks {
    template: Arc<Template>,
    halos: Vec<Halo>,
}

/// A piece of a padded block: its offsets count from the start of the halo.
type Piece = (Key, DatasetChunk);

/// Along one dimension: where blocks begin that need elements of a chunk, where these lie in the
/// frame of the block, and which they are.
type AxisPieces = Vec<(u64, u64, Range<u64>)>;

impl Blocks {
    fn halo(&self, dimension: &str) -> Option<&Halo> {
        self.halos.iter().find(|halo| halo.dimension == dimension)
    }

    /// The elements of the block that begins at an offset.
    fn block(&self, key: &Key, dimension: &str) -> Result<Range<u64>> {
        let offset = key.offset(dimension).unwrap_or(0);
        let axis = self.template.axis(dimension);
        let block = axis.and_then(|axis| {
            let chunk = axis.chunks_meeting(&(offset..offset + 1));
            (!chunk.is_empty()).then(|| axis.chunk(chunk.start))
        });
        block.ok_or_else(|| {
            let message = format!("a chunk holds {dimension}={offset}, beyond its end");
            let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
            error.at("chunk", key).mend(MEND)
        })
    }

    /// The blocks that need elements of a chunk along one dimension.
    fn pieces_along(&self, key: &Key, dimension: &str, length: u64) -> Result<AxisPieces> {
        let offset = key.offset(dimension).unwrap_or(0);
        self.block(key, dimension)?;
        let Some(axis) = self.template.axis(dimension) else { return Ok(Vec::new()) };
        let elements = offset..offset + length;
        if elements.end > axis.length() {
            let message = format!("a chunk holds {dimension} to {}, beyond its end", elements.end);
            let error = Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::Conflict, message);
            return Err(error.at("chunk", key).mend(MEND));
        }
        let mut pieces = Vec::new();
        let Some(halo) = self.halo(dimension) else {
            for chunk in axis.chunks_meeting(&elements) {
                let block = axis.chunk(chunk);
                let (start, end) = (block.start.max(offset), block.end.min(elements.end));
                pieces.push((block.start, start, start - offset..end - offset));
            }
            return Ok(pieces);
        };
        let near = halo.near(&elements).into_iter();
        let chunks: BTreeSet<u64> = near.flat_map(|range| axis.chunks_meeting(&range)).collect();
        for chunk in chunks {
            let block = axis.chunk(chunk);
            let own = halo.pieces(&elements, &block).into_iter();
            pieces.extend(own.map(|(place, part)| (block.start, place, part)));
        }
        Ok(pieces)
    }

    /// Bytes of the largest padded block.
    fn padded_bytes(&self) -> u64 {
        self.template.bytes_of(|dimension, length| {
            let longest = self.template.axis(dimension).map_or(length, array::Axis::longest_chunk);
            longest + self.halo(dimension).map_or(0, |halo| 2 * halo.depth)
        })
    }

    fn room(&self) -> Room {
        // The padded block, its result, and a piece of it.
        Room::of(self.padded_bytes().saturating_mul(2))
    }

    fn parameters(&self) -> String {
        format!("{:?} of {} in {}", self.halos, self.template.sizes(), self.template.chunks())
    }
}

/// Sends each chunk to all blocks that need some of it.
#[derive(Clone)]
struct ExchangeFn {
    blocks: Blocks,
}

impl DoFn for ExchangeFn {
    type In = (Key, DatasetChunk);
    type Out = (Key, Piece);

    fn process(&mut self, keyed: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, chunk) = keyed;
        let mut axes: Vec<(String, AxisPieces)> = Vec::new();
        for (name, length) in chunk.sizes().iter() {
            axes.push((name.to_owned(), self.blocks.pieces_along(&key, name, length)?));
        }
        let count: usize = axes.iter().map(|(_, pieces)| pieces.len()).product();
        let named = |offsets: Vec<(&str, u64)>| {
            let named = Key::new(offsets);
            match key.variables() {
                Some(names) => named.with_variables(names),
                None => named,
            }
        };
        for mut place in 0..count {
            let (mut block, mut frame, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
            for (name, pieces) in axes.iter().rev() {
                let (start, at, part) = &pieces[place % pieces.len()];
                place /= pieces.len();
                block.push((name.as_str(), *start));
                frame.push((name.as_str(), *at));
                ranges.push((name.as_str(), part.clone()));
            }
            ctx.output((named(block), (named(frame), chunk.slice(&ranges)?)))?;
        }
        Ok(())
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(self.blocks.parameters())
    }
}

/// Joins the pieces of a padded block, maps it and cuts its halo off.
#[derive(Clone)]
struct MapPaddedFn<F> {
    function: F,
    blocks: Blocks,
}

impl<F> MapPaddedFn<F>
where
    F: Fn(&Key, &DatasetChunk) -> Result<DatasetChunk>,
{
    /// The block with all of its halo.
    fn padded(&self, key: &Key, layout: &Layout, pieces: &Iterable<Piece>) -> Result<DatasetChunk> {
        let frames = layout.ends().map(|(name, end)| {
            let block = self.blocks.block(key, name)?;
            let frame = self.blocks.halo(name).map_or(block.clone(), |halo| halo.frame(&block));
            let start = layout.key().offset(name).unwrap_or(0);
            if (start, end) == (frame.start, frame.end) {
                return Ok(());
            }
            Err(missing(format!("chunks around `{name}` from {} are missing", block.start)))
        });
        frames.collect::<Result<Vec<()>>>()?;
        let mut padded = layout.fill(pieces.try_iter())?;
        for halo in &self.blocks.halos {
            if padded.length(&halo.dimension).is_some() {
                padded = halo.pad(&self.blocks.block(key, &halo.dimension)?, &padded)?;
            }
        }
        Ok(padded)
    }

    /// What the function made of the block itself.
    fn trimmed(&self, key: &Key, mapped: &DatasetChunk) -> Result<DatasetChunk> {
        let mut own = Vec::new();
        for halo in &self.blocks.halos {
            let Some(length) = mapped.length(&halo.dimension) else { continue };
            let block = self.blocks.block(key, &halo.dimension)?;
            let wanted = halo.padded_length(&block);
            if length != wanted {
                let name = &halo.dimension;
                let message = format!(
                    "a padded block has {wanted} elements along `{name}`, its result {length}"
                );
                return Err(Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::User, message)
                    .mend("let the function keep the lengths of dimensions with a halo"));
            }
            own.push((halo.dimension.as_str(), halo.own(&block)));
        }
        mapped.slice(&own)
    }
}

impl<F> DoFn for MapPaddedFn<F>
where
    F: Fn(&Key, &DatasetChunk) -> Result<DatasetChunk> + Clone + Send + Sync + 'static,
{
    type In = (Key, Iterable<Piece>);
    type Out = (Key, DatasetChunk);

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, pieces) = group;
        let map = || {
            let layout = Layout::of(pieces.try_iter())?;
            let _held = self.blocks.room().hold(layout.payload_bytes().saturating_mul(2), ctx)?;
            let padded = self.padded(&key, &layout, &pieces)?;
            self.trimmed(&key, &(self.function)(&key, &padded)?)
        };
        let mapped = map().map_err(|error| error.at("chunk", &key))?;
        drop(pieces);
        ctx.output((key, mapped))
    }

    fn facts(&self) -> DoFnFacts {
        self.blocks.room().facts().with_parameters(self.blocks.parameters())
    }
}
