//! `levain demo`: the main job from nothing, on files that it makes itself.

use std::path::Path;
use std::time::Instant;

use levain::bake::BakeOptions;
use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{
    Bake, BakeReport, SampleFormat, VerifyLevel, verify_with_runs, write_sample_files,
    write_sample_tiles,
};
use levain::objects::Location;
use serde_json::json;

use crate::cli::args::DemoArgs;
use crate::cli::bake::finished_text;
use crate::cli::out::Out;
use crate::cli::progress::Display;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;

/// Makes files, bakes, rechunks and verifies them, and says how fast.
pub(crate) fn demo(args: &DemoArgs, settled: &Settled, out: &Out, signals: &Watched) -> Result<()> {
    let folder = &args.dir;
    let sources = folder.join("files");
    let began = Instant::now();
    let size_bytes = u64::from(args.megabytes) * 1_000_000;
    let files = write_sample_files(&sources, size_bytes, SampleFormat::InTurns)?;
    out.line(&format!(
        "made       {}   {} NetCDF files, classic and NetCDF-4 in turns, {}   {:.1} s",
        sources.display(),
        files.paths.len(),
        ByteSize(files.size_bytes),
        began.elapsed().as_secs_f64(),
    ))?;
    // Nothing here bakes these; recipes that are shown do.
    write_sample_tiles(&folder.join("tiles"))?;
    let sources: Vec<String> = files.paths.iter().map(|path| path.display().to_string()).collect();
    let slabs = folder.join("by-day.zarr");
    let options =
        BakeOptions { chunks: "time=24,lat=-1,lon=-1".parse()?, ..BakeOptions::default() };
    let began = Instant::now();
    let baked = run("bake", &sources, &slabs, options, args, settled, signals)?;
    say_done("baked   ", &baked, began, out)?;
    let pencils = folder.join("by-place.zarr");
    let options =
        BakeOptions { chunks: "time=-1,lat=24,lon=24".parse()?, ..BakeOptions::default() };
    let source = [slabs.display().to_string()];
    let began = Instant::now();
    let rechunked = run("rechunk", &source, &pencils, options, args, settled, signals)?;
    say_done("rechunk ", &rechunked, began, out)?;
    for store in [&slabs, &pencils] {
        check(store, settled, out, signals)?;
    }
    out.line(&format!(
        "open it    python -c \"import xarray; print(xarray.open_zarr('{}'))\"",
        pencils.display()
    ))?;
    if out.is_json() {
        let stores = [&baked, &rechunked].map(
            |report| json!({ "destination": report.destination, "objects": report.unit_count }),
        );
        out.result("", &json!({ "v": 1, "files": files.paths.len(), "stores": stores }))?;
    }
    Ok(())
}

fn run(
    title: &'static str,
    sources: &[String],
    destination: &Path,
    options: BakeOptions,
    args: &DemoArgs,
    settled: &Settled,
    signals: &Watched,
) -> Result<BakeReport> {
    let bake = Bake::new(sources.iter().cloned(), &destination.display().to_string())?
        .with_options(options)
        .with_overwrite(true)
        .with_cancel(signals.token());
    let bake = settled.apply(bake, &args.run, title)?;
    let report = bake.scan(&Display::new("scan", args.run.progress))?;
    report.write(&Display::new(title, args.run.progress))
}

fn say_done(word: &str, report: &BakeReport, began: Instant, out: &Out) -> Result<()> {
    let text = finished_text(report, began.elapsed().as_secs_f64());
    out.line(&text.replacen("finished", word, 1))
}

fn check(store: &Path, settled: &Settled, out: &Out, signals: &Watched) -> Result<()> {
    let location = Location::parse(&store.display().to_string())?;
    let threads = settled.threads(None);
    let began = Instant::now();
    let stop = signals.token();
    let (options, level) = (settled.store()?, VerifyLevel::default());
    let runs = settled.run_store();
    let report = verify_with_runs(&location, runs, &options, level, threads, |_| stop.check())?;
    if report.finding_count > 0 {
        let message = format!("{} units are not right", report.finding_count);
        return Err(Error::new(ErrorCode::CHUNK_CORRUPT, ErrorKind::Corrupt, message)
            .at("store", &location));
    }
    out.line(&format!(
        "verified   {}   {} objects are there, decode, and are those that were written   {:.1} s",
        store.display(),
        report.unit_count,
        began.elapsed().as_secs_f64(),
    ))
}
