//! What failed, in groups, with commands that look closer or go on.

use super::text::{command, count, escape};
use crate::report::model::{FailureGroup, Report};

/// Groups that a page shows.
const SHOWN: usize = 100;
/// Characters of a text that a page shows.
const SHOWN_CHARS: usize = 600;

pub(super) fn panel(report: &Report) -> String {
    let failures = &report.failures;
    let mut html = String::from("<section>\n<h2>Failures</h2>\n");
    if failures.count == 0 {
        html.push_str("<p>Nothing failed.</p>\n</section>\n");
        return html;
    }
    html.push_str(&format!(
        "<p>{}; <code>failures/</code> beside this page has each by itself.</p>\n",
        escape(&summary_text(failures.count, failures.groups.len()))
    ));
    html.extend(failures.groups.iter().take(SHOWN).map(group));
    let more = failures.groups.len().saturating_sub(SHOWN);
    if more > 0 {
        html.push_str(&format!("<p>and {more} more groups, in failures/index.json</p>\n"));
    }
    html.push_str("</section>\n");
    html
}

/// How many failures there are, and how many groups of them.
pub fn summary_text(failures: u64, groups: usize) -> String {
    let plural = |number: u64| if number == 1 { "" } else { "s" };
    let (count, of) = (count(failures), plural(failures));
    format!("{count} failure{of} in {groups} group{}", plural(groups as u64))
}

fn group(group: &FailureGroup) -> String {
    let step = group.step.as_ref().map(|step| format!(" in {}", shown(step))).unwrap_or_default();
    let mut html = format!(
        "<div class=\"group\">\n<h3>✘ {} {}: {}{step}</h3>\n<p>{}</p>\n",
        escape(&group.id),
        escape(&group.code),
        count(group.count),
        shown(&group.message),
    );
    if !group.first.is_empty() {
        let first: Vec<String> = group.first.iter().map(|name| shown(name)).collect();
        let more = if group.count > first.len() as u64 { ", …" } else { "" };
        html.push_str(&format!("<p class=\"soft\">{}{more}</p>\n", first.join(", ")));
    }
    if let Some(mend) = &group.mend {
        html.push_str(&format!("<p>Mend: {}</p>\n", shown(mend)));
    }
    html.extend(group.next.iter().map(|next| command(next)));
    html.push_str("</div>\n");
    html
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    escape(&shown)
}
