//! Which run it is, how it ended, what it took.

use super::text::{bytes, command, count, duration, escape, moment};
use crate::report::model::{Report, RunState};

/// Warnings that a page shows.
const SHOWN: usize = 100;

pub(super) fn panel(report: &Report) -> String {
    let run = &report.run;
    let (sign, class, word) = match (report.exit.state, report.exit.code) {
        (RunState::Succeeded, 0) => ("✔", "good", "finished"),
        (RunState::Succeeded, _) => ("◐", "warn", "finished, not whole"),
        (RunState::Failed, _) => ("✘", "bad", "failed"),
        (RunState::Cancelled, _) => ("■", "warn", "stopped"),
    };
    let mut html = format!(
        "<header>\n<h1>{} → {}</h1>\n<p><span class=\"state {class}\">{sign} {word}</span> \
         exit code {}",
        escape(&run.kind),
        escape(&run.destination),
        report.exit.code
    );
    if let Some(error) = &report.exit.error {
        html.push_str(&format!(", {}", escape(error)));
    }
    html.push_str("</p>\n");
    if let Some(reason) = &report.exit.reason {
        html.push_str(&format!("<p>{}</p>\n", escape(reason)));
    }
    if report.exit.resumable {
        html.push_str(
            "<p>The same command with <code>--resume</code> goes on where it ended.</p>\n",
        );
    }
    html.push_str(&facts(report));
    if !run.command.is_empty() {
        html.push_str(&command(&shell_words(&run.command)));
    }
    html.push_str(&settings(report));
    html.push_str(&warnings(&report.warnings));
    html.push_str("</header>\n");
    html
}

fn facts(report: &Report) -> String {
    let (run, resources, outputs) = (&report.run, &report.resources, &report.outputs);
    let peak = resources.peak_resident_bytes.map_or_else(|| "not known".to_owned(), bytes);
    let chunks = format!(
        "{} of {} written, {} with fill values, {} missing",
        count(outputs.chunks_written),
        count(outputs.chunks_expected),
        count(outputs.chunks_filled),
        count(outputs.chunks_missing)
    );
    let cpu = resources.cpu_ms.map_or_else(|| "not known".to_owned(), duration);
    let mut facts = vec![
        ("Run", run.id.clone()),
        (
            "Runner",
            format!("{}, {} threads, levain {}", run.runner, resources.threads, run.version),
        ),
        ("Began", moment(run.started_ms)),
        ("Took", format!("{}, processors {cpu}", duration(resources.wall_ms))),
        ("Objects", chunks),
        (
            "Written",
            format!(
                "{}, {} before compression",
                bytes(outputs.encoded_bytes),
                bytes(report.plan.decoded_bytes)
            ),
        ),
        ("Sources", sources(report)),
        ("Memory", format!("{peak} at most, {} allowed", bytes(resources.memory_limit_bytes))),
        (
            "Shuffled",
            format!(
                "{}, {} spilled",
                bytes(resources.shuffled_bytes),
                bytes(resources.spilled_bytes)
            ),
        ),
        ("Records", run.folder.clone()),
    ];
    if let Some(digest) = &outputs.digest {
        facts.push(("Digest", digest.clone()));
    }
    if !report.retries_by_class.is_empty() {
        let retries = report.retries_by_class.iter();
        let retries: Vec<String> =
            retries.map(|(class, number)| format!("{class} {number}")).collect();
        facts.push(("Tried again", retries.join(", ")));
    }
    if let Some(cost) = &report.cost {
        let items = cost.items.iter();
        let items: Vec<String> =
            items.map(|item| format!("{} {:.4} ({})", item.what, item.cost, item.basis)).collect();
        facts.push(("Cost", format!("{:.4}: {}", cost.total, items.join(", "))));
    }
    let rows = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(value)));
    format!("<dl>\n{}</dl>\n", rows.collect::<String>())
}

/// Stores do not say how large a source of many objects is.
fn sources(report: &Report) -> String {
    let inputs = &report.inputs;
    let size = if inputs.bytes > 0 { bytes(inputs.bytes) } else { "size not known".to_owned() };
    let left_out = match inputs.left_out.len() {
        0 => String::new(),
        number => format!(", {number} left out"),
    };
    format!("{}, {size}{left_out}", count(inputs.count))
}

fn settings(report: &Report) -> String {
    if report.run.config.is_empty() {
        return String::new();
    }
    let rows = report.run.config.iter().map(|(name, setting)| {
        let field = |name: &str| setting.get(name).cloned().unwrap_or_default();
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => escape(&text),
            serde_json::Value::Null => String::new(),
            other => escape(&other.to_string()),
        };
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(name),
            text(field("value")),
            text(field("layer")),
            text(field("place"))
        )
    });
    format!(
        "<details><summary>Settings that were made</summary>\n<div class=\"scroll\"><table>\n\
         <tr><th>Setting</th><th>Value</th><th>Layer</th><th>Where</th></tr>\n{}</table></div>\n</details>\n",
        rows.collect::<String>()
    )
}

fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let shown = warnings.iter().take(SHOWN);
    let items: String = shown.map(|warning| format!("<li>{}</li>\n", escape(warning))).collect();
    let more = warnings.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!("<li>and {more} more, in report.json</li>\n")
    } else {
        String::new()
    };
    format!("<p class=\"warn\">Warnings</p>\n<ul>\n{items}{more}</ul>\n")
}

/// A command line as a shell takes it.
pub(crate) fn shell_words(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    let words = words.iter().map(|word| match !word.is_empty() && word.chars().all(is_plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}
