//! A limit on memory is one on the resident memory of the process, as the kernel counts it.
//!
//! The work is done by this binary in a process of its own, so that nothing else counts.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

use levain::chunks::ByteSize;
use levain::job::MemoryLimit;
use levain::prelude::*;

use crate::counting;

const LIMIT: &str = "LEVAIN_CHILD_MIB";
const WORDS: u64 = 2_400_000;
const NAME: &str = "memory::words_are_counted_in_a_process_of_its_own";

#[test]
#[cfg(target_os = "linux")]
fn a_count_of_more_words_than_fit_keeps_to_the_memory_it_was_given() {
    let mut beyond = Vec::new();
    for limit_mib in [96, 128, 160] {
        let resident_kib = resident_kib(limit_mib);
        if resident_kib > limit_mib << 10 {
            beyond.push(format!("{resident_kib} KiB of {limit_mib} MiB"));
        }
    }
    assert!(beyond.is_empty(), "{beyond:?}");
}

/// The most that a process took which counts words within so much.
fn resident_kib(limit_mib: u64) -> u64 {
    let this = std::env::current_exe().expect("this binary lies somewhere");
    let mut child = Command::new(this);
    child.args([NAME, "--exact", "--ignored", "--nocapture"]).env(LIMIT, limit_mib.to_string());
    let output = child.output().expect("this binary can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.split_once("VmHWM:"));
    let number = line.and_then(|(_, rest)| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).expect("the child says what it took")
}

#[test]
#[ignore = "is started by the test above"]
#[expect(clippy::disallowed_methods, reason = "a process is told by its parent what to do")]
fn words_are_counted_in_a_process_of_its_own() {
    let limit_mib: u64 = std::env::var(LIMIT).expect("the parent sets it").parse().expect("MiB");
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    let file = folder.path().join("words.txt");
    write_words(&file).expect("the file can be written");

    let limit = MemoryLimit::of(ByteSize(limit_mib << 20));
    let accounted = limit.accounted_bytes().expect("it is enough");
    let options = RunOptions::default().with_memory_bytes(accounted);
    let runner = DirectRunner::new().with_threads(NonZeroUsize::new(4).expect("not zero"));
    let mut lines = LineCount(0);
    let report = counting::run(vec![file], &runner, &options, &mut lines).expect("it runs");

    assert_eq!(lines.0 as u64, WORDS + 1);
    assert!(report.shuffle.spilled_bytes > 0, "it fits, which shows nothing: {report:?}");
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM:")).expect("it counts"));
}

/// Writes words that all differ, and between them one that does not.
fn write_words(file: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for index in 0..WORDS {
        let number = index.wrapping_mul(2_654_435_761) % (1 << 40);
        let often = if index % 7 == 0 { " the" } else { "" };
        let end = if index % 12 == 11 { "\n" } else { " " };
        write!(out, "w{number:x}{often}{end}")?;
    }
    out.flush()
}

/// Counts what is written to it.
struct LineCount(usize);

impl Write for LineCount {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.iter().filter(|&&byte| byte == b'\n').count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
