//! A report as one page of HTML: no script, nothing from elsewhere, read from top to bottom.
//!
//! Panels stand in the order in which they are read: head, stages, timeline, failures,
//! completeness. Every picture has its numbers beside it, and no colour says what no sign says.

mod text;

mod completeness;
mod failures;
mod head;
mod stages;
mod timeline;

pub use failures::summary_text as failures_text;
pub(crate) use head::shell_words;
pub use text::{duration, moment};

use crate::report::model::Report;

/// The page of a report.
///
/// It has less than 2 MB whatever the run: what does not fit is counted, and lies in the JSON beside it.
pub fn page(report: &Report) -> String {
    let title = text::escape(&format!("{} {}", report.run.kind, report.run.destination));
    let panels = [
        head::panel(report),
        stages::panel(report),
        timeline::panel(report),
        failures::panel(report),
        completeness::panel(report),
    ];
    let style = include_str!("style.css");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{}</main>\n\
         </body>\n</html>\n",
        panels.concat()
    )
}

#[cfg(test)]
mod tests;
