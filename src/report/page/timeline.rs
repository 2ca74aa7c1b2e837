//! When workers were busy, and with which stage.

use std::collections::BTreeMap;

use super::text::{count, duration, escape};
use crate::report::model::{Report, Span};

/// Units of the picture: all across, of names at the left, of a row.
const WIDTH: f64 = 1000.0;
const LABEL: f64 = 110.0;
const ROW: f64 = 18.0;
/// Workers that a page shows.
const SHOWN_WORKERS: usize = 64;
/// Bars that a page shows.
const SHOWN_SPANS: usize = 4000;
/// Colours of stages, for readers of SVG without styles too.
const COLOURS: [&str; 8] =
    ["#4e79a7", "#c2622d", "#3b8f5a", "#8b5fbf", "#b8860b", "#a8456b", "#2f8f9d", "#6b6f76"];

pub(super) fn panel(report: &Report) -> String {
    let mut html = String::from("<section>\n<h2>Timeline</h2>\n");
    let spans = &report.timeline.spans;
    if spans.is_empty() {
        html.push_str("<p class=\"soft\">No task has run.</p>\n</section>\n");
        return html;
    }
    let colours: BTreeMap<&str, usize> = report
        .stages
        .iter()
        .enumerate()
        .map(|(place, stage)| (stage.id.as_str(), place % COLOURS.len()))
        .collect();
    let last = spans.iter().map(|span| span.to_ms).max().unwrap_or(0);
    let end_ms = report.resources.wall_ms.max(last).max(1);
    html.push_str(&key(report, &colours));
    html.push_str(&picture(report, &colours, end_ms));
    if report.timeline.resolution_ms > 0 {
        let gap = duration(report.timeline.resolution_ms);
        html.push_str(&format!("<p class=\"soft\">Gaps shorter than {gap} are not shown.</p>\n"));
    }
    html.push_str(&workers(report, end_ms));
    html.push_str("</section>\n");
    html
}

fn key(report: &Report, colours: &BTreeMap<&str, usize>) -> String {
    let begun = report.stages.iter().filter(|stage| stage.began_ms.is_some());
    let items = begun.map(|stage| {
        let colour = colours.get(stage.id.as_str()).copied().unwrap_or(0);
        let last = stage.steps.last().map_or("", |step| step.as_str());
        format!(
            "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect width=\"14\" height=\"14\" \
             fill=\"{}\"/></svg>{} <span class=\"soft\">{}</span></li>\n",
            COLOURS[colour],
            escape(&stage.id),
            escape(last)
        )
    });
    format!("<ul class=\"key\">\n{}</ul>\n", items.collect::<String>())
}

fn picture(report: &Report, colours: &BTreeMap<&str, usize>, end_ms: u64) -> String {
    let x = |ms: u64| LABEL + (WIDTH - LABEL) * (ms as f64 / end_ms as f64);
    let mut names: Vec<&str> = report.workers.iter().map(|worker| worker.name.as_str()).collect();
    names.truncate(SHOWN_WORKERS);
    let height = ROW * names.len() as f64 + 22.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"When each worker was busy; the table below has the sums.\">\n"
    );
    for tick in 0..=4_u64 {
        let at = end_ms * tick / 4;
        let (place, label) = (x(at), duration(at));
        let (anchor, bottom) = (if tick == 4 { "end" } else { "start" }, height - 18.0);
        svg.push_str(&format!(
            "<line class=\"axis\" x1=\"{place:.1}\" x2=\"{place:.1}\" y1=\"0\" y2=\"{bottom:.1}\"/>\
             <text x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>\n",
            height - 5.0
        ));
    }
    for (row, name) in names.iter().enumerate() {
        let y = ROW * row as f64;
        svg.push_str(&format!("<text x=\"0\" y=\"{:.1}\">{}</text>\n", y + 13.0, escape(name)));
    }
    let rows: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(row, name)| (*name, row)).collect();
    for span in report.timeline.spans.iter().take(SHOWN_SPANS) {
        let Some(&row) = rows.get(span.worker.as_str()) else { continue };
        let colour = colours.get(span.stage.as_str()).copied().unwrap_or(0);
        svg.push_str(&bar(span, colour, x(span.from_ms), x(span.to_ms), ROW * row as f64 + 2.0));
    }
    svg.push_str("</svg>\n");
    let more = report.workers.len().saturating_sub(SHOWN_WORKERS);
    if more > 0 {
        svg.push_str(&format!("<p class=\"soft\">and {more} more workers, in report.json</p>\n"));
    }
    svg
}

fn bar(span: &Span, colour: usize, from: f64, to: f64, y: f64) -> String {
    let width = (to - from).max(0.6);
    let mut bar = format!(
        "<rect fill=\"{}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\"><title>{} \
         {}, {} attempts</title></rect>",
        COLOURS[colour],
        ROW - 4.0,
        escape(&span.stage),
        duration(span.to_ms - span.from_ms),
        count(span.attempts),
    );
    // Where there is room, the name says what the colour says.
    if width > 8.0 + 7.0 * span.stage.len() as f64 {
        bar.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" style=\"fill:#fff\">{}</text>",
            from + 4.0,
            y + 11.0,
            escape(&span.stage)
        ));
    }
    bar.push('\n');
    bar
}

fn workers(report: &Report, end_ms: u64) -> String {
    let rows = report.workers.iter().take(SHOWN_WORKERS).map(|worker| {
        let share = 100.0 * worker.busy_ms as f64 / end_ms as f64;
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{share:.0} %</td></tr>\n",
            escape(&worker.name),
            count(worker.attempts),
            duration(worker.busy_ms),
        )
    });
    format!(
        "<div class=\"scroll\"><table>\n<tr><th>Worker</th><th class=\"n\">Attempts</th>\
         <th class=\"n\">Busy</th><th class=\"n\">Of the run</th></tr>\n{}</table></div>\n",
        rows.collect::<String>()
    )
}
