//! Prints the logs of a run, to their end or for as long as it goes on.

use std::time::Duration;

use chrono::DateTime;
use clap::Args;
use levain::batch::aws::Seconds;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Run, log_folder};
use serde_json::{Value, json};

use super::chosen::{Place, of_step, of_worker, places_of};
use super::cloud::Cloud;
use super::files::Files;
use crate::cli::again::Given;
use crate::cli::args::Output;
use crate::cli::batch::{json_time, local_time};
use crate::cli::config::ConfigArgs;
use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::records::{RunArg, found};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;

/// Between two looks at what was added.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The name of those who drive, in place of that of a worker.
const DRIVER: &str = "driver";

#[derive(Debug, Args)]
pub(crate) struct RunLogsArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,

    /// Only workers that have run a step of this name, with *
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,

    /// Only this worker: as lines or `levain tasks` name it; `driver` is a driver without a terminal
    #[arg(long, value_name = "WORKER")]
    pub(crate) worker: Option<String>,

    /// Only this start of each worker, from 1
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,

    /// Goes on until the run ends
    #[arg(short = 'F', long)]
    pub(crate) follow: bool,

    /// Only lines since then: 10m ago, or a time as 2026-11-27T17:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Lines as they were printed, without who printed them
    #[arg(long)]
    pub(crate) raw: bool,
}

/// A line of a log.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) worker: String,
    pub(super) attempt: u32,
    /// When it was printed, or the line before it that says so.
    pub(super) at_ms: Option<i64>,
    pub(super) text: String,
}

/// Reads logs, going on where it was each time.
pub(super) trait Reader {
    /// What these places have printed since; `is_last` if nobody prints any more.
    fn read(
        &mut self,
        places: &[Place],
        attempt: Option<u32>,
        is_last: bool,
        each: &mut dyn FnMut(Line) -> Result<()>,
    ) -> Result<()>;

    /// What drivers without a terminal have printed since.
    fn read_drivers(
        &mut self,
        run: &str,
        is_last: bool,
        each: &mut dyn FnMut(Line) -> Result<()>,
    ) -> Result<()>;
}

/// Prints the logs of a run.
pub(crate) fn logs(
    args: &RunLogsArgs,
    own: &ConfigArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let since_ms = args.since.as_deref().map(moment_of).transpose()?;
    if args.follow && out.output() == Output::Json {
        let message = "what goes on is no one document";
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        return Err(error.at("flag", "--follow").mend("ask for --output ndjson"));
    }
    let run = found(&args.run, settled)?;
    let mut reader = reader_of(&run, own, signals)?;
    let (mut lines, mut run) = (Vec::new(), run);
    loop {
        // Looked at first: what is printed before the end is read after it.
        let is_last = !args.follow || run.summary.state.is_some();
        let mut each = |line: Line| {
            let is_early = since_ms.is_some_and(|since| line.at_ms.is_some_and(|at| at < since));
            match (is_early, out.output()) {
                (true, _) => Ok(()),
                (false, Output::Json) => {
                    lines.push(json_of(&line));
                    Ok(())
                }
                (false, Output::Ndjson) => out.event(&json_of(&line)),
                (false, _) => out.line(&text_of(&line, args.raw)),
            }
        };
        read(args, &run, settled, reader.as_mut(), is_last, &mut each)?;
        if is_last {
            break;
        }
        if signals.wait(LOOK_EVERY).is_err() {
            return Ok(Finished::With(130));
        }
        run = Run::open(&run.summary.folder, &settled.store()?)?.unwrap_or(run);
    }
    if out.output() == Output::Json {
        out.result("", &json!({ "v": 1, "run": run.summary.id, "lines": lines }))?;
    }
    Ok(Finished::Whole)
}

fn read(
    args: &RunLogsArgs,
    run: &Run,
    settled: &Settled,
    reader: &mut dyn Reader,
    is_last: bool,
    each: &mut dyn FnMut(Line) -> Result<()>,
) -> Result<()> {
    let store = settled.store()?;
    let is_of_driver = args.worker.as_deref().is_none_or(|it| it == DRIVER) && args.step.is_none();
    if is_of_driver {
        reader.read_drivers(&run.summary.id, is_last, each)?;
    }
    if args.worker.as_deref() == Some(DRIVER) {
        return Ok(());
    }
    let meeting_places = run.meeting_places(&store)?.into_iter().map(|(_, place)| place);
    let meeting_places: Vec<_> = meeting_places.collect();
    let mut places = places_of(run, &store)?;
    if let Some(worker) = &args.worker {
        places = of_worker(worker, places, &meeting_places)?;
    }
    if let Some(step) = &args.step {
        places = of_step(step, places, &meeting_places)?;
    }
    reader.read(&places, args.attempt, is_last, each)
}

/// Who reads the logs of a run: they lie where its workers have run.
fn reader_of(run: &Run, own: &ConfigArgs, signals: &Watched) -> Result<Box<dyn Reader>> {
    if run.again().is_none_or(|again| again.runner != "batch") {
        let destination = run.summary.destination.as_deref().unwrap_or_default();
        return Ok(Box::new(Files::open(log_folder(destination))?));
    }
    let given = Given::of(run, own, signals)?;
    let settings = given.batch()?;
    let api = crate::cli::batch::open(&settings, signals)?;
    Ok(Box::new(Cloud::new(api, &settings)))
}

/// A moment: so long ago, or a time.
fn moment_of(text: &str) -> Result<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    let span: Seconds = text.parse().map_err(|error: Error| {
        error.at("flag", "--since").mend("write 10m, or 2026-11-27T17:00:00Z")
    })?;
    Ok(levain::objects::now_ms() - i64::try_from(span.0 * 1000).unwrap_or(i64::MAX))
}

fn text_of(line: &Line, is_raw: bool) -> String {
    if is_raw {
        return line.text.clone();
    }
    let again = if line.attempt > 1 { format!(" #{}", line.attempt) } else { String::new() };
    // Lines that begin with their time need not be told it twice.
    let time = line.at_ms.filter(|_| !line.text.starts_with(|it: char| it.is_ascii_digit()));
    let time = time.map(|at| format!("{}  ", local_time(Some(at)))).unwrap_or_default();
    format!("{}{again} | {time}{}", line.worker, line.text)
}

fn json_of(line: &Line) -> Value {
    json!({
        "v": 1,
        "worker": line.worker,
        "attempt": line.attempt,
        "at": json_time(line.at_ms),
        "text": line.text,
    })
}
