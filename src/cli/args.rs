//! What can be asked for on the command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::batch::{BatchCommand, ImageCommand};
use crate::cli::beam::PoolArgs;
use crate::cli::cancel::CancelArgs;
use crate::cli::config::{ConfigArgs, InitArgs, ShowArgs};
use crate::cli::doctor::DoctorArgs;
use crate::cli::fetch::FetchArgs;
use crate::cli::gc::GcArgs;
use crate::cli::infra::InfraCommand;
use crate::cli::logs::RunLogsArgs;
use crate::cli::records::{FailuresArgs, RunArg, RunsArgs, StatusArgs};
use crate::cli::resume::ResumeArgs;
use crate::cli::tasks::TasksArgs;
use crate::cli::watch::WatchArgs;
use crate::cli::workers::WorkerArgs;

/// Bakes many array files into one well-chunked Zarr store.
#[derive(Debug, Parser)]
#[command(name = "levain", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

/// What every command takes.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct GlobalArgs {
    /// How results are printed
    // Recipes of others have arguments called `output`.
    #[arg(id = "output_form", value_name = "FORM", long = "output", value_enum,
        default_value_t = Output::Text, global = true, env = "LEVAIN_OUTPUT")]
    pub(crate) output: Output,

    /// Says more on stderr; twice, much more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// One JSON document on stdout
    Json,
    /// One JSON document a line; of commands that follow a run, one for each event
    Ndjson,
    /// A table with a head, of commands that list
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes NetCDF files, bakes, rechunks and verifies them
    Demo(DemoArgs),
    /// Bakes files into one Zarr store
    #[command(
        override_usage = "levain bake [OPTIONS] <SRC>... <DST>\n       levain bake [OPTIONS] <RECIPE>.toml"
    )]
    Bake(Box<BakeArgs>),
    /// Writes a store or a file anew, with all its groups, in other chunks
    Rechunk(Box<RechunkArgs>),
    /// Says what a bake or a rechunk would do; writes nothing
    Plan(Box<PlanArgs>),
    /// Shows dimensions, variables, chunks, codecs and attributes of any readable file or store
    Inspect(InspectArgs),
    /// Checks that every chunk of a store is there and decodes
    Verify(VerifyArgs),
    /// Works on a run that a driver has begun; started by launchers
    #[command(hide = true)]
    Worker,
    /// Starts workers on this machine for runners of Apache Beam, as they ask for them
    BeamPool(PoolArgs),
    /// Looks at jobs of AWS Batch, ends them, reads their logs, keeps their definitions
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Checks credentials, the store, the queue and permissions before they are needed
    Doctor(DoctorArgs),
    /// Prints what an AWS account must have: policies, and a small template
    #[command(subcommand)]
    Infra(InfraCommand),
    /// Prints how the image of workers is made
    #[command(subcommand)]
    Image(ImageCommand),
    /// Lists runs: of a destination, of a folder, of a store
    Runs(RunsArgs),
    /// Says how a run goes, or how it has ended
    Status(StatusArgs),
    /// Goes on with a run that failed, was stopped or was killed, from any machine
    Resume(ResumeArgs),
    /// Stops a run, from any machine
    Cancel(CancelArgs),
    /// Shows how a run goes until it ends, and ends with its exit code
    Watch(WatchArgs),
    /// Prints what the workers of a run have printed
    Logs(RunLogsArgs),
    /// Removes what runs with workers have left that nobody reads any more
    Gc(GcArgs),
    /// Lists the tasks of a run with workers
    Tasks(TasksArgs),
    /// Shows what failed in a run, in groups of those that are alike
    Failures(FailuresArgs),
    /// Writes the page of a run anew, and says where it lies
    Report(RunArg),
    /// Says what an error code means, why it comes, and how to mend it
    Explain(ExplainArgs),
    /// Shows, writes and explains settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints what makes a shell complete this command's words
    Completions(CompletionsArgs),
    /// Shows which runners there are, and what of the model each offers
    #[cfg(feature = "conformance")]
    Runners(RunnersArgs),
}

impl Command {
    /// Whether this is the conformance suite.
    pub(crate) fn is_suite(&self) -> bool {
        #[cfg(feature = "conformance")]
        return matches!(self, Self::Runners(_));
        #[cfg(not(feature = "conformance"))]
        return false;
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A code, as E201; without one, all codes are listed
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows the settings that hold
    Show(ShowArgs),
    /// Asks for what most runs need, and writes levain.toml
    Init(InitArgs),
    /// Says what a setting means and takes; without one, all are listed
    Explain {
        /// A setting, as batch.queue
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct PlanArgs {
    #[command(subcommand)]
    pub(crate) job: Option<PlanCommand>,

    /// Without a job: that of a recipe.
    #[command(flatten)]
    pub(crate) recipe: BakeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// What `levain bake` with these arguments would do
    #[command(
        override_usage = "levain plan bake [OPTIONS] <SRC>... <DST>\n       levain plan [OPTIONS] <RECIPE>.toml"
    )]
    Bake(Box<BakeArgs>),
    /// What `levain rechunk` with these arguments would do
    Rechunk(Box<RechunkArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder to work in; what an earlier demo left there is replaced
    #[arg(long, default_value = "levain-demo")]
    pub(crate) dir: PathBuf,

    /// Megabytes of NetCDF files to make
    #[arg(long, default_value_t = 60)]
    pub(crate) megabytes: u32,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BakeArgs {
    /// Files, globs, folders, URLs or Zarr stores; the last one is where the store goes. Or a recipe
    /// alone, `NAME.toml`, whose words the flags override
    #[arg(required = true, num_args = 1.., value_names = ["SRC", "DST"])]
    pub(crate) paths: Vec<String>,

    /// The dimension along which files follow each other [default: the unlimited one, or time]
    #[arg(long, value_name = "DIM")]
    pub(crate) concat: Option<String>,

    /// The group of the files or stores that is read [default: the root]
    #[arg(long, value_name = "PATH")]
    pub(crate) group: Option<String>,

    /// The group of the store that is written, beside what is there [default: the root]
    #[arg(long, value_name = "PATH")]
    pub(crate) target_group: Option<String>,

    /// Writes so many levels, each coarser than the one before by a factor of 2; --pyramid-dims says
    /// along what
    #[arg(long, value_name = "LEVELS")]
    pub(crate) pyramid: Option<u32>,

    /// The dimensions that get coarser
    #[arg(long, value_name = "DIM,...", value_delimiter = ',')]
    pub(crate) pyramid_dims: Vec<String>,

    /// What an element of a coarser level is of its window: mean, max, min, nearest [default: mean]
    #[arg(long, value_name = "METHOD")]
    pub(crate) pyramid_method: Option<String>,

    /// What becomes of variables without that dimension that differ: identical (they are refused),
    /// close:1e-9 (the first, if numbers differ by no more), first, concat [default: identical]
    #[arg(long = "static", value_name = "POLICY")]
    pub(crate) statics: Option<String>,

    /// What becomes of sources that are not there: error, skip (the store names them), fill (the
    /// same, and gaps are filled) [default: error]
    #[arg(long, value_name = "POLICY")]
    pub(crate) missing_files: Option<String>,

    /// What becomes of variables that some files lack: error, union (they are filled there),
    /// intersection (they are left out) [default: error]
    #[arg(long, value_name = "POLICY")]
    pub(crate) missing_vars: Option<String>,

    /// What becomes of variables that files pack or type differently: decode (they are unpacked),
    /// repack (packed with one scale and offset, which loses a little), error [default: decode]
    #[arg(long, value_name = "POLICY")]
    pub(crate) packing: Option<String>,

    /// What becomes of attributes that differ: drop-conflicts, first, list, coverage (extents of all
    /// files), error [default: drop-conflicts]
    #[arg(long, value_name = "POLICY")]
    pub(crate) attrs: Option<String>,

    /// What becomes of variables whose dimensions stand in another order than in the first file:
    /// transpose, error [default: transpose]
    #[arg(long, value_name = "POLICY")]
    pub(crate) dim_order: Option<String>,

    /// What becomes of files that are out of order or overlap: error, sort, keep-first, keep-last
    /// [default: error]
    #[arg(long, value_name = "POLICY")]
    pub(crate) overlap: Option<String>,

    /// What becomes of steps that are missing between files: report, error, fill (the coordinate
    /// goes on, variables are filled) [default: report]
    #[arg(long, value_name = "POLICY")]
    pub(crate) gaps: Option<String>,

    /// What becomes of files of a merge dimension whose elements differ, and of files on other
    /// grids: error, inner, outer (they are filled) [default: error]
    #[arg(long, value_name = "POLICY")]
    pub(crate) join: Option<String>,

    /// What becomes of GRIB messages that are damaged: error, skip (the plan names them) [default:
    /// error]
    #[arg(long, value_name = "POLICY")]
    pub(crate) broken_messages: Option<String>,

    /// The column of tables that is the coordinate of their rows [default: none, rows lie along
    /// index]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) row_column: Option<String>,

    #[command(flatten)]
    pub(crate) layout: LayoutArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// Leaves out files that cannot be read, and fills chunks that turn out to be damaged while they
    /// are written: all are named, the rest is baked, and the exit code is 3
    #[arg(long, conflicts_with_all = ["append", "region"])]
    pub(crate) keep_going: bool,

    /// Checks the store before readers see it: cf, monotonic, no-nan-chunks,
    /// attributes=title+source, range=t2m:150:350; `warn:` before a check only records what it finds
    #[arg(long, value_name = "CHECK,...", allow_hyphen_values = true)]
    pub(crate) validate: Option<String>,

    #[command(flatten)]
    pub(crate) fetch: FetchArgs,

    /// What is written: zarr (a store of copies), kerchunk (references to the chunks of the files;
    /// the destination is NAME.json or NAME.parquet) [default: zarr]
    #[arg(long = "as", value_name = "FORM")]
    pub(crate) written_as: Option<String>,

    /// Encoded bytes that references may hold themselves, besides coordinates, where chunks are no
    /// chunks of a file [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) inline: Option<String>,

    /// Appends along this dimension to the store that is there: what it has is skipped
    #[arg(long, value_name = "DIM")]
    pub(crate) append: Option<String>,

    /// Writes over elements that the store has, in place: auto (found by its coordinate), DIM=auto,
    /// DIM=START:END (found, and those they must be)
    #[arg(long, value_name = "REGION", conflicts_with = "append")]
    pub(crate) region: Option<String>,

    /// Goes on where a run with the same arguments has failed or was killed; if this one fails,
    /// what it has written is kept for the next
    #[arg(long)]
    pub(crate) resume: bool,

    /// Goes on without this terminal, once the run has begun: `levain watch` shows it, `levain cancel`
    /// stops it
    #[arg(long, help_heading = "Workers")]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RechunkArgs {
    /// A Zarr store or a file, by path or URL
    #[arg(value_name = "SRC")]
    pub(crate) source: String,

    /// Where the new store goes
    #[arg(value_name = "DST")]
    pub(crate) destination: String,

    #[command(flatten)]
    pub(crate) layout: LayoutArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) fetch: FetchArgs,

    /// Leaves out variables and groups that cannot be read, and fills chunks that turn out to be
    /// damaged while they are written: all are named, the rest is written, and the exit code is 3
    #[arg(long)]
    pub(crate) keep_going: bool,

    /// Goes on where a run with the same arguments has failed or was killed; if this one fails,
    /// what it has written is kept for the next
    #[arg(long)]
    pub(crate) resume: bool,

    /// Goes on without this terminal, once the run has begun: `levain watch` shows it, `levain cancel`
    /// stops it
    #[arg(long, help_heading = "Workers")]
    pub(crate) detach: bool,
}

/// How a store is to lie.
#[derive(Debug, Args)]
pub(crate) struct LayoutArgs {
    /// Lengths of chunks: time=100,lat=-1 (-1: the whole dimension, auto: by --chunk-size)
    #[arg(long, value_name = "DIM=N,...", allow_hyphen_values = true)]
    pub(crate) chunks: Option<String>,

    /// Numbers of chunks along dimensions, where their lengths are chosen by size (-1: one chunk)
    #[arg(long, value_name = "DIM=N,...", allow_hyphen_values = true)]
    pub(crate) chunk_ratio: Option<String>,

    /// Bytes of a chunk where a length is auto, or no chunks are given [default: 32MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) chunk_size: Option<String>,

    /// Lengths of shards, multiples of the chunks
    #[arg(long, value_name = "DIM=N,...", allow_hyphen_values = true)]
    pub(crate) shards: Option<String>,

    /// The variables that are wanted, with what they refer to; GROUP/NAME is one of a group
    /// [default: all]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) vars: Vec<String>,

    /// The version of the Zarr format [default: 3]
    #[arg(long, value_name = "3|2", value_parser = ["3", "2"])]
    pub(crate) zarr_format: Option<String>,

    /// How chunks are encoded: blosc-zstd:1, zstd:3, shuffle+zlib:5, none [default: blosc-zstd:1]
    #[arg(long, value_name = "CODECS")]
    pub(crate) codec: Option<String>,

    /// How chunks of one variable are encoded, filters included: t2m=bitround:10+zstd:5; may be given
    /// again
    #[arg(long, value_name = "VAR=CODECS")]
    pub(crate) encoding: Vec<String>,

    /// Replaces a store that is there already
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// How a job is to run; none of this changes what is written.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct RunArgs {
    /// The greatest resident memory of the process: the setting limits.mem [default: 60 % of what is
    /// free]
    #[arg(long, value_name = "SIZE")]
    pub(crate) mem: Option<String>,

    /// Threads that compute: the setting direct.threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// How progress is shown: bars on a terminal, lines elsewhere
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,

    #[command(flatten)]
    pub(crate) workers: WorkerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    Auto,
    Bars,
    Lines,
    None,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A file or a store, by path or URL
    #[arg(value_name = "SRC")]
    pub(crate) source: String,

    /// The group that is shown [default: the root]
    #[arg(long, value_name = "PATH")]
    pub(crate) group: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A Zarr store, by path or URL
    #[arg(value_name = "DST")]
    pub(crate) store: String,

    /// How closely it is looked at: chunks (each is there), digests (each is the one that was
    /// written), readback (each decodes as well)
    #[arg(long, value_name = "LEVEL", default_value = "readback")]
    pub(crate) level: String,

    /// Also makes checks of what the store holds: cf, monotonic, no-nan-chunks,
    /// attributes=title+source, range=t2m:150:350; `warn:` before a check only tells what it finds
    #[arg(long, value_name = "CHECK,...", allow_hyphen_values = true)]
    pub(crate) validate: Option<String>,

    /// Threads that decode: the setting direct.threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[cfg(feature = "conformance")]
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RunnersArgs {
    /// Runs the conformance suite on every runner, and shows what it finds
    #[arg(long)]
    pub(crate) matrix: bool,
}
