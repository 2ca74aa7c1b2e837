//! Shows how far a run is: a bar for each stage on a terminal, lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use levain::chunks::ByteSize;
use levain::dataflow::plan::StageId;
use levain::dataflow::runner::{JobEvent, JobObserver, WorkerCounts};

use crate::cli::args::Progress;
use crate::cli::out::say;

/// Between two lines of a stage that goes on.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// An observer that shows the stages of one job.
pub(crate) struct Display {
    title: &'static str,
    shown: Shown,
    stages: Mutex<BTreeMap<StageId, Stage>>,
}

enum Shown {
    Bars(MultiProgress),
    Lines,
    Nothing,
}

struct Stage {
    bar: Option<ProgressBar>,
    began: Instant,
    said: Instant,
    total: usize,
    done: usize,
    bytes: u64,
}

impl Display {
    /// Shows the stages of a job of this title.
    pub(crate) fn new(title: &'static str, progress: Progress) -> Self {
        let shown = match progress {
            Progress::Auto if std::io::stderr().is_terminal() => Self::bars(),
            Progress::Bars => Self::bars(),
            Progress::Auto | Progress::Lines => Shown::Lines,
            Progress::None => Shown::Nothing,
        };
        Self { title, shown, stages: Mutex::default() }
    }

    fn bars() -> Shown {
        Shown::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StageId, Stage>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, stage: StageId, total: usize) {
        let bar = match &self.shown {
            // A stage of one short bundle would only flicker.
            Shown::Bars(bars) if total > 1 => {
                let style = " {prefix} {bar:24} {pos}/{len}  {msg}  {elapsed_precise}  eta {eta}";
                let style = ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = bars.add(ProgressBar::new(total as u64).with_style(style));
                bar.set_prefix(format!("{} {stage}", self.title));
                Some(bar)
            }
            _ => None,
        };
        let (began, said) = (Instant::now(), Instant::now());
        self.lock().insert(stage, Stage { bar, began, said, total, done: 0, bytes: 0 });
    }

    fn step(&self, stage: StageId, bytes: u64) {
        let mut stages = self.lock();
        let Some(state) = stages.get_mut(&stage) else { return };
        state.done += 1;
        state.bytes += bytes;
        if let Some(bar) = &state.bar {
            bar.set_message(state.amount());
            bar.inc(1);
        }
        let is_due = state.said.elapsed() >= HEARTBEAT;
        if matches!(self.shown, Shown::Lines) && is_due && state.done < state.total {
            state.said = Instant::now();
            let (done, total) = (state.done, state.total);
            let percent = 100 * done / total.max(1);
            say(&format!("{} {stage} {done}/{total} {percent}% {}", self.title, state.amount()));
        }
    }

    fn finish(&self, stage: StageId) {
        let mut stages = self.lock();
        let Some(state) = stages.remove(&stage) else { return };
        if let Some(bar) = &state.bar {
            bar.finish_and_clear();
        }
        let took = state.began.elapsed();
        if matches!(self.shown, Shown::Lines) && took >= HEARTBEAT {
            let (total, took) = (state.total, took.as_secs_f64());
            say(&format!(
                "{} {stage} done: {total} tasks in {took:.1} s {}",
                self.title,
                state.amount()
            ));
        }
    }
}

impl Display {
    fn workers(&self, workers: WorkerCounts, reason: &str) {
        if !matches!(self.shown, Shown::Nothing) {
            self.tell(&format!("{} workers {}", self.title, workers_text(workers, reason)));
        }
    }

    /// Says a line above the bars.
    fn tell(&self, text: &str) {
        match &self.shown {
            // A terminal that cannot be written to is none.
            Shown::Bars(bars) => drop(bars.println(text)),
            Shown::Lines | Shown::Nothing => say(text),
        }
    }
}

/// Where workers stand, in a few words.
pub(crate) fn workers_text(workers: WorkerCounts, reason: &str) -> String {
    let WorkerCounts { waiting, starting, running } = workers;
    let counts = [(running, "run"), (starting, "starting"), (waiting, "waiting")];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
    let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    if reason.is_empty() { counts } else { format!("{counts} ({reason})") }
}

impl Stage {
    fn amount(&self) -> String {
        if self.bytes == 0 {
            return String::new();
        }
        let rate = self.bytes as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        format!("{} written, {}/s", ByteSize(self.bytes), ByteSize(rate as u64))
    }
}

impl JobObserver for Display {
    fn observe(&self, event: &JobEvent) {
        match event {
            JobEvent::StageStarted { stage, bundle_count } => self.start(*stage, *bundle_count),
            JobEvent::BundleFinished { stage, report } => {
                self.step(*stage, report.metrics.counter("bytes_written"));
            }
            JobEvent::BundleRetried { stage, error } => {
                say(&format!("{} {stage} tries again: {}", self.title, error.message()));
            }
            JobEvent::ElementQuarantined { stage, failure } => {
                let element = failure.element().unwrap_or_default();
                let message = failure.error.message();
                say(&format!("{} {stage} leaves out {element}: {message}", self.title));
            }
            JobEvent::WorkersChanged { workers, reason } => self.workers(*workers, reason),
            JobEvent::WorkerEnded { worker, reason, log } => {
                let lines = log.iter().map(|line| format!("\n  {worker} | {line}"));
                let lines = lines.collect::<String>();
                self.tell(&format!("{} worker {worker} has ended: {reason}{lines}", self.title));
            }
            JobEvent::StageFinished { stage } => self.finish(*stage),
            _ => {}
        }
    }
}
