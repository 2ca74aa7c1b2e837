//! The transforms that a graph is made of, and the few composites that belong to them.

mod combine;
mod create;
mod flatten;
mod group_by_key;
mod impulse;
mod pardo;
mod reshuffle;
mod stateful;
mod timestamps;
mod window_into;

pub use combine::{CombineGlobally, CombineGloballyView, CombinePerKey};
pub use create::Create;
pub use flatten::Flatten;
pub use group_by_key::GroupByKey;
pub use impulse::Impulse;
pub use pardo::{MultiParDo, ParDo, ParDoOutputs};
pub use reshuffle::Reshuffle;
pub use stateful::{MultiStatefulParDo, StatefulParDo};
pub use timestamps::{ReifyTimestamps, ReifyWindows, WithTimestamps};
pub use window_into::{Trigger, WindowInto};

use crate::coder::Coder;
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::pipeline::Pipeline;

/// Keeps a mistake if keys of type `K` cannot be grouped by.
fn check_key<K: Element>(pipeline: &Pipeline) {
    let coder = K::coder();
    if !coder.is_deterministic() {
        let message = format!("keys of coder {} cannot be grouped by", coder.kind());
        let error = Error::new(ErrorCode::KEY_NOT_DETERMINISTIC, ErrorKind::InvalidInput, message);
        pipeline.mistake(error.mend(
            "equal keys must have equal bytes: use integers, strings, or a type of such fields; \
             round floats to integers first",
        ));
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
