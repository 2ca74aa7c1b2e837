use serde_json::{Value, json};

use super::*;

fn evidence(job_reason: &str, queue: Value, environment: Value) -> Evidence {
    let job = json!({
        "jobId": "j", "status": "RUNNABLE", "statusReason": job_reason,
        "container": {"resourceRequirements": [
            {"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "16384"},
        ]},
    });
    let mut own_queue = json!({
        "jobQueueName": "bakery", "state": "ENABLED", "status": "VALID",
        "computeEnvironmentOrder": [{"computeEnvironment": "ce-spot"}],
    });
    merge(&mut own_queue, queue);
    let mut own = json!({
        "computeEnvironmentName": "ce-spot", "state": "ENABLED", "status": "VALID",
        "ecsClusterArn": "c", "computeResources": {
            "type": "SPOT", "maxvCpus": 64, "desiredvCpus": 0,
            "instanceTypes": ["optimal"], "subnets": ["subnet-1", "subnet-2"],
        },
    });
    merge(&mut own, environment);
    Evidence {
        job: serde_json::from_value(job).expect("a job"),
        queue: Some(serde_json::from_value(own_queue).expect("a queue")),
        environments: vec![serde_json::from_value(own).expect("an environment")],
        ..Evidence::default()
    }
}

fn merge(into: &mut Value, from: Value) {
    match from {
        Value::Object(fields) => {
            for (key, value) in fields {
                merge(&mut into[key], value);
            }
        }
        other => *into = other,
    }
}

#[track_caller]
fn check(evidence: &Evidence, may_pass: bool, words: &[&str]) {
    let found = judge(evidence).expect("a reason");
    let text = format!("{}\n{}\n{}", found.finding, found.evidence.join("\n"), found.mend);
    for word in words {
        assert!(text.contains(word), "`{word}` is not in\n{text}");
    }
    assert_eq!(found.may_pass, may_pass, "{text}");
    assert!(!found.mend.is_empty() && found.evidence.len() >= 2, "{text}");
}

/// E24, E25: queues and compute environments that cannot run anything.
#[test]
fn what_is_closed_is_named_first() {
    let none = json!({});
    let queue = |said: Value| evidence("", said, none.clone());
    check(
        &queue(json!({"state": "DISABLED"})),
        false,
        &["queue bakery is DISABLED", "--state ENABLED"],
    );
    let invalid = json!({"status": "INVALID", "statusReason": "no such role"});
    check(&queue(invalid.clone()), false, &["INVALID", "no such role"]);
    check(&queue(json!({"computeEnvironmentOrder": []})), false, &["no compute environment"]);
    let environment = |said: Value| evidence("", none.clone(), said);
    check(&environment(invalid), false, &["compute environment ce-spot is INVALID: no such role"]);
    check(&environment(json!({"state": "DISABLED"})), false, &["ce-spot is DISABLED"]);
    let empty = json!({"computeResources": {"maxvCpus": 0}});
    check(&environment(empty), false, &["maxvCpus 0"]);
    let small = json!({"computeResources": {"maxvCpus": 1}});
    check(&environment(small), false, &["asks for 2 vCPUs", "1 in all"]);
    let types = json!({"computeResources": {"instanceTypes": ["m5.large", "m5.xlarge"]}});
    check(&environment(types), false, &["largest: m5.xlarge 16384 MiB, ~15400 usable", "15 GiB"]);
}

/// E39: every code of AWS, and none at all.
#[test]
fn what_aws_says_is_put_into_words() {
    let says = |reason: &str| evidence(reason, json!({}), json!({}));
    let capacity = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x";
    check(&says(capacity), true, &["no machine of the allowed types", capacity, "second queue"]);
    check(&says("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"), false, &["raise maxvCpus"]);
    check(&says("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"), false, &["large enough"]);
    let roles = "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS";
    check(&says(roles), false, &["service role", "AWSBatchServiceRole"]);
    let types = "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED";
    check(&says(types), false, &["do not go together"]);
    check(&says("ACTION_REQUIRED - x"), false, &["to be done in the account"]);
    check(&says("UNDETERMINED - x"), false, &["does not say by what"]);
    check(&says(""), true, &["AWS says nothing", "names no reason", "quota"]);
}

/// E22, E23, E42, E43: machines start and do not join, so that the network comes first.
#[test]
fn machines_that_do_not_join_point_at_the_network() {
    let wants = json!({"computeResources": {"desiredvCpus": 8}});
    for reason in ["", "UNDETERMINED - Batch job is blocked, root cause is undetermined."] {
        let mut evidence = evidence(reason, json!({}), wants.clone());
        let cluster = json!({"clusterArn": "c", "registeredContainerInstancesCount": 0});
        evidence.clusters = vec![serde_json::from_value(cluster).expect("a cluster")];
        let order = ["auto-assign public IPv4", "no NAT", "security groups", "instance role"];
        check(&evidence, false, &order);
        check(&evidence, false, &["none joins", "subnet-1, subnet-2", "0 machines", "3. turn on"]);
        let mend = judge(&evidence).expect("a reason").mend;
        let at: Vec<_> = order.iter().map(|word| mend.find(word)).collect();
        assert!(at.is_sorted(), "the likeliest is not first in {mend}");
        // With one that has joined, that is not it.
        evidence.clusters[0].registered_container_instances_count = Some(1);
        assert!(!judge(&evidence).expect("another reason").finding.contains("joins"));
    }
}

#[test]
fn others_and_full_environments_are_reasons_to_wait() {
    let mut queued = evidence("", json!({}), json!({}));
    queued.ahead = 100;
    check(&queued, true, &["100 jobs of others", "higher priority"]);
    let full = evidence("", json!({}), json!({"computeResources": {"desiredvCpus": 64}}));
    check(&full, true, &["are in use", "64/64 vCPU"]);
    let mut blind = evidence("", json!({}), json!({}));
    blind.environments.clear();
    blind.denied = vec!["batch:DescribeComputeEnvironments is denied".to_owned()];
    check(&blind, true, &["not looked at: batch:DescribeComputeEnvironments is denied"]);
}

/// E41, E44: machines that join in one subnet and not in another point at that one.
#[test]
fn the_subnet_whose_machines_do_not_join_is_named() {
    let wants = json!({"computeResources": {"desiredvCpus": 8}});
    let mut evidence = evidence("", json!({}), wants);
    let of = |subnet: &str, started: u32, joined: u32| Joined {
        subnet: subnet.to_owned(),
        started,
        joined,
    };
    evidence.joined = vec![of("subnet-1", 4, 4), of("subnet-2", 7, 0), of("subnet-3", 0, 0)];
    let words = ["7 of 11 machines never joined", "all of them in subnet-2", "compare subnet-2"];
    check(&evidence, false, &words);
    check(&evidence, false, &["subnet-2: 7 machines started, 0 joined"]);
    // Where all join, it is something else.
    evidence.joined = vec![of("subnet-1", 4, 4), of("subnet-2", 7, 6)];
    assert!(!judge(&evidence).expect("another reason").finding.contains("joined"));
}
