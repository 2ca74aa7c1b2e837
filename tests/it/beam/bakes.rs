//! Bakes and rechunks: the bytes are those of one process, and other processes have written them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::job_service::JobService;
use super::workers::{WorkerPool, is_of_worker, service, worker_script};
use crate::command::levain;
use crate::determinism::objects;
use crate::killing::{LAYOUT, noise};
use crate::made::Folder;

/// Steps of the sources.
const STEPS: i32 = 12;

/// A source, and the store that one process bakes of it.
struct Oven {
    folder: Folder,
    source: String,
    want: BTreeMap<String, Vec<u8>>,
}

impl Oven {
    fn new() -> Self {
        let folder = Folder::new();
        let source = folder.put("a.nc", &noise(0, STEPS));
        let want = folder.text("want.zarr");
        let plain = ["bake", &source, &want, "--progress", "none"];
        levain(&[&plain[..], &LAYOUT[..]].concat()).check_done();
        let want = objects(&folder.path("want.zarr"));
        Self { folder, source, want }
    }

    /// Bakes on the runner behind a service, into a store of this name; the document of the run.
    #[track_caller]
    fn bake(&self, service: &JobService, name: &str, words: &[&str]) -> Value {
        let (out, endpoint) = (self.folder.text(name), service.endpoint());
        let plain = ["bake", &self.source, &out, "--progress", "none", "--output", "json"];
        let beam = ["--runner", "beam", "--endpoint", &endpoint];
        let ran = levain(&[&plain[..], &LAYOUT[..], &beam[..], words].concat());
        assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stderr, service.log());
        serde_json::from_str(&ran.stdout).expect("one document")
    }

    /// The store has the bytes that it should have; its chunks are of workers, or of the driver.
    #[track_caller]
    fn check(&self, name: &str, has_workers: bool) {
        let store = self.folder.path(name);
        assert!(self.want == objects(&store), "other bytes than those of one process");
        let chunks: Vec<&String> = self.want.keys().filter(|key| key.starts_with("v/c/")).collect();
        assert_eq!(chunks.len(), 24, "three times eight: {chunks:?}");
        for key in chunks {
            assert_eq!(is_of_worker(&store.join(key)), has_workers, "{key}");
        }
        assert!(!is_of_worker(&store.join("zarr.json")), "metadata are the driver's");
    }
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a document")).expect("JSON")
}

#[test]
fn a_bake_on_a_runner_has_the_bytes_of_one_process_wherever_its_workers_are() {
    let Some(service) = service() else { return };
    let oven = Oven::new();
    let told = oven.bake(&service, "loopback.zarr", &[]);
    oven.check("loopback.zarr", false);

    let program = Path::new(env!("CARGO_BIN_EXE_levain"));
    let pool = WorkerPool::start(program);
    oven.bake(&service, "pool.zarr", &["--environment", "external", "--beam-pool", &pool.address]);
    oven.check("pool.zarr", true);

    let script = worker_script(oven.folder.root(), program).display().to_string();
    let process = ["--environment", "process", "--worker-command", &script];
    let told_of_process = oven.bake(&service, "process.zarr", &process);
    oven.check("process.zarr", true);

    for (told, name) in [(told, "loopback.zarr"), (told_of_process, "process.zarr")] {
        let runs = oven.folder.path(&format!("{name}.levain"));
        let run = runs.join(told["run"].as_str().expect("the name of the run"));
        let report = document(&run.join("report.json"));
        assert_eq!(
            (&report["run"]["runner"], &report["exit"]["code"]),
            (&"beam".into(), &0.into())
        );
        assert!(run.join("report.html").exists());
        let shared = run.join("beam");
        assert!(!shared.exists() || objects(&shared).is_empty(), "what was shared is left");
        let status = levain(&["status", "--exit-status", &run.display().to_string()]);
        status.check_done();
        assert!(status.stdout.contains("SUCCEEDED"), "{}", status.stdout);
    }
}

#[test]
fn a_rechunk_is_written_by_workers_of_the_runner() {
    let Some(service) = service() else { return };
    let oven = Oven::new();
    let (source, want) = (oven.folder.text("want.zarr"), oven.folder.text("again.zarr"));
    let layout = ["--chunks", "time=-1,x=16", "--mem", "1GiB", "--progress", "none"];
    levain(&[&["rechunk", &source, &want], &layout[..]].concat()).check_done();
    let script = worker_script(oven.folder.root(), Path::new(env!("CARGO_BIN_EXE_levain")));
    let (script, out) = (script.display().to_string(), oven.folder.text("beam.zarr"));
    let endpoint = service.endpoint();
    let beam = ["--runner", "beam", "--endpoint", &endpoint, "--environment", "process"];
    let words = ["rechunk", &source, &out, "--worker-command", &script];
    let ran = levain(&[&words[..], &layout[..], &beam[..]].concat());
    assert_eq!(ran.exit, Some(0), "{}\n{}", ran.stderr, service.log());
    let want = objects(&oven.folder.path("again.zarr"));
    assert!(
        want == objects(&oven.folder.path("beam.zarr")),
        "other bytes than those of one process"
    );
    assert!(is_of_worker(&oven.folder.path("beam.zarr/v/c/0/7")));
}
