//! Golden vectors: what Python's libraries make of the same files.

use levain::bake::{BakeOptions, CombineDim, FilePattern, JoinPolicy, Keys, PresencePolicy};
use levain::cf::{Calendar, TimeEncoding};
use levain::dataflow::error::ErrorCode;
use levain::dataflow::testing::shared_file;
use levain::job::Bake;
use netcdf_writer::{NcAttrValue, NcWriteFormat};
use serde_json::Value;

use crate::baking::plain;
use crate::made::{Baked, Folder, Made, Values, text};

fn words(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn float(value: &Value) -> f64 {
    match value.as_str() {
        Some(text) => {
            assert_eq!(text, "NaN");
            f64::NAN
        }
        None => value.as_f64().expect("a number"),
    }
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(all) => all,
        one => std::slice::from_ref(one),
    }
}

/// Times as a file of the vectors counts them.
fn times(described: &Value) -> (Vec<f64>, Calendar) {
    let calendar: Calendar = words(&described["calendar"]).parse().expect("a calendar");
    let encoding = TimeEncoding::of_units(words(&described["units"]), calendar).expect("units");
    let start = calendar.parse_instant(words(&described["start"])).expect("a date");
    let hour = 3_600_000_000_000i128;
    let step = match words(&described["freq"]) {
        "6h" => 6 * hour,
        freq => {
            assert_eq!(freq, "D");
            24 * hour
        }
    };
    let count = i128::from(described["n"].as_i64().expect("a count"));
    let number = |place| {
        let from_origin = start + place * step - encoding.origin();
        from_origin as f64 / encoding.unit().nanoseconds() as f64
    };
    ((0..count).map(number).collect(), calendar)
}

/// A variable as it is stored: packed, and filled.
fn stored(described: &Value) -> (Values, Vec<(&'static str, NcAttrValue)>) {
    let encoding = &described["encoding"];
    let fill = encoding.get("_FillValue").map(float);
    let values = list(&described["values"]).iter().map(float);
    let mut about = Vec::new();
    if let Some(units) = described["attrs"].get("units") {
        about.push(("units", text(words(units))));
    }
    let filled = |value: f64| if value.is_nan() { fill.unwrap_or(value) } else { value };
    let dtype = encoding.get("dtype").unwrap_or(&described["memory_dtype"]);
    let values = match words(dtype) {
        "int16" => {
            let (scale, offset) =
                (float(&encoding["scale_factor"]), float(&encoding["add_offset"]));
            about.push(("scale_factor", NcAttrValue::Doubles(vec![scale])));
            about.push(("add_offset", NcAttrValue::Doubles(vec![offset])));
            about.push(("_FillValue", NcAttrValue::Shorts(vec![fill.expect("a fill") as i16])));
            // In floats of 32 bits, as xarray packs what it holds so.
            let packed = |value: f64| match value.is_nan() {
                true => filled(value),
                false => {
                    f64::from(((value as f32 - offset as f32) / scale as f32).round_ties_even())
                }
            };
            Values::Shorts(values.map(|it| packed(it) as i16).collect())
        }
        "float32" => {
            about.extend(fill.map(|it| ("_FillValue", NcAttrValue::Floats(vec![it as f32]))));
            Values::Floats(values.map(|it| filled(it) as f32).collect())
        }
        dtype => {
            assert_eq!(dtype, "float64");
            about.extend(fill.map(|it| ("_FillValue", NcAttrValue::Doubles(vec![it]))));
            let of_memory = |it: f64| match words(&described["memory_dtype"]) {
                "float32" => f64::from(it as f32),
                _ => it,
            };
            Values::Doubles(values.map(|it| filled(of_memory(it))).collect())
        }
    };
    (values, about)
}

fn made(file: &Value) -> Made {
    let (times, calendar) = times(&file["time"]);
    let lat: Vec<f64> = list(&file["lat"]).iter().map(float).collect();
    let units =
        [("units", text(words(&file["time"]["units"]))), ("calendar", text(calendar.name()))];
    let is_whole = times.iter().all(|it| it.fract() == 0.0);
    let times = match words(&file["time"]["dtype"]) {
        "int64" if is_whole => Values::Ints(times.iter().map(|it| *it as i32).collect()),
        _ => Values::Doubles(times),
    };
    let mut made = Made::new()
        .format(NcWriteFormat::Nc4)
        .unlimited("time")
        .dimension("lat", lat.len() as u64)
        .variable("time", "time", times, &units)
        .variable("lat", "lat", lat, &[]);
    for (name, value) in file["attrs"].as_object().expect("attributes") {
        made = made.attribute(name, text(words(value)));
    }
    for (name, described) in file["variables"].as_object().expect("variables") {
        let dims: Vec<&str> = list(&described["dims"]).iter().map(words).collect();
        let (values, about) = stored(described);
        made = made.variable(name, &dims.join(" "), values, &about);
    }
    made
}

/// The store must be what `correct` says: dimensions, values that are decoded, times, attributes.
fn check_correct(store: &Baked, correct: &Value, id: &str) {
    let variables = correct["variables"].as_object().expect("variables");
    let mut names = store.names();
    names.sort_unstable();
    let mut expected: Vec<&str> = variables.keys().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "{id}");
    for (name, described) in variables {
        let own = store.dataset().variable(name).expect("there");
        let dims: Vec<&str> = list(&described["dims"]).iter().map(words).collect();
        assert_eq!(own.dimensions, dims, "{id}: {name}");
        let values = list(&described["values"]);
        if name == "time" {
            assert_eq!(store.times(name), values.iter().map(words).collect::<Vec<_>>(), "{id}");
            continue;
        }
        let got = store.decoded(name);
        assert_eq!(got.len(), values.len(), "{id}: {name}");
        for (got, value) in got.into_iter().zip(values) {
            let want = float(value);
            let is_near = (got - want).abs() <= 1e-6 * want.abs().max(1.0);
            assert!(is_near || got.is_nan() && want.is_nan(), "{id}: {name} has {got}, not {want}");
        }
        let units = described["attrs"].get("units").and_then(Value::as_str);
        assert_eq!(own.attributes.text("units"), units, "{id}: {name}");
    }
    let attributes = correct["attrs"].as_object().expect("attributes");
    let own: Vec<&str> = store.dataset().attributes.iter().map(|(name, _)| name).collect();
    assert_eq!(own, attributes.keys().collect::<Vec<_>>(), "{id}");
    for (name, value) in attributes {
        assert_eq!(store.dataset().attributes.text(name), value.as_str(), "{id}");
    }
}

/// The target is `correct`, also where pangeo-forge was wrong (15) or failed (10). All 38 pass, with
/// the policies that xarray's `concat` and `merge` have: variables that some files lack are filled,
/// and files on other latitudes are joined to the latitudes of all.
#[test]
fn golden_pfr_end_to_end() {
    let Some(path) = shared_file("golden/pfr_end_to_end.json") else { return };
    let body = std::fs::read_to_string(path).expect("the file is there");
    let root: Value = serde_json::from_str(&body).expect("vectors are JSON");
    let (mut passed, mut joined) = (0, 0);
    for case in root["cases"].as_array().expect("vectors have cases") {
        let (input, id) = (&case["input"], words(&case["id"]));
        let folder = Folder::new();
        for (place, file) in list(&input["files"]).iter().enumerate() {
            folder.put(&format!("{place:03}.nc"), &made(file));
        }
        let count = |name: &str| input["grid"][name].as_i64().expect("a count");
        let (groups, steps) = (count("n_variable_groups"), count("n_time_files"));
        let keys = |count| Keys::integers(0, count - 1, 1).expect("keys");
        // Files are listed group by group; each gets a name of its keys.
        for place in 0..groups * steps {
            let keyed = format!("{}_{}.nc", place / steps, place % steps);
            std::fs::rename(folder.path(&format!("{place:03}.nc")), folder.path(&keyed))
                .expect("the file was made");
        }
        let dims =
            [CombineDim::merge("group", keys(groups)), CombineDim::concat("time", keys(steps))];
        let template = folder.text("{group}_{time}.nc").parse().expect("a template");
        let pattern = FilePattern::new(template, dims).expect("a pattern");
        let presence = PresencePolicy::Union;
        let bake = |join: JoinPolicy| {
            let bake = Bake::of_pattern(pattern.clone(), &folder.text("out.zarr"));
            let bake = bake.expect("a destination");
            bake.with_options(BakeOptions { presence, join, ..plain() }).run()
        };
        // By default, files on other grids are refused before the first write.
        if input["traits"]["defect"] == "lat_differs" {
            let error = bake(JoinPolicy::Error).expect_err("the grids differ");
            assert_eq!(error.code(), ErrorCode::GRIDS_DIFFER, "{id}");
            assert!(!folder.path("out.zarr").exists(), "{id}");
            joined += 1;
        }
        bake(JoinPolicy::Outer).unwrap_or_else(|error| panic!("{id}: {error}"));
        check_correct(&Baked::open(&folder.text("out.zarr")), &case["correct"], id);
        passed += 1;
    }
    assert_eq!((passed, joined), (38, 2));
}
