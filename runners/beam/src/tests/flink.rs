//! Pipelines on Flink, with a cluster inside the job server.

use dataflow::testing::beam_server;

use super::rows::{Exceptions, check_lacks, check_rows, check_words};
use super::server::JobServer;
use crate::{BeamRunner, RunnerKind};

#[test]
fn words_are_counted() {
    let Some(place) = beam_server("flink") else { return };
    check_words(&JobServer::flink(&place));
}

#[test]
fn what_is_lacking_is_refused() {
    let Some(place) = beam_server("flink") else { return };
    check_lacks(&JobServer::flink(&place), RunnerKind::Flink);
}

const EXCEPTIONS: Exceptions<'_> = Exceptions {
    not_held: &[
        ("WI9", "windows of the recipe's own that merge are refused, with E104"),
        ("GB5", "keys of many megabytes do not fit the buffers that the cluster inside sorts in"),
        ("LC5", "the runner has no bundle finalization"),
    ],
    not_run: &[(
        "ME3",
        "of gauges that were set at one event time, it keeps the one that came first",
    )],
};

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(place) = beam_server("flink") else { return };
    let server = JobServer::flink(&place);
    // As many subtasks on every machine: a cluster inside has one for each core else.
    let runner = BeamRunner::at(server.endpoint()).with_pipeline_option("parallelism", "2");
    check_rows(&runner, EXCEPTIONS);
}
