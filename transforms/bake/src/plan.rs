//! The plan of a bake: everything that was decided before anything is written.

use std::sync::Arc;

use array::{
    ArraySink, AttributeValue, ChunkGrid, Dataset, EncodedFacts, GroupPath, Scalar, SourceFacts,
    Variable,
};
use chunks::{CopyPlan, Machine, PlannedCopy};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};
use serde::{Deserialize, Serialize};
use zarr::{ZarrLayout, ZarrSink};

use crate::aligned::{AlignedDim, align, is_aligned};
use crate::append::Append;
use crate::check::{Checked, Role, check};
use crate::files::OpenFiles;
use crate::filled::{FilledCoordinate, FilledRun};
use crate::filling::{FilledLog, Filling};
use crate::grid::complete;
use crate::open::SourceVersion;
use crate::options::BakeOptions;
use crate::order::Piece;
use crate::recode::{Recode, missing_value};
use crate::schema::{FileSet, FileSummary, Schema, VariableSchema};
use crate::source::{Assembly, JoinedSource, Sources};
use crate::template::{Template, layout_of};
use crate::tiling::Lane;
use crate::tree::{GroupPlan, full_name};

/// The attribute of a store that names the sources that were not there.
const MISSING_SOURCES: &str = "missing_sources";
/// The version of the plan's JSON.
pub(crate) const PLAN_VERSION: u32 = 1;

/// A file that is baked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Where it lies.
    pub location: String,
    /// The version that was scanned, and no other, is baked.
    pub version: SourceVersion,
    /// Elements along the concat dimension.
    pub concat_length: u64,
    /// The same of further concat dimensions, of files that lie in a grid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_lengths: Vec<u64>,
}

impl SourceFile {
    pub(crate) fn of(file: &FileSummary) -> Self {
        Self {
            location: file.location.clone(),
            version: file.version,
            concat_length: file.concat_length,
            further_lengths: file.further.iter().map(|it| it.length).collect(),
        }
    }
}

/// What becomes of one variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariablePlan {
    /// The name.
    pub name: String,
    /// Where its values come from.
    pub assembly: Assembly,
    /// The files that have it; others leave a hole.
    pub files: FileSet,
    /// What stands in a hole.
    pub hole: Option<Scalar>,
    /// Elements of a chunk of the sources; `None` where they lie in one piece.
    pub source_chunk_shape: Option<Vec<u64>>,
    /// Elements of a chunk.
    pub chunk_shape: Vec<u64>,
    /// Elements of a shard, if there are shards.
    pub shard_shape: Option<Vec<u64>>,
    /// How it is copied.
    pub copy: CopyPlan,
    /// How the coordinates of steps are written that no file has, if it is their coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filled: Option<FilledCoordinate>,
}

/// Everything that was decided: files, template, layouts, copies. Immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BakePlan {
    /// The version of this form.
    pub version: u32,
    /// Where the store will lie.
    pub destination: String,
    /// What was asked for.
    pub options: BakeOptions,
    /// The dimension along which files follow each other.
    pub concat: Option<String>,
    /// The files, as they were given.
    pub files: Vec<SourceFile>,
    /// The elements along the concat dimension, in order; of a grid of files, `lanes` say it.
    pub pieces: Vec<Piece>,
    /// Steps between pieces that no file has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled: Vec<FilledRun>,
    /// The elements along the concat dimensions of a grid of files, as variables need them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<Lane>,
    /// Dimensions along which no file follows another and of which files have other elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aligned: Vec<AlignedDim>,
    /// What the store will hold.
    pub template: Dataset,
    /// What becomes of each variable, in the order of the template.
    pub variables: Vec<VariablePlan>,
    /// What a user should know: attributes that are dropped, gaps, groups that are not read.
    pub warnings: Vec<String>,
    /// What is added, if the destination is a store that is appended to. The template is then that
    /// store at its new length, and the variables are those that grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append: Option<Append>,
    /// The plans of groups below, where a whole tree is written; paths lead from the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupPlan>,
}

impl BakePlan {
    /// Checks what was scanned and decides everything; nothing is written.
    ///
    /// # Errors
    /// Files that contradict each other, chunks that are not possible, too little memory.
    pub fn new(
        schema: &Schema,
        concat: Option<String>,
        destination: &Location,
        options: BakeOptions,
        store: &StoreOptions,
        machine: Machine,
    ) -> Result<Self> {
        let plan = Self::part(schema, concat, destination, options, store, machine)?;
        check_content(schema)?;
        Ok(plan)
    }

    /// The same for a store, or a group of one, that may have no variable.
    pub(crate) fn part(
        schema: &Schema,
        concat: Option<String>,
        destination: &Location,
        options: BakeOptions,
        store: &StoreOptions,
        machine: Machine,
    ) -> Result<Self> {
        let completed = complete(schema, &options)?;
        let schema = completed.as_ref().unwrap_or(schema);
        let aligned = align(schema, &options)?;
        let schema = aligned.as_ref().map_or(schema, |it| &it.schema);
        let (dims, joins) =
            aligned.as_ref().map(|it| (it.dims.clone(), &it.notes[..])).unwrap_or_default();
        let checked = check(schema, concat.as_deref(), &options)?;
        let template = Template::new(schema, &checked, concat.as_deref(), &options)?;
        let source_of = |name: &str| schema.variables.get(name)?.chunk_shape.1.clone();
        let layout = layout_of(&template.dataset, &options, &source_of)?;
        let sink = ZarrSink::create(destination, &template.dataset, &layout, store)?;
        let decided = Decided {
            schema,
            checked: &checked,
            list: checked.list(),
            dims: &dims,
            template: &template,
            layout: &layout,
            sink: &sink,
            machine,
        };
        let variables = checked.roles.iter().map(|(name, role)| decided.variable(name, *role));
        let variables = variables.collect::<Result<_>>()?;
        let notes = joins.iter().chain(&template.notes).chain(&checked.notes).cloned().collect();
        let warnings = warnings_of(schema, notes, &template.dropped);
        let files = schema.files.values().map(SourceFile::of);
        let plan = Self {
            version: PLAN_VERSION,
            destination: destination.to_string(),
            options,
            concat,
            files: files.collect(),
            pieces: checked.pieces,
            filled: checked.filled,
            lanes: checked.grid.map(|grid| grid.lanes).unwrap_or_default(),
            aligned: dims,
            template: template.dataset,
            variables,
            warnings,
            append: None,
            groups: Vec::new(),
        };
        plan.check_references(schema)?;
        Ok(plan)
    }

    /// Opens the destination and the sources that were scanned, for writing by this plan.
    ///
    /// # Errors
    /// A destination that cannot be reached.
    pub fn open(
        &self,
        sources: &[Location],
        destination: &Location,
        store: &StoreOptions,
        open_files_bytes: u64,
    ) -> Result<(Arc<ZarrSink>, Vec<PlannedCopy>)> {
        self.open_filling(sources, (destination, store), open_files_bytes, None)
    }

    /// The same; elements that cannot be read while the store is written become missing values and
    /// are recorded in `filled`, if it is given.
    ///
    /// # Errors
    /// A destination that cannot be reached.
    pub fn open_filling(
        &self,
        sources: &[Location],
        (destination, store): (&Location, &StoreOptions),
        open_files_bytes: u64,
        filled: Option<&Arc<FilledLog>>,
    ) -> Result<(Arc<ZarrSink>, Vec<PlannedCopy>)> {
        let open_files_bytes = open_files_bytes / (1 + self.groups.len() as u64);
        let filling = |path: &GroupPath| {
            let path = path.clone();
            move |variable: &Variable| {
                let name = full_name(&path, &variable.name);
                filled.map(|log| Filling::new(log, name, variable))
            }
        };
        let root = filling(&GroupPath::default());
        let (mut sink, mut copies) =
            self.open_group(sources, (destination, store), open_files_bytes, &root)?;
        for GroupPlan { path, plan } in &self.groups {
            let place = destination.join(&path.to_string());
            let (below, more) =
                plan.open_group(sources, (&place, store), open_files_bytes, &filling(path))?;
            sink = sink.with_group(path.clone(), below);
            copies.extend(more.into_iter().map(|copy| {
                let name = full_name(path, &copy.name);
                PlannedCopy { name, ..copy }
            }));
        }
        Ok((Arc::new(sink), copies))
    }

    fn open_group(
        &self,
        sources: &[Location],
        (destination, store): (&Location, &StoreOptions),
        open_files_bytes: u64,
        filling: &dyn Fn(&Variable) -> Option<Filling>,
    ) -> Result<(ZarrSink, Vec<PlannedCopy>)> {
        let source_of = |name: &str| {
            let variable = self.variables.iter().find(|variable| variable.name == name)?;
            variable.source_chunk_shape.clone()
        };
        let layout = layout_of(&self.template, &self.options, &source_of)?;
        let sink = ZarrSink::create(destination, &self.template, &layout, store)?;
        let versions = self.files.iter().map(|file| file.version);
        let files = sources.iter().cloned().zip(versions).collect();
        let (options, dims) = (&self.options, &self.aligned);
        let files = OpenFiles::joined(files, options, dims, store.clone(), open_files_bytes);
        let list = self.list();
        let filled: Arc<[FilledRun]> = self.filled.clone().into();
        let dim_count = 1 + self.files.first().map_or(0, |file| file.further_lengths.len());
        let lengths = self.files.iter();
        let lengths = lengths.flat_map(|file| {
            std::iter::once(file.concat_length).chain(file.further_lengths.iter().copied())
        });
        let sources = Sources { files, lengths: lengths.collect(), dim_count };
        let mut copies = Vec::new();
        for variable in &self.variables {
            let target = self.template.expect_variable(&variable.name)?;
            let tiling = variable.assembly.tiling(target.shape.len(), &list, &self.lanes);
            let source = JoinedSource::new(sources.clone(), variable, target, tiling)
                .with_filled(variable, &filled)
                .with_filling(filling(target));
            copies.push(PlannedCopy {
                name: variable.name.clone(),
                source: Arc::new(source),
                sink: sink.array(&variable.name)?,
                plan: variable.copy.clone(),
            });
        }
        Ok((sink, copies))
    }

    /// The elements of a list of files along the concat dimension.
    pub(crate) fn list(&self) -> Lane {
        Lane::of_list(&self.pieces, &self.filled)
    }

    /// The dimensions along which files follow each other, with the elements of all files.
    pub fn concat_lengths(&self) -> Vec<(&str, u64)> {
        if self.lanes.is_empty() {
            let length = self.list().length();
            return self.concat.iter().map(|name| (name.as_str(), length)).collect();
        }
        let pattern = self.options.pattern.iter();
        let names = pattern.flat_map(|pattern| pattern.concat_dims());
        let length = |name| self.template.dimension(name).map(|it| (name, it.length));
        names.filter_map(length).collect()
    }

    /// Says, also in a store that is made, which sources were not there.
    pub fn note_missing(&mut self, missing: &[Location]) {
        let names: Vec<String> = missing.iter().map(Location::to_string).collect();
        if let Some(first) = names.first() {
            let sources = if names.len() == 1 { "source is" } else { "sources are" };
            let is_filled = !self.lanes.is_empty();
            let how = if is_filled { "filled" } else { "left out" };
            let note = format!("{} {sources} missing and {how}: {first}", names.len());
            self.warnings.push(if names.len() == 1 { note } else { format!("{note}, ...") });
            self.name_missing(names);
        }
    }

    /// Says, also in a store that is made, which sources could not be read.
    pub fn note_unreadable<'a>(&mut self, unreadable: impl Iterator<Item = &'a Location>) {
        let names: Vec<String> = unreadable.map(Location::to_string).collect();
        if let Some(first) = names.first() {
            let (sources, more) = match names.len() {
                1 => ("source", ""),
                _ => ("sources", ", ..."),
            };
            let count = names.len();
            self.warnings.push(format!(
                "{count} {sources} cannot be read and {} left out: {first}{more}",
                if count == 1 { "is" } else { "are" }
            ));
            self.name_missing(names);
        }
    }

    /// Names sources in the attributes of a store; an append leaves these as they are.
    fn name_missing(&mut self, mut names: Vec<String>) {
        if self.append.is_some() {
            return;
        }
        if let Some(AttributeValue::Texts(known)) = self.template.attributes.get(MISSING_SOURCES) {
            names.splice(0..0, known.iter().cloned());
        }
        self.template.attributes.set(MISSING_SOURCES, AttributeValue::Texts(names));
    }

    /// Whether there is nothing to write: an append of elements that the store has already.
    pub fn is_nothing(&self) -> bool {
        self.append.as_ref().is_some_and(|it| it.old_length == it.new_length)
    }

    /// Elements of the whole store, or those that are appended, decoded, in bytes.
    pub fn decoded_bytes(&self) -> u64 {
        if let Some(append) = &self.append {
            return append.decoded_bytes(self);
        }
        let variables = self.tree().flat_map(|(_, plan)| &plan.template.variables);
        variables.map(Variable::decoded_bytes).sum()
    }

    /// Objects that the store will have, but metadata.
    pub fn unit_count(&self) -> u64 {
        let variables = self.tree().flat_map(|(_, plan)| &plan.variables);
        variables.map(|variable| variable.copy.costs.target_puts).sum()
    }
}

/// A store of nothing is not what anybody wants.
pub(crate) fn check_content(schema: &Schema) -> Result<()> {
    if !schema.variables.is_empty() {
        return Ok(());
    }
    let groups: Vec<&str> = schema.groups.iter().map(String::as_str).collect();
    let message = match groups.as_slice() {
        [] => "there is no variable that can be read".to_owned(),
        _ => format!("all variables lie in groups, which are not read: {}", groups.join(", ")),
    };
    let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
    let left_out = schema.warnings.keys().next();
    let error = left_out.map_or(error.clone(), |why| error.at("left out", why));
    let mend = match (groups.first(), left_out) {
        (Some(group), _) => format!("read one of them: --group {group}"),
        (None, Some(_)) => "write what is left out as arrays of numbers or texts".to_owned(),
        (None, None) => "bake files with variables at their root".to_owned(),
    };
    Err(error.at("source", schema.location(0)).mend(mend))
}

/// What is decided before variables are planned one by one.
struct Decided<'a> {
    schema: &'a Schema,
    checked: &'a Checked,
    /// The elements along the concat dimension of a list.
    list: Lane,
    dims: &'a [AlignedDim],
    template: &'a Template,
    layout: &'a ZarrLayout,
    sink: &'a ZarrSink,
    machine: Machine,
}

impl Decided<'_> {
    fn variable(&self, name: &str, role: Role) -> Result<VariablePlan> {
        let known = self.schema.variables.get(name);
        let variable = known.ok_or_else(|| Error::internal(format!("`{name}` has no schema")))?;
        let recode = self.template.recodes.get(name).cloned();
        let target = self.template.dataset.expect_variable(name)?;
        let is_static = matches!(role, Role::Static(_));
        let has_holes = !is_static && self.checked.has_holes(self.schema, name, variable);
        let hole = match &recode {
            _ if !has_holes => None,
            Some(recode) => recode.fill(),
            None => missing_value(variable),
        };
        let filled = self.filled(name, variable, recode.as_ref())?;
        let is_turned = variable.dimensions.conflict().is_some();
        let is_joined = is_aligned(self.dims, variable.dimensions.first());
        let is_recoded = recode.is_some() || is_turned || is_joined;
        let assembly = match role {
            Role::Static(file) => Assembly::One { file },
            Role::Along(axis) => Assembly::Along { axis, recode },
            Role::Repeated => Assembly::Repeated { recode },
            Role::Grid => {
                let roles = self.checked.grid.as_ref().map(|grid| &grid.roles);
                let role = roles.and_then(|roles| roles.get(name));
                let role = role.ok_or_else(|| Error::internal(format!("`{name}` has no role")))?;
                Assembly::Grid { file: role.first, axes: role.axes.clone(), recode }
            }
        };
        let lanes = self.checked.grid.as_ref().map_or(&[][..], |grid| &grid.lanes);
        let tiling = assembly.tiling(target.shape.len(), &self.list, lanes);
        let source_chunk_shape = variable.chunk_shape.1.clone();
        let sink = self.sink.array(name)?;
        let facts = SourceFacts {
            dtype: target.dtype,
            grid: tiling.grid(target, source_chunk_shape.as_deref(), assembly.is_whole()),
            is_random_access: false,
            codecs: variable.codecs.1.clone(),
            encoded_ratio: variable.encoded_ratio,
            // As it is read and unpacked, eight bytes each at the most, and as it is written.
            recode_bytes: if is_recoded { 16 + target.dtype.estimated_bytes() } else { 0 },
            fill: Scalar::zero(target.dtype),
        };
        let is_as_stored = !is_recoded && hole.is_none() && filled.is_none();
        let chunks = ChunkGrid::regular(&target.shape, &sink.facts().chunk_shape);
        let encoding = variable.common_encoding().filter(|_| is_as_stored);
        let passes_through =
            facts.grid == chunks && takes_as_encoded(sink.as_ref(), encoding.as_deref());
        let copy = if passes_through {
            CopyPlan::pass_through(&facts, sink.facts(), self.machine)
        } else {
            CopyPlan::choose(&facts, sink.facts(), self.machine)
        };
        let copy = copy.map_err(|error| error.at("variable", name))?;
        let own = &self.layout.variables[name];
        Ok(VariablePlan {
            name: name.to_owned(),
            assembly,
            files: variable.files.clone(),
            hole,
            source_chunk_shape,
            chunk_shape: own.chunk_shape.clone(),
            shard_shape: own.shard_shape.clone(),
            copy,
            filled,
        })
    }

    /// How the concat coordinate goes on where no file is.
    fn filled(
        &self,
        name: &str,
        variable: &VariableSchema,
        recode: Option<&Recode>,
    ) -> Result<Option<FilledCoordinate>> {
        let runs = &self.checked.filled;
        let coordinate = match recode {
            _ if !self.checked.is_filled_axis(name) => return Ok(None),
            Some(Recode::Times(encoding)) => FilledCoordinate::Times(encoding.clone()),
            Some(Recode::Values(dtype)) => FilledCoordinate::Numbers(*dtype),
            None if !variable.packing.first().is_scaled() => {
                FilledCoordinate::Numbers(*variable.dtype.first())
            }
            _ => return Err(cannot_fill(name)),
        };
        for run in runs {
            let last = run.start + run.length - 1;
            let ends = [run.start..run.start + 1, last..last + 1];
            for end in ends {
                coordinate.values(runs, end).map_err(|error| error.at("variable", name))?;
            }
        }
        Ok(Some(coordinate))
    }
}

/// Whether an array takes chunks that are encoded in this way, if that is known, as they are.
pub(crate) fn takes_as_encoded(sink: &dyn ArraySink, encoding: Option<&str>) -> bool {
    let own = sink.encoded().map(EncodedFacts::signature);
    own.is_some_and(|own| encoding == Some(own.as_str()))
}

#[cold]
fn cannot_fill(name: &str) -> Error {
    let message = format!("`{name}` is packed: it cannot go on where steps are missing");
    let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
    error.at("variable", name).mend("bake with --gaps report")
}

/// What a user should know before the data are written, one sentence each.
fn warnings_of(schema: &Schema, notes: Vec<String>, dropped: &[String]) -> Vec<String> {
    let mut warnings: Vec<String> = schema
        .warnings
        .iter()
        .map(|(text, file)| match schema.files.len() {
            1 => text.clone(),
            _ if text.contains(schema.location(*file)) => text.clone(),
            _ => format!("{text} (first in {})", schema.location(*file)),
        })
        .collect();
    for (name, variable) in &schema.variables {
        if let Some((file, why)) = &variable.mistake {
            warnings.push(format!("{name}: {why} (in {}); kept as it is", schema.location(*file)));
        }
    }
    if !schema.groups.is_empty() {
        let names: Vec<&str> = schema.groups.iter().map(String::as_str).collect();
        warnings.push(format!("groups are not read: {}", names.join(", ")));
    }
    if !dropped.is_empty() {
        let listed = dropped.join(", ");
        warnings.push(match dropped.len() {
            1 => format!("1 attribute differs and is dropped: {listed}"),
            count => format!("{count} attributes differ and are dropped: {listed}"),
        });
    }
    warnings.extend(notes);
    warnings
}
