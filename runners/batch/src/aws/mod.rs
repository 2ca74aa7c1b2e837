//! AWS Batch: settings, names and sizes.
//!
//! Nothing here prints or reads the environment. Read [`settings`] first.

mod fargate;
mod names;
pub mod settings;
mod units;

pub use fargate::{check_fargate, fitting_classes};
pub use names::{check_image, check_name, check_role, check_tags, job_name};
pub use settings::{BatchSettings, Platform};
pub use units::{Mebibytes, Seconds};
