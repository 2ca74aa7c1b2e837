//! What checks have found, in the form in which it is kept.

use dataflow::Element;
use serde::{Deserialize, Serialize};

use super::check::{CheckLevel, Checks};

/// The version of the form of reports.
const VERSION: u32 = 1;
/// Findings that are kept; more of the same kind help nobody.
const FINDINGS_LIMIT: usize = 1000;

/// Something that is not as a check asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValidationFinding {
    /// The word of the check.
    pub check: String,
    /// What follows.
    pub level: CheckLevel,
    /// The variable; `None` where it is the store itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The index of the chunk, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<Vec<u64>>,
    /// What is not as it should be, in a sentence.
    pub message: String,
    /// How to mend it.
    pub mend: String,
    /// The files that feed the chunk, as far as that is known; the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// What was asked of a store, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct ValidationReport {
    /// The version of this form.
    pub v: u32,
    /// What was asked.
    pub checks: Checks,
    /// Chunks of which values were read.
    pub chunk_count: u64,
    /// How many findings let the job fail.
    pub error_count: u64,
    /// How many findings are only recorded.
    pub warning_count: u64,
    /// The first thousand, by check, variable and chunk.
    pub findings: Vec<ValidationFinding>,
}

impl ValidationReport {
    /// A report of nothing yet.
    pub fn new(checks: Checks) -> Self {
        let findings = Vec::new();
        Self { v: VERSION, checks, chunk_count: 0, error_count: 0, warning_count: 0, findings }
    }

    /// Adds a finding.
    ///
    /// Kept are those that come first in their order, whatever the order in which they are added;
    /// findings that let the job fail come before warnings.
    pub fn add(&mut self, finding: ValidationFinding) {
        match finding.level {
            CheckLevel::Error => self.error_count += 1,
            CheckLevel::Warn => self.warning_count += 1,
        }
        self.keep(finding);
    }

    /// Adds what another report says of other chunks of the same store.
    pub fn merge(&mut self, other: Self) {
        self.chunk_count += other.chunk_count;
        self.error_count += other.error_count;
        self.warning_count += other.warning_count;
        other.findings.into_iter().for_each(|finding| self.keep(finding));
    }

    fn keep(&mut self, finding: ValidationFinding) {
        let key = |it: &ValidationFinding| std::cmp::Reverse(it.level);
        let place = self.findings.partition_point(|it| (key(it), it) < (key(&finding), &finding));
        self.findings.insert(place, finding);
        self.findings.truncate(FINDINGS_LIMIT);
    }

    /// Whether nothing was found that lets the job fail.
    pub fn is_passed(&self) -> bool {
        self.error_count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: CheckLevel, chunk: u64) -> ValidationFinding {
        ValidationFinding {
            check: "no-nan-chunks".to_owned(),
            level,
            variable: Some("t".to_owned()),
            chunk: Some(vec![chunk]),
            message: "every element is missing".to_owned(),
            mend: "bake again".to_owned(),
            files: vec!["a.nc".to_owned()],
        }
    }

    #[test]
    fn the_first_findings_are_kept_in_whatever_order_they_come() {
        let mut report = ValidationReport::new(Checks::default());
        (0..1500).rev().for_each(|chunk| report.add(finding(CheckLevel::Error, chunk)));
        report.add(finding(CheckLevel::Warn, 0));
        assert_eq!((report.error_count, report.warning_count), (1500, 1));
        let chunks: Vec<u64> =
            report.findings.iter().map(|it| it.chunk.as_deref().expect("one")[0]).collect();
        assert_eq!(chunks, (0..1000).collect::<Vec<_>>());
        assert!(!report.is_passed());
    }

    #[test]
    fn reports_of_parts_make_that_of_the_whole() {
        let report_of = |chunks: std::ops::Range<u64>| {
            let mut report = ValidationReport::new(Checks::default());
            report.chunk_count = 2 * (chunks.end - chunks.start);
            chunks.for_each(|chunk| report.add(finding(CheckLevel::Error, chunk)));
            report
        };
        let mut merged = report_of(900..2400);
        merged.merge(report_of(0..900));
        assert_eq!(merged, report_of(0..2400));
    }

    #[test]
    fn the_form_is_the_one_that_was_published() {
        let mut report = ValidationReport::new("cf,warn:no-nan-chunks".parse().expect("checks"));
        report.chunk_count = 2;
        report.add(finding(CheckLevel::Warn, 1));
        let published = include_str!("validation.v1.json");
        let written = serde_json::to_string_pretty(&report).expect("JSON");
        assert_eq!(written, published.trim_end());
        assert_eq!(serde_json::from_str::<ValidationReport>(published).expect("reads"), report);
    }
}
