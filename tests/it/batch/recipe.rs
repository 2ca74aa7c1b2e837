//! A recipe as a program of its own: the example that counts words, planned, run, resumed, with workers that
//! are processes of the same program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use dataflow::testing::{batch_program, s3_servers};
use levain::objects::{Location, Objects, StoreOptions};
use levain::prelude::*;
use serde_json::{Value, json};

use crate::aws::emulator::Emulator;
use crate::command::{Ran, levain, program, ran};
use crate::determinism::objects;
use crate::examples::word_count;
use crate::killing::file_count;
use crate::made::Folder;
use crate::random_recipes::Draw;
use crate::schema::{faults, schema};

/// Two workers of this machine.
const PROCS: [&str; 8] =
    ["run", "--runner", "procs", "--workers", "2", "--threads", "2", "--progress=none"];
const DIRECT: [&str; 4] = ["run", "--threads", "2", "--progress=none"];

/// Texts, and the program that counts their words.
pub(crate) struct Desk {
    pub(crate) folder: Folder,
    pub(crate) program: PathBuf,
}

impl Desk {
    /// Nothing, and a line that says so, if the example was not built.
    pub(crate) fn open() -> Option<Self> {
        let program = batch_program("word_count")?;
        let folder = Folder::new();
        fs::create_dir(folder.path("texts")).expect("a folder");
        let mut draw = Draw::new(11);
        for file in 0..6 {
            let mut text = String::new();
            for _ in 0..4000 {
                let word = draw.below(900) * draw.below(30);
                text.push_str(if draw.below(9) == 0 { "\n" } else { " " });
                text.push_str(&format!("w{word}"));
            }
            let path = folder.path(&format!("texts/{file}.txt"));
            fs::write(path, text).expect("the folder is writable");
        }
        Some(Self { folder, program })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program(&self.program, words);
        command.current_dir(self.folder.path("."));
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        ran(self.command(words).output().expect("the program can be started"))
    }

    /// Runs to the good end; the one document.
    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let ran = self.run(&[&["--output", "json"], words].concat());
        ran.check_done();
        serde_json::from_str(&ran.stdout).expect("one document")
    }

    /// The objects of counts.
    fn counts(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        objects(&self.folder.path(folder))
    }

    fn runs(&self) -> Vec<PathBuf> {
        let runs = fs::read_dir(self.folder.path("word_count.levain")).into_iter().flatten();
        let mut runs: Vec<PathBuf> = runs.flatten().map(|it| it.path()).collect();
        runs.retain(|path| path.join("recipe.json").exists());
        runs.sort();
        runs
    }

    fn start(&self, words: &[&str]) -> Child {
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the program can be started")
    }

    /// Waits until so many commits are there in the newest run, or the program has ended.
    fn wait_for_commits(&self, child: &mut Child, count: usize) -> bool {
        let commits = || self.runs().last().map_or(0, |run| file_count(&run.join("batch/c")));
        while commits() < count {
            if child.try_wait().expect("a child").is_some() {
                return false;
            }
            std::thread::park_timeout(Duration::from_micros(200));
        }
        true
    }
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a document")).expect("JSON")
}

#[test]
fn words_are_counted_by_worker_processes_as_by_one_process() {
    let Some(desk) = Desk::open() else { return };
    desk.json(&[&DIRECT[..], &["texts/*.txt", "direct/words"]].concat());
    let image = [
        "--set",
        "batch.image=words:1",
        "--set",
        "run.retries=5",
        "--set",
        "steps.WriteText.retries=7",
        "texts/*.txt",
        "procs/words",
    ];
    let told = desk.json(&[&PROCS[..], &image].concat());
    let want = desk.counts("direct");
    assert_eq!(want.len(), 9, "eight shards and their manifest: {:?}", want.keys());
    assert!(want == desk.counts("procs"), "other bytes than those of one process");
    let lines: usize = want.values().map(|body| body.split(|it| *it == b'\n').count() - 1).sum();
    assert!(lines > 2000, "only {lines} lines");

    let folder = PathBuf::from(told["folder"].as_str().expect("a folder"));
    let folder = desk.folder.path(".").join(folder);
    let (run, plan) = (document(&folder.join("run.json")), document(&folder.join("plan.json")));
    assert_eq!(run["kind"], "recipe");
    assert!(run["binary"].as_str().is_some_and(|it| it.contains("xxh3:")), "{run:#}");
    assert_eq!(run["config"]["batch.image"]["value"], "words:1");
    assert_eq!((&run["fingerprint"], &plan["v"]), (&told["fingerprint"], &1.into()));
    for (name, value) in [("run", &run), ("plan", &plan)] {
        assert_eq!(faults(&schema(name), value), Vec::<String>::new(), "{name}.json: {value:#}");
    }
    let met = document(&folder.join("batch/run.json"));
    assert_eq!(met["binary"], run["binary"]);
    assert_eq!(met["job"]["options"]["counts"], "procs/words");
    assert_eq!(met["options"]["retries"], json!({ "count": 5, "steps": { "WriteText": 7 } }));
    let report = document(&folder.join("report.json"));
    assert_eq!((&report["run"]["runner"], &report["exit"]["code"]), (&"procs".into(), &0.into()));
    assert!(report["workers"].as_array().is_some_and(|it| it.len() == 2), "{report:#}");
    let status = levain(&["status", "--exit-status", &folder.display().to_string()]);
    status.check_done();
    assert!(status.stdout.contains("SUCCEEDED   recipe"), "{}", status.stdout);
}

/// A bucket with the texts of a desk, and an emulator of AWS Batch whose jobs reach it.
struct Bucket<'a> {
    desk: &'a Desk,
    emulator: Emulator,
    endpoint: String,
    objects: Objects,
    place: String,
}

impl<'a> Bucket<'a> {
    fn open(desk: &'a Desk, name: &str) -> Option<Self> {
        let (_, endpoint) = s3_servers().into_iter().next()?;
        let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
        let variables = [&Self::reached(&endpoint)[..], &keys].concat();
        let emulator = Emulator::start_with(&["--fast"], &variables)?;
        emulator.define();
        let options = StoreOptions::default()
            .with_endpoint(&endpoint)
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        let place = format!("s3://levain-test/{name}");
        let location = Location::parse(&place).expect("a location");
        let bucket = Objects::open(&location, &options).expect("a store");
        bucket.delete_all("").expect("what an earlier test left can be deleted");
        for (name, body) in objects(&desk.folder.path("texts")) {
            bucket.put(&format!("texts/{name}"), Bytes::from(body)).wait().expect("uploaded");
        }
        Some(Self { desk, emulator, endpoint, objects: bucket, place })
    }

    fn reached(endpoint: &str) -> [(&str, &str); 3] {
        [("AWS_ENDPOINT_URL", endpoint), ("AWS_ALLOW_HTTP", "true"), ("AWS_REGION", "us-east-1")]
    }

    /// Counts the words by two workers, with these flags.
    fn count(&self, flags: &[&str]) -> Ran {
        let place = &self.place;
        let worker = format!("{} worker", self.desk.program.display());
        let batch =
            ["run", "--runner", "batch", "--job-definition", "tests", "--worker-command", &worker];
        let size = ["--workers", "2", "--vcpus", "1", "--memory", "1GiB", "--look-ms", "20"];
        let (texts, counts) = (format!("{place}/texts/*.txt"), format!("{place}/counts/words"));
        let runs = format!("{place}/runs");
        let own = ["--progress=none", "--store", &runs, &texts, &counts];
        let command = self.desk.command(&[&batch[..], &size, flags, &own].concat());
        let mut command = self.emulator.surround(command);
        command.envs(Self::reached(&self.endpoint));
        Emulator::run(command)
    }
}

#[test]
fn words_in_a_bucket_are_counted_by_jobs_of_aws_batch() {
    let Some(desk) = Desk::open() else { return };
    desk.json(&[&DIRECT[..], &["texts/*.txt", "direct/words"]].concat());
    let Some(bucket) = Bucket::open(&desk, "words") else { return };
    bucket.count(&["--set", "batch.lease=7m"]).check_done();
    let bucket = &bucket.objects;
    let written = bucket.list("counts").expect("a list").into_iter().map(|it| {
        let body = bucket.get(&it.key).expect("listed").to_vec();
        (it.key["counts/".len()..].to_owned(), body)
    });
    assert!(written.collect::<BTreeMap<_, _>>() == desk.counts("direct"), "other bytes");
    let kept = bucket.list("runs").expect("a list");
    assert!(kept.iter().any(|it| it.key.starts_with("runs/word_count.levain/")));
    let named = |part: &str| kept.iter().any(|it| it.key.contains(part));
    assert!(named("/report.html") && named("/batch/run.json") && !named("/batch/d/"));
    let met = kept.iter().find(|it| it.key.ends_with("/batch/run.json")).expect("listed");
    let met = bucket.get(&met.key).expect("listed");
    let met: Value = serde_json::from_slice(&met).expect("JSON");
    assert_eq!(met["options"]["leader_lost_ms"], 420_000, "{met:#}");
}

#[test]
fn the_same_options_give_the_same_plan_in_a_program_a_notebook_and_workers() {
    let Some(desk) = Desk::open() else { return };
    let words = ["texts/*.txt", "counts/words", "--shards", "3"];
    let planned = desk.json(&[&["plan"], &words[..]].concat());
    assert!(!desk.folder.path("counts").exists() && desk.runs().is_empty(), "a plan runs nothing");
    // As a cell of a notebook builds it, which has no program.
    let options = word_count::Options {
        files: vec!["texts/*.txt".to_owned()],
        counts: "counts/words".to_owned(),
        shards: 3,
        overwrite: false,
    };
    let pipeline = word_count::build(options, &StoreOptions::default()).expect("a pipeline");
    let graph = pipeline.compile_for(&DirectRunner::new()).expect("a plan");
    assert_eq!(planned["fingerprint"], graph.fingerprint().to_string());
    let ran = desk.json(&[&PROCS[..], &words].concat());
    assert_eq!(ran["fingerprint"], planned["fingerprint"]);
    assert_eq!(desk.counts("counts").len(), 4);
}

#[test]
fn a_recipe_whose_driver_is_killed_goes_on_where_it_was() {
    let Some(desk) = Desk::open() else { return };
    desk.json(&[&DIRECT[..], &["texts/*.txt", "direct/words"]].concat());
    let (mut draw, mut killed, mut first) = (Draw::new(5), 0, true);
    for commits in 1..=5 {
        let own = [&PROCS[..], &["--look-ms", "20", "texts/*.txt", "procs/words"]].concat();
        let mut child = desk.start(if first { &own } else { &["resume"] });
        first = false;
        if desk.wait_for_commits(&mut child, commits + draw.below(2))
            && child.try_wait().expect("a child").is_none()
        {
            child.kill().expect("it runs");
            killed += 1;
        }
        child.wait().expect("a child");
    }
    assert!(killed >= 3, "only {killed} drivers were met at work");
    let told = desk.json(&["resume", "--workers", "3", "--progress=none"]);
    assert!(desk.counts("direct") == desk.counts("procs"), "other bytes than those of one process");
    let runs = desk.runs();
    let [_, run] = runs.as_slice() else { panic!("one run of each runner, not {runs:?}") };
    assert!(run.ends_with(told["run"].as_str().expect("a run")));
    for kept_while_it_runs in ["d", "x", "k", "hb"] {
        assert_eq!(file_count(&run.join("batch").join(kept_while_it_runs)), 0);
    }
    let again = desk.json(&["resume", told["run"].as_str().expect("a run")]);
    assert!(again["resumed"].as_str().is_some_and(|it| it.contains("has succeeded already")));
}

#[test]
fn what_a_failed_recipe_has_committed_stays() {
    let Some(desk) = Desk::open() else { return };
    // Nothing can be written below a file.
    let blocked = desk.folder.path("procs");
    fs::write(&blocked, "in the way").expect("the folder is writable");
    let own = [&PROCS[..], &["texts/*.txt", "procs/words"]].concat();
    let failed = desk.run(&own);
    assert!(failed.exit != Some(0) && failed.stderr.contains("error[E4"), "{}", failed.stderr);
    let run = desk.runs().pop().expect("a run");
    let commits = || objects(&run.join("batch/c"));
    let before = commits();
    assert!(!before.is_empty(), "something was done before it failed");
    fs::remove_file(&blocked).expect("it is there");
    let told = desk.json(&["resume"]);
    assert!(run.ends_with(told["run"].as_str().expect("a run")), "it is the same run");
    let after = commits();
    assert!(before.iter().all(|(key, body)| after.get(key) == Some(body)), "commits were redone");
    assert!(after.len() > before.len());
    desk.json(&[&DIRECT[..], &["texts/*.txt", "direct/words"]].concat());
    assert!(desk.counts("direct") == desk.counts("procs"), "other bytes than those of one process");
}

#[test]
fn a_run_of_one_process_is_run_anew_when_it_is_resumed() {
    let Some(desk) = Desk::open() else { return };
    let blocked = desk.folder.path("direct");
    fs::write(&blocked, "in the way").expect("the folder is writable");
    let failed = desk.run(&[&DIRECT[..], &["texts/*.txt", "direct/words"]].concat());
    assert!(failed.exit != Some(0) && failed.stderr.contains("error[E4"), "{}", failed.stderr);
    fs::remove_file(&blocked).expect("it is there");
    let told = desk.json(&["resume"]);
    assert!(told["resumed"].as_str().is_some_and(|it| it.contains("nothing was kept")), "{told:#}");
    assert_eq!((desk.runs().len(), desk.counts("direct").len()), (2, 9));
}

#[test]
fn a_worker_of_another_build_is_refused_and_both_are_named() {
    let Some(desk) = Desk::open() else { return };
    let other = desk.folder.path("other_build");
    let mut body = fs::read(&desk.program).expect("the program");
    body.extend(b"another build");
    fs::write(&other, body).expect("the folder is writable");
    let made_executable = Command::new("chmod").arg("+x").arg(&other).status();
    assert!(made_executable.expect("`chmod` can be started").success());
    let worker = format!("{} worker", other.display());
    let own = [&PROCS[..], &["--worker-command", &worker, "texts/*.txt", "procs/words"]].concat();
    let refused = desk.run(&own);
    assert_eq!(refused.exit, Some(4), "{}", refused.stderr);
    // The error, and that of the worker at the end of its log.
    for word in
        ["error[E113]: the workers run another binary", "error[E113]: this is another binary"]
    {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    let digests: std::collections::BTreeSet<&str> =
        refused.stderr.split_whitespace().filter(|word| word.starts_with("xxh3:")).collect();
    assert_eq!(digests.len(), 2, "{}", refused.stderr);
    desk.run(&[&own[..], &["--other-binary"]].concat()).check_done();
    assert_eq!(desk.counts("procs").len(), 9);
}

#[test]
fn mistakes_end_a_recipe_as_they_end_a_bake() {
    let Some(desk) = Desk::open() else { return };
    assert_eq!(desk.run(&["run", "--shards", "many", "a", "b"]).exit, Some(2));
    let wrong = desk.run(&[&DIRECT[..], &["--set", "limits.mem=8", "a", "b"]].concat());
    wrong.check_refused("E601", 5, &["limits.mem"]);
    let small = desk.run(&[&DIRECT[..], &["--mem", "64MiB", "texts/*.txt", "b"]].concat());
    small.check_refused("E105", 4, &["allow at least"]);
    let none = desk.run(&["resume"]);
    none.check_refused("E402", 6, &["there is no run of `word_count`"]);
    let batch = ["run", "--runner", "batch", "--queue", "q", "--job-definition", "d"];
    let here = desk.run(&[&batch[..], &["--aws-region", "eu-west-1", "texts/*.txt", "b"]].concat());
    here.check_refused("E601", 5, &["the workers see no files of this machine"]);
    let named = desk.run(&[&DIRECT[..], &["--name", "a/b", "texts/*.txt", "out/words"]].concat());
    named.check_refused("E100", 4, &["is no name of runs"]);
    assert!(!desk.folder.path("out").exists());
}

#[test]
fn secrets_of_a_recipe_are_neither_kept_nor_handed_on() {
    let Some(desk) = Desk::open() else { return };
    let source = "https://data.example.org/a.txt?token=geheim";
    let ran = desk.run(&[&PROCS[..], &[source, "out/words"]].concat());
    ran.check_refused("E601", 5, &["holds a secret"]);
    assert!(!ran.stderr.contains("geheim"), "{}", ran.stderr);
    let file = desk.folder.path("texts/0.txt").display().to_string();
    let direct = [&DIRECT[..], &[&file, source, "out/words"]].concat();
    let failed = desk.run(&direct);
    assert!(failed.exit != Some(0) && !failed.stderr.contains("geheim"), "{}", failed.stderr);
    for (key, body) in objects(&desk.folder.path("word_count.levain")) {
        assert!(!String::from_utf8_lossy(&body).contains("geheim"), "a secret is in {key}");
    }
    desk.run(&["resume"]).check_refused("E601", 5, &["were not kept"]);
}

/// Where each stage of the newest run was, by whether it has this step.
fn places(desk: &Desk, step: &str) -> Vec<(bool, bool)> {
    let run = desk.runs().pop().expect("a run");
    let plan = document(&run.join("plan.json"));
    let stages = plan["stages"].as_array().expect("stages").iter().map(|stage| {
        let name = stage["stage"].as_str().expect("a name");
        let steps = stage["steps"].as_array().expect("steps").iter();
        let has = steps.filter_map(Value::as_str).any(|it| it.starts_with(step));
        let planned = document(&run.join(format!("batch/p/{name}.json")));
        (has, planned["is_local"].as_bool().expect("a place"))
    });
    stages.collect()
}

#[test]
fn settings_place_steps_here_and_there() {
    let Some(desk) = Desk::open() else { return };
    desk.json(&[&DIRECT[..], &["texts/*.txt", "direct/words"]].concat());
    for (place, is_local_with, is_local_without) in
        [("local", true, false), ("remote", false, true)]
    {
        let set = format!("steps.WriteText.place={place}");
        let out = format!("{place}/words");
        desk.json(&[&PROCS[..], &["--set", &set, "texts/*.txt", &out]].concat());
        assert!(desk.counts("direct") == desk.counts(place), "{place}: other bytes");
        let places = places(&desk, "WriteText/");
        assert!(places.iter().any(|it| it.0) && places.iter().any(|it| !it.0), "{places:?}");
        for (has, is_local) in places {
            assert_eq!(is_local, if has { is_local_with } else { is_local_without }, "{place}");
        }
    }
}

#[test]
fn a_recipe_that_costs_more_than_it_may_is_stopped_and_resumed() {
    let Some(desk) = Desk::open() else { return };
    // A worker's time may be less than a millisecond, which is counted as none; its requests are counted always.
    let prices = ["--set", "prices.vcpu_hour=1e9", "--set", "prices.s3_put_1k=1e9"];
    let dear = ["--set", "limits.max_cost=0.001"];
    let words = ["texts/*.txt", "counts/words"];
    for own in [&DIRECT[..], &PROCS[..]] {
        let stopped = desk.run(&[own, &prices, &dear, &["--look-ms", "20"], &words].concat());
        assert_eq!(stopped.exit, Some(9), "{}", stopped.stderr);
        assert!(stopped.stderr.contains("limits.max_cost"), "{}", stopped.stderr);
    }
    desk.json(&["resume", "--set", "limits.max_cost=1e12"]);
    let run = desk.runs().pop().expect("a run");
    assert_eq!(
        (desk.runs().len(), document(&run.join("result.json"))["state"].as_str()),
        (2, Some("SUCCEEDED"))
    );
    assert_eq!(desk.counts("counts").len(), 9);
    let unpriced = desk.run(&[&DIRECT[..], &dear, &words].concat());
    unpriced.check_refused("E601", 5, &["no price is"]);
}
