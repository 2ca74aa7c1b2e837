//! Which parameter a message holds: its names and units, by tables.
//!
//! The tables state for every parameter the values of keys by which a message is known to hold it:
//! 2 metre temperature is temperature on a surface of type 103 at the value 2. Of the rows whose
//! conditions all hold, the one with the most wins. A parameter that no row knows gets a name made
//! of its numbers, never a wrong one.
//!
//! Source: the definitions of ecCodes, <https://github.com/ecmwf/eccodes>; `tables/make.py`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Of the US National Weather Service.
pub(crate) const NCEP: u16 = 7;
/// Of the European Centre for Medium-Range Weather Forecasts.
pub(crate) const ECMWF: u16 = 98;

/// Added to centres for the rows that were before version 34 of the master tables.
const EARLY: u16 = 1000;
/// The last version of the master tables by which ECMWF gives parameters their earlier names.
pub(crate) const LAST_EARLY_VERSION: u8 = 33;

/// What is known of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parameter {
    /// The numbers by which the message names it.
    pub(crate) code: Arc<str>,
    /// The name of a variable that holds it.
    pub(crate) variable: Arc<str>,
    /// The short name of ecCodes; `None` if it is unknown.
    pub(crate) short_name: Option<&'static str>,
    /// The units, `1` if there are none.
    pub(crate) units: Option<&'static str>,
    /// The name for people.
    pub(crate) name: Option<&'static str>,
    /// The standard name of CF.
    pub(crate) standard_name: Option<&'static str>,
}

/// The keys of a message of edition 2 that tables may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Keys {
    /// Discipline, category, number.
    pub(crate) place: [u8; 3],
    /// The centre that made the message.
    pub(crate) centre: u16,
    /// The versions of the master tables and of the local ones.
    pub(crate) versions: [u8; 2],
    /// Whether names are those that ECMWF had before version 34 of the master tables.
    pub(crate) is_early: bool,
    /// The type of statistical processing, in templates that have one.
    pub(crate) processing: Option<i64>,
    /// Types of the two surfaces.
    pub(crate) surfaces: [u8; 2],
    /// Scale factors of the two surfaces; `None` where missing.
    pub(crate) scales: [Option<i64>; 2],
    /// Scaled values of the two surfaces; `None` where missing.
    pub(crate) values: [Option<i64>; 2],
    /// The type of the generating process.
    pub(crate) process: i64,
    /// Length of the time range, in templates that have one.
    pub(crate) range_length: Option<i64>,
    /// Its unit.
    pub(crate) range_unit: Option<i64>,
}

impl Keys {
    /// Whether a condition such as `F103` holds.
    fn holds(&self, condition: &str) -> bool {
        let (key, wanted) = condition.split_at(1);
        let value = match key {
            "P" => self.processing,
            "F" => Some(i64::from(self.surfaces[0])),
            "G" => Some(i64::from(self.surfaces[1])),
            "f" => return is(self.scales[0], wanted),
            "g" => return is(self.scales[1], wanted),
            "v" => return is(self.values[0], wanted),
            "w" => return is(self.values[1], wanted),
            "T" => Some(self.process),
            "L" => self.range_length,
            "U" => self.range_unit,
            "V" => Some(i64::from(self.versions[1])),
            _ => None,
        };
        value.is_some() && is(value, wanted)
    }
}

/// Whether a value is the wanted one; `M` wants a missing one.
fn is(value: Option<i64>, wanted: &str) -> bool {
    match wanted {
        "M" => value.is_none(),
        number => value.is_some() && number.parse().ok() == value,
    }
}

type Place = (u16, &'static str);

struct Row<T> {
    conditions: Vec<&'static str>,
    value: T,
}

/// Short name, units, name.
type Names = (&'static str, &'static str, &'static str);

#[derive(Default)]
struct Table {
    names: BTreeMap<Place, Vec<Row<Names>>>,
    variables: BTreeMap<Place, Vec<Row<&'static str>>>,
    standard_names: BTreeMap<Place, Vec<Row<&'static str>>>,
}

static EDITION_1: LazyLock<Table> =
    LazyLock::new(|| Table::parse(include_str!("../tables/grib1.tsv")));
static EDITION_2: LazyLock<Table> =
    LazyLock::new(|| Table::parse(include_str!("../tables/grib2.tsv")));

impl Table {
    fn parse(text: &'static str) -> Self {
        let mut table = Self::default();
        let mut centre = 0;
        for line in text.lines() {
            if let Some(number) = line.strip_prefix('@') {
                centre = number.parse().unwrap_or_default();
            }
            let fields: Vec<&str> = line.split('\t').collect();
            let [kind, place, conditions, value, ref rest @ ..] = fields[..] else { continue };
            let place = (centre, place);
            let conditions = conditions.split(',').filter(|text| !text.is_empty()).collect();
            match (kind, rest) {
                ("S", [units, name]) => {
                    let row = Row { conditions, value: (value, *units, *name) };
                    table.names.entry(place).or_default().push(row);
                }
                ("V", _) => {
                    table.variables.entry(place).or_default().push(Row { conditions, value });
                }
                ("C", _) => {
                    table.standard_names.entry(place).or_default().push(Row { conditions, value });
                }
                _ => {}
            }
        }
        table
    }

    /// What is known of the parameter at a place by the tables of some centres, of which later ones
    /// win over earlier ones that are as telling.
    fn find(
        &self,
        centres: &[u16],
        cf_centres: [u16; 2],
        place: &str,
        holds: &dyn Fn(&str) -> bool,
        unknown: String,
    ) -> Parameter {
        let code: Arc<str> = place.into();
        let names = best(&self.names, centres, place, holds);
        let Some((short_name, units, name)) = names else {
            let variable = unknown.into();
            let (short_name, units, name, standard_name) = (None, None, None, None);
            return Parameter { code, variable, short_name, units, name, standard_name };
        };
        let variable = best(&self.variables, &cf_centres, place, holds).unwrap_or(short_name);
        let told = |text: &'static str| (text != "~").then_some(text);
        Parameter {
            code,
            variable: variable_name(variable).into(),
            short_name: Some(short_name),
            units: told(units).map(|units| if units == "dimensionless" { "1" } else { units }),
            name: told(name),
            standard_name: best(&self.standard_names, &cf_centres, place, holds),
        }
    }
}

/// The row with the most conditions, all of which hold; of several, the last.
fn best<T: Copy>(
    rows: &BTreeMap<Place, Vec<Row<T>>>,
    centres: &[u16],
    place: &str,
    holds: &dyn Fn(&str) -> bool,
) -> Option<T> {
    let rows = centres.iter().filter_map(|&centre| rows.get(&(centre, place))).flatten();
    let fitting = rows.filter(|row| row.conditions.iter().all(|text| holds(text)));
    fitting.max_by_key(|row| row.conditions.len()).map(|row| row.value)
}

/// A name that begins with a letter: some short names begin with a number of metres.
fn variable_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("p{name}") } else { name }
}

/// The parameter of a message of edition 1, by its table and its number there.
pub(crate) fn of_edition_1(table: u8, number: u8, centre: u16, sub_centre: u16) -> Parameter {
    let place = format!("{table}.{number}");
    // Tables from 128 on are those of a centre, or of the centre that the message is made for.
    let is_local = table >= 128;
    let centres: &[u16] = match (is_local, centre == ECMWF || sub_centre == ECMWF) {
        (true, true) => &[ECMWF],
        (true, false) => &[],
        (false, _) => &[0],
    };
    let unknown = format!("param_t{table}_{number}");
    EDITION_1.find(centres, [0, if is_local { ECMWF } else { 0 }], &place, &|_| true, unknown)
}

/// The parameter of a message of edition 2.
pub(crate) fn of_edition_2(keys: &Keys) -> Parameter {
    let [discipline, category, number] = keys.place;
    let place = format!("{discipline}.{category}.{number}");
    let is_changed = EDITION_2.names.contains_key(&(EARLY, &*place));
    let centres: &[u16] = match keys.centre {
        NCEP => &[0, NCEP],
        ECMWF if keys.is_early && is_changed => &[EARLY, EARLY + ECMWF],
        ECMWF if keys.is_early => &[0, EARLY + ECMWF],
        ECMWF => &[0, ECMWF],
        _ if keys.is_early && is_changed => &[EARLY],
        _ => &[0],
    };
    let unknown = format!("param_{discipline}_{category}_{number}");
    EDITION_2.find(centres, [0, keys.centre], &place, &|condition| keys.holds(condition), unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(place: [u8; 3], surface: u8, value: i64) -> Keys {
        Keys {
            place,
            centre: 0,
            versions: [30, 0],
            is_early: false,
            processing: None,
            surfaces: [surface, 255],
            scales: [Some(0), None],
            values: [Some(value), None],
            process: 2,
            range_length: None,
            range_unit: None,
        }
    }

    #[track_caller]
    fn check(keys: &Keys, variable: &str, units: Option<&str>) {
        let found = of_edition_2(keys);
        assert_eq!((&*found.variable, found.units), (variable, units));
    }

    #[test]
    fn the_surface_tells_parameters_of_one_number_apart() {
        check(&keys([0, 0, 0], 100, 50_000), "t", Some("K"));
        check(&keys([0, 0, 0], 103, 2), "t2m", Some("K"));
        check(&keys([0, 2, 2], 103, 10), "u10", Some("m s**-1"));
        check(&keys([0, 2, 2], 103, 80), "u", Some("m s**-1"));
    }

    #[test]
    fn tables_of_a_centre_are_for_its_messages_alone() {
        let local = keys([0, 16, 196], 200, 0);
        check(&local, "param_0_16_196", None);
        check(&Keys { centre: NCEP, ..local }, "refc", Some("dB"));
        let rain = Keys { processing: Some(1), versions: [27, 1], ..keys([0, 1, 193], 1, 0) };
        check(&rain, "param_0_1_193", None);
        check(&Keys { centre: ECMWF, is_early: true, ..rain }, "tp", Some("m"));
        let early = Keys { centre: ECMWF, is_early: true, ..keys([0, 0, 0], 103, 2) };
        check(&early, "t2m", Some("K"));
    }

    #[test]
    fn edition_1_knows_tables_of_the_organisation_and_of_one_centre() {
        let name = |table, number, centre, sub| of_edition_1(table, number, centre, sub).variable;
        assert_eq!(&*name(128, 167, ECMWF, 0), "t2m");
        assert_eq!(&*name(128, 167, 74, ECMWF), "t2m");
        assert_eq!(&*name(128, 167, 74, 0), "param_t128_167");
        assert_eq!(&*name(2, 11, 7, 0), "t");
        assert_eq!(&*name(2, 211, 7, 0), "param_t2_211");
    }

    #[test]
    fn names_of_variables_begin_with_a_letter() {
        assert_eq!(variable_name("10fg3"), "p10fg3");
        assert_eq!(variable_name("t-x"), "t_x");
    }
}
