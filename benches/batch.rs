//! What the batch runner's scheduling costs, and what its shuffle asks of a store.
//!
//! ```text
//! cargo build --release -p levain-batch --examples
//! AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any cargo bench --bench batch
//! BATCH_WIDE=1 cargo bench --bench batch
//! ```
//!
//! 1. A thousand tasks of a second each on a hundred workers, which the emulator of AWS Batch starts as
//!    processes with the latencies of containers; they meet in a folder. Overhead is the part of the time
//!    between a worker's first task and its last in which it does no task.
//! 2. A shuffle of 100 tasks and 100 partitions, by one level and by two, on threads that meet in a folder:
//!    requests, and what they cost at S3's prices.
//! 3. With `BATCH_WIDE`, and nothing else then: 10 000 tasks and 10 000 partitions, by two levels; some GB of disk.
//!
//! Asserts counts, never times. The emulator is looked for beside the bench, or named by `BATCH_EMULATOR`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levain::batch::aws::{AwsLauncher, BatchApi, BatchSettings, CallOptions};
use levain::batch::{
    BatchOptions, BatchRunner, INDEX_VARIABLE, Requests, RequestsRecord, RunStore, WorkerSettings,
    work,
};
use levain::dataflow::runner::NoObserver;
use levain::objects::{Location, StoreOptions};
use levain::prelude::*;
use serde_json::Value;

const TASKS: i64 = 1000;
const WORKERS: u32 = 100;
const NAP: Duration = Duration::from_secs(1);
/// The most objects that a task reads besides its records: plans, claims, indexes of what it reads.
const OWN_GETS: u64 = 20;
/// US dollars for a thousand requests of S3 in us-east-1.
const PUT_1K: f64 = 0.005;
const GET_1K: f64 = 0.0004;

fn main() {
    if told("LEVAIN_RUN_URI").is_some() {
        return work_as_told();
    }
    if told("BATCH_WIDE").is_some() {
        return wide();
    }
    schedule();
    shuffle();
}

#[expect(clippy::disallowed_methods, reason = "a worker is told by its environment what to do")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn nap(_: i64) -> i64 {
    let nobody = crossbeam_channel::never::<()>();
    let waited = nobody.recv_timeout(NAP);
    assert!(waited.is_err(), "nobody sends");
    1
}

/// Many elements, each a task that takes a nap, and their number.
fn naps() -> (Pipeline, Collected<i64>) {
    let pipeline = Pipeline::new();
    let elements = pipeline.apply(Create::of(0..TASKS)).apply(Reshuffle);
    let napped = elements.apply(Map::of(nap));
    let count = napped.apply(CombineGlobally::of(Sum::<i64>::new())).collect();
    (pipeline, count)
}

/// Is a worker, as the environment says.
fn work_as_told() {
    let number = |name: &str| told(name).and_then(|text| text.parse().ok());
    let root = Location::parse(&told("LEVAIN_RUN_URI").expect("a run")).expect("a location");
    let store = RunStore::open(&root, &StoreOptions::default()).expect("a store");
    let settings = WorkerSettings {
        index: number(INDEX_VARIABLE).unwrap_or(0),
        attempt: number("AWS_BATCH_JOB_ATTEMPT").unwrap_or(1),
        slots: number("LEVAIN_SLOTS").unwrap_or(1),
        ..WorkerSettings::new(told("LEVAIN_JOB").expect("a job"), NonZeroUsize::MIN)
    };
    let (pipeline, _) = naps();
    let compiler = BatchRunner::new(&root, &StoreOptions::default(), BatchOptions::default());
    let graph = pipeline.compile_for(&compiler).expect("a plan");
    work(&store, &graph, &settings).expect("the work is done");
}

/// An emulator of AWS Batch that ends with the bench.
struct Emulator {
    child: Child,
    address: String,
}

impl Emulator {
    fn start() -> Self {
        let beside = std::env::current_exe().expect("a path");
        let beside = beside
            .parent()
            .and_then(Path::parent)
            .expect("a folder")
            .join("examples/batch-emulator");
        let program = told("BATCH_EMULATOR").map_or(beside, PathBuf::from);
        let latencies = [
            "--submitted-ms",
            "100-500",
            "--runnable-ms",
            "500-2000",
            "--starting-ms",
            "1000-4000",
        ];
        let own = ["--create-queue", "levain", "--slots", "200", "--rate", "50", "--seed", "1"];
        let mut child = Command::new(program)
            .args(own.iter().chain(&latencies))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator is built: cargo build --release -p levain-batch --examples");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit('/').next().expect("an address").to_owned();
        Self { child, address }
    }

    /// How often each operation was asked for.
    fn calls(&self) -> BTreeMap<String, u64> {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET /_emu/state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let body = answer.split_once("\r\n\r\n").expect("a head").1;
        let state: Value = serde_json::from_str(body).expect("JSON");
        let calls = state["calls"].as_object().expect("calls").iter();
        calls.map(|(name, it)| (name.clone(), it["calls"].as_u64().unwrap_or(0))).collect()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// A job definition that the emulator takes for the image of this binary.
fn launcher(emulator: &Emulator) -> AwsLauncher {
    let settings = BatchSettings {
        queue: vec!["levain".to_owned()],
        image: Some("levain:bench".to_owned()),
        register_job_definition: true,
        region: Some("us-east-1".to_owned()),
        endpoint: Some(format!("http://{}", emulator.address)),
        ..BatchSettings::default()
    };
    let api = BatchApi::open(&settings, CallOptions::default()).expect("settings");
    AwsLauncher::new(api, settings).expect("settings")
}

#[expect(clippy::print_stdout, reason = "what was measured is what a bench is for")]
fn say(line: &str) {
    println!("{line}");
}

fn schedule() {
    let (emulator, folder) = (Emulator::start(), tempfile::tempdir().expect("a folder"));
    let root = Location::parse(&folder.path().join("run").to_string_lossy()).expect("a path");
    let mut options = BatchOptions::default();
    options.max_workers = NonZeroU32::new(WORKERS).expect("not zero");
    options.tasks_per_thread = NonZeroUsize::new(10).expect("not zero");
    options.command = vec![std::env::current_exe().expect("a path").to_string_lossy().into_owned()];
    let launcher = Arc::new(launcher(&emulator));
    let runner = BatchRunner::new(&root, &StoreOptions::default(), options);
    let runner = runner.with_launcher(launcher, Value::Null, None);
    let (pipeline, count) = naps();
    let began = Instant::now();
    let run = RunOptions::default()
        .with_partition_count(NonZeroUsize::new(TASKS as usize).expect("not zero"));
    let report = pipeline.run_with(&runner, &run, &NoObserver).expect("the run succeeds");
    let wall = began.elapsed().as_secs_f64();
    let counted: i64 = report.get(&count).expect("a result").iter().next().expect("a number");
    assert_eq!(counted, TASKS);
    let (busy_s, present_s) = spans(folder.path());
    let ideal_s = TASKS as f64 * NAP.as_secs_f64() / f64::from(WORKERS);
    say(&format!(
        "{TASKS} tasks of {} s on {WORKERS} workers: {wall:.1} s, of which {ideal_s:.0} s are work",
        NAP.as_secs()
    ));
    say(&format!(
        "overhead: {:.1} % of the time between first and last task of a worker",
        100.0 * (1.0 - busy_s / present_s)
    ));
    let calls = emulator.calls();
    say(&format!("calls to AWS: {calls:?}"));
    // One array as soon as there is work, and more as it grows.
    assert!(calls["SubmitJob"] <= 8, "too many submissions: {calls:?}");
    assert!(
        calls.get("DescribeJobs").copied().unwrap_or(0) as f64 <= wall / 5.0 + 10.0,
        "{calls:?}"
    );
    let requests = requests(folder.path());
    tell("driver", requests.driver);
    tell("workers", requests.workers);
    let stages = std::fs::read_dir(folder.path().join("run/c")).expect("commits").flatten();
    let commits =
        stages.map(|it| std::fs::read_dir(it.path()).expect("a folder").count()).sum::<usize>();
    // A claim, the records and the commit of each task, some of them begun twice; and heartbeats.
    let (puts, beats) = (requests.workers.puts, (wall / 10.0 + 3.0) * f64::from(WORKERS));
    assert!(puts as f64 <= 4.0 * commits as f64 + beats + 200.0, "{puts} puts of {commits} tasks");
}

/// The seconds in which workers were at tasks of the naps, and those between their first and last one.
fn spans(folder: &Path) -> (f64, f64) {
    let mut of_worker: BTreeMap<String, (f64, f64, f64)> = BTreeMap::new();
    let stages = std::fs::read_dir(folder.join("run/c")).expect("commits").flatten();
    for commit in
        stages.flat_map(|stage| std::fs::read_dir(stage.path()).expect("a folder").flatten())
    {
        let commit: Value =
            serde_json::from_slice(&std::fs::read(commit.path()).expect("a commit")).expect("JSON");
        let wall = commit["wall_ms"].as_f64().expect("a number");
        if wall < NAP.as_secs_f64() * 1000.0 {
            continue;
        }
        let start = commit["started_ms"].as_f64().expect("a number");
        let worker = commit["worker"].as_str().expect("a name").to_owned();
        let known = of_worker.entry(worker).or_insert((f64::MAX, 0.0, 0.0));
        // A worker fetches the next task while it is at one: walls overlap, naps do not.
        *known =
            (known.0.min(start), known.1.max(start + wall), known.2 + NAP.as_secs_f64() * 1000.0);
    }
    let busy = of_worker.values().map(|it| it.2).sum::<f64>();
    let present = of_worker.values().map(|it| it.1 - it.0).sum::<f64>();
    (busy / 1000.0, present / 1000.0)
}

fn requests(folder: &Path) -> RequestsRecord {
    let bytes = std::fs::read(folder.join("run/requests.json")).expect("what was asked");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn tell(who: &str, it: Requests) {
    let dollars = (it.puts + it.lists) as f64 / 1000.0 * PUT_1K + it.gets as f64 / 1000.0 * GET_1K;
    say(&format!(
        "  {who:<8} {} PUT, {} LIST, {} GET, {} DELETE: {dollars:.4} USD; {} B written, {} B read",
        it.puts, it.lists, it.gets, it.deletes, it.bytes_written, it.bytes_read
    ));
}

/// A shuffle of so many tasks and partitions, each task with so many keys for each partition; what its
/// workers have asked of their store.
fn shuffled((tasks, partitions): (usize, usize), keys: usize, merge_above: u64) -> Requests {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Location::parse(&folder.path().join("run").to_string_lossy()).expect("a path");
    let mut options = BatchOptions::nearby();
    options.max_workers = NonZeroU32::new(4).expect("not zero");
    options.threads = NonZeroUsize::MIN;
    options.tasks_per_thread = NonZeroUsize::new(tasks.div_ceil(4)).expect("not zero");
    options.merge_above = merge_above;
    let pipeline = Pipeline::new();
    let (seeds, keys) = (0..tasks as i64, (keys * partitions) as i64);
    let seeds = pipeline.apply(Create::of(seeds)).apply(Reshuffle);
    let pairs = seeds.apply(FlatMap::of(move |seed: i64| (0..keys).map(move |key| (key, seed))));
    let ones = pairs.apply(GroupByKey).apply(Map::of(|_: (i64, Iterable<i64>)| 1i64));
    let count = ones.apply(CombineGlobally::of(Sum::<i64>::new())).collect();
    let runner = BatchRunner::new(&root, &StoreOptions::default(), options);
    let run = RunOptions::default()
        .with_partition_count(NonZeroUsize::new(partitions).expect("not zero"));
    let report = pipeline.run_with(&runner, &run, &NoObserver).expect("the run succeeds");
    let groups: i64 = report.get(&count).expect("a result").iter().next().expect("a number");
    assert_eq!(groups, keys);
    requests(folder.path()).workers
}

fn shuffle() {
    say("a shuffle of 100 tasks and 100 partitions, all of the run:");
    let (one, two) = (shuffled((100, 100), 8, u64::MAX), shuffled((100, 100), 8, 0));
    tell("1 level", one);
    tell("2 levels", two);
    assert!(two.gets < one.gets, "two levels read less often");
}

fn wide() {
    let (tasks, partitions) = (10_000, 10_000);
    let began = Instant::now();
    let asked = shuffled((tasks, partitions), 1, BatchOptions::default().merge_above);
    say(&format!(
        "a shuffle of {tasks} tasks and {partitions} partitions, all of the run, {:.0} s here:",
        began.elapsed().as_secs_f64()
    ));
    tell("2 levels", asked);
    // Each object is read by one merge, and what the merges have made by every partition.
    let merges = (tasks as f64).sqrt().ceil() as u64;
    let shuffle = tasks as u64 + merges * partitions as u64;
    let own = OWN_GETS * (tasks + partitions) as u64;
    assert!(asked.gets <= shuffle + own, "{} GET, {shuffle} of the shuffle", asked.gets);
}
