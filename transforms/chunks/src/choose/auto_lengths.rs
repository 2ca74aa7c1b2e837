//! Lengths of chunks by a limit in bytes, as dask chooses them.
//!
//! Source: dask, `array.core.auto_chunks`, <https://docs.dask.org/en/stable/array-chunks.html>.

use std::collections::{BTreeMap, BTreeSet};

/// By how much a chunk may be larger than the limit where it is made of chunks that are there.
const TOLERANCE: f64 = 1.25;
/// Rounds after which what there is is taken; a round fixes a dimension, or changes nothing.
const ROUNDS_MAX: usize = 1000;

/// A length, or the lengths of chunks that were joined; the first one counts.
#[derive(Debug, Clone, PartialEq)]
enum Length {
    Number(f64),
    Joined(Vec<f64>),
}

impl Length {
    fn greatest(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Joined(lengths) => lengths.iter().copied().fold(0.0, f64::max),
        }
    }

    fn first(&self) -> u64 {
        match self {
            Self::Number(number) => *number as u64,
            Self::Joined(lengths) => lengths.first().map_or(0, |length| *length as u64),
        }
    }
}

/// Chooses the lengths that are `None`, so that a chunk has about `limit_bytes`.
///
/// Dimensions that are cut get chunks of one length, or, where there are chunks already, lengths in
/// the proportion of these, multiples of them if that comes near. One element has `item_bytes`.
///
/// Cost: O(dimensions²), and what there is of chunks.
pub fn auto_chunk_lengths(
    chunks: &[Option<u64>],
    shape: &[u64],
    limit_bytes: u64,
    item_bytes: u64,
    previous: Option<&[u64]>,
) -> Vec<u64> {
    let room = limit_bytes.max(1) as f64 / item_bytes.max(1) as f64;
    let chosen = match previous {
        Some(previous) => Proportion::new(chunks, shape, room, previous).choose(),
        None => equal_lengths(chunks, shape, room),
    };
    let length = |(place, chunk): (usize, &Option<u64>)| match (chunk, chosen.get(&place)) {
        (Some(chunk), None) => *chunk,
        (_, Some(length)) => length.first().min(shape[place]),
        (None, None) => shape[place],
    };
    chunks.iter().enumerate().map(length).collect()
}

fn equal_lengths(chunks: &[Option<u64>], shape: &[u64], room: f64) -> BTreeMap<usize, Length> {
    let mut fixed: BTreeMap<usize, Length> = BTreeMap::new();
    loop {
        let open: Vec<usize> = (0..shape.len())
            .filter(|place| chunks[*place].is_none() && !fixed.contains_key(place))
            .collect();
        if open.is_empty() {
            return fixed;
        }
        let given = chunks.iter().flatten().map(|&chunk| chunk as f64);
        let block: f64 = given.chain(fixed.values().map(Length::greatest)).product();
        let size = (room / block).powf(1.0 / open.len() as f64);
        let small: Vec<usize> =
            open.iter().copied().filter(|&place| (shape[place] as f64) < size).collect();
        if small.is_empty() {
            let rounded = open
                .into_iter()
                .map(|place| (place, Length::Number(rounded_to(size, shape[place] as f64))));
            fixed.extend(rounded.collect::<Vec<_>>());
            return fixed;
        }
        fixed.extend(small.into_iter().map(|place| (place, Length::Number(shape[place] as f64))));
    }
}

/// A length near a multiple of another: as it is where it is smaller, else the multiple below.
fn rounded_to(length: f64, step: f64) -> f64 {
    if length <= step { length.trunc().max(1.0) } else { (length / step).floor() * step }
}

/// Lengths in the proportion of chunks that are there.
struct Proportion<'a> {
    shape: &'a [u64],
    room: f64,
    /// Lengths of the chunks that are there, by dimension.
    previous: Vec<Vec<f64>>,
    ideal: Vec<f64>,
    open: BTreeSet<usize>,
    block: f64,
    /// Where chunks get smaller these are the result, too, and change while they are read.
    medians: BTreeMap<usize, Length>,
    result: BTreeMap<usize, Length>,
    is_reduced: bool,
}

impl<'a> Proportion<'a> {
    fn new(chunks: &[Option<u64>], shape: &'a [u64], room: f64, previous: &[u64]) -> Self {
        let lengths = |(&length, &chunk): (&u64, &u64)| -> Vec<f64> {
            let chunk = chunk.max(1);
            let rest = Some(length % chunk).filter(|rest| *rest > 0);
            let whole = (0..length / chunk).map(|_| chunk as f64);
            whole.chain(rest.map(|rest| rest as f64)).collect()
        };
        let previous: Vec<Vec<f64>> = shape.iter().zip(previous).map(lengths).collect();
        let open: BTreeSet<usize> =
            (0..shape.len()).filter(|&place| chunks[place].is_none()).collect();
        let medians = open.iter().map(|&place| (place, Length::Number(median(&previous[place]))));
        let ideal =
            previous.iter().zip(shape).map(|(chunks, &length)| ideal(chunks, length as f64));
        let mut own = Self {
            shape,
            room,
            ideal: ideal.collect(),
            medians: medians.collect(),
            result: BTreeMap::new(),
            open,
            block: chunks.iter().flatten().map(|&chunk| chunk as f64).product(),
            is_reduced: false,
            previous,
        };
        own.is_reduced = own.multiplier() < 1.0;
        own
    }

    /// How much larger a chunk may be than it is.
    fn multiplier(&self) -> f64 {
        let lengths = self.medians.values().map(Length::greatest).filter(|it| *it != 0.0);
        self.room / self.block / lengths.product::<f64>()
    }

    fn set(&mut self, place: usize, length: Length) {
        if self.is_reduced {
            self.medians.insert(place, length);
        } else {
            self.result.insert(place, length);
        }
    }

    fn choose(mut self) -> BTreeMap<usize, Length> {
        let mut multiplier = self.multiplier();
        for _ in 0..ROUNDS_MAX {
            let mut is_changed = self.round(multiplier);
            if is_changed || self.is_reduced {
                let next = self.multiplier();
                is_changed |= next != multiplier;
                multiplier = next;
            }
            if !is_changed {
                break;
            }
        }
        if self.is_reduced { self.medians } else { self.result }
    }

    /// Makes every open dimension longer or shorter; whether others must be looked at again.
    fn round(&mut self, multiplier: f64) -> bool {
        let root = 1.0 / self.open.len() as f64;
        let mut is_changed = false;
        for place in self.open.clone() {
            let Some(median) = self.medians.get(&place).map(Length::greatest) else { continue };
            let proposed = median * multiplier.powf(root);
            let largest = self.previous[place].iter().copied().fold(0.0, f64::max);
            let whole = self.shape[place] as f64;
            if proposed > whole {
                self.open.remove(&place);
                self.medians.remove(&place);
                self.block *= whole;
                self.set(place, Length::Joined(vec![whole]));
                is_changed = true;
            } else if self.is_reduced || largest > proposed * TOLERANCE.powf(root) {
                self.set(place, Length::Number(rounded_to(proposed, self.ideal[place])));
                if proposed < 1.0 {
                    self.open.remove(&place);
                    is_changed = true;
                }
            } else {
                let joined = joined(&self.previous[place], proposed);
                self.set(place, Length::Joined(joined));
            }
        }
        is_changed
    }
}

/// Neighbours, joined as long as they are no longer together than this.
fn joined(chunks: &[f64], most: f64) -> Vec<f64> {
    let (mut lengths, mut open) = (Vec::new(), 0.0);
    for &chunk in chunks {
        if chunk + open <= most {
            open += chunk;
            continue;
        }
        if open > 0.0 {
            lengths.push(open);
        }
        open = chunk;
    }
    if open > 0.0 {
        lengths.push(open);
    }
    lengths
}

fn median(lengths: &[f64]) -> f64 {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The length that at least half of the chunks have, unless that is 1; else the dimension.
fn ideal(chunks: &[f64], length: f64) -> f64 {
    let count = |chunk: f64| chunks.iter().filter(|it| **it == chunk).count();
    // All but the last are of one length, so the first is the most frequent, or as frequent.
    match chunks.first() {
        Some(&first) if first > 1.0 && count(first) * 2 >= chunks.len() => first,
        _ => length,
    }
}
