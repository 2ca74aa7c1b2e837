use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use array::{
    ArrayBuffer, ArraySink, ArraySource, Axis, Chunk, ChunkGrid, DType, Fetched, Placement, Region,
    Scalar, SinkFacts, SourceFacts, UnitStream, Writing, WrittenUnit,
};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::RunOptions;
use dataflow::testing::{ReferenceRunner, TestPipeline};
use proptest::prelude::{prop_assert_eq, proptest};

use crate::{CopyArrays, CopyPlan, DoneUnits, Machine, Method, PlannedCopy};

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

    fn stream(&self, index: &[u64]) -> Result<Box<dyn UnitStream + '_>> {
        let shape = self.facts.units.region(index).shape();
        let state = Mutex::new((BTreeSet::new(), ArrayBuffer::zeroed(self.facts.dtype, &shape)));
        Ok(Box::new(MemoryStream { sink: self, index: index.to_vec(), state }))
    }
}

/// A unit that is put together of the chunks of a stream.
struct MemoryStream<'a> {
    sink: &'a MemorySink,
    index: Vec<u64>,
    /// The chunks that came, and the unit.
    state: Mutex<(BTreeSet<u64>, ArrayBuffer)>,
}

impl UnitStream for MemoryStream<'_> {
    fn put(&self, place: u64, elements: &Chunk) -> Result<()> {
        let mut state = self.state.lock().expect("no panic");
        let (places, buffer) = &mut *state;
        let chunks = ChunkGrid::regular(buffer.shape(), &self.sink.facts.chunk_shape);
        let region = chunks.region(&chunks.index_of(place));
        assert_eq!(elements.shape(), region.shape(), "chunk {place}");
        assert!(places.insert(place), "chunk {place} is put twice");
        buffer.write(&region.start(), elements, &Region::whole(elements.shape()))
    }

    fn put_encoded(&self, place: u64, _: Option<Bytes>) -> Result<()> {
        Err(Error::internal(format!("chunk {place} is encoded already")))
    }

    fn finish(self: Box<Self>) -> Result<WrittenUnit> {
        let (places, buffer) = self.state.into_inner().expect("no panic");
        let chunks = ChunkGrid::regular(buffer.shape(), &self.sink.facts.chunk_shape);
        assert_eq!(places.len() as u64, chunks.chunk_count(), "chunks are missing");
        self.sink.write(&self.index, &buffer.freeze()?)?.wait()
    }
}

fn facts(source: &ChunkGrid, units: &[u64]) -> (SourceFacts, SinkFacts) {
    facts_of_chunks(source, units, units)
}

fn facts_of_chunks(source: &ChunkGrid, units: &[u64], chunks: &[u64]) -> (SourceFacts, SinkFacts) {
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
        chunk_shape: chunks.to_vec(),
        codecs: vec![],
        fill: Scalar::zero(DType::Int32),
        stream_bytes: Some(64),
    };
    (source, sink)
}

/// Copies by this method; how many chunks were read, or the error.
fn copy(
    source: &ChunkGrid,
    units: &[u64],
    method: &Method,
    refuses: Option<Vec<u64>>,
) -> Result<u64> {
    copy_until(source, (units, units), method, refuses, &[])
}

/// Whatever payloads do, all is copied, and as much is read for it.
fn copy_until(
    source: &ChunkGrid,
    grids: (&[u64], &[u64]),
    method: &Method,
    refuses: Option<Vec<u64>>,
    done: &[Vec<u64>],
) -> Result<u64> {
    let in_elements = RunOptions::default().with_payloads_in_elements(1 << 20);
    let sent = copy_with(&in_elements, source, grids, method, (refuses.clone(), done));
    let aside = copy_with(&RunOptions::default(), source, grids, method, (refuses, done));
    assert_eq!(sent.as_ref().ok(), aside.as_ref().ok(), "{method:?}");
    aside
}

fn copy_with(
    options: &RunOptions,
    source: &ChunkGrid,
    (units, chunks): (&[u64], &[u64]),
    method: &Method,
    (refuses, done): (Option<Vec<u64>>, &[Vec<u64>]),
) -> Result<u64> {
    let (source_facts, sink_facts) = facts_of_chunks(source, units, chunks);
    let machine = Machine::local(u64::MAX, 2);
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
        plan: CopyPlan { method: method.clone(), ..plan },
    };
    let pipeline = TestPipeline::on(&ReferenceRunner).with_options(options.clone());
    let known = WrittenUnit { encoded_bytes: 1, crc32c: 7 };
    let done_units = done.iter().map(|index| (index.clone(), known)).collect();
    let done_units: DoneUnits = [("v".to_owned(), done_units)].into();
    let copies = CopyArrays::new(vec![planned]).with_done(done_units);
    let written = pipeline.apply(copies).collect();
    let report = pipeline.run();
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

/// By units, by groups of two units each way, swept, and in one and two stages.
fn methods(shape: &[u64], chunks: &[u64], units: &[u64]) -> Vec<Method> {
    let least = |a: u64, b: u64| (1..).map(|n| n * a.max(1)).find(|n| n % b.max(1) == 0);
    let common = chunks.iter().zip(units).map(|(&a, &b)| least(a, b).expect("there is one"));
    let common: Vec<u64> = common.collect();
    let twice: Vec<u64> = units.iter().map(|unit| unit * 2).collect();
    let mut block = common.clone();
    if let Some(first) = block.first_mut() {
        *first = shape[0];
    }
    let packed = |middle: Vec<Vec<u64>>| Method::Packed {
        map_group: chunks.to_vec(),
        middle,
        reduce_group: twice.clone(),
    };
    vec![
        Method::Direct { group: units.to_vec() },
        Method::Direct { group: twice.clone() },
        Method::Sweep { dimension: 0, block, window: 1 },
        packed(vec![]),
        packed(vec![chunks.iter().map(|chunk| chunk * 2 + 1).collect()]),
    ]
}

#[track_caller]
fn check(shape: &[u64], chunks: &[u64], units: &[u64], want_reads: [u64; 5]) {
    let grid = ChunkGrid::regular(shape, chunks);
    let methods = methods(shape, chunks, units);
    let reads = methods.iter().map(|method| copy(&grid, units, method, None).expect("copies"));
    assert_eq!(reads.collect::<Vec<_>>(), want_reads);
}

#[test]
fn every_method_copies_everything() {
    check(&[8, 6, 4], &[2, 6, 4], &[8, 2, 2], [24, 8, 4, 4, 4]);
    check(&[10, 7], &[4, 3], &[3, 4], [24, 12, 9, 9, 9]);
    check(&[5], &[5], &[5], [1, 1, 1, 1, 1]);
}

#[test]
fn a_group_that_no_message_holds_is_refused_with_its_place_and_sizes() {
    let grid = ChunkGrid::regular(&[8, 6], &[2, 6]);
    let method = Method::Packed { map_group: vec![2, 6], middle: vec![], reduce_group: vec![8, 2] };
    let options = |limit| RunOptions::default().with_payloads_in_elements(limit);
    let units: &[u64] = &[8, 2];
    let copy = |limit| copy_with(&options(limit), &grid, (units, units), &method, (None, &[]));
    assert_eq!(copy(8 * 2 * 4).expect("it fits"), 4);
    let error = copy(8 * 2 * 4 - 1).expect_err("it does not");
    assert_eq!(error.code(), ErrorCode::MEMORY_TOO_SMALL, "{error}");
    let places = (error.place("variable"), error.place("elements"));
    assert_eq!(places, (Some("v"), Some("[0..8, 0..2]")), "{error}");
    let text = error.to_string();
    assert!(text.contains("of 64 bytes") && text.contains("above 63 bytes"), "{text}");
    assert!(text.contains("--payload store"), "{text}");
}

#[test]
fn arrays_without_elements_or_dimensions_are_copied() {
    check(&[], &[], &[], [1, 1, 1, 1, 1]);
    check(&[0, 3], &[2, 3], &[2, 3], [0, 0, 0, 0, 0]);
}

#[test]
fn a_source_may_be_cut_unevenly() {
    let grid = ChunkGrid::new([Axis::of_lengths([3, 1, 6]), Axis::regular(4, 4)]);
    for method in methods(&[10, 4], &[6, 4], &[4, 3]) {
        copy(&grid, &[4, 3], &method, None).expect("copies");
    }
}

#[test]
fn a_unit_that_cannot_be_written_fails_the_copy() {
    let grid = ChunkGrid::regular(&[6, 6], &[2, 6]);
    for method in methods(&[6, 6], &[2, 6], &[6, 2]) {
        let error = copy(&grid, &[6, 2], &method, Some(vec![0, 1])).expect_err("no room");
        assert_eq!(error.code(), ErrorCode::STORE_FULL);
        assert_eq!(error.place("variable"), Some("v"));
    }
}

/// Copies an array of which all units but these are there already.
#[track_caller]
fn check_rest(chunks: &[u64], units: &[u64], rest: &[Vec<u64>], want_reads: u64) {
    let grid = ChunkGrid::regular(&[10, 7], chunks);
    let all = ChunkGrid::regular(&[10, 7], units);
    let all = (0..all.chunk_count()).map(|unit| all.index_of(unit));
    let done: Vec<Vec<u64>> = all.filter(|unit| !rest.contains(unit)).collect();
    for method in methods(&[10, 7], chunks, units) {
        let reads = copy_until(&grid, (units, units), &method, None, &done).expect("copies");
        // Groups of the last stage are gathered whole.
        let is_packed = matches!(method, Method::Packed { .. });
        assert!(reads == want_reads || is_packed && reads > want_reads, "{method:?}: {reads}");
    }
}

#[test]
fn units_that_are_there_are_neither_written_nor_read_for() {
    check_rest(&[4, 3], &[3, 4], &[vec![3, 1]], 2);
    check_rest(&[4, 3], &[3, 4], &[vec![0, 0]], 2);
    check_rest(&[4, 3], &[3, 4], &[], 0);
    check_rest(&[10, 1], &[1, 7], &[vec![4, 0]], 7);
}

/// As streams: by units that are crossed along each dimension that may be, and by chunks.
fn streams(units: &[u64], chunks: &[u64]) -> Vec<Method> {
    let mut methods = Vec::new();
    for dimension in 0..units.len() {
        for window in [1, 2, u64::MAX] {
            let part = [&chunks[..dimension], &units[dimension..]].concat();
            methods.push(Method::Streamed { part, dimension, window });
        }
    }
    let part = chunks.to_vec();
    methods.push(Method::Streamed { part, dimension: 0, window: 1 });
    methods
}

#[test]
fn a_stream_reads_a_source_chunk_once_for_each_part() {
    let grid = ChunkGrid::regular(&[8, 6], &[3, 6]);
    let (units, chunks): (&[u64], &[u64]) = (&[4, 6], &[2, 3]);
    let reads = streams(units, chunks)
        .into_iter()
        .map(|method| copy_until(&grid, (units, chunks), &method, None, &[]).expect("copies"));
    // Rows of chunks begin at 0, 2, 4 and 6, source chunks at 0, 3 and 6.
    assert_eq!(reads.collect::<Vec<_>>(), [4, 4, 4, 5, 5, 5, 10]);
}

#[test]
fn streams_that_are_there_are_left_out_and_those_that_fail_are_told() {
    let grid = ChunkGrid::regular(&[8, 6], &[2, 6]);
    let (units, chunks): (&[u64], &[u64]) = (&[4, 6], &[2, 3]);
    for method in streams(units, chunks) {
        copy_until(&grid, (units, chunks), &method, None, &[vec![1, 0]]).expect("copies");
        let refuses = Some(vec![1, 0]);
        let error = copy_until(&grid, (units, chunks), &method, refuses, &[]).expect_err("full");
        assert_eq!((error.code(), error.place("variable")), (ErrorCode::STORE_FULL, Some("v")));
    }
}

#[test]
fn a_unit_that_is_larger_than_memory_is_written_as_a_stream() {
    let grid = ChunkGrid::regular(&[4000, 1000], &[10, 1000]);
    let (source, sink) = facts_of_chunks(&grid, &[4000, 1000], &[100, 100]);
    let machine = Machine::local(4 << 20, 2);
    let plan = CopyPlan::choose(&source, &sink, machine).expect("a quarter of the unit does");
    assert_eq!(plan.method.name(), "streamed");
    assert!(plan.costs.peak_bytes <= 4 << 20);
    assert_eq!(plan.costs.source_bytes, plan.costs.target_bytes);
    let whole = SinkFacts { stream_bytes: None, ..sink };
    let error = CopyPlan::choose(&source, &whole, machine).expect_err("16 MB in 4 MiB");
    assert!(error.message().contains("written whole"), "{error}");
}

#[test]
fn an_array_that_no_machine_holds_is_refused() {
    let (source, sink) = facts(&ChunkGrid::regular(&[1 << 60], &[1 << 60]), &[1 << 60]);
    let machine = Machine::local(1 << 40, 1 << 10);
    let error = CopyPlan::choose(&source, &sink, machine).expect_err("too large");
    assert_eq!(error.code(), ErrorCode::MEMORY_TOO_SMALL);
}

proptest! {
    #[test]
    fn any_array_is_copied_between_any_grids_by_any_method(
        axes in proptest::collection::vec((0u64..9, 1u64..6, 1u64..6), 0..4)
    ) {
        let pick = |part: fn(&(u64, u64, u64)) -> u64| axes.iter().map(part).collect::<Vec<_>>();
        let (shape, chunks, units) = (pick(|a| a.0), pick(|a| a.1), pick(|a| a.2));
        for method in methods(&shape, &chunks, &units) {
            copy(&ChunkGrid::regular(&shape, &chunks), &units, &method, None)?;
        }
    }

    #[test]
    fn any_array_is_written_as_streams(
        axes in proptest::collection::vec((0u64..9, 1u64..6, 1u64..4, 1u64..4), 1..4)
    ) {
        let pick = |part: fn(&(u64, u64, u64, u64)) -> u64| axes.iter().map(part).collect();
        let (shape, grid): (Vec<u64>, Vec<u64>) = (pick(|a| a.0), pick(|a| a.1));
        let (chunks, units): (Vec<u64>, Vec<u64>) = (pick(|a| a.2), pick(|a| a.2 * a.3));
        let grid = ChunkGrid::regular(&shape, &grid);
        for method in streams(&units, &chunks) {
            copy_until(&grid, (&units, &chunks), &method, None, &[])?;
        }
    }

    #[test]
    fn predicted_reads_are_the_reads(
        axes in proptest::collection::vec((1u64..9, 1u64..6, 1u64..6), 0..4),
        memory_bytes in 300_000u64..3_000_000,
    ) {
        let pick = |part: fn(&(u64, u64, u64)) -> u64| axes.iter().map(part).collect::<Vec<_>>();
        let (shape, chunks, units) = (pick(|a| a.0), pick(|a| a.1), pick(|a| a.2));
        let grid = ChunkGrid::regular(&shape, &chunks);
        let (source, sink) = facts(&grid, &units);
        let Ok(plan) = CopyPlan::choose(&source, &sink, Machine::local(memory_bytes, 2)) else {
            return Ok(());
        };
        let reads = copy(&grid, &units, &plan.method, None)?;
        prop_assert_eq!(reads, plan.costs.source_gets, "{:?}", plan.method);
    }
}
