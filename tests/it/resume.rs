//! Runs that go on where one has failed, and what verifying says of any store.

use std::path::Path;

use levain::bake::BakeOptions;
use levain::dataflow::error::{Error, Result};
use levain::job::{Bake, BakeReport};
use levain::objects::{Fault, Faults, Location, StoreOptions};
use levain::zarr::ZarrSource;

use crate::append::{DAYS, LAYOUTS, append_with, first_days, more_days, old_store, store_objects};
use crate::command::{Ran, levain};
use crate::made::{Baked, Folder, counted, day};

/// Bakes in many units through a store that fails as `faults` say, ready to be resumed.
fn bake_resuming(folder: &Folder, faults: Option<Faults>) -> Result<BakeReport, Error> {
    let store = StoreOptions { faults, ..StoreOptions::default() };
    let chunks = "time=4,lat=1".parse()?;
    Bake::new([folder.text("a.nc")], &folder.text("out.zarr"))?
        .with_options(BakeOptions { chunks, ..BakeOptions::default() })
        .with_resume(true)
        .with_store(store)
        .run()
}

#[test]
fn a_bake_that_failed_is_resumed_with_equal_bytes() {
    let whole = Folder::new();
    whole.put("a.nc", &first_days());
    let report = bake_resuming(&whole, None).expect("a store");
    assert!(report.resumed.is_some_and(|note| note.starts_with("nothing to resume")));
    let want = store_objects(&whole);
    let mut reused = 0;
    for write in 1..100 {
        // Runs have the location of the store in their plans: one folder for both.
        let folder = Folder::new();
        folder.put("a.nc", &first_days());
        let done = bake_resuming(&folder, Some(Faults::from_put(write, Fault::Full)));
        if done.is_ok() {
            assert!(write > 10 && reused > 0, "{write} writes, {reused} reused");
            return;
        }
        let location = Location::parse(&folder.text("out.zarr")).expect("a path");
        let exists = ZarrSource::exists(&location, &StoreOptions::default());
        assert!(!exists.expect("a folder"), "write {write}: readers see an unfinished store");
        let resumed = bake_resuming(&folder, None).expect("the second run");
        reused += resumed.reused_count;
        assert!(store_objects(&folder) == want, "write {write}: other bytes");
        levain(&["verify", &folder.text("out.zarr")]).check_done();
    }
    panic!("there are not so many writes");
}

#[test]
fn a_resumed_unit_must_be_the_one_that_was_committed() {
    let folder = Folder::new();
    folder.put("a.nc", &first_days());
    let whole = bake_resuming(&folder, None).expect("a store");
    let want = store_objects(&folder);
    let again = bake_resuming(&folder, None).expect("a complete store");
    assert_eq!(
        (again.unit_count, again.resumed.as_deref()),
        (0, Some("nothing to resume: the store is complete"))
    );
    // As if the run had been killed before its metadata, with one unit damaged since.
    let damage = |records: &[&str]| {
        std::fs::remove_file(folder.path("out.zarr/zarr.json")).expect("root metadata");
        std::fs::write(folder.path("out.zarr/t2m/c/1/0/0"), b"junk").expect("a unit");
        let runs = std::fs::read_dir(folder.path("out.zarr.levain")).expect("runs").flatten();
        let last = runs.map(|it| it.path()).max().expect("a run");
        records.iter().for_each(|it| std::fs::remove_file(last.join(it)).expect("a record"));
    };
    damage(&["result.json"]);
    let resumed = bake_resuming(&folder, None).expect("a resumed run");
    assert_eq!(
        (resumed.reused_count, resumed.unit_count),
        (whole.unit_count - 1, whole.unit_count)
    );
    assert!(store_objects(&folder) == want, "other bytes");
    // Another plan goes on with nothing.
    damage(&["result.json"]);
    folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 5.0));
    let other = bake_resuming(&folder, None).expect("another bake");
    assert_eq!(other.reused_count, 0);
    assert!(other.resumed.is_some_and(|note| note.contains("another plan")));
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(5.0, 12));
    // Where only files were written since, they are named.
    std::fs::remove_file(folder.path("out.zarr/zarr.json")).expect("root metadata");
    let runs = std::fs::read_dir(folder.path("out.zarr.levain")).expect("runs").flatten();
    let last = runs.map(|it| it.path()).max().expect("a run");
    std::fs::remove_file(last.join("result.json")).expect("a record");
    folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 7.0));
    let changed = bake_resuming(&folder, None).expect("another bake");
    let note = changed.resumed.expect("it was asked for");
    assert!(note.contains("another plan: written since are") && note.contains("a.nc"), "{note}");
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(7.0, 12));
}

#[test]
fn a_store_is_verified_after_an_append_that_failed() {
    let folder = old_store(LAYOUTS[0]);
    folder.put("b.nc", &more_days());
    let verify = || levain(&["verify", &folder.text("out.zarr")]);
    for write in 3..9 {
        append_with(&folder, Some(Faults::from_put(write, Fault::Full))).expect_err("no room");
        verify().check_done();
    }
    append_with(&folder, None).expect("an append");
    verify().check_done();
    // The unit that was rewritten is compared with what the append has committed.
    std::fs::copy(folder.path("out.zarr/t2m/c/0/0/0"), folder.path("out.zarr/t2m/c/2/0/0"))
        .expect("a unit");
    assert_eq!(verify().exit, Some(7));
}

fn verify(folder: &Folder, level: &str) -> Ran {
    levain(&["verify", &folder.text("out.zarr"), "--level", level])
}

/// What the levels say after a damage: whether each finds it, and that it names `words`.
#[track_caller]
fn check_levels(damage: impl Fn(&Path), found: [bool; 3], words: &[&str]) {
    let folder = old_store(&["--chunks", "time=4,lat=1"]);
    folder.put("b.nc", &more_days());
    append_with(&folder, None).expect("an append");
    damage(&folder.path("out.zarr"));
    for (level, is_found) in ["chunks", "digests", "readback"].into_iter().zip(found) {
        let ran = verify(&folder, level);
        assert_eq!(ran.exit, Some(if is_found { 7 } else { 0 }), "{level}: {}", ran.stderr);
        for word in words.iter().filter(|_| is_found) {
            assert!(ran.stderr.contains(word), "{level}: `{word}` is not in\n{}", ran.stderr);
        }
    }
}

#[test]
fn each_level_of_verifying_finds_what_it_looks_for_and_names_the_files() {
    check_levels(|_| {}, [false; 3], &[]);
    // Days 4 to 7 are of the first file; 8 to 11 of both.
    let first = |out: &Path| out.join("t2m/c/1/0/0");
    let both = |out: &Path| out.join("t2m/c/2/1/0");
    let remove = |path: &Path| std::fs::remove_file(path).expect("a unit");
    check_levels(|out| remove(&first(out)), [true; 3], &["[1, 0, 0]", "fed by", "a.nc"]);
    check_levels(|out| remove(&both(out)), [true; 3], &["[2, 1, 0]", "a.nc, ", "b.nc"]);
    let cut = |path: &Path| {
        let body = std::fs::read(path).expect("a unit");
        std::fs::write(path, &body[..body.len() - 3]).expect("a unit");
    };
    check_levels(|out| cut(&first(out)), [false, true, true], &["[1, 0, 0]", "fed by", "a.nc"]);
    let swap = |out: &Path| {
        std::fs::copy(out.join("t2m/c/0/0/0"), first(out)).map(drop).expect("a unit");
    };
    check_levels(swap, [false, true, true], &["[1, 0, 0]", "not the one that was written"]);
}

#[test]
fn digests_need_a_run_store_and_levels_have_names() {
    let folder = old_store(&[]);
    std::fs::remove_dir_all(folder.path("out.zarr.levain")).expect("a run store");
    verify(&folder, "digests").check_refused("E703", 7, &["out.zarr", "--level readback"]);
    verify(&folder, "chunks").check_done();
    verify(&folder, "readback").check_done();
    verify(&folder, "all").check_refused("E100", 4, &["`all`", "chunks, digests, readback"]);
}
