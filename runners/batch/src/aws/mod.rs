//! AWS Batch: settings, the service itself, and the launcher that starts workers there.
//!
//! ```text
//!   BatchSettings ─► BatchApi (operations) ─► caller (pace, retries, credentials) ─► objects::AwsAccess
//!          └───────► AwsLauncher, which the runner knows as a Launcher
//! ```
//!
//! Nothing here prints or reads the environment. Modules stand in reading order.

mod fargate;
mod machines;
mod names;
mod settings;
mod units;

mod end;
mod shapes;
mod states;

mod api;
mod caller;
mod logs;
mod operations;
mod pace;
mod refusal;

mod definition;
mod diagnose;
mod joined;
mod launcher;
mod policy;

pub use api::{BatchApi, Listing, Read};
pub use caller::CallOptions;
pub use definition::{DEFINITION_TAG, DefinitionRequest, Ensured, whole_name};
pub use diagnose::{diagnose, environment_fault};
pub use end::End;
pub use fargate::{check_fargate, fitting_classes};
pub use launcher::{ARRAY_LIMIT, AwsLauncher, RUN_TAG, launcher_of_run, run_tags, unknown_queue};
pub use logs::{DEFAULT_LOG_GROUP, LogPlace, log_json};
pub use names::{check_image, check_name, check_role, check_tags, job_name};
pub use policy::{Grantee, PolicyScope, policy};
pub use settings::{BatchSettings, Platform};
pub use shapes::{
    ArrayProperties, AttemptDetail, Cluster, ComputeEnvironment, ComputeResources, ContainerDetail,
    EnvironmentOrder, JobDefinition, JobDetail, JobQueue, JobSummary, LogConfiguration, LogEvent,
    LogPage, ResourceRequirement,
};
pub use states::{BatchState, MEANINGS, Meaning, STOP_REASON, cause_of, meaning_of};
pub use units::{Mebibytes, Seconds};

#[cfg(test)]
mod tests;
