//! What goes wrong with which requests, and how often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::loopback::pattern;
use crate::loopback::random::Draw;
use crate::operation::Operation;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// The server does it, and the client is told 500.
    After500,
    /// The server does it, and the connection is closed.
    DropAfter,
    /// The server hears nothing, and the connection is closed.
    DropBefore,
    /// The server hears nothing, and the client is told 409 `ConditionalRequestConflict`.
    Conflict409,
    /// The server hears nothing, and the client is told 500.
    Before500,
    /// The server hears nothing, and the client is told 503 `SlowDown`, so often in a row as
    /// `burst` says.
    SlowDown,
    /// The server hears nothing, and the client is told 400 `ExpiredToken`.
    ExpiredToken,
    /// The connection is closed in the middle of the body of the answer.
    Truncate,
    /// The server hears nothing, and the client is told what the same request was answered before, or
    /// that there is no such object.
    Stale,
    /// The request is passed on `delay_s` later.
    Latency,
    /// The server hears nothing, and the client is told `status` and `code`, and with `region` that the
    /// bucket is there.
    Refuse,
}

/// What a client is told that is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) region: Option<String>,
}

/// One rule: a mode, and the requests that it meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) mode: Mode,
    /// The method of HTTP; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// A pattern of S3's names of operations; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    op: Option<String>,
    /// A pattern of keys; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Spares what is signed with this access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unless_access_key: Option<String>,
    /// Whether it meets requests that must not replace an object, and those alone.
    #[serde(default)]
    create: bool,
    /// The share of what it meets that it applies to; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    /// How often it applies at the most; without limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    /// How often it applies to one key at the most; without limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times_per_key: Option<u64>,
    /// Requests in a row that it applies to, once it does; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<u64>,
    /// What `refuse` tells: 403 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The code of S3 that it tells: `AccessDenied` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The region in which it says that the bucket is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default)]
    delay_s: f64,
    /// Up to so much more, drawn for each request.
    #[serde(default)]
    jitter_s: f64,
}

#[derive(Debug, Clone)]
struct Standing {
    rule: Rule,
    met_count: u64,
    applied_count: u64,
    /// Requests that it still applies to because of its burst.
    burst_left: u64,
    /// How often each operation on a key was met, and how often the rule applied to it.
    by_key: BTreeMap<(String, String), (u64, u64)>,
}

/// What befalls one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fate {
    pub(crate) delay_s: f64,
    pub(crate) mode: Option<Mode>,
    /// What is told, where that is up to the rule.
    pub(crate) refusal: Option<Refusal>,
}

/// The rules that stand.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    draw: Draw,
    all: Vec<Standing>,
}

impl Rules {
    pub(crate) fn new(seed: u64, rules: Vec<Rule>) -> Self {
        let mut new = Self { draw: Draw::new(seed), all: Vec::new() };
        new.replace(rules);
        new
    }

    /// Puts these rules in place of all others.
    pub(crate) fn replace(&mut self, rules: Vec<Rule>) {
        let standing = |rule| Standing {
            rule,
            met_count: 0,
            applied_count: 0,
            burst_left: 0,
            by_key: BTreeMap::new(),
        };
        self.all = rules.into_iter().map(standing).collect();
    }

    /// What befalls a request: all latencies together, and the first other rule that applies.
    ///
    /// Chance is drawn by the operation, the key and how often both were met: the order of requests
    /// on other keys does not matter.
    pub(crate) fn fate(&mut self, operation: &Operation) -> Fate {
        let mut fate = Fate { delay_s: 0.0, mode: None, refusal: None };
        for (place, standing) in self.all.iter_mut().enumerate() {
            let is_latency = standing.rule.mode == Mode::Latency;
            if (!is_latency && fate.mode.is_some()) || !standing.rule.meets(operation) {
                continue;
            }
            let draw = self.draw.nth(place as u64);
            if !standing.applies(draw, operation) {
                continue;
            }
            if is_latency {
                fate.delay_s += standing.rule.delay_s(draw.of("jitter").nth(standing.met_count));
            } else {
                fate.mode = Some(standing.rule.mode);
                fate.refusal = standing.rule.refusal();
            }
        }
        fate
    }

    /// Whether answers must be remembered.
    pub(crate) fn has_stale(&self) -> bool {
        self.all.iter().any(|it| it.rule.mode == Mode::Stale)
    }

    /// The rules, and how often each was met and applied.
    pub(crate) fn to_json(&self) -> Value {
        let shown = self.all.iter().map(|it| {
            let mut shown = json!(it.rule);
            shown["met"] = it.met_count.into();
            shown["applied"] = it.applied_count.into();
            shown
        });
        shown.collect()
    }
}

impl Rule {
    fn meets(&self, operation: &Operation) -> bool {
        let is = |pattern: &Option<String>, text: &str| {
            pattern.as_deref().is_none_or(|pattern| pattern::matches(pattern, text))
        };
        is(&self.method, &operation.method)
            && is(&self.op, operation.name)
            && is(&self.key, &operation.key)
            && (operation.is_create || !self.create)
            && (self.unless_access_key.is_none() || self.unless_access_key != operation.access_key)
    }

    fn refusal(&self) -> Option<Refusal> {
        let code = self.code.clone().unwrap_or_else(|| "AccessDenied".to_owned());
        let refusal =
            Refusal { status: self.status.unwrap_or(403), code, region: self.region.clone() };
        (self.mode == Mode::Refuse).then_some(refusal)
    }

    fn delay_s(&self, draw: Draw) -> f64 {
        // In whole microseconds, which is finer than any clock that matters here.
        let jitter_us = (self.jitter_s.max(0.0) * 1e6) as u64;
        self.delay_s.max(0.0) + draw.below(jitter_us + 1) as f64 / 1e6
    }
}

impl Standing {
    /// Counts a request that the rule meets, and says whether it applies to it.
    fn applies(&mut self, draw: Draw, operation: &Operation) -> bool {
        let Self { rule, met_count, applied_count, burst_left, by_key } = self;
        let of_key = by_key.entry((operation.name.to_owned(), operation.key.clone())).or_default();
        let draw = draw.of(operation.name).of(&operation.key).nth(of_key.0);
        *met_count += 1;
        of_key.0 += 1;
        if rule.times.is_some_and(|times| *applied_count >= times)
            || rule.times_per_key.is_some_and(|times| of_key.1 >= times)
        {
            return false;
        }
        if *burst_left > 0 {
            *burst_left -= 1;
        } else if rule.probability.is_none_or(|share| draw.chance(share)) {
            *burst_left = rule.burst.unwrap_or(1).saturating_sub(1);
        } else {
            return false;
        }
        *applied_count += 1;
        of_key.1 += 1;
        true
    }
}
