//! Driver and workers in networks of their own that are closed to all but the store, and for the driver the
//! queue: whole runs, whatever looks at them, and another driver.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use dataflow::testing::{batch_program, s3_servers};

use super::bakery::{check_store, stocked};
use super::networks::{Network, Relay};
use crate::aws::emulator::{Emulator, QUEUE};
use crate::command::{Ran, ran};
use crate::killing::LAYOUT;
use crate::made::Folder;

/// A network for the driver and one for the workers, and all that leads out of them.
struct Closed {
    home: Network,
    away: Network,
    /// Each is the only thing that its network can reach.
    store_at_home: Relay,
    queue_at_home: Relay,
    store_away: Relay,
    emulator: Emulator,
    emulator_port: u16,
    place: String,
    /// The ends of relays where the test is; they live as long as the test.
    _ends: [Relay; 3],
}

impl Closed {
    fn open(folder: &Folder, endpoint: &str, place: &str) -> Option<Self> {
        let (home, away) = (Network::open()?, Network::open()?);
        let program = batch_program("batch-emulator")?;
        let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let (store, queue) = (folder.text("store.sock"), folder.text("queue.sock"));
        let store_end = Relay::start(None, &store, host);
        let store_at_home = Relay::start(Some(&home), "tcp", &store);
        let store_away = Relay::start(Some(&away), "tcp", &store);
        let variables = [
            ("AWS_ENDPOINT_URL", store_away.url()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ];
        let mut command = Command::new(program);
        command.args(["--create-queue", QUEUE, "--slots", "16", "--rate", "1000", "--fast"]);
        for (name, value) in &variables {
            command.args(["--pass-env", name]).env(name, value);
        }
        let mut command = away.within(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the emulator can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().rsplit('/').next().expect("an address").to_owned();
        let emulator_port = address.rsplit(':').next().expect("a port").parse().expect("a port");
        // It lives in the network of the workers, as they are its processes.
        let queue_away = Relay::start(Some(&away), &queue, &address);
        let queue_here = Relay::start(None, "tcp", &queue);
        let queue_at_home = Relay::start(Some(&home), "tcp", &queue);
        let emulator = Emulator::at(child, &queue_here.address);
        emulator.define();
        Some(Self {
            home,
            away,
            store_at_home,
            queue_at_home,
            store_away,
            emulator,
            emulator_port,
            place: place.to_owned(),
            _ends: [store_end, queue_away, queue_here],
        })
    }

    /// A command in the network of the driver.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.emulator.command(arguments);
        command
            .env("LEVAIN_BATCH__ENDPOINT", self.queue_at_home.url())
            .env("AWS_ENDPOINT_URL_S3", self.store_at_home.url())
            .env("AWS_REGION", "us-east-1");
        self.home.within(&command)
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().expect("it can be started"))
    }

    fn bake(&self) -> Command {
        let (source, out) = (format!("{}/a.nc", self.place), format!("{}/out.zarr", self.place));
        let worker = format!("{} worker", env!("CARGO_BIN_EXE_levain"));
        let batch = ["--runner", "batch", "--job-definition", "tests", "--worker-command", &worker];
        let size = ["--workers", "3", "--vcpus", "1", "--look-ms", "20", "--memory", "1GiB"];
        let rest = ["--progress", "none", "--resume"];
        self.command(&[&["bake", &source, &out], &LAYOUT[..], &batch, &size, &rest].concat())
    }

    /// Nobody listens but the relays and the emulator.
    #[track_caller]
    fn check_ports(&self) {
        let at_home = [self.store_at_home.port(), self.queue_at_home.port()];
        let opened: Vec<u16> =
            self.home.listeners().into_iter().filter(|it| !at_home.contains(it)).collect();
        assert!(opened.is_empty(), "the driver listens: {opened:?}");
        let away = [self.store_away.port(), self.emulator_port];
        let opened: Vec<u16> =
            self.away.listeners().into_iter().filter(|it| !away.contains(it)).collect();
        assert!(opened.is_empty(), "a worker listens: {opened:?}");
    }
}

/// A16, D13, D14, E13, E20: a store and a queue are all that a run needs, all that looks at it, and all
/// that takes it up again; driver and workers never meet elsewhere, and nobody listens.
#[test]
fn a_store_and_a_queue_are_all_that_is_reached() {
    let Some((server, endpoint)) = s3_servers().into_iter().next() else { return };
    let folder = Folder::new();
    let (bucket, place, want) = stocked(&format!("closed-{}", server.to_lowercase()), &endpoint);
    let Some(closed) = Closed::open(&folder, &endpoint, &place) else { return };
    for network in [&closed.home, &closed.away] {
        let mut command = Command::new("ip");
        let links = ran(network.within(command.args(["-o", "link"])).output().expect("started"));
        assert_eq!(links.stdout.lines().count(), 1, "not closed: {}", links.stdout);
    }
    let mut looks = 0;
    // The first driver is killed in the midst, the second one comes to the end.
    for is_killed in [true, false] {
        let mut command = closed.bake();
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = piped.expect("the command can be started");
        while child.try_wait().expect("a child").is_none() {
            closed.check_ports();
            looks += 1;
            let kept = bucket.list("out.zarr.levain").expect("a list");
            let commits = kept.iter().filter(|it| it.key.contains("/batch/c/")).count();
            if is_killed && commits >= 2 {
                child.kill().expect("it runs");
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let ended = ran(child.wait_with_output().expect("a child"));
        match is_killed {
            true => assert_eq!(ended.exit, None, "it was to be killed: {}", ended.stderr),
            false => ended.check_done(),
        }
    }
    assert!(looks > 10, "the run was hardly looked at");
    let out = format!("{place}/out.zarr");
    for arguments in [["runs", &out], ["status", &out], ["report", &out], ["verify", &out]] {
        closed.run(&arguments).check_done();
    }
    check_store(&bucket, &want);
}
