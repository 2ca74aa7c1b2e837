//! Arrays that are held in memory: coordinates.

use std::fmt;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{ArraySource, Chunk, ChunkGrid, Fetched, Placement, Region, Scalar, SourceFacts};

use crate::grid::ReducedRows;

/// Where the elements of a coordinate come from.
#[derive(Debug, Clone)]
pub(crate) enum Coordinate {
    /// They are held.
    Held(Chunk),
    /// The latitudes of the points of a reduced grid.
    Latitudes(Arc<ReducedRows>),
    /// The longitudes of the points of a reduced grid.
    Longitudes(Arc<ReducedRows>),
}

impl Coordinate {
    fn chunk(&self) -> Result<Chunk> {
        match self {
            Self::Held(chunk) => Ok(chunk.clone()),
            Self::Latitudes(rows) => Chunk::of([rows.point_count()], &rows.point_latitudes()),
            Self::Longitudes(rows) => Chunk::of([rows.point_count()], &rows.point_longitudes()),
        }
    }
}

/// A coordinate, ready to be read.
pub(crate) struct HeldArray {
    coordinate: Coordinate,
    facts: SourceFacts,
}

impl HeldArray {
    pub(crate) fn new(coordinate: Coordinate, shape: &[u64], fill: Scalar) -> Self {
        let facts = SourceFacts {
            dtype: fill.dtype(),
            grid: ChunkGrid::regular(shape, shape),
            is_random_access: true,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill,
        };
        Self { coordinate, facts }
    }
}

impl fmt::Debug for HeldArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldArray({:?})", self.facts.grid.shape())
    }
}

impl ArraySource for HeldArray {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let shape = self.facts.grid.shape();
        if regions.iter().any(|region| !is_within(region, &shape)) {
            return Err(Error::internal(format!("a region outside of an array of {shape:?}")));
        }
        Ok(Box::new(HeldRegions { coordinate: self.coordinate.clone(), regions: regions.to_vec() }))
    }
}

/// Whether an array of a shape holds a region.
pub(crate) fn is_within(region: &Region, shape: &[u64]) -> bool {
    region.rank() == shape.len()
        && region.ranges().zip(shape).all(|(range, &length)| range.end <= length)
}

struct HeldRegions {
    coordinate: Coordinate,
    regions: Vec<Region>,
}

impl Fetched for HeldRegions {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        if places.len() != self.regions.len() {
            return Err(Error::internal("as many places as regions are needed"));
        }
        let chunk = self.coordinate.chunk()?;
        let mut pairs = places.iter_mut().zip(&self.regions);
        pairs.try_for_each(|(place, region)| place.into.write(&place.at, &chunk, region))
    }
}
