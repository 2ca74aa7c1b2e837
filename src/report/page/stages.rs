//! The stages: what each was to do, and has done.

use super::text::{bytes, count, duration, escape};
use crate::report::model::{Report, StageRow, StageState};

/// Steps of a stage that a page names.
const SHOWN: usize = 12;

pub(super) fn panel(report: &Report) -> String {
    let mut html = String::from("<section>\n<h2>Stages</h2>\n");
    if report.stages.is_empty() {
        html.push_str("<p class=\"soft\">No stage has begun.</p>\n");
    } else {
        html.push_str(
            "<div class=\"scroll\"><table>\n<tr><th>Stage</th><th>State</th><th>Steps</th>\
             <th class=\"n\">Tasks</th><th class=\"n\">Elements</th><th class=\"n\">Written</th>\
             <th class=\"n\">Memory a task</th><th class=\"n\">Busy</th><th class=\"n\">Waited</th>\
             <th class=\"n\">Slowest</th></tr>\n",
        );
        html.extend(report.stages.iter().map(row));
        html.push_str("</table></div>\n");
    }
    html.push_str(&arrays(report));
    html.push_str("</section>\n");
    html
}

fn row(stage: &StageRow) -> String {
    let (sign, class, word) = match stage.state {
        StageState::Waiting => ("◌", "soft", "not begun"),
        StageState::Unfinished => ("▶", "warn", "not finished"),
        StageState::Done => ("✔", "good", "done"),
        StageState::Failed => ("✘", "bad", "failed"),
    };
    let tasks = stage.tasks;
    let mut done = format!("{}/{}", count(tasks.done), count(tasks.total));
    let notes =
        [(tasks.failed, "failed"), (tasks.retried, "retried"), (tasks.quarantined, "left out")];
    for (number, what) in notes {
        if number > 0 {
            done.push_str(&format!("<br>{} {what}", count(number)));
        }
    }
    let named: Vec<String> = stage.steps.iter().take(SHOWN).map(|step| escape(step)).collect();
    let more = stage.steps.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" › and {more} more") } else { String::new() };
    let after = match stage.after.as_slice() {
        [] => String::new(),
        after => format!("<br><span class=\"soft\">after {}</span>", escape(&after.join(", "))),
    };
    let written =
        if stage.written_bytes > 0 { bytes(stage.written_bytes) } else { "–".to_owned() };
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"{class} state-cell\">{sign} {word}</td>\
         <td class=\"steps\">{}{more}{after}</td><td class=\"n\">{done}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{written}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
        escape(&stage.id),
        named.join(" › "),
        count(stage.read_count),
        bytes(stage.task_bytes),
        duration(stage.busy_ms),
        duration(stage.waited_ms),
        duration(stage.slowest_ms),
    )
}

/// Arrays that a page names.
const SHOWN_ARRAYS: usize = 200;

/// How arrays were to be written, as the plan has it.
fn arrays(report: &Report) -> String {
    if report.plan.arrays.is_empty() {
        return String::new();
    }
    let rows = report.plan.arrays.iter().take(SHOWN_ARRAYS).map(|array| {
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td>{}</td></tr>\n",
            escape(&array.name),
            escape(&array.method),
            count(array.task_count),
            count(array.source_gets),
            bytes(array.task_bytes),
            escape(&array.reason),
        )
    });
    let rows: String = rows.collect();
    let more = report.plan.arrays.len().saturating_sub(SHOWN_ARRAYS);
    let more = if more > 0 {
        format!("<p>and {more} more arrays, in report.json</p>\n")
    } else {
        String::new()
    };
    format!(
        "<h3>Arrays, as planned</h3>\n<div class=\"scroll\"><table>\n<tr><th>Array</th><th>How</th>\
         <th class=\"n\">Tasks</th><th class=\"n\">Reads</th><th class=\"n\">Memory a task</th>\
         <th>Why</th></tr>\n{rows}</table></div>\n{more}"
    )
}
