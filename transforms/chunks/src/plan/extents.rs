//! Which groups of chunks are worth a look: extents along every dimension, and their combinations
//! that fill a good part of the memory.

use std::collections::BTreeSet;

use array::Axis;

use super::axis::{common_multiple, periods};
use super::problem::product;

/// Combinations of extents that are looked at; beyond that, every second extent is left out.
const COMBINATIONS: u128 = 1 << 20;
/// Extents of a dimension whose cuts are irregular that are kept.
const IRREGULAR_EXTENTS: usize = 64;

/// Extents of groups that read source chunks, ascending and ending with the whole dimension.
///
/// On a regular axis groups are of whole chunks. On a rectilinear one they cannot be, in general: there
/// a cut inside of a chunk makes that chunk be read twice, which the counts say.
pub(super) fn source_extents(source: &Axis, target: &Axis) -> Vec<u64> {
    match source {
        Axis::Regular { length, chunk_length } => of_units(*length, *chunk_length, target),
        Axis::Rectilinear { .. } => {
            let mut extents = of_units(source.length(), source.longest_chunk(), target);
            if let Axis::Regular { length, chunk_length } = target {
                extents.extend(of_units(*length, *chunk_length, target));
            }
            extents.extend(thinned(periods(source)));
            sorted(extents)
        }
    }
}

/// Extents of groups of whole target units, ascending and ending with the whole dimension.
pub(super) fn target_extents(target: &Axis, source: &Axis) -> Vec<u64> {
    match target {
        Axis::Regular { length, chunk_length } => of_units(*length, *chunk_length, source),
        Axis::Rectilinear { .. } => {
            let mut extents = thinned(periods(target));
            extents.push(target.length().max(1));
            sorted(extents)
        }
    }
}

/// Multiples of a unit: all small ones, then ever sparser; balanced cuts of the dimension; those that
/// are multiples of the other grid's unit too.
fn of_units(length: u64, unit: u64, other: &Axis) -> Vec<u64> {
    if length == 0 {
        return vec![1];
    }
    let count = length.div_ceil(unit);
    let mut times: BTreeSet<u64> = (1..=count.min(12)).collect();
    let mut growing = 1;
    while growing <= count {
        times.insert(growing);
        growing = (growing + 1).max((growing as f64 * 1.35) as u64);
    }
    times.extend((1..40).map(|parts| count.div_ceil(parts)));
    let mut extents: Vec<u64> =
        times.into_iter().map(|times| unit.saturating_mul(times).min(length)).collect();
    extents.push(length);
    if let Axis::Regular { chunk_length, .. } = other {
        let common = common_multiple(unit, *chunk_length);
        let multiples = (0..6).map(|doubled| common.saturating_mul(1 << doubled));
        extents.extend(multiples.take_while(|&extent| extent < length));
    }
    sorted(extents)
}

fn sorted(mut extents: Vec<u64>) -> Vec<u64> {
    extents.sort_unstable();
    extents.dedup();
    extents
}

/// Some of many extents, evenly.
fn thinned(extents: Vec<u64>) -> Vec<u64> {
    let step = extents.len().div_ceil(IRREGULAR_EXTENTS).max(1);
    extents.into_iter().step_by(step).collect()
}

/// Combinations of extents, one of each dimension, as places in the lists of extents.
#[derive(Debug)]
pub(super) struct Combinations {
    /// The extents of every dimension.
    pub(super) extents: Vec<Vec<u64>>,
    places: Vec<u32>,
    count: usize,
}

impl Combinations {
    /// Those of at most `room` elements, and of at least a part of that, or of the array if that is
    /// less; where there are none, the least of all, if it fits.
    pub(super) fn new(mut extents: Vec<Vec<u64>>, room: u64, least_part: f64) -> Self {
        thin_lists(&mut extents);
        let whole =
            product(&extents.iter().filter_map(|it| it.last().copied()).collect::<Vec<_>>());
        let mut search = Search {
            least: least_part * room.min(whole) as f64,
            room: u128::from(room),
            rest: Rest::of(&extents),
            extents: &extents,
            chosen: Vec::with_capacity(extents.len()),
            places: Vec::new(),
            count: 0,
        };
        search.descend(1);
        if search.count == 0 && search.rest.least.first().is_none_or(|&it| it <= search.room) {
            search.places = vec![0; extents.len()];
            search.count = usize::from(room >= 1);
        }
        let (places, count) = (search.places, search.count);
        Self { extents, places, count }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The places of one combination in the lists of extents.
    pub(super) fn places(&self, index: usize) -> &[u32] {
        let rank = self.extents.len();
        &self.places[index * rank..(index + 1) * rank]
    }

    /// The extents of one combination.
    pub(super) fn get(&self, index: usize) -> Vec<u64> {
        let pairs = self.extents.iter().zip(self.places(index));
        pairs.map(|(extents, &place)| extents[place as usize]).collect()
    }

    /// What `of` says of every extent, by dimension: what is looked up for combinations.
    pub(super) fn table<T>(&self, of: impl Fn(usize, u64) -> T) -> Vec<Vec<T>> {
        let lists = self.extents.iter().enumerate();
        lists
            .map(|(dimension, it)| it.iter().map(|&extent| of(dimension, extent)).collect())
            .collect()
    }
}

/// The product of what a table has for a combination.
pub(super) fn looked_up(table: &[Vec<f64>], places: &[u32]) -> f64 {
    let pairs = table.iter().zip(places);
    pairs.fold(1.0, |product, (values, &place)| product * values[place as usize])
}

/// Leaves out every second extent of the longest list until there are not too many combinations.
fn thin_lists(extents: &mut [Vec<u64>]) {
    loop {
        let all = extents.iter().fold(1u128, |all, it| all.saturating_mul(it.len() as u128));
        let longest = extents.iter_mut().max_by_key(|it| it.len());
        let Some(longest) = longest.filter(|it| all > COMBINATIONS && it.len() > 2) else { return };
        let last = longest.len() - 1;
        let mut place = 0;
        longest.retain(|_| {
            let is_kept = place % 2 == 0 || place == last;
            place += 1;
            is_kept
        });
    }
}

/// Elements of the least and of the greatest extents from each dimension on.
struct Rest {
    least: Vec<u128>,
    most: Vec<u128>,
}

impl Rest {
    fn of(extents: &[Vec<u64>]) -> Self {
        let ends = |end: fn(&Vec<u64>) -> Option<&u64>| {
            let mut products = vec![1u128];
            for it in extents.iter().rev() {
                let last = products[products.len() - 1];
                products.push(last.saturating_mul(end(it).map_or(1, |&it| u128::from(it))));
            }
            products.reverse();
            products
        };
        Self { least: ends(|it| it.first()), most: ends(|it| it.last()) }
    }
}

struct Search<'a> {
    least: f64,
    room: u128,
    rest: Rest,
    extents: &'a [Vec<u64>],
    chosen: Vec<u32>,
    places: Vec<u32>,
    count: usize,
}

impl Search<'_> {
    /// Looks at all extents of the next dimension; those before have so many elements.
    fn descend(&mut self, elements: u128) {
        let dimension = self.chosen.len();
        if dimension == self.extents.len() {
            if elements as f64 >= self.least && elements <= self.room {
                self.places.extend(&self.chosen);
                self.count += 1;
            }
            return;
        }
        let (least, most) = (self.rest.least[dimension + 1], self.rest.most[dimension + 1]);
        for (place, &extent) in self.extents[dimension].iter().enumerate() {
            let elements = elements.saturating_mul(u128::from(extent));
            if elements.saturating_mul(least) > self.room {
                return;
            }
            if elements.saturating_mul(most) as f64 >= self.least {
                self.chosen.push(place as u32);
                self.descend(elements);
                self.chosen.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(extents: &[&[u64]], room: u64, least_part: f64) -> Vec<Vec<u64>> {
        let extents = extents.iter().map(|it| it.to_vec()).collect();
        let found = Combinations::new(extents, room, least_part);
        (0..found.len()).map(|index| found.get(index)).collect()
    }

    #[test]
    fn combinations_fill_the_room() {
        let extents: [&[u64]; 2] = [&[1, 2, 4], &[3, 6]];
        let found = all(&extents, 12, 0.5);
        assert_eq!(found, [[1, 6], [2, 3], [2, 6], [4, 3]]);
        assert_eq!(all(&extents, 3, 1.0), [[1, 3]]);
        assert_eq!(all(&extents, 2, 0.5), Vec::<Vec<u64>>::new());
        // Nothing fills the room well, as the array is small, or as units are large.
        assert_eq!(all(&extents, 1000, 0.9), [[4, 6]]);
        assert_eq!(all(&[&[6, 9]], 8, 0.9), [[6]]);
    }

    #[test]
    fn without_dimensions_there_is_one_combination() {
        assert_eq!(all(&[], 1, 0.5), [[0u64; 0]]);
        assert_eq!(all(&[], 0, 0.5), Vec::<Vec<u64>>::new());
    }

    #[test]
    fn many_dimensions_are_not_too_many_combinations() {
        let extents: Vec<u64> = (1..60).collect();
        let found = Combinations::new(vec![extents; 6], u64::MAX, 0.0);
        assert!(found.len() as u128 <= COMBINATIONS && found.len() > 1000, "{}", found.len());
        assert!(found.extents.iter().all(|it| it.last() == Some(&59)));
    }

    #[test]
    fn extents_are_whole_units_and_end_with_the_dimension() {
        let (unit, other) = (Axis::regular(1000, 7), Axis::regular(1000, 10));
        let extents = source_extents(&unit, &other);
        assert!(extents.iter().all(|extent| extent % 7 == 0 || *extent == 1000), "{extents:?}");
        assert!(extents.contains(&560) && extents.last() == Some(&1000), "{extents:?}");
        assert_eq!(source_extents(&Axis::regular(0, 7), &other), [1]);
    }

    #[test]
    fn groups_of_months_may_be_years() {
        let days =
            (0..120).map(|month| [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month % 12]);
        let extents = source_extents(&Axis::of_lengths(days), &Axis::regular(3650, 100));
        assert!([31, 100, 365, 1095, 3650].iter().all(|it| extents.contains(it)), "{extents:?}");
    }

    #[test]
    fn groups_of_irregular_units_end_at_cuts() {
        let units = Axis::of_lengths([3, 3, 2, 1, 3]);
        assert_eq!(target_extents(&units, &Axis::regular(12, 5)), [3, 6, 8, 9, 12]);
        assert_eq!(target_extents(&Axis::of_lengths([3, 2, 2]), &Axis::regular(7, 5)), [5, 7]);
    }
}
