//! `levain completions`: what makes a shell complete the words of this command.

use clap::CommandFactory as _;
use levain::dataflow::error::{Error, Result};
use serde_json::json;

use crate::cli::args::{Cli, CompletionsArgs};
use crate::cli::out::Out;

/// Prints the completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs, out: &Out) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "levain", &mut script);
    let script =
        String::from_utf8(script).map_err(|_| Error::internal("completions are no UTF-8"))?;
    out.result(&script, &json!({ "v": 1, "shell": args.shell.to_string(), "script": script }))
}
