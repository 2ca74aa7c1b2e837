//! What users of other tools asked for about what a store holds: is it what its readers were
//! promised? By the numbers of the list, as in `asks`.

use serde_json::Value;

use crate::command::{Ran, levain};
use crate::made::{Baked, Folder, Made, text};

const DAYS: &str = "days since 2000-01-01";

/// A file of one day: a variable on three latitudes, and bounds that only some files need.
fn day(time: f64, values: [f32; 3], lat: [f64; 3]) -> Made {
    let about = [("units", text("K")), ("coordinates", text("height"))];
    Made::new()
        .unlimited("time")
        .dimension("lat", 3)
        .variable("time", "time", [time], &[("units", text(DAYS))])
        .variable("lat", "lat", lat, &[("units", text("degrees_north"))])
        .variable("t2m", "time lat", values, &about)
        .attribute("title", text("T"))
        .attribute("Conventions", text("CF-1.11"))
}

const LAT: [f64; 3] = [10.0, 20.0, 30.0];

/// Three days; in the second nothing is known.
fn three_days(folder: &Folder) -> Vec<String> {
    let nothing = [f32::NAN; 3];
    let files = [day(0.0, [1.0, 2.0, 3.0], LAT), day(1.0, nothing, LAT), day(2.0, [4.0; 3], LAT)];
    folder.put_all(&files)
}

fn bake(folder: &Folder, sources: &[String], arguments: &[&str]) -> Ran {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let out = folder.text("out.zarr");
    let fixed = [&out, "--progress", "none", "--chunks", "time=1"];
    levain(&[&["bake"], sources.as_slice(), &fixed, arguments].concat())
}

/// What the newest run says that its checks have found.
fn report(folder: &Folder) -> Value {
    let runs = std::fs::read_dir(folder.path("out.zarr.levain")).expect("a run store");
    let mut runs: Vec<_> = runs.map(|run| run.expect("an entry").path()).collect();
    runs.sort();
    let body = std::fs::read(runs.last().expect("a run").join("validation.json"));
    serde_json::from_slice(&body.expect("a report")).expect("JSON")
}

#[test]
fn ask_40_a_store_that_is_not_as_was_asked_does_not_become_visible() {
    let folder = Folder::new();
    let sources = three_days(&folder);
    let asked = "cf,monotonic,no-nan-chunks,attributes=title+institution,range=t2m:0:3.5";
    let refused = bake(&folder, &sources, &["--validate", asked]);
    let words = [
        "validation failed with 4 findings",
        "the attribute `institution` is missing",
        "set it by a step `attributes`",
        "`coordinates` names `height`, and no variable is called so (CF 5)",
        "no-nan-chunks of `t2m` [1, 0]: every element of the chunk is missing",
        "range of `t2m` [2, 0]: values lie between 4 and 4",
        "validation.json",
    ];
    refused.check_refused("E704", 7, &words);
    assert!(!folder.path("out.zarr").exists(), "something is left of the store");
    let report = report(&folder);
    assert_eq!((&report["v"], &report["error_count"]), (&1.into(), &4.into()));
    // Three chunks of the field, one of each coordinate, each read once.
    assert_eq!(report["chunk_count"], 5);
    let findings = report["findings"].as_array().expect("a list");
    let nan = findings.iter().find(|it| it["check"] == "no-nan-chunks").expect("is found");
    assert_eq!((&nan["variable"], &nan["chunk"][0]), (&"t2m".into(), &1.into()));
    assert!(nan["files"][0].as_str().is_some_and(|it| it.ends_with("1.nc")), "{nan}");
    assert_eq!(nan["files"].as_array().map(Vec::len), Some(1), "{nan}");
}

#[test]
fn ask_40_what_is_only_a_warning_is_recorded_and_told() {
    let folder = Folder::new();
    let sources = three_days(&folder);
    let asked = "warn:cf,monotonic,warn:no-nan-chunks,attributes=title";
    let ran = bake(&folder, &sources, &["--validate", asked]);
    ran.check_done();
    assert!(ran.stdout.contains("ok, 2 warnings"), "{}", ran.stdout);
    assert!(ran.stderr.contains("warning: no-nan-chunks: t2m [1, 0]"), "{}", ran.stderr);
    assert_eq!(report(&folder)["warning_count"], 2);
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f64>("time"), [0.0, 1.0, 2.0]);
}

#[test]
fn ask_40_any_store_is_validated_at_any_time() {
    let folder = Folder::new();
    bake(&folder, &three_days(&folder), &[]).check_done();
    let out = folder.text("out.zarr");
    let verify = |checks: &str, more: &[&str]| {
        levain(&[&["verify", &out, "--validate", checks], more].concat())
    };
    verify("monotonic,attributes=title,attributes=units@t2m+lat,range=t2m:1:4", &[]).check_done();
    let found = verify("no-nan-chunks", &["--output", "json"]);
    assert_eq!(found.exit, Some(7), "{}", found.stderr);
    let document: Value = serde_json::from_str(&found.stdout).expect("a document");
    assert_eq!(document["validation"]["findings"][0]["variable"], "t2m");
    assert_eq!(document["error"]["code"], "E704");
    // Without a run store nobody knows the files, and all else is told.
    std::fs::remove_dir_all(folder.path("out.zarr.levain")).expect("the run store");
    let found = verify("no-nan-chunks", &[]);
    assert_eq!(found.exit, Some(7), "{}", found.stderr);
    assert!(found.stderr.contains("t2m [1, 0]"), "{}", found.stderr);
}

#[test]
fn ask_40_an_append_that_is_not_as_was_asked_leaves_the_store_as_it_was() {
    let folder = Folder::new();
    let sources = three_days(&folder);
    bake(&folder, &sources[..1], &[]).check_done();
    let out = folder.text("out.zarr");
    let append = |source: &str| {
        let asked = ["--append", "time", "--validate", "monotonic,no-nan-chunks"];
        levain(&[&["bake", source, &out, "--progress", "none"], &asked[..]].concat())
    };
    append(&sources[1]).check_refused("E704", 7, &["t2m", "[1, 0]", "1.nc"]);
    assert_eq!(Baked::open(&out).values::<f64>("time"), [0.0]);
    append(&sources[2]).check_done();
    assert_eq!(Baked::open(&out).values::<f64>("time"), [0.0, 2.0]);
    // The chunk of the first day is not read again.
    assert_eq!(report(&folder)["chunk_count"], 2);
}

#[test]
fn ask_40_coordinates_are_in_order_where_that_is_asked() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(0.0, [1.0; 3], [10.0, 30.0, 20.0]));
    let source = std::slice::from_ref(&source);
    let refused = bake(&folder, source, &["--validate", "monotonic=lat"]);
    let words = ["`lat` does not ascend or descend", "element 2 is 20.0 after 30.0"];
    refused.check_refused("E704", 7, &words);
    assert!(!folder.path("out.zarr").exists());
    bake(&folder, source, &["--validate", "monotonic"]).check_done();
}

#[test]
fn ask_40_checks_of_nothing_are_refused_before_the_first_write() {
    let folder = Folder::new();
    let sources = three_days(&folder);
    for (asked, words) in [
        ("monotone", ["there is no check `monotone`", "the checks are: cf, monotonic"]),
        ("range=t3m:0:1", ["there is no variable `t3m`", "the variables are"]),
        ("monotonic=t2m", ["has not one dimension", "name coordinates"]),
        ("attributes", ["names no attribute", "attributes=title"]),
    ] {
        let refused = bake(&folder, &sources, &["--validate", asked]);
        assert_eq!(refused.exit, Some(4), "{}", refused.stderr);
        for word in words {
            assert!(refused.stderr.contains(word), "`{word}` is not in\n{}", refused.stderr);
        }
        assert!(!folder.path("out.zarr").exists() && !folder.path("out.zarr.levain").exists());
    }
}

#[test]
fn ask_40_references_are_not_validated_without_a_word() {
    let folder = Folder::new();
    let sources = three_days(&folder);
    let refs = folder.text("refs.json");
    let asked = ["--as", "kerchunk", "--validate", "monotonic"];
    let refused =
        levain(&[&["bake", &sources[0], &refs, "--progress", "none"], &asked[..]].concat());
    refused.check_refused("E100", 4, &["references are not validated", "bake copies"]);
    assert!(!folder.path("refs.json").exists());
}

#[test]
fn ask_40_a_recipe_asks_as_flags_do() {
    let folder = Folder::new();
    three_days(&folder);
    let recipe = |checks: &str| {
        let body =
            format!("sources = '*.nc'\ndestination = 'out.zarr'\nchunks = 'time=1'\n{checks}");
        let path = folder.put_bytes("recipe.toml", body.as_bytes());
        levain(&["bake", &path, "--progress", "none"])
    };
    let tables = "[[validate]]\ncheck = 'no-nan-chunks'\nvars = ['t2m']\n\
                  [[validate]]\ncheck = 'range'\nvars = ['t2m']\nmax = 100\nlevel = 'warn'\n";
    recipe(tables).check_refused("E704", 7, &["t2m", "[1, 0]", "1.nc"]);
    let misspelled = recipe("[[validate]]\ncheck = 'no-nan-chunk'\n");
    misspelled.check_refused("E100", 4, &["did you mean `no-nan-chunks`?"]);
    recipe("validate = ['warn:no-nan-chunks', 'attributes=title']\n").check_done();
}
