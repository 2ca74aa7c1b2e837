//! What can be told of a run from its objects alone, by whoever may read them: no driver, worker or
//! launcher is asked.

mod jobs;
mod leavings;
mod tasks;
mod view;

pub use jobs::RunJob;
pub use leavings::Leavings;
pub use tasks::{TaskRow, TaskState};
pub use view::{DriverView, RunView, WorkerView};
