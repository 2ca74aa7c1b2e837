//! Reports of runs: what happened, as JSON and as a page that opens from disk.
//!
//! ```text
//!   JobEvents ──► Recorder ──┐
//!   commit records ──► Coverage ──► Report ──► report.json, report.html, failures/
//!   plan, settings, end ─────┘
//! ```
//!
//! A report is made of what a run has said and committed, nothing else, and knows no runner: whoever
//! can fill a [`Report`] gets the page.

mod model;

mod cost;
mod coverage;
mod failures;
mod recorder;
mod timeline;
mod write;

mod page;

#[cfg(test)]
mod example;

pub use cost::Prices;
pub(crate) use cost::{Spent, cost_of};
pub(crate) use coverage::{Coverage, UnitGrid};
pub use failures::{
    Disposition, FailedElement, FailedSource, FailedStep, FailureIndex, FailureRecord,
};
pub use model::{
    ArrayOutput, ArrayPlan, CompletenessMap, Cost, CostItem, Exit, FailureGroup, FailureSummary,
    Inputs, Outputs, PlanFacts, REPORT_VERSION, Report, Resources, RunFacts, RunState, Span,
    StageRow, StageState, TaskSummary, Timeline, WorkerRow,
};
pub(crate) use page::shell_words;
pub use page::{duration, failures_text, moment, page};
pub use recorder::{Recorded, Recorder};
pub use write::write_report;
