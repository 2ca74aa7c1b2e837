//! An element that could not be processed, with what is known of why.

use dataflow::coder::malformed;
use dataflow::coder::{Cbor, Coder, CoderKind, Context, Preview, put_prefixed, take_prefixed};
use dataflow::dofn::Step;
use dataflow::error::redact;
use dataflow::prelude::{Element, Error, Result};

use crate::encoding::preview_of;

/// An element that failed: what it was, where it failed, and why.
///
/// Made by [`TryMap`](crate::TryMap) and [`TryParDo`](crate::TryParDo).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed<T> {
    /// The element as it came in.
    pub element: T,
    /// Why it failed: code, message, chain and places.
    pub error: Error,
    /// What a user recognises the element by; shortened, without secrets.
    pub preview: String,
    /// The full name of the step that failed.
    pub step: String,
    /// The line of the recipe that made the step.
    pub recipe: String,
}

impl<T: Element> Failed<T> {
    pub(crate) fn new(element: T, error: Error, step: Step<'_>) -> Self {
        let preview = redact(&preview_of(&element));
        let recipe = format!("{}:{}", step.location.file(), step.location.line());
        Self { element, error, preview, step: step.name.to_owned(), recipe }
    }

    /// The whole report: the error with step, recipe line and element, as a run that stops at it
    /// would end.
    pub fn report(&self) -> Error {
        let error = self.error.clone();
        error.at("step", &self.step).at("recipe", &self.recipe).at("element", &self.preview)
    }
}

impl<T: Element> Element for Failed<T> {
    type Coder = FailedCoder<T::Coder>;

    fn coder() -> Self::Coder {
        FailedCoder(T::coder())
    }

    fn heap_bytes(&self) -> usize {
        let places = self.error.places().map(|(role, place)| role.len() + place.len());
        let error = self.error.message().len() + places.sum::<usize>();
        let texts = self.preview.capacity() + self.step.capacity() + self.recipe.capacity();
        self.element.heap_bytes() + error + texts
    }
}

/// Encodes a [`Failed`]: element, error as CBOR, preview, step and recipe line, each nested.
#[derive(Debug, Clone)]
pub struct FailedCoder<C>(C);

impl<T: Element, C: Coder<T>> Coder<Failed<T>> for FailedCoder<C> {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque(format!("failed<{}>", self.0.kind()))
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &Failed<T>, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            self.0.encode(&value.element, Context::Nested, out)?;
            <Cbor<Error>>::coder().encode(&Cbor(value.error.clone()), Context::Nested, out)?;
            [&value.preview, &value.step, &value.recipe]
                .into_iter()
                .try_for_each(|text| String::coder().encode(text, Context::Nested, out))
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Failed<T>> {
        let mut inner = take_prefixed(context, input, "failed")?;
        let element = self.0.decode(Context::Nested, &mut inner)?;
        let Cbor(error) = <Cbor<Error>>::coder().decode(Context::Nested, &mut inner)?;
        let mut text = || String::coder().decode(Context::Nested, &mut inner);
        let (preview, step, recipe) = (text()?, text()?, text()?);
        match inner.len() {
            0 => Ok(Failed { element, error, preview, step, recipe }),
            left => Err(malformed("failed", &format!("{left} bytes follow the value"))),
        }
    }

    fn preview(&self, value: &Failed<T>, out: &mut Preview) {
        self.0.preview(&value.element, out);
        out.push_str(" failed: ");
        out.push_str(value.error.message());
    }
}
