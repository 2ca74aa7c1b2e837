//! The target of a bake: groups that are read and written, codecs and chunks by variable.

use std::process::Command;

use levain::array::DatasetSource;
use levain::bake::{BakeOptions, DimOrderPolicy};
use levain::dataflow::error::ErrorCode;
use levain::objects::{Location, StoreOptions};
use levain::zarr::ZarrSource;
use netcdf_writer::NcWriteFormat;

use crate::baking::{baked, plain, refused};
use crate::command::levain;
use crate::made::{Baked, Folder, Made, counted, day, text};

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
        // The runs of groups are known, to the group and to the store.
        let group = format!("{store}/forecast/surface");
        let verified = levain(&["verify", &group, "--level", "digests"]);
        verified.check_done();
        assert!(!verified.stdout.contains("no run store"), "{format}");
        let listed = |place: &str| {
            let listed = levain(&["runs", place, "--output", "json"]);
            listed.check_done();
            let document: serde_json::Value = serde_json::from_str(&listed.stdout).expect("JSON");
            document["runs"].as_array().map(Vec::len)
        };
        assert_eq!((listed(&group), listed(&store)), (Some(1), Some(3)), "{format}");
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

/// Bakes a pyramid of one file with these steps of `x` and `y`, and returns the store.
fn pyramid(folder: &Folder, script: &str, more: &[&str]) -> Option<String> {
    let (file, store) = (folder.text("a.nc"), folder.text("out.zarr"));
    python(script, &[&file])?;
    let arguments = ["bake", &file, &store, "--chunks", "y=3,x=4", "--pyramid-dims", "y,x"];
    levain(&[&arguments[..], more].concat()).check_done();
    Some(store)
}

const FIELD: &str = "import sys, numpy as np, xarray as xr\n\
    rng = np.random.default_rng(1)\n\
    t = rng.normal(size=(3, 13, 9)).astype('f4'); t[rng.random(t.shape) < 0.3] = np.nan\n\
    t[:, :8, :8] = np.nan\n\
    n = rng.integers(-100, 100, (13, 9)).astype('i2')\n\
    ds = xr.Dataset({'t': (('time', 'y', 'x'), t), 'n': (('y', 'x'), n), 's': ('time', [1, 2, 3])},\n\
    \x20   {'y': np.arange(13) * 0.5, 'x': np.arange(9), 'time': [0, 1, 2]}, {'title': 'T'})\n\
    packed = {'dtype': 'i2', 'scale_factor': 0.01, '_FillValue': -999}\n\
    ds['p'] = (('y', 'x'), np.where(rng.random((13, 9)) < 0.2, np.nan, n / 10.0))\n\
    ds.to_netcdf(sys.argv[1], encoding={'p': packed, 't': {'_FillValue': 9e9}})";

/// NumPy's answer for every level, from the file itself.
const ORACLE: &str = "import sys, warnings, json, numpy as np, xarray as xr, zarr\n\
    path, store, method, group = sys.argv[1:5]\n\
    warnings.simplefilter('ignore', RuntimeWarning)\n\
    fine = xr.open_dataset(path)\n\
    def windows(a, dims, f):\n\
    \x20   for axis, name in enumerate(dims):\n\
    \x20       if name in ('y', 'x'):\n\
    \x20           pad = -a.shape[axis] % f\n\
    \x20           a = np.pad(a, [(0, pad if k == axis else 0) for k in range(a.ndim)], constant_values=np.nan)\n\
    \x20   shape, axes = [], []\n\
    \x20   for n, name in zip(a.shape, dims):\n\
    \x20       shape += [n // f, f] if name in ('y', 'x') else [n, 1]\n\
    \x20       axes.append(len(shape) - 1)\n\
    \x20   return a.reshape(shape), tuple(axes)\n\
    for level in range(3):\n\
    \x20   f = 2 ** level\n\
    \x20   got = xr.open_zarr(store, group=f'{group}{level}', consolidated=True, chunks=None)\n\
    \x20   assert set(got.variables) == set(fine.variables), got\n\
    \x20   for name, v in fine.variables.items():\n\
    \x20       a = v.values.astype('f8')\n\
    \x20       if level and method == 'nearest':\n\
    \x20           want = a[tuple(slice(None, None, f) if d in ('y', 'x') else slice(None) for d in v.dims)]\n\
    \x20       elif level and {'y', 'x'} & set(v.dims):\n\
    \x20           w, axes = windows(a, v.dims, f)\n\
    \x20           by = 'mean' if name in ('y', 'x') else method\n\
    \x20           want = getattr(np, 'nan' + by)(w, axis=axes)\n\
    \x20       else:\n\
    \x20           want = a\n\
    \x20       have = got[name].values\n\
    \x20       assert have.shape == want.shape, (name, have.shape, want.shape)\n\
    \x20       np.testing.assert_allclose(have, want.astype(have.dtype), rtol=1e-6, err_msg=name)\n\
    root = zarr.open_group(store, mode='r', path=group.rstrip('/') or None)\n\
    print(json.dumps(dict(root.attrs)['multiscales']))";

#[test]
fn levels_of_a_pyramid_are_what_numpy_makes_of_windows() {
    for (method, format, group) in [
        ("mean", "3", ""),
        ("mean", "2", "deep/down"),
        ("max", "3", "p"),
        ("min", "2", ""),
        ("nearest", "3", ""),
    ] {
        let folder = Folder::new();
        let target = ["--target-group", group];
        let more = ["--pyramid", "3", "--pyramid-method", method, "--zarr-format", format];
        let more = [&more[..], if group.is_empty() { &[] } else { &target[..] }].concat();
        let Some(store) = pyramid(&folder, FIELD, &more) else { return };
        let prefix = if group.is_empty() { String::new() } else { format!("{group}/") };
        let told = python(ORACLE, &[&folder.text("a.nc"), &store, method, &prefix]).expect("there");
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let paths: Vec<&str> = told[0]["datasets"]
            .as_array()
            .expect("levels")
            .iter()
            .filter_map(|level| level["path"].as_str())
            .collect();
        assert_eq!(paths, ["0", "1", "2"], "{method}");
        assert_eq!(told[0]["metadata"]["kwargs"]["factors"], serde_json::json!([1, 2, 4]));
        assert_eq!(told[0]["metadata"]["kwargs"]["method"], method);
        for level in ["0", "1", "2"] {
            levain(&["verify", &format!("{store}/{prefix}{level}")]).check_done();
        }
    }
}

#[test]
fn a_pyramid_is_refused_before_anything_is_written() {
    let folder = Folder::new();
    let file = folder.put("a.nc", &day(DAYS, &[0.0], 0.0));
    let store = folder.text("out.zarr");
    let refuse = |more: &[&str], code: &str, words: &[&str]| {
        levain(&[&["bake", &file, &store][..], more].concat()).check_refused(code, 4, words);
        assert!(!folder.path("out.zarr").exists());
    };
    refuse(&["--pyramid", "2"], "E100", &["no dimension is named"]);
    refuse(&["--pyramid", "2", "--pyramid-dims", "lot"], "E107", &["lat"]);
    refuse(&["--pyramid", "0", "--pyramid-dims", "lat"], "E100", &["1 to 32 levels"]);
    let method = ["--pyramid", "2", "--pyramid-dims", "lat", "--pyramid-method", "median"];
    refuse(&method, "E100", &["mean, max, min, nearest"]);
    refuse(&["--pyramid-dims", "lat"], "E100", &["--pyramid 3"]);
    // The greatest level is there: nothing is written over unless that is asked for.
    let pyramid = ["bake", &file, &store, "--pyramid", "2", "--pyramid-dims", "lat,lon"];
    levain(&pyramid).check_done();
    levain(&pyramid).check_refused("E106", 4, &["--overwrite"]);
    levain(&[&pyramid[..], &["--overwrite"]].concat()).check_done();
    assert_eq!(open(&store).dataset().groups, ["0", "1"]);
    // Levels would be of the first day alone.
    let more = folder.put("b.nc", &day(DAYS, &[1.0], 12.0));
    for flags in [&["--append", "time"][..], &["--region", "auto"]] {
        for group in [&[][..], &["--target-group", "0"]] {
            let into = levain(&[&["bake", &more, &store][..], flags, group].concat());
            into.check_refused("E204", 1, &["pyramid", "coarser levels", "--overwrite"]);
        }
    }
    assert_eq!(Baked::open(&folder.text("out.zarr/0")).shape("t2m")[0], 1);
    let coarse = open(&store).group(&"1".parse().expect("a path")).expect("a level");
    assert_eq!(coarse.dataset().variable("t2m").expect("there").shape, [1, 1, 2]);
    // A run that was killed while it wrote levels leaves them, and the next one writes them anew.
    std::fs::remove_file(folder.path("out.zarr/zarr.json")).expect("shown");
    std::fs::remove_file(folder.path("out.zarr/0/zarr.json")).expect("finished");
    std::fs::remove_file(folder.path("out.zarr/1/zarr.json")).expect("finished");
    let runs = folder.path("out.zarr.levain/groups/0.levain");
    let newest = std::fs::read_dir(runs).expect("runs").map(|run| run.expect("a run").path());
    let newest = newest.max().expect("a run");
    std::fs::remove_file(newest.join("result.json")).expect("ended");
    levain(&pyramid).check_done();
    assert_eq!(open(&store).dataset().groups, ["0", "1"]);
    let recipe = format!(
        "sources = '{file}'\ndestination = 'x.zarr'\n[pyramid]\nlevels = 2\ndim = ['lat']\n"
    );
    let recipe = folder.put_bytes("r.toml", recipe.as_bytes());
    levain(&["bake", &recipe]).check_refused("E100", 4, &["did you mean `dims`?"]);
}

#[test]
fn ask_08_dimensions_in_another_order_are_turned_to_that_of_the_first_file() {
    let file = |step: f64, first: f32, is_turned: bool| {
        let values = counted(first, 6);
        let turned: Vec<f32> = (0..3).flat_map(|x| [values[x], values[3 + x]]).collect();
        let time = [("units", text(DAYS))];
        let made = Made::new().unlimited("time").dimension("y", 2).dimension("x", 3);
        let made = made.variable("time", "time", [step], &time);
        match is_turned {
            true => made.variable("t", "time x y", turned, &[]),
            false => made.variable("t", "time y x", values, &[]),
        }
    };
    let files = [file(0.0, 0.0, false), file(1.0, 6.0, true)];
    let (_folder, store, warnings) = baked(&files, plain());
    assert_eq!(store.dataset().variable("t").expect("there").dimensions, ["time", "y", "x"]);
    assert_eq!(store.values::<f32>("t"), counted(0.0, 12));
    assert!(warnings.iter().any(|it| it.contains("order")), "{warnings:?}");
    let options = BakeOptions { dim_order: DimOrderPolicy::Error, ..plain() };
    let words = ["(time, y, x) and (time, x, y)", "--dim-order transpose"];
    refused(&files, options, ErrorCode::GRIDS_DIFFER, &words);
}

#[test]
fn ask_13_texts_are_of_any_length_in_both_formats() {
    for format in ["2", "3"] {
        let folder = Folder::new();
        let time = [("units", text(DAYS))];
        let file = |step: f64, words: [&str; 2]| {
            let words = words.map(str::to_owned).to_vec();
            let made = Made::new().format(NcWriteFormat::Nc4).unlimited("time").dimension("n", 2);
            made.variable("time", "time", [step], &time).variable("w", "time n", words, &[])
        };
        let a = folder.put("a.nc", &file(0.0, ["S35", ""]));
        let b = folder.put("b.nc", &file(1.0, ["größer", "x"]));
        let store = folder.text("out.zarr");
        levain(&["bake", &a, &b, &store, "--zarr-format", format]).check_done();
        assert_eq!(Baked::open(&store).texts("w"), ["S35", "", "größer", "x"], "{format}");
        let script = "import sys, xarray as xr\n\
            print('/'.join(map(str, xr.open_zarr(sys.argv[1], chunks=None).w.values.ravel())))";
        if let Some(told) = python(script, &[&store]) {
            assert_eq!(told, "S35//größer/x", "{format}");
        }
    }
}
