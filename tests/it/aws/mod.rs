//! The commands for AWS Batch, against its emulator, which runs jobs as processes.

mod definitions;
mod doctor;
pub(crate) mod emulator;
mod hello;
mod jobs;
mod printed;
