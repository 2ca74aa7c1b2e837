//! How the elements of files become elements of the store, where they are not written alike.

use std::collections::BTreeMap;

use array::{Attributes, Chunk, DType, DatasetSource, Scalar, Variable};
use cf::{CommonPacking, MISSING_TIME, Packing, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::append::StoredTimes;
use crate::check::{Checked, PACKING_ATTRIBUTES, Role, needs_new_times};
use crate::options::PackingPolicy;
use crate::schema::{Schema, VariableSchema};

/// What is written instead of the elements as they stand in the files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recode {
    /// Times, counted in one way.
    Times(TimeEncoding),
    /// The values that the elements mean, unpacked; NaN where a float is missing.
    Values(DType),
    /// The same values, packed in one way.
    Packed(CommonPacking),
    /// Times, counted as the store that is appended to counts them.
    Stored(StoredTimes),
}

impl Recode {
    /// The type of the elements that are written.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Times(_) => DType::Int64,
            Self::Values(dtype) => *dtype,
            Self::Packed(packing) => packing.dtype(),
            Self::Stored(times) => times.dtype(),
        }
    }

    /// What is written where a file has no value.
    pub(crate) fn fill(&self) -> Option<Scalar> {
        match self {
            Self::Times(_) => Some(Scalar::of(MISSING_TIME)),
            Self::Values(dtype) => Scalar::from_float(*dtype, f64::NAN),
            Self::Packed(packing) => Some(packing.fill_value()),
            Self::Stored(times) => times.missing().cloned(),
        }
    }

    /// Whether all elements of a file must be read together.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Times(_) | Self::Stored(_))
    }

    /// Says in the attributes of a variable how it is packed now, if it is.
    pub(crate) fn describe(&self, attributes: &mut Attributes) {
        for name in PACKING_ATTRIBUTES {
            attributes.remove(name);
        }
        if let Some(fill) = self.fill() {
            attributes.set("_FillValue", fill);
        }
        if let Self::Packed(packing) = self {
            attributes.set("scale_factor", Scalar::of(packing.scale_factor()));
            attributes.set("add_offset", Scalar::of(packing.add_offset()));
        }
    }

    /// How the elements of one file are read.
    pub(crate) fn reader(&self, file: &dyn DatasetSource, variable: &str) -> Result<Reader> {
        let dataset = file.dataset();
        let variable = dataset.expect_variable(variable)?;
        let packing = Packing::parse(&variable.attributes, variable.dtype)?;
        let source = || {
            let source = cf::time_encoding(dataset, variable)?;
            source.ok_or_else(|| Error::internal("a variable has lost its time units"))
        };
        Ok(match self {
            Self::Values(dtype) => Reader::Values { packing, dtype: *dtype },
            Self::Packed(target) => Reader::Packed { packing, target: *target },
            Self::Times(target) => {
                Reader::Times { source: source()?, packing, target: target.clone() }
            }
            Self::Stored(target) => {
                Reader::Stored { source: source()?, packing, target: target.clone() }
            }
        })
    }
}

/// Makes elements of the store of those of one file.
#[derive(Debug)]
pub(crate) enum Reader {
    Times { source: TimeEncoding, packing: Packing, target: TimeEncoding },
    Values { packing: Packing, dtype: DType },
    Packed { packing: Packing, target: CommonPacking },
    Stored { source: TimeEncoding, packing: Packing, target: StoredTimes },
}

impl Reader {
    /// Whether all elements of a file must be read together.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Times { .. } | Self::Stored { .. })
    }

    pub(crate) fn recode(&self, chunk: &Chunk) -> Result<Chunk> {
        match self {
            Self::Times { source, packing, target } => {
                let instants = source.decode(chunk, packing)?;
                Chunk::of(chunk.shape(), &target.encode(&instants)?)
            }
            Self::Values { packing, dtype } => packing.decode(chunk)?.widened(*dtype),
            Self::Packed { packing, target } => target.encode(&packing.decode(chunk)?),
            Self::Stored { source, packing, target } => {
                target.encode(&source.decode(chunk, packing)?, chunk.shape())
            }
        }
    }
}

/// The variables that must be unpacked, and into what; the notes say why.
///
/// # Errors
/// A variable that some files lack and that cannot say so.
pub(crate) fn choose_recodes(
    schema: &Schema,
    checked: &Checked,
    encodings: &BTreeMap<String, TimeEncoding>,
    policy: PackingPolicy,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<String, Recode>> {
    let mut recodes = BTreeMap::new();
    for (name, role) in &checked.roles {
        let Some(variable) = schema.variables.get(name) else { continue };
        let is_time = needs_new_times(variable) || encodings.contains_key(name);
        if matches!(role, Role::Static(_)) || is_time {
            continue;
        }
        let differs = variable.packing.conflict().is_some();
        let has_holes = checked.has_holes(schema, name, variable);
        if !(differs || has_holes && missing_value(variable).is_none()) {
            continue;
        }
        let is_coordinate = *variable.dimensions.first() == [name.as_str()];
        if differs && policy == PackingPolicy::Repack && !is_coordinate {
            let packing = common_packing(schema, name, variable)?;
            notes.push(format!(
                "{name} is packed differently and is packed anew into {} ({} * {} + {}); values \
                 change by up to {:e}",
                packing.dtype(),
                name,
                packing.scale_factor(),
                packing.add_offset(),
                packing.greatest_error()
            ));
            recodes.insert(name.clone(), Recode::Packed(packing));
            continue;
        }
        let decoded = variable.decoded_dtype();
        let dtype = if has_holes { decoded.and_then(with_missing) } else { decoded };
        let dtype = dtype.ok_or_else(|| {
            let stored = variable.dtype.first();
            let message = format!("elements of {stored} cannot say that they are missing");
            let error = Error::new(ErrorCode::VARIABLE_MISSING, ErrorKind::Conflict, message);
            error.at("variable", name).mend("leave it out with --missing-vars intersection")
        })?;
        let why = match (differs, variable.has_holes(schema)) {
            (true, _) => "is packed differently",
            (false, true) => "is missing in some files",
            (false, false) => "is filled where steps are missing",
        };
        notes.push(format!("{name} {why} and is unpacked into {dtype}"));
        recodes.insert(name.clone(), Recode::Values(dtype));
    }
    Ok(recodes)
}

/// One packing that holds what the elements of all files may mean.
fn common_packing(schema: &Schema, name: &str, variable: &VariableSchema) -> Result<CommonPacking> {
    if let Some(range) = variable.range {
        return Ok(CommonPacking::of(range));
    }
    let message = "some files do not pack the values into integers of at most 32 bits, so that \
                   their range is not known before they are read";
    let mut error = Error::new(ErrorCode::PACKINGS_DIFFER, ErrorKind::Conflict, message);
    if let Some([(a, _), (b, _)]) = variable.packing.conflict() {
        error = error.at("file 1", schema.location(a)).at("file 2", schema.location(b));
    }
    Err(error.at("variable", name).mend("bake with --packing decode"))
}

/// What a variable says for an element that is missing, in its packing in all files.
pub(crate) fn missing_value(variable: &VariableSchema) -> Option<Scalar> {
    let dtype = *variable.dtype.first();
    let named = ["_FillValue", "missing_value"].into_iter().find_map(|name| {
        let attribute = variable.attributes.get(name)?;
        attribute.first().1.as_number()?.cast(dtype)
    });
    named.or_else(|| of_type(dtype))
}

/// What an element of a variable is that is missing, as its attributes and its type say it.
pub(crate) fn missing_of(variable: &Variable) -> Option<Scalar> {
    let dtype = variable.dtype;
    let mut names = ["_FillValue", "missing_value"].into_iter();
    let named = names.find_map(|name| variable.attributes.number(name)?.cast(dtype));
    named.or_else(|| of_type(dtype))
}

/// What an element of a type is that is missing, where no attribute says it.
fn of_type(dtype: DType) -> Option<Scalar> {
    match dtype {
        DType::Text | DType::Bytes(_) => Some(Scalar::zero(dtype)),
        _ if dtype.is_float() => Scalar::from_float(dtype, f64::NAN),
        _ => None,
    }
}

/// The least type that holds values of this one and can say that there is none.
fn with_missing(dtype: DType) -> Option<DType> {
    match dtype {
        DType::Text | DType::Bytes(_) => Some(dtype),
        DType::Bool => Some(DType::Float32),
        _ if dtype.is_float() => Some(dtype),
        _ if dtype.is_integer() => DType::Float32.promote(dtype),
        _ => None,
    }
}
