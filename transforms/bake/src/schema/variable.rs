//! What all files say of one variable.

use std::collections::{BTreeMap, BTreeSet};

use array::{Attributes, DType, Dataset, Scalar, Variable};
use cf::{Calendar, PackedRange, Packing, TimeSpan};
use serde::{Deserialize, Serialize};

use crate::schema::{
    Attribute, FilePlace, FileSet, Schema, Spread, VariableFindings, Variants, attributes_of,
    merge_maps,
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
    /// The dimensions, whatever their order.
    pub(crate) dimension_set: Variants<Vec<String>>,
    pub(crate) dtype: Variants<DType>,
    pub(crate) fill: Variants<Option<Scalar>>,
    pub(crate) packing: Variants<Packing>,
    /// The types of the values that all packings mean; `None` if some mean nothing.
    decoded: Option<BTreeSet<DType>>,
    /// What the elements of all files may mean, if they are packed integers.
    pub(crate) range: Option<PackedRange>,
    /// Units and calendar of times, its own or those of the coordinate that it bounds; `None` if
    /// it counts no time.
    pub(crate) time: Variants<Option<(String, String)>>,
    /// Digests of the elements, where the concat dimension is missing.
    pub(crate) digest: Option<Variants<u128>>,
    /// Digests of what the elements mean, by tile, where files of a grid should share them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tiles: Option<BTreeMap<u32, Variants<u128>>>,
    /// How far the values of a tile lie apart, where that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tile_spreads: Option<BTreeMap<u32, Spread>>,
    /// Digests of each element along the concat dimension, by file, where files may have others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<BTreeMap<FilePlace, Vec<u64>>>,
    /// How far the values of files lie apart, where that is asked.
    pub(crate) spread: Option<Spread>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// The extent of all times of each calendar, with the first file; `None` if some are not known.
    spans: Option<BTreeMap<Calendar, (FilePlace, TimeSpan)>>,
    /// Chunks in the first file; `None` where they lie in one piece.
    pub(crate) chunk_shape: (FilePlace, Option<Vec<u64>>),
    /// The least dense of all files.
    pub(crate) encoded_ratio: f64,
    /// How chunks are encoded, where they can be taken as they are.
    pub(crate) encoding: Variants<Option<String>>,
    /// Codecs of the first file.
    pub(crate) codecs: (FilePlace, Vec<String>),
    /// What was wrong with its attributes, in the first file where something was.
    pub(crate) mistake: Option<(FilePlace, String)>,
}

impl VariableSchema {
    /// How all files encode their chunks, where they do so in one way.
    pub(crate) fn common_encoding(&self) -> Option<String> {
        self.encoding.first().clone().filter(|_| self.encoding.conflict().is_none())
    }

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
        let mut dimension_set = variable.dimensions.clone();
        dimension_set.sort_unstable();
        Self {
            files: FileSet::of(place),
            file_count: 1,
            order: (place, order),
            dimensions: Variants::of(variable.dimensions.clone(), place),
            dimension_set: Variants::of(dimension_set, place),
            decoded: packing.decoded_dtype().ok().map(|dtype| [dtype].into()),
            range: packing.range(),
            dtype: Variants::of(variable.dtype, place),
            fill: Variants::of(variable.fill.clone(), place),
            packing: Variants::of(packing, place),
            time: Variants::of(written_time(dataset, variable), place),
            digest: found.digest.map(|digest| Variants::of(digest, place)),
            tiles: found.tile.map(|(tile, digest)| [(tile, Variants::of(digest, place))].into()),
            tile_spreads: found
                .tile
                .zip(found.tile_values)
                .map(|((tile, _), values)| [(tile, Spread::of(values))].into()),
            rows: found.rows.map(|rows| [(place, rows)].into()),
            spread: found.values.map(Spread::of),
            attributes: attributes_of(variable.attributes.iter(), place),
            spans: found.span.map(|span| [(span.calendar(), (place, span))].into()),
            chunk_shape: (place, variable.storage.chunk_shape.clone()),
            encoded_ratio: found.encoded_ratio,
            encoding: Variants::of(found.encoding, place),
            codecs: (place, variable.storage.codecs.clone()),
            mistake,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.files.merge(other.files);
        self.file_count += other.file_count;
        self.order = self.order.min(other.order);
        self.dimensions.merge(other.dimensions);
        self.dimension_set.merge(other.dimension_set);
        self.decoded = match (self.decoded.take(), other.decoded) {
            (Some(known), Some(more)) => Some(known.union(&more).copied().collect()),
            _ => None,
        };
        self.range = self.range.zip(other.range).and_then(|(known, more)| known.merge(more));
        self.dtype.merge(other.dtype);
        self.fill.merge(other.fill);
        self.packing.merge(other.packing);
        self.time.merge(other.time);
        // None of a file in which it has the concat dimension: the dimensions contradict anyway.
        merge_known(&mut self.digest, other.digest, Variants::merge);
        merge_known(&mut self.tiles, other.tiles, |known, more| {
            merge_maps(known, more, Variants::merge);
        });
        merge_known(&mut self.tile_spreads, other.tile_spreads, |known, more| {
            merge_maps(known, more, |known, more| known.merge(&more));
        });
        merge_known(&mut self.rows, other.rows, |known, more| known.extend(more));
        merge_known(&mut self.spread, other.spread, |known, more| known.merge(&more));
        merge_maps(&mut self.attributes, other.attributes, Variants::merge);
        merge_known(&mut self.spans, other.spans, |known, more| {
            merge_maps(known, more, |known, more| {
                let joined = known.1.merge(&more.1).expect("both are of one calendar");
                *known = (known.0.min(more.0), joined);
            });
        });
        if other.chunk_shape.0 < self.chunk_shape.0 {
            self.chunk_shape = other.chunk_shape;
        }
        self.encoded_ratio = self.encoded_ratio.max(other.encoded_ratio);
        self.encoding.merge(other.encoding);
        if other.codecs.0 < self.codecs.0 {
            self.codecs = other.codecs;
        }
        self.mistake = match (self.mistake.take(), other.mistake) {
            (Some(known), Some(more)) => Some(known.min(more)),
            (known, more) => known.or(more),
        };
    }

    /// The extent of all times, if all are known and of one calendar.
    pub(crate) fn span(&self) -> Option<&TimeSpan> {
        match self.spans.as_ref()?.values().collect::<Vec<_>>().as_slice() {
            [(_, span)] => Some(span),
            _ => None,
        }
    }

    /// The first two calendars, each with its first file, where there are several.
    pub(crate) fn calendars_differ(&self) -> Option<[(FilePlace, Calendar); 2]> {
        let spans = self.spans.iter().flatten();
        let mut calendars: Vec<_> = spans.map(|(calendar, (file, _))| (*file, *calendar)).collect();
        calendars.sort_unstable();
        match calendars.as_slice() {
            [first, other, ..] => Some([*first, *other]),
            _ => None,
        }
    }

    /// Whether some files lack it.
    pub(crate) fn has_holes(&self, schema: &Schema) -> bool {
        (self.file_count as usize) < schema.files.len()
    }

    /// The least type that holds the values of all files, unpacked; `None` if there is none.
    pub(crate) fn decoded_dtype(&self) -> Option<DType> {
        DType::promote_all(self.decoded.iter().flatten().copied())
    }

    /// The variable that holds its bounds, as the first file has it.
    pub(crate) fn bounds(&self) -> Option<&str> {
        let named = BOUNDS.iter().find_map(|name| self.attributes.get(*name));
        named.and_then(|attribute| attribute.first().1.as_text()).map(str::trim)
    }
}

/// Attributes that name the variable of the bounds.
pub(crate) const BOUNDS: [&str; 2] = ["bounds", "climatology"];

/// Merges what is known of all files; what is not known of one of them is not known.
fn merge_known<T>(known: &mut Option<T>, more: Option<T>, merge: impl FnOnce(&mut T, T)) {
    *known = known.take().zip(more).map(|(mut known, more)| {
        merge(&mut known, more);
        known
    });
}

/// A packing that says nothing but the stored type.
fn plain_packing(dtype: DType) -> Packing {
    let none = Attributes::default();
    Packing::parse(&none, dtype).expect("no attributes, no mistake in them")
}

/// Units and calendar of times, its own or those of the coordinate that it bounds.
fn written_time(dataset: &Dataset, variable: &Variable) -> Option<(String, String)> {
    let parent = dataset.variables.iter().find(|other| {
        let names = BOUNDS.map(|name| other.attributes.text(name).map(str::trim));
        cf::declares_time(&other.attributes) && names.contains(&Some(&variable.name))
    });
    let own_or_of_parent = |name: &str| {
        let inherited = || parent.and_then(|parent| parent.attributes.text(name));
        match variable.attributes.get(name) {
            Some(own) => own.as_text(),
            None => inherited(),
        }
    };
    let units = own_or_of_parent("units").filter(|units| units.contains("since"))?;
    Some((units.to_owned(), own_or_of_parent("calendar").unwrap_or_default().to_owned()))
}
