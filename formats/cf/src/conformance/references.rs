//! Which variables a variable names, and whether they are what it takes them for.

use array::{DType, Dataset, Variable};

use super::Found;

pub(super) fn check(dataset: &Dataset, variable: &Variable, of: &mut Found<'_>) {
    for name in ["bounds", "climatology"] {
        if let Some(named) = of.text("7.1", name) {
            bounds(dataset, variable, (name, named.trim()), of);
        }
    }
    for named in words(of, "5", "coordinates") {
        if let Some(coordinate) = existing(dataset, ("coordinates", &named), "5", of) {
            let stranger = coordinate.dimensions.iter().find(|dimension| {
                let is_text_length = coordinate.dtype == DType::Bytes(1)
                    && coordinate.dimensions.last() == Some(*dimension);
                !variable.dimensions.contains(*dimension) && !is_text_length
            });
            if let Some(stranger) = stranger {
                let message = format!(
                    "the coordinate `{named}` has a dimension `{stranger}` that this variable lacks"
                );
                of.required("5", message);
            }
        }
    }
    for named in words(of, "3.4", "ancillary_variables") {
        existing(dataset, ("ancillary_variables", &named), "3.4", of);
    }
    grid_mapping(dataset, of);
    let external = dataset.attributes.text("external_variables").unwrap_or_default();
    for named in terms(of, "7.2", "cell_measures") {
        if !external.split_whitespace().any(|it| it == named) {
            existing(dataset, ("cell_measures", &named), "7.2", of);
        }
    }
    for named in terms(of, "4.3.3", "formula_terms") {
        existing(dataset, ("formula_terms", &named), "4.3.3", of);
    }
}

fn bounds(
    dataset: &Dataset,
    variable: &Variable,
    (attribute, name): (&str, &str),
    of: &mut Found<'_>,
) {
    let Some(bounds) = existing(dataset, (attribute, name), "7.1", of) else { return };
    let is_one_more = bounds.dimensions.len() == variable.dimensions.len() + 1
        && bounds.dimensions.starts_with(&variable.dimensions);
    if !is_one_more {
        let (own, theirs) = (variable.dimensions.join(", "), bounds.dimensions.join(", "));
        let message = format!(
            "the {attribute} `{name}` have the dimensions ({theirs}), not ({own}) and one more"
        );
        of.required("7.1", message);
    } else if bounds.shape.last().is_some_and(|&vertices| vertices < 2) {
        of.required("7.1", format!("the {attribute} `{name}` have fewer than two vertices"));
    }
    for attribute in ["units", "calendar", "standard_name"] {
        let [own, theirs] =
            [variable, bounds].map(|it| it.attributes.get(attribute).and_then(|it| it.as_text()));
        if theirs.is_some() && own != theirs {
            let message =
                format!("`{name}` has another attribute `{attribute}` than what it bounds");
            of.required("7.1", message);
        }
    }
}

/// `crs`, or `crs: x y other: lat lon`.
fn grid_mapping(dataset: &Dataset, of: &mut Found<'_>) {
    let words = words(of, "5.6", "grid_mapping");
    let is_extended = words.iter().any(|word| word.ends_with(':'));
    for word in words {
        let (named, is_mapping) = match word.strip_suffix(':') {
            Some(named) => (named, true),
            None => (word.as_str(), !is_extended),
        };
        let Some(mapping) = existing(dataset, ("grid_mapping", named), "5.6", of) else { continue };
        if is_mapping && mapping.attributes.text("grid_mapping_name").is_none() {
            let message = format!("the grid mapping `{named}` has no `grid_mapping_name`");
            of.required("5.6", message);
        }
    }
}

/// The words of an attribute; a colon belongs to the word before it.
fn words(of: &mut Found<'_>, section: &'static str, attribute: &str) -> Vec<String> {
    let text = of.text(section, attribute).unwrap_or_default().replace(" :", ":");
    text.split_whitespace().map(str::to_owned).collect()
}

/// The variables in `part: variable part: variable`.
fn terms(of: &mut Found<'_>, section: &'static str, attribute: &str) -> Vec<String> {
    let words = words(of, section, attribute);
    if !words.len().is_multiple_of(2) || words.iter().step_by(2).any(|word| !word.ends_with(':')) {
        let text = words.join(" ");
        of.required(section, format!("`{attribute}` is `{text}`, not `part: variable ...`"));
    }
    words.into_iter().filter(|word| !word.ends_with(':')).collect()
}

/// The variable of a name that an attribute has; where there is none, that is told. A path to
/// another group is not followed.
fn existing<'a>(
    dataset: &'a Dataset,
    (attribute, name): (&str, &str),
    section: &'static str,
    of: &mut Found<'_>,
) -> Option<&'a Variable> {
    let found = dataset.variable(name);
    if found.is_none() && !name.contains('/') {
        of.required(section, format!("`{attribute}` names `{name}`, and no variable is called so"));
    }
    found
}
