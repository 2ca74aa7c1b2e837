//! Many files, seen as one array.

use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, Axis, Chunk, ChunkGrid, DatasetSource, Fetched, Placement, Region,
    Scalar, SourceFacts, Variable,
};
use cf::{Packing, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::files::OpenFiles;
use crate::openers::Opening;
use crate::schema::FilePlace;

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
        /// How times are encoded anew, where files write them differently.
        encoding: Option<TimeEncoding>,
    },
    /// From all files: the value of each stands for all elements along the first dimension.
    Repeated {
        /// How times are encoded anew, where files write them differently.
        encoding: Option<TimeEncoding>,
    },
}

impl Assembly {
    fn encoding(&self) -> Option<&TimeEncoding> {
        match self {
            Self::One { .. } => None,
            Self::Along { encoding, .. } | Self::Repeated { encoding } => encoding.as_ref(),
        }
    }
}

/// The chunks of the sources of a variable, joined: what is read at once.
///
/// Times that are encoded anew are read by whole files, as [`TimeEncoding::decode`] asks for.
pub(crate) fn grid_of(
    assembly: &Assembly,
    target: &Variable,
    source_chunks: Option<&[u64]>,
    lengths: &[u64],
) -> ChunkGrid {
    let offset = usize::from(matches!(assembly, Assembly::Repeated { .. }));
    let own_shape = &target.shape[offset..];
    let is_whole = assembly.encoding().is_some();
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
            Assembly::Repeated { .. } if axis == 0 => Axis::of_lengths(lengths.iter().copied()),
            Assembly::Along { axis: along, .. } if axis == *along => {
                joined_axis(lengths, chunk_of(axis))
            }
            _ => Axis::regular(length, chunk_of(axis - offset)),
        }
    });
    ChunkGrid::new(axes)
}

/// The chunks of all files along the concat dimension; the last of each file may be short.
fn joined_axis(lengths: &[u64], chunk_length: u64) -> Axis {
    let inner = &lengths[..lengths.len().saturating_sub(1)];
    if inner.iter().all(|length| length % chunk_length == 0) {
        return Axis::regular(lengths.iter().sum(), chunk_length);
    }
    Axis::of_lengths(lengths.iter().flat_map(|&length| {
        let of_file = Axis::regular(length, chunk_length);
        (0..of_file.chunk_count()).map(move |index| {
            let chunk = of_file.chunk(index);
            chunk.end - chunk.start
        })
    }))
}

/// A variable of a store that is baked, read from the files that have it.
#[derive(Debug)]
pub(crate) struct JoinedSource {
    parts: Arc<Parts>,
    /// Where each file begins along the concat dimension, and where the last ends.
    starts: Vec<u64>,
    facts: SourceFacts,
}

#[derive(Debug)]
struct Parts {
    files: OpenFiles,
    lengths: Arc<[u64]>,
    variable: String,
    shape: Vec<u64>,
    assembly: Assembly,
}

/// What one file adds to one region.
#[derive(Debug, Clone)]
struct PartRead {
    file: FilePlace,
    /// The elements of the file's own array.
    region: Region,
    /// Where they go, from the start of the region that was asked for.
    at: Vec<u64>,
    /// How often they are repeated along the first dimension of the target.
    repeat: u64,
}

impl JoinedSource {
    pub(crate) fn new(
        files: OpenFiles,
        lengths: Arc<[u64]>,
        target: &Variable,
        assembly: Assembly,
        grid: ChunkGrid,
    ) -> Self {
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        }));
        let facts = SourceFacts {
            dtype: target.dtype,
            grid,
            is_random_access: false,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            fill: Scalar::zero(target.dtype),
        };
        let (variable, shape) = (target.name.clone(), target.shape.clone());
        Self { parts: Arc::new(Parts { files, lengths, variable, shape, assembly }), starts, facts }
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
        let files = (first..self.parts.lengths.len()).take_while(|&f| self.starts[f] < wanted.end);
        let reads = files.filter_map(|file| {
            let (start, end) = (self.starts[file], self.starts[file + 1]);
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
                let shift = |(it, range)| if it == axis { from - start..to - start } else { range };
                ranges.map(shift).collect()
            };
            let repeat = if is_repeated { to - from } else { 1 };
            Some(PartRead { file: file as FilePlace, region: Region::new(own), at, repeat })
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
        let openers = self.parts.files.openers()?;
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
        let location = self.files.location(read.file);
        let fetch = || {
            let file = self.files.get(read.file)?;
            self.check_shape(file.as_ref(), read.file)?;
            let array = file.array(&self.variable)?;
            let source = array.facts();
            let times = self.times_of(file.as_ref())?;
            let region = match times {
                Some(_) => Region::whole(&source.grid.shape()),
                None => read.region.clone(),
            };
            let bytes = array.fetch(std::slice::from_ref(&region))?;
            Ok(FetchedPart { bytes, source_dtype: source.dtype, region, times, read: read.clone() })
        };
        fetch().map_err(|error: Error| error.at("source", location))
    }

    /// A file that has another shape than when it was scanned would be read at wrong places.
    fn check_shape(&self, file: &dyn DatasetSource, place: FilePlace) -> Result<()> {
        let mut scanned = self.shape.clone();
        match self.assembly {
            Assembly::One { .. } => {}
            Assembly::Along { axis, .. } => scanned[axis] = self.lengths[place as usize],
            Assembly::Repeated { .. } => drop(scanned.remove(0)),
        }
        let now = &file.dataset().expect_variable(&self.variable)?.shape;
        if *now == scanned {
            return Ok(());
        }
        let message = format!("the source has changed: its shape is {now:?}, it was {scanned:?}");
        let error = Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message);
        Err(error.at("variable", &self.variable).mend("run again when nobody writes the source"))
    }

    /// How the file encodes its times and how the store will, where these differ.
    fn times_of(&self, file: &dyn DatasetSource) -> Result<Option<Times>> {
        let Some(target) = self.assembly.encoding() else { return Ok(None) };
        let variable = file.dataset().expect_variable(&self.variable)?;
        let source = cf::time_encoding(file.dataset(), variable)?
            .ok_or_else(|| Error::internal("a variable has lost its time units"))?;
        let packing = Packing::parse(&variable.attributes, variable.dtype)?;
        Ok(Some(Times { source, packing, target: target.clone() }))
    }
}

struct Times {
    source: TimeEncoding,
    packing: Packing,
    target: TimeEncoding,
}

impl Times {
    fn encode_anew(&self, chunk: &Chunk) -> Result<Chunk> {
        let instants = self.source.decode(chunk, &self.packing)?;
        Chunk::of(chunk.shape(), &self.target.encode(&instants)?)
    }
}

struct FetchedPart {
    bytes: Box<dyn Fetched>,
    source_dtype: array::DType,
    /// What is fetched: what is asked for, or more.
    region: Region,
    times: Option<Times>,
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
        let origin: Vec<u64> = place.at.iter().zip(&self.read.at).map(|(a, b)| a + b).collect();
        let is_direct = self.times.is_none()
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
        if let Some(times) = &self.times {
            let wanted = self.read.region.relative_to(&self.region.start());
            chunk = times.encode_anew(&chunk)?.slice(&wanted)?;
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
