//! Exactly once: whatever fails in passing and however work is cut, the files are the same.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use levain::dataflow::plan::CompileOptions;
use levain::dataflow::runner::{JobEvent, JobObserver, NoObserver};
use levain::dataflow::testing::ReferenceRunner;
use levain::objects::{Fault, Faults};
use levain::tabular::{
    Compression, Manifest, MatchManifest, ReadParquet, ReadText, WriteDynamic, WriteParquet,
    WriteText,
};

use super::*;
use levain::prelude::*;

#[derive(Default)]
struct CountRetries(Mutex<u32>);

impl JobObserver for CountRetries {
    fn observe(&self, event: &JobEvent) {
        if let JobEvent::BundleRetried { .. } = event {
            *self.0.lock().expect("no observer panics") += 1;
        }
    }
}

/// Passes elements on, and fails at the 700th of a bundle as often as it is told.
#[derive(Clone)]
struct Busy {
    failures_left: Arc<AtomicU32>,
    seen: u32,
}

impl DoFn for Busy {
    type In = String;
    type Out = String;

    fn start_bundle(&mut self) -> Result<()> {
        self.seen = 0;
        Ok(())
    }

    fn process(&mut self, line: String, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        self.seen += 1;
        let take_one = |left: u32| left.checked_sub(1);
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.seen == 70 && self.failures_left.fetch_update(success, failure, take_one).is_ok() {
            let code = ErrorCode::STORE_FAILED;
            return Err(Error::new(code, ErrorKind::Transient, "the store is busy"));
        }
        ctx.output(line)
    }
}

fn lines() -> Vec<String> {
    (0..2000).map(|n| format!("line {}", n * 7919 % 1000)).collect()
}

/// Copies text to shards in `base`, with `failures` in the chain; the retries.
fn copy(base: &str, from: &str, failures: u32, store: &StoreOptions) -> (Result<JobReport>, u32) {
    let pipeline = Pipeline::new();
    let busy = Busy { failures_left: Arc::new(AtomicU32::new(failures)), seen: 0 };
    let to = WriteText::to(format!("{base}/part")).with_num_shards(3);
    let to = to.with_compression(Compression::Zstd).with_store_options(store.clone());
    pipeline
        .apply(ReadText::new().with_split_bytes(4000).from(from))
        .apply(ParDo::of(busy))
        .apply(to);
    let observer = CountRetries::default();
    let outcome = pipeline.run_with(&DirectRunner::new(), &RunOptions::default(), &observer);
    let retries = *observer.0.lock().expect("no observer panics");
    (outcome, retries)
}

fn source(name: &str) -> String {
    let root = Location::parse("memory://it-tabular-source").expect("a location");
    let store = Objects::open(&root, &StoreOptions::default()).expect("opens");
    let text: String = lines().iter().map(|line| format!("{line}\n")).collect();
    store.put(name, text.into_bytes().into()).wait().expect("writes");
    root.join(name).to_string()
}

#[test]
fn elements_that_are_tried_again_are_written_once() {
    let from = source("busy.txt");
    let quiet = "memory://it-tabular-quiet";
    let (outcome, retries) = copy(quiet, &from, 0, &StoreOptions::default());
    assert_eq!((outcome.is_ok(), retries), (true, 0));
    let busy = "memory://it-tabular-busy";
    let (outcome, retries) = copy(busy, &from, 2, &StoreOptions::default());
    let report = outcome.expect("the third attempt succeeds");
    assert_eq!(retries, 2);
    assert_eq!(report.metrics.counter("records_written"), 2000);
    assert!(objects_in(busy) == objects_in(quiet));
}

#[test]
fn whichever_put_fails_in_passing_the_files_are_the_same() {
    let from = source("faults.txt");
    let quiet = "memory://it-tabular-no-fault";
    copy(quiet, &from, 0, &StoreOptions::default()).0.expect("writes");
    // Three shards and the manifest are four writes.
    for put in 1..=4 {
        let base = format!("memory://it-tabular-fault-{put}");
        let store = StoreOptions::default().with_faults(Faults::at_put(put, Fault::Transient));
        let (outcome, retries) = copy(&base, &from, 0, &store);
        outcome.expect("a later attempt succeeds");
        assert_eq!(retries, 1, "write {put}");
        assert!(objects_in(&base) == objects_in(quiet), "write {put}");
    }
}

#[test]
fn a_run_that_fails_leaves_no_manifest() {
    let from = source("full.txt");
    for put in 1..=4 {
        let base = format!("memory://it-tabular-full-{put}");
        let store = StoreOptions::default().with_faults(Faults::from_put(put, Fault::Full));
        let error = copy(&base, &from, 0, &store).0.expect_err("the store is full");
        assert_eq!(error.code(), ErrorCode::STORE_FULL, "{error}");
        let manifest = Manifest::read(&format!("{base}/part"), &StoreOptions::default());
        assert_eq!(manifest, Ok(None));
        assert!(objects_in(&base).len() < 4);
    }
}

/// Writes lines to destinations and tables to Parquet in `base`.
fn build(base: &str) -> Pipeline {
    let pipeline = Pipeline::new();
    let files = WriteText::to(format!("{base}/text")).with_num_shards(3);
    let key = |line: &String| line[line.len() - 1..].to_owned();
    let dynamic = WriteDynamic::via(key, |line: String| line, files);
    pipeline.apply(Create::of(lines())).apply(dynamic);
    let tables: Vec<Table> = (0..40).map(|n| table(n * 25, n)).collect();
    let to = WriteParquet::to(format!("{base}/table"), table(0, 1).schema()).with_num_shards(3);
    pipeline.apply(Create::of(tables)).apply(to);
    pipeline
}

#[test]
fn however_the_work_is_cut_the_files_are_the_same() {
    let want = "memory://it-tabular-reference";
    build(want).run(&ReferenceRunner).expect("runs");
    assert_eq!(objects_in(want).len(), 10 * 4 + 4);
    let unfused = CompileOptions { fuse: false, lift: false };
    for (place, (threads, partitions, elements, memory, is_fused)) in
        [(1, 1, 1000, None, true), (2, 7, 3, None, true), (4, 16, 100, Some(400 << 20), false)]
            .into_iter()
            .enumerate()
    {
        let base = format!("memory://it-tabular-cut-{place}");
        let runner = DirectRunner::new().with_threads(count(threads));
        let runner = if is_fused { runner } else { runner.with_compile_options(unfused) };
        let mut options = RunOptions::default()
            .with_partition_count(count(partitions))
            .with_bundle_elements(count(elements));
        options.memory_bytes = memory;
        build(&base).run_with(&runner, &options, &NoObserver).expect("runs");
        assert!(objects_in(&base) == objects_in(want), "{base}");
    }
    let pipeline = Pipeline::new();
    let tables = pipeline
        .apply(MatchManifest::of(format!("{want}/table")))
        .apply(ReadParquet::new())
        .collect();
    let report = pipeline.run(&DirectRunner::new()).expect("runs");
    let rows: usize = report.get(&tables).expect("asked for").iter().map(|t| t.num_rows()).sum();
    assert_eq!(rows, (0..40).sum::<usize>());
}
