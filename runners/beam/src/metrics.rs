//! Metrics as runners carry them: from workers to the runner, and from there to the caller.
//!
//! Runners rename transforms, but carry the namespace of a metric as it is: it says of which
//! transform the metric is.

use std::collections::BTreeMap;

use dataflow::coder::{Coder as _, Context, decode_varint, encode_varint};
use dataflow::element::Element;
use dataflow::graph::{CollectionId, Operation};
use dataflow::metrics::{Distribution, Gauge, MetricKey, Metrics, StringSet};
use dataflow::plan::StageGraph;

use crate::proto::pipeline::MonitoringInfo;

const SUM: (&str, &str) = ("beam:metric:user:sum_int64:v1", "beam:metrics:sum_int64:v1");
const DISTRIBUTION: (&str, &str) =
    ("beam:metric:user:distribution_int64:v1", "beam:metrics:distribution_int64:v1");
const LATEST: (&str, &str) = ("beam:metric:user:latest_int64:v1", "beam:metrics:latest_int64:v1");
const SET: (&str, &str) = ("beam:metric:user:set_string:v1", "beam:metrics:set_string:v1");

/// Metrics of a transform of the recipe are in the namespace of this and its name.
const OF_STEP: &str = "levain:step:";
/// Counts of elements of a transform are in the namespace of this and its name.
const OF_ELEMENTS: &str = "levain:elements:";
/// The name of what counts the elements of a main output, which has no tag.
const MAIN: &str = "main";
const OF_TAG: &str = "tag:";

/// The metrics of a bundle for its runner; `transforms` has the runner's id of each step.
pub(crate) fn to_infos(
    metrics: &Metrics,
    transforms: &BTreeMap<String, String>,
) -> Vec<MonitoringInfo> {
    let info = |kind: (&str, &str), namespace: String, key: &MetricKey, name: String, payload| {
        let transform = transforms.get(&key.step).map_or("", String::as_str);
        let labels = [("PTRANSFORM", transform), ("NAMESPACE", &namespace), ("NAME", &name)];
        let labels = labels.map(|(label, text)| (label.to_owned(), text.to_owned()));
        MonitoringInfo {
            urn: kind.0.to_owned(),
            r#type: kind.1.to_owned(),
            payload,
            labels: labels.into_iter().collect(),
        }
    };
    let of_step = |key: &MetricKey| format!("{OF_STEP}{}", key.step);
    let mut infos = Vec::new();
    for (key, count) in &metrics.counters {
        infos.push(info(SUM, of_step(key), key, key.name.clone(), varints([*count as i64])));
    }
    for (key, Distribution { count, sum, min, max }) in &metrics.distributions {
        let sum = i64::try_from(*sum).unwrap_or(if *sum < 0 { i64::MIN } else { i64::MAX });
        let payload = varints([*count as i64, sum, *min, *max]);
        infos.push(info(DISTRIBUTION, of_step(key), key, key.name.clone(), payload));
    }
    for (key, Gauge { at, value }) in &metrics.gauges {
        infos.push(info(LATEST, of_step(key), key, key.name.clone(), varints([*at, *value])));
    }
    for (key, set) in &metrics.string_sets {
        let mut payload = Vec::new();
        let texts: Vec<String> = set.iter().map(str::to_owned).collect();
        let encoded = Vec::<String>::coder().encode(&texts, Context::Nested, &mut payload);
        if encoded.is_ok() {
            infos.push(info(SET, of_step(key), key, key.name.clone(), payload));
        }
    }
    for (key, count) in &metrics.elements {
        let namespace = format!("{OF_ELEMENTS}{}", key.step);
        let tag = format!("{OF_TAG}{}", key.name);
        let name = if key.name.is_empty() { MAIN.to_owned() } else { tag };
        infos.push(info(SUM, namespace, key, name, varints([*count as i64])));
    }
    infos
}

/// The metrics of a job, of what its runner says; what is not ours or damaged is passed over.
pub(crate) fn of_infos(infos: &[MonitoringInfo]) -> Metrics {
    let mut metrics = Metrics::default();
    for info in infos {
        let label = |name: &str| info.labels.get(name).map_or("", String::as_str);
        let (namespace, name) = (label("NAMESPACE"), label("NAME"));
        if let Some(step) = namespace.strip_prefix(OF_ELEMENTS) {
            let name = name.strip_prefix(OF_TAG).unwrap_or_default().to_owned();
            let key = MetricKey { step: step.to_owned(), name };
            if let Some([count]) = read_varints(&info.payload) {
                *metrics.elements.entry(key).or_default() += count.unsigned_abs();
            }
            continue;
        }
        let Some(step) = namespace.strip_prefix(OF_STEP) else { continue };
        let key = MetricKey { step: step.to_owned(), name: name.to_owned() };
        metrics.merge(&of_info(info, key).unwrap_or_default());
    }
    metrics
}

/// Counts what is only moved: a flatten has the elements of all that it reads, and a reshuffle those of
/// what it reads. Runners that do this themselves count none of them, or some.
pub(crate) fn count_moved(graph: &StageGraph, metrics: &mut Metrics) {
    let graph = graph.graph();
    let key = |id: CollectionId| {
        let node = graph.node(graph.collection(id).producer);
        let place = node.outputs.iter().position(|&output| output == id).unwrap_or(0);
        let tag = match &node.operation {
            Operation::ParDo(pardo) if place > 0 => pardo.facts().tags[place - 1],
            _ => "",
        };
        MetricKey { step: node.name.clone(), name: tag.to_owned() }
    };
    for node in &graph.nodes {
        if !matches!(node.operation, Operation::Flatten | Operation::Reshuffle) {
            continue;
        }
        let counts = node.inputs.iter().map(|&input| metrics.elements.get(&key(input)));
        let count: u64 = counts.flatten().sum();
        for key in node.outputs.iter().map(|&output| key(output)) {
            match count {
                0 => drop(metrics.elements.remove(&key)),
                count => drop(metrics.elements.insert(key, count)),
            }
        }
    }
}

fn of_info(info: &MonitoringInfo, key: MetricKey) -> Option<Metrics> {
    let mut metrics = Metrics::default();
    let payload = &info.payload[..];
    match info.urn.as_str() {
        urn if urn == SUM.0 => {
            let [count] = read_varints(payload)?;
            metrics.counters.insert(key, count.unsigned_abs());
        }
        urn if urn == DISTRIBUTION.0 => {
            let [count, sum, min, max] = read_varints(payload)?;
            let (count, sum) = (count.unsigned_abs(), i128::from(sum));
            metrics.distributions.insert(key, Distribution { count, sum, min, max });
        }
        urn if urn == LATEST.0 => {
            let [at, value] = read_varints(payload)?;
            metrics.gauges.insert(key, Gauge { at, value });
        }
        urn if urn == SET.0 => {
            let texts = Vec::<String>::coder().decode(Context::Nested, &mut &payload[..]).ok()?;
            let mut set = StringSet::default();
            texts.iter().for_each(|text| set.insert(text));
            metrics.string_sets.insert(key, set);
        }
        _ => return None,
    }
    Some(metrics)
}

fn varints<const N: usize>(values: [i64; N]) -> Vec<u8> {
    let mut payload = Vec::new();
    values.into_iter().for_each(|value| encode_varint(value as u64, &mut payload));
    payload
}

fn read_varints<const N: usize>(mut payload: &[u8]) -> Option<[i64; N]> {
    let mut values = [0; N];
    for value in &mut values {
        *value = decode_varint(&mut payload).ok()? as i64;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use dataflow::plan::{CompileOptions, compile};
    use dataflow::prelude::*;
    use dataflow::testing::each;

    use super::*;

    #[test]
    fn what_is_moved_has_the_elements_of_what_it_reads() {
        const ODD: Tag<i64> = Tag::new("odd");
        let pipeline = Pipeline::new();
        let numbers = pipeline.apply(Create::of(0..3i64));
        let split = each(|n: i64, ctx: &mut ProcessContext<'_, i64>| ctx.output(n));
        let split = numbers.apply_named("Split", split.with_output(&ODD));
        let all = [split.main.clone(), split.get(&ODD)];
        PCollectionList::of(&split.main, all).apply(Flatten).apply_named("Spread", Reshuffle);
        split.get(&ODD).apply_named("Nothing", Reshuffle);
        let graph = compile(&pipeline, CompileOptions { fuse: false, lift: false });
        let key = |step: &str, name: &str| MetricKey { step: step.into(), name: name.into() };
        let mut metrics = Metrics::default();
        // The runner counts some of what it flattens, and what it takes for nothing.
        let counts = [(key("Split", ""), 2), (key("Flatten", ""), 3), (key("Nothing", ""), 9)];
        metrics.elements.extend(counts);
        count_moved(&graph.expect("it compiles"), &mut metrics);
        let want = [(key("Flatten", ""), 4), (key("Split", ""), 2), (key("Spread", ""), 4)];
        assert_eq!(metrics.elements, want.into());
    }
}
