//! How the elements of files become elements of the store, where they are not written alike.

use std::collections::BTreeMap;

use array::{Attributes, Chunk, DType, DatasetSource, Scalar};
use cf::{MISSING_TIME, Packing, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::append::StoredTimes;
use crate::check::{Checked, PACKING_ATTRIBUTES, Role, needs_new_times};
use crate::schema::{Schema, VariableSchema};

/// What is written instead of the elements as they stand in the files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recode {
    /// Times, counted in one way.
    Times(TimeEncoding),
    /// The values that the elements mean, unpacked; NaN where a float is missing.
    Values(DType),
    /// Times, counted as the store that is appended to counts them.
    Stored(StoredTimes),
}

impl Recode {
    /// The type of the elements that are written.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Times(_) => DType::Int64,
            Self::Values(dtype) => *dtype,
            Self::Stored(times) => times.dtype(),
        }
    }

    /// What is written where a file has no value.
    pub(crate) fn fill(&self) -> Option<Scalar> {
        match self {
            Self::Times(_) => Some(Scalar::of(MISSING_TIME)),
            Self::Values(dtype) => Scalar::from_float(*dtype, f64::NAN),
            Self::Stored(times) => times.missing().cloned(),
        }
    }

    /// Whether all elements of a file must be read together.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Times(_) | Self::Stored(_))
    }

    /// Says in the attributes of an unpacked variable that it is unpacked.
    pub(crate) fn describe(&self, attributes: &mut Attributes) {
        for name in PACKING_ATTRIBUTES {
            attributes.remove(name);
        }
        if let Some(fill) = self.fill() {
            attributes.set("_FillValue", fill);
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
    notes: &mut Vec<String>,
) -> Result<BTreeMap<String, Recode>> {
    let mut recodes = BTreeMap::new();
    for (name, role) in &checked.roles {
        let Some(variable) = schema.variables.get(name) else { continue };
        if matches!(role, Role::Static(_)) || needs_new_times(variable) {
            continue;
        }
        let differs = variable.packing.conflict().is_some();
        let has_holes = checked.has_holes(schema, name, variable);
        if !(differs || has_holes && missing_value(variable).is_none()) {
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
        let why = if differs { "is packed differently" } else { "is missing in some files" };
        notes.push(format!("{name} {why} and is unpacked into {dtype}"));
        recodes.insert(name.clone(), Recode::Values(dtype));
    }
    Ok(recodes)
}

/// What a variable says for an element that is missing, in its packing in all files.
pub(crate) fn missing_value(variable: &VariableSchema) -> Option<Scalar> {
    let dtype = *variable.dtype.first();
    let named = ["_FillValue", "missing_value"].into_iter().find_map(|name| {
        let attribute = variable.attributes.get(name)?;
        attribute.first().1.as_number()?.cast(dtype)
    });
    named.or_else(|| match dtype {
        DType::Text | DType::Bytes(_) => Some(Scalar::zero(dtype)),
        _ if dtype.is_float() => Scalar::from_float(dtype, f64::NAN),
        _ => None,
    })
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
