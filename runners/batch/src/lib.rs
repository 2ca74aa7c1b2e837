//! The batch runner: workers that speak to each other only through an object store.
//!
//! A driver plans stages, starts workers through a [`Launcher`], and watches; no data passes through
//! it. Workers take tasks, read what earlier stages have left with ranged reads, and commit by
//! creating one object: the first attempt of a task that does so is the one that counts. Driver and
//! workers may die at any moment; what was committed stays, and another driver goes on.
//!
//! Read `store` for what lies where, then `worker`, then `leader`. The runner never names an element
//! type.

mod random;

pub mod aws;
pub mod launch;

mod store;

mod exchange;

mod worker;

mod options;

mod leader;

mod runner;

mod survey;

pub use launch::Launcher;
pub use leader::{cancel, dispel, leave};
pub use options::{Account, BatchOptions, CostLimit, INDEX_VARIABLE};
pub use runner::{BatchRunner, StepFilter};
pub use store::{
    JobRecord, LeaderRecord, Requests, RequestsRecord, RunRecord, RunStore, StageProgress,
    StageRecord, StateRecord, WorkerOptions, probe,
};
pub use survey::{DriverView, Leavings, RunJob, RunView, TaskRow, TaskState, WorkerView};
pub use worker::{WorkEnd, WorkerSettings, work};

/// Waits on a thread that has nothing else to do: that of the driver.
fn pause(duration: std::time::Duration) {
    let nobody = crossbeam_channel::never::<()>();
    let waited = nobody.recv_timeout(duration);
    debug_assert!(waited.is_err(), "nobody sends");
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "../../../formats/objects/src/loopback.rs"]
#[expect(dead_code, reason = "it serves tests of other crates, too")]
mod loopback;
