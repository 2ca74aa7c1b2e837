//! What authors of pipelines use.

pub use crate::coder::Cbor;
pub use crate::combine::{CombineContext, CombineFn, CombineFnWithContext};
pub use crate::dofn::{BundleState, DoFn, ProcessContext, Tag};
pub use crate::element::Element;
pub use crate::error::{Error, ErrorCode, ErrorKind, Result};
pub use crate::pcollection::{Collected, PCollection, PCollectionList};
pub use crate::pipeline::Pipeline;
pub use crate::primitives::{
    CombineGlobally, CombinePerKey, Create, Flatten, GroupByKey, Impulse, ParDo, ReifyTimestamps,
    ReifyWindows, Reshuffle, StatefulParDo, WindowInto, WithTimestamps,
};
pub use crate::ptransform::PTransform;
pub use crate::shuffle::Iterable;
pub use crate::state::{
    BagState, CombiningState, MapState, SetState, StatefulContext, StatefulDoFn, Timer,
    TimerFamily, ValueState,
};
pub use crate::time::Timestamp;
pub use crate::view::{ListView, MapView, MultimapView, PCollectionView};
pub use crate::window::{
    FixedWindows, GlobalWindows, Sessions, SlidingWindows, TimestampCombiner, Window, WindowFn,
    WindowMapping,
};
pub use derive::Element;
