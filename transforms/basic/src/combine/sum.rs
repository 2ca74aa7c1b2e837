//! Adding up.

use dataflow::combine::CombineFacts;
use dataflow::prelude::CombineFn;

/// Adds numbers up.
///
/// Integers must not exceed their type: an overflow is an error of the step, in every profile.
/// Sums of floats depend on the order of adding by rounding.
///
/// ```
/// use basic::Sum;
/// use dataflow::prelude::CombineFn;
///
/// let sum = Sum::<i64>::new();
/// let mut so_far = sum.create();
/// [1, 2, 6].map(|value| sum.add(&mut so_far, value));
/// assert_eq!(sum.extract(so_far), 9);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum<T>(std::marker::PhantomData<fn(T)>);

impl<T> Sum<T> {
    /// The function that adds.
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// How much two orders of adding floats may differ, relative to the greater sum.
const FLOAT_TOLERANCE: f64 = 1e-9;

macro_rules! sums {
    ($($type:ty, $plus:expr, $facts:expr;)+) => {$(
        impl CombineFn for Sum<$type> {
            type In = $type;
            type Acc = $type;
            type Out = $type;

            fn create(&self) -> $type {
                <$type>::default()
            }

            fn add(&self, sum: &mut $type, value: $type) {
                *sum = $plus(*sum, value);
            }

            fn merge(&self, sum: &mut $type, other: $type) {
                *sum = $plus(*sum, other);
            }

            fn extract(&self, sum: $type) -> $type {
                sum
            }

            fn facts(&self) -> CombineFacts {
                $facts
            }
        }
    )+};
}

macro_rules! checked {
    ($type:ty) => {
        |a: $type, b: $type| a.checked_add(b).expect("a sum exceeds its integer type")
    };
}

sums! {
    i32, checked!(i32), CombineFacts::default();
    i64, checked!(i64), CombineFacts::default();
    u32, checked!(u32), CombineFacts::default();
    u64, checked!(u64), CombineFacts::default();
    f64, |a: f64, b: f64| a + b, CombineFacts::default().with_tolerance(FLOAT_TOLERANCE);
}
