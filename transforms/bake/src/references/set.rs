//! The references of a store that is planned.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use array::{ArrayBuffer, ArraySource, DType, EncodedFacts, NamedCodec, Region, Scalar, Variable};
use bytes::Bytes;
use chunks::ByteSize;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::{MemoryBudget, Reservation};
use objects::{Location, StoreOptions};
use r#virtual::{Entry, Reference, ReferenceSet, ReferencedArray};
use zarr::ZarrDescription;

use super::found::{Found, account, find};
use super::grid::{FilePart, choose, within};
use crate::files::OpenFiles;
use crate::plan::{BakePlan, VariablePlan};
use crate::schema::FilePlace;
use crate::template::is_coordinate;
use crate::tiling::Tiling;

/// A coordinate of more bytes is referred to like any variable.
const COORDINATE_LIMIT: ByteSize = ByteSize(64 << 20);
/// A variable of fewer bytes is held: a reference to it would be as long.
const SMALL_LIMIT: u64 = 256;
/// The chunk of fill values is written where nothing stands, if it has no more bytes.
const ABSENT_LIMIT: usize = 4 << 10;
/// Files that are looked at while others are waited for.
const FILES_AHEAD: usize = 8;

/// What becomes of one variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Referred {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Elements of a chunk.
    pub chunk_shape: Vec<u64>,
    /// The codecs of its chunks, as numcodecs calls them.
    pub codecs: Vec<String>,
    /// Chunks that are ranges of files.
    pub range_count: u64,
    /// Chunks that are held, encoded anew.
    pub inline_count: u64,
    /// Encoded bytes of these.
    pub inline_bytes: u64,
    /// Chunks of the fill value, for which nothing stands.
    pub absent_count: u64,
    /// Why chunks are held.
    pub why: Option<String>,
}

/// Where every chunk of a planned store lies, and the bytes of those that lie nowhere.
///
/// Memory: 32 bytes for a chunk of a file, 200 for a chunk that is an object, and what is held.
pub struct References {
    documents: Vec<(String, String)>,
    arrays: Vec<ReferencedArray>,
    built: Vec<Built>,
    /// What becomes of each variable, in the order of the template.
    pub referred: Vec<Referred>,
    _held: Reservation,
}

impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References").field("referred", &self.referred).finish_non_exhaustive()
    }
}

/// One variable, as far as its files were looked at.
struct Built {
    name: String,
    facts: EncodedFacts,
    tiling: Tiling,
    hole: Option<Scalar>,
    present: crate::schema::FileSet,
    found: BTreeMap<FilePlace, Found>,
    /// What readers take for a chunk that is not there.
    fill: Option<Scalar>,
    /// A whole chunk of that, encoded, if it is short and some chunk is so.
    absent: Option<Bytes>,
    /// Chunks that are held, by their place in the grid.
    held: BTreeMap<u64, Bytes>,
}

/// What stands for a chunk.
enum Standing {
    Range(Reference),
    /// All its elements are this one.
    Constant(Scalar),
    /// It is no chunk of a file.
    Odd(Oddity),
}

/// Why a chunk is no chunk of a file, and of which.
struct Oddity {
    why: String,
    file: Option<FilePlace>,
}

impl References {
    /// Looks up where the chunks of all files lie, and encodes those that lie nowhere.
    ///
    /// Cost: every file is opened once and its indexes of chunks are read.
    ///
    /// # Errors
    /// Files that cannot be read or have changed; more bytes to hold than the options allow, where
    /// the error names the variable, the file and the reason; too little memory.
    pub fn collect(
        plan: &BakePlan,
        (sources, destination): (&[Location], &Location),
        store: &StoreOptions,
        open_files_bytes: u64,
        budget: &MemoryBudget,
    ) -> Result<Self> {
        let mut held = budget.hold();
        let (_, copies) = plan.open(sources, destination, store, open_files_bytes)?;
        let versions = plan.files.iter().map(|file| file.version);
        let files = sources.iter().cloned().zip(versions).collect();
        let (options, dims) = (&plan.options, &plan.aligned);
        let files = OpenFiles::joined(files, options, dims, store.clone(), open_files_bytes);
        let mut found = find_all(plan, &files, &mut held)?;
        let (mut built, mut encoded) = (Vec::new(), BTreeMap::new());
        for variable in &plan.variables {
            let found = found.remove(&variable.name).unwrap_or_default();
            let own = Built::new(plan, variable, found)?;
            encoded.insert(own.name.clone(), own.facts.clone());
            built.push(own);
        }
        let description = ZarrDescription::new(&plan.template, &encoded)?;
        let mut references = Self {
            documents: description.documents()?,
            arrays: Vec::new(),
            built,
            referred: Vec::new(),
            _held: budget.hold(),
        };
        let mut left_bytes = plan.options.inline_limit.0;
        for (own, copy) in references.built.iter_mut().zip(&copies) {
            own.fill = description.fill(&own.name)?.cloned();
            let array = ReferencedArray { name: own.name.clone(), grid: own.facts.grid() };
            let making = Making { plan, description: &description, source: copy.source.as_ref() };
            let referred = own.make(&making, &mut left_bytes, &mut held);
            let at = |error: Error| error.at("variable", &own.name);
            references.referred.push(referred.map_err(at)?);
            references.arrays.push(array);
        }
        references._held = held;
        Ok(references)
    }
}

impl ReferenceSet for References {
    fn documents(&self) -> &[(String, String)] {
        &self.documents
    }

    fn arrays(&self) -> &[ReferencedArray] {
        &self.arrays
    }

    fn entry(&self, array: usize, index: &[u64]) -> Result<Entry> {
        let (own, grid) = (&self.built[array], &self.arrays[array].grid);
        if let Some(bytes) = own.held.get(&grid.linear_index(index)) {
            return Ok(Entry::Inline(bytes.clone()));
        }
        match own.standing(index)? {
            Standing::Range(reference) => Ok(Entry::Range(reference)),
            // One that readers would not take for it is held.
            Standing::Constant(_) => Ok(Entry::Absent(own.absent.clone())),
            Standing::Odd(oddity) => Err(Error::internal(format!("not held: {}", oddity.why))),
        }
    }
}

/// Whether a variable is held, and not looked up in its files: those whose values are written
/// anew, that files do not have as they are, or that are better had at once.
fn is_held(plan: &BakePlan, variable: &VariablePlan, target: &Variable) -> bool {
    let tiling = tiling_of(plan, variable, target);
    let bytes = target.decoded_bytes();
    let is_coordinate = is_coordinate(&plan.template, target) && bytes <= COORDINATE_LIMIT.0;
    let is_made = variable.assembly.recode().is_some() || variable.filled.is_some();
    let is_small = bytes <= SMALL_LIMIT || target.dtype == DType::Text;
    is_made || is_coordinate || is_small || tiling.repeated_count() > 0
}

fn tiling_of(plan: &BakePlan, variable: &VariablePlan, target: &Variable) -> Tiling {
    variable.assembly.tiling(target.shape.len(), &plan.list(), &plan.lanes)
}

/// The chunks of all files, by variable and file.
fn find_all(
    plan: &BakePlan,
    files: &OpenFiles,
    held: &mut Reservation,
) -> Result<BTreeMap<String, BTreeMap<FilePlace, Found>>> {
    let mut wanted: BTreeMap<FilePlace, Vec<(String, Vec<String>)>> = BTreeMap::new();
    for variable in &plan.variables {
        let target = plan.template.expect_variable(&variable.name)?;
        if is_held(plan, variable, target) {
            continue;
        }
        let parts = tiling_of(plan, variable, target).parts(&Region::whole(&target.shape));
        let mut places: Vec<FilePlace> = parts.iter().filter_map(|part| part.file).collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            if variable.hole.is_none() || variable.files.contains(place) {
                let own = (target.name.clone(), target.dimensions.clone());
                wanted.entry(place).or_default().push(own);
            }
        }
    }
    let openers = files.openers()?;
    let mut found: BTreeMap<String, BTreeMap<FilePlace, Found>> = BTreeMap::new();
    let (mut under_way, mut left) = (VecDeque::new(), wanted.into_iter());
    loop {
        while under_way.len() < FILES_AHEAD
            && let Some((place, variables)) = left.next()
        {
            let (files, version) = (files.clone(), plan.files[place as usize].version);
            let names: Vec<String> = variables.iter().map(|(name, _)| name.clone()).collect();
            let opening = openers.begin(move || find(&files, place, version, &variables));
            under_way.push_back((place, names, opening));
        }
        let Some((place, names, opening)) = under_way.pop_front() else { return Ok(found) };
        let own = opening.wait()?;
        account(&own, held)?;
        for (name, own) in names.into_iter().zip(own) {
            found.entry(name).or_default().insert(place, own);
        }
    }
}

/// What is needed to make a chunk that lies nowhere.
struct Making<'a> {
    plan: &'a BakePlan,
    description: &'a ZarrDescription,
    source: &'a dyn ArraySource,
}

impl Built {
    fn new(
        plan: &BakePlan,
        variable: &VariablePlan,
        found: BTreeMap<FilePlace, Found>,
    ) -> Result<Self> {
        let target = plan.template.expect_variable(&variable.name)?;
        let tiling = tiling_of(plan, variable, target);
        let places = tiling.parts(&Region::whole(&target.shape)).into_iter().filter_map(|part| {
            let facts = found.get(&part.file?)?.as_ref().ok()?;
            Some((&facts.facts, part.region.start(), part.at, part.region.element_count()))
        });
        let places: Vec<_> = places.collect();
        let parts: Vec<FilePart<'_>> = places
            .iter()
            .map(|(facts, start, at, elements)| FilePart { facts, start, at, elements: *elements })
            .collect();
        let chosen = choose(target.dtype, &target.shape, &parts);
        Ok(Self {
            name: target.name.clone(),
            facts: chosen.unwrap_or_else(|| held_facts(target, &variable.chunk_shape)),
            tiling,
            hole: variable.hole.clone(),
            present: variable.files.clone(),
            found,
            fill: None,
            absent: None,
            held: BTreeMap::new(),
        })
    }

    /// Looks at every chunk, and makes those that lie nowhere.
    fn make(
        &mut self,
        making: &Making<'_>,
        left_bytes: &mut u64,
        held: &mut Reservation,
    ) -> Result<Referred> {
        let target = making.plan.template.expect_variable(&self.name)?;
        let is_free = self.found.is_empty() && is_coordinate(&making.plan.template, target);
        let mut referred = Referred {
            name: self.name.clone(),
            dtype: self.facts.dtype,
            shape: self.facts.shape.clone(),
            chunk_shape: self.facts.chunk_shape.clone(),
            codecs: self.facts.codecs.iter().map(|codec| codec.id.clone()).collect(),
            range_count: 0,
            inline_count: 0,
            inline_bytes: 0,
            absent_count: 0,
            why: None,
        };
        let grid = self.facts.grid();
        for linear in 0..grid.chunk_count() {
            let index = grid.index_of(linear);
            let (bytes, oddity) = match self.standing(&index)? {
                Standing::Range(_) => {
                    referred.range_count += 1;
                    continue;
                }
                Standing::Constant(value) if self.is_fill(&value) => {
                    referred.absent_count += 1;
                    if referred.absent_count == 1 {
                        let chunk =
                            ArrayBuffer::filled(&self.facts.chunk_shape, &value).freeze()?;
                        let bytes = making.description.encode(&self.name, &chunk)?;
                        self.absent = Some(bytes).filter(|bytes| bytes.len() <= ABSENT_LIMIT);
                    }
                    continue;
                }
                Standing::Constant(value) => {
                    let shape = grid.region(&index).shape();
                    let chunk = ArrayBuffer::filled(&shape, &value).freeze()?;
                    let bytes = making.description.encode(&self.name, &chunk)?;
                    let why = format!("nothing was written there, which is {value}");
                    (bytes, Oddity { why, file: None })
                }
                Standing::Odd(oddity) => {
                    let chunk = making.source.read(&grid.region(&index))?;
                    (making.description.encode(&self.name, &chunk)?, oddity)
                }
            };
            let more = bytes.len() as u64;
            match left_bytes.checked_sub(more) {
                _ if is_free => {}
                Some(left) => *left_bytes = left,
                None => return Err(self.too_much(making.plan, &index, &oddity)),
            }
            if !held.try_grow(more) {
                let message = format!("{more} bytes more cannot be held in memory");
                let error =
                    Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::InvalidInput, message);
                return Err(error.mend("allow more with --mem"));
            }
            referred.inline_count += 1;
            referred.inline_bytes += more;
            referred.why.get_or_insert(oddity.why);
            self.held.insert(linear, bytes);
        }
        Ok(referred)
    }

    fn is_fill(&self, value: &Scalar) -> bool {
        self.fill
            .as_ref()
            .is_some_and(|fill| fill.dtype() == value.dtype() && fill.bytes() == value.bytes())
    }

    #[cold]
    fn too_much(&self, plan: &BakePlan, index: &[u64], oddity: &Oddity) -> Error {
        let limit = plan.options.inline_limit;
        let message = format!(
            "references would have to hold more than {limit}: chunk {index:?} of `{}` is no chunk \
             of a file: {}",
            self.name, oddity.why
        );
        let mut error = Error::new(ErrorCode::NOT_REFERABLE, ErrorKind::Unsupported, message);
        if let Some(file) = oddity.file.and_then(|file| plan.files.get(file as usize)) {
            error = error.at("file", &file.location);
        }
        let first = self.found.iter().find(|(_, it)| {
            it.as_ref().is_ok_and(|it| {
                it.facts.decodes_as(&self.facts) && it.facts.chunk_shape == self.facts.chunk_shape
            })
        });
        let first = first.map(|(place, _)| *place).filter(|place| Some(*place) != oddity.file);
        if let Some(other) = first.and_then(|place| plan.files.get(place as usize)) {
            error = error.at("other file", &other.location);
        }
        error.mend("bake copies, allow more with --inline, or leave the variable out with --vars")
    }

    fn standing(&self, index: &[u64]) -> Result<Standing> {
        let grid = self.facts.grid();
        let region = grid.region(index);
        let parts = self.tiling.parts(&region);
        let odd = |why: String, file| Ok(Standing::Odd(Oddity { why, file }));
        if self.found.is_empty() {
            return odd("it is held whole".to_owned(), None);
        }
        let [part] = parts.as_slice() else {
            let file = parts.iter().filter_map(|part| part.file).nth(1);
            let chunk = &self.facts.chunk_shape;
            return odd(format!("a chunk of {chunk:?} holds elements of several files"), file);
        };
        let place = part.file.filter(|&it| self.hole.is_none() || self.present.contains(it));
        let Some(place) = place else {
            return match &self.hole {
                Some(hole) => Ok(Standing::Constant(hole.clone())),
                None => odd("no file has it".to_owned(), None),
            };
        };
        let found = match self.found.get(&place) {
            Some(Ok(found)) => found,
            Some(Err(why)) => return odd(why.clone(), Some(place)),
            None => return Err(Error::internal("a file was not looked at")),
        };
        if !found.facts.decodes_as(&self.facts) {
            let why = format!("{} here, {} in others", words(&found.facts), words(&self.facts));
            return odd(why, Some(place));
        }
        let own = &found.facts.chunk_shape;
        let Some(within) = within(own, &self.facts.chunk_shape, &part.region.start())
            .filter(|it| it.is_whole || self.facts.codecs.is_empty())
        else {
            let chunk = &self.facts.chunk_shape;
            let why = format!(
                "chunks of {own:?} of the file do not begin where those of {chunk:?} of the store do"
            );
            return odd(why, Some(place));
        };
        let Some((chunk, object)) = found.chunk(&within.index) else {
            return Ok(Standing::Constant(found.facts.fill.clone()));
        };
        if chunk.left_out != 0 {
            return odd("it was written without some of its filters".to_owned(), Some(place));
        }
        let (mut offset, mut length) = (chunk.offset, chunk.length);
        if self.facts.codecs.is_empty() {
            let item = self.facts.dtype.item_bytes().unwrap_or(1) as u64;
            let whole: u64 = own.iter().product::<u64>() * item;
            if length != whole {
                let message = format!("a chunk has {length} bytes instead of {whole}");
                let error = Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message);
                return Err(error.at("object", &object.url).at("chunk", format!("{index:?}")));
            }
            offset += within.skipped * item;
            length = self.facts.chunk_shape.iter().product::<u64>() * item;
        }
        Ok(Standing::Range(Reference { object: Arc::clone(object), offset, length }))
    }
}

/// How chunks are encoded, in words.
fn words(facts: &EncodedFacts) -> String {
    let order = if facts.is_big_endian { "big-endian " } else { "" };
    let codecs: Vec<String> = facts.codecs.iter().map(NamedCodec::to_string).collect();
    let codecs = if codecs.is_empty() { "no codec".to_owned() } else { codecs.join("+") };
    format!("{order}{} with {codecs}", facts.dtype)
}

/// How chunks are encoded that are all held.
fn held_facts(target: &Variable, chunk_shape: &[u64]) -> EncodedFacts {
    let item_bytes = target.dtype.item_bytes().unwrap_or(1) as i64;
    let is_number = target.dtype.is_float() || target.dtype.is_integer();
    let shuffle = NamedCodec::new("shuffle").with("elementsize", item_bytes);
    let shuffle = Some(shuffle).filter(|_| is_number && item_bytes > 1);
    let zlib = NamedCodec::new("zlib").with("level", 5);
    EncodedFacts {
        dtype: target.dtype,
        is_big_endian: false,
        shape: target.shape.clone(),
        chunk_shape: chunk_shape.to_vec(),
        codecs: shuffle.into_iter().chain([zlib]).collect(),
        fill: Scalar::zero(target.dtype),
    }
}
