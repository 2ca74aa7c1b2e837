//! Dimensions that files lack: made from keys, or from scalars in each file.

use levain::bake::{BakeOptions, CombineDim, Keys, OverlapPolicy};
use levain::dataflow::error::ErrorCode;

use super::{baked, field, keys, names, pattern, refused, t};
use crate::baking::plain;
use crate::made::{Baked, Folder, Made, text};

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
