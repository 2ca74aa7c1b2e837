//! Where a job stands, and how many children of an array stand where.

use serde_json::{Map, Value};

/// Where a job stands, in the order in which it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Submitted,
    Pending,
    Runnable,
    Starting,
    Running,
    Succeeded,
    Failed,
}

impl Status {
    pub(crate) const ALL: [Self; 7] = [
        Self::Submitted,
        Self::Pending,
        Self::Runnable,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    pub(crate) const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// Whether a process may be there, or is about to be.
    pub(crate) const fn holds_capacity(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

/// How many jobs stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts([u64; Status::ALL.len()]);

impl Counts {
    pub(crate) fn of(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    pub(crate) fn add(&mut self, status: Status) {
        self.0[status as usize] += 1;
    }

    pub(crate) fn shift(&mut self, from: Status, to: Status) {
        self.0[from as usize] -= 1;
        self.0[to as usize] += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn to_json(self) -> Value {
        let pairs = Status::ALL.into_iter().map(|it| (it.name().to_owned(), self.of(it).into()));
        Value::Object(pairs.collect::<Map<_, _>>())
    }
}
