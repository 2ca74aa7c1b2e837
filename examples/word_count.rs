//! How are words counted, in files on any store, here or by workers, with a program of my own?
//!
//! ```text
//! cargo run --release --example word_count -- run 'texts/*.txt' counts/words
//! cargo run --release --example word_count -- run --runner procs --workers 2 --threads 2 'texts/*.txt' counts/words
//! cargo run --release --example word_count -- resume
//! ```
//!
//! `plan` says what would run. All commands and flags: `--help`.

use std::process::ExitCode;

use levain::objects::StoreOptions;
use levain::prelude::*;
use levain::tabular::{MatchAll, ReadText, WriteText};
use serde::{Deserialize, Serialize};

/// What is counted, and where the counts go.
#[derive(Debug, Clone, clap::Args, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Text files: paths, URLs or patterns
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,

    /// Where the counts go, as a path or URL, and how the names of their files begin
    #[arg(value_name = "COUNTS")]
    pub(crate) counts: String,

    /// Files of counts that are written; 0: 8
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) shards: u32,

    /// Replaces counts that are there already
    #[arg(long)]
    pub(crate) overwrite: bool,
}

fn main() -> ExitCode {
    levain::launch(build)
}

/// Lines with a word and its count, for every word of the files.
pub(crate) fn build(options: Options, store: &StoreOptions) -> Result<Pipeline> {
    let pipeline = Pipeline::new();
    let files = pipeline
        .apply(Create::of(options.files))
        .apply(MatchAll::new().with_store_options(store.clone()));
    let lines = files.apply(ReadText::new().with_store_options(store.clone()));
    let counts = lines.apply(ParDo::of(Words)).apply(Count::per_element());
    let counted = counts.apply(Map::of(|(word, count): (String, u64)| format!("{word} {count}")));
    let write = WriteText::to(options.counts)
        .with_num_shards(options.shards)
        .with_store_options(store.clone());
    counted.apply(if options.overwrite { write.with_overwrite() } else { write });
    Ok(pipeline)
}

/// Puts out the words of lines.
#[derive(Clone)]
struct Words;

impl DoFn for Words {
    type In = String;
    type Out = String;

    fn process(&mut self, line: String, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        line.split_ascii_whitespace().try_for_each(|word| ctx.output(word.to_owned()))
    }
}
