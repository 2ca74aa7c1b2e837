//! A Zarr store as a dataset that can be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use array::{ArraySource, Dataset, DatasetSource, Dimension, GroupPath, Storage, Variable};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};

use crate::attributes::attributes_of;
use crate::header::Header;
use crate::read::{ZarrArray, ZarrReader};
use crate::store::{ArrayNode, Hierarchy, is_store, read_hierarchy};

/// A Zarr store of version 2 or 3, opened for reading.
///
/// The arrays directly in the root group are variables. Their dimensions are named by
/// `dimension_names` (version 3) or `_ARRAY_DIMENSIONS`; an array without names takes `dim_0`,
/// `dim_1`..., the same name for the same length. An array that cannot be read is left out with a
/// warning, and asking for it tells why. Attributes come back as they were written; `_FillValue`
/// is there if xarray would mask by it: in version 2 that is the fill value of the array.
#[derive(Debug)]
pub struct ZarrSource {
    pub(crate) objects: Objects,
    group: GroupPath,
    dataset: Dataset,
    arrays: BTreeMap<String, Result<Arc<ZarrArray>>>,
}

impl ZarrSource {
    /// Opens the store at `location`, by its consolidated copy or else by listing.
    ///
    /// Cost: one request with a consolidated copy, else two for each array.
    ///
    /// # Errors
    /// No store here, root metadata that are broken, or a store that fails.
    pub fn open(location: &Location, options: &StoreOptions) -> Result<Self> {
        Self::of(Objects::open(location, options)?, &GroupPath::default())
    }

    /// Opens the store as it was at a moment, in milliseconds since 1970: to read an object that was
    /// written later is an error.
    ///
    /// # Errors
    /// As [`ZarrSource::open`], and metadata that were written later.
    pub fn open_as_of(location: &Location, options: &StoreOptions, moment_ms: i64) -> Result<Self> {
        let objects = Objects::open(location, options)?.as_of(moment_ms);
        Self::of(objects, &GroupPath::default())
    }

    /// The array of a variable of which units are replaced while it is read, as an append does with
    /// those that are not full: what is read of a shard is read at one moment.
    ///
    /// Cost: an index of a shard is read each time.
    ///
    /// # Errors
    /// As for [`DatasetSource::array`].
    pub fn changing_array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
        Ok(Arc::new(ZarrReader(Arc::new(self.zarr_array(variable)?.changing()))))
    }

    fn of(objects: Objects, group: &GroupPath) -> Result<Self> {
        let hierarchy = read_hierarchy(&objects, group)?;
        Ok(Self::of_hierarchy(objects, group, hierarchy))
    }

    /// A store as a hierarchy says it is, be its documents written or not.
    pub(crate) fn of_hierarchy(objects: Objects, group: &GroupPath, hierarchy: Hierarchy) -> Self {
        let mut builder = Builder::default();
        builder.reserve_names(&hierarchy.arrays);
        for node in hierarchy.arrays {
            builder.add(&objects, node);
        }
        let Builder { mut dataset, arrays, .. } = builder;
        dataset.attributes = attributes_of(&hierarchy.attributes);
        dataset.groups = hierarchy.groups;
        Self { objects, group: group.clone(), dataset, arrays }
    }

    /// This group and all groups below it, with their paths from here, each after the one that
    /// holds it.
    ///
    /// Cost: what opening each of them costs.
    ///
    /// # Errors
    /// As [`ZarrSource::open`].
    pub fn tree(self) -> Result<Vec<(GroupPath, Self)>> {
        let mut open = vec![(GroupPath::default(), self)];
        let mut tree = Vec::new();
        while let Some((path, group)) = open.pop() {
            // What is opened last comes first.
            for name in group.dataset.groups.iter().rev() {
                let below = Self::of(group.objects.clone(), &group.group.child(name)?)?;
                open.push((path.child(name)?, below));
            }
            tree.push((path, group));
        }
        Ok(tree)
    }

    /// Whether a Zarr store lies at `location`: a finished one, or at least its root metadata.
    ///
    /// # Errors
    /// A store that fails.
    pub fn exists(location: &Location, options: &StoreOptions) -> Result<bool> {
        is_store(&Objects::open(location, options)?)
    }

    /// Where the store lies.
    pub fn location(&self) -> &Location {
        self.objects.root()
    }

    /// All arrays, by name; an error for one that cannot be read.
    pub(crate) fn all_arrays(&self) -> impl Iterator<Item = Result<&ZarrArray>> {
        self.arrays.values().map(|array| array.as_deref().map_err(Clone::clone))
    }

    pub(crate) fn zarr_array(&self, variable: &str) -> Result<&Arc<ZarrArray>> {
        match self.arrays.get(variable) {
            Some(Ok(array)) => Ok(array),
            Some(Err(error)) => Err(error.clone()),
            None => {
                self.dataset.expect_variable(variable)?;
                Err(Error::internal(format!("the variable `{variable}` has no array")))
            }
        }
    }
}

impl DatasetSource for ZarrSource {
    fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
        Ok(Arc::new(ZarrReader(Arc::clone(self.zarr_array(variable)?))))
    }

    fn left_out(&self) -> Vec<(String, Error)> {
        let failed = self.arrays.iter().filter_map(|(name, array)| {
            let why = array.as_ref().err()?;
            Some((name.clone(), why.clone()))
        });
        failed.collect()
    }

    fn group(&self, path: &GroupPath) -> Result<Arc<dyn DatasetSource>> {
        let names = self.group.names().iter().chain(path.names());
        let path = names.cloned().collect::<Vec<_>>().join("/").parse()?;
        Ok(Arc::new(Self::of(self.objects.clone(), &path)?))
    }
}

/// Puts arrays together to a dataset.
#[derive(Default)]
struct Builder {
    dataset: Dataset,
    arrays: BTreeMap<String, Result<Arc<ZarrArray>>>,
    /// Names that some array gives, so that none is made up twice.
    given_names: Vec<String>,
    /// Names that were made up, by length and by how often the array has had that length before.
    made_names: BTreeMap<(u64, usize), String>,
}

impl Builder {
    fn reserve_names(&mut self, nodes: &[ArrayNode]) {
        let headers = nodes.iter().filter_map(|node| node.header.as_ref().ok());
        let names = headers.filter_map(|header| header.dimension_names.as_ref());
        self.given_names = names.flatten().flatten().cloned().collect();
    }

    fn add(&mut self, objects: &Objects, node: ArrayNode) {
        let ArrayNode { name, path, header } = node;
        let location = objects.root().join(&path);
        let opened = header.and_then(|header| {
            let dimensions = self.dimensions_of(&name, &header)?;
            self.agree(&dimensions, &header.shape)?;
            let variable = variable_of(&name, dimensions, &header);
            let array = Arc::new(ZarrArray::new(objects, &name, path, header));
            Ok((variable, array))
        });
        match opened {
            Ok((variable, array)) => {
                self.declare(&variable);
                self.dataset.variables.push(variable);
                self.arrays.insert(name, Ok(array));
            }
            Err(error) => {
                let warning = format!("the variable `{name}` is left out: {}", error.message());
                self.dataset.warnings.push(warning);
                let error = error.at("object", location).at("variable", &name);
                self.arrays.insert(name, Err(error));
            }
        }
    }

    fn dimensions_of(&mut self, name: &str, header: &Header) -> Result<Vec<String>> {
        let unnamed = vec![None; header.shape.len()];
        let given = header.dimension_names.as_ref().unwrap_or(&unnamed);
        let mut names: Vec<String> = Vec::new();
        let mut seen: Vec<u64> = Vec::new();
        for (given, &length) in given.iter().zip(&header.shape) {
            let name = given.clone().unwrap_or_else(|| {
                let before = seen.iter().filter(|&&known| known == length).count();
                seen.push(length);
                self.made_name(length, before)
            });
            names.push(name);
        }
        if !seen.is_empty() {
            let warning = format!("the variable `{name}` does not name all dimensions: {names:?}");
            self.dataset.warnings.push(warning);
        }
        Ok(names)
    }

    fn made_name(&mut self, length: u64, before: usize) -> String {
        let Self { given_names, made_names, .. } = self;
        let taken = |name: &String| given_names.contains(name);
        if let Some(name) = made_names.get(&(length, before)) {
            return name.clone();
        }
        let free = |name: &String| !taken(name) && !made_names.values().any(|made| made == name);
        let name = (0..).map(|n| format!("dim_{n}")).find(free).expect("numbers do not run out");
        made_names.insert((length, before), name.clone());
        name
    }

    /// Refuses an array whose dimensions have other lengths than in the arrays before.
    fn agree(&self, dimensions: &[String], shape: &[u64]) -> Result<()> {
        for (place, (name, &length)) in dimensions.iter().zip(shape).enumerate() {
            let before = dimensions[..place].iter().zip(shape).find(|(other, _)| *other == name);
            let known = before.map(|(_, &length)| length);
            let known = known.or_else(|| self.dataset.dimension(name).map(|known| known.length));
            if known.is_some_and(|known| known != length) {
                let known = known.unwrap_or_default();
                let message = format!("`{name}` has {length} elements here and {known} elsewhere");
                return Err(Error::new(ErrorCode::CORRUPT, ErrorKind::Conflict, message)
                    .mend("the store contradicts itself; xarray does not open it either"));
            }
        }
        Ok(())
    }

    fn declare(&mut self, variable: &Variable) {
        for (name, &length) in variable.dimensions.iter().zip(&variable.shape) {
            if self.dataset.dimension(name).is_none() {
                let dimension = Dimension { name: name.clone(), length, is_unlimited: false };
                self.dataset.dimensions.push(dimension);
            }
        }
    }
}

fn variable_of(name: &str, dimensions: Vec<String>, header: &Header) -> Variable {
    Variable {
        name: name.to_owned(),
        dimensions,
        shape: header.shape.clone(),
        dtype: header.chain.element.dtype,
        fill: header.fill.clone(),
        attributes: header.attributes.clone(),
        storage: Storage {
            chunk_shape: Some(header.chain.shape.clone()),
            shard_shape: header.sharding.as_ref().map(|sharding| sharding.shape.clone()),
            codecs: header.codec_names.clone(),
        },
    }
}
