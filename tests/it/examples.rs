//! The examples do what their first line asks.
//!
//! Each is compiled into this binary and asked through its `run`, as its `main` does: that takes
//! no second build, and its results can be looked at.

use std::path::{Path, PathBuf};

use levain::job::MemoryLimit;
use levain::objects::StoreOptions;
use levain::prelude::*;

#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/bake_netcdf.rs"]
mod bake_netcdf;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/climatology.rs"]
mod climatology;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/custom_coder.rs"]
mod custom_coder;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/custom_runner.rs"]
pub(crate) mod custom_runner;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/dead_letters.rs"]
mod dead_letters;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/dynamic_destinations.rs"]
mod dynamic_destinations;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/join.rs"]
mod join;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/quarantine.rs"]
mod quarantine;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/side_inputs.rs"]
mod side_inputs;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/stateful.rs"]
mod stateful;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/windows.rs"]
mod windows;
#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/word_count.rs"]
pub(crate) mod word_count;

#[test]
fn days_in_files_become_one_store() {
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    let report = bake_netcdf::run(folder.path(), MemoryLimit::of_machine()).expect("bakes");
    let days = std::fs::read_dir(folder.path().join("files")).expect("it made files").count();
    let time = report.plan.template.dimensions.iter().find(|it| it.name == "time");
    assert_eq!(time.expect("days follow along it").length, days as u64 * 24);
}

#[test]
fn every_month_and_hour_has_a_mean() {
    let means = climatology::run().expect("runs");
    assert_eq!(means.len(), 12 * 4);
    assert_eq!(means[0], "month  1 at  0h: 10.00 15.00");
    // Noon is a degree warmer.
    assert_eq!(means[2], "month  1 at 12h: 11.00 16.00");
    assert_eq!(means[47], "month 12 at 18h: 21.00 26.00");
}

#[test]
fn a_type_with_a_coder_of_its_own_is_a_key() {
    let counts = custom_coder::run().expect("runs");
    assert_eq!(counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn state_and_timers_follow_accounts() {
    let want = [
        "ann: -10",
        "ann: -5",
        "ann: still -10 after a day",
        "ann: still -5 after a day",
        "bob: -7",
    ];
    assert_eq!(stateful::run().expect("runs"), want);
}

#[test]
fn readings_are_summed_by_hour_and_by_visit() {
    let (by_hour, by_visit) = windows::run().expect("runs");
    let hours = [
        "door 1 from 7200 to 10800",
        "door 4 from 3600 to 7200",
        "door 5 from 0 to 3600",
        "gate 1 from 0 to 3600",
        "gate 5 from 3600 to 7200",
    ];
    assert_eq!(by_hour, hours);
    let visits = [
        "door 1 from 9000 to 9600",
        "door 4 from 3700 to 4300",
        "door 5 from 600 to 1500",
        "gate 6 from 3500 to 4250",
    ];
    assert_eq!(by_visit, visits);
}

#[test]
fn a_run_with_holes_says_what_is_missing() {
    let (sums, missing, exit_code) = quarantine::run().expect("runs");
    assert_eq!(sums, [("bridge".to_owned(), 3), ("harbour".to_owned(), 9)]);
    let want = ["E301 in Parse at \"bridge=warm\"", "E301 in Parse at \"tower\""];
    assert_eq!((missing, exit_code), (want.map(str::to_owned).into(), 3));
}

#[test]
fn side_inputs_of_three_shapes_make_a_bill() {
    let want =
        ["1 of 4: leaven unknown ", "1 of 4: salt 1.20 no salt before noon", "2 of 4: bread 9.00 "];
    assert_eq!(side_inputs::run().expect("runs"), want);
}

#[test]
fn stations_meet_what_they_measured() {
    let want =
        ["bridge: 9 of 1", "harbour: 14 of 2", "station 7 is not known: 40", "tower: nothing of 0"];
    assert_eq!(join::run().expect("runs"), want);
}

#[test]
fn elements_that_fail_become_letters() {
    let (counts, letters) = dead_letters::run().expect("no element ends the run");
    assert_eq!(counts, ["harbour 3"]);
    let want = [
        "E301 in Parse: \"bridge=warm\": no whole degrees",
        "E301 in Parse: \"tower\": no `=` in the line",
        "E302 in Scale: (\"oven\", 200): the function panicked: 61 degrees at oven",
    ];
    assert_eq!(letters, want);
}

#[test]
fn sales_go_to_the_files_of_their_shops() {
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    let folder = folder.path().display().to_string();
    let lines = dynamic_destinations::run(&folder).expect("runs");
    let again = dynamic_destinations::run(&folder).expect("replaces what it has written");
    assert_eq!(lines, again);
    let shops = ["oslo: 17 sales, 2 files", "paris: 5 sales, 2 files", "quito: 8 sales, 2 files"];
    assert_eq!(lines[..3], shops);
    assert_eq!(lines[3..], ["0.00", "0.35", "0.70", "1.05", "1.40"]);
}

#[test]
fn a_runner_of_ones_own_counts_letters() {
    let want = [("a", 3), ("b", 1), ("n", 2)].map(|(letter, count)| (letter.to_owned(), count));
    assert_eq!(custom_runner::run().expect("runs"), want);
}

#[test]
fn a_whole_runner_is_short() {
    let text = include_str!("../../examples/custom_runner.rs");
    assert!(text.lines().count() < 80, "the interface has leaked");
}

/// Files in a folder that is gone at the end.
fn write(folder: &Path, texts: &[&str]) -> Vec<PathBuf> {
    let write = |(index, text): (usize, &&str)| {
        let path = folder.join(format!("{index}.txt"));
        std::fs::write(&path, text).expect("the folder is writable");
        path
    };
    texts.iter().enumerate().map(write).collect()
}

/// Lines with word and count, sorted, as the recipe writes them into three files.
fn count_words(files: &[PathBuf]) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    let options = word_count::Options {
        files: files.iter().map(|file| file.display().to_string()).collect(),
        counts: folder.path().join("counts").display().to_string(),
        shards: 3,
        overwrite: false,
    };
    word_count::build(options, &StoreOptions::default())?.run(&DirectRunner::new())?;
    let written = (0..3).map(|shard| folder.path().join(format!("counts-{shard:05}-of-00003.txt")));
    let texts = written.map(|file| std::fs::read_to_string(file).expect("a file of counts"));
    let mut lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn words_are_counted_over_all_files() {
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    let files = write(folder.path(), &["a b\n\n  b\ta", "", "c a"]);
    assert_eq!(count_words(&files).expect("runs"), ["a 3", "b 2", "c 1"]);
}

#[test]
fn every_line_of_a_large_file_is_read_once() {
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    // More than two ranges; no line ends where a range does.
    let text = (0..800_000).map(|n| format!("word-{:04} x\n", n % 1000)).collect::<String>();
    let counts = count_words(&write(folder.path(), &[&text])).expect("runs");
    assert_eq!(counts.len(), 1001);
    assert!(counts.contains(&"x 800000".to_owned()));
    assert!(
        counts.iter().filter(|line| line.starts_with("word-") && line.ends_with(" 800")).count()
            == 1000
    );
}

#[test]
fn a_file_that_is_missing_is_named() {
    let error = count_words(&["nowhere.txt".into()]).expect_err("there is no such file");
    assert_eq!(error.place("element"), Some("\"nowhere.txt\""), "{error}");
}
