//! Which elements of the files follow those that a store has.

use std::cmp::Ordering;

use array::DatasetSource as _;
use cf::Packing;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use zarr::ZarrSource;

use crate::gaps;
use crate::open::SourceVersion;
use crate::options::{BakeOptions, GapPolicy, OverlapPolicy};
use crate::order::{Element, Piece, axes_of_pieces, pieces_of};
use crate::scan::numbers_of;
use crate::schema::{AxisPoint, AxisSummary, FilePlace, FileSummary, Schema};

/// The store in lists of files.
const STORE_PLACE: FilePlace = FilePlace::MAX;
/// Numbers up to this one are told apart, whatever type they have.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The coordinate of a store along the dimension that grows.
pub(crate) struct StoreAxis {
    pub(crate) location: String,
    pub(crate) dimension: String,
    pub(crate) length: u64,
    /// All values; `None` where the dimension has no elements.
    pub(crate) summary: Option<AxisSummary>,
}

/// What is appended.
pub(crate) struct NewElements {
    pub(crate) pieces: Vec<Piece>,
    /// The values of the coordinate, in the order in which they are appended.
    pub(crate) points: Vec<AxisPoint>,
    /// Elements of files that the store has already.
    pub(crate) skipped_count: u64,
    pub(crate) notes: Vec<String>,
}

impl StoreAxis {
    /// Reads the coordinate of a store.
    ///
    /// # Errors
    /// A dimension that the store does not have, or one without values that go on in one
    /// direction, by which elements could be compared.
    pub(crate) fn read(store: &ZarrSource, dimension: &str) -> Result<Self> {
        let dataset = store.dataset();
        let location = store.location().to_string();
        let length = dataset
            .expect_dimension(dimension)
            .map_err(|error| error.at("store", &location))?
            .length;
        let mut axis = Self { location, dimension: dimension.to_owned(), length, summary: None };
        let variable = dataset.variable(dimension).filter(|it| it.is_dimension_coordinate());
        let Some(variable) = variable else { return Err(axis.without_values()) };
        if length == 0 {
            return Ok(axis);
        }
        let chunk = store.array(dimension)?.read(&array::Region::whole(&variable.shape))?;
        let packing = Packing::parse(&variable.attributes, variable.dtype)?;
        let summary = match cf::time_encoding(dataset, variable)? {
            Some(encoding) => AxisSummary::of_instants(&encoding.decode(&chunk, &packing)?, true),
            None => numbers_of(&chunk, &packing, true)?,
        };
        let Some(summary) = summary else { return Err(axis.without_values()) };
        if let Some(place) = summary.turns_at.or(summary.missing_at) {
            let message =
                format!("`{dimension}` of the store does not go on in one direction at {place}");
            let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
            return Err(error
                .at("store", &axis.location)
                .mend("elements of such a store cannot be compared; bake it anew"));
        }
        axis.summary = Some(summary);
        Ok(axis)
    }

    fn without_values(&self) -> Error {
        let message =
            format!("`{}` of the store has no values that could be compared", self.dimension);
        let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
        error
            .at("store", &self.location)
            .mend("name a dimension with a coordinate of numbers or times")
    }

    pub(super) fn refuse(&self, code: ErrorCode, message: String, file: &FileSummary) -> Error {
        Error::new(code, ErrorKind::Conflict, message)
            .at("store", &self.location)
            .at("file", &file.location)
    }

    /// Splits the elements of the files, in their order, into those that the store has and those
    /// that follow.
    ///
    /// # Errors
    /// Elements that would have to be inserted or reordered, another calendar, gaps where they are
    /// refused.
    pub(crate) fn compare(
        &self,
        schema: &Schema,
        pieces: &[Piece],
        options: &BakeOptions,
    ) -> Result<NewElements> {
        let mut elements = self.elements_of(schema, pieces)?;
        let own = self.summary.as_ref();
        let theirs = elements.first().zip(elements.last());
        let theirs = theirs.and_then(|(a, b)| b.point.partial_cmp(&a.point));
        let theirs = theirs.filter(|it| it.is_ne()).map(Ordering::is_gt);
        let is_ascending = own.and_then(AxisSummary::is_ascending).or(theirs).unwrap_or(true);
        // Who lets elements be sorted lets them be sorted as those of the store are.
        if options.overlap != OverlapPolicy::Error && theirs == Some(!is_ascending) {
            elements.reverse();
        }
        let order = |a: AxisPoint, b: AxisPoint| {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if is_ascending { order } else { order.reverse() }
        };
        let mut kept: Vec<Element> = Vec::new();
        let mut skipped_count = 0;
        for element in elements {
            let is_there = own.is_some_and(|own| {
                own.values.binary_search_by(|it| order(*it, element.point)).is_ok()
            });
            if is_there {
                skipped_count += 1;
                continue;
            }
            let file = &schema.files[&element.file];
            let text = element.point.text(file.axis.as_ref().and_then(|axis| axis.calendar));
            let last = kept.last().map(|it| it.point);
            if let Some(own) = own.filter(|own| order(own.last, element.point).is_ge()) {
                let message = format!(
                    "`{}` {text} is not in the store and lies before its end, {}",
                    self.dimension,
                    own.last.text(own.calendar)
                );
                return Err(self.refuse(ErrorCode::NOT_ASCENDING, message, file).mend(
                    "an append adds at the end and nowhere else; bake the store anew to insert",
                ));
            }
            if last.is_some_and(|last| order(last, element.point).is_ge()) {
                let message =
                    format!("`{}` {text} would be appended after a later one", self.dimension);
                return Err(self
                    .refuse(ErrorCode::NOT_ASCENDING, message, file)
                    .mend("name the files in the order of the store, or say --overlap sort"));
            }
            kept.push(element);
        }
        let pieces = pieces_of(&kept);
        let notes = self.note_gap(schema, &kept, &pieces, options.gaps)?;
        let points = kept.iter().map(|it| it.point).collect();
        Ok(NewElements { pieces, points, skipped_count, notes })
    }

    /// All elements of the files in their order, with values that can be compared with the store's.
    pub(super) fn elements_of(&self, schema: &Schema, pieces: &[Piece]) -> Result<Vec<Element>> {
        let mut elements = Vec::new();
        for piece in pieces.iter().filter(|piece| piece.length > 0) {
            let file = &schema.files[&piece.file];
            let name = &self.dimension;
            let whole = |axis: &&AxisSummary| {
                axis.missing_at.is_none() && axis.values.len() as u64 == file.concat_length
            };
            let Some(axis) = file.axis.as_ref().filter(whole) else {
                let message = format!("`{name}` of a file has no value for every element");
                return Err(self
                    .refuse(ErrorCode::NOT_ASCENDING, message, file)
                    .mend("elements are compared by their values; add the coordinate first"));
            };
            if let Some(own) = self.summary.as_ref().filter(|own| own.calendar != axis.calendar) {
                let words = [own, axis].map(|it| match it.calendar {
                    Some(calendar) => format!("times of the {calendar} calendar"),
                    None => "numbers".to_owned(),
                });
                let message = format!(
                    "`{name}` of the store counts {}, that of a file {}",
                    words[0], words[1]
                );
                return Err(self
                    .refuse(ErrorCode::TIMES_DIFFER, message, file)
                    .mend("bake each calendar into a store of its own"));
            }
            for place in piece.start..piece.start + piece.length {
                let point = axis.values[place as usize];
                if matches!(point, AxisPoint::Number(number) if number.abs() >= EXACT) {
                    let message = format!("numbers of `{name}` beyond 2^53 cannot be told apart");
                    return Err(self
                        .refuse(ErrorCode::NOT_REPRESENTABLE, message, file)
                        .mend("append along another coordinate"));
                }
                elements.push(Element { point, file: piece.file, place });
            }
        }
        Ok(elements)
    }

    /// Tells of a gap between the store and what follows, or refuses it.
    fn note_gap(
        &self,
        schema: &Schema,
        kept: &[Element],
        pieces: &[Piece],
        policy: GapPolicy,
    ) -> Result<Vec<String>> {
        let Some(own) = &self.summary else { return Ok(Vec::new()) };
        let axes = axes_of_pieces(kept, &pieces[..pieces.len().min(1)], own.calendar);
        let Some((place, first)) = axes.first() else { return Ok(Vec::new()) };
        let store = FileSummary {
            location: self.location.clone(),
            version: SourceVersion::default(),
            concat_length: self.length,
            axis: None,
            further: Vec::new(),
        };
        let files = [(*place, schema.files[place].clone()), (STORE_PLACE, store)];
        let both = Schema { files: files.into(), ..Schema::default() };
        let axes = [(STORE_PLACE, own), (*place, first)];
        let gap = gaps::note(&both, &self.dimension, &axes, &gaps::find(&axes));
        match (gap, policy) {
            (Some(gap), GapPolicy::Error) => {
                let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, gap);
                Err(error.at("variable", &self.dimension).mend(
                    "add the files that are missing, or append with --gaps report to leave them out",
                ))
            }
            (gap, _) => Ok(gap.into_iter().collect()),
        }
    }
}
