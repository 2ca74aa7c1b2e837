//! A file that has the elements of the store along dimensions that are joined.

use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, Axis, Chunk, ChunkGrid, DType, Dataset, DatasetSource, Fetched,
    GroupPath, Placement, Region, Scalar, SourceFacts,
};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::aligned::AlignedDim;
use crate::recode::missing_of;
use crate::schema::FilePlace;
use crate::tiling::{Lane, TiledAxis};

/// A file as if it had all elements of these dimensions: where it has none, variables are missing.
pub(crate) fn aligned(
    source: Arc<dyn DatasetSource>,
    file: FilePlace,
    dims: &Arc<[AlignedDim]>,
) -> Arc<dyn DatasetSource> {
    let mut dataset = source.dataset().clone();
    let mut is_changed = false;
    for dim in dims.iter().filter(|dim| dim.way(file).is_some()) {
        is_changed = true;
        let own = dataset.dimensions.iter_mut().filter(|it| it.name == dim.name);
        own.for_each(|it| it.length = dim.length());
        for variable in &mut dataset.variables {
            for (name, length) in variable.dimensions.iter().zip(&mut variable.shape) {
                if *name == dim.name {
                    *length = dim.length();
                }
            }
        }
    }
    match is_changed {
        true => Arc::new(AlignedFile { source, dataset, file, dims: Arc::clone(dims) }),
        false => source,
    }
}

#[derive(Debug)]
struct AlignedFile {
    source: Arc<dyn DatasetSource>,
    dataset: Dataset,
    file: FilePlace,
    dims: Arc<[AlignedDim]>,
}

impl DatasetSource for AlignedFile {
    fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    fn array(&self, name: &str) -> Result<Arc<dyn ArraySource>> {
        let variable = self.dataset.expect_variable(name)?;
        let array = self.source.array(name)?;
        let lane = |(axis, name): (usize, &String)| {
            let dim = self.dims.iter().find(|dim| dim.name == *name)?;
            Some((axis, dim, dim.lane(self.file)?))
        };
        let lanes: Vec<(usize, &AlignedDim, &Lane)> =
            variable.dimensions.iter().enumerate().filter_map(lane).collect();
        if lanes.is_empty() {
            return Ok(array);
        }
        let coordinate = match lanes.as_slice() {
            [(_, dim, _)] if variable.is_dimension_coordinate() => Some(dim.coordinate()?),
            _ => None,
        };
        let mut axes = array.facts().grid.axes().to_vec();
        for &(axis, _, _) in &lanes {
            let longest = axes[axis].longest_chunk().max(1);
            axes[axis] = Axis::regular(variable.shape[axis], longest);
        }
        let has_holes = lanes.iter().any(|(.., lane)| lane.has_holes());
        let missing = missing_of(variable).filter(|_| has_holes);
        if missing.is_none() && has_holes && coordinate.is_none() {
            return Err(changed(name));
        }
        let facts = SourceFacts {
            grid: ChunkGrid::new(axes),
            is_random_access: false,
            recode_bytes: array.facts().recode_bytes + array.facts().dtype.estimated_bytes(),
            ..array.facts().clone()
        };
        let axes = lanes.iter().map(|&(axis, _, lane)| TiledAxis::new(axis, 0, false, lane));
        Ok(Arc::new(AlignedArray { array, facts, axes: axes.collect(), missing, coordinate }))
    }

    fn left_out(&self) -> Vec<(String, Error)> {
        self.source.left_out()
    }

    fn group(&self, path: &GroupPath) -> Result<Arc<dyn DatasetSource>> {
        self.source.group(path)
    }
}

#[cold]
fn changed(name: &str) -> Error {
    let message = format!("the source has changed: `{name}` cannot say that elements are missing");
    let error = Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message);
    error.at("variable", name).mend("run again when nobody writes the source")
}

#[derive(Debug)]
struct AlignedArray {
    array: Arc<dyn ArraySource>,
    facts: SourceFacts,
    /// The dimensions that are joined, and where the file has their elements.
    axes: Vec<TiledAxis>,
    /// What stands where the file has nothing.
    missing: Option<Scalar>,
    /// All elements, if it is the coordinate itself.
    coordinate: Option<Chunk>,
}

impl AlignedArray {
    /// What a region needs of the file: one region that holds all of it, and pieces of it with the
    /// places in the region that was asked for.
    fn needs(&self, region: &Region) -> Needed {
        let mut pieces = vec![(region.clone(), vec![0; region.rank()])];
        for tiled in &self.axes {
            pieces = pieces.iter().flat_map(|piece| tiled.pieces_of(piece)).collect();
        }
        let held = pieces.iter().map(|(own, _)| own.clone()).reduce(|all, more| {
            let ends = all.ranges().zip(more.ranges());
            Region::new(ends.map(|(a, b)| a.start.min(b.start)..a.end.max(b.end)))
        });
        Needed { extent: region.shape(), held, pieces }
    }
}

struct Needed {
    extent: Vec<u64>,
    held: Option<Region>,
    pieces: Vec<(Region, Vec<u64>)>,
}

impl ArraySource for AlignedArray {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        if let Some(coordinate) = &self.coordinate {
            let parts = regions.iter().map(|region| coordinate.slice(region));
            return Ok(Box::new(Known(parts.collect::<Result<_>>()?)));
        }
        let needed: Vec<Needed> = regions.iter().map(|region| self.needs(region)).collect();
        let held: Vec<Region> = needed.iter().filter_map(|it| it.held.clone()).collect();
        let fetched = self.array.fetch(&held)?;
        let (dtype, missing) = (self.facts.dtype, self.missing.clone());
        Ok(Box::new(AlignedFetch { fetched, needed, dtype, missing }))
    }
}

/// Parts of a coordinate that was planned.
struct Known(Vec<Chunk>);

impl Fetched for Known {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let mut all = places.iter_mut().zip(&self.0);
        all.try_for_each(|(place, chunk)| {
            place.into.write(&place.at, chunk, &Region::whole(chunk.shape()))
        })
    }
}

struct AlignedFetch {
    fetched: Box<dyn Fetched>,
    needed: Vec<Needed>,
    dtype: DType,
    missing: Option<Scalar>,
}

impl Fetched for AlignedFetch {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let held = self.needed.iter().filter_map(|it| it.held.as_ref());
        let mut buffers: Vec<ArrayBuffer> =
            held.map(|region| ArrayBuffer::zeroed(self.dtype, &region.shape())).collect();
        let stored = buffers.iter_mut().map(|into| {
            let at = vec![0; into.shape().len()];
            Placement { into, at }
        });
        self.fetched.decode(&mut stored.collect::<Vec<_>>())?;
        let mut buffers = buffers.into_iter();
        for (needed, place) in self.needed.iter().zip(places) {
            if let Some(missing) = &self.missing {
                place.into.fill(&place.at, &needed.extent, missing)?;
            }
            let Some(held) = &needed.held else { continue };
            let buffer = buffers.next().ok_or_else(|| Error::internal("a region is not read"))?;
            let chunk = buffer.freeze()?;
            for (region, at) in &needed.pieces {
                let origin: Vec<u64> = place.at.iter().zip(at).map(|(a, b)| a + b).collect();
                place.into.write(&origin, &chunk, &region.relative_to(&held.start()))?;
            }
        }
        Ok(())
    }
}
