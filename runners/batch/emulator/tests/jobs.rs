//! How jobs run: what they are given, what they print, how they end.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::{Emulator, endings};

const EXITED: &str = "Essential container in task exited";

#[test]
fn a_job_gets_its_environment_and_nothing_else() {
    let emulator = Emulator::start(&[]);
    let more = json!({"containerOverrides": {"environment": [{"name": "OWN", "value": "a b"}]}});
    let id = emulator.script(
        "plain",
        "env | cut -d= -f1 | sort | tr '\\n' ' '; echo; echo $OWN >&2",
        &more,
    );
    let job = emulator.ended(&id);
    assert_eq!(job["status"], "SUCCEEDED", "{job}");
    let lines = emulator.lines(&job);
    // The shell adds PWD, and `_` or SHLVL as it likes.
    let names: Vec<&str> = lines[0]
        .split(' ')
        .filter(|name| !["", "PWD", "_", "SHLVL", "OLDPWD"].contains(name))
        .collect();
    let batch =
        ["AWS_BATCH_CE_NAME", "AWS_BATCH_JOB_ATTEMPT", "AWS_BATCH_JOB_ID", "AWS_BATCH_JQ_NAME"];
    assert_eq!(names, [&batch[..], &["OWN", "PATH"]].concat());
    assert_eq!(lines[1], "a b");
    assert_eq!(endings(&job), [(EXITED.to_owned(), Some(0), String::new())]);
    let stream = job["container"]["logStreamName"].as_str().expect("a stream");
    assert!(stream.starts_with("jd/default/"), "{stream}");
}

#[test]
fn parameters_stand_in_for_words_of_the_command() {
    let emulator = Emulator::start(&[]);
    let more = json!({"parameters": {"word": "said"}, "containerOverrides": {"command": ["echo", "Ref::word", "Ref::none"]}});
    let job = emulator.ended(&emulator.submit("ref", &more));
    assert_eq!(emulator.lines(&job), ["said Ref::none"]);
}

#[test]
fn children_of_an_array_know_their_index() {
    let emulator = Emulator::start(&[]);
    let id = emulator.submit("array", &json!({"arrayProperties": {"size": 3}}));
    let job = emulator.ended(&id);
    assert_eq!(job["status"], "SUCCEEDED");
    assert_eq!(job["arrayProperties"]["statusSummary"]["SUCCEEDED"], 3);
    for index in 0..3 {
        let child = emulator.job(&format!("{id}:{index}"));
        assert_eq!(child["arrayProperties"]["index"], index);
        assert_eq!(emulator.lines(&child), [format!("index={index} attempt=1")]);
    }
}

#[test]
fn an_exit_code_that_is_not_retried_fails_the_job() {
    let emulator = Emulator::start(&[]);
    let more = json!({"containerOverrides": {"environment": [{"name": "CODE", "value": "3"}]}});
    let job = emulator.ended(&emulator.submit("code", &more));
    assert_eq!(job["status"], "FAILED");
    assert_eq!(endings(&job), [(EXITED.to_owned(), Some(3), String::new())]);
}

#[test]
fn an_exit_code_that_is_retried_starts_the_command_again() {
    let emulator = Emulator::start(&[]);
    let retry = json!({"retryStrategy": {"attempts": 4, "evaluateOnExit": [
        {"onExitCode": "20*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]}});
    let script = "test $AWS_BATCH_JOB_ATTEMPT = 3 && exit 0; exit 20$AWS_BATCH_JOB_ATTEMPT";
    let job = emulator.ended(&emulator.script("again", script, &retry));
    assert_eq!(job["status"], "SUCCEEDED");
    let codes: Vec<_> = endings(&job).into_iter().map(|(_, code, _)| code).collect();
    assert_eq!(codes, [Some(201), Some(202), Some(0)]);
    let streams = job["attempts"].as_array().expect("attempts").iter();
    let streams = streams.filter_map(|it| it["container"]["logStreamName"].as_str());
    let streams: BTreeSet<&str> = streams.collect();
    assert_eq!(streams.len(), 3, "each attempt has a stream of its own");
}

#[test]
fn a_job_that_takes_too_much_memory_is_killed() {
    let emulator = Emulator::start(&[]);
    let script = "x=$(head -c 150000000 /dev/zero | tr '\\0' x); echo took ${#x}; sleep 20";
    let job = emulator.ended(&emulator.script("memory", script, &json!({})));
    assert_eq!(job["status"], "FAILED");
    let reason = "OutOfMemoryError: Container killed due to memory usage";
    assert_eq!(endings(&job), [(EXITED.to_owned(), Some(137), reason.to_owned())]);
    let enough = json!({"containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": "2000"}]}});
    let job = emulator.ended(&emulator.script("memory", &script.replace("sleep 20", ""), &enough));
    assert_eq!(job["status"], "SUCCEEDED", "{job}");
}

#[test]
fn a_command_that_is_not_there_cannot_start() {
    let emulator = Emulator::start(&[]);
    let more = json!({"containerOverrides": {"command": ["no-such-program"]}});
    let job = emulator.ended(&emulator.submit("none", &more));
    let endings = endings(&job);
    assert_eq!((endings[0].0.as_str(), endings[0].1), ("Task failed to start", Some(127)));
    assert!(endings[0].2.starts_with("CannotStartContainerError"), "{endings:?}");
}

#[test]
fn jobs_wait_for_slots_in_their_order() {
    let emulator = Emulator::start(&["--slots", "2"]);
    let sleeping = |name: &str| emulator.script(name, "sleep 30", &json!({}));
    let [first, second, third] = ["first", "second", "third"].map(sleeping);
    emulator.status(&first, "RUNNING");
    emulator.status(&second, "RUNNING");
    assert_eq!(emulator.job(&third)["status"], "RUNNABLE");
    emulator.must("TerminateJob", &json!({"jobId": first, "reason": "room"}));
    emulator.status(&third, "RUNNING");
    let wide =
        json!({"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "3"}]}});
    let wide = emulator.submit("wide", &wide);
    let job = emulator.until(&wide, |job| job["statusReason"] != Value::Null);
    let reason = job["statusReason"].as_str().expect("a reason");
    assert!(reason.starts_with("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"), "{reason}");
}

#[test]
fn dependencies_are_waited_for() {
    let emulator = Emulator::start(&[]);
    let array = json!({"arrayProperties": {"size": 3}});
    let before = emulator.submit("before", &array);
    let mut after = array.clone();
    after["dependsOn"] = json!([{"jobId": before, "type": "N_TO_N"}]);
    let after = emulator.ended(&emulator.submit("after", &after));
    assert_eq!(after["status"], "SUCCEEDED");
    let id = after["jobId"].as_str().expect("an id");
    for index in 0..3 {
        let [child, other] = [id, &before].map(|id| emulator.job(&format!("{id}:{index}")));
        assert!(child["startedAt"].as_u64() >= other["stoppedAt"].as_u64(), "{child} {other}");
    }
}

#[test]
fn sequential_children_run_one_after_the_other() {
    let emulator = Emulator::start(&[]);
    let more = json!({"arrayProperties": {"size": 3}, "dependsOn": [{"type": "SEQUENTIAL"}]});
    let id = emulator.submit("sequence", &more);
    assert_eq!(emulator.ended(&id)["status"], "SUCCEEDED");
    let children = [0, 1, 2].map(|index| emulator.job(&format!("{id}:{index}")));
    for pair in children.windows(2) {
        assert!(pair[1]["startedAt"].as_u64() >= pair[0]["stoppedAt"].as_u64(), "{pair:?}");
    }
}

#[test]
fn what_depends_on_a_job_that_failed_fails() {
    let emulator = Emulator::start(&[]);
    let bad = emulator.script("bad", "exit 1", &json!({}));
    let after = emulator.submit("after", &json!({"dependsOn": [{"jobId": bad}]}));
    let job = emulator.ended(&after);
    assert_eq!(
        (&job["status"], &job["statusReason"]),
        (&json!("FAILED"), &json!("Dependent Job failed"))
    );
    assert_eq!(endings(&job), []);
}

#[test]
fn a_job_that_is_terminated_fails_whatever_it_makes_of_it() {
    let emulator = Emulator::start(&["--grace-ms", "20000"]);
    let script = "trap 'echo told; exit 0' TERM; echo ready; sleep 60 & wait";
    let id = emulator.script("long", script, &json!({}));
    emulator.printed(&id, "ready");
    emulator.must("TerminateJob", &json!({"jobId": id, "reason": "the user wants it"}));
    let job = emulator.ended(&id);
    assert_eq!(
        (&job["status"], &job["statusReason"]),
        (&json!("FAILED"), &json!("the user wants it"))
    );
    assert_eq!(job["isTerminated"], true);
    assert_eq!(endings(&job)[0].1, Some(0));
    assert_eq!(emulator.lines(&job), ["ready", "told"]);
}

#[test]
fn one_that_ignores_being_told_is_killed_with_all_it_started() {
    let emulator = Emulator::start(&["--grace-ms", "200"]);
    let script = "trap '' TERM; sleep 60 & echo $!; echo ready; while :; do sleep 1; done";
    let id = emulator.script("stubborn", script, &json!({}));
    let job = emulator.printed(&id, "ready");
    let started = emulator.lines(&job)[0].clone();
    emulator.must("TerminateJobs", &json!({"jobs": [id], "reason": "enough"}));
    assert_eq!(endings(&emulator.ended(&id))[0].1, Some(137));
    let stat = std::fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
    // Whoever inherits it may not have looked at it yet.
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[test]
fn cancelling_ends_what_waits_and_nothing_else() {
    let emulator = Emulator::start(&["--slots", "1"]);
    let running = emulator.script("running", "sleep 30", &json!({}));
    emulator.status(&running, "RUNNING");
    let waiting = emulator.submit("waiting", &json!({"arrayProperties": {"size": 2}}));
    for id in [&running, &waiting] {
        emulator.must("CancelJob", &json!({"jobId": id, "reason": "not needed"}));
    }
    let job = emulator.ended(&waiting);
    assert_eq!((&job["status"], &job["isCancelled"]), (&json!("FAILED"), &json!(true)));
    let child = emulator.job(&format!("{waiting}:1"));
    assert_eq!(child["statusReason"], "not needed");
    assert_eq!(emulator.job(&running)["status"], "RUNNING");
}

#[test]
fn the_end_of_the_emulator_ends_its_processes() {
    let emulator = Emulator::start(&[]);
    let id = emulator.script("left", "echo ready; sleep 60", &json!({}));
    emulator.printed(&id, "ready");
    let (_, answer) = emulator.send("GET", "/_emu/processes", &[], "").expect("an answer");
    let process = answer["processes"][0]["processId"].as_u64().expect("a number");
    let path = format!("/proc/{process}");
    assert!(std::path::Path::new(&path).exists());
    drop(emulator);
    assert!(!std::path::Path::new(&path).exists());
}
