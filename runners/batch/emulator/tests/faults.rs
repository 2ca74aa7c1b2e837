//! Faults of jobs and of operations, as rules say.

use serde_json::{Value, json};

use super::client::{Emulator, endings, submission};

#[test]
fn a_job_whose_machine_is_taken_away_is_tried_again() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "spot_kill", "job": "spot*", "attempt": 1, "after_s": 0.1}]));
    let script = "test $AWS_BATCH_JOB_ATTEMPT = 2 || sleep 30";
    let job = emulator.ended(&emulator.script("spot-1", script, &json!({})));
    assert_eq!(job["status"], "SUCCEEDED");
    let endings = endings(&job);
    assert!(endings[0].0.starts_with("Host EC2 (instance i-0"), "{endings:?}");
    assert!(endings[0].0.ends_with(") terminated."), "{endings:?}");
    assert_eq!((endings[0].1, endings[1].1, endings.len()), (None, Some(0), 2));
}

#[test]
fn a_notice_is_served_before_a_machine_goes() {
    let emulator = Emulator::start(&["--imds"]);
    let rule = json!([{"kind": "spot_kill", "job": "told", "attempt": 1, "notice_s": 60, "sigterm": true}]);
    emulator.faults(&rule);
    let script = "echo $AWS_EC2_METADATA_SERVICE_ENDPOINT; trap 'exit 202' TERM; sleep 60 & wait";
    let other = emulator.script("other", script, &json!({}));
    emulator.until(&other, |job| job["status"] == "RUNNING" && !emulator.lines(job).is_empty());
    let more = json!({"retryStrategy": {"attempts": 1}});
    let told = emulator.script(
        "told",
        "echo $AWS_EC2_METADATA_SERVICE_ENDPOINT; trap '' TERM; sleep 60 & wait; wait",
        &more,
    );
    let told =
        emulator.until(&told, |job| job["status"] == "RUNNING" && !emulator.lines(job).is_empty());
    let action = "/latest/meta-data/spot/instance-action";
    let ask = |job: &Value| {
        let place = emulator.lines(job)[0].clone();
        let path = place.split_once("/_emu").expect("a place").1.to_owned();
        let (_, token) = emulator
            .send("PUT", &format!("/_emu{path}/latest/api/token"), &[], "")
            .expect("an answer");
        assert_ne!(token, "");
        emulator.send("GET", &format!("/_emu{path}{action}"), &[], "").expect("an answer")
    };
    emulator.until(told["jobId"].as_str().expect("an id"), |_| ask(&told).0 == 200);
    assert_eq!(ask(&told).1["action"], "terminate");
    assert_eq!(ask(&emulator.job(&other)).0, 404);
    assert_eq!(
        emulator.send("GET", &format!("/_emu/imds{action}"), &[], "").expect("an answer").0,
        200
    );
}

#[test]
fn the_child_that_a_rule_names_is_out_of_memory() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "oom_kill", "job": "oom", "index": 1}]));
    let id = emulator.script(
        "oom",
        "test $AWS_BATCH_JOB_ARRAY_INDEX != 1 || sleep 30",
        &json!({"arrayProperties": {"size": 3}}),
    );
    let job = emulator.ended(&id);
    assert_eq!(job["status"], "FAILED");
    let summary = &job["arrayProperties"]["statusSummary"];
    assert_eq!((&summary["SUCCEEDED"], &summary["FAILED"]), (&json!(2), &json!(1)));
    let child = emulator.job(&format!("{id}:1"));
    let endings = endings(&child);
    assert_eq!((endings[0].1, endings.len()), (Some(137), 1));
    assert!(endings[0].2.starts_with("OutOfMemoryError"), "{endings:?}");
}

#[test]
fn one_that_is_killed_for_no_reason_says_none() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "sigkill137"}]));
    let job = emulator.ended(&emulator.script("killed", "sleep 30", &json!({})));
    assert_eq!(
        endings(&job),
        [("Essential container in task exited".to_owned(), Some(137), String::new())]
    );
}

#[test]
fn an_image_that_cannot_be_pulled_is_tried_again() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "task_failed_to_start", "job": "pull", "attempt": 1}]));
    let job = emulator.ended(&emulator.submit("pull", &json!({})));
    assert_eq!(job["status"], "SUCCEEDED");
    let endings = endings(&job);
    assert_eq!((endings[0].0.as_str(), endings[0].1), ("Task failed to start", None));
    assert!(endings[0].2.starts_with("CannotPullContainerError"), "{endings:?}");
    assert_eq!(job["attempts"][0]["container"]["logStreamName"], Value::Null);
}

#[test]
fn a_job_that_is_stuck_says_why_and_can_be_ended() {
    let emulator = Emulator::start(&[]);
    let reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - none fits";
    emulator.faults(&json!([{"kind": "stuck", "job": "stuck", "reason": reason}]));
    let id = emulator.submit("stuck", &json!({}));
    let free = emulator.submit("free", &json!({}));
    assert_eq!(emulator.ended(&free)["status"], "SUCCEEDED");
    let job = emulator.until(&id, |job| job["statusReason"] == reason);
    assert_eq!(job["status"], "RUNNABLE");
    let front = emulator.must("GetJobQueueSnapshot", &json!({"jobQueue": "q"}));
    assert_eq!(front["frontOfQueue"]["jobs"][0]["jobArn"], job["jobArn"]);
    let environment =
        emulator.must("DescribeComputeEnvironments", &json!({"computeEnvironments": ["q-ce"]}));
    let environment = &environment["computeEnvironments"][0];
    assert_eq!(environment["computeResources"]["desiredvCpus"], 1);
    let aim = [("x-amz-target", "AmazonEC2ContainerServiceV20141113.DescribeClusters")];
    let clusters = json!({"clusters": [environment["ecsClusterArn"]]}).to_string();
    let (_, clusters) = emulator.send("POST", "/", &aim, &clusters).expect("an answer");
    assert_eq!(clusters["clusters"][0]["registeredContainerInstancesCount"], 0);
    emulator.must("TerminateJobs", &json!({"jobs": [id, "unknown"], "reason": "given up"}));
    let job = emulator.ended(&id);
    assert_eq!((&job["statusReason"], &job["isTerminated"]), (&json!("given up"), &json!(true)));
}

#[test]
fn a_frozen_job_goes_on_afterwards() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "freeze", "job": "frozen", "for_s": 1}]));
    let frozen =
        emulator.script("frozen", "for i in 1 2 3 4 5; do sleep 0.02; done; echo done", &json!({}));
    let job = emulator.ended(&frozen);
    assert_eq!(job["status"], "SUCCEEDED");
    let took = job["stoppedAt"].as_u64().zip(job["startedAt"].as_u64()).map(|(to, from)| to - from);
    assert!(took.is_some_and(|took| took >= 900), "{took:?} ms");
}

#[test]
fn operations_fail_as_rules_say() {
    let emulator = Emulator::start(&[]);
    let cases = [("throttle", 429), ("expired", 403), ("denied", 403), ("server500", 500)];
    for (kind, want) in cases {
        emulator.faults(&json!([{"kind": kind, "op": "listjobs"}]));
        let ask = || emulator.call("ListJobs", &json!({"jobQueue": "q"})).expect("an answer").0;
        assert_eq!([ask(), ask()], [want, 200], "{kind}");
    }
    let state = emulator.state();
    let want = json!({"calls": 8, "answered": 4, "refused": 4, "dropped": 0});
    assert_eq!(state["calls"]["ListJobs"], want);
}

#[test]
fn an_answer_that_is_lost_may_have_been_done() {
    let emulator = Emulator::start(&[]);
    for (kind, want) in [("drop_before", 0), ("drop_after", 1)] {
        emulator.faults(&json!([{"kind": kind, "op": "SubmitJob"}]));
        assert_eq!(emulator.call("SubmitJob", &submission(kind, &json!({}))), None);
        let filter = json!({"jobQueue": "q", "filters": [{"name": "JOB_NAME", "values": [kind]}]});
        let found = emulator.must("ListJobs", &filter);
        assert_eq!(found["jobSummaryList"].as_array().map(Vec::len), Some(want), "{kind}");
    }
    assert_eq!(emulator.state()["calls"]["SubmitJob"]["dropped"], 2);
}

#[test]
fn requests_beyond_the_rate_are_refused() {
    let emulator = Emulator::start(&["--rate", "20"]);
    let ask = || emulator.call("DescribeJobs", &json!({"jobs": ["x"]})).expect("an answer");
    let answers: Vec<_> = (0..60).map(|_| ask()).collect();
    let refused = answers.iter().find(|(status, _)| *status != 200).expect("too many");
    assert_eq!((refused.0, &refused.1["__type"]), (429, &json!("TooManyRequestsException")));
}

#[test]
fn places_are_out_of_order_while_a_rule_stands() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "ce_invalid", "name": "q-ce"}, {"kind": "queue_disabled", "name": "other"}]));
    let id = emulator.submit("waits", &json!({}));
    emulator.status(&id, "RUNNABLE");
    let environments = emulator.must("DescribeComputeEnvironments", &json!({}));
    assert_eq!(environments["computeEnvironments"][0]["status"], "INVALID");
    emulator.faults(&json!([{"kind": "queue_disabled", "name": "q"}]));
    let (status, answer) =
        emulator.call("SubmitJob", &submission("late", &json!({}))).expect("an answer");
    assert_eq!(status, 400, "{answer}");
    assert_eq!(emulator.must("DescribeJobQueues", &json!({}))["jobQueues"][0]["state"], "DISABLED");
    assert_eq!(emulator.ended(&id)["status"], "SUCCEEDED");
}

#[test]
fn chance_is_decided_by_the_seed_and_not_by_time() {
    let hit = |seed: &str| {
        let emulator = Emulator::start(&["--seed", seed, "--slots", "8"]);
        emulator.faults(&json!([{"kind": "task_failed_to_start", "probability": 0.5}]));
        let more = json!({"arrayProperties": {"size": 16}, "retryStrategy": {"attempts": 1}, "containerOverrides": {"command": ["true"]}});
        let id = emulator.submit("chance", &more);
        emulator.ended(&id);
        let failed =
            (0..16).map(|index| emulator.job(&format!("{id}:{index}"))["status"] == "FAILED");
        (id.clone(), failed.collect::<Vec<bool>>())
    };
    let (first, again, other) = (hit("1"), hit("1"), hit("2"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!(first.1.contains(&true) && first.1.contains(&false));
}

#[test]
fn a_job_that_vanishes_is_not_known_any_more() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "vanish", "job": "gone"}]));
    let id = emulator.submit("gone", &json!({}));
    emulator.until(&id, Value::is_null);
    let stays = emulator.submit("stays", &json!({}));
    assert_eq!(emulator.ended(&stays)["status"], "SUCCEEDED");
    assert_eq!(emulator.job(&stays)["status"], "SUCCEEDED");
}

#[test]
fn an_identity_is_told_until_the_token_has_expired() {
    let emulator = Emulator::start(&[]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let ask = |action: &str| {
        let body = format!("Action={action}&Version=2011-06-15");
        let (status, text) = emulator.send("POST", "/", &form, &body).expect("an answer");
        (status, text.as_str().expect("XML").to_owned())
    };
    let (status, text) = ask("GetCallerIdentity");
    assert!(status == 200 && text.contains("<Account>123456789012</Account>"), "{text}");
    emulator.faults(&json!([{"kind": "expired", "op": "sts:GetCallerIdentity"}]));
    let (status, text) = ask("GetCallerIdentity");
    assert!(status == 403 && text.contains("<Code>ExpiredToken</Code>"), "{text}");
    assert_eq!(ask("AssumeRole").0, 400);
    let rules = emulator.send("POST", "/_emu/faults", &form, "{\"rules\": []}");
    assert_eq!(rules, Some((200, json!({"rules": 0}))), "whatever a client calls its JSON");
    assert_eq!(emulator.send("POST", "/_emu/faults", &[], "").map(|it| it.0), Some(400));
}

#[test]
fn keys_that_have_ended_are_refused_and_others_are_not() {
    let emulator = Emulator::start(&[]);
    emulator.faults(&json!([{"kind": "expired", "unless_access_key": "NEW", "times": 100}]));
    let list = |key: &str| {
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={key}/20261127/us-east-1/batch/aws4_request");
        let headers = [("authorization", signed.as_str())];
        let body = json!({"jobQueue": "q"}).to_string();
        emulator.send("POST", "/v1/listjobs", &headers, &body).expect("an answer")
    };
    assert_eq!(list("OLD").0, 403);
    assert_ne!(list("NEW").0, 403);
}
