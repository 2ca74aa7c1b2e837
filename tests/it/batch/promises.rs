//! What runs on AWS Batch promise of their requests, their jobs and their ends, on the emulator.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use dataflow::testing::s3_servers;
use levain::batch::{BatchOptions, BatchRunner};
use levain::dataflow::cancel::CancelToken;
use levain::dataflow::runner::NoObserver;
use levain::objects::{Location, Objects, StoreOptions};
use levain::prelude::*;
use serde_json::{Value, json};

use super::bakery::{Bakery, over_one_server};
use super::processes::signal;
use crate::aws::emulator::{Emulator, QUEUE};
use crate::killing::LAYOUT;
use crate::served::Served;

/// Operations of the services besides those that a run cannot do without.
const WISHES: [&str; 11] = [
    "DescribeJobs",
    "ListJobs",
    "CancelJob",
    "CancelJobs",
    "DescribeJobDefinitions",
    "RegisterJobDefinition",
    "DescribeJobQueues",
    "DescribeComputeEnvironments",
    "GetJobQueueSnapshot",
    "logs:GetLogEvents",
    "ecs:DescribeClusters",
];

/// Jobs that have not ended.
fn active(bakery: &Bakery) -> usize {
    let listed = bakery.emulator.json(&["batch", "jobs", "--active"]);
    listed["jobs"].as_array().expect("jobs").len()
}

#[track_caller]
fn wait_until_idle(bakery: &Bakery, patience: Duration) {
    let began = Instant::now();
    while active(bakery) > 0 {
        assert!(began.elapsed() < patience, "jobs are still active");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// The operations and places that a proxy was asked for.
fn places(proxy: &Served) -> BTreeSet<(String, String)> {
    let told = proxy.control("/_faults/places", &json!({}));
    let text = |it: &Value, name: &str| it[name].as_str().expect("a text").to_owned();
    let told = told["places"].as_array().expect("places").iter();
    told.map(|it| (text(it, "op"), text(it, "place"))).collect()
}

/// D09: to submit and to terminate is enough; what cannot be told is said.
#[test]
fn a_run_needs_no_more_than_to_submit_and_to_terminate() {
    over_one_server("least", &[], |bakery| {
        let denied = WISHES.map(|op| json!({ "kind": "denied", "op": op, "times": 1_000_000 }));
        bakery.emulator.faults(&json!(denied));
        let ran = bakery.bake(&["--memory", "1GiB"]);
        ran.check_done();
        let told = "Batch details unavailable (batch:DescribeJobs denied)";
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
        bakery.emulator.faults(&json!([]));
        wait_until_idle(bakery, Duration::from_secs(30));
        bakery.check();
    });
}

/// D60: what is done needs no job.
#[test]
fn a_run_that_is_done_submits_nothing() {
    over_one_server("done", &[], |bakery| {
        bakery.bake(&["--memory", "1GiB"]).check_done();
        let submitted = bakery.emulator.called("SubmitJob");
        assert!(submitted > 0);
        bakery.bake(&["--memory", "1GiB"]).check_done();
        assert_eq!(bakery.emulator.called("SubmitJob"), submitted);
        bakery.check();
    });
}

/// A14: of a store, only what lies below the prefixes of the run and its sources is asked for.
#[test]
fn every_request_lies_below_the_prefixes() {
    over_one_server("below", &[], |bakery| {
        bakery.bucket.put("out.zarrow/k", "beside".into()).wait().expect("written");
        bakery.bake(&["--memory", "1GiB"]).check_done();
        let own = bakery.place.strip_prefix("s3://levain-test/").expect("a bucket");
        let roots = ["out.zarr", "out.zarr.levain", "a.nc"].map(|it| format!("{own}/{it}"));
        for (who, proxy) in [("driver", &bakery.driver), ("workers", &bakery.workers)] {
            let asked = places(proxy);
            assert!(asked.len() > 10, "{who}: {asked:?}");
            for (op, place) in asked {
                // The keys of many that are deleted at once stand in the body: see below.
                let is_bulk = op == "DeleteObjects" && place.is_empty();
                let is_below = roots
                    .iter()
                    .any(|root| place == *root || place.starts_with(&format!("{root}/")));
                assert!(is_bulk || is_below, "{who}: {op} of `{place}`");
            }
        }
        assert_eq!(bakery.bucket.get("out.zarrow/k").expect("it is there"), "beside");
        bakery.check();
    });
}

/// A31: the driver writes where its steps stay with it, and workers everywhere else.
#[test]
fn who_writes_is_who_has_the_step() {
    over_one_server("places", &[], |bakery| {
        let chunks = |op: &str, key: &str| json!({ "mode": "latency", "op": op, "key": key });
        let rules = json!({ "rules": [
            chunks("PutObject", "*/out.zarr/v/c/*"),
            chunks("GetObject", "*/batch/d/*"),
        ] });
        for proxy in [&bakery.driver, &bakery.workers] {
            proxy.control("/_faults/rules", &rules);
        }
        // All but the one that reads and writes arrays.
        bakery.bake(&["--memory", "1GiB", "--remote", "*ListGroups*"]).check_done();
        let chunk_count = bakery.want.keys().filter(|key| key.starts_with("v/c/")).count() as u64;
        let (driver, workers) = (Bakery::applied(&bakery.driver), Bakery::applied(&bakery.workers));
        assert_eq!((driver[0], workers[0]), (chunk_count, 0), "chunks written");
        assert_eq!(workers[1], 0, "records read");
        bakery.check();
    });
}

/// D65: whoever ends a run, and however, no job of it stays.
#[test]
fn no_end_of_a_driver_leaves_a_job() {
    over_one_server("ends", &[], |bakery| {
        for (commits, name) in [(1, "INT"), (2, "TERM"), (3, "KILL")] {
            let own = ["--memory", "1GiB", "--set", "batch.idle=1s"];
            let mut child = bakery.start(&own);
            let is_met = bakery.wait_for_commits(&mut child, commits);
            assert!(is_met && signal(child.id(), name), "{name}: no run was met at work");
            child.wait().expect("a child");
            // A driver that was killed has nobody to say so: its workers go home when nothing is left to do.
            let patience = Duration::from_secs(if name == "KILL" { 60 } else { 1 });
            wait_until_idle(bakery, patience);
        }
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
    });
}

/// D01: a driver may be a job itself, so that no machine of one's own need stay; one whose machine is taken away
/// is started again, and goes on.
#[test]
fn a_driver_that_is_a_job_itself_needs_nobody_else() {
    over_one_server("job", &[], |bakery| {
        let (source, out) =
            (format!("{}/a.nc", bakery.place), format!("{}/out.zarr", bakery.place));
        let program = env!("CARGO_BIN_EXE_levain");
        let settings = [
            format!("LEVAIN_BATCH__ENDPOINT={}", bakery.emulator.url()),
            "LEVAIN_BATCH__REGION=us-east-1".to_owned(),
            format!("LEVAIN_BATCH__QUEUE={QUEUE}"),
        ];
        let job = ["batch", "submit", "--name", "driver", "--job-definition", "tests"];
        let size = ["--vcpus", "1", "--memory", "1GiB", "--attempts", "3"];
        let variables: Vec<&str> = settings.iter().flat_map(|it| ["--env", it.as_str()]).collect();
        let bake = ["--", program, "bake", &source, &out, "--resume", "--progress", "none"];
        let worker = format!("{program} worker");
        let own = ["--runner", "batch", "--job-definition", "tests", "--worker-command", &worker];
        let few = ["--workers", "2", "--vcpus", "1", "--memory", "1GiB", "--look-ms", "20"];
        let taken = json!({ "kind": "spot_kill", "job": "driver", "attempt": 1, "after_s": 2 });
        bakery.emulator.faults(&json!([taken]));
        let submitted = bakery
            .emulator
            .json(&[&job[..], &size, &variables, &bake, &LAYOUT, &own, &few].concat());
        let id = submitted["id"].as_str().expect("an id");
        let job = loop {
            let jobs = bakery.emulator.post("/v1/describejobs", &json!({ "jobs": [id] }));
            let job = jobs["jobs"][0].clone();
            if ["SUCCEEDED", "FAILED"].iter().any(|state| job["status"] == *state) {
                break job;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        };
        assert_eq!(job["status"], "SUCCEEDED", "{job:#}");
        bakery.check();
    });
}

/// D69: errors of submissions are collected, and each is shown once with its count.
#[test]
fn refused_submissions_are_shown_by_status() {
    over_one_server("refused", &[], |bakery| {
        let denied = json!({ "kind": "denied", "op": "SubmitJob", "times": 3 });
        bakery.emulator.faults(&json!([denied]));
        let failed = bakery.bake(&["--memory", "1GiB"]);
        assert_eq!(failed.exit, Some(6), "{}", failed.stderr);
        let status = bakery.of_run("status", &[]);
        status.check_done();
        let lines: Vec<&str> =
            status.stdout.lines().filter(|it| it.starts_with("  refused")).collect();
        assert!(lines.len() == 1 && lines[0].ends_with(" ×3"), "{}", status.stdout);
        assert!(lines[0].contains("batch:SubmitJob"), "{}", status.stdout);
        let document = bakery.of_run("status", &["--output", "json"]);
        let document: Value = serde_json::from_str(&document.stdout).expect("JSON");
        assert_eq!(document["refusals"][0]["count"], 3, "{document:#}");
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
    });
}

/// E39: whatever the reason, a queue that starts nothing ends the run with it, its job is stopped, and the
/// run goes on when the queue does.
#[test]
fn a_run_that_did_not_start_is_stopped_and_goes_on_later() {
    let reasons = [
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "larger instance type"),
        ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "maxvCpus"),
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "AWS has no machine"),
        ("", "none joins its cluster"),
    ];
    over_one_server("waits", &[], |bakery| {
        for (reason, words) in reasons {
            let stuck = json!({ "kind": "stuck", "reason": reason });
            bakery.emulator.faults(&json!([stuck]));
            let ran = bakery.bake(&["--memory", "1GiB", "--runnable-fail", "1s"]);
            ran.check_refused("E503", 6, &["no worker has started", words]);
            assert!(reason.is_empty() || ran.stderr.contains(reason), "{}", ran.stderr);
            assert_eq!(active(bakery), 0, "{reason}: a job is left");
        }
        bakery.emulator.faults(&json!([]));
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
    });
}

/// A13: queues by name and by ARN; one that is not there is told before anything is read.
#[test]
fn a_queue_that_is_not_there_is_told_before_anything_is_read() {
    over_one_server("queues", &[], |bakery| {
        let asked = json!({ "jobQueues": [QUEUE] });
        let described = bakery.emulator.post("/v1/describejobqueues", &asked);
        let arn = described["jobQueues"][0]["jobQueueArn"].as_str().expect("an ARN").to_owned();
        let other = arn.replace(QUEUE, "none");
        let (source, out) =
            (format!("{}/a.nc", bakery.place), format!("{}/out.zarr", bakery.place));
        for queue in ["none", &other] {
            let ran = bakery.bake(&["--memory", "1GiB", "--queue", queue]);
            ran.check_refused("E510", 6, &[&format!("no queue `{queue}` in eu-west-1")]);
            let plan = ["plan", "bake", &source, &out, "--runner", "batch", "--queue", queue];
            let mut plan = bakery.emulator.command(&plan);
            let ran = Emulator::run({
                plan.env("AWS_ENDPOINT_URL_S3", bakery.driver.url());
                plan
            });
            ran.check_refused("E510", 6, &["no queue"]);
        }
        assert_eq!(places(&bakery.driver), BTreeSet::new(), "the store was asked for something");
        bakery.bake(&["--memory", "1GiB", "--queue", &arn]).check_done();
        bakery.check();
    });
}

/// Ten stages, of which the last one stops a run that is to be taken up again.
fn ten_stages(stop: Option<CancelToken>) -> (Pipeline, Collected<i64>) {
    let pipeline = Pipeline::new();
    let mut elements = pipeline.apply(Create::of(0..64i64));
    for stage in 0..9 {
        elements = elements
            .apply_named(&format!("Shuffle{stage}"), Reshuffle)
            .apply_named(&format!("Add{stage}"), Map::of(|element: i64| element + 1));
    }
    let last = elements.apply(Reshuffle).apply(Map::of(move |element: i64| {
        if let Some(stop) = &stop {
            stop.cancel();
        }
        element
    }));
    let results = last.collect();
    (pipeline, results)
}

/// A06: a run that is taken up reads what its open stage is given, and no records of earlier ones.
#[test]
fn a_resumed_run_reads_what_its_open_stage_is_given() {
    let Some((server, endpoint)) = s3_servers().into_iter().next() else { return };
    let Some(proxy) = Served::start("store-faults", &["--upstream", &endpoint]) else { return };
    let store = StoreOptions::default()
        .with_endpoint(proxy.url())
        .with_setting("aws_access_key_id", "test")
        .with_setting("aws_secret_access_key", "test");
    let place = format!("s3://levain-test/resumed-{}", server.to_lowercase());
    let root = Location::parse(&place).expect("a location");
    let bucket = Objects::open(&root, &store).expect("a store");
    bucket.delete_all("").expect("what an earlier test left can be deleted");
    let run = |cancel: &CancelToken, stop: Option<CancelToken>| {
        let mut batch = BatchOptions::nearby();
        batch.max_workers = NonZeroU32::MIN;
        let runner = BatchRunner::new(&root, &store, batch).with_cancel(cancel.clone());
        let options =
            RunOptions::default().with_partition_count(NonZeroUsize::new(8).expect("not zero"));
        let (pipeline, results) = ten_stages(stop);
        pipeline.run_with(&runner, &options, &NoObserver).map(|report| (report, results))
    };
    let cancel = CancelToken::default();
    let stopped = run(&cancel, Some(cancel.clone())).expect_err("it is stopped in its last stage");
    assert_eq!(stopped.kind(), ErrorKind::Cancelled, "{stopped}");
    proxy.control("/_faults/reset", &json!({}));
    let (report, results) = run(&CancelToken::default(), None).expect("it is taken up");
    let mut got: Vec<i64> = report.get(&results).expect("asked for").iter().collect();
    got.sort_unstable();
    assert_eq!(got, (9..73).collect::<Vec<i64>>());
    let reads = places(&proxy).into_iter().filter(|(op, _)| op == "GetObject");
    let records: Vec<String> =
        reads.map(|(_, place)| place).filter(|place| place.contains("/d/")).collect();
    assert!(!records.is_empty(), "the last stage reads what it is given");
    // What the last stage is given, and the results, which are its own records.
    let runner = BatchRunner::new(&root, &store, BatchOptions::nearby());
    let graph = ten_stages(None).0.compile_for(&runner).expect("it compiles");
    let last = graph.stages().len() - 1;
    let needed = [last - 1, last].map(|stage| format!("/s{stage:03}/"));
    let is_needed = |place: &&String| needed.iter().any(|stage| place.contains(stage));
    let others: Vec<&String> = records.iter().filter(|it| !is_needed(it)).collect();
    assert!(others.is_empty(), "records of other stages were read: {others:?}");
}

/// What lies below a folder, by the names within the only run that is there.
fn of_run(bakery: &Bakery, folder: &str) -> BTreeSet<String> {
    let keys: Vec<String> =
        bakery.bucket.list(folder).expect("a list").into_iter().map(|it| it.key).collect();
    let plan = keys.iter().find(|key| key.ends_with("/plan.json")).expect("a run has a plan");
    let run = plan.trim_end_matches("plan.json").to_owned();
    let within = |key: &String| key.strip_prefix(&run).map(str::to_owned);
    let names: BTreeSet<String> = keys.iter().filter_map(within).collect();
    assert_eq!(names.len(), keys.len(), "more than one run: {keys:?}");
    names
}

/// A05: a run of this process leaves in the store what one of workers leaves; these meet in a folder of
/// their own besides.
#[test]
fn a_run_here_leaves_what_a_run_on_batch_leaves() {
    over_one_server("alike", &[], |bakery| {
        let store = |name: &str| format!("{}/{name}", bakery.place);
        bakery.bake(&["--memory", "1GiB", "--store", &store("runs-batch")]).check_done();
        bakery.check();
        let (source, out) = (store("a.nc"), store("out.zarr"));
        let rest = ["--progress", "none", "--overwrite", "--store"];
        let runs = store("runs-direct");
        let arguments = [&["bake", &source, &out], &LAYOUT[..], &rest, &[&runs]].concat();
        let mut command = bakery.emulator.command(&arguments);
        command.env("AWS_ENDPOINT_URL", bakery.driver.url()).env("AWS_ALLOW_HTTP", "true");
        Emulator::run(command).check_done();
        let (mut there, here) = (of_run(bakery, "runs-batch"), of_run(bakery, "runs-direct"));
        // What tells workers which units are there already.
        there.retain(|name| !name.starts_with("batch/") && name != "done-units.json");
        assert_eq!(here, there);
        bakery.check();
    });
}
