//! Plans against the prototype, against their execution, and at the edges.

use array::{Axis, ChunkGrid};
use dataflow::error::ErrorCode;
use dataflow::testing::{python, shared_file};
use serde_json::Value;

use super::choose::{Planned, Verdict, plan};
use super::cost::{CostModel, Costs};
use super::method::Method;
use super::problem::{Grids, Problem, Streaming, TaskMemory};
use super::rates::StoreProfile;
use super::simulate::{Simulated, simulate};
use super::{direct, packed, streamed, sweep};

/// A problem as the prototype has it: one thread, one machine, its memory model.
pub(super) fn problem(
    shape: &[u64],
    source: &[u64],
    target: &[u64],
    item_bytes: u64,
    budget: u64,
) -> Problem {
    let chunk = shape.iter().zip(source).fold(item_bytes, |all, (&n, &s)| all * n.min(s));
    Problem {
        item_bytes,
        source: ChunkGrid::regular(shape, source),
        target: ChunkGrid::regular(shape, target),
        can_pass_through: false,
        memory: TaskMemory::prototype(budget, chunk),
        thread_count: 1,
        worker_count: 1,
        streaming: None,
    }
}

fn numbers(value: &Value) -> Vec<u64> {
    let number = |value: &Value| value.as_u64().expect("a whole number");
    value.as_array().expect("a list").iter().map(number).collect()
}

/// Our counts for the groups, or the dimension, that the prototype has taken.
fn costs_of(problem: &Problem, way: &Value) -> Costs {
    let grids = Grids::new(problem).expect("one shape");
    let parts = way["plan"].as_array().expect("a list");
    match parts[0].as_str().expect("a name") {
        "sweep" => {
            let words = parts[1].as_str().expect("`dim k`");
            let dimension: usize = words[4..].parse().expect("a number");
            let axes = grids.source.iter().zip(&grids.target);
            let block = axes.map(|(a, b)| super::axis::common_period(a, b));
            let mut block: Vec<u64> = block.collect();
            block[dimension] = grids.shape[dimension];
            sweep::costs(&grids, dimension, &block, 1)
        }
        "direct" => direct::costs(&grids, &numbers(&parts[1])),
        _ => {
            let groups: Vec<Vec<u64>> = parts[1..].iter().map(numbers).collect();
            packed::costs(&grids, &groups.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }
    }
}

fn counts_of(costs: &Costs) -> [u64; 11] {
    [
        costs.source_gets,
        costs.source_bytes,
        costs.segment_puts,
        costs.segment_gets,
        costs.segment_bytes_written,
        costs.segment_bytes_read,
        costs.target_puts,
        costs.target_bytes,
        costs.peak_bytes,
        costs.stages,
        costs.task_count,
    ]
}

/// What the prototype makes of random problems; nothing where there is no prototype or no Python.
fn prototype(count: usize) -> Vec<Value> {
    let Some(folder) = shared_file("proto/planner") else { return Vec::new() };
    let Some(python) = python() else { return Vec::new() };
    let output = std::process::Command::new(python)
        .args(["-c", include_str!("prototype.py")])
        .arg(folder)
        .arg(count.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let cases: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(cases.len(), count);
    cases
}

#[test]
fn two_thousand_random_problems_agree_with_the_prototype() {
    let model = CostModel::prototype();
    let (mut ways, mut same, mut as_cheap, mut cheaper) = (0, 0, 0, 0);
    for case in prototype(2000) {
        let of = |key: &str| numbers(&case[key]);
        let (item, memory) = (case["item"].as_u64().expect("u64"), case["memory"].as_u64());
        let memory = memory.expect("u64");
        let problem = problem(&of("shape"), &of("source"), &of("target"), item, memory);
        for (name, way) in case["ways"].as_object().expect("ways by name") {
            let costs = costs_of(&problem, way);
            assert_eq!(counts_of(&costs).as_slice(), numbers(&way["counts"]), "{name} of {case}");
            let (usd, want) = (model.price(&costs).usd, way["usd"].as_f64().expect("a price"));
            assert!((usd - want).abs() <= 1e-12 * want, "{usd}, not {want}: {name} of {case}");
            ways += 1;
        }
        let planned = plan(&problem, &model).expect("the prototype has a plan");
        let best = &case["ways"][case["best"].as_str().expect("a name")];
        let (ours, theirs) = (planned.chosen(), best["usd"].as_f64().expect("a price"));
        let relative = ours.price.usd / theirs - 1.0;
        assert!(relative < 1e-12, "{ours:?} for {case}");
        if relative < -1e-12 {
            cheaper += 1;
        } else if ours.costs == costs_of(&problem, best) {
            same += 1;
        } else {
            as_cheap += 1;
        }
    }
    println!(
        "{ways} ways: same counts; choices: {same} same, {as_cheap} as cheap, {cheaper} cheaper"
    );
    assert!(ways == 0 || ways > 6000, "{ways}");
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        range.start() + (self.0 >> 11) % (range.end() - range.start() + 1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.roll(1..=count) == 1
    }

    /// Chunks of one length, or of any lengths.
    fn axis(&mut self, length: u64, is_rectilinear: bool) -> Axis {
        if !is_rectilinear {
            let longest = if self.one_in(3) { length + 1 } else { length.div_ceil(3) };
            return Axis::regular(length, self.roll(1..=longest.max(1)));
        }
        let (mut left, mut lengths) = (length, Vec::new());
        while left > 0 {
            let chunk = self.roll(1..=left.min(1 + length / 2));
            lengths.push(chunk);
            left -= chunk;
        }
        Axis::of_lengths(lengths)
    }

    /// Requests cost as on an object store, or nothing: in small arrays they would weigh most.
    fn model(&mut self) -> CostModel {
        let mut model = CostModel::prototype();
        if self.one_in(2) {
            let free =
                StoreProfile { get_seconds: 0.0, put_seconds: 0.0, ..StoreProfile::LOCAL_DISK };
            (model.source, model.segments, model.target) = (free, free, free);
        }
        model
    }

    fn problem(&mut self) -> Problem {
        let rank = self.roll(0..=6) as usize;
        let longest = [1, 90, 18, 9, 6, 4, 3][rank];
        let is_rectilinear = self.one_in(3);
        let least = u64::from(!self.one_in(9));
        let shape: Vec<u64> = (0..rank).map(|_| self.roll(least..=longest)).collect();
        let source = ChunkGrid::new(shape.iter().map(|&length| self.axis(length, is_rectilinear)));
        let mut target = ChunkGrid::new(shape.iter().map(|&length| self.axis(length, false)));
        let can_pass_through = !is_rectilinear && self.one_in(3);
        if can_pass_through {
            let units = source.axes().iter().zip(&shape);
            let units = units.map(|(axis, &length)| {
                Axis::regular(length, axis.longest_chunk() * self.roll(1..=3))
            });
            target = ChunkGrid::new(units);
        }
        let item_bytes = self.roll(1..=8);
        let bytes = |grid: &ChunkGrid| grid.largest_chunk().iter().product::<u64>() * item_bytes;
        let (chunk, unit) = (bytes(&source), bytes(&target));
        let budget = (chunk * 4).max(unit * 3) * self.roll(1..=2) + self.roll(0..=unit + 1);
        let thread_count = self.roll(1..=3);
        let memory = TaskMemory {
            target_overhead_bytes: if self.one_in(2) { unit } else { 0 },
            cells_written_at_once: self.roll(0..=1),
            ..TaskMemory::prototype(budget, chunk)
        };
        let worker_count = if self.one_in(4) { self.roll(2..=9) } else { 1 };
        let streaming = self.one_in(2).then(|| self.streaming(&target));
        Problem {
            item_bytes,
            source,
            target,
            can_pass_through,
            memory,
            thread_count,
            worker_count,
            streaming,
        }
    }

    /// Units of chunks that divide them.
    fn streaming(&mut self, target: &ChunkGrid) -> Streaming {
        let chunk_shape = target.axes().iter().map(|axis| {
            let Axis::Regular { chunk_length, .. } = axis else { panic!("units of one length") };
            let most = self.roll(1..=*chunk_length);
            (1..=most).rev().find(|it| chunk_length.is_multiple_of(*it)).unwrap_or(1)
        });
        Streaming { chunk_shape: chunk_shape.collect(), stream_bytes: self.roll(0..=20) }
    }
}

/// Bytes of groups alone, where a method says so exactly.
fn group_bytes(problem: &Problem, method: &Method) -> Option<u64> {
    let grids = Grids::new(problem).expect("one shape");
    match method {
        Method::Sweep { dimension, block, window } => {
            Some(sweep::open_bytes(&grids, *dimension, block, *window))
        }
        Method::Direct { group } => Some(grids.bytes(group)),
        Method::Streamed { part, dimension, window } => {
            let streaming = problem.streaming.as_ref()?;
            Some(streamed::open_bytes(&grids, streaming, part, *dimension, *window))
        }
        _ => None,
    }
}

fn check_simulated(problem: &Problem, planned: &Planned) {
    let budget = problem.memory.budget_bytes;
    let is_empty = problem.target.chunk_count() == 0;
    for candidate in &planned.candidates {
        let Simulated { costs, held_bytes } = simulate(problem, candidate);
        let told = candidate.costs;
        let want = Costs { peak_bytes: costs.peak_bytes, ..told };
        let Costs { thread_count, busy_threads, .. } = told;
        let want = Costs { thread_count: costs.thread_count, busy_threads: 0, ..want };
        assert!((1..=thread_count).contains(&busy_threads), "{candidate:?}");
        assert_eq!(costs, want, "{} for {problem:?}", candidate.method);
        assert!(costs.peak_bytes <= told.peak_bytes, "{} for {problem:?}", candidate.method);
        if let Some(bytes) = group_bytes(problem, &candidate.method).filter(|_| !is_empty) {
            assert_eq!(held_bytes, bytes, "{} for {problem:?}", candidate.method);
        }
        let fits = !matches!(candidate.verdict, Verdict::DoesNotFit { .. });
        assert_eq!(fits, told.peak_bytes <= budget, "{candidate:?}");
    }
}

#[test]
fn two_thousand_plans_are_as_simulated() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut plans, mut names) = (0, std::collections::BTreeMap::<&str, u64>::new());
    while plans < 2000 {
        let problem = dice.problem();
        let planned = plan(&problem, &dice.model()).expect("the budget is large enough");
        check_simulated(&problem, &planned);
        plans += planned.candidates.len();
        *names.entry(planned.chosen().method.name()).or_default() += 1;
    }
    println!("{plans} plans as simulated; chosen: {names:?}");
    assert!(names.len() >= 4, "{names:?}");
}

#[test]
fn the_least_memory_that_is_told_does_and_a_byte_less_does_not() {
    let mut dice = Dice(3);
    for _ in 0..300 {
        let mut problem = dice.problem();
        if problem.target.chunk_count() == 0 {
            continue;
        }
        problem.memory.budget_bytes = 0;
        let model = CostModel::prototype();
        let error = plan(&problem, &model).expect_err("nothing fits nothing");
        assert_eq!(error.code(), ErrorCode::MEMORY_TOO_SMALL, "{error}");
        let message = error.message();
        let told = message.split_once('(').and_then(|(_, rest)| rest.split_once(" bytes)"));
        let least: u64 = told.expect("bytes are told").0.parse().expect("a number");
        problem.memory.budget_bytes = least;
        let planned = plan(&problem, &model).expect("what was told does");
        assert!(planned.chosen().costs.peak_bytes <= least);
        check_simulated(&problem, &planned);
        problem.memory.budget_bytes = least - 1;
        let again = plan(&problem, &model).expect_err("a byte less does not");
        assert!(again.message().contains(&format!("({least} bytes)")), "{again}");
    }
}
