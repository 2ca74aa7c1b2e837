//! Hypercubes of fields: those that differ in member, time, step and level alone are one variable.

use std::collections::{BTreeMap, BTreeSet};

use array::error::{Error, Result};

use crate::fault::{corrupt, unsupported};
use crate::field::Field;
use crate::levels::words;
use crate::parameters::Parameter;

/// Elements of a hypercube whose bytes can be counted by all.
const MOST_ELEMENTS: u128 = 1 << 58;

/// Fields that are one variable, and where each lies in it.
#[derive(Debug, Clone)]
pub(crate) struct Cube {
    /// What all of them share.
    pub(crate) key: CubeKey,
    /// Members of an ensemble, ascending; one of `None` where there is none.
    pub(crate) members: Vec<Option<i64>>,
    /// When forecasts begin, in seconds since 1970, ascending.
    pub(crate) references: Vec<i64>,
    /// Ends of steps, in seconds, ascending.
    pub(crate) steps: Vec<i64>,
    /// Levels: first and second surface.
    pub(crate) levels: Vec<Surfaces>,
    /// Fields by their place in C order: member, reference, step, level.
    pub(crate) cells: BTreeMap<u64, usize>,
    /// Any of the fields.
    pub(crate) sample: usize,
}

/// What tells variables apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CubeKey {
    /// The parameter.
    pub(crate) parameter: Parameter,
    /// The kind of level.
    pub(crate) level: String,
    /// How values of a step were combined.
    pub(crate) step: &'static str,
    /// What was made out of all members.
    pub(crate) derived: Option<u8>,
    /// Whether these are members of an ensemble.
    pub(crate) has_members: bool,
    /// Seconds of a step, where variables differ in nothing else.
    pub(crate) interval: Option<i64>,
    /// The grid.
    pub(crate) grid: usize,
}

/// First and second surface, in an order that has a place for all floats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surfaces {
    pub(crate) first: f64,
    pub(crate) second: Option<f64>,
}

impl Surfaces {
    fn of(field: &Field) -> Self {
        Self { first: field.level.first, second: field.level.second }
    }
}

impl PartialEq for Surfaces {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Surfaces {}

impl PartialOrd for Surfaces {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Surfaces {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let second = |it: &Self| it.second.unwrap_or(f64::NEG_INFINITY);
        self.first.total_cmp(&other.first).then(second(self).total_cmp(&second(other)))
    }
}

impl CubeKey {
    fn of(field: &Field) -> Self {
        Self {
            parameter: field.parameter.clone(),
            level: field.level.kind.clone().into_owned(),
            step: field.step.kind,
            derived: field.derived,
            has_members: field.member.is_some(),
            interval: None,
            grid: field.grid,
        }
    }
}

impl Cube {
    /// Places along every axis: members, references, steps, levels.
    fn lengths(&self) -> [u64; 4] {
        let lengths =
            [self.members.len(), self.references.len(), self.steps.len(), self.levels.len()];
        lengths.map(|length| length as u64)
    }

    /// Puts fields into their places; the second of two fields for one place is returned with the
    /// first.
    fn build(key: CubeKey, places: &[usize], fields: &[Field]) -> Built {
        let of = |place: &usize| &fields[*place];
        let members: BTreeSet<Option<i64>> = places.iter().map(|it| of(it).member).collect();
        let references: BTreeSet<i64> = places.iter().map(|it| of(it).reference).collect();
        let steps: BTreeSet<i64> = places.iter().map(|it| of(it).step.end).collect();
        let levels: BTreeSet<Surfaces> = places.iter().map(|it| Surfaces::of(of(it))).collect();
        let mut levels: Vec<Surfaces> = levels.into_iter().collect();
        if words(&key.level).is_descending {
            levels.reverse();
        }
        let mut cube = Self {
            key,
            members: members.into_iter().collect(),
            references: references.into_iter().collect(),
            steps: steps.into_iter().collect(),
            levels,
            cells: BTreeMap::new(),
            sample: places.first().copied().unwrap_or_default(),
        };
        let level_places: BTreeMap<Surfaces, u64> = cube.levels.iter().copied().zip(0..).collect();
        let mut twice = None;
        for &place in places {
            let field = &fields[place];
            let index = [
                cube.members.binary_search(&field.member).unwrap_or_default() as u64,
                cube.references.binary_search(&field.reference).unwrap_or_default() as u64,
                cube.steps.binary_search(&field.step.end).unwrap_or_default() as u64,
                level_places.get(&Surfaces::of(field)).copied().unwrap_or_default(),
            ];
            let lengths = cube.lengths();
            let linear = index.iter().zip(lengths).fold(0, |sum, (at, length)| sum * length + at);
            if let Some(first) = cube.cells.insert(linear, place) {
                twice = twice.or(Some((first, place)));
            }
        }
        Built { cube, twice }
    }
}

struct Built {
    cube: Cube,
    twice: Option<(usize, usize)>,
}

/// All variables of a file, those among them as errors for which one place has two fields.
///
/// Steps that end together and begin at different times, such as sums since the beginning beside
/// sums of the last hours, become variables of their own, by the length of the step.
pub(crate) fn cubes(fields: &[Field]) -> Vec<(CubeKey, Result<Cube>)> {
    let mut groups: BTreeMap<CubeKey, Vec<usize>> = BTreeMap::new();
    for (place, field) in fields.iter().enumerate() {
        groups.entry(CubeKey::of(field)).or_default().push(place);
    }
    let mut found = Vec::new();
    for (key, places) in groups {
        let built = Cube::build(key.clone(), &places, fields);
        if built.twice.is_none() || !differ_in_start(&places, fields) {
            found.push(checked(key, built, fields));
            continue;
        }
        let mut by_interval: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for place in places {
            let step = fields[place].step;
            by_interval.entry(step.end - step.start).or_default().push(place);
        }
        for (interval, places) in by_interval {
            let key = CubeKey { interval: Some(interval), ..key.clone() };
            found.push(checked(key.clone(), Cube::build(key, &places, fields), fields));
        }
    }
    found
}

/// Whether some place has two fields whose steps begin at different times.
fn differ_in_start(places: &[usize], fields: &[Field]) -> bool {
    let mut starts = BTreeMap::new();
    places.iter().any(|&place| {
        let field = &fields[place];
        let cell = (field.member, field.reference, field.step.end, Surfaces::of(field));
        *starts.entry(cell).or_insert(field.step.start) != field.step.start
    })
}

fn checked(key: CubeKey, built: Built, fields: &[Field]) -> (CubeKey, Result<Cube>) {
    if let Some((first, second)) = built.twice {
        return (key, Err(two_of_one(&fields[first], &fields[second])));
    }
    let points = fields[built.cube.sample].packed.point_count;
    let elements =
        built.cube.lengths().iter().fold(u128::from(points), |product, &length| {
            product.saturating_mul(u128::from(length))
        });
    if elements > MOST_ELEMENTS {
        let count = built.cube.cells.len();
        let message =
            format!("{count} messages are so far apart that their hypercube is too large");
        return (key, Err(unsupported(message).mend("bake the files of fewer times at once")));
    }
    (key, Ok(built.cube))
}

fn two_of_one(first: &Field, second: &Field) -> Error {
    let name = &first.parameter.variable;
    let (a, b) = (first.offset, second.offset);
    let what = format!(
        "the messages at bytes {a} and {b} both hold `{name}` of one member, time, step and level"
    );
    corrupt(what).mend("take one of the two messages out of the file, or bake other variables")
}
