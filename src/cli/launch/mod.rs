//! Recipes as programs: `main` of a user's program hands over a function that builds a pipeline, and gets
//! the commands `plan`, `run`, `resume` and `worker`.
//!
//! The same binary is driver and worker. No closure travels: a worker reads the options that the driver
//! was given, builds the pipeline again, and compares fingerprints and binaries before it touches
//! anything.

mod arguments;
mod commands;
mod recipe;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use levain::dataflow::error::Result;
use levain::dataflow::prelude::Pipeline;
use levain::objects::StoreOptions;
use serde::Serialize;
use serde::de::DeserializeOwned;

use recipe::Typed;

/// Is the program of a recipe: does what the arguments of this process ask for.
///
/// `build` makes the pipeline from the recipe's own options `A`, and from how stores are reached, which
/// it hands to what reads and writes. It must be a pure function of the two: workers call it again, and
/// must get the same pipeline. The program has the commands `plan`, `run`, `resume` and `worker`, with
/// the flags, settings, records, errors and exit codes of `levain bake`.
///
/// Options are read from the command line (`clap::Args`) and kept with the run as JSON (serde), so
/// whatever is read must come back equal from its JSON. Names of flags that every command has, as
/// `--store` or `--threads`, cannot be used.
///
/// ```no_run
/// use levain::basic::{Count, FlatMap, Map};
/// use levain::prelude::*;
/// use levain::tabular::{ReadText, WriteText};
///
/// /// Counts words.
/// #[derive(clap::Args, serde::Serialize, serde::Deserialize)]
/// struct Options {
///     /// Files: a path, a URL or a pattern
///     files: String,
///     /// Where the counts go, and how their names begin
///     counts: String,
/// }
///
/// fn main() -> std::process::ExitCode {
///     levain::launch(|options: Options, store| {
///         let pipeline = Pipeline::new();
///         let read = ReadText::new().with_store_options(store.clone());
///         let lines = pipeline.apply(read.from(options.files));
///         let words = lines.apply(FlatMap::of(|line: String| {
///             line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
///         }));
///         let counts = words.apply(Count::per_element());
///         let lines = counts.apply(Map::of(|(word, count): (String, u64)| format!("{word} {count}")));
///         lines.apply(WriteText::to(options.counts).with_store_options(store.clone()));
///         Ok(pipeline)
///     })
/// }
/// ```
pub fn launch<A, B>(build: B) -> ExitCode
where
    A: Args + Serialize + DeserializeOwned,
    B: Fn(A, &StoreOptions) -> Result<Pipeline>,
{
    launch_with(std::env::args_os(), build)
}

/// The same with these words in place of the arguments of the process; the first is the name of the
/// program, as in [`std::env::args_os`].
///
/// Words that make no sense end the process with exit code 2, as `--help` ends it with 0.
pub fn launch_with<A, B, W>(words: W, build: B) -> ExitCode
where
    A: Args + Serialize + DeserializeOwned,
    B: Fn(A, &StoreOptions) -> Result<Pipeline>,
    W: IntoIterator,
    W::Item: Into<OsString>,
{
    let words = words.into_iter().map(|word| word.into().to_string_lossy().into_owned());
    let words: Vec<String> = words.collect();
    commands::main(&Typed::new(build), &words)
}
