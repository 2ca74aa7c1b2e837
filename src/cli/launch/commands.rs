//! The commands of a program of a recipe.

use std::process::ExitCode;
use std::time::Instant;

use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{PipelineReport, PipelineRun, RecipeRecord, Run, find_run, list_runs, plan_json};
use levain::objects::{Location, StoreOptions};
use serde_json::{Map, Value, json};

use super::arguments::{Asked, RecipeCommand, RunFlags, flags_of, parse, parse_again, program_of};
use super::recipe::AnyRecipe;
use crate::cli::beam;
use crate::cli::config::ConfigArgs;
use crate::cli::exit::{self, Finished};
use crate::cli::out::Out;
use crate::cli::progress::Display;
use crate::cli::settled::Settled;
use crate::cli::signals::{self, Watched};
use crate::cli::worker::{self, Post};
use crate::cli::workers::{Briefing, RunnerName, Staff, patient, staff};
use crate::cli::{logging, table::count};

/// Does what the words ask for; the exit code.
pub(super) fn main(recipe: &dyn AnyRecipe, words: &[String]) -> ExitCode {
    if let Some(flags) = words.get(1..).and_then(beam::worker_words) {
        logging::start(0, false);
        let pipeline =
            |record: &RecipeRecord, store: &StoreOptions| recipe.pipeline(&record.options, store);
        return beam::of_recipe(flags, Out::text(), &signals::watch(), pipeline);
    }
    let asked = match parse(words, recipe) {
        Ok(asked) => asked,
        Err(error) => return exit::ended(Err(error), Out::text(), &Watched::default()),
    };
    logging::start(asked.global.verbose, false);
    let (out, signals) = (Out::new(asked.global.output), signals::watch());
    match &asked.command {
        RecipeCommand::Worker => return worker::ended(work(recipe, &signals), out),
        RecipeCommand::BeamPool(args) => {
            return exit::ended(beam::pool(args, &signals), out, &signals);
        }
        _ => {}
    }
    let settled = match Settled::of_recipe(&asked.global.config, words, &signals) {
        Ok(settled) => settled,
        Err(error) => return exit::ended(Err(error), out, &signals),
    };
    let call = Call { recipe, words, settled: &settled, out, signals: &signals };
    let outcome = match asked.command {
        RecipeCommand::Plan(options, flags) => call.plan(options, &flags),
        RecipeCommand::Run(options, flags) => call.run(options, &flags),
        RecipeCommand::Resume(run, flags) => call.resume(run.as_deref(), &flags),
        RecipeCommand::Worker | RecipeCommand::BeamPool(_) => Ok(Finished::Whole),
    };
    exit::ended(outcome.map_err(|error| settled.explained(error)), out, &signals)
}

/// One call of the program.
struct Call<'a> {
    recipe: &'a dyn AnyRecipe,
    words: &'a [String],
    settled: &'a Settled,
    out: Out,
    signals: &'a Watched,
}

impl Call<'_> {
    fn plan(&self, options: Value, flags: &RunFlags) -> Result<Finished> {
        let pipeline = self.pipeline_run(self.record(options, flags), flags)?;
        let graph = pipeline.plan()?;
        let mut document = plan_json(&graph);
        if let Some(document) = document.as_object_mut() {
            document.insert("text".to_owned(), json!(graph.explain().lines().collect::<Vec<_>>()));
        }
        let text =
            format!("{}fingerprint {}\nnothing was run", graph.explain(), graph.fingerprint());
        self.out.result(&text, &document)?;
        Ok(Finished::Whole)
    }

    fn run(&self, options: Value, flags: &RunFlags) -> Result<Finished> {
        let (began, pipeline) = (Instant::now(), self.staffed(self.record(options, flags), flags)?);
        let report = pipeline.run(&Display::new("run", flags.run.progress))?;
        self.finished(&report, began)
    }

    fn resume(&self, run: Option<&str>, flags: &RunFlags) -> Result<Finished> {
        let began = Instant::now();
        let past = self.past(run, flags)?;
        let record = RecipeRecord::read(&past.summary.folder, &self.settled.store()?)?;
        if record.words.is_empty() {
            let message = "options of the run held a secret, so they were not kept";
            return Err(Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
                .at("run", &past.summary.folder)
                .mend("run the recipe again with all its options"));
        }
        let mut words = vec![self.words.first().cloned().unwrap_or_default()];
        words.extend(record.words.iter().cloned());
        let more = flags_of(self.words, run);
        let Asked { global, command } = parse_again(&words, &more, self.recipe)?;
        let RecipeCommand::Run(_, flags) = command else {
            return Err(Error::internal("a run was begun by another command"));
        };
        let settled = Settled::of_recipe(&global.config, self.words, self.signals)?;
        let call = Call { settled: &settled, ..*self };
        let pipeline = call.staffed(record, &flags)?;
        let report = pipeline.resume(&past, &Display::new("run", flags.run.progress));
        let report = report.map_err(|error| settled.explained(error))?;
        call.finished(&report, began)
    }

    /// The run that is gone on with.
    fn past(&self, run: Option<&str>, flags: &RunFlags) -> Result<Run> {
        let (place, store) = (self.place()?, self.settled.store()?);
        let name = self.name(flags);
        if let Some(run) = run {
            return find_run(run, Some(&place), &store);
        }
        let folder = PipelineRun::folder_of(&place, &name);
        let newest = list_runs(&folder, None, &store)?.pop();
        newest.ok_or_else(|| {
            let message = format!("there is no run of `{name}`");
            Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
                .at("folder", folder)
                .mend("name a run or its folder, or say where runs are kept: --store URL")
        })
    }

    fn name(&self, flags: &RunFlags) -> String {
        flags.name.clone().unwrap_or_else(|| program_of(self.words))
    }

    /// Below which runs are kept.
    fn place(&self) -> Result<Location> {
        self.settled.run_store().map_or_else(|| Location::parse("."), |place| Ok(place.clone()))
    }

    fn record(&self, options: Value, flags: &RunFlags) -> RecipeRecord {
        RecipeRecord {
            v: RecipeRecord::VERSION,
            recipe: self.name(flags),
            options,
            words: self.words.iter().skip(1).cloned().collect(),
            settings: self.settled.set(),
        }
    }

    fn pipeline_run(&self, record: RecipeRecord, flags: &RunFlags) -> Result<PipelineRun> {
        let store = patient(self.settled.store()?, &flags.run);
        let pipeline = self.recipe.pipeline(&record.options, &store)?;
        let run = PipelineRun::new(&record.recipe, pipeline, &self.place()?)?;
        let run = self.settled.apply_to(run, &flags.run)?;
        Ok(run.with_store(store).with_asked(record).with_cancel(self.signals.token()))
    }

    /// The pipeline, with the workers that were asked for.
    fn staffed(&self, record: RecipeRecord, flags: &RunFlags) -> Result<PipelineRun> {
        let asked = serde_json::to_string(&record)
            .map_err(|why| Error::internal(format!("options have no JSON: {why}")))?;
        let folder = PipelineRun::folder_of(&self.place()?, &record.recipe);
        let logs = folder.is_local_path().map(std::path::PathBuf::from);
        let briefing = || Briefing {
            arguments: vec![asked],
            place: folder.clone(),
            program: program_of(self.words),
            logs: logs.unwrap_or_else(|| std::env::temp_dir().join("levain-logs")).join("logs"),
            needs_same_binary: !flags.other_binary,
        };
        let staff = staff(&flags.run, self.settled, briefing, self.signals)?;
        let run = self.pipeline_run(record, flags)?;
        if flags.run.workers.runner == RunnerName::Beam {
            // What workers are told is the record itself.
            return Ok(run.with_beam(beam::beam_of(&flags.run, self.settled, Vec::new())?));
        }
        Ok(match staff {
            None => run,
            Some(Staff { workers, threads, memory }) => {
                run.with_threads(threads).with_memory(memory).with_workers(workers)
            }
        })
    }

    fn finished(&self, report: &PipelineReport, began: Instant) -> Result<Finished> {
        let seconds = began.elapsed().as_secs_f64();
        let metrics = report.metrics();
        let counters = metrics.counters.iter();
        let counters: Map<String, Value> = counters
            .map(|(key, count)| (format!("{}/{}", key.step, key.name), (*count).into()))
            .collect();
        let mut text = format!("finished   {}   {seconds:.1} s", report.run.id);
        if report.quarantined() > 0 {
            text.push_str(&format!("   {} elements left out", count(report.quarantined())));
        }
        if let Some(note) = &report.resumed {
            self.out.warning(note);
        }
        for (name, value) in &counters {
            text.push_str(&format!("\n  {name} {value}"));
        }
        match &report.run.unreported {
            Some(why) => {
                self.out.warning(&format!("the run has no report: {}", why.message()));
            }
            None => text.push_str(&format!("\nreport     {}/report.html", report.run.folder)),
        }
        let document = json!({
            "v": 1,
            "state": "SUCCEEDED",
            "run": report.run.id,
            "folder": report.run.folder,
            "fingerprint": report.fingerprint,
            "report": format!("{}/report.json", report.run.folder),
            "seconds": seconds,
            "quarantined": report.quarantined(),
            "resumed": report.resumed,
            "counters": counters,
        });
        self.out.result(&text, &document)?;
        Ok(if report.quarantined() > 0 { Finished::Partly } else { Finished::Whole })
    }
}

/// Works on a run until there is nothing left to do.
fn work(recipe: &dyn AnyRecipe, signals: &Watched) -> Result<levain::batch::WorkEnd> {
    let post = Post::of_environment(signals)?;
    let record = RecipeRecord::from_job(post.job)?;
    // The settings are those of the driver: a worker may run where there are others.
    let set = ConfigArgs { set: record.settings.clone(), ..ConfigArgs::default() };
    let settled = Settled::of_driver(&set, signals)?;
    let store: StoreOptions = settled.store()?;
    let pipeline = recipe.pipeline(&record.options, &store)?;
    let run = PipelineRun::new(&record.recipe, pipeline, &post.root)?;
    let mut run = run.with_store(store).with_threads(post.settings.threads);
    if let Some(folder) = settled.config().scratch() {
        run = run.with_scratch_folder(folder);
    }
    if let Some(memory) = post.memory {
        run = run.with_memory(memory);
    }
    run.work(&post.root, &post.settings)
}
