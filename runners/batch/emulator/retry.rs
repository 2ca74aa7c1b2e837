//! How often a job is tried, and after what.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;

const ATTEMPTS: std::ops::RangeInclusive<i64> = 1..=10;
const CONDITIONS: usize = 5;
const PATTERN_CHARACTERS: usize = 512;

/// The retry strategy of a job.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    pub(crate) attempts: usize,
    conditions: Vec<Condition>,
}

/// An entry of `evaluateOnExit`: all that it names must hold.
#[derive(Debug, Clone)]
struct Condition {
    on_status_reason: Option<String>,
    on_reason: Option<String>,
    on_exit_code: Option<String>,
    is_retry: bool,
}

/// How an attempt has ended, as conditions see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) exit_code: Option<i32>,
    /// What the container says.
    pub(crate) reason: Option<String>,
    /// What the job says.
    pub(crate) status_reason: String,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, conditions: Vec::new() }
    }
}

impl Retry {
    pub(crate) fn parse(ask: Ask<'_>) -> Answer<Self> {
        let attempts = ask.number("attempts")?.unwrap_or(1);
        if !ATTEMPTS.contains(&attempts) {
            return Err(Refusal::client("Retry attempts must be between 1 and 10"));
        }
        let conditions = ask.objects("evaluateOnExit")?;
        if conditions.len() > CONDITIONS {
            return Err(Refusal::client("evaluateOnExit can contain at most 5 entries"));
        }
        let conditions = conditions.into_iter().map(Condition::parse).collect::<Answer<_>>()?;
        let attempts = usize::try_from(attempts).expect("between 1 and 10");
        Ok(Self { attempts, conditions })
    }

    /// Whether an attempt that ended so is repeated, if it was not the last.
    ///
    /// The first entry that holds decides; without one the job is tried again.
    pub(crate) fn retries(&self, ending: &Ending) -> bool {
        self.conditions.iter().find(|it| it.holds(ending)).is_none_or(|it| it.is_retry)
    }

    pub(crate) fn to_json(&self) -> Value {
        let conditions: Vec<Value> = self.conditions.iter().map(Condition::to_json).collect();
        json!({"attempts": self.attempts, "evaluateOnExit": conditions})
    }
}

impl Condition {
    fn parse(ask: Ask<'_>) -> Answer<Self> {
        let action = ask.text("action")?;
        let is_retry = action.eq_ignore_ascii_case("RETRY");
        if !is_retry && !action.eq_ignore_ascii_case("EXIT") {
            let message = format!("evaluateOnExit.action is {action}, not RETRY or EXIT");
            return Err(Refusal::client(message));
        }
        let pattern = |name: &str, is_allowed: fn(char) -> bool| -> Answer<Option<String>> {
            let Some(pattern) = ask.maybe_text(name)? else { return Ok(None) };
            let plain = pattern.strip_suffix('*').unwrap_or(pattern);
            if plain.chars().all(is_allowed) && pattern.len() <= PATTERN_CHARACTERS {
                return Ok(Some(pattern.to_owned()));
            }
            Err(Refusal::client(format!("evaluateOnExit.{name} is no valid pattern: {pattern}")))
        };
        let is_text = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | ' ' | '\t');
        Ok(Self {
            on_status_reason: pattern("onStatusReason", is_text)?,
            on_reason: pattern("onReason", is_text)?,
            on_exit_code: pattern("onExitCode", |c| c.is_ascii_digit())?,
            is_retry,
        })
    }

    fn holds(&self, ending: &Ending) -> bool {
        let code = ending.exit_code.map_or(String::new(), |code| code.to_string());
        let checks = [
            (&self.on_status_reason, ending.status_reason.as_str()),
            (&self.on_reason, ending.reason.as_deref().unwrap_or("")),
            (&self.on_exit_code, code.as_str()),
        ];
        checks.into_iter().all(|(pattern, text)| match pattern.as_deref() {
            None => true,
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(start) => text.starts_with(start),
                None => text == pattern,
            },
        })
    }

    fn to_json(&self) -> Value {
        let mut shown = json!({"action": if self.is_retry { "RETRY" } else { "EXIT" }});
        let named = [
            ("onStatusReason", &self.on_status_reason),
            ("onReason", &self.on_reason),
            ("onExitCode", &self.on_exit_code),
        ];
        for (name, pattern) in named {
            if let Some(pattern) = pattern {
                shown[name] = pattern.as_str().into();
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ending: (Option<i32>, Option<&str>, &str), want: bool) {
        let strategy = json!({"attempts": 5, "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onStatusReason": "Task failed to start*", "action": "retry"},
            {"onExitCode": "20*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"}]});
        let retry = Retry::parse(Ask(strategy.as_object().expect("an object"))).expect("valid");
        let (exit_code, reason, status_reason) = ending;
        let (reason, status_reason) = (reason.map(str::to_owned), status_reason.to_owned());
        assert_eq!(retry.retries(&Ending { exit_code, reason, status_reason }), want);
    }

    #[test]
    fn the_first_entry_that_holds_decides() {
        check((None, None, "Host EC2 (instance i-0) terminated."), true);
        check((None, Some("CannotPullContainerError: x"), "Task failed to start"), true);
        check((Some(202), None, "Essential container in task exited"), true);
        check((Some(20), None, "Essential container in task exited"), true);
        check((Some(2), None, "Essential container in task exited"), false);
        check(
            (Some(137), Some("OutOfMemoryError: x"), "Essential container in task exited"),
            false,
        );
    }

    #[test]
    fn without_an_entry_that_holds_a_job_is_tried_again() {
        assert!(Retry::default().retries(&Ending::default()));
    }
}
