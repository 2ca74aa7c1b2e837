//! Secrets stay where they are: no file of a run, no page, no line holds one.

use std::path::Path;
use std::process::Command;

use crate::command::{Ran, command, ran};
use crate::http::{Absent, serve};
use crate::made::{Folder, day};

const DAYS: &str = "days since 2000-01-01";
/// What stands for every secret.
const CANARY: &str = "c4n4ry";

/// All files below a folder that hold the canary.
fn files_with_canary(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            if bytes.windows(CANARY.len()).any(|it| it == CANARY.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

struct Secretive {
    folder: Folder,
    server: String,
}

impl Secretive {
    /// Sources behind a signed URL, settings and variables with secrets.
    fn new() -> Self {
        let folder = Folder::new();
        folder.put("served/a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
        folder.put("served/b.nc", &day(DAYS, &[2.0, 3.0], 12.0));
        folder.put_bytes("served/broken.nc", b"CDF\x01 and nothing that follows");
        let server = serve(&folder.path("served"), "sig=c4n4ry", Absent::Refused);
        Self { folder, server }
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}?sig={CANARY}", self.server)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command
            .current_dir(self.folder.root())
            .env("XDG_CONFIG_HOME", self.folder.path("home"))
            .env("AWS_ACCESS_KEY_ID", "AKIDc4n4ry")
            .env("AWS_SECRET_ACCESS_KEY", CANARY)
            .env("AWS_SESSION_TOKEN", CANARY)
            .env("THE_TOKEN", CANARY)
            .env(
                "LEVAIN_STORE__ENDPOINT",
                format!("https://me:{CANARY}@store.example.org/?k={CANARY}"),
            );
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ran {
        let ran = ran(self.command(arguments).output().expect("the command can be started"));
        for (what, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            let line = text.lines().find(|line| line.contains(CANARY));
            assert_eq!(line, None, "{arguments:?} shows a secret on {what}");
        }
        ran
    }
}

#[test]
fn no_secret_is_shown_or_kept() {
    let secretive = Secretive::new();
    let url = |name: &str| secretive.url(name);
    let bearer = "127.0.0.1=env:THE_TOKEN";
    let good = secretive.run(&[
        "bake",
        &url("a.nc"),
        &url("b.nc"),
        "out.zarr",
        "-vvv",
        "--bearer",
        bearer,
    ]);
    good.check_done();
    secretive.run(&["bake", &url("a.nc"), "json.zarr", "--output", "json"]).check_done();
    let left_out =
        secretive.run(&["bake", &url("a.nc"), &url("broken.nc"), "partly.zarr", "--keep-going"]);
    assert_eq!(left_out.exit, Some(3), "{}", left_out.stderr);
    let failed =
        secretive.run(&["bake", &url("broken.nc"), &url("gone.nc"), "failed.zarr", "-vvv"]);
    assert_ne!(failed.exit, Some(0));
    for output in ["text", "json"] {
        let of = |arguments: &[&str]| secretive.run(&[arguments, &["--output", output]].concat());
        of(&["config", "show", "--origin"]).check_done();
        of(&["config", "explain", "store.endpoint"]).check_done();
        of(&["runs"]).check_done();
        for run in ["out.zarr", "partly.zarr"] {
            of(&["status", run]).check_done();
            of(&["failures", run, "--full"]).check_done();
            of(&["report", run]).check_done();
        }
    }
    assert_eq!(files_with_canary(secretive.folder.root()), Vec::<String>::new());
    let page = std::fs::read_dir(secretive.folder.path("out.zarr.levain")).expect("runs").next();
    let page = page.expect("a run").expect("an entry").path().join("report.html");
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("sig=***") && page.contains("https://***@store"), "the rest is there");
}

#[test]
fn what_is_wrong_with_a_file_of_settings_shows_none_of_it() {
    let secretive = Secretive::new();
    let wrong = [
        format!("[store]\nsecret_access_key = \"{CANARY}\"\n"),
        format!("[limits]\nmem = \"{CANARY}\"\n"),
        format!("[store]\nurl = {CANARY}\n"),
        format!("[batch]\nqueue = [\"arn:aws:{CANARY}\"]\n"),
    ];
    for text in wrong {
        std::fs::write(secretive.folder.path("levain.toml"), &text).expect("a file");
        for arguments in [["config", "show"], ["runs", "."]] {
            let ran = secretive.run(&arguments);
            assert_eq!(ran.exit, Some(5), "{text}{}", ran.stderr);
            assert!(ran.stderr.contains("levain.toml:2"), "{}", ran.stderr);
        }
    }
}
