//! Runs over a tree of groups that go on where one has failed or was killed.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use levain::bake::BakeOptions;
use levain::dataflow::error::Result;
use levain::job::{Bake, BakeReport};
use levain::objects::{Fault, Faults, Location, StoreOptions};
use levain::zarr::ZarrSource;

use super::{check_tree, tree};
use crate::command::{command, levain};
use crate::determinism::objects;
use crate::killing::file_count;
use crate::made::Folder;

fn rechunk(folder: &Folder, faults: Option<Faults>) -> Result<BakeReport> {
    let store = StoreOptions { faults, ..StoreOptions::default() };
    let options = BakeOptions { chunks: "y=3".parse()?, ..BakeOptions::default() };
    let bake = Bake::new([folder.text("a.zarr")], &folder.text("b.zarr"))?.with_options(options);
    bake.with_groups(true).with_store(store).with_resume(true).run()
}

#[test]
fn a_tree_that_failed_is_resumed_with_equal_bytes() {
    let folder = Folder::new();
    tree(&folder, "3");
    rechunk(&folder, None).expect("a store");
    let want = objects(&folder.path("b.zarr"));
    let mut reused = 0;
    for write in 1..200 {
        for name in ["b.zarr", "b.zarr.levain"] {
            drop(std::fs::remove_dir_all(folder.path(name)));
        }
        let done = rechunk(&folder, Some(Faults::from_put(write, Fault::Full)));
        if done.is_ok() {
            assert!(write > 10 && reused > 0, "{write} writes, {reused} reused");
            return;
        }
        let location = Location::parse(&folder.text("b.zarr")).expect("a path");
        let is_there = ZarrSource::exists(&location, &StoreOptions::default()).expect("a folder");
        assert!(!is_there, "write {write}: readers see an unfinished store");
        let resumed = rechunk(&folder, None).expect("the second run");
        reused += resumed.reused_count;
        assert!(objects(&folder.path("b.zarr")) == want, "write {write}: other bytes");
    }
    panic!("there are not so many writes");
}

#[test]
fn a_resumed_run_refuses_what_was_written_since_the_first_one() {
    let folder = Folder::new();
    tree(&folder, "3");
    rechunk(&folder, Some(Faults::from_put(4, Fault::Full))).expect_err("no room");
    let chunk = folder.path("a.zarr/c/d/e/v/c/0/0");
    let file = std::fs::File::options().write(true).open(chunk).expect("a chunk");
    file.set_modified(SystemTime::now() + Duration::from_secs(5)).expect("a time");
    let error = rechunk(&folder, None).map(drop).expect_err("another chunk");
    assert!(error.to_string().contains("c/d/e/v/c/0/0"), "{error}");
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("a time");
    rechunk(&folder, None).expect("the rest");
    check_tree(&folder.text("b.zarr"));
}

#[test]
fn a_rechunk_that_is_killed_is_resumed_with_equal_bytes() {
    let folder = Folder::new();
    let source = tree(&folder, "3");
    let target = folder.text("b.zarr");
    let arguments =
        ["rechunk", &source, &target, "--chunks", "y=1,x=1", "--resume", "--threads", "1"];
    levain(&arguments).check_done();
    let want = objects(&folder.path("b.zarr"));
    let (mut killed, mut resumed) = (0, 0);
    for point in 0..12 {
        for name in ["b.zarr", "b.zarr.levain"] {
            std::fs::remove_dir_all(folder.path(name)).expect("what was written can be removed");
        }
        let mut child = command(&arguments);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        // At the first unit, the next time at one more of them, and so on.
        let units = || file_count(&folder.path("b.zarr"));
        while units() <= point * want.len() / 12 && child.try_wait().expect("a child").is_none() {
            std::thread::park_timeout(Duration::from_micros(100));
        }
        drop(child.kill());
        killed += u32::from(!child.wait().expect("a child").success());
        let ran = levain(&arguments);
        ran.check_done();
        resumed += u32::from(ran.stderr.contains("resumed: "));
        assert!(objects(&folder.path("b.zarr")) == want, "point {point}: other bytes");
    }
    assert!(killed > 5 && resumed > 2, "{killed} were killed, {resumed} resumed");
    check_tree(&target);
}
