use array::{AttributeValue, Attributes, DType, Dataset, Dimension, Scalar, Storage, Variable};

use super::nonconformances;

/// A dataset in which all is as it should be.
fn right() -> Dataset {
    let variable = |name: &str, dimensions: &[&str], texts: &[(&str, &str)]| Variable {
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|&it| it.to_owned()).collect(),
        shape: dimensions.iter().map(|_| 2).collect(),
        dtype: DType::Float64,
        fill: None,
        attributes: texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect(),
        storage: Storage::default(),
    };
    let mut attributes = Attributes::default();
    attributes.set("Conventions", "CF-1.11, ACDD-1.3");
    attributes.set("external_variables", "areacella");
    let dimension =
        |name: &str| Dimension { name: name.to_owned(), length: 2, is_unlimited: false };
    let time = [
        ("units", "days since 2000-01-01"),
        ("calendar", "noleap"),
        ("bounds", "time_bnds"),
        ("axis", "T"),
        ("standard_name", "time"),
    ];
    let lat = [("units", "degrees_north"), ("standard_name", "latitude"), ("axis", "Y")];
    let height = [("units", "m"), ("positive", "up"), ("formula_terms", "a: t b: lat")];
    let t = [
        ("units", "K"),
        ("standard_name", "air_temperature standard_error"),
        ("coordinates", "height"),
        ("grid_mapping", "crs: lat"),
        ("ancillary_variables", "qc"),
        ("cell_measures", "area: areacella"),
        ("cell_methods", "time: mean"),
    ];
    let mut qc = variable("qc", &["time", "lat"], &[("flag_meanings", "good bad")]);
    qc.dtype = DType::Int8;
    qc.attributes.set("flag_values", numbers(&[0, 1]));
    qc.attributes.set("_FillValue", Scalar::of(-127));
    Dataset {
        dimensions: vec![dimension("time"), dimension("lat"), dimension("nv")],
        variables: vec![
            variable("time", &["time"], &time),
            variable("time_bnds", &["time", "nv"], &[]),
            variable("lat", &["lat"], &lat),
            variable("height", &[], &height),
            variable("crs", &[], &[("grid_mapping_name", "latitude_longitude")]),
            variable("t", &["time", "lat"], &t),
            qc,
        ],
        attributes,
        ..Dataset::default()
    }
}

fn numbers(values: &[i64]) -> AttributeValue {
    AttributeValue::Numbers(values.iter().map(|value| Scalar::of(*value)).collect())
}

#[test]
fn what_is_right_is_not_told() {
    assert_eq!(nonconformances(&right()), []);
}

/// What is told where an attribute of a variable is set to this.
#[track_caller]
fn check(
    variable: &str,
    attribute: &str,
    value: impl Into<AttributeValue>,
    section: &str,
    want: &str,
) {
    let mut dataset = right();
    let variables = &mut dataset.variables;
    let own = variables.iter_mut().find(|it| it.name == variable).expect("there");
    own.attributes.set(attribute, value);
    let found = nonconformances(&dataset);
    let told: Vec<_> = found.iter().map(|it| (it.section, it.message.as_str())).collect();
    assert_eq!(told, [(section, want)]);
    assert_eq!(found[0].variable.as_deref(), Some(variable));
    assert!(found[0].is_required);
}

#[test]
fn names_of_variables_that_are_not_there_are_told() {
    check("time", "bounds", "tb", "7.1", "`bounds` names `tb`, and no variable is called so");
    let want = "`coordinates` names `depth`, and no variable is called so";
    check("t", "coordinates", "height depth", "5", want);
    let want = "`grid_mapping` names `wgs`, and no variable is called so";
    check("t", "grid_mapping", "wgs", "5.6", want);
    let want = "`ancillary_variables` names `q`, and no variable is called so";
    check("t", "ancillary_variables", "qc q", "3.4", want);
    let want = "`cell_measures` names `volcello`, and no variable is called so";
    check("t", "cell_measures", "area: areacella volume: volcello", "7.2", want);
    let want = "`formula_terms` names `ps`, and no variable is called so";
    check("height", "formula_terms", "a: t ps: ps", "4.3.3", want);
}

#[test]
fn variables_that_are_not_what_they_are_named_as_are_told() {
    let want = "the bounds `lat` have the dimensions (lat), not (time) and one more";
    let mut dataset = right();
    dataset.variables[0].attributes.set("bounds", "lat");
    let messages: Vec<_> = nonconformances(&dataset).into_iter().map(|it| it.message).collect();
    assert_eq!(messages[0], want);
    assert!(messages[1].starts_with("`lat` has another attribute `units`"), "{messages:?}");
    let want = "the coordinate `time_bnds` has a dimension `nv` that this variable lacks";
    check("t", "coordinates", "time_bnds", "5", want);
    check("t", "grid_mapping", "lat", "5.6", "the grid mapping `lat` has no `grid_mapping_name`");
    let want = "`cell_measures` is `areacella`, not `part: variable ...`";
    check("t", "cell_measures", "areacella", "7.2", want);
}

#[test]
fn attributes_that_are_not_legal_are_told() {
    let want = "units `days since nobody knows`: the reference date `nobody knows` is no date";
    let mut dataset = right();
    dataset.variables[0].attributes.set("units", "days since nobody knows");
    dataset.variables[0].attributes.remove("bounds");
    assert_eq!(nonconformances(&dataset)[0].message, want);
    check("time", "calendar", "lunar", "4.4", "no calendar is called `lunar`");
    check("t", "units", Scalar::of(1), "3.1", "the attribute `units` is not a text");
    check("time", "axis", "t", "4", "the attribute `axis` is `t`, not X, Y, Z or T");
    check(
        "height",
        "positive",
        "over",
        "4.3",
        "the attribute `positive` is `over`, not up or down",
    );
    let want = "`air temperature` is no standard name with at most one modifier";
    check("t", "standard_name", "air temperature", "3.3", want);
    let want = "the units of a latitude are `K`, not `degrees_north`";
    check("lat", "units", "K", "4.1", want);
    let want = "the attribute `scale_factor` should be a number and is `0.1`";
    check("t", "scale_factor", "0.1", "8.1", want);
    check(
        "qc",
        "missing_value",
        Scalar::of(-999),
        "2.5.1",
        "`missing_value` is -999, which no int8 is",
    );
    let want = "`valid_range` is [3.0, 1.0], not a minimum and a maximum";
    check("t", "valid_range", numbers(&[3, 1]), "2.5.1", want);
    let want = "there are 3 `flag_values` and 2 `flag_meanings`";
    check("qc", "flag_values", numbers(&[0, 1, 2]), "3.5", want);
    let want = "`flag_meanings` have no `flag_values` or `flag_masks`";
    check("t", "flag_meanings", "good bad", "3.5", want);
}

#[test]
fn what_is_recommended_is_told_as_such() {
    let mut dataset = right();
    dataset.attributes.remove("Conventions");
    dataset.variables[1].dimensions[1] = "2-vertices".to_owned();
    let found = nonconformances(&dataset);
    let told: Vec<_> = found.iter().map(|it| (it.section, it.is_required)).collect();
    assert_eq!(told, [("2.6.1", false), ("2.3", false)]);
}

#[test]
fn a_dimension_that_stands_twice_is_told() {
    let mut dataset = right();
    dataset.variables[6].dimensions = vec!["lat".to_owned(), "lat".to_owned()];
    let found = nonconformances(&dataset);
    assert_eq!(found[0].message, "the dimension `lat` stands twice");
}
