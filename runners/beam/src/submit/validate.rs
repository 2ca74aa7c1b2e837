//! The rules by which job servers refuse a pipeline, checked before it is sent.
//!
//! A mistake here is ours: graphs were checked when they were built.
//!
//! Source: Apache Beam, `PipelineValidator` of the Java SDK; what Prism refuses of windowing.

use std::collections::BTreeSet;

use dataflow::error::{Error, Result};
use prost::Message;

use super::urns;
use crate::proto::pipeline::{
    CombinePayload, Components, PTransform, ParDoPayload, Pipeline, WindowingStrategy,
};

/// Refuses what a job server would.
///
/// # Errors
/// The first rule that is broken, and by what.
pub(crate) fn validate(pipeline: &Pipeline) -> Result<()> {
    let components = pipeline.components.as_ref().ok_or_else(|| broken("it has no components"))?;
    let rules = Rules { components, requirements: pipeline.requirements.iter().collect() };
    for id in &pipeline.root_transform_ids {
        rules.has(components.transforms.contains_key(id), "root transform", id)?;
    }
    rules.names()?;
    for (id, pcollection) in &components.pcollections {
        let strategy = &pcollection.windowing_strategy_id;
        rules.has_coder(&pcollection.coder_id)?;
        rules.has(components.windowing_strategies.contains_key(strategy), "strategy", strategy)?;
        if pcollection.is_bounded == 0 {
            return Err(broken(format!("`{id}` says neither that it ends nor that it does not")));
        }
    }
    for coder in components.coders.values() {
        coder.component_coder_ids.iter().try_for_each(|part| rules.has_coder(part))?;
    }
    for (id, strategy) in &components.windowing_strategies {
        rules.strategy(id, strategy)?;
    }
    components.transforms.values().try_for_each(|transform| rules.transform(transform))
}

struct Rules<'a> {
    components: &'a Components,
    requirements: BTreeSet<&'a String>,
}

impl Rules<'_> {
    fn has(&self, is_there: bool, what: &str, id: &str) -> Result<()> {
        if is_there { Ok(()) } else { Err(broken(format!("the {what} `{id}` is missing"))) }
    }

    fn has_coder(&self, id: &str) -> Result<()> {
        self.has(self.components.coders.contains_key(id), "coder", id)
    }

    /// Names are there, and unique among their kind.
    fn names(&self) -> Result<()> {
        let transforms = self.components.transforms.values().map(|it| &it.unique_name);
        let pcollections = self.components.pcollections.values().map(|it| &it.unique_name);
        let kinds: [(&str, Vec<&String>); 2] =
            [("transform", transforms.collect()), ("collection", pcollections.collect())];
        for (kind, names) in kinds {
            let mut seen = BTreeSet::new();
            for name in names {
                if name.is_empty() || !seen.insert(name) {
                    return Err(broken(format!("two {kind}s are called `{name}`, or one is not")));
                }
            }
        }
        Ok(())
    }

    fn strategy(&self, id: &str, strategy: &WindowingStrategy) -> Result<()> {
        self.has_coder(&strategy.window_coder_id)?;
        let environment = &strategy.environment_id;
        let is_there = self.components.environments.contains_key(environment);
        self.has(is_there, "environment", environment)?;
        let choices = [
            strategy.merge_status,
            strategy.accumulation_mode,
            strategy.output_time,
            strategy.closing_behavior,
            strategy.on_time_behavior,
        ];
        if choices.contains(&0) || strategy.window_fn.is_none() || strategy.trigger.is_none() {
            return Err(broken(format!("the windowing strategy `{id}` leaves something open")));
        }
        Ok(())
    }

    fn transform(&self, transform: &PTransform) -> Result<()> {
        let name = &transform.unique_name;
        for id in transform.inputs.values().chain(transform.outputs.values()) {
            self.has(self.components.pcollections.contains_key(id), "collection", id)?;
        }
        for id in &transform.subtransforms {
            self.has(self.components.transforms.contains_key(id), "transform", id)?;
        }
        let environment = &transform.environment_id;
        if !environment.is_empty() {
            let is_there = self.components.environments.contains_key(environment);
            self.has(is_there, "environment", environment)?;
        }
        let Some(spec) = &transform.spec else {
            let is_composite = !transform.subtransforms.is_empty();
            return self.has(is_composite, "function of", name);
        };
        let payload = &spec.payload[..];
        match spec.urn.as_str() {
            urns::IMPULSE | urns::GROUP_BY_KEY if !environment.is_empty() => {
                Err(broken(format!("`{name}` is the runner's, and names an environment")))
            }
            urns::PAR_DO => {
                let payload = ParDoPayload::decode(payload);
                self.par_do(transform, &payload.map_err(|why| broken(format!("{name}: {why}")))?)
            }
            urns::PRECOMBINE
            | urns::MERGE_ACCUMULATORS
            | urns::EXTRACT_OUTPUTS
            | urns::COMBINE_GROUPED_VALUES
            | urns::COMBINE_PER_KEY => {
                let payload = CombinePayload::decode(payload);
                let payload = payload.map_err(|why| broken(format!("{name}: {why}")))?;
                self.has_coder(&payload.accumulator_coder_id)
            }
            _ => Ok(()),
        }
    }

    fn par_do(&self, transform: &PTransform, payload: &ParDoPayload) -> Result<()> {
        let name = &transform.unique_name;
        self.has(!transform.environment_id.is_empty(), "environment of", name)?;
        self.has(payload.do_fn.is_some(), "function of", name)?;
        for side in payload.side_inputs.keys() {
            self.has(transform.inputs.contains_key(side), "side input", side)?;
        }
        let main_inputs = transform.inputs.len() - payload.side_inputs.len();
        if main_inputs != 1 {
            return Err(broken(format!("`{name}` has {main_inputs} main inputs")));
        }
        let needed = payload.requests_finalization.then(|| urns::NEEDS_FINALIZATION.to_owned());
        match needed {
            Some(needed) => self.has(self.requirements.contains(&needed), "requirement", &needed),
            None => Ok(()),
        }
    }
}

fn broken(what: impl AsRef<str>) -> Error {
    Error::internal(format!("a job server would refuse the pipeline: {}", what.as_ref()))
}
