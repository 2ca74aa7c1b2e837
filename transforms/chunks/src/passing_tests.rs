//! What passing encoded chunks holds at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use array::{
    ArraySink, ArraySource, Chunk, ChunkGrid, DType, EncodedChunk, EncodedChunks, EncodedFacts,
    Fetched, FetchedChunks, Region, Scalar, SinkFacts, SourceFacts, Writing, WrittenUnit,
};
use bytes::Bytes;
use dataflow::error::{Error, Result};
use dataflow::prelude::Pipeline;
use dataflow::testing::ReferenceRunner;

use crate::{CopyArrays, CopyPlan, Machine, PlannedCopy};

/// Units of encoded chunks that are in memory: fetched, or on their way out.
type Held = Arc<AtomicU64>;

/// One end of a copy of encoded chunks, which counts what is held.
#[derive(Debug)]
struct End {
    source: SourceFacts,
    sink: SinkFacts,
    encoded: EncodedFacts,
    held: Held,
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
        assert_eq!(before, 0, "a unit is fetched while another one is held");
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
        Ok(Arc::new(Self { source, sink, encoded, held }))
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
}

#[test]
fn a_task_holds_one_unit_of_encoded_chunks_as_it_has_said() {
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
    };
    let encoded =
        EncodedFacts { dtype, is_big_endian: false, shape, chunk_shape, codecs: vec![], fill };
    let plan = CopyPlan::pass_through(&source, &sink, Machine::local(1 << 20, 2)).expect("fits");
    let end = Arc::new(End { source, sink, encoded, held: Held::default() });
    let (source, sink) = (Arc::<End>::clone(&end), Arc::<End>::clone(&end));
    let copy = PlannedCopy { name: "v".to_owned(), source, sink, plan };
    let pipeline = Pipeline::new();
    let written = pipeline.apply(CopyArrays::new(vec![copy])).collect();
    let report = pipeline.run(&ReferenceRunner).expect("copies");
    assert_eq!(report.get(&written).expect("a result").len(), 4);
    assert_eq!(end.held.load(Ordering::Relaxed), 0);
}
