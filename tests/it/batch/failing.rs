//! Bakes on the emulator of AWS Batch while keys end, disks are full and stores show their past.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use dataflow::testing::s3_servers;
use serde_json::{Value, json};

use super::bakery::{Bakery, over_one_server};
use crate::command::say;
use crate::made::Folder;

/// Writes the file of keys anew, as `aws` does: whole or not at all.
fn write_keys(file: &Path, key: &str) {
    let text = format!("[default]\naws_access_key_id={key}\naws_secret_access_key=canary-{key}\n");
    let new = file.with_extension("new");
    std::fs::write(&new, text).expect("it can be written");
    std::fs::rename(new, file).expect("it can be renamed");
}

/// Lets S3, on both proxies, and AWS Batch take this key alone; each request takes a while.
fn take_only(bakery: &Bakery, key: &str) {
    let expired = json!({ "mode": "expired_token", "unless_access_key": key });
    let slow = json!({ "mode": "latency", "delay_s": 0.4, "op": "PutObject" });
    for proxy in [&bakery.driver, &bakery.workers] {
        proxy.control("/_faults/rules", &json!({ "rules": [expired, slow] }));
    }
    bakery
        .emulator
        .faults(&json!([{ "kind": "expired", "unless_access_key": key, "times": 1_000_000 }]));
}

/// How many requests a proxy has refused because their keys had ended.
fn refused(state: &Value) -> u64 {
    state["faults"]["expired_token"].as_u64().unwrap_or(0)
}

/// Keys end every 20 s where `LEVAIN_TEST_WHOLE` is set, else every 8 s; new ones come a second later.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is told by the environment")]
fn keys_that_end_again_and_again_stop_nothing() {
    let is_whole = std::env::var("LEVAIN_TEST_WHOLE").is_ok();
    let life = Duration::from_secs(if is_whole { 20 } else { 8 });
    let Some((server, endpoint)) = s3_servers().into_iter().next() else { return };
    let folder = Folder::new();
    let file = folder.path("credentials");
    write_keys(&file, "KEY0");
    let name = format!("keys-{}", server.to_lowercase());
    let Some(bakery) = Bakery::open_with(&name, &endpoint, &[], Some(&file)) else { return };
    take_only(&bakery, "KEY0");
    let (over, ended) = channel::<()>();
    let renewed = std::thread::scope(|scope| {
        let (bakery, file) = (&bakery, &file);
        let renewing = scope.spawn(move || {
            let mut renewed = 0;
            while ended.recv_timeout(life) == Err(RecvTimeoutError::Timeout) {
                renewed += 1;
                let key = format!("KEY{renewed}");
                take_only(bakery, &key);
                std::thread::park_timeout(Duration::from_secs(1));
                write_keys(file, &key);
            }
            renewed
        });
        let baked = bakery.bake(&["--memory", "1GiB"]);
        drop(over);
        baked.check_done();
        assert!(!baked.stderr.contains("canary"), "a secret is shown");
        renewing.join().expect("keys were renewed")
    });
    // Whoever looks now has no keys.
    bakery.emulator.faults(&json!([]));
    bakery.check();
    let of_driver = refused(&bakery.driver.control("/_faults/state", &json!({})));
    let of_workers = refused(&bakery.workers.control("/_faults/state", &json!({})));
    say(&format!(
        "{renewed} times new keys; refused: {of_driver} of the driver, {of_workers} of workers"
    ));
    assert!(renewed >= 2, "keys have ended {renewed} times");
    assert!(of_driver > 0 && of_workers > 0, "{of_driver} and {of_workers} requests were refused");
}

#[test]
fn a_worker_whose_disk_is_full_leaves_its_task_to_others() {
    over_one_server("disk", &[], |bakery| {
        let folder = Folder::new();
        // On the machine of the first one that starts no file may get longer than nothing.
        let script = format!(
            "mkdir {full} 2>/dev/null && trap '' XFSZ && ulimit -f 0\nexec {worker}\n",
            full = folder.text("full"),
            worker = format_args!("{} worker", env!("CARGO_BIN_EXE_levain")),
        );
        let script = folder.put_bytes("worker.sh", script.as_bytes());
        let child = bakery.start_with(&format!("sh {script}"), &["--memory", "1GiB"]);
        crate::command::ran(child.wait_with_output().expect("a child")).check_done();
        bakery.check();
        assert!(folder.path("full").exists(), "one worker had a full disk");
        let kept = bakery.bucket.list("out.zarr.levain").expect("a list");
        let failed = kept.iter().find(|it| it.key.contains("/batch/f/")).expect("a failed attempt");
        let record = bakery.bucket.get(&failed.key).expect("listed");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        let error = record["failure"].to_string();
        for words in ["cannot spill to disk", "scratch", "free disk space"] {
            assert!(error.contains(words), "`{words}` is not in {error}");
        }
    });
}

#[test]
fn a_store_that_shows_its_past_once_changes_nothing() {
    over_one_server("stale", &[], |bakery| {
        let stale =
            |op: &str| json!({ "mode": "stale", "op": op, "key": "*/batch/*", "times_per_key": 1 });
        let lists = json!({ "mode": "stale", "op": "ListObjectsV2", "probability": 0.2 });
        let rules = json!({ "rules": [stale("GetObject"), stale("HeadObject"), lists] });
        for proxy in [&bakery.driver, &bakery.workers] {
            proxy.control("/_faults/rules", &rules);
        }
        bakery.bake(&["--memory", "1GiB"]).check_done();
        bakery.check();
        let applied = [Bakery::applied(&bakery.driver), Bakery::applied(&bakery.workers)].concat();
        say(&format!("answered from the past: {applied:?}"));
        assert!(applied.iter().sum::<u64>() > 50, "{applied:?}");
    });
}
