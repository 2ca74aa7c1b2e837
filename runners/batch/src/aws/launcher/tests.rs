use std::num::NonZeroU32;

use serde_json::json;

use super::*;
use crate::aws::tests::{ok, refusal, stub};
use crate::launch::{Cause, Resources};
use crate::loopback::{Answer, Loopback, Seen};

fn launcher(
    settings: &Value,
    answer: impl Fn(&Seen, &Value) -> Answer + Send + Sync + 'static,
) -> (Loopback, AwsLauncher) {
    let (server, api) = stub(answer);
    let mut own = json!({ "queue": ["spot", "od"], "job_definition": "levain:3" });
    for (key, value) in settings.as_object().expect("settings") {
        own[key] = value.clone();
    }
    let settings = serde_json::from_value(own).expect("settings");
    (server, AwsLauncher::new(api, settings).expect("a launcher"))
}

fn submission(workers: u32) -> Submission {
    Submission {
        name: "levain-7k3q-s003-1-0001".to_owned(),
        workers: NonZeroU32::new(workers).expect("workers"),
        command: ["recipe", "worker"].map(str::to_owned).to_vec(),
        environment: BTreeMap::from([("RUN_URI".to_owned(), "s3://b/r".to_owned())]),
        index_variable: INDEX_VARIABLE,
        resources: Resources { vcpus: 2.0, memory_mib: 8192, gpus: 0 },
        attempts: NonZeroU32::new(5).expect("attempts"),
        timeout_s: Some(3600),
        tags: run_tags("7k3q", &[("levain:stage", "s003")]),
    }
}

/// D24, D56, 1.4: the request of an array, as it goes out.
#[test]
fn the_request_is_this() {
    let said = json!({"share_identifier": "bakery", "priority": 7, "tags": {"team": "wind"}});
    let (_, launcher) = launcher(&said, |_, _| ok(&json!({})));
    let want = json!({
        "jobName": "levain-7k3q-s003-1-0001",
        "jobQueue": "spot",
        "jobDefinition": "levain:3",
        "containerOverrides": {
            "command": ["recipe", "worker"],
            "environment": [{"name": "RUN_URI", "value": "s3://b/r"}],
            "resourceRequirements":
                [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "8192"}],
        },
        "retryStrategy": {"attempts": 5, "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onStatusReason": "Task failed to start*", "action": "RETRY"},
            {"onStatusReason": "Your Spot Task*", "action": "RETRY"},
            {"onExitCode": "20*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ]},
        "tags": {"levain:run": "7k3q", "levain:stage": "s003", "team": "wind"},
        "propagateTags": true,
        "arrayProperties": {"size": 16},
        "timeout": {"attemptDurationSeconds": 3600},
        "shareIdentifier": "bakery",
        "schedulingPriorityOverride": 7,
    });
    assert_eq!(launcher.request(&submission(16)).expect("a request"), want);
}

#[test]
fn one_worker_is_no_array_and_too_many_are_refused() {
    let (_, launcher) = launcher(&json!({}), |_, _| ok(&json!({})));
    let mut one = submission(1);
    one.resources = Resources { vcpus: 0.5, memory_mib: 512, gpus: 1 };
    let request = launcher.request(&one).expect("a request");
    assert!(request.get("arrayProperties").is_none(), "{request}");
    let amounts = &request["containerOverrides"]["resourceRequirements"];
    assert_eq!(amounts[0]["value"], "0.5");
    assert_eq!(amounts[2], json!({"type": "GPU", "value": "1"}));
    assert!(launcher.request(&submission(10_000)).is_ok());
    let error = launcher.request(&submission(10_001)).expect_err("too many").to_string();
    assert!(error.contains("at most 10000"), "{error}");
}

/// A definition of others is used unchanged: only what jobs may set is set (D17).
#[test]
fn a_submission_is_one_call() {
    let (server, launcher) = launcher(&json!({}), |_, _| ok(&json!({ "jobId": "j" })));
    let submitted = launcher.submit(&submission(3)).expect("submitted");
    assert_eq!(submitted, Submitted::As(JobId("j".to_owned())));
    let targets: Vec<String> = server.seen().into_iter().map(|it| it.target).collect();
    assert_eq!(targets, ["/v1/submitjob"]);
}

#[test]
fn jobs_are_found_by_name_in_all_queues() {
    let (_, launcher) = launcher(&json!({}), |_, body| {
        let name = &body["filters"][0]["values"][0];
        let job = |id: &str, at: u64, status: &str| json!({ "jobId": id, "jobName": name, "createdAt": at, "status": status });
        let jobs = if body["jobQueue"] == "spot" {
            vec![job("late", 9, "RUNNABLE"), job("done", 1, "FAILED")]
        } else {
            vec![job("early", 3, "SUBMITTED")]
        };
        ok(&json!({ "jobSummaryList": jobs }))
    });
    let ids = |jobs: Vec<JobId>| jobs.into_iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(ids(launcher.find("n").expect("found")), ["done", "early", "late"]);
    assert_eq!(ids(launcher.find_live("n").expect("found")), ["late", "early"]);
}

/// D41: the parent of an array stays PENDING while its children run.
#[test]
fn where_a_job_stands_follows_from_its_children() {
    let check = |job: Value, want: JobState, counts: [u32; 5]| {
        let (_, launcher) = launcher(&json!({}), move |_, _| ok(&json!({ "jobs": [job.clone()] })));
        let found = launcher.describe(&[JobId("j".to_owned())]).expect("described").remove(0);
        assert_eq!(found.state, want, "{found:?}");
        let StateCounts { waiting, starting, running, succeeded, failed } = found.workers;
        assert_eq!([waiting, starting, running, succeeded, failed], counts);
    };
    let array = |status: &str, summary: Value| json!({"status": status, "arrayProperties": {"size": 9, "statusSummary": summary}});
    check(json!({"status": "RUNNABLE"}), JobState::Waiting, [1, 0, 0, 0, 0]);
    check(json!({"status": "RUNNING"}), JobState::Running, [0, 0, 1, 0, 0]);
    check(json!({"status": "new one"}), JobState::Waiting, [1, 0, 0, 0, 0]);
    check(array("SUBMITTED", json!({})), JobState::Waiting, [0; 5]);
    let some = json!({"RUNNABLE": 3, "SUBMITTED": 1, "STARTING": 2, "SUCCEEDED": 3});
    check(array("PENDING", some), JobState::Starting, [4, 2, 0, 3, 0]);
    let more = json!({"RUNNABLE": 4, "RUNNING": 4, "FAILED": 1});
    check(array("PENDING", more), JobState::Running, [4, 0, 4, 0, 1]);
    check(array("FAILED", json!({"FAILED": 9})), JobState::Failed, [0, 0, 0, 0, 9]);
}

/// E08, D57: ends are told apart by their reasons, for each worker.
#[test]
fn failed_workers_are_told_with_their_causes() {
    let attempt = |status_reason: &str, reason: &str, exit: Option<i64>| json!({"statusReason": status_reason, "container": {"reason": reason, "exitCode": exit}});
    let (server, launcher) = launcher(&json!({}), move |seen, body| {
        if seen.target == "/v1/listjobs" {
            assert_eq!((&body["arrayJobId"], &body["jobStatus"]), (&json!("j"), &json!("FAILED")));
            return ok(&json!({"jobSummaryList": [{"jobId": "j:7"}, {"jobId": "j:2"}]}));
        }
        let spot = attempt("Host EC2 (instance i-0) terminated.", "", None);
        let memory =
            attempt("Essential container in task exited", "OutOfMemoryError: x", Some(137));
        ok(&json!({"jobs": [
            {"jobId": "j:7", "status": "FAILED", "attempts": [memory, spot],
             "arrayProperties": {"index": 7}},
            {"jobId": "j:2", "status": "FAILED", "attempts": [spot, memory]},
            {"jobId": "j:3", "status": "SUCCEEDED"},
        ]}))
    });
    let ends = launcher.failed_workers(&JobId("j".to_owned())).expect("told");
    let told: Vec<_> = ends.iter().map(|it| (it.worker.index, it.attempts, it.cause)).collect();
    assert_eq!(told, [(2, 2, Cause::OutOfMemory), (7, 2, Cause::Reclaimed)]);
    assert!(ends[0].reason.contains("exit code 137"), "{:?}", ends[0]);
    assert_eq!(server.seen().len(), 2);
}

/// D09: without the permission to look, submitting and stopping go on.
#[test]
fn two_permissions_suffice() {
    let (_, launcher) = launcher(&json!({}), |seen, _| match seen.target.as_str() {
        "/v1/submitjob" => ok(&json!({ "jobId": "j" })),
        "/v1/terminatejobs" => ok(&json!({ "successful": ["j"], "errors": [] })),
        _ => refusal(403, "AccessDeniedException"),
    });
    let job = JobId("j".to_owned());
    assert!(launcher.submit(&submission(2)).is_ok());
    assert_eq!(launcher.describe(std::slice::from_ref(&job)).expect("nothing known"), []);
    assert_eq!(launcher.failed_workers(&job).expect("nothing known"), []);
    assert_eq!(launcher.diagnose(&job).expect("nothing known"), None);
    launcher.stop(&[job], "done").expect("stopped");
    let unavailable = launcher.unavailable();
    assert!(
        unavailable.contains(&"Batch details unavailable (batch:DescribeJobs denied)".to_owned())
    );
}

/// D69: equal errors are one line with its count.
#[test]
fn launch_errors_are_counted() {
    let (_, launcher) = launcher(&json!({}), |_, _| refusal(403, "AccessDeniedException"));
    for _ in 0..50 {
        assert!(launcher.submit(&submission(2)).is_err());
    }
    assert_eq!(launcher.errors(), [("E509: batch:SubmitJob is denied".to_owned(), 50)]);
}

#[test]
fn the_next_queue_follows_the_first() {
    let (_, launcher) = launcher(&json!({}), |_, _| ok(&json!({})));
    assert_eq!(launcher.queue(), "spot");
    assert_eq!(launcher.fall_back().as_deref(), Some("od"));
    assert_eq!(launcher.request(&submission(2)).expect("a request")["jobQueue"], "od");
    assert_eq!(launcher.fall_back(), None);
}

/// D46: who was stopped has not failed, and the reason says by whom.
#[test]
fn a_stop_is_tagged_with_who_stopped() {
    let (server, launcher) = launcher(&json!({}), |_, _| ok(&json!({ "errors": [] })));
    launcher.stop(&[JobId("j".to_owned())], "stopped by user").expect("stopped");
    let body: Value = serde_json::from_str(&server.seen()[1].body).expect("JSON");
    assert_eq!(body, json!({"jobs": ["j"], "reason": "levain: stopped by user"}));
}
