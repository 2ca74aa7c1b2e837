//! Arrays that are read otherwise than they stand in their file.

use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, Axis, Chunk, ChunkGrid, DType, Fetched, Placement, Region, Scalar,
    SourceFacts,
};
use cf::Packing;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// How elements of a changed variable follow from those of the file.
#[derive(Debug, Clone)]
pub(super) enum Mapping {
    /// They begin at this place.
    Shift(Vec<u64>),
    /// They have one more dimension, the first, of one element.
    Expand,
    /// They are computed, one by one, from what the stored elements mean.
    Values { packing: Box<Packing>, map: ValueMap, dtype: DType },
}

/// What is computed of each value.
#[derive(Debug, Clone)]
pub(super) enum ValueMap {
    Scale { factor: f64, offset: f64 },
    Mask { below: Option<f64>, above: Option<f64>, equal: Option<f64> },
    Cast(DType),
}

impl ValueMap {
    /// The type of what comes of values of `decoded`; `None` if nothing does.
    pub(super) fn dtype(&self, decoded: DType) -> Option<DType> {
        let is_number = |dtype: DType| dtype.is_integer() || dtype.is_float();
        match self {
            _ if !is_number(decoded) => None,
            Self::Cast(dtype) => Some(*dtype).filter(|it| is_number(*it)),
            _ if decoded.is_float() => Some(decoded),
            _ => DType::Float32.promote(decoded),
        }
    }

    fn apply(&self, value: f64) -> f64 {
        match self {
            Self::Scale { factor, offset } => value * factor + offset,
            Self::Mask { below, above, equal } => {
                let is_masked = below.is_some_and(|it| value < it)
                    || above.is_some_and(|it| value > it)
                    || equal.is_some_and(|it| value == it);
                if is_masked { f64::NAN } else { value }
            }
            Self::Cast(_) => value,
        }
    }
}

impl Mapping {
    /// The axes of the changed array.
    pub(super) fn axes(&self, axes: &[Axis], shape: &[u64]) -> Vec<Axis> {
        match self {
            Self::Shift(shift) => {
                let cut = |((axis, &start), &length)| cut(axis, start, length);
                axes.iter().zip(shift).zip(shape).map(cut).collect()
            }
            Self::Expand => {
                std::iter::once(Axis::regular(1, 1)).chain(axes.iter().cloned()).collect()
            }
            Self::Values { .. } => axes.to_vec(),
        }
    }

    /// Bytes that an element takes while it is changed.
    pub(super) fn recode_bytes(&self, dtype: DType) -> u64 {
        match self {
            Self::Shift(_) => 0,
            Self::Expand => dtype.estimated_bytes(),
            // As it is stored, unpacked, as a double, and as it becomes.
            Self::Values { .. } => 24 + dtype.estimated_bytes(),
        }
    }

    fn source_region(&self, region: &Region) -> Region {
        match self {
            Self::Shift(shift) => {
                let ranges = region.ranges().zip(shift);
                Region::new(ranges.map(|(range, by)| range.start + by..range.end + by))
            }
            Self::Expand => Region::new(region.ranges().skip(1)),
            Self::Values { .. } => region.clone(),
        }
    }

    fn change(&self, chunk: &Chunk) -> Result<Chunk> {
        match self {
            Self::Shift(_) => Ok(chunk.clone()),
            Self::Expand => {
                let shape = [&[1], chunk.shape()].concat();
                Chunk::new(chunk.dtype(), shape, chunk.payload().clone())
            }
            Self::Values { packing, map, dtype } => {
                let decoded = packing.decode(chunk)?;
                if let ValueMap::Cast(_) = map
                    && decoded.dtype().promote(*dtype) == Some(*dtype)
                {
                    return decoded.widened(*dtype);
                }
                if decoded.dtype().is_integer() && dtype.is_integer() {
                    return integers(&decoded, *dtype);
                }
                let mut values = decoded.widened(DType::Float64)?.values::<f64>()?;
                values.iter_mut().for_each(|value| *value = map.apply(*value));
                floats(decoded.shape(), &values, *dtype)
            }
        }
    }
}

/// The part of an axis that begins at `start`, as long as `length`.
fn cut(axis: &Axis, start: u64, length: u64) -> Axis {
    let kept = start..start + length;
    let chunks = axis.chunks_meeting(&kept);
    Axis::of_lengths(chunks.map(|index| {
        let chunk = axis.chunk(index);
        chunk.end.min(kept.end) - chunk.start.max(kept.start)
    }))
}

/// Integers as others, none of which may be lost.
fn integers(chunk: &Chunk, dtype: DType) -> Result<Chunk> {
    let mut payload = Vec::new();
    for place in 0..chunk.element_count() {
        let value = chunk.scalar(place)?;
        let element = value.as_int().and_then(|int| Scalar::from_int(dtype, int));
        payload.extend_from_slice(element.ok_or_else(|| is_no(&value, dtype))?.bytes());
    }
    Chunk::new(dtype, chunk.shape(), payload.into())
}

/// Doubles as elements of this type: floats are rounded, integers are not.
fn floats(shape: &[u64], values: &[f64], dtype: DType) -> Result<Chunk> {
    match dtype {
        DType::Float64 => Chunk::of(shape, values),
        DType::Float32 => {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Chunk::of(shape, &values)
        }
        _ => {
            let mut payload = Vec::new();
            for &value in values {
                let is_whole = value.fract() == 0.0 && value.abs() < 2f64.powi(64);
                let int = is_whole.then(|| Scalar::from_int(dtype, value as i128)).flatten();
                let element = int.or_else(|| Scalar::from_float(dtype, value));
                payload.extend_from_slice(element.ok_or_else(|| is_no(&value, dtype))?.bytes());
            }
            Chunk::new(dtype, shape, payload.into())
        }
    }
}

fn is_no(value: &dyn std::fmt::Display, dtype: DType) -> Error {
    let message = format!("{value} is no {dtype}");
    let error = Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message);
    error.mend("cast to a float, or mask such values before")
}

/// An array of a file, changed.
#[derive(Debug)]
pub(super) struct Mapped {
    array: Arc<dyn ArraySource>,
    facts: SourceFacts,
    mapping: Mapping,
}

impl Mapped {
    pub(super) fn new(array: Arc<dyn ArraySource>, facts: SourceFacts, mapping: Mapping) -> Self {
        Self { array, facts, mapping }
    }
}

impl ArraySource for Mapped {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let own: Vec<Region> = regions.iter().map(|it| self.mapping.source_region(it)).collect();
        let fetched = self.array.fetch(&own)?;
        if let Mapping::Shift(_) = self.mapping {
            return Ok(fetched);
        }
        let (mapping, dtype) = (self.mapping.clone(), self.array.facts().dtype);
        Ok(Box::new(MappedFetch { fetched, regions: own, mapping, dtype }))
    }
}

struct MappedFetch {
    fetched: Box<dyn Fetched>,
    /// What is fetched, as the file has it.
    regions: Vec<Region>,
    mapping: Mapping,
    dtype: DType,
}

impl Fetched for MappedFetch {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let buffer = |region: &Region| ArrayBuffer::zeroed(self.dtype, &region.shape());
        let mut buffers: Vec<ArrayBuffer> = self.regions.iter().map(buffer).collect();
        let mut stored: Vec<Placement<'_>> = buffers
            .iter_mut()
            .zip(&self.regions)
            .map(|(into, region)| Placement { into, at: vec![0; region.rank()] })
            .collect();
        self.fetched.decode(&mut stored)?;
        for (buffer, place) in buffers.into_iter().zip(places) {
            let chunk = self.mapping.change(&buffer.freeze()?)?;
            place.into.write(&place.at, &chunk, &Region::whole(chunk.shape()))?;
        }
        Ok(())
    }
}

/// A scalar that no file holds.
#[derive(Debug)]
pub(super) struct Constant {
    facts: SourceFacts,
    value: Scalar,
}

impl Constant {
    pub(super) fn new(value: &Scalar) -> Self {
        let facts = SourceFacts {
            dtype: value.dtype(),
            grid: ChunkGrid::regular(&[], &[]),
            is_random_access: true,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill: value.clone(),
        };
        Self { facts, value: value.clone() }
    }
}

impl ArraySource for Constant {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let shapes = regions.iter().map(Region::shape).collect();
        Ok(Box::new(ConstantFetch { value: self.value.clone(), shapes }))
    }
}

struct ConstantFetch {
    value: Scalar,
    shapes: Vec<Vec<u64>>,
}

impl Fetched for ConstantFetch {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let mut all = places.iter_mut().zip(&self.shapes);
        all.try_for_each(|(place, shape)| place.into.fill(&place.at, shape, &self.value))
    }
}
