//! The identity of a plan.
//!
//! It covers names, operations, coders, edges, side inputs, parameters and declared versions. It
//! leaves out recipe lines and everything about how a plan runs: memory, threads, fusing, lifting.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::graph::{Graph, Operation};

/// 128 bits that are equal for equal plans, on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u128);

/// To be raised whenever the text below changes its form.
const SCHEME: &str = "fp1";

impl Fingerprint {
    pub(super) fn of(graph: &Graph) -> Self {
        Self(xxh3_128(canonical_text(graph).as_bytes()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}-{:032x}", self.0)
    }
}

/// One line a node; what is free text is quoted, so that no two graphs share a text.
fn canonical_text(graph: &Graph) -> String {
    let mut text = String::from(SCHEME);
    for node in &graph.nodes {
        let (parameters, version, tags) = match &node.operation {
            Operation::ParDo(pardo) => {
                let facts = pardo.facts();
                (facts.dofn.parameters, facts.dofn.version, facts.tags)
            }
            Operation::Group(group) => (group.facts().parameters, group.facts().version, vec![]),
            Operation::Impulse | Operation::Reshuffle | Operation::Flatten => Default::default(),
        };
        let sides = node.sides.iter().map(|&side| {
            let view = graph.view(side);
            format!("{} of {}", view.loader.shape(), view.collection.0)
        });
        let outputs = node.outputs.iter().map(|&id| graph.collection(id).coder.to_string());
        text.push_str(&format!(
            "\n{:?} {:?} v{version} {parameters:?} in {:?} sides {:?} out {:?} tags {tags:?}",
            node.operation,
            node.name,
            node.inputs.iter().map(|input| input.0).collect::<Vec<_>>(),
            sides.collect::<Vec<_>>(),
            outputs.collect::<Vec<_>>(),
        ));
    }
    text
}
