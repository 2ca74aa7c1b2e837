//! Compiles a pipeline into stages: the one thing that a runner is given.
//!
//! ```text
//! graph ── validate ── facts ── fuse (and lift) ── order ── StageGraph ── fingerprint, explain
//! ```
//!
//! Planning is pure and deterministic. It groups nodes and never rewrites them; what it decides
//! changes how a pipeline runs, never what it gives. `plan/README.md` shows the rules with pictures.

mod explain;
mod fingerprint;
mod fuse;
mod needs;
mod stage;
mod validate;

use std::sync::Arc;

use crate::error::Result;
use crate::graph::StepInfo;
use crate::pipeline::Pipeline;

pub use fingerprint::Fingerprint;
pub use stage::{Edge, EdgePurpose, Root, Stage, StageGraph, StageId};

/// What the compiler may do; every choice gives the same results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileOptions {
    /// Whether transforms that need no shuffle between them run in one stage.
    pub fuse: bool,
    /// Whether combining begins before the shuffle.
    pub lift: bool,
}

/// Compiles a pipeline.
///
/// # Errors
/// The first mistake of the recipe: names, coders, undeclared inputs, or a default of a side input
/// that cannot be encoded.
pub fn compile(pipeline: &Pipeline, options: CompileOptions) -> Result<StageGraph> {
    let graph = pipeline.graph()?;
    validate::validate(&graph)?;
    let steps: Arc<[StepInfo]> = graph
        .nodes
        .iter()
        .map(|node| StepInfo { name: node.name.clone(), location: node.location })
        .collect();
    let fingerprint = Fingerprint::of(&graph)?;
    let (stages, edges) = fuse::fuse(&graph, options);
    Ok(StageGraph { graph, stages, edges, options, steps, fingerprint })
}

#[cfg(test)]
mod tests;
