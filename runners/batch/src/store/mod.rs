//! The run store: where everything lies, and the documents that lie there.
//!
//! Correctness needs one primitive, that an object is created once; it is [`objects::Objects::create`],
//! which believes no answer without reading back. Readers open only what a commit names.

pub(crate) mod keys;

mod commit;
mod documents;
mod done;
mod numbers;
mod patience;
mod probe;
mod requests;
mod run_store;
mod state;

pub(crate) use commit::{Commit, Placed};
pub(crate) use documents::{
    Bundle, Decision, FailureClass, Intent, ResultRecord, StagePlan, StageTask, TaskFailure,
    WorkerBeat, silence,
};
pub use documents::{LeaderRecord, RequestsRecord, RunRecord, WorkerOptions};
pub(crate) use done::DoneIndex;
pub(crate) use numbers::Numbers;
pub(crate) use patience::Fetched;
pub use probe::probe;
pub use requests::Requests;
pub use run_store::RunStore;
pub use state::{JobRecord, StageProgress, StageRecord, StateRecord};
