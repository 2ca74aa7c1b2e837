//! WindowInto: puts elements into windows by their times.

use std::fmt;
use std::sync::Arc;

use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::graph::{Operation, RunWindowInto};
use crate::pcollection::PCollection;
use crate::ptransform::PTransform;
use crate::window::{TimestampCombiner, WindowFn, Windowing};

/// Puts every element into the windows of its time; groupings then keep to one window each.
///
/// Beam's `Window.into`. An element that is in several windows becomes one for each.
///
/// ```
/// # use std::time::Duration;
/// # use dataflow::prelude::*;
/// # let pipeline = Pipeline::new();
/// # let readings: PCollection<(String, i64)> = pipeline.apply(Create::of([("a".to_owned(), 1)]));
/// let by_hour = readings
///     .apply(WithTimestamps::of(|reading: &(String, i64)| Timestamp::from_millis(reading.1)))
///     .apply(WindowInto::of(FixedWindows::of(Duration::from_secs(3600))))
///     .apply(GroupByKey);
/// ```
#[derive(Clone)]
pub struct WindowInto {
    window_fn: Option<Arc<dyn WindowFn>>,
    timestamp_combiner: Option<TimestampCombiner>,
    trigger: Trigger,
}

/// When a grouping gives its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Trigger {
    /// Once, when all elements of a window have come: the only one that bounded input needs.
    #[default]
    Default,
    /// Whenever so many elements have come. No runner offers it.
    AfterCount(u64),
}

impl WindowInto {
    /// Assigns the windows of this function.
    pub fn of(window_fn: impl WindowFn) -> Self {
        let window_fn: Option<Arc<dyn WindowFn>> = Some(Arc::new(window_fn));
        Self { window_fn, timestamp_combiner: None, trigger: Trigger::Default }
    }

    /// Leaves elements in their windows, and changes how groupings treat them: Beam's
    /// `Window.configure`.
    pub fn same() -> Self {
        Self { window_fn: None, timestamp_combiner: None, trigger: Trigger::Default }
    }

    /// Sets the time of what a grouping makes of elements.
    #[must_use]
    pub fn with_timestamp_combiner(mut self, combiner: TimestampCombiner) -> Self {
        self.timestamp_combiner = Some(combiner);
        self
    }

    /// Sets when a grouping gives its results; all but the default are refused, by name.
    #[must_use]
    pub fn with_trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }
}

impl<T: Element> PTransform<PCollection<T>> for WindowInto {
    type Output = PCollection<T>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let pipeline = input.pipeline();
        if self.trigger != Trigger::Default {
            let message = format!("the trigger {:?} is asked for", self.trigger);
            let error = Error::new(ErrorCode::RUNNER_CANNOT, ErrorKind::Unsupported, message);
            pipeline.mistake(error.mend("bounded input needs none: leave the default"));
        }
        let before = input.windowing();
        let timestamp_combiner = self.timestamp_combiner.unwrap_or(before.timestamp_combiner);
        let assign = match self.window_fn {
            Some(window_fn) => {
                let merges = window_fn.is_merging();
                let windowing = Windowing { window_fn, timestamp_combiner, merges };
                RunWindowInto::<T>::assigning(windowing)
            }
            None => RunWindowInto::<T>::keeping(Windowing { timestamp_combiner, ..before }),
        };
        pipeline.add(Operation::Window(Arc::new(assign)), &[input.id()])
    }
}

impl fmt::Debug for WindowInto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowInto").field("window_fn", &self.window_fn).finish_non_exhaustive()
    }
}
