//! What a run counts.
//!
//! Numbers are tentative while a bundle runs and count once it commits, so that a bundle that is
//! tried again counts once. Sums are of integers: their order does not matter, nor does that of
//! anything else here.
//!
//! A DoFn counts through its context. Code that has none (`start_bundle`, `teardown`, the functions
//! of a `CombineFn`) counts with [`count`], [`record`], [`gauge`] and [`add_string`].

mod current;
mod string_set;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use current::{Recorder, add_string, count, gauge, record, step_name, within};
pub use string_set::StringSet;

/// Count, sum, least and greatest of some integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub sum: i128,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl Distribution {
    fn of(value: i64) -> Self {
        Self { count: 1, sum: i128::from(value), min: value, max: value }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// The value of something that changes: the one with the latest event time.
///
/// Of values of one event time the greatest counts. So the gauge of a run is the same however its
/// elements were spread and in whichever order they came; without event time it is the greatest
/// value that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gauge {
    /// The event time of the element at which it was set, in milliseconds.
    pub at: i64,
    /// The value.
    pub value: i64,
}

/// Whose number it is, and what it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricKey {
    /// The full name of the transform.
    pub step: String,
    /// The name of the metric.
    pub name: String,
}

/// The numbers of a bundle or of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Sums.
    pub counters: BTreeMap<MetricKey, u64>,
    /// Distributions.
    pub distributions: BTreeMap<MetricKey, Distribution>,
    /// Values that change.
    pub gauges: BTreeMap<MetricKey, Gauge>,
    /// Sets of texts.
    pub string_sets: BTreeMap<MetricKey, StringSet>,
    /// Elements of each collection, by the transform that makes it and the tag of its output; the tag
    /// of a main output is empty.
    pub elements: BTreeMap<MetricKey, u64>,
}

impl Metrics {
    /// Adds the numbers of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (key, count) in &other.counters {
            *self.counters.entry(key.clone()).or_default() += count;
        }
        for (key, count) in &other.elements {
            *self.elements.entry(key.clone()).or_default() += count;
        }
        for (key, values) in &other.distributions {
            self.distributions
                .entry(key.clone())
                .and_modify(|known| known.merge(values))
                .or_insert(*values);
        }
        for (key, gauge) in &other.gauges {
            let known = self.gauges.entry(key.clone()).or_insert(*gauge);
            *known = (*known).max(*gauge);
        }
        for (key, set) in &other.string_sets {
            self.string_sets.entry(key.clone()).or_default().merge(set);
        }
    }

    /// The sum of a counter over all steps.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.iter().filter(|(key, _)| key.name == name).map(|(_, count)| count).sum()
    }
}

/// The numbers of one transform in one bundle, under names that are literals.
#[derive(Debug, Default)]
pub struct StepMetrics {
    counters: Vec<(&'static str, u64)>,
    distributions: Vec<(&'static str, Distribution)>,
    gauges: Vec<(&'static str, Gauge)>,
    string_sets: Vec<(&'static str, StringSet)>,
}

impl StepMetrics {
    /// Adds to a counter.
    pub fn count(&mut self, name: &'static str, more: u64) {
        match self.counters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += more,
            None => self.counters.push((name, more)),
        }
    }

    /// Adds a value to a distribution.
    pub fn record(&mut self, name: &'static str, value: i64) {
        match self.distributions.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.merge(&Distribution::of(value)),
            None => self.distributions.push((name, Distribution::of(value))),
        }
    }

    /// Sets a gauge at an event time.
    pub fn gauge(&mut self, name: &'static str, value: i64, at: i64) {
        let new = Gauge { at, value };
        match self.gauges.iter_mut().find(|(known, _)| *known == name) {
            Some((_, gauge)) => *gauge = new.max(*gauge),
            None => self.gauges.push((name, new)),
        }
    }

    /// Adds a text to a set.
    pub fn add_string(&mut self, name: &'static str, text: &str) {
        match self.string_sets.iter_mut().find(|(known, _)| *known == name) {
            Some((_, set)) => set.insert(text),
            None => {
                let mut set = StringSet::default();
                set.insert(text);
                self.string_sets.push((name, set));
            }
        }
    }

    /// The same numbers under the name of the transform.
    pub fn of_step(&self, step: &str) -> Metrics {
        let key = |name: &str| MetricKey { step: step.to_owned(), name: name.to_owned() };
        Metrics {
            counters: self.counters.iter().map(|(name, count)| (key(name), *count)).collect(),
            distributions: self.distributions.iter().map(|(n, v)| (key(n), *v)).collect(),
            gauges: self.gauges.iter().map(|(n, v)| (key(n), *v)).collect(),
            string_sets: self.string_sets.iter().map(|(n, v)| (key(n), v.clone())).collect(),
            elements: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_merge_in_any_order() {
        let mut frames = [1i64, -5, 7].map(|value| {
            let mut step = StepMetrics::default();
            step.count("seen", 1);
            step.count("seen", 1);
            step.record("size", value);
            step.gauge("level", value, -value);
            step.add_string("names", &value.to_string());
            step.of_step("Read")
        });
        let total = |frames: &[Metrics]| {
            let mut total = Metrics::default();
            frames.iter().for_each(|frame| total.merge(frame));
            total
        };
        let forwards = total(&frames);
        frames.reverse();
        assert_eq!(total(&frames), forwards);
        assert_eq!(forwards.counter("seen"), 6);
        let size = forwards.distributions.values().next().expect("one distribution");
        assert_eq!(*size, Distribution { count: 3, sum: 3, min: -5, max: 7 });
        let level = forwards.gauges.values().next().expect("one gauge");
        assert_eq!(*level, Gauge { at: 5, value: -5 }, "the latest, not the greatest");
        let names = forwards.string_sets.values().next().expect("one set");
        assert_eq!(names.iter().collect::<Vec<_>>(), ["-5", "1", "7"]);
    }
}
