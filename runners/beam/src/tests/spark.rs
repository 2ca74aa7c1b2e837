//! Pipelines on Spark, with a cluster inside the job server.

use dataflow::testing::beam_server;

use super::rows::{Exceptions, check_lacks, check_rows, check_words};
use super::server::JobServer;
use crate::{BeamRunner, RunnerKind};

#[test]
fn words_are_counted() {
    let Some(place) = beam_server("spark") else { return };
    check_words(&JobServer::spark(&place));
}

#[test]
fn what_is_lacking_is_refused() {
    let Some(place) = beam_server("spark") else { return };
    check_lacks(&JobServer::spark(&place), RunnerKind::Spark);
}

const EXCEPTIONS: Exceptions<'_> = Exceptions {
    not_held: &[
        ("WI9", "windows of the recipe's own that merge are refused, with E104"),
        ("WI6", "a group stands in its window, also where its elements do not"),
        ("LC5", "the runner has no bundle finalization"),
    ],
    not_run: &[(
        "ME3",
        "of gauges that were set at one event time, it keeps the one that came first",
    )],
};

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(place) = beam_server("spark") else { return };
    let server = JobServer::spark(&place);
    check_rows(&BeamRunner::at(server.endpoint()), EXCEPTIONS);
}
