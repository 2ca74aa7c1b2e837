//! Rules on what code may do besides computing: wait, print, and look at its surroundings.

use super::source::{line_of, names_below, words};
use super::tree::{RustFile, Tree, Violation, is_below};

/// Where waiting for others is the whole point; elsewhere calls block.
const ASYNC: [&str; 3] = ["formats/objects", "runners/batch", "runners/beam"];

/// Programs: the command, what shows or measures it, and the servers that tests of runners start.
const PROGRAMS: [&str; 6] = [
    "src",
    "examples",
    "benches",
    "runners/batch/emulator",
    "runners/batch/faults",
    "runners/batch/loopback",
];

/// Support for tests tells why a test skips, and is told by the environment where data lies.
const TEST_SUPPORT: &str = "engine/dataflow/src/testing";

/// The standard chains of credentials are variables.
const CREDENTIALS: &str = "formats/objects/src/credentials.rs";

const PRINTING: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];
const TERMINAL: [&str; 3] = ["stderr", "stdin", "stdout"];

/// `async` stays in the crates that talk to stores and services.
pub(crate) fn check_async(tree: &Tree) -> Vec<Violation> {
    let files = tree.rust().filter(|file| !ASYNC.iter().any(|place| is_below(file.path, place)));
    let mut found = Vec::new();
    for file in files {
        let code = file.source.code();
        let async_at = words(code, "async").chain(words(code, "await")).min();
        found.extend(async_at.map(|at| {
            Violation {
                file: file.path.to_owned(),
                rule: "async",
                what: format!("line {}: async", line_of(code, at)),
                mend:
                    "call what formats/objects offers: it blocks, and takes many requests at once"
                        .to_owned(),
            }
        }));
    }
    found
}

/// Only programs print.
pub(crate) fn check_printing(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in libraries(tree) {
        let code = file.source.shipped_code();
        let follows = |at: usize, word: &str, mark: &str| code[at + word.len()..].starts_with(mark);
        let macros = PRINTING.iter().flat_map(|name| {
            words(&code, name).filter(|at| follows(*at, name, "!")).map(|at| (at, *name))
        });
        let streams = TERMINAL.iter().flat_map(|name| {
            let calls = words(&code, name).filter(|at| follows(*at, name, "("));
            calls.filter(|at| !code[..*at].ends_with('.')).map(|at| (at, *name))
        });
        found.extend(macros.chain(streams).map(|(at, name)| Violation {
            file: file.path.to_owned(),
            rule: "printing",
            what: format!("line {}: {name}", line_of(&code, at)),
            mend: "return it, or record it with tracing; src/ prints".to_owned(),
        }));
    }
    found
}

/// Only programs read the environment and the arguments.
pub(crate) fn check_environment(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in libraries(tree).filter(|file| file.path != CREDENTIALS) {
        let code = file.source.shipped_code();
        let names = names_below(&code, "std").into_iter().filter(|(_, name)| *name == "env");
        found.extend(names.map(|(line, _)| Violation {
            file: file.path.to_owned(),
            rule: "environment",
            what: format!("line {line}: std::env"),
            mend: "take it as an option; src/ reads the environment".to_owned(),
        }));
    }
    found
}

/// The clients of stores and of AWS.
const CLIENTS: [&str; 2] = ["formats/objects/src", "runners/batch/src/aws"];
/// Names of places that are not the real one.
const STAGES: [&str; 5] = ["emulator", "localstack", "ministack", "moto", "sandbox"];

/// Clients of services go one way, whoever answers: what is tested is what runs.
pub(crate) fn check_one_way(tree: &Tree) -> Vec<Violation> {
    let is_client = |path: &str| CLIENTS.iter().any(|place| is_below(path, place));
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| !file.is_test && is_client(file.path)) {
        let code = file.source.code();
        let for_tests = code.match_indices("cfg(test)").map(|(at, _)| at).filter(|at| {
            let item = code[*at..].split_once(']').map_or("", |(_, item)| item.trim_start());
            let item = item.split_once("#[").map_or(item, |(before, after)| {
                // One more attribute, such as the path of the module.
                if before.is_empty() { after.split_once(']').map_or("", |it| it.1) } else { item }
            });
            !item.trim_start().starts_with("mod ")
        });
        let macros = code.match_indices("cfg!").map(|(at, _)| at);
        let shipped = file.source.shipped_code().to_ascii_lowercase();
        let named = STAGES.iter().filter_map(|name| shipped.find(name));
        let places: Vec<usize> = for_tests.chain(macros).chain(named).collect();
        found.extend(places.into_iter().map(|at| Violation {
            file: file.path.to_owned(),
            rule: "one way",
            what: format!("line {}: a way of its own for tests", line_of(code, at)),
            mend: "let the endpoint be all that differs between a test and a run".to_owned(),
        }));
    }
    found
}

/// What ships and is no program.
fn libraries(tree: &Tree) -> impl Iterator<Item = RustFile<'_>> {
    let is_program = |path: &str| PROGRAMS.iter().any(|place| is_below(path, place));
    tree.rust().filter(move |file| {
        !file.is_test && !is_program(file.path) && !is_below(file.path, TEST_SUPPORT)
    })
}
