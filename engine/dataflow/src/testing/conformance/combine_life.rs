//! The life of a combine function and of its accumulators.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::{ensure, expect_failure};
use super::functions::{Log, user_error};
use crate::combine::CombineFn;
use crate::error::{ErrorCode, Result};
use crate::primitives::{CombineGlobally, CombinePerKey, Create};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, map};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Setup,
    Create,
    Add,
    Merge,
    Compact,
    Extract,
    Teardown,
}

/// Writes the life of each accumulator into it, and that of each instance into a log; fails in one
/// phase.
#[derive(Clone)]
struct Traced {
    log: Log,
    instances: Arc<AtomicU64>,
    instance: u64,
    fails_in: Option<Phase>,
}

impl Traced {
    fn new(fails_in: Option<Phase>) -> Self {
        Self { log: Log::default(), instances: Arc::default(), instance: 0, fails_in }
    }

    #[expect(clippy::panic, reason = "a combine function has no other way to fail")]
    fn live(&self, phase: Phase) {
        self.log.write(format!("{} {phase:?}", self.instance));
        if self.fails_in == Some(phase) {
            panic!("test error in {phase:?}");
        }
    }

    /// Fails unless every instance was set up before all else and torn down after it, once each.
    fn check_lives(&self) -> Result<()> {
        let lines = self.log.lines();
        let count = self.instances.load(Ordering::Relaxed);
        ensure(count > 0, || "no instance was set up".to_owned())?;
        for instance in 0..=count {
            let prefix = format!("{instance} ");
            let life: Vec<&str> =
                lines.iter().filter_map(|line| line.strip_prefix(&prefix)).collect();
            let is_once = |phase: &str| life.iter().filter(|it| **it == phase).count() == 1;
            let is_whole = life.first() == Some(&"Setup") && life.last() == Some(&"Teardown");
            let holds = match instance {
                // The instance of the pipeline is cloned, and does nothing itself.
                0 => life.is_empty(),
                _ => is_whole && is_once("Setup") && is_once("Teardown"),
            };
            ensure(holds, || format!("instance {instance} lived otherwise: {}", life.join(" ")))?;
        }
        Ok(())
    }
}

impl CombineFn for Traced {
    type In = i64;
    type Acc = String;
    type Out = String;

    fn setup(&mut self) -> Result<()> {
        self.instance = self.instances.fetch_add(1, Ordering::Relaxed) + 1;
        self.log.write(format!("{} Setup", self.instance));
        match self.fails_in {
            Some(Phase::Setup) => Err(user_error("test error in Setup")),
            _ => Ok(()),
        }
    }

    fn create(&self) -> String {
        self.live(Phase::Create);
        "c".to_owned()
    }

    fn add(&self, trace: &mut String, _: i64) {
        self.live(Phase::Add);
        trace.push('a');
    }

    fn merge(&self, trace: &mut String, other: String) {
        self.live(Phase::Merge);
        trace.push_str(&format!("({other})"));
    }

    fn compact(&self, trace: &mut String) {
        self.live(Phase::Compact);
        trace.push('k');
    }

    fn extract(&self, trace: String) -> String {
        self.live(Phase::Extract);
        trace + "e"
    }

    fn teardown(&mut self) {
        self.live(Phase::Teardown);
    }
}

/// Whether a trace is that of an accumulator that took so many values in: created first, compacted
/// last wherever it was merged into another, and extracted once.
fn is_trace(trace: &str, values: usize) -> bool {
    let Some(rest) = trace.strip_suffix('e') else { return false };
    let mut rest = rest.to_owned();
    let is_used = |part: &str| part.chars().all(|call| "akm".contains(call));
    // One that was merged becomes a call of the other's life.
    while let Some(end) = rest.find("k)") {
        match rest[..end].rfind("(c") {
            Some(start) if is_used(&rest[start + 2..end]) => {
                rest.replace_range(start..end + 2, "m");
            }
            _ => return false,
        }
    }
    rest.strip_prefix('c').is_some_and(is_used) && trace.matches('a').count() == values
}

pub(super) fn life(runner: &dyn Runner) -> Result<()> {
    let traced = Traced::new(None);
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of(0..60i64));
    let traces = numbers.apply(map(|n: i64| (n % 3, n))).apply(CombinePerKey::of(traced.clone()));
    assert_that(&traces).satisfies(|traces| {
        let mut keys: Vec<i64> = traces.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        match traces.iter().find(|(_, trace)| !is_trace(trace, 20)) {
            Some((_, trace)) => Err(format!("an accumulator lived otherwise: {trace}")),
            None if keys == [0, 1, 2] => Ok(()),
            None => Err(format!("keys {keys:?}")),
        }
    });
    let none = pipeline.apply(Create::<i64>::of([]));
    let nothing = none.apply(CombineGlobally::of(traced.clone()));
    assert_that(&nothing).is_singleton("ce".to_owned());
    pipeline.run()?;
    traced.check_lives()?;
    failures(runner)
}

/// Whatever fails, what was set up is torn down.
fn failures(runner: &dyn Runner) -> Result<()> {
    for phase in [Phase::Setup, Phase::Create, Phase::Add, Phase::Extract, Phase::Teardown] {
        let traced = Traced::new(Some(phase));
        let pipeline = TestPipeline::on(runner);
        let pairs = pipeline.apply(Create::of(0..4i64)).apply(map(|n: i64| (n % 2, n)));
        pairs.apply_named("Traced", CombinePerKey::of(traced.clone()));
        let code =
            if phase == Phase::Setup { ErrorCode::USER_ERROR } else { ErrorCode::USER_PANIC };
        let message = format!("test error in {phase:?}");
        expect_failure(pipeline.run(), code, &["Traced", &message])?;
        traced.check_lives()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(trace: &str, values: usize, want: bool) {
        assert_eq!(is_trace(trace, values), want, "{trace}");
    }

    #[test]
    fn a_trace_tells_lives_apart() {
        check("caae", 2, true);
        check("c(caak)(cak)e", 3, true);
        check("c(c(cak)(cak)k)e", 2, true);
        check("caae", 3, false);
        check("aae", 2, false);
        check("caa", 2, false);
        check("caaee", 2, false);
        check("c(caa)e", 2, false);
        check("c(aak)e", 2, false);
    }
}
