//! What can be asked of a program of a recipe on its command line.

use std::path::Path;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::Value;

use crate::cli::args::{GlobalArgs, RunArgs};

use super::recipe::AnyRecipe;
use crate::cli::beam::PoolArgs;

/// How a recipe is run, besides its own options.
#[derive(Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Run")]
pub(super) struct RunFlags {
    /// The name under which runs are kept [default: that of the program]
    #[arg(id = "run_name", long = "name", value_name = "NAME")]
    pub(super) name: Option<String>,

    /// Trusts other builds of this program, as workers and where a run is gone on with: only when what
    /// their steps do is the same
    #[arg(long)]
    pub(super) other_binary: bool,

    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Args)]
#[group(skip)]
struct ResumeFlags {
    /// A run: its name or its folder [default: the newest of this recipe]
    #[arg(id = "resumed_run", value_name = "RUN")]
    run: Option<String>,

    #[command(flatten)]
    flags: RunFlags,
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) global: GlobalArgs,
    pub(super) command: RecipeCommand,
}

#[derive(Debug)]
pub(super) enum RecipeCommand {
    Plan(Value, Box<RunFlags>),
    Run(Value, Box<RunFlags>),
    Resume(Option<String>, Box<RunFlags>),
    Worker,
    BeamPool(PoolArgs),
}

/// The name of a program by the first word of its command line.
pub(super) fn program_of(words: &[String]) -> String {
    let path = words.first().map(Path::new);
    let name = path.and_then(Path::file_stem).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "recipe".to_owned())
}

fn command(program: &str, recipe: &dyn AnyRecipe) -> Command {
    let with_flags = |command| RunFlags::augment_args(recipe.augment(command));
    let plan =
        with_flags(Command::new("plan")).about("Says what the recipe would do; runs nothing");
    let run = with_flags(Command::new("run")).about("Runs the recipe");
    let resume = ResumeFlags::augment_args(Command::new("resume"))
        .about("Goes on with a run that has failed, was stopped or killed, as it was asked for")
        .after_help(
            "Flags replace those of the run; the recipe's own options are those of the run.",
        );
    let worker = Command::new("worker")
        .about("Works on a run that a driver has begun; started by launchers")
        .hide(true);
    let pool = PoolArgs::augment_args(Command::new("beam-pool"))
        .about("Starts workers on this machine for runners of Apache Beam, as they ask for them");
    GlobalArgs::augment_args(Command::new("recipe").display_name(program))
        .bin_name(program)
        .about("Runs a recipe: a pipeline of transforms, here or by workers")
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([plan, run, resume, worker, pool])
}

/// Understands a command line; one that makes no sense, or that asks for help, ends the process.
pub(super) fn parse(words: &[String], recipe: &dyn AnyRecipe) -> Result<Asked> {
    let command = command(&program_of(words), recipe);
    let matches = command.try_get_matches_from(words).unwrap_or_else(|error| error.exit());
    asked(&matches, recipe)
}

/// Understands the command line of a run that is gone on with: `words` began it, `more` replace flags.
pub(super) fn parse_again(
    words: &[String],
    more: &[String],
    recipe: &dyn AnyRecipe,
) -> Result<Asked> {
    let program = program_of(words);
    let command = command(&program, recipe).mut_subcommand("run", |it| it.args_override_self(true));
    let command = command.args_override_self(true);
    let matches = command.try_get_matches_from(words.iter().chain(more)).map_err(|why| {
        let message = format!("the command line of the run is not understood: {why}");
        Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
            .mend("use the program that has begun the run, or begin a new run")
    })?;
    asked(&matches, recipe)
}

fn asked(matches: &ArgMatches, recipe: &dyn AnyRecipe) -> Result<Asked> {
    let unread = |why: clap::Error| Error::internal(format!("arguments that clap has read: {why}"));
    let global = GlobalArgs::from_arg_matches(matches).map_err(unread)?;
    let flags = |own: &ArgMatches| RunFlags::from_arg_matches(own).map(Box::new).map_err(unread);
    let command = match matches.subcommand() {
        Some(("plan", own)) => RecipeCommand::Plan(recipe.options(own)?, flags(own)?),
        Some(("run", own)) => RecipeCommand::Run(recipe.options(own)?, flags(own)?),
        Some(("resume", own)) => {
            let ResumeFlags { run, flags } = ResumeFlags::from_arg_matches(own).map_err(unread)?;
            RecipeCommand::Resume(run, Box::new(flags))
        }
        Some(("beam-pool", own)) => {
            RecipeCommand::BeamPool(PoolArgs::from_arg_matches(own).map_err(unread)?)
        }
        _ => RecipeCommand::Worker,
    };
    Ok(Asked { global, command })
}

/// The words of a command line that goes on with a run but those that say so: flags that replace others.
pub(super) fn flags_of(words: &[String], run: Option<&str>) -> Vec<String> {
    let mut flags: Vec<String> = words.iter().skip(1).cloned().collect();
    for word in ["resume"].into_iter().chain(run) {
        if let Some(at) = flags.iter().position(|own| own == word) {
            flags.remove(at);
        }
    }
    flags
}
