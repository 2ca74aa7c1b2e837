//! What is asked for and cannot be: each says how it is mended.

use std::net::TcpListener;

use crate::command::{Ran, command, levain, ran};
use crate::killing::{LAYOUT, noise};
use crate::made::Folder;

/// A bake on a runner of Beam with these words.
fn bake(folder: &Folder, words: &[&str]) -> Ran {
    let source = folder.put("a.nc", &noise(0, 2));
    let out = folder.text("out.zarr");
    let plain = ["bake", &source, &out, "--progress", "none", "--runner", "beam"];
    levain(&[&plain[..], &LAYOUT[..], words].concat())
}

#[test]
fn a_runner_without_an_endpoint_is_asked_for_one() {
    let ran = bake(&Folder::new(), &[]);
    ran.check_refused("E601", 5, &["--endpoint HOST:PORT", "beam.endpoint"]);
}

#[test]
fn environments_say_what_they_lack() {
    let folder = Folder::new();
    let endpoint = ["--endpoint", "localhost:1"];
    let check = |words: &[&str], mend: &str| {
        bake(&folder, &[&endpoint[..], words].concat()).check_refused("E601", 5, &[mend]);
    };
    check(&["--environment", "external"], "--beam-pool HOST:PORT");
    check(&["--environment", "docker"], "--beam-image IMAGE");
    check(&["--environment", "process", "--worker-command", "a b"], "name this program");
    check(&["--beam-option", "parallelism"], "--beam-option parallelism=8");
    check(&["--beam-kind", "storm"], "python, prism, flink, spark, dataflow");
    // The folder of the test is none that a container sees.
    check(&["--environment", "docker", "--beam-image", "levain"], "object store");
    bake(&folder, &["--endpoint", "no-port"]).check_refused("E601", 5, &["HOST:PORT"]);
}

#[test]
fn nobody_at_the_endpoint_ends_with_the_code_of_infrastructure() {
    // The port was free a moment ago, and nobody listens on it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let folder = Folder::new();
    let ran = bake(&folder, &["--endpoint", &endpoint]);
    ran.check_refused("E508", 6, &[&endpoint, "start the runner's job server"]);
    assert!(!folder.path("out.zarr").exists(), "no half of a store is left");
    let runs = levain(&["runs", &folder.text("out.zarr")]);
    runs.check_done();
    assert!(runs.stdout.contains("FAILED"), "the run is recorded: {}", runs.stdout);
}

#[test]
fn settings_say_where_a_runner_is() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &noise(0, 2));
    let out = folder.text("out.zarr");
    let plain = ["bake", &source, &out, "--progress", "none", "--runner", "beam"];
    let mut bake = command(&[&plain[..], &LAYOUT[..]].concat());
    bake.env("LEVAIN_BEAM__ENDPOINT", "localhost").env("LEVAIN_BEAM__ENVIRONMENT", "process");
    let ran = ran(bake.output().expect("the command can be started"));
    ran.check_refused("E601", 5, &["`localhost` is no address of a service of Beam"]);
}

#[test]
fn a_worker_needs_to_know_whom_to_ask() {
    levain(&["worker", "beam", "--id=1"]).check_refused(
        "E601",
        10,
        &["--provision_endpoint", "beam-pool"],
    );
}
