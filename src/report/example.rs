//! A report as it is checked in: what is written stays what others read.

use crate::report::failures::{FailureIndex, FailureRecord};
use crate::report::model::{REPORT_VERSION, Report};

/// The report of a bake that failed, of version 1 of the form.
pub(super) const REPORT: &str = include_str!("report.v1.json");
const FAILURE: &str = include_str!("failure.v1.json");
const INDEX: &str = include_str!("failures.v1.json");

/// Reads the example.
pub(super) fn report() -> Report {
    serde_json::from_str(REPORT).expect("the example is a report")
}

#[track_caller]
fn check_same<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) {
    let value: T = serde_json::from_str(text).expect("the example has this form");
    let written = serde_json::to_string_pretty(&value).expect("it has JSON");
    assert_eq!(written, text.trim_end(), "the form has changed: that needs a new version");
}

#[test]
fn the_forms_of_version_1_are_read_and_written_as_they_were() {
    assert_eq!(report().v, REPORT_VERSION);
    check_same::<Report>(REPORT);
    check_same::<FailureRecord>(FAILURE);
    check_same::<FailureIndex>(INDEX);
}
