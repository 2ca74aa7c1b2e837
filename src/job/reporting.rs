//! Tells what became of a run: gathers what a report says, and writes it beside the records.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;

use ::bake::{BakePlan, FilledElements, read_commits, read_filled};
use array::{ChunkGrid, Region};
use dataflow::error::{Error, ErrorKind, Result};
use dataflow::runner::JobReport;

use crate::job::about::RunAbout;
use crate::job::bake::Bake;
use crate::job::memory::MemoryLimit;
use crate::job::process::{cpu_ms, peak_resident_bytes};
use crate::job::run_store::{RunStore, now_ms};
use crate::job::target::OpenTarget;
use crate::job::workers::Workers;
use crate::job::write::ScannedBake;
use crate::report::{
    ArrayPlan, Cost, Coverage, Exit, Inputs, Outputs, PlanFacts, REPORT_VERSION, Recorder, Report,
    Resources, RunFacts, RunState, Spent, UnitGrid, cost_of, write_report,
};

/// Sources that a report names.
const NAMED_SOURCES: usize = 100;

/// Where the records of a run lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPlace {
    /// The name of the run.
    pub id: String,
    /// The folder of its records.
    pub folder: String,
    /// Why it has no report, if that could not be written.
    pub unreported: Option<Error>,
}

/// How a run ended, as its report says it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended<'a> {
    Well { job: &'a JobReport, note: Option<&'a str> },
    Badly(&'a Error),
}

/// What the report of a run is made of, before it has ended.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    bake: &'a Bake,
    plan: &'a BakePlan,
    recorder: &'a Recorder,
    unreadable: &'a [Error],
    run: &'a RunStore,
    grids: Vec<UnitGrid>,
    /// Whether a finished store is mended in place, which readers see all the time.
    is_mending: bool,
    cpu_before_ms: Option<u64>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(scanned: &'a ScannedBake, run: &'a RunStore, grids: Vec<UnitGrid>) -> Self {
        let ScannedBake { bake, plan, recorder, unreadable, .. } = scanned;
        let (is_mending, cpu_before_ms) = (false, cpu_ms());
        Self { bake, plan, recorder, unreadable, run, grids, is_mending, cpu_before_ms }
    }

    /// Says whether a finished store is mended in place.
    pub(super) fn with_mending(mut self, is_mending: bool) -> Self {
        self.is_mending = is_mending;
        self
    }

    /// Writes the report; where that lies, or why there is none.
    pub(super) fn tell(self, ended: Ended<'_>) -> RunPlace {
        let id = self.run.location().file_name().to_owned();
        let folder = self.run.location().to_string();
        if let Ended::Badly(error) = ended {
            self.recorder.fail(error);
        }
        let unreported = self.write(ended).err();
        RunPlace { id, folder, unreported }
    }

    /// Writes the report of a run that failed, and names the run in its error.
    pub(super) fn tell_failure(self, error: Error) -> Error {
        let told = self.tell(Ended::Badly(&error));
        // A full disk takes no report either; the error that matters is the first one.
        if told.unreported.is_none() { error.at("run", told.folder) } else { error }
    }

    fn write(&self, ended: Ended<'_>) -> Result<()> {
        let objects = self.run.objects();
        let filled = if self.bake.keeps_going { read_filled(objects)? } else { Vec::new() };
        self.recorder.fill(&filled.iter().map(FilledElements::report).collect::<Vec<_>>());
        let (recorded, about) = (self.recorder.recorded(), &self.bake.about);
        let (run, ended_ms) = (self.run.location().to_string(), now_ms());
        let started_ms = self.recorder.began_ms();
        let resume = self.resume_command();
        let (failures, records) = recorded.kept.records(&run, resume.as_deref());
        let outputs = self.outputs(ended, &filled)?;
        let resources = self.resources(ended, ended_ms.saturating_sub(started_ms));
        let mut warnings = self.plan.warnings.clone();
        if let Ended::Well { note: Some(note), .. } = ended {
            warnings.push(note.to_owned());
        }
        warnings.extend(recorded.warnings);
        let report = Report {
            v: REPORT_VERSION,
            run: RunFacts {
                destination: self.bake.destination.to_string(),
                ..run_facts(self.run, about, self.bake.runner_name(), (started_ms, ended_ms))
            },
            plan: plan_facts(self.plan, recorded.fingerprint),
            stages: recorded.stages,
            tasks_summary: recorded.tasks,
            timeline: recorded.timeline,
            workers: recorded.workers,
            retries_by_class: recorded.retries_by_class,
            failures,
            inputs: inputs(self.plan, self.unreadable),
            cost: self.cost(&resources, &outputs),
            outputs,
            resources,
            warnings,
            exit: self.exit(ended, filled.len()),
        };
        write_report(self.run.objects(), &report, &records)
    }

    /// What was committed, by the records that lie in the run store.
    fn outputs(&self, ended: Ended<'_>, filled: &[FilledElements]) -> Result<Outputs> {
        let mut grids = self.grids.clone();
        for grid in &mut grids {
            if filled.iter().any(|it| it.array == grid.name) {
                grid.hole_axes = Some((0..grid.dimensions.len()).collect());
            }
        }
        let mut coverage = Coverage::new(grids);
        read_commits(self.run.objects(), |record| {
            record.units.iter().for_each(|unit| coverage.add(unit));
            Ok(())
        })?;
        let is_good = matches!(ended, Ended::Well { .. });
        let is_visible = is_good || self.is_mending || self.plan.append.is_some();
        let is_kept = is_visible || self.bake.may_resume;
        let has_hole = |name: &str, region: &Region| {
            let meets = |it: &FilledElements| {
                it.array == name && it.region().intersection(region).is_some()
            };
            filled.iter().any(meets)
                || self.plan.hole_axes(name).is_some() && self.plan.has_hole(name, region)
        };
        Ok(coverage.outputs(is_visible, is_kept, &has_hole))
    }

    fn resources(&self, ended: Ended<'_>, wall_ms: u64) -> Resources {
        let bake = self.bake;
        let given = (bake.threads, bake.memory, bake.workers.as_ref());
        resources(ended, (wall_ms, self.cpu_before_ms), given)
    }

    fn cost(&self, resources: &Resources, outputs: &Outputs) -> Option<Cost> {
        let prices = self.bake.about.prices?;
        let is_remote = |text: &str| {
            text.split_once("://").is_some_and(|(scheme, _)| ["s3", "gs", "az"].contains(&scheme))
        };
        let counts_reads = self.plan.files.iter().any(|file| is_remote(&file.location));
        let planned = self.plan.arrays().map(|(_, _, variable)| variable.copy.costs.source_gets);
        let spent = Spent {
            wall_ms: resources.wall_ms,
            threads: resources.threads,
            memory_bytes: resources.memory_limit_bytes,
            puts: if is_remote(&self.bake.destination.to_string()) {
                outputs.chunks_written
            } else {
                0
            },
            planned_gets: if counts_reads { planned.sum() } else { 0 },
        };
        Some(cost_of(spent, &prices))
    }

    fn exit(&self, ended: Ended<'_>, filled_count: usize) -> Exit {
        match ended {
            Ended::Well { .. } => {
                let left_out = self.unreadable.len();
                let code = if left_out + filled_count == 0 { 0 } else { 3 };
                let reason = format!("{left_out} sources left out, {filled_count} regions filled");
                let reason = (code == 3).then_some(reason);
                Exit { state: RunState::Succeeded, code, error: None, reason, resumable: false }
            }
            Ended::Badly(error) => exit_of(error, &self.bake.about, self.bake.may_resume),
        }
    }

    /// The command that goes on with this run, if it was one that can be gone on with.
    fn resume_command(&self) -> Option<String> {
        let command = &self.bake.about.command;
        if command.is_empty() || !self.bake.may_resume {
            return None;
        }
        Some(crate::report::shell_words(command))
    }
}

/// What is told of a run, but where its output lies.
pub(super) fn run_facts(
    run: &RunStore,
    about: &RunAbout,
    runner: &str,
    (started_ms, ended_ms): (u64, u64),
) -> RunFacts {
    RunFacts {
        id: run.location().file_name().to_owned(),
        kind: about.kind.clone(),
        runner: runner.to_owned(),
        destination: String::new(),
        folder: run.location().to_string(),
        started_ms,
        ended_ms,
        version: about.version.clone(),
        command: about.command.clone(),
        config: about.config.clone(),
    }
}

/// What a run has taken of the machine; threads and memory of a run with workers are those of each of
/// them.
pub(super) fn resources(
    ended: Ended<'_>,
    (wall_ms, cpu_before_ms): (u64, Option<u64>),
    (threads, memory, workers): (NonZeroUsize, MemoryLimit, Option<&Workers>),
) -> Resources {
    let job = match ended {
        Ended::Well { job, .. } => Some(job),
        Ended::Badly(_) => None,
    };
    let count = workers.map_or(1, Workers::count);
    Resources {
        wall_ms,
        cpu_ms: cpu_ms().zip(cpu_before_ms).map(|(now, before)| now.saturating_sub(before)),
        threads: threads.get() as u64 * count,
        memory_limit_bytes: memory.size().0.saturating_mul(count),
        peak_accounted_bytes: job.map_or(0, |job| job.peak_bytes),
        peak_resident_bytes: peak_resident_bytes(),
        shuffled_bytes: job.map_or(0, |job| job.shuffle.shuffled_bytes),
        spilled_bytes: job.map_or(0, |job| job.shuffle.spilled_bytes),
    }
}

/// How a run ends with an error.
pub(super) fn exit_of(error: &Error, about: &RunAbout, is_resumable: bool) -> Exit {
    let code = error.code().exit_code();
    let (state, code) = match error.kind() {
        ErrorKind::Cancelled => (RunState::Cancelled, about.exit_code_of_stop(code)),
        _ => (RunState::Failed, code),
    };
    Exit {
        state,
        code,
        error: Some(error.code().to_string()),
        reason: Some(error.message().to_owned()),
        resumable: is_resumable,
    }
}

fn plan_facts(plan: &BakePlan, fingerprint: String) -> PlanFacts {
    let arrays = plan.arrays().map(|(name, _, variable)| ArrayPlan {
        name,
        method: variable.copy.method.name().to_owned(),
        reason: variable.copy.reason.clone(),
        task_count: variable.copy.costs.task_count,
        source_gets: variable.copy.costs.source_gets,
        task_bytes: variable.copy.costs.peak_bytes,
    });
    PlanFacts {
        fingerprint,
        decoded_bytes: plan.decoded_bytes(),
        unit_count: plan.unit_count(),
        arrays: arrays.collect(),
    }
}

fn inputs(plan: &BakePlan, unreadable: &[Error]) -> Inputs {
    let mut inputs = Inputs::default();
    let mut known = std::collections::BTreeSet::new();
    for file in plan.tree().flat_map(|(_, plan)| &plan.files) {
        // Each group of a tree has the same source.
        if !known.insert(file.location.as_str()) {
            continue;
        }
        inputs.count += 1;
        inputs.bytes += file.version.size_bytes;
        let trust = match file.version.looked_at_ms {
            0 => "size and time of writing",
            _ => "nothing was written after it was scanned",
        };
        *inputs.trust.entry(trust.to_owned()).or_default() += 1;
        if inputs.first.len() < NAMED_SOURCES {
            inputs.first.push(file.location.clone());
        }
    }
    let named = unreadable.iter();
    let named = named.filter_map(|error| error.place("source").or(error.place("file")));
    inputs.left_out = named.map(str::to_owned).collect();
    inputs
}

/// The units that a run is to write, array by array.
pub(super) fn unit_grids(plan: &BakePlan, opened: &OpenTarget) -> Vec<UnitGrid> {
    let copies: BTreeMap<&str, Vec<u64>> = opened
        .copies
        .iter()
        .map(|copy| (copy.name.as_str(), copy.sink.facts().units.counts()))
        .collect();
    let grids = plan.arrays().filter_map(|(name, plan, variable)| {
        let counts = copies.get(name.as_str())?;
        let target = plan.template.variable(&variable.name)?;
        let unit_shape = variable.shard_shape.as_ref().unwrap_or(&variable.chunk_shape);
        let offsets = opened.unit_offsets.get(&name);
        let own = counts.iter().enumerate().map(|(axis, count)| {
            let offset = offsets.and_then(|offsets| offsets.get(axis)).copied().unwrap_or(0);
            offset..offset + count
        });
        Some(UnitGrid {
            dimensions: target.dimensions.iter().map(ToString::to_string).collect(),
            grid: ChunkGrid::regular(&target.shape, unit_shape),
            own: own.collect::<Vec<Range<u64>>>(),
            hole_axes: None,
            name,
        })
    });
    let with_holes = |grid: UnitGrid| UnitGrid { hole_axes: plan.hole_axes(&grid.name), ..grid };
    grids.map(with_holes).collect()
}
