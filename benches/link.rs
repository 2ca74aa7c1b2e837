//! What does an element cost on its way through DoFns that do nothing, fused into one stage?
//!
//! 4 M integers are made in 16 bundles and run through 1, 4 and 16 closures on one thread; what is
//! left at the end is counted. The time of a DoFn is the difference between two chains by the
//! difference of their lengths: `ns = (t16 - t4) / 12 / 4e6`.

use std::hint::black_box;
use std::num::NonZeroUsize;

use basic::{Count, Filter, FlatMap, Map};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dataflow::prelude::{CombineGlobally, Create, Pipeline};
use direct::DirectRunner;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BUNDLES: u32 = 16;
const BUNDLE_ELEMENTS: u64 = 250_000;

fn run(dofn_count: usize) -> u64 {
    let pipeline = Pipeline::new();
    let made = FlatMap::of(|bundle: u32| {
        let start = i64::from(bundle) << 32;
        start..start + BUNDLE_ELEMENTS as i64
    });
    let mut elements = pipeline.apply(Create::of(0..BUNDLES)).apply(made);
    for _ in 0..dofn_count {
        elements = elements.apply(Map::of(|n: i64| black_box(n)));
    }
    // What is counted is nothing, so that the end of the chain costs the same for all lengths.
    let few = elements.apply(Filter::by(|n: &i64| n & 0xffff_ffff == 0));
    let count = few.apply(CombineGlobally::of(Count::new())).collect();
    let runner = DirectRunner::new().with_threads(NonZeroUsize::MIN);
    let report = pipeline.run(&runner).expect("runs");
    report.get(&count).expect("asked for").iter().sum()
}

fn link(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("link");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(BUNDLES) * BUNDLE_ELEMENTS));
    for dofn_count in [1, 4, 16] {
        assert_eq!(run(dofn_count), u64::from(BUNDLES), "one element of each bundle is left");
        let id = BenchmarkId::from_parameter(dofn_count);
        group.bench_with_input(id, &dofn_count, |bench, &count| bench.iter(|| run(count)));
    }
    group.finish();
}

criterion_group!(benches, link);
criterion_main!(benches);
