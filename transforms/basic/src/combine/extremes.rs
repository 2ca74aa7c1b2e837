//! The least and the greatest.

use std::marker::PhantomData;

use dataflow::prelude::{CombineFn, Element};

/// The least value; of nothing, nothing.
///
/// ```
/// use basic::Min;
/// use dataflow::prelude::CombineFn;
///
/// let least = Min::<i64>::new();
/// let mut chosen = least.create();
/// [3, 1, 2].map(|value| least.add(&mut chosen, value));
/// assert_eq!(least.extract(chosen), Some(1));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Min<T>(PhantomData<fn(T)>);

/// The greatest value; of nothing, nothing.
///
/// ```
/// use basic::Max;
/// use dataflow::prelude::CombineFn;
///
/// let greatest = Max::<i64>::new();
/// let mut chosen = greatest.create();
/// [3, 1, 2].map(|value| greatest.add(&mut chosen, value));
/// assert_eq!(greatest.extract(chosen), Some(3));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Max<T>(PhantomData<fn(T)>);

macro_rules! extremes {
    ($($name:ident $choose:ident;)+) => {$(
        impl<T> $name<T> {
            /// The function that chooses.
            pub const fn new() -> Self {
                Self(PhantomData)
            }
        }

        impl<T: Element + Ord> CombineFn for $name<T> {
            type In = T;
            type Acc = Option<T>;
            type Out = Option<T>;

            fn create(&self) -> Option<T> {
                None
            }

            fn add(&self, chosen: &mut Option<T>, value: T) {
                *chosen = Some(match chosen.take() {
                    Some(known) => known.$choose(value),
                    None => value,
                });
            }

            fn merge(&self, chosen: &mut Option<T>, other: Option<T>) {
                if let Some(value) = other {
                    self.add(chosen, value);
                }
            }

            fn extract(&self, chosen: Option<T>) -> Option<T> {
                chosen
            }
        }
    )+};
}

extremes! {
    Min min;
    Max max;
}
