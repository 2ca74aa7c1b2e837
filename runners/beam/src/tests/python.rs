//! Pipelines on the runner that Beam's Python SDK brings.

use dataflow::testing::beam_python;

use super::rows::{Exceptions, check_rows, check_words};
use super::server::JobServer;
use crate::BeamRunner;

#[test]
fn words_are_counted() {
    let Some(python) = beam_python() else { return };
    check_words(&JobServer::python(&python));
}

const EXCEPTIONS: Exceptions<'_> = Exceptions {
    not_held: &[("WI9", "windows of the recipe's own that merge are refused, with E104")],
    not_run: &[],
};

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(python) = beam_python() else { return };
    let server = JobServer::python(&python);
    check_rows(&BeamRunner::at(server.endpoint()), EXCEPTIONS);
}
