//! A stage graph as text for people, and as DOT for drawing.

use std::fmt::Write as _;

use crate::plan::stage::{Edge, EdgePurpose, Stage, StageGraph};

impl StageGraph {
    /// One line a stage: what it reads, what runs in it, what it leaves for others.
    ///
    /// ```
    /// use dataflow::plan::{CompileOptions, compile};
    /// use dataflow::prelude::{Create, GroupByKey, Pipeline};
    /// let pipeline = Pipeline::new();
    /// pipeline.apply(Create::of([(1i64, 2i64)])).apply(GroupByKey);
    /// let plan = compile(&pipeline, CompileOptions { fuse: true, lift: true })?;
    /// assert_eq!(plan.explain(), "\
    /// s000 Create/Impulse > Create/Split -> e0 (kv<u64,u64> in turns)\n\
    /// s001 e0 > Create/Reshuffle > Create/Read -> e1 (by key for GroupByKey)\n\
    /// s002 e1 > GroupByKey\n");
    /// # Ok::<(), dataflow::error::Error>(())
    /// ```
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for stage in &self.stages {
            let inputs = stage.inputs.iter().map(ToString::to_string);
            let members = stage.members.iter().map(|&id| self.graph.node(id).name.clone());
            let chain: Vec<String> = inputs.chain(members).collect();
            let outputs = stage.outputs.iter().map(|&edge| self.describe(self.edge(edge)));
            let outputs: Vec<String> = outputs.collect();
            let arrow = if outputs.is_empty() { "" } else { " -> " };
            let sides = self.describe_sides(stage);
            let line = format!("{} {}{sides}{arrow}", stage.id, chain.join(" > "));
            text.push_str(&line);
            text.push_str(&outputs.join(", "));
            text.push('\n');
        }
        text
    }

    /// The stages as clusters and the edges between them, in the DOT language.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
        for stage in &self.stages {
            let (id, number) = (stage.id, stage.id.0);
            let written = write!(dot, "  subgraph cluster_{number} {{\n    label=\"{id}\";\n");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
            for member in &stage.members {
                let name = quoted(&self.graph.node(*member).name);
                dot.push_str(&format!("    n{} [label={name}];\n", member.0));
            }
            dot.push_str("  }\n");
        }
        for (id, node) in self.graph.iter() {
            for input in &node.inputs {
                let producer = self.graph.collection(*input).producer.0;
                dot.push_str(&format!("  n{producer} -> n{};\n", id.0));
            }
            for side in &node.sides {
                let collection = self.graph.view(side.view).collection;
                let producer = self.graph.collection(collection).producer.0;
                dot.push_str(&format!("  n{producer} -> n{} [style=dashed];\n", id.0));
            }
        }
        dot.push_str("}\n");
        dot
    }

    fn describe(&self, edge: &Edge) -> String {
        let how = match edge.purpose {
            EdgePurpose::Plain => {
                format!("{} in turns", self.graph.collection(edge.collection).coder)
            }
            EdgePurpose::ByWindow => {
                format!("{} by window", self.graph.collection(edge.collection).coder)
            }
            EdgePurpose::Group { node, is_lifted } => {
                let name = &self.graph.node(node).name;
                let lifted = if is_lifted { ", combined before" } else { "" };
                format!("by key for {name}{lifted}")
            }
        };
        format!("{} ({how})", edge.id)
    }

    fn describe_sides(&self, stage: &Stage) -> String {
        let sides = stage.views.iter().filter_map(|&view| self.view_edge(view));
        let sides: Vec<String> = sides.map(|edge| edge.to_string()).collect();
        if sides.is_empty() { String::new() } else { format!(" [sides {}]", sides.join(", ")) }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
