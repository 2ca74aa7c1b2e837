//! A worker: takes tasks of any stage that is open, runs them, commits them, until none is left.
//!
//! Workers know nothing of each other but what lies in the store. Each begins with the tasks of its
//! own slot and goes on with those that nobody has begun; the first commit of a task wins.

mod beat;
mod board;
mod run;
mod settings;
mod task;
mod time;

pub use run::{WorkEnd, work};
pub use settings::WorkerSettings;
