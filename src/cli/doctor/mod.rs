//! `levain doctor`: what would go wrong, before it does: credentials, store, queue, compute
//! environments, permissions, definition, and a job that says hello.
//!
//! Every check says whether it is well, what was seen, and how to mend what is not.

mod account;
mod checks;
mod hello;
mod store;

use clap::Args;
use levain::batch::aws::Seconds;
use levain::dataflow::error::{Error, Result};

use crate::cli::batch::{DefinitionArgs, PlaceArgs, SizeArgs};
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use checks::Checks;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    definition: DefinitionArgs,

    #[command(flatten)]
    size: SizeArgs,

    /// Submits a job that reaches the store from inside, and follows it to its end
    #[arg(long)]
    hello: bool,

    /// The program in the image that says hello
    #[arg(long, value_name = "PATH", default_value = "levain")]
    program: String,

    /// How long the hello job may take until it has ended
    #[arg(long, value_name = "TIME", default_value = "10m")]
    wait: String,

    /// Between two looks at the hello job
    #[arg(long, value_name = "TIME", default_value = "2s")]
    look: String,

    /// How long the run will take: credentials that end sooner are told
    #[arg(long, value_name = "TIME")]
    expected: Option<String>,

    /// Warnings are failures, too
    #[arg(long)]
    strict: bool,

    /// What the hello job itself does: reaches the store from where workers are
    #[arg(long, hide = true, conflicts_with = "hello")]
    inside: bool,
}

/// Checks everything that can be checked; the error with which the command then ends.
pub(crate) fn doctor(
    args: &DoctorArgs,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Option<Error>> {
    let url = store::url(settled, args.hello || args.inside)?;
    if args.inside {
        return hello::inside(url, out).map(|()| None);
    }
    let settings = args.definition.over(args.place.over(settled.batch()?));
    let settings = args.size.over(settings)?;
    settings.check()?;
    let reach = store::options(&settings, settled.store()?);
    let mut checks = Checks::new(out);
    let expected = args.expected.as_deref().map(str::parse::<Seconds>).transpose()?;
    let is_remote = url.starts_with("s3://");
    if is_remote || !settings.queue.is_empty() {
        account::credentials(&settings, expected, &mut checks);
    }
    let mut has_store = false;
    if !url.is_empty() {
        has_store = store::check(url, &reach, &mut checks);
    }
    if settings.queue.is_empty() {
        checks.skipped("queue", "none is named (--queue)");
        return checks.end(args.strict);
    }
    let api = crate::cli::batch::open(&settings, signals)?;
    let can_run = account::check(&api, &settings, &mut checks);
    match (args.hello, can_run && has_store) {
        (true, true) => hello::hello(args, &api, (&settings, url, &reach), &mut checks, signals)?,
        (true, false) => checks.skipped("hello", "mend what is above first"),
        (false, _) => {
            checks.skipped("hello", "--hello submits a job, and tries to submit and stop");
        }
    }
    checks.end(args.strict)
}
