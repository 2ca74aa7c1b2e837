//! Collections with times, and what is seen of them: for the tables about event time.

use std::time::Duration;

use super::functions::sorted;
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::primitives::{Create, ReifyWindows, WithTimestamps};
use crate::shuffle::Iterable;
use crate::testing::map;
use crate::time::Timestamp;
use crate::window::Window;

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Pairs of a key and a value, each at its time in milliseconds.
pub(super) fn timed(
    pipeline: &Pipeline,
    triples: &[(&str, i64, i64)],
) -> PCollection<(String, i64)> {
    let triples = triples.iter().map(|&(key, value, time)| (key.to_owned(), (value, time)));
    let triples = pipeline.apply(Create::of(triples.collect::<Vec<_>>()));
    let at_times =
        triples.apply(WithTimestamps::of(|triple: &(String, (i64, i64))| at(triple.1.1)));
    at_times.apply(map(|(key, (value, _)): (String, (i64, i64))| (key, value)))
}

/// The pairs that Beam's tests of combining begin with, at these times.
pub(super) fn timed_pairs(pipeline: &Pipeline, times: [i64; 5]) -> PCollection<(String, i64)> {
    let [a, b, c, d, e] = times;
    timed(pipeline, &[("a", 1, a), ("a", 1, b), ("a", 4, c), ("b", 1, d), ("b", 13, e)])
}

/// Each pair as text: key, value, window and time.
pub(super) fn shown(pairs: &PCollection<(String, i64)>) -> PCollection<String> {
    shown_texts(&pairs.apply(map(|(key, value): (String, i64)| format!("{key} {value}"))))
}

/// Each group as text: key, values in order, window and time.
pub(super) fn shown_groups(groups: &PCollection<(String, Iterable<i64>)>) -> PCollection<String> {
    let texts = sorted(groups);
    shown_texts(&texts.apply(map(|(key, values): (String, Vec<i64>)| format!("{key} {values:?}"))))
}

/// Each text with window and time.
pub(super) fn shown_texts(texts: &PCollection<String>) -> PCollection<String> {
    texts.apply(ReifyWindows).apply(map(|(text, time, window): (String, Timestamp, Window)| {
        format!("{text} in {} at {}", brief(window), time.millis())
    }))
}

/// A window in milliseconds.
pub(super) fn brief(window: Window) -> String {
    match window {
        Window::Global => "all".to_owned(),
        Window::Interval { start, end } => format!("[{},{})", start.millis(), end.millis()),
    }
}
