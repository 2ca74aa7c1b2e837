//! Rules on texts: the README, the code map, and what no file may say.

use super::tree::{Tree, Violation};

const README_LINES: usize = 120;
const MAP: &str = "docs/architecture.md";
/// Pages whose tables end with the names of tests.
const CLAIMS: [&str; 2] = ["docs/capabilities.md", "docs/batch-rows.md"];
const ANY_REGISTRY: &str = concat!("registry", "+");
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Folders of machines, and addresses of registries. Written in two parts, so that this file
/// passes.
const MACHINE_WORDS: [&str; 9] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:", "\\Users"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("pypi", ".org/simple"),
    concat!("sparse", "+http"),
];

/// The README is short enough to be read.
pub(crate) fn check_readme(tree: &Tree) -> Vec<Violation> {
    let what = match tree.text("README.md").map(|text| text.lines().count()) {
        Some(line_count) if line_count <= README_LINES => return Vec::new(),
        Some(line_count) => format!("{line_count} lines, {README_LINES} are allowed"),
        None => "there is none".to_owned(),
    };
    vec![Violation {
        file: "README.md".to_owned(),
        rule: "readme",
        what,
        mend: "say what it is, how it is run, and what it cannot do; the rest goes to docs/"
            .to_owned(),
    }]
}

/// The code map has every crate on it.
pub(crate) fn check_map(tree: &Tree) -> Vec<Violation> {
    let map = tree.text(MAP).unwrap_or("");
    let missing = tree.crates().into_iter().filter(|c| !map.contains(&format!("`{}`", c.place)));
    missing
        .map(|member| Violation {
            file: MAP.to_owned(),
            rule: "map",
            what: format!("{} is not on it", member.place),
            mend: format!("write `{}`: what it is for, what it must never know", member.place),
        })
        .collect()
}

/// The tests that prove what we claim are there: the last column of the tables names them.
pub(crate) fn check_proofs(tree: &Tree) -> Vec<Violation> {
    CLAIMS.iter().flat_map(|page| check_proofs_of(tree, page)).collect()
}

fn check_proofs_of(tree: &Tree, page: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, line) in tree.text(page).unwrap_or("").lines().enumerate() {
        let column = line.strip_suffix('|').and_then(|row| row.rsplit('|').next()).unwrap_or("");
        for name in column.split('`').skip(1).step_by(2) {
            let declared = format!("fn {name}(");
            if tree.rust().any(|file| file.text.contains(&declared)) {
                continue;
            }
            found.push(Violation {
                file: page.to_owned(),
                rule: "proofs",
                what: format!("line {}: no test is called {name}", index + 1),
                mend: "name the test that proves it, or claim less".to_owned(),
            });
        }
    }
    found
}

/// No file names a folder of some machine or a registry other than the public one.
pub(crate) fn check_machine_paths(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.files() {
        for (index, line) in text.lines().enumerate() {
            let word = MACHINE_WORDS.iter().find(|word| line.contains(*word)).copied();
            let is_other_registry = line.contains(ANY_REGISTRY) && !line.contains(REGISTRY);
            let word = word.or(is_other_registry.then_some("another registry"));
            found.extend(word.map(|word| Violation {
                file: path.to_owned(),
                rule: "machine paths",
                what: format!("line {}: {word}", index + 1),
                mend:
                    "name files from the root of the project; leave registries to cargo".to_owned(),
            }));
        }
    }
    found
}
