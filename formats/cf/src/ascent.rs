//! Whether the elements of a coordinate ascend or descend, chunk by chunk.

use std::cmp::Ordering;

use array::Chunk;
use array::error::Result;

use crate::numbers::Numbers;
use crate::packing::Packing;

/// What a coordinate does as far as it has been looked at.
///
/// CF conventions, section 1.3: the values of a coordinate variable are ordered monotonically, and
/// none is missing; equal neighbours are no order.
#[derive(Debug, Clone, Default)]
pub struct Ascent {
    count: u64,
    last: Option<Element>,
    direction: Option<Ordering>,
    broken: Option<(u64, AscentBreak)>,
}

/// Why a coordinate is not in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AscentBreak {
    /// An element is missing.
    Missing,
    /// An element is the same as the one before.
    Repeated,
    /// An element is above the one before where those before descend, or below where they ascend.
    Turned,
}

#[derive(Debug, Clone, Copy)]
enum Element {
    Int(i128),
    Float(f64),
}

impl Ascent {
    /// Looks at the next elements. Cost: O(elements).
    ///
    /// # Errors
    /// Elements that are no numbers or not of the packing's type.
    pub fn push(&mut self, chunk: &Chunk, packing: &Packing) -> Result<()> {
        match packing.numbers(chunk)? {
            Numbers::Ints(values) => {
                values.into_iter().for_each(|it| self.next(it.map(Element::Int)));
            }
            Numbers::Floats(values) => values.into_iter().for_each(|value| {
                self.next((!value.is_nan()).then_some(Element::Float(value)));
            }),
        }
        Ok(())
    }

    /// The first place at which the order breaks, and how; `None` if it does not.
    pub fn broken(&self) -> Option<(u64, AscentBreak)> {
        self.broken
    }

    fn next(&mut self, element: Option<Element>) {
        let place = self.count;
        self.count += 1;
        if self.broken.is_some() {
            return;
        }
        let Some(element) = element else {
            self.broken = Some((place, AscentBreak::Missing));
            return;
        };
        if let Some(last) = self.last.replace(element) {
            let step = match (element, last) {
                (Element::Int(own), Element::Int(last)) => own.cmp(&last),
                (own, last) => own.as_float().total_cmp(&last.as_float()),
            };
            match (step, self.direction) {
                (Ordering::Equal, _) => self.broken = Some((place, AscentBreak::Repeated)),
                (_, None) => self.direction = Some(step),
                (_, Some(direction)) if direction == step => {}
                _ => self.broken = Some((place, AscentBreak::Turned)),
            }
        }
    }
}

impl Element {
    fn as_float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            // Both zeros are one number.
            Self::Float(float) => float + 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use array::{Attributes, Native, Scalar};

    use super::*;

    #[track_caller]
    fn check<T: Native>(chunks: &[&[T]], want: Option<(u64, AscentBreak)>) {
        let mut attributes = Attributes::default();
        attributes.set("_FillValue", Scalar::of(-9));
        let packing = Packing::parse(&attributes, T::DTYPE).expect("numbers");
        let mut ascent = Ascent::default();
        for values in chunks {
            let chunk = Chunk::of([values.len() as u64], values).expect("as many");
            ascent.push(&chunk, &packing).expect("numbers");
        }
        assert_eq!(ascent.broken(), want);
    }

    #[test]
    fn order_is_followed_across_chunks() {
        check(&[&[1i64, 2], &[], &[3]], None);
        check(&[&[3.0, 2.5], &[-1.0]], None);
        check::<i32>(&[], None);
        check(&[&[7i8]], None);
    }

    #[test]
    fn the_first_break_is_told() {
        check(&[&[1i64, 2], &[2, 1]], Some((2, AscentBreak::Repeated)));
        check(&[&[1i64, 2], &[1, 1]], Some((2, AscentBreak::Turned)));
        check(&[&[3i64, 2], &[4]], Some((2, AscentBreak::Turned)));
        check(&[&[1i64], &[-9, 1]], Some((1, AscentBreak::Missing)));
        check(&[&[1.0, f64::NAN]], Some((1, AscentBreak::Missing)));
        check(&[&[-0.0, 0.0]], Some((1, AscentBreak::Repeated)));
        let (big, bigger) = ((1i64 << 60) + 1, (1i64 << 60) + 2);
        check(&[&[big, bigger]], None);
    }
}
