//! Rules on files: how long they and their functions are, what they are called, what they say first.

use super::tree::{Tree, Violation};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
/// Lines of functions in `mod.rs` or `lib.rs`: room for a few small ones beside declarations.
const DECLARING_FILE_LINES: usize = 40;

/// Names that say nothing about what a file is for.
const EMPTY_NAMES: [&str; 6] = ["common", "helper", "helpers", "misc", "util", "utils"];

/// No file has more lines than a reader keeps in mind; unit tests are not counted.
pub(crate) fn check_file_lengths(tree: &Tree) -> Vec<Violation> {
    let files = tree.rust().filter(|file| !file.is_test);
    let lengths = files.map(|file| (file.path, file.source.shipped_line_count()));
    let long = lengths.filter(|(_, line_count)| *line_count > FILE_LINES);
    long.map(|(path, line_count)| Violation {
        file: path.to_owned(),
        rule: "file lengths",
        what: format!("{line_count} lines without tests, {FILE_LINES} are allowed"),
        mend: "give each idea its own file".to_owned(),
    })
    .collect()
}

/// Every function fits a screen, tests too.
pub(crate) fn check_function_lengths(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.rust() {
        for function in file.source.functions() {
            if function.line_count > FUNCTION_LINES {
                let (line, name, length) = (function.line, function.name, function.line_count);
                found.push(Violation {
                    file: file.path.to_owned(),
                    rule: "function lengths",
                    what: format!(
                        "line {line}: {name} has {length} lines, {FUNCTION_LINES} are allowed"
                    ),
                    mend: "name its steps and make each a function".to_owned(),
                });
            }
        }
    }
    found
}

/// `mod.rs` and `lib.rs` declare, document and re-export: they hold no work to speak of.
pub(crate) fn check_declaring_files(tree: &Tree) -> Vec<Violation> {
    let declares = |path: &str| path.ends_with("/mod.rs") || path.ends_with("/lib.rs");
    let files = tree.rust().filter(|file| !file.is_test && declares(file.path));
    let lengths = files.map(|file| {
        let functions = file.source.shipped_functions();
        (file.path, functions.iter().map(|f| f.line_count).sum::<usize>())
    });
    let long = lengths.filter(|(_, line_count)| *line_count > DECLARING_FILE_LINES);
    long.map(|(path, line_count)| Violation {
        file: path.to_owned(),
        rule: "declaring files",
        what: format!("{line_count} lines of functions, {DECLARING_FILE_LINES} are allowed"),
        mend: "move them to a file that is named after what they are about".to_owned(),
    })
    .collect()
}

/// No file or module has a name that says nothing.
pub(crate) fn check_file_names(tree: &Tree) -> Vec<Violation> {
    let says_nothing = |path: &str| {
        let mut names = path.trim_end_matches(".rs").split('/');
        names.any(|name| EMPTY_NAMES.contains(&name))
    };
    let files = tree.rust().filter(|file| says_nothing(file.path));
    files
        .map(|file| Violation {
            file: file.path.to_owned(),
            rule: "file names",
            what: "a name that says nothing".to_owned(),
            mend: "put each function where its noun lives".to_owned(),
        })
        .collect()
}

/// Every module says first what it is for. Unit tests are about the module that they belong to.
pub(crate) fn check_module_docs(tree: &Tree) -> Vec<Violation> {
    let is_unit_test = |path: &str| path.ends_with("/tests.rs");
    let files = tree.rust().filter(|file| !is_unit_test(file.path));
    let undocumented = files.filter(|file| !file.text.trim_start().starts_with("//!"));
    undocumented
        .map(|file| Violation {
            file: file.path.to_owned(),
            rule: "module docs",
            what: "an undocumented module".to_owned(),
            mend: "begin with `//!`: what it is for, what it must never know".to_owned(),
        })
        .collect()
}
