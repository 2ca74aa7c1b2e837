//! `levain tasks`: every task of a run with workers, and what became of it.

use clap::Args;
use levain::batch::TaskRow;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use crate::cli::args::Output;
use crate::cli::batch::json_time;
use crate::cli::out::Out;
use crate::cli::records::{RunArg, found};
use crate::cli::settled::Settled;
use crate::cli::table::Table;

/// What a table shows unless other fields are asked for.
const USUAL: [&str; 10] =
    ["stage", "task", "state", "attempts", "worker", "wait", "exec", "rss", "read", "written"];

#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,

    /// The fields that are shown, in this order; `levain tasks RUN -f help` lists all
    #[arg(short, long, value_name = "FIELD,...", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,

    /// Only tasks in this state: open, begun, done, failed
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
}

/// A field of a task: its name, what it says, whether it is a number.
struct Field {
    name: &'static str,
    meaning: &'static str,
    of: fn(&TaskRow) -> Value,
}

const FIELDS: [Field; 16] = [
    Field { name: "stage", meaning: "the stage", of: |it| it.stage.clone().into() },
    Field { name: "task", meaning: "its number within the stage", of: |it| it.task.into() },
    Field { name: "state", meaning: "open, begun, done, failed", of: |it| it.state.name().into() },
    Field { name: "attempts", meaning: "how often it was begun", of: |it| it.attempts.into() },
    Field {
        name: "worker",
        meaning: "the worker whose attempt counts, or is the last one",
        of: |it| it.worker.clone().into(),
    },
    Field {
        name: "job",
        meaning: "the job and the index of that worker",
        of: |it| it.place.clone().into(),
    },
    Field { name: "start", meaning: "when that attempt began", of: |it| json_time(it.started_ms) },
    Field {
        name: "wait",
        meaning: "milliseconds from the opening of the stage to that",
        of: |it| it.wait_ms.into(),
    },
    Field {
        name: "exec",
        meaning: "milliseconds that the attempt took",
        of: |it| it.exec_ms.into(),
    },
    Field {
        name: "rss",
        meaning: "the most bytes that the worker had accounted for by then",
        of: |it| it.peak_bytes.into(),
    },
    Field { name: "read", meaning: "elements that were read", of: |it| it.read.into() },
    Field {
        name: "written",
        meaning: "bytes that were written into the destination",
        of: |it| it.written_bytes.into(),
    },
    Field {
        name: "left",
        meaning: "bytes of records that were left for other stages",
        of: |it| it.left_bytes.into(),
    },
    Field {
        name: "quarantined",
        meaning: "elements that were left out",
        of: |it| it.quarantined.into(),
    },
    Field { name: "rung", meaning: "the rung on the ladder of memory", of: |it| it.rung.into() },
    Field {
        name: "error",
        meaning: "what the last attempt that failed has said",
        of: |it| it.error.clone().into(),
    },
];

/// Lists the tasks of a run.
pub(crate) fn tasks(args: &TasksArgs, settled: &Settled, out: &Out) -> Result<()> {
    if args.fields.iter().any(|field| field == "help") {
        return list_fields(out);
    }
    let fields = chosen(args, *out)?;
    let run = found(&args.run, settled)?;
    let places = run.meeting_places(&settled.store()?)?;
    if places.is_empty() {
        let message = "a run of one process keeps no list of tasks";
        return Err(Error::new(ErrorCode::NO_RESULT, ErrorKind::NotFound, message)
            .at("run", &run.summary.folder)
            .mend("its report has stages, attempts and a timeline: levain report RUN"));
    }
    let mut rows = Vec::new();
    for (part, place) in places {
        for mut row in place.tasks()? {
            if !part.is_empty() {
                row.stage = format!("{part}/{}", row.stage);
            }
            rows.push(row);
        }
    }
    if let Some(state) = &args.state {
        check_state(state)?;
        rows.retain(|row| row.state.name() == state);
    }
    match out.output() {
        Output::Csv => out.verbatim(&csv(&fields, &rows)),
        Output::Ndjson => rows.iter().try_for_each(|row| out.event(&object(&fields, row))),
        _ => {
            let tasks: Vec<Value> = rows.iter().map(|row| object(&fields, row)).collect();
            let document = json!({ "v": 1, "run": run.summary.id, "tasks": tasks });
            out.result(&table(&fields, &rows), &document)
        }
    }
}

fn list_fields(out: &Out) -> Result<()> {
    let mut table = Table::new(["FIELD", "MEANING"]);
    FIELDS.iter().for_each(|it| table.row([it.name.to_owned(), it.meaning.to_owned()]));
    let fields: Vec<Value> =
        FIELDS.iter().map(|it| json!({ "name": it.name, "meaning": it.meaning })).collect();
    out.result(&table.to_string(), &json!({ "v": 1, "fields": fields }))
}

/// The fields that were asked for; all of them in JSON, where none were.
fn chosen(args: &TasksArgs, out: Out) -> Result<Vec<&'static Field>> {
    if args.fields.is_empty() {
        let is_shown = |it: &&Field| out.output() != Output::Text || USUAL.contains(&it.name);
        return Ok(FIELDS.iter().filter(is_shown).collect());
    }
    let field = |name: &String| {
        FIELDS.iter().find(|it| it.name == name).ok_or_else(|| {
            let names: Vec<&str> = FIELDS.iter().map(|it| it.name).collect();
            let message = format!("tasks have no field `{name}`");
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
                .at("flag", "--fields")
                .mend(format!("there are: {}", names.join(", ")))
        })
    };
    args.fields.iter().map(field).collect()
}

fn check_state(state: &str) -> Result<()> {
    if ["open", "begun", "done", "failed"].contains(&state) {
        return Ok(());
    }
    let message = format!("tasks have no state `{state}`");
    let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
    Err(error.at("flag", "--state").mend("there are: open, begun, done, failed"))
}

fn object(fields: &[&Field], row: &TaskRow) -> Value {
    fields.iter().map(|it| (it.name.to_owned(), (it.of)(row))).collect()
}

fn table(fields: &[&Field], rows: &[TaskRow]) -> String {
    let heads: Vec<String> = fields.iter().map(|it| it.name.to_uppercase()).collect();
    let is_number = |field: &&Field| rows.iter().any(|row| (field.of)(row).is_number());
    let right = fields.iter().enumerate().filter(|(_, it)| is_number(it)).map(|(at, _)| at);
    let right: Vec<usize> = right.collect();
    let mut table = Table::new(heads.iter().map(String::as_str)).with_right(&right);
    for row in rows {
        let cells = fields.iter().map(|it| cell(&(it.of)(row), "-"));
        table.row(cells.collect::<Vec<_>>());
    }
    table.to_string()
}

/// Source: RFC 4180.
fn csv(fields: &[&Field], rows: &[TaskRow]) -> String {
    let names: Vec<&str> = fields.iter().map(|it| it.name).collect();
    let mut text = names.join(",") + "\n";
    for row in rows {
        let cells = fields.iter().map(|it| quoted(&cell(&(it.of)(row), "")));
        text.push_str(&(cells.collect::<Vec<_>>().join(",") + "\n"));
    }
    text
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

fn cell(value: &Value, nothing: &str) -> String {
    match value {
        Value::Null => nothing.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(quoted("s000"), "s000");
        assert_eq!(quoted("a, \"b\"\nc"), "\"a, \"\"b\"\"\nc\"");
    }
}
