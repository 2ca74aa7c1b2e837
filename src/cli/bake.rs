//! `levain bake`, `levain rechunk`, and `levain plan` for both.

use std::path::Path;
use std::time::Instant;

use levain::array::GroupPath;
use levain::bake::{
    BakeOptions, BakePlan, Checks, FilledElements, Pyramid, Step, VariablePlan, WrittenAs,
    ZarrVersion,
};
use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Bake, BakeReport, Recipe, ScannedBake, VerifyLevel};
use levain::objects::{Location, StoreOptions};
use serde_json::json;

use crate::cli::args::{BakeArgs, LayoutArgs, PlanArgs, PlanCommand, RechunkArgs, RunArgs};
use crate::cli::detach;
use crate::cli::exit::Finished;
use crate::cli::out::{Out, error_json};
use crate::cli::progress::Display;
use crate::cli::references;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::table::{Table, count, shape};
use crate::cli::validation::{say_findings, validation_text};
use crate::cli::verify;
use crate::cli::ways::{full_name, ways_text};
use crate::cli::workers::{patient, with_workers};

/// Bakes files into one store.
pub(crate) fn bake(
    args: &BakeArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let shown = Shown { title: "bake", run: &args.run, settled, out, signals };
    let jobs = bake_jobs(args, settled, signals)?;
    carry_out(&shown, &jobs, args.detach)
}

/// Writes a store anew with other chunks.
pub(crate) fn rechunk(
    args: &RechunkArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let shown = Shown { title: "rechunk", run: &args.run, settled, out, signals };
    carry_out(&shown, &[rechunk_job(args, settled, signals)?], args.detach)
}

/// Writes here, or starts a driver that does so without the terminal.
fn carry_out(shown: &Shown<'_>, bakes: &[Bake], detach: bool) -> Result<Finished> {
    let Shown { settled, out, signals, .. } = *shown;
    let destination = bakes.first().map(|bake| bake.root().to_string()).unwrap_or_default();
    if detach::is_asked(detach) {
        return detach::detach(settled.words(), &destination, out, signals);
    }
    let outcome = write(shown, bakes);
    match (&outcome, signals.left()) {
        (Err(error), Some(run)) if error.code() == ErrorCode::LOCKED => {
            detach::hand_over(&run, &destination, settled, out, signals)
        }
        _ => outcome,
    }
}

/// How a job is shown that writes.
struct Shown<'a> {
    title: &'static str,
    run: &'a RunArgs,
    settled: &'a Settled,
    out: &'a Out,
    signals: &'a Watched,
}

/// Says what a bake or a rechunk would do.
pub(crate) fn plan(
    args: &PlanArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let args = match &args.job {
        Some(PlanCommand::Rechunk(args)) => {
            return show("rechunk", &[rechunk_job(args, settled, signals)?], &args.run, out);
        }
        Some(PlanCommand::Bake(args)) => args,
        None => &args.recipe,
    };
    show("bake", &bake_jobs(args, settled, signals)?, &args.run, out)
}

/// The jobs that are asked for: one for each group of a recipe.
pub(crate) fn bake_jobs(
    args: &BakeArgs,
    settled: &Settled,
    signals: &Watched,
) -> Result<Vec<Bake>> {
    let recipes = match args.paths.as_slice() {
        [recipe] if recipe.ends_with(".toml") => Recipe::read_all(Path::new(recipe))?,
        [_] => {
            let message = "a bake has sources and a destination; only one path is named";
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend("levain bake SRC... DST, or levain bake RECIPE.toml"));
        }
        [sources @ .., destination] => vec![Recipe {
            sources: sources.to_vec(),
            destination: destination.clone(),
            target_group: GroupPath::default(),
            pyramid: None,
            checks: Checks::default(),
            options: BakeOptions::default(),
            store: StoreOptions::default(),
        }],
        [] => return Err(Error::internal("clap asks for a path")),
    };
    if recipes.len() > 1 && args.target_group.is_some() {
        let message = "the recipe has several groups, and --target-group names one";
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        return Err(error.mend("leave --target-group out"));
    }
    let bakes = recipes.into_iter().enumerate();
    bakes.map(|(place, it)| Ok(bake_job(it, args, settled, signals)?.with_place(place))).collect()
}

fn bake_job(recipe: Recipe, args: &BakeArgs, settled: &Settled, signals: &Watched) -> Result<Bake> {
    let mut options = with_layout(recipe.options, &args.layout)?;
    if let Some(group) = &args.group {
        options.steps.retain(|step| !matches!(step, Step::Group { .. }));
        options.steps.insert(0, Step::Group { path: group.parse()? });
    }
    let mut target_group = recipe.target_group;
    given(&mut target_group, args.target_group.as_deref())?;
    if args.concat.is_some() {
        options.concat.clone_from(&args.concat);
    }
    given(&mut options.statics, args.statics.as_deref())?;
    given(&mut options.missing_files, args.missing_files.as_deref())?;
    given(&mut options.presence, args.missing_vars.as_deref())?;
    given(&mut options.packing, args.packing.as_deref())?;
    given(&mut options.attributes, args.attrs.as_deref())?;
    given(&mut options.dim_order, args.dim_order.as_deref())?;
    given(&mut options.overlap, args.overlap.as_deref())?;
    given(&mut options.gaps, args.gaps.as_deref())?;
    given(&mut options.join, args.join.as_deref())?;
    given(&mut options.reading.broken_messages, args.broken_messages.as_deref())?;
    given(&mut options.written_as, args.written_as.as_deref())?;
    given(&mut options.inline_limit, args.inline.as_deref())?;
    check_form(&options, &args.layout)?;
    if args.row_column.is_some() {
        options.reading.row_column.clone_from(&args.row_column);
    }
    let mut store = recipe.store;
    settled.config().set_store(&mut store)?;
    args.fetch.set(&mut store)?;
    let bake = job(&recipe.sources, &recipe.destination, options, &args.layout, signals)?;
    let bake = settled.apply(bake, &args.run, "bake")?;
    let bake = with_workers(bake, &args.run, settled, &recipe.destination, signals)?;
    let bake = bake.with_target_group(target_group).with_resume(args.resume);
    let mut checks = recipe.checks;
    given(&mut checks, args.validate.as_deref())?;
    let is_into_store = args.append.is_some() || args.region.is_some();
    let keeps_going = settled.leaves_out(args.keep_going, is_into_store);
    let store = patient(store, &args.run);
    let mut bake = bake.with_keep_going(keeps_going).with_store(store).with_checks(checks);
    if let Some(pyramid) = pyramid_of(recipe.pyramid, args)? {
        bake = bake.with_pyramid(pyramid)?;
    }
    if is_into_store {
        check_no_layout(&args.layout)?;
    }
    if let Some(region) = &args.region {
        bake = bake.with_region(region.parse()?);
    }
    Ok(match &args.append {
        Some(dimension) => bake.with_append(dimension),
        None => bake,
    })
}

/// References are of version 2, whatever the default of stores is.
fn check_form(options: &BakeOptions, layout: &LayoutArgs) -> Result<()> {
    if options.written_as == WrittenAs::Zarr || layout.zarr_format.as_deref() != Some("3") {
        return Ok(());
    }
    let message = "references are of version 2 of the Zarr format";
    let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
    Err(error.mend("leave --zarr-format out"))
}

/// The pyramid of a recipe, as flags change it.
fn pyramid_of(recipe: Option<Pyramid>, args: &BakeArgs) -> Result<Option<Pyramid>> {
    let flags = args.pyramid.map(|levels| Pyramid::new(levels, Vec::<String>::new()));
    let Some(mut pyramid) = recipe.or(flags) else {
        if args.pyramid_dims.is_empty() && args.pyramid_method.is_none() {
            return Ok(None);
        }
        let message = "the dimensions or the method of a pyramid are given, and no levels";
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        return Err(error.mend("say how many levels: --pyramid 3"));
    };
    pyramid.levels = args.pyramid.unwrap_or(pyramid.levels);
    if !args.pyramid_dims.is_empty() {
        pyramid.dims.clone_from(&args.pyramid_dims);
    }
    given(&mut pyramid.method, args.pyramid_method.as_deref())?;
    Ok(Some(pyramid))
}

/// An append keeps the layout of the store: one that is asked for on the command line is refused,
/// one of a recipe is that of the first bake.
fn check_no_layout(layout: &LayoutArgs) -> Result<()> {
    let flags = [
        ("--chunks", layout.chunks.is_some()),
        ("--chunk-ratio", layout.chunk_ratio.is_some()),
        ("--chunk-size", layout.chunk_size.is_some()),
        ("--shards", layout.shards.is_some()),
        ("--zarr-format", layout.zarr_format.is_some()),
        ("--codec", layout.codec.is_some()),
        ("--encoding", !layout.encoding.is_empty()),
    ];
    let Some((flag, _)) = flags.iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
    let message =
        format!("what is there keeps chunks, codec and format of the store; {flag} is given");
    let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
    Err(error.mend(format!("leave out {flag}; `levain rechunk` writes a store anew")))
}

pub(crate) fn rechunk_job(
    args: &RechunkArgs,
    settled: &Settled,
    signals: &Watched,
) -> Result<Bake> {
    let options = with_layout(BakeOptions::default(), &args.layout)?;
    let sources = std::slice::from_ref(&args.source);
    let mut store = settled.store()?;
    args.fetch.set(&mut store)?;
    let bake = job(sources, &args.destination, options, &args.layout, signals)?;
    let bake = settled.apply(bake, &args.run, "rechunk")?;
    let bake = with_workers(bake, &args.run, settled, &args.destination, signals)?;
    let bake =
        bake.with_store(patient(store, &args.run)).with_groups(true).with_resume(args.resume);
    Ok(bake.with_keep_going(settled.leaves_out(args.keep_going, false)))
}

/// Sets what is asked for; the rest stays.
fn with_layout(mut options: BakeOptions, args: &LayoutArgs) -> Result<BakeOptions> {
    if !args.vars.is_empty() {
        options.variables.clone_from(&args.vars);
    }
    given(&mut options.chunks, args.chunks.as_deref())?;
    given(&mut options.chunk_ratio, args.chunk_ratio.as_deref())?;
    given(&mut options.shards, args.shards.as_deref())?;
    given(&mut options.chunk_size, args.chunk_size.as_deref())?;
    match args.zarr_format.as_deref() {
        Some("2") => options.zarr_format = ZarrVersion::V2,
        Some(_) => options.zarr_format = ZarrVersion::V3,
        None => {}
    }
    if let Some(codec) = &args.codec {
        options.codec.clone_from(codec);
    }
    for own in &args.encoding {
        let (name, codecs) = own.split_once('=').ok_or_else(|| {
            let message = format!("`{own}` does not say `variable=codecs`");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            error.mend("write for example --encoding t2m=bitround:10+zstd:5")
        })?;
        options.encodings.entry(name.to_owned()).or_default().codecs = Some(codecs.to_owned());
    }
    Ok(options)
}

/// Sets an option to the words of a flag, where it is given.
fn given<T: std::str::FromStr<Err = Error>>(option: &mut T, flag: Option<&str>) -> Result<()> {
    if let Some(text) = flag {
        *option = text.parse()?;
    }
    Ok(())
}

fn job(
    sources: &[String],
    destination: &str,
    options: BakeOptions,
    layout: &LayoutArgs,
    signals: &Watched,
) -> Result<Bake> {
    Ok(Bake::new(sources.iter().cloned(), destination)?
        .with_options(options)
        .with_overwrite(layout.overwrite)
        .with_cancel(signals.token()))
}

fn scan(bake: &Bake, run: &RunArgs, out: &Out) -> Result<ScannedBake> {
    let scanned = bake.scan(&Display::new("scan", run.progress))?;
    for why in &scanned.unreadable {
        out.report(why);
    }
    for warning in &scanned.plan.warnings {
        out.warning(warning);
    }
    Ok(scanned)
}

/// Scans all before the first is written.
fn write(shown: &Shown<'_>, bakes: &[Bake]) -> Result<Finished> {
    let Shown { title, run, out, .. } = *shown;
    let began = Instant::now();
    let scanned = bakes.iter().map(|bake| scan(bake, run, out)).collect::<Result<Vec<_>>>()?;
    let (mut texts, mut documents, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for scanned in scanned {
        let report = scanned.write(&Display::new(title, run.progress))?;
        if let Some(note) = &report.resumed {
            out.warning(note);
        }
        let seconds = began.elapsed().as_secs_f64();
        texts.push(finished_text(&report, seconds));
        if let Some(validation) = &report.validation {
            texts.push(validation_text(validation));
            say_findings(validation);
        }
        report.filled.iter().for_each(|filled| out.report(&filled.report()));
        texts.extend(told_text(&report, out));
        check_again(&report, shown)?;
        documents.push(finished_json(&report, seconds));
        unreadable.extend(report.unreadable);
        unreadable.extend(report.filled.iter().map(FilledElements::report));
    }
    out.result(&texts.join("\n"), &one_or_groups(documents))?;
    Ok(Finished::without(&unreadable))
}

/// Where the report of a run lies; that there is none is said.
fn told_text(report: &BakeReport, out: &Out) -> Option<String> {
    let told = report.run.as_ref()?;
    match &told.unreported {
        Some(why) => {
            out.warning(&format!("the run has no report: {}", why.message()));
            None
        }
        None => Some(format!("report     {}/report.html", told.folder)),
    }
}

/// Looks at what was written as closely as the settings ask for; that each unit was committed is
/// known already.
fn check_again(report: &BakeReport, shown: &Shown<'_>) -> Result<()> {
    let level = match shown.settled.config().text("run.verify") {
        Some("digests") => VerifyLevel::Digests,
        Some("readback") => VerifyLevel::Readback,
        _ => return Ok(()),
    };
    if report.references.is_some() {
        return Ok(());
    }
    let location = Location::parse(&report.destination)?;
    verify::check(&location, level, shown.settled, shown.signals)
}

/// One document: that of the only job, or those of all groups.
fn one_or_groups(mut documents: Vec<serde_json::Value>) -> serde_json::Value {
    match documents.len() {
        1 => documents.remove(0),
        _ => json!({ "v": 1, "groups": documents }),
    }
}

/// What came of a run, in a line or two.
pub(crate) fn finished_text(report: &BakeReport, seconds: f64) -> String {
    if let Some(references) = &report.references {
        return references::finished_text(report, references, seconds);
    }
    let is_resumed = report.resumed.is_some();
    if report.plan.is_nothing() || is_resumed && report.unit_count == 0 {
        return nothing_text(report);
    }
    let decoded = report.plan.decoded_bytes();
    let mut text = format!(
        "finished   {}   {} variables, {} in {} objects of {} ({:.1}:1)   {seconds:.1} s, {}/s",
        report.destination,
        variable_count(&report.plan),
        ByteSize(decoded),
        count(report.unit_count),
        report.size(),
        report.compression(),
        ByteSize((decoded as f64 / seconds.max(1e-3)) as u64),
    );
    if let Some(region) = report.plan.append.as_ref().filter(|it| it.store_length.is_some()) {
        let (start, end) = (region.old_length, region.new_length);
        text.push_str(&format!("   wrote {start}:{end} along {} anew", region.dimension));
    } else if let Some(append) = &report.plan.append {
        text.push_str(&format!(
            "   appended {} along {}, {} were there",
            count(append.new_length - append.old_length),
            append.dimension,
            count(append.skipped_count)
        ));
    }
    if report.level_count > 0 {
        text.push_str(&format!("   and {} coarser levels", report.level_count));
    }
    if !report.filled.is_empty() {
        let places = count(report.filled.len() as u64);
        text.push_str(&format!("   {places} pieces hold missing values: see above"));
    }
    if report.spilled_bytes > 0 {
        text.push_str(&format!("   spilled {}", ByteSize(report.spilled_bytes)));
    }
    text
}

/// Variables of all groups.
fn variable_count(plan: &BakePlan) -> usize {
    plan.tree().map(|(_, plan)| plan.variables.len()).sum()
}

/// What is said where nothing was written.
fn nothing_text(report: &BakeReport) -> String {
    let (destination, plan) = (&report.destination, &report.plan);
    match &plan.append {
        Some(region) if plan.is_nothing() && region.store_length.is_some() => {
            format!("unchanged  {destination}   the sources have no elements")
        }
        Some(append) if plan.is_nothing() => format!(
            "unchanged  {destination}   it has all {} elements of the sources along {} already",
            count(append.skipped_count),
            append.dimension
        ),
        _ => format!("unchanged  {destination}   it is complete"),
    }
}

fn finished_json(report: &BakeReport, seconds: f64) -> serde_json::Value {
    json!({
        "v": 1,
        "state": "SUCCEEDED",
        "destination": report.destination,
        "variables": variable_count(&report.plan),
        "decoded_bytes": report.plan.decoded_bytes(),
        "objects": report.unit_count,
        "reused_objects": report.reused_count,
        "encoded_bytes": report.encoded_bytes,
        "coarser_levels": report.level_count,
        "spilled_bytes": report.spilled_bytes,
        "peak_accounted_bytes": report.peak_bytes,
        "seconds": seconds,
        "warnings": report.plan.warnings,
        "unreadable": unreadable_json(&report.unreadable),
        "filled": report.filled,
        "references": report.references.as_ref().map(references::written_json),
        "validation": report.validation,
        "run": report.run.as_ref().map(|run| &run.id),
        "report": report.run.as_ref().map(|run| format!("{}/report.json", run.folder)),
        "plan": report.plan,
    })
}

/// Why sources were left out.
fn unreadable_json(errors: &[Error]) -> Vec<serde_json::Value> {
    errors.iter().map(|why| error_json(why, Finished::Partly.exit_code())).collect()
}

fn show(title: &str, bakes: &[Bake], run: &RunArgs, out: &Out) -> Result<Finished> {
    let (mut texts, mut documents, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for bake in bakes {
        let scanned = scan(bake, run, out)?;
        let stages = scanned.explain()?;
        let plan = &scanned.plan;
        texts.push(match scanned.referred() {
            Some(referred) => references::plan_text(title, plan, referred),
            None => plan_text(title, plan, &stages),
        });
        if !bake.checks().is_empty() {
            texts.push(format!("before readers see it: {}", bake.checks()));
        }
        documents.push(json!({
            "v": 1,
            "stages": stages.lines().collect::<Vec<_>>(),
            "references": scanned.referred().map(references::plan_json),
            "plan": plan,
            "unreadable": unreadable_json(&scanned.unreadable),
        }));
        unreadable.extend(scanned.unreadable);
    }
    out.result(&texts.join("\n"), &one_or_groups(documents))?;
    Ok(Finished::without(&unreadable))
}

/// What is baked, along what, and where it goes: the first line of a plan.
pub(crate) fn plan_head(title: &str, plan: &BakePlan) -> String {
    let stored: u64 = plan.files.iter().map(|file| file.version.size_bytes).sum();
    let files = match plan.files.as_slice() {
        [only] => only.location.clone(),
        many => format!("{} files", count(many.len() as u64)),
    };
    let along: Vec<String> = plan
        .concat_lengths()
        .iter()
        .map(|(name, length)| format!("{name} ({})", count(*length)))
        .collect();
    let along = match along.as_slice() {
        [] => String::new(),
        along => format!(" along {}", along.join(", ")),
    };
    let size = if stored > 0 { format!(", {}", ByteSize(stored)) } else { String::new() };
    format!("{title}   {files}{size}{along} -> {}\n", plan.destination)
}

fn plan_text(title: &str, plan: &BakePlan, stages: &str) -> String {
    let mut text = plan_head(title, plan);
    let head = [
        "VARIABLE", "DTYPE", "SHAPE", "CHUNKS", "EACH", "SHARDS", "HOW", "TASKS", "READS", "IN",
        "OBJECTS", "MEM/TASK", "WHY",
    ];
    let mut table = Table::new(head).with_right(&[4, 7, 8, 9, 10, 11]);
    for (group, plan) in plan.tree() {
        plan.variables.iter().for_each(|variable| table.row(variable_row(&group, plan, variable)));
    }
    text.push_str(&table.to_string());
    if let Some(region) = plan.append.as_ref().filter(|it| it.store_length.is_some()) {
        let (start, end) = (region.old_length, region.new_length);
        text.push_str(&format!("writes {start}:{end} along {} anew\n", region.dimension));
    } else if let Some(append) = &plan.append {
        text.push_str(&format!(
            "appends {} along {} to {}; {} are there already\n",
            count(append.new_length - append.old_length),
            append.dimension,
            count(append.old_length),
            count(append.skipped_count)
        ));
    }
    let all = plan.tree().flat_map(|(_, plan)| &plan.variables);
    let copies: Vec<_> = all.map(|variable| &variable.copy).collect();
    let working = copies.iter().map(|copy| copy.costs.peak_bytes).max().unwrap_or(0);
    let source_bytes: u64 = copies.iter().map(|copy| copy.costs.source_bytes).sum();
    let reads: u64 = copies.iter().map(|copy| copy.costs.source_gets).sum();
    let set_aside: u64 = copies.iter().map(|copy| copy.costs.segment_bytes_written).sum();
    text.push_str(&format!(
        "{} in, {} out before compression   {} reads, {} writes   set aside {}   memory: {} a task\n",
        ByteSize(source_bytes),
        ByteSize(plan.decoded_bytes()),
        count(reads),
        count(plan.unit_count()),
        ByteSize(set_aside),
        ByteSize(working),
    ));
    text.push_str(&ways_text(plan));
    text.push_str("stages\n");
    for stage in stages.lines() {
        text.push_str(&format!("  {stage}\n"));
    }
    text.push_str("nothing was written\n");
    text
}

fn variable_row(group: &GroupPath, plan: &BakePlan, variable: &VariablePlan) -> [String; 13] {
    let target = plan.template.variable(&variable.name);
    let copy = &variable.copy;
    let elements: u64 = variable.chunk_shape.iter().product();
    [
        full_name(group, &variable.name),
        target.map_or(String::new(), |it| it.dtype.to_string()),
        target.map_or(String::new(), |it| shape(&it.shape)),
        shape(&variable.chunk_shape),
        ByteSize(target.map_or(0, |it| it.dtype.estimated_bytes() * elements)).to_string(),
        variable.shard_shape.as_deref().map_or("-".to_owned(), shape),
        copy.method.name().to_owned(),
        count(copy.costs.task_count),
        count(copy.costs.source_gets),
        ByteSize(copy.costs.source_bytes).to_string(),
        count(copy.costs.target_puts),
        ByteSize(copy.costs.peak_bytes).to_string(),
        copy.reason.clone(),
    ]
}
