//! The identity of a plan.
//!
//! It covers names, operations, coders, edges, side inputs, parameters and declared versions. It
//! leaves out recipe lines and everything about how a plan runs: memory, threads, fusing, lifting.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::Result;
use crate::graph::{ElementwiseFacts, Graph, GroupFacts, Operation};

/// 128 bits that are equal for equal plans, on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u128);

/// To be raised whenever the text below changes its form.
const SCHEME: &str = "fp1";

impl Fingerprint {
    pub(super) fn of(graph: &Graph) -> Result<Self> {
        Ok(Self(xxh3_128(canonical_text(graph)?.as_bytes())))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}-{:032x}", self.0)
    }
}

/// One line a node; what is free text is quoted, so that no two graphs share a text.
fn canonical_text(graph: &Graph) -> Result<String> {
    let mut text = String::from(SCHEME);
    for node in &graph.nodes {
        let sides = node.sides.iter().map(|side| {
            let view = graph.view(side.view);
            let mapped = if side.mapping.is_some() { " mapped" } else { "" };
            Ok(format!("{} of {}{mapped}", view.loader.identity()?, view.collection.0))
        });
        let outputs = node.outputs.iter().map(|&id| {
            let collection = graph.collection(id);
            format!("{} in {} {:?}", collection.coder, collection.windowing, collection.stamps)
        });
        text.push_str(&format!(
            "\n{:?} {:?} {} in {:?} sides {:?} out {:?}",
            node.operation,
            node.name,
            facts_text(&node.operation),
            node.inputs.iter().map(|input| input.0).collect::<Vec<_>>(),
            sides.collect::<Result<Vec<_>>>()?,
            outputs.collect::<Vec<_>>(),
        ));
    }
    Ok(text)
}

/// What an operation says of itself and its code.
fn facts_text(operation: &Operation) -> String {
    match operation {
        Operation::ParDo(pardo) => {
            let ElementwiseFacts { dofn, tags, .. } = pardo.facts();
            format!("v{} {:?} tags {tags:?}", dofn.version, dofn.parameters)
        }
        Operation::Group(group) => {
            let GroupFacts { accumulator, parameters, version, is_by_time } = group.facts();
            let accumulator = accumulator.map(|coder| coder.to_string());
            let order = if is_by_time { " by time" } else { "" };
            format!("v{version} {parameters:?} by {accumulator:?}{order}")
        }
        Operation::Window(assign) => format!("keeps {}", assign.keeps_windows()),
        Operation::Impulse | Operation::Reshuffle | Operation::Flatten => String::new(),
    }
}
