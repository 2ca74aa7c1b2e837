//! The arithmetic mean.

use dataflow::combine::CombineFacts;
use dataflow::prelude::CombineFn;

/// The arithmetic mean of floats; NaN of nothing.
///
/// ```
/// use basic::Mean;
/// use dataflow::prelude::CombineFn;
///
/// let mut sum_and_count = Mean.create();
/// [1.0, 2.0, 6.0].map(|value| Mean.add(&mut sum_and_count, value));
/// assert_eq!(Mean.extract(sum_and_count), 3.0);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean;

impl CombineFn for Mean {
    type In = f64;
    type Acc = (f64, u64);
    type Out = f64;

    fn create(&self) -> (f64, u64) {
        (0.0, 0)
    }

    fn add(&self, (sum, count): &mut (f64, u64), value: f64) {
        *sum += value;
        *count += 1;
    }

    fn merge(&self, (sum, count): &mut (f64, u64), other: (f64, u64)) {
        *sum += other.0;
        *count += other.1;
    }

    fn extract(&self, (sum, count): (f64, u64)) -> f64 {
        sum / count as f64
    }

    fn facts(&self) -> CombineFacts {
        CombineFacts::default().with_tolerance(1e-9)
    }
}
