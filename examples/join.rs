//! How are two collections brought together by key, and what of those without a partner?
//!
//! `cargo run --example join`

use levain::prelude::*;

/// What two collections have for one station: its names, and what it measured.
type Both = (i64, (TaggedIterable<String>, TaggedIterable<i64>));

fn stations(pipeline: &Pipeline) -> PCollection<(i64, String)> {
    let stations = [(1, "harbour"), (2, "tower"), (3, "bridge")];
    let stations = stations.map(|(id, name)| (id, name.to_owned()));
    pipeline.apply_named("Stations", Create::of(stations))
}

fn measured(pipeline: &Pipeline) -> PCollection<(i64, i64)> {
    let degrees = [(1, 12), (1, 14), (3, 9), (7, 40)];
    pipeline.apply_named("Measured", Create::of(degrees))
}

/// One line for every station, with all that it measured; one for each stray measurement.
pub(crate) fn run() -> Result<Vec<String>> {
    let pipeline = Pipeline::new();
    let (stations, measured) = (stations(&pipeline), measured(&pipeline));

    // A join puts out one element for each pair: here also where either is missing.
    let pairs = stations.apply(FullJoin::with(&measured));
    let strays =
        pairs.apply(FlatMap::of(|(id, pair): (i64, (Option<String>, Option<i64>))| match pair {
            (None, Some(degrees)) => Some(format!("station {id} is not known: {degrees}")),
            _ => None,
        }));

    // CoGroupByKey puts out one element for each key, with all values of every collection.
    let both = stations.apply(CoGroupByKey::with(&measured));
    let lines = both.apply(FlatMap::of(|(_, (names, degrees)): Both| {
        let greatest = degrees.iter().max().map_or("nothing".to_owned(), |n| n.to_string());
        let count = degrees.iter().count();
        names.iter().map(|name| format!("{name}: {greatest} of {count}")).collect::<Vec<_>>()
    }));

    let lines = PCollectionList::of(&lines, [strays]).apply(Flatten).collect();
    let report = pipeline.run(&DirectRunner::new())?;
    let mut lines: Vec<String> = report.get(&lines)?.iter().collect();
    lines.sort();
    Ok(lines)
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    for line in run()? {
        println!("{line}");
    }
    Ok(())
}
