//! Coordinates of variables, each once: axes, and scalars that stand for an axis of one.
//!
//! Two axes of one kind with different values get different names: the longest keeps the plain
//! one, so that names do not depend on the order of messages.

use std::collections::BTreeMap;

use array::Attributes;

/// A coordinate that variables share.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// The name that it has if no other wants it.
    pub(crate) base: String,
    /// Its values.
    pub(crate) values: AxisValues,
    /// Whether it is a dimension, be it of one element; else it is a scalar.
    pub(crate) is_dimension: bool,
    /// Its attributes.
    pub(crate) attributes: Attributes,
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AxisValues {
    /// Integers.
    Integers(Vec<i64>),
    /// Floats.
    Floats(Vec<f64>),
    /// Layers: a coordinate and its bounds.
    Layers(Vec<[f64; 2]>),
    /// None that are known, so many.
    Unknown(u64),
    /// Coordinates of the points of a grid, which share a dimension.
    Points {
        /// The grid.
        grid: usize,
        /// Their number.
        count: u64,
    },
}

impl AxisValues {
    /// Their number.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Integers(values) => values.len() as u64,
            Self::Floats(values) => values.len() as u64,
            Self::Layers(values) => values.len() as u64,
            Self::Unknown(count) | Self::Points { count, .. } => *count,
        }
    }

    /// An order for all of them, equal only if they are the same.
    fn order(&self) -> (u8, Vec<i64>) {
        // Bits of floats in the order of `f64::total_cmp`.
        let ordered = |value: &f64| {
            let bits = value.to_bits() as i64;
            bits ^ (((bits >> 63) as u64) >> 1) as i64
        };
        match self {
            Self::Integers(values) => (0, values.clone()),
            Self::Floats(values) => (1, values.iter().map(ordered).collect()),
            Self::Layers(values) => (2, values.iter().flatten().map(ordered).collect()),
            Self::Unknown(_) => (3, Vec::new()),
            Self::Points { grid, .. } => (4, vec![*grid as i64]),
        }
    }
}

/// Which of the axes a variable has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AxisId(usize);

/// All axes of a file.
#[derive(Debug, Default)]
pub(crate) struct Axes {
    all: Vec<Axis>,
}

impl Axes {
    /// Adds an axis, unless it is there.
    pub(crate) fn add(&mut self, axis: Axis) -> AxisId {
        let is_same = |known: &Axis| {
            known.base == axis.base
                && known.is_dimension == axis.is_dimension
                && known.values.len() == axis.values.len()
                && known.values.order() == axis.values.order()
        };
        AxisId(self.all.iter().position(is_same).unwrap_or_else(|| {
            self.all.push(axis);
            self.all.len() - 1
        }))
    }

    /// The axis of this number.
    pub(crate) fn get(&self, id: AxisId) -> &Axis {
        &self.all[id.0]
    }

    /// All axes with their names.
    pub(crate) fn named(&self) -> Vec<(AxisId, String)> {
        let mut of_base: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, axis) in self.all.iter().enumerate() {
            of_base.entry(&axis.base).or_default().push(place);
        }
        let mut names = vec![String::new(); self.all.len()];
        for (base, mut places) in of_base {
            places.sort_by_cached_key(|&place| {
                let axis = &self.all[place];
                let longest_first = std::cmp::Reverse((axis.is_dimension, axis.values.len()));
                (longest_first, axis.values.order())
            });
            for (rank, place) in places.into_iter().enumerate() {
                names[place] = if rank == 0 { base.to_owned() } else { format!("{base}_{rank}") };
            }
        }
        names.into_iter().enumerate().map(|(place, name)| (AxisId(place), name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[i64], is_dimension: bool) -> Axis {
        let attributes = Attributes::default();
        let values = AxisValues::Integers(values.to_vec());
        Axis { base: "step".to_owned(), values, is_dimension, attributes }
    }

    #[test]
    fn the_longest_axis_has_the_plain_name_whatever_comes_first() {
        let (long, short, scalar) = (axis(&[0, 6, 12], true), axis(&[0], true), axis(&[0], false));
        for order in [[&long, &short, &scalar], [&scalar, &short, &long]] {
            let mut axes = Axes::default();
            let ids = order.map(|axis| axes.add(axis.clone()));
            assert_eq!(axes.add(order[1].clone()), ids[1]);
            let named: BTreeMap<AxisId, String> = axes.named().into_iter().collect();
            let name = |axis: &Axis| named[&axes.add_again(axis)].clone();
            assert_eq!([name(&long), name(&short), name(&scalar)], ["step", "step_1", "step_2"]);
        }
    }

    impl Axes {
        fn add_again(&self, axis: &Axis) -> AxisId {
            Self { all: self.all.clone() }.add(axis.clone())
        }
    }
}
