//! The house's guard: what `docs/architecture.md` and `CONTRIBUTING.md` promise, checked on text.
//!
//! A rule is a pure function of a [`Tree`]. It reads files and nothing else: no tool, no network.
//! `tests.rs` breaks each rule on a small house of its own. Read `tree.rs` first.

mod crates;
mod effects;
mod layers;
mod manifest;
mod papers;
mod sizes;
mod source;
#[cfg(test)]
mod tests;
mod tree;

use std::path::Path;

use tree::{Tree, Violation};

/// What may not be found in any tree of the house.
type Rule = fn(&Tree) -> Vec<Violation>;

/// All rules.
const RULES: [Rule; 21] = [
    crates::check_imports,
    crates::check_features,
    crates::check_names,
    crates::check_shelves,
    crates::check_members,
    crates::check_engine_is_light,
    layers::check_layers,
    layers::check_doors,
    sizes::check_file_lengths,
    sizes::check_function_lengths,
    sizes::check_declaring_files,
    sizes::check_file_names,
    sizes::check_module_docs,
    effects::check_async,
    effects::check_printing,
    effects::check_environment,
    effects::check_one_way,
    papers::check_readme,
    papers::check_map,
    papers::check_proofs,
    papers::check_machine_paths,
];

fn violations(tree: &Tree) -> Vec<Violation> {
    RULES.iter().flat_map(|rule| rule(tree)).collect()
}

#[test]
fn the_house_is_tidy() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the project can be read");
    let found: Vec<String> = violations(&tree).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} places break a rule:\n{}", found.len(), found.join("\n"));
}
