//! Reads the fields of a request; what is missing or of another kind is the client's mistake.

use serde_json::{Map, Value};

use crate::answer::{Answer, Refusal};

/// One object of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Ask<'a> {
    /// What was sent under a name; null is as good as nothing.
    pub(crate) fn raw(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that must be there, and not empty.
    pub(crate) fn text(self, name: &str) -> Answer<&'a str> {
        let text = self.maybe_text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| {
            let what = format!("{name} must not be null or empty.");
            Refusal::client(format!("Error executing request, Exception : {what}"))
        })
    }

    pub(crate) fn maybe_text(self, name: &str) -> Answer<Option<&'a str>> {
        self.typed(name, "a string", Value::as_str)
    }

    pub(crate) fn number(self, name: &str) -> Answer<Option<i64>> {
        self.typed(name, "an integer", Value::as_i64)
    }

    pub(crate) fn flag(self, name: &str) -> Answer<Option<bool>> {
        self.typed(name, "a boolean", Value::as_bool)
    }

    /// A list; empty where there is none.
    pub(crate) fn list(self, name: &str) -> Answer<&'a [Value]> {
        let list = self.typed(name, "a list", |value| value.as_array().map(Vec::as_slice))?;
        Ok(list.unwrap_or_default())
    }

    /// A list of texts; empty where there is none.
    pub(crate) fn texts(self, name: &str) -> Answer<Vec<&'a str>> {
        let texts = self.list(name)?.iter().map(|value| {
            value.as_str().ok_or_else(|| mistyped(&format!("{name}[]"), "a string", value))
        });
        texts.collect()
    }

    /// A list of objects; empty where there is none.
    pub(crate) fn objects(self, name: &str) -> Answer<Vec<Self>> {
        let objects = self.list(name)?.iter().map(|value| {
            let object = value.as_object().map(Ask);
            object.ok_or_else(|| mistyped(&format!("{name}[]"), "an object", value))
        });
        objects.collect()
    }

    pub(crate) fn object(self, name: &str) -> Answer<Option<Self>> {
        self.typed(name, "an object", |value| value.as_object().map(Ask))
    }

    /// The texts of an object, by name; empty where there is none.
    pub(crate) fn text_map(self, name: &str) -> Answer<Vec<(String, String)>> {
        let Some(object) = self.object(name)? else { return Ok(Vec::new()) };
        let pairs = object.0.iter().map(|(key, value)| {
            let text = value.as_str();
            let text = text.ok_or_else(|| mistyped(&format!("{name}.{key}"), "a string", value))?;
            Ok((key.clone(), text.to_owned()))
        });
        pairs.collect()
    }

    fn typed<T>(
        self,
        name: &str,
        want: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Answer<Option<T>> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| mistyped(name, want, value))
    }
}

fn mistyped(name: &str, want: &str, value: &Value) -> Refusal {
    Refusal::client(format!("Error executing request, Exception : {name} is {value}, not {want}"))
}
