//! How the last attempt of a job has ended, from the places where that is told.

use crate::aws::shapes::JobDetail;

/// What is said of the end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End<'a> {
    /// What AWS Batch says.
    pub status_reason: &'a str,
    /// What the container service says.
    pub reason: &'a str,
    /// With what the program ended, if it did by itself.
    pub exit_code: Option<i64>,
    /// Whether somebody has asked the job to end.
    pub was_stopped: bool,
}

impl<'a> End<'a> {
    /// The end of a job; what its last attempt leaves out, the job itself may tell.
    pub fn of(job: &'a JobDetail) -> Self {
        let last = job.attempts.last();
        let attempt_reason = last.map(|it| it.status_reason.as_str());
        let container = last.map(|it| it.container.reason.as_str());
        // A job that was stopped says so itself; its last attempt knows less.
        let is_ours = job.status_reason.starts_with(super::STOP_REASON);
        let status_reason = if is_ours { None } else { attempt_reason };
        Self {
            status_reason: told(status_reason, &job.status_reason),
            reason: told(container, &job.container.reason),
            exit_code: last.map_or(job.container.exit_code, |it| it.container.exit_code),
            was_stopped: job.is_terminated || job.is_cancelled,
        }
    }

    /// All of it, in a line.
    pub fn text(&self) -> String {
        let exit = self.exit_code.map(|code| format!("exit code {code}"));
        let texts = [self.status_reason, self.reason].map(str::to_owned);
        let parts: Vec<String> =
            texts.into_iter().chain(exit).filter(|text| !text.is_empty()).collect();
        parts.join("; ")
    }
}

/// A text, or another one where it says nothing.
fn told<'a>(text: Option<&'a str>, other: &'a str) -> &'a str {
    text.filter(|text| !text.is_empty()).unwrap_or(other)
}
