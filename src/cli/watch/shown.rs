//! A look at a run, in words.

use levain::batch::launch::StateCounts;
use levain::batch::{RunView, StageProgress, StageRecord};
use levain::chunks::ByteSize;
use levain::dataflow::runner::WorkerCounts;

use super::looking::Look;
use crate::cli::progress::workers_text;
use crate::cli::table::count;

/// Letters of the names of the steps of a stage.
const NAME_LENGTH: usize = 32;

/// What a stage is called: the last words of the names of its steps.
pub(super) fn name_of(stage: &StageRecord) -> String {
    let last = stage.steps.iter().map(|step| step.rsplit('/').next().unwrap_or(step));
    let name = last.collect::<Vec<_>>().join("+");
    if name.chars().count() <= NAME_LENGTH {
        return name;
    }
    name.chars().take(NAME_LENGTH - 1).chain(['…']).collect()
}

/// Where a stage runs.
pub(super) fn place_of(stage: &StageRecord) -> &'static str {
    if stage.is_local { "driver" } else { "workers" }
}

/// Milliseconds since a stage began, to its end or to now.
pub(super) fn elapsed_ms(stage: &StageRecord) -> u64 {
    let Some(began) = stage.began_ms else { return 0 };
    let until = stage.ended_ms.unwrap_or_else(levain::objects::now_ms);
    u64::try_from(until - began).unwrap_or(0)
}

/// Milliseconds until a stage is done, if it goes on as before.
pub(super) fn eta_ms(stage: &StageRecord) -> Option<u64> {
    let is_known = stage.progress == StageProgress::Running && stage.done > 0;
    let left = stage.tasks.saturating_sub(stage.done);
    is_known.then(|| elapsed_ms(stage) * left / stage.done)
}

/// `06:10`, or `1:06:10`.
pub(super) fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds / 3600 {
        0 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// How far a stage is: `61/93 tasks 66% 122 MiB written, 12 MiB/s eta 03:20`.
pub(super) fn amount_of(stage: &StageRecord) -> String {
    let mut text = format!("{}/{} tasks {}%", stage.done, stage.tasks, stage.percent());
    if stage.bytes_written > 0 {
        let rate = stage.bytes_written * 1000 / elapsed_ms(stage).max(1);
        text.push_str(&format!(" {}, {}/s", ByteSize(stage.bytes_written), ByteSize(rate)));
    }
    if let Some(eta) = eta_ms(stage) {
        text.push_str(&format!(" eta {}", clock(eta)));
    }
    text
}

/// Who works, and what those wait for that do not.
pub(super) fn workers_of(view: &RunView) -> String {
    let living = view.workers.iter().filter(|worker| worker.is_living).count();
    let Some(state) = view.state.as_ref().filter(|state| !state.jobs.is_empty()) else {
        return format!("{living} run");
    };
    let StateCounts { waiting, starting, running, .. } = state.workers();
    let reason = state.jobs.iter().rev().map(|job| &job.reason).find(|it| !it.is_empty());
    let counts = WorkerCounts { waiting, starting, running };
    workers_text(counts, reason.map_or("", String::as_str))
}

/// All of a look, line by line.
pub(super) fn screen_of(look: &Look) -> Vec<String> {
    let it = &look.run.summary;
    let runner = look.run.again().map_or("", |again| again.runner.as_str());
    let destination = it.destination.clone().unwrap_or_default();
    let mut lines = vec![format!("{}   {} {runner}   {destination}", it.id, it.kind)];
    let Some(view) = &look.view else {
        let committed = count(look.committed.unwrap_or(0));
        lines.push(format!(" {committed} objects committed   one process writes"));
        return lines;
    };
    if !look.part.is_empty() {
        lines.push(format!(" {}", look.part));
    }
    for stage in view.state.iter().flat_map(|state| &state.stages) {
        lines.push(line_of(stage));
    }
    if view.state.is_none() {
        lines.push(" the driver plans".to_owned());
    }
    let quarantined = view.state.as_ref().map_or(0, |state| state.quarantined);
    let driver = match &view.driver {
        Some(driver) if driver.is_living => format!("{} on {}", driver.process, driver.host),
        _ => "none".to_owned(),
    };
    lines.push(format!(
        " workers {}   quarantined {quarantined}   driver {driver}",
        workers_of(view)
    ));
    if view.is_cancelled {
        lines.push(" it was asked to stop".to_owned());
    }
    lines
}

fn line_of(stage: &StageRecord) -> String {
    let (sign, told) = match stage.progress {
        StageProgress::Waiting => ('◌', format!("waits for {}", stage.after.join(", "))),
        StageProgress::Running => ('▶', amount_of(stage)),
        StageProgress::Done => ('✔', format!("{} tasks", stage.tasks)),
        StageProgress::Failed => ('✘', amount_of(stage)),
    };
    let time = if stage.began_ms.is_some() { clock(elapsed_ms(stage)) } else { String::new() };
    let (name, place) = (name_of(stage), place_of(stage));
    format!(" {sign} {} {name:<NAME_LENGTH$}  {place:<7}  {told}  {time}", stage.stage)
        .trim_end()
        .to_owned()
}
