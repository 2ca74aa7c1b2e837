//! GRIB files into one Zarr store, as users bake them.

use std::path::Path;
use std::process::Command;

use dataflow::testing::{shared_file, skip};

use super::peer::eccodes;
use super::samples::{Message, PLAIN, PLAIN_1};
use crate::command::levain;
use crate::made::{Baked, Folder};

/// Files of which a store must equal what cfgrib and xarray make of them.
const SHARED: [&str; 8] = [
    "cfgrib-tests/era5-levels-members.grib",
    "cfgrib-tests/era5-single-level-scalar-time.grib",
    "cfgrib-tests/fields_with_missing_values.grib",
    "cfgrib-tests/multi_param_on_multi_dims.grib",
    "cfgrib-tests/regular_gg_ml_g2.grib",
    "cfgrib-tests/alternate-scanning.grib",
    "cfgrib-tests/step_60m.grib",
    "xarray-data/era5-2mt-2019-03-uk.grib",
];

/// Two days of temperature on two levels.
fn days(make: fn(&Message) -> Vec<u8>, plain: Message) -> [Vec<u8>; 2] {
    [15, 16].map(|day| {
        let of_level = |(place, level): (u16, u16)| {
            let base = (day - 15) * 100 + place * 10;
            make(&Message { date: [2024, 1, day, 6], level, base, ..plain })
        };
        [(0, 850), (1, 500)].map(of_level).concat()
    })
}

#[test]
fn files_of_days_are_baked_into_one_store() {
    let editions: [[Vec<u8>; 2]; 2] =
        [days(Message::edition_1, PLAIN_1), days(Message::edition_2, PLAIN)];
    for files in editions {
        let folder = Folder::new();
        // A suffix says nothing.
        let paths = [("0.nc", &files[0]), ("1.bin", &files[1])];
        let paths = paths.map(|(name, bytes)| folder.put_bytes(name, bytes));
        let out = folder.text("out.zarr");
        levain(&["bake", &paths[0], &paths[1], &out, "--progress", "none"]).check_done();
        let store = Baked::open(&out);
        let t = store.dataset().variable("t").expect("a variable");
        assert_eq!(t.dimensions, ["time", "isobaricInhPa", "latitude", "longitude"]);
        let wanted: Vec<f32> = [0, 10, 100, 110]
            .into_iter()
            .flat_map(|base| (0..6).map(move |point| (base + point) as f32))
            .collect();
        assert_eq!(store.values::<f32>("t"), wanted);
        assert_eq!(store.values::<i64>("time"), [1_705_298_400, 1_705_384_800]);
        assert_eq!(store.values::<i64>("valid_time"), [1_705_298_400, 1_705_384_800]);
        assert_eq!(store.values::<f64>("isobaricInhPa"), [850.0, 500.0]);
        assert_eq!(store.values::<f64>("latitude"), [41.0, 40.0]);
    }
}

#[test]
fn a_level_that_is_a_scalar_in_each_file_is_a_concat_dimension_beside_time() {
    let folder = Folder::new();
    for (place, level) in [850, 500, 300].into_iter().enumerate() {
        for day in 0..2 {
            let base = 100 * place as u16 + 10 * day;
            let message = Message { date: [2024, 1, 15 + day, 6], level, base, ..PLAIN };
            folder.put_bytes(&format!("{level}_{day}.grib2"), &message.edition_2());
        }
    }
    let recipe = "destination = 'out.zarr'\n[pattern]\n\
                  template = '{isobaricInhPa}_{time}.grib2'\n\
                  concat = { isobaricInhPa = [850, 500, 300], time = [0, 1] }\n\
                  [[steps]]\nstep = 'expand'\ndim = 'isobaricInhPa'\n";
    let recipe = folder.put_bytes("levels.toml", recipe.as_bytes());
    levain(&["bake", &recipe, "--progress", "none"]).check_done();
    let store = Baked::open(&folder.text("out.zarr"));
    let t = store.dataset().variable("t").expect("a variable");
    assert_eq!(t.dimensions, ["isobaricInhPa", "time", "latitude", "longitude"]);
    assert_eq!(store.values::<f64>("isobaricInhPa"), [850.0, 500.0, 300.0]);
    assert_eq!(store.values::<i64>("valid_time"), [1_705_298_400, 1_705_384_800]);
    let wanted: Vec<f32> = [0, 10, 100, 110, 200, 210]
        .into_iter()
        .flat_map(|base| (0..6).map(move |point| (base + point) as f32))
        .collect();
    assert_eq!(store.values::<f32>("t"), wanted);
}

#[test]
fn a_store_of_a_file_with_gaps_has_them_as_nan() {
    let folder = Folder::new();
    let message = Message { gap: 4, ..PLAIN };
    let path = folder.put_bytes("gaps.grib", &message.edition_2());
    let out = folder.text("out.zarr");
    levain(&["bake", &path, &out, "--progress", "none"]).check_done();
    let found = Baked::open(&out).values::<f32>("t");
    let missing: Vec<usize> = (0..6).filter(|&place| found[place].is_nan()).collect();
    assert_eq!(missing, [0, 4]);
}

#[test]
fn inspect_shows_what_a_file_holds() {
    let folder = Folder::new();
    let other = Message { parameter: [2, 2], level: 300, step: 6, ..PLAIN };
    let path = folder.put_bytes("two.grib", &[PLAIN.edition_2(), other.edition_2()].concat());
    let ran = levain(&["inspect", &path]);
    ran.check_done();
    for words in ["grid_simple", "latitude", "U component of wind", "forecast_reference_time"] {
        assert!(ran.stdout.contains(words), "`{words}` is not in\n{}", ran.stdout);
    }
}

#[test]
fn a_broken_message_stops_a_bake_before_anything_is_written() {
    let folder = Folder::new();
    let mut bytes = [PLAIN.edition_2(), PLAIN.edition_2()].concat();
    bytes.truncate(bytes.len() - 10);
    let path = folder.put_bytes("cut.grib", &bytes);
    let out = folder.text("out.zarr");
    let place = format!("at byte {}", PLAIN.edition_2().len());
    let ran = levain(&["bake", &path, &out, "--progress", "none"]);
    ran.check_refused("E202", 1, &[&place, "cut.grib"]);
    assert!(!folder.path("out.zarr").exists());
}

#[test]
fn stores_are_what_cfgrib_and_xarray_make_of_the_files() {
    let Some(python) = eccodes() else { return };
    if !has_cfgrib(&python) {
        return skip("tests against cfgrib: install cfgrib and xarray for LEVAIN_TEST_PYTHON");
    }
    let folder = Folder::new();
    let mut pairs: Vec<String> = Vec::new();
    for (place, name) in SHARED.iter().enumerate() {
        let Some(file) = shared_file("data").map(|data| data.join(name)) else { return };
        let file = file.to_str().expect("UTF-8").to_owned();
        let out = folder.text(&format!("{place}.zarr"));
        levain(&["bake", &file, &out, "--progress", "none"]).check_done();
        pairs.extend([file, out]);
    }
    let output = Command::new(&python)
        .args(["-c", include_str!("cfgrib.py")])
        .args(&pairs)
        .output()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    println!("{told}");
}

fn has_cfgrib(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import cfgrib, xarray, zarr"]).output().is_ok_and(|it| it.status.success())
}
