//! What does it cost to bring the values of each key together?
//!
//! 4 M pairs of a key of 8 bytes and a value of 8 bytes, 100 000 keys: in memory, spilled within
//! 64 MiB, and with one hot key that has half of all values. `spread` sends 256 MiB as elements of
//! 1 KiB through a Reshuffle; `copy` copies as many bytes into fresh memory on one thread.

use std::hint::black_box;

use basic::{FlatMap, Map, Sum};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataflow::options::RunOptions;
use dataflow::prelude::{
    CombineGlobally, CombinePerKey, Create, GroupByKey, Iterable, PCollection, Pipeline, Reshuffle,
};
use dataflow::runner::NoObserver;
use direct::DirectRunner;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BUNDLES: u32 = 16;
const PAIRS: u64 = 4_000_000;
const KEYS: u64 = 100_000;
const SCARCE_BYTES: u64 = 64 << 20;
const PAYLOADS: u32 = 256 << 10;
const PAYLOAD_BYTES: usize = 1 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Even,
    OneHot,
}

/// Pairs of which every key has about as many values, or one key half of them.
fn pairs(pipeline: &Pipeline, keys: Keys) -> PCollection<(u64, u64)> {
    let made = FlatMap::of(move |bundle: u32| {
        let start = u64::from(bundle) * PAIRS / u64::from(BUNDLES);
        (start..start + PAIRS / u64::from(BUNDLES)).map(move |n| {
            let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let is_hot = keys == Keys::OneHot && n % 2 == 0;
            (if is_hot { 0 } else { key % KEYS }, n)
        })
    });
    pipeline.apply(Create::of(0..BUNDLES)).apply(made)
}

/// Groups, adds up each group, then all; the sum, and the bytes that were spilled.
fn group(keys: Keys, memory_bytes: Option<u64>) -> (u64, u64) {
    let pipeline = Pipeline::new();
    let groups = pairs(&pipeline, keys).apply(GroupByKey);
    let sums = groups.apply(Map::of(|(_, values): (u64, Iterable<u64>)| values.iter().sum()));
    let total = sums.apply(CombineGlobally::of(Sum::<u64>::new())).collect();
    let options = RunOptions { memory_bytes, ..RunOptions::default() };
    let report = pipeline.run_with(&DirectRunner::new(), &options, &NoObserver).expect("runs");
    (report.get(&total).expect("asked for").iter().sum(), report.shuffle.spilled_bytes)
}

/// Combines by key, which is lifted, then adds up all.
fn combine(keys: Keys) -> u64 {
    let pipeline = Pipeline::new();
    let sums = pairs(&pipeline, keys).apply(CombinePerKey::of(Sum::<u64>::new()));
    let sums = sums.apply(Map::of(|(_, sum): (u64, u64)| sum));
    let total = sums.apply(CombineGlobally::of(Sum::<u64>::new())).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("runs");
    report.get(&total).expect("asked for").iter().sum()
}

fn spread() -> u64 {
    let pipeline = Pipeline::new();
    let made = FlatMap::of(|bundle: u32| {
        (0..PAYLOADS / BUNDLES).map(move |_| Bytes::from(vec![bundle as u8; PAYLOAD_BYTES]))
    });
    let payloads = pipeline.apply(Create::of(0..BUNDLES)).apply(made).apply(Reshuffle);
    let lengths = payloads.apply(Map::of(|payload: Bytes| payload.len() as u64));
    let total = lengths.apply(CombineGlobally::of(Sum::<u64>::new())).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("runs");
    report.get(&total).expect("asked for").iter().sum()
}

/// Copies the same bytes as one thread can: into pages that nobody has touched.
fn copy(payloads: &[u8]) -> u64 {
    let mut copied = 0;
    for payload in payloads.chunks(64 << 20) {
        copied += black_box(payload.to_vec()).len() as u64;
    }
    copied
}

fn shuffle(criterion: &mut Criterion) {
    let want = (0..PAIRS).sum::<u64>();
    let mut benches = criterion.benchmark_group("shuffle");
    benches.sample_size(10).throughput(Throughput::Elements(PAIRS));
    for (name, keys, memory) in [
        ("group/memory", Keys::Even, None),
        ("group/spilled", Keys::Even, Some(SCARCE_BYTES)),
        ("group/hot_key", Keys::OneHot, None),
    ] {
        let (total, spilled) = group(keys, memory);
        assert_eq!(total, want, "{name}");
        assert_eq!(spilled > 0, memory.is_some(), "{name} spills {spilled} bytes");
        benches.bench_function(name, |bench| bench.iter(|| group(keys, memory)));
    }
    for (name, keys) in [("combine/even", Keys::Even), ("combine/hot_key", Keys::OneHot)] {
        assert_eq!(combine(keys), want, "{name}");
        benches.bench_function(name, |bench| bench.iter(|| combine(keys)));
    }
    let bytes = u64::from(PAYLOADS) * PAYLOAD_BYTES as u64;
    assert_eq!(spread(), bytes, "all payloads arrive");
    benches.throughput(Throughput::Bytes(bytes));
    benches.bench_function("spread/reshuffle", |bench| bench.iter(spread));
    let payloads = vec![7; bytes as usize];
    benches.bench_function("spread/copy", |bench| bench.iter(|| copy(&payloads)));
    benches.finish();
}

criterion_group!(benches, shuffle);
criterion_main!(benches);
