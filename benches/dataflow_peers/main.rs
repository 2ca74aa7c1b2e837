//! One piece of work of one tool, once: what `run.py` beside it measures from outside, in turns.
//!
//! usage: `dataflow_peers WORK TOOL [NUMBER [FILE]]`
//!
//! Prints one line of JSON: seconds of wall time and of CPU time of the work alone, and a check
//! that all tools of a work must agree on. NUMBER is a byte limit for `group levain`, the bytes
//! to make for `text make`, and a count of elements for `empty` and `empty-shuffled`, whose TOOL is `direct`
//! or the `HOST:PORT` of a job server of Beam.

mod empty;
mod group;
mod hasher;
mod spread;
mod words;

use std::time::Instant;

use dataflow::options::RunOptions;

use crate::empty::Origin;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a piece of work says of itself.
struct Outcome {
    wall_s: f64,
    cpu_s: f64,
    check: u64,
    spilled_bytes: u64,
}

/// Runs `work`, which gives its check and the bytes that it has spilled.
fn measure(work: impl FnOnce() -> (u64, u64)) -> Outcome {
    let (began, cpu_before) = (Instant::now(), cpu_seconds());
    let (check, spilled_bytes) = work();
    let wall_s = began.elapsed().as_secs_f64();
    Outcome { wall_s, cpu_s: cpu_seconds() - cpu_before, check, spilled_bytes }
}

/// CPU time of this process, user and system, in hundredths as the kernel gives it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().expect("a count")).sum::<f64>() / 100.0
}

/// Options with a byte limit, of which 24 MiB are left to the program and its threads, and a tenth
/// to what the allocator has in reserve: `--mem` of the command does the same.
fn options(memory_bytes: Option<u64>) -> RunOptions {
    let accounted = |limit: u64| limit.saturating_sub(24 << 20) / 10 * 9;
    RunOptions { memory_bytes: memory_bytes.map(accounted), ..RunOptions::default() }
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "each measurement is a process of its own: it is told what to run and says what it found"
)]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    let number = argument(2).map(|text| text.parse::<u64>().expect("NUMBER is a number"));
    let file = argument(3).unwrap_or_default();
    let outcome = match (argument(0), argument(1)) {
        (Some("text"), Some("make")) => words::make(file, number.expect("NUMBER of bytes")),
        (Some("words"), Some("levain")) => words::with_levain(file),
        (Some("words"), Some("rayon")) => words::by_hand::<hasher::Fast>(file),
        (Some("words"), Some("rayon-std")) => words::by_hand::<hasher::Std>(file),
        (Some("group"), Some("levain")) => group::with_levain(number),
        (Some("group"), Some("rayon")) => group::by_hand::<hasher::Fast>(),
        (Some("group"), Some("rayon-std")) => group::by_hand::<hasher::Std>(),
        (Some("sum"), Some("even")) => group::sum(group::Keys::Even),
        (Some("sum"), Some("hot")) => group::sum(group::Keys::OneHot),
        (Some("spread"), Some("levain")) => spread::with_levain(),
        (Some("spread"), Some("copy")) => spread::copy(),
        (Some("empty"), Some(place)) => empty::run(place, number.expect("NUMBER"), Origin::Stage),
        (Some("empty-shuffled"), Some(place)) => {
            empty::run(place, number.expect("NUMBER"), Origin::Shuffle)
        }
        // Criterion is asked for nothing by `cargo bench` without arguments, nor is this.
        (None, _) => return,
        (work, tool) => unreachable!("no such work: {work:?} {tool:?}"),
    };
    let Outcome { wall_s, cpu_s, check, spilled_bytes } = outcome;
    println!(
        "{{\"wall_s\": {wall_s:.3}, \"cpu_s\": {cpu_s:.2}, \"check\": {check}, \
         \"spilled_mb\": {}}}",
        spilled_bytes >> 20
    );
}
