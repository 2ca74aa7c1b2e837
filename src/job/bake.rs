//! Baking, as a job: scan, plan, write, finish.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use ::bake::{
    ArrayTotal, BakeOptions, BakePlan, CombineSchemas, MissingFilePolicy, ScanFiles, Schema,
    WriteStore, choose_concat, open_prepared,
};
use chunks::{ByteSize, CopyArrays, Machine};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::RunOptions;
use dataflow::plan::StageGraph;
use dataflow::prelude::{CombineGlobally, Create, Pipeline};
use dataflow::runner::{JobObserver, NoObserver, Runner};
use direct::DirectRunner;
use objects::{Location, ObjectFile, StoreOptions, expand};
use zarr::{ZarrSink, ZarrSource};

use crate::job::destination::Destination;
use crate::job::memory::{MemoryLimit, check_enough};
use crate::job::place::Place;
use crate::job::run_store::RunStore;

/// Pieces of a write: enough that progress moves, few enough that each reads ahead.
const WRITE_PARTITIONS: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");
/// The part of the memory that open files may take.
const OPEN_FILES_DIVISOR: u64 = 16;
/// What the engine takes for a bundle of the write besides what copies declare.
const ENGINE_BYTES: u64 = 8 << 20;

/// Bakes files into one Zarr store.
#[derive(Debug, Clone)]
pub struct Bake {
    sources: Vec<String>,
    destination: Location,
    options: BakeOptions,
    threads: NonZeroUsize,
    memory: MemoryLimit,
    may_overwrite: bool,
    store: StoreOptions,
    cancel: CancelToken,
}

/// A bake that was scanned and planned; nothing is written yet.
#[derive(Debug, Clone)]
pub struct ScannedBake {
    bake: Bake,
    sources: Vec<Location>,
    /// What will be written, and how.
    pub plan: BakePlan,
}

/// What a finished bake says.
#[derive(Debug, Clone)]
pub struct BakeReport {
    /// Where the store lies.
    pub destination: String,
    /// What was written, and how.
    pub plan: BakePlan,
    /// Objects that were written, but metadata.
    pub unit_count: u64,
    /// Bytes of these.
    pub encoded_bytes: u64,
    /// Bytes that were spilled to disk.
    pub spilled_bytes: u64,
    /// The most bytes that were accounted for at once.
    pub peak_bytes: u64,
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
        Ok(Self {
            sources: sources.into_iter().map(Into::into).collect(),
            destination: Location::parse(destination)?,
            options: BakeOptions::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory: MemoryLimit::of_machine(),
            may_overwrite: false,
            store: StoreOptions::default(),
            cancel: CancelToken::default(),
        })
    }

    /// Sets all that decides what is written.
    #[must_use]
    pub fn with_options(mut self, options: BakeOptions) -> Self {
        self.options = options;
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
        let destination = Destination::new(&self.destination, &self.store)?;
        let (sources, missing) = self.expand_sources()?;
        check_twice(&sources)?;
        destination.check(self.may_overwrite, &sources)?;
        let first = sources.first().ok_or_else(|| {
            Error::new(ErrorCode::NOTHING_MATCHES, ErrorKind::NotFound, "there is no source")
                .mend("name at least one file, folder, pattern or store")
        })?;
        let first = open_prepared(first, &self.options.steps, &self.store)?;
        let asked = self.options.concat.as_deref();
        let concat = choose_concat(first.dataset(), sources.len(), asked)?;
        let schema = self.reduce(&sources, concat.clone(), observer)?;
        let machine = Machine {
            memory_bytes: self.memory.accounted_bytes()?.saturating_sub(ENGINE_BYTES),
            thread_count: self.threads.get() as u64,
        };
        let mut plan = BakePlan::new(
            &schema,
            concat,
            &self.destination,
            self.options.clone(),
            &self.store,
            machine,
        )?;
        plan.note_missing(&missing);
        Ok(ScannedBake { bake: self.clone(), sources, plan })
    }

    /// The sources that are there, and those that are missing where that is allowed.
    fn expand_sources(&self) -> Result<(Vec<Location>, Vec<Location>)> {
        let (mut sources, mut missing) = (Vec::new(), Vec::new());
        for source in &self.sources {
            match self.expand_source(source) {
                Ok(found) => sources.extend(found),
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && self.options.missing_files == MissingFilePolicy::Skip =>
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
        if is_literal && ZarrSource::exists(&location, &self.store)? {
            return Ok(vec![location]);
        }
        let found = expand(source, &self.store)?;
        if self.options.missing_files == MissingFilePolicy::Skip {
            // A URL stands for itself, whether or not there is something.
            found.iter().try_for_each(|it| ObjectFile::open(it, &self.store).map(drop))?;
        }
        Ok(found)
    }

    fn reduce(
        &self,
        sources: &[Location],
        concat: Option<String>,
        observer: &dyn JobObserver,
    ) -> Result<Schema> {
        let places = 0..sources.len() as u32;
        let options = self.options.clone();
        let scan = ScanFiles::new(sources.into(), concat, options, self.store.clone());
        let pipeline = Pipeline::new();
        let headers = pipeline.apply(Create::of(places)).apply(scan);
        let combined = headers.apply(CombineGlobally::of(CombineSchemas).without_default());
        let schema = combined.collect();
        let graph = pipeline.compile_for(&self.runner())?;
        let report = self.runner().run(&graph, &self.run_options(&graph)?, observer)?;
        let schema = report.get(&schema)?.iter().next();
        schema.ok_or_else(|| Error::internal("scanning gave no schema"))
    }

    fn runner(&self) -> DirectRunner {
        DirectRunner::new().with_threads(self.threads).with_cancel(self.cancel.clone())
    }

    fn run_options(&self, graph: &StageGraph) -> Result<RunOptions> {
        let accounted_bytes = self.memory.accounted_bytes()?;
        check_enough(self.memory, accounted_bytes, DirectRunner::least_memory_bytes(graph))?;
        Ok(RunOptions::default().with_memory_bytes(accounted_bytes))
    }
}

impl ScannedBake {
    /// The pipeline that writes, as text: its stages and edges.
    ///
    /// # Errors
    /// Sources or a destination that cannot be reached.
    pub fn explain(&self) -> Result<String> {
        let run = RunStore::new(&self.bake.destination, &self.bake.store)?;
        let (_, pipeline, _) = self.pipeline(&run)?;
        Ok(pipeline.compile_for(&self.bake.runner())?.explain())
    }

    /// Writes the store. If it fails, nothing is left that any reader opens.
    ///
    /// # Errors
    /// Inputs that cannot be read, a store that fails, or a request to stop.
    pub fn write(&self, observer: &dyn JobObserver) -> Result<BakeReport> {
        let bake = &self.bake;
        let destination = Destination::new(&bake.destination, &bake.store)?;
        destination.check(bake.may_overwrite, &self.sources)?;
        let run = RunStore::new(&bake.destination, &bake.store)?;
        let (sink, pipeline, totals) = self.pipeline(&run)?;
        let graph = pipeline.compile_for(&bake.runner())?;
        let options = bake.run_options(&graph)?.with_partition_count(WRITE_PARTITIONS);
        run.begin(&bake.destination, &graph.fingerprint().to_string(), &self.plan)?;
        let written = destination.clear().and_then(|()| {
            let report = bake.runner().run(&graph, &options, observer)?;
            let totals: BTreeMap<String, ArrayTotal> = report.get(&totals)?.iter().collect();
            self.plan.check_complete(&totals)?;
            sink.finish()?;
            run.end("SUCCEEDED", None)?;
            Ok((totals, report))
        });
        let (totals, report) = match written {
            Ok(written) => written,
            Err(error) => return Err(give_up(&destination, &run, error)),
        };
        Ok(BakeReport {
            destination: bake.destination.to_string(),
            plan: self.plan.clone(),
            unit_count: totals.values().map(|total| total.unit_count).sum(),
            encoded_bytes: totals.values().map(|total| total.encoded_bytes).sum(),
            spilled_bytes: report.shuffle.spilled_bytes,
            peak_bytes: report.peak_bytes,
        })
    }

    fn pipeline(&self, run: &RunStore) -> Result<WritePipeline> {
        let bake = &self.bake;
        let open_files_bytes = bake.memory.size().0 / OPEN_FILES_DIVISOR;
        let (sink, copies) =
            self.plan.open(&self.sources, &bake.destination, &bake.store, open_files_bytes)?;
        let pipeline = Pipeline::new();
        let copies = CopyArrays::new(copies).with_cancel(bake.cancel.clone());
        let write = WriteStore::new(copies, run.location().clone(), bake.store.clone());
        let totals = pipeline.apply(write).collect();
        Ok((sink, pipeline, totals))
    }
}

type WritePipeline = (Arc<ZarrSink>, Pipeline, dataflow::prelude::Collected<(String, ArrayTotal)>);

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

/// Removes what a failed run has written, and says in the run store how it ended.
fn give_up(destination: &Destination, run: &RunStore, error: Error) -> Error {
    // Without a result the run counts as dead, and the next one removes what is left.
    if let Err(more) = destination.clear() {
        return error.at("left over", destination.location()).at("because", more.message());
    }
    let is_stopped = error.kind() == ErrorKind::Cancelled;
    let state = if is_stopped { "CANCELLED" } else { "FAILED" };
    // A full disk takes no record either; the error that matters is the first one.
    drop(run.end(state, Some(&error)));
    error
}

impl BakeReport {
    /// Decoded bytes of the store by encoded bytes.
    pub fn compression(&self) -> f64 {
        self.plan.decoded_bytes() as f64 / self.encoded_bytes.max(1) as f64
    }

    /// The size of the store.
    pub fn size(&self) -> ByteSize {
        ByteSize(self.encoded_bytes)
    }
}
