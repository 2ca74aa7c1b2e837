//! Faults: what goes wrong, where, and how often.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::Job;
use crate::loopback::pattern;
use crate::loopback::random::Draw;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An operation is answered 429.
    Throttle,
    /// An operation is answered 403: the token has expired.
    Expired,
    /// An operation is answered 403: it is not allowed.
    Denied,
    /// An operation is answered 500, and not done.
    Server500,
    /// An operation is not done, and the connection closed.
    DropBefore,
    /// An operation is done, and the connection closed.
    DropAfter,
    /// An operation is answered `delay_s` later.
    Latency,
    /// The machine of a job goes away `after_s`, `notice_s` after a notice.
    SpotKill,
    /// A job is killed `after_s` as if it had taken too much memory.
    OomKill,
    /// A job is killed `after_s`, and nobody says why.
    Sigkill137,
    /// A job stands still from `after_s` on, for `for_s`.
    Freeze,
    /// A job's image cannot be pulled.
    TaskFailedToStart,
    /// A job gets to STARTING `delay_s` later.
    SlowStart,
    /// Jobs stay RUNNABLE, with `reason` if there is one, while the rule stands.
    Stuck,
    /// A job is forgotten `after_s` after its end.
    Vanish,
    /// The compute environment `name` is INVALID while the rule stands.
    CeInvalid,
    /// The queue `name` is DISABLED while the rule stands.
    QueueDisabled,
}

/// One rule: a kind of fault, and what it meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    /// The operation, in any case; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    op: Option<String>,
    /// Spares what is signed with this access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unless_access_key: Option<String>,
    /// A pattern of names of jobs; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// The child of an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// The attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<usize>,
    /// The queue or compute environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default)]
    pub(crate) after_s: f64,
    #[serde(default)]
    pub(crate) for_s: f64,
    #[serde(default)]
    pub(crate) notice_s: f64,
    #[serde(default)]
    pub(crate) delay_s: f64,
    /// Whether the notice comes as SIGTERM, too.
    #[serde(default)]
    pub(crate) sigterm: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The share of what it meets that it applies to; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    /// How often it applies at the most: once by default, without limit with a probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
}

#[derive(Debug, Clone)]
struct Standing {
    rule: Rule,
    met_count: u64,
    applied_count: u64,
}

/// The rules that stand.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    draw: Draw,
    all: Vec<Standing>,
}

impl Rules {
    pub(crate) fn new(draw: Draw) -> Self {
        Self { draw: draw.of("rules"), all: Vec::new() }
    }

    /// Puts these rules in place of all others.
    pub(crate) fn replace(&mut self, rules: Vec<Rule>) {
        let standing = |rule| Standing { rule, met_count: 0, applied_count: 0 };
        self.all = rules.into_iter().map(standing).collect();
    }

    /// The rule of this kind that now applies to an operation.
    pub(crate) fn on_operation(&mut self, kind: Kind, operation: &str) -> Option<Rule> {
        let draw = self.draw.of(operation);
        self.apply(kind, |rule, met_count| rule.is_about(operation).then(|| draw.nth(met_count)))
    }

    /// The rule by which an operation is refused because of the key that it is signed with.
    pub(crate) fn on_key(&mut self, operation: &str, access_key: Option<&str>) -> Option<Rule> {
        let draw = self.draw.of(operation);
        self.apply(Kind::Expired, |rule, met_count| {
            let is_spared =
                rule.unless_access_key.is_some() && rule.unless_access_key.as_deref() == access_key;
            (rule.is_about(operation) && !is_spared).then(|| draw.nth(met_count))
        })
    }

    /// The rule of this kind that now applies to the attempt of a job that comes next or runs.
    pub(crate) fn on_job(&mut self, kind: Kind, job: &Job) -> Option<Rule> {
        let attempt = job.attempt_number();
        let draw = self.draw.of(&job.place(attempt));
        self.apply(kind, |rule, _| rule.meets(job, attempt).then_some(draw))
    }

    /// The rule by which a job stays RUNNABLE.
    pub(crate) fn stuck(&self, job: &Job) -> Option<&Rule> {
        let rules = self.all.iter().map(|it| &it.rule);
        rules.filter(|rule| rule.kind == Kind::Stuck).find(|it| it.meets(job, job.attempt_number()))
    }

    /// Whether a rule of this kind stands for a queue or compute environment.
    pub(crate) fn stands(&self, kind: Kind, name: &str) -> bool {
        let is_meant = |rule: &Rule| rule.name.as_deref().is_none_or(|it| it == name);
        self.all.iter().any(|it| it.rule.kind == kind && is_meant(&it.rule))
    }

    /// The rules, and how often each was met and applied.
    pub(crate) fn to_json(&self) -> Value {
        let shown = self.all.iter().map(|it| {
            let mut shown = serde_json::to_value(&it.rule).unwrap_or_default();
            shown["met"] = it.met_count.into();
            shown["applied"] = it.applied_count.into();
            shown
        });
        shown.collect()
    }

    /// The first rule that `meets` something and has its turn.
    fn apply(&mut self, kind: Kind, meets: impl Fn(&Rule, u64) -> Option<Draw>) -> Option<Rule> {
        for (place, standing) in self.all.iter_mut().enumerate() {
            let Standing { rule, met_count, applied_count } = standing;
            let limit = rule.times.unwrap_or(if rule.probability.is_some() { u64::MAX } else { 1 });
            if rule.kind != kind || *applied_count >= limit {
                continue;
            }
            let Some(draw) = meets(rule, *met_count) else { continue };
            *met_count += 1;
            if rule.probability.is_none_or(|share| draw.nth(place as u64).chance(share)) {
                *applied_count += 1;
                return Some(rule.clone());
            }
        }
        None
    }
}

impl Rule {
    fn is_about(&self, operation: &str) -> bool {
        let op = self.op.as_deref().unwrap_or("*");
        op == "*" || op.eq_ignore_ascii_case(operation)
    }

    fn meets(&self, job: &Job, attempt: usize) -> bool {
        self.job.as_deref().is_none_or(|it| pattern::matches(it, &job.spec.name))
            && self.index.is_none_or(|index| job.key.index == Some(index))
            && self.attempt.is_none_or(|it| it == attempt)
    }
}
