//! How a collection differs from what was expected, as people read it.

use std::collections::BTreeMap;

use crate::coder::{Coder, Context, Preview};
use crate::element::Element;
use crate::error::{Error, Result};

/// The most different elements that are listed on either side.
const LISTED_LIMIT: usize = 10;

/// Where the entry of an encoding stands.
type Places = BTreeMap<Vec<u8>, usize>;

/// One of several equal elements, and how often they stand on either side.
struct Entry<T> {
    element: T,
    wanted: u64,
    found: u64,
}

/// What is missing and what is unexpected.
pub(super) struct Difference<T> {
    entries: Vec<Entry<T>>,
    wanted_count: u64,
    found_count: u64,
}

impl<T: Element + PartialEq> Difference<T> {
    /// Compares as multisets: by encoding, and by `==` where equal elements may differ in bytes.
    ///
    /// All of both sides is held. Cost: a sort; without a deterministic coder, every element that
    /// has no twin by bytes is compared with every other such.
    ///
    /// # Errors
    /// An element that cannot be encoded.
    pub(super) fn between(wanted: &[T], found: impl Iterator<Item = Result<T>>) -> Result<Self> {
        let coder = T::coder();
        let (mut places, mut entries) = (Places::new(), Vec::new());
        let (wanted_count, mut found_count) = (wanted.len() as u64, 0);
        for element in wanted {
            entry_of(&mut places, &mut entries, &coder, element)?.wanted += 1;
        }
        for element in found {
            entry_of(&mut places, &mut entries, &coder, &element?)?.found += 1;
            found_count += 1;
        }
        entries.retain(|entry| entry.wanted != entry.found);
        if !coder.is_deterministic() {
            pair_equals(&mut entries);
        }
        Ok(Self { entries, wanted_count, found_count })
    }

    pub(super) fn is_none(&self) -> bool {
        self.entries.is_empty()
    }

    /// The sentence that says so, and the lists as places of the error.
    pub(super) fn describe(&self, error: impl FnOnce(String) -> Error) -> Error {
        let missing = |entry: &Entry<T>| entry.wanted.saturating_sub(entry.found);
        let unexpected = |entry: &Entry<T>| entry.found.saturating_sub(entry.wanted);
        let sum = |count: &dyn Fn(&Entry<T>) -> u64| self.entries.iter().map(count).sum::<u64>();
        let message = format!(
            "the collection holds {} elements, of {} that were expected {} are missing, and {} are unexpected",
            self.found_count,
            self.wanted_count,
            sum(&missing),
            sum(&unexpected),
        );
        let mut error = error(message);
        for (role, count) in
            [("missing", &missing as &dyn Fn(&_) -> _), ("unexpected", &unexpected)]
        {
            if let Some(list) = self.list(count) {
                error = error.at(role, list);
            }
        }
        error
    }

    /// A line for each element that `count` counts, with the number where it is not one.
    fn list(&self, count: &dyn Fn(&Entry<T>) -> u64) -> Option<String> {
        let differing = self.entries.iter().filter(|entry| count(entry) > 0);
        let mut lines: Vec<String> = differing
            .clone()
            .take(LISTED_LIMIT)
            .map(|entry| match count(entry) {
                1 => preview_of(&entry.element),
                times => format!("{} ({times} times)", preview_of(&entry.element)),
            })
            .collect();
        let more = differing.count().saturating_sub(LISTED_LIMIT);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

fn entry_of<'a, T: Element>(
    places: &mut Places,
    entries: &'a mut Vec<Entry<T>>,
    coder: &T::Coder,
    element: &T,
) -> Result<&'a mut Entry<T>> {
    let mut bytes = Vec::new();
    coder.encode(element, Context::Outer, &mut bytes)?;
    let place = *places.entry(bytes).or_insert(entries.len());
    if place == entries.len() {
        entries.push(Entry { element: element.clone(), wanted: 0, found: 0 });
    }
    Ok(&mut entries[place])
}

/// Takes away what is equal though its bytes are not.
fn pair_equals<T: PartialEq>(entries: &mut Vec<Entry<T>>) {
    for index in 0..entries.len() {
        let (before, rest) = entries.split_at_mut(index);
        let Some(entry) = rest.first_mut() else { break };
        if let Some(other) = before.iter_mut().find(|other| other.element == entry.element) {
            // What is missing here may be unexpected there, and the other way round.
            other.wanted += std::mem::take(&mut entry.wanted);
            other.found += std::mem::take(&mut entry.found);
        }
    }
    entries.retain(|entry| entry.wanted != entry.found);
}

/// How a user recognises an element.
pub(super) fn preview_of<T: Element>(element: &T) -> String {
    let mut preview = Preview::default();
    T::coder().preview(element, &mut preview);
    preview.finish()
}
