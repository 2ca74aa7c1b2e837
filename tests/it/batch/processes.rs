//! Worker processes: their stores are those of one process byte for byte, whoever is killed, frozen or
//! followed by another, and none of them stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::command::{command, levain, say};
use crate::determinism::objects;
use crate::killing::{LAYOUT, file_count, files_below, noise};
use crate::made::{Folder, Made, text};
use crate::random_recipes::Draw;

/// Steps of the sources: enough that a run is met at work.
const STEPS: i32 = 60;

/// A bake of one source by worker processes, beside that of one process.
pub(super) struct Bench {
    pub(super) folder: Folder,
    pub(super) source: String,
    workers: &'static str,
    mem: &'static str,
    want: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Bench {
    pub(super) fn new(workers: &'static str) -> Self {
        Self::of_steps(workers, STEPS)
    }

    /// The same, of so many steps.
    pub(super) fn of_steps(workers: &'static str, steps: i32) -> Self {
        Self::of(workers, &noise(0, steps))
    }

    fn of(workers: &'static str, made: &Made) -> Self {
        let folder = Folder::new();
        let source = folder.put("a.nc", made);
        let out = folder.text("want.zarr");
        levain(&[&["bake", &source, &out, "--progress", "none"], &LAYOUT[..]].concat())
            .check_done();
        let want = objects(&folder.path("want.zarr"));
        Self { folder, source, workers, mem: "2GiB", want }
    }

    /// Bytes of the objects of the store whose names begin so.
    pub(super) fn want_bytes(&self, start: &str) -> u64 {
        let objects = self.want.iter().filter(|(name, _)| name.starts_with(start));
        objects.map(|(_, bytes)| bytes.len() as u64).sum()
    }

    pub(super) fn command(&self) -> Command {
        let out = self.folder.text("out.zarr");
        let own = ["--runner", "procs", "--workers", self.workers, "--threads", self.workers];
        let rest = ["--mem", self.mem, "--resume", "--progress", "none"];
        let command_line =
            [&["bake", &self.source, &out], &LAYOUT[..], &own[..], &rest[..]].concat();
        command(&command_line)
    }

    pub(super) fn start(&self) -> Child {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the command can be started")
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.folder.path("out.zarr.levain")
    }

    /// Waits until so many files lie in the run store, or the command has ended.
    pub(super) fn wait_for_files(&self, child: &mut Child, count: usize) -> bool {
        while file_count(&self.runs()) < count {
            if child.try_wait().expect("a child").is_some() {
                return false;
            }
            std::thread::park_timeout(Duration::from_micros(200));
        }
        true
    }

    #[track_caller]
    fn check_finished(&self, child: Child) {
        let ran = crate::command::ran(child.wait_with_output().expect("a child"));
        ran.check_done();
        self.check();
    }

    #[track_caller]
    pub(super) fn check(&self) {
        let got = objects(&self.folder.path("out.zarr"));
        let keys = got.keys().chain(self.want.keys());
        let other: BTreeSet<_> = keys.filter(|key| got.get(*key) != self.want.get(*key)).collect();
        assert!(other.is_empty(), "other bytes than those of one process: {other:?}");
        let left = workers_of(&self.runs());
        assert!(left.is_empty(), "workers are left: {left:?}");
        for run in std::fs::read_dir(self.runs()).expect("a folder").flatten() {
            for kept_while_it_runs in ["d", "x", "k", "hb"] {
                let folder = run.path().join("batch").join(kept_while_it_runs);
                let left = files_below(&folder);
                assert!(left.is_empty(), "this is left: {left:?}");
            }
        }
    }
}

/// The processes that work on a run below this folder.
pub(super) fn workers_of(runs: &Path) -> Vec<u32> {
    let uri = format!("LEVAIN_RUN_URI={}", runs.display());
    let uri_of_url = format!("LEVAIN_RUN_URI=file://{}", runs.display());
    let processes = std::fs::read_dir("/proc").expect("a folder").flatten();
    let is_ours = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|it| it.starts_with(uri.as_bytes()) || it.starts_with(uri_of_url.as_bytes()))
    };
    let pids = processes.filter_map(|it| it.file_name().to_string_lossy().parse().ok());
    pids.filter(is_ours).collect()
}

/// Sends a signal; false if the process has gone.
pub(super) fn signal(pid: u32, name: &str) -> bool {
    let sent =
        Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
    sent.expect("`kill` can be started").success()
}

#[test]
fn worker_processes_write_the_bytes_of_one_process() {
    let bench = Bench::new("3");
    bench.check_finished(bench.start());
    let folder = &bench.folder;
    for (name, chunks, mem) in
        [("pencils", "time=60,x=16", "2GiB"), ("packed", "time=60,x=1", "450MiB")]
    {
        let source = folder.text("want.zarr");
        let stores = ["direct", "procs"].map(|runner| {
            let out = folder.text(&format!("{name}-{runner}.zarr"));
            let own = ["--chunks", chunks, "--runner", runner, "--workers", "2", "--mem", mem];
            levain(&[&["rechunk", &source, &out, "--progress", "none"], &own[..]].concat())
                .check_done();
            objects(Path::new(&out))
        });
        assert!(stores[0] == stores[1], "{name}: other bytes than those of one process");
    }
}

/// How many requests the workers of a part of a run have made.
fn requests_of_workers(runs: &Path, part: &str) -> u64 {
    let run = std::fs::read_dir(runs).expect("a folder").flatten().map(|it| it.path());
    let mut found = run.map(|run| run.join("batch").join(part).join("requests.json"));
    let told = found.find(|it| it.exists()).expect("a part that has ended");
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(told).expect("a record")).expect("JSON");
    ["gets", "puts"].iter().map(|kind| told["workers"][kind].as_u64().expect("a count")).sum()
}

#[test]
fn workers_validate_and_make_coarser_levels() {
    let bench = Bench::new("2");
    let stores = ["direct", "procs"].map(|runner| {
        let out = bench.folder.text(&format!("{runner}.zarr"));
        let asked = [
            "--pyramid",
            "3",
            "--pyramid-dims",
            "x",
            "--validate",
            "warn:range=v:0:0.5",
            "--progress",
            "none",
        ];
        let own = ["--runner", runner, "--workers", "2", "--mem", "1GiB"];
        levain(&[&["bake", &bench.source, &out], &LAYOUT[..], &asked, &own].concat()).check_done();
        objects(Path::new(&out))
    });
    assert!(stores[0] == stores[1], "other bytes than those of one process");
    let runs = |runner: &str| bench.folder.path(&format!("{runner}.zarr.levain/groups/0.levain"));
    for part in ["", "validate", "level-1", "level-2"] {
        assert!(requests_of_workers(&runs("procs"), part) > 0, "no worker had part in `{part}`");
    }
    let reports = ["direct", "procs"].map(|runner| {
        let run = std::fs::read_dir(runs(runner)).expect("a folder").flatten().next();
        std::fs::read(run.expect("a run").path().join("validation.json")).expect("a report")
    });
    assert_eq!(reports[0], reports[1]);
    assert!(String::from_utf8_lossy(&reports[0]).contains("should be between 0 and 0.5"));
}

#[test]
fn workers_that_are_killed_are_followed_by_others() {
    let bench = Bench::new("4");
    let mut draw = Draw::new(3);
    let mut child = bench.start();
    let (mut files, mut killed) = (20, 0);
    assert!(bench.wait_for_files(&mut child, files), "the run is met at work");
    // What a write leaves whose process is killed while it writes.
    bench.folder.put_bytes("out.zarr/v/c/0/0#7", b"a part of a chunk");
    while killed < 8 && bench.wait_for_files(&mut child, files) {
        let workers = workers_of(&bench.runs());
        if let Some(&worker) = workers.get(draw.below(workers.len().max(1))) {
            killed += u32::from(signal(worker, "KILL"));
        }
        files += 4;
    }
    assert!(killed >= 5, "only {killed} workers were met at work");
    bench.check_finished(child);
}

/// Many variables, each of which is a task.
fn many_variables(count: usize) -> Made {
    let times: Vec<f64> = (0..20).map(f64::from).collect();
    let units = [("units", text("days since 2000-01-01"))];
    let made = Made::new().unlimited("time").dimension("x", 256);
    let made = made.variable("time", "time", times, &units);
    (0..count).fold(made, |made, at| {
        let values: Vec<f32> = (0..20 * 256).map(|place| (place * (at + 1)) as f32).collect();
        made.variable(&format!("v{at}"), "time x", values, &[])
    })
}

#[test]
fn of_fifty_workers_twenty_are_killed() {
    let mut bench = Bench::of("50", &many_variables(100));
    // Of limits: none of them takes what it may.
    bench.mem = "16GiB";
    let mut draw = Draw::new(50);
    let mut child = bench.start();
    let (mut files, mut killed, mut most) = (30, 0, 0);
    while killed < 20 && bench.wait_for_files(&mut child, files) {
        let workers = workers_of(&bench.runs());
        most = most.max(workers.len());
        if let Some(&worker) = workers.get(draw.below(workers.len().max(1))) {
            killed += u32::from(signal(worker, "KILL"));
        }
        files += 4;
    }
    say(&format!("{killed} workers were killed, of {most} at once"));
    assert_eq!(killed, 20, "too few were met at work");
    assert!(most >= 40, "there were only {most} at once");
    bench.check_finished(child);
}

#[test]
fn a_bake_whose_disk_is_full_says_so_and_goes_on_with_more_room() {
    let may_mount = Command::new("unshare").args(["-Urm", "true"]).stderr(Stdio::null()).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        return dataflow::testing::skip("tests on full disks: allow unshare -Urm");
    }
    let bench = Bench::new("2");
    let folder = &bench.folder;
    // A disk in a namespace of its own, which gets larger between two bakes.
    let (full, kept) = (folder.text("full"), folder.text("kept"));
    std::fs::create_dir_all(&full).expect("a folder");
    let out = format!("{full}/out.zarr");
    let own = "--runner procs --workers 2 --threads 2 --mem 2GiB --progress none";
    let bake = format!(
        "{levain} bake {source} {out} {layout} {own}",
        levain = env!("CARGO_BIN_EXE_levain"),
        source = bench.source,
        layout = LAYOUT.join(" "),
    );
    let script = format!(
        "mount -t tmpfs -o size=160k tmpfs {full} || exit 99
         {bake}; echo first $?
         mount -o remount,size=64m {full}
         {bake} --resume; echo second $?
         cp -r {full} {kept}"
    );
    let ran = Command::new("unshare").args(["-Urm", "sh", "-c", &script]).output();
    let ran = crate::command::ran(ran.expect("it can be started"));
    let (first, second) = ran.stdout.split_once("second").expect("two bakes");
    assert!(first.contains("first 6"), "{}\n{}", ran.stdout, ran.stderr);
    assert!(second.trim().starts_with('0'), "{}\n{}", ran.stdout, ran.stderr);
    for words in ["No space left on device", &full, "free some space"] {
        assert!(ran.stderr.contains(words), "`{words}` is not in\n{}", ran.stderr);
    }
    assert!(objects(&folder.path("kept/out.zarr")) == bench.want, "other bytes");
}

#[test]
fn a_driver_that_is_killed_is_followed_by_another() {
    let bench = Bench::new("2");
    let mut draw = Draw::new(4);
    let mut killed = 0;
    for point in 0..5 {
        let mut child = bench.start();
        let already = file_count(&bench.runs());
        if bench.wait_for_files(&mut child, already + 3 + draw.below(8)) {
            child.kill().expect("it runs");
            killed += 1;
        }
        child.wait().expect("a child");
        let store = bench.folder.path("out.zarr/zarr.json");
        assert!(point > 2 || !store.exists(), "readers see a store that is not finished");
    }
    assert!(killed >= 3, "only {killed} drivers were met at work");
    let ran = crate::command::ran(bench.command().output().expect("it can be started"));
    ran.check_done();
    bench.check();
}

#[test]
fn of_two_drivers_at_once_one_is_refused() {
    let bench = Bench::new("2");
    let mut first = bench.start();
    assert!(bench.wait_for_files(&mut first, 12), "the run is met at work");
    let workers = workers_of(&bench.runs());
    // So that the first one does not come to its end before the second one has looked.
    let stopped = workers.iter().filter(|worker| signal(**worker, "STOP")).count();
    assert!(stopped > 0, "no worker is at work");
    let second = crate::command::ran(bench.command().output().expect("it can be started"));
    let woken = workers.iter().filter(|worker| signal(**worker, "CONT")).count();
    assert_eq!(woken, stopped);
    second.check_refused("E507", 8, &["another process drives this run"]);
    bench.check_finished(first);
}

#[test]
fn a_worker_that_is_frozen_and_goes_on_later_changes_nothing() {
    let bench = Bench::new("2");
    let mut child = bench.start();
    assert!(bench.wait_for_files(&mut child, 25), "the run is met at work");
    let workers = workers_of(&bench.runs());
    let frozen = *workers.first().expect("a worker is at work");
    assert!(signal(frozen, "STOP"));
    // Others do what it has begun, once it has been silent for long enough.
    let all_done = bench.folder.path("out.zarr/zarr.json");
    while !all_done.exists() && child.try_wait().expect("a child").is_none() {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    signal(frozen, "CONT");
    bench.check_finished(child);
}

#[test]
fn chosen_steps_run_on_workers_and_the_others_with_the_driver() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &noise(0, 8));
    let bake = |name: &str, own: &[&str]| {
        let out = folder.text(name);
        let head = ["bake", &source, &out, "--progress", "none", "--mem", "1GiB"];
        levain(&[&head, &LAYOUT[..], own].concat())
    };
    bake("direct.zarr", &[]).check_done();
    let procs = ["--runner", "procs", "--workers", "2", "--remote"];
    bake("mixed.zarr", &[&procs[..], &["*MoveRegions*"]].concat()).check_done();
    assert!(objects(&folder.path("direct.zarr")) == objects(&folder.path("mixed.zarr")));
    let run = std::fs::read_dir(folder.path("mixed.zarr.levain")).expect("runs").flatten();
    let run = run.map(|it| it.path()).find(|it| it.join("batch").exists()).expect("a run");
    let places: Vec<bool> = ["s000", "s001", "s002"]
        .map(|stage| {
            let plan = std::fs::read(run.join(format!("batch/p/{stage}.json"))).expect("a plan");
            let plan: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
            plan["is_local"].as_bool().expect("a place")
        })
        .to_vec();
    assert_eq!(places, [true, false, true]);
    let watched = levain(&["watch", &folder.text("mixed.zarr")]);
    watched.check_done();
    let told = |stage: &str| watched.stderr.lines().find(|it| it.contains(stage)).expect("a stage");
    for (stage, place) in [("1/3", "on driver"), ("2/3", "on workers"), ("3/3", "on driver")] {
        assert!(told(stage).contains(place), "{}", watched.stderr);
    }
    let refused = bake("none.zarr", &[&procs[..], &["*Nothing*"]].concat());
    refused.check_refused("E100", 4, &["no step has the name", "MoveRegions"]);
}

#[test]
fn secrets_in_arguments_are_not_handed_to_workers() {
    let folder = Folder::new();
    let out = folder.text("out.zarr");
    let source = "https://data.example.org/a.nc?token=geheim";
    let ran = levain(&["bake", source, &out, "--runner", "procs"]);
    ran.check_refused("E601", 5, &["an argument holds a secret", "--bearer"]);
    assert!(!ran.stderr.contains("geheim"), "{}", ran.stderr);
    assert!(!folder.path("out.zarr.levain").exists());
}
