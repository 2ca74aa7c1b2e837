//! Settings: shown, written, explained, and followed by the commands.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{Ran, command, ran};
use crate::made::{Folder, day};

const DAYS: &str = "days since 2000-01-01";

/// The command in a folder, with a home of its own.
fn prepared(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.current_dir(folder.root()).env("XDG_CONFIG_HOME", folder.path("home"));
    command
}

fn run(folder: &Folder, arguments: &[&str]) -> Ran {
    ran(prepared(folder, arguments).output().expect("the command can be started"))
}

fn json(folder: &Folder, arguments: &[&str]) -> Value {
    let ran = run(folder, &[arguments, &["--output", "json"]].concat());
    ran.check_done();
    serde_json::from_str(&ran.stdout).expect("one document")
}

fn put(folder: &Folder, name: &str, text: &str) {
    let path = folder.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

#[test]
fn what_holds_is_shown_with_its_origin() {
    let folder = Folder::new();
    put(&folder, "home/levain/config.toml", "[limits]\nmem = \"2 GiB\"\n");
    put(
        &folder,
        "levain.toml",
        "[store]\nurl = \"https://me:hidden@host/runs?token=hidden\"\n[batch]\nworkers = 4\n\
         [profile.prod.batch]\nworkers = 64\n",
    );
    let shown = run(&folder, &["config", "show", "--origin", "--profile", "prod"]);
    shown.check_done();
    let lines: Vec<&str> = shown.stdout.lines().filter(|line| !line.contains("built-in")).collect();
    let squeezed: Vec<String> =
        lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let home = folder.text("home/levain/config.toml");
    assert_eq!(
        squeezed,
        [
            "batch.workers = 64 # project profile: levain.toml:6".to_owned(),
            format!("limits.mem = \"2 GiB\" # user: {home}:2"),
            "store.url = \"https://***@host/runs?token=***\" # project: levain.toml:2".to_owned(),
        ]
    );
    let shown = json(&folder, &["config", "show", "--origin", "--store", "memory://x"]);
    assert_eq!(shown["settings"]["store.url"]["value"], "memory://x");
    assert_eq!(shown["settings"]["store.url"]["layer"], "flag");
    assert_eq!(shown["settings"]["run.retries"]["class"], "execution");
    assert_eq!(shown["settings"]["batch.workers"]["value"], 4);
    let plain = json(&folder, &["config", "show"]);
    assert_eq!(plain["settings"]["limits.mem"], "2 GiB");
    // What is shown can be pasted into a file.
    put(&folder, "pasted.toml", &run(&folder, &["config", "show"]).stdout);
    run(&folder, &["config", "show", "--config", "pasted.toml"]).check_done();
}

#[test]
fn settings_are_explained() {
    let folder = Folder::new();
    let queue = run(&folder, &["config", "explain", "batch.queue"]);
    queue.check_done();
    for word in ["batch.queue: ", "LEVAIN_BATCH__QUEUE", "execution", "not set"] {
        assert!(queue.stdout.contains(word), "{word} is not in {}", queue.stdout);
    }
    let all = json(&folder, &["config", "explain"]);
    assert_eq!(all["settings"].as_array().map(Vec::len), Some(57));
    let unknown = run(&folder, &["config", "explain", "batch.queu"]);
    unknown.check_refused("E601", 5, &["did you mean `batch.queue`?"]);
}

/// `config init` with these lines on stdin.
fn init(folder: &Folder, arguments: &[&str], answers: &str) -> Ran {
    let mut command = prepared(folder, &[&["config", "init"], arguments].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that asks nothing may be gone already.
    drop(std::io::Write::write_all(&mut stdin, answers.as_bytes()));
    drop(stdin);
    ran(child.wait_with_output().expect("it ends"))
}

#[test]
fn init_asks_checks_and_writes_what_it_was_told() {
    let folder = Folder::new();
    let answers =
        "s3://bakery/runs\n8\n8 GiB\n\nbakery spot\nbakery-spot, bakery-od\nlevain-worker\n";
    let written = init(&folder, &[], answers);
    written.check_done();
    assert!(
        written.stderr.contains("8 GiB") && written.stderr.contains("by its name"),
        "{}",
        written.stderr
    );
    let text = std::fs::read_to_string(folder.path("levain.toml")).expect("it was written");
    assert_eq!(
        text,
        "# Settings of levain: `levain config explain` lists all of them.\n\n[batch]\n\
         job_definition = \"levain-worker\"\nqueue = [\"bakery-spot\", \"bakery-od\"]\n\n[limits]\n\
         mem = \"8 GiB\"\n\n[store]\nurl = \"s3://bakery/runs\"\n"
    );
    let mode = std::fs::metadata(folder.path("levain.toml")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(json(&folder, &["config", "show"])["settings"]["batch.queue"][1], "bakery-od");
    init(&folder, &["--no-input"], "").check_refused("E601", 5, &["levain.toml", "--force"]);
    let again =
        init(&folder, &["--no-input", "--force", "--queue", "q", "--set", "batch.workers=2"], "");
    again.check_done();
    let text = std::fs::read_to_string(folder.path("levain.toml")).expect("it was written");
    assert!(text.ends_with("[batch]\nqueue = [\"q\"]\nworkers = 2\n"), "{text}");
}

#[test]
fn init_writes_where_it_is_told_and_no_secret() {
    let folder = Folder::new();
    let arn = "arn:aws:batch:eu-west-1:123456789012:job-queue/spot";
    init(&folder, &["--no-input", "--user", "--queue", arn], "").check_done();
    assert!(folder.path("home/levain/config.toml").exists());
    init(&folder, &["--no-input", "--config", "own.toml", "--profile", "p", "--queue", "q"], "")
        .check_done();
    let text = std::fs::read_to_string(folder.path("own.toml")).expect("it was written");
    assert!(text.ends_with("[profile.p.batch]\nqueue = [\"q\"]\n"), "{text}");
    let secret = init(&folder, &["--no-input", "--store", "https://me:hidden@host/"], "");
    secret.check_refused("E601", 5, &["may be a secret"]);
    assert!(!secret.stderr.contains("hidden"), "{}", secret.stderr);
    let malformed = init(&folder, &["--no-input", "--queue", "arn:aws:batch:x"], "");
    malformed.check_refused("E601", 5, &["--queue", "too few parts"]);
    init(&folder, &[], "s3://b/runs\n").check_refused(
        "E601",
        5,
        &["the answers end", "--no-input"],
    );
    assert!(!folder.path("levain.toml").exists(), "nothing is written half");
}

#[test]
fn wrong_settings_end_a_command_before_it_does_anything() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    put(&folder, "levain.toml", "[limits]\n\nmem = 8\n");
    let ran = run(&folder, &["bake", &source, "out.zarr"]);
    ran.check_refused("E601", 5, &["levain.toml:3", "8 GiB"]);
    put(&folder, "levain.toml", "[store]\nendpoint = \"http://store.example.org\"\n");
    let ran = run(&folder, &["bake", &source, "out.zarr"]);
    ran.check_refused("E601", 5, &["no TLS", "store.allow_http"]);
    // A name that only looks like an address of this machine, and the other service.
    put(&folder, "levain.toml", "[store]\nendpoint = \"http://127.0.0.1.example.org\"\n");
    let ran = run(&folder, &["inspect", "a.nc"]);
    ran.check_refused("E601", 5, &["no TLS", "store.allow_http"]);
    let batch = "[batch]\nendpoint = \"http://batch.example.org\"\nregion = \"eu-west-1\"\n";
    put(&folder, "levain.toml", batch);
    let ran = run(&folder, &["batch", "jobs", "--queue", "q"]);
    ran.check_refused("E601", 5, &["batch.endpoint", "without TLS"]);
    put(&folder, "levain.toml", "[credentials.\"https://a/\"]\nprofile = \"p\"\n");
    run(&folder, &["bake", &source, "out.zarr"]).check_refused("E601", 5, &["no bucket of S3"]);
    let ran =
        run(&folder, &["bake", &source, "out.zarr", "--profile", "prod", "--config", "/dev/null"]);
    ran.check_refused("E601", 5, &["no profile `prod`"]);
    assert!(!folder.path("out.zarr").exists() && !folder.path("out.zarr.levain").exists());
    // What says what is wrong, and how to write it, needs no settings.
    run(&folder, &["explain", "E601"]).check_done();
}

#[test]
fn commands_follow_the_settings() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    put(&folder, "levain.toml", "[direct]\nthreads = 1\n[limits]\nmem = \"1 MiB\"\n");
    let bake = ["bake", source.as_str(), "out.zarr"];
    run(&folder, &bake).check_refused("E105", 4, &["1.0 MiB"]);
    run(&folder, &["rechunk", &source, "out.zarr"]).check_refused("E105", 4, &["1.0 MiB"]);
    // A flag holds over the file.
    let done = json(&folder, &[&bake[..], &["--mem", "1GiB"]].concat());
    let report = std::fs::read(folder.path(done["report"].as_str().expect("a path"))).expect("it");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["resources"]["threads"], 1);
    assert_eq!(report["resources"]["memory_limit_bytes"], 1 << 30);
    assert_eq!(report["run"]["config"]["direct.threads"]["place"], "levain.toml:2");
    let late =
        [&bake[..], &["--overwrite", "--mem", "1GiB", "--set", "limits.max_wall=0s"]].concat();
    let stopped = run(&folder, &late);
    assert_eq!(stopped.exit, Some(9), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("limits.max_wall"), "{}", stopped.stderr);
}

#[test]
fn runs_are_kept_where_the_settings_say() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    put(&folder, "levain.toml", "[store]\nurl = \"kept\"\n[run]\nverify = \"readback\"\n");
    json(&folder, &["bake", &source, "out.zarr", "--chunks", "time=1"]);
    assert!(!folder.path("out.zarr.levain").exists());
    assert_eq!(json(&folder, &["runs"])["runs"][0]["destination"], "out.zarr");
    assert_eq!(json(&folder, &["status", "out.zarr"])["state"], "SUCCEEDED");
    // Lengths and checksums are those of the run, which is found there.
    let verified = json(&folder, &["verify", "out.zarr", "--level", "digests"]);
    assert_eq!(verified["compared_with"], "commits");
    let resumed = json(&folder, &["bake", &source, "out.zarr", "--chunks", "time=1", "--resume"]);
    assert_eq!(resumed["objects"], 0, "it is complete");
    // Another folder is another place; the same name in it is another destination.
    json(&folder, &["bake", &source, "sub/out.zarr"]);
    assert_eq!(json(&folder, &["runs"])["runs"].as_array().map(Vec::len), Some(2));
    assert_eq!(json(&folder, &["runs", "sub/out.zarr"])["runs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn files_that_cannot_be_read_are_left_out_as_far_as_the_settings_allow() {
    let folder = Folder::new();
    let good = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    let bad = [folder.put_bytes("b.nc", b"no format"), folder.put_bytes("c.nc", b"none either")];
    let bake = ["bake", &good, &bad[0], &bad[1], "out.zarr", "--set", "run.on_error=quarantine"];
    let over = run(&folder, &[&bake[..], &["--set", "run.max_failures=1"]].concat());
    assert_eq!(over.exit, Some(1), "{}", over.stderr);
    assert!(over.stderr.contains("2 files, 1 are allowed"), "{}", over.stderr);
    let within = run(&folder, &[&bake[..], &["--set", "run.max_failures=2"]].concat());
    assert_eq!(within.exit, Some(3), "{}", within.stderr);
    let status = run(&folder, &["status", "out.zarr", "--exit-status"]);
    assert_eq!(status.exit, Some(3), "{}", status.stdout);
    let failures = json(&folder, &["failures", "out.zarr"]);
    assert_eq!(failures["count"], 2);
    assert_eq!(failures["failures"][0]["disposition"], "left-out");
}

#[test]
fn one_setting_moves_everything_into_a_bucket() {
    let Some(endpoint) = levain::dataflow::testing::s3_endpoint() else { return };
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    // Of this run of the tests alone.
    let place = folder.root().file_name().expect("a name").to_string_lossy().to_lowercase();
    let bucket = format!("s3://levain-test/settings{}", place.replace('.', "-"));
    put(
        &folder,
        "levain.toml",
        &format!(
            "[store]\nurl = \"{bucket}/runs\"\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\n\
             [credentials.\"{bucket}\"]\nprofile = \"bakery\"\n"
        ),
    );
    let keys = "[bakery]\naws_access_key_id = test\naws_secret_access_key = test\n";
    put(&folder, "home/.aws/credentials", keys);
    let run = |arguments: &[&str]| {
        let mut command = prepared(&folder, arguments);
        command.env("HOME", folder.path("home")).env_remove("AWS_ACCESS_KEY_ID");
        let ran = ran(command.output().expect("the command can be started"));
        ran.check_done();
        ran.stdout
    };
    let out = format!("{bucket}/out.zarr");
    run(&["bake", &source, &out, "--chunks", "time=1"]);
    let status = run(&["status", &out]);
    assert!(
        status.contains("SUCCEEDED") && status.contains(&format!("{bucket}/runs/out.zarr-")),
        "{status}"
    );
    assert!(run(&["runs"]).contains(&out));
    assert!(run(&["verify", &out, "--level", "digests"]).starts_with("ok"));
    let mut names: Vec<String> = std::fs::read_dir(folder.root())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["a.nc", "home", "levain.toml"], "nothing is left on this machine");
}
