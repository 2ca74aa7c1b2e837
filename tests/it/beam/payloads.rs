//! Payloads of copies in several stages, through a store and through the shuffle of the runner.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow::error::{Error, Result};
use dataflow::prelude::Pipeline;
use dataflow::testing::beam_server;
use levain::array::{
    ArraySink, ArraySource, Chunk, ChunkGrid, DType, Fetched, Placement, Region, Scalar, SinkFacts,
    SourceFacts, UnitStream, Writing, WrittenUnit,
};
use levain::beam::{BeamRunner, PayloadWay};
use levain::chunks::{CopyArrays, CopyPlan, Machine, Method, PlannedCopy};
use levain::job::{SampleFormat, write_sample_files};

use super::job_service::JobService;
use super::workers::{is_of_worker, service, worker_script};
use crate::command::levain;
use crate::determinism::{least_memory, method, objects};
use crate::made::Folder;

const SHAPE: [u64; 2] = [24, 40];

/// An array in memory.
#[derive(Debug)]
struct MemorySource(SourceFacts, Chunk);

impl ArraySource for MemorySource {
    fn facts(&self) -> &SourceFacts {
        &self.0
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        Ok(Box::new(Copied(self.1.clone(), regions.to_vec())))
    }
}

struct Copied(Chunk, Vec<Region>);

impl Fetched for Copied {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let mut placed = self.1.iter().zip(places);
        placed.try_for_each(|(region, place)| place.into.write(&place.at, &self.0, region))
    }
}

/// The units that were written.
#[derive(Debug)]
struct MemorySink(SinkFacts, Mutex<BTreeMap<Vec<u64>, Chunk>>);

const WRITTEN: WrittenUnit = WrittenUnit { encoded_bytes: 1, crc32c: 7 };

struct Done;

impl Writing for Done {
    fn encoded_bytes(&self) -> u64 {
        1
    }

    fn wait(self: Box<Self>) -> Result<WrittenUnit> {
        Ok(WRITTEN)
    }
}

impl ArraySink for MemorySink {
    fn facts(&self) -> &SinkFacts {
        &self.0
    }

    fn write(&self, index: &[u64], elements: &Chunk) -> Result<Box<dyn Writing>> {
        let mut units = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        units.insert(index.to_vec(), elements.clone());
        Ok(Box::new(Done))
    }

    fn stream(&self, _: &[u64]) -> Result<Box<dyn UnitStream + '_>> {
        Err(Error::internal("no unit is streamed"))
    }
}

/// Copies an array of rows into one of columns, by way of cells, in two stages after the first.
#[track_caller]
fn check_copy(endpoint: &str, way: PayloadWay) {
    let (rows, columns) = ([1, SHAPE[1]], [SHAPE[0], 1]);
    let source = SourceFacts {
        dtype: DType::Int32,
        grid: ChunkGrid::regular(&SHAPE, &rows),
        is_random_access: false,
        codecs: vec![],
        encoded_ratio: 1.0,
        recode_bytes: 0,
        fill: Scalar::zero(DType::Int32),
    };
    let sink = SinkFacts {
        dtype: DType::Int32,
        shape: SHAPE.to_vec(),
        units: ChunkGrid::regular(&SHAPE, &columns),
        chunk_shape: columns.to_vec(),
        codecs: vec![],
        fill: Scalar::zero(DType::Int32),
        stream_bytes: None,
    };
    let plan = CopyPlan::choose(&source, &sink, Machine::local(u64::MAX, 2)).expect("fits");
    let (map_group, middle) = (vec![6, SHAPE[1]], vec![vec![12, 20]]);
    let method = Method::Packed { map_group, middle, reduce_group: vec![SHAPE[0], 8] };
    let values: Vec<i32> = (0..(SHAPE[0] * SHAPE[1]) as i32).collect();
    let elements = Chunk::of(SHAPE.to_vec(), &values).expect("as many as the shape has");
    let sink = Arc::new(MemorySink(sink, Mutex::default()));
    let pipeline = Pipeline::new();
    pipeline.apply(CopyArrays::new(vec![PlannedCopy {
        name: "v".to_owned(),
        source: Arc::new(MemorySource(source, elements.clone())),
        sink: Arc::<MemorySink>::clone(&sink),
        plan: CopyPlan { method, ..plan },
    }]));
    let report = pipeline.run(&BeamRunner::at(endpoint).with_payload_way(way));
    let metrics = report.expect("it runs").metrics;
    let units = sink.1.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(units.len() as u64, SHAPE[1]);
    for (index, unit) in units.iter() {
        let want = elements.slice(&sink.0.units.region(index)).expect("it lies within");
        assert_eq!(unit, &want, "{}: unit {index:?}", way.name());
    }
    let counts = ["segments_written", "payload_bytes"].map(|name| metrics.counter(name) > 0);
    assert_eq!(counts, [way == PayloadWay::Store, way == PayloadWay::Shuffle], "{}", way.name());
}

const WAYS: [PayloadWay; 2] = [PayloadWay::Store, PayloadWay::Shuffle];

#[test]
fn payloads_go_either_way_on_the_runner_of_python() {
    let Some(service) = service() else { return };
    WAYS.into_iter().for_each(|way| check_copy(&service.endpoint(), way));
}

#[test]
fn payloads_go_either_way_on_prism() {
    let Some(program) = beam_server("prism") else { return };
    let service = JobService::prism(&program);
    WAYS.into_iter().for_each(|way| check_copy(&service.endpoint(), way));
}

#[test]
fn a_bake_in_stages_has_the_same_bytes_when_its_chunks_go_through_the_shuffle() {
    let Some(service) = service() else { return };
    let folder = Folder::new();
    let files = write_sample_files(&folder.path("files"), 22_000_000, SampleFormat::InTurns);
    let paths = files.expect("sample files").paths;
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().expect("a path")).collect();
    let layout = ["--chunks", "time=-1,lat=24,lon=24"];
    let job = |out| [&["bake"], &paths[..], &[out], &layout].concat();
    let (want, got) = (folder.text("want.zarr"), folder.text("got.zarr"));
    let mem = least_memory(&job(&want), "1");
    assert_eq!(method(&job(&want), mem, "1").expect("enough memory"), "packed");
    let mem = mem.0.to_string();
    let plain = ["--mem", &mem, "--threads", "1", "--progress", "none"];
    levain(&[&job(&want)[..], &plain].concat()).check_done();
    let script = worker_script(folder.root(), Path::new(env!("CARGO_BIN_EXE_levain")));
    let (script, endpoint) = (script.display().to_string(), service.endpoint());
    let beam = ["--runner", "beam", "--endpoint", &endpoint, "--payload", "shuffle"];
    let process = ["--environment", "process", "--worker-command", &script];
    let ran = levain(&[&job(&got)[..], &plain, &beam, &process].concat());
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stderr, service.log());
    let (want, found) = (objects(&folder.path("want.zarr")), objects(&folder.path("got.zarr")));
    assert!(want == found, "other bytes than those of one process");
    assert!(is_of_worker(&folder.path("got.zarr/t2m/c/0/0/0")));
}
