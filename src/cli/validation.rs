//! What checks of a store have found, for people.

use levain::bake::ValidationReport;

use crate::cli::out::say;
use crate::cli::table::count;

/// Findings that are printed for people.
const SHOWN: usize = 20;

/// What came of the checks, in a line.
pub(crate) fn validation_text(report: &ValidationReport) -> String {
    let verdict = match (report.error_count, report.warning_count) {
        (0, 0) => "ok".to_owned(),
        (0, warnings) => format!("ok, {} warnings", count(warnings)),
        (errors, 0) => format!("FAIL, {} findings", count(errors)),
        (errors, warnings) => {
            format!("FAIL, {} findings and {} warnings", count(errors), count(warnings))
        }
    };
    let read = match report.chunk_count {
        0 => "no values were read".to_owned(),
        chunks => format!("values of {} chunks were read", count(chunks)),
    };
    format!("validated  {}: {verdict}   {read}", report.checks)
}

/// Says the first findings, each with where it is and how to mend it.
pub(crate) fn say_findings(report: &ValidationReport) {
    for finding in report.findings.iter().take(SHOWN) {
        let level = match finding.level {
            levain::bake::CheckLevel::Warn => "warning",
            levain::bake::CheckLevel::Error => "FAIL",
        };
        let variable = finding.variable.as_deref().unwrap_or("the store");
        let chunk = finding.chunk.as_ref().map_or(String::new(), |index| format!(" {index:?}"));
        say(&format!("  {level}: {}: {variable}{chunk}: {}", finding.check, finding.message));
        if let [first, more @ ..] = finding.files.as_slice() {
            let more = match more.len() {
                0 => String::new(),
                others => format!(" and {} more", count(others as u64)),
            };
            say(&format!("    fed by {first}{more}"));
        }
        say(&format!("    {}", finding.mend));
    }
    if let Some(more) = report.findings.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        say(&format!("  and {} more", count(more as u64)));
    }
}
