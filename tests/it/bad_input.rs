//! Whatever is wrong with the input: one error that says what, where and how to mend it, the exit
//! code of its family, and nothing that looks like a store.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use levain::bake::BakeOptions;
use levain::dataflow::error::Error;
use levain::dataflow::testing::{shared_file, skip};
use levain::job::{Bake, BakeReport};
use levain::objects::{Fault, Faults, Location, StoreOptions};
use levain::zarr::ZarrSource;
use netcdf_writer::{NcAttrValue, NcWriteFormat};

use crate::command::{Ran, command, levain, ran};
use crate::made::{Baked, Folder, Made, counted, day, text};

const DAYS: &str = "days since 2000-01-01";

/// Bakes into `out.zarr` with these arguments besides.
fn bake(folder: &Folder, sources: &[&str], arguments: &[&str]) -> Ran {
    let out = folder.text("out.zarr");
    let all = [&["bake"], sources, &[&out, "--progress", "none"], arguments].concat();
    levain(&all)
}

/// Nothing that any reader would take for a store, nor any folder of that name.
#[track_caller]
fn check_nothing_left(folder: &Folder) {
    assert!(!folder.path("out.zarr").exists(), "something is left of the store");
}

/// What these sources and arguments are refused with.
#[track_caller]
fn check(made: &[Made], arguments: &[&str], code: &str, exit: i32, words: &[&str]) {
    let folder = Folder::new();
    let sources = folder.put_all(made);
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    bake(&folder, &sources, arguments).check_refused(code, exit, words);
    check_nothing_left(&folder);
}

#[test]
fn a_header_that_points_beyond_the_file_is_refused() {
    let Some(path) = shared_file("data/netcdf-c-tests/nc_test/bad_cdf5_begin.nc") else { return };
    let folder = Folder::new();
    let path = path.to_str().expect("a path");
    bake(&folder, &[path], &[]).check_refused("E202", 1, &[path]);
    check_nothing_left(&folder);
}

/// A file with a little of everything.
fn sample(format: NcWriteFormat) -> Made {
    let made = day(DAYS, &[0.0, 1.0, 2.0, 3.0], 0.0).format(format);
    let made = made.variable("rain", "time lat lon", counted(7.0, 24), &[("units", text("mm"))]);
    if format == NcWriteFormat::Nc4 { made.chunked(&[1, 2, 3]) } else { made }
}

#[test]
fn netcdf_files_that_were_cut_short_are_refused() {
    for format in [NcWriteFormat::Classic, NcWriteFormat::Nc4] {
        let bytes = sample(format).bytes();
        for tenth in 0..10 {
            let folder = Folder::new();
            let length = bytes.len() * tenth / 10;
            let path = folder.put_bytes("cut.nc", &bytes[..length]);
            let ran = bake(&folder, &[&path], &[]);
            let code = if tenth == 0 { "E203" } else { "E202" };
            ran.check_refused(code, 1, &["cut.nc"]);
            check_nothing_left(&folder);
        }
    }
}

#[test]
fn zarr_stores_that_were_cut_short_are_refused() {
    let folder = Folder::new();
    let source = folder.put("whole.nc", &sample(NcWriteFormat::Classic));
    let store = folder.text("whole.zarr");
    levain(&["bake", &source, &store, "--progress", "none"]).check_done();
    for key in ["zarr.json", "t2m/c/0/0/0"] {
        let path = folder.path("whole.zarr").join(key);
        let bytes = std::fs::read(&path).expect("an object");
        for tenth in 0..10 {
            std::fs::write(&path, &bytes[..bytes.len() * tenth / 10]).expect("a cut object");
            let out = folder.text("out.zarr");
            let ran =
                levain(&["rechunk", &store, &out, "--chunks", "time=1", "--progress", "none"]);
            ran.check_refused("E202", 1, &[key, "whole.zarr"]);
            check_nothing_left(&folder);
        }
        std::fs::write(&path, &bytes).expect("the whole object");
    }
}

#[test]
fn a_file_is_what_it_holds_not_what_it_is_called() {
    let folder = Folder::new();
    let path = folder.put("field.txt", &sample(NcWriteFormat::Nc4));
    bake(&folder, &[&path], &[]).check_done();
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(0.0, 24));
    let folder = Folder::new();
    for (body, says) in [
        ("time,t2m\n0,280.1\n", "no format that Levain reads"),
        ("", "the file is empty"),
        ("<html>404</html>", "HTML"),
    ] {
        let path = folder.put_bytes("field.nc", body.as_bytes());
        bake(&folder, &[&path], &[]).check_refused("E203", 1, &[says, "field.nc"]);
        check_nothing_left(&folder);
    }
    let path = folder.put_bytes("field.nc", b"GRIB....");
    let words = ["edition 46 of GRIB", "field.nc"];
    bake(&folder, &[&path], &[]).check_refused("E202", 1, &words);
}

#[test]
fn sources_that_are_not_there_are_refused() {
    let folder = Folder::new();
    let path = |name: &str| folder.text(name);
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    for source in ["*.nc", "no.nc", "empty", "no/where/*.nc"] {
        bake(&folder, &[&path(source)], &[]).check_refused("E110", 4, &[source]);
    }
    bake(&folder, &["ftp://host/a.nc"], &[]).check_refused("E100", 4, &["ftp", "s3://"]);
    // A folder that a glob finds is a store or nothing.
    std::fs::create_dir(folder.path("empty/a.zarr")).expect("a folder");
    bake(&folder, &[&path("empty/*.zarr")], &[]).check_refused("E203", 1, &["a.zarr"]);
    check_nothing_left(&folder);
}

#[test]
fn variables_that_are_not_there_are_refused() {
    let more = || day(DAYS, &[0.0], 0.0).variable("rain", "time", [1.0f32], &[]);
    let files = [more(), day(DAYS, &[1.0], 0.0)];
    check(&files, &[], "E208", 1, &["rain", "0.nc", "1.nc", "--vars"]);
    check(&files, &["--vars", "t2m,rain"], "E108", 4, &["`rain`", "1.nc", "time, lat, lon, t2m"]);
    check(&files, &["--vars", "snow"], "E108", 4, &["`snow`", ".nc", "time, lat, lon, t2m"]);
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let two = |first: Made, second: Made| [first, second];
    let sized = |step: f64, length: usize| {
        let time = [("units", text(DAYS))];
        let made = Made::new().unlimited("time").dimension("x", length as u64);
        made.variable("time", "time", [step], &time).variable(
            "v",
            "time x",
            counted(0.0, length),
            &[],
        )
    };
    let words = ["dimension `x`", "0.nc", "1.nc"];
    check(&two(sized(0.0, 2), sized(1.0, 3)), &[], "E205", 1, &words);
    let packed = |step: f64, scale: f32| {
        let scale = [("scale_factor", NcAttrValue::Floats(vec![scale]))];
        day(DAYS, &[step], 0.0).variable("p", "time", [1i16], &scale)
    };
    let words = ["scale_factor", "variable p", "0.nc", "1.nc"];
    let refusal = ["--packing", "error"];
    check(&two(packed(0.0, 0.5), packed(1.0, 0.25)), &refusal, "E207", 1, &words);
    let dated = |step: f64, calendar: &str| {
        let time = [("units", text(DAYS)), ("calendar", text(calendar))];
        Made::new().unlimited("time").variable("time", "time", [step], &time)
    };
    let words = ["noleap", "360_day", "variable time", "0.nc", "1.nc"];
    check(&two(dated(0.0, "noleap"), dated(1.0, "360_day")), &[], "E206", 1, &words);
    let days = |first: &[f64], second: &[f64]| [day(DAYS, first, 0.0), day(DAYS, second, 0.0)];
    let check_days = |first: &[f64], second: &[f64], says: &str| {
        check(&days(first, second), &[], "E209", 1, &[says, "`time`", "0.nc", "1.nc"]);
    };
    check_days(&[0.0, 2.0], &[1.0, 3.0], "overlap");
    check_days(&[0.0, 1.0], &[1.0, 2.0], "the same `time`");
    check_days(&[2.0, 3.0], &[0.0, 1.0], "not in order");
    let files = [day(DAYS, &[0.0, 2.0, 1.0], 0.0), day(DAYS, &[3.0], 0.0)];
    check(&files, &[], "E209", 1, &["one direction at element 2", "0.nc"]);
}

#[test]
fn layouts_that_are_not_possible_are_refused() {
    let one = || [day(DAYS, &[0.0, 1.0], 0.0)];
    let check = |arguments: &[&str], code: &str, words: &[&str]| {
        check(&one(), arguments, code, 4, words);
    };
    check(&["--chunks", "time=0"], "E109", &["time=0", "from 1"]);
    check(&["--chunks", "time=1,level=2"], "E107", &["`level`", "time, lat, lon"]);
    check(&["--shards", "level=2"], "E107", &["`level`", "time, lat, lon"]);
    check(&["--concat", "level"], "E107", &["`level`", "time, lat, lon"]);
    check(&["--chunks", "lon=2", "--shards", "lon=3"], "E109", &["lon=3", "2", "lon=2"]);
    check(&["--shards", "time=2", "--zarr-format", "2"], "E109", &["version 2"]);
    check(&["--codec", "lzma:1"], "E100", &["`lzma:1`", "zstd"]);
    check(&["--chunk-size", "much"], "E109", &["`much`", "64MiB"]);
    check(&["--static", "last"], "E100", &["`last`", "identical, close:"]);
    check(&["--mem", "lots"], "E109", &["`lots`", "1GiB"]);
}

#[test]
fn memory_that_does_not_suffice_is_refused_before_the_first_write() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    for mem in ["1", "10MiB", "40MiB", "64MiB"] {
        let ran = bake(&folder, &[&source], &["--mem", mem]);
        ran.check_refused("E105", 4, &["allow"]);
        check_nothing_left(&folder);
        assert!(!folder.path("out.zarr.levain").exists());
    }
    bake(&folder, &[&source], &["--mem", "512MiB"]).check_done();
    // A store that is there survives what cannot be done.
    let ran = bake(&folder, &[&source], &["--mem", "40MiB", "--overwrite"]);
    ran.check_refused("E105", 4, &[]);
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(0.0, 12));
}

#[test]
fn a_destination_that_exists_is_refused_and_left_alone() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    let other = folder.put("b.nc", &day(DAYS, &[1.0], 50.0));
    bake(&folder, &[&source], &[]).check_done();
    bake(&folder, &[&other], &[]).check_refused("E106", 4, &["out.zarr", "--overwrite"]);
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(0.0, 6));
    let into = |name: &str, arguments: &[&str]| {
        let out = folder.text(name);
        levain(&[&["bake", &source, &out, "--progress", "none"], arguments].concat())
    };
    folder.put_bytes("papers/thesis.txt", b"years of work");
    folder.put_bytes("papers/zarr/notes.txt", b"more of it");
    for arguments in [&[][..], &["--overwrite"]] {
        into("papers", arguments).check_refused("E106", 4, &["papers", "no Zarr store"]);
        into("papers/thesis.txt", arguments).check_refused("E106", 4, &["thesis.txt"]);
    }
    let thesis = std::fs::read(folder.path("papers/thesis.txt")).expect("still there");
    assert_eq!(thesis, b"years of work");
}

/// Bakes through a store that fails as `faults` say.
fn bake_with(folder: &Folder, source: &str, faults: Faults) -> Result<BakeReport, Error> {
    let options = StoreOptions::default().with_faults(faults);
    let chunks = "time=1,lat=1,lon=1".parse()?;
    Bake::new([source], &folder.text("out.zarr"))?
        .with_options(BakeOptions { chunks, ..BakeOptions::default() })
        .with_store(options)
        .run()
}

/// Fails every write from the first to the last, each in a run of its own.
#[track_caller]
fn check_every_write(fault: Fault, code: &str) {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    let mut write = 1;
    let report = loop {
        let error = match bake_with(&folder, &source, Faults::from_put(write, fault)) {
            Ok(report) => break report,
            Err(error) => error,
        };
        assert_eq!(error.code().to_string(), code, "write {write}: {error}");
        assert!(error.to_string().contains("out.zarr"), "write {write}: {error}");
        check_nothing_left(&folder);
        write += 1;
        assert!(write < 100, "there are not so many writes");
    };
    // Chunks, their records, metadata of the arrays and the root, and the run's own three.
    assert!(write > report.unit_count + 9, "only {write} writes");
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("t2m"), counted(0.0, 12));
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_nothing() {
    check_every_write(Fault::Full, "E404");
}

#[test]
fn a_store_that_refuses_any_write_leaves_nothing() {
    check_every_write(Fault::Denied, "E403");
}

/// Writes that are on their way when one fails come to their end before the store is cleared.
#[test]
fn a_single_write_that_fails_leaves_nothing() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0, 2.0, 3.0], 0.0));
    for write in 3..25 {
        let done = bake_with(&folder, &source, Faults::at_put(write, Fault::Full));
        assert!(done.is_err(), "write {write} is one of a chunk or its record");
        check_nothing_left(&folder);
    }
}

#[test]
fn an_old_store_is_there_until_the_first_write_of_the_new_one() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    let other = folder.put("b.nc", &day(DAYS, &[2.0], 70.0));
    let out = folder.text("out.zarr");
    let replace = |source: &str, faults: Option<Faults>| {
        let options = StoreOptions { faults, ..StoreOptions::default() };
        let bake = Bake::new([source], &out).expect("a location");
        bake.with_overwrite(true).with_store(options).run()
    };
    let seen = || {
        let exists = ZarrSource::exists(
            &Location::parse(&out).expect("a location"),
            &StoreOptions::default(),
        );
        exists.expect("a folder").then(|| Baked::open(&out).values::<f32>("t2m"))
    };
    replace(&source, None).expect("a store");
    let mut last = seen();
    for write in 1.. {
        let done = replace(&other, Some(Faults::from_put(write, Fault::Full)));
        let now = seen();
        let new = Some(counted(70.0, 6));
        assert!(
            now == last || now.is_none() && last != new || now == new && done.is_ok(),
            "write {write}"
        );
        last = now;
        if done.is_ok() {
            break;
        }
    }
    assert_eq!(last, Some(counted(70.0, 6)));
}

/// Runs the command on a disk of its own that has no room, or cannot be written; what it came to,
/// and what is left there. `None` where this machine allows no such disk.
fn on_a_disk(folder: &Folder, options: &str, source: &str) -> Option<(Ran, String)> {
    let disk = folder.path("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let disk = disk.to_str().expect("a path");
    let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" || exit 99; \
                  \"$0\" bake \"$3\" \"$2/out.zarr\" --codec none --progress none; exit=$?; \
                  ls -A \"$2\"; exit $exit";
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_levain"), options, disk, source]);
    match unshare.output().map(ran) {
        Ok(ran) if !matches!(ran.exit, Some(99 | 1)) || ran.stderr.contains("error[") => {
            // Records of the run are no store.
            let left = ran.stdout.replace("out.zarr.levain\n", "");
            Some((Ran { stdout: String::new(), ..ran }, left))
        }
        _ => {
            skip("tests on a full disk: none can be mounted here");
            None
        }
    }
}

#[test]
fn a_disk_that_is_really_full_is_told_and_left_empty() {
    let folder = Folder::new();
    let times: Vec<f64> = (0..200).map(f64::from).collect();
    let wide = Made::new()
        .unlimited("time")
        .dimension("x", 4096)
        .variable("time", "time", times, &[("units", text(DAYS))])
        .variable("v", "time x", counted(0.0, 200 * 4096), &[]);
    let source = folder.put("wide.nc", &wide);
    let Some((ran, left)) = on_a_disk(&folder, "size=1m", &source) else { return };
    ran.check_refused("E404", 6, &["out.zarr", "space"]);
    assert_eq!(left, "");
}

#[test]
fn a_disk_that_cannot_be_written_is_told() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    let Some((ran, left)) = on_a_disk(&folder, "ro", &source) else { return };
    ran.check_refused("E403", 6, &["out.zarr"]);
    assert_eq!(left, "");
}

/// A bake that takes a while: what is written is noise, and compressed as well as can be.
struct Slow {
    folder: Folder,
    source: String,
    values: Vec<f32>,
}

impl Slow {
    fn new() -> Self {
        let folder = Folder::new();
        let mut noise = 1u32;
        let values: Vec<f32> = (0..60 * 8192)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from_bits(0x3f80_0000 | noise >> 9)
            })
            .collect();
        let times: Vec<f64> = (0..60).map(f64::from).collect();
        let made = Made::new()
            .unlimited("time")
            .dimension("x", 8192)
            .variable("time", "time", times, &[("units", text(DAYS))])
            .variable("v", "time x", values.clone(), &[]);
        let source = folder.put("slow.nc", &made);
        Self { folder, source, values }
    }

    fn arguments(&self) -> Vec<String> {
        let out = self.folder.text("out.zarr");
        let options = ["--chunks", "time=1,x=512", "--codec", "zstd:19", "--threads", "1"];
        let all = ["bake", &self.source, &out].into_iter().chain(options);
        all.chain(["--progress", "none"]).map(str::to_owned).collect()
    }

    /// Starts the command and waits until it has written the first chunk.
    fn start(&self) -> Child {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = command(&arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the command can be started");
        while !has_chunk(&self.folder.path("out.zarr/v/c")) {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "the run ended before a chunk was seen: {ended:?}");
            std::thread::park_timeout(Duration::from_micros(200));
        }
        child
    }

    #[track_caller]
    fn check_runs(&self) {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        levain(&arguments).check_done();
        assert_eq!(Baked::open(&self.folder.text("out.zarr")).values::<f32>("v"), self.values);
    }
}

fn has_chunk(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries
        .flatten()
        .any(|entry| std::fs::read_dir(entry.path()).is_ok_and(|mut inner| inner.next().is_some()))
}

#[test]
fn a_run_that_is_killed_leaves_no_store_and_can_be_run_again() {
    let slow = Slow::new();
    let mut child = slow.start();
    child.kill().expect("a child that runs");
    child.wait().expect("a child");
    let out = slow.folder.text("out.zarr");
    let location = Location::parse(&out).expect("a location");
    assert!(slow.folder.path("out.zarr").exists(), "killed too late or too early");
    assert!(!ZarrSource::exists(&location, &StoreOptions::default()).expect("a folder"));
    levain(&["inspect", &out]).check_refused("E203", 1, &["no Zarr store"]);
    // Somebody else's file among the remains is not deleted.
    let note = slow.folder.put_bytes("out.zarr/note.txt", b"mine");
    let arguments = slow.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    levain(&arguments).check_refused("E106", 4, &["out.zarr"]);
    std::fs::remove_file(note).expect("still there");
    slow.check_runs();
}

#[test]
fn a_run_that_is_stopped_leaves_nothing() {
    let slow = Slow::new();
    let child = slow.start();
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    let ran = ran(child.wait_with_output().expect("a child"));
    assert_eq!(ran.exit, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("error[E501]: "), "{}", ran.stderr);
    check_nothing_left(&slow.folder);
}
