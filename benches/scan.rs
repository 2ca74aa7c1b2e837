//! How many headers of local files are scanned in a second, in one pass, with their coordinates?
//!
//! `cargo bench --bench scan`: makes 10 000 classic files of four steps each, then scans them five
//! times; the median and the files a second. A pass lists, opens, reads the header and `time` of
//! every file, reduces all schemas to one, checks it and plans.

use std::path::Path;
use std::time::{Duration, Instant};

use levain::dataflow::error::Result;
use levain::dataflow::runner::NoObserver;
use levain::job::Bake;
use netcdf_writer::{NcAttrValue, NcFileBuilder, NcWriteFormat, NcWriteOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FILES: usize = 10_000;
const STEPS: usize = 4;
const ROUNDS: usize = 5;

#[expect(clippy::print_stdout, reason = "a bench shows what it found")]
fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("levain-bench-scan");
    std::fs::create_dir_all(&folder)?;
    for index in 0..FILES {
        let path = folder.join(format!("{index:05}.nc"));
        std::fs::write(path, file(index).expect("a file can be made"))?;
    }
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        times.push(scan(&folder)?);
    }
    times.sort_unstable();
    let median = times[ROUNDS / 2].as_secs_f64();
    println!("{FILES} files in {median:.2} s: {:.0} files a second", FILES as f64 / median);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn scan(folder: &Path) -> Result<Duration> {
    let source = folder.join("*.nc").display().to_string();
    let destination = folder.join("out.zarr").display().to_string();
    let began = Instant::now();
    let scanned = Bake::new([source], &destination)?.scan(&NoObserver)?;
    assert_eq!(scanned.plan.files.len(), FILES, "every file is scanned");
    Ok(began.elapsed())
}

fn file(index: usize) -> Result<Vec<u8>, netcdf_writer::Error> {
    let mut file = NcFileBuilder::new();
    let time = file.add_unlimited_dimension("time")?;
    let (y, x) = (file.add_dimension("y", 10)?, file.add_dimension("x", 12)?);
    let hours: Vec<f64> = (0..STEPS).map(|step| (6 * (STEPS * index + step)) as f64).collect();
    let variable = file.add_variable::<f64>("time", &[time])?;
    let units = NcAttrValue::Chars("hours since 2000-01-01".to_owned());
    file.add_variable_attribute(variable, "units", units)?;
    file.write_variable(variable, &hours)?;
    for (name, dimension, length) in [("y", y, 10), ("x", x, 12)] {
        let places: Vec<f64> = (0..length).map(f64::from).collect();
        let variable = file.add_variable::<f64>(name, &[dimension])?;
        file.write_variable(variable, &places)?;
    }
    let variable = file.add_variable::<f32>("t2m", &[time, y, x])?;
    file.write_variable(variable, &vec![280.0f32; STEPS * 120])?;
    Ok(file.to_vec(NcWriteOptions { format: NcWriteFormat::Classic })?.1)
}
