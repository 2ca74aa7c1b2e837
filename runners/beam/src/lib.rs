//! Runs pipelines on the runners of Apache Beam: Flink, Spark, Dataflow, Prism, Python's own.
//!
//! ```text
//! StageGraph ── submit ──► Pipeline ── job ──► job server ──► runner
//!     ▲                                                         │ wants workers
//!     └──────────────── harness ◄──────────── pool ◄────────────┘
//! ```
//!
//! The runner decides what is fused and what is shuffled; the harness runs whatever set of transforms
//! it names. It must never know an element type, a transform or a format. Read `submit` for what is
//! sent, then `harness` for what comes back.

mod proto;

pub mod coder;

mod submit;

mod fault;
mod metrics;

mod rpc;

mod capabilities;
mod environment;
mod payload;

mod shared;

mod harness;

mod job;
mod pool;

mod loopback;
mod runner;

mod boot;
mod children;

pub use boot::{BeamWorker, WorkerFlags};
pub use capabilities::{Lack, RunnerKind};
pub use children::{WorkerCommand, WorkerPool};
pub use environment::WorkerEnvironment;
pub use harness::log_to_runner;
pub use job::end_job;
pub use payload::PayloadWay;
pub use runner::BeamRunner;
pub use shared::{SharedStore, dismiss};

#[cfg(test)]
mod tests;
