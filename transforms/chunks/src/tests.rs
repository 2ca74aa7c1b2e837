use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use array::{
    ArraySink, ArraySource, Axis, Chunk, ChunkGrid, DType, Fetched, Placement, Region, Scalar,
    SinkFacts, SourceFacts, Writing, WrittenUnit,
};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::Pipeline;
use dataflow::testing::ReferenceRunner;
use proptest::prelude::{Strategy as _, prop_assert_eq, proptest};

use crate::{CopyArrays, CopyPlan, DoneUnits, Machine, PlannedCopy, Strategy};

/// An array in memory that counts how many chunks of it were read.
#[derive(Debug)]
struct MemorySource {
    facts: SourceFacts,
    elements: Chunk,
    chunk_reads: Mutex<u64>,
}

struct Copied {
    elements: Chunk,
    regions: Vec<Region>,
}

impl ArraySource for MemorySource {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let meeting = regions.iter().map(|region| self.facts.grid.chunks_meeting(region).count());
        *self.chunk_reads.lock().expect("no panic") += meeting.sum::<usize>() as u64;
        Ok(Box::new(Copied { elements: self.elements.clone(), regions: regions.to_vec() }))
    }
}

impl Fetched for Copied {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        for (region, place) in self.regions.iter().zip(places) {
            place.into.write(&place.at, &self.elements, region)?;
        }
        Ok(())
    }
}

/// Keeps the units that were written.
#[derive(Debug)]
struct MemorySink {
    facts: SinkFacts,
    units: Mutex<BTreeMap<Vec<u64>, Chunk>>,
    refuses: Option<Vec<u64>>,
    /// Writes that nobody has waited for yet.
    on_their_way: Arc<AtomicU64>,
}

struct Done(Result<WrittenUnit>, Arc<AtomicU64>);

impl Writing for Done {
    fn encoded_bytes(&self) -> u64 {
        1
    }

    fn wait(self: Box<Self>) -> Result<WrittenUnit> {
        self.1.fetch_sub(1, Ordering::Relaxed);
        self.0
    }
}

impl ArraySink for MemorySink {
    fn facts(&self) -> &SinkFacts {
        &self.facts
    }

    fn write(&self, index: &[u64], elements: &Chunk) -> Result<Box<dyn Writing>> {
        assert_eq!(elements.shape(), self.facts.units.region(index).shape());
        self.on_their_way.fetch_add(1, Ordering::Relaxed);
        let on_their_way = Arc::clone(&self.on_their_way);
        if self.refuses.as_deref() == Some(index) {
            let error = Error::new(ErrorCode::STORE_FULL, ErrorKind::ResourceExhausted, "no room");
            return Ok(Box::new(Done(Err(error), on_their_way)));
        }
        let known = self.units.lock().expect("no panic").insert(index.to_vec(), elements.clone());
        assert!(known.is_none(), "unit {index:?} was written twice");
        Ok(Box::new(Done(Ok(WrittenUnit { encoded_bytes: 1, crc32c: 7 }), on_their_way)))
    }
}

fn facts(source: &ChunkGrid, units: &[u64]) -> (SourceFacts, SinkFacts) {
    let shape = source.shape();
    let source = SourceFacts {
        dtype: DType::Int32,
        grid: source.clone(),
        is_random_access: false,
        codecs: vec![],
        encoded_ratio: 1.0,
        recode_bytes: 0,
        fill: Scalar::zero(DType::Int32),
    };
    let sink = SinkFacts {
        dtype: DType::Int32,
        units: ChunkGrid::regular(&shape, units),
        shape,
        chunk_shape: units.to_vec(),
        fill: Scalar::zero(DType::Int32),
    };
    (source, sink)
}

/// Copies by this strategy; how many chunks were read, or the error.
fn copy(
    source: &ChunkGrid,
    units: &[u64],
    strategy: Strategy,
    refuses: Option<Vec<u64>>,
) -> Result<u64> {
    copy_until(source, units, strategy, refuses, (CancelToken::default(), &[]))
}

fn copy_until(
    source: &ChunkGrid,
    units: &[u64],
    strategy: Strategy,
    refuses: Option<Vec<u64>>,
    (cancel, done): (CancelToken, &[Vec<u64>]),
) -> Result<u64> {
    let (source_facts, sink_facts) = facts(source, units);
    let machine = Machine { memory_bytes: u64::MAX, thread_count: 2 };
    let plan = CopyPlan::choose(&source_facts, &sink_facts, machine).expect("fits");
    let count = source.shape().iter().product::<u64>() as i32;
    let values: Vec<i32> = (0..count).collect();
    let elements = Chunk::of(source.shape(), &values).expect("as many as the shape has");
    let source =
        Arc::new(MemorySource { facts: source_facts, elements, chunk_reads: Mutex::new(0) });
    let (units, on_their_way) = (Mutex::default(), Arc::default());
    let sink = Arc::new(MemorySink { facts: sink_facts, units, refuses, on_their_way });
    let planned = PlannedCopy {
        name: "v".to_owned(),
        source: Arc::<MemorySource>::clone(&source),
        sink: Arc::<MemorySink>::clone(&sink),
        plan: CopyPlan { strategy, ..plan },
    };
    let pipeline = Pipeline::new();
    let known = WrittenUnit { encoded_bytes: 1, crc32c: 7 };
    let done_units = done.iter().map(|index| (index.clone(), known)).collect();
    let done_units: DoneUnits = [("v".to_owned(), done_units)].into();
    let copies = CopyArrays::new(vec![planned]).with_cancel(cancel).with_done(done_units);
    let written = pipeline.apply(copies).collect();
    let report = pipeline.run(&ReferenceRunner);
    assert_eq!(sink.on_their_way.load(Ordering::Relaxed), 0, "writes that nobody waits for");
    let report = report?;
    let units = sink.units.lock().expect("no panic");
    let unit_count = sink.facts.units.chunk_count();
    assert_eq!(report.get(&written)?.len(), unit_count);
    assert_eq!(units.len() as u64, unit_count - done.len() as u64);
    assert!(done.iter().all(|index| !units.contains_key(index)), "a unit is written again");
    for (index, unit) in units.iter() {
        let want = source.elements.slice(&sink.facts.units.region(index))?;
        assert_eq!(unit, &want, "unit {index:?}");
    }
    let reads = *source.chunk_reads.lock().expect("no panic");
    Ok(reads)
}

const ALL: [Strategy; 3] = [Strategy::Pull, Strategy::Hold, Strategy::Shuffle];

#[track_caller]
fn check(shape: &[u64], chunks: &[u64], units: &[u64], want_reads: [u64; 3]) {
    let grid = ChunkGrid::regular(shape, chunks);
    let reads = ALL.map(|strategy| copy(&grid, units, strategy, None).expect("copies"));
    assert_eq!(reads, want_reads);
}

#[test]
fn every_strategy_copies_everything() {
    check(&[8, 6, 4], &[2, 6, 4], &[8, 2, 2], [24, 4, 4]);
    check(&[10, 7], &[4, 3], &[3, 4], [24, 9, 9]);
    check(&[5], &[5], &[5], [1, 1, 1]);
}

#[test]
fn arrays_without_elements_or_dimensions_are_copied() {
    check(&[], &[], &[], [1, 1, 1]);
    check(&[0, 3], &[2, 3], &[2, 3], [0, 0, 0]);
}

#[test]
fn a_source_may_be_cut_unevenly() {
    let grid = ChunkGrid::new([Axis::of_lengths([3, 1, 6]), Axis::regular(4, 4)]);
    for strategy in ALL {
        copy(&grid, &[4, 3], strategy, None).expect("copies");
    }
}

#[test]
fn a_unit_that_cannot_be_written_fails_the_copy() {
    let grid = ChunkGrid::regular(&[6, 6], &[2, 6]);
    for strategy in ALL {
        let error = copy(&grid, &[6, 2], strategy, Some(vec![0, 1])).expect_err("no room");
        assert_eq!(error.code(), ErrorCode::STORE_FULL);
        assert_eq!(error.place("variable"), Some("v"));
    }
}

#[test]
fn an_array_that_is_held_is_given_up_when_the_run_is_stopped() {
    let stopped = CancelToken::default();
    stopped.cancel();
    let grid = ChunkGrid::regular(&[6, 6], &[2, 6]);
    let error =
        copy_until(&grid, &[6, 2], Strategy::Hold, None, (stopped, &[])).expect_err("stopped");
    assert_eq!(error.code(), ErrorCode::CANCELLED);
}

/// Copies an array of which all units but these are there already.
#[track_caller]
fn check_rest(chunks: &[u64], units: &[u64], rest: &[Vec<u64>], want_reads: u64) {
    let grid = ChunkGrid::regular(&[10, 7], chunks);
    let all = ChunkGrid::regular(&[10, 7], units);
    let all = (0..all.chunk_count()).map(|unit| all.index_of(unit));
    let done: Vec<Vec<u64>> = all.filter(|unit| !rest.contains(unit)).collect();
    for strategy in ALL {
        let reads = copy_until(&grid, units, strategy, None, (CancelToken::default(), &done));
        assert_eq!(reads.expect("copies"), want_reads, "{strategy:?}");
    }
}

#[test]
fn units_that_are_there_are_neither_written_nor_read_for() {
    check_rest(&[4, 3], &[3, 4], &[vec![3, 1]], 2);
    check_rest(&[4, 3], &[3, 4], &[vec![0, 0]], 2);
    check_rest(&[4, 3], &[3, 4], &[], 0);
    check_rest(&[10, 1], &[1, 7], &[vec![4, 0]], 7);
}

#[track_caller]
fn check_choice(memory_bytes: u64, chunks: &[u64], units: &[u64], want: Option<Strategy>) {
    let (source, sink) = facts(&ChunkGrid::regular(&[100, 100], chunks), units);
    let machine = Machine { memory_bytes, thread_count: 2 };
    let plan = CopyPlan::choose(&source, &sink, machine);
    assert_eq!(plan.as_ref().map(|plan| plan.strategy).ok(), want, "{plan:?}");
}

#[test]
fn the_strategy_follows_grids_and_memory() {
    // 40 000 bytes; aligned units are pulled, whatever the memory.
    check_choice(u64::MAX, &[10, 100], &[20, 100], Some(Strategy::Pull));
    // Slab to pencil is held where it fits, else shuffled.
    check_choice(200_000, &[10, 100], &[100, 10], Some(Strategy::Hold));
    check_choice(50_000, &[10, 100], &[100, 10], Some(Strategy::Shuffle));
    // A little overlap is read again rather than shuffled.
    check_choice(38_000, &[10, 100], &[15, 100], Some(Strategy::Pull));
    // A unit that does not fit is refused.
    check_choice(5_000, &[10, 100], &[100, 10], None);
}

#[test]
fn an_array_that_no_machine_holds_is_refused() {
    let (source, sink) = facts(&ChunkGrid::regular(&[1 << 60], &[1 << 60]), &[1 << 60]);
    let machine = Machine { memory_bytes: 1 << 40, thread_count: 1 << 10 };
    let error = CopyPlan::choose(&source, &sink, machine).expect_err("too large");
    assert_eq!(error.code(), ErrorCode::MEMORY_TOO_SMALL);
}

proptest! {
    #[test]
    fn predicted_reads_are_the_reads(
        (shape, chunks, units) in proptest::collection::vec((0u64..9, 1u64..6, 1u64..6), 0..4)
            .prop_map(|axes| {
                let pick = |part: fn(&(u64, u64, u64)) -> u64| axes.iter().map(part).collect::<Vec<_>>();
                (pick(|a| a.0), pick(|a| a.1), pick(|a| a.2))
            })
    ) {
        let grid = ChunkGrid::regular(&shape, &chunks);
        let (source, sink) = facts(&grid, &units);
        let machine = Machine { memory_bytes: 0, thread_count: 1 };
        for strategy in ALL {
            let reads = copy(&grid, &units, strategy, None)?;
            let predicted = crate::plan::predict(&source, &sink, machine, strategy);
            prop_assert_eq!(reads, predicted.source_read_count);
        }
    }
}
