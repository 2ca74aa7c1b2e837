//! Counting without a context: in the step whose code runs on this thread.
//!
//! The functions of a `CombineFn` and the ends of a DoFn's life have no context, and giving them
//! one would show in every implementation. So a bundle says to its thread where numbers go, as the
//! metrics container of Beam's Java SDK does. Outside of a bundle nothing is counted.

use std::cell::RefCell;
use std::sync::Arc;

use super::StepMetrics;

/// Takes numbers for the step whose code runs.
pub trait Recorder: Send + Sync {
    /// Lets `change` change the numbers of that step.
    fn record(&self, change: &mut dyn FnMut(&mut StepMetrics));

    /// The name of that step.
    fn step_name(&self) -> String;
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Recorder>>> = const { RefCell::new(None) };
}

/// Sets the recorder of this thread back when it is dropped: also when a panic goes through.
struct Before(Option<Arc<dyn Recorder>>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Runs `work`; what it counts goes to `recorder`.
pub fn within<R>(recorder: Arc<dyn Recorder>, work: impl FnOnce() -> R) -> R {
    let _before = Before(CURRENT.replace(Some(recorder)));
    work()
}

fn change(change: &mut dyn FnMut(&mut StepMetrics)) {
    // The recorder is cloned, so that nothing is borrowed while it works.
    let recorder = CURRENT.with_borrow(Clone::clone);
    if let Some(recorder) = recorder {
        recorder.record(change);
    }
}

/// The name of the step whose code runs on this thread; none outside of a bundle.
pub fn step_name() -> Option<String> {
    CURRENT.with_borrow(Clone::clone).map(|recorder| recorder.step_name())
}

/// Adds to a counter of the step whose code runs on this thread.
///
/// Cost: a lock; in `process` the method of the context is faster.
pub fn count(name: &'static str, more: u64) {
    change(&mut |step| step.count(name, more));
}

/// Adds a value to a distribution of the step whose code runs on this thread.
pub fn record(name: &'static str, value: i64) {
    change(&mut |step| step.record(name, value));
}

/// Sets a gauge of the step whose code runs on this thread, before all event time.
pub fn gauge(name: &'static str, value: i64) {
    change(&mut |step| step.gauge(name, value, i64::MIN));
}

/// Adds a text to a set of the step whose code runs on this thread.
pub fn add_string(name: &'static str, text: &str) {
    change(&mut |step| step.add_string(name, text));
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<StepMetrics>);

    impl Recorder for Kept {
        fn record(&self, change: &mut dyn FnMut(&mut StepMetrics)) {
            change(&mut self.0.lock().expect("no holder panics"));
        }

        fn step_name(&self) -> String {
            "S".to_owned()
        }
    }

    fn counted(kept: &Kept) -> u64 {
        kept.0.lock().expect("no holder panics").of_step("S").counter("seen")
    }

    #[test]
    fn what_is_counted_goes_to_the_innermost() {
        let (outer, inner) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        count("seen", 1);
        assert_eq!(step_name(), None);
        within(Arc::clone(&outer) as _, || {
            count("seen", 10);
            assert_eq!(step_name().as_deref(), Some("S"));
            let work = || {
                within(Arc::clone(&inner) as _, || -> () {
                    count("seen", 100);
                    std::panic::resume_unwind(Box::new(()));
                });
            };
            catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
            count("seen", 10);
        });
        count("seen", 1);
        assert_eq!((counted(&outer), counted(&inner)), (20, 100));
    }
}
