//! The commands that follow a run: it is cancelled, gone on with, watched and looked into by other
//! processes, which know nothing but its records.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::processes::{Bench, signal, workers_of};
use crate::command::{Ran, command, levain, ran};
use crate::killing::{LAYOUT, noise};
use crate::made::Folder;
use crate::schema::{faults, schema};

/// Runs a command to its end, in a folder and a home that know nothing.
fn elsewhere(arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = command(arguments);
    command.current_dir(folder.path()).env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME");
    ran(command.output().expect("the command can be started"))
}

fn json(ran: &Ran) -> Value {
    ran.check_done();
    serde_json::from_str(&ran.stdout).expect("one document")
}

fn wait_for(path: &Path) {
    let is_there = || {
        std::thread::park_timeout(Duration::from_millis(10));
        path.exists()
    };
    assert!((0..3000).any(|_| is_there()), "{} does not come", path.display());
}

/// The folder of the only run.
fn only_run(bench: &Bench) -> std::path::PathBuf {
    let entries = std::fs::read_dir(bench.runs()).expect("a folder").flatten();
    let runs = entries.map(|it| it.path()).filter(|it| it.join("run.json").exists());
    let runs: Vec<_> = runs.collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

/// A bake that is at work and cannot come to its end before its workers are woken.
fn at_work(bench: &Bench) -> (Child, Vec<u32>) {
    let mut child = bench.start();
    assert!(bench.wait_for_files(&mut child, 12), "the run is met at work");
    let mut workers = workers_of(&bench.runs());
    while workers.is_empty() && child.try_wait().expect("a child").is_none() {
        workers = workers_of(&bench.runs());
    }
    let stopped = workers.iter().filter(|worker| signal(**worker, "STOP")).count();
    assert!(stopped > 0, "no worker is at work");
    (child, workers)
}

/// Sends a signal to processes, as far as they are there.
fn send(workers: &[u32], name: &str) {
    for worker in workers {
        signal(*worker, name);
    }
}

#[test]
fn a_run_that_was_cancelled_is_gone_on_with_by_its_records() {
    let bench = Bench::new("2");
    let (child, workers) = at_work(&bench);
    let run = only_run(&bench);
    let run_text = run.to_str().expect("UTF-8");
    let mut cancel = command(&["cancel", run_text]);
    let cancel = cancel.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    wait_for(&run.join("batch/cancel"));
    send(&workers, "CONT");
    let cancelled = ran(cancel.wait_with_output().expect("a child"));
    cancelled.check_done();
    assert!(cancelled.stdout.contains("CANCELLED"), "{}", cancelled.stdout);
    let driver = ran(child.wait_with_output().expect("a child"));
    assert_eq!(driver.exit, Some(9), "{}", driver.stderr);
    assert!(driver.stderr.contains("E501"), "{}", driver.stderr);
    let left = workers_of(&bench.runs());
    assert!(left.is_empty(), "workers are left: {left:?}");
    assert!(!bench.folder.path("out.zarr/zarr.json").exists(), "readers see a part of a store");
    // Whoever asks again is told so, and it is no error.
    let again = json(&elsewhere(&["cancel", run_text, "--output", "json"]));
    assert_eq!(again["state"], "CANCELLED");
    assert_eq!(elsewhere(&["status", run_text, "--exit-status"]).exit, Some(9));
    let resumed = elsewhere(&["resume", run_text]);
    resumed.check_done();
    assert!(resumed.stderr.contains("resumed: "), "{}", resumed.stderr);
    bench.check();
    assert_eq!(only_run(&bench), run, "it is the same run");
    let nothing = json(&elsewhere(&["resume", run_text, "--output", "json"]));
    assert_eq!(nothing["up_to_date"], true);
}

#[test]
fn a_run_whose_driver_was_killed_is_gone_on_with_by_its_destination() {
    let bench = Bench::new("2");
    let (mut child, workers) = at_work(&bench);
    child.kill().expect("it runs");
    child.wait().expect("a child");
    send(&workers, "CONT");
    let out = bench.folder.text("out.zarr");
    // With one worker in place of two.
    elsewhere(&["resume", &out, "--workers", "1"]).check_done();
    bench.check();
}

#[test]
fn a_run_of_one_process_is_cancelled_by_its_records() {
    let folder = Folder::new();
    let (source, out) = (folder.put("a.nc", &noise(0, 400)), folder.text("out.zarr"));
    let head = ["bake", &source, &out, "--progress", "none", "--resume", "--threads", "1"];
    let mut bake = command(&[&head[..], &LAYOUT[..]].concat());
    let mut child = bake.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    wait_for(&folder.path("out.zarr/v"));
    assert!(signal(child.id(), "STOP"));
    let asked = levain(&["cancel", &out, "--wait", "0s"]);
    assert_eq!(asked.exit, Some(3), "{}", asked.stderr);
    assert!(asked.stdout.contains("nobody has answered"), "{}", asked.stdout);
    // It has missed more than one look meanwhile.
    std::thread::park_timeout(Duration::from_millis(1200));
    assert!(child.try_wait().expect("a child").is_none(), "it was too fast to be stopped");
    assert!(signal(child.id(), "CONT"));
    let stopped = ran(child.wait_with_output().expect("a child"));
    assert_eq!(stopped.exit, Some(9), "{}", stopped.stderr);
    let resumed = elsewhere(&["resume", &out]);
    resumed.check_done();
    assert!(resumed.stderr.contains("were there already"), "{}", resumed.stderr);
    // The first run is not the newest any more.
    let mut runs: Vec<String> = std::fs::read_dir(folder.path("out.zarr.levain"))
        .expect("runs")
        .map(|it| it.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    runs.sort();
    let first = folder.path("out.zarr.levain").join(&runs[0]);
    let refused = elsewhere(&["resume", first.to_str().expect("UTF-8")]);
    refused.check_refused("E100", 4, &["later", &runs[1]]);
}

#[test]
fn what_cannot_be_gone_on_with_or_kept_is_refused() {
    let folder = Folder::new();
    let (source, out) = (folder.put("a.nc", &noise(0, 4)), folder.text("out.zarr"));
    levain(&["bake", &source, &out, "--progress", "none"]).check_done();
    let runs = folder.path("out.zarr.levain");
    let run = std::fs::read_dir(&runs).expect("runs").flatten().next().expect("a run").path();
    let record: Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).expect("a record"))
            .expect("JSON");
    assert_eq!(faults(&schema("run"), &record), Vec::<String>::new());
    assert_eq!(record["again"]["runner"], "direct");
    levain(&["cancel", &out, "--keep-workers"]).check_refused("E104", 4, &["no workers"]);
    levain(&["tasks", &out]).check_refused("E111", 4, &["one process"]);
    std::fs::remove_file(run.join("result.json")).expect("a result");
    let mut untold = record.clone();
    untold.as_object_mut().expect("an object").remove("again");
    std::fs::write(run.join("run.json"), untold.to_string()).expect("written");
    let refused = levain(&["resume", &out]);
    refused.check_refused("E601", 5, &["do not keep", "--resume"]);
}

#[test]
fn a_detached_run_goes_on_by_itself_and_is_watched() {
    let bench = Bench::new("2");
    let mut command = bench.command();
    let detached = ran(command.args(["--detach", "--output", "json"]).output().expect("started"));
    let told = json(&detached);
    let run = only_run(&bench);
    assert_eq!(Some(run.to_str().expect("UTF-8")), told["folder"].as_str().map(plain));
    let watched = elsewhere(&["watch", run.to_str().expect("UTF-8"), "--look-ms", "20"]);
    watched.check_done();
    assert!(watched.stdout.contains("SUCCEEDED"), "{}", watched.stdout);
    assert!(!watched.stderr.contains('\x1b'), "control codes: {}", watched.stderr);
    assert!(watched.stderr.contains("stage "), "{}", watched.stderr);
    bench.check();
    let log = told["log"].as_str().expect("a path");
    assert!(Path::new(log).exists(), "{log}");
    // The second time there is nothing to do, and no driver is started for it to stay.
    let mut command = bench.command();
    let again = ran(command.arg("--detach").output().expect("started"));
    again.check_done();
    assert!(again.stderr.contains("nothing to resume"), "{}", again.stderr);
}

/// The path that a location of this machine is.
fn plain(location: &str) -> &str {
    location.strip_prefix("file://").unwrap_or(location)
}

#[test]
fn what_fails_before_a_detached_run_has_begun_is_told_where_it_was_asked_for() {
    let folder = Folder::new();
    let out = folder.text("out.zarr");
    let bake = ["bake", &folder.text("no.nc"), &out, "--runner", "procs"];
    let (here, ran) = (levain(&bake), levain(&[&bake[..], &["--detach"]].concat()));
    assert!(here.exit != Some(0) && here.stderr.contains("error[E"), "{}", here.stderr);
    assert_eq!((ran.exit, ran.stderr), (here.exit, here.stderr));
    assert!(!folder.path("out.zarr.levain").exists(), "logs of nothing are left");
}

#[test]
fn tasks_logs_and_events_of_a_run_are_told_by_its_records() {
    let bench = Bench::new("2");
    let mut command = bench.command();
    command.env("LEVAIN_LOG", "debug").stderr(Stdio::null()).stdout(Stdio::null());
    assert!(command.status().expect("it can be started").success());
    bench.check();
    let out = bench.folder.text("out.zarr");
    let told = json(&levain(&["tasks", &out, "--output", "json"]));
    assert_eq!(faults(&schema("tasks"), &told), Vec::<String>::new());
    let tasks = told["tasks"].as_array().expect("tasks");
    assert!(tasks.len() >= 3 && tasks.iter().all(|task| task["state"] == "done"), "{told:#}");
    let written: u64 = tasks.iter().filter_map(|task| task["written"].as_u64()).sum();
    let chunks: u64 = bench.want_bytes("v/c/");
    assert!(written >= chunks, "{written} bytes of tasks, {chunks} of chunks");
    let csv = levain(&["tasks", &out, "-f", "stage,task,worker", "--output", "csv"]);
    csv.check_done();
    assert_eq!(csv.stdout.lines().next(), Some("stage,task,worker"));
    assert_eq!(csv.stdout.lines().count(), tasks.len() + 1);
    levain(&["tasks", &out, "-f", "color"]).check_refused("E100", 4, &["`color`", "stage"]);
    levain(&["runs", &out, "--output", "csv"]).check_refused("E100", 4, &["CSV"]);
    let worker = tasks[0]["worker"].as_str().expect("a worker");
    let lines = |more: &[&str]| {
        let logs = levain(&[&["logs", &out], more].concat());
        logs.check_done();
        logs.stdout.lines().count()
    };
    let (all, one) = (lines(&[]), lines(&["--worker", worker]));
    assert!(one > 0 && one <= all, "{one} of {all} lines");
    assert_eq!(lines(&["--attempt", "2"]), 0);
    assert_eq!(lines(&["--since", "2000-01-01T00:00:00Z", "--raw", "--follow"]), all);
    assert!(lines(&["--step", "*MoveRegions*"]) > 0);
    levain(&["logs", &out, "--step", "Nothing"]).check_refused("E100", 4, &["MoveRegions"]);
    levain(&["logs", &out, "--worker", "9-9-9"]).check_refused("E510", 6, &["9-9-9"]);
    let watched = levain(&["watch", &out, "--output", "ndjson"]);
    watched.check_done();
    let events: Vec<Value> =
        watched.stdout.lines().map(|it| serde_json::from_str(it).expect("JSON")).collect();
    for event in &events {
        assert_eq!(faults(&schema("event"), event), Vec::<String>::new(), "{event}");
    }
    let names: Vec<&str> = events.iter().filter_map(|it| it["event"].as_str()).collect();
    assert_eq!(names.last(), Some(&"ended"));
    assert_eq!(names.iter().filter(|it| **it == "stage").count(), 3, "{names:?}");
}

#[test]
fn what_runs_have_left_is_removed_and_nothing_that_is_still_needed() {
    let bench = Bench::new("2");
    let (mut child, workers) = at_work(&bench);
    let run = only_run(&bench);
    let out = bench.folder.text("out.zarr");
    levain(&["gc", run.to_str().expect("UTF-8")]).check_refused("E507", 8, &["somebody works"]);
    child.kill().expect("it runs");
    child.wait().expect("a child");
    send(&workers, "KILL");
    while levain(&["gc", &out, "--dry-run"]).exit == Some(8) {
        std::thread::park_timeout(Duration::from_millis(200));
    }
    // What a write leaves whose process is killed while it writes.
    let claims = run.join("batch/k/s001");
    std::fs::create_dir_all(&claims).expect("a folder");
    std::fs::write(claims.join("00000.w#7"), "a part of a claim").expect("written");
    let planned = json(&levain(&["gc", &out, "--dry-run", "--output", "json"]));
    let count = planned["runs"][0]["objects"].as_u64().expect("a count");
    let beats = || crate::killing::file_count(&run.join("batch/hb"));
    assert!(count > 0 && beats() > 0, "{planned:#}");
    let removed = json(&levain(&["gc", &out, "--output", "json"]));
    assert_eq!(removed["runs"][0]["objects"].as_u64(), Some(count));
    assert_eq!((beats(), crate::killing::file_count(&run.join("batch/k"))), (0, 0));
    levain(&["resume", &out]).check_done();
    bench.check();
    let nothing = json(&levain(&["gc", &out, "--output", "json"]));
    assert_eq!(nothing["runs"], serde_json::json!([]));
}
