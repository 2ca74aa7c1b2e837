//! The value of an attribute, as users write it in a recipe.

use array::{AttributeValue, Scalar};
use serde::{Deserialize, Serialize};

/// A text, a number, or a list of one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GivenAttribute {
    /// A text.
    Text(String),
    /// An integer of 64 bits.
    Integer(i64),
    /// A float of 64 bits.
    Float(f64),
    /// Texts.
    Texts(Vec<String>),
    /// Integers of 64 bits.
    Integers(Vec<i64>),
    /// Floats of 64 bits.
    Floats(Vec<f64>),
}

impl From<&GivenAttribute> for AttributeValue {
    fn from(given: &GivenAttribute) -> Self {
        let numbers = |numbers: &mut dyn Iterator<Item = Scalar>| Self::Numbers(numbers.collect());
        match given {
            GivenAttribute::Text(text) => Self::Text(text.clone()),
            GivenAttribute::Integer(number) => Scalar::of(*number).into(),
            GivenAttribute::Float(number) => Scalar::of(*number).into(),
            GivenAttribute::Texts(texts) => Self::Texts(texts.clone()),
            GivenAttribute::Integers(all) => numbers(&mut all.iter().map(|it| Scalar::of(*it))),
            GivenAttribute::Floats(all) => numbers(&mut all.iter().map(|it| Scalar::of(*it))),
        }
    }
}
