//! What is refused before anything runs.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{Graph, Operation};

/// Refuses graphs that no runner could run.
pub(super) fn validate(graph: &Graph) -> Result<()> {
    let refuse = |code, message: String, name: &str| {
        Err(Error::new(code, ErrorKind::InvalidInput, message).at("step", name))
    };
    let mut names = BTreeSet::new();
    for node in &graph.nodes {
        if !names.insert(&node.name) {
            let message = format!("two primitives are called `{}`", node.name);
            return refuse(ErrorCode::DUPLICATE_NAME, message, &node.name);
        }
        let Operation::ParDo(pardo) = &node.operation else { continue };
        let tags = pardo.facts().tags;
        let unique: BTreeSet<_> = tags.iter().collect();
        if unique.len() < tags.len() {
            let message = format!("two outputs have one tag: {}", tags.join(", "));
            return refuse(ErrorCode::DUPLICATE_NAME, message, &node.name);
        }
    }
    Ok(())
}
