//! A variable whose elements are packed in messages: each is a chunk.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{
    ArraySource, BoxCopy, ChunkGrid, DType, EncodedChunks, Fetched, Placement, Region, Scalar,
    SourceFacts, not_encoded,
};
use bytes::Bytes;
use objects::Pending;

use crate::decode::{Encoded, Real, decode};
use crate::fault::at_message;
use crate::field::Field;
use crate::grid::Grid;
use crate::held::is_within;
use objects::FileBytes;

/// The headers of a file, which its arrays share.
pub(crate) struct Index {
    /// The file.
    pub(crate) bytes: Arc<FileBytes>,
    /// All fields.
    pub(crate) fields: Vec<Field>,
    /// Their grids.
    pub(crate) grids: Vec<Grid>,
}

/// An array of messages, ready to be read.
pub(crate) struct PackedArray {
    parts: Arc<Parts>,
    facts: SourceFacts,
}

/// What a [`PackedArray`] is made of.
pub(crate) struct Parts {
    /// The name of the variable.
    pub(crate) variable: String,
    /// The headers of the file.
    pub(crate) index: Arc<Index>,
    /// Elements along every dimension, those of a message last.
    pub(crate) shape: Vec<u64>,
    /// Dimensions of a message.
    pub(crate) inner_rank: usize,
    /// Fields by their place along the outer dimensions, in C order.
    pub(crate) cells: BTreeMap<u64, usize>,
    /// `Float32` or `Float64`.
    pub(crate) dtype: DType,
}

impl PackedArray {
    pub(crate) fn new(parts: &Arc<Parts>) -> Self {
        let fields = || parts.cells.values().map(|&field| &parts.index.fields[field]);
        let encoded: u64 = fields().map(|field| field.packed.encoded_bytes()).sum();
        let points: u64 = fields().map(|field| field.packed.point_count).sum();
        let decoded = points * parts.dtype.estimated_bytes();
        let facts = SourceFacts {
            dtype: parts.dtype,
            grid: ChunkGrid::regular(&parts.shape, &parts.chunk_shape()),
            is_random_access: false,
            codecs: parts.codecs(),
            encoded_ratio: if decoded == 0 { 1.0 } else { encoded as f64 / decoded as f64 },
            recode_bytes: parts.recode_bytes(),
            fill: missing(parts.dtype),
        };
        Self { parts: Arc::clone(parts), facts }
    }
}

/// The element that stands for a missing value.
pub(crate) fn missing(dtype: DType) -> Scalar {
    if dtype == DType::Float64 { Scalar::of(f64::NAN) } else { Scalar::of(f32::NAN) }
}

impl fmt::Debug for PackedArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedArray({} of {})", self.parts.variable, self.parts.index.bytes.name())
    }
}

impl Parts {
    /// The shape of the chunks: a message each.
    pub(crate) fn chunk_shape(&self) -> Vec<u64> {
        let outer = self.shape.len() - self.inner_rank;
        self.shape.iter().enumerate().map(|(i, &n)| if i < outer { 1 } else { n }).collect()
    }

    /// The number of places for messages.
    pub(crate) fn place_count(&self) -> u64 {
        self.outer().iter().product()
    }

    /// The places without a message, along the outer dimensions.
    pub(crate) fn holes(&self) -> impl Iterator<Item = Vec<u64>> {
        let holes = (0..self.place_count()).filter(|place| !self.cells.contains_key(place));
        holes.map(|mut place| {
            let mut index = self.outer().to_vec();
            for length in index.iter_mut().rev() {
                (place, *length) = (place / *length, place % *length);
            }
            index
        })
    }

    fn outer(&self) -> &[u64] {
        &self.shape[..self.shape.len() - self.inner_rank]
    }

    /// The packings of the messages, each once.
    pub(crate) fn codecs(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for &field in self.cells.values() {
            let name = self.index.fields[field].packed.packing.name();
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Bytes of each element that decoding takes besides it, for the costliest message.
    fn recode_bytes(&self) -> u64 {
        let of_field = |&field: &usize| {
            let field = &self.index.fields[field];
            let is_turned = self.index.grids[field.grid].scan.is_by_columns;
            let turned = if is_turned { self.dtype.estimated_bytes() } else { 0 };
            field.packed.packing.working_bytes() + turned
        };
        self.cells.values().map(of_field).max().unwrap_or(0)
    }

    fn name(&self, error: Error) -> Error {
        error.at("file", self.index.bytes.name()).at("variable", &self.variable)
    }

    /// The messages that a region needs, each with the part of the region that it fills.
    fn visits(&self, place: usize, region: &Region) -> Vec<(Option<usize>, Visit)> {
        let outer = self.shape.len() - self.inner_rank;
        let ranges: Vec<Range<u64>> = region.ranges().collect();
        let inner = Region::new(ranges[outer..].iter().cloned());
        let lengths: Vec<u64> = ranges[..outer].iter().map(|it| it.end - it.start).collect();
        let count: u64 = lengths.iter().product();
        let visit = |mut linear: u64| {
            let mut at = vec![0; self.shape.len()];
            for axis in (0..outer).rev() {
                (at[axis], linear) = (linear % lengths[axis], linear / lengths[axis]);
            }
            let cell = (0..outer)
                .fold(0, |sum, axis| sum * self.shape[axis] + ranges[axis].start + at[axis]);
            (self.cells.get(&cell).copied(), Visit { place, at, inner: inner.clone() })
        };
        if inner.is_empty() { Vec::new() } else { (0..count).map(visit).collect() }
    }
}

/// A message, or its absence, in a region.
struct Visit {
    /// The place of the region.
    place: usize,
    /// Where the elements go, from the start of the region.
    at: Vec<u64>,
    /// The points that are wanted.
    inner: Region,
}

impl ArraySource for PackedArray {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let parts = &self.parts;
        let mut holes = Vec::new();
        let mut by_field: BTreeMap<usize, Vec<Visit>> = BTreeMap::new();
        for (place, region) in regions.iter().enumerate() {
            if !is_within(region, &parts.shape) {
                let message = format!("region {region} is not within {:?}", parts.shape);
                return Err(parts.name(Error::internal(message)));
            }
            for (field, visit) in parts.visits(place, region) {
                match field {
                    Some(field) => by_field.entry(field).or_default().push(visit),
                    None => holes.push(visit),
                }
            }
        }
        let packed = by_field.keys().map(|&field| &parts.index.fields[field].packed);
        let ranges = packed.flat_map(|it| it.bitmap.iter().chain([&it.data]).cloned());
        let pending = parts.index.bytes.fetch(ranges.collect());
        let pending = pending.map_err(|error| parts.name(error))?;
        Ok(Box::new(Arrival { parts: Arc::clone(parts), by_field, holes, pending }))
    }

    fn encoded(&self) -> Result<Arc<dyn EncodedChunks>> {
        Err(not_encoded("GRIB messages are decoded by no codec that all readers of Zarr have"))
    }
}

struct Arrival {
    parts: Arc<Parts>,
    by_field: BTreeMap<usize, Vec<Visit>>,
    holes: Vec<Visit>,
    pending: Pending<Vec<Bytes>>,
}

impl Fetched for Arrival {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let parts = Arc::clone(&self.parts);
        let decoded = match parts.dtype {
            DType::Float64 => self.into_places::<f64>(places),
            _ => self.into_places::<f32>(places),
        };
        decoded.map_err(|error| parts.name(error))
    }
}

impl Arrival {
    fn into_places<T: Real>(self, places: &mut [Placement<'_>]) -> Result<()> {
        let Self { parts, by_field, holes, pending } = self;
        let mut pieces = pending.wait()?.into_iter();
        let mut next = || pieces.next().ok_or_else(|| Error::internal("a piece is missing"));
        for (field, visits) in by_field {
            let field = &parts.index.fields[field];
            let has_bitmap = field.packed.bitmap.is_some();
            let bitmap = if has_bitmap { Some(next()?) } else { None };
            let encoded = Encoded { bitmap, data: next()? };
            let grid = &parts.index.grids[field.grid];
            let values = decode::<T>(&field.packed, &encoded, grid)
                .map_err(|error| at_message(error, field.offset))?;
            for visit in &visits {
                visit.write(&parts, places, |from, cells| {
                    let values = &values[from..from + cells.len() / size_of::<T>()];
                    let cells = cells.chunks_exact_mut(size_of::<T>());
                    values.iter().zip(cells).for_each(|(value, cell)| value.store(cell));
                })?;
            }
        }
        holes.iter().try_for_each(|visit| {
            visit.write(&parts, places, |_, cells| {
                let cells = cells.chunks_exact_mut(size_of::<T>());
                cells.for_each(|cell| T::MISSING.store(cell));
            })
        })
    }
}

impl Visit {
    /// Calls `run` for every run of points that lies together in the message and in the buffer:
    /// the first point, and the bytes to fill.
    fn write(
        &self,
        parts: &Parts,
        places: &mut [Placement<'_>],
        mut run: impl FnMut(usize, &mut [u8]),
    ) -> Result<()> {
        let outer = parts.shape.len() - parts.inner_rank;
        let place = places.get_mut(self.place).ok_or_else(|| Error::internal("no such place"))?;
        let at: Vec<u64> = place.at.iter().zip(&self.at).map(|(a, b)| a + b).collect();
        let extent: Vec<u64> = std::iter::repeat_n(1, outer).chain(self.inner.shape()).collect();
        place.into.check(&at, &extent, parts.dtype)?;
        let source_start: Vec<u64> =
            std::iter::repeat_n(0, outer).chain(self.inner.start()).collect();
        let target_shape = place.into.shape().to_vec();
        let copy = BoxCopy {
            source_shape: &parts.chunk_shape(),
            source_start: &source_start,
            target_shape: &target_shape,
            target_start: &at,
            extent: &extent,
        };
        let item = parts.dtype.item_bytes().unwrap_or(1);
        let bytes = place.into.fixed_mut().ok_or_else(|| Error::internal("texts for numbers"))?;
        copy.for_each_run(|from, to, length| {
            run(from, &mut bytes[to * item..(to + length) * item]);
        });
        Ok(())
    }
}
