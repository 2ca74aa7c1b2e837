//! What users of other tools asked for about runs: what is written, in which order, what is told
//! when something fails, and how one goes on. By the numbers of the list, as in `asks`.

use std::path::Path;

use levain::bake::{BakeOptions, PackingPolicy, StaticPolicy};
use levain::dataflow::error::ErrorCode;
use netcdf_writer::NcAttrValue;
use serde_json::Value;

use crate::baking::{baked, plain, refused, with_statics};
use crate::command::{command, levain};
use crate::made::{Baked, Folder, Made, counted, day, text};

const DAYS: &str = "days since 2000-01-01";

/// Three files of two days each; their paths.
fn three_files(folder: &Folder) -> Vec<String> {
    let days = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]];
    let made = days.iter().zip([0.0, 12.0, 24.0]).map(|(days, first)| day(DAYS, days, first));
    folder.put_all(&made.collect::<Vec<_>>())
}

/// `levain bake` of these sources into `out.zarr`, a step a chunk.
fn bake(folder: &Folder, sources: &[String], arguments: &[&str]) -> crate::command::Ran {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let out = folder.text("out.zarr");
    let fixed = [&out, "--progress", "none", "--chunks", "time=1"];
    levain(&[&["bake"], sources.as_slice(), &fixed, arguments].concat())
}

fn files_under(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            names.extend(files_under(&path));
        } else {
            names.push(path.to_str().expect("UTF-8").to_owned());
        }
    }
    names
}

#[test]
fn ask_02_packings_that_differ_are_unpacked_or_packed_in_one_way() {
    let file = |time: f64, element: i16, scale: f64, offset: f64| {
        let double = |value| NcAttrValue::Doubles(vec![value]);
        let packing = [("scale_factor", double(scale)), ("add_offset", double(offset))];
        Made::new()
            .unlimited("time")
            .variable("time", "time", vec![time], &[("units", text(DAYS))])
            .variable("sst", "time", vec![element], &packing)
    };
    let files = [file(0.0, 100, 0.01, 290.0), file(1.0, 100, 0.02, 280.0)];
    let (_folder, store, _) = baked(&files, plain());
    assert_eq!(store.values::<f64>("sst"), [291.0, 282.0]);
    let options = BakeOptions { packing: PackingPolicy::Repack, ..plain() };
    let (_folder, store, warnings) = baked(&files, options);
    assert_eq!(store.values::<i16>("sst").len(), 2);
    for (found, meant) in store.decoded("sst").into_iter().zip([291.0, 282.0]) {
        assert!((found - meant).abs() < 0.0101, "{found} is not {meant}");
    }
    assert!(warnings.iter().any(|it| it.contains("values change by up to")), "{warnings:?}");
}

#[test]
fn ask_03_every_chunk_is_accounted_for_and_a_missing_one_is_named_with_its_file() {
    let folder = Folder::new();
    let sources = three_files(&folder);
    bake(&folder, &sources, &[]).check_done();
    let verify = || levain(&["verify", &folder.text("out.zarr"), "--level", "chunks"]);
    verify().check_done();
    std::fs::remove_file(folder.path("out.zarr/t2m/c/3/0/0")).expect("the fourth day");
    let verified = verify();
    assert_eq!(verified.exit, Some(7));
    let said = verified.stdout + &verified.stderr;
    for word in ["t2m", "c/3/0/0", "1.nc"] {
        assert!(said.contains(word), "`{word}` is not in\n{said}");
    }
    bake(&folder, &sources, &["--resume"]).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m").len(), 36);
}

#[test]
fn ask_05_a_grid_that_differs_by_a_rounding_error_does_not_double() {
    let on_grid = |time: f64, lat: f64| {
        Made::new()
            .unlimited("time")
            .dimension("lat", 2)
            .variable("time", "time", vec![time], &[("units", text(DAYS))])
            .variable("lat", "lat", vec![10.0, lat], &[])
            .variable("v", "time lat", vec![1.0f32, 2.0], &[])
    };
    let files = [on_grid(0.0, 20.0), on_grid(1.0, 20.0 + 1e-14)];
    refused(&files, plain(), ErrorCode::GRIDS_DIFFER, &["lat", "close:1e-9"]);
    let close = "close:1e-9".parse::<StaticPolicy>().expect("a policy");
    let (_folder, store, _) = baked(&files, with_statics(close));
    assert_eq!((store.shape("v"), store.values::<f64>("lat")), (vec![2, 2], vec![10.0, 20.0]));
}

#[test]
fn ask_14_a_plan_says_what_it_takes_and_what_cannot_be_is_refused_before() {
    let folder = Folder::new();
    let sources = three_files(&folder);
    let out = folder.text("out.zarr");
    let plan = ["plan", "bake", &sources[0], &sources[1], &sources[2], &out, "--output", "json"];
    let planned = levain(&plan);
    planned.check_done();
    let plan: Value = serde_json::from_str(&planned.stdout).expect("a document");
    let variables = plan["plan"]["variables"].as_array().expect("a list");
    let t2m = variables.iter().find(|it| it["name"] == "t2m").expect("a variable");
    for number in ["task_count", "source_gets", "source_bytes", "peak_bytes"] {
        assert!(
            t2m["copy"]["costs"][number].as_u64().is_some_and(|it| it > 0),
            "{number} in {t2m}"
        );
    }
    assert!(!folder.path("out.zarr").exists());
    let refused = bake(&folder, &sources, &["--mem", "1MiB"]);
    assert_eq!(refused.exit, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("allow at least"), "{}", refused.stderr);
    assert!(!folder.path("out.zarr").exists());
}

#[test]
fn ask_16_metadata_are_one_object_an_array_and_one_for_all() {
    let folder = Folder::new();
    bake(&folder, &three_files(&folder), &[]).check_done();
    let names = files_under(&folder.path("out.zarr"));
    let is_metadata = |name: &&String| name.ends_with(".json");
    // time, lat, lon, t2m, and the root, which holds a copy of all.
    assert_eq!(names.iter().filter(is_metadata).count(), 5, "{names:?}");
}

#[test]
fn ask_28_what_cannot_be_read_is_named_together_and_the_rest_is_baked() {
    let folder = Folder::new();
    let mut sources = three_files(&folder);
    sources.insert(0, folder.put_bytes("page.nc", b"<html>no such file</html>"));
    sources.insert(2, folder.put_bytes("cut.nc", b"CDF\x01"));
    let stopped = bake(&folder, &sources, &[]);
    assert_eq!(stopped.exit, Some(1), "{}", stopped.stderr);
    assert!(!folder.path("out.zarr").exists());
    let ran = bake(&folder, &sources, &["--keep-going"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    for word in ["page.nc", "HTML", "cut.nc", "2 sources cannot be read"] {
        assert!(ran.stderr.contains(word), "`{word}` is not in\n{}", ran.stderr);
    }
    let store = Baked::open(&folder.text("out.zarr"));
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let missing = store.dataset().attributes.get("missing_sources");
    let missing = format!("{missing:?}");
    assert!(missing.contains("page.nc") && missing.contains("cut.nc"), "{missing}");
    let nothing = bake(&folder, &sources[..1], &["--keep-going", "--overwrite"]);
    assert_eq!(nothing.exit, Some(1), "{}", nothing.stderr);
}

#[test]
fn ask_29_an_append_skips_what_is_there_and_completes_the_last_chunk() {
    let folder = Folder::new();
    let sources = three_files(&folder);
    let out = folder.text("out.zarr");
    let quiet = ["--progress", "none"];
    levain(&[&["bake", &sources[0], &out, "--chunks", "time=4"], &quiet[..]].concat()).check_done();
    for _ in 0..2 {
        let again = [&["bake", &sources[0], &sources[1], &out, "--append", "time"], &quiet[..]];
        levain(&again.concat()).check_done();
        let store = Baked::open(&out);
        assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(store.values::<f32>("t2m")[23], 23.0);
    }
}

/// A store of three days, of which the second cannot be decoded.
fn broken_store(folder: &Folder) -> String {
    let path = folder.text("broken.zarr");
    let source = folder.put("source.nc", &day(DAYS, &[0.0, 1.0, 2.0], 0.0));
    levain(&["bake", &source, &path, "--chunks", "time=1", "--progress", "none"]).check_done();
    std::fs::write(folder.path("broken.zarr/t2m/c/1/0/0"), b"no chunk").expect("a chunk");
    path
}

#[test]
fn ask_30_a_run_that_fails_halfway_leaves_nothing_to_read() {
    let folder = Folder::new();
    let broken = broken_store(&folder);
    let failed = bake(&folder, &[broken], &[]);
    assert_eq!(failed.exit, Some(1), "{}", failed.stderr);
    assert!(!folder.path("out.zarr").exists(), "something is left of the store");
}

#[test]
fn ask_31_an_error_names_the_file_the_variable_and_the_chunk() {
    let folder = Folder::new();
    let broken = broken_store(&folder);
    let failed = bake(&folder, &[broken], &[]);
    for word in ["broken.zarr", "variable t2m", "c/1/0/0", "mend"] {
        assert!(failed.stderr.contains(word), "`{word}` is not in\n{}", failed.stderr);
    }
}

#[test]
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "a test may wait for a process")]
fn ask_15_a_rechunk_keeps_to_the_memory_that_it_was_given() {
    let folder = Folder::new();
    let source = folder.put("maps.nc", &maps(96, 256, 1024));
    let (maps, pencils) = (folder.text("maps.zarr"), folder.text("pencils.zarr"));
    levain(&["bake", &source, &maps, "--chunks", "time=1", "--progress", "none"]).check_done();
    let chunks = "time=96,lat=16,lon=64";
    let arguments =
        ["rechunk", &maps, &pencils, "--chunks", chunks, "--mem", "150MiB", "--progress", "none"];
    let mut child = command(&arguments).spawn().expect("the command can be started");
    let status = format!("/proc/{}/status", child.id());
    let mut greatest_kib = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        greatest_kib = kib.unwrap_or(0).max(greatest_kib);
        match child.try_wait().expect("a child") {
            Some(ended) => break ended,
            None => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    };
    assert!(ended.success());
    // 96 MiB of values are more than the process may take besides what it has at its start.
    assert!((1..=150 << 10).contains(&greatest_kib), "{greatest_kib} KiB of 150 MiB");
    let all: Vec<f32> = Baked::open(&pencils).values("v");
    assert!(all.iter().enumerate().all(|(place, value)| *value == place as f32));
}

/// A field of so many maps that counts up.
fn maps(times: usize, lats: u64, lons: u64) -> Made {
    let count = times * (lats * lons) as usize;
    let hours = (0..times).map(|hour| hour as f64).collect::<Vec<_>>();
    Made::new()
        .unlimited("time")
        .dimension("lat", lats)
        .dimension("lon", lons)
        .variable("time", "time", hours, &[("units", text("hours since 2000-01-01"))])
        .variable("v", "time lat lon", counted(0.0, count), &[])
}
