//! Files in a grid: several concat dimensions, merge dimensions, dimensions made from keys.

use levain::bake::{
    BakeOptions, CombineDim, FilePattern, JoinPolicy, Keys, MissingFilePolicy, OverlapPolicy,
    PresencePolicy, StaticPolicy,
};
use levain::dataflow::error::{Error, ErrorCode};
use levain::dataflow::testing::python;
use levain::job::{Bake, BakeReport};
use netcdf_writer::NcAttrValue;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, prop_oneof, proptest};

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
    refused(&folder, all(), skip, ErrorCode::NOTHING_MATCHES, &["t_1_1.nc", "grid"]);
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

#[test]
fn dimensions_are_made_from_keys() {
    let folder = Folder::new();
    for member in [3, 7] {
        for model in ["a", "b"] {
            for year in 0..2 {
                let more = if model == "a" { 0.0 } else { 0.5 };
                let value = move |time, lat, lon| t(time, lat, lon) + more + member as f32 * 1e5;
                let made = field("t", &[f64::from(year)], &[5.0], value);
                folder.put(&format!("{model}_{member}_{year}.nc"), &made);
            }
        }
    }
    let dims = [
        CombineDim::expand("model", names(&["a", "b"])),
        CombineDim::expand("member", Keys::listed_integers([3, 7]).expect("keys")),
        CombineDim::concat("time", keys(2)),
    ];
    let (store, _) = baked(&folder, pattern(&folder, "{model}_{member}_{time}.nc", dims), plain());
    assert_eq!(
        store.dataset().variable("t").expect("there").dimensions,
        ["model", "member", "time", "lat", "lon"]
    );
    assert_eq!(store.texts("model"), ["a", "b"]);
    assert_eq!(store.values::<i64>("member"), [3, 7]);
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0]);
    let corner: Vec<f32> = store.values::<f32>("t").into_iter().step_by(2).collect();
    let expected =
        [300_050.0, 301_050.0, 700_050.0, 701_050.0, 300_050.5, 301_050.5, 700_050.5, 701_050.5];
    assert_eq!(corner, expected);
}

#[test]
fn keys_that_make_a_dimension_keep_the_order_in_which_they_are_given() {
    let folder = Folder::new();
    for member in [3, 5, 7] {
        for var in ["t", "q"] {
            let made = field(var, &[0.0], &[5.0], move |_, _, lon| member as f32 + lon as f32);
            folder.put(&format!("{var}_{member}.nc"), &made);
        }
    }
    let member =
        |keys: [i64; 3]| CombineDim::expand("member", Keys::listed_integers(keys).expect("keys"));
    let corner =
        |store: &Baked| store.values::<f32>("t").into_iter().step_by(2).collect::<Vec<f32>>();
    let var = CombineDim::merge("var", names(&["t", "q"]));
    for dims in [vec![member([7, 3, 5])], vec![member([7, 3, 5]), var]] {
        let template = if dims.len() == 1 { "t_{member}.nc" } else { "{var}_{member}.nc" };
        let all = || pattern(&folder, template, dims.clone());
        let (store, warnings) = baked(&folder, all(), plain());
        assert_eq!(store.values::<i64>("member"), [7, 3, 5]);
        assert_eq!(corner(&store), [7.0, 3.0, 5.0]);
        assert_eq!(warnings, Vec::<String>::new());
        std::fs::remove_dir_all(folder.path("out.zarr")).expect("the store was there");
        let sort = BakeOptions { overlap: OverlapPolicy::Sort, ..plain() };
        let (store, _) = baked(&folder, all(), sort);
        // From 7 to 5, they fall.
        assert_eq!(store.values::<i64>("member"), [7, 5, 3]);
        assert_eq!(corner(&store), [7.0, 5.0, 3.0]);
        std::fs::remove_dir_all(folder.path("out.zarr")).expect("the store was there");
    }
}

#[test]
fn a_date_of_the_key_becomes_the_time_of_files_that_have_none() {
    let folder = Folder::new();
    for (day, value) in [("20000131", 1.0f32), ("20000201", 2.0)] {
        folder.put(
            &format!("{day}.nc"),
            &Made::new().dimension("x", 1).variable("v", "x", [value], &[]),
        );
    }
    let days = levain::bake::DateRange::new(
        "2000-01-31",
        "2000-02-01",
        "1 day".parse().expect("a step"),
        None,
    );
    let dims = [CombineDim::expand("time", Keys::dates(days.expect("days")))];
    let (store, _) = baked(&folder, pattern(&folder, "{time:%Y%m%d}.nc", dims), plain());
    assert_eq!(store.times("time"), ["2000-01-31T00:00:00", "2000-02-01T00:00:00"]);
    assert_eq!(store.attributes("time").text("units"), Some("days since 1970-01-01"));
    assert_eq!(store.values::<f32>("v"), [1.0, 2.0]);
}

#[test]
fn a_level_that_is_a_scalar_in_each_file_becomes_a_dimension_beside_time() {
    let folder = Folder::new();
    for (level, pressure) in [(0, 1000.0), (1, 850.0)] {
        for time in 0..2 {
            let value = move |time, lat, lon| t(time, lat, lon) + pressure as f32 * 1e4;
            let made = field("t", &[f64::from(time)], &[5.0], value).variable(
                "level",
                "",
                [pressure],
                &[("units", text("hPa"))],
            );
            folder.put(&format!("{level}_{time}.nc"), &made);
        }
    }
    let dims = || [CombineDim::concat("level", keys(2)), CombineDim::concat("time", keys(2))];
    let all = |folder: &Folder| pattern(folder, "{level}_{time}.nc", dims());
    refused(&folder, all(&folder), plain(), ErrorCode::UNKNOWN_DIMENSION, &["`level`", "`expand`"]);
    let steps = vec![levain::bake::Step::Expand { dim: "level".to_owned(), value: None }];
    let (store, _) = baked(&folder, all(&folder), BakeOptions { steps, ..plain() });
    assert_eq!(store.values::<f64>("level"), [1000.0, 850.0]);
    assert_eq!(store.shape("t"), [2, 2, 1, 2]);
    let corner: Vec<f32> = store.values::<f32>("t").into_iter().step_by(2).collect();
    assert_eq!(corner, [10_000_050.0, 10_001_050.0, 8_500_050.0, 8_501_050.0]);
}

/// Two variables, whose files of one key along time do not hold the same times.
fn put_ragged(folder: &Folder) -> FilePattern {
    for (key, times) in [(0, [0.0, 1.0, 2.0]), (1, [3.0, 4.0, 5.0])] {
        let bounds = |made: Made, times: &[f64]| {
            let ends = times.iter().flat_map(|&it| [it, it + 1.0]).collect::<Vec<f64>>();
            made.dimension("nv", 2).variable("time_bnds", "time nv", ends, &[])
        };
        let with_bounds = |name, times: &[f64], value: fn(f64, f64, f64) -> f32| {
            let mut made = field(name, times, &[5.0], value);
            made = bounds(made, times);
            made.attribute_of("time", "bounds", text("time_bnds"))
        };
        folder.put(&format!("t_{key}.nc"), &with_bounds("t", &times, t));
        // The first file of q begins a day later, the second ends a day later.
        let times = if key == 0 { &times[1..] } else { &[3.0, 4.0, 5.0, 6.0][..] };
        folder.put(&format!("q_{key}.nc"), &with_bounds("q", times, q));
    }
    let dims = [CombineDim::merge("var", names(&["t", "q"])), CombineDim::concat("time", keys(2))];
    pattern(folder, "{var}_{time}.nc", dims)
}

fn joined(join: JoinPolicy) -> BakeOptions {
    BakeOptions { join, ..plain() }
}

#[test]
fn files_of_a_merge_dimension_that_differ_are_refused_with_a_table() {
    let folder = Folder::new();
    let pattern = put_ragged(&folder);
    let words = [
        "`var`",
        "`time`",
        "--join",
        "key            length  first                last",
        "var=t, time=0  3       2000-01-01T00:00:00  2000-01-03T00:00:00",
        "var=q, time=0  2       2000-01-02T00:00:00  2000-01-03T00:00:00",
        "var=q, time=1  4       2000-01-04T00:00:00  2000-01-07T00:00:00",
        "t_0.nc",
        "q_1.nc",
    ];
    refused(&folder, pattern, plain(), ErrorCode::GRIDS_DIFFER, &words);
}

#[test]
fn an_inner_join_takes_the_times_that_all_have() {
    let folder = Folder::new();
    let pattern = put_ragged(&folder);
    let (store, warnings) = baked(&folder, pattern, joined(JoinPolicy::Inner));
    assert_eq!(store.values::<f64>("time"), [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(store.values::<f64>("time_bnds")[..4], [1.0, 2.0, 2.0, 3.0]);
    let corner = |name| store.values::<f32>(name).into_iter().step_by(2).collect::<Vec<f32>>();
    assert_eq!(corner("t"), [1050.0, 2050.0, 3050.0, 4050.0, 5050.0]);
    assert_eq!(corner("q"), [-1050.0, -2050.0, -3050.0, -4050.0, -5050.0]);
    assert!(warnings.iter().any(|it| it.contains("joined (inner) to 5")), "{warnings:?}");
}

#[test]
fn an_outer_join_takes_the_times_that_any_has_and_fills() {
    let folder = Folder::new();
    let pattern = put_ragged(&folder);
    let (store, _) = baked(&folder, pattern, joined(JoinPolicy::Outer));
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(store.values::<f64>("time_bnds")[10..], [5.0, 6.0, 6.0, 7.0]);
    let corner = |name| store.decoded(name).into_iter().step_by(2).collect::<Vec<f64>>();
    let (t, q) = (corner("t"), corner("q"));
    assert_eq!(t[..6], [50.0, 1050.0, 2050.0, 3050.0, 4050.0, 5050.0]);
    assert_eq!(q[1..], [-1050.0, -2050.0, -3050.0, -4050.0, -5050.0, -6050.0]);
    assert!(t[6].is_nan() && q[0].is_nan(), "{t:?} {q:?}");
}

#[test]
fn a_variable_that_two_merge_keys_have_is_refused_by_name() {
    let folder = Folder::new();
    for var in ["a", "b"] {
        folder.put(&format!("{var}_0.nc"), &field("t", &[0.0], &[5.0], t));
    }
    let dims = [CombineDim::merge("var", names(&["a", "b"])), CombineDim::concat("time", keys(1))];
    let words = ["var=a and var=b", "variable t", "a_0.nc", "b_0.nc"];
    let all = pattern(&folder, "{var}_{time}.nc", dims);
    refused(&folder, all, plain(), ErrorCode::GRIDS_DIFFER, &words);
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

/// A grid of up to four dimensions, chosen by chance.
#[derive(Debug, Clone)]
struct Chance {
    times: Vec<usize>,
    lats: Vec<usize>,
    members: usize,
    variables: usize,
    order: Vec<usize>,
    chunks: [i64; 2],
    /// How many days a variable begins later than the one before it.
    delay: usize,
    join: JoinPolicy,
}

fn chance() -> impl Strategy<Value = Chance> {
    let join = prop_oneof![Just(JoinPolicy::Inner), Just(JoinPolicy::Outer)];
    let lengths = (vec(1..4usize, 1..4), vec(1..4usize, 1..3), 1..3usize, 1..4usize);
    let order = Just(vec![0, 1, 2, 3]).prop_shuffle();
    let chunk = prop_oneof![Just(-1), 1..5i64];
    (lengths, order, [chunk.clone(), chunk], 0..2usize, join).prop_map(
        |((times, lats, members, variables), order, chunks, delay, join)| {
            // Days that all variables have must be left.
            let delay = if times[0] > delay * (variables - 1) { delay } else { 0 };
            Chance { times, lats, members, variables, order, chunks, delay, join }
        },
    )
}

impl Chance {
    /// The values of the keys of a dimension, by these lengths.
    fn steps(lengths: &[usize]) -> Vec<Vec<f64>> {
        let mut next = 0;
        let mut own = |length: usize| {
            next += length;
            (next - length..next).map(|it| it as f64).collect()
        };
        lengths.iter().map(|&length| own(length)).collect()
    }

    fn value(variable: usize, member: usize, time: f64, lat: f64, lon: f64) -> f32 {
        (variable as f64 * 1e5 + member as f64 * 1e4 + time * 100.0 + lat * 10.0 + lon) as f32
    }

    /// Writes all files; their pattern.
    fn put(&self, folder: &Folder) -> FilePattern {
        for variable in 0..self.variables {
            for member in 0..self.members {
                for (i, times) in Self::steps(&self.times).iter().enumerate() {
                    // Only the first file of a variable can begin later.
                    let skipped = if i == 0 { variable * self.delay } else { 0 };
                    for (j, lats) in Self::steps(&self.lats).iter().enumerate() {
                        let value = |time, lat, lon| Self::value(variable, member, time, lat, lon);
                        let made = field(&format!("v{variable}"), &times[skipped..], lats, value);
                        folder.put(&format!("{variable}_{member}_{i}_{j}.nc"), &made);
                    }
                }
            }
        }
        let dims = [
            CombineDim::merge("variable", keys(self.variables as i64)),
            CombineDim::expand("member", keys(self.members as i64)),
            CombineDim::concat("time", keys(self.times.len() as i64)),
            CombineDim::concat("lat", keys(self.lats.len() as i64)),
        ];
        let dims = self.order.iter().map(|&dim| dims[dim].clone());
        pattern(folder, "{variable}_{member}_{time}_{lat}.nc", dims)
    }

    /// All elements of a variable in the store.
    fn oracle(&self, variable: usize) -> Vec<f32> {
        let first =
            if self.join == JoinPolicy::Inner { self.delay * (self.variables - 1) } else { 0 };
        let times = &Self::steps(&self.times).concat()[first..];
        let mut all = Vec::new();
        for member in 0..self.members {
            for &time in times {
                for lat in Self::steps(&self.lats).concat() {
                    all.extend([0.0, 1.0].map(|lon| {
                        let is_there = time >= (variable * self.delay) as f64;
                        let value = Self::value(variable, member, time, lat, lon);
                        if is_there { value } else { f32::NAN }
                    }));
                }
            }
        }
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_grid_is_the_oracle(chance in chance()) {
        let folder = Folder::new();
        let pattern = chance.put(&folder);
        let [time, lat] = chance.chunks;
        let chunks = format!("time={time},lat={lat}").parse().expect("lengths");
        let (store, _) = baked(&folder, pattern, BakeOptions { chunks, ..joined(chance.join) });
        for variable in 0..chance.variables {
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
            let stored = store.values::<f32>(&format!("v{variable}"));
            prop_assert_eq!(bits(stored), bits(chance.oracle(variable)));
        }
        prop_assert_eq!(store.values::<f64>("lat"), Chance::steps(&chance.lats).concat());
    }
}
