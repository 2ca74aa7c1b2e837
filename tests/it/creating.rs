//! Many writers create the same objects, of which each must have one writer, while stores and
//! networks fail in all the ways that they do: on two S3 servers that share no code.
//!
//! What a writer believes to have created is what is in the store. Everything that the batch runner
//! promises stands on this.

use std::collections::BTreeMap;
use std::sync::Barrier;

use bytes::Bytes;
use dataflow::error::{ErrorCode, Result};
use dataflow::testing::s3_servers;
use levain::objects::{HostLimits, Location, Objects, StoreOptions};
use serde_json::{Value, json};

use crate::served::Served;

const KEYS: usize = 12;

/// A folder of its own on a server, or on a proxy before it.
fn store(endpoint: &str, name: &str) -> Objects {
    // A server that asks to slow down is left alone for a second and more, which would be the most
    // of a test.
    let limits = HostLimits { first_wait_ms: 20, ..HostLimits::default() };
    let options = StoreOptions::default()
        .with_host_limits(limits)
        .with_endpoint(endpoint)
        .with_setting("aws_access_key_id", "test")
        .with_setting("aws_secret_access_key", "test");
    let location = format!("s3://levain-test/creating/{name}");
    let location = Location::parse(&location).expect("a location");
    Objects::open(&location, &options).expect("opens")
}

/// What a writer writes: no two write the same, and none in one packet.
fn body(writer: usize, key: usize) -> Bytes {
    format!("writer {writer} of key {key} {}", "x".repeat(2000)).into()
}

/// For each key, who believes to have created it.
fn race(store: &Objects, writers: usize) -> BTreeMap<usize, Vec<usize>> {
    let start = Barrier::new(writers);
    let created = |writer: usize| -> Vec<usize> {
        start.wait();
        // Neighbours begin at different keys, and meet at all of them.
        let keys = (0..KEYS).map(|key| (key + writer / 4) % KEYS);
        let created = |key: &usize| {
            let created: Result<bool> = store.create(&format!("k/{key:03}"), body(writer, *key));
            created.expect("every writer hears of its key")
        };
        keys.filter(created).collect()
    };
    let mut believed: BTreeMap<usize, Vec<usize>> =
        (0..KEYS).map(|key| (key, Vec::new())).collect();
    std::thread::scope(|scope| {
        let created = &created;
        let threads: Vec<_> =
            (0..writers).map(|writer| scope.spawn(move || (writer, created(writer)))).collect();
        for thread in threads {
            let (writer, keys) = thread.join().expect("no writer fails");
            keys.into_iter().for_each(|key| believed.entry(key).or_default().push(writer));
        }
    });
    believed
}

/// Checks that each key has one writer, and that it is the one whose bytes are there.
#[track_caller]
fn check_race(store: &Objects, direct: &Objects, writers: usize) {
    direct.delete_all("").expect("deletes what an earlier run left");
    let believed = race(store, writers);
    for (key, writers) in believed {
        let there = direct.get(&format!("k/{key:03}")).expect("somebody has created it");
        assert_eq!(writers.len(), 1, "key {key} was created by {writers:?}");
        let writer = writers[0];
        assert_eq!(there, body(writer, key), "key {key} is not what writer {writer} believes");
    }
}

/// Races through a proxy with these rules, before each server; all rules must have had their turn.
#[track_caller]
fn check(name: &str, writers: usize, rules: &Value) {
    for (server, endpoint) in s3_servers() {
        let arguments = ["--upstream", &endpoint, "--seed", "3"];
        let Some(proxy) = Served::start("store-faults", &arguments) else { return };
        proxy.control("/_faults/rules", &json!({"rules": rules}));
        let name = format!("{name}-{server}");
        check_race(&store(&proxy.url(), &name), &store(&endpoint, &name), writers);
        let state = proxy.control("/_faults/state", &json!({}));
        for rule in state["rules"].as_array().expect("rules") {
            assert!(rule["applied"].as_u64() > Some(0), "{server}: it never applied: {rule}");
        }
    }
}

#[test]
fn each_object_has_one_writer() {
    for (server, endpoint) in s3_servers() {
        let store = store(&endpoint, &format!("direct-{server}"));
        check_race(&store, &store, 32);
    }
}

#[test]
fn an_error_after_the_object_was_created_is_no_loss() {
    check("after500", 8, &json!([{"mode": "after500", "create": true, "probability": 0.5}]));
}

#[test]
fn every_first_answer_that_is_an_error_is_no_loss() {
    check("every-after500", 16, &json!([{"mode": "after500", "create": true, "times_per_key": 1}]));
}

#[test]
fn a_connection_that_breaks_after_the_object_was_created_is_no_loss() {
    check("drop-after", 8, &json!([{"mode": "drop_after", "create": true, "probability": 0.5}]));
}

#[test]
fn a_connection_that_breaks_before_is_no_win() {
    check("drop-before", 8, &json!([{"mode": "drop_before", "create": true, "probability": 0.5}]));
}

#[test]
fn a_conflict_means_neither_loss_nor_win() {
    check("conflict", 8, &json!([{"mode": "conflict409", "create": true, "times_per_key": 2}]));
}

#[test]
fn a_store_that_asks_to_slow_down_is_asked_again() {
    check("slow-down", 8, &json!([{"mode": "slow_down", "probability": 0.05, "burst": 4}]));
}

#[test]
fn what_is_read_back_may_fail_too() {
    let rules = json!([
        {"mode": "after500", "create": true, "probability": 0.3},
        {"mode": "drop_after", "create": true, "probability": 0.3},
        {"mode": "conflict409", "create": true, "probability": 0.3},
        {"mode": "drop_before", "op": "GetObject", "probability": 0.2},
        {"mode": "truncate", "op": "GetObject", "probability": 0.3},
        {"mode": "before500", "op": "GetObject", "probability": 0.2},
        {"mode": "latency", "probability": 0.2, "delay_s": 0.005, "jitter_s": 0.02},
    ]);
    check("all", 16, &rules);
}

/// A writer whose credentials expire between the answer and the look at it must hear of that: it
/// can wait for new ones, and ask again.
#[test]
fn credentials_that_expire_are_told() {
    for (server, endpoint) in s3_servers() {
        let arguments = ["--upstream", &endpoint];
        let Some(proxy) = Served::start("store-faults", &arguments) else { return };
        let name = format!("expired-{server}");
        let (through, direct) = (store(&proxy.url(), &name), store(&endpoint, &name));
        direct.delete_all("").expect("deletes what an earlier run left");
        let expired = json!({"mode": "expired_token", "op": "GetObject", "times": 1});
        let lost = json!({"mode": "after500", "create": true, "times": 1});
        proxy.control("/_faults/rules", &json!({"rules": [lost, expired]}));
        let error = through.create("k", body(0, 0)).expect_err("nobody knows whose it is");
        assert_eq!(error.code(), ErrorCode::CREDENTIALS, "{error}");
        assert!(through.create("k", body(0, 0)).expect("it is known now"), "it was ours");
    }
}
