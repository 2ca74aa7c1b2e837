//! Functions that keep state for each key and window, and set timers.
//!
//! Bounded input needs no store for state: all elements of a key and window come one after the
//! other, and their state is gone when the last of them and of their timers are done. So a stateful
//! function is a grouping, and a loop over each group; see `primitives::StatefulParDo`.

mod cells;
mod context;
mod specs;
mod timers;

use crate::dofn::DoFnFacts;
use crate::element::Element;
use crate::error::Result;

pub(crate) use cells::Cells;
pub use context::StatefulContext;
pub use specs::{BagState, CombiningState, MapState, SetState, TimerFamily, ValueState};
pub use timers::Timer;
pub(crate) use timers::Timers;

/// A function on the elements of each key and window, with state and timers.
///
/// The elements of a key come in no order, or by time where the transform asks for that. Timers fire
/// when event time has passed them: where elements come by time, before the first later element; else
/// after the last one. Each key and window ends with `on_window_expiration`.
pub trait StatefulDoFn: Clone + Send + Sync + 'static {
    /// The key.
    type Key: Element;
    /// What comes in for a key.
    type Value: Element;
    /// What goes out.
    type Out: Element;

    /// Takes one element.
    ///
    /// # Errors
    /// An element that cannot be processed, or whatever fails downstream.
    fn process(
        &mut self,
        key: &Self::Key,
        value: Self::Value,
        ctx: &mut StatefulContext<'_, '_, Self::Out>,
    ) -> Result<()>;

    /// Takes a timer that was set and has come.
    ///
    /// # Errors
    /// Whatever fails here or downstream.
    fn on_timer(
        &mut self,
        key: &Self::Key,
        timer: &Timer,
        ctx: &mut StatefulContext<'_, '_, Self::Out>,
    ) -> Result<()> {
        let _ = (key, timer, ctx);
        Ok(())
    }

    /// Ends a key and window, after its last element and timer.
    ///
    /// # Errors
    /// Whatever fails here or downstream.
    fn on_window_expiration(
        &mut self,
        key: &Self::Key,
        ctx: &mut StatefulContext<'_, '_, Self::Out>,
    ) -> Result<()> {
        let _ = (key, ctx);
        Ok(())
    }

    /// What is known of this function.
    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default()
    }
}
