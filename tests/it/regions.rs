//! Regions: elements that a store has are written anew in place; all else of it stays, and what
//! does not fit is refused before the first write.

use std::path::Path;
use std::process::Command;

use levain::dataflow::testing::python;
use netcdf_writer::NcAttrValue;

use crate::append::{DAYS, LAYOUTS, first_days, old_store, run, store_objects};
use crate::command::{Ran, levain};
use crate::made::{Baked, Folder, Made, counted, day, text};

const SCRIPT: &str = "tests/it/regions.py";
const KINDS: [&str; 7] = ["even", "odd", "third", "packed", "hours", "sharded", "down"];

#[test]
fn regions_are_written_as_xarray_writes_them() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let script = |what: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
        let run = Command::new(&python).arg(script).args([what, &folder.text("")]).output();
        let run = run.expect("Python starts");
        assert!(run.status.success(), "{what}: {}", String::from_utf8_lossy(&run.stderr));
    };
    script("make");
    for kind in KINDS {
        let (file, store) =
            (folder.text(&format!("{kind}.nc")), folder.text(&format!("{kind}.zarr")));
        levain(&["bake", &file, &store, "--region", "auto", "--progress", "none"]).check_done();
    }
    script("check");
}

/// Days of other values than those of [`first_days`].
fn other_days(times: &[f64]) -> Made {
    day(DAYS, times, 1000.0)
}

fn write(folder: &Folder, made: &Made, arguments: &[&str]) -> Ran {
    let source = folder.put("b.nc", made);
    run(folder, &[&source], arguments)
}

#[test]
fn a_region_changes_its_elements_and_nothing_else() {
    for layout in LAYOUTS {
        let folder = old_store(layout);
        let before = store_objects(&folder);
        let old = Baked::open(&folder.text("out.zarr")).values::<f32>("t2m");
        let days = other_days(&[3.0, 4.0, 5.0, 6.0]);
        let ran = write(&folder, &days, &["--region", "time=3:7"]);
        ran.check_done();
        assert!(ran.stdout.contains("wrote 3:7 along time anew"), "{}", ran.stdout);
        let store = Baked::open(&folder.text("out.zarr"));
        let values = store.values::<f32>("t2m");
        assert_eq!((&values[..18], &values[42..]), (&old[..18], &old[42..]));
        assert_eq!(values[18..42], counted(1000.0, 24));
        let after = store_objects(&folder);
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (key, body) in &before {
            let is_data =
                key.contains("t2m/") && !key.ends_with("zarr.json") && !key.contains(".z");
            assert!(is_data || after[key] == *body, "{key} has changed");
        }
        // Once more, and nothing changes.
        write(&folder, &days, &["--region", "auto", "--threads", "1"]).check_done();
        assert!(store_objects(&folder) == after, "a second run gives other bytes");
        levain(&["verify", &folder.text("out.zarr"), "--level", "readback"]).check_done();
    }
}

#[test]
fn many_files_are_one_region() {
    let folder = old_store(&["--chunks", "time=4"]);
    let sources = [[4.0, 5.0], [2.0, 3.0]].map(|days| {
        folder.put(&format!("{}.nc", days[0]), &day(DAYS, &days, 100.0 * days[0] as f32))
    });
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    run(&folder, &sources, &["--region", "auto"]).check_refused("E209", 1, &["--overlap sort"]);
    run(&folder, &sources, &["--region", "auto", "--overlap", "sort"]).check_done();
    let values = Baked::open(&folder.text("out.zarr")).values::<f32>("t2m");
    assert_eq!(values[12..24], counted(200.0, 12));
    assert_eq!(values[24..36], counted(400.0, 12));
    assert_eq!(values[36..], counted(36.0, 24));
}

#[track_caller]
fn check_refused(made: &Made, arguments: &[&str], code: &str, exit: i32, words: &[&str]) {
    let folder = old_store(&["--chunks", "time=4"]);
    let before = store_objects(&folder);
    write(&folder, made, arguments).check_refused(code, exit, words);
    assert!(store_objects(&folder) == before, "the store has changed");
}

#[test]
fn what_is_no_region_of_the_store_is_refused() {
    let auto = ["--region", "auto"];
    let beyond = other_days(&[8.0, 9.0, 10.0]);
    check_refused(&beyond, &auto, "E209", 1, &["not in the store", "out.zarr", "b.nc", "--append"]);
    let gap = other_days(&[2.0, 4.0]);
    check_refused(&gap, &auto, "E209", 1, &["element 4", "element 2", "b.nc"]);
    let days = other_days(&[2.0, 3.0]);
    check_refused(&days, &["--region", "time=3:5"], "E209", 1, &["2:4", "3:5"]);
    for region in ["time", "time=3:3", "time=-1:4", "=2:4"] {
        check_refused(&days, &["--region", region], "E100", 4, &["no region", "START:END"]);
    }
    check_refused(&days, &["--region", "level=0:2"], "E107", 4, &["level", "time"]);
}

#[test]
fn what_would_change_the_store_is_refused() {
    let auto = ["--region", "auto"];
    let days = [2.0, 3.0];
    let packed =
        other_days(&days).attribute_of("t2m", "scale_factor", NcAttrValue::Doubles(vec![2.0]));
    check_refused(&packed, &auto, "E207", 1, &["t2m", "packing of the store"]);
    let more = other_days(&days).variable("more", "time", vec![1.0f32, 2.0], &[]);
    check_refused(&more, &auto, "E208", 1, &["more", "--missing-vars"]);
    let grid = Made::new()
        .unlimited("time")
        .dimension("lat", 2)
        .dimension("lon", 4)
        .variable("time", "time", days.to_vec(), &[("units", text(DAYS))])
        .variable("lat", "lat", vec![0.0, 1.0], &[])
        .variable("lon", "lon", vec![0.0, 1.0, 2.0, 3.0], &[])
        .variable("t2m", "time lat lon", counted(0.0, 16), &[]);
    check_refused(&grid, &auto, "E205", 1, &["grids", "out.zarr", "b.nc"]);
    let fine = other_days(&days);
    for (flags, words) in [
        (&["--chunks", "time=2"][..], &["--chunks"][..]),
        (&["--overwrite"], &["overwritten"]),
        (&["--validate", "cf"], &["levain verify --validate"]),
        (&["--pyramid", "2", "--pyramid-dims", "lat"], &["pyramid"]),
        (&["--concat", "lat", "--region", "time=2:4"], &["`lat`", "`time`"]),
    ] {
        let region = if flags.contains(&"--region") { &[][..] } else { &auto[..] };
        check_refused(&fine, &[flags, region].concat(), "E100", 4, words);
    }
    let folder = Folder::new();
    write(&folder, &first_days(), &auto).check_refused("E100", 4, &["no store"]);
}

#[test]
fn variables_that_files_lack_stay_where_that_is_said() {
    let folder = Folder::new();
    let two = first_days().variable("z", "time", counted(0.0, 10), &[]);
    let source = folder.put("a.nc", &two);
    run(&folder, &[&source], &["--chunks", "time=4"]).check_done();
    let days = other_days(&[2.0, 3.0]);
    write(&folder, &days, &["--region", "auto"]).check_refused("E208", 1, &["variable z"]);
    write(&folder, &days, &["--region", "auto", "--missing-vars", "intersection"]).check_done();
    let store = Baked::open(&folder.text("out.zarr"));
    assert_eq!(store.values::<f32>("z"), counted(0.0, 10));
    assert_eq!(store.values::<f32>("t2m")[12..24], counted(1000.0, 12));
}
