//! Pipelines on Flink, with a cluster inside the job server.

use dataflow::testing::beam_server;

use super::rows::{Exceptions, check_rows, check_words};
use super::server::JobServer;
use crate::BeamRunner;

#[test]
fn words_are_counted() {
    let Some(place) = beam_server("flink") else { return };
    check_words(&JobServer::flink(&place));
}

const EXCEPTIONS: Exceptions<'_> = Exceptions {
    not_held: &[
        ("WI9", "windows of the recipe's own that merge are refused, with E104"),
        ("CR6", "a pipeline in which nothing happens is refused"),
        ("PD8", "groups have no pane"),
        ("RE3", "groups have no pane"),
        ("WI11", "groups have no pane"),
        ("GB5", "keys of many megabytes do not fit the buffers that the cluster inside sorts in"),
        ("FL5", "a flatten both within and between stages is refused as made twice"),
        ("ME5", "what the runner itself flattens or moves is not counted"),
        ("LC5", "the runner has no bundle finalization"),
    ],
    not_run: &[],
};

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(place) = beam_server("flink") else { return };
    let server = JobServer::flink(&place);
    // As many subtasks on every machine: a cluster inside has one for each core else.
    let runner = BeamRunner::at(server.endpoint()).with_pipeline_option("parallelism", "2");
    check_rows(&runner, EXCEPTIONS);
}
