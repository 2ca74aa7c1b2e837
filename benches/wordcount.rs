//! What does the engine cost a whole program? Counts words beside a program written by hand.
//!
//! Both count the same text in memory, split into the same pieces, on all cores. The size is
//! 32 MB of text; `zipf` has 60 000 distinct words as prose has, `distinct` nearly as many as words.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use basic::{Count, FlatMap};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataflow::prelude::{Create, DoFn, PCollection, ParDo, Pipeline, ProcessContext, Result};
use direct::DirectRunner;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TEXT_BYTES: usize = 32 << 20;
const PIECE_BYTES: usize = 1 << 20;

/// A text of lines, the same at every run.
fn text(distinct_words: u64) -> Arc<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = String::with_capacity(TEXT_BYTES + 32);
    while text.len() < TEXT_BYTES {
        for _ in 0..12 {
            // Rank 1/u of a uniform u is Zipf's law cut off at the number of words.
            let uniform = (random() >> 11) as f64 / (1u64 << 53) as f64;
            let rank = ((distinct_words as f64).powf(uniform) as u64).wrapping_mul(2_654_435_761);
            text.push_str(&format!("{:x} ", rank & 0xff_ffff_ffff));
        }
        text.push('\n');
    }
    Arc::new(text)
}

/// Pieces of about one size that end where lines end.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let wanted = (start + PIECE_BYTES).min(text.len());
        let end = text[wanted..].find('\n').map_or(text.len(), |more| wanted + more + 1);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// Puts out the lines of a piece.
#[derive(Clone)]
struct ReadLines(Arc<String>);

impl DoFn for ReadLines {
    type In = (u64, u64);
    type Out = String;

    fn process(&mut self, piece: (u64, u64), ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let piece = &self.0[piece.0 as usize..piece.1 as usize];
        piece.lines().try_for_each(|line| ctx.output(line.to_owned()))
    }
}

fn with_levain(text: &Arc<String>) -> usize {
    let pipeline = Pipeline::new();
    let ranges = pieces(text).into_iter().map(|piece| (piece.start as u64, piece.end as u64));
    let lines: PCollection<String> =
        pipeline.apply(Create::of(ranges)).apply(ParDo::of(ReadLines(Arc::clone(text))));
    let words = lines.apply(FlatMap::of(|line: String| {
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    }));
    let counts = words.apply(Count::per_element()).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("runs");
    report.get(&counts).expect("asked for").len() as usize
}

#[expect(
    clippy::disallowed_types,
    clippy::iter_over_hash_type,
    reason = "the program that is compared with is written as anybody would write it"
)]
mod plain {
    use std::collections::HashMap;

    use rayon::prelude::*;

    type Counts = HashMap<String, u64>;

    /// The number of distinct words, counted piece by piece with rayon and a map.
    pub(crate) fn count_distinct(text: &str) -> usize {
        let pieces = super::pieces(text).into_par_iter();
        pieces.map(|piece| count(&text[piece])).reduce(Counts::new, merge).len()
    }

    fn count(piece: &str) -> Counts {
        let mut counts = Counts::new();
        for word in piece.lines().flat_map(str::split_whitespace) {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
        counts
    }

    fn merge(left: Counts, right: Counts) -> Counts {
        let (mut large, small) =
            if left.len() < right.len() { (right, left) } else { (left, right) };
        for (word, count) in small {
            *large.entry(word).or_default() += count;
        }
        large
    }
}

fn wordcount(criterion: &mut Criterion) {
    for (name, distinct_words) in [("zipf", 60_000), ("distinct", 1 << 40)] {
        let text = text(distinct_words);
        assert_eq!(with_levain(&text), plain::count_distinct(&text), "both count the same words");
        let mut group = criterion.benchmark_group(format!("wordcount/{name}"));
        group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("levain", |bench| bench.iter(|| black_box(with_levain(&text))));
        group.bench_function("plain_rayon", |bench| {
            bench.iter(|| black_box(plain::count_distinct(&text)));
        });
        group.finish();
    }
}

criterion_group!(benches, wordcount);
criterion_main!(benches);
