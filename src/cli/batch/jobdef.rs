//! `levain batch jobdef`: the definitions that jobs are submitted with.

use std::io::{BufRead, IsTerminal};

use levain::batch::aws::{BatchApi, DefinitionRequest, Ensured, JobDefinition, Read, whole_name};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use super::args::{DeregisterArgs, DescribeArgs, JobdefCommand, ListArgs, RegisterArgs};
use crate::cli::exit::Finished;
use crate::cli::out::{Out, say};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::table::Table;

/// Runs one of the commands.
pub(super) fn jobdef(
    command: &JobdefCommand,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Finished> {
    match command {
        JobdefCommand::Register(args) => register(args, settled, out, signals),
        JobdefCommand::Ensure(args) => ensure(args, settled, out, signals),
        JobdefCommand::Describe(args) => describe(args, settled, out, signals),
        JobdefCommand::List(args) => list(args, settled, out, signals),
        JobdefCommand::Deregister(args) => deregister(args, settled, out, signals),
    }?;
    Ok(Finished::Whole)
}

fn wanted(
    args: &RegisterArgs,
    settled: &Settled,
    signals: &Watched,
) -> Result<(DefinitionRequest, BatchApi)> {
    let settings = args.definition.over(args.place.over(settled.batch()?));
    let settings = args.size.over(settings)?;
    let request = DefinitionRequest::new(&settings, args.name.as_deref())?;
    Ok((request, super::open(&settings, signals)?))
}

fn register(args: &RegisterArgs, settled: &Settled, out: Out, signals: &Watched) -> Result<()> {
    let (request, api) = wanted(args, settled, signals)?;
    let registered = api.register(&request.json)?;
    told(out, "registered", &registered.value, &[])
}

fn ensure(args: &RegisterArgs, settled: &Settled, out: Out, signals: &Watched) -> Result<()> {
    let (request, api) = wanted(args, settled, signals)?;
    match request.ensure(&api)? {
        Ensured::Found(found) => told(out, "found", &found.value, &[]),
        Ensured::Registered(new, differences) => told(out, "registered", &new.value, &differences),
    }
}

fn told(
    out: Out,
    what: &str,
    definition: &JobDefinition,
    differences: &[(String, String, String)],
) -> Result<()> {
    let arn = &definition.job_definition_arn;
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let lines = differences
        .iter()
        .map(|(field, old, new)| format!("  {field}: {} → {}\n", or_none(old), or_none(new)));
    let text = format!("{what} {}  {arn}\n{}", whole_name(definition), lines.collect::<String>());
    let changed = differences
        .iter()
        .map(|(field, old, new)| json!({ "field": field, "old": old, "new": new }));
    let document = json!({
        "v": 1,
        "outcome": what,
        "name": definition.job_definition_name,
        "revision": definition.revision,
        "arn": arn,
        "changed": changed.collect::<Vec<_>>(),
    });
    out.result(&text, &document)
}

fn describe(args: &DescribeArgs, settled: &Settled, out: Out, signals: &Watched) -> Result<()> {
    let settings = args.place.over(settled.batch()?);
    let found = super::open(&settings, signals)?.definitions(Some(&args.name), args.active)?;
    if found.is_empty() {
        return Err(no_definition(&args.name));
    }
    out.result(&revisions(&found).to_string(), &document(&found))
}

fn list(args: &ListArgs, settled: &Settled, out: Out, signals: &Watched) -> Result<()> {
    let settings = args.place.over(settled.batch()?);
    let mut found = super::open(&settings, signals)?.definitions(None, args.active)?;
    if !out.is_json() {
        // Newest first: what follows under the same name is older.
        found.dedup_by(|next, first| {
            next.value.job_definition_name == first.value.job_definition_name
        });
    }
    out.result(&revisions(&found).to_string(), &document(&found))
}

fn revisions(found: &[Read<JobDefinition>]) -> Table {
    let head = ["NAME", "REVISION", "STATUS", "PLATFORM", "VCPUS", "MEMORY", "IMAGE"];
    let mut table = Table::new(head).with_right(&[1, 4, 5]);
    for it in found.iter().map(|it| &it.value) {
        let amounts = &it.container_properties.resource_requirements;
        let amount = |kind: &str| {
            let found = amounts.iter().find(|it| it.kind == kind);
            found.map_or("-".to_owned(), |it| it.value.clone())
        };
        let memory = amount("MEMORY");
        table.row([
            it.job_definition_name.clone(),
            it.revision.map_or("-".to_owned(), |it| it.to_string()),
            it.status.clone(),
            it.platform_capabilities.first().cloned().unwrap_or("EC2".to_owned()),
            amount("VCPU"),
            if memory == "-" { memory } else { format!("{memory} MiB") },
            it.container_properties.image.clone(),
        ]);
    }
    table
}

fn document(found: &[Read<JobDefinition>]) -> Value {
    let all: Vec<&Value> = found.iter().map(|it| &it.json).collect();
    json!({ "v": 1, "job_definitions": all })
}

fn deregister(args: &DeregisterArgs, settled: &Settled, out: Out, signals: &Watched) -> Result<()> {
    let settings = args.place.over(settled.batch()?);
    let api = super::open(&settings, signals)?;
    let found = api.definitions(Some(&args.name), true)?.into_iter().next();
    let found = found.ok_or_else(|| no_definition(&args.name))?.value;
    let name = whole_name(&found);
    say(&format!("taking {name} out of use ({})", found.job_definition_arn));
    if !args.yes && !is_confirmed()? {
        return Err(Error::new(ErrorCode::CANCELLED, ErrorKind::Cancelled, "nothing was changed")
            .mend("give --yes"));
    }
    api.deregister(&found.job_definition_arn)?;
    let arn = &found.job_definition_arn;
    out.result(&format!("deregistered {name}\n"), &json!({ "v": 1, "name": name, "arn": arn }))
}

fn is_confirmed() -> Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let message = "nobody is there to confirm it";
        return Err(Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
            .mend("give --yes"));
    }
    say("go on? [y/N]");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn no_definition(name: &str) -> Error {
    let message = format!("there is no job definition `{name}` in use");
    Error::new(ErrorCode::UNKNOWN_JOB, ErrorKind::NotFound, message)
        .mend("look at `levain batch jobdef list`, and at the region")
}
