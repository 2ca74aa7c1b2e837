//! A worker as a process of its own: started with flags, told the rest by its runner.
//!
//! ```text
//! flags ──► provisioning ──► job ──► the same pipeline, built again ──► harness
//! ```
//!
//! Source: Apache Beam, "SDK Harness Container Contract", and the flags that `boot` programs of its SDKs
//! take.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::RunOptions;
use dataflow::plan::StageGraph;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::fault;
use crate::harness::{Endpoints, Store, Worker};
use crate::proto::fn_api::{
    CONTROL, GetProvisionInfoResponse, InstructionRequest, InstructionResponse, Nothing, PROVISION,
    ProvisionInfo,
};
use crate::proto::known::{Kind, Struct, Value};
use crate::proto::pipeline::ApiServiceDescriptor;
use crate::rpc::{Rpc, queue};
use crate::runner::{setting_of, start_runtime};
use crate::shared::{Handover, SharedStore};
use crate::submit::urns;

/// Refusals on their way.
const ANSWER_ROOM: usize = 16;
/// Between two looks whether the worker is to stop.
const LOOK_PERIOD: std::time::Duration = std::time::Duration::from_millis(100);
/// The store is asked less often: it may cost something.
const LOOKS_A_QUESTION: u32 = 20;

const ID: &str = "id";
const PROVISION_ENDPOINT: &str = "provision_endpoint";
const CONTROL_ENDPOINT: &str = "control_endpoint";
const LOGGING_ENDPOINT: &str = "logging_endpoint";

/// What a runner gives a worker on its command line: `--id=W --provision_endpoint=HOST:PORT`, and
/// sometimes where other services are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFlags {
    id: String,
    provision: String,
    control: Option<String>,
    logging: Option<String>,
}

impl WorkerFlags {
    /// Whether these words are those of a worker that a runner starts: flags alone, and among them where
    /// it is told the rest.
    pub fn are_in(words: &[String]) -> bool {
        let is_flag = |word: &String, name: &str| {
            word.strip_prefix("--").is_some_and(|flag| flag.split('=').next() == Some(name))
        };
        words.first().is_some_and(|word| word.starts_with("--"))
            && words.iter().any(|word| is_flag(word, ID))
            && words.iter().any(|word| is_flag(word, PROVISION_ENDPOINT))
    }

    /// Reads the flags; those that are not needed are passed over, since every runner adds its own.
    ///
    /// # Errors
    /// No id, or nobody to ask what the worker is to do.
    pub fn parse(words: &[String]) -> Result<Self> {
        let mut flags = BTreeMap::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let flag = word.trim_start_matches('-');
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => match words.next_if(|next| !next.starts_with("--")) {
                    Some(value) => (flag, value.clone()),
                    None => continue,
                },
            };
            flags.insert(name, value);
        }
        let mut take = |name: &str| {
            let value = flags.remove(name)?;
            // Prism quotes names for a shell that it does not start.
            let quoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
            let value = quoted.map(str::to_owned).unwrap_or(value);
            Some(value).filter(|value| !value.is_empty())
        };
        let needed = |value: Option<String>, name: &str| {
            value.ok_or_else(|| {
                let message = format!("a worker of Beam needs the flag --{name}");
                Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
                    .mend("workers are started by a runner of Beam, or by `beam-pool`")
            })
        };
        Ok(Self {
            id: needed(take(ID), ID)?,
            provision: needed(take(PROVISION_ENDPOINT), PROVISION_ENDPOINT)?,
            control: take(CONTROL_ENDPOINT),
            logging: take(LOGGING_ENDPOINT),
        })
    }

    /// The flags of a worker that a pool was asked for.
    ///
    /// # Errors
    /// A runner that says of no place what the worker is to do.
    pub(crate) fn of(endpoints: Endpoints) -> Result<Self> {
        let Endpoints { worker_id: id, control, logging, provision } = endpoints;
        let control = Some(control).filter(|url| !url.is_empty());
        let provision = provision.ok_or_else(|| {
            let message = "the runner does not say where a worker is told what to do";
            Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported, message)
                .mend("use --environment loopback, or a newer runner")
        })?;
        Ok(Self { id, provision, control, logging })
    }

    /// The words that say this.
    pub(crate) fn words(&self) -> Vec<String> {
        let given = [
            (ID, Some(&self.id)),
            (PROVISION_ENDPOINT, Some(&self.provision)),
            (CONTROL_ENDPOINT, self.control.as_ref()),
            (LOGGING_ENDPOINT, self.logging.as_ref()),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| format!("--{name}={value}")).collect()
    }
}

/// A worker that knows what it is to do.
#[derive(Debug)]
pub struct BeamWorker {
    endpoints: Endpoints,
    job: String,
    cancel: CancelToken,
    runtime: Runtime,
}

impl BeamWorker {
    /// Asks the runner what the worker is to do; it ends when `cancel` is cancelled.
    ///
    /// # Errors
    /// A runner that does not answer, or a job that was submitted by another program.
    pub fn open(flags: &WorkerFlags, cancel: &CancelToken) -> Result<Self> {
        let runtime = start_runtime()?;
        let info = runtime.block_on(provision(flags))?;
        let url =
            |it: Option<ApiServiceDescriptor>| it.map(|it| it.url).filter(|url| !url.is_empty());
        let options = info.pipeline_options.unwrap_or_default();
        let job = option(&options, urns::JOB_OPTION).ok_or_else(|| {
            let message = "the job does not say from what its workers build the pipeline";
            Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
                .at("option", urns::JOB_OPTION)
                .mend("submit it with --runner beam of the same version of this program")
        })?;
        let control = flags.control.clone().or(url(info.control_endpoint));
        let control = control.ok_or_else(|| {
            let message = "the runner does not say where a worker takes instructions";
            Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported, message)
                .at("endpoint", &flags.provision)
        })?;
        let endpoints = Endpoints {
            worker_id: flags.id.clone(),
            control,
            logging: flags.logging.clone().or(url(info.logging_endpoint)),
            provision: Some(flags.provision.clone()),
        };
        Ok(Self { endpoints, job, cancel: cancel.clone(), runtime })
    }

    /// What the driver has said from which the pipeline is built.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// Does what the runner asks, until it wants nothing more.
    ///
    /// # Errors
    /// A runner that cannot be reached, or a stream that breaks. Errors of bundles go to the runner.
    pub fn serve(
        self,
        graph: &StageGraph,
        options: &RunOptions,
        shared: &Arc<dyn SharedStore>,
    ) -> Result<()> {
        // Of this worker alone: others of the process go on.
        let cancel = self.cancel.child();
        let setting = setting_of(options, &cancel).with_blobs(shared.blobs());
        let handover = Handover::new(shared);
        let (store, (stop, stopped)) = (Store::of_worker(handover.clone()), watch::channel(false));
        let runtime = self.runtime.handle();
        let present = handover.enter()?;
        let (setting, bundles, store) = (&setting, &cancel, &store);
        let worker = Worker { graph, setting, bundles, store, runtime, stop: stopped };
        let (works, ended) = crossbeam_channel::bounded::<()>(0);
        let served = std::thread::scope(|scope| {
            scope.spawn(|| {
                look_for_stop(&ended, &cancel, &handover);
                // Whether it was stopped or has ended, nobody reads its answers any more.
                stop.send_replace(true);
            });
            let served = worker.serve(&self.endpoints);
            drop(works);
            served
        });
        self.runtime.shutdown_background();
        handover.leave(&present).and(served)
    }

    /// Answers whatever the runner asks with an error, so that the job fails for the right reason: that
    /// the pipeline could not be built here.
    ///
    /// # Errors
    /// A runner that cannot be reached, or a stream that breaks.
    pub fn refuse(self, error: &Error) -> Result<()> {
        let Self { endpoints, cancel, runtime, .. } = self;
        let text = fault::to_text(error);
        let refused = runtime.block_on(async {
            let rpc = Rpc::connect(&endpoints.control).await?.for_worker(&endpoints.worker_id)?;
            let (answers, messages) = queue(ANSWER_ROOM);
            let mut stream = rpc.stream::<_, InstructionRequest>(CONTROL, messages).await?;
            loop {
                let next = tokio::time::timeout(LOOK_PERIOD, rpc.next(CONTROL, &mut stream)).await;
                let request = match next {
                    Ok(request) => request?,
                    Err(_) if cancel.is_cancelled() => None,
                    Err(_) => continue,
                };
                let Some(InstructionRequest { instruction_id, .. }) = request else {
                    return Ok(());
                };
                let answer =
                    InstructionResponse { instruction_id, error: text.clone(), response: None };
                if answers.send(answer).await.is_err() {
                    return Ok(());
                }
            }
        });
        runtime.shutdown_background();
        refused
    }
}

/// Waits until a worker has ended, or is to: by its own process, or because the job is over.
fn look_for_stop(ended: &Receiver<()>, cancel: &CancelToken, handover: &Handover) {
    for look in 1_u32.. {
        match ended.recv_timeout(LOOK_PERIOD) {
            Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => return,
            Err(RecvTimeoutError::Timeout) => {}
            _ => return,
        }
        if look % LOOKS_A_QUESTION != 0 {
            continue;
        }
        match handover.is_stopped() {
            Ok(false) => {}
            Ok(true) => return cancel.cancel(),
            Err(error) => tracing::debug!(%error, "nobody knows whether the job is over"),
        }
    }
}

async fn provision(flags: &WorkerFlags) -> Result<ProvisionInfo> {
    let rpc = Rpc::connect(&flags.provision).await?.for_worker(&flags.id)?;
    let told: GetProvisionInfoResponse = rpc.unary(PROVISION, Nothing {}).await?;
    Ok(told.info.unwrap_or_default())
}

/// The text of an option, in whatever spelling and however deep a runner keeps it:
/// `beam:option:levain_job:v1`, `levain_job`, `levainJob`.
fn option(options: &Struct, name: &str) -> Option<String> {
    let plain = |key: &str| {
        let key = key.strip_prefix("beam:option:").unwrap_or(key);
        key.strip_suffix(":v1").unwrap_or(key).replace('_', "").to_lowercase()
    };
    options.fields.iter().find_map(|(key, Value { kind })| match kind {
        Some(Kind::StringValue(text)) if plain(key) == plain(name) => Some(text.clone()),
        Some(Kind::StructValue(inner)) => option(inner, name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(text: &str, id: &str, provision: &str, control: Option<&str>) {
        let flags = WorkerFlags::parse(&words(text)).expect("flags of a worker");
        let found = (flags.id.as_str(), flags.provision.as_str(), flags.control.as_deref());
        assert_eq!(found, (id, provision, control));
        assert!(WorkerFlags::are_in(&words(text)));
        assert_eq!(WorkerFlags::parse(&flags.words()), Ok(flags));
    }

    #[test]
    fn flags_of_runners_are_read() {
        check("--id=1-1 --provision_endpoint=localhost:77", "1-1", "localhost:77", None);
        check("--id 7 --provision_endpoint [::]:8 --new", "7", "[::]:8", None);
        check("--id='job[a]_b' --provision_endpoint=localhost:7", "job[a]_b", "localhost:7", None);
        check(
            "--id=w --logging_endpoint=l:1 --artifact_endpoint=a:2 --provision_endpoint=p:3 \
             --control_endpoint=c:4 --semi_persist_dir=/tmp",
            "w",
            "p:3",
            Some("c:4"),
        );
    }

    #[test]
    fn words_of_people_are_none_of_a_worker() {
        for text in ["", "bake --id=1 --provision_endpoint=p", "--id=1", "--version"] {
            assert!(!WorkerFlags::are_in(&words(text)), "{text}");
        }
        let error = WorkerFlags::parse(&words("--id=1")).expect_err("nobody to ask");
        assert_eq!(error.message(), "a worker of Beam needs the flag --provision_endpoint");
    }

    #[test]
    fn an_option_is_found_in_any_spelling() {
        let text = |text: &str| Value::from(Kind::StringValue(text.to_owned()));
        let of = |key: &str| Struct { fields: [(key.to_owned(), text("it"))].into() };
        for key in ["beam:option:levain_job:v1", "levain_job", "levainJob"] {
            assert_eq!(option(&of(key), "levain_job").as_deref(), Some("it"), "{key}");
            let nested = Value::from(Kind::StructValue(of(key)));
            let outer = Struct { fields: [("options".to_owned(), nested)].into() };
            assert_eq!(option(&outer, "levain_job").as_deref(), Some("it"), "{key}");
        }
        assert_eq!(option(&of("job"), "levain_job"), None);
    }
}
