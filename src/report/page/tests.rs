//! What a page shows of a report.

use super::page;
use crate::report::example;
use crate::report::model::{ArrayOutput, CompletenessMap, FailureGroup, Span, WorkerRow};

#[test]
fn all_panels_are_there_in_reading_order_without_a_script() {
    let report = example::report();
    let html = page(&report);
    let heads = ["<h1>", "<h2>Stages", "<h2>Timeline", "<h2>Failures", "<h2>Completeness"];
    let places: Vec<usize> = heads.iter().filter_map(|head| html.find(head)).collect();
    assert_eq!(places.len(), heads.len());
    assert!(places.is_sorted());
    for foreign in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(html.contains(&report.run.id) && html.contains("exit code 1"));
    assert!(html.contains(&format!("<code>{}</code>", report.failures.groups[0].next[0])));
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert_eq!(html.matches("<table>").count(), html.matches("</table>").count());
}

#[test]
fn what_a_file_is_called_is_never_html() {
    let mut report = example::report();
    let evil = "<script>alert('x')</script>";
    report.run.destination = evil.to_owned();
    report.warnings.push(evil.to_owned());
    report.failures.groups[0].message = evil.to_owned();
    report.stages[0].steps = vec![evil.to_owned()];
    report.outputs.arrays[0].name = evil.to_owned();
    report.timeline.spans[0].worker = evil.to_owned();
    assert!(!page(&report).contains("<script"));
}

#[test]
fn a_page_stays_below_two_megabytes_whatever_the_run() {
    let mut report = example::report();
    let long = "a text of some length ".repeat(100);
    report.warnings = vec![long.clone(); 5000];
    let group = FailureGroup {
        message: long.clone(),
        mend: Some(long),
        ..report.failures.groups[0].clone()
    };
    report.failures.groups = vec![group; 1000];
    let rows = (0..48).map(|row| "#.o+".repeat(24)[row % 3..].to_owned() + "###").collect();
    let map = CompletenessMap {
        row_dimension: Some("time".to_owned()),
        row_units: 48,
        column_dimensions: vec!["lat".to_owned()],
        column_units: 96,
        rows,
    };
    let array =
        ArrayOutput { map: Some(map), missing: 1, expected: 9, ..report.outputs.arrays[0].clone() };
    report.outputs.arrays = vec![array; 1000];
    let worker = |number: u64| WorkerRow { name: format!("w{number}"), attempts: 1, busy_ms: 1 };
    report.workers = (0..1000).map(worker).collect();
    let span = |number: u64| Span {
        worker: format!("w{}", number % 64),
        from_ms: number,
        to_ms: number + 1,
        ..report.timeline.spans[0].clone()
    };
    report.timeline.spans = (0..4000).map(span).collect();
    report.stages = vec![report.stages[0].clone(); 200];
    let bytes = page(&report).len();
    assert!(bytes < 2_000_000, "{bytes}");
}
