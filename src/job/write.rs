//! The second half of a bake: a plan is written, resumed, or given up.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use ::bake::{
    ArrayTotal, BakePlan, FilledElements, FilledLog, References, Referred, ValidationReport,
    WriteStore, read_filled,
};
use array::Region;
use chunks::{ByteSize, CopyArrays, DoneUnits};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{Collected, Pipeline};
use dataflow::runner::{JobObserver, JobReport, NoObserver};
use objects::Location;
use r#virtual::WrittenReferences;
use zarr::{ZarrGroup, ZarrSource};

use crate::job::bake::Bake;
use crate::job::beginning::Beginning;
use crate::job::cancel::stoppable;
use crate::job::destination::Destination;
use crate::job::reporting::{Ended, RunPlace, Telling, unit_grids};
use crate::job::resume::{Resumption, count_of};
use crate::job::run_store::{End, PastRun, RunStore, now_ms};
use crate::job::target::{OpenTarget, Target};
use crate::job::validate::{Look, options_of, validation_failure};
use crate::job::workers::Part;
use crate::report::{Recorded, Recorder};

/// Pieces of a write: enough that progress moves, few enough that each reads ahead.
pub(super) const WRITE_PARTITIONS: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");
/// The part of the memory that open files may take.
pub(super) const OPEN_FILES_DIVISOR: u64 = 16;

/// A bake that was scanned and planned; nothing is written yet.
#[derive(Debug, Clone)]
pub struct ScannedBake {
    pub(super) bake: Bake,
    sources: Vec<Location>,
    /// Where all chunks lie, if references are written.
    references: Option<Arc<References>>,
    pub(super) recorder: Arc<Recorder>,
    /// What will be written, and how.
    pub plan: BakePlan,
    /// Why sources were left out that cannot be read.
    pub unreadable: Vec<Error>,
}

/// What a finished bake says.
#[derive(Debug, Clone)]
pub struct BakeReport {
    /// Where the store lies.
    pub destination: String,
    /// What was written, and how.
    pub plan: BakePlan,
    /// Objects that the run has put into the store, but metadata.
    pub unit_count: u64,
    /// How many of them an earlier run had written already.
    pub reused_count: u64,
    /// Bytes of these objects.
    pub encoded_bytes: u64,
    /// Levels of a pyramid that were made of this one.
    pub level_count: u64,
    /// Bytes that were spilled to disk.
    pub spilled_bytes: u64,
    /// The most bytes that were accounted for at once.
    pub peak_bytes: u64,
    /// What became of the request to resume, in a sentence, if there was one.
    pub resumed: Option<String>,
    /// Why sources were left out that cannot be read.
    pub unreadable: Vec<Error>,
    /// Elements that no source could give, and that hold missing values, where that was allowed.
    pub filled: Vec<FilledElements>,
    /// What was written, if it is references and no store.
    pub references: Option<WrittenReferences>,
    /// What the checks have found, if some were asked for.
    pub validation: Option<ValidationReport>,
    /// Where the records of the run lie, if there was something to write.
    pub run: Option<RunPlace>,
}

type Totals = BTreeMap<String, ArrayTotal>;

/// A run that is about to write.
struct Begun {
    run: RunStore,
    opened: OpenTarget,
    /// The units that are there.
    done: DoneUnits,
    /// Whether another driver has begun it.
    is_taken_up: bool,
}

impl Begun {
    fn afresh(run: RunStore, opened: OpenTarget, done: DoneUnits) -> Self {
        Self { run, opened, done, is_taken_up: false }
    }
}

impl ScannedBake {
    pub(super) fn new(bake: Bake, sources: Vec<Location>, plan: BakePlan) -> Self {
        let recorder = Arc::new(Recorder::new(now_ms()));
        Self { bake, sources, references: None, recorder, plan, unreadable: Vec::new() }
    }

    /// Goes on with what the scan has recorded.
    pub(super) fn with_recorder(mut self, recorder: Arc<Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    pub(super) fn with_references(mut self, references: Option<Arc<References>>) -> Self {
        self.references = references;
        self
    }

    /// What becomes of each variable, if references are written and no store.
    pub fn referred(&self) -> Option<&[Referred]> {
        self.references.as_ref().map(|it| it.referred.as_slice())
    }

    pub(super) fn with_unreadable(mut self, unreadable: Vec<Error>) -> Self {
        self.unreadable = unreadable;
        self
    }

    /// The pipeline that writes, as text: its stages and edges.
    ///
    /// # Errors
    /// Sources or a destination that cannot be reached.
    pub fn explain(&self) -> Result<String> {
        if self.references.is_some() {
            return Ok("WriteReferences: one object after the other, in this process".to_owned());
        }
        let run = RunStore::new(&self.bake.runs()?, &self.bake.store)?;
        let ((_, pipeline), _) = self.pipeline(self.open(&run)?, DoneUnits::default(), &run);
        let graph = pipeline.compile_for(&self.bake.runner())?;
        self.bake.beam.as_ref().map_or(Ok(()), |beam| beam.check(&graph))?;
        Ok(graph.explain())
    }

    /// Writes the store, or appends to it.
    ///
    /// If it fails, no reader sees anything of it: a new store is removed, unless it can be asked
    /// to resume; of an append, units may be left that no metadata speak of.
    ///
    /// # Errors
    /// Inputs that cannot be read, a store that fails, or a request to stop.
    pub fn write(&self, observer: &dyn JobObserver) -> Result<BakeReport> {
        if self.plan.is_nothing() {
            return Ok(self.report(&Totals::default(), None, None));
        }
        match &self.references {
            Some(references) => self.write_references(references),
            None => self.write_store(observer),
        }
    }

    fn write_references(&self, references: &References) -> Result<BakeReport> {
        let written = self.bake.write_references(references, &self.sources)?;
        let report = self.report(&Totals::default(), None, None);
        Ok(BakeReport { references: Some(written), ..report })
    }

    fn write_store(&self, observer: &dyn JobObserver) -> Result<BakeReport> {
        let bake = &self.bake;
        let run = RunStore::new(&bake.runs()?, &bake.store)?;
        let opened = self.open(&run)?;
        let (resumption, done) = self.resumption(&opened)?;
        if let Some(Resumption::Complete) = &resumption {
            let note = Resumption::Complete.note(0);
            let mut report = self.report(&Totals::default(), None, Some((note, 0)));
            report.validation = self.validate_finished()?;
            return Ok(report);
        }
        let is_mending = matches!(resumption, Some(Resumption::Mending(..)));
        let is_continued = is_mending || matches!(resumption, Some(Resumption::Continued(_)));
        let destination = bake.opened_destination()?;
        match self.plan.append {
            None => destination.check(bake.may_overwrite || is_continued, &self.sources)?,
            Some(_) => destination.check_append(&self.sources)?,
        }
        let last = RunStore::newest(&bake.runs()?, &bake.store)?;
        let is_after_death = last.as_ref().is_some_and(PastRun::has_remains);
        let begun = self.take_up(resumption.as_ref(), last, Begun::afresh(run, opened, done))?;
        self.write_begun(observer, &destination, begun, (resumption, is_after_death))
    }

    /// Writes by a run that is about to write, and tells how it went.
    fn write_begun(
        &self,
        observer: &dyn JobObserver,
        destination: &Destination,
        begun: Begun,
        (resumption, is_after_death): (Option<Resumption>, bool),
    ) -> Result<BakeReport> {
        let (bake, group) = (&self.bake, self.bake.target_group()?);
        let is_mending = matches!(resumption, Some(Resumption::Mending(..)));
        let Begun { run, opened, done, is_taken_up } = begun;
        let reused_count = count_of(&done);
        let grids = unit_grids(&self.plan, &opened);
        let ((target, pipeline), totals) = self.pipeline(opened, done, &run);
        let runner = bake.part_runner(&self.sources, &run, &Part::Write, &pipeline)?;
        let graph = pipeline.compile_for(runner.as_ref())?;
        let options = bake.run_options(&graph)?.with_partition_count(WRITE_PARTITIONS);
        let telling = Telling::new(self, &run, grids).with_mending(is_mending);
        let observer = &self.recorded(observer);
        let observer = &Beginning::new(&run, &bake.about, observer).with_taken_up(is_taken_up);
        let cleared = if is_taken_up {
            // Workers may be at work there.
            Ok(run.forget_cancel()?)
        } else {
            self.note_begin(&run, &graph.fingerprint().to_string(), is_mending)?;
            self.clear(destination, resumption.as_ref(), is_after_death)
        };
        let write = || -> Result<_> {
            cleared?;
            let report = runner.run(&graph, &options, observer)?;
            bake.sweep_after_workers(destination)?;
            let totals: Totals = report.get(&totals)?.iter().collect();
            self.plan.check_complete(&totals)?;
            let validation = self.validate(&target, &run)?;
            if is_mending {
                run.put_plan(&self.plan)?;
            }
            target.finish()?;
            self.recorder.begin_phase("levels");
            let filled = if bake.keeps_going { read_filled(run.objects())? } else { Vec::new() };
            let levels = bake.write_levels(&self.sources, &run, observer)?;
            // Levels of a pyramid are shown together.
            group.as_ref().filter(|_| bake.pyramid.is_none()).map_or(Ok(()), ZarrGroup::show)?;
            run.end(End { state: "SUCCEEDED", error: None, has_remains: false })?;
            Ok((totals, levels, report, validation, filled))
        };
        match stoppable(run.objects(), &bake.cancel, write) {
            Ok((totals, levels, report, validation, filled)) => {
                let note = resumption.map(|it| (it.note(reused_count), reused_count));
                let said = note.as_ref().map(|(note, _)| note.as_str());
                let told = telling.tell(Ended::Well { job: &report, note: said });
                let mut report = self.report(&totals, Some(&report), note);
                (report.validation, report.run) = (validation, Some(told));
                report.filled = filled;
                for level in levels {
                    report.unit_count += level.unit_count;
                    report.encoded_bytes += level.encoded_bytes;
                    report.level_count += 1;
                }
                Ok(report)
            }
            Err(error) => {
                // The run is in other hands, and so is what is told of it.
                if error.code() == ErrorCode::LOCKED {
                    return Err(error);
                }
                let error = self.give_up(destination, &run, is_mending, error);
                Err(telling.tell_failure(error))
            }
        }
    }

    /// Says in its records that a run begins, and by which plan.
    fn note_begin(&self, run: &RunStore, fingerprint: &str, is_mending: bool) -> Result<()> {
        run.begin(&self.bake.destination, fingerprint, &self.bake.about)?;
        // Until a finished store is mended, the run that has written it is the one that counts.
        if is_mending { Ok(()) } else { run.put_plan(&self.plan) }
    }

    /// Tells the recorder what happens while the store is written.
    fn recorded<'a>(&'a self, observer: &'a dyn JobObserver) -> Recorded<'a> {
        self.recorder.begin_phase("write");
        Recorded { observer, recorder: &self.recorder }
    }

    /// Goes on with a run of workers whose driver is gone, or begins a new one when nobody works on the
    /// last one any more.
    fn take_up(
        &self,
        resumption: Option<&Resumption>,
        last: Option<PastRun>,
        afresh: Begun,
    ) -> Result<Begun> {
        let bake = &self.bake;
        if let Some((run, done)) = bake.take_up(resumption)? {
            let opened = self.open(&run)?;
            return Ok(Begun { run, opened, done, is_taken_up: true });
        }
        last.map_or(Ok(()), |last| bake.end_workers(&last))?;
        if bake.has_other_writers() {
            afresh.run.put_done(&afresh.done)?;
        }
        Ok(afresh)
    }

    /// Removes or hides what a run must not find; nothing of a store that is mended in place.
    fn clear(
        &self,
        destination: &Destination,
        resumption: Option<&Resumption>,
        is_after_death: bool,
    ) -> Result<()> {
        match (&self.plan.append, resumption) {
            (_, Some(Resumption::Mending(_))) => Ok(()),
            (None, Some(Resumption::Continued(_))) => {
                destination.hide().and_then(|()| destination.sweep())
            }
            (Some(_), _) if is_after_death => destination.sweep(),
            (Some(_), _) => Ok(()),
            (None, _) => {
                // What the root still shows must be there.
                self.bake.target_group()?.as_ref().map_or(Ok(()), ZarrGroup::hide)?;
                self.bake.clear_levels()?;
                destination.clear()
            }
        }
    }

    /// Makes the checks of what was written, and keeps what they find in the run store.
    fn validate(&self, target: &Target, run: &RunStore) -> Result<Option<ValidationReport>> {
        if self.bake.checks.is_empty() {
            return Ok(None);
        }
        let report = self.look(target.unfinished()?, Some(run))?;
        let kept = run.put_validation(&report)?;
        let failure = validation_failure(&report, &self.bake.destination);
        failure.map_or(Ok(Some(report)), |failure| Err(failure.at("report", kept)))
    }

    /// Makes the checks of a store that an earlier run has finished; what they find is only told.
    fn validate_finished(&self) -> Result<Option<ValidationReport>> {
        let bake = &self.bake;
        if bake.checks.is_empty() {
            return Ok(None);
        }
        let report = self.look(ZarrSource::open(&bake.destination, &bake.store)?, None)?;
        validation_failure(&report, &bake.destination).map_or(Ok(Some(report)), Err)
    }

    /// Makes the checks of a store, on the workers of a run where it has some.
    fn look(&self, source: ZarrSource, run: Option<&RunStore>) -> Result<ValidationReport> {
        let bake = &self.bake;
        let files = |variable: &str, region: &Region| {
            let files = self.plan.files_feeding(variable, region).into_iter();
            files.map(str::to_owned).collect()
        };
        self.look_at(source).report(files, |pipeline| {
            let runner = match run {
                Some(run) => bake.part_runner(&self.sources, run, &Part::Validate, pipeline)?,
                None => Box::new(bake.runner()),
            };
            let graph = pipeline.compile_for(runner.as_ref())?;
            let options = options_of(bake.memory, &graph);
            runner.run(&graph, &options, &NoObserver)
        })
    }

    pub(super) fn look_at(&self, source: ZarrSource) -> Look<'_> {
        let append = self.plan.append.as_ref();
        let append = append.map(|append| (append.dimension.as_str(), append.old_length));
        Look { source: Arc::new(source), checks: &self.bake.checks, append }
    }

    /// What there is to go on with, where that is asked for, and the units that are there.
    fn resumption(&self, opened: &OpenTarget) -> Result<(Option<Resumption>, DoneUnits)> {
        let bake = &self.bake;
        if !bake.may_resume {
            return Ok((None, DoneUnits::default()));
        }
        let found = Resumption::find(&bake.runs()?, &bake.store, &self.plan)?;
        let units = || found.units((opened, &self.plan), &bake.destination, &bake.store);
        let done = bake.in_pool(units)?;
        let is_there = ZarrSource::exists(&bake.destination, &bake.store)?;
        // A run that dies among its last writes leaves a store, or what looks like one.
        let is_all_done = count_of(&done) == self.plan.unit_count();
        Ok(match found {
            Resumption::Mending(..) if is_there && bake.pyramid.is_some() => {
                let why = "coarser levels were made of elements that were filled";
                (Some(Resumption::Nothing(why.to_owned())), DoneUnits::default())
            }
            Resumption::Complete | Resumption::Mending(..) if !is_there => {
                (Some(Resumption::Nothing("the store is gone".to_owned())), DoneUnits::default())
            }
            Resumption::Continued(_) if is_there && self.plan.append.is_none() && !is_all_done => (
                Some(Resumption::Nothing("another store is there".to_owned())),
                DoneUnits::default(),
            ),
            found => (Some(found), done),
        })
    }

    pub(super) fn open(&self, run: &RunStore) -> Result<OpenTarget> {
        let bake = &self.bake;
        let open_files_bytes = bake.memory.size().0 / OPEN_FILES_DIVISOR;
        let (sources, destination) = (&self.sources, &bake.destination);
        if self.plan.append.is_none() {
            let log = bake.keeps_going.then(|| FilledLog::open(run.location(), &bake.store));
            let log = log.transpose()?.map(Arc::new);
            let target = (destination, &bake.store);
            let (sink, copies) =
                self.plan.open_filling(sources, target, open_files_bytes, log.as_ref())?;
            let unit_offsets = BTreeMap::new();
            return Ok(OpenTarget { target: Target::New(sink), copies, unit_offsets });
        }
        let opened = self.plan.open_append(sources, destination, &bake.store, open_files_bytes)?;
        let (copies, unit_offsets) = (opened.copies, opened.unit_offsets);
        let is_in_place = self.plan.append.as_ref().is_some_and(|it| it.store_length.is_some());
        let target = match is_in_place {
            true => Target::Same(Box::new(opened.target)),
            false => Target::Longer(Box::new(opened.target)),
        };
        Ok(OpenTarget { target, copies, unit_offsets })
    }

    pub(super) fn pipeline(
        &self,
        opened: OpenTarget,
        done: DoneUnits,
        run: &RunStore,
    ) -> ((Target, Pipeline), Collected<(String, ArrayTotal)>) {
        let bake = &self.bake;
        let pipeline = Pipeline::new();
        let OpenTarget { target, copies, unit_offsets } = opened;
        let copies = CopyArrays::new(copies).with_done(done).with_keep_going(bake.keeps_going);
        let write = WriteStore::new(copies, run.location().clone(), bake.store.clone());
        let totals = pipeline.apply(write.with_unit_offsets(unit_offsets)).collect();
        ((target, pipeline), totals)
    }

    /// Removes what a failed run has written, or hides it where the next one may go on with it,
    /// and says in the run store how it ended.
    fn give_up(
        &self,
        destination: &Destination,
        run: &RunStore,
        is_mending: bool,
        error: Error,
    ) -> Error {
        // Without a result the run counts as dead, and the next one removes what is left.
        let has_remains = !is_mending && (self.plan.append.is_some() || self.bake.may_resume);
        let cleared = match self.plan.append {
            // The store is as it was, but for units that are whole already.
            _ if is_mending => Ok(()),
            Some(_) => Ok(()),
            None if self.bake.may_resume => destination.hide(),
            None => destination.clear().and_then(|()| self.bake.clear_levels()),
        };
        if let Err(more) = cleared {
            return error.at("left over", destination.location()).at("because", more.message());
        }
        let is_stopped = error.kind() == ErrorKind::Cancelled;
        let state = if is_stopped { "CANCELLED" } else { "FAILED" };
        // A full disk takes no record either; the error that matters is the first one.
        drop(run.end(End { state, error: Some(&error), has_remains }));
        error
    }

    fn report(
        &self,
        totals: &Totals,
        report: Option<&JobReport>,
        resumed: Option<(String, u64)>,
    ) -> BakeReport {
        let reused_count = resumed.as_ref().map_or(0, |(_, count)| *count);
        BakeReport {
            destination: self.bake.destination.to_string(),
            plan: self.plan.clone(),
            unit_count: totals.values().map(|total| total.unit_count).sum(),
            reused_count,
            encoded_bytes: totals.values().map(|total| total.encoded_bytes).sum(),
            level_count: 0,
            spilled_bytes: report.map_or(0, |report| report.shuffle.spilled_bytes),
            peak_bytes: report.map_or(0, |report| report.peak_bytes),
            resumed: resumed.map(|(note, _)| note),
            unreadable: self.unreadable.clone(),
            filled: Vec::new(),
            references: None,
            validation: None,
            run: None,
        }
    }
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
