//! Records of runs: reports, failures, their forms, and the commands that read them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Ran, command, levain, ran};
use crate::made::{Folder, day};
use crate::schema::{faults, schema};

const DAYS: &str = "days since 2000-01-01";

fn run_in(folder: &Folder, arguments: &[&str]) -> Ran {
    let mut command = command(arguments);
    ran(command.current_dir(folder.root()).output().expect("the command can be started"))
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).expect("a record");
    serde_json::from_slice(&text).expect("a record is JSON")
}

/// The folders of the runs of a destination, oldest first.
fn runs(destination: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("{destination}.levain")).expect("there are runs");
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    runs.sort();
    runs
}

/// Checks all records of a run against the published schemas; its report.
#[track_caller]
fn checked(run: &Path) -> Value {
    let report = read(&run.join("report.json"));
    let check = |name: &str, value: &Value| {
        assert_eq!(faults(&schema(name), value), Vec::<String>::new(), "{name}");
    };
    check("report", &report);
    check("run", &read(&run.join("run.json")));
    let count = report["failures"]["count"].as_u64().expect("a count");
    assert_eq!(run.join("failures").exists(), count > 0);
    if count > 0 {
        let index = read(&run.join("failures/index.json"));
        check("failures", &index);
        for id in index["records"].as_array().expect("records") {
            let id = id.as_str().expect("a name");
            check("failures", &read(&run.join(format!("failures/{id}.json"))));
        }
    }
    let page = std::fs::read_to_string(run.join("report.html")).expect("a page");
    for panel in ["<h1>", "<h2>Stages", "<h2>Timeline", "<h2>Failures", "<h2>Completeness"] {
        assert!(page.contains(panel), "{panel}");
    }
    report
}

fn two_files(folder: &Folder) -> Vec<String> {
    folder.put_all(&[day(DAYS, &[0.0, 1.0], 0.0), day(DAYS, &[2.0, 3.0], 12.0)])
}

fn bake(sources: &[String], out: &str, more: &[&str]) -> Ran {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    levain(&[&["bake"], &sources[..], &[out, "--progress", "none"], more].concat())
}

#[test]
fn a_run_that_succeeds_tells_what_it_has_done() {
    let folder = Folder::new();
    let (sources, out) = (two_files(&folder), folder.text("out.zarr"));
    let prices = ["--set", "prices.vcpu_hour=1", "--set", "prices.gib_hour=2"];
    let done =
        bake(&sources, &out, &[&["--chunks", "time=1", "--threads", "2"], &prices[..]].concat());
    done.check_done();
    assert!(done.stdout.contains("report.html"), "{}", done.stdout);
    let run = runs(&out).remove(0);
    let report = checked(&run);
    assert_eq!(report["run"]["id"], run.file_name().expect("a name").to_str().expect("UTF-8"));
    assert_eq!(
        (&report["run"]["kind"], &report["run"]["runner"]),
        (&"bake".into(), &"direct".into())
    );
    assert_eq!(
        (&report["exit"]["code"], &report["exit"]["state"]),
        (&0.into(), &"SUCCEEDED".into())
    );
    let outputs = &report["outputs"];
    assert_eq!((&outputs["chunks_expected"], &outputs["chunks_written"]), (&7.into(), &7.into()));
    assert_eq!((&outputs["chunks_missing"], &outputs["is_visible"]), (&0.into(), &true.into()));
    let t2m = outputs["arrays"].as_array().expect("arrays").iter().find(|it| it["name"] == "t2m");
    assert_eq!(t2m.expect("it was written")["map"]["rows"], serde_json::json!(["####"]));
    assert_eq!(
        (&report["inputs"]["count"], &report["cost"]["items"][1]["what"]),
        (&2.into(), &"memory".into())
    );
    // Every stage has run, every task is one of a worker's attempts.
    let stages = report["stages"].as_array().expect("stages");
    assert!(stages.iter().all(|stage| stage["state"] == "done"), "{stages:?}");
    assert!(stages[0]["id"].as_str().is_some_and(|id| id.starts_with("scan/")));
    let workers = report["workers"].as_array().expect("workers").iter();
    let attempts: u64 = workers.filter_map(|worker| worker["attempts"].as_u64()).sum();
    assert_eq!(Some(attempts), report["tasks_summary"]["done"].as_u64());
    let written: u64 = stages.iter().filter_map(|stage| stage["written_bytes"].as_u64()).sum();
    assert_eq!(Some(written), outputs["encoded_bytes"].as_u64());
}

#[test]
fn the_same_store_has_the_same_digest_whatever_the_threads() {
    let folder = Folder::new();
    let sources = two_files(&folder);
    let digest = |out: &str, threads: &str, chunks: &str| {
        let out = folder.text(out);
        bake(&sources, &out, &["--threads", threads, "--chunks", chunks]).check_done();
        checked(&runs(&out)[0])["outputs"]["digest"].clone()
    };
    let one = digest("one.zarr", "1", "time=1");
    assert!(one.is_string());
    assert_eq!(digest("two.zarr", "2", "time=1"), one);
    assert_ne!(digest("other.zarr", "2", "time=2"), one);
}

/// A store of four days whose last chunk does not decode.
fn broken(folder: &Folder) -> String {
    let (sources, store) = (two_files(folder), folder.text("broken.zarr"));
    bake(&sources, &store, &["--chunks", "time=1"]).check_done();
    let chunk = folder.path("broken.zarr/t2m/c/3/0/0");
    std::fs::write(chunk, b"no chunk at all").expect("a chunk");
    store
}

/// Writes a store anew, one chunk after the other.
fn rechunk(source: &str, out: &str, more: &[&str]) -> Ran {
    let fixed = ["rechunk", source, out, "--chunks", "time=1,lat=1", "--threads", "1"];
    levain(&[&fixed, more].concat())
}

#[test]
fn a_run_that_fails_tells_where_and_how_one_goes_on() {
    let folder = Folder::new();
    let (source, out) = (broken(&folder), folder.text("out.zarr"));
    let failed = rechunk(&source, &out, &["--resume"]);
    assert_eq!(failed.exit, Some(1), "{}", failed.stderr);
    let run = runs(&out).remove(0);
    let report = checked(&run);
    assert_eq!((&report["exit"]["code"], &report["exit"]["resumable"]), (&1.into(), &true.into()));
    assert_eq!(report["exit"]["state"], "FAILED");
    let written = report["outputs"]["chunks_written"].as_u64().expect("a count");
    let missing = report["outputs"]["chunks_missing"].as_u64().expect("a count");
    assert_eq!(Some(written + missing), report["outputs"]["chunks_expected"].as_u64());
    assert!(missing >= 1 && report["outputs"]["is_visible"] == false);
    let failure = read(&run.join("failures/F1.json"));
    assert_eq!(failure["disposition"], "failed-run");
    assert!(failure["step"]["path"].as_str().is_some_and(|step| step.starts_with("WriteStore")));
    assert!(
        failure["sources"][0]["url"].as_str().is_some_and(|it| it.contains("broken.zarr")),
        "{failure}"
    );
    let next = failure["next"].as_array().expect("commands");
    assert!(
        next.iter().any(|it| it.as_str().is_some_and(|it| it.ends_with("--resume"))),
        "{next:?}"
    );
    // The commands that read it.
    let run = run.to_str().expect("UTF-8");
    let status = levain(&["status", run, "--exit-status"]);
    assert_eq!(status.exit, Some(1), "{}", status.stdout);
    assert!(
        status.stdout.contains("FAILED") && status.stdout.contains("--resume"),
        "{}",
        status.stdout
    );
    let shown = levain(&["failures", &out, "--full"]);
    shown.check_done();
    assert!(
        shown.stdout.contains("1 failure in 1 group") && shown.stdout.contains("F1 G1"),
        "{}",
        shown.stdout
    );
    levain(&["failures", &out, "--group", "G7"]).check_refused("E100", 4, &["there are: G1"]);
    std::fs::remove_file(Path::new(run).join("report.html")).expect("a page");
    levain(&["report", run]).check_done();
    checked(Path::new(run));
}

#[test]
fn what_was_removed_again_is_not_told_as_written() {
    let folder = Folder::new();
    let (source, out) = (broken(&folder), folder.text("out.zarr"));
    let failed = rechunk(&source, &out, &[]);
    assert_eq!(failed.exit, Some(1), "{}", failed.stderr);
    let report = checked(&runs(&out)[0]);
    assert_eq!(report["outputs"]["chunks_written"], 0);
    assert_eq!(report["exit"]["resumable"], false);
}

#[test]
fn chunks_of_fill_values_and_those_of_before_are_told_apart() {
    let folder = Folder::new();
    let (sources, out) = (two_files(&folder), folder.text("out.zarr"));
    let late = folder.put("late.nc", &day(DAYS, &[6.0], 24.0));
    let bake_all = [sources[0].clone(), sources[1].clone(), late];
    bake(&bake_all, &out, &["--chunks", "time=1", "--gaps", "fill"]).check_done();
    let of_t2m = |report: &Value| {
        let arrays = report["outputs"]["arrays"].as_array().expect("arrays");
        arrays.iter().find(|it| it["name"] == "t2m").expect("it was written").clone()
    };
    let t2m = of_t2m(&checked(&runs(&out)[0]));
    assert_eq!(t2m["map"]["rows"], serde_json::json!(["####oo#"]), "{t2m}");
    assert_eq!((&t2m["filled"], &t2m["written"]), (&2.into(), &7.into()));
    let more = folder.put("more.nc", &day(DAYS, &[7.0, 8.0], 36.0));
    bake(&[more], &out, &["--append", "time"]).check_done();
    let t2m = of_t2m(&checked(&runs(&out)[1]));
    assert_eq!(t2m["map"]["rows"], serde_json::json!(["-------##"]), "{t2m}");
    assert_eq!((&t2m["expected"], &t2m["written"]), (&2.into(), &2.into()));
}

#[test]
fn runs_are_listed_and_found_by_name_folder_and_destination() {
    let folder = Folder::new();
    let sources = two_files(&folder);
    for out in ["a.zarr", "b.zarr", "a.zarr"] {
        bake(&sources, &folder.text(out), &["--overwrite"]).check_done();
    }
    let listed = run_in(&folder, &["runs", "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("one document");
    let listed = listed["runs"].as_array().expect("runs");
    assert_eq!(listed.len(), 3);
    assert!(listed.is_sorted_by_key(|run| run["run"].as_str().map(str::to_owned)), "oldest first");
    let name = |run: &Value| run["run"].as_str().expect("a name").to_owned();
    let (first, newest) = (name(&listed[0]), name(&listed[2]));
    let status_of = |run: &str| {
        let ran = run_in(&folder, &["status", run, "--output", "json"]);
        ran.check_done();
        name(&serde_json::from_str(&ran.stdout).expect("one document"))
    };
    assert_eq!(status_of(&first), first);
    assert_eq!(status_of(&format!("a.zarr.levain/{first}")), first);
    assert_eq!(status_of("a.zarr"), newest);
    assert_eq!(status_of("a.zarr.levain"), newest);
    let gone = run_in(&folder, &["status", "c.zarr"]);
    gone.check_refused("E402", 6, &["no such run", "levain runs"]);
    // A run of which no end is recorded.
    let run = folder.path(&format!("a.zarr.levain/{newest}"));
    for record in ["result.json", "report.json"] {
        std::fs::remove_file(run.join(record)).expect("a record");
    }
    let unfinished = run_in(&folder, &["status", "a.zarr", "--exit-status"]);
    assert_eq!(unfinished.exit, Some(10), "{}", unfinished.stdout);
    assert!(unfinished.stdout.contains("UNFINISHED   bake"), "{}", unfinished.stdout);
    run_in(&folder, &["report", "a.zarr"]).check_refused("E402", 6, &["no report"]);
    assert_eq!(run_in(&folder, &["failures", "a.zarr"]).exit, Some(0));
}

#[test]
fn every_error_code_has_a_page() {
    let codes = levain(&["explain", "--output", "json"]);
    let codes: Value = serde_json::from_str(&codes.stdout).expect("one document");
    let codes = codes["codes"].as_array().expect("codes");
    assert_eq!(codes.len(), levain::dataflow::error::ErrorCode::ALL.len());
    for code in ["E201", "e701", "105"] {
        let page = levain(&["explain", code]);
        page.check_done();
        assert!(
            page.stdout.contains("why    ") && page.stdout.contains("mend   "),
            "{}",
            page.stdout
        );
        assert!(page.stdout.lines().all(|line| line.chars().count() <= 100), "{}", page.stdout);
    }
    levain(&["explain", "E999"]).check_refused("E100", 4, &["E999"]);
}

#[test]
fn shells_are_given_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = levain(&["completions", shell]);
        script.check_done();
        assert!(script.stdout.contains("rechunk") && script.stdout.contains("config"), "{shell}");
    }
    assert_eq!(levain(&["completions", "abacus"]).exit, Some(2));
}
