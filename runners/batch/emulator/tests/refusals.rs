//! What the service refuses, and with what error.

use serde_json::{Value, json};

use super::client::{Emulator, definition, submission};

#[track_caller]
fn check(emulator: &Emulator, operation: &str, body: &Value, want: &str) {
    let (status, answer) = emulator.call(operation, body).expect("an answer");
    let message = answer["message"].as_str().unwrap_or("");
    assert_eq!((status, &answer["__type"]), (400, &json!("ClientException")), "{answer}");
    assert!(message.contains(want), "{message}");
}

#[test]
fn submissions_that_are_not_valid_are_refused() {
    let emulator = Emulator::start(&[]);
    let base = submission("x", &json!({}));
    for field in ["jobName", "jobQueue", "jobDefinition"] {
        let mut body = base.clone();
        body.as_object_mut().expect("an object").remove(field);
        check(&emulator, "SubmitJob", &body, field);
    }
    let variables = |name: &str, value: &str| json!({"containerOverrides": {"environment": [{"name": name, "value": value}]}});
    let memory = |value: &str| json!({"containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": value}]}});
    let entry = json!({"onReason": "*", "action": "EXIT"});
    let many = json!([entry, entry, entry, entry, entry, entry]);
    let cases = [
        (json!({"jobName": "x y"}), "Job name"),
        (json!({"jobName": "-x"}), "Job name"),
        (json!({"jobQueue": "none"}), "does not exist"),
        (json!({"jobDefinition": "none"}), "not ACTIVE or does not exist"),
        (json!({"jobDefinition": "jd:9"}), "not ACTIVE or does not exist"),
        (json!({"arrayProperties": {"size": 1}}), "between 2 and 10000"),
        (json!({"arrayProperties": {"size": 10_001}}), "between 2 and 10000"),
        (json!({"dependsOn": [{"jobId": "none"}]}), "does not exist"),
        (json!({"dependsOn": vec![json!({"jobId": "none"}); 21]}), "maximum of 20"),
        (json!({"dependsOn": [{"type": "SEQUENTIAL"}]}), "array jobs"),
        (json!({"retryStrategy": {"attempts": 11}}), "between 1 and 10"),
        (json!({"retryStrategy": {"attempts": 2, "evaluateOnExit": many}}), "at most 5"),
        (
            json!({"retryStrategy": {"evaluateOnExit": [{"onReason": "a (b)*", "action": "EXIT"}]}}),
            "pattern",
        ),
        (
            json!({"retryStrategy": {"evaluateOnExit": [{"onReason": "*", "action": "STAY"}]}}),
            "RETRY or EXIT",
        ),
        (json!({"timeout": {"attemptDurationSeconds": 0}}), "at least"),
        (json!({"shareIdentifier": "a"}), "shareIdentifier"),
        (json!({"schedulingPriorityOverride": 10_000}), "between 0 and 9999"),
        (variables("AWS_BATCH_X", ""), "cannot start with AWS_BATCH"),
        (variables("X", &"y".repeat(31_000)), "30 KiB"),
        (memory("two"), "MEMORY"),
        (json!({"tags": 7}), "tags"),
    ];
    for (more, want) in cases {
        check(&emulator, "SubmitJob", &submission("x", &more), want);
    }
    let calls = &emulator.state()["calls"]["SubmitJob"];
    assert_eq!((&calls["refused"], &calls["answered"]), (&json!(24), &json!(0)));
}

#[test]
fn definitions_that_are_not_valid_are_refused() {
    let emulator = Emulator::start(&[]);
    let with = |pointer: &str, value: Value| {
        let mut body = definition();
        *body.pointer_mut(pointer).expect("a field") = value;
        body
    };
    let container = "/containerProperties";
    let cases = [
        (with("/type", json!("multinode")), "type container"),
        (with("/jobDefinitionName", json!("a b")), "Job definition name"),
        (with("/containerProperties/image", json!("")), "image"),
        (with("/containerProperties/resourceRequirements", json!([])), "VCPU and MEMORY"),
        (with(container, json!({"image": "x", "command": ["y".repeat(25_000)]})), "24 KiB"),
        (with("/retryStrategy/attempts", json!(0)), "between 1 and 10"),
    ];
    for (body, want) in cases {
        check(&emulator, "RegisterJobDefinition", &body, want);
    }
    let mut fargate = definition();
    fargate["platformCapabilities"] = json!(["FARGATE"]);
    check(&emulator, "RegisterJobDefinition", &fargate, "do not go together");
}

#[test]
fn a_definition_that_is_not_active_runs_nothing() {
    let emulator = Emulator::start(&[]);
    let second = emulator.must("RegisterJobDefinition", &definition());
    assert_eq!(second["revision"], 2);
    emulator.must("DeregisterJobDefinition", &json!({"jobDefinition": "jd:2"}));
    check(
        &emulator,
        "SubmitJob",
        &submission("x", &json!({"jobDefinition": "jd:2"})),
        "not ACTIVE",
    );
    let id = emulator.submit("x", &json!({}));
    assert!(emulator.job(&id)["jobDefinition"].as_str().is_some_and(|it| it.ends_with("/jd:1")));
    let ask = |body: &Value| {
        let found = emulator.must("DescribeJobDefinitions", body);
        found["jobDefinitions"].as_array().expect("a list").len()
    };
    assert_eq!(ask(&json!({"jobDefinitionName": "jd"})), 2);
    assert_eq!(ask(&json!({"jobDefinitionName": "jd", "status": "ACTIVE"})), 1);
    assert_eq!(ask(&json!({"jobDefinitions": ["jd:2"]})), 1);
    assert_eq!(ask(&json!({"jobDefinitions": ["jd"]})), 0, "names need a revision here");
}

#[test]
fn other_requests_that_are_not_valid_are_refused() {
    let emulator = Emulator::start(&[]);
    let ids: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    check(&emulator, "DescribeJobs", &json!({"jobs": ids}), "100");
    check(&emulator, "DescribeJobs", &json!({}), "jobs");
    check(&emulator, "TerminateJobs", &json!({"jobs": ids[..51], "reason": "r"}), "50");
    check(&emulator, "TerminateJob", &json!({"jobId": "x"}), "reason");
    check(&emulator, "ListJobs", &json!({}), "Exactly one");
    check(&emulator, "ListJobs", &json!({"jobQueue": "q", "arrayJobId": "x"}), "Exactly one");
    check(&emulator, "ListJobs", &json!({"jobQueue": "q", "jobStatus": "BANANA"}), "jobStatus");
    let (status, answer) = emulator.call("CreateJobFlow", &json!({})).expect("an answer");
    assert_eq!((status, &answer["__type"]), (404, &json!("UnknownOperationException")));
    let (status, answer) = emulator.send("POST", "/v1/listjobs", &[], "{").expect("an answer");
    assert_eq!((status, &answer["__type"]), (400, &json!("SerializationException")));
    let (status, _) = emulator
        .send("POST", "/_emu/faults", &[], "{\"rules\": [{\"kind\": \"x\"}]}")
        .expect("an answer");
    assert_eq!(status, 400);
}

#[test]
fn a_queue_with_a_policy_needs_a_share() {
    let emulator = Emulator::start(&[]);
    let policy = "arn:aws:batch:us-east-1:123456789012:scheduling-policy/p";
    let queue = json!({
        "jobQueueName": "fair", "priority": 1, "schedulingPolicyArn": policy,
        "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "q-ce"}],
    });
    emulator.must("CreateJobQueue", &queue);
    check(
        &emulator,
        "SubmitJob",
        &submission("x", &json!({"jobQueue": "fair"})),
        "shareIdentifier",
    );
    let id = emulator.submit("x", &json!({"jobQueue": "fair", "shareIdentifier": "a"}));
    assert_eq!(emulator.job(&id)["shareIdentifier"], "a");
    emulator.must("UpdateJobQueue", &json!({"jobQueue": "fair", "state": "DISABLED"}));
    let body = submission("x", &json!({"jobQueue": "fair", "shareIdentifier": "a"}));
    check(&emulator, "SubmitJob", &body, "disabled");
}
