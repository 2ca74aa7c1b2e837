//! Several combine functions at once.

use dataflow::combine::{Accuracy, CombineFacts};
use dataflow::prelude::{CombineFn, Result};

/// Gives each part of a tuple to a combine function of its own.
///
/// Beam's `TupleCombineFn`. It is as exact as the least exact of its parts.
///
/// ```
/// use basic::{Max, Sum, TupleCombineFn};
/// use dataflow::prelude::CombineFn;
///
/// let both = TupleCombineFn::of((Sum::<i64>::new(), Max::<String>::new()));
/// let mut accumulators = both.create();
/// both.add(&mut accumulators, (1, "a".to_owned()));
/// both.add(&mut accumulators, (2, "b".to_owned()));
/// assert_eq!(both.extract(accumulators), (3, Some("b".to_owned())));
/// ```
#[derive(Debug, Clone)]
pub struct TupleCombineFn<C>(C);

impl<C> TupleCombineFn<C> {
    /// Combines with these functions: a tuple of two to four.
    pub const fn of(functions: C) -> Self {
        Self(functions)
    }
}

/// Gives every value to several combine functions.
///
/// Beam's `SingleInputTupleCombineFn`. With [`OfField`](crate::OfField) it composes functions of
/// different fields of one type, as Beam's `CombineFns.compose` does. Cost: a clone of the value
/// for each function but the last.
///
/// ```
/// use basic::{Count, SingleInputTupleCombineFn, Sum};
/// use dataflow::prelude::CombineFn;
///
/// let both = SingleInputTupleCombineFn::of((Sum::<i64>::new(), Count::<i64>::new()));
/// let mut accumulators = both.create();
/// [5, 6].map(|value| both.add(&mut accumulators, value));
/// assert_eq!(both.extract(accumulators), (11, 2));
/// ```
#[derive(Debug, Clone)]
pub struct SingleInputTupleCombineFn<C>(C);

impl<C> SingleInputTupleCombineFn<C> {
    /// Combines with these functions: a tuple of two to four.
    pub const fn of(functions: C) -> Self {
        Self(functions)
    }
}

/// The facts of a function that is made of others.
fn facts_of(parts: &[CombineFacts]) -> CombineFacts {
    let names = parts.iter().map(|facts| format!("({} v{})", facts.parameters, facts.version));
    let facts = CombineFacts::default().with_parameters(names.collect::<String>());
    let tolerances = parts.iter().filter_map(|facts| match facts.accuracy {
        Accuracy::Exact => None,
        Accuracy::Within { relative } => Some(relative),
    });
    match tolerances.reduce(f64::max) {
        Some(relative) => facts.with_tolerance(relative),
        None => facts,
    }
}

macro_rules! tuples {
    ($($first:ident $zero:tt, $($rest:ident $index:tt),+;)+) => {$(
        impl<$first: CombineFn, $($rest: CombineFn),+> CombineFn
            for TupleCombineFn<($first, $($rest),+)>
        {
            type In = ($first::In, $($rest::In),+);
            type Acc = ($first::Acc, $($rest::Acc),+);
            type Out = ($first::Out, $($rest::Out),+);

            fn setup(&mut self) -> Result<()> {
                self.0.$zero.setup()?;
                $(self.0.$index.setup()?;)+
                Ok(())
            }

            fn create(&self) -> Self::Acc {
                (self.0.$zero.create(), $(self.0.$index.create()),+)
            }

            fn add(&self, accumulators: &mut Self::Acc, values: Self::In) {
                self.0.$zero.add(&mut accumulators.$zero, values.$zero);
                $(self.0.$index.add(&mut accumulators.$index, values.$index);)+
            }

            fn merge(&self, accumulators: &mut Self::Acc, others: Self::Acc) {
                self.0.$zero.merge(&mut accumulators.$zero, others.$zero);
                $(self.0.$index.merge(&mut accumulators.$index, others.$index);)+
            }

            fn compact(&self, accumulators: &mut Self::Acc) {
                self.0.$zero.compact(&mut accumulators.$zero);
                $(self.0.$index.compact(&mut accumulators.$index);)+
            }

            fn extract(&self, accumulators: Self::Acc) -> Self::Out {
                (
                    self.0.$zero.extract(accumulators.$zero),
                    $(self.0.$index.extract(accumulators.$index)),+
                )
            }

            fn teardown(&mut self) {
                self.0.$zero.teardown();
                $(self.0.$index.teardown();)+
            }

            fn facts(&self) -> CombineFacts {
                facts_of(&[self.0.$zero.facts(), $(self.0.$index.facts()),+])
            }
        }

        impl<$first: CombineFn, $($rest: CombineFn<In = $first::In>),+> CombineFn
            for SingleInputTupleCombineFn<($first, $($rest),+)>
        {
            type In = $first::In;
            type Acc = ($first::Acc, $($rest::Acc),+);
            type Out = ($first::Out, $($rest::Out),+);

            fn setup(&mut self) -> Result<()> {
                self.0.$zero.setup()?;
                $(self.0.$index.setup()?;)+
                Ok(())
            }

            fn create(&self) -> Self::Acc {
                (self.0.$zero.create(), $(self.0.$index.create()),+)
            }

            fn add(&self, accumulators: &mut Self::Acc, value: Self::In) {
                $(self.0.$index.add(&mut accumulators.$index, value.clone());)+
                self.0.$zero.add(&mut accumulators.$zero, value);
            }

            fn merge(&self, accumulators: &mut Self::Acc, others: Self::Acc) {
                self.0.$zero.merge(&mut accumulators.$zero, others.$zero);
                $(self.0.$index.merge(&mut accumulators.$index, others.$index);)+
            }

            fn compact(&self, accumulators: &mut Self::Acc) {
                self.0.$zero.compact(&mut accumulators.$zero);
                $(self.0.$index.compact(&mut accumulators.$index);)+
            }

            fn extract(&self, accumulators: Self::Acc) -> Self::Out {
                (
                    self.0.$zero.extract(accumulators.$zero),
                    $(self.0.$index.extract(accumulators.$index)),+
                )
            }

            fn teardown(&mut self) {
                self.0.$zero.teardown();
                $(self.0.$index.teardown();)+
            }

            fn facts(&self) -> CombineFacts {
                facts_of(&[self.0.$zero.facts(), $(self.0.$index.facts()),+])
            }
        }
    )+};
}

tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Count, Max, Mean, Min, Sum};

    #[track_caller]
    fn check(function: &impl CombineFn, accuracy: Accuracy) {
        assert_eq!(function.facts().accuracy, accuracy);
    }

    #[test]
    fn a_tuple_is_as_exact_as_its_least_exact_part() {
        check(
            &TupleCombineFn::of((Min::<i64>::new(), Max::<i64>::new(), Count::<()>::new())),
            Accuracy::Exact,
        );
        check(
            &SingleInputTupleCombineFn::of((Mean, Count::new())),
            Accuracy::Within { relative: 1e-9 },
        );
    }

    #[test]
    fn parameters_of_all_parts_are_told_apart() {
        let parameters = |limits: (usize, usize)| {
            let top = |limit| crate::Top::<i64>::largest(limit);
            let both = (top(limits.0), top(limits.1), Sum::<i64>::new());
            SingleInputTupleCombineFn::of(both).facts().parameters
        };
        assert_ne!(parameters((1, 2)), parameters((2, 1)));
    }
}
