//! The first and the last value, by the times of elements.

use std::fmt;
use std::marker::PhantomData;

use dataflow::prelude::{
    CombineFn, CombineGlobally, CombinePerKey, DoFn, Element, PCollection, PTransform, ParDo,
    ProcessContext, ReifyTimestamps, Result, Timestamp,
};

use crate::encoding::encoding_of;

/// Of values with times, the last one. Beam's `Latest`.
///
/// Of values with the same time, the one of the greatest encoding: the result depends on the values
/// alone.
pub struct Latest<T>(PhantomData<fn(T)>);

/// Of values with times, the first one.
///
/// Of values with the same time, the one of the least encoding: the result depends on the values
/// alone.
pub struct Earliest<T>(PhantomData<fn(T)>);

impl Latest<()> {
    /// The transform that gives the last element of a collection; without windows, none of none.
    pub const fn globally() -> ByTimeGlobally<Self> {
        ByTimeGlobally(PhantomData)
    }

    /// The transform that gives the last value of each key.
    pub const fn per_key() -> ByTimePerKey<Self> {
        ByTimePerKey(PhantomData)
    }
}

impl Earliest<()> {
    /// The transform that gives the first element of a collection; without windows, none of none.
    pub const fn globally() -> ByTimeGlobally<Self> {
        ByTimeGlobally(PhantomData)
    }

    /// The transform that gives the first value of each key.
    pub const fn per_key() -> ByTimePerKey<Self> {
        ByTimePerKey(PhantomData)
    }
}

/// Keeps the one of two timed values that `wants_later` says.
fn keep<T: Element>(kept: &mut Option<(T, Timestamp)>, other: (T, Timestamp), wants_later: bool) {
    let is_wanted = kept.as_ref().is_none_or(|known| {
        let order = other.1.cmp(&known.1);
        let order = order.then_with(|| encoding_of(&other.0).cmp(&encoding_of(&known.0)));
        if wants_later { order.is_gt() } else { order.is_lt() }
    });
    if is_wanted {
        *kept = Some(other);
    }
}

macro_rules! by_time {
    ($($name:ident, $wants_later:literal;)+) => {$(
        impl<T> $name<T> {
            /// The function that chooses.
            pub const fn new() -> Self {
                Self(PhantomData)
            }
        }

        impl<T> Default for $name<T> {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self::new()
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        impl<T: Element> CombineFn for $name<T> {
            type In = (T, Timestamp);
            type Acc = Option<(T, Timestamp)>;
            type Out = Option<T>;

            fn create(&self) -> Self::Acc {
                None
            }

            fn add(&self, kept: &mut Self::Acc, value: Self::In) {
                keep(kept, value, $wants_later);
            }

            fn merge(&self, kept: &mut Self::Acc, other: Self::Acc) {
                if let Some(other) = other {
                    keep(kept, other, $wants_later);
                }
            }

            fn extract(&self, kept: Self::Acc) -> Option<T> {
                kept.map(|(value, _)| value)
            }
        }

        impl<T: Element> PTransform<PCollection<T>> for ByTimeGlobally<$name<()>> {
            type Output = PCollection<T>;

            fn name(&self) -> String {
                concat!(stringify!($name), ".globally").to_owned()
            }

            fn expand(self, input: PCollection<T>) -> Self::Output {
                let chosen = CombineGlobally::of($name::<T>::new()).without_default();
                let chosen = input.apply(ReifyTimestamps).apply(chosen);
                chosen.apply(crate::map::FlatMap::of(|value: Option<T>| value))
            }
        }

        impl<K: Element, V: Element> PTransform<PCollection<(K, V)>> for ByTimePerKey<$name<()>> {
            type Output = PCollection<(K, V)>;

            fn name(&self) -> String {
                concat!(stringify!($name), ".per_key").to_owned()
            }

            fn expand(self, input: PCollection<(K, V)>) -> Self::Output {
                let timed = input.apply(ParDo::of(TimedValue(PhantomData)));
                let chosen = timed.apply(CombinePerKey::of($name::<V>::new()));
                chosen.apply(crate::map::FlatMap::of(|(key, value): (K, Option<V>)| {
                    value.map(|value| (key, value))
                }))
            }
        }
    )+};
}

by_time! {
    Latest, true;
    Earliest, false;
}

/// Chooses an element of a collection by time: see [`Latest::globally`] and [`Earliest::globally`].
pub struct ByTimeGlobally<C>(PhantomData<fn(C)>);

/// Chooses a value of each key by time: see [`Latest::per_key`] and [`Earliest::per_key`].
pub struct ByTimePerKey<C>(PhantomData<fn(C)>);

impl<C> fmt::Debug for ByTimeGlobally<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByTimeGlobally")
    }
}

impl<C> fmt::Debug for ByTimePerKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByTimePerKey")
    }
}

#[derive(Clone)]
struct TimedValue<K, V>(PhantomData<fn(K, V)>);

impl<K: Element, V: Element> DoFn for TimedValue<K, V> {
    type In = (K, V);
    type Out = (K, (V, Timestamp));

    fn process(&mut self, pair: (K, V), ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output((pair.0, (pair.1, ctx.timestamp())))
    }
}
