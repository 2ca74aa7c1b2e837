//! What can be asked of AWS Batch on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use levain::batch::aws::{BatchSettings, Platform};
use levain::dataflow::error::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Lists jobs of the queues
    Jobs(JobsArgs),
    /// Shows one job: where it stands, and why
    Job(JobArgs),
    /// Ends jobs: cancels those that wait, terminates all, and waits for it
    Stop(StopArgs),
    /// Prints the log of a job
    Logs(LogsArgs),
    /// Submits a job with any command: to test what is set up, or to drive a run from there
    Submit(SubmitArgs),
    /// Job definitions
    #[command(subcommand)]
    Jobdef(JobdefCommand),
}

/// Where AWS Batch is, and what of it is used.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "AWS Batch")]
pub(crate) struct PlaceArgs {
    /// Queues by name or ARN; the first is submitted to
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) queue: Vec<String>,

    /// The job definition: a name, name:revision or an ARN
    #[arg(long, value_name = "NAME")]
    pub(crate) job_definition: Option<String>,

    /// The region [default: that of the environment or of the profile]
    #[arg(long = "aws-region", id = "aws_region", value_name = "NAME")]
    pub(crate) region: Option<String>,

    /// The profile of ~/.aws with the credentials [default: the standard chain]
    #[arg(long, value_name = "NAME")]
    pub(crate) aws_profile: Option<String>,

    /// URL of the services, where they are not those of AWS
    #[arg(long = "aws-endpoint", id = "aws_endpoint", value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// The log group [default: that of the job definition, or /aws/batch/job]
    #[arg(long, value_name = "NAME")]
    pub(crate) log_group: Option<String>,
}

/// What a job definition says.
#[derive(Debug, Default, Args)]
pub(crate) struct DefinitionArgs {
    /// The image: a short name, or a whole one with its registry
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,

    /// On what jobs run: ec2, fargate [default: ec2]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub(crate) platform: Option<Platform>,

    /// ARN of the role that jobs have
    #[arg(long, value_name = "ARN")]
    pub(crate) job_role: Option<String>,

    /// ARN of the role that pulls the image and writes logs; Fargate needs it
    #[arg(long, value_name = "ARN")]
    pub(crate) execution_role: Option<String>,
}

/// How large a job is.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(crate) struct SizeArgs {
    /// Virtual cores [default: 2]
    #[arg(long, value_name = "N")]
    pub(crate) vcpus: Option<f64>,

    /// Memory, with its unit: 8GiB; of several, the next is given to what has run out of it:
    /// 4GiB,8GiB [default: 4GiB]
    #[arg(long, value_name = "SIZE,...", value_delimiter = ',')]
    pub(crate) memory: Vec<String>,
}

fn platform(text: &str) -> Result<Platform, String> {
    match text.to_ascii_lowercase().as_str() {
        "ec2" => Ok(Platform::Ec2),
        "fargate" => Ok(Platform::Fargate),
        _ => Err("there are: ec2, fargate".to_owned()),
    }
}

impl PlaceArgs {
    /// The settings that flags and variables say, over `base`.
    pub(crate) fn over(&self, base: BatchSettings) -> BatchSettings {
        let queue = if self.queue.is_empty() { base.queue } else { self.queue.clone() };
        BatchSettings {
            queue,
            job_definition: self.job_definition.clone().or(base.job_definition),
            region: self.region.clone().or(base.region),
            profile: self.aws_profile.clone().or(base.profile),
            endpoint: self.endpoint.clone().or(base.endpoint),
            log_group: self.log_group.clone().or(base.log_group),
            ..base
        }
    }
}

impl DefinitionArgs {
    pub(crate) fn over(&self, base: BatchSettings) -> BatchSettings {
        BatchSettings {
            image: self.image.clone().or(base.image),
            platform: self.platform.unwrap_or(base.platform),
            job_role: self.job_role.clone().or(base.job_role),
            execution_role: self.execution_role.clone().or(base.execution_role),
            ..base
        }
    }
}

impl SizeArgs {
    /// # Errors
    /// Memory without its unit.
    pub(crate) fn over(&self, mut base: BatchSettings) -> Result<BatchSettings> {
        base.vcpus = self.vcpus.unwrap_or(base.vcpus);
        if !self.memory.is_empty() {
            let rungs = self.memory.iter().map(|memory| memory.parse());
            let rungs: Result<Vec<_>> = rungs.collect();
            base.memory_ladder = rungs.map_err(|error| error.at("flag", "--memory"))?;
        }
        Ok(base)
    }
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Only jobs in these states: runnable,starting
    #[arg(long, value_name = "STATE,...", value_delimiter = ',')]
    pub(crate) state: Vec<String>,

    /// Only jobs that have not ended
    #[arg(long, conflicts_with_all = ["state", "inactive"])]
    pub(crate) active: bool,

    /// Only jobs that have ended
    #[arg(long, conflicts_with = "state")]
    pub(crate) inactive: bool,

    /// Only jobs of this run
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,

    /// The most jobs of each queue and state
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The id of the job; a child of an array is ID:INDEX
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The ids of the jobs
    #[arg(value_name = "ID", required_unless_present = "run")]
    pub(crate) ids: Vec<String>,

    /// All jobs of this run that have not ended, and no others
    #[arg(long, value_name = "RUN", conflicts_with = "ids")]
    pub(crate) run: Option<String>,

    /// What is told to whoever asks why
    #[arg(long, value_name = "TEXT", default_value = "stopped by user")]
    pub(crate) reason: String,

    /// Does not wait until they have ended
    #[arg(long)]
    pub(crate) no_wait: bool,

    /// How long it is waited for
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) wait: String,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The id of the job; a child of an array is ID:INDEX
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// The attempt, from 1 [default: the last]
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<usize>,

    /// Only so many lines, the last ones
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<usize>,

    /// Only the texts, as they were written
    #[arg(long)]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The name of the job
    #[arg(long, value_name = "NAME", default_value = "levain-test")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    #[command(flatten)]
    pub(crate) size: SizeArgs,

    /// A variable of the command: NAME=VALUE; everybody who may describe the job sees it
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,

    /// Copies of the job, as an array
    #[arg(long, value_name = "N", default_value_t = std::num::NonZeroU32::MIN)]
    pub(crate) workers: std::num::NonZeroU32,

    /// How often AWS Batch starts it, when its machine is taken away or it asks for that
    #[arg(long, value_name = "N", default_value_t = std::num::NonZeroU32::MIN)]
    pub(crate) attempts: std::num::NonZeroU32,

    /// After so long it is ended
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub(crate) timeout: String,

    /// Follows the job to its end; fails if it does
    #[arg(long)]
    pub(crate) wait: bool,

    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobdefCommand {
    /// Registers a revision
    Register(RegisterArgs),
    /// Registers a revision unless the newest is as it should be
    Ensure(RegisterArgs),
    /// Shows the revisions of a definition, past and current
    Describe(DescribeArgs),
    /// Lists definitions
    List(ListArgs),
    /// Takes a revision out of use
    Deregister(DeregisterArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The name [default: made of what it says]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) definition: DefinitionArgs,

    #[command(flatten)]
    pub(crate) size: SizeArgs,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// A name, name:revision or an ARN
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Only revisions in use
    #[arg(long)]
    pub(crate) active: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only definitions in use
    #[arg(long)]
    pub(crate) active: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeregisterArgs {
    /// A name (its newest revision in use), name:revision or an ARN
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Does not ask
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// What is asked of an image.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Prints a Dockerfile for the image of workers
    PrintDockerfile(DockerfileArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DockerfileArgs {
    /// The program: this command, or the binary of a recipe
    #[arg(long, value_name = "PATH", default_value = "levain")]
    pub(crate) binary: PathBuf,

    /// The image below; a static binary needs none
    #[arg(long, value_name = "IMAGE", default_value = "debian:stable-slim")]
    pub(crate) base: String,

    /// For workers of a runner of Apache Beam, which gives the image flags and no command
    #[arg(long)]
    pub(crate) beam: bool,
}
