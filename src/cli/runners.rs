//! `levain runners`: which runners there are, and what the conformance suite finds on each.

use std::panic;

use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::dataflow::runner::{Capability, Runner};
use levain::dataflow::testing::ReferenceRunner;
use levain::dataflow::testing::conformance::{
    Matrix, Outcome, REFUSED, RunnerFindings, Tally, cases,
};
use levain::direct::DirectRunner;
use serde_json::{Value, json};

use crate::cli::args::RunnersArgs;
use crate::cli::out::Out;
use crate::cli::table::Table;

/// Shows the runners; with `--matrix`, what the suite finds. Rows that do not hold are an error
/// beside the result.
pub(crate) fn runners(args: RunnersArgs, out: Out) -> Result<Option<Error>> {
    let direct = DirectRunner::new();
    let runners: [&dyn Runner; 2] = [&ReferenceRunner, &direct];
    if !args.matrix {
        let offers = runners.map(|runner| (runner.name(), offered(runner)));
        let lines = offers.iter().map(|(name, offers)| format!("{name}: {}\n", offers.join(", ")));
        let runners = offers.iter().map(|(name, offers)| json!({ "name": name, "offers": offers }));
        let document = json!({ "v": 1, "runners": runners.collect::<Vec<_>>() });
        out.result(&lines.collect::<String>(), &document)?;
        return Ok(None);
    }
    let matrix = quietly(|| Matrix::of(&runners));
    out.result(&text_of(&matrix), &json_of(&matrix))?;
    Ok(failure_of(&matrix))
}

fn offered(runner: &dyn Runner) -> Vec<&'static str> {
    let offered = Capability::ALL.into_iter().filter(|&it| runner.capabilities().offers(it));
    offered.map(Capability::name).collect()
}

/// Runs `work` without the reports of panics: the suite panics on purpose.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = work();
    panic::set_hook(hook);
    done
}

fn failure_of(matrix: &Matrix) -> Option<Error> {
    let (runner, (row, error)) = matrix
        .runners
        .iter()
        .find_map(|findings| Some((&findings.runner, findings.failures().next()?)))?;
    let count = matrix.failed_count();
    let message = format!("{count} rows do not hold, the first on the runner `{runner}`: {row}");
    let failure = Error::new(ErrorCode::ENGINE_BUG, ErrorKind::Internal, message);
    Some(failure.mend("this is a bug of the runner; please report it").caused_by(error.clone()))
}

fn text_of(matrix: &Matrix) -> String {
    let names: Vec<String> = matrix.runners.iter().map(|it| it.runner.to_uppercase()).collect();
    let names = names.iter().map(String::as_str);
    let mut by_capability = Table::new(["CAPABILITY"].into_iter().chain(names.clone()));
    let tallies: Vec<_> = matrix.runners.iter().map(RunnerFindings::by_capability).collect();
    for capability in Capability::ALL {
        let cells = tallies.iter().map(|tallies| tally_text(tallies.get(&capability).copied()));
        by_capability.row([vec![capability.name().to_owned()], cells.collect()].concat());
    }
    let mut by_row = Table::new(["ROW"].into_iter().chain(names).chain(["WHAT HOLDS"]));
    for (place, (id, title)) in rows().enumerate() {
        let cells = matrix.runners.iter().map(|it| it.outcomes[place].2.name().to_owned());
        let cells: Vec<String> = cells.collect();
        by_row.row([vec![id.to_owned()], cells, vec![title.to_owned()]].concat());
    }
    let (all, refused) = (rows().count(), REFUSED.len());
    let failed = matrix.failed_count();
    format!("{by_capability}\n{by_row}\n{all} rows, {refused} refused by name, {failed} failures\n")
}

/// The ids and titles of all rows, in the order of the findings.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let refused = REFUSED.iter().map(|row| (row.id, row.title));
    cases().map(|case| (case.id, case.title)).chain(refused)
}

fn tally_text(tally: Option<Tally>) -> String {
    let Some(tally) = tally else { return "no row".to_owned() };
    match (tally.passed, tally.failed, tally.refused) {
        (0, 0, refused) => format!("refused ({refused})"),
        (passed, failed, 0) => format!("{passed} of {}", passed + failed),
        (passed, failed, refused) => format!("{passed} of {}, {refused} refused", passed + failed),
    }
}

fn json_of(matrix: &Matrix) -> Value {
    let rows = rows().enumerate().map(|(place, (id, title))| {
        let found = matrix.runners.iter().map(|findings| {
            let outcome = &findings.outcomes[place].2;
            let why = match outcome {
                Outcome::Failed(error) => json!(error.to_string()),
                Outcome::Refused(capability) => json!(capability.name()),
                _ => Value::Null,
            };
            (findings.runner.clone(), json!({ "outcome": outcome.name(), "why": why }))
        });
        let capability = matrix.runners[0].outcomes[place].1.name();
        let found: serde_json::Map<_, _> = found.collect();
        json!({ "id": id, "title": title, "capability": capability, "runners": found })
    });
    let runners: Vec<&str> = matrix.runners.iter().map(|it| it.runner.as_str()).collect();
    json!({ "v": 1, "runners": runners, "rows": rows.collect::<Vec<_>>() })
}
