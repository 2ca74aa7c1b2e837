//! Elements as texts.

use std::fmt::Display;

use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{
    DoFn, Element, Iterable, PCollection, PTransform, ParDo, ProcessContext, Result,
};

/// Elements as texts: Beam's `ToString`, which in Rust is the name of a trait that everybody uses.
///
/// ```
/// # use dataflow::prelude::{Create, Pipeline};
/// # use basic::ToStrings;
/// let pairs = Pipeline::new().apply(Create::of([("a".to_owned(), 1i64)]));
/// let lines = pairs.apply(ToStrings::kvs("="));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ToStrings;

impl ToStrings {
    /// What every element displays.
    pub const fn elements() -> ElementToString {
        ElementToString
    }

    /// Key and value of every pair with `delimiter` between them.
    pub fn kvs(delimiter: impl Into<String>) -> KvToString {
        KvToString(delimiter.into())
    }

    /// The values of every vector or iterable with `delimiter` between them.
    ///
    /// The text of one iterable must fit in memory; the values of an [`Iterable`] are in no order.
    pub fn iterables(delimiter: impl Into<String>) -> IterableToString {
        IterableToString(delimiter.into())
    }
}

/// What every element displays; see [`ToStrings::elements`].
#[derive(Debug, Clone, Copy)]
pub struct ElementToString;

/// Pairs as texts; see [`ToStrings::kvs`].
#[derive(Debug, Clone)]
pub struct KvToString(String);

/// Several values as one text; see [`ToStrings::iterables`].
#[derive(Debug, Clone)]
pub struct IterableToString(String);

impl<T: Element + Display> PTransform<PCollection<T>> for ElementToString {
    type Output = PCollection<String>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        input.apply(text_of(String::new(), |element: T, _| element.to_string()))
    }
}

impl<K: Element + Display, V: Element + Display> PTransform<PCollection<(K, V)>> for KvToString {
    type Output = PCollection<String>;

    fn expand(self, input: PCollection<(K, V)>) -> Self::Output {
        input.apply(text_of(self.0, |(key, value): (K, V), delimiter| {
            format!("{key}{delimiter}{value}")
        }))
    }
}

impl<T: Element + Display> PTransform<PCollection<Vec<T>>> for IterableToString
where
    Vec<T>: Element,
{
    type Output = PCollection<String>;

    fn expand(self, input: PCollection<Vec<T>>) -> Self::Output {
        input.apply(text_of(self.0, |values: Vec<T>, delimiter| joined(values, delimiter)))
    }
}

impl<T: Element + Display> PTransform<PCollection<Iterable<T>>> for IterableToString {
    type Output = PCollection<String>;

    fn expand(self, input: PCollection<Iterable<T>>) -> Self::Output {
        input.apply(text_of(self.0, |values: Iterable<T>, delimiter| joined(&values, delimiter)))
    }
}

fn joined<T: Display>(values: impl IntoIterator<Item = T>, delimiter: &str) -> String {
    let mut text = String::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            text.push_str(delimiter);
        }
        text.push_str(&value.to_string());
    }
    text
}

type TextFn<T> = fn(T, &str) -> String;

fn text_of<T: Element>(delimiter: String, text: TextFn<T>) -> ParDo<TextOf<T>> {
    ParDo::of(TextOf { delimiter, text })
}

#[derive(Clone)]
struct TextOf<T> {
    delimiter: String,
    text: TextFn<T>,
}

impl<T: Element> DoFn for TextOf<T> {
    type In = T;
    type Out = String;

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        ctx.output((self.text)(element, &self.delimiter))
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(format!("{:?}", self.delimiter))
    }
}
