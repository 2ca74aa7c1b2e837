//! What is the mean of every month and hour, over many years?
//!
//! `cargo run --example climatology`

use levain::array::{
    Attributes, Chunk, DatasetChunk, DatasetSource, Key, MemoryDataset, Region, VariableChunk,
};
use levain::cf::{Packing, TimePart, time_encoding};
use levain::chunks::{DatasetToChunks, Groups, Reduce, Reduction};
use levain::prelude::*;

/// Steps of six hours, for two years.
const STEPS: u64 = 2 * 365 * 4;

/// Two years of temperatures at two stations: 10 degrees, 1 more for each month, 1 more at noon.
fn weather() -> Result<MemoryDataset> {
    let hours: Vec<i64> = (0..STEPS as i64).map(|step| step * 6).collect();
    let first_days = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let degrees = |step: u64| {
        let month = first_days.partition_point(|&first| first <= step / 4 % 365) as u64;
        let noon = u64::from(step % 4 == 2);
        [0, 5].map(|station| (9 + month + noon + station) as f32)
    };
    let degrees: Vec<f32> = (0..STEPS).flat_map(degrees).collect();
    let time = VariableChunk::new("time", ["time"], Chunk::of([STEPS], &hours)?)?;
    let t2m = VariableChunk::new("t2m", ["time", "station"], Chunk::of([STEPS, 2], &degrees)?)?;
    let mut about_time = Attributes::default();
    about_time.set("units", "hours since 2001-01-01");
    about_time.set("calendar", "noleap");
    MemoryDataset::new(&DatasetChunk::new(vec![time, t2m])?).with_attributes("time", &about_time)
}

/// The month and the hour of every element along `time`.
fn months_and_hours(source: &dyn DatasetSource) -> Result<Groups> {
    let time = source.dataset().expect_variable("time")?;
    let encoding = time_encoding(source.dataset(), time)?;
    let encoding = encoding.ok_or_else(|| {
        let message = "`time` has no units";
        Error::new(ErrorCode::TIMES_DIFFER, ErrorKind::InvalidInput, message)
    })?;
    let numbers = source.array("time")?.read(&Region::whole(&time.shape))?;
    let instants = encoding.decode(&numbers, &Packing::parse(&time.attributes, time.dtype)?)?;
    let months = Groups::along("time", "month", instants.labels(TimePart::Month)?)?;
    months.with("hour", instants.labels(TimePart::Hour)?)
}

/// One line for every month and hour: the means at both stations.
pub(crate) fn run() -> Result<Vec<String>> {
    let source = weather()?;
    let climatology = Reduce::with(Reduction::mean()).by(months_and_hours(&source)?);

    let pipeline = Pipeline::new();
    // Chunks need not end where months do.
    let chunks = pipeline.apply(DatasetToChunks::new(&source, "time=100".parse()?)?);
    let means = chunks.apply(climatology).collect();
    let report = pipeline.run(&DirectRunner::new())?;

    let mut means: Vec<(Key, DatasetChunk)> = report.get(&means)?.iter().collect();
    means.sort_by_key(|(key, _)| (key.offset("month"), key.offset("hour")));
    let line = |(key, chunk): &(Key, DatasetChunk)| {
        let label = |name: &str| key.offset(name).unwrap_or_default();
        let means = chunk.expect_variable("t2m")?.elements().values::<f64>()?;
        let means: Vec<String> = means.iter().map(|mean| format!("{mean:.2}")).collect();
        Ok(format!("month {:2} at {:2}h: {}", label("month") + 1, label("hour"), means.join(" ")))
    };
    means.iter().map(line).collect()
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    for line in run()? {
        println!("{line}");
    }
    Ok(())
}
