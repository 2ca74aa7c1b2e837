//! Pipelines on Prism, the runner that Beam's Go SDK brings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataflow::prelude::*;
use dataflow::testing::{beam_server, each};

use super::Sum;
use super::rows::{Exceptions, check_rows, check_words};
use super::server::JobServer;
use crate::BeamRunner;

#[test]
fn words_are_counted() {
    let Some(place) = beam_server("prism") else { return };
    check_words(&JobServer::prism(&place));
}

const EXCEPTIONS: Exceptions<'_> = Exceptions {
    not_held: &[("WI9", "windows of the recipe's own that merge are refused, with E104")],
    not_run: &[("WI6", "an element whose time is after its window ends the runner, or stops it")],
};

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(place) = beam_server("prism") else { return };
    let server = JobServer::prism(&place);
    check_rows(&BeamRunner::at(server.endpoint()), EXCEPTIONS);
}

#[test]
fn callbacks_come_behind_whatever_begins_a_stage() {
    let Some(place) = beam_server("prism") else { return };
    let server = JobServer::prism(&place);
    let called = Arc::new(AtomicU64::new(0));
    let call = || {
        let called = Arc::clone(&called);
        each(move |pair: (i64, i64), ctx: &mut ProcessContext<'_, (i64, i64)>| {
            let called = Arc::clone(&called);
            ctx.on_commit(move || {
                called.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            ctx.output(pair)
        })
    };
    let pipeline = Pipeline::new();
    let pairs = pipeline.apply(Create::of((0..6i64).map(|n| (n % 3, n))));
    // A stage that begins by merging, and one that begins with windows.
    pairs.apply(CombinePerKey::of(Sum)).apply_named("Merged", call());
    let windows =
        pairs.apply(Reshuffle).apply(WindowInto::of(FixedWindows::of(Duration::from_secs(10))));
    windows.apply_named("Windowed", call());
    let report = pipeline.run(&BeamRunner::at(server.endpoint()));
    report.unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    assert_eq!(called.load(Ordering::Relaxed), 3 + 6);
}
