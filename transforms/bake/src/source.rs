//! Many files, seen as one array.

use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, Axis, Chunk, ChunkGrid, DatasetSource, Fetched, Placement, Region,
    Scalar, SourceFacts, Variable,
};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::files::OpenFiles;
use crate::openers::Opening;
use crate::order::Piece;
use crate::plan::VariablePlan;
use crate::recode::{Reader, Recode};
use crate::schema::{FilePlace, FileSet};

/// Rows of an array that lies in one piece are read together up to this size.
const SLAB_BYTES: u64 = 64 << 10;

/// Where the values of a variable come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assembly {
    /// From one file.
    One {
        /// Its place in the list of files.
        file: u32,
    },
    /// From all files, one after the other.
    Along {
        /// The dimension of the variable along which they follow each other.
        axis: usize,
        /// What is written instead, where files write it differently.
        recode: Option<Recode>,
    },
    /// From all files: the value of each stands for all elements along the first dimension.
    Repeated {
        /// What is written instead, where files write it differently.
        recode: Option<Recode>,
    },
}

impl Assembly {
    pub(crate) fn recode(&self) -> Option<&Recode> {
        match self {
            Self::One { .. } => None,
            Self::Along { recode, .. } | Self::Repeated { recode } => recode.as_ref(),
        }
    }

    /// The dimensions of the target that a file does not have.
    fn own_offset(&self) -> usize {
        usize::from(matches!(self, Self::Repeated { .. }))
    }
}

/// The chunks of the sources of a variable, joined: what is read at once.
///
/// Times that are encoded anew are read by whole files, as [`TimeEncoding::decode`] asks for.
pub(crate) fn grid_of(
    assembly: &Assembly,
    target: &Variable,
    source_chunks: Option<&[u64]>,
    pieces: &[Piece],
) -> ChunkGrid {
    let offset = assembly.own_offset();
    let own_shape = &target.shape[offset..];
    let is_whole = assembly.recode().is_some_and(Recode::is_whole);
    let row: u64 = own_shape.iter().skip(1).product::<u64>() * target.dtype.estimated_bytes();
    let slab = |axis: usize| match axis {
        0 if !is_whole => (SLAB_BYTES / row.max(1)).max(1),
        _ => own_shape[axis].max(1),
    };
    let chunk_of = |axis: usize| match source_chunks.filter(|_| !is_whole) {
        Some(chunks) if chunks.len() == own_shape.len() => chunks[axis].max(1),
        _ => slab(axis),
    };
    let axes = (0..target.shape.len()).map(|axis| {
        let length = target.shape[axis];
        match assembly {
            Assembly::Repeated { .. } if axis == 0 => {
                Axis::of_lengths(pieces.iter().map(|piece| piece.length))
            }
            Assembly::Along { axis: along, .. } if axis == *along => {
                joined_axis(pieces, chunk_of(axis))
            }
            _ => Axis::regular(length, chunk_of(axis - offset)),
        }
    });
    ChunkGrid::new(axes)
}

/// The chunks of all pieces along the concat dimension, cut as they lie in their files.
fn joined_axis(pieces: &[Piece], chunk_length: u64) -> Axis {
    let inner = &pieces[..pieces.len().saturating_sub(1)];
    let starts_chunks = pieces.iter().all(|piece| piece.start % chunk_length == 0);
    if starts_chunks && inner.iter().all(|piece| piece.length % chunk_length == 0) {
        let length = pieces.iter().map(|piece| piece.length).sum();
        return Axis::regular(length, chunk_length);
    }
    Axis::of_lengths(pieces.iter().flat_map(|piece| {
        let end = piece.start + piece.length;
        let chunks = piece.start / chunk_length..end.div_ceil(chunk_length);
        let start = piece.start;
        chunks
            .map(move |index| end.min((index + 1) * chunk_length) - start.max(index * chunk_length))
    }))
}

/// A variable of a store that is baked, read from the files that have it.
#[derive(Debug)]
pub(crate) struct JoinedSource {
    parts: Arc<Parts>,
    /// Where each piece begins along the concat dimension, and where the last ends.
    starts: Vec<u64>,
    facts: SourceFacts,
}

/// The files of a bake, and how their elements follow each other.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) files: OpenFiles,
    /// Elements of each file along the concat dimension.
    pub(crate) lengths: Arc<[u64]>,
    pub(crate) pieces: Arc<[Piece]>,
}

#[derive(Debug)]
struct Parts {
    sources: Sources,
    variable: String,
    dimensions: Vec<String>,
    shape: Vec<u64>,
    assembly: Assembly,
    present: FileSet,
    hole: Option<Scalar>,
}

/// What one file adds to one region.
#[derive(Debug, Clone)]
struct PartRead {
    file: FilePlace,
    /// The elements of the file's own array, with its dimensions in the order of the target.
    region: Region,
    /// Where they go, from the start of the region that was asked for.
    at: Vec<u64>,
    /// How often they are repeated along the first dimension of the target.
    repeat: u64,
}

impl JoinedSource {
    pub(crate) fn new(
        sources: Sources,
        plan: &VariablePlan,
        target: &Variable,
        grid: ChunkGrid,
    ) -> Self {
        let mut starts = vec![0];
        starts.extend(sources.pieces.iter().scan(0, |end, piece| {
            *end += piece.length;
            Some(*end)
        }));
        let facts = SourceFacts {
            dtype: target.dtype,
            grid,
            is_random_access: false,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill: Scalar::zero(target.dtype),
        };
        let assembly = plan.assembly.clone();
        let parts = Parts {
            sources,
            variable: target.name.clone(),
            dimensions: target.dimensions[assembly.own_offset()..].to_vec(),
            shape: target.shape.clone(),
            assembly,
            present: plan.files.clone(),
            hole: plan.hole.clone(),
        };
        Self { parts: Arc::new(parts), starts, facts }
    }

    fn reads(&self, region: &Region) -> Vec<PartRead> {
        match self.parts.assembly {
            Assembly::One { file } => {
                let at = vec![0; region.rank()];
                vec![PartRead { file, region: region.clone(), at, repeat: 1 }]
            }
            Assembly::Along { axis, .. } => self.reads_along(region, axis, false),
            Assembly::Repeated { .. } => self.reads_along(region, 0, true),
        }
    }

    fn reads_along(&self, region: &Region, axis: usize, is_repeated: bool) -> Vec<PartRead> {
        let wanted = region.range(axis);
        let first = self.starts.partition_point(|&start| start <= wanted.start).saturating_sub(1);
        let pieces = &self.parts.sources.pieces;
        let places = (first..pieces.len()).take_while(|&it| self.starts[it] < wanted.end);
        let reads = places.filter_map(|place| {
            let (start, end) = (self.starts[place], self.starts[place + 1]);
            let (from, to) = (wanted.start.max(start), wanted.end.min(end));
            if from >= to {
                return None;
            }
            let mut at = vec![0; region.rank()];
            at[axis] = from - wanted.start;
            let ranges = region.ranges().enumerate();
            let own: Vec<_> = if is_repeated {
                ranges.skip(1).map(|(_, range)| range).collect()
            } else {
                let first = pieces[place].start;
                let own = from - start + first..to - start + first;
                let shift = |(it, range)| if it == axis { own.clone() } else { range };
                ranges.map(shift).collect()
            };
            let repeat = if is_repeated { to - from } else { 1 };
            let file = pieces[place].file;
            Some(PartRead { file, region: Region::new(own), at, repeat })
        });
        reads.collect()
    }
}

impl ArraySource for JoinedSource {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let reads = regions.iter().enumerate();
        let reads = reads.flat_map(|(place, region)| {
            self.reads(region).into_iter().map(move |read| (place, read))
        });
        let reads: Vec<(usize, PartRead)> = reads.collect();
        let openers = self.parts.sources.files.openers()?;
        let openings =
            reads.chunks(reads.len().div_ceil(openers.thread_count()).max(1)).map(|reads| {
                let (parts, reads) = (Arc::clone(&self.parts), reads.to_vec());
                openers.begin(move || {
                    let fetch =
                        |(place, read): &(usize, PartRead)| Ok((*place, parts.fetch(read)?));
                    reads.iter().map(fetch).collect()
                })
            });
        Ok(Box::new(Joining(openings.collect())))
    }
}

impl Parts {
    fn fetch(&self, read: &PartRead) -> Result<FetchedPart> {
        if let Some(hole) = self.hole.clone().filter(|_| !self.present.contains(read.file)) {
            return Ok(FetchedPart::Hole { value: hole, read: read.clone() });
        }
        let location = self.sources.files.location(read.file);
        let fetch = || {
            let file = self.sources.files.get(read.file)?;
            let turn = self.turn(file.as_ref())?;
            self.check_shape(file.as_ref(), read.file, &turn)?;
            let array = file.array(&self.variable)?;
            let source = array.facts();
            let recode = self.assembly.recode();
            let reader = recode.map(|recode| recode.reader(file.as_ref(), &self.variable));
            let reader = reader.transpose()?;
            let region = match &reader {
                Some(reader) if reader.is_whole() => Region::whole(&source.grid.shape()),
                _ => turn.to_file(&read.region),
            };
            let bytes = array.fetch(std::slice::from_ref(&region))?;
            let read = read.clone();
            Ok(FetchedPart::Stored(Box::new(StoredPart {
                bytes,
                source_dtype: source.dtype,
                region,
                reader,
                turn,
                read,
            })))
        };
        fetch().map_err(|error: Error| error.at("source", location))
    }

    /// How the dimensions of a file become those of the target.
    fn turn(&self, file: &dyn DatasetSource) -> Result<Turn> {
        let own = &file.dataset().expect_variable(&self.variable)?.dimensions;
        if *own == self.dimensions {
            return Ok(Turn::default());
        }
        let axis = |name: &String| own.iter().position(|it| it == name);
        let order: Option<Vec<usize>> = self.dimensions.iter().map(axis).collect();
        match order.filter(|order| order.len() == own.len()) {
            Some(order) => Ok(Turn(order)),
            // Dimensions that were turned when they were scanned are not others now.
            None => Ok(Turn::default()),
        }
    }

    /// A file that has another shape than when it was scanned would be read at wrong places.
    fn check_shape(&self, file: &dyn DatasetSource, place: FilePlace, turn: &Turn) -> Result<()> {
        let mut scanned = self.shape.clone();
        match self.assembly {
            Assembly::One { .. } => {}
            Assembly::Along { axis, .. } => scanned[axis] = self.sources.lengths[place as usize],
            Assembly::Repeated { .. } => drop(scanned.remove(0)),
        }
        let now = turn.to_target(&file.dataset().expect_variable(&self.variable)?.shape);
        if now == scanned {
            return Ok(());
        }
        let message = format!("the source has changed: its shape is {now:?}, it was {scanned:?}");
        let error = Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message);
        Err(error.at("variable", &self.variable).mend("run again when nobody writes the source"))
    }
}

/// The order in which the target has the dimensions of a file; empty where it is the same.
#[derive(Debug, Clone, Default)]
struct Turn(Vec<usize>);

impl Turn {
    fn is_needed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Lengths of a file in the order of the target.
    fn to_target(&self, lengths: &[u64]) -> Vec<u64> {
        if self.is_needed() {
            self.0.iter().map(|&axis| lengths[axis]).collect()
        } else {
            lengths.to_vec()
        }
    }

    /// A region of the target in the order of the file.
    fn to_file(&self, region: &Region) -> Region {
        if !self.is_needed() {
            return region.clone();
        }
        let own = |axis: usize| self.0.iter().position(|&it| it == axis).unwrap_or(axis);
        Region::new((0..region.rank()).map(|axis| region.range(own(axis))))
    }
}

enum FetchedPart {
    Stored(Box<StoredPart>),
    Hole { value: Scalar, read: PartRead },
}

struct StoredPart {
    bytes: Box<dyn Fetched>,
    source_dtype: array::DType,
    /// What is fetched, with the dimensions of the file: what is asked for, or more.
    region: Region,
    reader: Option<Reader>,
    turn: Turn,
    read: PartRead,
}

/// Parts of regions, each with the place of its region, as far as their files are open.
struct Joining(Vec<Opening<Vec<(usize, FetchedPart)>>>);

impl Fetched for Joining {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        for opening in self.0 {
            for (place, part) in opening.wait()? {
                part.decode(&mut places[place])?;
            }
        }
        Ok(())
    }
}

impl FetchedPart {
    fn decode(self, place: &mut Placement<'_>) -> Result<()> {
        match self {
            Self::Stored(part) => part.decode(place),
            Self::Hole { value, read } => {
                let mut extent = read.region.shape();
                if extent.len() < place.at.len() {
                    extent.insert(0, read.repeat);
                }
                place.into.fill(&read.origin(place), &extent, &value)
            }
        }
    }
}

impl PartRead {
    /// Where the elements go in the buffer.
    fn origin(&self, place: &Placement<'_>) -> Vec<u64> {
        place.at.iter().zip(&self.at).map(|(a, b)| a + b).collect()
    }
}

impl StoredPart {
    fn decode(self, place: &mut Placement<'_>) -> Result<()> {
        let origin = self.read.origin(place);
        let is_direct = self.reader.is_none()
            && !self.turn.is_needed()
            && self.read.repeat == 1
            && self.source_dtype == place.into.dtype()
            && origin.len() == self.read.region.rank();
        if is_direct {
            return self.bytes.decode(&mut [Placement { into: place.into, at: origin }]);
        }
        let mut raw = ArrayBuffer::zeroed(self.source_dtype, &self.region.shape());
        let at = vec![0; self.region.rank()];
        self.bytes.decode(&mut [Placement { into: &mut raw, at }])?;
        let mut chunk = raw.freeze()?;
        if let Some(reader) = &self.reader {
            chunk = reader.recode(&chunk)?;
        }
        if self.turn.is_needed() {
            chunk = chunk.transposed(&self.turn.0)?;
        }
        if chunk.shape() != self.read.region.shape() {
            let fetched = self.turn.to_target(&self.region.start());
            chunk = chunk.slice(&self.read.region.relative_to(&fetched))?;
        }
        if self.read.repeat == 1 && origin.len() == chunk.shape().len() {
            return place.into.write(&origin, &chunk, &Region::whole(chunk.shape()));
        }
        // One value of a file stands for each of its elements along the first dimension.
        let row =
            Chunk::new(chunk.dtype(), [&[1], chunk.shape()].concat(), chunk.payload().clone())?;
        (0..self.read.repeat).try_for_each(|step| {
            let mut origin = origin.clone();
            origin[0] += step;
            place.into.write(&origin, &row, &Region::whole(row.shape()))
        })
    }
}
