//! How fast are arrays copied from one grid of chunks to another?
//!
//! `slab_to_pencil` is W1 small: a Zarr array of (1080, 181, 360) float32, 281 MB, from chunks of
//! (24, 181, 360) to (1080, 24, 24). `files_to_shards` is W3 small: 20 NetCDF-4 files of 24 hours
//! into shards of (240, 184, 360) with chunks of (24, 46, 90), 125 MB. Both within 1 GiB, of which what
//! earlier rounds have left in the allocator is taken off.

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use levain::bake::BakeOptions;
use levain::chunks::ByteSize;
use levain::job::{Bake, MemoryLimit, SampleFormat, write_sample_files};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEP_BYTES: u64 = 181 * 360 * 4;
const MEMORY: MemoryLimit = MemoryLimit::of(ByteSize(1 << 30));

/// Days of sample files in `folder`; one NetCDF-4 file takes less than one day decoded.
fn days(folder: &Path, count: usize) -> Vec<String> {
    let mut size_bytes = 1;
    loop {
        let files = write_sample_files(folder, size_bytes, SampleFormat::Nc4).expect("writable");
        if files.paths.len() >= count {
            let days = files.paths.iter().take(count);
            return days.map(|path| path.display().to_string()).collect();
        }
        size_bytes += files.size_bytes / files.paths.len() as u64 * count as u64;
    }
}

fn bake(sources: &[String], destination: &Path, chunks: &str, shards: &str) {
    let options = BakeOptions {
        chunks: chunks.parse().expect("a spec"),
        shards: shards.parse().expect("a spec"),
        ..BakeOptions::default()
    };
    Bake::new(sources.iter().cloned(), &destination.display().to_string())
        .expect("a path")
        .with_options(options)
        .with_overwrite(true)
        .with_memory(MEMORY)
        .run()
        .expect("bakes");
}

fn rechunk(criterion: &mut Criterion) {
    let folder = std::env::temp_dir().join("levain-bench-rechunk");
    let files = days(&folder.join("files"), 45);
    let slabs = folder.join("slabs.zarr");
    bake(&files, &slabs, "time=24,lat=-1,lon=-1", "");
    let slabs = [slabs.display().to_string()];
    let pencils = folder.join("pencils.zarr");
    let shards = folder.join("shards.zarr");
    let mut group = criterion.benchmark_group("rechunk");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(45 * 24 * STEP_BYTES));
    group.bench_function("slab_to_pencil", |bench| {
        bench.iter(|| bake(&slabs, &pencils, "time=-1,lat=24,lon=24", ""));
    });
    group.throughput(Throughput::Bytes(20 * 24 * STEP_BYTES));
    group.bench_function("files_to_shards", |bench| {
        bench.iter(|| {
            bake(&files[..20], &shards, "time=24,lat=46,lon=90", "time=240,lat=184,lon=360");
        });
    });
    group.finish();
    std::fs::remove_dir_all(&folder).expect("ours");
}

criterion_group!(benches, rechunk);
criterion_main!(benches);
