//! Whether a claim holds for some values, or for all.

use dataflow::prelude::CombineFn;

/// Whether any value is true; of nothing, false.
///
/// ```
/// use basic::Any;
/// use dataflow::prelude::CombineFn;
///
/// let mut is_any = Any.create();
/// [false, true].map(|value| Any.add(&mut is_any, value));
/// assert!(Any.extract(is_any));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Any;

/// Whether all values are true; of nothing, true.
///
/// ```
/// use basic::All;
/// use dataflow::prelude::CombineFn;
///
/// let mut are_all = All.create();
/// [false, true].map(|value| All.add(&mut are_all, value));
/// assert!(!All.extract(are_all));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct All;

macro_rules! logical {
    ($($name:ident $of_none:literal $join:expr;)+) => {$(
        impl CombineFn for $name {
            type In = bool;
            type Acc = bool;
            type Out = bool;

            fn create(&self) -> bool {
                $of_none
            }

            fn add(&self, joined: &mut bool, value: bool) {
                *joined = $join(*joined, value);
            }

            fn merge(&self, joined: &mut bool, other: bool) {
                *joined = $join(*joined, other);
            }

            fn extract(&self, joined: bool) -> bool {
                joined
            }
        }
    )+};
}

logical! {
    Any false |a, b| a || b;
    All true |a, b| a && b;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::combine_all;

    #[track_caller]
    fn check(values: &[bool], is_any: bool, are_all: bool) {
        assert_eq!(combine_all(&Any, values.to_vec()), is_any);
        assert_eq!(combine_all(&All, values.to_vec()), are_all);
    }

    #[test]
    fn some_and_all_differ_in_between_and_for_nothing() {
        check(&[], false, true);
        check(&[true, true], true, true);
        check(&[true, false], true, false);
        check(&[false, false], false, false);
    }
}
