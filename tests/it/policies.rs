//! What becomes of files that differ, by the policy that the user states; and that the default
//! never writes what no file says.

use levain::array::{AttributeValue, DType};
use levain::bake::{
    AttributePolicy, BakeOptions, GapPolicy, MissingFilePolicy, OverlapPolicy, PackingPolicy,
    PresencePolicy, StaticPolicy,
};
use levain::dataflow::error::ErrorCode;
use netcdf_writer::{NcAttrValue, NcWriteFormat};

use crate::baking::{baked, plain, refused};
use crate::made::{Made, counted, day, text};

const DAYS: &str = "days since 2000-01-01";

fn with_overlap(overlap: OverlapPolicy) -> BakeOptions {
    BakeOptions { overlap, ..plain() }
}

/// The values of `t2m` at the first place of the grid.
fn corner(store: &crate::made::Baked) -> Vec<f32> {
    store.values::<f32>("t2m").into_iter().step_by(6).collect()
}

/// A file whose `v(time)` holds these packed elements.
fn packed(times: &[f64], elements: Vec<i16>, attributes: &[(&str, NcAttrValue)]) -> Made {
    let time = [("units", text(DAYS))];
    Made::new()
        .unlimited("time")
        .variable("time", "time", times.to_vec(), &time)
        .variable("v", "time", elements, attributes)
}

fn doubles(value: f64) -> NcAttrValue {
    NcAttrValue::Doubles(vec![value])
}

#[test]
fn files_that_are_out_of_order_are_sorted_when_asked() {
    let files = [day(DAYS, &[2.0, 3.0], 12.0), day(DAYS, &[0.0, 1.0], 0.0)];
    refused(&files, plain(), ErrorCode::NOT_ASCENDING, &["not in order", "--overlap sort"]);
    let (_folder, store, _) = baked(&files, with_overlap(OverlapPolicy::Sort));
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(store.values::<f32>("t2m"), counted(0.0, 24));
}

#[test]
fn elements_of_interleaved_files_find_their_places() {
    let files = [day(DAYS, &[0.0, 2.0, 4.0], 0.0), day(DAYS, &[5.0, 3.0, 1.0], 100.0)];
    let (_folder, store, _) = baked(&files, with_overlap(OverlapPolicy::Sort));
    assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(corner(&store), [0.0, 112.0, 6.0, 106.0, 12.0, 100.0]);
}

#[test]
fn of_what_stands_twice_the_first_or_the_last_is_taken() {
    let files = [day(DAYS, &[0.0, 1.0, 2.0], 0.0), day(DAYS, &[1.0, 2.0, 3.0], 100.0)];
    refused(&files, plain(), ErrorCode::NOT_ASCENDING, &["overlap", "keep-first"]);
    let sort = with_overlap(OverlapPolicy::Sort);
    refused(&files, sort, ErrorCode::NOT_ASCENDING, &["two files hold the same", "2000-01-02"]);
    for (policy, expected) in [
        (OverlapPolicy::KeepFirst, [0.0, 6.0, 12.0, 112.0]),
        (OverlapPolicy::KeepLast, [0.0, 100.0, 106.0, 112.0]),
    ] {
        let (_folder, store, warnings) = baked(&files, with_overlap(policy));
        assert_eq!(store.values::<f64>("time"), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(corner(&store), expected);
        let told = "2 values of `time` stood twice";
        assert!(warnings.iter().any(|warning| warning.contains(told)), "{warnings:?}");
    }
}

#[test]
fn units_that_differ_are_no_overlap() {
    let files = [day(DAYS, &[0.0, 1.0], 0.0), day("hours since 2000-01-02", &[0.0, 24.0], 100.0)];
    let (_folder, store, _) = baked(&files, with_overlap(OverlapPolicy::KeepFirst));
    assert_eq!(corner(&store), [0.0, 6.0, 106.0]);
    assert_eq!(store.values::<i64>("time").len(), 3);
}

#[test]
fn a_gap_is_told_or_refused() {
    let files = [day(DAYS, &[0.0, 1.0], 0.0), day(DAYS, &[4.0, 5.0], 12.0)];
    let (_folder, _, warnings) = baked(&files, plain());
    assert!(warnings.iter().any(|warning| warning.contains("has a gap")), "{warnings:?}");
    let options = BakeOptions { gaps: GapPolicy::Error, ..plain() };
    refused(&files, options, ErrorCode::NOT_ASCENDING, &["has a gap", "2000-01-02", "2000-01-05"]);
}

#[test]
fn steps_that_no_file_has_are_filled_when_asked() {
    let bounds = ("bounds", text("time_bnds"));
    let file = |days: &[f64], first: i32| {
        let days_of = |day: &f64| [*day, day + 1.0];
        Made::new()
            .unlimited("time")
            .dimension("nv", 2)
            .variable("time", "time", days.to_vec(), &[("units", text(DAYS)), bounds.clone()])
            .variable(
                "time_bnds",
                "time nv",
                days.iter().flat_map(days_of).collect::<Vec<_>>(),
                &[],
            )
            .variable("n", "time", (first..first + days.len() as i32).collect::<Vec<_>>(), &[])
            .variable("v", "time", vec![first as f32; days.len()], &[])
    };
    let files = [file(&[0.0, 1.0], 10), file(&[4.0, 5.0], 20), file(&[7.0], 30)];
    let fill = BakeOptions { gaps: GapPolicy::Fill, ..plain() };
    let (_folder, store, warnings) = baked(&files, fill.clone());
    assert_eq!(store.values::<i64>("time"), [0, 1, 2, 3, 4, 5, 6, 7]);
    let bounds = store.values::<i64>("time_bnds");
    assert_eq!((bounds[..4].to_vec(), bounds[14..].to_vec()), (vec![0, 1, 1, 2], vec![7, 8]));
    assert_eq!(bounds[4..8], [i64::MIN; 4]);
    assert!(store.attributes("time").get("_FillValue").is_none());
    let (n, v) = (store.values::<f64>("n"), store.values::<f32>("v"));
    for place in 0..8 {
        let is_filled = [2, 3, 6].contains(&place);
        assert_eq!((n[place].is_nan(), v[place].is_nan()), (is_filled, is_filled), "{place}");
    }
    assert_eq!((n[5], n[7], v[0], v[4]), (21.0, 30.0, 10.0, 20.0));
    let steps = store.dataset().attributes.get("filled_steps").cloned();
    let expected =
        ["time 2000-01-03T00:00:00 to 2000-01-04T00:00:00 (2)", "time 2000-01-07T00:00:00"];
    assert_eq!(steps, Some(AttributeValue::Texts(expected.map(str::to_owned).to_vec())));
    assert!(warnings.iter().any(|it| it.contains("filled: 3 steps in all")), "{warnings:?}");
    let uneven = [file(&[0.0, 1.0], 10), file(&[4.5, 5.5], 20)];
    refused(&uneven, fill, ErrorCode::NOT_ASCENDING, &["no whole number of steps", "2000-01-02"]);
}

#[test]
fn a_coordinate_of_numbers_goes_on_where_steps_are_missing() {
    let file = |levels: &[i16], value: f32| {
        Made::new().unlimited("level").variable("level", "level", levels.to_vec(), &[]).variable(
            "v",
            "level",
            vec![value; levels.len()],
            &[("_FillValue", NcAttrValue::Floats(vec![-1.0]))],
        )
    };
    let files = [file(&[1000, 950], 1.0), file(&[800, 750], 2.0)];
    let options = BakeOptions {
        concat: Some("level".to_owned()),
        overlap: OverlapPolicy::Sort,
        missing_files: MissingFilePolicy::Fill,
        ..plain()
    };
    let (_folder, store, _) = baked(&files, options);
    assert_eq!(store.values::<i16>("level"), [1000, 950, 900, 850, 800, 750]);
    assert_eq!(store.values::<f32>("v"), [1.0, 1.0, -1.0, -1.0, 2.0, 2.0]);
}

#[test]
fn packings_that_differ_are_unpacked() {
    let packing = |scale, offset| {
        [("scale_factor", doubles(scale)), ("add_offset", doubles(offset)), ("units", text("K"))]
    };
    let fill = ("_FillValue", NcAttrValue::Shorts(vec![-1]));
    let files = [
        packed(&[0.0, 1.0], vec![1, 2], &packing(0.5, 10.0)),
        packed(&[2.0, 3.0], vec![1, -1], &[&packing(0.25, 0.0)[..], &[fill]].concat()),
    ];
    let (_folder, store, warnings) = baked(&files, plain());
    let values = store.values::<f64>("v");
    assert_eq!(values[..3], [10.5, 11.0, 0.25]);
    assert!(values[3].is_nan(), "what is missing stays so: {values:?}");
    let attributes = store.attributes("v");
    assert_eq!((attributes.get("scale_factor"), attributes.get("add_offset")), (None, None));
    assert_eq!(attributes.text("units"), Some("K"));
    assert!(attributes.number("_FillValue").and_then(|it| it.as_float()).expect("a fill").is_nan());
    let told = "v is packed differently and is unpacked into float64";
    assert!(warnings.iter().any(|warning| warning.contains(told)), "{warnings:?}");
    let options = BakeOptions { packing: PackingPolicy::Error, ..plain() };
    refused(&files, options, ErrorCode::PACKINGS_DIFFER, &["scale_factor", "--packing decode"]);
}

#[test]
fn packings_that_differ_become_one_when_asked() {
    let packing =
        |scale, offset| [("scale_factor", doubles(scale)), ("add_offset", doubles(offset))];
    let fill = ("_FillValue", NcAttrValue::Shorts(vec![-1]));
    let files = [
        packed(&[0.0, 1.0], vec![i16::MIN, 2], &packing(0.5, 10.0)),
        packed(&[2.0, 3.0], vec![32_767, -1], &[&packing(0.25, 0.0)[..], &[fill]].concat()),
    ];
    let repack = BakeOptions { packing: PackingPolicy::Repack, ..plain() };
    let (_folder, store, warnings) = baked(&files, repack.clone());
    let attributes = store.attributes("v");
    let number = |name: &str| attributes.number(name).and_then(|it| it.as_float()).expect(name);
    // From -16374 to 16393.5 in 65534 steps: the range of the first file holds that of the second.
    assert_eq!(number("scale_factor"), 0.5 * 65_535.0 / 65_534.0);
    let unpacked: Vec<Option<f64>> = store
        .values::<i16>("v")
        .into_iter()
        .map(f64::from)
        .map(|code| {
            (code != number("_FillValue"))
                .then_some(code * number("scale_factor") + number("add_offset"))
        })
        .collect();
    for (found, meant) in unpacked.iter().zip([Some(-16_374.0), Some(11.0), Some(8_191.75), None]) {
        match (found, meant) {
            (Some(found), Some(meant)) => {
                assert!((found - meant).abs() <= 0.2501, "{found} {meant}");
            }
            (found, meant) => assert_eq!(*found, meant),
        }
    }
    let told = warnings.iter().find(|it| it.contains("v is packed differently and is packed anew"));
    assert!(told.is_some_and(|it| it.contains("values change by up to 2.5")), "{warnings:?}");
    let float = Made::new()
        .unlimited("time")
        .variable("time", "time", vec![4.0], &[("units", text(DAYS))])
        .variable("v", "time", vec![1.5f32], &[]);
    let [packed, _] = files;
    let expected = ["range is not known", "--packing decode", "1.nc"];
    refused(&[packed, float], repack, ErrorCode::PACKINGS_DIFFER, &expected);
}

#[test]
fn a_packing_that_all_files_share_is_kept() {
    let packing = [("scale_factor", doubles(0.5)), ("_FillValue", NcAttrValue::Shorts(vec![-1]))];
    let files = [packed(&[0.0], vec![3], &packing), packed(&[1.0], vec![-1], &packing)];
    let (_folder, store, _) = baked(&files, plain());
    assert_eq!(store.values::<i16>("v"), [3, -1]);
    assert_eq!(
        store.attributes("v").number("scale_factor").and_then(|it| it.as_float()),
        Some(0.5)
    );
}

#[test]
fn types_become_the_least_that_holds_all() {
    let time = [("units", text(DAYS))];
    let made = |time_value: f64| {
        Made::new().unlimited("time").variable("time", "time", vec![time_value], &time)
    };
    let files = [
        made(0.0).variable("a", "time", vec![1i16], &[]).variable("b", "time", vec![7i32], &[]),
        made(1.0).variable("a", "time", vec![70_000i32], &[]).variable(
            "b",
            "time",
            vec![0.5f32],
            &[],
        ),
    ];
    let (_folder, store, _) = baked(&files, plain());
    assert_eq!(store.values::<i32>("a"), [1, 70_000]);
    assert_eq!(store.values::<f64>("b"), [7.0, 0.5]);
    let word =
        made(1.0).format(NcWriteFormat::Nc4).variable("a", "time", vec!["x".to_owned()], &[]);
    let number = made(0.0).format(NcWriteFormat::Nc4).variable("a", "time", vec![1i16], &[]);
    refused(&[number, word], plain(), ErrorCode::PACKINGS_DIFFER, &["the stored type", "1.nc"]);
}

/// Three days, of which the middle one lacks `extra`.
fn with_extra(elements: [i16; 2], attributes: &[(&str, NcAttrValue)]) -> [Made; 3] {
    let extra =
        |made: Made, element: i16| made.variable("extra", "time", vec![element], attributes);
    [
        extra(day(DAYS, &[0.0], 0.0), elements[0]),
        day(DAYS, &[1.0], 6.0),
        extra(day(DAYS, &[2.0], 12.0), elements[1]),
    ]
}

#[test]
fn variables_that_a_file_lacks_are_filled_or_left_out() {
    let files = with_extra([5, 6], &[]);
    let words = ["missing in 1 of 3 files", "--missing-vars union", "1.nc"];
    refused(&files, plain(), ErrorCode::VARIABLE_MISSING, &words);

    let intersection = BakeOptions { presence: PresencePolicy::Intersection, ..plain() };
    let (_folder, store, warnings) = baked(&files, intersection);
    assert!(!store.names().contains(&"extra"));
    assert!(warnings.iter().any(|it| it.contains("extra is missing in 1 of 3 files")));

    // Integers cannot say that they are missing.
    let union = BakeOptions { presence: PresencePolicy::Union, ..plain() };
    let (_folder, store, _) = baked(&files, union.clone());
    let values = store.values::<f32>("extra");
    assert!(values[0] == 5.0 && values[1].is_nan() && values[2] == 6.0, "{values:?}");
    assert_eq!(store.values::<f32>("t2m"), counted(0.0, 18));

    // With a fill value they can.
    let fill = [("_FillValue", NcAttrValue::Shorts(vec![-9]))];
    let (_folder, store, _) = baked(&with_extra([5, 6], &fill), union);
    assert_eq!(store.values::<i16>("extra"), [5, -9, 6]);
    assert_eq!(store.dataset().variable("extra").expect("it is there").dtype, DType::Int16);
}

#[test]
fn a_variable_that_no_file_has_is_refused_under_any_policy() {
    let files = with_extra([5, 6], &[]);
    for presence in [PresencePolicy::Union, PresencePolicy::Intersection] {
        let options = BakeOptions { presence, variables: vec!["ekstra".to_owned()], ..plain() };
        refused(&files, options, ErrorCode::UNKNOWN_VARIABLE, &["ekstra"]);
    }
}

#[test]
fn dimensions_in_another_order_are_turned() {
    let turned = Made::new()
        .unlimited("time")
        .dimension("lat", 2)
        .dimension("lon", 3)
        .variable("time", "time", vec![1.0, 2.0], &[("units", text(DAYS))])
        .variable("lat", "lat", [10.0, 20.0], &[("units", text("degrees_north"))])
        .variable("lon", "lon", [0.0, 1.0, 2.0], &[("units", text("degrees_east"))])
        .variable("t2m", "time lon lat", counted(100.0, 12), &[("units", text("K"))]);
    let (_folder, store, warnings) = baked(&[day(DAYS, &[0.0], 0.0), turned], plain());
    let expected = [
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        [100.0, 102.0, 104.0, 101.0, 103.0, 105.0],
        [106.0, 108.0, 110.0, 107.0, 109.0, 111.0],
    ];
    assert_eq!(store.values::<f32>("t2m"), expected.concat());
    assert!(warnings.iter().any(|it| it.contains("turned to (time, lat, lon)")), "{warnings:?}");
}

#[test]
fn attributes_that_differ_are_dropped_kept_or_refused() {
    let files = [
        day(DAYS, &[0.0], 0.0).attribute("history", text("made")),
        day(DAYS, &[1.0], 6.0).attribute("history", text("mended")).attribute("note", text("new")),
    ];
    let (_folder, store, warnings) = baked(&files, plain());
    assert!(store.dataset().attributes.is_empty());
    assert!(warnings.iter().any(|it| it.contains("history")), "{warnings:?}");
    let with = |attributes| BakeOptions { attributes, ..plain() };
    let (_folder, store, _) = baked(&files, with(AttributePolicy::First));
    assert_eq!(store.dataset().attributes.text("history"), Some("made"));
    assert_eq!(store.dataset().attributes.text("note"), Some("new"));
    let refusal = with(AttributePolicy::Error);
    refused(&files, refusal, ErrorCode::ATTRIBUTES_DIFFER, &["history", "--attrs first"]);
}

#[test]
fn a_calendar_of_two_names_is_no_attribute_that_differs() {
    let dated = |step: f64, calendar: &str| {
        let calendar = [("units", text(DAYS)), ("calendar", text(calendar))];
        Made::new().unlimited("time").variable("time", "time", [step], &calendar)
    };
    let strict = || BakeOptions { attributes: AttributePolicy::Error, ..plain() };
    let files = [dated(0.0, "365_day"), dated(1.0, "noleap")];
    let (_folder, store, _) = baked(&files, strict());
    assert_eq!(store.times("time"), ["2000-01-01T00:00:00", "2000-01-02T00:00:00"]);
    let files = [dated(0.0, "365_day"), dated(1.0, "360_day")];
    refused(&files, strict(), ErrorCode::TIMES_DIFFER, &["noleap", "360_day"]);
    // Where no time is counted, it is an attribute as any other.
    let told = |step: f64, calendar: &str| {
        dated(step, "noleap").variable("v", "time", [1.0], &[("calendar", text(calendar))])
    };
    let files = [told(0.0, "365_day"), told(1.0, "noleap")];
    refused(&files, strict(), ErrorCode::ATTRIBUTES_DIFFER, &["`calendar`", "variable v"]);
}

#[test]
fn a_grid_that_was_rounded_is_the_same_grid_when_asked() {
    let grid = |step: f64, lat: [f64; 2], area: [f32; 2]| {
        Made::new()
            .unlimited("time")
            .dimension("lat", 2)
            .variable("time", "time", [step], &[("units", text(DAYS))])
            .variable("lat", "lat", lat, &[])
            .variable("area", "lat", area, &[])
            .variable("v", "time lat", [1.0f32, 2.0], &[])
    };
    let files = [
        grid(0.0, [0.0, 50.0], [1e6, f32::NAN]),
        grid(1.0, [1e-14, 50.0 + 1e-14], [1e6 + 1.0, f32::NAN]),
        grid(2.0, [-1e-14, 50.0 - 1e-14], [1e6, f32::NAN]),
    ];
    let close = |tolerance| BakeOptions { statics: StaticPolicy::Close(tolerance), ..plain() };
    refused(&files, plain(), ErrorCode::GRIDS_DIFFER, &["`lat`", "--static close"]);
    let (_folder, store, warnings) = baked(&files, close(1e-5));
    assert_eq!(store.values::<f64>("lat"), [0.0, 50.0]);
    assert_eq!(store.shape("v"), [3, 2]);
    assert!(warnings.iter().any(|it| it.contains("lat differs by up to 2")), "{warnings:?}");
    refused(&files, close(1e-9), ErrorCode::STATIC_DIFFERS, &["`area`", "0.nc", "1.nc"]);
    refused(&files, close(1e-15), ErrorCode::GRIDS_DIFFER, &["`lat`"]);
    let torn = [grid(0.0, [0.0, 1.0], [1.0, f32::NAN]), grid(1.0, [0.0, 1.0], [1.0, 2.0])];
    refused(&torn, close(1e9), ErrorCode::STATIC_DIFFERS, &["`area`"]);
}

#[test]
fn attributes_of_files_are_listed_or_span_all_files_when_asked() {
    let file = |step: f64, id: &str, ends: [&str; 2], least: f64| {
        day(DAYS, &[step], 0.0)
            .attribute("tracking_id", text(id))
            .attribute("title", text("T"))
            .attribute("time_coverage_start", text(ends[0]))
            .attribute("time_coverage_end", text(ends[1]))
            .attribute("geospatial_lat_min", doubles(least))
            .attribute("geospatial_lat_max", text(if step == 1.0 { "10" } else { "9.5" }))
            .attribute("geospatial_bounds", text(id))
    };
    let files = || {
        [
            file(0.0, "b", ["2000-01-01T00:00:00Z", "2000-01-01T23:00:00Z"], -5.0),
            file(1.0, "a", ["2000-01-02T00:00:00Z", "2000-01-02T23:00:00Z"], -20.0),
            file(2.0, "b", ["2000-01-03", "2000-01-03T23:00:00Z"], -7.5),
        ]
    };
    let with = |attributes| BakeOptions { attributes, ..plain() };
    let (_folder, store, _) = baked(&files(), with(AttributePolicy::List));
    let listed = |name: &str| format!("{:?}", store.dataset().attributes.get(name));
    assert_eq!(listed("tracking_id"), r#"Some(Texts(["b", "a"]))"#);
    assert_eq!(listed("title"), r#"Some(Text("T"))"#);
    let (_folder, store, warnings) = baked(&files(), with(AttributePolicy::Coverage));
    let attributes = &store.dataset().attributes;
    assert_eq!(attributes.text("time_coverage_start"), Some("2000-01-01T00:00:00Z"));
    assert_eq!(attributes.text("time_coverage_end"), Some("2000-01-03T23:00:00Z"));
    let least = attributes.number("geospatial_lat_min").and_then(|it| it.as_float());
    assert_eq!(least, Some(-20.0));
    assert_eq!(attributes.text("geospatial_lat_max"), Some("10"));
    assert_eq!(attributes.get("tracking_id"), None);
    assert!(warnings.iter().any(|it| it.contains("tracking_id")), "{warnings:?}");
    // A date and a number have no order.
    let torn = [
        file(0.0, "a", ["2000-01-01", "2000-01-02"], 0.0),
        file(1.0, "a", ["yesterday", "2000-01-03"], 0.0),
    ];
    let (_folder, store, _) = baked(&torn, with(AttributePolicy::Coverage));
    assert_eq!(store.dataset().attributes.get("time_coverage_start"), None);
    assert_eq!(store.dataset().attributes.text("time_coverage_end"), Some("2000-01-03"));
}
