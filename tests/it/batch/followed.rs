//! The commands that follow a run, on the emulator of AWS Batch.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::bakery::over_one_server;
use crate::command::ran;
use crate::made::Folder;

const SIZE: [&str; 2] = ["--memory", "1GiB"];

#[test]
fn a_run_on_batch_is_cancelled_and_gone_on_with_elsewhere() {
    over_one_server("cancel", &[], |bakery| {
        let mut child = bakery.start(&SIZE);
        assert!(bakery.wait_for_commits(&mut child, 1), "the run is met at work");
        let cancelled = bakery.of_run("cancel", &[]);
        cancelled.check_done();
        assert!(cancelled.stdout.contains("CANCELLED"), "{}", cancelled.stdout);
        let driver = ran(child.wait_with_output().expect("a child"));
        assert_eq!(driver.exit, Some(9), "{}", driver.stderr);
        bakery.of_run("cancel", &["--now"]).check_done();
        assert_eq!(bakery.of_run("status", &["--exit-status"]).exit, Some(9));
        let home = tempfile::tempdir().expect("a folder");
        let out = format!("{}/out.zarr", bakery.place);
        let mut resume = bakery.command(&["resume", &out]);
        // Neither the queue nor the endpoint is told again: the records keep them.
        for variable in ["LEVAIN_BATCH__QUEUE", "LEVAIN_BATCH__ENDPOINT", "LEVAIN_BATCH__REGION"] {
            resume.env_remove(variable);
        }
        let resume = resume.current_dir(home.path()).env("HOME", home.path());
        ran(resume.output().expect("it can be started")).check_done();
        bakery.check();
    });
}

#[test]
fn a_driver_that_is_asked_to_go_leaves_its_workers_at_work() {
    over_one_server("leave", &[], |bakery| {
        // So that the run is not over before its driver has looked.
        let slow = json!({ "rules": [{ "mode": "latency", "delay_s": 0.1 }] });
        bakery.workers.control("/_faults/rules", &slow);
        let mut child = bakery.start(&SIZE);
        assert!(bakery.wait_for_commits(&mut child, 1), "the run is met at work");
        bakery.of_run("cancel", &["--keep-workers"]).check_done();
        let driver = ran(child.wait_with_output().expect("a child"));
        assert_eq!(driver.exit, Some(8), "{}", driver.stderr);
        assert!(driver.stderr.contains("asked to leave the run"), "{}", driver.stderr);
        for stop in ["TerminateJob", "TerminateJobs", "CancelJob", "CancelJobs"] {
            assert_eq!(bakery.emulator.called(stop), 0, "a job was ended");
        }
        bakery.workers.control("/_faults/rules", &json!({ "rules": [] }));
        assert_eq!(bakery.of_run("status", &["--exit-status"]).exit, Some(10));
        bakery.of_run("resume", &[]).check_done();
        bakery.check();
    });
}

#[test]
fn what_workers_have_printed_before_they_failed_is_told() {
    over_one_server("haunted", &[], |bakery| {
        let folder = Folder::new();
        let script = folder.path("worker.sh");
        std::fs::write(&script, "#!/bin/sh\necho the disk is haunted\nexit 3\n").expect("written");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("ours");
        let progress = ["--progress", "lines"];
        let own = [&SIZE[..], &progress].concat();
        let child = bakery.start_with(script.to_str().expect("UTF-8"), &own);
        let failed = ran(child.wait_with_output().expect("a child"));
        assert_eq!(failed.exit, Some(6), "{}", failed.stderr);
        let (said, report) = failed.stderr.split_once("error[E504]").expect("E504");
        assert!(report.contains("the disk is haunted"), "{report}");
        // As it happened, too, with who has printed it.
        let line = said.lines().find(|line| line.contains("| the disk is haunted"));
        assert!(line.is_some_and(|it| it.contains(":0 |")), "{said}");
        for state in ["workers 1 waiting", "workers none"] {
            assert!(said.contains(state), "{state}: {said}");
        }
        // D32: the report lists which worker has ended why.
        let kept = bakery.bucket.list("out.zarr.levain").expect("a list");
        let report = kept.iter().find(|it| it.key.ends_with("/report.json")).expect("a report");
        let report = bakery.bucket.get(&report.key).expect("listed");
        let report: Value = serde_json::from_slice(&report).expect("JSON");
        let warnings = report["warnings"].as_array().expect("warnings").iter();
        let ends = warnings.filter(|it| it.as_str().is_some_and(|it| it.contains(" has ended: ")));
        let ends: Vec<&Value> = ends.collect();
        assert!(ends.len() >= 4, "{report:#}");
        let logs = bakery.of_run("logs", &[]);
        logs.check_done();
        assert!(
            logs.stdout.lines().all(|it| it.ends_with("the disk is haunted")),
            "{}",
            logs.stdout
        );
        assert!(logs.stdout.lines().count() >= 4, "{}", logs.stdout);
        let raw = bakery.of_run("logs", &["--worker", "1-0000:0", "--raw", "--attempt", "1"]);
        assert_eq!(raw.stdout, "the disk is haunted\n");
    });
}

#[test]
fn jobs_that_wait_are_told_with_their_reason() {
    over_one_server("waiting", &[], |bakery| {
        let reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT";
        bakery.emulator.faults(&json!([{ "kind": "stuck", "reason": reason }]));
        let own = ["--runnable-fail", "4s", "--progress", "lines"];
        let mut child = bakery.start(&[&SIZE[..], &own].concat());
        // The state that a watcher reads says so while the run goes on.
        let told = || {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
            let kept = bakery.bucket.list("out.zarr.levain").expect("a list");
            let state = kept.iter().find(|it| it.key.ends_with("/batch/state.json"));
            let body = state.map(|it| bakery.bucket.get(&it.key).expect("listed"));
            body.is_some_and(|it| String::from_utf8_lossy(&it).contains(reason))
        };
        assert!((0..1000).any(|_| told()), "nobody says why jobs wait");
        let watched = bakery.of_run("watch", &["--look-ms", "50"]);
        assert_eq!(watched.exit, Some(6), "{}", watched.stderr);
        assert!(watched.stderr.contains(&format!("1 waiting ({reason})")), "{}", watched.stderr);
        assert!(child.wait().expect("a child").code() == Some(6));
        // What waited is ended, and the run goes on when there is room.
        let ended: u64 =
            ["TerminateJob", "TerminateJobs"].iter().map(|it| bakery.emulator.called(it)).sum();
        assert!(ended > 0, "{:?}", bakery.emulator.calls());
        bakery.emulator.faults(&json!([]));
        bakery.of_run("resume", &["--progress", "none"]).check_done();
        bakery.check();
    });
}
