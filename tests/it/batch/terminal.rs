//! What Ctrl-C does at a terminal: it asks, and the run is stopped, left to itself, or goes on.

use std::process::Command;

use dataflow::testing::python;
use tempfile::TempDir;

use super::processes::{Bench, workers_of};
use crate::command::levain;

/// Types at a terminal: arguments are what is waited for and what is typed then, in turns, up to `--`, and
/// the command. Prints what was seen, then the exit code.
const TYPIST: &str = r#"
import os, pty, select, sys, time
words = sys.argv[1:]
script, command = words[:words.index("--")], words[words.index("--") + 1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
seen, deadline = b"", time.time() + 120
turns = list(zip(script[::2], script[1::2]))
while time.time() < deadline:
    if select.select([terminal], [], [], 0.05)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            break
        seen += data
    if turns and turns[0][0].encode() in seen:
        os.write(terminal, turns.pop(0)[1].encode().decode("unicode_escape").encode())
        seen = seen + b"\n<typed>\n"
status = os.waitpid(pid, 0)[1]
sys.stdout.write(seen.decode(errors="replace"))
sys.stdout.write("\nexit %d\n" % os.waitstatus_to_exitcode(status))
"#;

/// Bakes at a terminal; what was seen there, or nothing where there is no Python.
fn typed(bench: &Bench, script: &[&str]) -> Option<String> {
    let python = python()?;
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    let typist = folder.path().join("typist.py");
    std::fs::write(&typist, TYPIST).expect("written");
    let bake = bench.command();
    let mut command = Command::new(python);
    command.arg(&typist).args(script).arg("--").arg(bake.get_program());
    let is_other = |it: &&std::ffi::OsStr| !matches!(it.to_str(), Some("none" | "--progress"));
    command.args(bake.get_args().filter(is_other));
    command.args(["--progress", "lines"]);
    let seen = command.output().expect("Python can be started");
    Some(String::from_utf8(seen.stdout).expect("UTF-8"))
}

/// Enough that there is time to answer.
const STEPS: i32 = 240;
const OFFER: &str = "Ctrl-C: detach or stop";
const QUESTION: &str = "[d]etach";

#[test]
fn ctrl_c_asks_and_a_run_that_is_left_goes_on() {
    let bench = Bench::of_steps("2", STEPS);
    let Some(seen) = typed(&bench, &[OFFER, "\\x03", QUESTION, "d\\n"]) else { return };
    assert!(seen.contains("detached") && seen.contains("exit 0"), "{seen}");
    levain(&["watch", &bench.folder.text("out.zarr")]).check_done();
    bench.check();
}

#[test]
fn ctrl_c_twice_stops_a_run_and_its_workers() {
    let bench = Bench::of_steps("2", STEPS);
    let Some(seen) = typed(&bench, &[OFFER, "\\x03", QUESTION, "\\x03"]) else { return };
    assert!(seen.contains("E501") && seen.contains("exit 130"), "{seen}");
    let left = workers_of(&bench.runs());
    assert!(left.is_empty(), "workers are left: {left:?}");
    levain(&["resume", &bench.folder.text("out.zarr")]).check_done();
    bench.check();
}

#[test]
fn ctrl_c_may_have_been_meant_for_nothing() {
    let bench = Bench::of_steps("2", STEPS);
    let Some(seen) = typed(&bench, &[OFFER, "\\x03", QUESTION, "c\\n"]) else { return };
    assert!(seen.contains("exit 0") && seen.contains("finished"), "{seen}");
    bench.check();
}
