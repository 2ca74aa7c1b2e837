//! A run before programs: one JSON document a line, for each change and each minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use levain::batch::StageProgress;
use levain::dataflow::error::Result;
use serde_json::{Value, json};

use super::looking::{Look, Screen};
use super::shown::{eta_ms, workers_of};
use crate::cli::out::Out;
use crate::cli::records::state_name;

pub(super) struct Events {
    out: Out,
    heartbeat: Duration,
    said: Option<Instant>,
    told: BTreeMap<String, StageProgress>,
    workers: Value,
}

impl Events {
    pub(super) fn new(out: Out, heartbeat: Duration) -> Self {
        Self { out, heartbeat, said: None, told: BTreeMap::new(), workers: Value::Null }
    }

    fn event(&self, name: &str, look: &Look, mut more: Value) -> Result<()> {
        let mut event = json!({
            "v": 1,
            "event": name,
            "at_ms": levain::objects::now_ms(),
            "run": look.run.summary.id,
            "part": look.part,
        });
        if let (Some(event), Some(more)) = (event.as_object_mut(), more.as_object_mut()) {
            event.append(more);
        }
        self.out.event(&event)
    }
}

impl Screen for Events {
    fn show(&mut self, look: &Look) -> Result<()> {
        let state = look.view.as_ref().and_then(|view| view.state.as_ref());
        for stage in state.iter().flat_map(|state| &state.stages) {
            let before = self.told.insert(format!("{}/{}", look.part, stage.stage), stage.progress);
            if before != Some(stage.progress) {
                self.event("stage", look, json!({ "stage": stage, "eta_ms": eta_ms(stage) }))?;
            }
        }
        if let Some(view) = &look.view {
            let jobs = view.state.as_ref().map(|state| &state.jobs);
            let workers = json!({ "workers": workers_of(view), "jobs": jobs });
            if workers != self.workers {
                self.event("workers", look, workers.clone())?;
                self.workers = workers;
            }
        }
        if self.said.is_none_or(|at| at.elapsed() >= self.heartbeat) {
            self.said = Some(Instant::now());
            let beat = json!({ "view": look.view, "committed": look.committed });
            self.event("heartbeat", look, beat)?;
        }
        Ok(())
    }

    fn end(&mut self, look: &Look, exit: Option<u8>) -> Result<()> {
        let state = state_name(look.run.summary.state);
        let end = json!({ "state": state, "exit": exit, "error": look.run.error() });
        self.event("ended", look, end)
    }
}
