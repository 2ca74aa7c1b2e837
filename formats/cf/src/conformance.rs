//! What the CF conventions ask of a dataset, as far as its metadata say.
//!
//! Values are not read here; where rules need them, callers read. Read
//! [`crate::conformance::attributes`] next.

mod attributes;
mod references;

use array::{Dataset, Variable};

/// Something that the CF conventions do not allow, or advise against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonconformance {
    /// The variable; `None` where it is the dataset itself.
    pub variable: Option<String>,
    /// What is not as it should be, in a sentence.
    pub message: String,
    /// The section of the conventions that says so.
    pub section: &'static str,
    /// Whether the conventions require it; otherwise they recommend it.
    pub is_required: bool,
}

/// What in the metadata of a dataset is not as the CF conventions have it, in the order of the
/// variables.
///
/// Looked at are names, dimensions, units and calendars, standard names, axes, packing and missing
/// values, flags, and what variables refer to: bounds, coordinates, grid mappings, ancillary
/// variables, cell measures and formula terms. Cost: O(variables × attributes).
///
/// Source: CF conventions 1.11, by the sections that are named.
pub fn nonconformances(dataset: &Dataset) -> Vec<Nonconformance> {
    let mut found = Vec::new();
    if dataset.attributes.text("Conventions").is_none_or(|it| !it.contains("CF-")) {
        let message = "the attribute `Conventions` does not name the CF conventions".to_owned();
        found.push(Nonconformance {
            variable: None,
            message,
            section: "2.6.1",
            is_required: false,
        });
    }
    for variable in &dataset.variables {
        let mut of = Found { variable, found: &mut found };
        names(variable, &mut of);
        attributes::check(variable, &mut of);
        references::check(dataset, variable, &mut of);
    }
    found
}

/// What was found of one variable.
struct Found<'a> {
    variable: &'a Variable,
    found: &'a mut Vec<Nonconformance>,
}

impl Found<'_> {
    /// What the conventions require.
    fn required(&mut self, section: &'static str, message: String) {
        self.push(section, message, true);
    }

    /// What they recommend.
    fn recommended(&mut self, section: &'static str, message: String) {
        self.push(section, message, false);
    }

    fn push(&mut self, section: &'static str, message: String, is_required: bool) {
        let variable = Some(self.variable.name.clone());
        self.found.push(Nonconformance { variable, message, section, is_required });
    }

    /// The text of an attribute; one that is no text is told.
    fn text(&mut self, section: &'static str, name: &str) -> Option<String> {
        let value = self.variable.attributes.get(name)?;
        let text = value.as_text().map(str::to_owned);
        if text.is_none() {
            self.required(section, format!("the attribute `{name}` is not a text"));
        }
        text
    }
}

fn names(variable: &Variable, of: &mut Found<'_>) {
    let about = [&variable.name].into_iter().chain(&variable.dimensions);
    for name in about.filter(|name| !is_name(name)) {
        let message = format!("`{name}` is not made of letters, digits and underscores alone");
        of.recommended("2.3", message);
    }
    for (place, dimension) in variable.dimensions.iter().enumerate() {
        if variable.dimensions[..place].contains(dimension) {
            of.required("2.4", format!("the dimension `{dimension}` stands twice"));
        }
    }
}

/// Whether a name begins with a letter and goes on with letters, digits and underscores.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
