//! Combine functions that read side inputs.

use std::fmt;
use std::sync::Arc;

use crate::combine::CombineFacts;
use crate::dofn::SideInputs;
use crate::element::Element;
use crate::error::Result;
use crate::view::PCollectionView;
use crate::window::Window;

/// A [`CombineFn`](crate::combine::CombineFn) whose parts may read side inputs.
///
/// What must hold is the same; a side input has one value for all that is combined in one window.
/// Its views are declared where it is applied, with `with_side`.
///
/// Source: Beam, `CombineWithContext.CombineFnWithContext`.
pub trait CombineFnWithContext: Clone + Send + Sync + 'static {
    /// What is combined.
    type In: Element;
    /// What is carried along.
    type Acc: Element;
    /// What comes out.
    type Out: Element;

    /// Prepares the instance: opens what all its calls need.
    ///
    /// # Errors
    /// Whatever keeps it from working.
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }

    /// An accumulator of no value.
    ///
    /// # Errors
    /// A side input that cannot be read.
    fn create(&self, ctx: &CombineContext<'_>) -> Result<Self::Acc>;

    /// Adds a value.
    ///
    /// # Errors
    /// A side input that cannot be read, or a value that cannot be combined.
    fn add(
        &self,
        accumulator: &mut Self::Acc,
        value: Self::In,
        ctx: &CombineContext<'_>,
    ) -> Result<()>;

    /// Adds what `other` has accumulated.
    ///
    /// # Errors
    /// A side input that cannot be read.
    fn merge(
        &self,
        accumulator: &mut Self::Acc,
        other: Self::Acc,
        ctx: &CombineContext<'_>,
    ) -> Result<()>;

    /// Makes an accumulator smaller that is about to travel, and does not change what it stands for.
    ///
    /// # Errors
    /// A side input that cannot be read.
    fn compact(&self, accumulator: &mut Self::Acc, ctx: &CombineContext<'_>) -> Result<()> {
        let _: (&mut Self::Acc, &CombineContext<'_>) = (accumulator, ctx);
        Ok(())
    }

    /// The result.
    ///
    /// # Errors
    /// A side input that cannot be read.
    fn extract(&self, accumulator: Self::Acc, ctx: &CombineContext<'_>) -> Result<Self::Out>;

    /// Closes what `setup` has opened.
    fn teardown(&mut self) {}

    /// What is known of this function; see [`CombineFacts`].
    fn facts(&self) -> CombineFacts {
        CombineFacts::default()
    }
}

/// What a [`CombineFnWithContext`] may look at: the window, and the side inputs of that window.
#[derive(Clone, Copy)]
pub struct CombineContext<'a> {
    sides: &'a SideInputs,
    window: Window,
}

impl<'a> CombineContext<'a> {
    pub(crate) fn new(sides: &'a SideInputs, window: Window) -> Self {
        Self { sides, window }
    }

    /// The value of a side input; of one in windows, that which belongs to the window in which values
    /// are combined.
    ///
    /// # Errors
    /// A view that was not declared, or that does not have its shape in this window.
    pub fn side<V: Send + Sync + 'static>(&self, view: &PCollectionView<V>) -> Result<Arc<V>> {
        self.sides.value(view, Some(self.window))
    }

    /// The window in which values are combined; windows that merge have merged.
    pub fn window(&self) -> Window {
        self.window
    }
}

impl fmt::Debug for CombineContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CombineContext").field("window", &self.window).finish_non_exhaustive()
    }
}
