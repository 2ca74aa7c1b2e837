//! What plans do at the edges: threads, machines, empty and enormous arrays, grids that do not fit.

use array::{Axis, ChunkGrid, DType, Scalar, SinkFacts, SourceFacts};
use dataflow::error::ErrorCode;

use super::choose::{Candidate, plan};
use super::cost::CostModel;
use super::method::Method;
use super::problem::{Problem, TaskMemory};
use super::rates::{CodecRates, StoreProfile};
use super::tests::problem;

fn planned(problem: &Problem) -> Candidate {
    plan(problem, &CostModel::prototype()).expect("it fits").chosen().clone()
}

/// Slabs of one chunk, ten of which are a target unit.
fn slabs(thread_count: u64, budget: u64) -> Problem {
    let problem = problem(&[1000, 50, 50], &[1, 50, 50], &[10, 25, 25], 4, budget);
    Problem { thread_count, ..problem }
}

#[test]
fn a_window_has_a_chunk_for_every_thread() {
    let window = |thread_count| match planned(&slabs(thread_count, 1 << 30)).method {
        Method::Sweep { dimension: 0, window, .. } => window,
        method => panic!("{method}"),
    };
    // Ten slabs hold no more than one does.
    assert_eq!((window(1), window(10)), (10, 10));
    assert!(window(11) >= 11 && window(64) >= 64, "{} {}", window(11), window(64));
}

#[test]
fn blocks_grow_until_they_keep_all_threads_busy() {
    let problem = problem(&[100, 8], &[1, 8], &[2, 8], 4, 1 << 20);
    let sweep = planned(&Problem { thread_count: 16, ..problem });
    let Method::Sweep { dimension, block, window } = sweep.method else { panic!("{sweep:?}") };
    let chunks = if dimension == 0 { window } else { block[0] };
    assert!(chunks >= 16, "{dimension} {block:?} {window}");
}

#[test]
fn fewer_threads_work_where_memory_does_not_suffice_for_all() {
    let of = |thread_count, budget| {
        let problem = problem(&[1000, 50, 50], &[1, 25, 50], &[10, 50, 25], 4, budget);
        planned(&Problem { thread_count, ..problem })
    };
    assert_eq!(of(8, 1 << 30).costs.thread_count, 8);
    let least = of(1, 1 << 30).costs.peak_bytes;
    let tight = of(8, least);
    assert_eq!((tight.costs.thread_count, tight.costs.peak_bytes), (1, least));
    assert!(tight.reason.contains("with memory for 1 of 8 threads at once"), "{}", tight.reason);
}

#[test]
fn threads_without_work_are_told() {
    let slabs = slabs(8, slabs(1, 0).memory.source_overhead_bytes + 100_000);
    let tight = planned(&slabs);
    assert_eq!((tight.costs.thread_count, tight.costs.busy_threads), (8, 1));
    assert!(tight.reason.contains("with work for 1 of 8 threads at once"), "{}", tight.reason);
}

#[test]
fn many_machines_rather_read_a_little_twice_than_wait() {
    let problem = problem(&[160_000, 160_000], &[1000, 1000], &[999, 999], 4, 3_000_000_000);
    let alone = planned(&problem);
    assert_eq!((alone.method.name(), alone.costs.task_count), ("sweep", 1));
    let together = planned(&problem.with_workers(30));
    assert_eq!(together.method.name(), "direct");
    assert!(together.costs.task_count >= 30, "{together:?}");
}

#[test]
fn regions_of_a_source_that_is_not_encoded_are_read_once() {
    let (shape, units) = ([1000, 1000], [1000, 10]);
    let sink = SinkFacts {
        dtype: DType::Float32,
        shape: shape.to_vec(),
        chunk_shape: units.to_vec(),
        units: ChunkGrid::regular(&shape, &units),
        codecs: Vec::new(),
        fill: Scalar::zero(DType::Float32),
        stream_bytes: None,
    };
    let direct_bytes = |is_random_access| {
        let source = SourceFacts {
            dtype: DType::Float32,
            grid: ChunkGrid::regular(&shape, &[500, 1000]),
            is_random_access,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill: Scalar::zero(DType::Float32),
        };
        // Room for a tenth of the array, and for what reads it.
        let problem = Problem::new(&source, &sink, 0, 1, 40_000);
        let room = problem.memory.source_overhead_bytes + problem.memory.target_overhead_bytes;
        let problem = Problem::new(&source, &sink, room + 400_000, 1, 40_000);
        let planned = plan(&problem, &CostModel::prototype()).expect("it fits");
        let direct = planned.candidates.into_iter().find(|it| it.method.name() == "direct");
        direct.expect("it is looked at").costs.source_bytes
    };
    assert!(direct_bytes(false) > 2 * 4_000_000);
    assert_eq!(direct_bytes(true), 4_000_000);
}

#[test]
fn empty_arrays_have_plans_without_tasks() {
    for shape in [[0, 5], [5, 0], [0, 0]] {
        let candidate = planned(&problem(&shape, &[2, 2], &[3, 3], 4, 0));
        let costs = candidate.costs;
        assert_eq!((costs.task_count, costs.target_puts, costs.source_bytes), (0, 0, 0));
    }
}

#[test]
fn an_array_without_dimensions_is_one_task() {
    let candidate = planned(&problem(&[], &[], &[], 8, 24));
    assert_eq!((candidate.costs.task_count, candidate.costs.source_gets), (1, 1));
}

#[test]
fn counts_beyond_64_bits_are_no_reason_to_fail() {
    let long = u64::MAX / 8;
    let candidate = planned(&problem(&[long, 1000], &[1, 1000], &[1000, 1], 8, 1 << 30));
    assert_eq!(candidate.costs.target_bytes, u64::MAX);
    let candidate = planned(&problem(&[1 << 40; 6], &[1 << 10; 6], &[1 << 11; 6], 8, u64::MAX));
    assert_eq!(candidate.costs.source_gets, u64::MAX);
}

#[test]
fn six_dimensions_are_planned() {
    let shape = [365, 24, 10, 20, 181, 360];
    let (source, target) = ([1, 1, 10, 20, 181, 360], [365, 24, 1, 1, 10, 10]);
    let candidate = planned(&problem(&shape, &source, &target, 4, 4 << 30));
    assert_eq!(candidate.costs.stages, 2, "{candidate:?}");
}

#[test]
fn months_are_planned_as_they_are() {
    let days = (0..1200).map(|month| [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month % 12]);
    let time = Axis::of_lengths(days);
    let length = time.length();
    let source = ChunkGrid::new([time, Axis::regular(90, 90), Axis::regular(180, 180)]);
    let shape = [length, 90, 180];
    let whole = problem(&shape, &[31, 90, 180], &[365, 45, 90], 4, 200 << 20);
    let sweep = planned(&Problem { source: source.clone(), ..whole });
    // A year of target units and the months at both ends.
    assert!(matches!(sweep.method, Method::Sweep { dimension: 0, .. }), "{sweep:?}");
    assert_eq!(sweep.costs.source_bytes, 4 * length * 90 * 180);
    let pencils = problem(&shape, &[31, 90, 180], &[length, 2, 2], 4, 80 << 20);
    let packed = planned(&Problem { source, ..pencils });
    // A group ends within a month now and then, which is read twice.
    assert!(packed.costs.read_amplification() < 1.05, "{packed:?}");
    assert_eq!(packed.costs.stages, 2);
}

#[test]
fn a_hundred_thousand_uneven_chunks_are_planned() {
    let uneven = Axis::of_lengths((0..100_000u64).map(|index| 1 + index * index % 7));
    let shape = [uneven.length(), 64];
    let source = ChunkGrid::new([uneven, Axis::regular(64, 64)]);
    let problem = problem(&shape, &[7, 64], &[shape[0], 1], 4, 8 << 20);
    let candidate = planned(&Problem { source, ..problem });
    assert!(candidate.costs.source_gets >= 100_000, "{candidate:?}");
}

#[test]
fn grids_over_different_arrays_are_refused() {
    let problem = Problem {
        target: ChunkGrid::regular(&[10, 10], &[5, 5]),
        ..problem(&[10, 11], &[5, 5], &[5, 5], 4, 1 << 20)
    };
    let error = plan(&problem, &CostModel::prototype()).expect_err("other shapes");
    assert_eq!(error.code(), ErrorCode::INVALID_CHUNKS);
    assert!(error.message().contains("[10, 11]"), "{error}");
}

#[test]
fn the_error_says_what_is_too_large_and_what_would_do() {
    let problem = problem(&[1000, 1000], &[1000, 1], &[1, 1000], 4, 11_000);
    let error = plan(&problem, &CostModel::prototype()).expect_err("no room for a chunk");
    let text = error.to_string();
    for part in ["11.7 KiB (12000 bytes)", "3.9 KiB", "10.7 KiB", "4.0 MiB more"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn threads_hold_what_the_facts_of_both_ends_say() {
    let source = SourceFacts {
        dtype: DType::Float32,
        grid: ChunkGrid::regular(&[100, 100], &[10, 100]),
        is_random_access: false,
        codecs: vec!["bytes".to_owned(), "blosc".to_owned()],
        encoded_ratio: 0.5,
        recode_bytes: 2,
        fill: Scalar::zero(DType::Float32),
    };
    let sink = SinkFacts {
        dtype: DType::Float32,
        shape: vec![100, 100],
        chunk_shape: vec![50, 50],
        units: ChunkGrid::regular(&[100, 100], &[50, 50]),
        codecs: Vec::new(),
        fill: Scalar::zero(DType::Float32),
        stream_bytes: None,
    };
    let memory = TaskMemory::new(1 << 20, &source, &sink, 1000);
    // Half of a chunk three times, a chunk twice, two bytes an element more.
    assert_eq!(memory.source_overhead_bytes, 3 * 2000 + 2 * 4000 + 2000);
    assert_eq!(memory.target_overhead_bytes, 10_000);
    let problem = Problem::new(&source, &sink, 1 << 20, 2, 1000);
    let model = CostModel::new(
        StoreProfile::LOCAL_DISK,
        CodecRates::of_codecs(&source.codecs),
        CodecRates::UNKNOWN,
    );
    let planned = plan(&problem, &model).expect("it fits");
    assert_eq!(planned.chosen().method.name(), "sweep");
}

/// How one of the workloads of the benchmarks is copied, on a disk, with two threads.
#[track_caller]
fn check_workload(problem: Problem, codecs: [&str; 2], want: &str) {
    let [source, target] = codecs.map(|codec| CodecRates::of_codecs(&[codec]));
    let model = CostModel::new(StoreProfile::LOCAL_DISK, source, target);
    let chunk = problem.memory.source_overhead_bytes / 2;
    let unit = problem.target.largest_chunk().iter().product::<u64>() * problem.item_bytes;
    let memory = TaskMemory {
        source_overhead_bytes: 2 * chunk,
        target_overhead_bytes: unit,
        cells_written_at_once: 2,
        cells_read_at_once: 2,
        ..problem.memory
    };
    let budget = memory.budget_bytes;
    let problem = Problem { thread_count: 2, memory, ..problem };
    let planned = plan(&problem, &model).expect("it fits");
    assert_eq!(planned.chosen().method.name(), want);
    assert!(planned.chosen().costs.peak_bytes <= budget);
}

#[test]
fn the_workloads_of_the_benchmarks_are_read_once() {
    let slab_to_pencil = problem(&[4320, 361, 720], &[24, 361, 720], &[4320, 24, 24], 4, 900 << 20);
    check_workload(slab_to_pencil, ["blosc", "blosc"], "packed");
    let misaligned = problem(&[24_000, 24_000], &[1000, 1000], &[999, 999], 4, 450 << 20);
    check_workload(misaligned, ["blosc", "blosc"], "sweep");
    let files = problem(&[2880, 361, 720], &[1, 361, 720], &[240, 364, 720], 4, 900 << 20);
    check_workload(files, ["deflate", "blosc"], "sweep");
    let repacked = problem(&[5760, 181, 360], &[1, 181, 360], &[240, 181, 360], 4, 450 << 20);
    check_workload(repacked.with_pass_through(true), ["blosc", "blosc"], "passthrough");
}
