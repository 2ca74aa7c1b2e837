//! When workers were busy, in a bounded number of spans.

use std::collections::BTreeMap;

use crate::report::model::{Span, Timeline, WorkerRow};

/// Spans that are kept: more than a page can show, few enough for any run.
const SPAN_LIMIT: usize = 4000;

/// Collects attempts; those of one stage on one worker that follow each other become one span, the
/// coarser the more there are. Spans of two stages then overlap where these take turns.
#[derive(Debug, Default)]
pub(super) struct Timelines {
    resolution_ms: u64,
    /// By worker, then stage.
    spans: BTreeMap<(String, String), Vec<Span>>,
    workers: BTreeMap<String, WorkerRow>,
    span_count: usize,
}

impl Timelines {
    /// Adds an attempt; times count from the beginning of the run.
    pub(super) fn add(&mut self, worker: &str, stage: &str, from_ms: u64, to_ms: u64) {
        let row = self.workers.entry(worker.to_owned()).or_insert_with(|| WorkerRow {
            name: worker.to_owned(),
            attempts: 0,
            busy_ms: 0,
        });
        row.attempts += 1;
        row.busy_ms += to_ms.saturating_sub(from_ms);
        let spans = self.spans.entry((worker.to_owned(), stage.to_owned())).or_default();
        let span = Span {
            worker: worker.to_owned(),
            stage: stage.to_owned(),
            from_ms,
            to_ms: to_ms.max(from_ms),
            attempts: 1,
        };
        match spans.last_mut().filter(|last| joins(last, &span, self.resolution_ms)) {
            Some(last) => join(last, &span),
            None => {
                spans.push(span);
                self.span_count += 1;
            }
        }
        while self.span_count > SPAN_LIMIT && self.resolution_ms < u64::MAX / 2 {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.resolution_ms = (self.resolution_ms * 2).max(1);
        self.span_count = 0;
        for spans in self.spans.values_mut() {
            let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
            for span in spans.drain(..) {
                match joined.last_mut().filter(|last| joins(last, &span, self.resolution_ms)) {
                    Some(last) => join(last, &span),
                    None => joined.push(span),
                }
            }
            self.span_count += joined.len();
            *spans = joined;
        }
    }

    pub(super) fn timeline(&self) -> Timeline {
        let mut spans: Vec<Span> = self.spans.values().flatten().cloned().collect();
        spans.sort_by(|a, b| {
            let key = |it: &Span| (natural(&it.worker), it.from_ms, it.to_ms);
            key(a).cmp(&key(b)).then_with(|| a.stage.cmp(&b.stage))
        });
        Timeline { resolution_ms: self.resolution_ms, spans }
    }

    pub(super) fn workers(&self) -> Vec<WorkerRow> {
        let mut workers: Vec<WorkerRow> = self.workers.values().cloned().collect();
        workers.sort_by_key(|worker| natural(&worker.name));
        workers
    }
}

fn joins(last: &Span, next: &Span, resolution_ms: u64) -> bool {
    next.from_ms <= last.to_ms.saturating_add(resolution_ms)
}

fn join(last: &mut Span, next: &Span) {
    last.to_ms = last.to_ms.max(next.to_ms);
    last.attempts += next.attempts;
}

/// So that `thread 10` follows `thread 9`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (word, number) = name.split_at(name.len() - digits);
    (word.to_owned(), number.parse().unwrap_or(0), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_span_and_workers_are_in_order() {
        let mut timelines = Timelines::default();
        for (worker, stage, from, to) in
            [("t 10", "a", 0, 5), ("t 9", "a", 0, 5), ("t 9", "a", 5, 9), ("t 9", "b", 9, 10)]
        {
            timelines.add(worker, stage, from, to);
        }
        let spans = timelines.timeline().spans;
        let shown: Vec<_> = spans
            .iter()
            .map(|it| (it.worker.as_str(), it.stage.as_str(), it.from_ms, it.to_ms, it.attempts))
            .collect();
        assert_eq!(shown, [("t 9", "a", 0, 9, 2), ("t 9", "b", 9, 10, 1), ("t 10", "a", 0, 5, 1)]);
        assert_eq!(
            timelines.workers()[0],
            WorkerRow { name: "t 9".to_owned(), attempts: 3, busy_ms: 10 }
        );
    }

    #[test]
    fn many_attempts_stay_few_spans() {
        let mut timelines = Timelines::default();
        for attempt in 0..100_000 {
            timelines.add("t 0", "a", attempt * 3, attempt * 3 + 1);
        }
        let timeline = timelines.timeline();
        assert!(timeline.spans.len() <= SPAN_LIMIT, "{}", timeline.spans.len());
        assert_eq!(timeline.spans.iter().map(|span| span.attempts).sum::<u64>(), 100_000);
        let mut alternating = Timelines::default();
        for attempt in 0..100_000 {
            alternating.add("t 0", ["a", "b"][attempt as usize % 2], attempt, attempt + 1);
        }
        assert!(alternating.timeline().spans.len() <= SPAN_LIMIT);
    }
}
