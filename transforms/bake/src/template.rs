//! The template of the store: what it will hold, and how that will lie.

use std::collections::BTreeMap;

use array::{AttributeValue, Attributes, DType, Dataset, Dimension, Scalar, Storage, Variable};
use cf::{MISSING_TIME, TimeEncoding};
use chunks::{ByteSize, ChunkSpec};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use zarr::{VariableLayout, ZarrFormat, ZarrLayout};

use crate::attributes::of_store;
use crate::check::{Checked, PACKING_ATTRIBUTES, Role, first_encoding, needs_new_times};
use crate::options::{AttributePolicy, BakeOptions, StaticPolicy, ZarrVersion};
use crate::recode::{Recode, choose_recodes};
use crate::schema::{Attribute, BOUNDS, Schema, VariableSchema};

/// A coordinate is one chunk, unless it is larger than this.
const COORDINATE_CHUNK: ByteSize = ByteSize(64 << 20);

/// What the store will hold, which values are encoded anew, and which attributes are dropped.
pub(crate) struct Template {
    pub(crate) dataset: Dataset,
    pub(crate) recodes: BTreeMap<String, Recode>,
    pub(crate) dropped: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// The attribute of a store that names the steps that no file has.
const FILLED_STEPS: &str = "filled_steps";
/// Attributes that say how times are encoded; where that is chosen anew, they are written anew.
const TIME_ATTRIBUTES: [&str; 7] =
    ["units", "calendar", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned"];
/// Attributes in the units of the values, which say nothing true once these are counted anew.
const RANGE_ATTRIBUTES: [&str; 4] = ["valid_min", "valid_max", "valid_range", "actual_range"];

impl Template {
    pub(crate) fn new(
        schema: &Schema,
        checked: &Checked,
        concat: Option<&str>,
        options: &BakeOptions,
    ) -> Result<Self> {
        let encodings = choose_encodings(schema, checked)?;
        let concat_length = checked.list().length();
        let of_grid = |name: &str| checked.grid.as_ref().and_then(|grid| grid.length(name));
        let length = |name: &str| match concat {
            _ if of_grid(name).is_some() => of_grid(name).unwrap_or_default(),
            Some(concat) if concat == name => concat_length,
            _ => schema.dimensions.get(name).map_or(0, |dimension| *dimension.first()),
        };
        let (mut dropped, mut notes) = (Vec::new(), Vec::new());
        let mut recodes = choose_recodes(schema, checked, &encodings, options.packing, &mut notes)?;
        let mut variables = Vec::new();
        for (name, role) in &checked.roles {
            let Some(variable) = schema.variables.get(name) else { continue };
            let mut dimensions = variable.dimensions.first().clone();
            if *role == Role::Repeated {
                dimensions.insert(0, concat.unwrap_or_default().to_owned());
            }
            let repeated = checked.grid.as_ref().map(|grid| grid.repeated(name));
            dimensions.splice(0..0, repeated.into_iter().flatten());
            let encoding = encodings.get(name);
            let is_static = matches!(role, Role::Static(_));
            let taken = Taken::of(options, is_static);
            let lost = |attribute: &str| dropped.push(format!("{name}:{attribute}"));
            let mut common = common_attributes(variable, taken, encoding.is_some(), lost);
            let (mut dtype, mut fill) = (*variable.dtype.first(), variable.fill.first().clone());
            if let Some(recode) = recodes.get(name).filter(|_| encoding.is_none()) {
                recode.describe(&mut common);
                (dtype, fill) = (recode.dtype(), recode.fill());
            }
            let time = written_anew(schema, &encodings, name, &common);
            let has_holes = !is_static && checked.has_holes(schema, name, variable);
            let mut attributes = timed_attributes(common, variable, encoding, time, has_holes);
            if encoding.is_some() {
                (dtype, fill) = (DType::Int64, None);
            }
            notes.extend(drop_idle_fill(name, &mut attributes, dtype));
            if options.zarr_format == ZarrVersion::V3 {
                notes.extend(lost_mask(name, &attributes, dtype));
            }
            let variable = Variable {
                name: name.clone(),
                shape: dimensions.iter().map(|dimension| length(dimension)).collect(),
                dimensions,
                dtype,
                fill,
                attributes,
                storage: Storage::default(),
            };
            check_size(&variable)?;
            variables.push(variable);
        }
        let lost = |attribute: &str| dropped.push(attribute.to_owned());
        let mut attributes = of_store(schema, options.attributes, lost);
        if let Some(concat) = concat.filter(|_| !checked.filled.is_empty()) {
            attributes.set(FILLED_STEPS, filled_steps(schema, checked, concat));
        }
        let dimensions = dimensions_of(&variables);
        let (groups, warnings) = (Vec::new(), Vec::new());
        let dataset = Dataset { dimensions, variables, attributes, groups, warnings };
        recodes.extend(encodings.into_iter().map(|(name, it)| (name, Recode::Times(it))));
        Ok(Self { dataset, recodes, dropped, notes })
    }
}

/// The steps that no file has, in words.
fn filled_steps(schema: &Schema, checked: &Checked, concat: &str) -> AttributeValue {
    let calendar = schema.files.values().find_map(|file| file.axis.as_ref()?.calendar);
    AttributeValue::Texts(checked.filled.iter().map(|run| run.text(concat, calendar)).collect())
}

/// Callers multiply shapes and sizes: what they get must fit 63 bits.
fn check_size(variable: &Variable) -> Result<()> {
    let item_bytes = variable.dtype.estimated_bytes();
    // Zeros do not help: products are not always taken in their order.
    let bytes = variable.shape.iter().try_fold(item_bytes, |n, &it| n.checked_mul(it.max(1)));
    if bytes.is_some_and(|bytes| bytes <= i64::MAX as u64) {
        return Ok(());
    }
    let message = format!("an array of {:?} elements cannot be counted", variable.shape);
    let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
    Err(error.at("variable", &variable.name).mend("bake fewer files, or choose other variables"))
}

fn dimensions_of(variables: &[Variable]) -> Vec<Dimension> {
    let mut dimensions: Vec<Dimension> = Vec::new();
    for variable in variables {
        for (name, &length) in variable.dimensions.iter().zip(&variable.shape) {
            if !dimensions.iter().any(|known| known.name == *name) {
                dimensions.push(Dimension { name: name.clone(), length, is_unlimited: false });
            }
        }
    }
    dimensions
}

/// Which attributes of a variable are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Those that all files have and say alike.
    Agreed,
    /// Those of the first file that has the variable.
    OfFirstFile,
    /// Of each, what the first file that has it says.
    First,
}

impl Taken {
    /// The attributes that a variable takes.
    fn of(options: &BakeOptions, is_static: bool) -> Self {
        match options.attributes {
            _ if is_static && options.statics == StaticPolicy::First => Self::OfFirstFile,
            AttributePolicy::First => Self::First,
            _ => Self::Agreed,
        }
    }
}

/// The attributes of a variable that are kept, in the order of the first file.
///
/// A packing is one thing, whatever words files have for it: where it was not refused, that of the
/// first file says it.
fn common_attributes(
    variable: &VariableSchema,
    taken: Taken,
    is_encoded: bool,
    lost: impl FnMut(&str),
) -> Attributes {
    let is_of_first = |attribute: &Attribute| attribute.first_file() == variable.order.0;
    let is_kept = |name: &str, attribute: &Attribute| match taken {
        _ if is_encoded && RANGE_ATTRIBUTES.contains(&name) => false,
        _ if PACKING_ATTRIBUTES.contains(&name) => is_of_first(attribute),
        Taken::OfFirstFile => is_of_first(attribute),
        Taken::First => true,
        Taken::Agreed => is_agreed(attribute, variable.file_count),
    };
    let mut lost = lost;
    agreed(&variable.attributes, is_kept, |name| {
        let is_said_anew = is_encoded && TIME_ATTRIBUTES.contains(&name);
        let is_said_otherwise = !is_encoded && PACKING_ATTRIBUTES.contains(&name);
        if !(is_said_anew || is_said_otherwise || taken == Taken::OfFirstFile) {
            lost(name);
        }
    })
}

/// Whether all of so many files say the same.
fn is_agreed(attribute: &Attribute, file_count: u32) -> bool {
    attribute.conflict().is_none() && attribute.count() == file_count
}

/// The attributes that are kept, in the order of the first file.
fn agreed(
    attributes: &BTreeMap<String, Attribute>,
    is_kept: impl Fn(&str, &Attribute) -> bool,
    mut lost: impl FnMut(&str),
) -> Attributes {
    let mut kept: Vec<(u32, &String, &AttributeValue)> = Vec::new();
    for (name, attribute) in attributes {
        let (order, value) = attribute.first();
        if is_kept(name, attribute) {
            kept.push((*order, name, value));
        } else {
            lost(name);
        }
    }
    kept.sort_by_key(|(order, ..)| *order);
    kept.into_iter().map(|(_, name, value)| (name.clone(), value.clone())).collect()
}

/// Units and calendar that a variable must say anew, `common` being what files say alike: other
/// ones than they say, or ones that it can no longer take over from its coordinate.
fn written_anew(
    schema: &Schema,
    encodings: &BTreeMap<String, TimeEncoding>,
    name: &str,
    common: &Attributes,
) -> Option<(String, String)> {
    let stored = |name: &str| match encodings.get(name) {
        Some(encoding) => Some((encoding.units(), encoding.calendar().name().to_owned())),
        None => schema.variables.get(name)?.time.first().clone(),
    };
    let own = stored(name)?;
    let is_encoded = encodings.contains_key(name);
    let has_units = schema.variables.get(name)?.attributes.contains_key("units");
    if is_encoded && has_units || common.get("units").is_some() {
        return is_encoded.then_some(own);
    }
    let mut all = schema.variables.iter();
    let parent = all.find(|(_, it)| it.bounds() == Some(name) && it.time.first().is_some());
    (stored(parent?.0) != Some(own.clone())).then_some(own)
}

/// Says in the attributes how times were encoded anew.
fn timed_attributes(
    mut attributes: Attributes,
    variable: &VariableSchema,
    encoding: Option<&TimeEncoding>,
    time: Option<(String, String)>,
    has_holes: bool,
) -> Attributes {
    if encoding.is_some() {
        for name in TIME_ATTRIBUTES {
            attributes.remove(name);
        }
    }
    if let Some((units, calendar)) = time {
        attributes.set("units", units.as_str());
        if !calendar.is_empty() {
            attributes.set("calendar", calendar.as_str());
        }
    }
    let has_missing = has_holes || variable.span().is_some_and(cf::TimeSpan::has_missing);
    if encoding.is_some() && has_missing {
        attributes.set("_FillValue", Scalar::of(MISSING_TIME));
    }
    attributes
}

/// Drops a `_FillValue` that no element can be equal to, such as NaN where elements are integers:
/// it masks nothing, and a Zarr array cannot have it. The note says so.
fn drop_idle_fill(name: &str, attributes: &mut Attributes, dtype: DType) -> Option<String> {
    let fill = attributes.number("_FillValue")?;
    if !dtype.is_integer() || fill.cast(dtype).is_some() {
        return None;
    }
    let note = format!("{name}:_FillValue is {fill}, which no {dtype} can be; it is dropped");
    attributes.remove("_FillValue");
    Some(note)
}

/// What is said of a `_FillValue` of texts, which no array of version 3 can have: xarray would not
/// open it.
fn lost_mask(name: &str, attributes: &Attributes, dtype: DType) -> Option<String> {
    let text = attributes.text("_FillValue")?;
    let is_lost = matches!(dtype, DType::Bytes(_) | DType::Text);
    is_lost.then(|| {
        format!("{name}:_FillValue is `{text}`; no text of version 3 can be masked, it is dropped")
    })
}

/// One encoding for each variable whose times are encoded anew, the same for its bounds.
fn choose_encodings(schema: &Schema, checked: &Checked) -> Result<BTreeMap<String, TimeEncoding>> {
    let is_joined = |name: &str| {
        checked.roles.iter().any(|(it, role)| it == name && !matches!(role, Role::Static(_)))
    };
    // Those of one file stay as they are.
    let joined = |name: &str| schema.variables.get(name).filter(|_| is_joined(name));
    let mut encodings = BTreeMap::new();
    for (name, _) in &checked.roles {
        let Some(variable) = joined(name).filter(|_| !encodings.contains_key(name)) else {
            continue;
        };
        let Some(own) = variable.span() else { continue };
        let bounds = variable.bounds().and_then(|name| {
            let span = joined(name)?.span()?;
            (span.calendar() == own.calendar()).then_some((name, joined(name)?, span))
        });
        let is_filled = !checked.filled.is_empty() && variable.time.first().is_some();
        let is_new = needs_new_times(variable) || is_filled;
        if !is_new && !bounds.is_some_and(|(_, it, _)| needs_new_times(it)) {
            continue;
        }
        let span = match bounds {
            Some((_, _, theirs)) => own.merge(theirs)?,
            None => own.clone(),
        };
        let chosen = first_encoding(variable).and_then(|preferred| span.choose(&preferred));
        let chosen = chosen.map_err(|error| error.at("variable", name))?;
        if let Some((bounds, ..)) = bounds {
            encodings.insert(bounds.to_owned(), chosen.clone());
        }
        encodings.insert(name.clone(), chosen);
    }
    Ok(encodings)
}

/// How every variable of the template will lie; `source_of` gives the chunks of its sources.
pub(crate) fn layout_of(
    template: &Dataset,
    options: &BakeOptions,
    source_of: &dyn Fn(&str) -> Option<Vec<u64>>,
) -> Result<ZarrLayout> {
    let named = options.chunks.dimensions().chain(options.shards.dimensions());
    for dimension in named.chain(options.chunk_ratio.dimensions()) {
        template.expect_dimension(dimension)?;
    }
    let format = match options.zarr_format {
        ZarrVersion::V2 => ZarrFormat::V2,
        ZarrVersion::V3 => ZarrFormat::V3,
    };
    options.check_encodings(template)?;
    if format == ZarrFormat::V2 && !options.shards.is_empty() {
        let message = "Zarr version 2 has no shards";
        let error = Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message);
        return Err(error.mend("write version 3, or leave --shards out"));
    }
    let mut layout = ZarrLayout::new(format);
    for variable in &template.variables {
        let (chunks, shards) = options.lengths_of(&variable.name);
        let is_as_all = !options.encodings.contains_key(&variable.name);
        let (chunk_shape, shard_shape) = if is_as_all && is_coordinate(template, variable) {
            (ChunkSpec::default().chunk_shape(variable, COORDINATE_CHUNK), None)
        } else {
            let source = source_of(&variable.name);
            let source = source.as_deref().filter(|it| it.len() == variable.shape.len());
            let (size, ratio) = (options.chunk_size, &options.chunk_ratio);
            let chunk_shape = chunks.choose(variable, size, ratio, source).shape;
            let shard_shape = shards.shard_shape(variable, &chunk_shape)?;
            (chunk_shape, shard_shape)
        };
        let codecs = options.codecs_of(&variable.name)?;
        let own = VariableLayout { chunk_shape, shard_shape, codecs };
        layout = layout.with_variable(variable.name.clone(), own);
    }
    Ok(layout)
}

/// Whether a variable labels a dimension, or holds the bounds of one that does.
pub(crate) fn is_coordinate(template: &Dataset, variable: &Variable) -> bool {
    let is_bounds = |other: &Variable| {
        let names = BOUNDS.map(|name| other.attributes.text(name).map(str::trim));
        other.is_dimension_coordinate() && names.contains(&Some(&variable.name))
    };
    variable.is_dimension_coordinate() || template.variables.iter().any(is_bounds)
}
