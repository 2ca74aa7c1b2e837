//! The small functions that several tables use.

use std::sync::{Arc, Mutex, PoisonError};

use crate::coder::{Coder, CoderKind, Context, Preview, VarIntCoder};
use crate::combine::CombineFn;
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::primitives::Create;
use crate::shuffle::Iterable;
use crate::testing::map;

/// The pairs that Beam's tests of combining begin with.
pub(super) fn pairs(pipeline: &Pipeline) -> PCollection<(String, i64)> {
    let pairs = [("a", 1), ("a", 1), ("a", 4), ("b", 1), ("b", 13)];
    pipeline.apply(Create::of(pairs.map(|(key, value)| (key.to_owned(), value))))
}

/// Texts of literals.
pub(super) fn texts<const N: usize>(texts: [&str; N]) -> [String; N] {
    texts.map(str::to_owned)
}

/// Pairs with a text as key.
pub(super) fn keyed<V, const N: usize>(pairs: [(&str, V); N]) -> [(String, V); N] {
    pairs.map(|(key, value)| (key.to_owned(), value))
}

/// The values of each group in order, so that groups can be compared.
pub(super) fn sorted<K: Element, V: Element + Ord>(
    groups: &PCollection<(K, Iterable<V>)>,
) -> PCollection<(K, Vec<V>)> {
    groups.apply(map(|(key, values): (K, Iterable<V>)| {
        let mut values: Vec<V> = values.iter().collect();
        values.sort();
        (key, values)
    }))
}

/// An error of the code of a recipe.
pub(super) fn user_error(message: &str) -> Error {
    Error::new(ErrorCode::USER_ERROR, ErrorKind::User, message)
}

/// Adds integers up.
#[derive(Clone)]
pub(super) struct Sum;

impl CombineFn for Sum {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, value: i64) {
        *sum += value;
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
    }

    fn extract(&self, sum: i64) -> i64 {
        sum
    }
}

/// The mean, by way of sum and count.
#[derive(Clone)]
pub(super) struct Mean;

impl CombineFn for Mean {
    type In = i64;
    type Acc = (i64, i64);
    type Out = f64;

    fn create(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (i64, i64), value: i64) {
        *sum += value;
        *count += 1;
    }

    fn merge(&self, (sum, count): &mut (i64, i64), other: (i64, i64)) {
        *sum += other.0;
        *count += other.1;
    }

    fn extract(&self, (sum, count): (i64, i64)) -> f64 {
        if count == 0 { 0.0 } else { sum as f64 / count as f64 }
    }
}

/// The digits of all values in ascending order.
#[derive(Clone)]
pub(super) struct SortedDigits;

impl CombineFn for SortedDigits {
    type In = i64;
    type Acc = Vec<u8>;
    type Out = String;

    fn create(&self) -> Vec<u8> {
        Vec::new()
    }

    fn add(&self, digits: &mut Vec<u8>, value: i64) {
        digits.extend(value.to_string().bytes());
    }

    fn merge(&self, digits: &mut Vec<u8>, other: Vec<u8>) {
        digits.extend(other);
    }

    fn extract(&self, mut digits: Vec<u8>) -> String {
        digits.sort_unstable();
        String::from_utf8_lossy(&digits).into_owned()
    }
}

/// Lines that DoFns and their clones write, of this process.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A key that is equal to nothing, not even to itself; its encoding is that of its number.
#[derive(Debug, Clone)]
pub(super) struct Odd(pub(super) i64);

impl PartialEq for Odd {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OddCoder;

impl Coder<Odd> for OddCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::VarInt
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &Odd, context: Context, out: &mut Vec<u8>) -> Result<()> {
        VarIntCoder.encode(&value.0, context, out)
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Odd> {
        VarIntCoder.decode(context, input).map(Odd)
    }

    fn preview(&self, value: &Odd, out: &mut Preview) {
        out.push_display(&value.0);
    }
}

impl Element for Odd {
    type Coder = OddCoder;

    fn coder() -> OddCoder {
        OddCoder
    }
}
