//! A run before people: drawn anew on a terminal, a line for each stage and each minute elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use chrono::Local;
use levain::batch::{RunView, StageProgress, StageRecord};
use levain::dataflow::error::Result;

use super::looking::{Look, Screen};
use super::shown::{amount_of, clock, elapsed_ms, name_of, place_of, screen_of, workers_of};
use crate::cli::out::say;

pub(super) struct Display {
    is_terminal: bool,
    /// Lines that were drawn last.
    drawn: usize,
    heartbeat: Duration,
    said: Instant,
    told: BTreeMap<String, StageProgress>,
    last_workers: String,
}

impl Display {
    pub(super) fn new(heartbeat: Duration) -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            drawn: 0,
            heartbeat,
            said: Instant::now(),
            told: BTreeMap::new(),
            last_workers: String::new(),
        }
    }

    fn draw(&mut self, look: &Look) {
        let lines = screen_of(look);
        let mut stderr = std::io::stderr().lock();
        if self.drawn > 0 {
            // Up to the first line that was drawn, and all below it away. That nobody sees it is no
            // reason to stop.
            drop(write!(stderr, "\x1b[{}A\x1b[J", self.drawn));
        }
        // A line that is wider than the terminal is cut, not wrapped: lines are counted.
        drop(writeln!(stderr, "\x1b[?7l{}\x1b[?7h", lines.join("\n")));
        self.drawn = lines.len();
    }

    fn lines(&mut self, look: &Look) {
        let Some(view) = &look.view else {
            if self.is_due() {
                self.say(&format!("{} objects committed", look.committed.unwrap_or(0)));
            }
            return;
        };
        let stages = view.state.as_ref().map_or(&[][..], |state| state.stages.as_slice());
        for (place, stage) in stages.iter().enumerate() {
            let before = self.told.insert(format!("{}/{}", look.part, stage.stage), stage.progress);
            if before == Some(stage.progress) {
                continue;
            }
            let head = head_of(&look.part, (stage, place), stages.len());
            match stage.progress {
                StageProgress::Waiting => {}
                StageProgress::Running => {
                    let at = place_of(stage);
                    self.say(&format!("{head} begins: {} tasks on {at}", stage.tasks));
                }
                StageProgress::Done => {
                    let (at, took) = (place_of(stage), clock(elapsed_ms(stage)));
                    self.say(&format!("{head} done: {} tasks on {at} in {took}", stage.tasks));
                }
                StageProgress::Failed => self.say(&format!("{head} failed: {}", amount_of(stage))),
            }
        }
        let workers = workers_of(view);
        if self.last_workers != workers {
            self.say(&format!("workers {workers}"));
            self.last_workers = workers;
        }
        if self.is_due() {
            self.beat(&look.part, view, stages);
        }
    }

    fn beat(&mut self, part: &str, view: &RunView, stages: &[StageRecord]) {
        let running = |it: &&(usize, &StageRecord)| it.1.progress == StageProgress::Running;
        let stages: Vec<(usize, &StageRecord)> = stages.iter().enumerate().collect();
        let quarantined = view.state.as_ref().map_or(0, |state| state.quarantined);
        for (place, stage) in stages.iter().filter(running) {
            let head = head_of(part, (stage, *place), stages.len());
            let workers = view.workers.iter().filter(|worker| worker.is_living).count();
            let amount = amount_of(stage);
            self.say(&format!("{head} {amount} workers={workers} quarantined={quarantined}"));
        }
    }

    fn is_due(&mut self) -> bool {
        let is_due = self.said.elapsed() >= self.heartbeat;
        if is_due {
            self.said = Instant::now();
        }
        is_due
    }

    fn say(&self, text: &str) {
        say(&format!("{} {text}", Local::now().format("%H:%M:%S")));
    }
}

fn head_of(part: &str, (stage, place): (&StageRecord, usize), count: usize) -> String {
    let part = if part.is_empty() { String::new() } else { format!("{part} ") };
    format!("{part}stage {}/{count} {}", place + 1, name_of(stage))
}

impl Screen for Display {
    fn show(&mut self, look: &Look) -> Result<()> {
        if self.is_terminal {
            self.draw(look);
        } else {
            self.lines(look);
        }
        Ok(())
    }

    fn end(&mut self, _: &Look, _: Option<u8>) -> Result<()> {
        Ok(())
    }
}
