//! A collection of chunks becomes a store, whole or not at all.

use levain::array::{
    Chunk, DatasetChunk, DatasetSource as _, Key, MemoryDataset, Region, Sizes, VariableChunk,
};
use levain::bake::ChunksToZarr;
use levain::chunks::{Chunks, ConsolidateChunks, DatasetToChunks, Rechunk, RechunkOptions};
use levain::dataflow::runner::NoObserver;
use levain::dataflow::testing::ReferenceRunner;
use levain::objects::{Location, StoreOptions};
use levain::prelude::*;
use levain::zarr::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSource};

use crate::made::Folder;

/// `a(t, x)`, and `x` as a coordinate.
fn source() -> MemoryDataset {
    let a = Chunk::of([5, 4], &(0..20).collect::<Vec<i32>>()).expect("twenty");
    let x = Chunk::of([4], &[0.0f64, 0.5, 1.0, 1.5]).expect("four");
    let a = VariableChunk::new("a", ["t", "x"], a).expect("named");
    let x = VariableChunk::new("x", ["x"], x).expect("named").into_coordinate();
    MemoryDataset::new(&DatasetChunk::new(vec![a, x]).expect("lengths agree"))
}

fn chunks(text: &str) -> Chunks {
    text.parse().expect("chunks")
}

fn read(pipeline: &Pipeline, at: &str) -> PCollection<(Key, DatasetChunk)> {
    pipeline.apply(DatasetToChunks::new(&source(), chunks(at)).expect("chunks of the dataset"))
}

/// A store of chunks of `t=2, x=2`; that of `x` is whole.
fn to_zarr(location: &Location) -> Result<ChunksToZarr> {
    let (shard_shape, codecs) = (None, CodecChain::default());
    let layout = VariableLayout { chunk_shape: vec![2, 2], shard_shape, codecs };
    let layout = ZarrLayout::new(ZarrFormat::V3).with_variable("a", layout);
    ChunksToZarr::new(location, source().dataset(), &layout, &StoreOptions::default())
}

fn store(folder: &Folder) -> Location {
    Location::parse(&folder.text("out.zarr")).expect("a path")
}

#[track_caller]
fn refused(pipeline: &Pipeline, location: &Location, code: ErrorCode) {
    for error in [pipeline.run(&DirectRunner::new()), pipeline.run(&ReferenceRunner)] {
        let error = error.expect_err("it must be refused");
        assert_eq!(error.code(), code, "{error}");
    }
    assert!(ZarrSource::open(location, &StoreOptions::default()).is_err(), "nothing opens");
}

#[test]
fn what_was_rechunked_is_read_back() {
    let runners: [&dyn Runner; 2] = [&DirectRunner::new(), &ReferenceRunner];
    for runner in runners {
        let folder = Folder::new();
        let location = store(&folder);
        let pipeline = Pipeline::new();
        let (from, to) = (chunks("t=1,x=-1"), chunks("t=4,x=-1"));
        let sizes = Sizes::of([("t", 5), ("x", 4)]);
        let rechunk = Rechunk::new(sizes, &from, &to, RechunkOptions::of(12)).expect("a plan");
        let written = read(&pipeline, "t=1,x=-1").apply(rechunk);
        let written = written.apply(to_zarr(&location).expect("a new store")).collect();
        let report = pipeline.run(runner).expect("runs");
        let locations: Vec<String> = report.get(&written).expect("asked for").iter().collect();
        assert_eq!(locations, [location.to_string()]);
        let opened = ZarrSource::open(&location, &StoreOptions::default()).expect("a store");
        for (name, shape) in [("a", vec![5, 4]), ("x", vec![4])] {
            let region = Region::whole(&shape);
            let read = |source: &dyn levain::array::DatasetSource| {
                source.array(name).expect("there").read(&region).expect("reads")
            };
            assert_eq!(read(&opened), read(&source()));
        }
        let error = to_zarr(&location).expect_err("it is there");
        assert_eq!(error.code(), ErrorCode::DESTINATION_EXISTS);
    }
}

#[test]
fn a_group_that_does_not_fit_says_how_much_it_needs() {
    let large = Chunk::of([1024, 1024], &vec![0f64; 1 << 20]).expect("as many");
    let large = VariableChunk::new("a", ["t", "x"], large).expect("named");
    let large = MemoryDataset::new(&DatasetChunk::new(vec![large]).expect("one variable"));
    let run = |chunk_bytes: u64, memory_bytes: u64| {
        let pipeline = Pipeline::new();
        let read = DatasetToChunks::new(&large, chunks("t=8")).expect("chunks of the dataset");
        let consolidate = ConsolidateChunks::new(chunks("t=-1")).with_chunk_bytes(chunk_bytes);
        pipeline.apply(read).apply(consolidate).collect();
        let options = RunOptions::default().with_memory_bytes(memory_bytes);
        pipeline.run_with(&DirectRunner::new(), &options, &NoObserver)
    };
    // One chunk of 8 MiB, of which the step declares a little or all.
    let error = run(1 << 10, 6 << 20).expect_err("it does not fit");
    assert_eq!(error.code(), ErrorCode::MEMORY_TOO_SMALL, "{error}");
    assert!(error.message().contains("8388608 bytes are needed for one group"), "{error}");
    let error = run(8 << 20, 6 << 20).expect_err("it is refused before anything runs");
    assert!(error.message().contains("do not suffice for this pipeline"), "{error}");
    let report = run(8 << 20, 32 << 20).expect("it fits");
    assert!(report.peak_bytes <= 32 << 20, "{}", report.peak_bytes);
}

#[test]
fn a_store_that_misses_a_chunk_is_none() {
    let folder = Folder::new();
    let location = store(&folder);
    let pipeline = Pipeline::new();
    let is_kept = |keyed: &(Key, DatasetChunk)| keyed.0.offset("t") != Some(2);
    let some = read(&pipeline, "t=2,x=4").apply(Filter::by(is_kept));
    some.apply(to_zarr(&location).expect("a new store")).collect();
    refused(&pipeline, &location, ErrorCode::CHUNK_MISSING);
    let pipeline = Pipeline::new();
    let none = read(&pipeline, "t=2,x=4").apply(Filter::by(|_: &(Key, DatasetChunk)| false));
    none.apply(to_zarr(&location).expect("a new store")).collect();
    refused(&pipeline, &location, ErrorCode::CHUNK_MISSING);
}

#[test]
fn chunks_that_cut_a_unit_or_come_twice_are_refused() {
    let folder = Folder::new();
    let location = store(&folder);
    let pipeline = Pipeline::new();
    read(&pipeline, "t=3,x=4").apply(to_zarr(&location).expect("a new store")).collect();
    refused(&pipeline, &location, ErrorCode::INVALID_CHUNKS);
    let pipeline = Pipeline::new();
    let once = read(&pipeline, "t=2,x=4");
    let twice = PCollectionList::of(&once, [once.clone()]).apply(Flatten);
    twice.apply(to_zarr(&location).expect("a new store")).collect();
    refused(&pipeline, &location, ErrorCode::NOT_ASCENDING);
}
