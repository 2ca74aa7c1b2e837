//! `levain verify`: every chunk is there, is the one that was written, and decodes.

use std::time::Instant;

use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{VerifyLevel, VerifyReport, validate, validation_failure, verify_with_runs};
use levain::objects::Location;
use serde_json::json;

use crate::cli::args::VerifyArgs;
use crate::cli::exit::Verified;
use crate::cli::out::{Out, error_json, say};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::table::count;
use crate::cli::validation::{say_findings, validation_text};

/// Findings that are printed for people.
const SHOWN: usize = 20;

/// Checks a store and prints what is wrong.
pub(crate) fn verify(
    args: &VerifyArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Verified> {
    let location = Location::parse(&args.store)?;
    let threads = settled.threads(args.threads);
    let began = Instant::now();
    let stop = signals.token();
    let (store, level, runs) = (settled.store()?, args.level.parse()?, settled.run_store());
    let report = verify_with_runs(&location, runs, &store, level, threads, |_| stop.check())?;
    let checked = match &args.validate {
        Some(checks) => {
            let how = (threads, settled.memory(None)?);
            Some(validate(&location, &store, &checks.parse()?, how, stop.clone())?)
        }
        None => None,
    };
    let failure =
        failure_of(&report, &location).or_else(|| validation_failure(checked.as_ref()?, &location));
    let seconds = began.elapsed().as_secs_f64();
    let mut text = text_of(&report, seconds);
    if let Some(checked) = &checked {
        text.push_str(&format!("\n{}", validation_text(checked)));
    }
    let mut document = json_of(&report, failure.as_ref());
    if let (Some(checked), Some(document)) = (&checked, document.as_object_mut()) {
        document.insert("validation".to_owned(), json!(checked));
    }
    out.result(&text, &document)?;
    say_damage(&report);
    report.filled.iter().for_each(|filled| out.report(&filled.report()));
    checked.iter().for_each(say_findings);
    Ok(match Verified::of(failure) {
        Verified::Sound if !report.filled.is_empty() => Verified::Filled,
        verified => verified,
    })
}

/// Checks a store that was just written; what is wrong is said.
///
/// # Errors
/// Units that are not right, or a store that fails.
pub(crate) fn check(
    location: &Location,
    level: VerifyLevel,
    settled: &Settled,
    signals: &Watched,
) -> Result<()> {
    let (store, runs, stop) = (settled.store()?, settled.run_store(), signals.token());
    let threads = settled.threads(None);
    let report = verify_with_runs(location, runs, &store, level, threads, |_| stop.check())?;
    say_damage(&report);
    failure_of(&report, location).map_or(Ok(()), Err)
}

/// Says the first units that are not right.
fn say_damage(report: &VerifyReport) {
    for finding in report.findings.iter().take(SHOWN) {
        say(&format!(
            "  {} {:?} ({}): {}",
            finding.variable,
            finding.index,
            finding.key,
            finding.error.message()
        ));
        if let [first, more @ ..] = finding.files.as_slice() {
            let more = match more {
                [] => String::new(),
                [second] => format!(", {second}"),
                [second, rest @ ..] => format!(", {second} and {} more", count(rest.len() as u64)),
            };
            say(&format!("    fed by {first}{more}"));
        }
    }
}

fn failure_of(report: &VerifyReport, location: &Location) -> Option<Error> {
    let first = report.findings.first()?;
    let message = format!("{} of {} units are not right", report.finding_count, report.unit_count);
    let is_all = |code| report.findings.iter().all(|it| it.error.code() == code);
    let mut codes = [ErrorCode::CHUNK_MISSING, ErrorCode::METADATA_BROKEN].into_iter();
    let code = codes.find(|&code| is_all(code)).unwrap_or(ErrorCode::CHUNK_CORRUPT);
    let mut failure = Error::new(code, ErrorKind::Corrupt, message)
        .at("store", location)
        .at("variable", &first.variable)
        .at("chunk", format_args!("{:?}", first.index))
        .at("object", &first.key);
    if let Some(file) = first.files.first() {
        failure = failure.at("file", file);
    }
    Some(failure.mend("bake the store again"))
}

fn text_of(report: &VerifyReport, seconds: f64) -> String {
    let against = match (report.level, report.has_commits) {
        (VerifyLevel::Chunks, _) => "nothing was read",
        (_, true) => "lengths and checksums are those that were written",
        (_, false) => "metadata only: no run store says what was written",
    };
    let what = match report.level {
        VerifyLevel::Chunks => "are there",
        VerifyLevel::Digests => "are there and the ones that were written",
        _ => "are there and decode",
    };
    let verdict = if report.finding_count == 0 { "ok" } else { "FAIL" };
    let filled = match report.filled.len() {
        0 => String::new(),
        pieces => format!("   {} pieces hold missing values", count(pieces as u64)),
    };
    format!(
        "{verdict}   {} of {} units {what}, {}   {seconds:.1} s   {against}{filled}",
        count(report.unit_count.saturating_sub(report.finding_count)),
        count(report.unit_count),
        ByteSize(report.read_bytes),
    )
}

fn json_of(report: &VerifyReport, failure: Option<&Error>) -> serde_json::Value {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "variable": finding.variable,
            "index": finding.index,
            "object": finding.key,
            "files": finding.files,
            "code": finding.error.code().to_string(),
            "message": finding.error.message(),
        })
    });
    json!({
        "v": 1,
        "units": report.unit_count,
        "read_bytes": report.read_bytes,
        "compared_with": if report.has_commits { "commits" } else { "metadata" },
        "finding_count": report.finding_count,
        "findings": findings.collect::<Vec<_>>(),
        "filled": report.filled,
        "error": failure.map(|error| error_json(error, error.code().exit_code())),
    })
}
