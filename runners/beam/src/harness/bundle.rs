//! One bundle, from its sources to its sinks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dataflow::bundle::{BundleProcessor, OnDurable, Setting, Sink, Source};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::plan::StageGraph;
use dataflow::shuffle::EdgeId;

use super::data::{DataPlane, Inlet, SourceMessages, lock};
use super::descriptor::BundlePlan;
use super::sink::WireSink;
use super::source::{SideRecords, SourceRecords};
use super::state::{StatePages, StatePlane};
use super::store::{Store, StoreSink};
use crate::metrics;
use crate::proto::fn_api::{IterableSideInput, ProcessBundleResponse, StateKey};

/// What comes for a bundle, endpoint by endpoint.
type Inlets = Vec<Arc<Mutex<Inlet>>>;

/// What a bundle runs with.
pub(super) struct BundleRun<'a> {
    pub(super) graph: &'a StageGraph,
    pub(super) setting: &'a Setting,
    pub(super) store: &'a Store,
    pub(super) instruction_id: &'a str,
    pub(super) plan: &'a BundlePlan,
    /// The data streams of the plan's endpoints.
    pub(super) planes: &'a BTreeMap<String, Arc<DataPlane>>,
    pub(super) state: Option<Arc<StatePlane>>,
}

impl BundleRun<'_> {
    /// Runs it; what is to be called once the runner says that it is durable comes back too.
    ///
    /// # Errors
    /// Whatever fails: the runner is told, and what was sent does not count.
    pub(super) fn run(&self) -> Result<(ProcessBundleResponse, OnDurable)> {
        let setting = self.setting.clone().with_own_views();
        let bundle = BundleProcessor::picked(self.graph, &setting, &self.plan.picked);
        let (sources, inlets) = self.sources()?;
        if !self.plan.sides.is_empty() {
            // Some runners know the state of a bundle only a while after they have asked for it, but
            // always before they send anything.
            inlets.iter().try_for_each(|inlet| lock(inlet).wait())?;
        }
        for side in &self.plan.sides {
            let key = IterableSideInput {
                transform_id: side.transform_id.clone(),
                side_input_id: side.side_input_id.clone(),
                // The encoding of the global window, in which all side inputs are.
                window: Vec::new(),
            };
            let key = StateKey { iterable_side_input: Some(key), ..StateKey::default() };
            let state = self.state.as_deref().ok_or_else(without_state)?;
            let pages = StatePages::new(state, self.instruction_id, key);
            bundle.load_side(side.view, &mut SideRecords::new(side, pages))?;
        }
        let (report, on_durable) = bundle.run(sources, self.sinks(&setting)?)?;
        let response = ProcessBundleResponse {
            monitoring_infos: metrics::to_infos(&report.metrics, &self.plan.transforms),
            requires_finalization: !on_durable.is_empty(),
            ..ProcessBundleResponse::default()
        };
        Ok((response, on_durable))
    }

    /// The sources, and what comes for them from each endpoint.
    fn sources(&self) -> Result<(Vec<Source<'_>>, Inlets)> {
        let mut inlets = BTreeMap::new();
        let mut sources: Vec<Source<'_>> = Vec::new();
        for port in &self.plan.sources {
            let inlet = match inlets.get(&port.url) {
                Some(inlet) => Arc::clone(inlet),
                None => {
                    let plane = self.plane(&port.url)?;
                    let inlet = plane.receive(self.instruction_id, self.setting.budget())?;
                    let inlet = Arc::new(Mutex::new(inlet));
                    inlets.insert(port.url.clone(), Arc::clone(&inlet));
                    inlet
                }
            };
            let messages = SourceMessages {
                inlet,
                transform_id: port.transform_id.clone(),
                is_only: self.plan.sources.len() == 1,
                is_over: false,
            };
            sources.push((port.wire, Box::new(SourceRecords::new(port, messages))));
        }
        Ok((sources, inlets.into_values().collect()))
    }

    fn sinks(&self, setting: &Setting) -> Result<Vec<Sink>> {
        let mut sinks: Vec<Sink> = Vec::new();
        for port in &self.plan.sinks {
            let edge = EdgeId(sinks.len() as u32);
            let plane = Arc::clone(self.plane(&port.url)?);
            let sink = WireSink::new(edge, port, plane, self.instruction_id);
            sinks.push((port.wire, Box::new(sink)));
        }
        for &(wire, collection) in &self.plan.stores {
            let edge = EdgeId(sinks.len() as u32);
            let (setting, store) = (setting.clone(), self.store.clone());
            let groups = BTreeMap::new();
            let sink = StoreSink { edge, collection, setting, store, groups };
            sinks.push((wire, Box::new(sink)));
        }
        Ok(sinks)
    }

    fn plane(&self, url: &str) -> Result<&Arc<DataPlane>> {
        self.planes.get(url).ok_or_else(|| Error::internal("a data stream was not opened"))
    }
}

fn without_state() -> Error {
    let message = "the runner names no place to read side inputs from";
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported, message)
}
