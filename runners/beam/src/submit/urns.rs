//! How transforms, functions and requirements are called.
//!
//! Source: Apache Beam, `beam_runner_api.proto`, the options of its enumerations.

pub(crate) const IMPULSE: &str = "beam:transform:impulse:v1";
pub(crate) const PAR_DO: &str = "beam:transform:pardo:v1";
pub(crate) const FLATTEN: &str = "beam:transform:flatten:v1";
pub(crate) const GROUP_BY_KEY: &str = "beam:transform:group_by_key:v1";
pub(crate) const RESHUFFLE: &str = "beam:transform:reshuffle:v1";
pub(crate) const WINDOW_INTO: &str = "beam:transform:window_into:v1";
pub(crate) const COMBINE_PER_KEY: &str = "beam:transform:combine_per_key:v1";
pub(crate) const PRECOMBINE: &str = "beam:transform:combine_per_key_precombine:v1";
pub(crate) const MERGE_ACCUMULATORS: &str = "beam:transform:combine_per_key_merge_accumulators:v1";
pub(crate) const EXTRACT_OUTPUTS: &str = "beam:transform:combine_per_key_extract_outputs:v1";
pub(crate) const COMBINE_GROUPED_VALUES: &str = "beam:transform:combine_grouped_values:v1";

pub(crate) const SOURCE: &str = "beam:runner:source:v1";
pub(crate) const SINK: &str = "beam:runner:sink:v1";

pub(crate) const ITERABLE_SIDE_INPUT: &str = "beam:side_input:iterable:v1";
pub(crate) const NEEDS_FINALIZATION: &str = "beam:requirement:pardo:finalization:v1";
pub(crate) const LABELLED: &str = "beam:display_data:labelled:v1";

pub(crate) const GLOBAL_WINDOWS: &str = "beam:window_fn:global_windows:v1";
pub(crate) const FIXED_WINDOWS: &str = "beam:window_fn:fixed_windows:v1";
pub(crate) const SLIDING_WINDOWS: &str = "beam:window_fn:sliding_windows:v1";
pub(crate) const SESSION_WINDOWS: &str = "beam:window_fn:session_windows:v1";

pub(crate) const EXTERNAL: &str = "beam:env:external:v1";
pub(crate) const PROCESS: &str = "beam:env:process:v1";
pub(crate) const DOCKER: &str = "beam:env:docker:v1";

/// A function of ours, whose payload is a `Handler`.
pub(crate) const HANDLER: &str = "levain:handler:v1";

/// The option of a pipeline from which workers of other processes build it.
pub(crate) const JOB_OPTION: &str = "levain_job";

/// What our workers understand.
pub(crate) const CAPABILITIES: [&str; 17] = [
    "beam:coder:bytes:v1",
    "beam:coder:string_utf8:v1",
    "beam:coder:bool:v1",
    "beam:coder:varint:v1",
    "beam:coder:double:v1",
    "beam:coder:kv:v1",
    "beam:coder:iterable:v1",
    "beam:coder:nullable:v1",
    "beam:coder:length_prefix:v1",
    "beam:coder:global_window:v1",
    "beam:coder:interval_window:v1",
    "beam:coder:windowed_value:v1",
    "beam:coder:param_windowed_value:v1",
    PRECOMBINE,
    "beam:protocol:progress_reporting:v1",
    "beam:protocol:multi_core_bundle_processing:v1",
    "beam:version:sdk_base:levain",
];
