//! Reductions that choose one of the elements: the least, the greatest, the first, the last.

use std::cmp::Ordering;

use array::{Chunk, DType};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::reduce::number::{Number, Values, chunk_of, values_of, with_number};
use crate::reduce::reducer::ReduceInput;

/// Which element of a cell is chosen, and what of it comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    Least,
    Greatest,
    First,
    Last,
    PlaceOfLeast,
    PlaceOfGreatest,
}

impl Choice {
    pub(crate) fn needs_positions(self) -> bool {
        !matches!(self, Self::Least | Self::Greatest)
    }

    /// Whether an element is chosen instead of another.
    fn prefers<T: Number>(self, new: (T, u64), old: (T, u64)) -> bool {
        match self {
            Self::First => return new.1 < old.1,
            Self::Last => return new.1 > old.1,
            _ => {}
        }
        let is_earlier = self.needs_positions() && new.1 < old.1;
        // NaN is neither less nor greater, and so the result where it counts at all.
        match (new.0.is_nan(), old.0.is_nan()) {
            (true, true) => return is_earlier,
            (true, false) => return true,
            (false, true) => return false,
            (false, false) => {}
        }
        match self {
            Self::Least => new.0.compare_all(old.0) == Ordering::Less,
            Self::Greatest => new.0.compare_all(old.0) == Ordering::Greater,
            Self::PlaceOfLeast => match new.0.compare(old.0) {
                Ordering::Equal => is_earlier,
                order => order == Ordering::Less,
            },
            _ => match new.0.compare(old.0) {
                Ordering::Equal => is_earlier,
                order => order == Ordering::Greater,
            },
        }
    }
}

/// The chosen element of every cell, if there is one yet.
struct Chosen<T> {
    values: Vec<T>,
    positions: Vec<u64>,
    is_there: Vec<u8>,
}

impl<T: Number> Chosen<T> {
    fn none(count: usize) -> Self {
        let (values, positions) = (vec![T::nothing(); count], vec![0; count]);
        Self { values, positions, is_there: vec![0; count] }
    }

    fn offer(&mut self, choice: Choice, cell: usize, value: T, position: u64) {
        let old = (self.values[cell], self.positions[cell]);
        if self.is_there[cell] == 0 || choice.prefers((value, position), old) {
            self.values[cell] = value;
            self.positions[cell] = position;
            self.is_there[cell] = 1;
        }
    }

    fn read(parts: &[Chunk]) -> Result<Self> {
        let [values, positions, is_there] = parts else {
            return Err(Error::internal("a chosen element has three parts"));
        };
        let mut positions: Vec<u64> = values_of(positions);
        let values: Vec<T> = values_of(values);
        positions.resize(values.len(), 0);
        Ok(Self { values, positions, is_there: values_of(is_there) })
    }

    fn write(self, choice: Choice, dtype: DType) -> Result<Vec<Chunk>> {
        // Where places do not matter, they do not travel.
        let positions = if choice.needs_positions() { &self.positions[..] } else { &[] };
        Ok(vec![
            chunk_of(dtype, &self.values)?,
            chunk_of(DType::UInt64, positions)?,
            chunk_of(DType::UInt8, &self.is_there)?,
        ])
    }
}

pub(crate) fn start(
    choice: Choice,
    skips_nan: bool,
    input: &ReduceInput<'_>,
) -> Result<Vec<Chunk>> {
    with_number!(input.dtype(), T => {
        let values = Values::<T>::new(input.elements);
        let mut chosen = Chosen::<T>::none(input.cells.count());
        input.cells.for_each(|element, cell| {
            let value = values.get(element);
            if !(skips_nan && value.is_nan()) {
                let position = input.positions.map_or(0, |positions| positions.of(element));
                chosen.offer(choice, cell, value, position);
            }
        });
        chosen.write(choice, input.dtype())
    })
}

pub(crate) fn merge(
    choice: Choice,
    dtype: DType,
    left: &[Chunk],
    right: &[Chunk],
) -> Result<Vec<Chunk>> {
    with_number!(dtype, T => {
        let mut chosen = Chosen::<T>::read(left)?;
        let other = Chosen::<T>::read(right)?;
        for cell in (0..other.values.len()).filter(|&cell| other.is_there[cell] != 0) {
            chosen.offer(choice, cell, other.values[cell], other.positions[cell]);
        }
        chosen.write(choice, dtype)
    })
}

pub(crate) fn finish(
    choice: Choice,
    missing_index: Option<i64>,
    dtype: DType,
    parts: &[Chunk],
) -> Result<Chunk> {
    with_number!(dtype, T => {
        let chosen = Chosen::<T>::read(parts)?;
        let is_place = matches!(choice, Choice::PlaceOfLeast | Choice::PlaceOfGreatest);
        if chosen.is_there.contains(&0) && (!T::IS_FLOAT || is_place) && missing_index.is_none() {
            let message = "a result has no element that it could be";
            let error = Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message);
            return Err(error.mend(
                "all its elements are NaN or there is none: fill them before; of `arg_min` and \
                 `arg_max`, say what comes out with `with_missing_index`",
            ));
        }
        if is_place {
            let places = chosen.positions.iter().zip(&chosen.is_there);
            let places: Vec<i64> = places
                .map(|(&place, &is_there)| match is_there {
                    0 => missing_index.unwrap_or(-1),
                    _ => place.cast_signed(),
                })
                .collect();
            return chunk_of(DType::Int64, &places);
        }
        // One NaN, whatever the bits of those that were met.
        let plain = |value: &T| if value.is_nan() { T::nothing() } else { *value };
        chunk_of(dtype, &chosen.values.iter().map(plain).collect::<Vec<T>>())
    })
}
