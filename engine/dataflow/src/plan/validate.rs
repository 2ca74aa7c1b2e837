//! What is refused before anything runs.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{Graph, Operation};

/// Refuses graphs that no runner could run.
pub(super) fn validate(graph: &Graph) -> Result<()> {
    let refuse = |message: String, name: &str, advice: &str| {
        let error = Error::new(ErrorCode::DUPLICATE_NAME, ErrorKind::InvalidInput, message);
        Err(error.at("step", name).mend(advice))
    };
    let mut names = BTreeSet::new();
    for node in &graph.nodes {
        if !names.insert(&node.name) {
            let message = format!("two primitives are called `{}`", node.name);
            let advice = "apply each primitive of a composite with `apply` or `apply_named`";
            return refuse(message, &node.name, advice);
        }
        let Operation::ParDo(pardo) = &node.operation else { continue };
        let tags = pardo.facts().tags;
        let unique: BTreeSet<_> = tags.iter().collect();
        if unique.len() < tags.len() {
            let message = format!("two outputs have one tag: {}", tags.join(", "));
            return refuse(message, &node.name, "give every `Tag` of a ParDo a name of its own");
        }
    }
    Ok(())
}
