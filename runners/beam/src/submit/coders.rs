//! Coders and windows of a pipeline, each once, under names that say what they are.

use std::collections::BTreeMap;

use dataflow::coder::CoderKind;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::time::Timestamp;
use dataflow::window::{TimestampCombiner, WindowFnKind, Windowing};
use prost::Message;

use super::urns;
use crate::coder::{WireCoder, coder_urn};
use crate::proto::known::{duration_of_millis, timestamp_of_millis};
use crate::proto::pipeline::{
    Coder, CoderSpec, DefaultTrigger, FixedWindowsPayload, FunctionSpec, SessionWindowsPayload,
    SlidingWindowsPayload, Trigger, WindowingStrategy,
};

const NON_MERGING: i32 = 1;
const NEEDS_MERGE: i32 = 2;
const DISCARDING: i32 = 1;
const EMIT_IF_NONEMPTY: i32 = 2;
const FIRE_ALWAYS: i32 = 1;

/// The coders and windowing strategies that were asked for.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    pub(super) coders: BTreeMap<String, Coder>,
    pub(super) strategies: BTreeMap<String, WindowingStrategy>,
}

impl Vocabulary {
    /// The id of the coder of a collection.
    ///
    /// Keys that hold an iterable are bytes to runners: those in Java take no iterable for
    /// deterministic, since others may encode one with or without its number. Ours has it always.
    pub(super) fn coder(&mut self, kind: &CoderKind) -> String {
        self.wire_coder(&match WireCoder::from(kind) {
            WireCoder::Kv(key, value) if key.holds_iterable() => {
                WireCoder::Kv(Box::new(WireCoder::Bytes), value)
            }
            coder => coder,
        })
    }

    /// The id of the coder of what stands in a function.
    pub(super) fn inner_coder(&mut self, kind: &CoderKind) -> String {
        self.wire_coder(&WireCoder::from(kind))
    }

    fn wire_coder(&mut self, coder: &WireCoder) -> String {
        let (name, parts): (&str, Vec<&WireCoder>) = match coder {
            WireCoder::Utf8 => ("string_utf8", vec![]),
            WireCoder::Bool => ("bool", vec![]),
            WireCoder::VarInt => ("varint", vec![]),
            WireCoder::Double => ("double", vec![]),
            WireCoder::Kv(key, value) => ("kv", vec![key, value]),
            WireCoder::Iterable(item, _) => ("iterable", vec![item]),
            WireCoder::Nullable(item) => ("nullable", vec![item]),
            WireCoder::GlobalWindow => ("global_window", vec![]),
            WireCoder::IntervalWindow => ("interval_window", vec![]),
            // No other is the coder of a collection of ours.
            _ => ("bytes", vec![]),
        };
        let component_coder_ids = parts.into_iter().map(|part| self.wire_coder(part)).collect();
        let id = coder.to_string();
        let spec = Some(CoderSpec { urn: coder_urn(name), payload: Vec::new() });
        self.coders.insert(id.clone(), Coder { spec, component_coder_ids });
        id
    }

    /// The id of a windowing strategy, for an environment.
    ///
    /// # Errors
    /// Windows that foreign runners cannot merge.
    pub(super) fn strategy(&mut self, windowing: &Windowing, environment: &str) -> Result<String> {
        let kind = windowing.window_fn.kind();
        let is_merging = windowing.window_fn.is_merging();
        let is_custom = matches!(kind, WindowFnKind::Custom(_));
        if is_custom && is_merging {
            let message = "a runner of Beam cannot merge windows of a function of the recipe";
            let error = Error::new(ErrorCode::RUNNER_CANNOT, ErrorKind::Unsupported, message);
            return Err(error.at("windows", windowing).mend("use `Sessions`, or another runner"));
        }
        let id = windowing.to_string();
        let is_global = kind == WindowFnKind::Global;
        let window_coder =
            if is_global { WireCoder::GlobalWindow } else { WireCoder::IntervalWindow };
        let is_merged = is_merging && !windowing.merges;
        let strategy = WindowingStrategy {
            assigns_to_one_window: !is_custom && !matches!(kind, WindowFnKind::Sliding { .. }),
            window_fn: Some(if is_merged { settled() } else { window_fn(&kind) }),
            merge_status: if windowing.merges { NEEDS_MERGE } else { NON_MERGING },
            window_coder_id: self.wire_coder(&window_coder),
            trigger: Some(Trigger { default: Some(DefaultTrigger {}) }),
            accumulation_mode: DISCARDING,
            output_time: match windowing.timestamp_combiner {
                TimestampCombiner::EndOfWindow => 1,
                TimestampCombiner::Latest => 2,
                TimestampCombiner::Earliest => 3,
            },
            closing_behavior: EMIT_IF_NONEMPTY,
            allowed_lateness: 0,
            on_time_behavior: FIRE_ALWAYS,
            environment_id: environment.to_owned(),
        };
        self.strategies.insert(id.clone(), strategy);
        Ok(id)
    }
}

/// A function that others know, or what stands for one that they do not.
fn window_fn(kind: &WindowFnKind) -> FunctionSpec {
    let millis = |duration: &std::time::Duration| {
        Some(duration_of_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    };
    let at = |timestamp: &Timestamp| Some(timestamp_of_millis(timestamp.millis()));
    let (urn, payload) = match kind {
        WindowFnKind::Global => (urns::GLOBAL_WINDOWS, Vec::new()),
        WindowFnKind::Fixed { size, offset } => {
            let payload = FixedWindowsPayload { size: millis(size), offset: at(offset) };
            (urns::FIXED_WINDOWS, payload.encode_to_vec())
        }
        WindowFnKind::Sliding { size, period, offset } => {
            let (size, period) = (millis(size), millis(period));
            let payload = SlidingWindowsPayload { size, offset: at(offset), period };
            (urns::SLIDING_WINDOWS, payload.encode_to_vec())
        }
        WindowFnKind::Sessions { gap } => {
            let payload = SessionWindowsPayload { gap_size: millis(gap) };
            (urns::SESSION_WINDOWS, payload.encode_to_vec())
        }
        _ => return settled(),
    };
    FunctionSpec { urn: urn.to_owned(), payload }
}

/// What stands for windows that nobody assigns or merges any more, or that only the harness assigns.
///
/// Some runners refuse functions that they do not know, and some merge windows of sessions again
/// whatever is said of these. To group by windows as they are, a runner needs a function that does not
/// merge, and none of it but its coder: any fixed windows will do.
fn settled() -> FunctionSpec {
    let payload = FixedWindowsPayload {
        size: Some(duration_of_millis(1)),
        offset: Some(timestamp_of_millis(0)),
    };
    FunctionSpec { urn: urns::FIXED_WINDOWS.to_owned(), payload: payload.encode_to_vec() }
}
