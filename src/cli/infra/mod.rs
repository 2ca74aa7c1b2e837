//! `levain infra`: what an AWS account must have, as text to look at and to apply oneself. Nothing is
//! made here.

use clap::{Args, Subcommand, ValueEnum};
use levain::batch::aws::{Grantee, PolicyScope, policy};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::json;

use crate::cli::batch::{DefinitionArgs, PlaceArgs};
use crate::cli::out::Out;
use crate::cli::settled::Settled;

/// What is printed.
#[derive(Debug, Subcommand)]
pub(crate) enum InfraCommand {
    /// Prints the least policy of IAM for a driver or for workers
    Policy(Box<PolicyArgs>),
    /// Prints a template with a bucket, roles, a queue and a job definition
    Print(PrintArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// Who is allowed
    #[arg(long = "for", value_enum, default_value_t = Who::Driver, value_name = "WHO")]
    who: Who,

    #[command(flatten)]
    place: PlaceArgs,

    #[command(flatten)]
    definition: DefinitionArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Who {
    /// Whoever plans a run, starts its workers and looks on
    Driver,
    /// The role of the workers
    Worker,
}

#[derive(Debug, Args)]
pub(crate) struct PrintArgs {
    /// The form of the template
    #[arg(long, value_enum, default_value_t = Form::Cloudformation)]
    format: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Cloudformation,
    Terraform,
}

const CLOUDFORMATION: &str = include_str!("cloudformation.yaml");
const TERRAFORM: &str = include_str!("terraform.tf");

/// Runs one of the commands.
pub(crate) fn infra(command: &InfraCommand, settled: &Settled, out: Out) -> Result<()> {
    match command {
        InfraCommand::Policy(args) => {
            let policy = policy_of(args, settled)?;
            out.result(&format!("{policy:#}"), &policy)
        }
        InfraCommand::Print(args) => {
            let text = match args.format {
                Form::Cloudformation => CLOUDFORMATION,
                Form::Terraform => TERRAFORM,
            };
            out.result(text, &json!({ "v": 1, "template": text }))
        }
    }
}

fn policy_of(args: &PolicyArgs, settled: &Settled) -> Result<serde_json::Value> {
    let settings = args.definition.over(args.place.over(settled.batch()?));
    settings.check()?;
    let store = settled.config().text("store.url").unwrap_or_default();
    let bucket = store.strip_prefix("s3://").filter(|rest| !rest.is_empty());
    let bucket = bucket.ok_or_else(|| {
        let message = format!("`{store}` is no bucket");
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
            .at("flag", "--store")
            .mend("give it as s3://BUCKET/PREFIX")
    })?;
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    let scope = PolicyScope {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        queues: settings.queue,
        job_definition: settings.job_definition,
        roles: settings.job_role.into_iter().chain(settings.execution_role).collect(),
    };
    let grantee = match args.who {
        Who::Driver => Grantee::Driver,
        Who::Worker => Grantee::Worker,
    };
    Ok(policy(grantee, &scope))
}
