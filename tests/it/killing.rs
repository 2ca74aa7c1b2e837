//! Runs that are killed at random points: readers see nothing or the whole of a bake, the old store
//! or the new one of an append, and the next run ends with the bytes of one that was left alone.
//!
//! Points are counted in files that lie in the store and the run store, and a moment more, drawn
//! from a fixed seed: how fast the machine is does not matter.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use levain::objects::{Location, StoreOptions};
use levain::zarr::ZarrSource;

use crate::append::{DAYS, Objects, run, store_objects};
use crate::command::{command, levain};
use crate::determinism::objects;
use crate::made::{Baked, Folder, Made, text};
use crate::random_recipes::Draw;

const WIDTH: usize = 1024;

pub(crate) const LAYOUT: [&str; 4] = ["--chunks", "time=4,x=128", "--codec", "zstd:19"];

/// Values that do not compress, at times from `first` on.
pub(crate) fn noise(first: i32, count: i32) -> Made {
    let mut noise = 1u32 + first as u32;
    let mut values = Vec::new();
    for _ in 0..count as usize * WIDTH {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        values.push(f32::from_bits(0x3f80_0000 | noise >> 9));
    }
    let times: Vec<f64> = (first..first + count).map(f64::from).collect();
    Made::new()
        .unlimited("time")
        .dimension("x", WIDTH as u64)
        .variable("time", "time", times, &[("units", text(DAYS))])
        .variable("v", "time x", values, &[])
}

/// The files in a folder, at any depth; one that is gone by now has none.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.path())).collect()
}

/// How many files lie in a folder, at any depth.
pub(crate) fn file_count(folder: &Path) -> usize {
    files_below(folder).len()
}

/// A command that writes a store, in a folder of its own.
struct Killed {
    folder: Folder,
    arguments: Vec<String>,
    /// Files before it, and after it.
    counts: [usize; 2],
}

impl Killed {
    /// Lets the command run to its end once; `old` is what lies in its folders before.
    fn new(folder: Folder, arguments: &[&str], old: &Objects) -> Self {
        let mut killed = Self {
            folder,
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
            counts: [0; 2],
        };
        killed.reset(old);
        killed.counts[0] = killed.file_count();
        killed.finish();
        killed.counts[1] = killed.file_count();
        killed
    }

    fn file_count(&self) -> usize {
        ["out.zarr", "out.zarr.levain"].map(|name| file_count(&self.folder.path(name))).iter().sum()
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    /// Puts back what was there before, and nothing else.
    fn reset(&self, old: &Objects) {
        for name in ["out.zarr", "out.zarr.levain"] {
            let path = self.folder.path(name);
            if path.exists() {
                std::fs::remove_dir_all(path).expect("what was written can be removed");
            }
        }
        for (key, body) in old {
            self.folder.put_bytes(key, body);
        }
    }

    /// Starts the command, and kills it at a point that is drawn.
    fn kill(&self, draw: &mut Draw) {
        let [before, after] = self.counts;
        let count = before + draw.below(after - before);
        let moment = Duration::from_micros(draw.below(2000) as u64);
        let mut command = command(&self.arguments());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the command can be started");
        while self.file_count() < count && child.try_wait().expect("a child").is_none() {
            std::thread::park_timeout(Duration::from_micros(100));
        }
        std::thread::park_timeout(moment);
        drop(child.kill());
        child.wait().expect("a child");
    }

    /// Runs the command to its end; what it has told.
    fn finish(&self) -> String {
        let ran = levain(&self.arguments());
        ran.check_done();
        ran.stderr
    }

    fn verify(&self) {
        levain(&["verify", &self.folder.text("out.zarr"), "--level", "digests"]).check_done();
    }
}

#[test]
fn a_bake_that_is_killed_at_fifty_points_is_resumed_with_equal_bytes() {
    let (mut resumed, mut unfinished, mut states) = (0, 0, BTreeSet::new());
    for format in ["3", "2"] {
        let folder = Folder::new();
        let source = folder.put("a.nc", &noise(0, 30));
        let out = folder.text("out.zarr");
        let own = ["--zarr-format", format, "--resume", "--threads", "1", "--progress", "none"];
        let arguments = [&["bake", &source, &out], &LAYOUT[..], &own[..]].concat();
        let killed = Killed::new(folder, &arguments, &Objects::new());
        let want = store_objects(&killed.folder);
        let copy = Folder::new();
        for (key, body) in &want {
            copy.put_bytes(&format!("whole.zarr/{key}"), body);
        }
        let whole = Baked::open(&copy.text("whole.zarr"));
        let location = Location::parse(&out).expect("a path");
        let mut draw = Draw::new(1);
        for point in 0..25 {
            killed.reset(&Objects::new());
            killed.kill(&mut draw);
            let is_there = killed.folder.path("out.zarr").exists()
                && ZarrSource::exists(&location, &StoreOptions::default()).expect("a folder");
            // The documents of a root of version 2 are three: whoever opens one of them sees all.
            let is_whole = || {
                let store = Baked::open(&out);
                store.names() == whole.names()
                    && store.chunk("v") == whole.chunk("v")
                    && store.chunk("time") == whole.chunk("time")
            };
            assert!(!is_there || is_whole(), "point {point}: readers see an unfinished store");
            unfinished += u32::from(!is_there);
            states.insert(killed.file_count());
            resumed += u32::from(killed.finish().contains("resumed: "));
            assert!(store_objects(&killed.folder) == want, "point {point}: other bytes");
            if point % 5 == 0 {
                killed.verify();
            }
        }
    }
    assert!(
        unfinished > 30 && resumed > 20 && states.len() > 15,
        "{unfinished} of 50 were not finished, {resumed} resumed, in {} states",
        states.len()
    );
}

#[test]
fn an_append_that_is_killed_at_fifty_points_leaves_the_old_store_or_the_new_one() {
    let (mut old_seen, mut with_new_units, mut states) = (0, 0, BTreeSet::new());
    for format in ["3", "2"] {
        let folder = Folder::new();
        let first = folder.put("a.nc", &noise(0, 10));
        run(&folder, &[&first], &[&LAYOUT[..], &["--zarr-format", format]].concat()).check_done();
        let old_objects = store_objects(&folder);
        let mut old_files = objects(folder.root());
        old_files.retain(|name, _| name.starts_with("out.zarr"));
        let more = folder.put("b.nc", &noise(10, 30));
        let out = folder.text("out.zarr");
        let own = ["--append", "time", "--threads", "1", "--progress", "none"];
        let values =
            |killed: &Killed| Baked::open(&killed.folder.text("out.zarr")).values::<f32>("v");
        let old = Baked::open(&out).values::<f32>("v");
        let killed = Killed::new(folder, &[&["bake", &more, &out], &own[..]].concat(), &old_files);
        let (new, new_objects) = (values(&killed), store_objects(&killed.folder));
        assert_eq!(new[..old.len()], old);
        assert_eq!(new.len(), 4 * old.len());
        let mut draw = Draw::new(2);
        for point in 0..25 {
            killed.reset(&old_files);
            killed.kill(&mut draw);
            let seen = values(&killed);
            assert!(seen == old || seen == new, "point {point}: neither the old store nor the new");
            let has_new_units = store_objects(&killed.folder) != old_objects;
            old_seen += u32::from(seen == old);
            with_new_units += u32::from(seen == old && has_new_units);
            states.insert(killed.file_count());
            killed.finish();
            assert!(values(&killed) == new, "point {point}: a second run gives other values");
            assert!(store_objects(&killed.folder) == new_objects, "point {point}: other bytes");
            if point % 5 == 0 {
                killed.verify();
            }
        }
    }
    assert!(
        old_seen > 30 && with_new_units > 20 && states.len() > 15,
        "{old_seen} of 50 saw the old store, {with_new_units} of them with new units, in {} states",
        states.len()
    );
}

/// The objects of the store of another content than before, of those that hold data.
fn changed_count(folder: &Folder, old: &Objects) -> usize {
    let is_changed = |(key, body): &(&String, &Vec<u8>)| {
        std::fs::read(folder.path("out.zarr").join(key.as_str())).is_ok_and(|now| now != **body)
    };
    old.iter().filter(is_changed).count()
}

#[test]
fn a_region_that_is_killed_at_twenty_points_is_written_by_the_next_run() {
    let (mut unfinished, mut states) = (0, BTreeSet::new());
    for format in ["3", "2"] {
        let folder = Folder::new();
        let first = folder.put("a.nc", &noise(0, 30));
        run(&folder, &[&first], &[&LAYOUT[..], &["--zarr-format", format]].concat()).check_done();
        let old_objects = store_objects(&folder);
        let mut old_files = objects(folder.root());
        old_files.retain(|name, _| name.starts_with("out.zarr"));
        // Units of four steps, of which the first and the last are not written whole.
        let mut values = noise(100, 21);
        values = values.replaced("time", (6..27).map(f64::from).collect::<Vec<f64>>());
        let source = folder.put("b.nc", &values);
        let out = folder.text("out.zarr");
        let own = ["--region", "time=6:27", "--resume", "--threads", "1", "--progress", "none"];
        let killed =
            Killed::new(folder, &[&["bake", &source, &out], &own[..]].concat(), &old_files);
        let new_objects = store_objects(&killed.folder);
        let read = || Baked::open(&out).values::<f32>("v");
        let new = read();
        let all = changed_count(&killed.folder, &old_objects);
        killed.reset(&old_files);
        let old = read();
        let mut draw = Draw::new(3);
        for point in 0..10 {
            killed.reset(&old_files);
            let count = draw.below(all);
            let mut command = command(&killed.arguments());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("the command can be started");
            let is_early = || changed_count(&killed.folder, &old_objects) <= count;
            while is_early() && child.try_wait().expect("a child").is_none() {
                std::thread::park_timeout(Duration::from_micros(100));
            }
            drop(child.kill());
            child.wait().expect("a child");
            let changed = changed_count(&killed.folder, &old_objects);
            states.insert(changed);
            unfinished += u32::from(changed < all);
            let seen = read();
            let are_known =
                seen.iter().zip(old.iter().zip(&new)).all(|(it, (a, b))| it == a || it == b);
            assert!(are_known, "point {point}: an element that is neither old nor new");
            killed.finish();
            assert!(store_objects(&killed.folder) == new_objects, "point {point}: other bytes");
            killed.verify();
        }
    }
    assert!(unfinished > 10 && states.len() > 6, "{unfinished} of 20, in {} states", states.len());
}
