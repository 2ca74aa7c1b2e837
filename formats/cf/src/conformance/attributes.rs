//! What a variable says of itself: units, names, packing, flags.

use array::{AttributeValue, DType, Scalar, Variable};

use super::{Found, is_name};
use crate::packing::Packing;
use crate::time::{TimeEncoding, declares_time};

/// Units of a latitude, and of a longitude.
const DEGREES: [(&str, [&str; 6], &str); 2] = [
    (
        "latitude",
        ["degrees_north", "degree_north", "degree_N", "degrees_N", "degreeN", "degreesN"],
        "4.1",
    ),
    (
        "longitude",
        ["degrees_east", "degree_east", "degree_E", "degrees_E", "degreeE", "degreesE"],
        "4.2",
    ),
];

/// What may follow a standard name.
const MODIFIERS: [&str; 4] =
    ["detection_minimum", "number_of_observations", "standard_error", "status_flag"];

pub(super) fn check(variable: &Variable, of: &mut Found<'_>) {
    units(variable, of);
    standard_name(of);
    let axis = of.text("4", "axis");
    if let Some(axis) = axis.filter(|it| !["X", "Y", "Z", "T"].contains(&it.as_str())) {
        of.required("4", format!("the attribute `axis` is `{axis}`, not X, Y, Z or T"));
    }
    let positive = of.text("4.3", "positive").map(|it| it.to_ascii_lowercase());
    if let Some(positive) = positive.filter(|it| !["up", "down"].contains(&it.as_str())) {
        of.required("4.3", format!("the attribute `positive` is `{positive}`, not up or down"));
    }
    for name in ["long_name", "cell_methods"] {
        of.text("3.2", name);
    }
    packing(variable, of);
    flags(variable, of);
}

fn units(variable: &Variable, of: &mut Found<'_>) {
    let units = of.text("3.1", "units");
    if declares_time(&variable.attributes) {
        if let Err(error) = TimeEncoding::parse(&variable.attributes) {
            of.required("4.4", error.message().to_owned());
        }
    } else if variable.attributes.get("calendar").is_some() && units.is_some() {
        let message = "the attribute `calendar` stands beside units that count no time";
        of.required("4.4.1", message.to_owned());
    }
    let standard_name = variable.attributes.text("standard_name").unwrap_or_default();
    for (name, allowed, section) in DEGREES {
        if standard_name != name {
            continue;
        }
        match &units {
            None => of.required(section, format!("a {name} has no `units`")),
            Some(units) if !allowed.contains(&units.as_str()) => {
                let first = allowed[0];
                of.required(section, format!("the units of a {name} are `{units}`, not `{first}`"));
            }
            Some(_) => {}
        }
    }
}

fn standard_name(of: &mut Found<'_>) {
    let Some(text) = of.text("3.3", "standard_name") else { return };
    let mut words = text.split_whitespace();
    let is_right = words.next().is_some_and(is_name)
        && words.next().is_none_or(|modifier| MODIFIERS.contains(&modifier))
        && words.next().is_none();
    if !is_right {
        let message = format!("`{text}` is no standard name with at most one modifier");
        of.required("3.3", message);
    }
}

fn packing(variable: &Variable, of: &mut Found<'_>) {
    let is_numeric = variable.dtype.is_integer() || variable.dtype.is_float();
    if let Err(error) = Packing::parse(&variable.attributes, variable.dtype) {
        of.required("8.1", error.message().to_owned());
    }
    let numbers = |name| match variable.attributes.get(name) {
        Some(AttributeValue::Numbers(numbers)) => Some(numbers.as_slice()),
        _ => None,
    };
    for name in ["_FillValue", "missing_value"] {
        let strange =
            |number: &&Scalar| variable.dtype.is_integer() && number.cast(variable.dtype).is_none();
        if let Some(number) = numbers(name).unwrap_or_default().iter().find(strange) {
            let message = format!("`{name}` is {number}, which no {} is", variable.dtype);
            of.required("2.5.1", message);
        }
    }
    let is_packed = |name: &&str| variable.attributes.get(name).is_some();
    if let Some(name) = ["scale_factor", "add_offset"].into_iter().find(is_packed)
        && !is_numeric
    {
        of.required("8.1", format!("elements of {} have a `{name}`", variable.dtype));
    }
    let Some(range) = variable.attributes.get("valid_range") else { return };
    let bounds: Vec<f64> =
        numbers("valid_range").unwrap_or_default().iter().filter_map(Scalar::as_float).collect();
    if bounds.len() != 2 || bounds[0] > bounds[1] {
        let shown = range.as_text().map_or_else(|| format!("{bounds:?}"), str::to_owned);
        of.required("2.5.1", format!("`valid_range` is {shown}, not a minimum and a maximum"));
    }
    if let Some(name) = ["valid_min", "valid_max"].into_iter().find(is_packed) {
        of.required("2.5.1", format!("`valid_range` and `{name}` stand beside each other"));
    }
}

fn flags(variable: &Variable, of: &mut Found<'_>) {
    let count = |name| match variable.attributes.get(name) {
        Some(AttributeValue::Numbers(numbers)) => Some(numbers.len()),
        Some(AttributeValue::Texts(texts)) => Some(texts.len()),
        // Characters, of which files make one text.
        Some(AttributeValue::Text(text)) => Some(text.split([',', ' ']).count()),
        _ => None,
    };
    let meanings = of.text("3.5", "flag_meanings").map(|it| it.split_whitespace().count());
    for name in ["flag_values", "flag_masks"] {
        match (count(name), meanings) {
            (Some(_), None) => of.required("3.5", format!("`{name}` have no `flag_meanings`")),
            (Some(flags), Some(meanings)) if flags != meanings => {
                let message = format!("there are {flags} `{name}` and {meanings} `flag_meanings`");
                of.required("3.5", message);
            }
            _ => {}
        }
    }
    let has_flags = count("flag_values").or(count("flag_masks")).is_some();
    if meanings.is_some() && !has_flags {
        of.required("3.5", "`flag_meanings` have no `flag_values` or `flag_masks`".to_owned());
    }
    if count("flag_masks").is_some() && matches!(variable.dtype, DType::Float32 | DType::Float64) {
        of.required("3.5", format!("`flag_masks` are those of {}", variable.dtype));
    }
}
