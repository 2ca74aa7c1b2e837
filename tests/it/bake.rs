//! What users rely on when they bake, rechunk, plan and verify.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use levain::bake::{BakeOptions, ZarrVersion, read_commits};
use levain::dataflow::error::ErrorCode;
use levain::dataflow::runner::NoObserver;
use levain::job::Bake;
use levain::objects::{Fault, Faults, Location, Objects, StoreOptions};
use netcdf_writer::NcWriteFormat;
use serde_json::Value;

use crate::baking::{along, baked, plain};
use crate::command::{command, levain, ran};
use crate::made::{Baked, Folder, Made, counted, day, text};

const DAYS: &str = "days since 2000-01-01";

/// Ten days of a field that counts up.
fn ten_days() -> Made {
    let times: Vec<f64> = (0..10).map(f64::from).collect();
    day(DAYS, &times, 0.0)
}

fn with_layout(chunks: &str, shards: &str) -> BakeOptions {
    let spec = |text: &str| text.parse().expect("lengths");
    BakeOptions { chunks: spec(chunks), shards: spec(shards), ..plain() }
}

/// How `t2m` lies, and that its values are right.
#[track_caller]
fn check_layout(options: BakeOptions, chunk: [u64; 3], shard: Option<[u64; 3]>) {
    let (_folder, store, _) = baked(&[ten_days()], options);
    assert_eq!(store.values::<f32>("t2m"), counted(0.0, 60));
    let storage = &store.dataset().variable("t2m").expect("a variable").storage;
    assert_eq!(storage.chunk_shape.as_deref(), Some(&chunk[..]));
    assert_eq!(storage.shard_shape.as_deref(), shard.as_ref().map(|shard| &shard[..]));
    // Coordinates are one chunk, whatever is asked for.
    let time = &store.dataset().variable("time").expect("a variable").storage;
    assert_eq!((time.chunk_shape.as_deref(), &time.shard_shape), (Some(&[10][..]), &None));
}

#[test]
fn chunks_and_shards_lie_as_asked_for() {
    check_layout(plain(), [10, 2, 3], None);
    check_layout(with_layout("time=4,lat=1", ""), [4, 1, 3], None);
    check_layout(with_layout("time=-1,lat=1,lon=2", ""), [10, 1, 2], None);
    check_layout(with_layout("time=2,lon=2", "time=4,lat=-1"), [2, 2, 2], Some([4, 2, 2]));
    check_layout(with_layout("time=100", "time=1000"), [10, 2, 3], Some([10, 2, 3]));
    let auto = BakeOptions {
        chunk_size: "100".parse().expect("a size"),
        ..with_layout("time=auto,lat=-1,lon=-1", "")
    };
    check_layout(auto, [4, 2, 3], None);
    let version_2 = BakeOptions { zarr_format: ZarrVersion::V2, ..with_layout("time=4", "") };
    check_layout(version_2, [4, 2, 3], None);
    for codec in ["none", "gzip:1", "zstd:3", "blosc-lz4:9"] {
        let options = BakeOptions { codec: codec.to_owned(), ..with_layout("time=3", "") };
        check_layout(options, [3, 2, 3], None);
    }
}

#[test]
fn stores_and_files_are_rechunked() {
    let folder = Folder::new();
    let file = folder.put("a.nc", &ten_days().format(NcWriteFormat::Nc4));
    let mut source = file;
    for (step, chunks) in ["time=1", "time=-1,lat=1,lon=1", "time=3,lon=2"].into_iter().enumerate()
    {
        let out = folder.text(&format!("{step}.zarr"));
        levain(&["rechunk", &source, &out, "--chunks", chunks, "--progress", "none"]).check_done();
        let store = Baked::open(&out);
        assert_eq!(store.values::<f32>("t2m"), counted(0.0, 60));
        assert_eq!(store.attributes("t2m").text("units"), Some("K"));
        source = out;
    }
}

#[test]
fn stores_follow_each_other_as_files_do() {
    let folder = Folder::new();
    let mut sources = Vec::new();
    for (place, (units, first)) in
        [(DAYS, 0.0), ("hours since 2000-01-02", 6.0)].into_iter().enumerate()
    {
        let file = folder.put("a.nc", &day(units, &[0.0], first));
        let out = folder.text(&format!("part [{place}].zarr"));
        let options = BakeOptions {
            zarr_format: if place == 0 { ZarrVersion::V2 } else { ZarrVersion::V3 },
            ..plain()
        };
        Bake::new([file], &out).expect("a location").with_options(options).run().expect("a store");
        sources.push(out);
    }
    let check = |sources: &[&str]| {
        let out = folder.text("out.zarr");
        let bake = Bake::new(sources.iter().copied(), &out).expect("a location");
        bake.with_overwrite(true).run().expect("one store");
        let store = Baked::open(&out);
        assert_eq!(store.values::<f32>("t2m"), counted(0.0, 12));
        assert_eq!(store.times("time"), ["2000-01-01T00:00:00", "2000-01-02T00:00:00"]);
    };
    check(&[&sources[0], &sources[1]]);
    check(&[&folder.text("part*.zarr")]);
}

#[test]
fn paths_are_taken_as_they_are() {
    let folder = Folder::new();
    let (first, second) = (day(DAYS, &[0.0], 0.0), day(DAYS, &[1.0], 6.0));
    folder.put("in [1]/a=ä 100%25.nc", &first);
    folder.put("in [1]/b=ä 100%25.nc", &second);
    let run = |arguments: &[&str]| {
        let mut command = command(arguments);
        ran(command.current_dir(folder.root()).output().expect("the command can be started"))
    };
    let url = format!("file://{}/in%20%5B1%5D/a=%C3%A4%20100%2525.nc", folder.root().display());
    for sources in [
        &["in [1]/a=ä 100%25.nc", "./in [1]/b=ä 100%25.nc"][..],
        &["./in [[]1]/*.nc"],
        &["in [1]"],
        &[&url, "in [1]/b=ä 100%25.nc"],
    ] {
        let all =
            [&["bake"], sources, &["deep/er/out ä.zarr/", "--overwrite", "--progress", "none"]];
        run(&all.concat()).check_done();
        let out = folder.text("deep/er/out ä.zarr");
        assert_eq!(Baked::open(&out).values::<f32>("t2m"), counted(0.0, 12), "{sources:?}");
        assert!(folder.path("deep/er/out ä.zarr.levain").is_dir());
    }
}

#[test]
fn a_destination_in_or_around_a_source_is_refused_however_it_is_spelled() {
    let folder = Folder::new();
    let file = folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    levain(&["bake", &file, &folder.text("a.zarr"), "--progress", "none"]).check_done();
    std::os::unix::fs::symlink(folder.path("a.zarr"), folder.path("link")).expect("a link");
    let run = |source: &str, out: &str| {
        let arguments =
            ["rechunk", source, out, "--overwrite", "--chunks", "time=1", "--progress", "none"];
        let mut command = command(&arguments);
        ran(command.current_dir(folder.root()).output().expect("the command can be started"))
    };
    let absolute = folder.text("a.zarr");
    for (source, out) in [
        ("a.zarr", "./a.zarr"),
        ("a.zarr", "a.zarr/"),
        ("a.zarr", &absolute),
        (&absolute, "x/../a.zarr"),
        ("link", "a.zarr"),
        ("a.zarr", "link"),
    ] {
        run(source, out).check_refused("E106", 4, &["one of the sources"]);
    }
    run("a.zarr", "a.zarr/new.zarr").check_refused("E100", 4, &["lies in one of the sources"]);
    run("a.nc", "a.nc/new.zarr").check_refused("E100", 4, &["lies in one of the sources"]);
    for nameless in [".", "..", "/"] {
        run("a.nc", nameless).check_refused("E100", 4, &["has no name"]);
    }
    assert_eq!(Baked::open(&absolute).values::<f32>("t2m"), counted(0.0, 6));
}

#[test]
fn planning_writes_nothing() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &ten_days());
    let out = folder.text("out.zarr");
    for job in ["bake", "rechunk"] {
        levain(&["plan", job, &source, &out, "--chunks", "time=1"]).check_done();
    }
    let names = std::fs::read_dir(folder.root()).expect("a folder").flatten();
    assert_eq!(names.map(|it| it.file_name()).collect::<Vec<_>>(), ["a.nc"]);
}

#[test]
fn a_file_that_changes_between_scan_and_write_is_refused() {
    let folder = Folder::new();
    let (old, new) = (day(DAYS, &[0.0], 0.0), day(DAYS, &[0.0], 50.0));
    let source = folder.put("a.nc", &old);
    let scan = || {
        let bake = Bake::new([&source], &folder.text("out.zarr")).expect("a location");
        bake.scan(&NoObserver).expect("a plan")
    };
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let age = || {
        let file = std::fs::File::options().append(true).open(&source).expect("a file");
        file.set_modified(long_ago).expect("a time");
    };
    age();
    let scanned = scan();
    folder.put("a.nc", &new);
    let error = scanned.write(&NoObserver).map(drop).expect_err("another file");
    assert_eq!(error.code(), ErrorCode::CANNOT_READ, "{error}");
    assert!(
        error.to_string().contains("a.nc") && error.to_string().contains("has changed"),
        "{error}"
    );
    assert!(!folder.path("out.zarr").exists());
    scan().write(&NoObserver).expect("the new file");
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(50.0, 6));
}

#[test]
fn a_write_that_fails_in_passing_is_tried_again() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &ten_days());
    for write in 3..9 {
        let options = StoreOptions::default().with_faults(Faults::at_put(write, Fault::Transient));
        let bake = Bake::new([&source], &folder.text("out.zarr")).expect("a location");
        let bake = bake.with_options(with_layout("time=2", "")).with_overwrite(true);
        bake.with_store(options).run().expect("the second attempt");
        assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(0.0, 60));
    }
}

/// The only run of a store.
fn run_folder(out: &Path) -> PathBuf {
    let runs = out.with_file_name(format!("{}.levain", out.file_name().expect("a name").display()));
    let runs: Vec<_> = std::fs::read_dir(runs).expect("a run store").flatten().collect();
    assert_eq!(runs.len(), 1);
    runs[0].path()
}

fn json_at(path: &Path) -> Value {
    let body = std::fs::read(path).expect("a file of the run store");
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn the_run_store_says_what_was_asked_planned_committed_and_how_it_ended() {
    let (folder, _, _) = baked(&[ten_days()], with_layout("time=4,lat=1", "time=8"));
    let out = folder.path("out.zarr");
    let run = run_folder(&out);
    let asked = json_at(&run.join("run.json"));
    assert_eq!((&asked["v"], asked["destination"].as_str()), (&Value::from(1), out.to_str()));
    assert_eq!(asked["run"].as_str(), run.file_name().and_then(|name| name.to_str()));
    let plan = json_at(&run.join("plan.json"));
    assert_eq!((&plan["version"], &plan["files"][0]["concat_length"]), (&1.into(), &0.into()));
    assert_eq!(
        json_at(&run.join("result.json")),
        serde_json::json!({ "v": 1, "state": "SUCCEEDED" })
    );
    let location = Location::parse(run.to_str().expect("a path")).expect("a location");
    let objects = Objects::open(&location, &StoreOptions::default()).expect("a folder");
    let mut committed = BTreeMap::new();
    read_commits(&objects, |record| {
        assert_eq!(record.v, 1);
        let units = record.units.into_iter();
        committed.extend(
            units.map(|unit| ((unit.array, unit.index), (unit.encoded_bytes, unit.crc32c))),
        );
        Ok(())
    })
    .expect("records");
    let units: Vec<_> = committed.iter().filter(|((array, _), _)| array == "t2m").collect();
    assert_eq!((units.len(), committed.len()), (4, 7));
    for ((array, index), (bytes, crc32c)) in &committed {
        let key = index.iter().map(u64::to_string).collect::<Vec<_>>().join("/");
        let object = std::fs::read(out.join(array).join("c").join(key)).expect("an object");
        assert_eq!((object.len() as u64, crc32c::crc32c(&object)), (*bytes, *crc32c));
    }
}

#[test]
fn a_failed_run_says_so_in_the_run_store() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &ten_days());
    let options = StoreOptions::default().with_faults(Faults::at_put(4, Fault::Denied));
    let bake =
        Bake::new([source], &folder.text("out.zarr")).expect("a location").with_store(options);
    bake.run().map(drop).expect_err("a refusal");
    let result = json_at(&run_folder(&folder.path("out.zarr")).join("result.json"));
    assert_eq!(result["state"], "FAILED");
    assert!(result["error"].as_str().is_some_and(|error| error.contains("E403")), "{result}");
    // It has left nothing, so what lies there later is somebody else's.
    folder.put_bytes("out.zarr/t2m/mine.txt", b"mine");
    let error = bake.with_store(StoreOptions::default()).run().map(drop).expect_err("a folder");
    assert_eq!(error.code(), ErrorCode::DESTINATION_EXISTS, "{error}");
}

/// Bakes, does something to the store, and verifies it.
#[track_caller]
fn check_verify(damage: impl FnOnce(&Path), code: &str, words: &[&str]) {
    let (folder, _, _) = baked(&[ten_days()], with_layout("time=5", ""));
    let out = folder.path("out.zarr");
    damage(&out);
    let ran = levain(&["verify", out.to_str().expect("a path")]);
    assert_eq!(ran.exit, Some(7), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("FAIL   "), "{}", ran.stdout);
    for word in [code].iter().chain(words) {
        assert!(ran.stderr.contains(word), "`{word}` is not in\n{}", ran.stderr);
    }
}

#[test]
fn verifying_finds_what_is_missing_damaged_or_another() {
    let (folder, _, _) = baked(&[ten_days()], with_layout("time=5", "time=10"));
    let ran = levain(&["verify", &folder.text("out.zarr")]);
    ran.check_done();
    assert!(ran.stdout.starts_with("ok   4 of 4 units are there and decode"), "{}", ran.stdout);
    let second = "t2m/c/1/0/0";
    let words = ["1 of 5 units", "variable t2m", "[1, 0, 0]", second];
    check_verify(|out| std::fs::remove_file(out.join(second)).expect("a chunk"), "E701", &words);
    let cut = |out: &Path| {
        let body = std::fs::read(out.join(second)).expect("a chunk");
        std::fs::write(out.join(second), &body[..body.len() - 3]).expect("a chunk");
    };
    check_verify(cut, "E702", &words);
    let swap = |out: &Path| {
        std::fs::copy(out.join("t2m/c/0/0/0"), out.join(second)).map(drop).expect("a chunk");
    };
    check_verify(swap, "E702", &[&words[..], &["is not the one that was written"]].concat());
}

#[test]
fn without_a_run_store_only_metadata_can_be_compared_with() {
    let (folder, _, _) = baked(&[ten_days()], plain());
    std::fs::remove_dir_all(folder.path("out.zarr.levain")).expect("a run store");
    let ran = levain(&["verify", &folder.text("out.zarr")]);
    ran.check_done();
    assert!(ran.stdout.contains("metadata only"), "{}", ran.stdout);
}

#[test]
fn files_without_a_coordinate_follow_each_other_as_they_were_given() {
    let file = |first: f32| {
        Made::new().unlimited("obs").variable(
            "v",
            "obs",
            counted(first, 2),
            &[("units", text("m"))],
        )
    };
    let (_folder, store, warnings) = baked(&[file(5.0), file(0.0)], along("obs"));
    assert_eq!(store.values::<f32>("v"), [5.0, 6.0, 0.0, 1.0]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("`obs` has no coordinate"), "{warnings:?}");
}
