//! Files of a grid that are missing, and whose elements are filled.

use levain::bake::{BakeOptions, CombineDim, FilePattern, MissingFilePolicy};
use levain::dataflow::error::ErrorCode;

use super::{LATS, TIMES, baked, field, keys, names, oracle, pattern, put_grid, q, refused, t};
use crate::baking::plain;
use crate::made::{Folder, text};

fn filling() -> BakeOptions {
    let chunks = "time=2,lat=4".parse().expect("chunks");
    BakeOptions { missing_files: MissingFilePolicy::Fill, chunks, ..plain() }
}

fn remove(folder: &Folder, files: &[&str]) {
    files.iter().for_each(|it| std::fs::remove_file(folder.path(it)).expect("it was there"));
}

fn merged(folder: &Folder) -> FilePattern {
    let dims = [
        CombineDim::concat("time", keys(2)),
        CombineDim::merge("var", names(&["t", "q"])),
        CombineDim::concat("lat", keys(3)),
    ];
    pattern(folder, "{var}_{time}_{lat}.nc", dims)
}

/// Whether an element lies in one of these files, named by their keys.
fn is_missing(files: &[(usize, usize)], time: f64, lat: f64) -> bool {
    let is_in = |&(i, j): &(usize, usize)| TIMES[i].contains(&time) && LATS[j].contains(&lat);
    files.iter().any(is_in)
}

#[test]
fn elements_of_files_that_are_missing_are_filled_and_coordinates_are_whole() {
    let folder = Folder::new();
    put_grid(&folder);
    for (i, j) in (0..2).flat_map(|i| (0..3).map(move |j| (i, j))) {
        let made = field("t", TIMES[i], LATS[j], t).attribute("title", text("a grid"));
        folder.put(&format!("t_{i}_{j}.nc"), &made);
        let made = field("q", TIMES[i], LATS[j], q).attribute("title", text("a grid"));
        folder.put(&format!("q_{i}_{j}.nc"), &made);
    }
    // The first of all among them, from which nothing can be taken.
    remove(&folder, &["t_0_0.nc", "t_1_1.nc", "q_0_2.nc", "q_1_2.nc", "q_0_0.nc"]);
    let (store, warnings) = baked(&folder, merged(&folder), filling());
    assert_eq!(store.values::<f64>("time"), TIMES.concat());
    assert_eq!(store.values::<f64>("lat"), LATS.concat());
    assert_eq!(store.values::<f64>("lon"), [0.0, 1.0]);
    let (times, lats) = (TIMES.concat(), LATS.concat());
    let check = |name: &str, value: fn(f64, f64, f64) -> f32, files: &[(usize, usize)]| {
        let (got, want) = (store.values::<f32>(name), oracle(value));
        assert_eq!(got.len(), want.len());
        for (place, (got, want)) in got.into_iter().zip(want).enumerate() {
            let (time, lat) = (times[place / 2 / lats.len()], lats[place / 2 % lats.len()]);
            match is_missing(files, time, lat) {
                true => assert!(got.is_nan(), "{name} at {time} {lat} is {got}"),
                false => assert_eq!(got.to_bits(), want.to_bits(), "{name} at {time} {lat}"),
            }
        }
    };
    check("t", t, &[(0, 0), (1, 1)]);
    check("q", q, &[(0, 2), (1, 2), (0, 0)]);
    // Files that are not there do not disagree.
    assert_eq!(store.dataset().attributes.text("title"), Some("a grid"));
    assert_eq!(store.attributes("t").text("units"), Some("K"));
    let missing = format!("{:?}", store.dataset().attributes.get("missing_sources"));
    assert!(missing.contains("t_1_1.nc") && missing.contains("q_0_0.nc"), "{missing}");
    assert!(
        warnings.iter().any(|it| it.contains("5 sources are missing and filled")),
        "{warnings:?}"
    );
}

#[test]
fn a_key_without_any_file_is_refused_by_name() {
    let folder = Folder::new();
    put_grid(&folder);
    remove(&folder, &["t_0_1.nc", "t_1_1.nc", "q_0_1.nc", "q_1_1.nc"]);
    let words = ["lat=1", "leave that key out"];
    refused(&folder, merged(&folder), filling(), ErrorCode::NOTHING_MATCHES, &words);
}

#[test]
fn where_no_file_is_missing_filling_changes_nothing() {
    let folder = Folder::new();
    put_grid(&folder);
    let (store, _) = baked(&folder, merged(&folder), filling());
    assert_eq!((store.values::<f32>("t"), store.values::<f32>("q")), (oracle(t), oracle(q)));
    assert!(store.dataset().attributes.get("missing_sources").is_none());
}
