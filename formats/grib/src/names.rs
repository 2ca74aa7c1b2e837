//! Names of variables that would else be called alike.
//!
//! A name stays as tables have it while it is the only one. Where several variables have it, what
//! they differ in is added: the kind of level, of step, of statistic. Names do not depend on the
//! order of messages.

use std::collections::{BTreeMap, BTreeSet};

use crate::cube::CubeKey;

/// The names of variables, in their order.
pub(crate) fn names<'a>(keys: impl Iterator<Item = &'a CubeKey>) -> Vec<String> {
    let keys: Vec<&CubeKey> = keys.collect();
    let mut names: Vec<String> =
        keys.iter().map(|key| key.parameter.variable.to_string()).collect();
    for part in PARTS {
        let mut of_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            of_name.entry(name.clone()).or_default().push(place);
        }
        for places in of_name.values() {
            let told: BTreeSet<String> = places.iter().map(|&place| part(keys[place])).collect();
            if told.len() < 2 {
                continue;
            }
            for &place in places {
                let suffix = part(keys[place]);
                if !suffix.is_empty() {
                    names[place] = format!("{}_{suffix}", names[place]);
                }
            }
        }
    }
    names
}

/// What may be added, the most telling first.
const PARTS: [fn(&CubeKey) -> String; 7] = [
    |key| key.level.clone(),
    |key| key.step.to_owned(),
    |key| key.derived.map_or(String::new(), derived),
    |key| key.interval.map_or(String::new(), interval),
    |key| if key.has_members { "members".to_owned() } else { String::new() },
    |key| format!("grid{}", key.grid + 1),
    |key| key.parameter.code.replace('.', "_"),
];

/// What was made out of all members: code table 4.7.
fn derived(code: u8) -> String {
    match code {
        0 => "mean".to_owned(),
        1 => "weighted_mean".to_owned(),
        2 => "sd".to_owned(),
        3 => "normalized_sd".to_owned(),
        4 => "spread".to_owned(),
        8 => "min".to_owned(),
        9 => "max".to_owned(),
        other => format!("derived{other}"),
    }
}

/// A length of time in its largest unit: `6h`, `15m`.
fn interval(seconds: i64) -> String {
    match seconds {
        _ if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::of_edition_1;

    fn key(level: &str, step: &'static str) -> CubeKey {
        CubeKey {
            parameter: of_edition_1(128, 130, 98, 0),
            level: level.to_owned(),
            step,
            derived: None,
            has_members: false,
            interval: None,
            grid: 0,
        }
    }

    #[track_caller]
    fn check(keys: &[CubeKey], want: &[&str]) {
        assert_eq!(names(keys.iter()), want);
    }

    #[test]
    fn a_name_stays_while_it_is_the_only_one() {
        check(&[key("isobaricInhPa", "instant")], &["t"]);
    }

    #[test]
    fn only_what_differs_is_added() {
        check(
            &[key("isobaricInhPa", "instant"), key("surface", "instant"), key("surface", "avg")],
            &["t_isobaricInhPa", "t_surface_instant", "t_surface_avg"],
        );
        let hours =
            |hours: i64| CubeKey { interval: Some(hours * 3600), ..key("surface", "accum") };
        check(&[hours(6), hours(12)], &["t_6h", "t_12h"]);
        let mean = CubeKey { derived: Some(0), ..key("surface", "instant") };
        check(&[key("surface", "instant"), mean], &["t", "t_mean"]);
    }
}
