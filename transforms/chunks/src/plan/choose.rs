//! Which way is taken: the cheapest that fits, among the best of each method.

use std::fmt;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::cost::{CostModel, Costs, Price};
use super::method::Method;
use super::problem::{Grids, Problem};
use super::{direct, packed, passthrough, streamed, sweep};
use crate::byte_size::ByteSize;

/// The best way of each method, and which of them is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The place of the way that is taken.
    pub chosen: usize,
    /// All ways that were looked at last: one of each method.
    pub candidates: Vec<Candidate>,
}

impl Planned {
    /// The way that is taken.
    pub fn chosen(&self) -> &Candidate {
        &self.candidates[self.chosen]
    }
}

/// One way to copy an array, what it costs, and what was made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// How.
    pub method: Method,
    /// Exact counts.
    pub costs: Costs,
    /// What these cost.
    pub price: Price,
    /// Taken or not.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
}

/// What was made of a way to copy an array.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It is taken.
    Chosen,
    /// It fits but costs more.
    Costlier {
        /// Its price by that of the way that is taken, at least 1.
        by: f64,
    },
    /// Memory does not suffice for it.
    DoesNotFit {
        /// Bytes that a task needs at the least.
        needs_bytes: u64,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::Costlier { by } => write!(f, "{by:.2} times the price"),
            Self::DoesNotFit { needs_bytes } => write!(f, "needs {}", ByteSize(*needs_bytes)),
        }
    }
}

/// Chooses how to copy an array: the cheapest way that fits.
///
/// Nothing is listed: plans are grids of groups, and a task follows from its index. Cost: some ten
/// thousand combinations of extents, however many chunks there are; for rectilinear axes also
/// O(chunks along the axis) for each extent.
///
/// # Errors
/// Grids over different shapes; not enough memory for any way: the error says how much would do.
pub fn plan(problem: &Problem, model: &CostModel) -> Result<Planned> {
    let grids = Grids::new(problem)?;
    let budget = problem.memory.budget_bytes;
    let found = best_of_methods(&grids, model);
    let usd = |costs: &Costs| model.booked_usd(costs, problem);
    let fitting = found.iter().enumerate().filter(|(_, (_, it))| it.peak_bytes <= budget);
    // The first of those that cost the same: methods stand in the order of how little they do.
    let cheapest = fitting.min_by(|a, b| usd(&a.1.1).total_cmp(&usd(&b.1.1)));
    let Some((chosen, (_, least))) = cheapest else {
        let least = found.iter().map(|(_, costs)| costs.peak_bytes).min();
        return Err(too_small(budget, least.unwrap_or(u64::MAX), &grids));
    };
    let least_usd = usd(least);
    let candidates = found.iter().enumerate().map(|(place, (method, costs))| {
        let verdict = if place == chosen {
            Verdict::Chosen
        } else if costs.peak_bytes > budget {
            Verdict::DoesNotFit { needs_bytes: costs.peak_bytes }
        } else {
            Verdict::Costlier { by: usd(costs) / least_usd.max(f64::MIN_POSITIVE) }
        };
        let price = model.price(costs);
        let reason = reason(method, costs, verdict, problem);
        Candidate { method: method.clone(), costs: *costs, price, verdict, reason }
    });
    Ok(Planned { chosen, candidates: candidates.collect() })
}

/// The best way of each method, with as many threads at once as fit; where not even one does, the way
/// that needs least.
fn best_of_methods(grids: &Grids<'_>, model: &CostModel) -> Vec<(Method, Costs)> {
    let mut found =
        with_threads_that_fit(grids, |grids| passthrough::best(grids).into_iter().collect());
    found.extend(with_threads_that_fit(grids, |grids| vec![sweep::best(grids, model)]));
    found.extend(with_threads_that_fit(grids, |grids| vec![direct::best(grids, model)]));
    found.extend(with_threads_that_fit(grids, |grids| packed::best(grids, model)));
    found.extend(with_threads_that_fit(grids, |grids| {
        streamed::best(grids, model).into_iter().collect()
    }));
    found
}

/// The best way, with half as many threads again and again until it fits.
fn with_threads_that_fit(
    grids: &Grids<'_>,
    best: impl Fn(&Grids<'_>) -> Vec<(Method, Costs)>,
) -> Vec<(Method, Costs)> {
    let mut thread_count = grids.thread_count;
    loop {
        let found = best(&grids.with_threads(thread_count));
        let fits = |costs: &Costs| costs.peak_bytes <= grids.memory().budget_bytes;
        if thread_count == 1 || found.first().is_none_or(|(_, costs)| fits(costs)) {
            return found;
        }
        thread_count /= 2;
    }
}

/// What the way does, and why it is taken or not.
fn reason(method: &Method, costs: &Costs, verdict: Verdict, problem: &Problem) -> String {
    let does = match costs {
        Costs { is_recoded: false, .. } => "copies encoded chunks as they are".to_owned(),
        Costs { stages: 1, .. } if costs.source_bytes <= costs.target_bytes => {
            "reads each source chunk once and stores nothing in between".to_owned()
        }
        Costs { stages: 1, .. } => {
            let times = costs.read_amplification();
            format!("reads the source {times:.2} times and stores nothing in between")
        }
        _ => format!(
            "stores {} in {} segments, read by cells of {}",
            ByteSize(costs.segment_bytes_written),
            costs.segment_puts,
            ByteSize(costs.min_cell_bytes)
        ),
    };
    let does = match method {
        Method::Streamed { .. } => format!("{does}, writes chunk after chunk"),
        _ => does,
    };
    let all = problem.thread_count;
    let does = match costs {
        Costs { thread_count, .. } if *thread_count < all => {
            format!("{does}, with memory for {thread_count} of {all} threads at once")
        }
        Costs { busy_threads, .. } if *busy_threads < all => {
            format!("{does}, with work for {busy_threads} of {all} threads at once")
        }
        _ => does,
    };
    match verdict {
        Verdict::Chosen => format!("{does}: the cheapest that fits"),
        Verdict::Costlier { by } if by < 1.005 => format!("{does}, at the same price"),
        Verdict::Costlier { by } => format!("{does}, at {by:.2} times the price"),
        Verdict::DoesNotFit { needs_bytes } => {
            let (needs, allowed) = (ByteSize(needs_bytes), ByteSize(problem.memory.budget_bytes));
            format!("a task needs {needs} at the least, {allowed} are left for it")
        }
    }
}

fn too_small(budget: u64, least: u64, grids: &Grids<'_>) -> Error {
    let (chunk, unit) = (grids.bytes(&grids.source_unit()), grids.bytes(&grids.target_unit()));
    let message = format!(
        "a task needs {} ({least} bytes) for source chunks of {} and target units of {}, {} of the \
         memory are left for it",
        ByteSize(least),
        ByteSize(chunk),
        ByteSize(unit),
        ByteSize(budget)
    );
    let message = match grids.problem.streaming {
        // Which is why so much is needed.
        None if unit > budget => format!("{message}; each of those units is written whole"),
        _ => message,
    };
    let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
    // What is allowed is more than what is left: a quarter more covers what others take, and what the
    // process takes differs from run to run.
    let more = ByteSize(((least - budget) / 4).saturating_mul(5).saturating_add(4 << 20));
    error.mend(format!("allow {more} more, or ask for smaller chunks or shards"))
}
