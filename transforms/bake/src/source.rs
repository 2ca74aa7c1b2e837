//! Many files, seen as one array.

use std::sync::Arc;

use array::{
    ArrayBuffer, ArraySource, Chunk, ChunkGrid, DType, DatasetSource, EncodedChunks, Fetched,
    Placement, Region, Scalar, SourceFacts, Variable,
};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::files::OpenFiles;
use crate::filled::{FilledCoordinate, FilledRun};
use crate::filling::Filling;
use crate::joined_chunks::JoinedChunks;
use crate::openers::Opening;
use crate::plan::VariablePlan;
use crate::recode::{Reader, Recode};
use crate::schema::{FilePlace, FileSet};
use crate::tiling::{Lane, Part, TiledAxis, Tiling};

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
    /// From files that lie in a grid.
    Grid {
        /// The place of the first file, to which those of segments are added.
        file: u32,
        /// The dimensions along which files follow each other.
        axes: Vec<GridAxis>,
        /// What is written instead, where files write it differently.
        recode: Option<Recode>,
    },
}

/// A dimension of a variable along which the files of a grid follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridAxis {
    /// The dimension of the variable.
    pub axis: usize,
    /// Its number among the concat dimensions of the grid.
    pub dim: usize,
    /// The number of its lane in the plan.
    pub lane: usize,
    /// Files do not have it: each of their values stands for all their elements along it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_repeated: bool,
}

impl Assembly {
    pub(crate) fn recode(&self) -> Option<&Recode> {
        match self {
            Self::One { .. } => None,
            Self::Along { recode, .. } | Self::Repeated { recode } | Self::Grid { recode, .. } => {
                recode.as_ref()
            }
        }
    }

    /// Whether all elements of a file must be read together.
    pub(crate) fn is_whole(&self) -> bool {
        self.recode().is_some_and(Recode::is_whole)
    }

    /// How the files of a variable of so many dimensions lie, by the lanes of the plan: `lanes` of
    /// a grid, `list` of files that follow each other along one dimension.
    pub(crate) fn tiling(&self, rank: usize, list: &Lane, lanes: &[Lane]) -> Tiling {
        let (first, axes) = match self {
            Self::One { file } => (*file, Vec::new()),
            Self::Along { axis, .. } => (0, vec![TiledAxis::new(*axis, 0, false, list)]),
            Self::Repeated { .. } => (0, vec![TiledAxis::new(0, 0, true, list)]),
            Self::Grid { file, axes, .. } => {
                let tiled = axes
                    .iter()
                    .map(|it| TiledAxis::new(it.axis, it.dim, it.is_repeated, &lanes[it.lane]));
                (*file, tiled.collect())
            }
        };
        Tiling { first, axes, rank }
    }
}

/// A variable of a store that is baked, read from the files that have it.
#[derive(Debug)]
pub(crate) struct JoinedSource {
    parts: Arc<Parts>,
    facts: SourceFacts,
}

/// The files of a bake.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) files: OpenFiles,
    /// Elements of each file along each concat dimension, file by file.
    pub(crate) lengths: Arc<[u64]>,
    /// How many concat dimensions there are, or 1 if there is none.
    pub(crate) dim_count: usize,
}

/// The files of one variable, and how they lie.
#[derive(Debug)]
pub(crate) struct Parts {
    sources: Sources,
    variable: String,
    dimensions: Vec<String>,
    shape: Vec<u64>,
    assembly: Assembly,
    tiling: Tiling,
    present: FileSet,
    hole: Option<Scalar>,
    /// What stands where no file is, if it is a coordinate that goes on there.
    filled: Option<(FilledCoordinate, Arc<[FilledRun]>)>,
    /// What becomes of elements that cannot be read; `None` if that is an error.
    filling: Option<Filling>,
}

impl JoinedSource {
    pub(crate) fn new(
        sources: Sources,
        plan: &VariablePlan,
        target: &Variable,
        tiling: Tiling,
    ) -> Self {
        let source_chunks = plan.source_chunk_shape.as_deref();
        let facts = SourceFacts {
            dtype: target.dtype,
            grid: tiling.grid(target, source_chunks, plan.assembly.is_whole()),
            is_random_access: false,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill: Scalar::zero(target.dtype),
        };
        let parts = Parts {
            sources,
            variable: target.name.clone(),
            dimensions: target.dimensions[tiling.repeated_count()..].to_vec(),
            shape: target.shape.clone(),
            assembly: plan.assembly.clone(),
            tiling,
            present: plan.files.clone(),
            hole: plan.hole.clone(),
            filled: None,
            filling: None,
        };
        Self { parts: Arc::new(parts), facts }
    }

    /// The same, where these runs are in no file; a coordinate goes on there.
    pub(crate) fn with_filled(mut self, plan: &VariablePlan, runs: &Arc<[FilledRun]>) -> Self {
        let filled = plan.filled.clone().map(|coordinate| (coordinate, Arc::clone(runs)));
        if let Some(parts) = Arc::get_mut(&mut self.parts) {
            parts.filled = filled;
        }
        self
    }

    /// The same, where elements that cannot be read are filled.
    pub(crate) fn with_filling(mut self, filling: Option<Filling>) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.parts) {
            parts.filling = filling;
        }
        self
    }
}

impl ArraySource for JoinedSource {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let reads = regions.iter().enumerate();
        let reads = reads.flat_map(|(place, region)| {
            self.parts.tiling.parts(region).into_iter().map(move |read| (place, read))
        });
        let reads: Vec<(usize, Part)> = reads.collect();
        let openers = self.parts.sources.files.openers()?;
        let openings =
            reads.chunks(reads.len().div_ceil(openers.thread_count()).max(1)).map(|reads| {
                let (parts, reads) = (Arc::clone(&self.parts), reads.to_vec());
                openers.begin(move || {
                    let fetch = |(place, read): (usize, Part)| Ok((place, parts.begin(read)?));
                    reads.into_iter().map(fetch).collect()
                })
            });
        Ok(Box::new(Joining {
            openings: openings.collect(),
            parts: Arc::clone(&self.parts),
            starts: regions.iter().map(Region::start).collect(),
        }))
    }

    fn encoded(&self) -> Result<Arc<dyn EncodedChunks>> {
        let chunks = JoinedChunks::new(&self.parts, &self.parts.shape)?;
        Ok(Arc::new(chunks))
    }
}

impl Parts {
    pub(crate) fn tiling(&self) -> &Tiling {
        &self.tiling
    }

    /// A file that has the variable.
    pub(crate) fn present_file(&self) -> Option<FilePlace> {
        let files = self.tiling.parts(&Region::whole(&self.shape));
        files.into_iter().find_map(|part| part.file)
    }

    /// The variable in one file.
    pub(crate) fn array(&self, file: FilePlace) -> Result<Arc<dyn ArraySource>> {
        let array = || {
            let opened = self.sources.files.get(file)?;
            let turn = self.turn(opened.as_ref())?;
            self.check_shape(opened.as_ref(), file, &turn)?;
            opened.array(&self.variable)
        };
        array().map_err(|error: Error| self.of_file(error, file))
    }

    /// Adds the file to an error.
    pub(crate) fn of_file(&self, error: Error, file: FilePlace) -> Error {
        error.at("source", self.sources.files.location(file))
    }

    pub(crate) fn filling(&self) -> Option<&Filling> {
        self.filling.as_ref()
    }

    /// The place of a file, as it was given.
    pub(crate) fn location(&self, file: FilePlace) -> String {
        self.sources.files.location(file).to_string()
    }

    /// What a part has of each chunk of its file, as parts of their own.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub(crate) fn chunks_of(&self, read: &Part) -> Result<Vec<Part>> {
        let Some(place) = read.file else { return Ok(Vec::new()) };
        let file = self.sources.files.get(place)?;
        let turn = self.turn(file.as_ref())?;
        let grid = file.array(&self.variable)?.facts().grid.clone();
        let (own, repeated) = (turn.to_file(&read.region), read.at.len() - read.region.rank());
        let chunks = grid.chunks_meeting(&own).filter_map(|chunk| {
            let region = turn.to_target_region(&grid.region(&chunk).intersection(&own)?);
            let mut piece = read.clone();
            for axis in 0..region.rank() {
                let range = region.range(axis);
                piece.at[repeated + axis] += range.start - read.region.range(axis).start;
                piece.extent[repeated + axis] = range.end - range.start;
            }
            Some(Part { region, ..piece })
        });
        Ok(chunks.collect())
    }

    /// Starts to fetch a part. What cannot be fetched is filled when it is decoded, if that is asked
    /// for.
    fn begin(&self, read: Part) -> Result<Reading> {
        match self.fetch(&read) {
            Ok(fetched) => Ok(Reading { read, fetched: Ok(fetched) }),
            Err(why) if self.filling.is_some() => Ok(Reading { read, fetched: Err(why) }),
            Err(why) => Err(why),
        }
    }

    pub(crate) fn fetch(&self, read: &Part) -> Result<FetchedPart> {
        let place = read.file.filter(|&file| self.hole.is_none() || self.present.contains(file));
        if let (None, Some((coordinate, runs))) = (read.file, &self.filled) {
            let values = coordinate.values(runs, read.region.range(0))?;
            return Ok(FetchedPart::Filled { values, read: read.clone() });
        }
        let Some(place) = place else {
            let hole = self.hole.clone();
            let value = hole.ok_or_else(|| Error::internal("a hole that nothing is said for"))?;
            return Ok(FetchedPart::Hole { value, read: read.clone() });
        };
        let location = self.sources.files.location(place);
        let fetch = || {
            let file = self.sources.files.get(place)?;
            let turn = self.turn(file.as_ref())?;
            self.check_shape(file.as_ref(), place, &turn)?;
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
        let (place, count) = (place as usize, self.sources.dim_count);
        let lengths = &self.sources.lengths[place * count..(place + 1) * count];
        let scanned = self.tiling.file_shape(&self.shape, lengths);
        let now = turn.to_target(&file.dataset().expect_variable(&self.variable)?.shape);
        if now == scanned {
            return Ok(());
        }
        Err(self.changed(&format!("its shape is {now:?}, it was {scanned:?}")))
    }

    /// The error for a file that is not what it was when it was scanned.
    pub(crate) fn changed(&self, how: &str) -> Error {
        let message = format!("the source has changed: {how}");
        let error = Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message);
        error.at("variable", &self.variable).mend("run again when nobody writes the source")
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

    /// A region of a file in the order of the target.
    fn to_target_region(&self, region: &Region) -> Region {
        if !self.is_needed() {
            return region.clone();
        }
        Region::new(self.0.iter().map(|&axis| region.range(axis)))
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

/// A part that is read, and what came of fetching it.
struct Reading {
    read: Part,
    fetched: Result<FetchedPart>,
}

pub(crate) enum FetchedPart {
    Stored(Box<StoredPart>),
    Hole { value: Scalar, read: Part },
    Filled { values: Chunk, read: Part },
}

pub(crate) struct StoredPart {
    bytes: Box<dyn Fetched>,
    source_dtype: array::DType,
    /// What is fetched, with the dimensions of the file: what is asked for, or more.
    region: Region,
    reader: Option<Reader>,
    turn: Turn,
    read: Part,
}

/// Parts of regions, each with the place of its region, as far as their files are open.
struct Joining {
    openings: Vec<Opening<Vec<(usize, Reading)>>>,
    parts: Arc<Parts>,
    /// Where the regions begin.
    starts: Vec<Vec<u64>>,
}

impl Fetched for Joining {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        for opening in self.openings {
            for (place, reading) in opening.wait()? {
                reading.decode(&self.parts, &self.starts[place], &mut places[place])?;
            }
        }
        Ok(())
    }

    fn into_chunks(self: Box<Self>, dtype: DType, regions: &[Region]) -> Result<Vec<Chunk>> {
        let opened = self.openings.into_iter().map(Opening::wait);
        let mut parts: Vec<Vec<Reading>> = regions.iter().map(|_| Vec::new()).collect();
        for (place, part) in opened.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            parts[place].push(part);
        }
        let decoded = parts.into_iter().zip(regions).map(|(mut parts, region)| {
            let is_as_stored = matches!(
                parts.as_slice(),
                [Reading { fetched: Ok(only), .. }] if only.as_stored(dtype)
            );
            if let Some(Reading { read, fetched: Ok(FetchedPart::Stored(part)) }) =
                parts.pop_if(|_| is_as_stored)
            {
                let StoredPart { bytes, region, .. } = *part;
                match bytes.into_chunks(dtype, &[region]) {
                    Ok(mut chunks) => {
                        let chunk = chunks.pop();
                        return chunk.ok_or_else(|| Error::internal("a region without a chunk"));
                    }
                    Err(why) => parts.push(Reading { read, fetched: Err(why) }),
                }
            }
            let mut into = ArrayBuffer::zeroed(dtype, &region.shape());
            let mut place = Placement { into: &mut into, at: vec![0; region.rank()] };
            let start = region.start();
            parts.into_iter().try_for_each(|it| it.decode(&self.parts, &start, &mut place))?;
            into.freeze()
        });
        decoded.collect()
    }
}

impl Reading {
    /// Decodes a part, or fills it where that fails and is asked for.
    fn decode(self, parts: &Parts, start: &[u64], place: &mut Placement<'_>) -> Result<()> {
        let decoded = self.fetched.and_then(|part| part.decode(place));
        decoded.or_else(|why| parts.fill(&self.read, start, why, place))
    }
}

impl FetchedPart {
    /// Whether the elements are stored as they are wanted.
    fn as_stored(&self, dtype: DType) -> bool {
        let Self::Stored(part) = self else { return false };
        part.reader.is_none()
            && !part.turn.is_needed()
            && part.source_dtype == dtype
            && part.read.extent.len() == part.read.region.rank()
    }

    pub(crate) fn decode(self, place: &mut Placement<'_>) -> Result<()> {
        match self {
            Self::Stored(part) => part.decode(place),
            Self::Hole { value, read } => {
                place.into.fill(&read.origin(place), &read.extent, &value)
            }
            Self::Filled { values, read } => {
                place.into.write(&read.origin(place), &values, &Region::whole(values.shape()))
            }
        }
    }
}

impl Part {
    /// Where the elements go in the buffer.
    pub(crate) fn origin(&self, place: &Placement<'_>) -> Vec<u64> {
        place.at.iter().zip(&self.at).map(|(a, b)| a + b).collect()
    }
}

impl StoredPart {
    fn decode(self, place: &mut Placement<'_>) -> Result<()> {
        let origin = self.read.origin(place);
        let is_direct = self.reader.is_none()
            && !self.turn.is_needed()
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
        let repeated_count = origin.len() - chunk.shape().len();
        if repeated_count == 0 {
            return place.into.write(&origin, &chunk, &Region::whole(chunk.shape()));
        }
        // One value of a file stands for each of its elements along dimensions that it lacks.
        let shape = [&vec![1; repeated_count], chunk.shape()].concat();
        let row = Chunk::new(chunk.dtype(), shape, chunk.payload().clone())?;
        let repeats =
            ChunkGrid::regular(&self.read.extent[..repeated_count], &vec![1; repeated_count]);
        (0..repeats.chunk_count()).try_for_each(|step| {
            let mut origin = origin.clone();
            for (at, more) in origin.iter_mut().zip(repeats.index_of(step)) {
                *at += more;
            }
            place.into.write(&origin, &row, &Region::whole(row.shape()))
        })
    }
}
