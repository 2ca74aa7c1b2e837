//! What passing encoded chunks holds at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use array::{
    ArraySink, ArraySource, Chunk, ChunkGrid, DType, EncodedChunk, EncodedChunks, EncodedFacts,
    Fetched, FetchedChunks, Region, Scalar, SinkFacts, SourceFacts, UnitStream, Writing,
    WrittenUnit,
};
use bytes::Bytes;
use dataflow::error::{Error, Result};
use dataflow::prelude::Pipeline;
use dataflow::testing::ReferenceRunner;

use crate::{CopyArrays, CopyPlan, Machine, PlannedCopy, StoreProfile};

/// Units of encoded chunks that are in memory: fetched, or on their way out.
type Held = Arc<AtomicU64>;

/// One end of a copy of encoded chunks, which counts what is held.
#[derive(Debug)]
struct End {
    source: SourceFacts,
    sink: SinkFacts,
    encoded: EncodedFacts,
    held: Held,
    /// The most units that were in memory at once.
    most: Held,
    /// Chunks that were appended, by unit; those of streams that ended.
    appended: Appended,
}

/// Places of chunks, by the index of their unit.
type Appended = Arc<Mutex<BTreeMap<Vec<u64>, BTreeSet<u64>>>>;

/// A unit that is written as a stream.
struct Stream<'a>(&'a End, Vec<u64>, Mutex<BTreeSet<u64>>);

impl UnitStream for Stream<'_> {
    fn put(&self, _: u64, _: &Chunk) -> Result<()> {
        Err(Error::internal("nothing is encoded"))
    }

    fn put_encoded(&self, place: u64, chunk: Option<Bytes>) -> Result<()> {
        assert!(chunk.is_some(), "every chunk is there");
        assert!(self.2.lock().expect("no panic").insert(place), "chunk {place} is put twice");
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<WrittenUnit> {
        let places = self.2.into_inner().expect("no panic");
        self.0.appended.lock().expect("no panic").insert(self.1, places);
        Ok(WrittenUnit { encoded_bytes: 1, crc32c: 7 })
    }
}

struct Coming(usize);

impl FetchedChunks for Coming {
    fn wait(self: Box<Self>) -> Result<Vec<Option<EncodedChunk>>> {
        let chunk = EncodedChunk { bytes: Bytes::from_static(b"1234"), left_out: 0 };
        Ok(vec![Some(chunk); self.0])
    }
}

struct Going(Held);

impl Writing for Going {
    fn encoded_bytes(&self) -> u64 {
        1
    }

    fn wait(self: Box<Self>) -> Result<WrittenUnit> {
        self.0.fetch_sub(1, Ordering::Relaxed);
        Ok(WrittenUnit { encoded_bytes: 1, crc32c: 7 })
    }
}

impl EncodedChunks for End {
    fn facts(&self) -> &EncodedFacts {
        &self.encoded
    }

    fn location(&self, _: &[u64]) -> Result<Option<array::ChunkLocation>> {
        Err(Error::internal("nobody asks"))
    }

    fn fetch_encoded(&self, chunks: &[Vec<u64>]) -> Result<Box<dyn FetchedChunks>> {
        let before = self.held.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(before + 1, Ordering::Relaxed);
        Ok(Box::new(Coming(chunks.len())))
    }
}

impl ArraySource for End {
    fn facts(&self) -> &SourceFacts {
        &self.source
    }

    fn fetch(&self, _: &[Region]) -> Result<Box<dyn Fetched>> {
        Err(Error::internal("nothing is decoded"))
    }

    fn encoded(&self) -> Result<Arc<dyn EncodedChunks>> {
        let (source, sink) = (self.source.clone(), self.sink.clone());
        let (encoded, held) = (self.encoded.clone(), Arc::clone(&self.held));
        let (most, appended) = (Arc::clone(&self.most), Arc::clone(&self.appended));
        Ok(Arc::new(Self { source, sink, encoded, held, most, appended }))
    }
}

impl ArraySink for End {
    fn facts(&self) -> &SinkFacts {
        &self.sink
    }

    fn write(&self, _: &[u64], _: &Chunk) -> Result<Box<dyn Writing>> {
        Err(Error::internal("nothing is encoded"))
    }

    fn write_encoded(&self, _: &[u64], _: Vec<Option<Bytes>>) -> Result<Box<dyn Writing>> {
        Ok(Box::new(Going(Arc::clone(&self.held))))
    }

    fn stream(&self, index: &[u64]) -> Result<Box<dyn UnitStream + '_>> {
        Ok(Box::new(Stream(self, index.to_vec(), Mutex::default())))
    }
}

/// Passes 12 chunks of four bytes into units of three, and checks that all were written.
fn pass(machine: Machine) -> (CopyPlan, Arc<End>) {
    let (shape, chunk_shape) = (vec![12], vec![1]);
    let (dtype, fill) = (DType::Int32, Scalar::zero(DType::Int32));
    let source = SourceFacts {
        dtype,
        grid: ChunkGrid::regular(&shape, &chunk_shape),
        is_random_access: false,
        codecs: vec![],
        encoded_ratio: 1.0,
        recode_bytes: 0,
        fill: fill.clone(),
    };
    let sink = SinkFacts {
        dtype,
        shape: shape.clone(),
        chunk_shape: chunk_shape.clone(),
        units: ChunkGrid::regular(&shape, &[3]),
        codecs: vec![],
        fill: fill.clone(),
        stream_bytes: Some(0),
    };
    let encoded =
        EncodedFacts { dtype, is_big_endian: false, shape, chunk_shape, codecs: vec![], fill };
    let plan = CopyPlan::pass_through(&source, &sink, machine).expect("fits");
    let (held, most, appended) = (Held::default(), Held::default(), Appended::default());
    let end = Arc::new(End { source, sink, encoded, held, most, appended });
    let (source, sink) = (Arc::<End>::clone(&end), Arc::<End>::clone(&end));
    let copy = PlannedCopy { name: "v".to_owned(), source, sink, plan: plan.clone() };
    let pipeline = Pipeline::new();
    let written = pipeline.apply(CopyArrays::new(vec![copy])).collect();
    let report = pipeline.run(&ReferenceRunner).expect("copies");
    let units = report.get(&written).expect("a result").iter();
    let units: BTreeSet<u64> = units.map(|unit| unit.index[0]).collect();
    assert_eq!(units, (0..4).collect());
    (plan, end)
}

#[test]
fn a_task_holds_one_unit_of_encoded_chunks_as_it_has_said() {
    let (plan, end) = pass(Machine::local(1 << 20, 2));
    assert_eq!((plan.units_at_once, plan.is_streamed()), (1, false));
    assert_eq!(end.most.load(Ordering::Relaxed), 1, "a unit is fetched while another is held");
    assert_eq!(end.held.load(Ordering::Relaxed), 0);
}

#[test]
fn units_of_a_store_far_away_are_under_way_together_as_far_as_memory_goes() {
    let far = |memory_bytes| {
        let store = StoreProfile::OBJECT_STORE;
        let machine = Machine { source: store, ..Machine::local(memory_bytes, 1) };
        let (plan, end) = pass(machine);
        assert!(plan.costs.peak_bytes <= memory_bytes, "{plan:?}");
        assert_eq!(end.held.load(Ordering::Relaxed), 0);
        (plan.units_at_once, end.most.load(Ordering::Relaxed))
    };
    assert_eq!(far(1 << 20), (4, 4));
    assert_eq!(far(100).0, 2);
}

#[test]
fn a_unit_that_memory_does_not_hold_is_passed_as_a_stream() {
    let (plan, end) = pass(Machine::local(20, 1));
    assert!(plan.is_streamed() && plan.costs.peak_bytes <= 20, "{plan:?}");
    assert!(plan.reason.contains("streams"), "{}", plan.reason);
    let appended = end.appended.lock().expect("no panic");
    let want = (0..4).map(|unit| (vec![unit], BTreeSet::from([0, 1, 2])));
    assert_eq!(*appended, want.collect());
}
