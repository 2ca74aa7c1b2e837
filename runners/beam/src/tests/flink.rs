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
        ("LC5", "the runner has no bundle finalization"),
    ],
    not_run: &[],
};

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(place) = beam_server("flink") else { return };
    let server = JobServer::flink(&place);
    check_rows(&BeamRunner::at(server.endpoint()), EXCEPTIONS);
}
