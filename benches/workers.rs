//! What do worker processes cost beside threads of one process?
//!
//! ```text
//! cargo build --release --example word_count
//! [MEGABYTES=1000] cargo bench --bench workers
//! ```
//!
//! Counts the words of 1000 MB of text, or of so many, and writes W1 small (281 MB, from chunks of
//! (24, 181, 360) to (1080, 24, 24)), each with two threads of one process and with two worker processes of one
//! thread, 1.5 GiB for both: wall times of the whole command, the better of two in turns, and their ratio.
//! Checks that the bytes are the same; asserts no times.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use levain::bake::BakeOptions;
use levain::chunks::ByteSize;
use levain::job::{Bake, MemoryLimit, SampleFormat, write_sample_files};

const FILES: usize = 8;
const DISTINCT_WORDS: f64 = 60_000.0;
const ROUNDS: usize = 2;
/// Days of hours in W1 small.
const DAYS: usize = 45;

fn main() {
    let folder = std::env::temp_dir().join("levain-bench-workers");
    std::fs::create_dir_all(&folder).expect("a folder");
    count_words(&folder, megabytes());
    rechunk(&folder);
    std::fs::remove_dir_all(&folder).expect("ours");
}

#[expect(clippy::disallowed_methods, reason = "a smaller text is for who has no time")]
fn megabytes() -> u64 {
    std::env::var("MEGABYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(1000)
}

#[expect(clippy::print_stdout, reason = "what was measured is what a bench is for")]
fn say(line: &str) {
    println!("{line}");
}

/// A program that cargo has built beside the benches.
fn beside(name: &str) -> PathBuf {
    let levain = Path::new(env!("CARGO_BIN_EXE_levain"));
    levain.parent().expect("a folder").join(name)
}

fn count_words(folder: &Path, megabytes: u64) {
    let program = beside("examples/word_count");
    assert!(program.exists(), "first: cargo build --release --example word_count");
    let texts = folder.join("texts");
    std::fs::create_dir_all(&texts).expect("a folder");
    for file in 0..FILES {
        let length = megabytes * 1_000_000 / FILES as u64;
        write_text(&texts.join(format!("{file}.txt")), file as u64, length);
    }
    let sources = texts.join("*.txt").display().to_string();
    let run = |name: &str, runner: &[&str]| {
        let counts = folder.join(name).join("words").display().to_string();
        let words = [&["run"], runner, &[&sources, &counts, "--overwrite"]].concat();
        timed(&program, folder, &words)
    };
    compare(&format!("word count of {megabytes} MB"), folder, run);
}

/// Lines of words whose frequencies are those of prose.
fn write_text(path: &Path, file: u64, length: u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(file + 1);
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    let mut written = 0;
    while written < length {
        let mut line = String::new();
        for _ in 0..12 {
            // Rank 1/u of a uniform u is Zipf's law cut off at the number of words.
            let uniform = (random() >> 11) as f64 / (1_u64 << 53) as f64;
            let rank = (DISTINCT_WORDS.powf(uniform) as u64).wrapping_mul(2_654_435_761);
            line.push_str(&format!("{:x} ", rank & 0xff_ffff_ffff));
        }
        line.push('\n');
        out.write_all(line.as_bytes()).expect("written");
        written += line.len() as u64;
    }
    out.flush().expect("written");
}

fn rechunk(folder: &Path) {
    let slabs = folder.join("slabs.zarr");
    let options = BakeOptions {
        chunks: "time=24,lat=-1,lon=-1".parse().expect("a spec"),
        ..BakeOptions::default()
    };
    Bake::new(days(&folder.join("files")), &slabs.display().to_string())
        .expect("a path")
        .with_options(options)
        .with_overwrite(true)
        .with_memory(MemoryLimit::of(ByteSize(1 << 30)))
        .run()
        .expect("bakes");
    let slabs = slabs.display().to_string();
    let run = |name: &str, runner: &[&str]| {
        let pencils = folder.join(name).display().to_string();
        let head =
            ["rechunk", &slabs, &pencils, "--chunks", "time=-1,lat=24,lon=24", "--overwrite"];
        timed(Path::new(env!("CARGO_BIN_EXE_levain")), folder, &[&head[..], runner].concat())
    };
    compare("W1 small", folder, run);
}

/// Sample files of so many days; one NetCDF-4 file takes less than one day decoded.
fn days(folder: &Path) -> Vec<String> {
    let mut size_bytes = 1;
    loop {
        let files = write_sample_files(folder, size_bytes, SampleFormat::Nc4).expect("writable");
        if files.paths.len() >= DAYS {
            let days = files.paths.iter().take(DAYS);
            return days.map(|path| path.display().to_string()).collect();
        }
        size_bytes += files.size_bytes / files.paths.len() as u64 * DAYS as u64;
    }
}

/// Seconds that a command takes.
fn timed(program: &Path, folder: &Path, words: &[&str]) -> f64 {
    let began = Instant::now();
    let ended = Command::new(program)
        .args(words)
        .args(["--mem", "1536MiB", "--threads", "2", "--progress", "none"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status();
    assert!(ended.expect("it can be started").success(), "{words:?}");
    began.elapsed().as_secs_f64()
}

/// Runs both in turns, and says how their times compare.
fn compare(what: &str, folder: &Path, run: impl Fn(&str, &[&str]) -> f64) {
    let runners: [(&str, &[&str]); 2] =
        [("direct", &["--runner", "direct"]), ("procs", &["--runner", "procs", "--workers", "2"])];
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (index, (name, flags)) in runners.iter().enumerate() {
            best[index] = best[index].min(run(name, flags));
        }
    }
    let [direct, procs] = best;
    say(&format!(
        "{what}: {direct:.2} s with two threads, {procs:.2} s with two workers: {:.2}",
        procs / direct
    ));
    let outputs = runners.map(|(name, _)| objects(&folder.join(name)));
    assert!(outputs[0] == outputs[1], "{what}: the bytes differ");
    for (name, _) in runners {
        std::fs::remove_dir_all(folder.join(name)).expect("ours");
    }
}

/// All files below a folder.
fn objects(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else {
            let key = path.strip_prefix(folder).expect("below it").to_owned();
            found.insert(key, std::fs::read(&path).expect("a file"));
        }
    }
    found
}
