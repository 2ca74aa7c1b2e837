//! What takes time: states, timeouts, and how late the service tells of a change.

use serde_json::{Value, json};

use super::client::{Emulator, endings};

#[test]
fn an_attempt_ends_with_its_timeout() {
    let emulator = Emulator::start(&[]);
    let more = json!({"timeout": {"attemptDurationSeconds": 1}, "retryStrategy": {"attempts": 3}});
    let job = emulator.ended(&emulator.script("slow", "sleep 30", &more));
    assert_eq!(job["status"], "FAILED");
    assert_eq!(job["statusReason"], "Job attempt duration exceeded timeout");
    assert_eq!(endings(&job).len(), 1, "what was timed out is not tried again");
    let took = job["stoppedAt"].as_u64().zip(job["startedAt"].as_u64()).map(|(to, from)| to - from);
    assert!(took.is_some_and(|took| took >= 1000), "{took:?} ms");
}

#[test]
fn states_last_as_long_as_they_are_told_to() {
    let flags = ["--submitted-ms", "150", "--runnable-ms", "150", "--starting-ms", "100-200"];
    let emulator = Emulator::start(&flags);
    let id = emulator.submit("slow", &json!({}));
    assert_eq!(emulator.job(&id)["status"], "SUBMITTED");
    for status in ["RUNNABLE", "STARTING", "SUCCEEDED"] {
        emulator.status(&id, status);
    }
    let job = emulator.job(&id);
    let took = job["startedAt"].as_u64().zip(job["createdAt"].as_u64()).map(|(to, from)| to - from);
    assert!(took.is_some_and(|took| took >= 400), "{took:?} ms");
}

#[test]
fn a_new_job_is_not_seen_at_once() {
    let emulator = Emulator::start(&["--consistency-ms", "400"]);
    let id = emulator.submit("new", &json!({}));
    let filter = json!({"jobQueue": "q", "filters": [{"name": "JOB_NAME", "values": ["new"]}]});
    let listed = || emulator.must("ListJobs", &filter)["jobSummaryList"].as_array().map(Vec::len);
    assert_eq!((emulator.job(&id), listed()), (Value::Null, Some(0)));
    emulator.until(&id, |job| !job.is_null());
    assert_eq!(listed(), Some(1));
}

#[test]
fn the_summary_of_an_array_lags_behind() {
    let emulator = Emulator::start(&["--summary-lag-ms", "60000"]);
    let id = emulator.submit("array", &json!({"arrayProperties": {"size": 2}}));
    let job = emulator.ended(&id);
    let summary = &job["arrayProperties"]["statusSummary"];
    assert_eq!((&summary["SUBMITTED"], &summary["SUCCEEDED"]), (&json!(2), &json!(0)));
    assert_eq!(emulator.job(&format!("{id}:0"))["status"], "SUCCEEDED");
}

#[test]
fn a_slow_start_keeps_a_job_waiting() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "slow_start", "job": "slow", "delay_s": 0.4}]));
    let job = emulator.ended(&emulator.submit("slow", &json!({})));
    let took = job["startedAt"].as_u64().zip(job["createdAt"].as_u64()).map(|(to, from)| to - from);
    assert!(took.is_some_and(|took| took >= 400), "{took:?} ms");
}

#[test]
fn operations_can_be_late() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "latency", "op": "DescribeJobs", "delay_s": 0.3}]));
    let begin = std::time::Instant::now();
    emulator.job("x");
    assert!(begin.elapsed().as_millis() >= 300, "{:?}", begin.elapsed());
}

#[test]
fn finished_jobs_are_forgotten_in_the_end() {
    let emulator = Emulator::start(&["--keep-ms", "100"]);
    let id = emulator.submit("old", &json!({"arrayProperties": {"size": 2}}));
    emulator.until(&id, |job| !job.is_null());
    emulator.until(&id, Value::is_null);
    assert_eq!(emulator.job(&format!("{id}:1")), Value::Null);
}
