//! What a stateful function may do while it processes an element or a timer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::coder::{Coder, Context};
use crate::combine::{CombineFn, LiveCombineFn, combine_nothing};
use crate::dofn::{ProcessContext, Tag};
use crate::element::Element;
use crate::error::Result;
use crate::state::cells::{Cells, Growth, bytes_of};
use crate::state::{BagState, CombiningState, MapState, SetState, TimerFamily, Timers, ValueState};
use crate::time::Timestamp;
use crate::view::PCollectionView;
use crate::window::{Stamp, Window};

/// What a [`StatefulDoFn`](crate::state::StatefulDoFn) may do.
///
/// State is that of the key and window; where it is first used, it is empty.
pub struct StatefulContext<'a, 'b, Out: Element> {
    pub(crate) ctx: &'a mut ProcessContext<'b, Out>,
    pub(crate) cells: &'a mut Cells,
    pub(crate) timers: &'a mut Timers,
    /// The time and window of the element or timer.
    pub(crate) stamp: Stamp,
}

/// Keys and values of a map, by encoded key.
type Entries<K, V> = BTreeMap<Vec<u8>, (K, V)>;

impl<Out: Element> StatefulContext<'_, '_, Out> {
    /// Puts out an element at the time of the element or timer.
    ///
    /// # Errors
    /// Whatever fails downstream; return it.
    pub fn output(&mut self, element: Out) -> Result<()> {
        self.ctx.output_with(element, self.stamp)
    }

    /// Puts out an element at another time.
    ///
    /// # Errors
    /// Whatever fails downstream; return it.
    pub fn output_at(&mut self, timestamp: Timestamp, element: Out) -> Result<()> {
        self.ctx.output_with(element, Stamp { timestamp, ..self.stamp })
    }

    /// Puts out an element on the output of a tag.
    ///
    /// # Errors
    /// A tag that was not declared, or whatever fails downstream.
    pub fn output_to<T: Element>(&mut self, tag: &Tag<T>, element: T) -> Result<()> {
        self.ctx.output_to_with(tag, element, self.stamp)
    }

    /// The value of a side input, in the window of the element.
    ///
    /// # Errors
    /// A view that was not declared.
    pub fn side<V: Send + Sync + 'static>(&self, view: &PCollectionView<V>) -> Result<Arc<V>> {
        self.ctx.side(view)
    }

    /// Adds to a counter of this step.
    pub fn count(&mut self, name: &'static str, more: u64) {
        self.ctx.count(name, more);
    }

    /// The time of the element or timer.
    pub fn timestamp(&self) -> Timestamp {
        self.stamp.timestamp
    }

    /// The window.
    pub fn window(&self) -> Window {
        self.stamp.window
    }

    /// Sets a timer of a family that has one only; it replaces what was set before.
    ///
    /// # Errors
    /// A time after the end of the window.
    pub fn set_timer(&mut self, family: TimerFamily, timestamp: Timestamp) -> Result<()> {
        self.set_timer_tagged(family, "", timestamp)
    }

    /// Sets the timer of this tag; it replaces what was set before.
    ///
    /// # Errors
    /// A time after the end of the window.
    pub fn set_timer_tagged(
        &mut self,
        family: TimerFamily,
        tag: &str,
        timestamp: Timestamp,
    ) -> Result<()> {
        self.timers.set(family, tag, timestamp, self.stamp.window)
    }

    /// Forgets a timer, if it is set.
    pub fn clear_timer(&mut self, family: TimerFamily) {
        self.timers.clear(family, "");
    }

    /// Forgets the timer of this tag, if it is set.
    pub fn clear_timer_tagged(&mut self, family: TimerFamily, tag: &str) {
        self.timers.clear(family, tag);
    }

    /// The value, if one was set.
    ///
    /// # Errors
    /// State of this name with another type.
    pub fn value<T: Element>(&self, state: &ValueState<T>) -> Result<Option<T>> {
        Ok(self.cells.get::<Option<T>>(state.name())?.cloned().flatten())
    }

    /// Sets the value.
    ///
    /// # Errors
    /// State of this name with another type, or more than memory holds.
    pub fn set_value<T: Element>(&mut self, state: &ValueState<T>, value: T) -> Result<()> {
        self.cells.change(state.name(), |kept: &mut Option<T>| {
            let less = kept.as_ref().map_or(0, bytes_of);
            let more = bytes_of(&value);
            *kept = Some(value);
            Ok(Growth { more, less })
        })
    }

    /// Forgets the value.
    pub fn clear_value<T: Element>(&mut self, state: &ValueState<T>) {
        self.cells.remove(state.name());
    }

    /// Adds a value to a bag.
    ///
    /// # Errors
    /// State of this name with another type, or more than memory holds.
    pub fn add_to_bag<T: Element>(&mut self, state: &BagState<T>, value: T) -> Result<()> {
        self.cells.change(state.name(), |bag: &mut Vec<T>| {
            let more = bytes_of(&value);
            bag.push(value);
            Ok(Growth { more, less: 0 })
        })
    }

    /// The values of a bag, in the order in which they were added.
    ///
    /// # Errors
    /// State of this name with another type.
    pub fn bag<T: Element>(&self, state: &BagState<T>) -> Result<&[T]> {
        Ok(self.cells.get::<Vec<T>>(state.name())?.map_or(&[], Vec::as_slice))
    }

    /// Empties a bag.
    pub fn clear_bag<T: Element>(&mut self, state: &BagState<T>) {
        self.cells.remove(state.name());
    }

    /// Adds a value to a set; whether it was not in it.
    ///
    /// # Errors
    /// State of this name with another type, or more than memory holds.
    pub fn add_to_set<T: Element>(&mut self, state: &SetState<T>, value: T) -> Result<bool> {
        let mut is_new = false;
        self.cells.change(state.name(), |set: &mut Entries<T, ()>| {
            let bytes = encoded(&value)?;
            let more = bytes_of(&value) + bytes.len() as u64;
            is_new = set.insert(bytes, (value, ())).is_none();
            Ok(Growth { more: if is_new { more } else { 0 }, less: 0 })
        })?;
        Ok(is_new)
    }

    /// Whether a set has a value.
    ///
    /// # Errors
    /// State of this name with another type.
    pub fn set_contains<T: Element>(&self, state: &SetState<T>, value: &T) -> Result<bool> {
        let set = self.cells.get::<Entries<T, ()>>(state.name())?;
        let bytes = encoded(value)?;
        Ok(set.is_some_and(|set| set.contains_key(&bytes)))
    }

    /// The values of a set, in the order of their encodings.
    ///
    /// # Errors
    /// State of this name with another type.
    pub fn set<T: Element>(&self, state: &SetState<T>) -> Result<Vec<T>> {
        let set = self.cells.get::<Entries<T, ()>>(state.name())?;
        Ok(set.map_or_else(Vec::new, |set| set.values().map(|(value, ())| value.clone()).collect()))
    }

    /// Sets the value of a key of a map.
    ///
    /// # Errors
    /// State of this name with another type, or more than memory holds.
    pub fn put<K: Element, V: Element>(
        &mut self,
        state: &MapState<K, V>,
        key: K,
        value: V,
    ) -> Result<()> {
        self.cells.change(state.name(), |map: &mut Entries<K, V>| {
            let bytes = encoded(&key)?;
            let of_key = bytes_of(&key) + bytes.len() as u64;
            let more = of_key + bytes_of(&value);
            let old = map.insert(bytes, (key, value));
            Ok(Growth { more, less: old.map_or(0, |(_, old)| of_key + bytes_of(&old)) })
        })
    }

    /// The value of a key of a map.
    ///
    /// # Errors
    /// State of this name with another type.
    pub fn get<K: Element, V: Element>(
        &self,
        state: &MapState<K, V>,
        key: &K,
    ) -> Result<Option<V>> {
        let bytes = encoded(key)?;
        let map = self.cells.get::<Entries<K, V>>(state.name())?;
        Ok(map.and_then(|map| map.get(&bytes)).map(|(_, value)| value.clone()))
    }

    /// Forgets a key of a map.
    ///
    /// # Errors
    /// State of this name with another type.
    pub fn remove<K: Element, V: Element>(
        &mut self,
        state: &MapState<K, V>,
        key: &K,
    ) -> Result<()> {
        self.cells.change(state.name(), |map: &mut Entries<K, V>| {
            let bytes = encoded(key)?;
            let old = map.remove(&bytes);
            let less = old
                .map_or(0, |(key, value)| bytes_of(&key) + bytes_of(&value) + bytes.len() as u64);
            Ok(Growth { more: 0, less })
        })
    }

    /// Keys and values of a map, in the order of the encodings of keys.
    ///
    /// # Errors
    /// State of this name with another type.
    pub fn entries<K: Element, V: Element>(&self, state: &MapState<K, V>) -> Result<Vec<(K, V)>> {
        let map = self.cells.get::<Entries<K, V>>(state.name())?;
        Ok(map.map_or_else(Vec::new, |map| map.values().cloned().collect()))
    }

    /// Adds a value to what `function` has accumulated.
    ///
    /// The function that the first value comes with is set up and serves all that follow; it is torn
    /// down when the state ends.
    ///
    /// # Errors
    /// State of this name with another type, more than memory holds, or a function that cannot be
    /// set up.
    pub fn combine<C: CombineFn>(
        &mut self,
        state: &CombiningState<C>,
        function: &C,
        value: C::In,
    ) -> Result<()> {
        self.cells.change(state.name(), |kept: &mut Option<Combining<C>>| {
            let less = kept.as_ref().map_or(0, |kept| bytes_of(&kept.accumulator));
            let mut combining = match kept.take() {
                Some(combining) => combining,
                None => Combining::start(function)?,
            };
            combining.function.add(&mut combining.accumulator, value);
            let more = bytes_of(&combining.accumulator);
            *kept = Some(combining);
            Ok(Growth { more, less })
        })
    }

    /// What `function` makes of all that was added.
    ///
    /// # Errors
    /// State of this name with another type, or a function that cannot be set up.
    pub fn combined<C: CombineFn>(
        &self,
        state: &CombiningState<C>,
        function: &C,
    ) -> Result<C::Out> {
        let kept = self.cells.get::<Option<Combining<C>>>(state.name())?;
        match kept.and_then(Option::as_ref) {
            Some(kept) => Ok(kept.function.extract(kept.accumulator.clone())),
            None => combine_nothing(function),
        }
    }

    /// Forgets what was accumulated.
    pub fn clear_combined<C: CombineFn>(&mut self, state: &CombiningState<C>) {
        self.cells.remove(state.name());
    }
}

/// A function that is set up, and what it has accumulated.
struct Combining<C: CombineFn> {
    function: LiveCombineFn<C>,
    accumulator: C::Acc,
}

impl<C: CombineFn> Combining<C> {
    fn start(function: &C) -> Result<Self> {
        let function = LiveCombineFn::start(function)?;
        let accumulator = function.create();
        Ok(Self { function, accumulator })
    }
}

fn encoded<T: Element>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    T::coder().encode(value, Context::Outer, &mut bytes)?;
    Ok(bytes)
}

impl<Out: Element> fmt::Debug for StatefulContext<'_, '_, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatefulContext").field("cells", &self.cells).finish_non_exhaustive()
    }
}
