//! Checks JSON against the published schemas, as far as these use the language of schemas.

use std::path::Path;

use regex::Regex;
use serde_json::Value;

/// A schema of `docs/schemas`.
pub(crate) fn schema(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let text = std::fs::read(folder.join(format!("{name}.schema.json"))).expect("a schema");
    serde_json::from_slice(&text).expect("a schema is JSON")
}

/// What is wrong with a value; nothing if it is as the schema says.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    Check { root: schema }.value(schema, value, "$", &mut faults);
    faults
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn value(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let Some(rules) = schema.as_object() else { return };
        for (rule, want) in rules {
            let is_good = match rule.as_str() {
                "$ref" => {
                    let path = want.as_str().expect("a reference").trim_start_matches('#');
                    let target = self.root.pointer(path).expect("a reference within the schema");
                    self.value(target, value, at, faults);
                    true
                }
                "oneOf" => {
                    let ways = want.as_array().expect("ways");
                    let fits = |way: &&Value| {
                        let mut inner = Vec::new();
                        self.value(way, value, at, &mut inner);
                        inner.is_empty()
                    };
                    ways.iter().filter(fits).count() == 1
                }
                "properties" => {
                    for (name, schema) in want.as_object().expect("properties") {
                        if let Some(value) = value.get(name) {
                            self.value(schema, value, &format!("{at}.{name}"), faults);
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    self.others(rules.get("properties"), want, value, at, faults);
                    true
                }
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(want, item, &format!("{at}[{place}]"), faults);
                    }
                    true
                }
                _ => is_plain_good(rule, want, value),
            };
            if !is_good {
                faults.push(format!("{at}: {rule} {want}, not {value}"));
            }
        }
    }

    fn others(
        &self,
        known: Option<&Value>,
        want: &Value,
        value: &Value,
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let is_known = |name: &str| known.is_some_and(|known| known.get(name).is_some());
        for (name, value) in value.as_object().into_iter().flatten() {
            match want {
                _ if is_known(name) => {}
                Value::Bool(true) => {}
                Value::Bool(false) => faults.push(format!("{at}: no property {name}")),
                schema => self.value(schema, value, &format!("{at}.{name}"), faults),
            }
        }
    }
}

fn is_plain_good(rule: &str, want: &Value, value: &Value) -> bool {
    let limit = || want.as_u64().expect("a limit");
    match rule {
        "$schema" | "$id" | "$defs" | "title" | "description" => true,
        "type" => match want {
            Value::Array(types) => types.iter().any(|it| is_type(it, value)),
            one => is_type(one, value),
        },
        "const" => value == want,
        "enum" => want.as_array().expect("values").contains(value),
        "required" => {
            let names = want.as_array().expect("names").iter().filter_map(Value::as_str);
            value.is_object() && names.clone().all(|name| value.get(name).is_some())
        }
        "minimum" => value.as_f64().is_none_or(|it| it >= limit() as f64),
        "maximum" => value.as_f64().is_none_or(|it| it <= limit() as f64),
        "minItems" => value.as_array().is_none_or(|it| it.len() as u64 >= limit()),
        "maxItems" => value.as_array().is_none_or(|it| it.len() as u64 <= limit()),
        "maxLength" => value.as_str().is_none_or(|it| it.chars().count() as u64 <= limit()),
        "pattern" => {
            let pattern = Regex::new(want.as_str().expect("a pattern")).expect("a pattern");
            value.as_str().is_none_or(|it| pattern.is_match(it))
        }
        // A rule that is not known here breaks every value, so that it is seen.
        _ => false,
    }
}

fn is_type(want: &Value, value: &Value) -> bool {
    match want.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}

#[test]
fn what_breaks_a_schema_is_found() {
    let run = schema("run");
    let good = serde_json::json!({
        "v": 1, "run": "01M8EM30C9MD3K92EM6EP7R0XC", "destination": "d", "fingerprint": "f",
        "started_ms": 1, "config": { "k": { "value": 1, "layer": "flag", "place": null } },
    });
    assert_eq!(faults(&run, &good), Vec::<String>::new());
    let broken = |name: &str, value: Value| {
        let mut broken = good.clone();
        broken[name] = value;
        faults(&run, &broken).len()
    };
    assert_eq!(broken("v", 2.into()), 1);
    assert_eq!(broken("run", "short".into()), 1);
    assert_eq!(broken("started_ms", (-1).into()), 1);
    assert_eq!(broken("other", 1.into()), 1);
    assert_eq!(
        broken("config", serde_json::json!({ "k": { "value": 1, "layer": "moon", "place": 3 } })),
        2
    );
    let mut missing = good.clone();
    missing.as_object_mut().expect("an object").remove("destination");
    assert_eq!(faults(&run, &missing).len(), 1);
}
