//! Baking, as a job: what is asked for, scanned and planned. Read `write.rs` next.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use ::bake::{
    BakeOptions, BakePlan, Checks, CombineSchemas, FilePattern, MissingFilePolicy, Pyramid,
    ScanFiles, Schema, StoreRegion, ZarrVersion, choose_concat, open_prepared,
};
use array::GroupPath;
use chunks::{Machine, StoreProfile};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::{OnError, Retries, RunOptions};
use dataflow::plan::StageGraph;
use dataflow::prelude::{CombineGlobally, Create, Pipeline};
use dataflow::runner::{JobObserver, NoObserver, Runner};
use direct::DirectRunner;
use objects::{Location, ObjectFile, StoreOptions, expand};
use zarr::{ZarrFormat, ZarrGroup, ZarrSource};

use crate::job::about::RunAbout;
use crate::job::beam::Beam;
use crate::job::destination::Destination;
use crate::job::memory::{MemoryLimit, check_enough, plan_within};
use crate::job::place::Place;
use crate::job::readable::Readable;
use crate::job::run_store::{RunStore, now_ms};
use crate::job::workers::Workers;
use crate::job::write::{BakeReport, ScannedBake};
use crate::report::{Recorded, Recorder};

/// What the engine takes for a bundle of the write besides what copies declare.
const ENGINE_BYTES: u64 = 8 << 20;

/// Bakes files into one Zarr store.
#[derive(Debug, Clone)]
pub struct Bake {
    pub(super) sources: Vec<String>,
    /// Where the store lies, or that of which a group is written.
    pub(super) root: Location,
    pub(super) group: GroupPath,
    /// Where what is written lies: the store, or the group.
    pub(super) destination: Location,
    pub(super) options: BakeOptions,
    pub(super) threads: NonZeroUsize,
    pub(super) memory: MemoryLimit,
    pub(super) may_overwrite: bool,
    pub(super) append: Option<String>,
    pub(super) region: Option<StoreRegion>,
    pub(super) pyramid: Option<Pyramid>,
    pub(super) may_resume: bool,
    pub(super) keeps_going: bool,
    pub(super) checks: Checks,
    pub(super) is_tree: bool,
    pub(super) store: StoreOptions,
    pub(super) cancel: CancelToken,
    /// Who writes, if it is not this process.
    pub(super) workers: Option<Workers>,
    /// The runner of Beam on which is written, if it is one.
    pub(super) beam: Option<Beam>,
    /// Which of the bakes of one command it is.
    pub(super) place: usize,
    pub(super) run_store: Option<Location>,
    pub(super) scratch_folder: Option<PathBuf>,
    pub(super) on_error: OnError,
    pub(super) retries: Retries,
    pub(super) about: RunAbout,
}

impl Bake {
    /// Bakes these sources (files, globs, folders, URLs, Zarr stores) into a store at `destination`.
    ///
    /// # Errors
    /// A destination that is no location.
    pub fn new<S: Into<String>>(
        sources: impl IntoIterator<Item = S>,
        destination: &str,
    ) -> Result<Self> {
        let destination = Location::parse(destination)?;
        Ok(Self {
            sources: sources.into_iter().map(Into::into).collect(),
            root: destination.clone(),
            group: GroupPath::default(),
            destination,
            options: BakeOptions::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory: MemoryLimit::of_machine(),
            may_overwrite: false,
            append: None,
            region: None,
            pyramid: None,
            may_resume: false,
            keeps_going: false,
            checks: Checks::default(),
            is_tree: false,
            store: StoreOptions::default(),
            cancel: CancelToken::default(),
            workers: None,
            beam: None,
            place: 0,
            run_store: None,
            scratch_folder: None,
            on_error: OnError::Stop,
            retries: Retries::default(),
            about: RunAbout::default(),
        })
    }

    /// Where the store lies that is written, or of which a group is written.
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// Bakes the files of a pattern: they lie along its concat dimensions, hold the variables of
    /// its merge dimensions, and have the dimensions that it makes of keys.
    ///
    /// # Errors
    /// A destination that is no location.
    pub fn of_pattern(pattern: FilePattern, destination: &str) -> Result<Self> {
        let mut bake = Self::new(Vec::<String>::new(), destination)?;
        bake.options.pattern = Some(pattern);
        Ok(bake)
    }

    /// Sets all that decides what is written. A pattern stays, unless another one is given.
    #[must_use]
    pub fn with_options(mut self, options: BakeOptions) -> Self {
        let pattern = self.options.pattern.take();
        self.options = options;
        self.options.pattern = self.options.pattern.or(pattern);
        self
    }

    /// Writes into a group of the store at the destination, beside what is there.
    ///
    /// Readers of the consolidated metadata see the group when it is whole.
    #[must_use]
    pub fn with_target_group(mut self, group: GroupPath) -> Self {
        self.destination = self.root.join(&group.to_string());
        self.group = group;
        self
    }

    /// Names the dimension along which files follow each other.
    #[must_use]
    pub fn with_concat(mut self, dimension: impl Into<String>) -> Self {
        self.options.concat = Some(dimension.into());
        self
    }

    /// Uses so many threads.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Keeps the resident memory of the process within this limit.
    #[must_use]
    pub fn with_memory(mut self, limit: MemoryLimit) -> Self {
        self.memory = limit;
        self
    }

    /// Replaces a store that is there already.
    #[must_use]
    pub fn with_overwrite(mut self, may_overwrite: bool) -> Self {
        self.may_overwrite = may_overwrite;
        self
    }

    /// Appends to the store at the destination along a dimension, in place of making a new store.
    ///
    /// Elements that the store has are skipped, what follows is written in the store's own
    /// encoding; chunks, codec and format of the options do not count. Readers of the consolidated
    /// metadata see the store as it was or as it will be, whenever a run ends.
    #[must_use]
    pub fn with_append(mut self, dimension: impl Into<String>) -> Self {
        self.append = Some(dimension.into());
        self
    }

    /// Writes over elements of the store at the destination that it has already, in place of making
    /// a new store.
    ///
    /// Files are found in the store by the values of its coordinate and written in the store's own
    /// encoding; it keeps its metadata. Chunks are replaced one by one: until the run has ended,
    /// readers may see old ones beside new ones.
    #[must_use]
    pub fn with_region(mut self, region: StoreRegion) -> Self {
        self.region = Some(region);
        self
    }

    /// How stores are reached.
    pub fn store_options(&self) -> &StoreOptions {
        &self.store
    }

    /// Whether a store that is there is written to.
    pub(super) fn is_into_store(&self) -> bool {
        self.append.is_some() || self.region.is_some()
    }

    /// Goes on where a run of the same plan has failed or was killed, and leaves what it has
    /// written, which no reader opens, for the next one if it fails itself.
    #[must_use]
    pub fn with_resume(mut self, may_resume: bool) -> Self {
        self.may_resume = may_resume;
        self
    }

    /// Leaves out files that cannot be scanned, and fills elements that cannot be read while they are
    /// written, with the missing value of their variable: all are named together, and the rest is
    /// baked.
    #[must_use]
    pub fn with_keep_going(mut self, keeps_going: bool) -> Self {
        self.keeps_going = keeps_going;
        self
    }

    /// Makes these checks when everything is written, before readers see it: what fails them does
    /// not become visible. Chunks are read again where a check is about values.
    #[must_use]
    pub fn with_checks(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self
    }

    /// Writes all groups of the source, of which there is one, and not its root alone.
    ///
    /// Each array gets a plan of its own, and all are written in one run within one budget. What
    /// cannot be read is refused, unless variables are named that can be.
    #[must_use]
    pub fn with_groups(mut self, is_tree: bool) -> Self {
        self.is_tree = is_tree;
        self
    }

    /// Reaches stores in this way.
    #[must_use]
    pub fn with_store(mut self, store: StoreOptions) -> Self {
        self.store = store;
        self
    }

    /// Stops when this token is cancelled.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Keeps runs below this place, in a folder for each destination, and not beside it.
    #[must_use]
    pub fn with_run_store(mut self, place: Location) -> Self {
        self.run_store = Some(place);
        self
    }

    /// Spills data to disk under this folder, and not under that of the system.
    #[must_use]
    pub fn with_scratch_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.scratch_folder = Some(folder.into());
        self
    }

    /// Sets how often is tried again what fails in passing.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Sets what a failure does to the rest of the run.
    ///
    /// What is written must be whole: a quarantine counts for files alone, as
    /// [`Bake::with_keep_going`] has it, and bounds how many may be left out.
    #[must_use]
    pub fn with_on_error(mut self, policy: OnError) -> Self {
        self.on_error = policy;
        self
    }

    /// Says in the records of the run who has started it, and how.
    #[must_use]
    pub fn with_about(mut self, about: RunAbout) -> Self {
        self.about = about;
        self
    }

    /// The checks that are made of what is written.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Scans and writes.
    ///
    /// # Errors
    /// As [`Bake::scan`] and [`ScannedBake::write`].
    pub fn run(&self) -> Result<BakeReport> {
        self.scan(&NoObserver)?.write(&NoObserver)
    }

    /// Reads headers and coordinates, checks them, and plans; writes nothing.
    ///
    /// # Errors
    /// Inputs that cannot be read or contradict each other, a destination that may not be written,
    /// chunks that are not possible, too little memory.
    pub fn scan(&self, observer: &dyn JobObserver) -> Result<ScannedBake> {
        let recorder = Arc::new(Recorder::new(now_ms()));
        recorder.begin_phase("scan");
        let scanned = self.scan_recorded(&Recorded { observer, recorder: &recorder })?;
        self.check_left_out(&scanned.unreadable)?;
        recorder.leave_out(&scanned.unreadable);
        Ok(scanned.with_recorder(recorder))
    }

    /// Refuses to leave out more files than the policy allows.
    fn check_left_out(&self, unreadable: &[Error]) -> Result<()> {
        let OnError::Quarantine { limit } = self.on_error else { return Ok(()) };
        match unreadable {
            [first, ..] if unreadable.len() as u64 > limit => Err(first
                .clone()
                .at("left out", format_args!("{} files, {limit} are allowed", unreadable.len()))),
            _ => Ok(()),
        }
    }

    fn scan_recorded(&self, observer: &dyn JobObserver) -> Result<ScannedBake> {
        if let Some(dimension) = self.append.as_ref().filter(|_| !self.is_of_references()) {
            return self.scan_append(dimension, observer);
        }
        if let Some(region) = self.region.as_ref().filter(|_| !self.is_of_references()) {
            return self.scan_region(region, observer);
        }
        let (sources, missing) = self.expand_sources()?;
        self.check_destination(&sources)?;
        if let ([source], true) = (sources.as_slice(), self.is_tree) {
            return self.scan_tree(source, observer);
        }
        let Readable { sources, concat, schema, unreadable } =
            self.read(sources, &missing, observer)?;
        let mut plan = plan_within(self.memory, self.machine(&sources)?, |machine| {
            let (concat, options) = (concat.clone(), self.options.clone());
            BakePlan::new(&schema, concat, &self.destination, options, &self.store, machine)
        })?;
        plan.note_missing(&missing);
        plan.note_unreadable(unreadable.iter().map(|(location, _)| location));
        self.checks.check_against(&plan.template)?;
        if let Some(pyramid) = &self.pyramid {
            pyramid.check(&plan.template, &self.options)?;
            self.check_levels()?;
        }
        let plan = self.look_as_before(plan)?;
        let unreadable = unreadable.into_iter().map(|(_, why)| why).collect();
        let references = self.is_of_references();
        let references =
            references.then(|| self.collect_references(&plan, &sources)).transpose()?;
        let scanned = ScannedBake::new(self.clone(), sources, plan).with_references(references);
        Ok(scanned.with_unreadable(unreadable))
    }

    /// The dimension along which the sources follow each other.
    pub(super) fn choose_concat(&self, sources: &[Location]) -> Result<Option<String>> {
        if let Some(pattern) = &self.options.pattern {
            return self.concat_of(pattern);
        }
        let first = sources.first().ok_or_else(|| {
            Error::new(ErrorCode::NOTHING_MATCHES, ErrorKind::NotFound, "there is no source")
                .mend("name at least one file, folder, pattern or store")
        })?;
        let first = open_prepared(first, 0, &self.options, &self.store)?;
        let region = self.region.as_ref().and_then(StoreRegion::dimension);
        let asked = self.append.as_deref().or(region).or(self.options.concat.as_deref());
        // One file alone has a place in a store along the dimension that several would have.
        let count = if self.region.is_some() { sources.len().max(2) } else { sources.len() };
        choose_concat(first.dataset(), count, asked)
    }

    /// Refuses sources that are given twice, and a destination that may not be written.
    ///
    /// A store that a run of this plan has finished is found again, if that is asked for.
    pub(super) fn check_destination(&self, sources: &[Location]) -> Result<()> {
        check_twice(sources)?;
        if self.is_of_references() {
            return self.check_references(sources);
        }
        self.target_group()?;
        let destination = self.opened_destination()?;
        if self.is_into_store() {
            return destination.check_append(sources);
        }
        let known = || RunStore::newest(&self.runs()?, &self.store);
        let may_exist = self.may_overwrite || self.may_resume && known()?.is_some();
        destination.check(may_exist, sources)
    }

    /// What lies at the destination.
    pub(super) fn opened_destination(&self) -> Result<Destination> {
        if !self.group.is_root() {
            Destination::new(&self.root, &self.root, &self.store)?.check_holds_groups()?;
        }
        Destination::new(&self.destination, &self.runs()?, &self.store)
    }

    /// The place beside which runs are kept: never within a store.
    pub(super) fn runs(&self) -> Result<Location> {
        RunStore::place_of(self.run_store.as_ref(), &self.root, &self.group)
    }

    /// The group that is written, if it is not the whole store.
    ///
    /// # Errors
    /// A store in which no such group can lie.
    pub(super) fn target_group(&self) -> Result<Option<ZarrGroup>> {
        if self.group.is_root() {
            return Ok(None);
        }
        let format = match self.options.zarr_format {
            ZarrVersion::V2 => ZarrFormat::V2,
            ZarrVersion::V3 => ZarrFormat::V3,
        };
        ZarrGroup::open(&self.root, &self.group, format, &self.store).map(Some)
    }

    /// What copies from these sources may use.
    pub(super) fn machine(&self, sources: &[Location]) -> Result<Machine> {
        let memory_bytes = self.memory.accounted_bytes()?.saturating_sub(ENGINE_BYTES);
        let local = Machine::local(memory_bytes, self.threads.get() as u64);
        let store_of = |location: &Location| {
            if location.is_remote() { StoreProfile::OBJECT_STORE } else { StoreProfile::LOCAL_DISK }
        };
        let source = sources.first().map_or(local.source, store_of);
        Ok(Machine { source, target: store_of(&self.destination), ..local })
    }

    /// The sources that are there, and those that are missing where that is allowed.
    pub(super) fn expand_sources(&self) -> Result<(Vec<Location>, Vec<Location>)> {
        if let Some(pattern) = &self.options.pattern {
            return self.sources_of(pattern);
        }
        let (mut sources, mut missing) = (Vec::new(), Vec::new());
        for source in &self.sources {
            match self.expand_source(source) {
                Ok(found) => sources.extend(found),
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && self.options.missing_files != MissingFilePolicy::Error =>
                {
                    missing.push(Location::parse(source)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((sources, missing))
    }

    fn expand_source(&self, source: &str) -> Result<Vec<Location>> {
        let location = Location::parse(source)?;
        let is_folder = location.is_local_path().is_some_and(std::path::Path::is_dir);
        let is_literal = is_folder || !source.contains(['*', '?', '[']);
        // A web server is asked for the file itself first: most are no stores.
        let is_asked_later = location.is_web();
        if is_literal && !is_asked_later && ZarrSource::exists(&location, &self.store)? {
            return Ok(vec![location]);
        }
        let found = expand(source, &self.store)?;
        if self.options.missing_files != MissingFilePolicy::Error {
            // A URL stands for itself, whether or not there is something.
            for it in &found {
                let opened = ObjectFile::open(it, &self.store).map(drop);
                if opened.is_err() && !(is_asked_later && ZarrSource::exists(it, &self.store)?) {
                    return opened.map(|()| Vec::new());
                }
            }
        }
        Ok(found)
    }

    pub(super) fn reduce(
        &self,
        sources: &[Location],
        missing: &[Location],
        concat: Option<String>,
        observer: &dyn JobObserver,
    ) -> Result<Schema> {
        let missing: BTreeSet<&Location> = missing.iter().collect();
        let is_there = |(_, source): &(u32, &Location)| !missing.contains(source);
        let places: Vec<u32> = (0..).zip(sources).filter(is_there).map(|it| it.0).collect();
        let options = self.options.clone();
        let scan = ScanFiles::new(sources.into(), concat, options, self.store.clone());
        let mut scan = scan.with_keep_going(self.may_leave_out());
        if self.is_into_store() {
            scan = scan.with_comparison();
        }
        let pipeline = Pipeline::new();
        let headers = pipeline.apply(Create::of(places)).apply(scan);
        let combined = headers.apply(CombineGlobally::of(CombineSchemas).without_default());
        let schema = combined.collect();
        let graph = pipeline.compile_for(&self.runner())?;
        let report = self.runner().run(&graph, &self.run_options(&graph)?, observer)?;
        let schema = report.get(&schema)?.iter().next();
        schema.ok_or_else(|| Error::internal("scanning gave no schema"))
    }

    pub(super) fn runner(&self) -> DirectRunner {
        DirectRunner::new().with_threads(self.threads).with_cancel(self.cancel.clone())
    }

    /// Does work that spreads itself over threads on as many as are allowed.
    pub(super) fn in_pool<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.get())
            .build()
            .map_err(|why| Error::internal(format!("cannot start threads: {why}")))?;
        pool.install(work)
    }

    pub(super) fn run_options(&self, graph: &StageGraph) -> Result<RunOptions> {
        let accounted_bytes = self.memory.accounted_bytes()?;
        check_enough(self.memory, accounted_bytes, DirectRunner::least_memory_bytes(graph))?;
        let mut options = RunOptions::default().with_memory_bytes(accounted_bytes);
        options.scratch_folder.clone_from(&self.scratch_folder);
        options.on_error = match self.on_error {
            OnError::Quarantine { .. } => OnError::Stop,
            policy => policy,
        };
        options.retries.clone_from(&self.retries);
        Ok(options)
    }
}

/// Refuses a source that is given twice, however it is spelled.
fn check_twice(sources: &[Location]) -> Result<()> {
    let mut places = BTreeSet::new();
    for source in sources {
        if !places.insert(Place::of(source)?) {
            let message = "a source is given twice";
            let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::InvalidInput, message);
            return Err(error.at("source", source).mend("name every source once"));
        }
    }
    Ok(())
}
