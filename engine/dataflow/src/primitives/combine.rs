//! CombinePerKey and CombineGlobally.

use std::fmt;
use std::sync::Arc;

use crate::combine::{CombineFn, combine_nothing};
use crate::dofn::{DoFn, ProcessContext};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{Combine, Operation};
use crate::pcollection::PCollection;
use crate::primitives::{Impulse, ParDo, check_key};
use crate::ptransform::PTransform;
use crate::shuffle::Iterable;
use crate::view::PCollectionView;

/// One value for every key: what a [`CombineFn`] makes of all its values.
///
/// Runners combine before the shuffle where they can.
#[derive(Clone)]
pub struct CombinePerKey<C>(pub(super) C);

impl<C: CombineFn> CombinePerKey<C> {
    /// Combines with this function.
    pub fn of(function: C) -> Self {
        Self(function)
    }
}

impl<K: Element, C: CombineFn> PTransform<PCollection<(K, C::In)>> for CombinePerKey<C> {
    type Output = PCollection<(K, C::Out)>;

    fn expand(self, input: PCollection<(K, C::In)>) -> Self::Output {
        let pipeline = input.pipeline();
        check_key::<K>(pipeline);
        let combine = Combine::<K, C>::new(self.0);
        pipeline.add(Operation::Group(Arc::new(combine)), &[input.id()])
    }
}

impl<C> fmt::Debug for CombinePerKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CombinePerKey")
    }
}

/// One value for a whole collection; of an empty one, what the function makes of nothing.
#[derive(Clone)]
pub struct CombineGlobally<C> {
    function: C,
    has_default: bool,
}

impl<C: CombineFn> CombineGlobally<C> {
    /// Combines with this function.
    pub fn of(function: C) -> Self {
        Self { function, has_default: true }
    }

    /// Gives nothing for an empty collection.
    #[must_use]
    pub fn without_default(mut self) -> Self {
        self.has_default = false;
        self
    }
}

impl<C: CombineFn> CombineGlobally<C> {
    /// Makes the result a side input, in every window that asks for it.
    pub fn into_singleton_view(self) -> CombineGloballyView<C> {
        CombineGloballyView(self.function)
    }
}

impl<C: CombineFn> PTransform<PCollection<C::In>> for CombineGlobally<C> {
    type Output = PCollection<C::Out>;

    fn expand(self, input: PCollection<C::In>) -> Self::Output {
        if self.has_default {
            check_default(&input);
        }
        let keyed = input.apply(ParDo::of(WithUnitKey::<C::In>::default()));
        let combined = keyed.apply(CombinePerKey::of(self.function.clone()));
        let values = combined.apply(ParDo::of(DropUnitKey::<C::Out>::default()));
        if !self.has_default {
            return values;
        }
        let combined = values.as_iterable_view();
        let or_default = OrDefault { function: self.function, combined };
        input.pipeline().apply(Impulse).apply(ParDo::of(or_default).with_side(&combined))
    }
}

/// A window without elements is not known to exist, so nothing can stand for it.
pub(super) fn check_default<T: Element>(input: &PCollection<T>) {
    let windowing = input.windowing();
    if !windowing.is_global() {
        let message = format!("a collection in windows ({windowing}) is combined with a default");
        let error = Error::new(ErrorCode::WINDOWS_DIFFER, ErrorKind::InvalidInput, message);
        input.pipeline().mistake(error.mend(
            "call `without_default()`, or `into_singleton_view()` for a side input with one",
        ));
    }
}

/// The same as a side input: in every window the value, or what the function makes of nothing.
#[derive(Clone)]
pub struct CombineGloballyView<C>(C);

impl<C: CombineFn> PTransform<PCollection<C::In>> for CombineGloballyView<C> {
    type Output = PCollectionView<C::Out>;

    fn name(&self) -> String {
        "CombineGlobally".to_owned()
    }

    fn expand(self, input: PCollection<C::In>) -> Self::Output {
        let default = combine_nothing(&self.0);
        let combined = input.apply(CombineGlobally::of(self.0).without_default());
        match default {
            Ok(default) => combined.as_singleton_view_or(default),
            Err(error) => {
                input.pipeline().mistake(error);
                combined.as_singleton_view()
            }
        }
    }
}

impl<C> fmt::Debug for CombineGloballyView<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CombineGloballyView")
    }
}

impl<C> fmt::Debug for CombineGlobally<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = ("has_default", self.has_default);
        f.debug_struct("CombineGlobally").field(shown.0, &shown.1).finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub(super) struct WithUnitKey<T>(std::marker::PhantomData<fn(T)>);

impl<T> Default for WithUnitKey<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T: Element> DoFn for WithUnitKey<T> {
    type In = T;
    type Out = ((), T);

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, ((), T)>) -> Result<()> {
        ctx.output(((), element))
    }
}

#[derive(Clone)]
pub(super) struct DropUnitKey<T>(std::marker::PhantomData<fn(T)>);

impl<T> Default for DropUnitKey<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T: Element> DoFn for DropUnitKey<T> {
    type In = ((), T);
    type Out = T;

    fn process(&mut self, pair: ((), T), ctx: &mut ProcessContext<'_, T>) -> Result<()> {
        ctx.output(pair.1)
    }
}

/// Runs once, whatever the collection holds, and so can say what an empty one gives.
#[derive(Clone)]
struct OrDefault<C: CombineFn> {
    function: C,
    combined: PCollectionView<Iterable<C::Out>>,
}

impl<C: CombineFn> DoFn for OrDefault<C> {
    type In = Vec<u8>;
    type Out = C::Out;

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, C::Out>) -> Result<()> {
        let combined = ctx.side(&self.combined)?;
        if combined.is_empty() {
            return ctx.output(combine_nothing(&self.function)?);
        }
        combined.iter().try_for_each(|value| ctx.output(value))
    }
}
