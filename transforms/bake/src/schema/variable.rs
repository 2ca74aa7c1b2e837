//! What all files say of one variable.

use std::collections::BTreeMap;

use array::{DType, Dataset, Scalar, Variable};
use cf::{Packing, TimeSpan};
use serde::{Deserialize, Serialize};

use crate::schema::{
    Attribute, FilePlace, FileSet, VariableFindings, Variants, attributes_of, merge_maps,
};

/// Everything about a variable that should agree, and what cannot be known from headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VariableSchema {
    /// The files that have it.
    pub(crate) files: FileSet,
    /// In how many files it is.
    pub(crate) file_count: u32,
    /// Its place in the first file that has it.
    pub(crate) order: (FilePlace, u32),
    pub(crate) dimensions: Variants<Vec<String>>,
    pub(crate) dtype: Variants<DType>,
    pub(crate) fill: Variants<Option<Scalar>>,
    pub(crate) packing: Variants<Packing>,
    /// Units and calendar of times, as they are written; `None` if it counts no time.
    pub(crate) time: Variants<Option<(String, String)>>,
    /// Digests of the elements, where the concat dimension is missing.
    pub(crate) digest: Option<Variants<u128>>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// The extent of all times; an error text if two calendars met, `None` if some are not known.
    pub(crate) span: Option<Result<TimeSpan, String>>,
    /// Chunks in the first file; `None` where they lie in one piece.
    pub(crate) chunk_shape: (FilePlace, Option<Vec<u64>>),
    /// The least dense of all files.
    pub(crate) encoded_ratio: f64,
    /// What was wrong with its attributes, in the first file where something was.
    pub(crate) mistake: Option<(FilePlace, String)>,
}

impl VariableSchema {
    pub(super) fn of(
        place: FilePlace,
        order: u32,
        dataset: &Dataset,
        variable: &Variable,
        found: VariableFindings,
    ) -> Self {
        let (packing, mistake) = match Packing::parse(&variable.attributes, variable.dtype) {
            Ok(packing) => (packing, None),
            Err(error) => {
                (plain_packing(variable.dtype), Some((place, error.message().to_owned())))
            }
        };
        Self {
            files: FileSet::of(place),
            file_count: 1,
            order: (place, order),
            dimensions: Variants::of(variable.dimensions.clone(), place),
            dtype: Variants::of(variable.dtype, place),
            fill: Variants::of(variable.fill.clone(), place),
            packing: Variants::of(packing, place),
            time: Variants::of(written_time(dataset, variable), place),
            digest: found.digest.map(|digest| Variants::of(digest, place)),
            attributes: attributes_of(variable.attributes.iter(), place),
            span: found.span.map(Ok),
            chunk_shape: (place, variable.storage.chunk_shape.clone()),
            encoded_ratio: found.encoded_ratio,
            mistake,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.files.merge(other.files);
        self.file_count += other.file_count;
        self.order = self.order.min(other.order);
        self.dimensions.merge(other.dimensions);
        self.dtype.merge(other.dtype);
        self.fill.merge(other.fill);
        self.packing.merge(other.packing);
        self.time.merge(other.time);
        self.digest = match (self.digest.take(), other.digest) {
            (Some(mut known), Some(more)) => {
                known.merge(more);
                Some(known)
            }
            // A file in which it has the concat dimension: the dimensions contradict anyway.
            _ => None,
        };
        merge_maps(&mut self.attributes, other.attributes, Variants::merge);
        self.span = match (self.span.take(), other.span) {
            (Some(Ok(known)), Some(Ok(more))) => {
                Some(known.merge(&more).map_err(|error| error.message().to_owned()))
            }
            (Some(Err(why)), Some(_)) | (Some(_), Some(Err(why))) => Some(Err(why)),
            _ => None,
        };
        if other.chunk_shape.0 < self.chunk_shape.0 {
            self.chunk_shape = other.chunk_shape;
        }
        self.encoded_ratio = self.encoded_ratio.max(other.encoded_ratio);
        self.mistake = match (self.mistake.take(), other.mistake) {
            (Some(known), Some(more)) => Some(known.min(more)),
            (known, more) => known.or(more),
        };
    }
}

/// A packing that says nothing but the stored type.
fn plain_packing(dtype: DType) -> Packing {
    let none = array::Attributes::default();
    Packing::parse(&none, dtype).expect("no attributes, no mistake in them")
}

/// Units and calendar as the file has them, its own or those of the coordinate that it bounds.
fn written_time(dataset: &Dataset, variable: &Variable) -> Option<(String, String)> {
    let of = |attributes: &array::Attributes| {
        let text = |name| attributes.text(name).unwrap_or_default().to_owned();
        cf::declares_time(attributes).then(|| (text("units"), text("calendar")))
    };
    of(&variable.attributes).or_else(|| {
        let is_parent = |other: &&Variable| {
            let names = ["bounds", "climatology"].map(|name| other.attributes.text(name));
            names.contains(&Some(&variable.name))
        };
        of(&dataset.variables.iter().find(is_parent)?.attributes)
    })
}
