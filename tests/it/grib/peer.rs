//! What ecCodes reads of the same files, where an interpreter with it is at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use array::{DatasetSource, Region, Variable};
use dataflow::testing::{python, skip};
use flate2::Crc;
use grib::GribFile;
use serde_json::Value;

use super::reading::{bytes_of, is_single, numbers};

/// An interpreter that has ecCodes, or `None` after saying that tests skip.
pub(crate) fn eccodes() -> Option<PathBuf> {
    let python = python()?;
    let has_it = Command::new(&python)
        .args(["-c", "import eccodes, numpy"])
        .stderr(Stdio::null())
        .status()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    if has_it.success() {
        return Some(python);
    }
    skip("tests against ecCodes: install eccodes and numpy for LEVAIN_TEST_PYTHON");
    None
}

/// What ecCodes reads, one value a file.
pub(crate) fn ask(python: &Path, files: &[PathBuf]) -> Vec<Value> {
    let mut child = Command::new(python)
        .args(["-c", include_str!("oracle.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    let mut stdin = child.stdin.take().expect("it is piped");
    let lines: Vec<String> = files.iter().map(|path| format!("{}\n", path.display())).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.concat().as_bytes()));
    let output = child.wait_with_output().expect("the interpreter ends");
    writer.join().expect("no panic").expect("the interpreter reads");
    let told = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    told.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Lets ecCodes make files in a folder; their paths.
pub(crate) fn make(python: &Path, folder: &Path) -> Vec<PathBuf> {
    let status = Command::new(python)
        .args(["-c", include_str!("made.py")])
        .arg(folder)
        .stderr(Stdio::null())
        .status()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    assert!(status.success(), "ecCodes makes files");
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Where our messages differ from those that ecCodes reads; counts those that do not.
pub(crate) fn compare(file: &GribFile, told: &Value, equal: &mut usize) -> Vec<String> {
    let mut left: Vec<&Value> = told["messages"].as_array().expect("a list").iter().collect();
    let mut found = Vec::new();
    let data = file.dataset().variables.iter();
    for variable in data.filter(|it| it.attributes.get("GRIB_parameter").is_some()) {
        let cells = Cells::of(file, variable);
        let holes: BTreeSet<Vec<u64>> = file.holes(&variable.name).map(|hole| hole.index).collect();
        for place in 0..cells.count() {
            if holes.contains(&cells.index(place)) {
                continue;
            }
            let same = left.iter().position(|message| cells.is(place, message));
            let Some(same) = same else {
                found.push(format!("{}: {} is not there", variable.name, cells.shown(place)));
                continue;
            };
            let message = left.remove(same);
            let differences = cells.differences(place, message);
            *equal += usize::from(differences.is_empty());
            found.extend(differences.into_iter().map(|it| format!("{}: {it}", variable.name)));
        }
    }
    for message in left {
        let (name, level, step) = (&message["cfVarName"], &message["level"], &message["step"]);
        let (kind, offset) = (&message["typeOfLevel"], &message["offset"]);
        found.push(format!("no variable has {name} {kind} {level} step {step} at byte {offset}"));
    }
    found
}

/// The messages of a variable: one for each index of the outer dimensions.
struct Cells<'a> {
    file: &'a GribFile,
    variable: &'a Variable,
    inner_rank: usize,
    /// The values of coordinates by their plain names, and the axis that they label.
    coordinates: BTreeMap<&'a str, (Option<usize>, Vec<f64>)>,
}

impl<'a> Cells<'a> {
    fn of(file: &'a GribFile, variable: &'a Variable) -> Self {
        let inner = ["latitude", "longitude", "y", "x", "values"];
        let is_inner = |name: &&String| inner.contains(&name.split('_').next().unwrap_or(""));
        let inner_rank = variable.dimensions.iter().filter(is_inner).count();
        let others = variable.attributes.text("coordinates").unwrap_or_default().split(' ');
        let axes = variable.dimensions.iter().enumerate();
        let axes = axes.map(|(axis, name)| (Some(axis), name.as_str()));
        let all = axes.chain(others.map(|name| (None, name)));
        let known = all.filter(|(_, name)| file.dataset().variable(name).is_some());
        let plain = |name: &'a str| match name.rsplit_once('_') {
            Some((base, rank)) if rank.parse::<u32>().is_ok() => base,
            _ => name,
        };
        let values = known.map(|(axis, name)| (plain(name), (axis, numbers(file, name))));
        Self { file, variable, inner_rank, coordinates: values.collect() }
    }

    fn outer(&self) -> &[u64] {
        &self.variable.shape[..self.variable.shape.len() - self.inner_rank]
    }

    fn count(&self) -> u64 {
        self.outer().iter().product()
    }

    fn index(&self, mut place: u64) -> Vec<u64> {
        let mut index = self.outer().to_vec();
        for length in index.iter_mut().rev() {
            (place, *length) = (place / *length, place % *length);
        }
        index
    }

    fn text(&self, name: &str) -> &str {
        self.variable.attributes.text(name).unwrap_or_default()
    }

    /// The value of a coordinate of the message at a place; NaN if the variable has none.
    fn coordinate(&self, place: u64, base: &str) -> f64 {
        match self.coordinates.get(base) {
            Some((Some(axis), values)) => values[self.index(place)[*axis] as usize],
            Some((None, values)) => values[0],
            None => f64::NAN,
        }
    }

    /// Whether a message of ecCodes is the one at a place.
    fn is(&self, place: u64, message: &Value) -> bool {
        let kind = self.text("GRIB_typeOfLevel");
        let number = self.coordinate(place, "number");
        // What we do not know has a name that is none of theirs.
        let is_name = match self.variable.attributes.text("GRIB_shortName") {
            Some(short) => message["shortName"] == short,
            None => message["shortName"] == "unknown" || message["edition"] == 1,
        };
        let is_kind = message["typeOfLevel"] == kind || message["typeOfLevel"] == "unknown";
        is_name
            && is_kind
            && message["stepType"] == self.text("GRIB_stepType")
            && message["gridType"] == self.text("GRIB_gridType")
            && message["level"].as_f64() == Some(self.coordinate(place, kind))
            && message["time"].as_f64() == Some(self.coordinate(place, "time"))
            && message["step"].as_f64() == Some(self.coordinate(place, "step"))
            && (number.is_nan() || message["number"].as_f64() == Some(number))
            && self.has_grid(message)
    }

    fn has_grid(&self, message: &Value) -> bool {
        let lengths = ["latitudes", "longitudes"].map(|key| message[key].as_array().map(Vec::len));
        let own: Vec<u64> = self.variable.shape[self.outer().len()..].to_vec();
        match lengths {
            [Some(nj), Some(ni)] if own.len() == 2 => own == [nj as u64, ni as u64],
            _ => true,
        }
    }

    fn shown(&self, place: u64) -> String {
        let kind = self.text("GRIB_typeOfLevel");
        let of = |base| self.coordinate(place, base);
        let step_type = self.text("GRIB_stepType");
        format!("{kind} {} time {} step {} {step_type}", of(kind), of("time"), of("step"))
    }

    fn differences(&self, place: u64, message: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let name = &self.variable.name;
        let shown = self.shown(place);
        if let Some(theirs) = message["cfVarName"].as_str().filter(|name| *name != "unknown") {
            let is_ours = name == theirs || name.starts_with(&format!("{theirs}_"));
            let is_digit = theirs.starts_with(|c: char| c.is_ascii_digit());
            if !(is_ours || is_digit || name.starts_with("param_")) {
                found.push(format!("they call it {theirs}"));
            }
            let units = self.variable.attributes.text("units");
            if units.is_some_and(|own| message["units"] != own) {
                found.push(format!("units are {units:?}, theirs {}", message["units"]));
            }
        }
        let index = self.index(place);
        let outer = index.into_iter().map(|at| at..at + 1);
        let inner = self.variable.shape[self.outer().len()..].iter().map(|&length| 0..length);
        let region = Region::new(outer.chain(inner));
        let key = if is_single(self.file, name) { "single" } else { "double" };
        match bytes_of(self.file, name, &region) {
            Ok(bytes) if crc32(&bytes) == message[key] => {}
            Ok(bytes) => {
                let first: Vec<f32> = bytes
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .take(4)
                    .map(|cell| f32::from_le_bytes(*cell))
                    .collect();
                found.push(format!("{shown}: {key} {first:?}, theirs {}", message["first"]));
            }
            Err(error) => found.push(format!("{shown}: {error}")),
        }
        for (own, theirs) in [("latitude", "latitudes"), ("longitude", "longitudes")] {
            if let Some(theirs) = message[theirs].as_array() {
                let own = self.axis(own);
                let theirs: Vec<f64> = theirs.iter().filter_map(Value::as_f64).collect();
                if !are_near(own, &theirs) {
                    let (own, theirs) = (own.get(..4), theirs.get(..4));
                    found.push(format!("{shown}: {own:?}, theirs {theirs:?}"));
                }
            }
        }
        found.extend(self.places_that_differ(message).map(|what| format!("{shown}: {what}")));
        found
    }

    /// Where points of a grid on a plane are elsewhere, of those that the oracle tells.
    fn places_that_differ(&self, message: &Value) -> Option<String> {
        let stride = message["stride"].as_u64()? as usize;
        ["latitude", "longitude"].into_iter().find_map(|base| {
            let own: Vec<f64> = self.axis(base).iter().copied().step_by(stride).collect();
            let theirs = message[format!("some_{base}s")].as_array().expect("as many places");
            let theirs: Vec<f64> = theirs.iter().filter_map(Value::as_f64).collect();
            // Some have longitudes below zero there; those of rotated grids are rounded.
            let off = |(a, b): (&f64, &f64)| ((a - b + 180.0).rem_euclid(360.0) - 180.0).abs();
            let worst = own.iter().zip(&theirs).map(off).fold(0.0, f64::max);
            let is_other = own.len() != theirs.len() || own.is_empty() || worst > 3e-6;
            let first = (own.first(), theirs.first(), own.len(), theirs.len());
            is_other.then(|| format!("{base}s are {worst} off: {first:?}"))
        })
    }

    fn axis(&self, base: &str) -> &[f64] {
        self.coordinates.get(base).map_or(&[], |(_, values)| values)
    }
}

/// Whether degrees are the same but for rounding.
fn are_near(own: &[f64], theirs: &[f64]) -> bool {
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
    own.len() == theirs.len() && own.iter().zip(theirs).all(is_near)
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
