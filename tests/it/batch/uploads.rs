//! Uploads in parts that killed processes leave in S3: given up when a run ends, and by `levain gc`.

use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use super::bakery::{Bakery, over_one_server, over_servers};

const SIZE: [&str; 2] = ["--memory", "1GiB"];

/// Leaves an upload as a process does that is killed while it writes a long object.
fn begin_upload(bakery: &Bakery, key: &str) {
    let writer = bakery.bucket.writer(key).expect("a key").in_parts();
    std::mem::forget(writer.expect("an upload is begun"));
}

/// Starts a bake that takes a while, since one of its chunks does, and waits until it is at work.
fn start(bakery: &Bakery) -> Child {
    bakery.bucket.sweep("").expect("what an earlier test has left is given up");
    let slow =
        json!({ "mode": "latency", "delay_s": 5, "op": "PutObject", "key": "*/v/c/*", "times": 1 });
    bakery.workers.control("/_faults/rules", &json!({ "rules": [slow] }));
    let mut child = bakery.start(&[&SIZE[..], &["--set", "batch.idle=1s"]].concat());
    assert!(bakery.wait_for_commits(&mut child, 1), "the run is met at work");
    child
}

/// The folder of the only run, below the place of the bakery.
fn run_folder(bakery: &Bakery) -> String {
    let kept = bakery.bucket.list("out.zarr.levain").expect("a list");
    let run = kept.iter().find(|it| it.key.ends_with("/batch/run.json")).expect("a run");
    run.key.trim_end_matches("/batch/run.json").to_owned()
}

/// Leaves uploads of the store, of its records and of somebody else.
fn begin_uploads(bakery: &Bakery) -> [String; 3] {
    let run = run_folder(bakery);
    let keys =
        ["out.zarr/v/c/9/9".to_owned(), format!("{run}/batch/d/aa/s001/9.w"), "out.zarr2/v".into()];
    keys.iter().for_each(|key| begin_upload(bakery, key));
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(bakery.bucket.unfinished("").expect("a list"), sorted);
    keys
}

/// A42: what a killed worker leaves of an object in parts is given up when the run ends.
#[test]
fn no_upload_is_left_when_a_run_ends() {
    over_servers("uploads", &[], |bakery| {
        loop {
            let child = start(bakery);
            let [.., foreign] = begin_uploads(bakery);
            let kept = bakery.bucket.list("out.zarr.levain").expect("a list");
            // Else the run was over before the uploads began, and proves nothing.
            let is_in_time = !kept.iter().any(|it| it.key.ends_with("/batch/result.json"));
            crate::command::ran(child.wait_with_output().expect("a child")).check_done();
            let left = bakery.bucket.unfinished("").expect("a list");
            bakery.bucket.sweep("").expect("given up");
            if is_in_time {
                assert_eq!(left, [foreign]);
                return bakery.check();
            }
            ["out.zarr", "out.zarr.levain"].iter().for_each(|folder| {
                bakery.bucket.delete_all(folder).expect("deleted");
            });
        }
    });
}

/// A42: and by `levain gc` for a run that is not gone on with.
#[test]
fn uploads_of_a_dead_run_are_found_and_given_up() {
    over_servers("remains", &[], |bakery| {
        let mut child = start(bakery);
        child.kill().expect("it runs");
        child.wait().expect("a child");
        let [.., foreign] = begin_uploads(bakery);
        let gc = |flags: &[&str]| loop {
            // Workers of a driver that is gone go home when they have nothing to do.
            let ran = bakery.of_run("gc", &[flags, &["--output", "json"]].concat());
            if ran.exit != Some(8) {
                ran.check_done();
                break serde_json::from_str::<Value>(&ran.stdout).expect("JSON");
            }
            std::thread::park_timeout(Duration::from_millis(200));
        };
        let planned = gc(&["--dry-run"]);
        assert_eq!(planned["destinations"][0]["unfinished"], json!(["v/c/9/9"]), "{planned:#}");
        assert_eq!(planned["runs"][0]["unfinished"], json!(["d/aa/s001/9.w"]), "{planned:#}");
        assert_eq!(bakery.bucket.unfinished("").expect("a list").len(), 3, "nothing was removed");
        gc(&[]);
        assert_eq!(bakery.bucket.unfinished("").expect("a list"), [foreign]);
        bakery.bake(&SIZE).check_done();
        bakery.bucket.sweep("").expect("given up");
        bakery.check();
    });
}

/// Who may not list uploads is told, and bakes all the same.
#[test]
fn a_store_that_lists_no_uploads_is_told_of() {
    over_one_server("unlisted", &[], |bakery| {
        let denied = json!({ "mode": "refuse", "op": "ListMultipartUploads" });
        bakery.driver.control("/_faults/rules", &json!({ "rules": [denied] }));
        let ran = bakery.bake(&SIZE);
        ran.check_done();
        assert!(ran.stderr.contains("s3:ListBucketMultipartUploads"), "{}", ran.stderr);
        bakery.check();
    });
}
