//! `levain doctor`: set-ups that are broken in one place each.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::emulator::{Emulator, QUEUE};
use crate::command::Ran;
use crate::served::Served;

/// A check-up of an emulator, a store in its home, and the definition of the tests.
fn doctor(emulator: &Emulator, flags: &[&str]) -> Ran {
    let store = emulator.home.path().join("store");
    let store = store.to_str().expect("UTF-8");
    let mut command = emulator.command(&["doctor", "--store", store]);
    command.env("LEVAIN_BATCH__JOB_DEFINITION", "tests").args(flags);
    if flags.contains(&"--queue") {
        command.env_remove("LEVAIN_BATCH__QUEUE");
    }
    Emulator::run(command)
}

#[track_caller]
fn check(ran: &Ran, exit: i32, words: &[&str]) {
    let Ran { stdout, stderr, .. } = ran;
    assert_eq!(ran.exit, Some(exit), "{stdout}\n{stderr}");
    for word in words {
        assert!(stdout.contains(word), "`{word}` is not in\n{stdout}");
    }
    let shows = ["FAIL", "WARN"].iter().any(|found| stdout.contains(found));
    assert!(exit == 0 || shows, "nothing has failed in\n{stdout}");
    assert!(exit == 0 || stdout.contains("fix: "), "no fix in\n{stdout}");
}

/// E12, E24, E25, E38: what is not right in the account, each by itself.
#[test]
fn what_is_wrong_in_the_account_is_named_with_its_fix() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    check(
        &doctor(&emulator, &[]),
        0,
        &["ok    credentials", "ok    store", "ENABLED/VALID → bakery-ce", "tests:1 image alpine"],
    );
    // 1 to 3: names.
    check(
        &doctor(&emulator, &["--queue", "none"]),
        6,
        &["no queue `none` in eu-west-1", "levain infra print"],
    );
    check(
        &doctor(&emulator, &["--job-definition", "none"]),
        6,
        &["`none` in use", "jobdef ensure"],
    );
    // 4, 5: a queue.
    emulator.faults(&json!([{"kind": "queue_disabled", "name": QUEUE}]));
    check(&doctor(&emulator, &[]), 6, &["bakery is DISABLED", "update-job-queue"]);
    emulator.faults(&json!([{"kind": "ce_invalid", "name": "bakery-ce"}]));
    check(&doctor(&emulator, &[]), 6, &["bakery-ce is INVALID"]);
    emulator.faults(&json!([]));
    // 6 to 9: compute environments.
    let with = |name: &str, resources: Value| {
        let own = json!({"type": "EC2", "minvCpus": 0, "maxvCpus": 8, "subnets": ["subnet-1"],
            "instanceTypes": ["optimal"], "securityGroupIds": ["sg-1"], "instanceRole": "r"});
        let mut own = own;
        for (key, value) in resources.as_object().expect("fields") {
            own[key] = value.clone();
        }
        let environment =
            json!({"computeEnvironmentName": name, "type": "MANAGED", "computeResources": own});
        emulator.post("/v1/createcomputeenvironment", &environment);
        let order = json!([{"order": 1, "computeEnvironment": name}]);
        let queue = json!({"jobQueueName": name, "priority": 1, "state": "ENABLED", "computeEnvironmentOrder": order});
        emulator.post("/v1/createjobqueue", &queue);
        doctor(&emulator, &["--queue", name])
    };
    check(&with("small", json!({"maxvCpus": 1})), 6, &["asks for 2 vCPUs, and small may have 1"]);
    check(&with("none", json!({"maxvCpus": 0})), 6, &["maxvCpus 0"]);
    let types = json!({"instanceTypes": ["m5.large"]});
    check(&with("fits", types), 0, &["fits ENABLED/VALID"]);
    let large = doctor(&emulator, &["--queue", "fits", "--memory", "16GiB"]);
    check(&large, 6, &["largest: m5.large 8192 MiB, ~7700 usable", "--mem 7GiB"]);
    let off = json!({"computeEnvironment": "fits", "state": "DISABLED"});
    emulator.post("/v1/updatecomputeenvironment", &off);
    check(&doctor(&emulator, &["--queue", "fits"]), 6, &["fits is DISABLED"]);
    // Another queue that is well does.
    check(&doctor(&emulator, &["--queue", &format!("{QUEUE},fits")]), 6, &["ok    environment"]);
}

/// D09 to D12, E26: each action that is denied, with what it is for and how to allow it.
#[test]
fn each_denied_action_is_told_with_its_effect() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let denied = |op: &str, flags: &[&str], exit: i32, words: &[&str]| {
        emulator.faults(&json!([{"kind": "denied", "op": op, "times": 100}]));
        let ran = doctor(&emulator, flags);
        check(&ran, exit, words);
        assert!(ran.stdout.contains("levain infra policy --for driver"), "{}", ran.stdout);
    };
    denied(
        "DescribeJobs",
        &[],
        0,
        &["WARN  permissions", "batch:DescribeJobs is denied → where jobs stand"],
    );
    denied("ListJobs", &[], 0, &["batch:ListJobs is denied → jobs whose submission"]);
    denied("GetJobQueueSnapshot", &[], 0, &["batch:GetJobQueueSnapshot is denied"]);
    denied("logs:GetLogEvents", &[], 0, &["logs:GetLogEvents is denied → logs of workers"]);
    denied("DescribeJobQueues", &[], 0, &["WARN  queue"]);
    denied("DescribeComputeEnvironments", &[], 0, &["WARN  environment"]);
    denied("DescribeJobDefinitions", &[], 0, &["is used as it is"]);
    denied("DescribeJobs", &["--strict"], 5, &["WARN"]);
}

/// E28, E45: whose keys were refused, masked, and where they stand.
#[test]
fn refused_keys_are_named_by_file_and_line() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let folder = emulator.home.path().join(".aws");
    fs::create_dir(&folder).expect("a folder");
    let keys =
        "[other]\n\n[work]\naws_access_key_id = AKIDFROMTHEFILE\naws_secret_access_key = canary\n";
    fs::write(folder.join("credentials"), keys).expect("written");
    let ran = doctor(&emulator, &["--aws-profile", "work"]);
    check(&ran, 0, &["profile work (", ".aws/credentials:4)", "key AKID****FILE"]);
    let missing = doctor(&emulator, &["--aws-profile", "nobody"]);
    assert_eq!(missing.exit, Some(5), "{}", missing.stdout);
    assert!(missing.stdout.contains("profile `nobody` holds no keys"), "{}", missing.stdout);
}

/// E14, E15, E46: keys of SSO through the command of AWS, with their end; without it, how to get on.
#[test]
fn keys_that_end_before_the_run_are_told() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let folder = emulator.home.path().join(".aws");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config"), "[profile sso]\nsso_session = x\n").expect("written");
    let bin = emulator.home.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let soon = chrono::Utc::now() + chrono::Duration::minutes(161);
    let keys = json!({"Version": 1, "AccessKeyId": "ASIAEXAMPLE1234", "SecretAccessKey": "canary",
        "SessionToken": "canary", "Expiration": soon.to_rfc3339()});
    let script = format!("#!/bin/sh\n[ \"$4\" = sso ] && echo '{keys}'\n");
    fs::write(bin.join("aws"), script).expect("written");
    fs::set_permissions(bin.join("aws"), fs::Permissions::from_mode(0o755)).expect("set");
    let check_up = |path: &str| {
        let store = emulator.home.path().join("store");
        let mut command = emulator.command(&["doctor", "--expected", "5h", "--aws-profile", "sso"]);
        command.args(["--job-definition", "tests", "--store"]).arg(store).env("PATH", path);
        Emulator::run(command)
    };
    let found = check_up(&format!("{}:/usr/bin:/bin", bin.display()));
    check(
        &found,
        0,
        &[
            "profile sso (sso_session)",
            "expires in 2 h 4",
            "WARN",
            "expected 5 h 0 m",
            "aws sso login --profile sso",
        ],
    );
    assert!(!found.stdout.contains("canary"), "{}", found.stdout);
    let without = check_up("/nonexistent");
    check(&without, 5, &["there is no command `aws`", "aws sso login"]);
}

/// E21, E27: what fails at the store is told by itself; nobody lists buckets.
#[test]
fn a_store_that_cannot_be_used_is_told() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    emulator.define();
    let file = emulator.home.path().join("file");
    fs::write(&file, "").expect("written");
    let below = format!("{}/store", file.display());
    let ran = emulator.levain(&["doctor", "--store", &below, "--job-definition", "tests"]);
    check(&ran, 6, &["FAIL  store", "an object cannot be written"]);
    let Some(endpoint) = dataflow::testing::s3_endpoint() else { return };
    let on_s3 = |bucket: &str| {
        let url = format!("s3://{bucket}/doctor");
        let mut command = emulator.command(&["doctor", "--store", &url]);
        command.args(["--job-definition", "tests"]).env("AWS_ENDPOINT_URL_S3", &endpoint);
        Emulator::run(command)
    };
    check(&on_s3("levain-test"), 0, &["ok    store", "create-once", "clock skew"]);
    let missing = on_s3("no-such-bucket");
    check(&missing, 6, &["FAIL  store", "NoSuchBucket", "name of the bucket"]);
}

/// A check-up of a store behind a proxy that refuses what a rule says, with keys of a profile.
fn store_behind(rules: &Value) -> Option<Ran> {
    let endpoint = dataflow::testing::s3_endpoint()?;
    let proxy = Served::start("store-faults", &["--upstream", &endpoint])?;
    proxy.control("/_faults/rules", &json!({ "rules": rules }));
    let emulator = Emulator::start(&["--fast"])?;
    emulator.define();
    let folder = emulator.home.path().join(".aws");
    fs::create_dir(&folder).expect("a folder");
    let keys = "[work]\naws_access_key_id = AKIDFROMTHEFILE\naws_secret_access_key = canary\n";
    fs::write(folder.join("credentials"), keys).expect("written");
    let mut command = emulator.command(&["doctor", "--store", "s3://levain-test/doctor-behind"]);
    command
        .args(["--job-definition", "tests", "--aws-profile", "work"])
        .env("AWS_ENDPOINT_URL_S3", proxy.url())
        .env("AWS_REGION", "eu-west-1");
    Some(Emulator::run(command))
}

/// E21: what a store does not do or does not allow is told by what was tried.
#[test]
fn each_fault_of_a_store_has_its_own_words() {
    let denied = |op: &str, words: &[&str]| {
        let Some(ran) = store_behind(&json!([{ "mode": "refuse", "op": op }])) else { return };
        check(&ran, 6, &[&["FAIL  store", "levain infra policy"], words].concat());
    };
    denied("PutObject", &["an object cannot be written:", "allow s3:PutObject"]);
    denied("GetObject", &["an object cannot be read", "allow s3:GetObject"]);
    denied("ListObjectsV2", &["a prefix cannot be listed", "allow s3:ListBucket"]);
    denied("CreateMultipartUpload", &["written in parts", "s3:AbortMultipartUpload"]);
    denied("UploadPart", &["written in parts", "s3:AbortMultipartUpload"]);
    denied("Delete*", &["an object cannot be deleted", "allow s3:DeleteObject"]);
    let Some(ran) = store_behind(&json!([])) else { return };
    check(&ran, 0, &["ok    store", "write/read/list/parts/create-once/delete"]);
    // A store that knows no conditions.
    let rule =
        json!([{ "mode": "refuse", "create": true, "status": 501, "code": "NotImplemented" }]);
    let Some(ran) = store_behind(&rule) else { return };
    check(
        &ran,
        6,
        &["FAIL  store", "objects cannot be created once", "501 (NotImplemented)", "If-None-Match"],
    );
}

/// A11: a bucket that is elsewhere.
#[test]
fn a_bucket_of_another_region_is_told_with_both() {
    let rule = json!([{ "mode": "refuse", "status": 301, "code": "PermanentRedirect",
        "region": "eu-central-1" }]);
    let Some(ran) = store_behind(&rule) else { return };
    let words = ["the bucket is in the region eu-central-1", "eu-west-1 is configured"];
    check(&ran, 6, &[&words[..], &["store.region", "AWS_REGION"]].concat());
}

/// E28: three refusals of keys, each with its own words, and all with whose they are.
#[test]
fn keys_that_a_store_refuses_are_told_with_where_they_stand() {
    let refused = |code: &str, words: &[&str]| {
        let rule = json!([{ "mode": "refuse", "code": code }]);
        let Some(ran) = store_behind(&rule) else { return };
        let of_key = ["profile work (", ".aws/credentials:2)", "key AKID****FILE"];
        let store = ran.stdout.split_once("FAIL  store").expect("the store fails").1;
        for word in [&of_key[..], &[code], words].concat() {
            assert!(store.contains(word), "`{word}` is not in\n{store}");
        }
        assert_eq!(ran.exit, Some(5), "{store}");
    };
    refused("InvalidAccessKeyId", &["does not know this access key"]);
    refused("SignatureDoesNotMatch", &["the secret does not belong to the access key"]);
    refused("RequestTimeTooSkewed", &["set the clock of this machine"]);
}

#[test]
fn a_check_up_is_one_document_where_that_is_asked_for() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    let document = emulator.levain(&["--output", "json", "doctor", "--queue", "none"]);
    assert_eq!(document.exit, Some(6));
    let document: Value = serde_json::from_str(&document.stdout).expect("one document");
    assert_eq!((&document["v"], &document["failures"]), (&json!(1), &json!(2)), "{document}");
    let failed = document["checks"].as_array().expect("checks").iter();
    let failed: Vec<_> = failed.filter(|it| it["found"] == "FAIL").map(|it| &it["code"]).collect();
    assert_eq!(failed, ["E510", "E601"]);
}
