//! Builds the chain of a stage from its ends back to its root.

use std::collections::BTreeMap;

use crate::bundle::BundleProcessor;
use crate::bundle::processor::Sinks;
use crate::error::{Error, Result};
use crate::graph::{CollectionId, Env, Operation};
use crate::plan::{EdgePurpose, Root};
use crate::receiver::AnyReceiver;
use crate::shuffle::{EdgeId, Prepared, Record, RecordSink};

/// Takes records that were encoded for nothing but to see whether they can be.
struct DiscardRecords(EdgeId);

impl RecordSink for DiscardRecords {
    fn edge(&self) -> EdgeId {
        self.0
    }

    fn put(&mut self, _: Record<'_>) -> Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Prepared>> {
        Err(Error::internal("an attempt that only looks for an element cannot commit"))
    }
}

/// The receivers of each collection of a stage, while the chain is being built.
type Ends = BTreeMap<CollectionId, Vec<AnyReceiver>>;

impl BundleProcessor<'_> {
    /// The chain that [`Self::entry`] enters.
    pub(super) fn link(&self, env: &Env, sinks: Sinks) -> Result<AnyReceiver> {
        let graph = self.graph.graph();
        let entry = self.entry();
        let mut ends = self.link_edges(env, sinks)?;
        for &member in self.stage.members.iter().rev() {
            let node = graph.node(member);
            let is_root = node.outputs.contains(&entry);
            match &node.operation {
                Operation::ParDo(pardo) => {
                    let outputs = node.outputs.iter().map(|&id| self.take_end(&mut ends, id, env));
                    let outputs = outputs.collect();
                    let idle = graph.collection(node.inputs[0]).idle_stamp();
                    let receiver = pardo.link(member, &node.sides, idle, outputs, env)?;
                    ends.entry(node.inputs[0]).or_default().push(receiver);
                }
                Operation::Window(assign) => {
                    let next = self.take_end(&mut ends, node.outputs[0], env);
                    ends.entry(node.inputs[0]).or_default().push(assign.link(next, env));
                }
                Operation::Flatten if !is_root => {
                    let next = self.take_end(&mut ends, node.outputs[0], env);
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
        Ok(self.take_end(&mut ends, entry, env))
    }

    /// The collection that enters the chain.
    pub(super) fn entry(&self) -> CollectionId {
        match self.stage.root {
            Root::Impulse(collection) | Root::Read(collection) => collection,
            Root::Group(node) => self.graph.graph().node(node).outputs[0],
        }
    }

    fn link_edges(&self, env: &Env, sinks: Sinks) -> Result<Ends> {
        let mut ends = Ends::new();
        for &id in &self.stage.outputs {
            let edge = self.graph.edge(id);
            let sink = match (env.take_sink(id), sinks) {
                (Some(sink), _) => sink,
                (None, Sinks::Store) => self.setting.store.sink(id)?,
                (None, Sinks::Discard) => Box::new(DiscardRecords(id)),
            };
            let collection = self.graph.graph().collection(edge.collection);
            let receiver = match edge.purpose {
                EdgePurpose::Plain => collection.elements.write(sink, collection.stamps, env),
                EdgePurpose::ByWindow => collection.elements.write_by_window(sink, env),
                EdgePurpose::Group { node, is_lifted } => {
                    let Operation::Group(grouping) = &self.graph.graph().node(node).operation
                    else {
                        return Err(Error::internal("an edge by key leads to no grouping"));
                    };
                    let layout = self.graph.key_layout(node);
                    grouping.write(node, sink, &layout, is_lifted, env)?
                }
            };
            ends.entry(edge.collection).or_default().push(receiver);
        }
        Ok(ends)
    }

    fn take_end(&self, ends: &mut Ends, collection: CollectionId, env: &Env) -> AnyReceiver {
        let graph = self.graph.graph();
        let next = ends.remove(&collection).unwrap_or_default();
        let elements = &graph.collection(collection).elements;
        let mut end = elements.tee(next);
        if self.setting.checks_elements {
            end = elements.checked(end, graph.consumers(collection).collect(), env);
        }
        // What an edge brings was counted where it was made.
        if self.stage.members.contains(&graph.collection(collection).producer) {
            end = elements.counted(end, collection, env);
        }
        end
    }
}
