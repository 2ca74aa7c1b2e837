//! How does a run go on when some elements cannot be processed, and what is known of those?
//!
//! `cargo run --example dead_letters`

use levain::prelude::*;

/// A line of a log: a station, and degrees.
type Reading = (String, i64);

fn parse(line: &str) -> Result<Reading> {
    let wrong = |why: &str| Error::new(ErrorCode::USER_ERROR, ErrorKind::User, why);
    let (station, degrees) = line.split_once('=').ok_or_else(|| wrong("no `=` in the line"))?;
    let degrees = degrees.parse().map_err(|why: std::num::ParseIntError| {
        wrong("no whole degrees").caused_by(wrong(&why.to_string()))
    })?;
    Ok((station.to_owned(), degrees))
}

/// Puts out every degree from zero up to the one that was read, and refuses what cannot be.
#[derive(Clone)]
struct Scale;

impl DoFn for Scale {
    type In = Reading;
    type Out = Reading;

    fn process(&mut self, reading: Reading, ctx: &mut ProcessContext<'_, Reading>) -> Result<()> {
        let (station, degrees) = reading;
        for degree in 0..=degrees {
            // What was put out for an element that fails later is taken back.
            assert!(degree <= 60, "{degree} degrees at {station}");
            ctx.output((station.clone(), degree))?;
        }
        Ok(())
    }
}

/// What came of it: lines of results, and a report of each element that failed.
pub(crate) fn run() -> Result<(Vec<String>, Vec<String>)> {
    let pipeline = Pipeline::new();
    let lines = ["harbour=2", "tower", "bridge=warm", "oven=200"].map(str::to_owned);
    let lines = pipeline.apply(Create::of(lines));

    let readings = lines.apply_named("Parse", TryMap::of(|line: String| parse(&line)));
    let scaled = readings.good.apply_named("Scale", TryParDo::of(Scale));
    let counts = scaled.good.apply(Count::per_key()).apply(ToStrings::kvs(" "));

    // Letters of two steps carry elements of two types; their reports are texts.
    let of_lines = readings.failed.apply(Map::of(|letter: Failed<String>| describe(&letter)));
    let of_readings = scaled.failed.apply(Map::of(|letter: Failed<Reading>| describe(&letter)));
    let letters = PCollectionList::of(&of_lines, [of_readings]).apply(Flatten);

    let (counts, letters) = (counts.collect(), letters.collect());
    let report = pipeline.run(&DirectRunner::new())?;
    let sorted = |collected| -> Result<Vec<String>> {
        let mut all: Vec<String> = report.get(collected)?.iter().collect();
        all.sort();
        Ok(all)
    };
    Ok((sorted(&counts)?, sorted(&letters)?))
}

/// The code, the step, the element and the message; `letter.report()` has the whole.
fn describe<T: Element>(letter: &Failed<T>) -> String {
    let Failed { error, step, preview, .. } = letter;
    format!("{} in {step}: {preview}: {}", error.code(), error.message())
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    let (counts, letters) = run()?;
    println!("{}\n\nfailed:\n{}", counts.join("\n"), letters.join("\n"));
    Ok(())
}
