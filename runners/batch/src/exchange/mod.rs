//! The shuffle through the store: what tasks read of stages before them, and what they leave.
//!
//! A task runs on the shuffle of one process. Its inputs are fetched before it computes, its outputs
//! are exported after: no request is made on a thread that computes.

mod fetch;
mod merge;
mod payloads;
mod task_shuffle;
mod upload;

pub(crate) use fetch::Exchange;
pub(crate) use merge::gather;
pub(crate) use payloads::StorePayloads;
pub(crate) use task_shuffle::TaskShuffle;
pub(crate) use upload::upload;
