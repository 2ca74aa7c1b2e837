//! Tells what became of a run of a pipeline: its report, beside the records of the run.

use dataflow::error::{Error, Result};
use dataflow::runner::JobOutcome;

use crate::job::pipeline_run::PipelineRun;
use crate::job::process::cpu_ms;
use crate::job::reporting::{Ended, RunPlace, exit_of, resources, run_facts};
use crate::job::run_store::{RunStore, now_ms};
use crate::report::{
    Cost, Exit, Inputs, Outputs, PlanFacts, REPORT_VERSION, Recorder, Report, Resources, RunFacts,
    RunState, Spent, cost_of, write_report,
};

/// What the report of a run is made of, before it has ended.
#[derive(Debug)]
pub(super) struct Telling<'a> {
    of: &'a PipelineRun,
    run: &'a RunStore,
    recorder: &'a Recorder,
    cpu_before_ms: Option<u64>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(of: &'a PipelineRun, run: &'a RunStore, recorder: &'a Recorder) -> Self {
        Self { of, run, recorder, cpu_before_ms: cpu_ms() }
    }

    /// Writes the report; where that lies, or why there is none.
    pub(super) fn tell(self, end: Ended<'_>) -> RunPlace {
        let id = self.run.location().file_name().to_owned();
        let folder = self.run.location().to_string();
        if let Ended::Badly(error) = end {
            self.recorder.fail(error);
        }
        let unreported = self.write(end).err();
        RunPlace { id, folder, unreported }
    }

    /// Writes the report of a run that failed, and names the run in its error.
    pub(super) fn tell_failure(self, error: Error) -> Error {
        let told = self.tell(Ended::Badly(&error));
        // A full disk takes no report either; the error that matters is the first one.
        if told.unreported.is_none() { error.at("run", told.folder) } else { error }
    }

    fn write(&self, end: Ended<'_>) -> Result<()> {
        let (of, recorded) = (self.of, self.recorder.recorded());
        let (run, ended_ms) = (self.run.location().to_string(), now_ms());
        let started_ms = self.recorder.began_ms();
        let resume = self.resume_command();
        let (failures, records) = recorded.kept.records(&run, resume.as_deref());
        let given = (of.threads, of.memory, of.workers.as_ref());
        let wall_ms = ended_ms.saturating_sub(started_ms);
        let resources = resources(end, (wall_ms, self.cpu_before_ms), given);
        let note = match end {
            Ended::Well { note, .. } => note,
            Ended::Badly(_) => None,
        };
        let report = Report {
            v: REPORT_VERSION,
            run: RunFacts {
                destination: of.name.clone(),
                ..run_facts(self.run, &of.about, of.runner_name(), (started_ms, ended_ms))
            },
            plan: PlanFacts { fingerprint: recorded.fingerprint, ..PlanFacts::default() },
            stages: recorded.stages,
            tasks_summary: recorded.tasks,
            timeline: recorded.timeline,
            workers: recorded.workers,
            retries_by_class: recorded.retries_by_class,
            failures,
            inputs: Inputs::default(),
            cost: self.cost(&resources),
            outputs: Outputs::default(),
            resources,
            warnings: note.map(str::to_owned).into_iter().chain(recorded.warnings).collect(),
            exit: self.exit(end),
        };
        write_report(self.run.objects(), &report, &records)
    }

    /// What time has cost; what a pipeline's own steps ask of stores is not known here.
    fn cost(&self, resources: &Resources) -> Option<Cost> {
        let prices = self.of.about.prices?;
        let spent = Spent {
            wall_ms: resources.wall_ms,
            threads: resources.threads,
            memory_bytes: resources.memory_limit_bytes,
            puts: 0,
            planned_gets: 0,
        };
        Some(cost_of(spent, &prices))
    }

    fn exit(&self, end: Ended<'_>) -> Exit {
        let job = match end {
            Ended::Badly(error) => {
                return exit_of(error, &self.of.about, self.of.workers.is_some());
            }
            Ended::Well { job, .. } => job,
        };
        let outcome = job.outcome();
        let reason = match outcome {
            JobOutcome::WithHoles { quarantined } => {
                Some(format!("{quarantined} elements left out"))
            }
            _ => None,
        };
        let (state, code) = (RunState::Succeeded, outcome.exit_code());
        Exit { state, code, error: None, reason, resumable: false }
    }

    /// The command that goes on with this run.
    fn resume_command(&self) -> Option<String> {
        let program = self.of.about.command.first()?;
        let run = self.run.location().to_string();
        Some(crate::report::shell_words(&[program.clone(), "resume".to_owned(), run]))
    }
}
