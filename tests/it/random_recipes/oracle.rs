//! What must come out of a recipe, worked out over plain lists.
//!
//! It shares nothing with the code under test but the options themselves.

use std::collections::{BTreeMap, BTreeSet};

use levain::bake::{
    AttributePolicy, GapPolicy, MissingFilePolicy, OverlapPolicy, PackingPolicy, PresencePolicy,
    StaticPolicy,
};
use levain::dataflow::error::ErrorCode;

use super::recipe::{InFile, Packed, ROUNDING, Recipe, Stored};

/// What must become of a recipe.
pub(crate) enum Outcome {
    /// It is refused, with one of these codes.
    Refused(BTreeSet<ErrorCode>),
    Baked(Wanted),
}

/// What a store must hold.
pub(crate) struct Wanted {
    pub(crate) times: Vec<String>,
    pub(crate) y: Vec<f64>,
    /// How many steps no file has.
    pub(crate) filled: usize,
    pub(crate) variables: BTreeMap<String, WantedVariable>,
    /// Attributes of the store by name: `None` where there must be none.
    pub(crate) attributes: BTreeMap<&'static str, Option<Vec<String>>>,
}

/// What a variable must mean.
pub(crate) struct WantedVariable {
    /// Places in `DIMS`, in the order of the store; in any order if that is not promised.
    pub(crate) dims: Vec<usize>,
    pub(crate) is_order_promised: bool,
    /// In the order of `DIMS`.
    pub(crate) values: Vec<Option<f64>>,
    /// The type of all files, where it must be kept.
    pub(crate) stored: Option<Stored>,
    /// From the least to the greatest value that stored numbers can mean, where values are packed
    /// anew.
    pub(crate) repacked: Option<(f64, f64)>,
    /// The attribute `comment`.
    pub(crate) comment: Option<String>,
}

/// One step of the store: the file, and the place in it; `None` where no file has it.
type Element = Option<(usize, usize)>;

impl Recipe {
    /// Works out what must come of this.
    pub(crate) fn outcome(&self) -> Outcome {
        let mut refused = BTreeSet::new();
        let options = &self.options;
        if self.lost.is_some() && options.missing_files == MissingFilePolicy::Error {
            refused.insert(ErrorCode::NOTHING_MATCHES);
        }
        let first = &self.files[0];
        if self.files.iter().any(|file| file.clock.calendar != first.clock.calendar) {
            refused.insert(ErrorCode::TIMES_DIFFER);
        }
        if self.files.iter().any(|file| !self.is_same(&file.y, &first.y)) {
            refused.insert(ErrorCode::GRIDS_DIFFER);
        }
        let elements = self.elements(&mut refused);
        let variables = self.variables(&elements, &mut refused);
        let attributes = self.attributes(&mut refused);
        if !refused.is_empty() {
            return Outcome::Refused(refused);
        }
        let text = |step: &i64| first.clock.calendar.text(self.minutes(*step));
        Outcome::Baked(Wanted {
            times: elements.iter().map(|(step, _)| text(step)).collect(),
            y: first.y.clone(),
            filled: elements.iter().filter(|(_, element)| element.is_none()).count(),
            variables,
            attributes,
        })
    }

    /// Which element of which file stands at each step of the store.
    fn elements(&self, refused: &mut BTreeSet<ErrorCode>) -> Vec<(i64, Element)> {
        let mut all: Vec<(i64, Element)> = Vec::new();
        for (file, it) in self.files.iter().enumerate() {
            let own = it.steps.iter().enumerate();
            all.extend(own.map(|(place, &step)| (step, Some((file, place)))));
        }
        // The direction of the first file that has one, or from the first file to the last.
        let mut directions = self.files.iter().filter(|it| it.steps.len() > 1);
        let descends = match (directions.next(), all.first(), all.last()) {
            (Some(file), _, _) => file.steps[0] > file.steps[1],
            (None, Some(first), Some(last)) => first.0 > last.0,
            _ => false,
        };
        let sign = if descends { -1 } else { 1 };
        match self.options.overlap {
            OverlapPolicy::Error => {}
            OverlapPolicy::Sort => all.sort_by_key(|(step, _)| sign * step),
            OverlapPolicy::KeepFirst | OverlapPolicy::KeepLast => {
                let mut kept = BTreeMap::new();
                for (step, element) in all {
                    if self.options.overlap == OverlapPolicy::KeepLast {
                        kept.insert(sign * step, (step, element));
                    } else {
                        kept.entry(sign * step).or_insert((step, element));
                    }
                }
                all = kept.into_values().collect();
            }
        }
        let is_ordered = all.windows(2).all(|pair| sign * pair[0].0 < sign * pair[1].0);
        let jumps = || all.windows(2).map(|pair| sign * (pair[1].0 - pair[0].0));
        let has_gap = jumps().any(|jump| jump > 2);
        let fills = self.options.gaps == GapPolicy::Fill
            || self.options.missing_files == MissingFilePolicy::Fill;
        // What is filled is filled by whole steps.
        let is_torn = jumps().any(|jump| jump > 2 && jump % 2 != 0);
        let is_refused =
            if fills { is_torn } else { has_gap && self.options.gaps == GapPolicy::Error };
        if !is_ordered || is_refused {
            refused.insert(ErrorCode::NOT_ASCENDING);
            return all;
        }
        let mut filled: Vec<(i64, Element)> = Vec::new();
        for (step, element) in all {
            while let Some(last) = filled.last().filter(|it| fills && sign * (step - it.0) > 2) {
                filled.push((last.0 + 2 * sign, None));
            }
            filled.push((step, element));
        }
        filled
    }

    /// Whether numbers of two files count as the same; whatever the policy says of others.
    fn is_same(&self, one: &[f64], other: &[f64]) -> bool {
        let is_close = |(a, b): (&f64, &f64)| (a - b).abs() <= ROUNDING;
        let may_round = matches!(self.options.statics, StaticPolicy::Close(_));
        one == other || (may_round && one.iter().zip(other).all(is_close))
    }

    fn variables(
        &self,
        elements: &[(i64, Element)],
        refused: &mut BTreeSet<ErrorCode>,
    ) -> BTreeMap<String, WantedVariable> {
        let names: BTreeSet<&String> =
            self.files.iter().flat_map(|it| it.variables.keys()).collect();
        let mut wanted = BTreeMap::new();
        for name in names {
            let of_files: Vec<Option<&InFile>> =
                self.files.iter().map(|it| it.variables.get(name)).collect();
            if !self.is_wanted(of_files.iter().all(Option::is_some), refused) {
                continue;
            }
            wanted.insert(name.clone(), self.variable(&of_files, elements, refused));
        }
        let of_files: Vec<Option<&Vec<f64>>> =
            self.files.iter().map(|it| it.fixed.as_ref()).collect();
        let is_there = of_files.iter().any(Option::is_some);
        if is_there && self.is_wanted(of_files.iter().all(Option::is_some), refused) {
            wanted.insert("fixed".to_owned(), self.fixed(&of_files, elements, refused));
        }
        wanted
    }

    /// Whether a variable is baked that is in all files, or is not.
    fn is_wanted(&self, is_in_all: bool, refused: &mut BTreeSet<ErrorCode>) -> bool {
        if is_in_all {
            return true;
        }
        if self.options.presence == PresencePolicy::Error {
            refused.insert(ErrorCode::VARIABLE_MISSING);
        }
        self.options.presence == PresencePolicy::Union
    }

    fn variable(
        &self,
        of_files: &[Option<&InFile>],
        elements: &[(i64, Element)],
        refused: &mut BTreeSet<ErrorCode>,
    ) -> WantedVariable {
        let present: Vec<&InFile> = of_files.iter().copied().flatten().collect();
        let first = present[0];
        let is_one = present.iter().all(|it| it.packed == first.packed);
        let mut repacked = None;
        match self.options.packing {
            _ if is_one => {}
            PackingPolicy::Decode => {}
            PackingPolicy::Error => drop(refused.insert(ErrorCode::PACKINGS_DIFFER)),
            PackingPolicy::Repack => {
                repacked = range(&present);
                if repacked.is_none() {
                    refused.insert(ErrorCode::PACKINGS_DIFFER);
                }
            }
        }
        let lengths = [1, self.files[0].y.len(), self.x];
        let row: usize = first.order.iter().map(|&dim| lengths[dim]).product();
        let mut values = Vec::new();
        for (_, element) in elements {
            let found = element.and_then(|(file, place)| Some((of_files[file]?, place)));
            match found {
                Some((of_file, place)) => {
                    let own = of_file.values.get(place * row..(place + 1) * row);
                    // Files of another grid are refused: what they would give does not matter.
                    values.extend_from_slice(own.unwrap_or_default());
                }
                None => values.extend(std::iter::repeat_n(None, row)),
            }
        }
        let is_filled = present.len() < of_files.len() || elements.iter().any(|it| it.1.is_none());
        let must_hold_more = is_filled && first.packed.fill.is_none();
        let comments: BTreeSet<&str> = (self.files.iter().zip(of_files))
            .filter(|(_, it)| it.is_some())
            .map(|(file, _)| file.history.as_str())
            .collect();
        let first_file = of_files.iter().position(Option::is_some).unwrap_or_default();
        let comment = match (comments.len(), self.options.attributes) {
            (1, _) | (_, AttributePolicy::First) => Some(self.files[first_file].history.clone()),
            (_, AttributePolicy::Error) => {
                refused.insert(ErrorCode::ATTRIBUTES_DIFFER);
                None
            }
            _ => None,
        };
        WantedVariable {
            dims: first.order.clone(),
            is_order_promised: true,
            values,
            stored: (is_one && !must_hold_more).then_some(first.packed.stored),
            repacked,
            comment,
        }
    }

    fn fixed(
        &self,
        of_files: &[Option<&Vec<f64>>],
        elements: &[(i64, Element)],
        refused: &mut BTreeSet<ErrorCode>,
    ) -> WantedVariable {
        let present: Vec<&Vec<f64>> = of_files.iter().copied().flatten().collect();
        let own_dims = if self.is_fixed_of_y { vec![1] } else { vec![] };
        let is_one = present.iter().all(|it| self.is_same(it, present[0]));
        let some = |values: &Vec<f64>| values.iter().map(|&it| Some(it)).collect::<Vec<_>>();
        let (mut dims, mut values) = (own_dims, some(present[0]));
        let is_strict =
            matches!(self.options.statics, StaticPolicy::Identical | StaticPolicy::Close(_));
        if !is_one && is_strict {
            refused.insert(ErrorCode::STATIC_DIFFERS);
        }
        if !is_one && self.options.statics == StaticPolicy::Concat {
            dims.insert(0, 0);
            let missing = vec![None; present[0].len()];
            let own = |element: Element| element.and_then(|(file, _)| of_files[file]).map(some);
            values = elements.iter().flat_map(|it| own(it.1).unwrap_or(missing.clone())).collect();
        }
        WantedVariable {
            dims,
            is_order_promised: false,
            values,
            stored: Some(Stored::Double),
            repacked: None,
            comment: None,
        }
    }

    fn attributes(
        &self,
        refused: &mut BTreeSet<ErrorCode>,
    ) -> BTreeMap<&'static str, Option<Vec<String>>> {
        let histories: Vec<Option<&String>> =
            self.files.iter().map(|it| Some(&it.history)).collect();
        let notes: Vec<Option<&String>> = self.files.iter().map(|it| it.note.as_ref()).collect();
        let mut wanted = BTreeMap::from([("title", Some(vec!["by chance".to_owned()]))]);
        for (name, said) in [("history", histories), ("note", notes)] {
            let mut each: Vec<String> = Vec::new();
            for text in said.iter().flatten() {
                if !each.contains(text) {
                    each.push((*text).clone());
                }
            }
            let is_agreed = each.len() == 1 && said.iter().all(Option::is_some);
            let value = match self.options.attributes {
                _ if is_agreed || each.is_empty() => Some(each),
                AttributePolicy::First => Some(each[..1].to_vec()),
                AttributePolicy::List => Some(each),
                AttributePolicy::Error if each.len() > 1 => {
                    refused.insert(ErrorCode::ATTRIBUTES_DIFFER);
                    None
                }
                _ => None,
            };
            wanted.insert(name, value.filter(|it| !it.is_empty()));
        }
        wanted
    }
}

/// From the least to the greatest value that the stored numbers of all files can mean; `None` where
/// that is not known.
fn range(present: &[&InFile]) -> Option<(f64, f64)> {
    let mut whole = (f64::INFINITY, f64::NEG_INFINITY);
    for Packed { stored, scale, .. } in present.iter().map(|it| it.packed) {
        let (least, greatest) = match stored {
            Stored::Byte => (-128.0, 127.0),
            Stored::Short => (-32_768.0, 32_767.0),
            Stored::Int => (-2_147_483_648.0, 2_147_483_647.0),
            Stored::Float | Stored::Double => return None,
        };
        let (scale, offset) = scale?;
        whole = (whole.0.min(least * scale + offset), whole.1.max(greatest * scale + offset));
    }
    Some(whole)
}
