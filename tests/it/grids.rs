//! Files in a grid: several concat dimensions, merge dimensions, dimensions made from keys.

mod holes;
mod joins;
mod made_dims;
mod random;

use levain::bake::{
    BakeOptions, CombineDim, FilePattern, JoinPolicy, Keys, MissingFilePolicy, OverlapPolicy,
    PresencePolicy, StaticPolicy,
};
use levain::dataflow::error::{Error, ErrorCode};
use levain::dataflow::testing::python;
use levain::job::{Bake, BakeReport};
use netcdf_writer::NcAttrValue;

use crate::baking::plain;
use crate::command::levain;
use crate::made::{Baked, Folder, Made, text};

const DAYS: &str = "days since 2000-01-01";

/// A file of one variable on a grid of `time`, `lat` and `lon`, whose elements are what `value`
/// makes of their coordinates.
fn field(name: &str, times: &[f64], lats: &[f64], value: impl Fn(f64, f64, f64) -> f32) -> Made {
    field_since(DAYS, 1.0, (name, times, lats), value)
}

/// The same, whose `time` is counted otherwise: so many a day, since one.
fn field_since(
    units: &str,
    a_day: f64,
    (name, times, lats): (&str, &[f64], &[f64]),
    value: impl Fn(f64, f64, f64) -> f32,
) -> Made {
    let lons = [0.0, 1.0];
    let mut values = Vec::new();
    for &time in times {
        for &lat in lats {
            values.extend(lons.iter().map(|&lon| value(time, lat, lon)));
        }
    }
    Made::new()
        .unlimited("time")
        .dimension("lat", lats.len() as u64)
        .dimension("lon", 2)
        .variable(
            "time",
            "time",
            times.iter().map(|it| it * a_day).collect::<Vec<f64>>(),
            &[("units", text(units))],
        )
        .variable("lat", "lat", lats.to_vec(), &[("units", text("degrees_north"))])
        .variable("lon", "lon", lons, &[("units", text("degrees_east"))])
        .variable(name, "time lat lon", values, &[("units", text("K"))])
}

fn keys(count: i64) -> Keys {
    Keys::integers(0, count - 1, 1).expect("keys")
}

fn names(names: &[&str]) -> Keys {
    Keys::texts(names.iter().copied()).expect("keys")
}

/// A pattern of files in this folder.
fn pattern(
    folder: &Folder,
    template: &str,
    dims: impl IntoIterator<Item = CombineDim>,
) -> FilePattern {
    let template = folder.text(template).parse().expect("a template");
    FilePattern::new(template, dims).expect("a pattern")
}

fn bake(folder: &Folder, pattern: FilePattern, options: BakeOptions) -> Result<BakeReport, Error> {
    Bake::of_pattern(pattern, &folder.text("out.zarr"))?.with_options(options).run()
}

#[track_caller]
fn baked(folder: &Folder, pattern: FilePattern, options: BakeOptions) -> (Baked, Vec<String>) {
    let report = bake(folder, pattern, options).expect("one store");
    (Baked::open(&folder.text("out.zarr")), report.plan.warnings)
}

#[track_caller]
fn refused(
    folder: &Folder,
    pattern: FilePattern,
    options: BakeOptions,
    code: ErrorCode,
    words: &[&str],
) {
    let error = bake(folder, pattern, options).map(drop).expect_err("a refusal");
    assert_eq!(error.code(), code, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is not in\n{error}");
    }
    assert!(!folder.path("out.zarr").exists(), "something is left of the store");
}

/// What stands at a time, a latitude and a longitude.
fn t(time: f64, lat: f64, lon: f64) -> f32 {
    (1000.0 * time + 10.0 * lat + lon) as f32
}

fn q(time: f64, lat: f64, lon: f64) -> f32 {
    -t(time, lat, lon)
}

/// The two time files and the three latitude files of a grid, of lengths that are not the same.
const TIMES: [&[f64]; 2] = [&[0.0, 1.0, 2.0], &[3.0, 4.0]];
const LATS: [&[f64]; 3] = [&[-30.0], &[-10.0, 10.0], &[30.0, 40.0, 50.0]];

/// Two times x three latitudes x two variables.
fn put_grid(folder: &Folder) {
    for (i, times) in TIMES.iter().enumerate() {
        for (j, lats) in LATS.iter().enumerate() {
            folder.put(&format!("t_{i}_{j}.nc"), &field("t", times, lats, t));
            folder.put(&format!("q_{i}_{j}.nc"), &field("q", times, lats, q));
        }
    }
}

/// All elements of a variable of the grid, as the oracle has them.
fn oracle(value: impl Fn(f64, f64, f64) -> f32) -> Vec<f32> {
    let mut all = Vec::new();
    for time in TIMES.concat() {
        for lat in LATS.concat() {
            all.extend([0.0, 1.0].map(|lon| value(time, lat, lon)));
        }
    }
    all
}

#[test]
fn a_grid_of_two_concat_dimensions_and_a_merge_is_the_oracle_for_any_order_and_chunks() {
    let folder = Folder::new();
    put_grid(&folder);
    let dims = [
        CombineDim::concat("time", keys(2)),
        CombineDim::merge("var", names(&["t", "q"])),
        CombineDim::concat("lat", keys(3)),
    ];
    let orders = [[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1]];
    for (order, chunks) in orders.iter().zip(["time=1", "time=2,lat=4", "time=-1,lat=-1", "lat=1"])
    {
        let dims = order.map(|dim| dims[dim].clone());
        let options = BakeOptions { chunks: chunks.parse().expect("lengths"), ..plain() };
        let (store, warnings) =
            baked(&folder, pattern(&folder, "{var}_{time}_{lat}.nc", dims), options);
        assert_eq!(store.values::<f64>("time"), TIMES.concat());
        assert_eq!(store.values::<f64>("lat"), LATS.concat());
        assert_eq!(store.values::<f64>("lon"), [0.0, 1.0]);
        assert_eq!(store.shape("t"), [5, 6, 2]);
        assert_eq!(store.values::<f32>("t"), oracle(t));
        assert_eq!(store.values::<f32>("q"), oracle(q));
        assert_eq!(warnings, Vec::<String>::new());
        std::fs::remove_dir_all(folder.path("out.zarr")).expect("the store was there");
    }
}

#[test]
fn times_are_the_same_whatever_they_count_and_some_variables_are_chosen() {
    let folder = Folder::new();
    put_grid(&folder);
    for (i, times) in TIMES.iter().enumerate() {
        for (j, lats) in LATS.iter().enumerate() {
            let hourly = field_since("hours since 2000-01-01", 24.0, ("q", times, lats), q);
            folder.put(&format!("q_{i}_{j}.nc"), &hourly);
        }
    }
    let all = || {
        let dims = [
            CombineDim::merge("var", names(&["t", "q"])),
            CombineDim::concat("time", keys(2)),
            CombineDim::concat("lat", keys(3)),
        ];
        pattern(&folder, "{var}_{time}_{lat}.nc", dims)
    };
    let (store, _) = baked(&folder, all(), plain());
    let days = ["2000-01-01", "2000-01-02", "2000-01-03", "2000-01-04", "2000-01-05"];
    assert_eq!(store.times("time"), days.map(|day| format!("{day}T00:00:00")));
    assert_eq!((store.values::<f32>("t"), store.values::<f32>("q")), (oracle(t), oracle(q)));
    std::fs::remove_dir_all(folder.path("out.zarr")).expect("the store was there");
    let (store, _) = baked(&folder, all(), crate::baking::choosing(&["q"]));
    assert_eq!(store.names(), ["time", "lat", "lon", "q"]);
    assert_eq!(store.values::<f32>("q"), oracle(q));
    let folder_of_other = Folder::new();
    put_grid(&folder_of_other);
    let other =
        pattern(&folder_of_other, "{var}_0_0.nc", [CombineDim::merge("var", names(&["t", "q"]))]);
    let misspelled = crate::baking::choosing(&["qq"]);
    refused(&folder_of_other, other, misspelled, ErrorCode::UNKNOWN_VARIABLE, &["`qq`"]);
}

#[test]
fn a_step_changes_the_variables_that_a_file_has() {
    let folder = Folder::new();
    put_grid(&folder);
    let put = |vars: &str| {
        let recipe = format!(
            "destination = 'out.zarr'\n[pattern]\ntemplate = '{{var}}_{{time}}_0.nc'\n\
             merge = {{ var = ['t', 'q'] }}\nconcat = {{ time = [0, 1] }}\n\
             [[steps]]\nstep = 'scale'\nvars = {vars}\nfactor = 2\n\
             [[steps]]\nstep = 'rename'\nnames = {{ t = 'tas', lon = 'x' }}\n"
        );
        folder.put_bytes("steps.toml", recipe.as_bytes())
    };
    let misspelled = levain(&["bake", &put("['q', 'tt']"), "--progress", "none"]);
    misspelled.check_refused("E108", 4, &["`tt`", "step"]);
    levain(&["bake", &put("['q']"), "--progress", "none"]).check_done();
    let store = Baked::open(&folder.text("out.zarr"));
    assert_eq!(store.names(), ["time", "lat", "x", "tas", "q"]);
    assert_eq!(store.values::<f32>("tas")[..4], [-300.0, -299.0, 700.0, 701.0]);
    assert_eq!(store.decoded("q")[..4], [600.0, 598.0, -1400.0, -1402.0]);
}

#[test]
fn a_file_of_a_grid_that_is_missing_is_named() {
    let folder = Folder::new();
    put_grid(&folder);
    std::fs::remove_file(folder.path("t_1_1.nc")).expect("it was there");
    let dims = || [CombineDim::concat("time", keys(2)), CombineDim::concat("lat", keys(3))];
    let all = || pattern(&folder, "t_{time}_{lat}.nc", dims());
    refused(&folder, all(), plain(), ErrorCode::NOTHING_MATCHES, &["t_1_1.nc"]);
    let skip = BakeOptions { missing_files: MissingFilePolicy::Skip, ..plain() };
    refused(&folder, all(), skip, ErrorCode::NOTHING_MATCHES, &["t_1_1.nc", "grid", "fill"]);
}

#[test]
fn files_that_are_merged_along_two_dimensions_need_no_concat_dimension() {
    let folder = Folder::new();
    for var in ["t", "q"] {
        for level in ["low", "high"] {
            let name = format!("{var}_{level}");
            let made = Made::new()
                .dimension("x", 3)
                .variable("x", "x", [0.0, 1.0, 2.0], &[])
                .variable(&name, "x", [1.0f32, 2.0, 3.0], &[]);
            folder.put(&format!("{name}.nc"), &made);
        }
    }
    let dims = [
        CombineDim::merge("var", names(&["t", "q"])),
        CombineDim::merge("level", names(&["low", "high"])),
    ];
    let (store, _) = baked(&folder, pattern(&folder, "{var}_{level}.nc", dims), plain());
    assert_eq!(store.names(), ["x", "t_low", "t_high", "q_low", "q_high"]);
    assert_eq!(store.values::<f32>("q_high"), [1.0, 2.0, 3.0]);
}

#[test]
fn a_pattern_without_dimensions_is_one_file() {
    let folder = Folder::new();
    folder.put("t.nc", &field("t", &[0.0], &[5.0], t));
    let (store, _) = baked(&folder, pattern(&folder, "t.nc", []), plain());
    assert_eq!(store.values::<f32>("t"), [50.0, 51.0]);
}

fn joined(join: JoinPolicy) -> BakeOptions {
    BakeOptions { join, ..plain() }
}

#[test]
fn files_of_other_concat_keys_must_hold_the_same_elements() {
    let folder = Folder::new();
    put_grid(&folder);
    // One tile is a day late.
    folder.put("t_1_2.nc", &field("t", &[4.0, 5.0], LATS[2], t));
    let dims = [CombineDim::concat("time", keys(2)), CombineDim::concat("lat", keys(3))];
    let words = ["`time`", "t_1_0.nc", "t_1_2.nc", "time=1, lat=2", "2000-01-05"];
    let all = pattern(&folder, "t_{time}_{lat}.nc", dims);
    refused(&folder, all, joined(JoinPolicy::Outer), ErrorCode::GRIDS_DIFFER, &words);
}

#[test]
fn order_is_checked_along_every_concat_dimension() {
    let folder = Folder::new();
    put_grid(&folder);
    let dims = || {
        let turned = Keys::listed_integers([0, 2, 1]).expect("keys");
        [CombineDim::concat("time", keys(2)), CombineDim::concat("lat", turned)]
    };
    let all = || pattern(&folder, "t_{time}_{lat}.nc", dims());
    let words = ["not in order", "`lat`", "t_0_2.nc", "t_0_1.nc"];
    refused(&folder, all(), plain(), ErrorCode::NOT_ASCENDING, &words);
    let sort = BakeOptions { overlap: OverlapPolicy::Sort, ..plain() };
    let (store, _) = baked(&folder, all(), sort);
    assert_eq!(store.values::<f64>("lat"), LATS.concat());
    assert_eq!(store.values::<f32>("t"), oracle(t));
}

#[test]
fn what_lacks_a_concat_dimension_is_compared_and_written_once() {
    let put = |folder: &Folder, last: f32| {
        for (i, times) in TIMES.iter().enumerate() {
            for (j, lats) in LATS.iter().enumerate() {
                let is_last = (i, j) == (1, 2);
                let area = lats.iter().map(|&lat| lat as f32 + if is_last { last } else { 0.0 });
                let made = field("t", times, lats, t)
                    .variable("area", "lat", area.collect::<Vec<f32>>(), &[])
                    .variable("crs", "", [if is_last { last as i32 } else { 0 }], &[]);
                folder.put(&format!("t_{i}_{j}.nc"), &made);
            }
        }
    };
    let dims = || [CombineDim::concat("time", keys(2)), CombineDim::concat("lat", keys(3))];
    let all = |folder: &Folder| pattern(folder, "t_{time}_{lat}.nc", dims());
    let folder = Folder::new();
    put(&folder, 0.0);
    let (store, _) = baked(&folder, all(&folder), plain());
    let area: Vec<f32> = LATS.concat().iter().map(|&lat| lat as f32).collect();
    assert_eq!(store.values::<f32>("area"), area);
    assert_eq!(store.shape("crs"), [0u64; 0]);
    let folder = Folder::new();
    put(&folder, 9.0);
    let words = ["area", "t_0_2.nc", "t_1_2.nc", "`time`"];
    refused(&folder, all(&folder), plain(), ErrorCode::STATIC_DIFFERS, &words);
    let first = BakeOptions { statics: StaticPolicy::First, ..plain() };
    let (store, _) = baked(&folder, all(&folder), first);
    assert_eq!(store.values::<f32>("area"), area);
    std::fs::remove_dir_all(folder.path("out.zarr")).expect("the store was there");
    let concat = BakeOptions { statics: StaticPolicy::Concat, ..plain() };
    let (store, _) = baked(&folder, all(&folder), concat);
    assert_eq!(store.shape("area"), [5, 6]);
    let later: Vec<f32> =
        area.iter().map(|&lat| if lat >= 30.0 { lat + 9.0 } else { lat }).collect();
    assert_eq!(store.values::<f32>("area"), [&area[..], &area, &area, &later, &later].concat());
    assert_eq!(store.shape("crs"), [5, 6]);
    let crs = store.values::<i32>("crs");
    assert_eq!(crs.iter().filter(|&&it| it == 9).count(), 6);
    assert_eq!(crs[3 * 6 + 3..4 * 6], [9, 9, 9]);
}

#[test]
fn a_grid_that_is_rounded_is_one_grid_where_that_is_allowed() {
    let folder = Folder::new();
    for (i, times) in TIMES.iter().enumerate() {
        for (j, lats) in LATS.iter().enumerate() {
            let off = 1e-13 * (3 * i + j) as f64;
            let rounded: Vec<f64> = lats.iter().map(|lat| lat + lat * off).collect();
            let value = |time, lat: f64, lon| t(time, lat.round(), lon);
            let made =
                field("t", times, &rounded, value).variable("area", "lat", rounded.clone(), &[]);
            folder.put(&format!("t_{i}_{j}.nc"), &made);
        }
    }
    let dims = || [CombineDim::concat("time", keys(2)), CombineDim::concat("lat", keys(3))];
    let all = || pattern(&folder, "t_{time}_{lat}.nc", dims());
    refused(&folder, all(), plain(), ErrorCode::GRIDS_DIFFER, &["`lat`", "t_0_0.nc", "t_1_0.nc"]);
    let close = |tolerance| BakeOptions { statics: StaticPolicy::Close(tolerance), ..plain() };
    refused(&folder, all(), close(1e-15), ErrorCode::GRIDS_DIFFER, &["`lat`"]);
    let (store, warnings) = baked(&folder, all(), close(1e-9));
    assert_eq!(store.values::<f32>("t"), oracle(t));
    let firsts: Vec<f64> = (0..)
        .zip(LATS)
        .flat_map(|(j, lats)| lats.iter().map(move |lat| lat + lat * 1e-13 * f64::from(j)))
        .collect();
    assert_eq!(store.values::<f64>("lat"), firsts);
    assert_eq!(store.values::<f64>("area"), firsts);
    assert!(warnings.iter().any(|it| it.starts_with("area differs by up to")), "{warnings:?}");
}

#[test]
fn coordinates_of_merge_keys_must_mean_the_same() {
    let folder = Folder::new();
    let put = |var: &str, scale: f64, depths: [i16; 2]| {
        let scale = [("scale_factor", NcAttrValue::Doubles(vec![scale]))];
        let made = field(var, &[0.0, 1.0], &[5.0], t)
            .variable("depth", "time", depths, &scale)
            .attribute_of(var, "coordinates", text("depth"));
        folder.put(&format!("{var}_0.nc"), &made);
    };
    let all = || {
        let var = CombineDim::merge("var", names(&["t", "q"]));
        pattern(&folder, "{var}_{time}.nc", [var, CombineDim::concat("time", keys(1))])
    };
    put("t", 1.0, [3, 4]);
    put("q", 1.0, [3, 4]);
    let (store, _) = baked(&folder, all(), plain());
    assert_eq!(store.decoded("depth"), [3.0, 4.0]);
    std::fs::remove_dir_all(folder.path("out.zarr")).expect("the store was there");
    let words = ["`depth` differs between the files of merge keys", "t_0.nc", "q_0.nc"];
    for (scale, depths) in [(1.0, [3, 5]), (2.0, [3, 4])] {
        put("q", scale, depths);
        refused(&folder, all(), plain(), ErrorCode::STATIC_DIFFERS, &words);
    }
    // Of elements that only one of them has, nothing can differ.
    let later = field("q", &[1.0, 2.0], &[5.0], q)
        .variable("depth", "time", [4i16, 9], &[("scale_factor", NcAttrValue::Doubles(vec![1.0]))])
        .attribute_of("q", "coordinates", text("depth"));
    folder.put("q_0.nc", &later);
    let (store, _) = baked(&folder, all(), joined(JoinPolicy::Outer));
    assert_eq!(store.decoded("depth"), [3.0, 4.0, 9.0]);
    std::fs::remove_dir_all(folder.path("out.zarr")).expect("the store was there");
    let later = field("q", &[1.0, 2.0], &[5.0], q)
        .variable("depth", "time", [8i16, 9], &[("scale_factor", NcAttrValue::Doubles(vec![1.0]))])
        .attribute_of("q", "coordinates", text("depth"));
    folder.put("q_0.nc", &later);
    refused(&folder, all(), joined(JoinPolicy::Outer), ErrorCode::STATIC_DIFFERS, &words);
}

#[test]
fn a_variable_that_some_files_of_its_merge_key_lack_is_filled_when_it_may_be() {
    let folder = Folder::new();
    put_grid(&folder);
    folder.put("q_1_1.nc", &field("other", TIMES[1], LATS[1], q));
    let dims = || {
        [
            CombineDim::merge("var", names(&["t", "q"])),
            CombineDim::concat("time", keys(2)),
            CombineDim::concat("lat", keys(3)),
        ]
    };
    let all = || pattern(&folder, "{var}_{time}_{lat}.nc", dims());
    let words = ["1 of 6 files", "variable q", "q_1_1.nc"];
    refused(&folder, all(), plain(), ErrorCode::VARIABLE_MISSING, &words);
    let union = BakeOptions { presence: PresencePolicy::Union, ..plain() };
    let (store, _) = baked(&folder, all(), union);
    assert_eq!(store.values::<f32>("t"), oracle(t));
    let q_or_hole = |time, lat, lon| {
        if time >= 3.0 && LATS[1].contains(&lat) { f32::NAN } else { q(time, lat, lon) }
    };
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    assert_eq!(bits(store.values("q")), bits(oracle(q_or_hole)));
}

#[test]
fn a_grid_says_what_it_will_do_and_verifies_and_appends_nothing() {
    let folder = Folder::new();
    put_grid(&folder);
    let recipe = "destination = 'out.zarr'\nchunks = 'time=1,lat=2'\n[pattern]\n\
                  template = '{var}_{time}_{lat}.nc'\n\
                  merge = { var = ['t', 'q'] }\n\
                  concat = { time = { start = 0, end = 1 }, lat = [0, 1, 2] }\n";
    let path = folder.put_bytes("grid.toml", recipe.as_bytes());
    let planned = levain(&["plan", &path, "--progress", "none"]);
    assert!(planned.stdout.contains("12 files"), "{}", planned.stdout);
    assert!(planned.stdout.contains("along time (5), lat (6)"), "{}", planned.stdout);
    levain(&["bake", &path, "--progress", "none"]).check_done();
    let store = Baked::open(&folder.text("out.zarr"));
    assert_eq!(store.values::<f32>("q"), oracle(q));
    levain(&["verify", &folder.text("out.zarr")]).check_done();
    let chunk = folder.path("out.zarr/q/c/3/1/0");
    std::fs::write(&chunk, b"damaged").expect("the chunk is there");
    let verified = levain(&["verify", &folder.text("out.zarr")]);
    let said = format!("{}{}", verified.stdout, verified.stderr);
    assert!(said.contains("q_1_1.nc") && said.contains("q_1_2.nc"), "{said}");
    assert!(!said.contains("q_0_1.nc") && !said.contains("t_1_1.nc"), "{said}");
    let appended = levain(&["bake", &path, "--append", "time", "--progress", "none"]);
    appended.check_refused("E204", 1, &["append", "several"]);
}

#[test]
fn a_grid_is_resumed_and_a_pattern_of_one_dimension_appends() {
    let folder = Folder::new();
    put_grid(&folder);
    let put = |name: &str, pattern: &str| {
        let recipe = format!("destination = '{name}.zarr'\n[pattern]\n{pattern}\n");
        folder.put_bytes(&format!("{name}.toml"), recipe.as_bytes())
    };
    let grid = put(
        "grid",
        "template = '{var}_{time}_{lat}.nc'\nmerge = { var = ['t', 'q'] }\n\
         concat = { time = [0, 1], lat = [0, 1, 2] }",
    );
    levain(&["bake", &grid, "--progress", "none"]).check_done();
    let again = levain(&["bake", &grid, "--resume", "--progress", "none"]);
    again.check_done();
    assert!(again.stderr.contains("the store is complete"), "{}", again.stderr);
    let list = |more: &str| {
        let keys = "concat = { time = { start = 0, end = 1 } }";
        put("list", &format!("template = 'q_{{time}}_1.nc'\n{keys}\n{more}"))
    };
    levain(&["bake", &list("prune = 1"), "--progress", "none"]).check_done();
    let store = || Baked::open(&folder.text("list.zarr"));
    assert_eq!(store().values::<f64>("time"), TIMES[0]);
    levain(&["bake", &list(""), "--append", "time", "--progress", "none"]).check_done();
    assert_eq!(store().values::<f64>("time"), TIMES.concat());
    assert_eq!(store().values::<f32>("q").len(), 5 * 2 * 2);
}

#[test]
fn lengths_that_a_pattern_states_are_checked() {
    let folder = Folder::new();
    put_grid(&folder);
    let nitems = std::num::NonZeroU64::new(3).expect("not zero");
    let time = CombineDim::concat("time", keys(2)).with_nitems_per_file(nitems).expect("a length");
    let all = pattern(&folder, "t_{time}_0.nc", [time]);
    let words = ["2 elements", "`time`", "says 3", "t_1_0.nc"];
    refused(&folder, all, plain(), ErrorCode::GRIDS_DIFFER, &words);
}

#[test]
fn a_grid_is_what_xarray_makes_of_the_files_one_by_one() {
    let Some(python) = python() else { return };
    for (join, word) in [(JoinPolicy::Inner, "inner"), (JoinPolicy::Outer, "outer")] {
        let folder = Folder::new();
        put_grid(&folder);
        // In hours, from another day, and from the third day to one more than the other has.
        let later: [&[f64]; 2] = [&[1.0, 2.0], &[3.0, 4.0, 5.0]];
        for (i, times) in later.iter().enumerate() {
            let times: Vec<f64> = times.iter().map(|it| it - 1.0).collect();
            for (j, lats) in LATS.iter().enumerate() {
                let of_day = |time, lat, lon| q(time + 1.0, lat, lon);
                let made = field_since("hours since 2000-01-02", 24.0, ("q", &times, lats), of_day);
                folder.put(&format!("q_{i}_{j}.nc"), &made);
            }
        }
        let dims = [
            CombineDim::merge("var", names(&["t", "q"])),
            CombineDim::concat("time", keys(2)),
            CombineDim::concat("lat", keys(3)),
        ];
        baked(&folder, pattern(&folder, "{var}_{time}_{lat}.nc", dims), joined(join));
        let output = std::process::Command::new(&python)
            .args(["-c", include_str!("grids/xarray.py"), &folder.text("."), word, "2", "3"])
            .output()
            .expect("LEVAIN_TEST_PYTHON is an interpreter");
        let told = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}\n{errors}");
    }
}
