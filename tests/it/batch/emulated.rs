//! Bakes on the emulator of AWS Batch over real S3 servers: the bytes are those of one process, whatever
//! Batch, the store and the machines do meanwhile.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dataflow::testing::s3_servers;
use levain::objects::{Location, Objects, StoreOptions};
use serde_json::{Value, json};

use crate::aws::emulator::{Emulator, QUEUE};
use crate::command::{Ran, levain, ran};
use crate::determinism::objects;
use crate::killing::{LAYOUT, noise};
use crate::made::Folder;
use crate::random_recipes::Draw;
use crate::served::Served;

const STEPS: i32 = 60;
/// Faults of a store, each of which one request in twenty meets.
const FAULTS: [&str; 7] =
    ["after500", "drop_after", "drop_before", "before500", "conflict409", "slow_down", "truncate"];

/// A bucket with a source, an emulator whose jobs reach it, and the bytes of one process.
pub(super) struct Bakery {
    pub(super) emulator: Emulator,
    /// What the driver and the workers reach the bucket through.
    pub(super) driver: Served,
    pub(super) workers: Served,
    pub(super) bucket: Objects,
    pub(super) place: String,
    want: BTreeMap<String, Vec<u8>>,
}

impl Bakery {
    fn open(name: &str, endpoint: &str, flags: &[&str]) -> Option<Self> {
        let proxy = || Served::start("store-faults", &["--upstream", endpoint, "--seed", "5"]);
        let (driver, workers) = (proxy()?, proxy()?);
        let reached = workers.url();
        let variables = [
            ("AWS_ENDPOINT_URL", reached.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        let emulator = Emulator::start_with(&[&["--fast"], flags].concat(), &variables)?;
        emulator.define();
        let place = format!("s3://levain-test/bakery/{name}");
        let options = StoreOptions::default()
            .with_endpoint(endpoint)
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        let location = Location::parse(&place).expect("a location");
        let bucket = Objects::open(&location, &options).expect("a store");
        bucket.delete_all("").expect("what an earlier test left can be deleted");
        let folder = Folder::new();
        let (source, out) = (folder.put("a.nc", &noise(0, STEPS)), folder.text("want.zarr"));
        levain(&[&["bake", &source, &out, "--progress", "none"], &LAYOUT[..]].concat())
            .check_done();
        let want = objects(&folder.path("want.zarr"));
        let bytes = std::fs::read(source).expect("just written");
        bucket.put("a.nc", Bytes::from(bytes)).wait().expect("uploaded");
        Some(Self { emulator, driver, workers, bucket, place, want })
    }

    pub(super) fn start(&self, own: &[&str]) -> Child {
        let worker = format!("{} worker", env!("CARGO_BIN_EXE_levain"));
        self.start_with(&worker, own)
    }

    /// Starts a bake whose jobs run this command.
    pub(super) fn start_with(&self, worker: &str, own: &[&str]) -> Child {
        let (source, out) = (format!("{}/a.nc", self.place), format!("{}/out.zarr", self.place));
        let batch = ["--runner", "batch", "--job-definition", "tests", "--worker-command", worker];
        let size = ["--workers", "3", "--vcpus", "1", "--look-ms", "20"];
        let shown = if own.contains(&"--progress") { &[][..] } else { &["--progress", "none"] };
        let arguments =
            [&["bake", &source, &out, "--resume"], &LAYOUT[..], &batch, &size, shown, own].concat();
        self.command(&arguments).spawn().expect("the command can be started")
    }

    /// A command that knows the emulator and the bucket.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.emulator.command(arguments);
        command
            .env("AWS_ENDPOINT_URL", self.driver.url())
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command of the run to its end: its name, then the destination, then flags.
    pub(super) fn of_run(&self, name: &str, flags: &[&str]) -> Ran {
        let out = format!("{}/out.zarr", self.place);
        let mut command = self.command(&[&[name, &out], flags].concat());
        ran(command.output().expect("the command can be started"))
    }

    pub(super) fn bake(&self, own: &[&str]) -> Ran {
        ran(self.start(own).wait_with_output().expect("a child"))
    }

    /// Waits until so many records of the run are there, or the driver has ended.
    pub(super) fn wait_for_commits(&self, child: &mut Child, count: usize) -> bool {
        loop {
            let kept = self.bucket.list("out.zarr.levain").expect("a list");
            if kept.iter().filter(|it| it.key.contains("/batch/c/")).count() >= count {
                return true;
            }
            if child.try_wait().expect("a child").is_some() {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Checks the store, and that nothing of the run is left that costs.
    #[track_caller]
    pub(super) fn check(&self) {
        let mut got = BTreeMap::new();
        for facts in self.bucket.list("out.zarr").expect("a list") {
            let body = self.bucket.get(&facts.key).expect("listed");
            got.insert(facts.key["out.zarr/".len()..].to_owned(), body.to_vec());
        }
        assert!(got == self.want, "other bytes than those of one process");
        let kept = self.bucket.list("out.zarr.levain").expect("a list");
        for folder in ["d", "x", "k", "hb"] {
            let part = format!("/batch/{folder}/");
            let left: Vec<_> = kept.iter().filter(|it| it.key.contains(&part)).collect();
            assert!(left.is_empty(), "left: {left:?}");
        }
        let state = self.emulator.post("/v1/listjobs", &json!({ "jobQueue": QUEUE }));
        assert_eq!(state["jobSummaryList"], json!([]), "jobs still run");
    }

    /// How often a rule was applied, by the rules of a proxy.
    fn applied(proxy: &Served) -> Vec<u64> {
        let state = proxy.control("/_faults/state", &json!({}));
        let rules = state["rules"].as_array().expect("rules").clone();
        rules.iter().map(|rule| rule["applied"].as_u64().unwrap_or(0)).collect()
    }
}

/// Rules for one request in so many, of all faults.
fn faults(one_in: f64) -> Value {
    let rule = |mode: &&str| match *mode {
        "conflict409" => json!({ "mode": mode, "create": true, "probability": 1.0 / one_in }),
        "truncate" => json!({ "mode": mode, "op": "GetObject", "probability": 1.0 / one_in }),
        // Each keeps everybody away from the store for a second and more.
        "slow_down" => json!({ "mode": mode, "probability": 0.2 / one_in }),
        _ => json!({ "mode": mode, "probability": 1.0 / one_in }),
    };
    json!({ "rules": FAULTS.iter().map(rule).collect::<Vec<Value>>() })
}

/// Runs a test over the first S3 server that there is.
pub(super) fn over_one_server(name: &str, flags: &[&str], test: impl Fn(&Bakery)) {
    over(s3_servers().into_iter().take(1), name, flags, test);
}

/// Runs a test over all S3 servers that there are.
fn over_servers(name: &str, flags: &[&str], test: impl Fn(&Bakery)) {
    over(s3_servers(), name, flags, test);
}

fn over(
    servers: impl IntoIterator<Item = (&'static str, String)>,
    name: &str,
    flags: &[&str],
    test: impl Fn(&Bakery),
) {
    for (server, endpoint) in servers {
        let server = server.to_lowercase();
        let Some(bakery) = Bakery::open(&format!("{name}-{server}"), &endpoint, flags) else {
            return;
        };
        test(&bakery);
    }
}

#[test]
fn workers_write_every_chunk_and_the_driver_none() {
    over_servers("plain", &[], |bakery| {
        // A rule that does nothing counts.
        let chunks = |op: &str| json!({ "mode": "latency", "delay_s": 0, "op": op, "key": "*/out.zarr/v/c/*" });
        let reads =
            json!({ "mode": "latency", "delay_s": 0, "op": "GetObject", "key": "*/batch/d/*" });
        let rules = json!({ "rules": [chunks("PutObject"), reads] });
        for proxy in [&bakery.driver, &bakery.workers] {
            proxy.control("/_faults/rules", &rules);
        }
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
        let chunk_count = bakery.want.keys().filter(|key| key.starts_with("v/c/")).count() as u64;
        assert_eq!(Bakery::applied(&bakery.driver)[0], 0, "the driver has written chunks");
        let state = bakery.workers.control("/_faults/state", &json!({}));
        assert_eq!(Bakery::applied(&bakery.workers)[0], chunk_count, "{state:#}");
        let state = bakery.driver.control("/_faults/state", &json!({}));
        let moved = |name: &str| -> u64 {
            let operations = state["operations"].as_object().expect("operations").values();
            operations.map(|it| it[name].as_u64().unwrap_or(0)).sum()
        };
        let bytes = moved("sentBytes") + moved("receivedBytes");
        assert!(bytes < 4 << 20, "{bytes} bytes have passed through the driver");
        assert!(bakery.emulator.called("SubmitJob") <= 4, "{:?}", bakery.emulator.calls());
    });
}

#[test]
fn one_request_in_twenty_may_fail_in_any_way() {
    over_one_server("faults", &[], |bakery| {
        let rules = faults(20.0);
        for proxy in [&bakery.driver, &bakery.workers] {
            proxy.control("/_faults/rules", &rules);
        }
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
        let applied: u64 = Bakery::applied(&bakery.workers).iter().sum();
        assert!(applied > 20, "only {applied} requests have failed");
    });
}

#[test]
fn machines_that_are_taken_away_are_followed_by_others() {
    over_one_server("spot", &[], |bakery| {
        bakery.emulator.faults(&json!([
            { "kind": "spot_kill", "after_s": 0.3, "times": 4 },
            { "kind": "sigkill137", "after_s": 0.4, "times": 2 },
        ]));
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
    });
}

#[test]
fn workers_that_run_out_of_memory_are_given_more() {
    over_one_server("memory", &[], |bakery| {
        bakery.emulator.faults(&json!([{ "kind": "oom_kill", "after_s": 0.3, "times": 3 }]));
        bakery.bake(&["--memory", "1GiB,2GiB"]).check_done();
        bakery.check();
    });
}

#[test]
fn a_driver_that_is_killed_is_followed_by_one_elsewhere() {
    over_one_server("driver", &[], |bakery| {
        let mut killed = 0;
        for commits in [1, 2, 3, 4, 5] {
            let mut child = bakery.start(&["--memory", "1GiB"]);
            if bakery.wait_for_commits(&mut child, commits)
                && child.try_wait().expect("a child").is_none()
            {
                child.kill().expect("it runs");
                killed += 1;
            }
            child.wait().expect("a child");
        }
        assert!(killed >= 3, "only {killed} drivers were met at work");
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
    });
}

#[test]
fn answers_of_batch_that_are_lost_or_refused_lose_no_job() {
    over_one_server("answers", &[], |bakery| {
        bakery.emulator.faults(&json!([
            { "kind": "drop_after", "op": "SubmitJob", "times": 1 },
            { "kind": "throttle", "op": "DescribeJobs", "times": 3 },
            { "kind": "server500", "op": "DescribeJobs", "times": 2 },
        ]));
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
    });
}

#[test]
fn a_queue_that_starts_nothing_is_explained() {
    over_one_server("stuck", &[], |bakery| {
        let reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT";
        bakery.emulator.faults(&json!([{ "kind": "stuck", "reason": reason }]));
        let ran = bakery.bake(&["--memory", "1GiB", "--runnable-fail", "2s"]);
        ran.check_refused("E503", 6, &["no worker has started"]);
    });
}

/// Bakes for so many minutes as `LEVAIN_TEST_SOAK_MINUTES` says, each time under faults of the store, of
/// Batch, of machines and of drivers that the seed draws.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long is told by the environment")]
fn a_soak_ends_every_bake_with_the_same_bytes() {
    let Some(minutes) = std::env::var("LEVAIN_TEST_SOAK_MINUTES").ok() else { return };
    let minutes: u64 = minutes.parse().expect("a number of minutes");
    let servers = s3_servers();
    let (began, mut draw, mut bakes, mut kills, mut failed) =
        (Instant::now(), Draw::new(6), 0u32, 0u32, 0u64);
    while began.elapsed() < Duration::from_secs(60 * minutes) {
        let (_, endpoint) = &servers[draw.below(servers.len())];
        let bakery = Bakery::open(&format!("soak-{bakes}"), endpoint, &[]).expect("it is built");
        let rules = faults([20.0, 50.0, 200.0][draw.below(3)]);
        for proxy in [&bakery.driver, &bakery.workers] {
            proxy.control("/_faults/rules", &rules);
        }
        let after = |draw: &mut Draw| 0.1 + draw.below(20) as f64 / 10.0;
        bakery.emulator.faults(&json!([
            { "kind": "spot_kill", "after_s": after(&mut draw), "times": draw.below(4) },
            { "kind": "sigkill137", "after_s": after(&mut draw), "times": draw.below(3) },
            { "kind": "oom_kill", "after_s": after(&mut draw), "times": draw.below(2) },
            { "kind": "freeze", "after_s": after(&mut draw), "for_s": 3, "times": draw.below(2) },
            { "kind": "throttle", "op": "DescribeJobs", "times": draw.below(5) },
            { "kind": "drop_after", "op": "SubmitJob", "times": draw.below(2) },
        ]));
        for commits in 1..=draw.below(3) {
            let mut child = bakery.start(&["--memory", "1GiB,2GiB"]);
            let is_met = bakery.wait_for_commits(&mut child, 2 * commits);
            if is_met && child.try_wait().expect("a child").is_none() {
                child.kill().expect("it runs");
                kills += 1;
            }
            child.wait().expect("a child");
        }
        let ran = bakery.bake(&["--memory", "1GiB,2GiB"]);
        assert_eq!(ran.exit, Some(0), "bake {bakes}: {}", ran.stderr);
        bakery.check();
        failed += Bakery::applied(&bakery.workers).iter().sum::<u64>();
        failed += Bakery::applied(&bakery.driver).iter().sum::<u64>();
        bakes += 1;
        println!("{bakes} bakes, {kills} drivers killed, {failed} requests failed");
    }
}
