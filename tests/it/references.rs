//! References in place of copies: what Python reads through them, what they are made of, and what
//! is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use dataflow::testing::python;
use netcdf_writer::{NcAttrValue, NcWriteFormat};
use serde_json::Value;

use crate::command::{Ran, levain};
use crate::made::{Folder, Made, text};

const SCRIPT: &str = "tests/it/references.py";

/// Kinds of files that the script makes, and how many there are of each.
const KINDS: [(&str, usize, &str); 15] = [
    ("deflate", 3, "nc"),
    ("checksum", 3, "nc"),
    ("big", 3, "nc"),
    ("plain", 3, "nc"),
    ("classic", 3, "nc"),
    ("fixed", 3, "nc"),
    ("shifted", 3, "nc"),
    ("mixed", 3, "nc"),
    ("packed", 3, "nc"),
    ("one", 1, "nc"),
    ("edges", 3, "nc"),
    ("sparse", 3, "nc"),
    ("holes", 3, "nc"),
    ("absent", 3, "nc"),
    ("stores", 3, "zarr"),
];

fn run_script(python: &Path, what: &str, folder: &Folder) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
    let run = Command::new(python).arg(script).args([what, &folder.text("")]).output();
    let run = run.expect("Python starts");
    assert!(run.status.success(), "{what}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Writes references to files of the folder.
fn refer(sources: &[String], destination: &str, more: &[&str]) -> Ran {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let flags = ["--as", "kerchunk", "--progress", "none"];
    levain(&[&["bake"], &sources[..], &[destination], &flags[..], more].concat())
}

#[test]
fn ask_38_references_to_files_of_any_chunks_are_read_by_python_as_the_files_are() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    run_script(&python, "make", &folder);
    for (kind, count, suffix) in KINDS {
        let sources: Vec<String> =
            (0..count).map(|place| folder.text(&format!("{kind}{place}.{suffix}"))).collect();
        for form in ["json", "parquet"] {
            refer(&sources, &folder.text(&format!("{kind}.{form}")), &[]).check_done();
        }
    }
    run_script(&python, "check", &folder);
    let packed = |place: usize| folder.text(&format!("packed{place}.nc"));
    let none = folder.text("none.json");
    let little = ["--inline", "1KiB"];
    refer(&[packed(0), packed(1)], &none, &little).check_refused(
        "E207",
        1,
        &["`t` is packed", "packed0.nc", "packed1.nc"],
    );
    let shifted = |place: usize| folder.text(&format!("shifted{place}.nc"));
    refer(&[shifted(0), shifted(1)], &none, &little).check_refused(
        "E214",
        1,
        &["variable t", "shifted1.nc", "[7, 5, 7]", "--inline"],
    );
    let deflate = folder.text("deflate0.nc");
    let big = folder.text("big1.nc");
    refer(&[deflate, big], &none, &little).check_refused(
        "E214",
        1,
        &["big-endian", "deflate0.nc", "big1.nc"],
    );
    assert!(!folder.path("none.json").exists());
}

/// Two classic files of 2 and 3 steps.
fn two_classic(folder: &Folder) -> Vec<String> {
    let file = |start: i32, count: i32| {
        let times: Vec<f64> = (start..start + count).map(f64::from).collect();
        let values: Vec<i32> = (start * 40..(start + count) * 40).collect();
        Made::new()
            .format(NcWriteFormat::Classic)
            .unlimited("time")
            .dimension("x", 40)
            .variable("time", "time", times, &[("units", text("days since 2000-01-01"))])
            .variable("v", "time x", values, &[("missing_value", NcAttrValue::Ints(vec![-1]))])
    };
    let pair = [("a.nc", file(0, 2)), ("b.nc", file(2, 3))];
    pair.into_iter().map(|(name, made)| folder.put(name, &made)).collect()
}

fn read_json(path: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read(path).expect("references");
    let mut document: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(document["version"], 1);
    serde_json::from_value(document["refs"].take()).expect("pairs")
}

#[test]
fn ranges_of_classic_files_are_the_bytes_of_their_records() {
    let folder = Folder::new();
    let sources = two_classic(&folder);
    refer(&sources, &folder.text("v.json"), &[]).check_done();
    let references = read_json(&folder.path("v.json"));
    let array: Value =
        serde_json::from_str(references["v/.zarray"].as_str().expect("a text")).expect("JSON");
    assert_eq!((&array["dtype"], &array["shape"]), (&">i4".into(), &serde_json::json!([5, 40])));
    assert_eq!(array["chunks"], serde_json::json!([1, 40]));
    let mut values: Vec<i32> = Vec::new();
    for step in 0..5 {
        let range = &references[&format!("v/{step}.0")];
        let url = range[0].as_str().expect("a URL");
        let path = url.strip_prefix("file://").expect("a path");
        assert!(path.ends_with(if step < 2 { "a.nc" } else { "b.nc" }), "{path}");
        let (offset, length) = (range[1].as_u64(), range[2].as_u64());
        let offset = offset.expect("a number") as usize;
        let bytes = std::fs::read(path).expect("the file");
        let bytes = &bytes[offset..offset + length.expect("a number") as usize];
        values.extend(
            bytes.chunks_exact(4).map(|it| i32::from_be_bytes(it.try_into().expect("four bytes"))),
        );
    }
    assert_eq!(values, (0..200).collect::<Vec<i32>>());
    let time = references["time/0"].as_str().expect("held");
    assert!(time.starts_with("base64:"), "{time}");
    assert!(references.contains_key(".zmetadata") && references.contains_key("v/.zattrs"));
}

#[test]
fn a_plan_of_references_writes_nothing_and_says_what_is_held_and_why() {
    let folder = Folder::new();
    let sources = two_classic(&folder);
    let out = folder.text("v.json");
    let flags = ["--as", "kerchunk", "--output", "json", "--progress", "none"];
    let ran = levain(&[&["plan", "bake", &sources[0], &sources[1], &out], &flags[..]].concat());
    let plan: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let [time, v] = [0, 1].map(|place| &plan["references"][place]);
    assert_eq!((&time["name"], &time["inline"]), (&"time".into(), &1.into()));
    assert_eq!((&v["name"], &v["ranges"], &v["inline"]), (&"v".into(), &5.into(), &0.into()));
    assert!(!folder.path("v.json").exists());
}

#[test]
fn references_are_replaced_when_that_is_asked_for_and_nothing_else_is() {
    let folder = Folder::new();
    let sources = two_classic(&folder);
    for form in ["v.json", "v.parquet"] {
        let out = folder.text(form);
        refer(&sources[..1], &out, &[]).check_done();
        refer(&sources, &out, &[]).check_refused("E106", 4, &["--overwrite"]);
        refer(&sources, &out, &["--overwrite"]).check_done();
    }
    assert_eq!(
        read_json(&folder.path("v.json")).keys().filter(|it| it.starts_with("v/")).count(),
        7
    );
    std::fs::write(folder.path("mine.json"), "{}").expect("a file");
    let mine = folder.text("mine.json");
    refer(&sources, &mine, &["--overwrite"]).check_refused("E106", 4, &["no references"]);
    std::fs::create_dir(folder.path("mine.parquet")).expect("a folder");
    std::fs::write(folder.path("mine.parquet/a.txt"), "mine").expect("a file");
    let mine = folder.text("mine.parquet");
    refer(&sources, &mine, &["--overwrite"]).check_refused("E106", 4, &["no references"]);
    assert!(folder.path("mine.parquet/a.txt").exists());
}

#[test]
fn what_references_do_not_have_is_refused() {
    let folder = Folder::new();
    let sources = two_classic(&folder);
    let out = folder.text("v.json");
    for (flags, word) in [
        (&["--chunks", "time=1"][..], "chunks"),
        (&["--codec", "zstd:3"], "codec"),
        (&["--zarr-format", "3"], "version 2"),
        (&["--append", "time"], "appended"),
        (&["--resume"], "resumed"),
        (&["--target-group", "a"], "groups"),
        (&["--pyramid", "2", "--pyramid-dims", "x"], "levels"),
    ] {
        refer(&sources, &out, flags).check_refused("E100", 4, &[word]);
    }
    refer(&sources, &folder.text("v.zarr"), &[]).check_refused("E100", 4, &["NAME.json"]);
    assert!(!folder.path("v.json").exists() && !folder.path("v.zarr").exists());
}

#[test]
fn a_recipe_asks_for_references() {
    let folder = Folder::new();
    two_classic(&folder);
    let recipe = "sources = '*.nc'\ndestination = 'v.json'\nas = 'kerchunk'\ninline = '1MiB'\n";
    std::fs::write(folder.path("r.toml"), recipe).expect("a recipe");
    levain(&["bake", &folder.text("r.toml"), "--progress", "none"]).check_done();
    assert!(read_json(&folder.path("v.json")).contains_key("v/4.0"));
}
