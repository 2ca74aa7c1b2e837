//! What users of other tools suffered from, one test each, by the numbers of their lists: R1 to R5
//! are data that were written wrong or died late, the others are what was asked for.

use levain::bake::{BakeOptions, MissingFilePolicy, OverlapPolicy, PresencePolicy, StaticPolicy};
use levain::dataflow::error::ErrorCode;
use levain::job::Bake;
use netcdf_writer::{NcAttrValue, NcWriteFormat};

use crate::baking::{baked, plain, refused};
use crate::command::levain;
use crate::made::{Baked, Folder, Made, Values, counted, day, text};

const DAYS: &str = "days since 2000-01-01";

/// A file with `time` in these units, and `x(time)`.
fn series(units: &str, times: &[f64], x: impl Into<Values>, about: &[(&str, NcAttrValue)]) -> Made {
    let time = [("units", text(units))];
    Made::new()
        .unlimited("time")
        .variable("time", "time", times.to_vec(), &time)
        .variable("x", "time", x, about)
}

fn double(value: f64) -> NcAttrValue {
    NcAttrValue::Doubles(vec![value])
}

#[test]
fn r1_files_that_count_from_their_own_days_keep_their_times() {
    let files = [
        series("hours since 2000-01-01", &[0.0, 12.0], vec![1.0f32, 2.0], &[]),
        series("hours since 2000-01-02", &[0.0, 12.0], vec![3.0f32, 4.0], &[]),
    ];
    let (_folder, store, _) = baked(&files, plain());
    let days = ["2000-01-01", "2000-01-02"];
    let expected = days.map(|day| [format!("{day}T00:00:00"), format!("{day}T12:00:00")]).concat();
    assert_eq!(store.times("time"), expected);
}

#[test]
fn r2_files_of_other_packings_keep_their_values() {
    let packing = |scale, offset| {
        let fill = NcAttrValue::Shorts(vec![-32768]);
        [("scale_factor", double(scale)), ("add_offset", double(offset)), ("_FillValue", fill)]
    };
    let files = [
        series(DAYS, &[0.0, 1.0], vec![0i16, 100], &packing(0.01, 0.0)),
        series(DAYS, &[2.0, 3.0], vec![-4900i16, -32768], &packing(0.02, 100.0)),
    ];
    let (_folder, store, _) = baked(&files, plain());
    let values = store.values::<f64>("x");
    assert_eq!(values[..3], [0.0, 1.0, 2.0]);
    assert!(values[3].is_nan());
}

#[test]
fn r3_files_of_other_fill_values_keep_what_is_missing() {
    let fill = |value: f32| [("_FillValue", NcAttrValue::Floats(vec![value]))];
    let files = [
        series(DAYS, &[0.0, 1.0, 2.0], vec![1.0f32, -999.0, f32::NAN], &fill(-999.0)),
        series(DAYS, &[3.0, 4.0], vec![1e20f32, -999.0], &fill(1e20)),
    ];
    let (_folder, store, _) = baked(&files, plain());
    let values = store.values::<f32>("x");
    let missing: Vec<bool> = values.iter().map(|it| it.is_nan()).collect();
    assert_eq!(missing, [false, true, true, true, false]);
    assert_eq!((values[0], values[4]), (1.0, -999.0));
}

#[test]
fn r4_a_variable_that_one_file_has_is_told_with_both_files_before_anything_is_written() {
    let files = [
        series(DAYS, &[0.0], vec![1.0f32], &[]).variable("z", "time", vec![5.0f32], &[]),
        series(DAYS, &[1.0], vec![2.0f32], &[]),
    ];
    refused(&files, plain(), ErrorCode::VARIABLE_MISSING, &["variable z", "0.nc", "1.nc"]);
}

#[test]
fn r5_a_scalar_variable_is_written_once() {
    let about = [("grid_mapping_name", text("latitude_longitude"))];
    let file = |step: f64| day(DAYS, &[step], step as f32).variable("crs", "", vec![7i32], &about);
    let (_folder, store, _) = baked(&[file(0.0), file(1.0)], plain());
    assert_eq!(store.values::<i32>("crs"), [7]);
    assert_eq!(store.shape("crs"), [0u64; 0]);
}

#[test]
fn ask_01_a_unit_is_chosen_that_holds_every_time_exactly() {
    let files = [
        series("days since 2000-01-01", &[0.0], vec![1.0f32], &[]),
        series("hours since 2000-01-01", &[25.0], vec![2.0f32], &[]),
        series("seconds since 2000-01-03", &[1.0], vec![3.0f32], &[]),
    ];
    let (_folder, store, _) = baked(&files, plain());
    let expected = ["2000-01-01T00:00:00", "2000-01-02T01:00:00", "2000-01-03T00:00:01"];
    assert_eq!(store.times("time"), expected);
}

#[test]
fn ask_04_what_does_not_vary_is_compared_and_written_once() {
    let file = |step: f64, area: f32| {
        day(DAYS, &[step], step as f32).variable("area", "lat lon", counted(area, 6), &[])
    };
    let (_folder, store, _) = baked(&[file(0.0, 1.0), file(1.0, 1.0)], plain());
    assert_eq!(store.shape("area"), [2, 3]);
    let differing = [file(0.0, 1.0), file(1.0, 2.0)];
    refused(&differing, plain(), ErrorCode::STATIC_DIFFERS, &["`area`", "0.nc", "1.nc"]);
    let first = BakeOptions { statics: StaticPolicy::First, ..plain() };
    assert_eq!(baked(&differing, first).1.values::<f32>("area"), counted(1.0, 6));
    let concat = BakeOptions { statics: StaticPolicy::Concat, ..plain() };
    assert_eq!(baked(&differing, concat).1.shape("area"), [2, 2, 3]);
}

#[test]
fn ask_06_attributes_do_not_depend_on_the_order_of_files() {
    let file = |step: f64, id: &str| {
        day(DAYS, &[step], 0.0).attribute("tracking_id", text(id)).attribute("title", text("T"))
    };
    let all =
        || [file(0.0, "a"), file(1.0, "b"), day(DAYS, &[2.0], 0.0).attribute("title", text("T"))];
    let sort = || BakeOptions { overlap: OverlapPolicy::Sort, ..plain() };
    let (_folder, forward, _) = baked(&all(), sort());
    let mut turned = all();
    turned.reverse();
    let (_folder, backward, _) = baked(&turned, sort());
    assert_eq!(forward.dataset().attributes, backward.dataset().attributes);
    assert_eq!(forward.dataset().attributes.text("title"), Some("T"));
    assert_eq!(forward.dataset().attributes.get("tracking_id"), None);
}

#[test]
fn ask_07_a_dash_in_an_attribute_is_only_a_dash() {
    let file =
        day(DAYS, &[0.0], 0.0).attribute("title", text("1991–2020")).format(NcWriteFormat::Nc4);
    let (_folder, store, _) = baked(&[file], plain());
    assert_eq!(store.dataset().attributes.text("title"), Some("1991–2020"));
}

#[test]
fn ask_10_files_that_are_missing_are_named_in_the_store_when_they_may_be() {
    let folder = Folder::new();
    let mut sources = folder.put_all(&[day(DAYS, &[0.0], 0.0), day(DAYS, &[2.0], 12.0)]);
    sources.insert(1, folder.text("lost.nc"));
    let destination = folder.text("out.zarr");
    let bake = Bake::new(sources, &destination).expect("a destination");
    assert_eq!(bake.run().expect_err("a file is missing").code(), ErrorCode::NOTHING_MATCHES);
    let options = BakeOptions { missing_files: MissingFilePolicy::Skip, ..plain() };
    let report = bake.with_options(options).run().expect("a store");
    assert!(report.plan.warnings.iter().any(|it| it.contains("lost.nc")));
    let store = Baked::open(&destination);
    assert_eq!(store.values::<f64>("time"), [0.0, 2.0]);
    let named = store.dataset().attributes.get("missing_sources").expect("holes are recorded");
    assert!(format!("{named:?}").contains("lost.nc"), "{named:?}");
}

#[test]
fn ask_11_overlaps_are_found_before_the_first_write_and_resolved_as_asked() {
    let files = [day(DAYS, &[0.0, 1.0], 0.0), day(DAYS, &[1.0, 2.0], 100.0)];
    refused(&files, plain(), ErrorCode::NOT_ASCENDING, &["`time`", "2000-01-02", "0.nc", "1.nc"]);
    let keep = BakeOptions { overlap: OverlapPolicy::KeepLast, ..plain() };
    let (_folder, store, _) = baked(&files, keep);
    let corner: Vec<f32> = store.values::<f32>("t2m").into_iter().step_by(6).collect();
    assert_eq!(corner, [0.0, 100.0, 106.0]);
}

#[test]
fn ask_12_calendars_and_dates_beyond_nanoseconds_stay_integers() {
    let file = |units: &str| {
        let time = [("units", text(units)), ("calendar", text("360_day"))];
        Made::new().unlimited("time").variable("time", "time", vec![0.0, 30.0], &time)
    };
    let files = [file("days since 2999-12-01"), file("days since 3000-02-30")];
    let (_folder, store, _) = baked(&files, plain());
    let expected = [
        "2999-12-01T00:00:00",
        "3000-01-01T00:00:00",
        "3000-02-30T00:00:00",
        "3000-03-30T00:00:00",
    ];
    assert_eq!(store.times("time"), expected);
}

#[test]
fn ask_13_texts_of_any_width_follow_each_other() {
    let file = |step: f64, word: &str| {
        let time = [("units", text(DAYS))];
        let letters = Values::Chars(word.as_bytes().to_vec());
        Made::new()
            .unlimited("time")
            .dimension("letters", word.len() as u64)
            .variable("time", "time", [step], &time)
            .variable("flag", "time letters", letters, &[])
    };
    let (_folder, store, _) = baked(&[file(0.0, "S35"), file(1.0, "S")], plain());
    assert_eq!(store.texts("flag"), ["S35", "S"]);
}

#[test]
fn ask_17_variables_come_and_go_as_asked() {
    let files = || {
        [
            series(DAYS, &[0.0], vec![1.0f32], &[]).variable("tcc", "time", vec![0.5f32], &[]),
            series(DAYS, &[1.0], vec![2.0f32], &[]),
        ]
    };
    let with = |presence| BakeOptions { presence, ..plain() };
    let (_folder, store, _) = baked(&files(), with(PresencePolicy::Union));
    let values = store.values::<f32>("tcc");
    assert!(values[0] == 0.5 && values[1].is_nan());
    let (_folder, store, _) = baked(&files(), with(PresencePolicy::Intersection));
    assert_eq!(store.names(), ["time", "x"]);
}

#[test]
fn ask_18_a_coordinate_is_one_object() {
    let files: Vec<Made> = (0..20).map(|step| day(DAYS, &[f64::from(step)], 0.0)).collect();
    let options = BakeOptions { chunks: "time=1".parse().expect("lengths"), ..plain() };
    let (folder, _, _) = baked(&files, options);
    let objects = std::fs::read_dir(folder.path("out.zarr/time/c")).expect("chunks").count();
    assert_eq!(objects, 1);
}

#[test]
fn ask_21_files_of_any_length_make_regular_chunks() {
    let mut first = 0.0;
    let year = |length: usize| {
        let times: Vec<f64> = (0..length).map(|it| first + it as f64).collect();
        let x = counted(first as f32, length);
        first += length as f64;
        series(DAYS, &times, x, &[])
    };
    let files: Vec<Made> = [366, 365, 365, 365].map(year).into();
    let options = BakeOptions { chunks: "time=100".parse().expect("lengths"), ..plain() };
    let (_folder, store, _) = baked(&files, options);
    assert_eq!(store.values::<f32>("x"), counted(0.0, 1461));
}

#[test]
fn ask_22_a_chunk_size_always_has_an_answer() {
    let files = [day(DAYS, &[0.0, 1.0, 2.0], 0.0)];
    for size in ["1", "30", "48", "1MB"] {
        let options = BakeOptions { chunk_size: size.parse().expect("a size"), ..plain() };
        let (_folder, store, _) = baked(&files, options);
        assert_eq!(store.values::<f32>("t2m"), counted(0.0, 18));
    }
}

#[test]
fn ask_37_files_without_any_dimension_to_follow_along_are_baked() {
    let file = Made::new().dimension("lat", 2).variable("orog", "lat", [1.0f32, 2.0], &[]);
    let (_folder, store, _) = baked(&[file], plain());
    assert_eq!(store.values::<f32>("orog"), [1.0, 2.0]);
}

#[test]
fn ask_39_the_same_recipe_takes_files_and_stores() {
    let folder = Folder::new();
    let source = folder.put("a.nc", &day(DAYS, &[0.0, 1.0], 0.0));
    let mut source = source;
    for (step, chunks) in ["time=1", "lat=1"].into_iter().enumerate() {
        let recipe = format!(
            "sources = '{source}'\ndestination = '{step}.zarr'\nchunks = '{chunks}'\n\
             [[steps]]\nstep = 'subset'\ndim = 'lon'\nstop = {}\n",
            3 - step
        );
        let path = folder.put_bytes("feed.toml", recipe.as_bytes());
        levain(&["bake", &path, "--overwrite", "--progress", "none"]).check_done();
        source = folder.text(&format!("{step}.zarr"));
    }
    let store = Baked::open(&source);
    assert_eq!(store.shape("t2m"), [2, 2, 2]);
    assert_eq!(store.values::<f32>("t2m"), [0.0, 1.0, 3.0, 4.0, 6.0, 7.0, 9.0, 10.0]);
}
