//! The command, run as users run it.

use std::path::Path;
use std::process::{Command, Output};

/// What a run of the command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command with these arguments, not started, with nothing of the environment that it reads.
pub(crate) fn command(arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_levain").as_ref(), arguments)
}

/// The same of another program.
pub(crate) fn program(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    let own = std::env::vars_os().map(|(name, _)| name);
    for variable in own.filter(|it| it.to_string_lossy().starts_with("LEVAIN_")) {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

/// Says what was seen, for a run by hand with `--nocapture`, and for whoever has started this process.
#[expect(
    clippy::print_stdout,
    reason = "figures of documents are seen so, and relays tell where they are"
)]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Runs the command to its end.
pub(crate) fn levain(arguments: &[&str]) -> Ran {
    ran(command(arguments).output().expect("the command can be started"))
}

/// What a process has printed, and how it ended.
pub(crate) fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
    Ran { exit: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ran {
    /// Checks that this ended with one error, as a report that people can read: what happened,
    /// where, and how to mend it.
    #[track_caller]
    pub(crate) fn check_refused(&self, code: &str, exit: i32, words: &[&str]) {
        let Self { stderr, stdout, .. } = self;
        assert_eq!(self.exit, Some(exit), "{stderr}");
        assert_eq!(stdout, "", "an error is no result");
        let report = stderr.split_once("error[").map_or("", |(_, report)| report);
        assert!(report.starts_with(&format!("{code}]: ")), "not {code}: {stderr}");
        assert!(!report.contains("error["), "more than one error: {stderr}");
        let mut lines = report.lines();
        let sentence = lines.next().unwrap_or_default();
        assert!(!sentence.ends_with('.'), "a full stop: {sentence}");
        let places: Vec<&str> = lines.collect();
        for line in &places {
            // A role of eight letters or more, or the continuation of a long place.
            let is_place = line.starts_with("  ") && line.trim_start().contains(' ');
            assert!(is_place, "`{line}` is no place in\n{stderr}");
        }
        assert!(places.iter().any(|line| line.starts_with("  mend     ")), "no mend in\n{stderr}");
        for word in words {
            assert!(report.contains(word), "`{word}` is not in\n{stderr}");
        }
    }

    /// Checks that this ended well.
    #[track_caller]
    pub(crate) fn check_done(&self) {
        assert_eq!(self.exit, Some(0), "{}", self.stderr);
    }
}
