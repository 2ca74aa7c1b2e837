//! How does a run leave out the elements that fail, and say afterwards which ones are missing?
//!
//! `cargo run --example quarantine`
//!
//! What fails is no part of the recipe here; see `dead_letters` for a recipe that goes on with it.

use levain::dataflow::runner::NoObserver;
use levain::prelude::*;

/// A station and its degrees.
type Reading = (String, i64);

fn parse(line: &str) -> Result<Reading> {
    let wrong = |why| Error::new(ErrorCode::USER_ERROR, ErrorKind::User, why);
    let (station, degrees) = line.split_once('=').ok_or_else(|| wrong("no `=` in the line"))?;
    let degrees = degrees.parse().map_err(|_| wrong("no whole degrees"))?;
    Ok((station.to_owned(), degrees))
}

/// The sum of each station; what is missing in them; the exit code of a command that ends so.
pub(crate) fn run() -> Result<(Vec<Reading>, Vec<String>, u8)> {
    let pipeline = Pipeline::new();
    let lines = ["harbour=2", "tower", "bridge=3", "bridge=warm", "harbour=7"].map(str::to_owned);
    let readings = pipeline.apply(Create::of(lines)).apply_named("Parse", ParDo::of(Parse));
    let sums = readings.apply(CombinePerKey::of(Sum::<i64>::new())).collect();

    let options = RunOptions::default().with_on_error(OnError::Quarantine { limit: 2 });
    let report = pipeline.run_with(&DirectRunner::new(), &options, &NoObserver)?;
    let mut sums: Vec<_> = report.get(&sums)?.iter().collect();
    sums.sort();
    let missing = report.failures.kept().iter().map(|failure| {
        let (step, element) = (failure.step(), failure.element());
        let of = (step.unwrap_or_default(), element.unwrap_or_default());
        format!("{} in {} at {}", failure.error.code(), of.0, of.1)
    });
    Ok((sums, missing.collect(), report.outcome().exit_code()))
}

#[derive(Clone)]
struct Parse;

impl DoFn for Parse {
    type In = String;
    type Out = Reading;

    fn process(&mut self, line: String, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output(parse(&line)?)
    }
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    let (sums, missing, exit_code) = run()?;
    println!("{sums:?}\n\nmissing:\n{}\n\nexit {exit_code}", missing.join("\n"));
    Ok(())
}
