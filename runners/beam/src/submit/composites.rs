//! Transforms whose names begin alike, as composites of each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::proto::pipeline::{FunctionSpec, PTransform};

/// A primitive, and the id under which it stands in the message.
pub(super) type Leaf = (String, PTransform);

/// Puts primitives into composites by the slashes of their names, outermost first; the ids of those
/// that stand in none.
///
/// `known` has what runners may do in their own way instead of what a composite holds, by its name.
///
/// Primitives keep their order, so that inputs stand before what reads them. Where others stand between
/// primitives of one composite, it becomes several.
pub(super) fn compose(
    leaves: &[Leaf],
    known: &BTreeMap<String, FunctionSpec>,
    transforms: &mut BTreeMap<String, PTransform>,
) -> Vec<String> {
    let readers = Readers::of(leaves);
    let mut composing =
        Composing { transforms, readers, known, taken: BTreeSet::new(), next_id: 0 };
    composing.taken.extend(leaves.iter().map(|(_, leaf)| leaf.unique_name.clone()));
    composing.level(leaves, 0)
}

/// Which primitives make and read each collection, by their places.
struct Readers {
    makers: BTreeMap<String, usize>,
    readers: BTreeMap<String, Vec<usize>>,
}

impl Readers {
    fn of(leaves: &[Leaf]) -> Self {
        let (mut makers, mut readers) = (BTreeMap::new(), BTreeMap::<String, Vec<usize>>::new());
        for (place, (_, leaf)) in leaves.iter().enumerate() {
            for id in leaf.outputs.values() {
                makers.insert(id.clone(), place);
            }
            for id in leaf.inputs.values() {
                readers.entry(id.clone()).or_default().push(place);
            }
        }
        Self { makers, readers }
    }
}

struct Composing<'a> {
    transforms: &'a mut BTreeMap<String, PTransform>,
    readers: Readers,
    known: &'a BTreeMap<String, FunctionSpec>,
    taken: BTreeSet<String>,
    next_id: usize,
}

impl Composing<'_> {
    /// Composes `leaves`, which share their first `depth` names.
    fn level(&mut self, leaves: &[Leaf], depth: usize) -> Vec<String> {
        self.level_at(leaves, depth, 0)
    }

    /// The same, where the first leaf stands at the place `first` of all.
    fn level_at(&mut self, leaves: &[Leaf], depth: usize, first: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut start = 0;
        while start < leaves.len() {
            let name = prefix(&leaves[start].1.unique_name, depth);
            let same = |(_, leaf): &&Leaf| prefix(&leaf.unique_name, depth) == name;
            let count = leaves[start..].iter().take_while(same).count();
            let (group, at) = (&leaves[start..start + count], first + start);
            start += count;
            match name {
                Some(name) => ids.push(self.composite(name, group, depth, at)),
                None => ids.extend(group.iter().map(|(id, leaf)| {
                    self.transforms.insert(id.clone(), leaf.clone());
                    id.clone()
                })),
            }
        }
        ids
    }

    fn composite(&mut self, name: &str, leaves: &[Leaf], depth: usize, at: usize) -> String {
        let subtransforms = self.level_at(leaves, depth + 1, at);
        let inside = at..at + leaves.len();
        let is_made_here =
            |id: &String| self.readers.makers.get(id).is_some_and(|m| inside.contains(m));
        let is_read_elsewhere = |id: &String| {
            let readers = self.readers.readers.get(id).map_or(&[][..], Vec::as_slice);
            readers.is_empty() || readers.iter().any(|reader| !inside.contains(reader))
        };
        let own = |ids: BTreeSet<String>| ids.into_iter().map(|id| (id.clone(), id)).collect();
        let read = leaves.iter().flat_map(|(_, leaf)| leaf.inputs.values());
        let inputs = own(read.filter(|id| !is_made_here(id)).cloned().collect());
        let made = leaves.iter().flat_map(|(_, leaf)| leaf.outputs.values());
        let outputs = own(made.filter(|id| is_read_elsewhere(id)).cloned().collect());
        let unique_name = self.new_name(name);
        let id = format!("composite_{}", self.next_id);
        self.next_id += 1;
        let spec = self.known.get(name).cloned();
        let composite = PTransform {
            unique_name,
            spec,
            subtransforms,
            inputs,
            outputs,
            ..PTransform::default()
        };
        self.transforms.insert(id.clone(), composite);
        id
    }

    /// This name, or one like it that no other transform has.
    fn new_name(&mut self, name: &str) -> String {
        let others = (2..).map(|number| format!("{name} ({number})"));
        let mut names = std::iter::once(name.to_owned()).chain(others);
        let free = names.find(|name| !self.taken.contains(name));
        let free = free.expect("there are more numbers than transforms");
        self.taken.insert(free.clone());
        free
    }
}

/// The first `depth + 1` parts of a name, where it has more.
fn prefix(name: &str, depth: usize) -> Option<&str> {
    name.match_indices('/').nth(depth).map(|(at, _)| &name[..at])
}
