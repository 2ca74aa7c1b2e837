//! Rows that are out of the model of bounded input: every runner refuses them by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::{ensure, expect_failure};
use crate::capability::Capability;
use crate::dofn::{DoFn, DoFnFacts, ProcessContext};
use crate::error::{ErrorCode, Result};
use crate::primitives::{Create, ParDo, Trigger, WindowInto};
use crate::runner::Runner;
use crate::testing::TestPipeline;

/// A row that is refused by design.
///
/// Of all these, the API can ask for a trigger alone. Everything else is asked for by a DoFn that
/// declares the need, as a transform of a foreign pipeline would.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// The id of the row.
    pub id: &'static str,
    /// What is asked for.
    pub title: &'static str,
    /// The part of the model that no runner for bounded input offers.
    pub capability: Capability,
}

impl Refusal {
    const fn new(id: &'static str, title: &'static str, capability: Capability) -> Self {
        Self { id, title, capability }
    }

    /// Checks that a runner refuses the row before anything runs, naming transform and capability.
    ///
    /// # Errors
    /// A runner that runs it, or refuses it without saying what it is.
    pub fn check(&self, runner: &dyn Runner) -> Result<()> {
        let process_count = Arc::new(AtomicU64::new(0));
        let asks = Asks { capability: self.capability, process_count: Arc::clone(&process_count) };
        let pipeline = TestPipeline::on(runner);
        pipeline.apply(Create::of([1i64])).apply_named("Asks", ParDo::of(asks));
        let words = [self.capability.name(), runner.name(), "Asks"];
        let error = expect_failure(pipeline.run(), ErrorCode::RUNNER_CANNOT, &words)?;
        ensure(error.place("step") == Some("Asks"), || format!("no transform is named: {error}"))?;
        let count = process_count.load(Ordering::Relaxed);
        ensure(count == 0, || format!("{count} elements were processed before the refusal"))?;
        if self.capability == Capability::Triggers { check_trigger(runner) } else { Ok(()) }
    }
}

/// Checks that a trigger is refused where the API asks for it.
fn check_trigger(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let every_third = WindowInto::same().with_trigger(Trigger::AfterCount(3));
    pipeline.apply(Create::of([1i64])).apply_named("Asks", every_third);
    let words = ["the trigger AfterCount(3)", "Asks"];
    expect_failure(pipeline.run(), ErrorCode::RUNNER_CANNOT, &words).map(drop)
}

/// The rows that are refused, and nothing else is.
pub const REFUSED: &[Refusal] = &[
    Refusal::new("UB1", "a source without an end", Capability::UnboundedInput),
    Refusal::new(
        "GB11",
        "GroupByKey of unbounded input in the global window without a trigger",
        Capability::UnboundedInput,
    ),
    Refusal::new("TS1", "a TestStream that moves the watermark", Capability::UnboundedInput),
    Refusal::new("TR1", "a trigger other than the default", Capability::Triggers),
    Refusal::new("TR2", "fan-out of hot keys with accumulating panes", Capability::Triggers),
    Refusal::new("TR3", "a side input with a trigger", Capability::Triggers),
    Refusal::new("PT1", "a timer in processing time", Capability::ProcessingTimers),
    Refusal::new("SD1", "a splittable DoFn", Capability::SplittableDoFn),
];

#[derive(Clone)]
struct Asks {
    capability: Capability,
    process_count: Arc<AtomicU64>,
}

impl DoFn for Asks {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.process_count.fetch_add(1, Ordering::Relaxed);
        ctx.output(element)
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_need(self.capability)
    }
}
