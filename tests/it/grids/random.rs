//! Grids made by chance, against an oracle.

use levain::bake::{BakeOptions, CombineDim, FilePattern, JoinPolicy};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, prop_oneof, proptest};

use super::{baked, field, joined, keys, pattern};
use crate::made::Folder;

/// A grid of up to four dimensions, chosen by chance.
#[derive(Debug, Clone)]
struct Chance {
    times: Vec<usize>,
    lats: Vec<usize>,
    members: usize,
    variables: usize,
    order: Vec<usize>,
    chunks: [i64; 2],
    /// How many days a variable begins later than the one before it.
    delay: usize,
    join: JoinPolicy,
}

fn chance() -> impl Strategy<Value = Chance> {
    let join = prop_oneof![Just(JoinPolicy::Inner), Just(JoinPolicy::Outer)];
    let lengths = (vec(1..4usize, 1..4), vec(1..4usize, 1..3), 1..3usize, 1..4usize);
    let order = Just(vec![0, 1, 2, 3]).prop_shuffle();
    let chunk = prop_oneof![Just(-1), 1..5i64];
    (lengths, order, [chunk.clone(), chunk], 0..2usize, join).prop_map(
        |((times, lats, members, variables), order, chunks, delay, join)| {
            // Days that all variables have must be left.
            let delay = if times[0] > delay * (variables - 1) { delay } else { 0 };
            Chance { times, lats, members, variables, order, chunks, delay, join }
        },
    )
}

impl Chance {
    /// The values of the keys of a dimension, by these lengths.
    fn steps(lengths: &[usize]) -> Vec<Vec<f64>> {
        let mut next = 0;
        let mut own = |length: usize| {
            next += length;
            (next - length..next).map(|it| it as f64).collect()
        };
        lengths.iter().map(|&length| own(length)).collect()
    }

    fn value(variable: usize, member: usize, time: f64, lat: f64, lon: f64) -> f32 {
        (variable as f64 * 1e5 + member as f64 * 1e4 + time * 100.0 + lat * 10.0 + lon) as f32
    }

    /// Writes all files; their pattern.
    fn put(&self, folder: &Folder) -> FilePattern {
        for variable in 0..self.variables {
            for member in 0..self.members {
                for (i, times) in Self::steps(&self.times).iter().enumerate() {
                    // Only the first file of a variable can begin later.
                    let skipped = if i == 0 { variable * self.delay } else { 0 };
                    for (j, lats) in Self::steps(&self.lats).iter().enumerate() {
                        let value = |time, lat, lon| Self::value(variable, member, time, lat, lon);
                        let made = field(&format!("v{variable}"), &times[skipped..], lats, value);
                        folder.put(&format!("{variable}_{member}_{i}_{j}.nc"), &made);
                    }
                }
            }
        }
        let dims = [
            CombineDim::merge("variable", keys(self.variables as i64)),
            CombineDim::expand("member", keys(self.members as i64)),
            CombineDim::concat("time", keys(self.times.len() as i64)),
            CombineDim::concat("lat", keys(self.lats.len() as i64)),
        ];
        let dims = self.order.iter().map(|&dim| dims[dim].clone());
        pattern(folder, "{variable}_{member}_{time}_{lat}.nc", dims)
    }

    /// All elements of a variable in the store.
    fn oracle(&self, variable: usize) -> Vec<f32> {
        let first =
            if self.join == JoinPolicy::Inner { self.delay * (self.variables - 1) } else { 0 };
        let times = &Self::steps(&self.times).concat()[first..];
        let mut all = Vec::new();
        for member in 0..self.members {
            for &time in times {
                for lat in Self::steps(&self.lats).concat() {
                    all.extend([0.0, 1.0].map(|lon| {
                        let is_there = time >= (variable * self.delay) as f64;
                        let value = Self::value(variable, member, time, lat, lon);
                        if is_there { value } else { f32::NAN }
                    }));
                }
            }
        }
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_grid_is_the_oracle(chance in chance()) {
        let folder = Folder::new();
        let pattern = chance.put(&folder);
        let [time, lat] = chance.chunks;
        let chunks = format!("time={time},lat={lat}").parse().expect("lengths");
        let (store, _) = baked(&folder, pattern, BakeOptions { chunks, ..joined(chance.join) });
        for variable in 0..chance.variables {
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
            let stored = store.values::<f32>(&format!("v{variable}"));
            prop_assert_eq!(bits(stored), bits(chance.oracle(variable)));
        }
        prop_assert_eq!(store.values::<f64>("lat"), Chance::steps(&chance.lats).concat());
    }
}
