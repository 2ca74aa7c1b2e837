//! Recipes: each step does what it says, and those that lie in `examples/recipes` run.

use std::path::Path;

use levain::bake::BakeOptions;
use levain::dataflow::error::ErrorCode;
use levain::job::{Recipe, SampleFormat, write_sample_files, write_sample_tiles};
use netcdf_writer::NcAttrValue;

use crate::baking::{baked, refused};
use crate::command::{command, levain, ran};
use crate::made::{Baked, Folder, Made, counted, day, text};

const DAYS: &str = "days since 2000-01-01";

/// The steps of a recipe.
fn steps(text: &str) -> BakeOptions {
    let recipe = format!("sources = []\ndestination = ''\n{text}");
    Recipe::parse(&recipe, Path::new("")).expect("a recipe").options
}

/// One day as these steps leave it.
fn day_as(text: &str) -> (Folder, Baked) {
    let (folder, store, _) = baked(&[day(DAYS, &[0.0, 1.0, 2.0], 0.0)], steps(text));
    (folder, store)
}

#[test]
fn variables_are_selected_dropped_and_renamed() {
    let (_folder, store) = day_as("[[steps]]\nstep = 'select'\nvars = ['t2m']");
    assert_eq!(store.names(), ["time", "lat", "lon", "t2m"]);
    let (_folder, store) = day_as("[[steps]]\nstep = 'drop'\nvars = ['lat', 'lon']");
    assert_eq!(store.names(), ["time", "t2m"]);
    let (_folder, store) =
        day_as("[[steps]]\nstep = 'rename'\nnames = { t2m = 'tas', lat = 'y', lon = 'x' }");
    assert_eq!(store.names(), ["time", "y", "x", "tas"]);
    let renamed = store.dataset().variable("tas").expect("renamed");
    assert_eq!(renamed.dimensions, ["time", "y", "x"]);
    assert_eq!(store.values::<f32>("tas"), counted(0.0, 18));
    assert_eq!(store.values::<f64>("y"), [10.0, 20.0]);
}

#[test]
fn a_part_is_kept_by_places_by_values_and_by_dates() {
    let (_folder, store) = day_as(
        "[[steps]]\nstep = 'subset'\ndim = 'lon'\nstart = 1\nstop = 3\n\
         [[steps]]\nstep = 'subset'\ndim = 'lat'\nmin = 15\n\
         [[steps]]\nstep = 'subset'\ndim = 'time'\nmin = '2000-01-02'\nmax = '2000-01-02T12:00'",
    );
    assert_eq!(store.values::<f64>("lon"), [1.0, 2.0]);
    assert_eq!(store.values::<f64>("lat"), [20.0]);
    assert_eq!(store.values::<f64>("time"), [1.0]);
    assert_eq!(store.values::<f32>("t2m"), [10.0, 11.0]);
}

#[test]
fn files_without_a_time_follow_each_other_along_a_new_dimension() {
    let scene = |time: f64, first: f32| {
        Made::new()
            .dimension("x", 2)
            .variable("time", "", vec![time], &[("units", text(DAYS))])
            .variable("x", "x", [0.0, 1.0], &[])
            .variable("v", "x", [first, first + 1.0], &[])
    };
    let files = [scene(3.0, 0.0), scene(4.0, 2.0)];
    let options = BakeOptions {
        concat: Some("time".to_owned()),
        ..steps("[[steps]]\nstep = 'expand'\ndim = 'time'")
    };
    let (_folder, store, _) = baked(&files, options);
    assert_eq!(store.dataset().variable("v").expect("there").dimensions, ["time", "x"]);
    assert_eq!(store.values::<f64>("time"), [3.0, 4.0]);
    assert_eq!(store.values::<f64>("x"), [0.0, 1.0]);
    assert_eq!(store.values::<f32>("v"), [0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn values_are_unpacked_before_they_are_changed() {
    let packing = [
        ("scale_factor", NcAttrValue::Doubles(vec![0.5])),
        ("_FillValue", NcAttrValue::Shorts(vec![-1])),
    ];
    let file = || {
        let time = [("units", text(DAYS))];
        Made::new()
            .unlimited("time")
            .variable("time", "time", vec![0.0, 1.0, 2.0, 3.0], &time)
            .variable("v", "time", vec![2i16, 4, 6, -1], &packing)
    };
    let scale = "[[steps]]\nstep = 'scale'\nvars = ['v']\nfactor = 2\noffset = 1\n\
                 [[steps]]\nstep = 'mask'\nvars = ['v']\nabove = 6.5\n\
                 [[steps]]\nstep = 'attributes'\nvar = 'v'\nset = { units = 'm', levels = [1, 2] }";
    let (_folder, store, _) = baked(&[file()], steps(scale));
    let values = store.values::<f64>("v");
    assert_eq!(values[..2], [3.0, 5.0]);
    assert!(values[2].is_nan() && values[3].is_nan(), "{values:?}");
    assert_eq!(store.attributes("v").text("units"), Some("m"));
    assert_eq!(store.attributes("v").get("scale_factor"), None);
    let folder = Folder::new();
    folder.put("a.nc", &file());
    let cast = "sources = 'a.nc'\ndestination = 'out.zarr'\n\
                [[steps]]\nstep = 'cast'\nvars = ['v']\ndtype = 'int32'";
    let recipe = folder.put_bytes("cast.toml", cast.as_bytes());
    let ran = levain(&["bake", &recipe, "--progress", "none"]);
    ran.check_refused("E211", 1, &["NaN is no int32", "variable v"]);
}

#[test]
fn what_a_file_does_not_have_is_refused_with_its_name() {
    let files = || [day(DAYS, &[0.0], 0.0)];
    let unknown = steps("[[steps]]\nstep = 'drop'\nvars = ['t2n']");
    refused(&files(), unknown, ErrorCode::UNKNOWN_VARIABLE, &["`t2n`", "0.nc", "step"]);
    let taken = steps("[[steps]]\nstep = 'rename'\nnames = { t2m = 'lat' }");
    refused(&files(), taken, ErrorCode::INVALID_RECIPE, &["`t2m` cannot become `lat`", "0.nc"]);
    let nothing = steps("[[steps]]\nstep = 'subset'\ndim = 'lat'\nmin = 90");
    refused(&files(), nothing, ErrorCode::INVALID_RECIPE, &["nothing", "`lat`"]);
    let kind = steps("[[steps]]\nstep = 'subset'\ndim = 'time'\nmin = 3.0");
    refused(&files(), kind, ErrorCode::INVALID_RECIPE, &["counts time", "write dates"]);
}

#[test]
fn coordinates_are_named_where_they_belong() {
    let set = steps("[[steps]]\nstep = 'set-coords'\nvars = ['area']");
    let file = day(DAYS, &[0.0], 0.0).variable("area", "lat lon", counted(0.0, 6), &[]);
    let (_folder, store, _) = baked(&[file], set);
    assert_eq!(store.attributes("t2m").text("coordinates"), Some("area"));
    assert_eq!(store.attributes("lat").text("coordinates"), None);
}

#[test]
fn flags_hold_over_a_recipe() {
    let folder = Folder::new();
    folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    let recipe = "sources = 'a.nc'\ndestination = 'out.zarr'\nchunks = { time = 1 }\n";
    let path = folder.put_bytes("feed.toml", recipe.as_bytes());
    levain(&["bake", &path, "--chunks", "time=2,lat=1", "--progress", "none"]).check_done();
    let store = Baked::open(&folder.text("out.zarr"));
    let storage = &store.dataset().variable("t2m").expect("there").storage;
    assert_eq!(storage.chunk_shape.as_deref(), Some(&[2, 1, 3][..]));
    let planned = levain(&["plan", &path, "--overwrite", "--progress", "none"]);
    assert_eq!(planned.exit, Some(0), "{}", planned.stderr);
    assert!(
        planned.stdout.contains("t2m") && planned.stdout.contains("1×2×3"),
        "{}",
        planned.stdout
    );
    let alone = levain(&["bake", &folder.text("a.nc")]);
    alone.check_refused("E100", 4, &["RECIPE.toml"]);
}

#[test]
fn files_are_named_by_a_pattern() {
    let folder = Folder::new();
    for (number, name) in ["20200131", "20200201", "20200202"].iter().enumerate() {
        folder.put(&format!("in/{name}.nc"), &day(DAYS, &[number as f64], 0.0));
    }
    let put = |name: &str, more: &str| {
        let recipe = format!(
            "destination = '{name}.zarr'\n[pattern]\ntemplate = 'in/{{time:%Y%m%d}}.nc'\n{more}\n"
        );
        folder.put_bytes(&format!("{name}.toml"), recipe.as_bytes())
    };
    let days = "{ start = '2020-01-31', end = '2020-02-02', step = '1 day' }";
    let run = |name: &str, more: &str| levain(&["bake", &put(name, more), "--progress", "none"]);
    run("all", &format!("concat = {{ time = {days} }}")).check_done();
    assert_eq!(Baked::open(&folder.text("all.zarr")).values::<f64>("time"), [0.0, 1.0, 2.0]);
    run("two", &format!("prune = 2\nconcat = {{ time = {days} }}")).check_done();
    assert_eq!(Baked::open(&folder.text("two.zarr")).values::<f64>("time"), [0.0, 1.0]);
    let unknown = format!("concat = {{ tmie = {days} }}");
    run("unknown", &unknown).check_refused("E107", 4, &["`{time}`", "did you mean `tmie`?"]);
    let key = "concat = { time = { start = '2020', end = '2021', stpe = '1 day' } }";
    run("key", key).check_refused("E100", 4, &["did you mean `step`?", "dimension"]);
    // Of three days, every second one is the first and the last; one of three is sampled.
    run("every", &format!("prune = {{ every = 2 }}\nconcat = {{ time = {days} }}")).check_done();
    assert_eq!(Baked::open(&folder.text("every.zarr")).values::<f64>("time"), [0.0, 2.0]);
    let sample = format!("prune = {{ sample = 1, dim = 'time' }}\nconcat = {{ time = {days} }}");
    run("sample", &sample).check_done();
    assert_eq!(Baked::open(&folder.text("sample.zarr")).values::<f64>("time").len(), 1);
    let nothing = format!("prune = {{ seed = 1 }}\nconcat = {{ time = {days} }}");
    run("nothing", &nothing).check_refused("E100", 4, &["`first`, `every` and `sample`"]);
    let unknown = format!("prune = {{ first = 1, dim = 'tmie' }}\nconcat = {{ time = {days} }}");
    run("nodim", &unknown).check_refused("E107", 4, &["did you mean `time`?"]);
    let nitems = days.replace("'1 day' }", "'1 day', nitems = 2 }");
    let nitems = format!("concat = {{ time = {nitems} }}");
    run("nitems", &nitems).check_refused("E205", 1, &["says 2", "in/2020"]);
    let twice = "sources = 'a.nc'\ndestination = 'b.zarr'\n[pattern]\ntemplate = 'x'\n";
    let twice = folder.put_bytes("twice.toml", twice.as_bytes());
    levain(&["bake", &twice]).check_refused("E100", 4, &["leave one of the two out"]);
}

#[test]
fn secrets_of_a_query_come_from_the_environment_and_are_shown_nowhere() {
    let folder = Folder::new();
    let recipe = "destination = 'out.zarr'\n[pattern]\ntemplate = 'http://127.0.0.1:9/a.nc?x=1'\n\
                  query-secrets = { token = 'LEVAIN_TEST_TOKEN' }\n";
    let path = folder.put_bytes("secret.toml", recipe.as_bytes());
    let lacking = levain(&["bake", &path, "--progress", "none"]);
    lacking.check_refused("E100", 4, &["`LEVAIN_TEST_TOKEN`", "query-secrets.token"]);
    let mut given = command(&["bake", &path, "--progress", "none"]);
    let given = ran(given.env("LEVAIN_TEST_TOKEN", "hush-hush").output().expect("it starts"));
    assert_ne!(given.exit, Some(0));
    assert!(given.stderr.contains("127.0.0.1:9"), "{}", given.stderr);
    assert!(!given.stderr.contains("hush-hush"), "{}", given.stderr);
}

#[test]
fn the_recipes_that_are_shown_run() {
    let folder = Folder::new();
    write_sample_files(&folder.path("levain-demo/files"), 30_000_000, SampleFormat::InTurns)
        .expect("room for files");
    write_sample_tiles(&folder.path("levain-demo/tiles")).expect("room for files");
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes");
    let mut count = 0;
    for entry in std::fs::read_dir(shown).expect("there are recipes") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|it| it != "toml") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8");
        let text = std::fs::read(&path).expect("a recipe");
        let copy = folder.put_bytes(&format!("examples/recipes/{name}.toml"), &text);
        levain(&["bake", &copy, "--progress", "none"]).check_done();
        let store = Baked::open(&folder.text(&format!("levain-demo/{name}.zarr")));
        assert!(store.dataset().variables.len() >= 4, "{name}");
        count += 1;
    }
    assert!(count >= 8);
    let grid = Baked::open(&folder.text("levain-demo/grid-of-files.zarr"));
    assert_eq!(grid.shape("t2m"), [2, 72, 36, 36]);
    assert_eq!(grid.values::<f64>("lat")[17..19], [5.0, -5.0 + 0.0]);
    let missing = |name: &str| grid.decoded(name).iter().filter(|it| it.is_nan()).count();
    assert_eq!((missing("t2m"), missing("d2m")), (0, 2 * 6 * 36 * 36));
    let region = Baked::open(&folder.text("levain-demo/one-region.zarr"));
    assert_eq!(region.shape("t2m")[1..], [31, 40]);
    let member = Baked::open(&folder.text("levain-demo/ensemble-member.zarr"));
    assert_eq!(member.values::<f64>("member"), [7.0]);
    assert_eq!(member.shape("t2m")[0], 1);
}
