//! Pipelines on Prism, the runner that Beam's Go SDK brings.

use dataflow::testing::beam_server;

use super::rows::{Exceptions, check_rows, check_words};
use super::server::JobServer;
use crate::BeamRunner;

#[test]
fn words_are_counted() {
    let Some(place) = beam_server("prism") else { return };
    check_words(&JobServer::prism(&place));
}

const EXCEPTIONS: Exceptions<'_> = Exceptions {
    not_held: &[
        ("WI9", "windows of the recipe's own that merge are refused, with E104"),
        ("ME5", "what the runner itself flattens is not counted"),
        ("IM1", "an impulse is handed to no side input"),
        ("LC5", "callbacks are for functions that announce them, at the head of a stage"),
    ],
    not_run: &[("WI6", "an element whose time is after its window ends the runner, or stops it")],
};

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(place) = beam_server("prism") else { return };
    let server = JobServer::prism(&place);
    check_rows(&BeamRunner::at(server.endpoint()), EXCEPTIONS);
}
