//! Jobs: submitted, listed, looked at, read and stopped.

use std::time::Instant;

use serde_json::{Value, json};

use super::emulator::Emulator;

fn names(listed: &Value) -> Vec<String> {
    let jobs = listed["jobs"].as_array().expect("jobs");
    let mut names: Vec<String> =
        jobs.iter().map(|job| job["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

/// D37, D38, D47, D48, D77: any command of any image; where it stands in eight fields; its log.
#[test]
fn a_job_is_submitted_followed_and_read() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let submit = ["batch", "submit", "--name", "greeting", "--job-definition", "tests", "--wait"];
    let command = ["--vcpus", "1", "--memory", "64MiB", "--", "sh", "-c", "echo hello; echo world"];
    let ran = emulator.levain(&[&submit[..], &command].concat());
    ran.check_done();
    assert!(ran.stdout.contains("Succeeded"), "{}", ran.stdout);
    let id = ran.stdout.split(' ').next().expect("an id").to_owned();
    let job = &emulator.json(&["batch", "job", &id])["job"];
    for field in ["name", "id", "arn", "state", "created", "started", "stopped"] {
        assert!(job[field].as_str().is_some_and(|it| !it.is_empty()), "{field} in {job}");
    }
    assert_eq!((&job["name"], &job["state"]), (&json!("greeting"), &json!("SUCCEEDED")));
    let time = job["created"].as_str().expect("a time");
    assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    let text = emulator.levain(&["batch", "job", &id]).stdout;
    assert!(text.contains("SUCCEEDED: the program has ended well"), "{text}");
    let log = emulator.json(&["batch", "logs", &id]);
    let lines = log["lines"].as_array().expect("lines");
    assert_eq!(lines.iter().map(|it| &it["message"]).collect::<Vec<_>>(), ["hello", "world"]);
    assert!(lines[0]["timestamp"].is_i64() && lines[0]["ingestion_time"].is_i64(), "{log}");
    let raw = emulator.levain(&["batch", "logs", &id, "--raw", "--tail", "1"]).stdout;
    assert_eq!(raw, "world\n");
    let wrong = emulator.levain(&["batch", "logs", &id, "--attempt", "2"]);
    wrong.check_refused("E510", 6, &["no attempt 2", "1 attempts"]);
}

/// D49: a line is as long as it is.
#[test]
fn long_lines_are_whole() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let script = "head -c 100000 /dev/zero | tr '\\0' x; echo";
    let id = emulator.submit("long", &[], script);
    emulator.wait_for(&id, "SUCCEEDED");
    let raw = emulator.levain(&["batch", "logs", &id, "--raw"]).stdout;
    assert_eq!(raw.trim_end().replace('\n', "").len(), 100_000);
}

/// D34, D39, D40, D42, D43: listed by state, by run, by definition.
#[test]
fn jobs_are_listed_by_what_is_asked() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    emulator.faults(&json!([{"kind": "stuck", "job": "levain-7k3q-*", "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"}]));
    let waiting = emulator.submit("levain-7k3q-1-0000", &[], "true");
    let good = emulator.submit("levain-9abc-1-0000", &[], "true");
    let bad = emulator.submit("foreign", &[], "exit 3");
    for (id, state) in [(&waiting, "RUNNABLE"), (&good, "SUCCEEDED"), (&bad, "FAILED")] {
        emulator.wait_for(id, state);
    }
    let list = |flags: &[&str]| emulator.json(&[&["batch", "jobs"], flags].concat());
    let all = ["foreign", "levain-7k3q-1-0000", "levain-9abc-1-0000"];
    assert_eq!(names(&list(&[])), all);
    assert_eq!(names(&list(&["--state", "runnable,starting"])), [all[1]]);
    assert_eq!(names(&list(&["--active"])), [all[1]]);
    assert_eq!(names(&list(&["--inactive"])), [all[0], all[2]]);
    assert_eq!(names(&list(&["--state", "succeeded,failed"])), names(&list(&["--inactive"])));
    assert_eq!(names(&list(&["--run", "7k3q"])), [all[1]]);
    assert_eq!(names(&list(&["--run", "7k"])), [] as [&str; 0]);
    assert_eq!(names(&list(&["--job-definition", "tests"])), all);
    assert_eq!(names(&list(&["--job-definition", "other"])), [] as [&str; 0]);
    let text = emulator.levain(&["batch", "jobs"]).stdout;
    let row = |name: &str| text.lines().find(|line| line.contains(name)).expect(name).to_owned();
    assert!(row("foreign").contains(" -  ") && row("7k3q-1").contains(" 7k3q "), "{text}");
    let unknown = emulator.levain(&["batch", "jobs", "--state", "runable"]);
    unknown.check_refused("E601", 5, &["`runable`", "submitted, pending, runnable"]);
    // What waits is explained.
    let why = emulator.levain(&["batch", "job", &waiting]).stdout;
    for word in ["does not start: AWS has no machine", "AWS says: CAPACITY:", "second queue"] {
        assert!(why.contains(word), "{word} in {why}");
    }
    let why = emulator.levain(&["batch", "job", &bad]).stdout;
    assert!(why.contains("Exit(3)") && why.contains("exit code 3"), "{why}");
}

/// D33, D35, D44, D46: a run is stopped from anywhere, in any state, and nothing else is.
#[test]
fn a_run_is_stopped_and_no_other() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    emulator.faults(&json!([{"kind": "stuck", "job": "*-0001"}]));
    let running = emulator.submit("levain-7k3q-1-0000", &["--workers", "2"], "sleep 60");
    let waiting = emulator.submit("levain-7k3q-1-0001", &[], "true");
    let foreign = emulator.submit("levain-7k3r-1-0000", &[], "sleep 60");
    emulator.wait_for(&format!("{running}:1"), "RUNNING");
    emulator.wait_for(&waiting, "RUNNABLE");
    emulator.wait_for(&foreign, "RUNNING");
    let ran = emulator.levain(&["batch", "stop", "--run", "7k3q"]);
    ran.check_done();
    assert_eq!(ran.stdout.matches("ended, FAILED").count(), 2, "{}", ran.stdout);
    assert!(emulator.called("CancelJobs") >= 1 && emulator.called("TerminateJobs") >= 1);
    let job = emulator.json(&["batch", "job", &waiting]);
    assert_eq!(job["job"]["reason"], "levain: stopped by user");
    let ends = emulator.json(&["batch", "job", &running]);
    assert_eq!(ends["failed_workers"][1]["cause"], "Stopped", "{ends}");
    let left = emulator.json(&["batch", "jobs", "--active"]);
    assert_eq!(names(&left), ["levain-7k3r-1-0000"]);
    let again = emulator.levain(&["batch", "stop", "--run", "7k3q"]);
    again.check_done();
    assert_eq!(again.stdout, "no job to stop\n");
}

/// D66: however slowly AWS answers, one call starts all workers, and one asks all of them to end.
#[test]
fn slow_answers_delay_two_hundred_workers_by_no_more_than_a_few() {
    let Some(emulator) = Emulator::start(&["--fast", "--slots", "200"]) else { return };
    emulator.define();
    let slow = json!([{"kind": "latency", "op": "*", "delay_s": 2.0, "times": 1_000_000}]);
    emulator.faults(&slow);
    let wait_for = |state: &str, count: u64| {
        let began = Instant::now();
        while emulator.state()["jobs"][state] != count {
            assert!(began.elapsed().as_secs() < 60, "{}", emulator.state()["jobs"]);
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    };
    let began = Instant::now();
    let id = emulator.submit("levain-many-1-0000", &["--workers", "200"], "sleep 600");
    // How soon so many processes run is up to this machine.
    assert!(began.elapsed().as_secs() < 10, "submitted after {:?}", began.elapsed());
    wait_for("RUNNING", 200);
    assert_eq!(emulator.called("SubmitJob"), 1);
    let began = Instant::now();
    emulator.levain(&["batch", "stop", &id, "--no-wait"]).check_done();
    assert!(began.elapsed().as_secs() < 10, "asked to end after {:?}", began.elapsed());
    wait_for("FAILED", 200);
}

/// D45: what has not ended is not said to have.
#[test]
fn a_stop_says_what_it_has_seen() {
    let Some(emulator) = Emulator::start(&[]) else { return };
    emulator.define();
    let id = emulator.submit("stubborn", &[], "trap '' TERM; while :; do sleep 1; done");
    emulator.wait_for(&id, "RUNNING");
    let began = Instant::now();
    let ran = emulator.levain(&["batch", "stop", &id, "--wait", "1s"]);
    assert!(began.elapsed().as_secs() < 20, "it waits no longer than it is told");
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    assert!(ran.stdout.contains("requested, still RUNNING"), "{}", ran.stdout);
    assert!(ran.stderr.contains("1 of 1 jobs have not ended yet"), "{}", ran.stderr);
    let ran = emulator.levain(&["batch", "stop", &id, "--no-wait"]);
    ran.check_done();
    assert!(ran.stdout.contains("requested\n"), "{}", ran.stdout);
}

/// D39: refusals for too many requests are waited out.
#[test]
fn throttling_is_survived() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    emulator.faults(&json!([{"kind": "throttle", "op": "ListJobs", "times": 2}]));
    let listed = emulator.json(&["batch", "jobs", "--state", "failed"]);
    assert_eq!(listed["jobs"], json!([]));
    assert!(emulator.called("ListJobs") >= 3);
}

#[test]
fn what_is_not_there_or_not_said_is_an_error_with_a_mend() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.levain(&["batch", "job", "nope"]).check_refused("E510", 6, &["`nope`", "eu-west-1"]);
    let queue = emulator.levain(&["batch", "jobs", "--queue", "my queue"]);
    queue.check_refused("E601", 5, &["`my queue`", "batch.queue"]);
    let secret = ["batch", "submit", "--job-definition", "t", "--env", "canary", "--", "true"];
    emulator.levain(&secret).check_refused("E601", 5, &["NAME=VALUE"]);
    let failed = emulator.command(&["batch", "jobs"]).env_remove("LEVAIN_BATCH__REGION").output();
    let failed = crate::command::ran(failed.expect("started"));
    failed.check_refused("E601", 5, &["no region", "AWS_REGION"]);
}
