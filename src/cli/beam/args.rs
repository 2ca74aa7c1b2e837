//! Where a runner of Beam is, and where its workers run: flags over settings.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use levain::beam::{PayloadWay, RunnerKind, WorkerEnvironment};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::Beam;
use serde::Deserialize;

use crate::cli::args::RunArgs;
use crate::cli::settled::Settled;
use crate::cli::workers::program_path;

/// Where the workers of a job on a runner of Beam run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EnvironmentName {
    /// Threads of this process, which the runner must be able to reach
    #[default]
    Loopback,
    /// A pool that was started with `beam-pool`
    External,
    /// Processes that the runner starts on its machines
    Process,
    /// Containers of an image
    Docker,
}

/// How payloads travel from one worker to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PayloadName {
    /// Through the folder of the run, which all workers reach
    #[default]
    Store,
    /// Through the shuffle of the runner
    Shuffle,
}

/// Where a runner of Beam is, and what it is told.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Apache Beam")]
pub(crate) struct BeamArgs {
    /// Where the job server of the runner listens: the setting beam.endpoint
    #[arg(long = "endpoint", id = "beam_endpoint", value_name = "HOST:PORT")]
    pub(crate) endpoint: Option<String>,

    /// Where the workers of the runner run: the setting beam.environment [default: loopback]
    #[arg(long = "environment", id = "beam_environment", value_enum, value_name = "WHERE")]
    pub(crate) environment: Option<EnvironmentName>,

    /// How chunks travel between workers that go through several: the setting beam.payload
    /// [default: store]
    #[arg(long = "payload", id = "beam_payload", value_enum, value_name = "WAY")]
    pub(crate) payload: Option<PayloadName>,

    /// An option of the runner, by its name in snake case: parallelism=8; may be given again
    #[arg(long = "beam-option", value_name = "KEY=VALUE")]
    pub(crate) beam_option: Vec<String>,

    /// The image of workers, with --environment docker: the setting beam.image
    #[arg(long = "beam-image", value_name = "IMAGE")]
    pub(crate) beam_image: Option<String>,

    /// The pool of workers, with --environment external: the setting beam.pool
    #[arg(long = "beam-pool", value_name = "HOST:PORT")]
    pub(crate) beam_pool: Option<String>,

    /// Which runner it is: the setting beam.kind [default: what its job server says]
    #[arg(long = "beam-kind", value_name = "KIND")]
    pub(crate) beam_kind: Option<String>,
}

/// A pool of workers.
#[derive(Debug, Clone, Args)]
pub(crate) struct PoolArgs {
    /// The port on which runners ask for workers; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 50_000)]
    pub(crate) port: u16,

    /// The address of this machine on which it listens; whoever reaches it may start workers here
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: String,
}

/// The settings of the table `beam`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BeamSettings {
    endpoint: Option<String>,
    environment: EnvironmentName,
    payload: PayloadName,
    image: Option<String>,
    pool: Option<String>,
    command: Option<String>,
    kind: Option<String>,
    options: BTreeMap<String, String>,
}

/// The runner of Beam that was asked for, whose workers build jobs from `arguments`.
///
/// # Errors
/// No endpoint, an environment that lacks what it needs, an option without a value.
pub(crate) fn beam_of(run: &RunArgs, settled: &Settled, arguments: Vec<String>) -> Result<Beam> {
    let args = &run.workers.beam;
    let settings: BeamSettings = serde_json::from_value(settled.config().table_json("beam"))
        .map_err(|why| refused(&format!("the settings of beam are wrong: {why}"), SHOW))?;
    let endpoint = args.endpoint.clone().or(settings.endpoint);
    let endpoint = endpoint.filter(|it| !it.trim().is_empty()).ok_or_else(|| {
        let message = "--runner beam needs to know where the job server of the runner listens";
        refused(
            message,
            "give --endpoint HOST:PORT, or set beam.endpoint; docs/beam.md says how job servers of \
             Flink, Spark, Prism and Python are started",
        )
    })?;
    check_address(&endpoint).map_err(|error| error.at("flag", "--endpoint"))?;
    let environment = args.environment.unwrap_or(settings.environment);
    let environment = match environment {
        EnvironmentName::Loopback => WorkerEnvironment::Loopback,
        EnvironmentName::External => {
            let pool = args.beam_pool.clone().or(settings.pool).ok_or_else(|| {
                let message = "--environment external needs a pool of workers";
                refused(message, "start `beam-pool` where all machines of the runner reach it, and name its address: --beam-pool HOST:PORT, or beam.pool")
            })?;
            check_address(&pool).map_err(|error| error.at("flag", "--beam-pool"))?;
            WorkerEnvironment::External(pool)
        }
        EnvironmentName::Process => {
            let command = run.workers.worker_command.clone().or(settings.command);
            let command = command.map_or_else(program_path, Ok)?;
            check_program(&command)?;
            WorkerEnvironment::Process { command, variables: BTreeMap::new() }
        }
        EnvironmentName::Docker => {
            let image = args.beam_image.clone().or(settings.image).ok_or_else(|| {
                let message = "--environment docker needs the image of workers";
                refused(message, "name it: --beam-image IMAGE, or beam.image; `levain image print-dockerfile --beam` says how it is made")
            })?;
            WorkerEnvironment::Docker(image)
        }
    };
    let mut options = settings.options;
    for given in &args.beam_option {
        let (name, value) = given.trim_start_matches("--").split_once('=').ok_or_else(|| {
            let message = format!("`{given}` does not say `KEY=VALUE`");
            refused(&message, "write for example --beam-option parallelism=8")
                .at("flag", "--beam-option")
        })?;
        options.insert(name.to_owned(), value.to_owned());
    }
    let payload_way = match args.payload.unwrap_or(settings.payload) {
        PayloadName::Store => PayloadWay::Store,
        PayloadName::Shuffle => PayloadWay::Shuffle,
    };
    let kind = args.beam_kind.clone().or(settings.kind);
    let kind = kind.as_deref().map(RunnerKind::of_name).transpose()?;
    let said = run.mem.as_deref().map(|_| settled.memory(run.mem.as_deref())).transpose()?;
    let memory_bytes =
        said.map(|it| it.size()).or_else(|| settled.config().size("limits.mem")).map(|it| it.0);
    Ok(Beam::new(endpoint, environment, arguments)
        .with_kind(kind)
        .with_payload_way(payload_way)
        .with_options(options)
        .with_memory_bytes(memory_bytes))
}

const SHOW: &str = "`levain config show --origin` says where each was set";

/// An address has a port, and no scheme that gRPC does not have.
fn check_address(address: &str) -> Result<()> {
    let plain = address.strip_prefix("http://").unwrap_or(address);
    let port = plain.rsplit_once(':').and_then(|(host, port)| {
        (!host.is_empty() && !host.contains('/')).then(|| port.parse::<u16>().ok())?
    });
    if port.is_some() {
        return Ok(());
    }
    let message = format!("`{address}` is no address of a service of Beam");
    Err(refused(&message, "write HOST:PORT, for example localhost:8099"))
}

/// Runners give flags to a program, and take a path that is no command line.
fn check_program(command: &str) -> Result<()> {
    if !command.trim().contains(char::is_whitespace) {
        return Ok(());
    }
    let message = format!("`{command}` is more than the path of a program");
    Err(refused(
        &message,
        "runners of Beam start a file, and give it flags: name this program, or a script of a line",
    )
    .at("flag", "--worker-command"))
}

fn refused(message: &str, mend: &str) -> Error {
    Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message).mend(mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["localhost:8099", "[::1]:8099", "http://host:1", "10.0.0.1:50000"] {
            check_address(good).expect(good);
        }
        for bad in ["localhost", ":8099", "https://host:1/x", "host:port", ""] {
            let error = check_address(bad).expect_err(bad);
            assert!(error.to_string().contains("write HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_program_has_no_words() {
        check_program("/usr/local/bin/levain").expect("a path");
        check_program("levain worker").expect_err("a command line");
    }
}
