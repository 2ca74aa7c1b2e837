//! Arrays that are held in memory: coordinates.

use std::fmt;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{ArraySource, Chunk, ChunkGrid, Fetched, Placement, Region, Scalar, SourceFacts};

use crate::grid::{Place, Projected, ReducedRows};

/// Where the elements of a coordinate come from.
#[derive(Debug, Clone)]
pub(crate) enum Coordinate {
    /// They are held.
    Held(Chunk),
    /// The latitudes of the points of a grid.
    Latitudes(PointsOf),
    /// The longitudes of the points of a grid.
    Longitudes(PointsOf),
}

/// The points of a grid, worked out when they are asked for.
#[derive(Debug, Clone)]
pub(crate) enum PointsOf {
    /// Of a reduced grid, along one dimension.
    Reduced(Arc<ReducedRows>),
    /// Of a grid on a plane, in rows and columns.
    Projected(Arc<Projected>),
}

impl Coordinate {
    /// A chunk that holds a region, and where in the chunk that is.
    fn holding(&self, region: &Region) -> Result<(Chunk, Region)> {
        let (points, coordinate): (_, fn(Place) -> f64) = match self {
            Self::Held(chunk) => return Ok((chunk.clone(), region.clone())),
            Self::Latitudes(points) => (points, |place| place.latitude),
            Self::Longitudes(points) => (points, |place| place.longitude),
        };
        let values: Vec<f64> = points.places(region).map(coordinate).collect();
        let shape: Vec<u64> = region.ranges().map(|range| range.end - range.start).collect();
        let whole = Region::new(shape.iter().map(|&length| 0..length));
        Ok((Chunk::of(shape, &values)?, whole))
    }
}

impl PointsOf {
    /// The points of a region of the grid, row by row.
    fn places(&self, region: &Region) -> Box<dyn Iterator<Item = Place> + '_> {
        let mut ranges = region.ranges().map(|range| range.start as usize..range.end as usize);
        let (first, second) = (ranges.next().unwrap_or(0..1), ranges.next().unwrap_or(0..1));
        match self {
            Self::Reduced(rows) => Box::new(rows.places().skip(first.start).take(first.len())),
            Self::Projected(points) => {
                Box::new(first.flat_map(move |row| {
                    second.clone().map(move |column| points.place(row, column))
                }))
            }
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
        let mut pairs = places.iter_mut().zip(&self.regions);
        pairs.try_for_each(|(place, region)| {
            let (chunk, held) = self.coordinate.holding(region)?;
            place.into.write(&place.at, &chunk, &held)
        })
    }
}
