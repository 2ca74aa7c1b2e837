//! Writes a report into the folder of its run.

use bytes::Bytes;
use dataflow::error::{Error, Result};
use objects::Objects;
use serde::Serialize;

use crate::report::failures::{FAILURE_VERSION, FailureIndex, FailureRecord};
use crate::report::model::Report;
use crate::report::page::page;

/// Writes `report.json`, `report.html`, and `failures/` where something failed.
///
/// # Errors
/// A store that fails.
pub fn write_report(run: &Objects, report: &Report, failures: &[FailureRecord]) -> Result<()> {
    let mut pending = vec![
        run.put("report.json", json("report.json", report)?),
        run.put("report.html", Bytes::from(page(report))),
    ];
    if report.failures.count > 0 {
        let index = FailureIndex {
            v: FAILURE_VERSION,
            run: report.run.id.clone(),
            count: report.failures.count,
            groups: report.failures.groups.clone(),
            records: failures.iter().map(|record| record.id.clone()).collect(),
        };
        pending.push(run.put("failures/index.json", json("failures/index.json", &index)?));
    }
    for record in failures {
        let key = format!("failures/{}.json", record.id);
        pending.push(run.put(&key, json(&key, record)?));
    }
    pending.into_iter().try_for_each(objects::Pending::wait)
}

fn json(key: &str, value: &impl Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec_pretty(value)
        .map_err(|why| Error::internal(format!("{key} has no JSON: {why}")))?;
    Ok(Bytes::from(body))
}
