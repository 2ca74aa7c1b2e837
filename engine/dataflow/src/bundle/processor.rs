//! The life of one bundle: linked, fed, committed; and, where it fails, told why.

use std::collections::BTreeMap;

use crate::bundle::finalize::{self, Callbacks};
use crate::bundle::{Failures, Setting, guard};
use crate::error::{Error, Result};
use crate::graph::{Env, Groups, Operation};
use crate::metrics::{self, MetricKey, Metrics};
use crate::plan::{Root, Stage, StageGraph, StageId};
use crate::shuffle::{EdgeId, EdgeOrder, Prepared};

/// The main input of one bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleInput {
    /// The one empty element of an impulse.
    Impulse,
    /// The elements or groups of one partition of an edge.
    Partition {
        /// The edge.
        edge: EdgeId,
        /// The partition.
        partition: usize,
    },
}

/// What a bundle that has committed says of itself.
#[derive(Debug, Clone, Default)]
pub struct BundleReport {
    /// Its numbers, which count now.
    pub metrics: Metrics,
    /// Elements or groups that were read.
    pub read_count: u64,
    /// The elements that were put in quarantine, if that is the policy.
    pub failures: Failures,
}

/// Runs bundles of one stage. Shared by all threads.
#[derive(Debug, Clone, Copy)]
pub struct BundleProcessor<'a> {
    pub(super) graph: &'a StageGraph,
    pub(super) stage: &'a Stage,
    pub(super) setting: &'a Setting,
}

impl<'a> BundleProcessor<'a> {
    /// The processor of a stage within the setting of a run.
    pub fn new(graph: &'a StageGraph, stage: &'a Stage, setting: &'a Setting) -> Self {
        Self { graph, stage, setting }
    }

    /// The stage.
    pub fn stage(&self) -> StageId {
        self.stage.id
    }

    /// Reads the side inputs and lists the bundles of the stage; all it waits for must be done.
    ///
    /// # Errors
    /// Side inputs that do not have the shape of their view.
    pub fn prepare(&self) -> Result<Vec<BundleInput>> {
        for edge in &self.stage.outputs {
            let order = self.graph.order(*edge);
            let partition_count = match order {
                EdgeOrder::InTurns => self.setting.partition_count,
                EdgeOrder::ByKey | EdgeOrder::ByKeyHead { .. } => {
                    self.setting.keyed_partition_count
                }
            };
            self.setting.store.declare(*edge, order, partition_count);
        }
        self.load_views()?;
        if let Root::Impulse(_) = self.stage.root {
            return Ok(vec![BundleInput::Impulse]);
        }
        let partitions = self.stage.inputs.iter().flat_map(|&edge| {
            let filled = self.setting.store.filled_partitions(edge);
            filled.into_iter().map(move |partition| BundleInput::Partition { edge, partition })
        });
        Ok(partitions.collect())
    }

    /// Runs one bundle and commits it: one attempt, without quarantine.
    ///
    /// # Errors
    /// Whatever fails in the transforms or in the shuffle, with step, recipe line and element;
    /// panics in code of the recipe too. Nothing of the bundle is seen then.
    pub fn run(&self, input: BundleInput) -> Result<BundleReport> {
        let env = self.env();
        self.run_within(input, &env).map_err(|error| self.name_element(input, &env, error))
    }

    /// Runs a bundle in this surrounding and commits it.
    pub(super) fn run_within(&self, input: BundleInput, env: &Env) -> Result<BundleReport> {
        let outcome = guard::catch(env, || {
            metrics::within(env.recorder(), || self.feed(input, env, Sinks::Store))?;
            env.check_left_out()?;
            env.take_outcome()
        });
        let (mut metrics, prepared) = outcome?;
        prepared.into_iter().try_for_each(Prepared::commit)?;
        if !self.setting.holds_callbacks {
            metrics.merge(&finalize::call_all(Callbacks::of(env), self.graph.steps()));
        }
        metrics.elements = Self::counts_of(self.graph, env);
        let failures = Failures::default();
        Ok(BundleReport { metrics, read_count: env.progress().done, failures })
    }

    /// How many elements of each collection the bundle has made.
    pub(super) fn counts_of(graph: &StageGraph, env: &Env) -> BTreeMap<MetricKey, u64> {
        let graph = graph.graph();
        let counted = env.take_elements().into_iter().map(|(of, count)| {
            let node = graph.node(graph.collection(of).producer);
            let place = node.outputs.iter().position(|&output| output == of).unwrap_or(0);
            let tag = match &node.operation {
                Operation::ParDo(pardo) if place > 0 => pardo.facts().tags[place - 1],
                _ => "",
            };
            (MetricKey { step: node.name.clone(), name: tag.to_owned() }, count)
        });
        counted.collect()
    }

    /// What the receivers of a new bundle share; at first the code of its root runs.
    pub(super) fn env(&self) -> Env {
        let env = self.setting.env(self.graph);
        env.enter(self.graph.graph().collection(self.entry()).producer);
        env
    }

    /// Reads the input anew from where it failed, and notes elements, to name the one that fails.
    pub(super) fn name_element(&self, input: BundleInput, env: &Env, error: Error) -> Error {
        if env.notes_elements || !env.is_feeding() || !guard::wants_element(&error) {
            return error;
        }
        let again = self.env().noting(env.progress());
        let outcome = guard::catch(&again, || self.feed(input, &again, Sinks::Discard));
        // Another failure than the one that is reported says nothing about it.
        let named = outcome.err().filter(|named| {
            let is_same_step = named.place("step") == error.place("step");
            is_same_step && named.code() == error.code() && named.message() == error.message()
        });
        match named.as_ref().and_then(|named| named.place("element")) {
            Some(element) => error.at("element", element),
            None => error,
        }
    }

    /// Pushes all of `input` through the chain, in as many bundles as the options ask for.
    fn feed(&self, input: BundleInput, env: &Env, sinks: Sinks) -> Result<()> {
        let limit = self.setting.bundle_elements;
        let graph = self.graph.graph();
        let entry = graph.collection(self.entry());
        let elements = &entry.elements;
        let BundleInput::Partition { edge, partition } = input else {
            return elements.push_impulse(self.link(env, sinks)?, env);
        };
        let mut records = self.setting.store.records(edge, partition)?;
        let Root::Group(node) = self.stage.root else {
            loop {
                let next = self.link(env, sinks)?;
                // The edge holds what was written to it, which a flatten may have made one of.
                let stamps = graph.collection(self.graph.edge(edge).collection).stamps;
                if !elements.read(records.as_mut(), stamps, limit, next, env)? {
                    return Ok(());
                }
            }
        };
        let Operation::Group(grouping) = &graph.node(node).operation else {
            return Err(Error::internal("the root of a stage is no grouping"));
        };
        let is_lifted = self.graph.is_lifted(edge);
        let layout = self.graph.key_layout(node);
        let mut groups = Groups::new(records.as_mut(), &layout);
        while grouping.read(node, &mut groups, is_lifted, limit, self.link(env, sinks)?, env)? {}
        Ok(())
    }
}

/// Where the elements of outgoing edges go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sinks {
    Store,
    Discard,
}
