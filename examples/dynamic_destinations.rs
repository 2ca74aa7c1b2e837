//! How does every element choose the file that it goes to, exactly once whatever is retried?
//!
//! `cargo run --example dynamic_destinations -- [FOLDER or URL]`

use levain::prelude::*;
use levain::tabular::{Compression, MatchManifest, ReadText, WriteDynamic, WriteText};

/// Where something was sold, and for how much.
type Sale = (String, i64);

/// Writes the sales of each shop below `folder`, and reads those of one shop back.
///
/// Gives a line for each destination, and then the sales of `paris`.
pub(crate) fn run(folder: &str) -> Result<Vec<String>> {
    let shops = ["paris", "oslo", "quito"];
    let sales = (0..30usize).map(|n| (shops[n * n % 7 % 3].to_owned(), n as i64 * 5));

    let pipeline = Pipeline::new();
    let files = WriteText::to(folder).with_num_shards(2).with_compression(Compression::Gzip);
    let written = pipeline
        .apply(Create::of(sales))
        .apply(WriteDynamic::via(
            |(shop, _): &Sale| shop.clone(),
            |(_, cents): Sale| format!("{}.{:02}", cents / 100, cents % 100),
            files.with_overwrite(),
        ))
        .collect();
    let report = pipeline.run(&DirectRunner::new())?;
    let mut lines: Vec<String> = Vec::new();
    for files in report.get(&written)?.iter() {
        let shop = files.destination.rsplit('/').next().unwrap_or_default().to_owned();
        let manifest = files.manifest;
        lines.push(format!(
            "{shop}: {} sales, {} files",
            manifest.record_count,
            manifest.shards.len()
        ));
    }
    lines.sort();

    // The manifest lists the files of a write that has ended; before that there is none.
    let pipeline = Pipeline::new();
    let files =
        pipeline.apply(MatchManifest::of(format!("{}/paris", folder.trim_end_matches('/'))));
    let prices = files.apply(ReadText::new()).collect();
    let report = pipeline.run(&DirectRunner::new())?;
    let mut prices: Vec<String> = report.get(&prices)?.iter().collect();
    prices.sort();
    lines.extend(prices);
    Ok(lines)
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("levain-example-sales");
    for line in run(&folder.display().to_string())? {
        println!("{line}");
    }
    Ok(())
}
