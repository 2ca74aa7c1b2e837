//! What is said of references: before they are written, and when they are.

use levain::bake::{BakePlan, Referred};
use levain::chunks::ByteSize;
use levain::job::BakeReport;
use levain::r#virtual::WrittenReferences;
use serde_json::{Value, json};

use crate::cli::bake::plan_head;
use crate::cli::table::{Table, count, shape};

/// What came of a run, in a line.
pub(crate) fn finished_text(
    report: &BakeReport,
    written: &WrittenReferences,
    seconds: f64,
) -> String {
    format!(
        "finished   {}   {} variables, references to {} chunks of {}, {} held of {}, in {} objects \
         of {}   {seconds:.1} s",
        report.destination,
        report.plan.variables.len(),
        count(written.range_count),
        ByteSize(written.range_bytes),
        count(written.inline_count),
        ByteSize(written.inline_bytes),
        count(written.object_count),
        ByteSize(written.written_bytes),
    )
}

/// The same as JSON.
pub(crate) fn written_json(written: &WrittenReferences) -> Value {
    json!({
        "ranges": written.range_count,
        "range_bytes": written.range_bytes,
        "inline": written.inline_count,
        "inline_bytes": written.inline_bytes,
        "absent": written.absent_count,
        "objects": written.object_count,
        "written_bytes": written.written_bytes,
    })
}

/// What references there would be.
pub(crate) fn plan_text(title: &str, plan: &BakePlan, referred: &[Referred]) -> String {
    let head =
        ["VARIABLE", "DTYPE", "SHAPE", "CHUNKS", "CODECS", "RANGES", "HELD", "OF", "ABSENT", "WHY"];
    let mut table = Table::new(head).with_right(&[5, 6, 7, 8]);
    for it in referred {
        table.row([
            it.name.clone(),
            it.dtype.to_string(),
            shape(&it.shape),
            shape(&it.chunk_shape),
            if it.codecs.is_empty() { "-".to_owned() } else { it.codecs.join("+") },
            count(it.range_count),
            count(it.inline_count),
            ByteSize(it.inline_bytes).to_string(),
            count(it.absent_count),
            it.why.clone().unwrap_or_default(),
        ]);
    }
    let ranges = referred.iter().map(|it| it.range_count).sum();
    let held = referred.iter().map(|it| it.inline_bytes).sum();
    format!(
        "{}{table}{} references, {} held\nnothing was written\n",
        plan_head(title, plan),
        count(ranges),
        ByteSize(held)
    )
}

/// The same as JSON.
pub(crate) fn plan_json(referred: &[Referred]) -> Value {
    let variables = referred.iter().map(|it| {
        json!({
            "name": it.name,
            "dtype": it.dtype.to_string(),
            "shape": it.shape,
            "chunk_shape": it.chunk_shape,
            "codecs": it.codecs,
            "ranges": it.range_count,
            "inline": it.inline_count,
            "inline_bytes": it.inline_bytes,
            "absent": it.absent_count,
            "why": it.why,
        })
    });
    variables.collect()
}
