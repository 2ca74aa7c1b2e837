//! How each variable of the files becomes what the store has, or why it cannot.

use array::{AttributeValue, Attributes, DType, DatasetSource as _, Region, Scalar, Variable};
use cf::Packing;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use zarr::ZarrSource;

use super::times::StoredTimes;
use crate::check::{Checked, PACKING_ATTRIBUTES, Role, first_encoding};
use crate::options::{BakeOptions, DimOrderPolicy, PackingPolicy, PresencePolicy, StaticPolicy};
use crate::recode::{Recode, missing_value};
use crate::scan::digest_of;
use crate::schema::{FilePlace, FileSet, Schema, Spread, VariableSchema};
use crate::source::Assembly;

/// Files and the store that they are to be appended to.
pub(crate) struct Comparison<'a> {
    pub(crate) store: &'a ZarrSource,
    pub(crate) dimension: &'a str,
    pub(crate) schema: &'a Schema,
    pub(crate) checked: &'a Checked,
    pub(crate) options: &'a BakeOptions,
    /// Whether elements of the store are written anew, and none are added.
    pub(crate) is_in_place: bool,
}

/// Where the new elements of a variable come from.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) name: String,
    pub(crate) assembly: Assembly,
    pub(crate) files: FileSet,
    pub(crate) hole: Option<Scalar>,
    /// Chunks of the files, where their dimensions are in the order of the store.
    pub(crate) source_chunk_shape: Option<Vec<u64>>,
    /// Codecs of the files, in the order of encoding.
    pub(crate) codecs: Vec<String>,
    /// How all files encode their chunks, where these can go into the store as they are.
    pub(crate) encoding: Option<String>,
    pub(crate) encoded_ratio: f64,
}

impl Comparison<'_> {
    /// The variables that grow, in the order of the store; all others are the same there.
    ///
    /// # Errors
    /// Whatever would need another store: variables that it does not have, another grid, other
    /// units, types or packings, static variables that differ.
    pub(crate) fn variables(&self) -> Result<Vec<Appended>> {
        for (name, _) in &self.checked.roles {
            if self.store.dataset().variable(name).is_none() {
                self.check_left_out(name)?;
            }
        }
        let mut appended = Vec::new();
        for stored in &self.store.dataset().variables {
            let compared = self.compare(stored);
            appended.extend(compared.map_err(|error| error.at("variable", &stored.name))?);
        }
        Ok(appended)
    }

    fn role(&self, name: &str) -> Option<(Role, &VariableSchema)> {
        let (_, role) = self.checked.roles.iter().find(|(it, _)| it == name)?;
        Some((*role, self.schema.variables.get(name)?))
    }

    fn check_left_out(&self, name: &str) -> Result<()> {
        if self.options.presence == PresencePolicy::Intersection {
            return Ok(());
        }
        let file = self.schema.variables.get(name).map_or(0, |variable| variable.order.0);
        let message = format!("the store has no variable `{name}`, which the files have");
        let error = self.refuse(ErrorCode::VARIABLE_MISSING, message, file);
        Err(error.mend(
            "nothing adds variables to a store: choose those of the store with --vars, or say \
             --missing-vars intersection to leave out what it does not have",
        ))
    }

    fn compare(&self, stored: &Variable) -> Result<Option<Appended>> {
        let grows = stored.dimensions.iter().any(|it| it == self.dimension);
        let Some((role, variable)) = self.role(&stored.name) else {
            return self.lacking(stored, grows);
        };
        let axis = stored.axis_of(self.dimension);
        let mut own = variable.dimensions.first().clone();
        let is_repeated = match (axis, role) {
            (Some(_), Role::Along(_)) | (None, Role::Static(_)) => false,
            (Some(0), _) if self.options.statics == StaticPolicy::Concat => true,
            _ => return Err(self.other_dimensions(stored, variable)),
        };
        let same_order = if is_repeated { &stored.dimensions[1..] } else { &stored.dimensions };
        let is_turned = own != same_order;
        own.sort_unstable();
        let mut wanted = same_order.to_vec();
        wanted.sort_unstable();
        let is_refused = is_turned && self.options.dim_order == DimOrderPolicy::Error;
        if own != wanted || is_refused {
            return Err(self.other_dimensions(stored, variable));
        }
        self.check_lengths(stored, variable)?;
        let recode = self.recode(stored, variable)?;
        let Some(axis) = axis else {
            return match recode {
                None => self.check_static(stored, variable).map(|()| None),
                Some(_) => Err(self.other_packing(stored, variable)),
            };
        };
        let has_holes = variable.has_holes(self.schema);
        let hole = match &recode {
            _ if !has_holes => None,
            Some(recode) => recode.fill(),
            None => missing_value(variable),
        };
        if has_holes && hole.is_none() {
            return Err(self.no_hole(stored));
        }
        let chunk_shape = variable.chunk_shape.1.clone();
        let is_as_stored = recode.is_none() && hole.is_none() && !is_turned;
        let encoding = variable.common_encoding().filter(|_| is_as_stored);
        Ok(Some(Appended {
            name: stored.name.clone(),
            assembly: match is_repeated {
                true => Assembly::Repeated { recode },
                false => Assembly::Along { axis, recode },
            },
            files: variable.files.clone(),
            hole,
            source_chunk_shape: chunk_shape.filter(|_| !is_turned),
            codecs: variable.codecs.1.clone(),
            encoding,
            encoded_ratio: variable.encoded_ratio,
        }))
    }

    /// What becomes of a variable of the store that no file has.
    fn lacking(&self, stored: &Variable, grows: bool) -> Result<Option<Appended>> {
        if self.is_in_place && self.options.presence == PresencePolicy::Intersection {
            return Ok(None);
        }
        if self.options.presence != PresencePolicy::Union {
            let first = self.schema.files.keys().next().copied().unwrap_or(0);
            let message = "the store has the variable, and some file has not";
            let error = self.refuse(ErrorCode::VARIABLE_MISSING, message, first);
            return Err(error.mend(match self.is_in_place {
                false => "say --missing-vars union to fill it there",
                true => "say --missing-vars intersection to leave it as it is, union to fill it",
            }));
        }
        let Some(axis) = stored.axis_of(self.dimension).filter(|_| grows) else { return Ok(None) };
        let named = ["_FillValue", "missing_value"];
        let named = named.iter().find_map(|it| stored.attributes.number(it)?.cast(stored.dtype));
        let hole = named.or_else(|| Scalar::from_float(stored.dtype, f64::NAN));
        Ok(Some(Appended {
            name: stored.name.clone(),
            assembly: Assembly::Along { axis, recode: None },
            files: FileSet::default(),
            hole: Some(hole.ok_or_else(|| self.no_hole(stored))?),
            source_chunk_shape: None,
            codecs: Vec::new(),
            encoding: None,
            encoded_ratio: 1.0,
        }))
    }

    fn no_hole(&self, stored: &Variable) -> Error {
        let message =
            format!("elements of {} cannot say that they are missing in a file", stored.dtype);
        let error = Error::new(ErrorCode::VARIABLE_MISSING, ErrorKind::Conflict, message);
        error.at("store", self.store.location()).mend("give files that have the variable")
    }

    fn other_dimensions(&self, stored: &Variable, variable: &VariableSchema) -> Error {
        let message = format!(
            "a variable has the dimensions ({}) in the store and ({}) in a file",
            stored.dimensions.join(", "),
            variable.dimensions.first().join(", ")
        );
        self.refuse(ErrorCode::GRIDS_DIFFER, message, variable.order.0)
            .mend("give files of the layout of the store")
    }

    fn check_lengths(&self, stored: &Variable, variable: &VariableSchema) -> Result<()> {
        for (name, &length) in stored.dimensions.iter().zip(&stored.shape) {
            let own = self.schema.dimensions.get(name).map(|it| *it.first());
            let Some(own) = own.filter(|own| name != self.dimension && *own != length) else {
                continue;
            };
            let message = format!(
                "dimension `{name}` has {length} elements in the store and {own} in a file"
            );
            return Err(self
                .refuse(ErrorCode::GRIDS_DIFFER, message, variable.order.0)
                .mend("give files of the grid of the store"));
        }
        Ok(())
    }

    /// A variable that does not grow must be the same in the store.
    fn check_static(&self, stored: &Variable, variable: &VariableSchema) -> Result<()> {
        let is_coordinate = stored.is_dimension_coordinate();
        if self.options.statics == StaticPolicy::First && !is_coordinate {
            return Ok(());
        }
        let digest = digest_of(self.store.array(&stored.name)?.as_ref())?;
        if variable.digest.as_ref().map(|it| *it.first()) == Some(digest) {
            return Ok(());
        }
        if let StaticPolicy::Close(tolerance) = self.options.statics
            && self.is_close(stored, variable, tolerance)?
        {
            return Ok(());
        }
        let (name, file) = (&stored.name, variable.order.0);
        if is_coordinate {
            let message =
                format!("the store and the files are on different grids: `{name}` differs");
            return Err(self.refuse(ErrorCode::GRIDS_DIFFER, message, file).mend(
                "give files of the grid of the store; where it is one grid, rounded, \
                     --static close:1e-9 takes that of the store",
            ));
        }
        let message = format!(
            "`{name}` does not have the dimension `{}` and differs between store and files",
            self.dimension
        );
        Err(self
            .refuse(ErrorCode::STATIC_DIFFERS, message, file)
            .mend("--static first leaves it as it is in the store; or leave it out with --vars"))
    }

    /// Whether the numbers of the store and of all files differ by no more than is allowed.
    fn is_close(
        &self,
        stored: &Variable,
        variable: &VariableSchema,
        tolerance: f64,
    ) -> Result<bool> {
        let Some(mut spread) = variable.spread.clone() else { return Ok(false) };
        let packing = Packing::parse(&stored.attributes, stored.dtype)?;
        let chunk = self.store.array(&stored.name)?.read(&Region::whole(&stored.shape))?;
        let doubles = packing.decode(&chunk)?.widened(DType::Float64)?;
        spread.merge(&Spread::of(doubles.values()?));
        Ok(spread.within(tolerance).is_some())
    }

    /// What must be written instead of the elements of the files; nothing where they are written
    /// as those of the store are.
    fn recode(&self, stored: &Variable, variable: &VariableSchema) -> Result<Option<Recode>> {
        let encoding = cf::time_encoding(self.store.dataset(), stored)
            .map_err(|error| error.at("store", self.store.location()))?;
        let is_alike = self.is_alike(stored, variable);
        let Some(encoding) = encoding else {
            if variable.time.first().is_some() {
                return Err(self.other_times(stored, variable, "no time", "times"));
            }
            self.check_units(stored, variable)?;
            return if is_alike { Ok(None) } else { self.unpacked(stored, variable).map(Some) };
        };
        let words = |units: &str, calendar: &str| format!("`{units}` {calendar}").trim().to_owned();
        let ours = words(&encoding.units(), encoding.calendar().name());
        let Some((units, calendar)) = variable.time.first() else {
            return Err(self.other_times(stored, variable, &ours, "no time"));
        };
        let is_one = variable.time.conflict().is_none() && is_alike;
        if is_one && first_encoding(variable).is_ok_and(|first| first == encoding) {
            return Ok(None);
        }
        let span = variable.span().filter(|it| it.calendar() == encoding.calendar());
        match StoredTimes::of(encoding, stored).filter(|_| span.is_some()) {
            Some(times) => Ok(Some(Recode::Stored(times))),
            None => Err(self.other_times(stored, variable, &ours, &words(units, calendar))),
        }
    }

    /// Whether all files write the elements as the store does: type and packing.
    fn is_alike(&self, stored: &Variable, variable: &VariableSchema) -> bool {
        let is_one = variable.packing.conflict().is_none() && variable.dtype.conflict().is_none();
        let of_first = variable.attributes.iter();
        let of_first = of_first.filter(|(name, _)| PACKING_ATTRIBUTES.contains(&name.as_str()));
        let of_files: Attributes =
            of_first.map(|(name, it)| (name.clone(), it.first().1.clone())).collect();
        let packings = [(&of_files, *variable.dtype.first()), (&stored.attributes, stored.dtype)]
            .map(|(attributes, dtype)| Packing::parse(&as_stored(attributes, dtype), dtype));
        is_one && matches!(&packings, [Ok(of_files), Ok(stored)] if of_files == stored)
    }

    /// Values are unpacked where the store holds unpacked ones.
    fn unpacked(&self, stored: &Variable, variable: &VariableSchema) -> Result<Recode> {
        let mut attributes = as_stored(&stored.attributes, stored.dtype);
        let fill = attributes.remove("_FillValue");
        let fill = fill.as_ref().and_then(AttributeValue::as_number).map(Scalar::as_float);
        let masks_nan = fill.is_none_or(|fill| fill.is_some_and(f64::is_nan));
        let is_unpacked =
            stored.dtype.is_float() && masks_nan && attributes.iter().next().is_none();
        let decoded = variable.decoded_dtype();
        let fits = decoded.and_then(|it| it.promote(stored.dtype)) == Some(stored.dtype);
        if is_unpacked && fits && self.options.packing == PackingPolicy::Decode {
            return Ok(Recode::Values(stored.dtype));
        }
        Err(self.other_packing(stored, variable))
    }

    fn other_packing(&self, stored: &Variable, variable: &VariableSchema) -> Error {
        let own = Packing::parse(&as_stored(&stored.attributes, stored.dtype), stored.dtype);
        let files = variable.packing.first();
        let words = own.ok().and_then(|own| own.difference(files));
        let words = words.unwrap_or_else(|| "the files are packed in several ways".to_owned());
        let message = format!("the store and the files pack values differently: {words}");
        self.refuse(ErrorCode::PACKINGS_DIFFER, message, variable.order.0)
            .mend("the packing of the store stays as it is; bake the store anew")
    }

    fn other_times(
        &self,
        stored: &Variable,
        variable: &VariableSchema,
        ours: &str,
        theirs: &str,
    ) -> Error {
        let message = format!(
            "`{}` counts {ours} in the store and {theirs} in a file, which cannot be joined",
            stored.name
        );
        self.refuse(ErrorCode::TIMES_DIFFER, message, variable.time.first_file())
            .mend("units and calendar of the store stay as they are; bake the store anew")
    }

    /// Other units are other values, even where the numbers agree.
    fn check_units(&self, stored: &Variable, variable: &VariableSchema) -> Result<()> {
        let Some(ours) = stored.attributes.text("units") else { return Ok(()) };
        let Some(units) = variable.attributes.get("units") else { return Ok(()) };
        let theirs = units.first().1.as_text().unwrap_or("no text");
        if ours.trim() == theirs.trim() {
            return Ok(());
        }
        let message = format!("the units differ: `{ours}` in the store and `{theirs}` in a file");
        Err(self
            .refuse(ErrorCode::TIMES_DIFFER, message, units.first_file())
            .mend("bring the files to the units of the store first"))
    }

    fn refuse(&self, code: ErrorCode, message: impl AsRef<str>, file: FilePlace) -> Error {
        Error::new(code, ErrorKind::Conflict, message)
            .at("store", self.store.location())
            .at("file", self.schema.location(file))
    }
}

/// The packing attributes in the form in which a store gives them back: factors as doubles, and
/// without a fill value that no element can be equal to.
fn as_stored(attributes: &Attributes, dtype: array::DType) -> Attributes {
    let own = attributes.iter().filter(|(name, _)| PACKING_ATTRIBUTES.contains(name));
    let mut stored = Attributes::default();
    for (name, value) in own {
        let Some(number) = value.as_number() else {
            stored.set(name, value.clone());
            continue;
        };
        let is_factor = matches!(name, "scale_factor" | "add_offset");
        let exact = if is_factor { None } else { number.cast(dtype) };
        if name == "_FillValue" && dtype.is_integer() && exact.is_none() {
            continue;
        }
        let wide = || number.as_float().map_or_else(|| number.clone(), Scalar::of::<f64>);
        stored.set(name, exact.unwrap_or_else(wide));
    }
    stored
}
