//! What becomes of elements that no file gives although the plan has counted on it: a chunk that
//! turns out to be damaged while the store is written.
//!
//! By default that ends the run. Where it is asked to go on, the elements become missing values, and
//! a commit record names them before the units that hold them are committed: whoever reads the
//! records, of a run that has ended or of one that was killed, knows of all.

use std::sync::Arc;

use array::{Placement, Region, Scalar, Variable};
use dataflow::error::{Error, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};

use crate::commit::put_filled;
use crate::recode::missing_of;
use crate::source::Parts;
use crate::tiling::Part;

/// Elements of a store that hold missing values, as no file could give them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilledElements {
    /// The array; of a group below the root, with its path.
    pub array: String,
    /// Where they begin, one number per dimension.
    pub start: Vec<u64>,
    /// How many there are.
    pub shape: Vec<u64>,
    /// The file that should have given them.
    pub source: String,
    /// Why it did not.
    pub error: Error,
}

impl FilledElements {
    /// The elements.
    pub fn region(&self) -> Region {
        Region::at(&self.start, &self.shape)
    }

    /// What a user is told.
    pub fn report(&self) -> Error {
        let message = format!("elements of `{}` are filled: {}", self.array, self.error.message());
        Error::new(self.error.code(), self.error.kind(), message)
            .at("source", &self.source)
            .at("elements", self.region())
            .mend("mend the source and run again with --resume: only what it feeds is written anew")
    }
}

/// Where filled elements are recorded: the run store of the run that fills them.
#[derive(Debug, Clone)]
pub struct FilledLog(Objects);

impl FilledLog {
    /// The records of the run whose store lies at `run`.
    ///
    /// # Errors
    /// A store that cannot be reached.
    pub fn open(run: &Location, store: &StoreOptions) -> Result<Self> {
        Objects::open(run, store).map(Self)
    }
}

/// How elements of one array are filled.
#[derive(Debug, Clone)]
pub(crate) struct Filling {
    log: Arc<FilledLog>,
    array: String,
    /// What stands in their place; `None` where nothing can say that an element is missing.
    value: Option<Scalar>,
}

impl Filling {
    /// Fills elements of this variable of the store, whose whole name is `array`.
    ///
    /// Coordinates of dimensions are not filled: elements beside them would be lost.
    pub(crate) fn new(log: &Arc<FilledLog>, array: String, target: &Variable) -> Self {
        let value = missing_of(target).filter(|_| !target.is_dimension_coordinate());
        Self { log: Arc::clone(log), array, value }
    }
}

/// Whether an error is of the bytes of a source, and other bytes may do better. A source that has
/// changed, a codec that is not known, a store that does not answer or a lack of memory say nothing
/// of the elements.
fn is_of_bytes(why: &Error) -> bool {
    matches!(why.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
}

impl Parts {
    /// Reads a part that could not be read as a whole chunk by chunk, and fills what cannot be
    /// read: the chunks, as far as they lie in the part.
    ///
    /// `start` is where the region begins in the store of which the part is one.
    ///
    /// # Errors
    /// `why`, if elements are not to be filled or it says nothing of them; a record that cannot be
    /// written.
    pub(crate) fn fill(
        &self,
        read: &Part,
        start: &[u64],
        why: Error,
        place: &mut Placement<'_>,
    ) -> Result<()> {
        let Some(filling) = self.filling().filter(|_| is_of_bytes(&why)) else { return Err(why) };
        let Some(value) = &filling.value else {
            let message = format!("no element of `{}` can say that it is missing", filling.array);
            return Err(why.at("not filled", message));
        };
        let pieces = self.chunks_of(read).unwrap_or_default();
        let is_one = pieces.len() < 2;
        for piece in if is_one { vec![read.clone()] } else { pieces } {
            let again = match is_one {
                true => Err(why.clone()),
                false => self.fetch(&piece).and_then(|part| part.decode(place)),
            };
            let why = match again {
                Ok(()) => continue,
                Err(why) if is_of_bytes(&why) => why,
                Err(why) => return Err(why),
            };
            place.into.fill(&piece.origin(place), &piece.extent, value)?;
            let source = piece.file.map(|file| self.location(file)).unwrap_or_default();
            let start = start.iter().zip(&piece.at).map(|(start, at)| start + at);
            put_filled(
                &filling.log.0,
                FilledElements {
                    array: filling.array.clone(),
                    start: start.collect(),
                    shape: piece.extent,
                    source,
                    error: why,
                },
            )?;
        }
        Ok(())
    }
}
