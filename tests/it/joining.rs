//! Whether many files become the one store that their values mean, or are refused.
//!
//! Wrong data written silently is the worst there is: each test is a pile of files of which one is
//! not quite like the others.

use levain::bake::{BakeOptions, PackingPolicy, StaticPolicy};
use levain::dataflow::error::ErrorCode;
use netcdf_writer::{NcAttrValue, NcWriteFormat};

use crate::baking::{along, baked, choosing, plain, refused, with_statics};
use crate::made::{Made, counted, day, text};

fn number(value: f32) -> NcAttrValue {
    NcAttrValue::Floats(vec![value])
}

/// Two days that follow each other.
fn two_days() -> [Made; 2] {
    [day("days since 2000-01-01", &[0.0], 0.0), day("days since 2000-01-01", &[1.0], 6.0)]
}

#[test]
fn files_follow_each_other_along_their_unlimited_dimension() {
    let (_folder, store, warnings) = baked(&two_days(), plain());
    assert_eq!(store.shape("t2m"), [2, 2, 3]);
    assert_eq!(store.values::<f32>("t2m"), counted(0.0, 12));
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0]);
    assert_eq!(store.values::<f64>("lat"), [10.0, 20.0]);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn times_in_other_units_mean_the_same_times() {
    let days = [
        day("days since 2000-01-01", &[0.0, 0.5], 0.0),
        day("hours since 2000-01-02 06:00", &[0.0, 1.5], 12.0),
    ];
    let (_folder, store, _) = baked(&days, plain());
    let want = [
        "2000-01-01T00:00:00",
        "2000-01-01T12:00:00",
        "2000-01-02T06:00:00",
        "2000-01-02T07:30:00",
    ];
    assert_eq!(store.times("time"), want);
    assert_eq!(store.values::<f32>("t2m"), counted(0.0, 24));
}

/// Lengths of a dimension that some file can grow along and others cannot.
#[test]
fn a_third_length_of_a_dimension_is_seen_whoever_is_unlimited() {
    let file =
        |step: f64, x: usize, is_unlimited: bool| {
            let made = Made::new().dimension("time", 1).format(NcWriteFormat::Nc4);
            let made =
                if is_unlimited { made.unlimited("x") } else { made.dimension("x", x as u64) };
            made.variable("time", "time", [step], &[("units", text("days since 2000-01-01"))])
                .variable("v", "time x", counted(0.0, x), &[])
        };
    let options = || BakeOptions { concat: Some("time".to_owned()), ..plain() };
    let files = [file(0.0, 4, true), file(1.0, 4, false), file(2.0, 5, false)];
    refused(&files, options(), ErrorCode::GRIDS_DIFFER, &["dimension `x`", "0.nc", "2.nc"]);
    let (_folder, store, _) = baked(&[file(0.0, 4, true), file(1.0, 4, false)], options());
    assert_eq!(store.shape("v"), [2, 4]);
}

/// Files with one step of `v`, which is packed as `attributes` say.
fn packed(step: f64, values: [i16; 2], attributes: &[(&str, NcAttrValue)]) -> Made {
    Made::new()
        .unlimited("time")
        .dimension("x", 2)
        .variable("time", "time", [step], &[("units", text("days since 2000-01-01"))])
        .variable("v", "time x", values, attributes)
}

#[test]
fn a_fill_value_of_another_type_is_the_same_fill_value() {
    let files = [
        packed(0.0, [1, -9], &[("_FillValue", NcAttrValue::Shorts(vec![-9]))]),
        packed(1.0, [-9, 4], &[("_FillValue", NcAttrValue::Shorts(vec![-9]))]),
    ];
    let others = [
        packed(0.0, [1, -9], &[("missing_value", NcAttrValue::Shorts(vec![-9]))]),
        packed(1.0, [-9, 4], &[("missing_value", number(-9.0))]),
    ];
    for files in [files, others] {
        let (_folder, store, warnings) = baked(&files, plain());
        let decoded = store.decoded("v");
        assert_eq!(
            decoded.iter().map(|it| it.is_nan()).collect::<Vec<_>>(),
            [false, true, true, false]
        );
        assert_eq!(warnings, [""; 0]);
    }
}

#[test]
fn other_packings_are_refused_when_asked() {
    let strict = || BakeOptions { packing: PackingPolicy::Error, ..plain() };
    let scaled = |scale: f64| [("scale_factor", NcAttrValue::Doubles(vec![scale]))];
    let files = [packed(0.0, [1, 2], &scaled(0.1)), packed(1.0, [3, 4], &scaled(0.2))];
    refused(
        &files,
        strict(),
        ErrorCode::PACKINGS_DIFFER,
        &["scale_factor", "variable v", "0.nc", "1.nc"],
    );
    let filled = [("_FillValue", NcAttrValue::Shorts(vec![-9]))];
    let files = [packed(0.0, [1, 2], &filled), packed(1.0, [3, 4], &[])];
    refused(&files, strict(), ErrorCode::PACKINGS_DIFFER, &["_FillValue is -9"]);
    // What cannot be read cannot be unpacked either.
    let files = [
        packed(0.0, [1, 2], &[("scale_factor", text("0.1"))]),
        packed(1.0, [3, 4], &[("scale_factor", text("0.2"))]),
    ];
    refused(&files, plain(), ErrorCode::PACKINGS_DIFFER, &["scale_factor"]);
}

/// One step with a variable that has no time dimension.
fn with_static(step: f64, values: [f64; 1], attributes: &[(&str, NcAttrValue)]) -> Made {
    day("days since 2000-01-01", &[step], 0.0).variable("base", "", values, attributes)
}

#[test]
fn equal_numbers_that_mean_other_times_are_not_the_same() {
    let units = |units: &str| [("units", text(units))];
    let files = || {
        [
            with_static(0.0, [0.0], &units("days since 2000-01-01")),
            with_static(1.0, [0.0], &units("days since 2000-01-02")),
        ]
    };
    refused(&files(), plain(), ErrorCode::STATIC_DIFFERS, &["base", "0.nc", "1.nc", "--static"]);
    let (_folder, store, _) = baked(&files(), with_statics(StaticPolicy::First));
    assert_eq!(store.times("base"), ["2000-01-01T00:00:00"]);
    let (_folder, store, _) = baked(&files(), with_statics(StaticPolicy::Concat));
    assert_eq!(store.times("base"), ["2000-01-01T00:00:00", "2000-01-02T00:00:00"]);
}

#[test]
fn equal_numbers_in_other_units_are_not_the_same() {
    let units = |units: &str| [("units", text(units))];
    let files = || [with_static(0.0, [2.0], &units("m")), with_static(1.0, [2.0], &units("km"))];
    for statics in [StaticPolicy::Identical, StaticPolicy::Concat] {
        let words = ["`m` and `km`", "base", "0.nc", "1.nc"];
        refused(&files(), with_statics(statics), ErrorCode::TIMES_DIFFER, &words);
    }
    let (_folder, store, _) = baked(&files(), with_statics(StaticPolicy::First));
    assert_eq!(store.attributes("base").text("units"), Some("m"));
}

/// One step with `v(time)` and the bounds of that time, in these units or in none.
fn bounded(units: &str, step: f64, bounds_units: Option<&str>, bounds: [f64; 2]) -> Made {
    let attributes: Vec<_> = bounds_units.iter().map(|units| ("units", text(units))).collect();
    Made::new()
        .unlimited("time")
        .dimension("nv", 2)
        .variable("time_bnds", "time nv", bounds, &attributes)
        .variable("time", "time", [step], &[("units", text(units)), ("bounds", text("time_bnds"))])
        .variable("v", "time", [1.0f32], &[])
}

#[test]
fn bounds_keep_their_times_whatever_units_say() {
    let want = [
        "2000-01-01T00:00:00",
        "2000-01-02T00:00:00",
        "2000-01-02T00:00:00",
        "2000-01-03T12:00:00",
    ];
    let (days, hours) = ("days since 2000-01-01", "hours since 2000-01-02");
    let check = |first: Made, second: Made| {
        let (_folder, store, _) = baked(&[first, second], plain());
        assert_eq!(store.times("time_bnds"), want);
        assert_eq!(store.times("time"), ["2000-01-01T12:00:00", "2000-01-02T12:00:00"]);
    };
    // As their coordinate, which changes its units.
    check(bounded(days, 0.5, None, [0.0, 1.0]), bounded(hours, 12.0, None, [0.0, 36.0]));
    // In units of their own, which change too.
    check(
        bounded(days, 0.5, Some(days), [0.0, 1.0]),
        bounded(hours, 12.0, Some(hours), [0.0, 36.0]),
    );
    // In other units than their coordinate.
    check(
        bounded(days, 0.5, Some(hours), [-24.0, 0.0]),
        bounded(hours, 12.0, Some(days), [1.0, 2.5]),
    );
    // Where the coordinate does not change.
    check(bounded(days, 0.5, Some(days), [0.0, 1.0]), bounded(days, 1.5, Some(hours), [0.0, 36.0]));
    check(bounded(days, 0.5, None, [0.0, 1.0]), bounded(days, 1.5, Some(hours), [0.0, 36.0]));
    check(
        bounded(days, 0.5, Some(hours), [-24.0, 0.0]),
        bounded(days, 1.5, Some(hours), [0.0, 36.0]),
    );
}

#[test]
fn bounds_that_count_no_time_stay_as_they_are() {
    let files = [
        bounded("days since 2000-01-01", 0.5, Some("1"), [0.0, 1.0]),
        bounded("days since 2000-01-02", 0.5, Some("1"), [2.0, 3.5]),
    ];
    let (_folder, store, _) = baked(&files, plain());
    assert_eq!(store.values::<f64>("time_bnds"), [0.0, 1.0, 2.0, 3.5]);
    assert_eq!(store.times("time"), ["2000-01-01T12:00:00", "2000-01-02T12:00:00"]);
}

#[test]
fn another_calendar_is_refused_by_the_file_that_has_it() {
    let file = |units: &str, calendar: &str| {
        Made::new().unlimited("time").variable(
            "time",
            "time",
            [1.0],
            &[("units", text(units)), ("calendar", text(calendar))],
        )
    };
    let files = [
        file("days since 2000-01-01", "noleap"),
        file("days since 2001-01-01", "365_day"),
        file("days since 2002-01-01", "standard"),
        file("days since 2003-01-01", "360_day"),
    ];
    let words = ["noleap", "standard", "0.nc", "2.nc", "variable time"];
    refused(&files, plain(), ErrorCode::TIMES_DIFFER, &words);
}

#[test]
fn ranges_in_old_units_do_not_stay_beside_new_times() {
    let file = |units: &str, last: f64| {
        let range = NcAttrValue::Doubles(vec![0.0, last]);
        Made::new().unlimited("time").variable(
            "time",
            "time",
            [1.0],
            &[("units", text(units)), ("valid_range", range), ("axis", text("T"))],
        )
    };
    let files = [file("days since 2000-01-01", 9.0), file("hours since 2000-01-03", 9.0)];
    let (_folder, store, warnings) = baked(&files, plain());
    let names: Vec<&str> = store.attributes("time").iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["axis", "units", "calendar"]);
    assert_eq!(warnings, ["1 attribute differs and is dropped: time:valid_range"]);
}

#[test]
fn missing_and_packed_times_are_encoded_anew() {
    let shorts = |values: [i16; 2], units: &str, fill: i16| {
        let fill = NcAttrValue::Shorts(vec![fill]);
        day("days since 2000-01-01", &[0.0, 1.0], 0.0).variable(
            "seen",
            "time",
            values,
            &[("units", text(units)), ("_FillValue", fill)],
        )
    };
    let mut files = [
        shorts([5, -1], "hours since 2000-01-01", -1),
        shorts([-2, 30], "minutes since 2000-01-01", -2),
    ];
    files[1] = Made::new()
        .unlimited("time")
        .dimension("lat", 2)
        .dimension("lon", 3)
        .variable("time", "time", [2.0, 3.0], &[("units", text("days since 2000-01-01"))])
        .variable("lat", "lat", [10.0, 20.0], &[("units", text("degrees_north"))])
        .variable("lon", "lon", [0.0, 1.0, 2.0], &[("units", text("degrees_east"))])
        .variable("t2m", "time lat lon", counted(12.0, 12), &[("units", text("K"))])
        .variable(
            "seen",
            "time",
            [-2i16, 30],
            &[
                ("units", text("minutes since 2000-01-01")),
                ("_FillValue", NcAttrValue::Shorts(vec![-2])),
            ],
        );
    let (_folder, store, _) = baked(&files, plain());
    assert_eq!(store.times("seen"), ["2000-01-01T05:00:00", "none", "none", "2000-01-01T00:30:00"]);
}

/// Floats of times are read as xarray reads those of a whole file: by one far element all are
/// rounded in another way.
#[test]
fn times_are_decoded_by_whole_files_in_whatever_pieces_they_are_written() {
    let file = |start: f64, units: &str, far: f64| {
        let times: Vec<f64> = (0..300).map(|step| start + f64::from(step)).collect();
        let mut valid: Vec<f64> = (0..300).map(|step| f64::from(step) / 7.0).collect();
        valid[299] = far;
        Made::new()
            .unlimited("time")
            .variable("time", "time", times, &[("units", text("days since 2000-01-01"))])
            .variable("valid", "time", valid, &[("units", text(units))])
            .chunked(&[100])
            .format(NcWriteFormat::Nc4)
    };
    let files =
        [file(0.0, "days since 2000-01-01", 2e5), file(300.0, "days since 2000-01-02", 2e5)];
    let options = BakeOptions { chunks: "time=100".parse().expect("chunks"), ..plain() };
    let (_folder, store, _) = baked(&files, options);
    let times = store.times("valid");
    assert_eq!(times[1..3], ["2000-01-01T03:25:42.857143", "2000-01-01T06:51:25.714286"]);
    assert_eq!(
        times[299..302],
        ["2547-08-01T00:00:00", "2000-01-02T00:00:00", "2000-01-02T03:25:42.857143"]
    );
}

#[test]
fn a_file_that_is_given_twice_is_refused() {
    let file = Made::new().unlimited("obs").variable("v", "obs", [1.0f32, 2.0], &[]);
    let folder = crate::made::Folder::new();
    let path = folder.put("a b.nc", &file);
    let again = format!("{}/./a b.nc", folder.root().display());
    for sources in [[path.clone(), path.clone()], [path, again]] {
        let bake = levain::job::Bake::new(sources, &folder.text("out.zarr")).expect("a location");
        let error = bake.run().map(drop).expect_err("a refusal");
        assert_eq!(error.code(), ErrorCode::NOT_ASCENDING, "{error}");
        assert!(error.to_string().contains("a b.nc"), "{error}");
    }
}

#[test]
fn a_variable_that_has_the_concat_dimension_twice_is_refused() {
    let file = |step: f64| {
        Made::new()
            .unlimited("n")
            .dimension("time", 2)
            .variable(
                "time",
                "time",
                [step, step + 1.0],
                &[("units", text("days since 2000-01-01"))],
            )
            .variable("cov", "time time", [1.0f32, 2.0, 3.0, 4.0], &[])
    };
    let words = ["variable cov", "`time` twice"];
    refused(&[file(0.0), file(2.0)], along("time"), ErrorCode::GRIDS_DIFFER, &words);
}

#[test]
fn gaps_are_told_in_one_line() {
    let days = |steps: &[&[f64]]| {
        let files = steps.iter().map(|steps| day("days since 2000-01-01", steps, 0.0));
        baked(&files.collect::<Vec<_>>(), plain()).2
    };
    let told = |first: &str, second: &str| {
        vec![format!(
            "`time` has a gap: from {first}T00:00:00 in F/1.nc to {second}T00:00:00 in F/2.nc"
        )]
    };
    let plainly = |warnings: Vec<String>| -> Vec<String> {
        let place = |word: &str| match word.rsplit_once('/') {
            Some((_, name)) => format!("F/{name}"),
            None => word.to_owned(),
        };
        warnings.iter().map(|it| it.split(' ').map(place).collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(
        plainly(days(&[&[0.0, 1.0], &[2.0, 3.0], &[5.0, 6.0]])),
        told("2000-01-04", "2000-01-06")
    );
    // Files of one step each have no step of their own.
    assert_eq!(plainly(days(&[&[0.0], &[1.0], &[3.0], &[4.0]])), told("2000-01-02", "2000-01-04"));
    // Months are not regular, and two files say nothing.
    assert_eq!(days(&[&[0.0], &[31.0], &[60.0], &[91.0]]), [""; 0]);
    assert_eq!(days(&[&[0.0], &[7.0]]), [""; 0]);
    assert_eq!(days(&[&[0.0, 1.0, 7.0], &[8.0, 9.0]]), [""; 0]);
}

#[test]
fn attributes_that_differ_are_dropped_and_listed_in_one_warning() {
    let file = |step: f64, note: &str| {
        let made = day("days since 2000-01-01", &[step], 0.0)
            .attribute("title", text("the same"))
            .attribute("history", text(note));
        let made =
            made.variable("height", "", [2.0], &[("note", text(note)), ("units", text("m"))]);
        made.variable("rain", "time", [1.0f32], &[("note", text(note)), ("units", text("mm"))])
    };
    let mut files = vec![file(0.0, "one"), file(1.0, "two")];
    let (_folder, store, warnings) = baked(&files, plain());
    let listed = "3 attributes differ and are dropped: height:note, rain:note, history";
    assert_eq!(warnings, [listed]);
    assert_eq!(store.dataset().attributes.text("title"), Some("the same"));
    assert_eq!(store.dataset().attributes.get("history"), None);
    assert_eq!(store.attributes("height").get("note"), None);
    assert_eq!(store.attributes("height").text("units"), Some("m"));
    // One that only some files have differs too.
    files[1] = day("days since 2000-01-01", &[1.0], 0.0);
    let files =
        [day("days since 2000-01-01", &[0.0], 0.0).attribute("title", text("x")), files.remove(1)];
    assert_eq!(baked(&files, plain()).2, ["1 attribute differs and is dropped: title"]);
    // What is taken from the first file is what the first file says.
    let files = [file(0.0, "one"), file(1.0, "two")];
    let (_folder, store, _) = baked(&files, with_statics(StaticPolicy::First));
    assert_eq!(store.attributes("height").text("note"), Some("one"));
}

#[test]
fn chosen_variables_come_with_what_they_refer_to() {
    let file = |step: f64| {
        day("days since 2000-01-01", &[step], 0.0)
            .variable("crs", "", [1], &[])
            .variable(
                "sea",
                "time lat lon",
                counted(1.0, 6),
                &[("grid_mapping", text("crs")), ("coordinates", text("height gone"))],
            )
            .variable("height", "", [2.0], &[])
            .variable("other", "time", [1.0f32], &[])
    };
    let (_folder, store, _) = baked(&[file(0.0), file(1.0)], choosing(&["sea"]));
    assert_eq!(store.names(), ["time", "lat", "lon", "crs", "sea", "height"]);
    refused(
        &[file(0.0), file(1.0)],
        choosing(&["sea", "sae"]),
        ErrorCode::UNKNOWN_VARIABLE,
        &["`sae`", ".nc", "other"],
    );
    // Nothing of what is chosen has the concat dimension.
    let (_folder, store, _) = baked(&[file(0.0), file(1.0)], choosing(&["lat"]));
    assert_eq!((store.names(), store.values::<f64>("lat")), (vec!["lat"], vec![10.0, 20.0]));
}

#[test]
fn empty_files_add_nothing() {
    let units = "days since 2000-01-01";
    let files = [
        day(units, &[], 0.0),
        day(units, &[0.0], 0.0),
        day(units, &[], 0.0),
        day(units, &[1.0, 2.0], 6.0),
    ];
    let (_folder, store, warnings) = baked(&files, plain());
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0]);
    assert_eq!(store.values::<f32>("t2m"), counted(0.0, 18));
    assert_eq!(warnings, [""; 0]);
    let (_folder, store, warnings) = baked(&[day(units, &[], 0.0), day(units, &[], 0.0)], plain());
    assert_eq!((store.shape("t2m"), warnings), (vec![0, 2, 3], vec![]));
    let (_folder, store, _) = baked(&[day(units, &[], 0.0)], plain());
    assert_eq!(store.shape("t2m"), [0, 2, 3]);
}

#[test]
fn the_concat_dimension_need_not_be_the_first() {
    let file = |members: &[f64], first: f32| {
        let count = members.len();
        Made::new()
            .dimension("x", 2)
            .dimension("member", count as u64)
            .dimension("y", 3)
            .variable("member", "member", members.to_vec(), &[])
            .variable("v", "x member y", counted(first, 6 * count), &[])
            .variable("name", "x", [7.0, 8.0], &[])
    };
    let files = [file(&[1.0], 0.0), file(&[2.0, 3.0], 100.0)];
    let options =
        BakeOptions { chunks: "x=1,member=2,y=2".parse().expect("chunks"), ..along("member") };
    let (_folder, store, _) = baked(&files, options);
    assert_eq!(store.shape("v"), [2, 3, 3]);
    let want =
        [&counted(0.0, 3)[..], &counted(100.0, 6), &counted(3.0, 3), &counted(106.0, 6)].concat();
    assert_eq!(store.values::<f32>("v"), want);
}

#[test]
fn coordinates_may_descend_but_not_turn() {
    let units = "days since 2000-01-01";
    let (_folder, store, _) =
        baked(&[day(units, &[9.0, 8.0], 0.0), day(units, &[7.0], 12.0)], plain());
    assert_eq!(store.values::<f64>("time"), [9.0, 8.0, 7.0]);
    let check = |first: &[f64], second: &[f64], says: &str| {
        let files = [day(units, first, 0.0), day(units, second, 0.0)];
        refused(&files, plain(), ErrorCode::NOT_ASCENDING, &[says, "0.nc", "`time`"]);
    };
    check(&[0.0, 1.0], &[4.0, 3.0], "runs the other way");
    check(&[2.0, 3.0], &[0.0, 1.0], "not in order");
    check(&[0.0, 1.0], &[1.0, 2.0], "hold the same `time`: 2000-01-02T00:00:00");
    check(&[0.0, 3.0], &[2.0, 4.0], "overlap");
    check(&[0.0, 3.0], &[0.0, 3.0], "overlap");
    check(&[0.0, 1.0, 1.0], &[2.0, 4.0], "does not go on in one direction at element 2");
    check(&[0.0, f64::NAN], &[2.0, 4.0], "has no value at element 1");
}

#[test]
fn static_values_are_compared_bit_for_bit() {
    let grid = |step: f64, values: [f64; 1]| with_static(step, values, &[]);
    let (_folder, store, _) = baked(&[grid(0.0, [f64::NAN]), grid(1.0, [f64::NAN])], plain());
    assert!(store.values::<f64>("base")[0].is_nan());
    refused(&[grid(0.0, [0.0]), grid(1.0, [-0.0])], plain(), ErrorCode::STATIC_DIFFERS, &["base"]);
    let files = [grid(0.0, [0.5]), grid(1.0, [1.5])];
    let (_folder, store, _) = baked(&files, with_statics(StaticPolicy::Concat));
    assert_eq!((store.shape("base"), store.values::<f64>("base")), (vec![2], vec![0.5, 1.5]));
}

#[test]
fn another_grid_is_refused_whatever_the_policy() {
    let grid = |step: f64, lat: [f64; 2]| {
        Made::new()
            .unlimited("time")
            .dimension("lat", 2)
            .variable("time", "time", [step], &[("units", text("days since 2000-01-01"))])
            .variable("lat", "lat", lat, &[])
            .variable("v", "time lat", [1.0f32, 2.0], &[])
    };
    for statics in [StaticPolicy::Identical, StaticPolicy::First, StaticPolicy::Concat] {
        let files = [grid(0.0, [0.0, 1.0]), grid(1.0, [0.0, 1.0 + 1e-14])];
        let words = ["different grids", "`lat`", "0.nc", "1.nc"];
        refused(&files, with_statics(statics), ErrorCode::GRIDS_DIFFER, &words);
    }
}

#[test]
fn texts_follow_each_other_too() {
    let file = |step: f64, word: &str| {
        Made::new()
            .format(NcWriteFormat::Nc4)
            .unlimited("time")
            .dimension("n", 2)
            .variable("time", "time", [step], &[("units", text("days since 2000-01-01"))])
            .variable("word", "time n", [word.to_owned(), "é".to_owned()], &[])
    };
    let (_folder, store, _) = baked(&[file(0.0, "first"), file(1.0, "")], plain());
    assert_eq!(store.texts("word"), ["first", "é", "", "é"]);
    let chars = |step: f64, word: &str| {
        Made::new()
            .unlimited("time")
            .dimension("letters", word.len() as u64)
            .variable("time", "time", [step], &[("units", text("days since 2000-01-01"))])
            .variable("word", "time letters", word.as_bytes().to_vec(), &[])
    };
    let (_folder, store, _) = baked(&[chars(0.0, "ab"), chars(1.0, "cd")], plain());
    assert_eq!(store.texts("word"), ["ab", "cd"]);
    let (_folder, store, _) = baked(&[chars(0.0, "ab"), chars(1.0, "cde")], plain());
    assert_eq!(store.texts("word"), ["ab", "cde"]);
}

#[test]
fn what_no_variable_uses_need_not_agree() {
    let file = |step: f64, unused: u64| {
        Made::new()
            .unlimited("record")
            .dimension("unused", unused)
            .dimension("time", 1)
            .variable("time", "time", [step], &[("units", text("days since 2000-01-01"))])
            .variable("v", "time", [step as f32], &[])
    };
    let (_folder, store, _) = baked(&[file(0.0, 3), file(1.0, 4)], plain());
    assert_eq!(store.values::<f32>("v"), [0.0, 1.0]);
}

#[test]
fn other_types_other_dimensions_and_missing_variables_are_refused() {
    let base = || day("days since 2000-01-01", &[0.0], 0.0).format(NcWriteFormat::Nc4);
    let next = || day("days since 2000-01-01", &[1.0], 0.0).format(NcWriteFormat::Nc4);
    let with = |made: Made, dimensions: &str, values: crate::made::Values| {
        made.variable("w", dimensions, values, &[])
    };
    let floats = || crate::made::Values::from(counted(0.0, 6));
    let check = |first: Made, second: Made, code, words: &[&str]| {
        let options = BakeOptions { packing: PackingPolicy::Error, ..plain() };
        refused(&[first, second], options, code, words);
    };
    let words = ["variable w", "1.nc", "missing in 1 of 2 files"];
    check(with(base(), "time lat lon", floats()), next(), ErrorCode::VARIABLE_MISSING, &words);
    let words = ["variable w", "(time, lat, lon)", "(time, lat)"];
    check(
        with(base(), "time lat lon", floats()),
        with(next(), "time lat", vec![1.0f32, 2.0].into()),
        ErrorCode::GRIDS_DIFFER,
        &words,
    );
    let doubles = vec![0.0f64; 6].into();
    let words = ["variable w", "the stored type is float32 in one and float64 in another"];
    check(
        with(base(), "time lat lon", floats()),
        with(next(), "time lat lon", doubles),
        ErrorCode::PACKINGS_DIFFER,
        &words,
    );
}

#[test]
fn names_may_have_spaces_and_any_letters() {
    let file = |step: f64| {
        Made::new().unlimited("zeit ä").variable("zeit ä", "", [step], &[]).variable(
            "wind speed=2%#1",
            "",
            [3.0f32],
            &[],
        )
    };
    let (_folder, store, _) = baked(&[file(0.0)], plain());
    assert_eq!(store.values::<f32>("wind speed=2%#1"), [3.0]);
}
