//! Keyed chunks through pipelines, against the same functions in memory.

use std::sync::Arc;

use array::{
    ArraySource, Chunk, DType, Dataset, DatasetChunk, DatasetSource, Fetched, Key, MemoryDataset,
    Placement, Region, Sizes, SourceFacts, VariableChunk,
};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::{PCollection, PTransform, Pipeline};
use dataflow::testing::{ReferenceRunner, TestPipeline, assert_that};
use proptest::prelude::{Strategy, prop_assert_eq, proptest};

use crate::keyed::{
    Chunks, ConsolidateChunks, ConsolidateVariables, DatasetToChunks, Rechunk, RechunkOptions,
    SplitChunks, SplitVariables, ValidateEachChunk, consolidate_chunks, consolidate_fully,
    consolidate_variables, rechunk_in_memory, split_chunks, split_variables,
};
use crate::keyed_runs::{Keyed, chunks, cut, run_on, sorted};

/// A variable whose elements count on from `first`.
pub(crate) fn counted(name: &str, sizes: &[(&str, u64)], first: i32) -> VariableChunk {
    let shape: Vec<u64> = sizes.iter().map(|it| it.1).collect();
    let count = shape.iter().product::<u64>() as i32;
    let elements = Chunk::of(shape, &(first..first + count).collect::<Vec<i32>>());
    let names = sizes.iter().map(|it| it.0);
    VariableChunk::new(name, names, elements.expect("as many")).expect("named")
}

/// `t2m(time, lat)`, `days(time)`, and `lat` as a coordinate.
fn weather(time: u64, lat: u64) -> DatasetChunk {
    let variables = vec![
        counted("t2m", &[("time", time), ("lat", lat)], 0),
        counted("days", &[("time", time)], 5000),
        counted("lat", &[("lat", lat)], 7000).into_coordinate(),
    ];
    DatasetChunk::new(variables).expect("lengths agree")
}

fn run<X>(input: Keyed, transform: X) -> Result<Keyed>
where
    X: PTransform<PCollection<(Key, DatasetChunk)>, Output = PCollection<(Key, DatasetChunk)>>,
{
    run_on(None, input, transform)
}

fn refused(outcome: Result<Keyed>, code: ErrorCode, why: &str) {
    let error = outcome.expect_err("it must be refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn a_dataset_is_read_in_chunks_of_any_lengths() {
    let whole = weather(7, 5);
    let source = MemoryDataset::new(&whole);
    let irregular = chunks("lat=2").with_lengths("time", [1, 4, 2]).expect("lengths");
    for at in [chunks("time=3,lat=-1"), chunks("lat=2"), irregular, Chunks::default()] {
        let pipeline = TestPipeline::new();
        let read = DatasetToChunks::new(&source, at.clone()).expect("chunks of the dataset");
        let read = pipeline.apply(read).apply(ValidateEachChunk);
        // Every dimension has an offset, also one that is whole.
        let all = at.dimensions().map(str::to_owned).collect::<Vec<_>>();
        let rest = ["time", "lat"].into_iter().filter(|name| !all.contains(&(*name).to_owned()));
        let at = rest.fold(at.clone(), |at, name| at.with(name, -1).expect("new"));
        assert_that(&read).contains_in_any_order(cut(&whole, &at));
        pipeline.run().expect("runs");
    }
    assert!(DatasetToChunks::new(&source, chunks("lon=2")).is_err());
    let short = Chunks::default().with_lengths("time", [1, 4]).expect("lengths");
    assert!(DatasetToChunks::new(&source, short).is_err());
}

#[test]
fn split_variables_are_read_once_each() {
    let whole = weather(4, 3);
    let read = DatasetToChunks::new(&MemoryDataset::new(&whole), chunks("time=2,lat=2"));
    let read = read.expect("chunks of the dataset").with_split_variables();
    let mut want = Vec::new();
    for (key, variable) in split_variables(&Key::default(), &whole).expect("variables") {
        let at = chunks(if variable.length("lat").is_some() { "time=2,lat=2" } else { "time=2" });
        want.extend(
            split_chunks(&key, &variable, &at).expect("known").map(|it| it.expect("piece")),
        );
    }
    let pipeline = TestPipeline::new();
    assert_that(&pipeline.apply(read)).contains_in_any_order(want);
    pipeline.run().expect("runs");
}

#[test]
fn what_is_split_is_consolidated_again() {
    let whole = weather(7, 5);
    let (coarse, fine) = (chunks("time=4,lat=-1"), chunks("time=2,lat=3"));
    let wanted = sorted(cut(&whole, &coarse));
    let split = run(wanted.clone(), SplitChunks::new(fine.clone())).expect("splits");
    assert_eq!(split, sorted(cut(&whole, &fine)));
    let sizes = Sizes::of([("time", 7), ("lat", 5)]);
    let consolidate = ConsolidateChunks::new(coarse).with_sizes(sizes);
    assert_eq!(run(split, consolidate).expect("consolidates"), wanted);
}

#[test]
fn variables_are_split_and_consolidated() {
    let first = cut(&weather(4, 3), &chunks("time=2"));
    let apart = run(first.clone(), SplitVariables).expect("splits");
    let keys: Vec<String> = apart.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys[..2], ["Key{time=0, vars={days}}", "Key{time=0, vars={t2m}}"]);
    let together = run(apart.clone(), ConsolidateVariables::default()).expect("consolidates");
    let keys = |keyed: &Keyed| keyed.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&together), keys(&first));
    for ((_, chunk), (_, want)) in together.iter().zip(&first) {
        assert_eq!(chunk.variables().len(), 3);
        assert!(want.variables().iter().all(|it| chunk.variable(it.name()) == Some(it)));
    }
    let (key, _) = consolidate_variables(apart).expect("consolidates").swap_remove(0);
    assert_eq!(key, Key::new([("time", 0)]).with_variables(["days", "t2m"]));
    let twice = [first.clone(), first].concat();
    refused(run(twice, ConsolidateVariables::default()), ErrorCode::GRIDS_DIFFER, "t2m");
}

#[test]
fn chunks_that_are_missing_are_named() {
    let whole = weather(8, 4);
    let pieces = sorted(cut(&whole, &chunks("time=2,lat=2")));
    let sizes = Sizes::of([("time", 8), ("lat", 4)]);
    let without = |missing: &Key| pieces.iter().filter(|it| it.0 != *missing).cloned().collect();
    let at = |time: u64, lat: u64| Key::new([("time", time), ("lat", lat)]);
    let rechunk = |input: Keyed| {
        let (source, target) = (chunks("time=2,lat=2"), chunks("time=8,lat=1"));
        run(input, Rechunk::new(sizes.clone(), &source, &target, RechunkOptions::of(4))?)
    };
    assert!(rechunk(pieces.clone()).is_ok());
    for missing in [at(0, 0), at(4, 2), at(6, 2)] {
        let outcome = rechunk(without(&missing));
        refused(outcome, ErrorCode::CHUNK_MISSING, "");
    }
    let row: Keyed = pieces.iter().filter(|it| it.0.offset("time") != Some(4)).cloned().collect();
    refused(rechunk(row.clone()), ErrorCode::CHUNK_MISSING, "time from 4 to 6");
    assert_eq!(consolidate_chunks(row).expect_err("a hole").code(), ErrorCode::CHUNK_MISSING);
    let consolidate = ConsolidateChunks::new(chunks("time=-1,lat=-1")).with_sizes(sizes.clone());
    let start: Keyed = pieces.iter().filter(|it| it.0.offset("time") < Some(6)).cloned().collect();
    refused(run(start, consolidate), ErrorCode::CHUNK_MISSING, "time from 6 to 8");
}

#[test]
fn chunks_that_contradict_each_other_are_refused() {
    let pieces = cut(&weather(4, 4), &chunks("time=2"));
    let twice = [pieces.clone(), pieces.clone()].concat();
    let consolidate = || ConsolidateChunks::new(chunks("time=4"));
    refused(run(twice, consolidate()), ErrorCode::NOT_ASCENDING, "the same key");
    let mut overlapping = pieces.clone();
    overlapping[1].0 = Key::new([("time", 1)]);
    refused(run(overlapping, consolidate()), ErrorCode::NOT_ASCENDING, "from 1 to 2");
    let mut differing = pieces.clone();
    let mut variables = differing[1].1.clone().into_variables();
    variables[2] = counted("lat", &[("lat", 4)], 0).into_coordinate();
    differing[1].1 = DatasetChunk::new(variables).expect("lengths agree");
    refused(run(differing, consolidate()), ErrorCode::STATIC_DIFFERS, "lat");
    let across = cut(&weather(4, 4), &chunks("time=3"));
    refused(
        run(across, ConsolidateChunks::new(chunks("time=2"))),
        ErrorCode::INVALID_CHUNKS,
        "beyond",
    );
}

#[test]
fn all_that_there_is_becomes_one_chunk() {
    let whole = weather(5, 3);
    let apart = split_variables(&Key::default(), &whole).expect("variables");
    let mut pieces = Vec::new();
    for (key, chunk) in apart {
        pieces.extend(split_chunks(&key, &chunk, &chunks("time=2")).expect("known"));
    }
    let (key, chunk) =
        consolidate_fully(pieces.into_iter().map(|it| it.expect("piece"))).expect("full");
    assert_eq!(key, Key::new([("time", 0)]).with_variables(["t2m", "days"]));
    assert!(whole.variables().iter().all(|it| chunk.variable(it.name()) == Some(it)));
}

#[test]
fn texts_and_bytes_travel_like_numbers() {
    let texts = Chunk::of_texts([4], &["a", "bb", "", "dddd"]).expect("four");
    let bytes = Chunk::new(DType::Bytes(2), [4], b"a\0bbc\0dd".as_slice().into()).expect("four");
    let variables = [("texts", texts), ("bytes", bytes)];
    let variables = variables.map(|(name, it)| VariableChunk::new(name, ["x"], it).expect("named"));
    let whole = DatasetChunk::new(variables.into()).expect("lengths agree");
    let sizes = Sizes::of([("x", 4)]);
    let options = RechunkOptions::of(34);
    let rechunk = Rechunk::new(sizes, &chunks("x=1"), &chunks("x=3"), options).expect("a plan");
    let got = run(cut(&whole, &chunks("x=1")), rechunk).expect("runs");
    assert_eq!(got, cut(&whole, &chunks("x=3")));
}

fn lengths(total: u64) -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(1..=total.max(2), 1..6).prop_map(move |lengths| {
        let mut left = total;
        let mut cut: Vec<u64> = Vec::new();
        for length in lengths {
            if left > 0 {
                cut.push(length.min(left));
                left -= length.min(left);
            }
        }
        if left > 0 {
            cut.push(left);
        }
        cut
    })
}

fn case() -> impl Strategy<Value = (Vec<u64>, Vec<u64>, i64, i64, u64, u64)> {
    (1u64..20, 1u64..12).prop_flat_map(|(time, lat)| {
        let target = (1i64..=time as i64, 1i64..=lat as i64);
        (lengths(time), lengths(lat), target.0, target.1, 240u64..4000, 0u64..200)
            .prop_map(|(time, lat, a, b, max, seed)| (time, lat, a, b, max, seed))
    })
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// The pipeline gives what memory does, for any chunks, however bundles are cut.
    #[test]
    fn rechunking_is_that_in_memory((time, lat, a, b, room, seed) in case()) {
        let (times, lats) = (time.iter().sum::<u64>(), lat.iter().sum::<u64>());
        let source = Chunks::default().with_lengths("time", time)?.with_lengths("lat", lat)?;
        let target = Chunks::of([("time", a), ("lat", b)])?;
        let input = cut(&weather(times, lats), &source);
        let wanted = sorted(rechunk_in_memory(input.clone(), &target)?);
        let sizes = Sizes::of([("time", times), ("lat", lats)]);
        let options = RechunkOptions::of(4).with_max_bytes(room.max(4 * times * lats)).with_min_bytes(room / 20);
        let rechunk = Rechunk::new(sizes, &source, &target, options)?;
        prop_assert_eq!(&run(input.clone(), rechunk.clone())?, &wanted);
        prop_assert_eq!(&run_on(Some(seed), input, rechunk)?, &wanted);
    }
}

#[test]
fn an_error_in_the_middle_of_a_read_names_variable_and_chunk() {
    #[derive(Debug)]
    struct Broken(MemoryDataset);
    #[derive(Debug)]
    struct BrokenArray(Arc<dyn ArraySource>);
    struct Fails;
    impl DatasetSource for Broken {
        fn dataset(&self) -> &Dataset {
            self.0.dataset()
        }
        fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
            Ok(Arc::new(BrokenArray(self.0.array(variable)?)))
        }
    }
    impl ArraySource for BrokenArray {
        fn facts(&self) -> &SourceFacts {
            self.0.facts()
        }
        fn fetch(&self, _: &[Region]) -> Result<Box<dyn Fetched>> {
            Ok(Box::new(Fails))
        }
    }
    impl Fetched for Fails {
        fn decode(self: Box<Self>, _: &mut [Placement<'_>]) -> Result<()> {
            Err(Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, "it is damaged"))
        }
    }
    let source = Broken(MemoryDataset::new(&weather(2, 2)));
    let pipeline = Pipeline::new();
    pipeline.apply(DatasetToChunks::new(&source, chunks("time=1")).expect("chunks")).collect();
    let error = pipeline.run(&ReferenceRunner).expect_err("it is damaged");
    assert_eq!(error.place("variable"), Some("t2m"), "{error}");
    assert!(error.place("chunk").is_some_and(|it| it.starts_with("Key{lat=0, time=")), "{error}");
}
