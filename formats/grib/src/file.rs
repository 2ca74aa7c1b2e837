//! The door: a GRIB file as a dataset with arrays.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{ArraySource, Dataset, DatasetSource, Scalar};
use objects::ObjectFile;

use crate::dataset::{Built, StoredArray, build};
use crate::held::HeldArray;
use crate::message::{Scanned, scan};
use crate::packed_array::{Index, PackedArray};
use objects::FileBytes;

/// What to do with messages that are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BrokenMessages {
    /// The first of them is the error of the file.
    #[default]
    Refuse,
    /// They are passed over and listed; what they hold is missing.
    Skip,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct GribOptions {
    /// What to do with messages that are damaged.
    pub broken_messages: BrokenMessages,
}

/// A message that was passed over.
#[derive(Debug, Clone, PartialEq)]
pub struct SkippedMessage {
    /// Where it begins in the file.
    pub offset: u64,
    /// What is wrong with it.
    pub error: Error,
}

/// A place of a variable that no message fills: its elements are NaN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// The place along each of the dimensions that messages follow each other along, slowest
    /// first.
    pub index: Vec<u64>,
}

/// A file of GRIB messages of edition 1 or 2.
///
/// Opening reads headers only (and small files whole), and no byte of what a cache keeps of them.
/// Messages of one parameter, kind of level,
/// kind of step and grid are one variable, named as ecCodes names it, with the dimensions
/// `number`, `time`, `step` and the kind of level before those of the grid. A parameter that the
/// tables do not know is called by its numbers: `param_0_1_200`. Several variables of one name are
/// told apart by what they differ in: `t_surface`, `t_isobaricInhPa`.
///
/// What cannot be read of a message or of a variable is a sentence in [`Dataset::warnings`].
///
/// ```no_run
/// use array::DatasetSource;
/// use objects::{Location, ObjectFile, StoreOptions};
///
/// let location = Location::parse("s3://bucket/forecast.grib2")?;
/// let file = grib::GribFile::open(ObjectFile::open(&location, &StoreOptions::default())?)?;
/// let names: Vec<&str> = file.dataset().variables.iter().map(|v| v.name.as_str()).collect();
/// # Ok::<(), array::error::Error>(())
/// ```
pub struct GribFile {
    index: Arc<Index>,
    built: Built,
    skipped: Vec<SkippedMessage>,
    unread: Vec<SkippedMessage>,
}

impl GribFile {
    /// Reads the headers of a file; a damaged message is an error.
    ///
    /// # Errors
    /// No message at all, a damaged one, or only such as this reader cannot read; the error says
    /// where the message begins.
    pub fn open(file: ObjectFile) -> Result<Self> {
        Self::open_with(file, GribOptions::default())
    }

    /// Reads the headers of a file.
    ///
    /// # Errors
    /// As [`GribFile::open`]; damaged messages only if `options` refuse them.
    pub fn open_with(file: ObjectFile, options: GribOptions) -> Result<Self> {
        let bytes = Arc::new(FileBytes::with_index(file)?);
        let name = bytes.name().to_owned();
        let opened = open(Arc::clone(&bytes), options).map_err(|error| error.at("file", name))?;
        bytes.save_kept()?;
        Ok(opened)
    }

    /// Damaged messages that were passed over, in the order of the file.
    pub fn skipped(&self) -> &[SkippedMessage] {
        &self.skipped
    }

    /// Whole messages with features that this reader does not offer, in the order of the file.
    pub fn unread(&self) -> &[SkippedMessage] {
        &self.unread
    }

    /// The places of a variable that no message fills, in C order.
    pub fn holes(&self, variable: &str) -> impl Iterator<Item = Hole> {
        let parts = match self.built.arrays.get(variable) {
            Some(Ok(StoredArray::Packed(parts))) => Some(parts),
            _ => None,
        };
        parts.into_iter().flat_map(|parts| parts.holes()).map(|index| Hole { index })
    }

    /// The number of fields that can be read.
    pub fn field_count(&self) -> usize {
        self.index.fields.len()
    }
}

fn open(bytes: Arc<FileBytes>, options: GribOptions) -> Result<GribFile> {
    let found = scan(&bytes, options.broken_messages == BrokenMessages::Refuse)?;
    let Scanned { fields, grids, broken, unread, .. } = found;
    let listed = |list: Vec<(u64, Error)>| -> Vec<SkippedMessage> {
        list.into_iter().map(|(offset, error)| SkippedMessage { offset, error }).collect()
    };
    let (skipped, unread) = (listed(broken), listed(unread));
    if let (true, Some(first)) = (fields.is_empty(), unread.first().or(skipped.first())) {
        return Err(first.error.clone());
    }
    let name = bytes.name().to_owned();
    let index = Arc::new(Index { bytes, fields, grids });
    let mut built = build(&index)?;
    built.dataset.warnings.extend(skipped.iter().map(|message| {
        let SkippedMessage { offset, error } = message;
        format!("the message at byte {offset} is skipped: {} (in {name})", error.message())
    }));
    built.dataset.warnings.extend(reasons(&unread));
    if let (true, Some(error)) = (built.dataset.variables.is_empty(), first_error(&built)) {
        return Err(error);
    }
    Ok(GribFile { index, built, skipped, unread })
}

fn first_error(built: &Built) -> Option<Error> {
    built.arrays.values().find_map(|array| array.as_ref().err().cloned())
}

/// A sentence for each reason why messages are not read, however many there are.
fn reasons(unread: &[SkippedMessage]) -> Vec<String> {
    let mut of_reason: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for message in unread {
        of_reason.entry(message.error.message()).or_default().push(message.offset);
    }
    let sentence = |(reason, offsets): (&str, Vec<u64>)| {
        let (count, first) = (offsets.len(), offsets[0]);
        format!("{count} messages are left out, the first at byte {first}: {reason}")
    };
    of_reason.into_iter().map(sentence).collect()
}

impl fmt::Debug for GribFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable_count = self.built.dataset.variables.len();
        write!(f, "GribFile({}, {variable_count} variables)", self.index.bytes.name())
    }
}

impl DatasetSource for GribFile {
    fn dataset(&self) -> &Dataset {
        &self.built.dataset
    }

    fn left_out(&self) -> Vec<(String, Error)> {
        let unreadable = self.built.arrays.iter();
        let unreadable = unreadable.filter_map(|(name, array)| Some((name, array.as_ref().err()?)));
        let of_file = |error: &Error| error.clone().at("file", self.index.bytes.name());
        unreadable.map(|(name, error)| (name.clone(), of_file(error))).collect()
    }

    fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
        let name = |error: Error| error.at("file", self.index.bytes.name());
        let known = self.built.arrays.get(variable);
        let Some(array) = known else {
            let unknown = self.built.dataset.expect_variable(variable).err();
            let unknown = unknown.unwrap_or_else(|| Error::internal("a variable without an array"));
            return Err(name(unknown));
        };
        match array {
            Ok(StoredArray::Packed(parts)) => Ok(Arc::new(PackedArray::new(parts))),
            Ok(StoredArray::Held(coordinate)) => {
                let own = self.built.dataset.expect_variable(variable).map_err(name)?;
                let fill = Scalar::zero(own.dtype);
                Ok(Arc::new(HeldArray::new(coordinate.clone(), &own.shape, fill)))
            }
            Err(error) => Err(name(error.clone())),
        }
    }
}
