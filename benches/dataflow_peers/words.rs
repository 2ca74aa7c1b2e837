//! Counts the words of a file: with Levain, and with rayon and a sharded map.

use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};

use basic::Count;
use dataflow::prelude::{Create, DoFn, PCollection, ParDo, Pipeline, ProcessContext, Result};
use direct::DirectRunner;
use rayon::prelude::*;

use crate::{Outcome, measure};

/// No line reaches over a multiple of this.
const PIECE_BYTES: u64 = 1 << 20;
const DISTINCT_WORDS: f64 = 60_000.0;
const SHARDS: usize = 64;

/// Writes a text of words as frequent as in prose (Zipf's law), the same at every run.
pub(crate) fn make(path: &str, byte_count: u64) -> Outcome {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut line = || {
        let words = (0..12).map(|_| {
            // Rank 1/u of a uniform u is Zipf's law cut off at the number of words.
            let uniform = (random() >> 11) as f64 / (1u64 << 53) as f64;
            let rank = (DISTINCT_WORDS.powf(uniform) as u64).wrapping_mul(2_654_435_761);
            format!("{:x}", rank & 0xff_ffff_ffff)
        });
        words.collect::<Vec<_>>().join(" ")
    };
    measure(|| {
        let mut file = BufWriter::new(File::create(path).expect("a path to write to"));
        let mut written = 0;
        while written < byte_count {
            let line = line();
            let left = PIECE_BYTES - written % PIECE_BYTES;
            if line.len() as u64 + 1 < left {
                writeln!(file, "{line}").expect("disk has room");
                written += line.len() as u64 + 1;
            } else {
                // An empty line as long as the rest of the piece.
                writeln!(file, "{:1$}", "", left as usize - 1).expect("disk has room");
                written += left;
            }
        }
        file.flush().expect("disk has room");
        (written, 0)
    })
}

fn read_piece(file: &File, start: u64, end: u64) -> String {
    let mut piece = vec![0; (end - start) as usize];
    file.read_exact_at(&mut piece, start).expect("the file stays as it is");
    String::from_utf8(piece).expect("the text is UTF-8")
}

fn pieces(file: &File) -> Vec<(u64, u64)> {
    let length = file.metadata().expect("an open file").len();
    let starts = (0..length).step_by(PIECE_BYTES as usize);
    starts.map(|start| (start, length.min(start + PIECE_BYTES))).collect()
}

/// Sums up what differs between two counts: the number of a word, weighed by its bytes.
fn digest<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> u64 {
    let weight =
        |word: &str| word.bytes().fold(1, |sum, byte| (sum * 31 + u64::from(byte)) & 0xffff);
    counts.map(|(word, count)| count * weight(word)).fold(0, u64::wrapping_add)
}

/// Puts out the lines of a piece.
#[derive(Clone)]
struct ReadLines(Arc<File>);

impl DoFn for ReadLines {
    type In = (u64, u64);
    type Out = String;

    fn process(&mut self, piece: (u64, u64), ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let text = read_piece(&self.0, piece.0, piece.1);
        text.lines().try_for_each(|line| ctx.output(line.to_owned()))
    }
}

/// Puts out the words of lines.
#[derive(Clone)]
struct Words;

impl DoFn for Words {
    type In = String;
    type Out = String;

    fn process(&mut self, line: String, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        line.split_whitespace().try_for_each(|word| ctx.output(word.to_owned()))
    }
}

/// Lines, words, counts.
pub(crate) fn with_levain(path: &str) -> Outcome {
    measure(|| {
        let file = Arc::new(File::open(path).expect("a text that was made"));
        let pipeline = Pipeline::new();
        let lines: PCollection<String> =
            pipeline.apply(Create::of(pieces(&file))).apply(ParDo::of(ReadLines(file)));
        let counts = lines.apply(ParDo::of(Words)).apply(Count::per_element()).collect();
        let report = pipeline.run(&DirectRunner::new()).expect("runs");
        let counts: Vec<(String, u64)> = report.get(&counts).expect("asked for").iter().collect();
        let check = digest(counts.iter().map(|(word, count)| (&**word, *count)));
        (check, report.shuffle.spilled_bytes)
    })
}

/// The same by hand: each piece fills a map of its own, which is added to a sharded one.
#[expect(
    clippy::disallowed_types,
    clippy::iter_over_hash_type,
    reason = "the program that is compared with is written as anybody would write it"
)]
pub(crate) fn by_hand<S: BuildHasher + Default + Sync + Send>(path: &str) -> Outcome {
    use std::collections::HashMap;
    measure(|| {
        let file = File::open(path).expect("a text that was made");
        let hasher = S::default();
        let shards: Vec<Mutex<HashMap<String, u64, S>>> =
            (0..SHARDS).map(|_| Mutex::default()).collect();
        pieces(&file).into_par_iter().for_each(|(start, end)| {
            let text = read_piece(&file, start, end);
            let mut counts = HashMap::<&str, u64, S>::default();
            for word in text.lines().flat_map(str::split_whitespace) {
                *counts.entry(word).or_default() += 1;
            }
            for (word, count) in counts {
                let shard = hasher.hash_one(word) as usize % SHARDS;
                let mut shard = shards[shard].lock().expect("no panic");
                match shard.get_mut(word) {
                    Some(known) => *known += count,
                    None => drop(shard.insert(word.to_owned(), count)),
                }
            }
        });
        let shards: Vec<_> =
            shards.into_iter().map(|shard| shard.into_inner().expect("no panic")).collect();
        let counts = shards.iter().flatten().map(|(word, count)| (&**word, *count));
        (digest(counts), 0)
    })
}
