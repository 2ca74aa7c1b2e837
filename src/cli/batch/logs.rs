//! `levain batch logs`: what a job has written, from CloudWatch.

use levain::batch::aws::{BatchApi, LogEvent, LogPlace, log_json};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use super::args::LogsArgs;
use super::job::described;
use super::times::local_time;
use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;

/// Prints the log of a job.
pub(super) fn logs(
    args: &LogsArgs,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Finished> {
    let settings = args.place.over(settled.batch()?);
    let api = super::open(&settings, signals)?;
    let job = described(&api, &args.id)?.value;
    let places = LogPlace::of(&job, settings.log_group.as_deref());
    let Some(place) = chosen(&places, args)? else {
        let text = format!("nothing was written: the job is {}\n", job.status);
        out.result(&text, &json!({ "v": 1, "stream": null, "lines": [] }))?;
        return Ok(Finished::Whole);
    };
    if out.is_json() {
        let mut lines: Vec<Value> = Vec::new();
        each_line(&api, place, args.tail, |line| {
            lines.push(log_json(&line));
            Ok(())
        })?;
        let document =
            json!({ "v": 1, "group": place.group, "stream": place.stream, "lines": lines });
        out.result("", &document)?;
        return Ok(Finished::Whole);
    }
    // Page by page: a log may be longer than what should be held.
    let is_there = each_line(&api, place, args.tail, |line| out.line(&text_of(&line, args.raw)))?;
    if !is_there {
        out.warning(&format!("the log stream {} does not exist: nobody has written", place.stream));
    }
    Ok(Finished::Whole)
}

fn chosen<'a>(places: &'a [LogPlace], args: &LogsArgs) -> Result<Option<&'a LogPlace>> {
    let Some(attempt) = args.attempt else { return Ok(places.last()) };
    match attempt.checked_sub(1).and_then(|at| places.get(at)) {
        Some(place) => Ok(Some(place)),
        None => {
            let message = format!("there is no attempt {attempt} with a log");
            Err(Error::new(ErrorCode::UNKNOWN_JOB, ErrorKind::NotFound, message)
                .at("flag", "--attempt")
                .mend(format!("{} attempts have one", places.len())))
        }
    }
}

fn each_line(
    api: &BatchApi,
    place: &LogPlace,
    tail: Option<usize>,
    mut each: impl FnMut(LogEvent) -> Result<()>,
) -> Result<bool> {
    match tail {
        None => api.read_log(place, each),
        Some(count) => {
            api.last_lines(place, count)?.into_iter().try_for_each(&mut each)?;
            Ok(true)
        }
    }
}

fn text_of(line: &LogEvent, is_raw: bool) -> String {
    if is_raw {
        return line.message.clone();
    }
    format!("{}  {}", local_time(Some(line.timestamp)), line.message)
}
