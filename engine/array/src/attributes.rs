//! What a file says about a variable or about itself.

use serde::{Deserialize, Serialize};

use crate::scalar::Scalar;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// One text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// Numbers of one type; a single one is a scalar.
    Numbers(Vec<Scalar>),
    /// Anything else that JSON can say (null, bool, nested), as its text.
    Json(String),
}

impl AttributeValue {
    /// The text, if it is one text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Texts(texts) if texts.len() == 1 => texts.first().map(String::as_str),
            _ => None,
        }
    }

    /// The number, if it is a single one.
    pub fn as_number(&self) -> Option<&Scalar> {
        match self {
            Self::Numbers(numbers) if numbers.len() == 1 => numbers.first(),
            _ => None,
        }
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Scalar> for AttributeValue {
    fn from(number: Scalar) -> Self {
        Self::Numbers(vec![number])
    }
}

/// Attributes in the order of the file, each name once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(Vec<(String, AttributeValue)>);

impl Attributes {
    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text under `name`, if it is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(AttributeValue::as_text)
    }

    /// The number under `name`, if it is a single one.
    pub fn number(&self, name: &str) -> Option<&Scalar> {
        self.get(name).and_then(AttributeValue::as_number)
    }

    /// Sets `name`, in its old place if it has one, else at the end.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<AttributeValue>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: &str) -> Option<AttributeValue> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The number of attributes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, AttributeValue)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (String, AttributeValue)>>(pairs: I) -> Self {
        let mut attributes = Self::default();
        for (name, value) in pairs {
            attributes.set(name, value);
        }
        attributes
    }
}
