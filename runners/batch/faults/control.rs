//! The control plane: rules are set, counts are read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::operation::Operation;
use crate::past::Past;
use crate::rules::{Fate, Mode, Rule, Rules};

/// What was seen of one operation.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    requests: u64,
    forwarded: u64,
    sent_bytes: u64,
    received_bytes: u64,
}

/// Places that are remembered; requests for others are counted as one.
const PLACES_LIMIT: usize = 100_000;

/// Rules and counts, behind one lock.
#[derive(Debug)]
pub(crate) struct State {
    rules: Rules,
    operations: BTreeMap<&'static str, Seen>,
    modes: BTreeMap<String, u64>,
    pub(crate) past: Past,
    /// How often each operation was asked for, by the key or the prefix that it was about.
    places: BTreeMap<(&'static str, String), u64>,
}

impl State {
    pub(crate) fn new(rules: Rules) -> Self {
        let (operations, modes, places) = Default::default();
        Self { rules, operations, modes, past: Past::default(), places }
    }

    /// Counts a request, and says what befalls it.
    pub(crate) fn fate(&mut self, operation: &Operation) -> Fate {
        self.operations.entry(operation.name).or_default().requests += 1;
        let is_full = self.places.len() >= PLACES_LIMIT;
        let place = if is_full { "...".to_owned() } else { operation.place.clone() };
        *self.places.entry((operation.name, place)).or_default() += 1;
        let fate = self.rules.fate(operation);
        let modes = fate.mode.into_iter().chain((fate.delay_s > 0.0).then_some(Mode::Latency));
        for mode in modes {
            let name = json!(mode).as_str().unwrap_or_default().to_owned();
            *self.modes.entry(name).or_default() += 1;
        }
        fate
    }

    /// Whether answers must be remembered.
    pub(crate) fn remembers(&self) -> bool {
        self.rules.has_stale()
    }

    /// Counts a request that the server has answered, by the bytes of the bodies.
    pub(crate) fn forwarded(&mut self, operation: &Operation, sent: u64, received: u64) {
        let seen = self.operations.entry(operation.name).or_default();
        seen.forwarded += 1;
        seen.sent_bytes += sent;
        seen.received_bytes += received;
    }

    /// The status and the body of an answer to what is asked below `/_faults`.
    pub(crate) fn answer(&mut self, path: &str, body: &[u8]) -> (u16, Value) {
        match path {
            "/_faults/state" => (200, self.to_json()),
            "/_faults/places" => (200, self.places_json()),
            "/_faults/rules" => match parse(body) {
                Ok(rules) => {
                    let count = rules.len();
                    self.rules.replace(rules);
                    (200, json!({"rules": count}))
                }
                Err(message) => (400, json!({"message": message})),
            },
            "/_faults/reset" => {
                self.rules.replace(Vec::new());
                self.operations.clear();
                self.modes.clear();
                self.places.clear();
                (200, json!({}))
            }
            _ => (404, json!({"message": format!("no {path} here")})),
        }
    }

    fn places_json(&self) -> Value {
        let shown = self.places.iter().map(|((operation, place), count)| {
            json!({"op": operation, "place": place, "requests": count})
        });
        json!({"places": shown.collect::<Vec<_>>()})
    }

    fn to_json(&self) -> Value {
        let operations = self.operations.iter().map(|(name, seen)| {
            let Seen { requests, forwarded, sent_bytes, received_bytes } = seen;
            let shown = json!({
                "requests": requests, "forwarded": forwarded,
                "sentBytes": sent_bytes, "receivedBytes": received_bytes,
            });
            ((*name).to_owned(), shown)
        });
        let operations: Map<String, Value> = operations.collect();
        json!({"operations": operations, "faults": self.modes, "rules": self.rules.to_json()})
    }
}

/// The rules of a body `{"rules": [...]}`.
fn parse(body: &[u8]) -> Result<Vec<Rule>, String> {
    #[derive(serde::Deserialize)]
    struct Asked {
        rules: Vec<Rule>,
    }
    serde_json::from_slice::<Asked>(body).map(|asked| asked.rules).map_err(|it| it.to_string())
}
