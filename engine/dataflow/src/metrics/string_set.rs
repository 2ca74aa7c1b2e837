//! A set of texts that cannot outgrow its limit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The texts that were added, each once.
///
/// It keeps at most [`StringSet::LIMIT_BYTES`]: the least texts, in the order of their bytes, that
/// come before the first for which there was no room. So the set of a run is the same in whichever
/// order texts came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StringSet {
    texts: BTreeSet<String>,
    /// The least text that there was no room for: what is not less is dropped too.
    first_dropped: Option<String>,
}

impl StringSet {
    /// The most bytes of texts that a set keeps.
    pub const LIMIT_BYTES: usize = 64 << 10;

    /// Adds a text.
    pub fn insert(&mut self, text: &str) {
        if !self.texts.contains(text) {
            self.texts.insert(text.to_owned());
            self.cut();
        }
    }

    /// Adds all texts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.texts.extend(other.texts.iter().cloned());
        let dropped = [&self.first_dropped, &other.first_dropped];
        self.first_dropped = dropped.into_iter().flatten().min().cloned();
        self.cut();
    }

    /// The texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Whether texts were dropped for want of room.
    pub fn is_cut(&self) -> bool {
        self.first_dropped.is_some()
    }

    fn cut(&mut self) {
        let mut bytes = 0;
        let too_much = self.texts.iter().find(|text| {
            bytes += text.len();
            bytes > Self::LIMIT_BYTES
        });
        let dropped = too_much.into_iter().chain(&self.first_dropped).min().cloned();
        if let Some(first) = dropped {
            self.texts.split_off(&first);
            self.first_dropped = Some(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_of(texts: impl IntoIterator<Item = String>) -> StringSet {
        let mut set = StringSet::default();
        texts.into_iter().for_each(|text| set.insert(&text));
        set
    }

    /// A thousand texts of a hundred bytes: more than there is room for.
    fn many(places: impl Iterator<Item = usize>) -> StringSet {
        set_of(places.map(|n| format!("{n:0100}")))
    }

    #[test]
    fn what_is_kept_does_not_depend_on_the_order() {
        let forwards = many(0..1000);
        assert!(forwards.is_cut());
        assert_eq!(forwards.iter().count(), StringSet::LIMIT_BYTES / 100);
        assert_eq!(many((0..1000).rev()), forwards);
        let mut merged = many((0..1000).filter(|n| n % 3 == 0));
        merged.merge(&many((0..1000).filter(|n| n % 3 != 0)));
        assert_eq!(merged, forwards);
    }

    #[test]
    fn a_large_text_leaves_no_room_for_those_after_it() {
        let large = "b".repeat(StringSet::LIMIT_BYTES);
        for texts in [["a", &large, "c"], ["c", "a", &large], [&large, "c", "a"]] {
            let set = set_of(texts.map(str::to_owned));
            assert_eq!(set.iter().collect::<Vec<_>>(), ["a"]);
        }
    }
}
