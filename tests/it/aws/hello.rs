//! `levain doctor --hello`: a job that says hello from inside, and all that can keep it from it.

use std::time::Instant;

use serde_json::json;

use super::emulator::Emulator;
use crate::command::Ran;

/// A hello job of this command, which the emulator runs as it is.
fn hello(emulator: &Emulator, flags: &[&str]) -> Ran {
    let store = emulator.home.path().join("store");
    let store = store.to_str().expect("UTF-8");
    let own_program = ["--program", env!("CARGO_BIN_EXE_levain")];
    let program = if flags.contains(&"--program") { &[][..] } else { &own_program };
    let head = ["doctor", "--hello", "--store", store, "--job-definition", "tests", "--look", "0s"];
    let own = ["--memory", "512MiB", "--vcpus", "1"];
    emulator.levain(&[&head[..], &own, program, flags].concat())
}

/// A program that does this, whatever it is told.
fn script(emulator: &Emulator, text: &str) -> String {
    let path = emulator.home.path().join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("set");
    path.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
fn check(ran: &Ran, words: &[&str]) {
    let Ran { stdout, stderr, .. } = ran;
    assert_eq!(ran.exit, Some(6), "{stdout}\n{stderr}");
    for word in words.iter().chain(&["FAIL", "fix: "]) {
        assert!(stdout.contains(word), "`{word}` is not in\n{stdout}");
    }
}

/// E19, D36, E07: from credentials to the log, in a few seconds, and nothing is left or made.
#[test]
fn a_good_set_up_says_hello() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let began = Instant::now();
    let ran = hello(&emulator, &[]);
    let seconds = began.elapsed().as_secs_f64();
    ran.check_done();
    for word in ["ok    hello", "wrote to store, stopped, log found"] {
        assert!(ran.stdout.contains(word), "{word} in\n{}", ran.stdout);
    }
    assert!(seconds < 5.0, "{seconds} s");
    let calls = emulator.calls();
    let made = calls.iter().filter(|(name, _)| {
        let name = name.to_lowercase();
        name.starts_with("create") || name.starts_with("register")
    });
    let made: u64 = made.map(|it| it.1).sum();
    // The definition is the test's own.
    assert!(made <= 2, "{calls:?}");
    assert_eq!(emulator.called("SubmitJob"), 1);
    let left = emulator.json(&["batch", "jobs", "--active"]);
    assert_eq!(left["jobs"], json!([]));
    let store = emulator.home.path().join("store");
    let left = std::fs::read_dir(store)
        .map_or(0, |files| files.flatten().filter(|it| it.path().is_file()).count());
    assert_eq!(left, 0);
}

/// D36: what can go wrong with a job, each with its diagnosis.
#[test]
fn each_way_to_fail_has_its_diagnosis() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let with = |rules: serde_json::Value, flags: &[&str], words: &[&str]| {
        emulator.faults(&rules);
        check(&hello(&emulator, flags), words);
        emulator.faults(&json!([]));
    };
    let none = json!([]);
    let sleeper = script(&emulator, "sleep 60");
    let slow = ["--program", sleeper.as_str()];
    with(
        json!([{"kind": "task_failed_to_start"}]),
        &[],
        &["the container did not start", "execution role may pull"],
    );
    with(json!([{"kind": "oom_kill"}]), &slow, &["ran out of memory", "--memory"]);
    with(json!([{"kind": "sigkill137"}]), &slow, &["was killed, and nobody says why"]);
    with(json!([{"kind": "spot_kill"}]), &slow, &["machine was taken away"]);
    with(none.clone(), &["--program", "/bin/false"], &["the job has failed", "exit code 1"]);
    with(
        json!([{"kind": "denied", "op": "SubmitJob", "times": 9}]),
        &[],
        &["batch:SubmitJob is denied"],
    );
    let terminate = json!([{"kind": "denied", "op": "TerminateJobs", "times": 9}]);
    with(terminate, &[], &["FAIL  jobs", "batch:TerminateJob is denied", "cost guards"]);
    let reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT";
    let stuck = json!([{"kind": "stuck", "job": "*", "reason": reason}]);
    with(stuck, &["--wait", "1s"], &["has not ended after 1s", reason, "larger instance type"]);
    // Nothing is left that costs money.
    let left = emulator.json(&["batch", "jobs", "--active"]);
    assert_eq!(left["jobs"], json!([]));
}

/// E22, E23, D15: machines that do not join, and workers that do not reach the store.
#[test]
fn a_network_that_is_closed_is_told_from_both_sides() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    emulator.faults(&json!([{"kind": "stuck", "job": "*"}]));
    let outside = hello(&emulator, &["--wait", "1s"]);
    check(
        &outside,
        &["none joins its cluster", "auto-assign public IPv4", "0 machines have joined"],
    );
    emulator.faults(&json!([]));
    // From inside: the place of the store does not exist there.
    let says = "echo 'error[E401]: cannot write: no connection: timeout to 10.0.0.1:443'; exit 6";
    let inside = hello(&emulator, &["--program", &script(&emulator, says)]);
    check(
        &inside,
        &[
            "worker started, could not reach store",
            "timeout to 10.0.0.1:443",
            "no NAT and no S3 endpoint",
        ],
    );
}
