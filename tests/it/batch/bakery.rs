//! A bucket, an emulator of AWS Batch whose jobs reach it, and a bake on both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use dataflow::testing::s3_servers;
use levain::objects::{Location, Objects, StoreOptions};
use serde_json::json;

use crate::aws::emulator::{Emulator, QUEUE};
use crate::command::{Ran, levain, ran};
use crate::determinism::objects;
use crate::killing::{LAYOUT, noise};
use crate::made::Folder;
use crate::served::Served;

/// Names the file of keys.
const KEYS_FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
/// Steps of the source: enough that a run is met at work.
const STEPS: i32 = 60;

/// A bucket with a source, an emulator whose jobs reach it, and the bytes of one process.
pub(super) struct Bakery {
    pub(super) emulator: Emulator,
    /// What the driver and the workers reach the bucket through.
    pub(super) driver: Served,
    pub(super) workers: Served,
    pub(super) bucket: Objects,
    /// Where driver and workers find their keys, if not in their variables.
    keys: Option<PathBuf>,
    pub(super) place: String,
    pub(super) want: BTreeMap<String, Vec<u8>>,
}

impl Bakery {
    pub(super) fn open(name: &str, endpoint: &str, flags: &[&str]) -> Option<Self> {
        Self::open_with(name, endpoint, flags, None)
    }

    /// The same, where everybody reads its keys from a file.
    pub(super) fn open_with(
        name: &str,
        endpoint: &str,
        flags: &[&str],
        keys: Option<&Path>,
    ) -> Option<Self> {
        let proxy = || Served::start("store-faults", &["--upstream", endpoint, "--seed", "5"]);
        let (driver, workers) = (proxy()?, proxy()?);
        let reached = workers.url();
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", reached.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
        ];
        match keys {
            Some(file) => variables.push((KEYS_FILE, file.to_str().expect("UTF-8"))),
            None => {
                variables
                    .extend([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
            }
        }
        let emulator = Emulator::start_with(&[&["--fast"], flags].concat(), &variables)?;
        emulator.define();
        let (bucket, place, want) = stocked(name, endpoint);
        let keys = keys.map(Path::to_owned);
        Some(Self { emulator, driver, workers, bucket, keys, place, want })
    }

    pub(super) fn start(&self, own: &[&str]) -> Child {
        self.start_with(&format!("{} worker", env!("CARGO_BIN_EXE_levain")), own)
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
        if let Some(file) = &self.keys {
            command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
            command.env(KEYS_FILE, file);
        }
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
        check_store(&self.bucket, &self.want);
        let state = self.emulator.post("/v1/listjobs", &json!({ "jobQueue": QUEUE }));
        assert_eq!(state["jobSummaryList"], json!([]), "jobs still run");
    }

    /// How often a rule was applied, by the rules of a proxy.
    pub(super) fn applied(proxy: &Served) -> Vec<u64> {
        let state = proxy.control("/_faults/state", &json!({}));
        let rules = state["rules"].as_array().expect("rules").clone();
        rules.iter().map(|rule| rule["applied"].as_u64().unwrap_or(0)).collect()
    }
}

/// A folder of a bucket with a source, its URL, and the bytes of one process.
pub(super) fn stocked(name: &str, endpoint: &str) -> (Objects, String, BTreeMap<String, Vec<u8>>) {
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
    levain(&[&["bake", &source, &out, "--progress", "none"], &LAYOUT[..]].concat()).check_done();
    let want = objects(&folder.path("want.zarr"));
    let bytes = std::fs::read(source).expect("just written");
    bucket.put("a.nc", Bytes::from(bytes)).wait().expect("uploaded");
    (bucket, place, want)
}

/// Checks that a store has these bytes and no others, and that nothing of the run is left that costs.
#[track_caller]
pub(super) fn check_store(bucket: &Objects, want: &BTreeMap<String, Vec<u8>>) {
    let mut got = BTreeMap::new();
    for facts in bucket.list("out.zarr").expect("a list") {
        let body = bucket.get(&facts.key).expect("listed");
        got.insert(facts.key["out.zarr/".len()..].to_owned(), body.to_vec());
    }
    assert!(got == *want, "other bytes than those of one process");
    let kept = bucket.list("out.zarr.levain").expect("a list");
    for folder in ["d", "x", "k", "hb"] {
        let part = format!("/batch/{folder}/");
        let left: Vec<_> = kept.iter().filter(|it| it.key.contains(&part)).collect();
        assert!(left.is_empty(), "left: {left:?}");
    }
}

/// Runs a test over the first S3 server that there is.
pub(super) fn over_one_server(name: &str, flags: &[&str], test: impl Fn(&Bakery)) {
    over(s3_servers().into_iter().take(1), name, flags, test);
}

/// Runs a test over all S3 servers that there are.
pub(super) fn over_servers(name: &str, flags: &[&str], test: impl Fn(&Bakery)) {
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
