//! Recipes made by chance give what an oracle makes of them, or are refused where it says so.
//!
//! Files differ in lengths, units and origins of time, packings, fill values, types, variables,
//! attributes and dimension order; they overlap, leave gaps, come unordered or are not there; and
//! the policies, chunks, shards, codecs and formats are drawn as well. A recipe follows from its
//! seed alone: to see one that failed again, put its seed into [`KEPT`].

mod calendar;
mod oracle;
mod recipe;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use levain::array::{AttributeValue, Attributes, DType};
use levain::bake::MissingFilePolicy;
use levain::dataflow::error::{Error, ErrorCode};
use levain::dataflow::testing::python;
use levain::job::{Bake, BakeReport};

use crate::made::{Baked, Folder};
use oracle::{Outcome, Wanted, WantedVariable};
pub(crate) use recipe::Draw;
use recipe::{DIMS, Recipe, Stored};

const CASES: u64 = 500;

/// Seeds of recipes that were baked wrong once.
const KEPT: &[u64] = &[];

impl Recipe {
    fn put(&self, folder: &Folder) {
        for place in 0..self.files.len() {
            folder.put(&format!("{place}.nc"), &self.made(place));
        }
    }

    fn bake(&self, folder: &Folder) -> Result<BakeReport, Error> {
        let mut sources = Vec::new();
        for place in 0..self.files.len() {
            let file = folder.text(&format!("{place}.nc"));
            sources.push(match self.stores.get(place) {
                None => file,
                Some(layout) => {
                    let store = folder.text(&format!("{place}.zarr"));
                    Bake::new([file], &store)?.with_options(layout.clone()).run()?;
                    store
                }
            });
        }
        if let Some(place) = self.lost {
            sources.insert(place, folder.text("lost.nc"));
        }
        let threads = NonZeroUsize::new(1 + self.files.len() % 2).expect("one or two");
        Bake::new(sources, &folder.text("out.zarr"))?
            .with_options(self.options.clone())
            .with_threads(threads)
            .run()
    }
}

/// What became of a recipe, for the count; an error says what is wrong.
fn check(recipe: &Recipe, folder: &Folder) -> Result<String, String> {
    match (recipe.outcome(), recipe.bake(folder)) {
        (Outcome::Refused(codes), Ok(_)) => Err(format!("baked, not refused with {codes:?}")),
        (Outcome::Refused(codes), Err(error)) if codes.contains(&error.code()) => {
            let is_left = folder.path("out.zarr").exists();
            (!is_left).then(|| error.code().to_string()).ok_or("something is left".to_owned())
        }
        (Outcome::Refused(codes), Err(error)) => Err(format!("not {codes:?} but {error}")),
        (Outcome::Baked(_), Err(error)) => Err(format!("refused: {error}")),
        (Outcome::Baked(wanted), Ok(_)) => {
            check_store(recipe, &wanted, &Baked::open(&folder.text("out.zarr")))?;
            Ok("baked".to_owned())
        }
    }
}

fn check_store(recipe: &Recipe, wanted: &Wanted, store: &Baked) -> Result<(), String> {
    check_equal("time", &store.times("time"), &wanted.times)?;
    check_equal("y", &store.values::<f64>("y"), &wanted.y)?;
    let mut names: Vec<&str> = wanted.variables.keys().map(String::as_str).collect();
    names.extend(DIMS);
    names.sort_unstable();
    let mut found = store.names();
    found.sort_unstable();
    check_equal("the variables", &found, &names)?;
    for (name, variable) in &wanted.variables {
        check_variable(variable, name, store)?;
    }
    let about = &store.dataset().attributes;
    for (name, wanted) in &wanted.attributes {
        check_equal(name, &said(about, name), wanted)?;
    }
    check_equal("filled_steps", &about.get("filled_steps").is_some(), &(wanted.filled > 0))?;
    let names_lost = said(about, "missing_sources").is_some_and(|it| it[0].contains("lost.nc"));
    let is_lost = recipe.lost.is_some() && recipe.options.missing_files != MissingFilePolicy::Error;
    check_equal("missing_sources", &names_lost, &is_lost)
}

fn check_variable(wanted: &WantedVariable, name: &str, store: &Baked) -> Result<(), String> {
    let variable = store.dataset().variable(name).expect("names are compared before");
    let place = |dim: &String| DIMS.iter().position(|it| it == dim).expect("a known dimension");
    let order: Vec<usize> = variable.dimensions.iter().map(place).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let mut dims = wanted.dims.clone();
    dims.sort_unstable();
    check_equal(&format!("the dimensions of {name}"), &sorted, &dims)?;
    if wanted.is_order_promised {
        check_equal(&format!("the order of {name}"), &order, &wanted.dims)?;
    }
    if let Some(stored) = wanted.stored {
        check_equal(&format!("the type of {name}"), &variable.dtype, &dtype(stored))?;
    }
    if wanted.comment.is_some() || wanted.is_order_promised {
        let comment = variable.attributes.text("comment").map(str::to_owned);
        check_equal(&format!("comment of {name}"), &comment, &wanted.comment)?;
    }
    let scale = number(&variable.attributes, "scale_factor");
    let tolerance = match wanted.repacked {
        None => 0.0,
        Some((least, greatest)) => {
            let scale = scale.ok_or(format!("{name} is not packed"))?;
            let bits = 8 * variable.dtype.item_bytes().expect("integers have a size") as i32;
            // One number of all stands for a missing value.
            let finest = (greatest - least) / (2f64.powi(bits) - 2.0);
            if scale > finest * (1.0 + 1e-12) {
                return Err(format!("{name} has the scale {scale}, not {finest}"));
            }
            scale / 2.0 + 1e-15 * (greatest - least)
        }
    };
    let found = in_order(store, name, &order);
    let is_equal = |found: &Option<f64>, wanted: &Option<f64>| match (found, wanted) {
        (Some(found), Some(wanted)) => (found - wanted).abs() <= tolerance,
        (found, wanted) => found.is_none() && wanted.is_none(),
    };
    let is_same = found.len() == wanted.values.len();
    if is_same && found.iter().zip(&wanted.values).all(|(a, b)| is_equal(a, b)) {
        return Ok(());
    }
    Err(format!("{name} is\n{found:?}, not\n{:?}", wanted.values))
}

/// What the elements of a variable mean, in the order of [`DIMS`].
fn in_order(store: &Baked, name: &str, order: &[usize]) -> Vec<Option<f64>> {
    let (chunk, attributes) = (store.chunk(name), store.attributes(name));
    let [scale, offset, fill, missing] =
        ["scale_factor", "add_offset", "_FillValue", "missing_value"]
            .map(|name| number(attributes, name));
    let meant = |place: u64| {
        let stored = chunk.scalar(place).expect("an element").as_float().expect("a number");
        let is_missing = stored.is_nan() || fill == Some(stored) || missing == Some(stored);
        (!is_missing).then(|| stored * scale.unwrap_or(1.0) + offset.unwrap_or(0.0))
    };
    let mut keyed = BTreeMap::new();
    for place in 0..chunk.element_count() {
        let (mut at, mut rest) = ([0; 3], place);
        for (&dim, &length) in order.iter().zip(chunk.shape()).rev() {
            at[dim] = rest % length;
            rest /= length;
        }
        keyed.insert(at, meant(place));
    }
    keyed.into_values().collect()
}

fn number(attributes: &Attributes, name: &str) -> Option<f64> {
    attributes.number(name).and_then(|it| it.as_float())
}

/// The texts of an attribute.
fn said(attributes: &Attributes, name: &str) -> Option<Vec<String>> {
    match attributes.get(name)? {
        AttributeValue::Text(text) => Some(vec![text.clone()]),
        AttributeValue::Texts(texts) => Some(texts.clone()),
        other => Some(vec![format!("{other:?}")]),
    }
}

fn dtype(stored: Stored) -> DType {
    match stored {
        Stored::Byte => DType::Int8,
        Stored::Short => DType::Int16,
        Stored::Int => DType::Int32,
        Stored::Float => DType::Float32,
        Stored::Double => DType::Float64,
    }
}

fn check_equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    wanted: &T,
) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, not {wanted:?}"))
}

/// Outcomes by their count, and what is wrong.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, seed: u64, recipe: &Recipe, folder: &Folder) {
        let checked = catch_unwind(AssertUnwindSafe(|| check(recipe, folder)));
        match checked.unwrap_or(Err("a panic".to_owned())) {
            Ok(outcome) => *self.outcomes.entry(outcome).or_default() += 1,
            Err(why) => self.wrong.push(format!("seed {seed}: {why}")),
        }
    }

    fn merge(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }

    /// Checks that nothing is wrong, and that most recipes were baked.
    #[track_caller]
    fn check(&self) {
        let (Self { outcomes, wrong }, count) = (self, self.wrong.len());
        let first = wrong.iter().take(5).map(String::as_str).collect::<Vec<&str>>();
        assert!(wrong.is_empty(), "{count} recipes are wrong:\n{}", first.join("\n"));
        let baked = outcomes.get("baked").copied().unwrap_or_default();
        assert!(2 * baked > outcomes.values().sum(), "{outcomes:?}");
    }
}

fn recipe_of(seed: u64) -> Recipe {
    Recipe::draw(&mut Draw::new(seed))
}

#[test]
fn five_hundred_random_recipes_are_right_or_refused() {
    let seeds: Vec<u64> = KEPT.iter().copied().chain(0..CASES).collect();
    let tally_of = |part: usize| {
        let mut tally = Tally::default();
        for &seed in seeds.iter().skip(part).step_by(2) {
            let (recipe, folder) = (recipe_of(seed), Folder::new());
            recipe.put(&folder);
            tally.add(seed, &recipe, &folder);
        }
        tally
    };
    let mut tally = std::thread::scope(|scope| {
        let other = scope.spawn(|| tally_of(1));
        let mut tally = tally_of(0);
        tally.merge(other.join().expect("panics are caught"));
        tally
    });
    tally.wrong.sort();
    tally.check();
    let refusals = [
        ErrorCode::NOTHING_MATCHES,
        ErrorCode::TIMES_DIFFER,
        ErrorCode::GRIDS_DIFFER,
        ErrorCode::NOT_ASCENDING,
        ErrorCode::VARIABLE_MISSING,
        ErrorCode::PACKINGS_DIFFER,
        ErrorCode::STATIC_DIFFERS,
        ErrorCode::ATTRIBUTES_DIFFER,
    ];
    for code in refusals {
        let count = tally.outcomes.get(&code.to_string()).copied().unwrap_or_default();
        assert!(count > 2, "{code} {count} times: {:?}", tally.outcomes);
    }
}

#[test]
fn random_recipes_of_files_that_python_writes_are_right_or_refused() {
    let Some(python) = python() else { return };
    let seeds = 1000..1050u64;
    let put = |seed: u64| {
        let (recipe, folder) = (recipe_of(seed), Folder::new());
        recipe.put(&folder);
        (seed, recipe, folder)
    };
    let all: Vec<(u64, Recipe, Folder)> = seeds.map(put).collect();
    let mut script = std::process::Command::new(&python);
    script.args(["-c", include_str!("random_recipes/netcdf4.py")]);
    script.args(all.iter().map(|(_, _, folder)| folder.root()));
    let ended = script.output().expect("LEVAIN_TEST_PYTHON is an interpreter");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let mut tally = Tally::default();
    for (seed, recipe, folder) in &all {
        tally.add(*seed, recipe, folder);
    }
    tally.check();
}
