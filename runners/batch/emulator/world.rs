//! All that the emulator knows, and checks that several operations share.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::clock::now_ms;
use crate::control::Calls;
use crate::definitions::Definitions;
use crate::jobs::Jobs;
use crate::logs::Logs;
use crate::loopback::random::Draw;
use crate::options::Options;
use crate::places::{Environment, Queue, create_pair};
use crate::rules::Rules;

const NAME_CHARACTERS: usize = 128;

/// Everything, behind one lock.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Arc<Options>,
    /// Host and port of the emulator itself.
    pub(crate) address: String,
    pub(crate) draw: Draw,
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) queues: BTreeMap<String, Queue>,
    pub(crate) definitions: Definitions,
    pub(crate) jobs: Jobs,
    pub(crate) logs: Logs,
    pub(crate) rules: Rules,
    pub(crate) calls: Calls,
    pub(crate) id_count: u64,
    bucket: Bucket,
}

/// Requests that may still be answered, refilled at a rate.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_ms: u64,
}

impl World {
    /// An empty world, but for the queues that were asked for.
    pub(crate) fn new(options: Arc<Options>, address: String) -> Answer<Self> {
        let draw = Draw::new(options.seed);
        let bucket = Bucket { tokens: options.rate, filled_ms: now_ms() };
        let mut world = Self {
            options,
            address,
            draw,
            environments: BTreeMap::new(),
            queues: BTreeMap::new(),
            definitions: Definitions::new(),
            jobs: Jobs::default(),
            logs: Logs::default(),
            rules: Rules::new(draw),
            calls: Calls::default(),
            id_count: 0,
            bucket,
        };
        for name in Arc::clone(&world.options).create_queue.iter() {
            create_pair(&mut world, name)?;
        }
        Ok(world)
    }

    /// An id that looks as those of the service do; the n-th is the same for one seed.
    pub(crate) fn next_id(&mut self) -> String {
        self.id_count += 1;
        let draw = self.draw.of("id").nth(self.id_count);
        let [a, b] = [draw.nth(1), draw.nth(2)].map(|it| it.below(u64::MAX));
        let (a, b) = (format!("{a:016x}"), format!("{b:016x}"));
        format!("{}-{}-4{}-a{}-{}", &a[..8], &a[8..12], &a[13..16], &b[..3], &b[4..16])
    }

    /// Whether one more request is within the rate.
    pub(crate) fn take_token(&mut self) -> bool {
        let (rate, now) = (self.options.rate, now_ms());
        let bucket = &mut self.bucket;
        let passed_s = now.saturating_sub(bucket.filled_ms) as f64 / 1000.0;
        bucket.tokens = (bucket.tokens + rate * passed_s).min(rate.max(1.0));
        bucket.filled_ms = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

pub(crate) fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:batch:us-east-1:123456789012:{kind}/{name}")
}

/// Refuses a name that is not of letters, digits, `-` and `_`, or too long.
pub(crate) fn check_name(what: &str, name: &str) -> Answer<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if starts_well && name.chars().all(is_valid) && name.len() <= NAME_CHARACTERS {
        return Ok(());
    }
    let pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$";
    Err(Refusal::client(format!("{what} should match valid pattern {pattern}: {name}")))
}

/// Refuses a request whose JSON is longer than the service takes.
pub(crate) fn check_size(ask: Ask<'_>, limit_bytes: usize, message: &str) -> Answer<()> {
    let length = serde_json::to_vec(ask.0).map_or(usize::MAX, |bytes| bytes.len());
    if length > limit_bytes { Err(Refusal::client(message)) } else { Ok(()) }
}

/// The timeout of an attempt, in seconds, if one was asked for.
pub(crate) fn check_timeout(ask: Ask<'_>, min_s: u64) -> Answer<Option<u64>> {
    let Some(timeout) = ask.object("timeout")? else { return Ok(None) };
    let Some(seconds) = timeout.number("attemptDurationSeconds")? else { return Ok(None) };
    match u64::try_from(seconds) {
        Ok(seconds) if seconds >= min_s => Ok(Some(seconds)),
        _ => Err(Refusal::client("attemptDurationSeconds should be at least 60 seconds")),
    }
}
