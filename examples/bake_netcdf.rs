//! How are many NetCDF files baked into one Zarr store, within the memory that I allow?
//!
//! `cargo run --example bake_netcdf`

use std::path::Path;

use levain::bake::BakeOptions;
use levain::chunks::ByteSize;
use levain::dataflow::runner::NoObserver;
use levain::job::{Bake, BakeReport, MemoryLimit, SampleFormat, write_sample_files};
use levain::prelude::Result;

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("levain-example-bake");
    let report = run(&folder, MemoryLimit::of(ByteSize(512 << 20)))?;
    println!("{} objects of {} in {}", report.unit_count, report.size(), report.destination);
    Ok(())
}

/// Makes a few days of hourly files, of which each counts time from its own day, and joins them.
pub(crate) fn run(folder: &Path, memory: MemoryLimit) -> Result<BakeReport> {
    let files = write_sample_files(&folder.join("files"), 8_000_000, SampleFormat::InTurns)?;
    let sources = files.paths.iter().map(|path| path.display().to_string());
    let options = BakeOptions {
        chunks: "time=24,lat=60,lon=-1".parse()?,
        shards: "time=24,lat=-1".parse()?,
        ..BakeOptions::default()
    };
    let bake = Bake::new(sources, &folder.join("t2m.zarr").display().to_string())?
        .with_options(options)
        .with_memory(memory)
        .with_overwrite(true);
    // Scanning says what would be written, and writes nothing.
    let scanned = bake.scan(&NoObserver)?;
    assert_eq!(scanned.plan.concat.as_deref(), Some("time"));
    scanned.write(&NoObserver)
}
