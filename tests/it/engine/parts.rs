//! The three parts of a lifted combine, linked by hand as a foreign runner does, give what the
//! whole gives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use levain::dataflow::blob::{Payloads, ScratchBlobs};
use levain::dataflow::cancel::CancelToken;
use levain::dataflow::graph::{Env, GroupPart, NodeId, Operation, Views};
use levain::dataflow::memory::MemoryBudget;
use levain::dataflow::plan::{CompileOptions, StageGraph, compile};
use levain::dataflow::receiver::{AnyReceiver, Batch, Receiver};
use levain::dataflow::shuffle::Scratch;
use levain::prelude::*;

use super::{run_everywhere, sorted};

/// Keeps what comes.
struct Keep<T>(Arc<Mutex<Vec<T>>>);

impl<T: Element> Receiver<T> for Keep<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.0.lock().expect("no receiver panics").append(&mut batch.values);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Runs one part of the combine alone on these elements.
fn run_part<In: Element, Out: Element>(
    graph: &StageGraph,
    budget: &MemoryBudget,
    part: GroupPart,
    elements: &[In],
) -> Vec<Out> {
    let nodes = graph.graph().iter();
    let groups = nodes.filter_map(|(id, node)| match &node.operation {
        Operation::Group(group) => Some((id, Arc::clone(group))),
        _ => None,
    });
    let (node, group): (NodeId, _) = groups.last().expect("the recipe combines");
    let (scratch, cancel) = (Scratch::default(), CancelToken::default());
    let payloads = Payloads::Aside(Arc::new(ScratchBlobs::new(scratch.clone())));
    let (steps, views) = (Arc::clone(graph.steps()), Views::default());
    let env = Env::new(steps, budget.clone(), scratch, payloads, cancel, views);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let next = AnyReceiver::new::<Out>(Keep(Arc::clone(&kept)));
    let layout = graph.key_layout(node);
    let receiver = group.part(part, node, &layout, next, &env).expect("it is set up");
    let mut receiver = receiver.expect("a combine has parts").typed::<In>();
    for batch in elements.chunks(100) {
        let mut batch = Batch { values: batch.to_vec(), ..Batch::default() };
        receiver.push(&mut batch).expect("nothing fails");
    }
    receiver.finish().expect("nothing fails");
    let mut kept = kept.lock().expect("no receiver panics");
    std::mem::take(&mut *kept)
}

fn check(budget: &MemoryBudget, want_pairs: std::ops::Range<usize>) {
    let pipeline = Pipeline::new();
    let pair = |n: i64| (format!("k{}", n / 5 % 7000), n);
    let pairs: Vec<(String, i64)> = (0..40_000).map(pair).collect();
    let counts =
        pipeline.apply(Create::of(pairs.clone())).apply(CombinePerKey::of(Max::new())).collect();
    let graph = compile(&pipeline, CompileOptions { fuse: true, lift: true }).expect("compiles");

    let accumulated: Vec<(String, Option<i64>)> =
        run_part(&graph, budget, GroupPart::Precombine, &pairs);
    assert!(want_pairs.contains(&accumulated.len()), "{} pairs", accumulated.len());
    let mut by_key: BTreeMap<String, Vec<Option<i64>>> = BTreeMap::new();
    for (key, accumulator) in accumulated {
        by_key.entry(key).or_default().push(accumulator);
    }
    let groups = by_key
        .into_iter()
        .map(|(key, values)| (key, Iterable::of(&values).expect("options have a coder")));
    let merged: Vec<(String, Option<i64>)> =
        run_part(&graph, budget, GroupPart::Merge, &groups.collect::<Vec<_>>());
    let mut extracted: Vec<(String, Option<i64>)> =
        run_part(&graph, budget, GroupPart::Extract, &merged);
    extracted.sort();
    for outcome in run_everywhere(&pipeline) {
        assert_eq!(sorted(&outcome.expect("runs"), &counts), extracted);
    }
}

#[test]
fn three_parts_give_what_the_whole_gives() {
    check(&MemoryBudget::unlimited(), 7000..7001);
}

#[test]
fn without_memory_a_key_is_put_out_more_than_once() {
    check(&MemoryBudget::new(0, 0), 7001..40_000);
}
