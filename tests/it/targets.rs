//! The target of a bake: groups that are read and written, codecs and chunks by variable.

use std::process::Command;

use levain::array::DatasetSource;
use levain::objects::{Location, StoreOptions};
use levain::zarr::ZarrSource;
use netcdf_writer::NcWriteFormat;

use crate::baking::{baked, plain};
use crate::command::levain;
use crate::made::{Baked, Folder, counted, day};

const DAYS: &str = "days since 2000-01-01";

/// Runs a script of Python with these arguments, where there is an interpreter.
fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let python = levain::dataflow::testing::python()?;
    let mut run = Command::new(python);
    let run = run.args(["-W", "error::UserWarning", "-c", script]).args(arguments);
    let run = run.output().expect("starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).expect("UTF-8").trim().to_owned())
}

fn open(path: &str) -> ZarrSource {
    let location = Location::parse(path).expect("a path");
    ZarrSource::open(&location, &StoreOptions::default()).expect("a store")
}

/// The values of `t2m` in a group.
fn in_group(store: &str, group: &str) -> Vec<f32> {
    let group = open(store).group(&group.parse().expect("a path")).expect("a group");
    let array = group.array("t2m").expect("an array");
    let whole = levain::array::Region::whole(&array.facts().grid.shape());
    array.read(&whole).expect("reads").values::<f32>().expect("floats")
}

#[test]
fn groups_are_written_beside_each_other_and_read_again() {
    for format in ["3", "2"] {
        let folder = Folder::new();
        let (a, b) = (day(DAYS, &[0.0, 1.0], 0.0), day(DAYS, &[0.0, 1.0], 100.0));
        let (a, b) = (folder.put("a.nc", &a), folder.put("b.nc", &b));
        let store = folder.text("out.zarr");
        let bake = |source: &str, group: &str, more: &[&str]| {
            let arguments =
                ["bake", source, &store, "--target-group", group, "--zarr-format", format];
            levain(&[&arguments[..], more].concat())
        };
        bake(&a, "forecast/surface", &[]).check_done();
        bake(&b, "analysis", &[]).check_done();
        assert_eq!(in_group(&store, "forecast/surface"), counted(0.0, 12), "{format}");
        assert_eq!(in_group(&store, "analysis"), counted(100.0, 12), "{format}");
        assert_eq!(open(&store).dataset().groups, ["forecast", "analysis"]);
        // What is there is not written over, unless that is asked for; then nothing else changes.
        bake(&a, "analysis", &[]).check_refused("E106", 4, &["--overwrite"]);
        bake(&a, "analysis", &["--overwrite"]).check_done();
        assert_eq!(in_group(&store, "analysis"), counted(0.0, 12), "{format}");
        assert_eq!(in_group(&store, "forecast/surface"), counted(0.0, 12), "{format}");
        let again = folder.text("again.zarr");
        levain(&["bake", &store, &again, "--group", "forecast/surface"]).check_done();
        assert_eq!(Baked::open(&again).values::<f32>("t2m"), counted(0.0, 12));
        let script = "import sys, xarray as xr, zarr\n\
            assert zarr.open_group(sys.argv[1], mode='r').metadata.consolidated_metadata is not None\n\
            for name in ['forecast/surface', 'analysis']:\n\
            \x20   group = xr.open_zarr(sys.argv[1], group=name, consolidated=True, chunks=None)\n\
            \x20   print(float(group.t2m.sum()))";
        if let Some(told) = python(script, &[&store]) {
            assert_eq!(told, "66.0\n66.0", "{format}");
        }
    }
}

#[test]
fn a_group_gets_longer_for_readers_of_the_root_too() {
    let folder = Folder::new();
    let first = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    let next = folder.put("b.nc", &day(DAYS, &[2.0], 12.0));
    let store = folder.text("out.zarr");
    levain(&["bake", &first, &store, "--target-group", "g"]).check_done();
    levain(&["bake", &next, &store, "--target-group", "g", "--append", "time"]).check_done();
    assert_eq!(in_group(&store, "g"), counted(0.0, 18));
}

#[test]
fn paths_of_groups_lead_down_and_to_what_is_there() {
    let folder = Folder::new();
    let file = folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    let store = folder.text("out.zarr");
    for flag in ["--group", "--target-group"] {
        let ran = levain(&["bake", &file, &store, flag, "../other"]);
        ran.check_refused("E100", 4, &["../other", "no `..`"]);
    }
    let ran = levain(&["bake", &file, &store, "--group", "g"]);
    ran.check_refused("E108", 4, &["no group `g`"]);
    levain(&["bake", &file, &store, "--target-group", "g"]).check_done();
    let ran = levain(&["inspect", &store, "--group", "h"]);
    ran.check_refused("E108", 4, &["the groups there are: g"]);
    // No group lies in an array, and none of another format in a store.
    let ran = levain(&["bake", &file, &store, "--target-group", "g/t2m/x"]);
    ran.check_refused("E100", 4, &["is an array"]);
    let ran = levain(&["bake", &file, &store, "--target-group", "h", "--zarr-format", "2"]);
    ran.check_refused("E100", 4, &["other version"]);
}

#[test]
fn groups_of_netcdf_4_have_the_dimensions_above_them() {
    let folder = Folder::new();
    let (file, store) = (folder.text("a.nc"), folder.text("out.zarr"));
    let script = "import sys, netCDF4, numpy as np\n\
        with netCDF4.Dataset(sys.argv[1], 'w') as f:\n\
        \x20   f.createDimension('time', None); f.createDimension('x', 3)\n\
        \x20   f.createVariable('x', 'f8', ('x',))[:] = [1, 2, 3]\n\
        \x20   g = f.createGroup('forecast').createGroup('surface')\n\
        \x20   g.title = 'surface'\n\
        \x20   g.createDimension('y', 2)\n\
        \x20   g.createVariable('time', 'i4', ('time',))[:] = [0, 1]\n\
        \x20   g.createVariable('t', 'f4', ('time', 'y', 'x'))[:] = np.arange(12).reshape(2, 2, 3)\n\
        \x20   f.createGroup('other').createVariable('t', 'f4', ('x',))[:] = 7";
    if python(script, &[&file]).is_none() {
        return;
    }
    levain(&["bake", &file, &store, "--group", "forecast/surface"]).check_done();
    let baked = Baked::open(&store);
    assert_eq!(baked.shape("t"), [2, 2, 3]);
    assert_eq!(baked.values::<f32>("t"), counted(0.0, 12));
    assert_eq!(baked.dataset().variable("t").expect("there").dimensions, ["time", "y", "x"]);
    assert_eq!(baked.dataset().attributes.text("title"), Some("surface"));
    let ran = levain(&["bake", &file, &folder.text("b.zarr"), "--group", "forecast/air"]);
    ran.check_refused("E108", 4, &["surface"]);
}

#[test]
fn one_recipe_writes_several_groups() {
    let folder = Folder::new();
    folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    folder.put("b.nc", &day(DAYS, &[0.0, 1.0], 100.0));
    let recipe = |groups: &str| {
        let common = "destination = 'out.zarr'\nchunks = { time = 1 }\n";
        folder.put_bytes("r.toml", format!("{common}{groups}").as_bytes())
    };
    let path = recipe(
        "[groups.'day/a']\nsources = 'a.nc'\n[groups.b]\nsources = 'b.nc'\nvars = ['t2m']\n",
    );
    let planned = levain(&["plan", &path]);
    planned.check_done();
    assert_eq!(planned.stdout.matches("nothing was written").count(), 2);
    levain(&["bake", &path]).check_done();
    let store = folder.text("out.zarr");
    assert_eq!(in_group(&store, "day/a"), counted(0.0, 12));
    assert_eq!(in_group(&store, "b"), counted(100.0, 12));
    let wrong = recipe("[groups.a]\nsources = 'a.nc'\nchunk = 'time=1'\n");
    levain(&["bake", &wrong]).check_refused("E100", 4, &["did you mean `chunks`?", "groups.a"]);
    let wrong = recipe("[groups.a]\nsources = 'a.nc'\ndestination = 'x'\n");
    levain(&["bake", &wrong]).check_refused("E100", 4, &["no `destination` of its own"]);
}

#[test]
fn codecs_and_chunks_are_those_of_each_variable() {
    let folder = Folder::new();
    let file = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.5));
    let store = folder.text("out.zarr");
    let arguments = ["bake", &file, &store, "--codec", "shuffle+zlib:5"];
    levain(&[&arguments[..], &["--encoding", "t2m=bitround:4+zstd"]].concat()).check_done();
    let codecs =
        |name: &str| open(&store).dataset().variable(name).expect("there").storage.codecs.clone();
    assert_eq!(codecs("t2m"), ["numcodecs.bitround", "bytes", "zstd"]);
    assert_eq!(codecs("lat"), ["bytes", "numcodecs.shuffle", "numcodecs.zlib"]);
    let again = folder.text("b.zarr");
    let refuse = |more: &[&str], code: &str, words: &[&str]| {
        levain(&[&["bake", &file, &again][..], more].concat()).check_refused(code, 4, words);
    };
    refuse(&["--codec", "bitround:4+zstd"], "E100", &["--encoding VAR=CODECS"]);
    refuse(&["--encoding", "t2n=zstd"], "E108", &["t2m"]);
    refuse(&["--encoding", "t2m=delta"], "E100", &["asks for integers", "t2m"]);
    refuse(&["--encoding", "t2m=zstd+delta"], "E100", &["cannot stand behind"]);
}

#[test]
fn ask_22_sizes_ratios_and_multiples_are_answered_and_told() {
    let times: Vec<f64> = (0..40).map(f64::from).collect();
    let folder = Folder::new();
    let file =
        folder.put("a.nc", &day(DAYS, &times, 0.0).format(NcWriteFormat::Nc4).chunked(&[4, 2, 3]));
    let plan = |more: &[&str]| {
        let store = folder.text("x.zarr");
        let ran = levain(&[&["plan", "bake", &file, &store][..], more].concat());
        ran.check_done();
        let row =
            ran.stdout.lines().find(|row| row.trim_start().starts_with("t2m")).expect("a row");
        row.split_whitespace().skip(3).take(3).collect::<Vec<_>>().join(" ")
    };
    // 24 bytes a step: eight steps are 192, and whole chunks of the source.
    assert_eq!(plan(&["--chunks", "200B"]), "8×2×3 192 B");
    assert_eq!(plan(&["--chunks", "time=2x,...=-1"]), "8×2×3 192 B");
    assert_eq!(plan(&["--chunks", "240B", "--chunk-ratio", "time=5,lat=1"]), "8×2×3 192 B");
    // What no combination meets has the nearest one, not an error.
    assert_eq!(plan(&["--chunks", "1B", "--chunk-ratio", "time=1,lat=1,lon=1"]), "1×1×1 4 B");
    let (_folder, store, _) = baked(&[day(DAYS, &times, 0.0)], plain());
    assert_eq!(store.shape("t2m"), [40, 2, 3]);
    let mistake = levain(&["plan", "bake", &file, "x.zarr", "--chunk-ratio", "tme=1"]);
    mistake.check_refused("E107", 4, &["time"]);
}
