//! Bakes on the emulator of AWS Batch over real S3 servers: the bytes are those of one process, whatever
//! Batch, the store and the machines do meanwhile.

use std::time::{Duration, Instant};

use dataflow::testing::s3_servers;
use serde_json::{Value, json};

use super::bakery::{Bakery, over_one_server, over_servers};
use crate::command::say;
use crate::random_recipes::Draw;

/// Faults of a store, each of which one request in twenty meets.
const FAULTS: [&str; 7] =
    ["after500", "drop_after", "drop_before", "before500", "conflict409", "slow_down", "truncate"];

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
        say(&format!("{bakes} bakes, {kills} drivers killed, {failed} requests failed"));
    }
}
