//! Every element once.

use std::fmt;
use std::marker::PhantomData;

use dataflow::prelude::{CombineFn, CombinePerKey, Element, PCollection, PTransform};

use crate::encoding::encoding_of;
use crate::keys::{Keys, Values};
use crate::map::Map;

/// Every element once, however often it occurs.
///
/// Equal are elements with equal encodings, so their coder must be deterministic.
///
/// ```
/// # use dataflow::prelude::{Create, Pipeline};
/// # use basic::Distinct;
/// let numbers = Pipeline::new().apply(Create::of([1i64, 2, 1])).apply(Distinct);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Distinct;

impl Distinct {
    /// One element for every representative value, which a function makes of it.
    ///
    /// Kept is the element of the least encoding, so that it is always the same.
    pub fn by<T, K, F>(representative: F) -> DistinctBy<T, F>
    where
        F: Fn(&T) -> K,
    {
        DistinctBy(representative, PhantomData)
    }
}

impl<T: Element> PTransform<PCollection<T>> for Distinct {
    type Output = PCollection<T>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let keyed = input.apply(Map::of(|element: T| (element, ())));
        keyed.apply(CombinePerKey::of(Nothing)).apply(Keys)
    }
}

/// One element for every representative value; see [`Distinct::by`].
pub struct DistinctBy<T, F>(F, PhantomData<fn(T)>);

impl<T, K, F> PTransform<PCollection<T>> for DistinctBy<T, F>
where
    T: Element,
    K: Element,
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    type Output = PCollection<T>;

    fn name(&self) -> String {
        "Distinct".to_owned()
    }

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let representative = self.0;
        let keyed = input.apply(Map::of(move |element: T| (representative(&element), element)));
        keyed.apply(CombinePerKey::of(LeastEncoding(PhantomData))).apply(Values)
    }
}

impl<T, F> fmt::Debug for DistinctBy<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Distinct")
    }
}

/// Makes nothing of any number of nothings: what remains is the key.
#[derive(Debug, Clone, Copy)]
struct Nothing;

impl CombineFn for Nothing {
    type In = ();
    type Acc = ();
    type Out = ();

    fn create(&self) {}

    fn add(&self, (): &mut (), (): ()) {}

    fn merge(&self, (): &mut (), (): ()) {}

    fn extract(&self, (): ()) {}
}

/// The value of the least encoding; it is carried along beside that encoding.
struct LeastEncoding<T>(PhantomData<fn(T)>);

impl<T> Clone for LeastEncoding<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T: Element> CombineFn for LeastEncoding<T> {
    type In = T;
    type Acc = Option<(Vec<u8>, T)>;
    type Out = T;

    fn create(&self) -> Self::Acc {
        None
    }

    fn add(&self, least: &mut Self::Acc, value: T) {
        self.merge(least, Some((encoding_of(&value), value)));
    }

    fn merge(&self, least: &mut Self::Acc, other: Self::Acc) {
        let is_less = match (&other, &*least) {
            (Some((candidate, _)), Some((known, _))) => candidate < known,
            (candidate, _) => candidate.is_some(),
        };
        if is_less {
            *least = other;
        }
    }

    fn extract(&self, least: Self::Acc) -> T {
        least.expect("a key has at least one value").1
    }
}
