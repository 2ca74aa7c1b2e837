//! The numbers of a bundle, as JSON has them.

use std::collections::BTreeMap;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::metrics::{Distribution, Gauge, MetricKey, Metrics, StringSet};
use serde::{Deserialize, Serialize};

/// Metrics without maps whose keys are no texts, and without integers beyond 64 bits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Numbers {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counters: Vec<(MetricKey, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    distributions: Vec<(MetricKey, Spread)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gauges: Vec<(MetricKey, Gauge)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    string_sets: Vec<(MetricKey, StringSet)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    elements: Vec<(MetricKey, u64)>,
}

/// A distribution; its sum is a text, because it has 128 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spread {
    count: u64,
    sum: String,
    min: i64,
    max: i64,
}

impl Numbers {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let spread = |it: &Distribution| Spread {
            count: it.count,
            sum: it.sum.to_string(),
            min: it.min,
            max: it.max,
        };
        Self {
            counters: pairs(&metrics.counters),
            distributions: metrics
                .distributions
                .iter()
                .map(|(k, v)| (k.clone(), spread(v)))
                .collect(),
            gauges: pairs(&metrics.gauges),
            string_sets: pairs(&metrics.string_sets),
            elements: pairs(&metrics.elements),
        }
    }

    /// The same as metrics.
    ///
    /// # Errors
    /// A sum that is no number.
    pub(crate) fn metrics(self) -> Result<Metrics> {
        let distribution = |(key, it): (MetricKey, Spread)| {
            let sum = it.sum.parse().map_err(|why| {
                let message = format!("the sum of `{}` is no number: {why}", key.name);
                Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
            })?;
            Ok((key, Distribution { count: it.count, sum, min: it.min, max: it.max }))
        };
        Ok(Metrics {
            counters: self.counters.into_iter().collect(),
            distributions: self
                .distributions
                .into_iter()
                .map(distribution)
                .collect::<Result<_>>()?,
            gauges: self.gauges.into_iter().collect(),
            string_sets: self.string_sets.into_iter().collect(),
            elements: self.elements.into_iter().collect(),
        })
    }
}

fn pairs<V: Clone>(map: &BTreeMap<MetricKey, V>) -> Vec<(MetricKey, V)> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_come_back_as_they_were() {
        let key = |name: &str| MetricKey { step: "Step/Inner".to_owned(), name: name.to_owned() };
        let mut metrics = Metrics::default();
        metrics.counters.insert(key("rows"), u64::MAX);
        metrics.elements.insert(key(""), 7);
        metrics.gauges.insert(key("level"), Gauge { at: -5, value: 9 });
        let spread =
            Distribution { count: 2, sum: i128::from(i64::MIN) * 2, min: i64::MIN, max: -1 };
        metrics.distributions.insert(key("size"), spread);
        metrics.string_sets.insert(key("files"), StringSet::default());
        let text = serde_json::to_string(&Numbers::of(&metrics)).expect("has a form");
        let back: Numbers = serde_json::from_str(&text).expect("just written");
        assert_eq!(back.metrics().expect("numbers"), metrics);
    }
}
