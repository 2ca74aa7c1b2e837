//! What the command prints, where, and with which exit code it ends.

use std::process::Stdio;

use serde_json::Value;

use crate::command::{Ran, command, levain, ran};
use crate::made::{Folder, Made, counted, day, text};

const DAYS: &str = "days since 2000-01-01";

/// Two files, a store of the first one, and a store that lacks a chunk.
fn prepared() -> Folder {
    let folder = Folder::new();
    folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0).attribute("title", text("made up")));
    folder.put("b.nc", &day(DAYS, &[2.0, 3.0], 12.0).attribute("title", text("another")));
    for out in ["a.zarr", "holed.zarr"] {
        let (source, out) = (folder.text("a.nc"), folder.text(out));
        levain(&["bake", &source, &out, "--chunks", "time=1", "--progress", "none"]).check_done();
    }
    std::fs::remove_file(folder.path("holed.zarr/t2m/c/1/0/0")).expect("a chunk");
    folder
}

/// Runs the command in a folder, on plain names of files.
fn run_in(folder: &Folder, arguments: &[&str]) -> Ran {
    let mut command = command(arguments);
    ran(command.current_dir(folder.root()).output().expect("the command can be started"))
}

#[test]
fn every_way_to_end_has_its_exit_code() {
    let folder = prepared();
    let check = |arguments: &[&str], exit: i32| {
        let ran = run_in(&folder, arguments);
        assert_eq!(ran.exit, Some(exit), "{arguments:?}: {}", ran.stderr);
        let is_silent = exit != 0 && arguments[0] != "verify";
        assert!(!is_silent || ran.stdout.is_empty(), "{arguments:?}: {}", ran.stdout);
        assert!(exit == 0 || !ran.stderr.is_empty(), "{arguments:?} says nothing");
    };
    check(&["bake", "a.nc", "b.nc", "new.zarr"], 0);
    check(&["rechunk", "a.zarr", "newer.zarr"], 0);
    check(&["plan", "bake", "a.nc", "b.nc", "x.zarr"], 0);
    check(&["inspect", "a.nc"], 0);
    check(&["verify", "a.zarr"], 0);
    check(&["--version"], 0);
    // Data.
    check(&["bake", "b.nc", "a.nc", "x.zarr"], 1);
    check(&["inspect", "."], 1);
    check(&["verify", "a.nc"], 1);
    // The command line.
    check(&["bake"], 2);
    check(&["bake"], 2);
    check(&["bake", "a.nc"], 4);
    check(&["bake", "a.nc", "x.zarr", "--chunk", "time=1"], 2);
    check(&["bake", "a.nc", "x.zarr", "--threads", "0"], 2);
    check(&["bake", "a.nc", "x.zarr", "--zarr-format", "1"], 2);
    check(&["toast"], 2);
    // The plan.
    check(&["bake", "none*.nc", "x.zarr"], 4);
    check(&["bake", "a.nc", "a.zarr"], 4);
    check(&["plan", "bake", "a.nc", "x.zarr", "--chunks", "time=0"], 4);
    // The store.
    check(&["inspect", "none.nc"], 6);
    // Verification.
    check(&["verify", "holed.zarr"], 7);
}

/// With `--output json`: one document on stdout, whatever comes.
#[track_caller]
fn check_json(folder: &Folder, arguments: &[&str], exit: i32) -> Value {
    let ran = run_in(folder, &[arguments, &["--output", "json"]].concat());
    assert_eq!(ran.exit, Some(exit), "{}", ran.stderr);
    let document = serde_json::from_str(&ran.stdout);
    assert!(document.is_ok(), "{arguments:?}: {document:?} in\n{}", ran.stdout);
    let document: Value = document.expect("just seen");
    assert_eq!(document["v"], 1, "{document}");
    if exit == 0 {
        assert!(document["error"].is_null() && !ran.stderr.contains("error["), "{}", ran.stderr);
    } else {
        assert_eq!(document["error"]["exit"], exit, "{document}");
        let code = document["error"]["code"].as_str().expect("a code");
        assert!(ran.stderr.contains(&format!("error[{code}]: ")), "{}", ran.stderr);
    }
    document
}

#[test]
fn json_is_one_document_on_success_and_on_error() {
    let folder = prepared();
    let check = |arguments: &[&str], exit: i32| check_json(&folder, arguments, exit);
    let done = check(&["bake", "a.nc", "b.nc", "new.zarr"], 0);
    assert_eq!((&done["state"], &done["objects"]), (&"SUCCEEDED".into(), &4.into()));
    assert_eq!(done["warnings"][0], "1 attribute differs and is dropped: title");
    check(&["rechunk", "a.zarr", "newer.zarr", "--chunks", "time=2"], 0);
    let plan = check(&["plan", "bake", "a.nc", "b.nc", "x.zarr"], 0);
    assert_eq!(plan["plan"]["files"][1]["location"], "b.nc");
    check(&["plan", "rechunk", "a.zarr", "x.zarr"], 0);
    let seen = check(&["inspect", "a.nc"], 0);
    assert_eq!(seen["attributes"]["title"], "made up");
    let sound = check(&["verify", "a.zarr"], 0);
    assert_eq!((&sound["units"], &sound["compared_with"]), (&5.into(), &"commits".into()));
    check(&["demo", "--megabytes", "1", "--dir", "demo"], 0);
    let error = check(&["bake", "b.nc", "a.nc", "x.zarr"], 1);
    assert_eq!(error["error"]["at"]["file 1"], "b.nc");
    check(&["plan", "bake", "none*.nc", "x.zarr"], 4);
    check(&["inspect", "none.nc"], 6);
    let holed = check(&["verify", "holed.zarr"], 7);
    assert_eq!(holed["findings"][0]["object"], "t2m/c/1/0/0");
    assert_eq!(holed["error"]["code"], "E701");
}

#[test]
fn whoever_has_read_enough_may_go() {
    let folder = Folder::new();
    let many = (0..400).fold(Made::new().dimension("x", 1), |made, place| {
        let long = "a text that fills the pipe ".repeat(10);
        made.variable(&format!("v{place}"), "x", counted(0.0, 1), &[("note", text(&long))])
    });
    folder.put("many.nc", &many);
    for output in ["text", "json"] {
        let mut command = command(&["inspect", "many.nc", "--output", output]);
        command.current_dir(folder.root()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command can be started");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("a child");
        assert_eq!(
            (ended.status.code(), String::from_utf8_lossy(&ended.stderr)),
            (Some(0), "".into())
        );
    }
}

#[test]
fn help_is_as_wide_as_a_page_and_names_every_option() {
    let check = |arguments: &[&str], words: &[&str]| {
        let ran = levain(&[arguments, &["--help"]].concat());
        ran.check_done();
        for line in ran.stdout.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        for word in words {
            assert!(ran.stdout.contains(word), "`{word}` is not in\n{}", ran.stdout);
        }
    };
    let jobs = ["demo", "bake", "rechunk", "plan", "inspect", "verify"];
    check(&[], &jobs);
    let layout = [
        "--chunks",
        "--chunk-size",
        "--shards",
        "--vars",
        "--zarr-format",
        "--codec",
        "--overwrite",
        "--mem",
        "--threads",
        "--progress",
        "--output",
    ];
    let bake = ["Usage: levain bake [OPTIONS] <SRC>... <DST>", "--concat", "--static"];
    check(&["bake"], &[&bake[..], &layout].concat());
    check(&["rechunk"], &[&["Usage: levain rechunk [OPTIONS] <SRC> <DST>"][..], &layout].concat());
    check(&["plan"], &["bake", "rechunk"]);
    check(&["plan", "bake"], &["Usage: levain plan bake [OPTIONS] <SRC>... <DST>"]);
    check(&["inspect"], &["SRC"]);
    check(&["verify"], &["DST"]);
    check(&["demo"], &["--megabytes"]);
}

#[test]
fn progress_is_silent_or_plain_where_nobody_watches() {
    let folder = prepared();
    for progress in ["none", "lines", "auto", "bars"] {
        let bake = ["bake", "a.nc", "new.zarr", "--overwrite", "--progress", progress];
        let ran = run_in(&folder, &bake);
        ran.check_done();
        let is_plain = |text: &str| text.chars().all(|c| c == '\n' || !c.is_control());
        assert!(is_plain(&ran.stderr) && is_plain(&ran.stdout), "{progress}: {:?}", ran.stderr);
        assert!(progress != "none" || ran.stderr.is_empty(), "{}", ran.stderr);
    }
    let ran = run_in(&folder, &["bake", "a.nc", "b.nc", "c.zarr", "--progress", "none"]);
    assert_eq!(ran.stderr, "warning: 1 attribute differs and is dropped: title\n");
    assert!(ran.stdout.starts_with("finished   c.zarr   4 variables, "), "{}", ran.stdout);
}

#[track_caller]
fn check_text(got: &str, want: &str) {
    assert_eq!(got, want, "\n{got}");
}

#[test]
fn the_plan_is_a_table() {
    let folder = prepared();
    let mem = ["--mem", "1GiB", "--threads", "2"];
    let arguments = ["plan", "bake", "a.nc", "b.nc", "x.zarr", "--chunks", "time=2,lat=1"];
    let ran = run_in(&folder, &[&arguments[..], &mem].concat());
    ran.check_done();
    let (table, stages) = ran.stdout.split_once("stages\n").expect("stages");
    check_text(table, PLAN);
    assert!(stages.ends_with("nothing was written\n"), "{stages}");
}

const PLAN: &str = r#"bake   2 files, 976 B along time (4) -> x.zarr
 VARIABLE  DTYPE    SHAPE  CHUNKS  EACH  SHARDS  HOW    TASKS  READS    IN  OBJECTS  MEM/TASK  WHY
 time      float64  4      4       32 B  -       sweep      1      2  32 B        1     352 B  reads each source chunk once and stores nothing in between: the cheapest that fits
 lat       float64  2      2       16 B  -       sweep      1      1  16 B        1     112 B  reads each source chunk once and stores nothing in between, with work for 1 of 2 threads at once: the cheapest that fits
 lon       float64  3      3       24 B  -       sweep      1      1  24 B        1     168 B  reads each source chunk once and stores nothing in between, with work for 1 of 2 threads at once: the cheapest that fits
 t2m       float32  4×2×3  2×1×3   24 B  -       sweep      1      2  96 B        4    1008 B  reads each source chunk once and stores nothing in between: the cheapest that fits
168 B in, 168 B out before compression   6 reads, 7 writes   set aside 0 B   memory: 1008 B a task
"#;

#[test]
fn inspecting_shows_a_file_and_a_store() {
    let folder = prepared();
    check_text(&run_in(&folder, &["inspect", "a.nc"]).stdout, FILE);
    check_text(&run_in(&folder, &["inspect", "a.zarr"]).stdout, STORE);
}

const FILE: &str = r#"a.nc
dimensions  time=2 (unlimited), lat=2, lon=3
 VARIABLE  DTYPE    DIMENSIONS      SHAPE  CHUNKS  SHARDS  CODECS
 time      float64  time            2      -       -
 lat       float64  lat             2      -       -
 lon       float64  lon             3      -       -
 t2m       float32  time, lat, lon  2×2×3  -       -
  time:units = "days since 2000-01-01"
  lat:units = "degrees_north"
  lon:units = "degrees_east"
  t2m:units = "K"
  :title = "made up"
4 variables, 19 elements
"#;
const STORE: &str = r#"a.zarr
dimensions  time=2, lat=2, lon=3
 VARIABLE  DTYPE    DIMENSIONS      SHAPE  CHUNKS  SHARDS  CODECS
 time      float64  time            2      2       -       bytes blosc
 lat       float64  lat             2      2       -       bytes blosc
 lon       float64  lon             3      3       -       bytes blosc
 t2m       float32  time, lat, lon  2×2×3  1×2×3   -       bytes blosc
  time:units = "days since 2000-01-01"
  lat:units = "degrees_north"
  lon:units = "degrees_east"
  t2m:units = "K"
  :title = "made up"
4 variables, 19 elements
"#;

#[test]
fn errors_are_reports() {
    let folder = prepared();
    check_text(&run_in(&folder, &["bake", "b.nc", "a.nc", "x.zarr"]).stderr, DISORDER);
    let chunks = ["bake", "a.nc", "x.zarr", "--chunks", "lon=2", "--shards", "lon=3"];
    check_text(&run_in(&folder, &chunks).stderr, SHARDS);
    let holed = run_in(&folder, &["verify", "holed.zarr"]).stderr;
    check_text(&holed.replace(&folder.text("a.nc"), "a.nc"), HOLED);
}

const DISORDER: &str = r#"error[E209]: the files are not in order: `time` ends at 2000-01-04T00:00:00 and goes on at 2000-01-01T00:00:00
  file 1   b.nc
  file 2   a.nc
  mend     name the files in the order of `time`, or say --overlap sort
"#;
const SHARDS: &str = r#"error[E109]: a shard of lon=3 is not made of whole chunks of 2
  variable t2m
  mend     ask for a multiple of the chunk, such as lon=2
"#;
const HOLED: &str = r#"  t2m [1, 0, 0] (t2m/c/1/0/0): the object is missing; readers see the fill value
    fed by a.nc
error[E701]: 1 of 5 units are not right
  store    holed.zarr
  variable t2m
  chunk    [1, 0, 0]
  object   t2m/c/1/0/0
  file     a.nc
  mend     bake the store again
"#;
