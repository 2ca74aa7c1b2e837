//! A runner of Apache Beam: how jobs are submitted to it, and how its workers build them again.
//!
//! Workers that are threads of the driver use its pipeline. Those of other processes are told, by an
//! option of the pipeline, what the driver was asked for; they build the same pipeline, and every bundle
//! compares fingerprints. They meet the driver in the folder of the run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::beam::{
    BeamRunner, BeamWorker, PayloadWay, RunnerKind, SharedStore, WorkerEnvironment, dismiss,
};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result, redact};
use dataflow::options::RunOptions;
use dataflow::plan::StageGraph;
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::beam_store::RunShare;
use crate::job::workers::Part;

/// The version of what workers are told.
const VERSION: u32 = 1;
/// What the runner calls the job of a run, in its folder.
const SUBMITTED: &str = "beam-job.json";
/// How long a job may take to end whose driver is gone.
const END_PATIENCE: Duration = Duration::from_secs(120);
/// The folder within a run in which the processes of a job meet.
const MEETING_PLACE: &str = "beam";

/// A runner of Beam, and where its workers are.
#[derive(Debug, Clone)]
pub struct Beam {
    endpoint: String,
    kind: Option<RunnerKind>,
    options: BTreeMap<String, String>,
    environment: WorkerEnvironment,
    payload_way: PayloadWay,
    /// The arguments from which workers build the job.
    arguments: Vec<String>,
    /// The greatest resident memory of each worker process, where it was said.
    memory_bytes: Option<u64>,
}

/// What workers of other processes are told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeamJob {
    v: u32,
    /// The folder in which the driver ran; relative paths are meant from there.
    folder: String,
    /// The folder of the run, as the driver reaches it.
    run: String,
    /// Where within it the processes of this part meet.
    part: String,
    /// The greatest resident memory of a worker process, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Whether payloads go through the shuffle of the runner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_payloads_in_shuffle: bool,
    /// From what the pipeline is built: a part of a bake, or what a recipe was asked for.
    pub job: Value,
}

impl Beam {
    /// The runner behind the job server at `HOST:PORT`, whose workers build jobs from these arguments.
    pub fn new(
        endpoint: impl Into<String>,
        environment: WorkerEnvironment,
        arguments: Vec<String>,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            kind: None,
            options: BTreeMap::new(),
            environment,
            payload_way: PayloadWay::default(),
            arguments,
            memory_bytes: None,
        }
    }

    /// Says which runner it is; where that is not said, its job server is asked.
    #[must_use]
    pub fn with_kind(mut self, kind: Option<RunnerKind>) -> Self {
        self.kind = kind;
        self
    }

    /// Passes options on, by their names in snake case.
    #[must_use]
    pub fn with_options(mut self, options: BTreeMap<String, String>) -> Self {
        self.options = options;
        self
    }

    /// Says how payloads travel from one worker to another.
    #[must_use]
    pub fn with_payload_way(mut self, way: PayloadWay) -> Self {
        self.payload_way = way;
        self
    }

    /// Sets the greatest resident memory of each worker process.
    #[must_use]
    pub fn with_memory_bytes(mut self, bytes: Option<u64>) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// The arguments from which workers build the job.
    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Refuses a pipeline that the runner cannot run, as far as is known which one it is.
    pub(super) fn check(&self, graph: &StageGraph) -> Result<()> {
        self.kind.map_or(Ok(()), |kind| kind.check(graph))
    }

    /// Refuses places that workers do not see.
    ///
    /// # Errors
    /// A file of this machine, for workers in containers.
    pub(super) fn check_reachable<'a>(
        &self,
        places: impl IntoIterator<Item = &'a Location>,
    ) -> Result<()> {
        let mut places = places.into_iter();
        let Some(local) = places.find(|it| it.is_local_path().is_some()) else { return Ok(()) };
        let refused = |message: &str| {
            Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
                .at("file", local)
                .at("environment", self.environment.name())
        };
        match &self.environment {
            WorkerEnvironment::Docker(_) => {
                Err(refused("workers in containers see no files of this machine").mend(
                    "put sources, destination and runs into an object store, or use --environment \
                     process or external with a folder that all machines share",
                ))
            }
            WorkerEnvironment::Loopback => Ok(()),
            _ => {
                if !is_here(&self.endpoint) {
                    tracing::warn!(
                        file = %local,
                        "every machine of the runner must see this file under this path"
                    );
                }
                Ok(())
            }
        }
    }

    /// The runner of a part of a run; `job` is what its workers build the pipeline from.
    ///
    /// # Errors
    /// A job with secrets, a store that cannot be reached.
    pub(super) fn runner(
        &self,
        (run, part): (&Location, &Part),
        store: &StoreOptions,
        job: Value,
        cancel: &CancelToken,
    ) -> Result<BeamRunner> {
        // Some runners allow no other signs in names of jobs.
        let name = format!("levain-{}{}", run.file_name(), part.suffix()).to_lowercase();
        let runner = BeamRunner::at(&self.endpoint).with_job_name(name);
        let mut runner = runner.with_payload_way(self.payload_way);
        for (option, value) in &self.options {
            runner = runner.with_pipeline_option(option, value);
        }
        if let Some(kind) = self.kind {
            runner = runner.with_kind(kind);
        }
        let records = Objects::open(run, store)?;
        let endpoint = self.endpoint.clone();
        let runner = runner.with_cancel(cancel.clone()).with_on_submit(move |job| {
            let submitted = Submitted { endpoint: endpoint.clone(), job: job.to_owned() };
            let body = serde_json::to_vec(&submitted)
                .map_err(|why| Error::internal(format!("a name has no JSON: {why}")))?;
            records.put(SUBMITTED, body.into()).wait()
        });
        if self.environment == WorkerEnvironment::Loopback {
            return Ok(runner);
        }
        self.check_reachable([run])?;
        let told = BeamJob {
            v: VERSION,
            folder: std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned(),
            run: run.to_string(),
            part: part.folder(),
            memory_bytes: self.memory_bytes,
            has_payloads_in_shuffle: self.payload_way == PayloadWay::Shuffle,
            job,
        };
        let share = told.share(store)?;
        let told = serde_json::to_string(&told)
            .map_err(|why| Error::internal(format!("a job has no JSON: {why}")))?;
        if redact(&told) != told {
            let message = "an argument or an option holds a secret, which workers would be told in an \
                           option of the pipeline";
            return Err(Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
                .at("environment", self.environment.name())
                .mend("name where the secret is read from: --bearer HOST=env:NAME, or a recipe"));
        }
        Ok(runner.with_environment(self.environment.clone(), told, share))
    }
}

/// A job, as its runner knows it.
#[derive(Debug, Serialize, Deserialize)]
struct Submitted {
    endpoint: String,
    job: String,
}

/// Sees to it that no runner of Beam works on a run whose driver is gone.
///
/// # Errors
/// A job that does not end.
pub(super) fn end_job(run: &Location, store: &StoreOptions) -> Result<()> {
    let Some(body) = Objects::open(run, store)?.try_get(SUBMITTED)? else { return Ok(()) };
    let submitted: Submitted = serde_json::from_slice(&body).map_err(|why| {
        let message = format!("the record of a job cannot be read: {why}");
        Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message).at("run", run)
    })?;
    ::beam::end_job(&submitted.endpoint, &submitted.job, END_PATIENCE)
        .map_err(|error| error.at("run", run))?;
    let place = run.join(MEETING_PLACE);
    let (parts, _) = Objects::open(&place, store)?.list_folder("")?;
    for part in parts {
        let share = RunShare::open(&place.join(part.trim_end_matches('/')), store)?;
        dismiss(&(Arc::new(share) as Arc<dyn SharedStore>), END_PATIENCE)?;
    }
    Ok(())
}

/// Whether an address is one of this machine.
fn is_here(endpoint: &str) -> bool {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    ["localhost", "127.0.0.1", "[::1]", "::1"].contains(&host.trim_start_matches("http://"))
}

impl BeamJob {
    /// What a worker was told.
    ///
    /// # Errors
    /// Something else, or what another version tells its workers.
    pub fn read(text: &str) -> Result<Self> {
        let why = match serde_json::from_str::<Self>(text) {
            Ok(job) if job.v == VERSION => return Ok(job),
            Ok(job) => format!("it has version {}, this program reads {VERSION}", job.v),
            Err(why) => why.to_string(),
        };
        let message = format!("what the job tells its workers is not understood: {why}");
        Err(Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
            .mend("give the workers the binary that the driver runs"))
    }

    /// Goes to the folder from which paths are meant, where there is such a one on this machine.
    ///
    /// # Errors
    /// A folder that may not be entered.
    pub fn enter(&self) -> Result<()> {
        if !Path::new(&self.folder).is_dir() {
            return Ok(());
        }
        std::env::set_current_dir(&self.folder)
            .map_err(|error| Error::from(error).at("folder", &self.folder))
    }

    /// Where the processes of the job meet.
    ///
    /// # Errors
    /// A store that cannot be reached.
    fn share(&self, store: &StoreOptions) -> Result<Arc<dyn SharedStore>> {
        let run = Location::parse(&self.run)?;
        let share = RunShare::open(&run.join(MEETING_PLACE).join(&self.part), store);
        Ok(Arc::new(share.map_err(|error| self.unseen(error))?))
    }

    /// The same error, with what a worker on another machine may be missing.
    pub fn unseen(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        error.at("run", &self.run).mend(
            "the machine of this worker must see the folder of the run: put runs, sources and \
             destination into an object store, or into a folder that all machines share",
        )
    }

    /// Does what the runner asks of a worker, with the pipeline that was built here.
    ///
    /// # Errors
    /// A runner that cannot be reached, or a stream that breaks.
    pub fn serve(
        &self,
        worker: BeamWorker,
        (graph, options): &(StageGraph, RunOptions),
        store: &StoreOptions,
    ) -> Result<()> {
        let share = match self.share(store) {
            Ok(share) => share,
            Err(error) => return worker.refuse(&error).and(Err(error)),
        };
        let way =
            if self.has_payloads_in_shuffle { PayloadWay::Shuffle } else { PayloadWay::Store };
        worker.serve(graph, &way.applied(options), &share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beam(environment: WorkerEnvironment) -> Beam {
        Beam::new("localhost:8099", environment, Vec::new())
    }

    #[test]
    fn containers_see_no_files_of_this_machine() {
        let docker = WorkerEnvironment::Docker("levain".to_owned());
        let local = Location::parse("/data/out.zarr").expect("a location");
        let remote = Location::parse("s3://bakery/out.zarr").expect("a location");
        beam(docker.clone()).check_reachable([&remote]).expect("all see it");
        let error = beam(docker).check_reachable([&remote, &local]).expect_err("nobody sees it");
        assert_eq!(error.code(), ErrorCode::CONFIGURATION);
        assert_eq!(error.message(), "workers in containers see no files of this machine");
        assert_eq!(error.place("environment"), Some("docker"));
        beam(WorkerEnvironment::Loopback).check_reachable([&local]).expect("it is this machine");
    }

    #[test]
    fn secrets_do_not_travel_in_options() {
        let external = beam(WorkerEnvironment::External("localhost:1".to_owned()));
        let run = Location::parse("memory://beam-secrets/run").expect("a location");
        let job = |url: &str| serde_json::json!({ "sources": [url] });
        let runner = |url: &str| {
            let token = CancelToken::default();
            external.runner((&run, &Part::Write), &StoreOptions::default(), job(url), &token)
        };
        runner("https://host/file.nc").expect("holds none");
        let error = runner("https://host/file.nc?sig=abc").expect_err("holds one");
        assert!(error.message().contains("holds a secret"), "{error}");
        assert!(!error.to_string().contains("abc"), "{error}");
    }

    #[test]
    fn a_job_of_something_else_is_not_understood() {
        for text in ["{}", "no JSON", r#"{"v":9,"folder":"","run":"","part":"","job":null}"#] {
            let error = BeamJob::read(text).expect_err("is none");
            assert_eq!(error.code(), ErrorCode::FINGERPRINT, "{error}");
        }
    }
}
