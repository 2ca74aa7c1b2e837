//! Builds the chain of a stage from its ends back to its root.

use std::collections::BTreeMap;

use crate::bundle::{BundleProcessor, Sinks};
use crate::error::{Error, Result};
use crate::graph::{CollectionId, Env, Operation};
use crate::plan::{EdgePurpose, Root};
use crate::receiver::AnyReceiver;

/// The receivers of each collection of a stage, while the chain is being built.
type Ends = BTreeMap<CollectionId, Vec<AnyReceiver>>;

impl BundleProcessor<'_> {
    /// The collection that enters the chain, and the chain.
    pub(super) fn link(&self, env: &Env, sinks: Sinks) -> Result<(CollectionId, AnyReceiver)> {
        let graph = self.graph.graph();
        let entry = match self.stage.root {
            Root::Impulse(collection) | Root::Read(collection) => collection,
            Root::Group(node) => graph.node(node).outputs[0],
        };
        let mut ends = self.link_edges(env, sinks)?;
        for &member in self.stage.members.iter().rev() {
            let node = graph.node(member);
            let is_root = node.outputs.contains(&entry);
            match &node.operation {
                Operation::ParDo(pardo) => {
                    let outputs = node.outputs.iter().map(|&id| self.take_end(&mut ends, id));
                    let outputs = outputs.collect();
                    let receiver = pardo.link(member, &node.sides, outputs, env)?;
                    ends.entry(node.inputs[0]).or_default().push(receiver);
                }
                Operation::Flatten if !is_root => {
                    let next = self.take_end(&mut ends, node.outputs[0]);
                    let elements = &graph.collection(node.outputs[0]).elements;
                    let ways = elements.ways_into(next, node.inputs.len());
                    for (&input, way) in node.inputs.iter().zip(ways) {
                        ends.entry(input).or_default().push(way);
                    }
                }
                _ if is_root => {}
                other => {
                    return Err(Error::internal(format!("{other:?} stands within a stage")));
                }
            }
        }
        let chain = self.take_end(&mut ends, entry);
        Ok((entry, chain))
    }

    fn link_edges(&self, env: &Env, sinks: Sinks) -> Result<Ends> {
        let mut ends = Ends::new();
        for &id in &self.stage.outputs {
            let edge = self.graph.edge(id);
            if sinks == Sinks::Discard {
                continue;
            }
            let sink = self.setting.store.sink(id)?;
            let collection = self.graph.graph().collection(edge.collection);
            let receiver = match edge.purpose {
                EdgePurpose::Plain => collection.elements.write(sink, env),
                EdgePurpose::Group { node, is_lifted } => {
                    let Operation::Group(grouping) = &self.graph.graph().node(node).operation
                    else {
                        return Err(Error::internal("an edge by key leads to no grouping"));
                    };
                    grouping.write(node, sink, is_lifted, env)
                }
            };
            ends.entry(edge.collection).or_default().push(receiver);
        }
        Ok(ends)
    }

    fn take_end(&self, ends: &mut Ends, collection: CollectionId) -> AnyReceiver {
        let next = ends.remove(&collection).unwrap_or_default();
        self.graph.graph().collection(collection).elements.tee(next)
    }

    /// Reads the side inputs of the stage that are not read yet.
    pub(super) fn load_views(&self) -> Result<()> {
        for &view in &self.stage.views {
            let Some(edge) = self.graph.view_edge(view) else {
                return Err(Error::internal("a view without an edge"));
            };
            let loader = &self.graph.graph().view(view).loader;
            let env = self.setting.env(self.graph);
            self.setting.views.get_or_load(view, || {
                let mut records = self.setting.read_all(edge)?;
                loader.load(records.as_mut(), &env)
            })?;
        }
        Ok(())
    }
}
