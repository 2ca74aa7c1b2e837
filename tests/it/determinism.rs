//! The same sources and options give the same store, byte for byte, whatever threads and memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use levain::chunks::ByteSize;
use levain::job::{SampleFormat, write_sample_files};
use serde_json::Value;

use crate::command::levain;
use crate::made::Folder;

/// Every object of a store.
pub(crate) fn objects(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else {
            let key = path.strip_prefix(folder).expect("below the store").display().to_string();
            found.insert(key, std::fs::read(&path).expect("an object"));
        }
    }
    found
}

/// How `t2m` would be copied with so much memory; else how much is said to do.
pub(crate) fn method(job: &[&str], mem: ByteSize, threads: &str) -> Result<String, ByteSize> {
    let mem_text = mem.0.to_string();
    let options =
        ["--mem", &mem_text, "--threads", threads, "--output", "json", "--progress", "none"];
    let ran = levain(&[&["plan"], job, &options].concat());
    let document: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    let Some(variables) = document["plan"]["variables"].as_array() else {
        let advice = document["error"]["mend"].as_str().expect("an advice");
        let sizes = advice.trim_start_matches("allow ").trim_start_matches("at least ");
        let size = sizes.split_once("iB").map(|(size, _)| format!("{size}iB")).expect("a size");
        let size: ByteSize = size.parse().expect("a size");
        return Err(ByteSize(if advice.contains(" more") { mem.0 + size.0 } else { size.0 }));
    };
    let t2m = variables.iter().find(|it| it["name"] == "t2m").expect("the field");
    let method = t2m["copy"]["method"].as_object().expect("a method with its extents");
    Ok(method.keys().next().expect("a name").clone())
}

/// The memory that is said to do, where too little was allowed, and a little for what varies.
pub(crate) fn least_memory(job: &[&str], threads: &str) -> ByteSize {
    let first = Some(ByteSize(60 << 20));
    let refused = |mem: &ByteSize| method(job, *mem, threads).err();
    let tries =
        std::iter::successors(first, |mem| refused(mem).map(|it| ByteSize(it.0 + (3 << 20))));
    let least = tries.take(5).last().expect("there is a first");
    assert!(refused(&least).is_none(), "{least} were said to do, and do not");
    least
}

/// Runs a job with few and many threads, ample and least memory: one store, by these methods
/// among others.
#[track_caller]
fn check(folder: &Folder, job: &[&str], sources: &[&str], chunks: &[&str], want: &[&str]) {
    let out = folder.text("out.zarr");
    let job = [job, sources, &[&out], chunks].concat();
    let mut methods = BTreeSet::new();
    let mut first: Option<BTreeMap<String, Vec<u8>>> = None;
    for threads in ["1", "8"] {
        for mem in [ByteSize(2 << 30), least_memory(&job, threads)] {
            methods.insert(method(&job, mem, threads).expect("enough memory"));
            let mem = mem.0.to_string();
            let options = ["--mem", &mem, "--threads", threads, "--progress", "none"];
            levain(&[job.as_slice(), &options].concat()).check_done();
            let store = objects(&folder.path("out.zarr"));
            std::fs::remove_dir_all(folder.path("out.zarr")).expect("a store");
            let keys =
                |store: &BTreeMap<String, Vec<u8>>| store.keys().cloned().collect::<Vec<_>>();
            let first = first.get_or_insert_with(|| store.clone());
            assert_eq!(keys(&store), keys(first), "threads {threads}, memory {mem}");
            let other = store.iter().find(|(key, body)| first[*key] != **body);
            assert_eq!(other.map(|(key, _)| key), None, "threads {threads}, memory {mem}");
        }
    }
    assert!(want.iter().all(|it| methods.contains(*it)), "{want:?} are not in {methods:?}");
}

#[test]
fn threads_and_memory_change_no_byte() {
    let folder = Folder::new();
    // More than what the least memory leaves for a task.
    let files = write_sample_files(&folder.path("files"), 22_000_000, SampleFormat::InTurns);
    let paths = files.expect("sample files").paths;
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().expect("a path")).collect();
    let slabs = folder.text("slabs.zarr");
    let by_hours = ["--chunks", "time=8,lat=-1,lon=-1"];
    check(&folder, &["bake"], &paths, &["--chunks", "time=24,lat=-1,lon=-1"], &["sweep"]);
    let all = [&["bake"][..], &paths, &[&slabs], &by_hours, &["--progress", "none"]].concat();
    levain(&all).check_done();
    let pencils = ["--chunks", "time=-1,lat=24,lon=24"];
    check(&folder, &["bake"], &paths, &pencils, &["sweep", "packed"]);
    let sharded = ["--chunks", "time=-1,lat=12,lon=12", "--shards", "lat=48,lon=48"];
    check(&folder, &["rechunk"], &[&slabs], &sharded, &["sweep", "packed"]);
}
