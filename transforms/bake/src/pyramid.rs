//! Multiscale pyramids: a store, and coarser copies of it, one group a level.
//!
//! Level 0 is what was baked. The others are read from it through the seam, so that they are copied
//! within the byte budget as everything is. The attribute `multiscales` of the group that holds the
//! levels says how they were made.
//!
//! Sources: ndpyramid, `multiscales_template`, <https://github.com/carbonplan/ndpyramid>, which
//! pangeo-forge-ndpyramid writes; OME-NGFF, "multiscales" metadata,
//! <https://ngff.openmicroscopy.org/0.4/#multiscale-md>.

use std::sync::Arc;

use array::{ArraySource, AttributeValue, DType, Dataset, DatasetSource, Storage, Variable};
use chunks::{CoarseSource, CoarsenMethod, CopyPlan, Machine, PlannedCopy};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};
use serde::{Deserialize, Serialize};
use zarr::ZarrSink;

use crate::check::PACKING_ATTRIBUTES;
use crate::options::BakeOptions;
use crate::prepare::{Step, prepared};
use crate::schema::BOUNDS;
use crate::template::layout_of;

/// More levels than this have nothing left to coarsen.
const LEVELS_MAX: u32 = 32;

/// What a pyramid is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pyramid {
    /// Levels, the full one included.
    pub levels: u32,
    /// The dimensions that get coarser.
    pub dims: Vec<String>,
    /// What an element is made of those of its window.
    #[serde(default)]
    pub method: CoarsenMethod,
    /// How many elements along each of these dimensions become one from level to level.
    #[serde(default = "two")]
    pub factor: u64,
}

const fn two() -> u64 {
    2
}

impl Pyramid {
    /// A pyramid of so many levels over these dimensions: means of two by two elements.
    pub fn new<S: Into<String>>(levels: u32, dims: impl IntoIterator<Item = S>) -> Self {
        let dims = dims.into_iter().map(Into::into).collect();
        Self { levels, dims, method: CoarsenMethod::default(), factor: two() }
    }

    /// Refuses a pyramid that is none of this dataset, and levels that could not be written.
    ///
    /// # Errors
    /// No levels, no dimensions or unknown ones, a factor that coarsens nothing, codecs that a
    /// coarser variable cannot have.
    pub fn check(&self, template: &Dataset, options: &BakeOptions) -> Result<()> {
        let why = match self {
            Self { levels, .. } if *levels == 0 || *levels > LEVELS_MAX => {
                format!("a pyramid has 1 to {LEVELS_MAX} levels, and not {levels}")
            }
            Self { dims, .. } if dims.is_empty() => "no dimension is named".to_owned(),
            Self { factor, .. } if *factor < 2 => {
                format!("a factor of {factor} makes nothing coarser")
            }
            _ => String::new(),
        };
        if !why.is_empty() {
            let message = format!("the pyramid is not possible: {why}");
            return Err(Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
                .mend("give `levels`, `dims` and a `factor` of at least 2"));
        }
        self.dims.iter().try_for_each(|name| template.expect_dimension(name).map(drop))?;
        let template: Arc<dyn DatasetSource> = Arc::new(TemplateSource(template.clone()));
        let coarser = self.unpacked(template)?;
        let coarser = self.coarser(coarser.dataset(), self.factor);
        layout_of(&coarser, options, &|_| None).and_then(|layout| {
            let nowhere = Location::parse("memory://pyramid-check")?;
            ZarrSink::create(&nowhere, &coarser, &layout, &StoreOptions::default()).map(drop)
        })
    }

    /// The attribute `multiscales` of the group that holds the levels, finest first.
    pub fn multiscales(&self) -> AttributeValue {
        let factors: Vec<u64> = (0..self.levels).map(|level| self.factor_of(level)).collect();
        let paths = (0..self.levels).map(|level| format!("{{\"path\": \"{level}\"}}"));
        let dims: Vec<String> = self.dims.iter().map(|name| format!("{name:?}")).collect();
        AttributeValue::Json(format!(
            "[{{\"datasets\": [{}], \"type\": \"reduce\", \"metadata\": {{\"method\": \
             \"levain_coarsen\", \"version\": \"{}\", \"args\": [], \"kwargs\": {{\"factors\": \
             {factors:?}, \"dims\": [{}], \"method\": \"{}\"}}}}}}]",
            paths.collect::<Vec<_>>().join(", "),
            env!("CARGO_PKG_VERSION"),
            dims.join(", "),
            self.method.word(),
        ))
    }

    /// How many elements of level 0 are one of this level, along each dimension.
    fn factor_of(&self, level: u32) -> u64 {
        self.factor.saturating_pow(level)
    }

    /// The level from which another one is made: means of means are no means where windows differ
    /// in how much of them is there, so that they are made of level 0.
    pub fn source_level(&self, level: u32) -> u32 {
        match self.method {
            CoarsenMethod::Mean => 0,
            _ => level.saturating_sub(1),
        }
    }

    fn is_coarsened(&self, variable: &Variable) -> bool {
        variable.dimensions.iter().any(|name| self.dims.contains(name))
    }

    /// How a variable is coarsened: coordinates by the mean, and what has no mean by the first.
    fn method_of(&self, variable: &Variable) -> CoarsenMethod {
        let wanted = match self.method {
            CoarsenMethod::Max | CoarsenMethod::Min if variable.is_dimension_coordinate() => {
                CoarsenMethod::Mean
            }
            method => method,
        };
        if wanted.takes(variable.dtype) { wanted } else { CoarsenMethod::Nearest }
    }

    /// A level as it is reduced: values instead of packed ones, without bounds of what changes.
    fn unpacked(&self, source: Arc<dyn DatasetSource>) -> Result<Arc<dyn DatasetSource>> {
        let dataset = source.dataset();
        let coarsened: Vec<&Variable> =
            dataset.variables.iter().filter(|it| self.is_coarsened(it)).collect();
        let (mut steps, mut bounds) = (Vec::new(), Vec::new());
        for variable in coarsened.iter().filter(|it| it.is_dimension_coordinate()) {
            for name in BOUNDS.iter().filter_map(|name| variable.attributes.text(name)) {
                bounds.push(name.trim().to_owned());
            }
            steps.push(Step::Attributes {
                var: Some(variable.name.clone()),
                set: Default::default(),
                drop: BOUNDS.iter().map(|name| (*name).to_owned()).collect(),
            });
        }
        bounds.retain(|name| dataset.variable(name).is_some());
        if self.method != CoarsenMethod::Nearest {
            let coarsened = coarsened.into_iter().filter(|it| !bounds.contains(&it.name));
            for variable in coarsened {
                steps.extend(self.unpacking(variable));
            }
        }
        if !bounds.is_empty() {
            steps.push(Step::Drop { vars: bounds });
        }
        prepared(source, &steps)
    }

    fn unpacking(&self, variable: &Variable) -> Option<Step> {
        let vars = vec![variable.name.clone()];
        let dtype = variable.dtype;
        let is_number = dtype.is_float() || dtype.is_integer();
        let is_packed =
            PACKING_ATTRIBUTES.iter().any(|name| variable.attributes.get(name).is_some());
        let is_mean = self.method_of(&Variable { dtype: DType::Float64, ..variable.clone() })
            == CoarsenMethod::Mean;
        // A mean of integers is none.
        let needs_floats = is_mean && !CoarsenMethod::Mean.takes(dtype);
        if !(is_number && (is_packed || needs_floats)) {
            return None;
        }
        Some(match is_packed {
            true => Step::Scale { vars, factor: 1.0, offset: 0.0 },
            false => Step::Cast { vars, dtype: DType::Float64 },
        })
    }

    /// The dataset of a level that is coarser than another by this factor.
    fn coarser(&self, dataset: &Dataset, factor: u64) -> Dataset {
        let mut coarser = dataset.clone();
        for dimension in coarser.dimensions.iter_mut().filter(|it| self.dims.contains(&it.name)) {
            dimension.length = dimension.length.div_ceil(factor);
        }
        for variable in &mut coarser.variables {
            let factors = self.factors(variable, factor);
            let shape = variable.shape.iter().zip(factors);
            variable.shape = shape.map(|(length, factor)| length.div_ceil(factor)).collect();
            variable.storage = Storage::default();
            variable.fill = None;
        }
        (coarser.groups, coarser.warnings) = (Vec::new(), Vec::new());
        coarser
    }

    fn factors(&self, variable: &Variable, factor: u64) -> Vec<u64> {
        let factor_of = |name: &String| if self.dims.contains(name) { factor } else { 1 };
        variable.dimensions.iter().map(factor_of).collect()
    }
}

/// A level that is about to be written.
#[derive(Debug)]
pub struct PyramidLevel {
    /// Where it goes.
    pub sink: Arc<ZarrSink>,
    /// How its arrays are copied, each from windows of a finer level.
    pub copies: Vec<PlannedCopy>,
}

impl PyramidLevel {
    /// Plans a level that is made of `finer`, which [`Pyramid::source_level`] names.
    ///
    /// # Errors
    /// A finer level that cannot be read, or too little memory for one window of chunks.
    pub fn plan(
        pyramid: &Pyramid,
        level: u32,
        finer: Arc<dyn DatasetSource>,
        target: (&Location, &StoreOptions),
        options: &BakeOptions,
        machine: Machine,
    ) -> Result<Self> {
        let factor = pyramid.factor.saturating_pow(level - pyramid.source_level(level));
        let finer = pyramid.unpacked(finer)?;
        let template = pyramid.coarser(finer.dataset(), factor);
        let layout = layout_of(&template, options, &|_| None)?;
        let (location, store) = target;
        let sink = Arc::new(ZarrSink::create(location, &template, &layout, store)?);
        let copy = |variable: &Variable| {
            let array = finer.array(&variable.name)?;
            let source: Arc<dyn ArraySource> = if pyramid.is_coarsened(variable) {
                let factors = pyramid.factors(variable, factor);
                Arc::new(CoarseSource::new(array, &factors, pyramid.method_of(variable))?)
            } else {
                array
            };
            let sink = sink.array(&variable.name)?;
            let plan = CopyPlan::choose(source.facts(), sink.facts(), machine)?;
            Ok(PlannedCopy { name: variable.name.clone(), source, sink, plan })
        };
        let named = |variable: &Variable| {
            copy(variable).map_err(|error: Error| error.at("variable", &variable.name))
        };
        let copies = template.variables.iter().map(named).collect::<Result<_>>()?;
        Ok(Self { sink, copies })
    }
}

/// A dataset of which nothing can be read yet.
#[derive(Debug)]
struct TemplateSource(Dataset);

impl DatasetSource for TemplateSource {
    fn dataset(&self) -> &Dataset {
        &self.0
    }

    fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
        Err(Error::internal(format!("`{variable}` is not written yet")))
    }
}
