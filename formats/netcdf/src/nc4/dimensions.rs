//! Which dimensions a group has, and which of them each dataset lies along.
//!
//! The rules are those of the C library: scales are dimensions in the order in which they are met;
//! axes without a scale take a dimension of the group that has their length, or a new one called
//! `phony_dim_N`, where N counts all dimensions of the file, groups below first.

use array::Dimension;

use super::scan::{Dataset, Group};

/// A dimension.
#[derive(Debug, Clone)]
struct Axis {
    id: i64,
    name: String,
    /// As the scale states it; unlimited dimensions may be longer.
    length: u64,
    is_unlimited: bool,
    /// Of the scale.
    address: Option<u64>,
}

/// The dimensions of a group.
#[derive(Debug)]
pub(super) struct Dimensions {
    /// In the order of their ids.
    pub(super) all: Vec<Dimension>,
    /// For every dataset: places in `all`, one for each axis.
    pub(super) of_dataset: Vec<Vec<usize>>,
}

/// Whether the dimensions of the root can be known only with the groups below.
pub(super) fn needs_groups_below(root: &Group) -> bool {
    let is_unlimited = |dataset: &Dataset| dataset.scale.is_some() && dataset.space.is_unlimited(0);
    let is_phony = |dataset: &Dataset| {
        dataset.scale.is_none()
            && dataset.dimension_ids.is_none()
            && dataset.scales.first().is_none_or(Vec::is_empty)
            && !dataset.space.dimensions.is_empty()
    };
    !root.groups.is_empty() && root.datasets.iter().any(|d| is_unlimited(d) || is_phony(d))
}

/// Works out the dimensions of the group at the end of `way`, whose steps are places among the
/// groups of a group; no steps lead to the root.
///
/// These are its own, and those of groups above that its datasets lie along.
pub(super) fn dimensions(root: &Group, way: &[usize]) -> Dimensions {
    let mut next_id = 0;
    let mut tree = Node::of_scales(root, &mut next_id);
    let mut above = Vec::new();
    tree.match_axes(root, &mut above, &mut next_id);
    let mut node = &tree;
    let mut axes: Vec<&Axis> = node.axes.iter().collect();
    for &place in way {
        let Some(below) = node.below.get(place).and_then(Option::as_ref) else { break };
        node = below;
        // A dimension of a group hides one of the same name above.
        axes.retain(|axis| !node.axes.iter().any(|own| own.name == axis.name));
        axes.extend(&node.axes);
    }
    let is_used = |axis: &&Axis| {
        let is_own = node.axes.iter().any(|own| own.id == axis.id);
        is_own || node.of_dataset.iter().flatten().any(|id| *id == axis.id)
    };
    axes.retain(is_used);
    axes.sort_by_key(|axis| axis.id);
    let all = axes.iter().map(|axis| {
        let length = if axis.is_unlimited { tree.longest(root, axis.id) } else { axis.length };
        Dimension { name: axis.name.clone(), length, is_unlimited: axis.is_unlimited }
    });
    let all = all.collect();
    let place_of = |id: &i64| axes.iter().position(|axis| axis.id == *id);
    let of_dataset = node.of_dataset.iter().map(|ids| ids.iter().filter_map(place_of).collect());
    Dimensions { all, of_dataset: of_dataset.collect() }
}

/// The dimensions of a group and of those below it.
struct Node {
    axes: Vec<Axis>,
    /// For every dataset, the ids of its dimensions.
    of_dataset: Vec<Vec<i64>>,
    below: Vec<Option<Self>>,
}

impl Node {
    fn of_scales(group: &Group, next_id: &mut i64) -> Self {
        let mut axes = Vec::new();
        for dataset in &group.datasets {
            let Some(scale) = &dataset.scale else { continue };
            let id = scale.id.unwrap_or(*next_id);
            *next_id = (*next_id).max(id.saturating_add(1));
            let axis = Axis {
                id,
                name: dataset.name.clone(),
                length: dataset.space.dimensions[0],
                is_unlimited: dataset.space.is_unlimited(0),
                address: Some(dataset.address),
            };
            // Links to one scale state one id; the C library knows it by the last of their names.
            match axes.iter_mut().find(|known: &&mut Axis| known.id == id) {
                Some(known) => *known = axis,
                None => axes.push(axis),
            }
        }
        let below = group.groups.iter().map(|below| below.scanned.as_ref());
        let below = below.map(|group| group.map(|group| Self::of_scales(group, next_id))).collect();
        Self { axes, of_dataset: Vec::new(), below }
    }

    fn match_axes(&mut self, group: &Group, above: &mut Vec<Vec<Axis>>, next_id: &mut i64) {
        above.push(self.axes.clone());
        for (node, below) in self.below.iter_mut().zip(&group.groups) {
            if let (Some(node), Some(group)) = (node, &below.scanned) {
                node.match_axes(group, above, next_id);
            }
        }
        above.pop();
        for dataset in &group.datasets {
            let ids = self.ids_of(dataset, above, next_id);
            self.of_dataset.push(ids);
        }
    }

    fn ids_of(&mut self, dataset: &Dataset, above: &[Vec<Axis>], next_id: &mut i64) -> Vec<i64> {
        let visible: Vec<&Axis> = self.axes.iter().chain(above.iter().rev().flatten()).collect();
        let of_address = |address: u64| {
            visible.iter().find(|axis| axis.address == Some(address)).map(|axis| axis.id)
        };
        if let Some(stated) = &dataset.dimension_ids
            && stated.iter().all(|id| visible.iter().any(|axis| axis.id == *id))
        {
            return stated.clone();
        }
        let rank = dataset.space.dimensions.len();
        let mut ids: Vec<Option<i64>> = vec![None; rank];
        if dataset.scale.is_some() {
            // A scale lies along itself; of further axes, only the ids that are stated are known.
            ids[0] = of_address(dataset.address);
        } else if dataset.scales.first().is_some_and(|scales| !scales.is_empty()) {
            for (id, scales) in ids.iter_mut().zip(&dataset.scales) {
                // Of several scales of an axis, the C library takes the last.
                *id = scales.last().copied().and_then(of_address);
            }
        }
        for axis in 0..rank {
            if ids[axis].is_none() {
                ids[axis] = Some(self.phony(dataset, axis, &ids, next_id));
            }
        }
        ids.into_iter().flatten().collect()
    }

    /// A dimension for an axis without a scale: one of this group that has its length and is not
    /// used for another axis of the dataset, or a new one.
    fn phony(
        &mut self,
        dataset: &Dataset,
        axis: usize,
        used: &[Option<i64>],
        next_id: &mut i64,
    ) -> i64 {
        let (length, is_unlimited) =
            (dataset.space.dimensions[axis], dataset.space.is_unlimited(axis));
        let fits = |known: &&Axis| {
            known.length == length
                && known.is_unlimited == is_unlimited
                && !used.contains(&Some(known.id))
        };
        if let Some(known) = self.axes.iter().find(fits) {
            return known.id;
        }
        let id = *next_id;
        *next_id += 1;
        let name = format!("phony_dim_{id}");
        self.axes.push(Axis { id, name, length, is_unlimited, address: None });
        id
    }

    /// The most elements that any dataset has along an unlimited dimension.
    fn longest(&self, group: &Group, id: i64) -> u64 {
        let own = self.of_dataset.iter().zip(&group.datasets).flat_map(|(ids, dataset)| {
            let is_shown = dataset.scale.as_ref().is_none_or(|scale| !scale.is_dimension_only);
            let lengths = ids.iter().zip(&dataset.space.dimensions);
            lengths.filter(move |(own, _)| is_shown && **own == id).map(|(_, length)| *length)
        });
        let nodes = self.below.iter().zip(&group.groups);
        let below = nodes
            .filter_map(|(node, below)| Some(node.as_ref()?.longest(below.scanned.as_ref()?, id)));
        own.chain(below).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
