//! What failed in a run: one record each, in groups of those that are alike.

use std::collections::BTreeMap;

use dataflow::error::{Error, ErrorKind};
use dataflow::runner::Failure;
use serde::{Deserialize, Serialize};

use crate::report::model::{FailureGroup, FailureSummary};

/// The version of failure records and of their index.
pub(crate) const FAILURE_VERSION: u32 = 1;
/// Failures that are kept; more are only counted.
const KEPT_LIMIT: usize = 1000;
/// Elements and records that a group names.
const NAMED: usize = 3;
/// The roles of an error under which it names what was read.
const SOURCE_ROLES: [&str; 5] = ["source", "file", "object", "url", "file 1"];
/// Bytes of a preview.
const PREVIEW_BYTES: usize = 2048;

/// What became of what failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// The run has failed with it.
    FailedRun,
    /// The element was left out, and the run went on.
    Quarantined,
    /// The source was left out before the run began to write.
    LeftOut,
    /// What the source should have given holds missing values.
    Filled,
}

/// All failures of a run: `failures/index.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureIndex {
    /// The version of this form.
    pub v: u32,
    /// The run.
    pub run: String,
    /// All there were, kept or not.
    pub count: u64,
    /// Groups of those that are alike.
    pub groups: Vec<FailureGroup>,
    /// The names of all records, in order.
    pub records: Vec<String>,
}

/// One failure: `failures/<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// The version of this form.
    pub v: u32,
    /// Its name within the run: `F1`.
    pub id: String,
    /// The group it belongs to.
    pub group: String,
    /// The code of the error.
    pub code: String,
    /// Whose error it is: `recipe`, `input`, `user`, `store`, `launcher`, `configuration`,
    /// `verification`, `engine`.
    pub class: String,
    /// What happened.
    pub message: String,
    /// What happened, then what it followed from, down to the root cause.
    pub chain: Vec<String>,
    /// The element, if it is one of an element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<FailedElement>,
    /// What was read.
    pub sources: Vec<FailedSource>,
    /// The step, if it is one of a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<FailedStep>,
    /// All places that the error names, by their roles.
    pub at: BTreeMap<String, String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether a later attempt may succeed.
    pub retryable: bool,
    /// What became of it.
    pub disposition: Disposition,
    /// How to mend it, if the error says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// Commands that look closer or go on.
    pub next: Vec<String>,
}

/// An element that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedElement {
    /// Its key, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it is recognised by; at most 2 KiB.
    pub preview: String,
}

/// Something that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedSource {
    /// Where it lies.
    pub url: String,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    /// Its last name.
    pub name: String,
    /// Its full name.
    pub path: String,
    /// The line of the recipe, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// The stage, as in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

#[derive(Debug, Clone)]
struct One {
    failure: Failure,
    stage: Option<String>,
    disposition: Disposition,
}

impl One {
    /// What it is ordered by: the same list however failures came.
    fn rank(&self) -> (Disposition, Option<&str>, String, Option<&str>, &str, Option<&str>) {
        let failure = &self.failure;
        let code = failure.error.code().to_string();
        let source = SOURCE_ROLES.iter().find_map(|role| failure.error.place(role));
        (self.disposition, failure.step(), code, failure.element(), failure.error.message(), source)
    }
}

/// Failures that are kept, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    all: Vec<One>,
    count: u64,
}

impl Kept {
    pub(super) fn push(
        &mut self,
        failure: Failure,
        stage: Option<String>,
        disposition: Disposition,
    ) {
        self.count += 1;
        let one = One { failure, stage, disposition };
        let place = self.all.partition_point(|known| known.rank() <= one.rank());
        if place < KEPT_LIMIT {
            self.all.insert(place, one);
            self.all.truncate(KEPT_LIMIT);
        }
    }

    /// Adds the error with which a run ends, unless a task has failed with it.
    pub(super) fn push_of_run(&mut self, error: &Error) {
        let is_same = |one: &One| {
            let known = &one.failure.error;
            known.code() == error.code() && known.message() == error.message()
        };
        if !self.all.iter().any(is_same) {
            self.push(Failure::new(error.clone(), 1), None, Disposition::FailedRun);
        }
    }

    /// All of them, in groups; `run` is how commands name the run, `resume` the command that goes
    /// on with it.
    pub(crate) fn records(
        &self,
        run: &str,
        resume: Option<&str>,
    ) -> (FailureSummary, Vec<FailureRecord>) {
        let mut groups: Vec<FailureGroup> = Vec::new();
        let mut places: BTreeMap<(Option<String>, String, String), usize> = BTreeMap::new();
        let mut records = Vec::new();
        for (number, one) in self.all.iter().enumerate() {
            let error = &one.failure.error;
            let code = error.code().to_string();
            let step = one.failure.step().map(str::to_owned);
            let likeness = (step.clone(), code.clone(), normal(error.message()));
            let place = *places.entry(likeness).or_insert(groups.len());
            if place == groups.len() {
                groups.push(FailureGroup {
                    id: format!("G{}", place + 1),
                    code: code.clone(),
                    step,
                    message: error.message().to_owned(),
                    mend: error.advice().map(str::to_owned),
                    count: 0,
                    first: Vec::new(),
                    records: Vec::new(),
                    next: next(&code, run, resume),
                });
            }
            let group = &mut groups[place];
            let record = record(one, format!("F{}", number + 1), group);
            group.count += 1;
            if group.records.len() < NAMED {
                group.records.push(record.id.clone());
                group.first.extend(name_of(&record));
            }
            records.push(record);
        }
        (FailureSummary { count: self.count, groups }, records)
    }
}

/// Commands that look closer or go on.
fn next(code: &str, run: &str, resume: Option<&str>) -> Vec<String> {
    let mut next = vec![format!("levain explain {code}"), format!("levain failures {run} --full")];
    next.extend(resume.map(str::to_owned));
    next
}

fn record(one: &One, id: String, group: &FailureGroup) -> FailureRecord {
    let (failure, error) = (&one.failure, &one.failure.error);
    let chain = std::iter::successors(Some(error), |error| error.cause());
    let preview = failure.element().map(|preview| cut(preview).to_owned());
    let element = preview.map(|preview| FailedElement { key: failure.key.clone(), preview });
    let sources = SOURCE_ROLES.iter().filter_map(|role| error.place(role));
    let step = failure.step().map(|path| FailedStep {
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        path: path.to_owned(),
        src: failure.recipe().map(str::to_owned),
        stage: one.stage.clone(),
    });
    FailureRecord {
        v: FAILURE_VERSION,
        id,
        group: group.id.clone(),
        code: error.code().to_string(),
        class: class_of(error).to_owned(),
        message: error.message().to_owned(),
        chain: chain.map(|error| error.message().to_owned()).collect(),
        element,
        sources: sources.map(|url| FailedSource { url: url.to_owned() }).collect(),
        step,
        at: error.places().map(|(role, place)| (role.to_owned(), cut(place).to_owned())).collect(),
        attempts: failure.attempts,
        retryable: error.is_transient(),
        disposition: one.disposition,
        mend: error.advice().map(str::to_owned),
        next: group.next.clone(),
    }
}

/// What a failure is recognised by.
fn name_of(record: &FailureRecord) -> Option<String> {
    let element = record
        .element
        .as_ref()
        .map(|element| element.key.clone().unwrap_or_else(|| element.preview.clone()));
    element.or_else(|| record.sources.first().map(|source| source.url.clone()))
}

/// Whose error it is.
pub(super) fn class_of(error: &Error) -> &'static str {
    match (error.kind(), error.code().number() / 100) {
        (ErrorKind::Cancelled, _) => "cancelled",
        (_, 1) => "recipe",
        (_, 2) => "input",
        (_, 3) => "user",
        (_, 4) => "store",
        (_, 5) => "launcher",
        (_, 6) => "configuration",
        (_, 7) => "verification",
        _ => "engine",
    }
}

/// A message without its numbers and names, so that the same mistake in two files is one group.
fn normal(message: &str) -> String {
    let mut normal = String::with_capacity(message.len());
    let mut is_quoted = false;
    for c in message.chars() {
        match c {
            '`' => {
                is_quoted = !is_quoted;
                normal.push(c);
            }
            _ if is_quoted => {}
            c if c.is_ascii_digit() => {
                if !normal.ends_with('#') {
                    normal.push('#');
                }
            }
            c => normal.push(c),
        }
    }
    normal
}

fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(PREVIEW_BYTES)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use dataflow::error::ErrorCode;

    use super::*;

    fn failure(file: u32, message: &str) -> Failure {
        let error = Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message);
        let error = error.at("source", format_args!("{file:04}.nc")).at("step", "bake/Open");
        Failure::new(error.at("element", format_args!("file {file:04}")).mend("fetch it again"), 1)
    }

    #[test]
    fn failures_that_are_alike_are_one_group_whatever_their_order() {
        let of = |order: &[u32]| {
            let mut kept = Kept::default();
            for &file in order {
                let message = format!("`v{file}` is cut short at byte {file}");
                let disposition = Disposition::Quarantined;
                kept.push(failure(file, &message), Some("write/s001".to_owned()), disposition);
            }
            kept.push_of_run(&Error::new(
                ErrorCode::STORE_FULL,
                ErrorKind::ResourceExhausted,
                "full",
            ));
            kept.records("RUN", Some("levain bake a b --resume"))
        };
        let (summary, records) = of(&[3, 1, 2, 4]);
        assert_eq!(of(&[4, 2, 1, 3]), (summary.clone(), records.clone()));
        assert_eq!(summary.count, 5);
        assert_eq!(summary.groups.len(), 2);
        let (full, corrupt) = (&summary.groups[0], &summary.groups[1]);
        assert_eq!((full.code.as_str(), full.count), ("E404", 1));
        assert_eq!((corrupt.code.as_str(), corrupt.count), ("E202", 4));
        assert_eq!(corrupt.first, ["file 0001", "file 0002", "file 0003"]);
        assert_eq!(corrupt.records, ["F2", "F3", "F4"]);
        assert_eq!(corrupt.next[2], "levain bake a b --resume");
        assert_eq!((records[1].class.as_str(), records[1].group.as_str()), ("input", "G2"));
    }

    #[test]
    fn a_flood_is_counted_and_the_same_thousand_are_kept() {
        let mut kept = Kept::default();
        for file in (0..3000).rev() {
            kept.push(failure(file, "cut short"), None, Disposition::LeftOut);
        }
        let (summary, records) = kept.records("RUN", None);
        assert_eq!((summary.count, records.len()), (3000, 1000));
        assert_eq!(records[999].sources[0].url, "0999.nc");
    }
}
