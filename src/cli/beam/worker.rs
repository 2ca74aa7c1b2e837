//! Workers of a runner of Beam, and the pool that starts them.

use std::collections::BTreeMap;
use std::process::ExitCode;

use levain::beam::{BeamWorker, WorkerCommand, WorkerFlags, WorkerPool};
use levain::chunks::ByteSize;
use levain::dataflow::error::Result;
use levain::dataflow::options::RunOptions;
use levain::dataflow::plan::StageGraph;
use levain::job::{BeamJob, MemoryLimit, PipelineRun, RecipeRecord, WriteJob, patient_worker};
use levain::objects::{Location, StoreOptions};

use super::args::PoolArgs;
use crate::cli::config::ConfigArgs;
use crate::cli::exit::Finished;
use crate::cli::out::{Out, say};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::worker::{bake_of, exit_code, stay_if_told};
use crate::cli::workers::program_path;

/// What a worker builds its pipeline from, and how its stores are reached.
type Built = ((StageGraph, RunOptions), StoreOptions);

/// The flags of a worker, if these words after the program are such: a runner gives flags alone, and
/// people may write `worker beam` before them.
pub(crate) fn worker_words(words: &[String]) -> Option<&[String]> {
    match words {
        [worker, beam, flags @ ..] if worker == "worker" && beam == "beam" => Some(flags),
        flags if WorkerFlags::are_in(flags) => Some(flags),
        _ => None,
    }
}

/// Works for a runner on a job of `levain`, until it wants nothing more.
pub(crate) fn worker(words: &[String], out: Out, signals: &Watched) -> ExitCode {
    let build = |job: &BeamJob| {
        let write = WriteJob::from_value(job.job.clone())?;
        let bake = bake_of(&write, signals)?;
        let store = patient_worker(bake.store_options().clone());
        let bake = bake.with_store(store.clone());
        let built = write.graph(&bake).map_err(|error| job.unseen(error))?;
        Ok((built, store))
    };
    ended(work(words, signals, build), out)
}

/// Works for a runner on a job of a recipe; `pipeline` builds it.
pub(crate) fn of_recipe(
    words: &[String],
    out: Out,
    signals: &Watched,
    pipeline: impl Fn(&RecipeRecord, &StoreOptions) -> Result<levain::dataflow::prelude::Pipeline>,
) -> ExitCode {
    let build = |job: &BeamJob| {
        let record = RecipeRecord::from_job(job.job.clone())?;
        // The settings are those of the driver: a worker may run where there are others.
        let set = ConfigArgs { set: record.settings.clone(), ..ConfigArgs::default() };
        let settled = Settled::of_driver(&set, signals)?;
        let store = patient_worker(settled.store()?);
        let pipeline = pipeline(&record, &store)?;
        let mut run = PipelineRun::new(&record.recipe, pipeline, &Location::parse(".")?)?
            .with_store(store.clone());
        if let Some(folder) = settled.config().scratch() {
            run = run.with_scratch_folder(folder);
        }
        if let Some(bytes) = job.memory_bytes {
            run = run.with_memory(MemoryLimit::of(ByteSize(bytes)));
        }
        Ok((run.graph_for_beam()?, store))
    };
    ended(work(words, signals, build), out)
}

fn work(
    words: &[String],
    signals: &Watched,
    build: impl FnOnce(&BeamJob) -> Result<Built>,
) -> Result<()> {
    stay_if_told(signals.token());
    let worker = BeamWorker::open(&WorkerFlags::parse(words)?, &signals.token())?;
    let built = BeamJob::read(worker.job()).and_then(|job| {
        job.enter()?;
        let built = build(&job)?;
        Ok((job, built))
    });
    match built {
        Ok((job, (built, store))) => job.serve(worker, &built, &store),
        // The runner would wait for a worker that never comes, and would not know why.
        Err(error) => worker.refuse(&error).and(Err(error)),
    }
}

fn ended(outcome: Result<()>, out: Out) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.report(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Starts this program for every worker that a runner wants, until a signal comes.
///
/// # Errors
/// An address that is taken, or that is none of this machine.
pub(crate) fn pool(args: &PoolArgs, signals: &Watched) -> Result<Finished> {
    let words = vec![program_path()?, "worker".to_owned(), "beam".to_owned()];
    // A worker that outlives its pool would be nobody's.
    let stay = (levain::batch::launch::STAY_VARIABLE.to_owned(), "1".to_owned());
    let command = WorkerCommand { words, variables: BTreeMap::from([stay]) };
    let pool = WorkerPool::open(&format!("{}:{}", args.host, args.port), command)?;
    say(&format!(
        "pool       {}   starts a worker for every one that a runner wants; Ctrl-C ends it",
        pool.address()
    ));
    pool.serve(&signals.token());
    Ok(Finished::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_runner_are_told_from_words_of_people() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let flags = "--id=1-1 --provision_endpoint=localhost:7";
        assert_eq!(worker_words(&words(flags)), Some(&words(flags)[..]));
        let written = words(&format!("worker beam {flags}"));
        assert_eq!(worker_words(&written), Some(&words(flags)[..]));
        assert_eq!(worker_words(&words("worker")), None);
        assert_eq!(worker_words(&words("bake a b --id=1")), None);
    }
}
