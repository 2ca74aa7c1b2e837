//! The worked examples of the rechunk paper, beside what the prototype has printed for them.

use std::collections::BTreeMap;

use array::ChunkGrid;
use dataflow::testing::shared_file;

use super::choose::{Candidate, Verdict, plan};
use super::cost::CostModel;
use super::method::Method;
use super::problem::Problem;
use super::tests::problem;

/// What a worker of 4 GB leaves for a task, and a node of 64 GB.
const BUDGETS: [(&str, u64); 2] = [("2vCPU worker", 3_000_000_000), ("big node", 48_000_000_000)];

struct Example {
    name: &'static str,
    item_bytes: u64,
    shape: &'static [u64],
    source: &'static [u64],
    target: &'static [u64],
}

const EXAMPLES: [Example; 7] = [
    Example {
        name: "E1",
        item_bytes: 4,
        shape: &[350_640, 721, 1440],
        source: &[31, 721, 1440],
        target: &[350_640, 10, 10],
    },
    Example {
        name: "E2",
        item_bytes: 4,
        shape: &[8192, 8192, 8192],
        source: &[8192, 64, 64],
        target: &[64, 64, 8192],
    },
    Example {
        name: "E3",
        item_bytes: 4,
        shape: &[8760, 721, 1440],
        source: &[24, 721, 1440],
        target: &[8760, 32, 32],
    },
    Example {
        name: "E4",
        item_bytes: 2,
        shape: &[6443, 17_999, 36_000],
        source: &[5, 1799, 3600],
        target: &[6443, 100, 100],
    },
    Example {
        name: "E5",
        item_bytes: 4,
        shape: &[160_000, 160_000],
        source: &[1000, 1000],
        target: &[999, 999],
    },
    Example {
        name: "E6",
        item_bytes: 4,
        shape: &[14_610, 721, 1440],
        source: &[1, 721, 1440],
        target: &[100, 181, 360],
    },
    Example {
        name: "E7",
        item_bytes: 4,
        shape: &[350_640, 37, 721, 1440],
        source: &[1, 37, 721, 1440],
        target: &[8760, 1, 32, 32],
    },
];

impl Example {
    fn problem(&self, budget: u64) -> Problem {
        problem(self.shape, self.source, self.target, self.item_bytes, budget)
    }
}

/// Three digits and a unit of thousands, as the prototype prints.
fn short(number: f64) -> String {
    let units = ["", "K", "M", "G", "T", "P"];
    let mut scaled = number;
    let mut place = 0;
    while scaled >= 1000.0 && place + 1 < units.len() {
        scaled /= 1000.0;
        place += 1;
    }
    let digits = if scaled >= 100.0 {
        0
    } else if scaled >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{scaled:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[place])
}

/// The figures of a way, as the prototype prints them, by its names for them.
fn figures(candidate: &Candidate) -> BTreeMap<String, String> {
    let costs = &candidate.costs;
    let stored = |bytes: u64, other: u64| short(bytes as f64 + other as f64);
    let figures = [
        ("st", costs.stages.to_string()),
        ("srcGET", short(costs.source_gets as f64)),
        ("amp", format!("{:.2}", costs.read_amplification())),
        ("intPUT", short(costs.segment_puts as f64)),
        ("intGET", short(costs.segment_gets as f64)),
        ("tgtPUT", short(costs.target_puts as f64)),
        ("bytesR", stored(costs.source_bytes, costs.segment_bytes_read)),
        ("bytesW", stored(costs.target_bytes, costs.segment_bytes_written)),
        ("minobj", short(costs.min_cell_bytes as f64)),
        ("core-h", format!("{:.1}", candidate.price.core_seconds / 3600.0)),
        ("USD", format!("{:.2}", candidate.price.usd)),
    ];
    figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}

/// The figures of a printed line: names, each with `=` and a number behind it.
fn printed_figures(line: &str) -> BTreeMap<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pairs = words.iter().enumerate().filter_map(|(place, word)| {
        let (name, figure) = word.split_once('=')?;
        let figure = if figure.is_empty() { words.get(place + 1)? } else { figure };
        (!name.starts_with('<')).then(|| (name.to_owned(), figure.to_owned()))
    });
    pairs.collect()
}

/// The lines that the prototype has printed for an example and a budget, by method.
fn printed<'a>(text: &'a str, example: &str, budget: &str) -> BTreeMap<&'a str, &'a str> {
    let of_example = text.lines().skip_while(|line| !line.starts_with(&format!("== {example} ")));
    let of_example = of_example.skip(1).take_while(|line| !line.starts_with("== "));
    let rows = of_example.filter_map(|line| {
        let rest = line.trim().strip_prefix("ours ")?.strip_prefix(budget)?;
        Some((rest.split_whitespace().next()?, line))
    });
    rows.collect()
}

fn prototype_name(method: &Method) -> &'static str {
    match method {
        Method::Packed { middle, .. } if middle.is_empty() => "packed1",
        Method::Packed { .. } => "packed2",
        method => method.name(),
    }
}

/// Prints a way, and what the prototype has printed for it; whether all figures are the same.
fn compare(candidate: &Candidate, row: Option<&&str>) -> bool {
    let told = |figures: &BTreeMap<String, String>| {
        let told: Vec<String> =
            figures.iter().map(|(name, figure)| format!("{name} {figure}")).collect();
        told.join(", ")
    };
    let ours = figures(candidate);
    println!("  {} ({})\n    planned: {}", candidate.method, candidate.verdict, told(&ours));
    let Some(row) = row else { return false };
    let theirs = printed_figures(row);
    println!("    printed: {}", told(&theirs));
    ours.iter().all(|(name, figure)| theirs.get(name) == Some(figure))
}

#[test]
fn worked_examples_have_the_printed_figures() {
    let path = shared_file("proto/planner/compare_4GB.txt");
    let text = path.map(|path| std::fs::read_to_string(path).expect("the file is there"));
    let (mut same, mut all) = (0, 0);
    for example in &EXAMPLES {
        for (budget_name, budget) in BUDGETS {
            println!("{} {budget_name}", example.name);
            let planned = plan(&example.problem(budget), &CostModel::prototype()).expect("fits");
            let rows = text.as_ref().map(|text| printed(text, example.name, budget_name));
            all += rows.as_ref().map_or(0, BTreeMap::len);
            for candidate in &planned.candidates {
                let row = rows.as_ref().and_then(|it| it.get(prototype_name(&candidate.method)));
                same += usize::from(compare(candidate, row));
                let does_not_fit = matches!(candidate.verdict, Verdict::DoesNotFit { .. });
                assert!(rows.is_none() || does_not_fit == row.is_none(), "{candidate:?}");
                let is_chosen = row.is_some_and(|row| row.contains("CHOSEN"));
                let is_right = row.is_none() || is_chosen == (candidate.verdict == Verdict::Chosen);
                assert!(is_right, "{candidate:?} for {row:?}");
            }
        }
    }
    println!("{same} of {all} ways have the printed figures");
    assert!(text.is_none() || (same, all) == (48, 48), "{same} of {all}");
}

#[test]
fn era5_takes_666_objects_and_one_copy_in_between_at_3_gb() {
    let problem = EXAMPLES[0].problem(3_000_000_000);
    let planned = plan(&problem, &CostModel::prototype()).expect("fits");
    let Candidate { method, costs, .. } = planned.chosen();
    let (map_group, reduce_group) = (vec![527, 721, 1440], vec![350_640, 10, 180]);
    assert_eq!(*method, Method::Packed { map_group, middle: Vec::new(), reduce_group });
    assert!(costs.segment_puts <= 666, "{costs:?}");
    assert_eq!(costs.segment_bytes_written, 4 * 350_640 * 721 * 1440);
    assert_eq!(costs.source_gets, 11_311);
}

#[test]
fn repacking_into_shards_copies_encoded_chunks() {
    let (shape, chunk, shard) = ([5760, 181, 360], [1, 181, 360], [240, 181, 360]);
    let problem = problem(&shape, &chunk, &shard, 4, 512 << 20).with_pass_through(true);
    let planned = plan(&problem, &CostModel::prototype()).expect("fits");
    let chosen = planned.chosen();
    assert_eq!((&chosen.method, chosen.costs.target_puts), (&Method::Passthrough, 24));
    let others = planned.candidates.iter().filter(|it| it.method != Method::Passthrough);
    assert!(others.map(|it| it.price.usd).all(|usd| usd > chosen.price.usd));
    // A shard that cuts chunks cannot be made of them.
    let cut = Problem { target: ChunkGrid::regular(&shape, &[240, 100, 360]), ..problem };
    let planned = plan(&cut, &CostModel::prototype()).expect("fits");
    assert!(planned.candidates.iter().all(|it| it.method != Method::Passthrough));
}

#[test]
fn a_plan_for_a_billion_chunks_lists_nothing() {
    // Listing 10^9 chunks, or 2·10^5 of one dimension for every pair of groups, would never end.
    let shape = [200_000, 5000, 10];
    let problem = problem(&shape, &[1, 10, 1], &[200_000, 1, 1], 4, 1 << 30);
    assert_eq!(problem.source.chunk_count(), 1_000_000_000);
    let planned = plan(&problem, &CostModel::prototype()).expect("fits");
    assert_eq!(planned.chosen().costs.source_gets, 1_000_000_000);
    let text = serde_json::to_string(&planned).expect("plain");
    assert!(text.len() < 4000, "a plan is as large as its words: {}", text.len());
}
