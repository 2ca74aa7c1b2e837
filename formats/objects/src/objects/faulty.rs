//! What is written, read, listed and deleted while a store fails is as if it had not.

use std::io::Write as _;
use std::net::TcpStream;

use dataflow::testing::s3_servers;
use serde_json::{Value, json};

use super::*;
use crate::polite::HostLimits;
use crate::served::Served;

/// More than one part of a writer.
const LONG_BYTES: usize = (8 << 20) + 12_345;

fn store(endpoint: &str, name: &str) -> Objects {
    // A server that asks to slow down is left alone for a second and more, which would be the most
    // of a test.
    let options = StoreOptions::default()
        .with_host_limits(HostLimits { first_wait_ms: 20, ..HostLimits::default() })
        .with_endpoint(endpoint)
        .with_setting("aws_access_key_id", "test")
        .with_setting("aws_secret_access_key", "test");
    let location = Location::parse(&format!("s3://levain-test/faulty/{name}")).expect("a location");
    Objects::open(&location, &options).expect("opens")
}

/// Runs a test on a store behind a proxy with these rules, and on the same store without it.
#[track_caller]
fn check(name: &str, rules: &Value, test: impl Fn(&Objects, &Objects)) {
    for (server, endpoint) in s3_servers() {
        let arguments = ["--upstream", &endpoint, "--seed", "5"];
        let Some(proxy) = Served::start("store-faults", &arguments) else { return };
        proxy.control("/_faults/rules", &json!({"rules": rules}));
        let name = format!("{name}-{server}");
        let direct = store(&endpoint, &name);
        direct.delete_all("").expect("deletes what an earlier run left");
        test(&store(&proxy.url(), &name), &direct);
        let state = proxy.control("/_faults/state", &json!({}));
        for rule in state["rules"].as_array().expect("rules") {
            assert!(rule["applied"].as_u64() > Some(0), "{server}: it never applied: {rule}");
        }
        assert_eq!(uploads(&endpoint, &name), 0, "{server}: an upload was left");
    }
}

/// How many uploads of parts below a name have neither ended nor been given up.
fn uploads(endpoint: &str, name: &str) -> usize {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("a server");
    let target = format!("/levain-test?uploads&prefix=faulty/{name}");
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
        .expect("a socket");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.matches("<UploadId>").count()
}

fn text(key: usize, length: usize) -> Bytes {
    (0..length).map(|at| (at * 31 + at / 251 + key) as u8).collect::<Vec<u8>>().into()
}

fn write_long(store: &Objects, key: usize) -> Bytes {
    let bytes = text(key, LONG_BYTES);
    let mut writer = store.writer(&format!("long/{key}")).expect("a key");
    writer.write_all(&bytes).expect("the store takes it");
    writer.finish().unwrap_or_else(|error| panic!("{error}"));
    bytes
}

#[track_caller]
fn check_end(name: &str, mode: &str) {
    let rules = json!([{"mode": mode, "op": "CompleteMultipartUpload", "times": 1}]);
    check(name, &rules, |store, direct| {
        let bytes = write_long(store, 1);
        assert_eq!(direct.get("long/1").expect("it is there"), bytes);
    });
}

#[test]
fn an_upload_whose_end_was_done_and_not_answered_is_done() {
    check_end("after500", "after500");
    check_end("drop", "drop_after");
}

#[test]
fn an_upload_whose_end_was_not_done_is_ended_again() {
    check_end("before500", "before500");
    check_end("drop-before", "drop_before");
}

#[test]
fn an_end_that_fails_for_good_is_an_error_and_leaves_nothing() {
    let rules = json!([{"mode": "expired_token", "op": "CompleteMultipartUpload"}]);
    check("expired", &rules, |store, direct| {
        // One of the same length and parts was there before: it is not taken for the new one.
        let old = write_long(direct, 1);
        let mut writer = store.writer("long/1").expect("a key");
        writer.write_all(&text(2, LONG_BYTES)).expect("the store takes it");
        let error = writer.finish().expect_err("the token has expired");
        assert_eq!(error.code(), ErrorCode::CREDENTIALS, "{error}");
        assert_eq!(direct.get("long/1").expect("it is there"), old);
    });
}

#[test]
fn all_faults_at_once_change_nothing() {
    let rules = json!([
        {"mode": "after500", "probability": 0.05, "op": "Put*"},
        {"mode": "after500", "times_per_key": 1, "op": "UploadPart"},
        {"mode": "drop_after", "probability": 0.05, "op": "*Object"},
        {"mode": "drop_before", "probability": 0.05},
        {"mode": "before500", "probability": 0.05},
        {"mode": "slow_down", "probability": 0.03, "burst": 2},
        {"mode": "truncate", "probability": 0.1, "op": "GetObject"},
        {"mode": "truncate", "probability": 0.2, "op": "ListObjectsV2"},
        {"mode": "latency", "probability": 0.1, "delay_s": 0.01, "jitter_s": 0.02},
    ]);
    check("all", &rules, |store, direct| {
        let keys: Vec<String> = (0..60).map(|key| format!("k/{key:02}")).collect();
        let bytes = |key: usize| text(key, 3000 + 997 * key);
        let puts: Vec<_> =
            keys.iter().enumerate().map(|(n, key)| store.put(key, bytes(n))).collect();
        puts.into_iter().for_each(|put| put.wait().unwrap_or_else(|error| panic!("{error}")));
        for key in 0..2 {
            assert_eq!(write_long(store, key), direct.get(&format!("long/{key}")).expect("there"));
        }
        for _ in 0..5 {
            let listed = store.list("k").unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                listed.iter().map(|it| &it.key).collect::<Vec<_>>(),
                keys.iter().collect::<Vec<_>>()
            );
        }
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(direct.get(key).expect("there"), bytes(n), "{key}");
            assert_eq!(store.get(key).unwrap_or_else(|error| panic!("{error}")), bytes(n), "{key}");
            let ranges = vec![0..100, 2000..2500];
            let got = store.fetch(key, ranges).wait().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(got, [bytes(n).slice(0..100), bytes(n).slice(2000..2500)], "{key}");
        }
        store.delete("k/00").unwrap_or_else(|error| panic!("{error}"));
        store.delete_all("k").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(direct.list("k").expect("lists"), []);
    });
}

#[test]
fn a_body_that_breaks_off_is_asked_for_again() {
    let rules = json!([{"mode": "truncate", "op": "GetObject", "times_per_key": 3}]);
    check("broken-off", &rules, |through, direct| {
        direct.put("k", text(0, 5000)).wait().expect("written");
        assert_eq!(through.get("k").expect("read at last"), text(0, 5000));
        assert_eq!(through.try_get("nothing").expect("known at last"), None);
    });
}
