//! What the emulator is told when it is started.

use std::str::FromStr;

use crate::loopback::random::Draw;

/// Emulates AWS Batch on loopback, with processes for jobs.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "batch-emulator", args_override_self = true)]
pub(crate) struct Options {
    /// Port of 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// vCPUs of all jobs that run at once
    #[arg(long, default_value_t = 4)]
    pub(crate) slots: u32,
    /// Decides ids and all that is left to chance
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Requests a second that are answered; more get 429
    #[arg(long, default_value_t = 50.0)]
    pub(crate) rate: f64,
    /// Waits less: a grace of 1 s before SIGKILL and timeouts of 1 s and more, where not given
    #[arg(long)]
    pub(crate) fast: bool,
    /// Milliseconds between SIGTERM and SIGKILL [default: 30000]
    #[arg(long)]
    grace_ms: Option<u64>,
    /// The shortest timeout of an attempt, in seconds [default: 60]
    #[arg(long)]
    min_timeout_s: Option<u64>,
    /// Creates a queue of this name and a compute environment NAME-ce
    #[arg(long, value_name = "NAME")]
    pub(crate) create_queue: Vec<String>,
    /// A variable of the emulator that jobs get, too
    #[arg(long, value_name = "NAME")]
    pub(crate) pass_env: Vec<String>,
    /// Tells jobs where they find the notice of a spot interruption
    #[arg(long)]
    pub(crate) imds: bool,
    /// Milliseconds in SUBMITTED, as N or N-M
    #[arg(long, default_value = "0")]
    pub(crate) submitted_ms: Span,
    /// Milliseconds in RUNNABLE at the least, as N or N-M
    #[arg(long, default_value = "0")]
    pub(crate) runnable_ms: Span,
    /// Milliseconds in STARTING, as N or N-M
    #[arg(long, default_value = "0")]
    pub(crate) starting_ms: Span,
    /// Milliseconds in which a new job is neither described nor listed
    #[arg(long, default_value_t = 0)]
    pub(crate) consistency_ms: u64,
    /// Milliseconds by which the summary of an array may lag behind
    #[arg(long, default_value_t = 0)]
    pub(crate) summary_lag_ms: u64,
    /// Milliseconds after which finished jobs are forgotten
    #[arg(long, default_value_t = 7 * 24 * 3600 * 1000)]
    pub(crate) keep_ms: u64,
    /// Milliseconds between two looks at all jobs
    #[arg(long, default_value_t = 20)]
    pub(crate) tick_ms: u64,
}

impl Options {
    /// Milliseconds that a process has to end after SIGTERM.
    pub(crate) fn grace_ms(&self) -> u64 {
        self.grace_ms.unwrap_or(if self.fast { 1_000 } else { 30_000 })
    }

    /// Seconds below which no timeout is accepted.
    pub(crate) fn min_timeout_s(&self) -> u64 {
        self.min_timeout_s.unwrap_or(if self.fast { 1 } else { 60 })
    }
}

/// A time that is drawn anew for every job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    low: u64,
    high: u64,
}

impl Span {
    pub(crate) fn drawn(self, draw: Draw) -> u64 {
        self.low + draw.below(self.high - self.low + 1)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
        let (low, high) = (number(low)?, number(high)?);
        if low > high {
            return Err(format!("{low} is more than {high}"));
        }
        Ok(Self { low, high })
    }
}
