//! What users of other tools suffered from, one test each, by the numbers of their lists: R1 to R5
//! are data that were written wrong or died late, the others are what was asked for.

use std::num::NonZeroU64;

use levain::bake::{
    BakeOptions, CombineDim, DateRange, FilePattern, JoinPolicy, Keys, MissingFilePolicy,
    OverlapPolicy, PresencePolicy, Selection, StaticPolicy,
};
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

/// Files of two variables, each over the days of a key.
fn two_variables(folder: &Folder, days: [[&[f64]; 2]; 2]) -> FilePattern {
    for (name, files) in ["t", "q"].iter().zip(days) {
        for (key, days) in files.into_iter().enumerate() {
            let time = [("units", text(DAYS))];
            let values: Vec<f32> = days.iter().map(|&day| day as f32).collect();
            let made = Made::new()
                .unlimited("time")
                .variable("time", "time", days.to_vec(), &time)
                .variable(name, "time", values, &[]);
            folder.put(&format!("{name}_{key}.nc"), &made);
        }
    }
    let keys = Keys::integers(0, 1, 1).expect("keys");
    let dims = [
        CombineDim::merge("var", Keys::texts(["t", "q"]).expect("keys")),
        CombineDim::concat("time", keys),
    ];
    let template = folder.text("{var}_{time}.nc").parse().expect("a template");
    FilePattern::new(template, dims).expect("a pattern")
}

#[test]
fn ask_09_files_of_a_merge_dimension_that_differ_are_a_table_or_joined() {
    let join = |join| {
        let folder = Folder::new();
        let days: [[&[f64]; 2]; 2] = [[&[0.0, 1.0], &[2.0, 3.0]], [&[0.0, 1.0], &[2.0, 3.0, 4.0]]];
        let pattern = two_variables(&folder, days);
        let bake = Bake::of_pattern(pattern, &folder.text("out.zarr")).expect("a destination");
        let report = bake.with_options(BakeOptions { join, ..plain() }).run();
        report.map(|_| {
            let store = Baked::open(&folder.text("out.zarr"));
            (store.values::<f64>("time"), store.values::<f32>("t"), store.values::<f32>("q"))
        })
    };
    let error = join(JoinPolicy::Error).expect_err("the lengths differ").to_string();
    for words in [
        "t_1.nc",
        "q_1.nc",
        "var=t, time=1  2       2000-01-03T00:00:00  2000-01-04T00:00:00",
        "var=q, time=1  3       2000-01-03T00:00:00  2000-01-05T00:00:00",
    ] {
        assert!(error.contains(words), "`{words}` is not in\n{error}");
    }
    let (time, t, q) = join(JoinPolicy::Inner).expect("a store");
    assert_eq!((time, t), (vec![0.0, 1.0, 2.0, 3.0], vec![0.0, 1.0, 2.0, 3.0]));
    assert_eq!(q, [0.0, 1.0, 2.0, 3.0]);
    let (time, t, q) = join(JoinPolicy::Outer).expect("a store");
    assert_eq!(time, [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert!(t[..4] == [0.0, 1.0, 2.0, 3.0] && t[4].is_nan(), "{t:?}");
    assert_eq!(q, [0.0, 1.0, 2.0, 3.0, 4.0]);
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
fn ask_25_a_pattern_of_many_files_is_as_small_as_its_keys_and_listed_nowhere() {
    // 42 years of hours, in files for each of them.
    let hours =
        DateRange::new("1979-01-01", "2020-12-31T23", "1 hour".parse().expect("a step"), None);
    let folder = Folder::new();
    let template = folder.text("{time:%Y%m%d%H}.nc").parse().expect("a template");
    let dims = [CombineDim::concat("time", Keys::dates(hours.expect("hours")))];
    let pattern = FilePattern::new(template, dims).expect("a pattern");
    assert_eq!(pattern.len(), 368_184);
    let travelling = serde_json::to_string(&pattern).expect("JSON");
    assert!(travelling.len() < 400, "{travelling}");
    let arrived: FilePattern = serde_json::from_str(&travelling).expect("a pattern");
    assert_eq!(arrived, pattern);
    // What would take hours, were the files before it looked at.
    for _ in 0..1_000 {
        assert!(pattern.url_at(368_183).expect("the last").ends_with("2020123123.nc"));
    }
    let index = pattern.index(368_183).expect("the last");
    assert_eq!(pattern.number(&index).expect("its number"), 368_183);
    // A part of it is baked, of which nothing else need be there.
    let every = NonZeroU64::new(200_000).expect("not zero");
    let few = pattern.prune(Selection::Every(every));
    assert_eq!(few.len(), 2);
    for (place, day) in [(0, 0.0), (1, 8333.0)] {
        let url = few.url_at(place).expect("there");
        let name = url.rsplit('/').next().expect("a name");
        folder.put(name, &series("days since 1979-01-01", &[day], vec![day as f32], &[]));
    }
    let bake = Bake::of_pattern(few, &folder.text("out.zarr")).expect("a destination");
    bake.run().expect("a store");
    assert_eq!(Baked::open(&folder.text("out.zarr")).values::<f32>("x"), [0.0, 8333.0]);
}

#[test]
fn ask_37_files_follow_each_other_along_no_one_and_several_dimensions() {
    let file = Made::new().dimension("lat", 2).variable("orog", "lat", [1.0f32, 2.0], &[]);
    let (_folder, store, _) = baked(&[file], plain());
    assert_eq!(store.values::<f32>("orog"), [1.0, 2.0]);
    // Two concat dimensions, two merge dimensions, and one that is made from the key.
    let folder = Folder::new();
    let keys = || Keys::integers(0, 1, 1).expect("keys");
    let words = |words: [&str; 2]| Keys::texts(words).expect("keys");
    for place in 0..32i32 {
        let bit = |number: i32| (place >> number) & 1;
        let name = format!("{}_{}", ["t", "q"][bit(0) as usize], ["low", "high"][bit(1) as usize]);
        let (member, time, lat) = (bit(2), f64::from(bit(3)), f64::from(bit(4)));
        let value = (place & 3) as f32 * 1000.0 + member as f32 * 100.0;
        let made = Made::new()
            .dimension("time", 1)
            .dimension("lat", 1)
            .variable("time", "time", [time], &[("units", text(DAYS))])
            .variable("lat", "lat", [lat], &[])
            .variable(&name, "time lat", [value + 10.0 * time as f32 + lat as f32], &[]);
        folder.put(&format!("{name}_{member}_{time}_{lat}.nc"), &made);
    }
    let dims = [
        CombineDim::merge("var", words(["t", "q"])),
        CombineDim::concat("lat", keys()),
        CombineDim::expand("member", keys()),
        CombineDim::merge("level", words(["low", "high"])),
        CombineDim::concat("time", keys()),
    ];
    let template = folder.text("{var}_{level}_{member}_{time}_{lat}.nc").parse();
    let pattern = FilePattern::new(template.expect("a template"), dims).expect("a pattern");
    let bake = Bake::of_pattern(pattern, &folder.text("out.zarr")).expect("a destination");
    bake.run().expect("a store");
    let store = Baked::open(&folder.text("out.zarr"));
    for (number, name) in ["t_low", "q_low", "t_high", "q_high"].into_iter().enumerate() {
        let own = store.dataset().variable(name).expect("there");
        assert_eq!(own.dimensions, ["member", "time", "lat"]);
        let first = number as f32 * 1000.0;
        let expected = [0.0, 1.0, 10.0, 11.0, 100.0, 101.0, 110.0, 111.0].map(|it| first + it);
        assert_eq!(store.values::<f32>(name), expected);
    }
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
