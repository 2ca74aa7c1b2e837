//! How a variable packs its values: scale, offset, fills and the rest, as one group.
//!
//! Read [`crate::coordinates`] next.

mod decode;
mod encode;
mod extent;
mod repacking;

pub use encode::Unpackable;
pub use repacking::{CommonPacking, PackedRange};

use array::error::{Error, ErrorCode, ErrorKind, Result};
use array::{AttributeValue, Attributes, DType, Scalar};
use serde::{Deserialize, Serialize};

/// What the stored elements of a variable mean: stored type, `scale_factor`, `add_offset`,
/// `_FillValue`, `missing_value`, `valid_min`, `valid_max`, `valid_range` and `_Unsigned`.
///
/// Two packings are equal if all of it is the same, bit for bit; all NaNs are the same, and so are
/// a fill and its exact like in another type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    stored: DType,
    /// The stored type, but for its sign if `_Unsigned` says so.
    read_as: DType,
    scale_factor: Option<Scalar>,
    add_offset: Option<Scalar>,
    fill_value: Vec<Scalar>,
    missing_value: Vec<Scalar>,
    valid_min: Vec<Scalar>,
    valid_max: Vec<Scalar>,
}

impl Packing {
    /// The packing of a variable with these attributes and elements of this stored type.
    ///
    /// A `missing_value` that is a text matches no number, as in xarray.
    ///
    /// # Errors
    /// A `scale_factor` or `add_offset` that is not a single number, a `_FillValue` of numbers
    /// that is not a number.
    pub fn parse(attributes: &Attributes, stored: DType) -> Result<Self> {
        let list = |name| scalars(attributes, name, stored);
        let set = |name| {
            let mut scalars = list(name);
            scalars.sort();
            scalars.dedup();
            scalars
        };
        let fill_value = set("_FillValue");
        if is_numeric(stored) && fill_value.iter().any(|fill| fill.as_float().is_none()) {
            return Err(not_a_number("_FillValue", attributes));
        }
        let mut valid_min = list("valid_range");
        let mut valid_max = valid_min.split_off(valid_min.len().min(1));
        for (bound, name) in [(&mut valid_min, "valid_min"), (&mut valid_max, "valid_max")] {
            if attributes.get(name).is_some() {
                *bound = list(name);
            }
        }
        Ok(Self {
            stored,
            read_as: read_as(stored, attributes.text("_Unsigned")),
            scale_factor: factor(attributes, "scale_factor")?,
            add_offset: factor(attributes, "add_offset")?,
            fill_value,
            missing_value: set("missing_value"),
            valid_min,
            valid_max,
        })
    }

    /// Says in words how two packings differ, or nothing if they are equal.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (self.described(), other.described());
        let differing = ours.iter().zip(&theirs).filter(|(our, their)| our != their);
        let words: Vec<String> = differing
            .map(|((name, our), (_, their))| {
                format!("{name} is {our} in one and {their} in another")
            })
            .collect();
        (self != other).then(|| words.join("; "))
    }

    /// The type of decoded elements: the stored type if nothing is packed, else a float type that
    /// xarray's `mask_and_scale` chooses.
    ///
    /// # Errors
    /// Scaling by an integer alone, which gives integers, of a variable with missing values, which
    /// integers cannot say; scaling of texts and the like.
    pub fn decoded_dtype(&self) -> Result<DType> {
        let is_masked = !self.masked().is_empty();
        match (self.is_scaled(), is_masked) {
            (true, _) if !is_numeric(self.stored) => {
                Err(undecodable(format!("elements of {} cannot be scaled", self.stored)))
            }
            (false, false) => Ok(self.read_as),
            (false, true) if self.read_as.is_float() => Ok(self.read_as),
            (false, true) => {
                Ok(if self.item_bytes() <= 2 { DType::Float32 } else { DType::Float64 })
            }
            // A fill of NaN masks nothing, yet it stops xarray from choosing another float type.
            (true, false) if self.has_fill() => Ok(self.read_as),
            (true, _) => match self.scaled_dtype() {
                integer if is_masked && !integer.is_float() => Err(undecodable(format!(
                    "scaling by an integer of {integer} leaves no place for missing values"
                ))),
                dtype => Ok(dtype),
            },
        }
    }

    /// Whether there is a `scale_factor` or an `add_offset`.
    pub fn is_scaled(&self) -> bool {
        self.scale_factor.is_some() || self.add_offset.is_some()
    }

    fn item_bytes(&self) -> usize {
        self.read_as.item_bytes().unwrap_or(usize::MAX)
    }

    /// The type that holds scaled values. Source: `_choose_float_dtype` of xarray, and CF
    /// conventions, section 8.1.
    fn scaled_dtype(&self) -> DType {
        let [scale, offset] =
            [&self.scale_factor, &self.add_offset].map(|it| it.as_ref().map(Scalar::dtype));
        match (scale, offset) {
            (Some(scale), Some(offset)) if scale == offset && is_single_or_double(scale) => {
                let is_wide = self.read_as.is_integer() && self.item_bytes() == 4;
                if is_wide { DType::Float64 } else { scale }
            }
            (Some(scale), None) => scale,
            _ => DType::Float64,
        }
    }

    /// Whether there is a `_FillValue` or a `missing_value`, be it NaN; a NaN of integers is none.
    fn has_fill(&self) -> bool {
        let mut fills = self.fill_value.iter().chain(&self.missing_value);
        fills.any(|fill| !(self.stored.is_integer() && is_nan(fill)))
    }

    /// What is missing, as elements of the type that is read, NaN apart; only numbers can be.
    ///
    /// As xarray has it, `_Unsigned` changes `_FillValue` and leaves `missing_value`.
    fn masked(&self) -> Vec<Scalar> {
        if !is_numeric(self.stored) {
            return Vec::new();
        }
        let present = |fill: &&Scalar| !is_nan(fill);
        let fills: Vec<&Scalar> = self.fill_value.iter().filter(present).collect();
        let missing = self.missing_value.iter().filter(present).filter(|it| !fills.contains(it));
        let fills = fills.iter().map(|fill| match fill.as_int() {
            Some(int) if self.read_as != self.stored => wrapped(int, self.read_as),
            _ => (*fill).clone(),
        });
        fills.chain(missing.cloned()).collect()
    }

    /// Every part by its name, in words.
    fn described(&self) -> [(&'static str, String); 8] {
        let sign = if self.read_as == self.stored { "absent" } else { "set" };
        [
            ("the stored type", self.stored.to_string()),
            ("_Unsigned", sign.to_owned()),
            ("scale_factor", in_words(self.scale_factor.as_slice())),
            ("add_offset", in_words(self.add_offset.as_slice())),
            ("_FillValue", in_words(&self.fill_value)),
            ("missing_value", in_words(&self.missing_value)),
            ("valid_min", in_words(&self.valid_min)),
            ("valid_max", in_words(&self.valid_max)),
        ]
    }
}

fn is_numeric(dtype: DType) -> bool {
    dtype.is_integer() || dtype.is_float()
}

fn is_single_or_double(dtype: DType) -> bool {
    matches!(dtype, DType::Float32 | DType::Float64)
}

fn is_nan(scalar: &Scalar) -> bool {
    scalar.as_float().is_some_and(f64::is_nan)
}

/// The type as which elements are read: integers of the sign that `_Unsigned` gives them.
fn read_as(stored: DType, unsigned: Option<&str>) -> DType {
    match (stored, unsigned) {
        (DType::Int8, Some("true")) => DType::UInt8,
        (DType::Int16, Some("true")) => DType::UInt16,
        (DType::Int32, Some("true")) => DType::UInt32,
        (DType::Int64, Some("true")) => DType::UInt64,
        (DType::UInt8, Some("false")) => DType::Int8,
        (DType::UInt16, Some("false")) => DType::Int16,
        (DType::UInt32, Some("false")) => DType::Int32,
        (DType::UInt64, Some("false")) => DType::Int64,
        _ => stored,
    }
}

/// The element of `dtype` with the low bits of `value`.
fn wrapped(value: i128, dtype: DType) -> Scalar {
    let length = dtype.item_bytes().unwrap_or(0);
    let bytes = &value.to_le_bytes()[..length];
    Scalar::new(dtype, bytes).expect("the bytes are as many as the type has")
}

/// The values of an attribute in a form in which equal values are equal: in the stored type where
/// that holds them exactly, and with one NaN.
fn scalars(attributes: &Attributes, name: &str, stored: DType) -> Vec<Scalar> {
    match attributes.get(name) {
        None => Vec::new(),
        Some(AttributeValue::Numbers(numbers)) => {
            let exact = |number: &Scalar| number.cast(stored).unwrap_or_else(|| number.clone());
            numbers.iter().map(exact).map(canonical).collect()
        }
        Some(AttributeValue::Texts(texts)) => texts.iter().map(Scalar::text).collect(),
        Some(AttributeValue::Text(text) | AttributeValue::Json(text)) => vec![Scalar::text(text)],
    }
}

/// The single number under `name`, if there is such an attribute.
fn factor(attributes: &Attributes, name: &str) -> Result<Option<Scalar>> {
    match (attributes.get(name), attributes.number(name)) {
        (None, _) => Ok(None),
        (Some(_), Some(number)) if is_numeric(number.dtype()) => {
            Ok(Some(canonical(number.clone())))
        }
        (Some(_), _) => Err(not_a_number(name, attributes)),
    }
}

fn canonical(number: Scalar) -> Scalar {
    let nan = is_nan(&number).then(|| Scalar::from_float(number.dtype(), f64::NAN)).flatten();
    nan.unwrap_or(number)
}

fn in_words(scalars: &[Scalar]) -> String {
    let words: Vec<String> =
        scalars.iter().map(|scalar| format!("{scalar} ({})", scalar.dtype())).collect();
    if words.is_empty() { "absent".to_owned() } else { words.join(", ") }
}

fn not_a_number(name: &str, attributes: &Attributes) -> Error {
    let value = match attributes.get(name) {
        Some(AttributeValue::Text(text) | AttributeValue::Json(text)) => format!("`{text}`"),
        Some(AttributeValue::Texts(texts)) => format!("{texts:?}"),
        Some(AttributeValue::Numbers(numbers)) => format!("{} numbers", numbers.len()),
        None => "absent".to_owned(),
    };
    undecodable(format!("the attribute `{name}` should be a number and is {value}"))
}

fn undecodable(message: String) -> Error {
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests;
