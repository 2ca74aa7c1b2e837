//! What jobs print, as CloudWatch Logs tells it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, PipeReader};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::clock::now_ms;
use crate::world::World;

const GROUP: &str = "/aws/batch/job";
const PAGE_EVENTS: usize = 10_000;
const PAGE_BYTES: usize = 1 << 20;
/// What the service counts for an event besides its text.
const EVENT_BYTES: usize = 26;

#[derive(Debug)]
struct Event {
    at_ms: u64,
    text: String,
}

/// The lines of one stream; a thread adds to them while a job runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream(Arc<Mutex<Vec<Event>>>);

/// All streams, by name.
pub(crate) type Logs = BTreeMap<String, Stream>;

impl Stream {
    /// Takes the lines of a pipe until everybody has closed its other end.
    pub(crate) fn follow(&self, pipe: PipeReader) {
        let stream = self.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                let event = Event { at_ms: now_ms(), text };
                stream.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                line.clear();
            }
        });
    }

    /// At most a page of events, and the place after the last of them.
    fn page(&self, ask: Ask<'_>) -> Answer<Value> {
        let limit = ask.number("limit")?.map_or(PAGE_EVENTS, |it| usize::try_from(it).unwrap_or(0));
        if !(1..=PAGE_EVENTS).contains(&limit) {
            return Err(invalid("limit must be between 1 and 10000"));
        }
        let from_head = ask.flag("startFromHead")?.unwrap_or(false);
        let (from_ms, to_ms) = (ask.number("startTime")?, ask.number("endTime")?);
        let is_meant = |event: &Event| {
            let at_ms = i64::try_from(event.at_ms).unwrap_or(i64::MAX);
            from_ms.is_none_or(|from| at_ms >= from) && to_ms.is_none_or(|to| at_ms < to)
        };
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let events: Vec<&Event> = events.iter().filter(|event| is_meant(event)).collect();
        let (start, end) = match ask.maybe_text("nextToken")? {
            Some(token) => match token.split_at_checked(2) {
                Some(("f/", at)) => forward(&events, place(at)?, limit),
                Some(("b/", at)) => backward(&events, place(at)?, limit),
                _ => return Err(invalid("The specified nextToken is invalid.")),
            },
            None if from_head => forward(&events, 0, limit),
            None => backward(&events, events.len(), limit),
        };
        let shown: Vec<Value> = events[start..end]
            .iter()
            .map(|it| json!({"timestamp": it.at_ms, "message": it.text, "ingestionTime": it.at_ms}))
            .collect();
        Ok(json!({
            "events": shown,
            "nextForwardToken": format!("f/{end:056}"),
            "nextBackwardToken": format!("b/{start:056}"),
        }))
    }
}

pub(crate) fn get_events(world: &mut World, ask: Ask<'_>) -> Answer {
    let group = ask.maybe_text("logGroupName")?.or(ask.maybe_text("logGroupIdentifier")?);
    if group.is_none_or(|group| group != GROUP && !group.ends_with(":/aws/batch/job")) {
        return Err(missing("The specified log group does not exist."));
    }
    let stream = world.logs.get(ask.text("logStreamName")?);
    stream.ok_or_else(|| missing("The specified log stream does not exist."))?.page(ask)
}

fn forward(events: &[&Event], start: usize, limit: usize) -> (usize, usize) {
    let start = start.min(events.len());
    (start, start + fitting(events[start..].iter(), limit))
}

fn backward(events: &[&Event], end: usize, limit: usize) -> (usize, usize) {
    let end = end.min(events.len());
    (end - fitting(events[..end].iter().rev(), limit), end)
}

/// How many of these fit on a page; one always does.
fn fitting<'a>(events: impl Iterator<Item = &'a &'a Event>, limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |(place, event): &(usize, &&Event)| {
        bytes += event.text.len() + EVENT_BYTES;
        *place == 0 || bytes <= PAGE_BYTES
    };
    events.take(limit).enumerate().take_while(fits).count()
}

fn place(token: &str) -> Answer<usize> {
    token.parse().map_err(|_| invalid("The specified nextToken is invalid."))
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "InvalidParameterException", message)
}

fn missing(message: &str) -> Refusal {
    Refusal::new(400, "ResourceNotFoundException", message)
}
