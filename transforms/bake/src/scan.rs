//! Scans files: headers and coordinates, never the data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use array::{ArraySource, Chunk, DType, Dataset, DatasetSource, Dimension, Region, Variable};
use cf::{Packing, TimeSpan};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{CombineFn, PCollection, PTransform, ParDo};
use objects::{Location, StoreOptions};
use xxhash_rust::xxh3::Xxh3;

use crate::grid::{FileGrid, Lay};
use crate::open::open_version;
use crate::options::{
    AttributePolicy, BakeOptions, JoinPolicy, OverlapPolicy, PresencePolicy, StaticPolicy,
};
use crate::prepare::Preparation;
use crate::schema::{
    AxisSummary, FilePlace, FileSummary, FurtherAxis, Schema, VariableFindings, has_dimension,
};

/// Elements of a time variable that are read while scanning; larger ones are data.
const TIME_ELEMENTS_LIMIT: u64 = 1 << 22;
/// Elements of a static variable that are compared number by number; of larger ones, the digest.
const CLOSE_ELEMENTS_LIMIT: u64 = 1 << 19;
/// Bytes of a static variable that are read at once.
const SLAB_BYTES: u64 = 4 << 20;
/// What scanning one file takes: a slab, the coordinate, the open file.
const WORKING_BYTES: u64 = 24 << 20;

/// Whether an error is of one file, and another may do better.
fn is_of_file(why: &Error) -> bool {
    !matches!(why.kind(), ErrorKind::Cancelled | ErrorKind::Internal | ErrorKind::ResourceExhausted)
}

/// Reads what each file says; files are told apart by their places in the list of sources.
#[derive(Debug, Clone)]
pub struct ScanFiles {
    files: Arc<[Location]>,
    concat: Option<String>,
    options: BakeOptions,
    store: StoreOptions,
    is_compared: bool,
    keeps_going: bool,
}

impl ScanFiles {
    /// Scans these files for what the options ask, and for this concat dimension.
    pub fn new(
        files: Arc<[Location]>,
        concat: Option<String>,
        options: BakeOptions,
        store: StoreOptions,
    ) -> Self {
        Self { files, concat, options, store, is_compared: false, keeps_going: false }
    }

    /// Finds what it takes to compare the files with a store as well, not only with each other.
    #[must_use]
    pub fn with_comparison(mut self) -> Self {
        self.is_compared = true;
        self
    }

    /// Goes on where a file cannot be scanned: [`Schema::unreadable`] says which, and why.
    #[must_use]
    pub fn with_keep_going(mut self, keeps_going: bool) -> Self {
        self.keeps_going = keeps_going;
        self
    }

    /// Whether all values of the concat coordinate decide on an order.
    fn keeps_values(&self) -> bool {
        let options = &self.options;
        let is_joined =
            options.join != JoinPolicy::Error || matches!(options.statics, StaticPolicy::Close(_));
        self.is_compared
            || options.overlap != OverlapPolicy::Error
            || options.pattern.is_some() && is_joined
    }

    /// A single file need not be compared with any other, unless with a store.
    fn is_alone(&self) -> bool {
        !self.is_compared && self.files.len() < 2
    }
}

impl PTransform<PCollection<u32>> for ScanFiles {
    type Output = PCollection<Schema>;

    fn expand(self, places: PCollection<u32>) -> PCollection<Schema> {
        places.apply(ParDo::of(ScanFile(self)))
    }
}

#[derive(Clone)]
struct ScanFile(ScanFiles);

impl DoFn for ScanFile {
    type In = u32;
    type Out = Schema;

    fn process(&mut self, place: u32, ctx: &mut ProcessContext<'_, Schema>) -> Result<()> {
        let location = self.0.files.get(place as usize);
        let location = location.ok_or_else(|| Error::internal("a file that is not listed"))?;
        let scanned = self.0.scan(place, location);
        let scanned = match scanned.map_err(|error| error.at("source", location)) {
            Err(why) if self.0.keeps_going && is_of_file(&why) => {
                ctx.count("files_unreadable", 1);
                Schema::of_unreadable(place, why)
            }
            scanned => scanned?,
        };
        ctx.count("files_scanned", 1);
        ctx.output(scanned)
    }

    fn facts(&self) -> DoFnFacts {
        let (concat, variables) = (&self.0.concat, &self.0.options.variables);
        let pattern = serde_json::to_string(&self.0.options.pattern).unwrap_or_default();
        let (statics, is_compared) = (self.0.options.statics, self.0.is_compared);
        let (keeps_values, steps) = (self.0.keeps_values(), &self.0.options.steps);
        let join = self.0.options.join;
        let reading = &self.0.options.reading;
        DoFnFacts::default()
            .with_parameters(format!(
                "{concat:?} {variables:?} {keeps_values} {statics} {steps:?} {is_compared} {pattern} \
                 {join} {} {reading:?}",
                self.0.options.attributes
            ))
            .with_working_bytes(WORKING_BYTES)
    }
}

impl ScanFiles {
    fn scan(&self, place: FilePlace, location: &Location) -> Result<Schema> {
        let (source, version) = open_version(location, &self.options.reading, &self.store, None)?;
        let preparation = Preparation::of(&self.options);
        let (source, unknown) = preparation.prepare_part(source, place)?;
        let asked = FileGrid::asked(&self.options)?;
        // Files of other merge keys have other variables; which lack one is checked later.
        let is_merged = asked.as_ref().is_some_and(|grid| !grid.merged.is_empty());
        let presence = if is_merged { PresencePolicy::Union } else { self.options.presence };
        let dataset = select(source.dataset(), &self.options.variables, presence)?;
        let lay = Lay::new(place, asked, self.concat.as_deref(), &dataset);
        let mut lengths = Vec::new();
        for name in &lay.concats {
            lengths.push(lay.concat_length(source.dataset(), name)?);
        }
        let encoded_ratio = encoded_ratio(source.dataset(), version.size_bytes);
        let mut axes: Vec<Option<AxisSummary>> = vec![None; lay.concats.len()];
        let mut findings = BTreeMap::new();
        for variable in &dataset.variables {
            let mut found = VariableFindings { encoded_ratio, ..VariableFindings::default() };
            let axis = lay.concats.iter().position(|name| *name == variable.name);
            let axis = axis.filter(|_| variable.is_dimension_coordinate());
            // What cannot be read is said where it is read.
            let encoded = source.array(&variable.name).and_then(|array| array.encoded());
            found.encoding = encoded.ok().map(|encoded| encoded.facts().signature());
            let scanned = self.scan_variable(source.as_ref(), &lay, variable, axis, &mut found);
            let summary = scanned.map_err(|error| error.at("variable", &variable.name))?;
            if let Some(axis) = axis {
                axes[axis] = summary;
            }
            findings.insert(variable.name.clone(), found);
        }
        let mut along = lengths.into_iter().zip(axes);
        let (concat_length, axis) = along.next().unwrap_or_default();
        let further = along.map(|(length, axis)| FurtherAxis { length, axis }).collect();
        let location = location.to_string();
        let summary = FileSummary { location, version, concat_length, axis, further };
        let schema = Schema::of_file(place, summary, &dataset, &lay.concats, &findings);
        let schema = schema.with_unknown(unknown);
        Ok(match self.options.attributes {
            AttributePolicy::List => schema.with_listed(place),
            _ => schema,
        })
    }

    /// Reads what the header does not say; the summary of the axis if the variable is one.
    fn scan_variable(
        &self,
        source: &dyn DatasetSource,
        lay: &Lay<'_>,
        variable: &Variable,
        axis: Option<usize>,
        found: &mut VariableFindings,
    ) -> Result<Option<AxisSummary>> {
        // A time that cannot be decoded is kept as it is, if all files write it alike.
        let encoding = cf::time_encoding(lay.dataset, variable).ok().flatten();
        let is_static = !has_dimension(variable, &lay.concats);
        let is_axis = axis.is_some();
        let shared = lay.shared(variable, &self.options);
        let wants_digest = is_static && !self.is_alone();
        let wants_values = encoding.is_some() && variable.element_count() <= TIME_ELEMENTS_LIMIT;
        if !(is_axis || wants_digest || shared.is_some() || wants_values && !self.is_alone()) {
            return Ok(None);
        }
        let array = source.array(&variable.name)?;
        if wants_digest {
            found.digest = Some(digest_of(array.as_ref())?);
            found.values = self.values_of(variable, array.as_ref())?;
            found.coordinate = self.coordinate_of(variable, array.as_ref())?;
        }
        if !(is_axis || wants_values) {
            if let Some(shared) = shared {
                shared.find(variable, array.as_ref(), None, found)?;
                found.tile_values = self.values_of(variable, array.as_ref())?;
            }
            return Ok(None);
        }
        let chunk = array.read(&Region::whole(&variable.shape))?;
        let packing = Packing::parse(&variable.attributes, variable.dtype);
        let Some(encoding) = encoding else {
            let summary = numbers_of(&chunk, &packing?, self.keeps_values())?;
            // Texts have no summary by which files could be compared, and long integers one that
            // does not tell all of them apart.
            let is_wide = matches!(variable.dtype, DType::Int64 | DType::UInt64);
            let shared = shared.filter(|_| summary.is_none() || is_wide);
            shared.map(|it| it.find(variable, array.as_ref(), None, found)).transpose()?;
            return Ok(summary);
        };
        let instants = match packing.and_then(|packing| encoding.decode(&chunk, &packing)) {
            Ok(instants) => instants,
            // Files cannot be put in order by times that nobody can read; others stay as they are.
            Err(error) if is_axis => return Err(error),
            Err(_) => {
                shared.map(|it| it.find(variable, array.as_ref(), None, found)).transpose()?;
                return Ok(None);
            }
        };
        found.span = Some(TimeSpan::of(&instants));
        if is_axis {
            return Ok(AxisSummary::of_instants(&instants, self.keeps_values()));
        }
        shared.map(|it| it.find(variable, array.as_ref(), Some(&instants), found)).transpose()?;
        Ok(None)
    }

    /// A coordinate along which no file follows another, if files that differ are to be joined by
    /// its numbers.
    fn coordinate_of(
        &self,
        variable: &Variable,
        array: &dyn ArraySource,
    ) -> Result<Option<AxisSummary>> {
        let is_asked = self.options.join != JoinPolicy::Error && variable.is_dimension_coordinate();
        if !is_asked || variable.element_count() > CLOSE_ELEMENTS_LIMIT {
            return Ok(None);
        }
        let Ok(packing) = Packing::parse(&variable.attributes, variable.dtype) else {
            return Ok(None);
        };
        numbers_of(&array.read(&Region::whole(&variable.shape))?, &packing, true)
    }

    /// The numbers of a static variable, if they may differ a little and are not too many.
    fn values_of(&self, variable: &Variable, array: &dyn ArraySource) -> Result<Option<Vec<f64>>> {
        let is_asked = matches!(self.options.statics, StaticPolicy::Close(_));
        if !is_asked || variable.element_count() > CLOSE_ELEMENTS_LIMIT {
            return Ok(None);
        }
        let Ok(packing) = Packing::parse(&variable.attributes, variable.dtype) else {
            return Ok(None);
        };
        let decoded = packing.decode(&array.read(&Region::whole(&variable.shape))?);
        // What is no number is the same or it is not.
        let doubles = decoded.and_then(|it| it.widened(DType::Float64));
        doubles.ok().map(|doubles| doubles.values::<f64>()).transpose()
    }
}

/// The summary of a coordinate that counts no time; nothing for texts, which have no order here.
pub(crate) fn numbers_of(
    chunk: &Chunk,
    packing: &Packing,
    keeps_values: bool,
) -> Result<Option<AxisSummary>> {
    if chunk.dtype() == DType::Text || matches!(chunk.dtype(), DType::Bytes(_)) {
        return Ok(None);
    }
    let decoded = packing.decode(chunk)?;
    let number = |place| Ok(decoded.scalar(place)?.as_float().unwrap_or(f64::NAN));
    let numbers: Result<Vec<f64>> = (0..decoded.element_count()).map(number).collect();
    Ok(AxisSummary::of_numbers(numbers?.into_iter(), keeps_values))
}

/// The digest of all elements of an array, slab by slab.
pub(crate) fn digest_of(array: &dyn ArraySource) -> Result<u128> {
    let facts = array.facts();
    let shape = facts.grid.shape();
    let row: u64 = shape.iter().skip(1).product::<u64>() * facts.dtype.estimated_bytes();
    let rows = (SLAB_BYTES / row.max(1)).max(1);
    let mut hasher = Xxh3::new();
    let Some(&length) = shape.first().filter(|_| !shape.contains(&0)) else {
        hasher.update(array.read(&Region::whole(&shape))?.payload());
        return Ok(hasher.digest128());
    };
    for start in (0..length).step_by(usize::try_from(rows).unwrap_or(usize::MAX)) {
        let inner = shape.iter().skip(1).map(|&length| 0..length);
        let slab = Region::new(std::iter::once(start..(start + rows).min(length)).chain(inner));
        hasher.update(array.read(&slab)?.payload());
    }
    Ok(hasher.digest128())
}

/// The variables that are wanted, with the coordinates of their dimensions and what they refer to.
///
/// # Errors
/// A variable that the file does not have, where each must have all.
pub(crate) fn select(
    dataset: &Dataset,
    wanted: &[String],
    presence: PresencePolicy,
) -> Result<Dataset> {
    if wanted.is_empty() {
        return Ok(dataset.clone());
    }
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = wanted.to_vec();
    if presence == PresencePolicy::Error {
        for name in wanted {
            dataset.expect_variable(name)?;
        }
    }
    while let Some(name) = open.pop() {
        let Some(variable) = dataset.variable(&name) else { continue };
        if names.insert(name) {
            open.extend(variable.dimensions.iter().cloned());
            open.extend(cf::related_variables(&variable.attributes));
        }
    }
    let mut selected = dataset.clone();
    selected.variables.retain(|variable| names.contains(&variable.name));
    let used = |name: &String| selected.variables.iter().any(|it| it.dimensions.contains(name));
    selected.dimensions = dataset.dimensions.iter().filter(|it| used(&it.name)).cloned().collect();
    Ok(selected)
}

/// Stored bytes by decoded bytes of a whole file, with room for variables that are denser.
fn encoded_ratio(dataset: &Dataset, size_bytes: u64) -> f64 {
    let decoded: u64 = dataset.variables.iter().map(Variable::decoded_bytes).sum();
    if size_bytes == 0 || decoded == 0 {
        return 1.0;
    }
    (1.25 * size_bytes as f64 / decoded as f64).min(1.0)
}

/// The dimension along which these files follow each other, as asked for or as the first one says.
///
/// # Errors
/// A dimension that the file does not have, or none that offers itself.
pub fn choose_concat(
    first: &Dataset,
    file_count: usize,
    asked: Option<&str>,
) -> Result<Option<String>> {
    if let Some(name) = asked {
        return first.expect_dimension(name).map(|dimension| Some(dimension.name.clone()));
    }
    if file_count < 2 {
        return Ok(None);
    }
    let is_used = |name: &String| first.variables.iter().any(|it| it.dimensions.contains(name));
    let unlimited = first.dimensions.iter().filter(|it| it.is_unlimited && is_used(&it.name));
    let unlimited: Vec<&Dimension> = unlimited.collect();
    let time = first.dimensions.iter().find(|it| it.name == "time");
    match (unlimited.as_slice(), time) {
        ([only], _) => Ok(Some(only.name.clone())),
        (_, Some(time)) => Ok(Some(time.name.clone())),
        _ => {
            let names: Vec<&str> = first.dimensions.iter().map(|it| it.name.as_str()).collect();
            let message =
                format!("along which dimension do these {file_count} files follow each other?");
            let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
            Err(error.mend(format!("say it with --concat; there are: {}", names.join(", "))))
        }
    }
}

/// Reduces what files say to one schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct CombineSchemas;

impl CombineFn for CombineSchemas {
    type In = Schema;
    type Acc = Schema;
    type Out = Schema;

    fn create(&self) -> Schema {
        Schema::default()
    }

    fn add(&self, all: &mut Schema, one: Schema) {
        all.merge(one);
    }

    fn merge(&self, all: &mut Schema, other: Schema) {
        all.merge(other);
    }

    fn extract(&self, all: Schema) -> Schema {
        all
    }
}
