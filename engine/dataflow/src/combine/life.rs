//! The life of a combine function: set up, used, torn down.

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::combine::CombineFn;
use crate::error::Result;

/// A function that is set up, and torn down exactly once: by [`LiveCombineFn::end`], or after a
/// failure when it is dropped.
pub(crate) struct LiveCombineFn<C: CombineFn> {
    function: C,
    is_alive: bool,
}

impl<C: CombineFn> LiveCombineFn<C> {
    /// Sets up an instance of its own.
    pub(crate) fn start(function: &C) -> Result<Self> {
        let mut alive = Self { function: function.clone(), is_alive: true };
        alive.function.setup()?;
        Ok(alive)
    }

    /// Tears it down.
    pub(crate) fn end(mut self) {
        self.is_alive = false;
        self.function.teardown();
    }
}

impl<C: CombineFn> Deref for LiveCombineFn<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.function
    }
}

impl<C: CombineFn> Drop for LiveCombineFn<C> {
    fn drop(&mut self) {
        if self.is_alive {
            // The failure that came before is the one to report, not a panic that follows from it.
            let torn_down = catch_unwind(AssertUnwindSafe(|| self.function.teardown()));
            drop(torn_down);
        }
    }
}

impl<C: CombineFn> fmt::Debug for LiveCombineFn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCombineFn").field("is_alive", &self.is_alive).finish_non_exhaustive()
    }
}

/// What a function makes of no value, in a life of its own.
pub(crate) fn combine_nothing<C: CombineFn>(function: &C) -> Result<C::Out> {
    let alive = LiveCombineFn::start(function)?;
    let nothing = alive.extract(alive.create());
    alive.end();
    Ok(nothing)
}
