//! The ways in which an array is copied.

use std::fmt;

use array::ChunkGrid;
use serde::{Deserialize, Serialize};

/// How one array is copied: who reads what, and what is held.
///
/// Extents are in elements, one for each dimension. Groups and blocks tile the array from its origin;
/// those at the end of a dimension are shorter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Encoded source chunks are copied into target units as they are.
    Passthrough,
    /// Blocks that share no chunk with each other are crossed along one dimension: source chunks are
    /// read once, target units are open until they are complete.
    Sweep {
        /// The dimension that is crossed.
        dimension: usize,
        /// Extents of a block, whole along `dimension`.
        block: Vec<u64>,
        /// Source chunks along `dimension` that are taken together; with all of them a block is held
        /// whole.
        window: u64,
    },
    /// Each group of whole target units reads every source chunk that it meets.
    Direct {
        /// Extents of a group.
        group: Vec<u64>,
    },
    /// Each target unit is written as a stream, chunk after chunk: its parts are gathered one after the
    /// other.
    Streamed {
        /// Extents of a part: of a chunk before `dimension`, of a unit from there on; or of a chunk.
        part: Vec<u64>,
        /// The dimension along which a part is crossed.
        dimension: usize,
        /// Source chunks along `dimension` that are taken together.
        window: u64,
    },
    /// Groups of source chunks are cut into cells, which are written in one segment a group; groups of
    /// whole target units read their cells.
    Packed {
        /// Extents of the groups that read the source.
        map_group: Vec<u64>,
        /// Extents of the groups of each stage between the two, which read cells and write cells.
        middle: Vec<Vec<u64>>,
        /// Extents of the groups of whole target units.
        reduce_group: Vec<u64>,
    },
}

impl Method {
    /// What users call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::Sweep { .. } => "sweep",
            Self::Direct { .. } => "direct",
            Self::Streamed { .. } => "streamed",
            Self::Packed { middle, .. } if middle.is_empty() => "packed",
            Self::Packed { .. } => "packed, in more stages",
        }
    }
}

impl Method {
    /// The tasks of each stage over an array of these target units: a chunk of the grid is a task, and
    /// its place in C order is the index of the task.
    ///
    /// Nothing is listed, however many tasks there are. A stage begins when the one before has ended.
    pub fn task_grids(&self, target: &ChunkGrid) -> Vec<ChunkGrid> {
        let shape = target.shape();
        let of = |extents: &Vec<u64>| ChunkGrid::regular(&shape, extents);
        match self {
            Self::Passthrough | Self::Streamed { .. } => vec![target.clone()],
            Self::Sweep { block: group, .. } | Self::Direct { group } => vec![of(group)],
            Self::Packed { map_group, middle, reduce_group } => {
                [map_group].into_iter().chain(middle).chain([reduce_group]).map(of).collect()
            }
        }
    }

    /// What it does, in words, with the names of the dimensions.
    pub fn describe<Name: AsRef<str>>(&self, dimensions: &[Name]) -> String {
        match self {
            Self::Sweep { dimension, block, window } => {
                let name = named(*dimension, dimensions);
                format!("sweep along {name}, blocks {}, windows of {window}", Extents(block))
            }
            Self::Streamed { part, dimension, window } => {
                let (name, part) = (named(*dimension, dimensions), Extents(part));
                format!("shards as streams, by parts of {part} along {name}, windows of {window}")
            }
            method => method.to_string(),
        }
    }
}

fn named<Name: AsRef<str>>(dimension: usize, names: &[Name]) -> String {
    let name = names.get(dimension).map(|name| name.as_ref().to_owned());
    name.unwrap_or_else(|| format!("dimension {dimension}"))
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passthrough => f.write_str("passthrough of encoded chunks"),
            Self::Sweep { .. } | Self::Streamed { .. } => f.write_str(&self.describe::<&str>(&[])),
            Self::Direct { group } => write!(f, "direct, groups {}", Extents(group)),
            Self::Packed { map_group, middle, reduce_group } => {
                write!(f, "packed, groups {}", Extents(map_group))?;
                for group in middle.iter().chain([reduce_group]) {
                    write!(f, " → {}", Extents(group))?;
                }
                Ok(())
            }
        }
    }
}

/// Extents, written as a shape is.
struct Extents<'a>(&'a [u64]);

impl fmt::Display for Extents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extents: Vec<String> = self.0.iter().map(u64::to_string).collect();
        write!(f, "({})", extents.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, words: &str, json: &str) {
        assert_eq!(method.to_string(), words);
        assert_eq!(serde_json::to_string(method).expect("plain"), json);
        assert_eq!(&serde_json::from_str::<Method>(json).expect("plain"), method);
    }

    #[test]
    fn a_sweep_names_its_dimension() {
        let sweep = Method::Sweep { dimension: 1, block: vec![30, 99], window: 4 };
        let words = sweep.describe(&["lat", "time"]);
        assert_eq!(words, "sweep along time, blocks (30, 99), windows of 4");
    }

    #[test]
    fn methods_are_told_in_words_and_in_json() {
        check(&Method::Passthrough, "passthrough of encoded chunks", r#""passthrough""#);
        check(
            &Method::Sweep { dimension: 1, block: vec![30, 99], window: 4 },
            "sweep along dimension 1, blocks (30, 99), windows of 4",
            r#"{"sweep":{"dimension":1,"block":[30,99],"window":4}}"#,
        );
        check(
            &Method::Streamed { part: vec![1, 99], dimension: 1, window: 4 },
            "shards as streams, by parts of (1, 99) along dimension 1, windows of 4",
            r#"{"streamed":{"part":[1,99],"dimension":1,"window":4}}"#,
        );
        check(
            &Method::Direct { group: vec![30] },
            "direct, groups (30)",
            r#"{"direct":{"group":[30]}}"#,
        );
        check(
            &Method::Packed {
                map_group: vec![9, 1],
                middle: vec![vec![3, 3]],
                reduce_group: vec![1, 9],
            },
            "packed, groups (9, 1) → (3, 3) → (1, 9)",
            r#"{"packed":{"map_group":[9,1],"middle":[[3,3]],"reduce_group":[1,9]}}"#,
        );
    }
}
