//! Collections as side inputs.

mod shapes;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::window::{Window, WindowMapping, Windowing};

pub use shapes::{ListView, MapView, MultimapView};

/// Tells the pipelines of this process apart, so that no handle of one is taken for another's.
///
/// It says nothing of what a pipeline is: a plan's identity leaves it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId(u64);

impl Default for PipelineId {
    /// An id that no other pipeline of this process has.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Names a view of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The place among the views of its graph.
    pub index: u32,
}

/// A collection that DoFns read as a whole: an id with a type, and nothing else.
///
/// `V` is what a DoFn sees: `T` for a singleton, `Iterable<T>`, [`ListView<T>`], [`MapView<K, V>`] or
/// [`MultimapView<K, V>`].
pub struct PCollectionView<V> {
    id: ViewId,
    of: PhantomData<fn() -> V>,
}

impl<V> PCollectionView<V> {
    pub(crate) fn new(id: ViewId) -> Self {
        Self { id, of: PhantomData }
    }

    /// The id.
    pub fn id(&self) -> ViewId {
        self.id
    }
}

impl<V> Clone for PCollectionView<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for PCollectionView<V> {}

impl<V> fmt::Debug for PCollectionView<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PCollectionView({})", self.id.index)
    }
}

/// What a DoFn sees of a view, whose type is forgotten.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// The value of a side input: one, or one for each window.
#[derive(Clone)]
pub(crate) enum SideValue {
    Whole(AnyValue),
    ByWindow(Arc<WindowedValues>),
}

/// The values of a side input in windows.
pub(crate) struct WindowedValues {
    pub(crate) windowing: Windowing,
    pub(crate) values: BTreeMap<Window, AnyValue>,
    /// What a window without elements gives.
    pub(crate) nothing: Result<AnyValue>,
}

/// A side input as one DoFn reads it.
#[derive(Clone)]
pub(crate) struct SideInput {
    pub(crate) id: ViewId,
    pub(crate) value: SideValue,
    pub(crate) mapping: Option<WindowMapping>,
}

impl SideInput {
    /// The value that belongs to an element in the window `main`.
    ///
    /// # Errors
    /// A window without the elements that the view needs, or a view in windows without an element.
    pub(crate) fn value_for(&self, main: Option<Window>) -> Result<AnyValue> {
        let by_window = match &self.value {
            SideValue::Whole(value) => return Ok(Arc::clone(value)),
            SideValue::ByWindow(by_window) => by_window,
        };
        let Some(main) = main else {
            let message = "a side input in windows is read where there is no element";
            let error = Error::new(ErrorCode::WINDOWS_DIFFER, ErrorKind::InvalidInput, message);
            return Err(error.mend("read it in `process`"));
        };
        let window = match &self.mapping {
            Some(mapping) => mapping.map(main),
            None => by_window.windowing.side_window(main),
        };
        match by_window.values.get(&window) {
            Some(value) => Ok(Arc::clone(value)),
            None => by_window.nothing.clone().map_err(|error| error.at("window", window)),
        }
    }
}
