//! Chunks of sources that turn out to be damaged while a store is written: the run ends, or they are
//! filled, named by everybody who is asked, and mended later.

use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use levain::job::{SampleFormat, write_sample_files};
use serde_json::Value;

use crate::command::{Ran, levain};
use crate::made::{Baked, Folder, Made};

/// Two files of one day each, the second of which can be damaged and mended.
struct Days {
    folder: Folder,
    files: Vec<String>,
    second: PathBuf,
    sound: Vec<u8>,
    modified: SystemTime,
}

impl Days {
    fn new() -> Self {
        let folder = Folder::new();
        let made = write_sample_files(&folder.path("files"), 7_000_000, SampleFormat::Nc4);
        let paths: Vec<PathBuf> = made.expect("sample files").paths.into_iter().take(2).collect();
        let second = paths[1].clone();
        let sound = std::fs::read(&second).expect("a file");
        let about = std::fs::metadata(&second).expect("a file");
        let modified = about.modified().expect("a time");
        let text = |path: &PathBuf| path.to_str().expect("a path").to_owned();
        let files = paths.iter().map(text).collect();
        Self { folder, files, second, sound, modified }
    }

    /// Damages compressed bytes in the middle of the second file.
    fn damage(&self) {
        let mut bytes = self.sound.clone();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 16].iter_mut().for_each(|byte| *byte = !*byte);
        self.put(&bytes);
    }

    /// Writes the second file as if it had always been so.
    fn put(&self, bytes: &[u8]) {
        std::fs::write(&self.second, bytes).expect("a file");
        let file = File::options().write(true).open(&self.second).expect("a file");
        file.set_modified(self.modified).expect("a time");
    }

    /// Makes the second file what it was, at another time.
    fn mend(&self) {
        std::fs::write(&self.second, &self.sound).expect("a file");
    }

    fn bake(&self, name: &str, more: &[&str]) -> Ran {
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        let out = self.folder.text(name);
        let chunks = ["--chunks", "time=1,lat=-1,lon=-1", "--progress", "none"];
        levain(&[&["bake"][..], &files, &[&out], &chunks, more].concat())
    }

    fn verify(&self, name: &str) -> Ran {
        levain(&["verify", &self.folder.text(name)])
    }

    /// Bits of all values: missing ones are equal.
    fn bits(&self, name: &str) -> Vec<u32> {
        let store = Baked::open(&self.folder.text(name));
        store.values::<f32>("t2m").into_iter().map(f32::to_bits).collect()
    }

    /// Refuses stores of which any object differs.
    #[track_caller]
    fn check_equal(&self, name: &str, other: &str) {
        let objects = |name: &str| {
            let root = self.folder.path(name);
            let mut all = Vec::new();
            let mut open = vec![root.clone()];
            while let Some(folder) = open.pop() {
                for entry in std::fs::read_dir(folder).expect("a folder") {
                    let path = entry.expect("an entry").path();
                    match path.is_dir() {
                        true => open.push(path),
                        false => all.push((
                            path.strip_prefix(&root).expect("below").to_owned(),
                            std::fs::read(&path).expect("an object"),
                        )),
                    }
                }
            }
            all.sort();
            all
        };
        assert!(objects(name) == objects(other), "{name} and {other} differ");
    }
}

/// The places that a command has filled, as its JSON says.
fn filled(ran: &Ran) -> Vec<Value> {
    let document: Value = serde_json::from_str(&ran.stdout).expect("a document");
    document["filled"].as_array().expect("a list").clone()
}

#[test]
fn a_damaged_chunk_ends_a_run_unless_it_may_be_filled() {
    let days = Days::new();
    days.bake("sound.zarr", &[]).check_done();
    days.damage();
    let stopped = days.bake("out.zarr", &[]);
    assert_eq!(stopped.exit, Some(1), "{}", stopped.stderr);
    assert!(!days.folder.path("out.zarr").exists());

    let ran = days.bake("out.zarr", &["--keep-going", "--output", "json"]);
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    for word in ["elements of `t2m` are filled", &days.files[1], "--resume"] {
        assert!(ran.stderr.contains(word), "`{word}` is not in\n{}", ran.stderr);
    }
    let places = filled(&ran);
    let count: u64 = places
        .iter()
        .map(|it| {
            let shape = it["shape"].as_array().expect("a shape").iter();
            shape.map(|it| it.as_u64().expect("a length")).product::<u64>()
        })
        .sum();
    let (sound, got) = (days.bits("sound.zarr"), days.bits("out.zarr"));
    let differing = sound.iter().zip(&got).filter(|(a, b)| a != b);
    let differing: Vec<u32> = differing.map(|(_, got)| *got).collect();
    assert_eq!(differing.len() as u64, count, "{places:?}");
    assert!(0 < count && count < got.len() as u64 / 2, "{count} of {}", got.len());
    assert!(differing.iter().all(|it| f32::from_bits(*it).is_nan()));

    let verified = days.verify("out.zarr");
    assert_eq!(verified.exit, Some(3), "{}", verified.stderr);
    assert!(verified.stdout.contains("hold missing values"), "{}", verified.stdout);
    assert!(verified.stderr.contains(&days.files[1]), "{}", verified.stderr);
}

#[test]
fn what_was_filled_is_mended_by_a_resume_and_the_rest_is_kept() {
    let days = Days::new();
    days.bake("sound.zarr", &[]).check_done();
    days.damage();
    assert_eq!(days.bake("out.zarr", &["--keep-going"]).exit, Some(3));

    // A file that is still damaged changes nothing, and the store stays.
    let still = days.bake("out.zarr", &["--resume"]);
    assert_eq!(still.exit, Some(1), "{}", still.stderr);
    assert_eq!(days.verify("out.zarr").exit, Some(3));
    days.mend();
    let ran = days.bake("out.zarr", &["--resume", "--output", "json"]);
    ran.check_done();
    let document: Value = serde_json::from_str(&ran.stdout).expect("a document");
    let (all, kept) = (&document["objects"], &document["reused_objects"]);
    let (all, kept) = (all.as_u64().expect("a count"), kept.as_u64().expect("a count"));
    assert!(0 < kept && kept < all, "{kept} of {all}");
    days.check_equal("out.zarr", "sound.zarr");
    let verified = days.verify("out.zarr");
    assert_eq!(verified.exit, Some(0), "{} {}", verified.stdout, verified.stderr);
    let again = days.bake("out.zarr", &["--resume"]);
    assert!(again.stderr.contains("the store is complete"), "{}", again.stderr);
}

#[test]
fn a_run_that_fails_later_does_not_take_filled_units_for_written_ones() {
    let days = Days::new();
    days.bake("sound.zarr", &[]).check_done();
    days.damage();
    let failing = ["--keep-going", "--resume", "--validate", "no-nan-chunks"];
    let failed = days.bake("out.zarr", &failing);
    assert_eq!(failed.exit, Some(7), "{}", failed.stderr);
    days.put(&days.sound);
    let ran = days.bake("out.zarr", &failing);
    ran.check_done();
    assert!(ran.stderr.contains("units were there already"), "{}", ran.stderr);
    days.check_equal("out.zarr", "sound.zarr");
}

#[test]
fn chunks_that_pass_as_they_are_are_filled_too() {
    let days = Days::new();
    days.bake("hours.zarr", &[]).check_done();
    let chunk = days.folder.path("hours.zarr/t2m/c/3/0/0");
    let mut bytes = std::fs::read(&chunk).expect("a chunk");
    let end = bytes.len();
    bytes[end / 2..].iter_mut().for_each(|byte| *byte = 0xff);
    std::fs::write(&chunk, bytes).expect("a chunk");
    let (source, out) = (days.folder.text("hours.zarr"), days.folder.text("shards.zarr"));
    let shards = ["--chunks", "time=1,lat=-1,lon=-1", "--shards", "time=12", "--output", "json"];
    let ran = levain(&[&["bake", &source, &out, "--keep-going"][..], &shards].concat());
    assert_eq!(ran.exit, Some(3), "{}", ran.stderr);
    let places = filled(&ran);
    assert_eq!(places.len(), 1, "{places:?}");
    assert_eq!((&places[0]["array"], &places[0]["start"][0]), (&"t2m".into(), &3.into()));
    let store = Baked::open(&out);
    let hour = store.values::<f32>("t2m").len() / store.shape("t2m")[0] as usize;
    for (place, value) in store.values::<f32>("t2m").into_iter().enumerate() {
        assert_eq!(value.is_nan(), place / hour == 3, "{place}");
    }
}

#[test]
fn what_cannot_be_missing_is_not_filled() {
    let folder = Folder::new();
    let made = Made::new()
        .dimension("x", 4)
        .variable("x", "x", vec![0.0, 1.0, 2.0, 3.0], &[])
        .variable("n", "x", vec![1, 2, 3, 4], &[]);
    let (file, source) = (folder.put("n.nc", &made), folder.text("n.zarr"));
    levain(&["bake", &file, &source, "--chunks", "x=2"]).check_done();
    std::fs::write(folder.path("n.zarr/n/c/1"), b"no chunk").expect("a chunk");
    let ran = levain(&["bake", &source, &folder.text("out.zarr"), "--keep-going"]);
    assert_eq!(ran.exit, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("no element of `n` can say that it is missing"), "{}", ran.stderr);
    assert!(!folder.path("out.zarr").exists());
}
