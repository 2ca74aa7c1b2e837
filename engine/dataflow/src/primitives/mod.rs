//! The transforms that a graph is made of, and the few composites that belong to them.

mod combine;
mod combine_with_context;
mod create;
mod flatten;
mod group_by_key;
mod hot_key;
mod impulse;
mod pardo;
mod reshuffle;
mod stateful;
mod timestamps;
mod window_into;

pub use combine::{CombineGlobally, CombineGloballyView, CombinePerKey};
pub use combine_with_context::{CombineGloballyWithContext, CombinePerKeyWithContext};
pub use create::Create;
pub use flatten::Flatten;
pub use group_by_key::GroupByKey;
pub use hot_key::HotKeyFanout;
pub use impulse::Impulse;
pub use pardo::{MultiParDo, ParDo, ParDoOutputs};
pub use reshuffle::Reshuffle;
pub use stateful::{MultiStatefulParDo, StatefulParDo};
pub use timestamps::{ReifyTimestamps, ReifyWindows, WithTimestamps};
pub use window_into::{Trigger, WindowInto};

use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::graph::key_mistake;
use crate::pipeline::Pipeline;

/// Keeps a mistake if keys of type `K` cannot be grouped by.
fn check_key<K: Element>(pipeline: &Pipeline) {
    if let Some(mistake) = key_mistake::<K>("grouped by") {
        pipeline.mistake(mistake);
    }
}

/// Keeps a mistake if a collection of another pipeline is used in this one.
fn check_pipeline(pipeline: &Pipeline, other: &Pipeline) {
    if pipeline.id() != other.id() {
        let message = "a collection of another pipeline is used";
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        pipeline.mistake(error.mend("build everything that belongs together on one `Pipeline`"));
    }
}
