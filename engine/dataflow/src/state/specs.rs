//! The names and types of state and timers: constants of the recipe.

use std::fmt;
use std::marker::PhantomData;

macro_rules! specs {
    ($($(#[$doc:meta])+ $name:ident<$($of:ident),+>;)+) => {$(
        $(#[$doc])+
        pub struct $name<$($of),+> {
            name: &'static str,
            of: PhantomData<fn() -> ($($of,)+)>,
        }

        impl<$($of),+> $name<$($of),+> {
            /// The state of this name, unique in its function.
            pub const fn new(name: &'static str) -> Self {
                Self { name, of: PhantomData }
            }

            /// The name.
            pub const fn name(&self) -> &'static str {
                self.name
            }
        }

        impl<$($of),+> Clone for $name<$($of),+> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($of),+> Copy for $name<$($of),+> {}

        impl<$($of),+> fmt::Debug for $name<$($of),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.name)
            }
        }
    )+};
}

specs! {
    /// One value, or none.
    ValueState<T>;
    /// Values in the order in which they were added.
    BagState<T>;
    /// Values by key.
    MapState<K, V>;
    /// Values without repetition; equal are those with equal encodings.
    SetState<T>;
    /// What a [`CombineFn`](crate::combine::CombineFn) has accumulated.
    CombiningState<C>;
}

/// Names timers that belong together; each is told apart by its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerFamily {
    name: &'static str,
}

impl TimerFamily {
    /// The family of this name, unique in its function.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
