//! Appends: what is there is skipped, what follows is added, all else is refused before the first
//! write; and whenever a run ends, readers see the store as it was or as it will be.

use std::collections::BTreeMap;
use std::process::Command;

use levain::dataflow::error::{Error, Result};
use levain::dataflow::testing::python;
use levain::job::{Bake, BakeReport};
use levain::objects::{Fault, Faults, StoreOptions};
use netcdf_writer::NcAttrValue;

use crate::command::{Ran, levain};
use crate::determinism::objects;
use crate::made::{Baked, Folder, Made, counted, day, text};

pub(crate) const DAYS: &str = "days since 2000-01-01";
const HOURS: &str = "hours since 2000-01-01";

/// Ten days from 2000-01-01, with values that count up from 0.
pub(crate) fn first_days() -> Made {
    day(DAYS, &(0..10).map(f64::from).collect::<Vec<_>>(), 0.0)
}

/// Three more, counted in hours from another value; two of them are new.
pub(crate) fn more_days() -> Made {
    day(HOURS, &[9.0 * 24.0, 10.0 * 24.0, 11.0 * 24.0], 54.0)
}

pub(crate) fn run(folder: &Folder, sources: &[&str], arguments: &[&str]) -> Ran {
    let out = folder.text("out.zarr");
    levain(&[&["bake"], sources, &[&out, "--progress", "none"], arguments].concat())
}

/// A store of the first days, in this layout.
pub(crate) fn old_store(layout: &[&str]) -> Folder {
    let folder = Folder::new();
    let source = folder.put("a.nc", &first_days());
    run(&folder, &[&source], layout).check_done();
    folder
}

pub(crate) type Objects = BTreeMap<String, Vec<u8>>;

pub(crate) fn store_objects(folder: &Folder) -> Objects {
    objects(&folder.path("out.zarr"))
}

pub(crate) const LAYOUTS: [&[&str]; 5] = [
    &["--chunks", "time=4,lat=1"],
    &["--chunks", "time=4,lat=1", "--zarr-format", "2"],
    &["--chunks", "time=2,lat=1,lon=2", "--shards", "time=4,lat=2,lon=4"],
    &["--chunks", "time=5"],
    &["--chunks", "time=100", "--codec", "none"],
];

#[track_caller]
fn check_appended(folder: &Folder, length: usize) {
    let store = Baked::open(&folder.text("out.zarr"));
    assert_eq!(store.values::<f32>("t2m"), counted(0.0, 6 * length));
    let times = store.times("time");
    let want: Vec<String> = (1..=length).map(|day| format!("2000-01-{day:02}T00:00:00")).collect();
    assert_eq!(times, want);
    assert_eq!(store.attributes("time").text("units"), Some(DAYS));
}

#[test]
fn what_follows_is_added_and_what_is_there_is_skipped() {
    for layout in LAYOUTS {
        let folder = old_store(layout);
        let old = store_objects(&folder);
        let more = folder.put("b.nc", &more_days());
        let ran = run(&folder, &[&more], &["--append", "time"]);
        ran.check_done();
        assert!(ran.stdout.contains("appended 2 along time, 1 were there"), "{}", ran.stdout);
        check_appended(&folder, 12);
        let new = store_objects(&folder);
        for (key, body) in &old {
            let is_fixed = key.starts_with("lat/") || key.starts_with("lon/");
            assert!(!is_fixed || new[key] == *body, "{layout:?}: {key} was written anew");
        }
        // Both files at once give the same units.
        let whole = Folder::new();
        let sources = [folder.text("a.nc"), whole.put("b.nc", &day(DAYS, &[10.0, 11.0], 60.0))];
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        run(&whole, &sources, layout).check_done();
        let units = |all: &Objects| {
            let units = all.iter().filter(|(key, _)| key.starts_with("t2m/") && !key.contains("z"));
            units.map(|(key, body)| (key.clone(), body.clone())).collect::<Objects>()
        };
        let whole_units = units(&store_objects(&whole));
        assert!(!whole_units.is_empty());
        if layout[1] != "time=100" {
            assert_eq!(units(&new), whole_units, "{layout:?}");
        }
        levain(&["verify", &folder.text("out.zarr")]).check_done();
    }
}

#[test]
fn a_second_append_changes_nothing_and_says_so() {
    let folder = old_store(LAYOUTS[0]);
    let more = folder.put("b.nc", &more_days());
    run(&folder, &[&more], &["--append", "time"]).check_done();
    let before = objects(folder.root());
    let ran = run(&folder, &[&folder.text("a.nc"), &more], &["--append", "time"]);
    ran.check_refused("E209", 1, &["overlap", "--overlap"]);
    let first = folder.text("a.nc");
    let keep = ["--append", "time", "--overlap", "keep-first"];
    for ran in [
        run(&folder, &[&more], &["--append", "time"]),
        run(&folder, &[&first], &["--append", "time"]),
        run(&folder, &[&first, &more], &keep),
    ] {
        ran.check_done();
        assert!(ran.stdout.starts_with("unchanged"), "{}", ran.stdout);
    }
    assert!(objects(folder.root()) == before, "an append of nothing has written something");
}

#[test]
fn many_appends_of_one_step_fill_a_chunk() {
    let folder = old_store(LAYOUTS[2]);
    for step in 10..23 {
        let name = format!("{step}.nc");
        let more = folder.put(&name, &day(HOURS, &[24.0 * f64::from(step)], 6.0 * step as f32));
        run(&folder, &[&more], &["--append", "time"]).check_done();
        check_appended(&folder, step as usize + 1);
        levain(&["verify", &folder.text("out.zarr")]).check_done();
    }
}

/// What this append to the first days is refused with; the store stays as it is.
#[track_caller]
fn check_refused(more: &Made, arguments: &[&str], code: &str, exit: i32, words: &[&str]) {
    let folder = old_store(&["--chunks", "time=4"]);
    check_refused_by(&folder, more, arguments, code, exit, words);
}

#[track_caller]
fn check_refused_by(
    folder: &Folder,
    more: &Made,
    arguments: &[&str],
    code: &str,
    exit: i32,
    words: &[&str],
) {
    let more = folder.put("b.nc", more);
    let before = objects(folder.root());
    let ran = run(folder, &[&more], &[&["--append", "time"], arguments].concat());
    ran.check_refused(code, exit, words);
    assert!(objects(folder.root()) == before, "something was written before the refusal");
}

const NAMES: [&str; 2] = ["out.zarr", "b.nc"];

#[test]
fn what_would_need_another_store_is_refused_with_two_names() {
    let with = |words: &[&'static str]| [&NAMES[..], words].concat();
    let next = |values: f32| day(DAYS, &[10.0], values);
    let check = |made: &Made, code: &str, words: &[&'static str]| {
        check_refused(made, &[], code, 1, &with(words));
    };
    let inserted = day(HOURS, &[9.0 * 24.0 - 1.0, 240.0], 0.0);
    check(&inserted, "E209", &["2000-01-09T23:00:00", "2000-01-10T00:00:00", "before its end"]);
    check(&day(DAYS, &[-1.0], 0.0), "E209", &["1999-12-31", "before its end"]);
    check(&day(DAYS, &[12.0, 11.0], 0.0), "E209", &["after a later one"]);
    check(&next(0.0).variable("rain", "time", [1.0f32], &[]), "E208", &["`rain`", "--vars"]);
    let grid = |lats: [f64; 2], units: &str| {
        let days = [("units", text(DAYS))];
        Made::new()
            .unlimited("time")
            .dimension("lat", 2)
            .dimension("lon", 3)
            .variable("time", "time", [10.0], &days)
            .variable("lat", "lat", lats, &[("units", text("degrees_north"))])
            .variable("lon", "lon", [0.0, 1.0, 2.0], &[("units", text("degrees_east"))])
            .variable("t2m", "time lat lon", counted(0.0, 6), &[("units", text(units))])
    };
    check(&grid([10.0, 20.5], "K"), "E205", &["different grids", "`lat`"]);
    check(&grid([10.0, 20.0], "degC"), "E206", &["`K`", "`degC`"]);
    let rounded = grid([10.0, 20.0 + 1e-12], "K");
    check(&rounded, "E205", &["`lat`", "close:1e-9"]);
    let folder = old_store(&[]);
    let rounded = folder.put("b.nc", &rounded);
    run(&folder, &[&rounded], &["--append", "time", "--static", "close:1e-9"]).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f64>("lat"), [10.0, 20.0]);
    let time = [("units", text(DAYS)), ("calendar", text("noleap"))];
    let other = Made::new().unlimited("time").variable("time", "time", [10.0], &time);
    check(&other, "E206", &["standard", "noleap"]);
    let few = Made::new().unlimited("time").variable("time", "time", [10.0], &[time[0].clone()]);
    check(&few, "E208", &["variable", "--missing-vars union"]);
    let numbers = Made::new().unlimited("time").variable("time", "time", [10.0], &[]);
    check(&numbers, "E206", &["no time", "standard"]);
}

#[test]
fn other_types_packings_and_lengths_are_refused() {
    let scaled = |time: f64, scale: f32, name: &str| {
        let scale = [("scale_factor", NcAttrValue::Floats(vec![scale]))];
        let time = [time];
        let days = [("units", text(DAYS))];
        let made = Made::new().unlimited("time").dimension("x", 2);
        let made = made.variable("time", "time", time, &days);
        made.variable(name, "time x", [1i16, 2], &scale)
    };
    let folder = Folder::new();
    let source = folder.put("a.nc", &scaled(0.0, 0.1, "v"));
    run(&folder, &[&source], &[]).check_done();
    let words = [&NAMES[..], &["variable v", "scale_factor"]].concat();
    check_refused_by(&folder, &scaled(1.0, 0.25, "v"), &[], "E207", 1, &words);
    let float = Made::new()
        .unlimited("time")
        .dimension("x", 2)
        .variable("time", "time", [1.0], &[("units", text(DAYS))])
        .variable("v", "time x", [1.0f32, 2.0], &[]);
    check_refused_by(
        &folder,
        &float,
        &[],
        "E207",
        1,
        &[&NAMES[..], &["float32", "int16"]].concat(),
    );
    let wide = Made::new()
        .unlimited("time")
        .dimension("x", 3)
        .variable("time", "time", [1.0], &[("units", text(DAYS))])
        .variable("v", "time x", [1i16, 2, 3], &[("scale_factor", NcAttrValue::Floats(vec![0.1]))]);
    check_refused_by(
        &folder,
        &wide,
        &[],
        "E205",
        1,
        &[&NAMES[..], &["dimension `x`", "2", "3"]].concat(),
    );
    // The same packing is the same store.
    let more = folder.put("b.nc", &scaled(1.0, 0.1, "v"));
    run(&folder, &[&more], &["--append", "time"]).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<i16>("v"), [1, 2, 1, 2]);
}

#[test]
fn times_that_the_units_of_the_store_do_not_hold_are_refused() {
    let dated = |units: &str, time: i32| {
        let units = [("units", text(units))];
        Made::new().unlimited("time").variable("time", "time", [time], &units)
    };
    let folder = Folder::new();
    let source = folder.put("a.nc", &dated(DAYS, 0));
    run(&folder, &[&source], &[]).check_done();
    let words = [&NAMES[..], &["2000-01-01T06:00:00", "int32", DAYS]].concat();
    check_refused_by(&folder, &dated(HOURS, 6), &[], "E211", 1, &words);
    let more = folder.put("b.nc", &dated(HOURS, 48));
    run(&folder, &[&more], &["--append", "time"]).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<i32>("time"), [0, 2]);
}

#[test]
fn static_variables_must_be_those_of_the_store() {
    let with = |time: f64, height: f32| {
        day(DAYS, &[time], 0.0).variable("height", "lat lon", counted(height, 6), &[])
    };
    let folder = Folder::new();
    let source = folder.put("a.nc", &with(0.0, 0.0));
    run(&folder, &[&source], &[]).check_done();
    let words = [&NAMES[..], &["`height`", "--static first"]].concat();
    check_refused_by(&folder, &with(1.0, 1.0), &[], "E210", 1, &words);
    let more = folder.put("b.nc", &with(1.0, 1.0));
    run(&folder, &[&more], &["--append", "time", "--static", "first"]).check_done();
    let more = folder.put("c.nc", &with(2.0, 0.0));
    run(&folder, &[&more], &["--append", "time"]).check_done();
    let store = Baked::open(&folder.text("out.zarr"));
    assert_eq!((store.values::<f32>("height"), store.shape("t2m")[0]), (counted(0.0, 6), 3));
}

#[test]
fn arguments_that_an_append_cannot_follow_are_refused() {
    let next = day(DAYS, &[10.0], 60.0);
    check_refused(&next, &["--overwrite"], "E100", 4, &["--overwrite"]);
    check_refused(&next, &["--concat", "lat"], "E100", 4, &["`lat`", "`time`"]);
    check_refused(&next, &["--chunks", "time=1"], "E100", 4, &["--chunks", "of the store"]);
    check_refused(&next, &["--codec", "none"], "E100", 4, &["--codec", "of the store"]);
    let folder = Folder::new();
    let source = folder.put("b.nc", &next);
    let ran = run(&folder, &[&source], &["--append", "time"]);
    ran.check_refused("E100", 4, &["no store to append to", "out.zarr", "without --append"]);
    let folder = old_store(&[]);
    let ran = run(&folder, &[&folder.text("a.nc")], &["--append", "lat"]);
    ran.check_done();
    assert!(ran.stdout.starts_with("unchanged"), "{}", ran.stdout);
    let (first, out) = (folder.text("a.nc"), folder.text("out.zarr"));
    let plan = levain(&["plan", "bake", &first, &out, "--append", "lat"]);
    plan.check_done();
    assert!(plan.stdout.contains("appends 0 along lat to 2; 2 are there"), "{}", plan.stdout);
    let ran = run(&folder, &[&folder.text("a.nc")], &["--append", "level"]);
    ran.check_refused("E107", 4, &["`level`"]);
}

#[test]
fn gaps_after_the_store_are_told_or_refused() {
    let late = day(DAYS, &[12.0], 60.0);
    let words = [&NAMES[..], &["gap", "2000-01-13"]].concat();
    check_refused(&late, &["--gaps", "error"], "E209", 1, &words);
    let folder = old_store(&[]);
    let late = folder.put("b.nc", &late);
    let ran = run(&folder, &[&late], &["--append", "time"]);
    ran.check_done();
    assert!(ran.stderr.contains("`time` has a gap"), "{}", ran.stderr);
}

#[test]
fn variables_that_the_files_lack_are_filled_where_that_is_asked_for() {
    let folder = old_store(&["--chunks", "time=4"]);
    let few = Made::new().unlimited("time").dimension("lat", 2).dimension("lon", 3);
    let few = few.variable("time", "time", [10.0], &[("units", text(DAYS))]);
    let more = folder.put("b.nc", &few);
    run(&folder, &[&more], &["--append", "time", "--missing-vars", "union"]).check_done();
    let values = Baked::open(&folder.text("out.zarr")).values::<f32>("t2m");
    assert_eq!(values[..60], counted(0.0, 60));
    assert!(values[60..].iter().all(|it| it.is_nan()) && values.len() == 66, "{values:?}");
}

#[test]
fn unpacked_values_are_appended_to_unpacked_ones() {
    let packed = |time: f64, scale: f32| {
        let scale = [("scale_factor", NcAttrValue::Floats(vec![scale]))];
        let made = Made::new().unlimited("time");
        let made = made.variable("time", "time", [time], &[("units", text(DAYS))]);
        made.variable("v", "time", [4i16], &scale)
    };
    let folder = Folder::new();
    let sources = [folder.put("a.nc", &packed(0.0, 0.5)), folder.put("a2.nc", &packed(1.0, 0.25))];
    run(&folder, &[&sources[0], &sources[1]], &[]).check_done();
    let more = folder.put("b.nc", &packed(2.0, 2.0));
    run(&folder, &[&more], &["--append", "time"]).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("v"), [2.0, 1.0, 8.0]);
}

/// Appends through a store that fails as `faults` say.
pub(crate) fn append_with(folder: &Folder, faults: Option<Faults>) -> Result<BakeReport, Error> {
    let store = StoreOptions { faults, ..StoreOptions::default() };
    let bake = Bake::new([folder.text("b.nc")], &folder.text("out.zarr"))?;
    bake.with_append("time").with_store(store).run()
}

/// Ends an append at every write, each in a run of its own, with a whole run after each: whatever
/// is left is the old store or the new one, and the whole run ends with the same bytes as one that
/// nothing has happened to.
#[track_caller]
fn check_every_write(layout: &[&str]) {
    let template = old_store(layout);
    template.put("b.nc", &more_days());
    let old = store_objects(&template);
    append_with(&template, None).expect("an append");
    let new = store_objects(&template);
    let mut write = 1;
    loop {
        let folder = Folder::new();
        folder.put("b.nc", &more_days());
        for (key, body) in &old {
            folder.put_bytes(&format!("out.zarr/{key}"), body);
        }
        let done = append_with(&folder, Some(Faults::from_put(write, Fault::Full)));
        let length = Baked::open(&folder.text("out.zarr")).shape("t2m")[0] as usize;
        assert!(length == 10 || length == 12, "write {write}: {length}");
        check_appended(&folder, length);
        if length == 10 {
            append_with(&folder, None).expect("a second run");
        }
        check_appended(&folder, 12);
        assert!(store_objects(&folder) == new, "write {write} of {layout:?}: other bytes");
        if done.is_ok() {
            break;
        }
        write += 1;
        assert!(write < 100, "there are not so many writes");
    }
    assert!(write > 6, "only {write} writes");
}

#[test]
fn an_append_that_fails_at_any_write_leaves_the_old_store_or_the_new_one() {
    LAYOUTS.iter().for_each(|layout| check_every_write(layout));
}

#[test]
fn a_store_without_consolidated_metadata_is_refused() {
    let folder = old_store(&["--zarr-format", "2"]);
    std::fs::remove_file(folder.path("out.zarr/.zmetadata")).expect("a consolidated copy");
    let words = ["out.zarr", "consolidate"];
    check_refused_by(&folder, &more_days(), &[], "E204", 1, &words);
}

const LOOK: &str = "
import json, sys, xarray, zarr
dataset = xarray.open_zarr(sys.argv[1], consolidated=True)
print(json.dumps({
    'time': [str(time)[:10] for time in dataset.time.values],
    't2m': [float(value) for value in dataset.t2m.values.ravel()],
}))
";

/// What xarray sees of the store, through its consolidated metadata.
#[track_caller]
fn check_python(python: &std::path::Path, folder: &Folder, lengths: &[usize]) -> usize {
    let looked = Command::new(python).args(["-c", LOOK, &folder.text("out.zarr")]).output();
    let looked = looked.expect("Python can be started");
    let told = String::from_utf8_lossy(&looked.stdout).into_owned();
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let times = told["time"].as_array().expect("a list");
    let length = times.len();
    assert!(lengths.contains(&length), "{length} times");
    for (day, time) in times.iter().enumerate() {
        assert_eq!(*time, format!("2000-01-{:02}", day + 1));
    }
    let values: Vec<f32> = told["t2m"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it.as_f64().expect("a number") as f32)
        .collect();
    assert_eq!(values, counted(0.0, 6 * length));
    length
}

#[test]
fn xarray_sees_the_old_store_or_the_new_one() {
    let Some(python) = python() else { return };
    for layout in [LAYOUTS[1], LAYOUTS[2]] {
        let folder = old_store(layout);
        folder.put("b.nc", &more_days());
        for write in [4, 6, 8, 10] {
            let done = append_with(&folder, Some(Faults::from_put(write, Fault::Full)));
            let length = check_python(&python, &folder, &[10, 12]);
            assert!(length == 10 || done.is_ok() || write > 8, "write {write}");
        }
        append_with(&folder, None).expect("an append");
        check_python(&python, &folder, &[12]);
    }
}
