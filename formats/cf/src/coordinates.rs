//! Which variables a variable refers to, and what they take over from it.

use std::collections::BTreeSet;

use array::error::Result;
use array::{Attributes, Dataset, Variable};

use crate::time::{TimeEncoding, declares_time};

/// The names of variables in the attributes of a variable or of a dataset: `bounds`,
/// `climatology`, `coordinates`, `ancillary_variables`, `grid_mapping`, `cell_measures` and
/// `formula_terms`.
///
/// There need not be variables of these names.
pub fn related_variables(attributes: &Attributes) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (attribute, form) in REFERENCES {
        // Some files have a space before the colon.
        let text = attributes.text(attribute).unwrap_or_default().replace(" :", ":");
        for word in text.split_whitespace() {
            match (word.strip_suffix(':'), form) {
                (None, _) => names.insert(word.to_owned()),
                (Some(key), Form::NamesBeforeColons) => names.insert(key.to_owned()),
                (Some(_), Form::Names) => false,
            };
        }
    }
    names
}

/// The time encoding of a variable: its own, or that of the coordinate whose bounds it holds.
///
/// Bounds take over each of `units` and `calendar` that they do not have. `None` if neither says
/// that it counts time.
///
/// # Errors
/// Those of [`TimeEncoding::parse`].
pub fn time_encoding(dataset: &Dataset, variable: &Variable) -> Result<Option<TimeEncoding>> {
    let mut attributes = variable.attributes.clone();
    let is_parent = |other: &&Variable| {
        let is_bounds = |name| other.attributes.text(name).map(str::trim) == Some(&variable.name);
        declares_time(&other.attributes) && BOUNDS.into_iter().any(is_bounds)
    };
    if let Some(parent) = dataset.variables.iter().find(is_parent) {
        for name in ["units", "calendar"] {
            if let (None, Some(value)) = (attributes.get(name), parent.attributes.get(name)) {
                attributes.set(name, value.clone());
            }
        }
    }
    let declared = declares_time(&attributes).then(|| TimeEncoding::parse(&attributes));
    declared.transpose().map_err(|error| error.at("variable", &variable.name))
}

const BOUNDS: [&str; 2] = ["bounds", "climatology"];

const REFERENCES: [(&str, Form); 7] = [
    ("bounds", Form::Names),
    ("climatology", Form::Names),
    ("coordinates", Form::Names),
    ("ancillary_variables", Form::Names),
    ("grid_mapping", Form::NamesBeforeColons),
    ("cell_measures", Form::Names),
    ("formula_terms", Form::Names),
];

/// What stands in an attribute.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Names of variables; a word before a colon is the part that the next one plays.
    Names,
    /// Names of variables, some of which have a colon and the names that belong to them.
    NamesBeforeColons,
}

#[cfg(test)]
mod tests {
    use array::DType;

    use super::*;

    fn attributes(texts: &[(&str, &str)]) -> Attributes {
        texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect()
    }

    #[track_caller]
    fn check(attribute: &str, text: &str, want: &[&str]) {
        let names = related_variables(&attributes(&[(attribute, text)]));
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), want);
    }

    #[test]
    fn names_of_variables_are_found_in_every_form() {
        check("bounds", "time_bnds", &["time_bnds"]);
        check("climatology", "climatology_bounds", &["climatology_bounds"]);
        check("coordinates", "lat_gds lon_gds ", &["lat_gds", "lon_gds"]);
        check("ancillary_variables", "qc_temp qc_rh", &["qc_rh", "qc_temp"]);
        check("grid_mapping", "albers_conical_equal_area", &["albers_conical_equal_area"]);
        check(
            "grid_mapping",
            "crs: x y other : lat lon",
            &["crs", "lat", "lon", "other", "x", "y"],
        );
        check("cell_measures", "area: areacella volume: v", &["areacella", "v"]);
        check("formula_terms", "a: hyam b : hybm ps: PS", &["PS", "hyam", "hybm"]);
        check("long_name", "not a variable", &[]);
    }

    fn dataset(variables: &[(&str, &[(&str, &str)])]) -> Dataset {
        let variable = |(name, texts): &(&str, &[(&str, &str)])| Variable {
            name: (*name).to_owned(),
            dimensions: Vec::new(),
            shape: Vec::new(),
            dtype: DType::Float64,
            fill: None,
            attributes: attributes(texts),
            storage: array::Storage::default(),
        };
        Dataset { variables: variables.iter().map(variable).collect(), ..Dataset::default() }
    }

    /// The units and the calendar of the variable `b` beside a time that names it in `link`.
    #[track_caller]
    fn check_bounds(link: &str, own: &[(&str, &str)], want: Option<(&str, &str)>) {
        let time = [(link, "b"), ("units", "days since 1850-01-01"), ("calendar", "noleap")];
        let dataset = dataset(&[("b", own), ("t", &time)]);
        let found = time_encoding(&dataset, &dataset.variables[0]).expect("units of time");
        let found = found.map(|found| (found.units(), found.calendar().name()));
        assert_eq!(found.as_ref().map(|(units, calendar)| (units.as_str(), *calendar)), want);
    }

    #[test]
    fn bounds_follow_their_coordinate_where_they_say_nothing() {
        let followed = Some(("days since 1850-01-01 00:00:00", "noleap"));
        check_bounds("bounds", &[], followed);
        check_bounds("climatology", &[], followed);
        check_bounds("bounds", &[("units", "days since 1850-01-01")], followed);
        let own = [("units", "hours since 1900-01-01"), ("calendar", "360_day")];
        check_bounds("bounds", &own, Some(("hours since 1900-01-01 00:00:00", "360_day")));
        check_bounds("bounds", &[("units", "1")], None);
        check_bounds("coordinates", &[], None);
    }

    #[test]
    fn units_that_cannot_be_read_name_the_variable() {
        let dataset = dataset(&[("t", &[("units", "fortnights since 2000-01-01")])]);
        let error = time_encoding(&dataset, &dataset.variables[0]).expect_err("no unit");
        assert_eq!(error.place("variable"), Some("t"));
    }
}
