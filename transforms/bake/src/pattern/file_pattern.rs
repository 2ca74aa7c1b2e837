//! The pattern itself: an outer product of keys, and the URL of each file.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use dataflow::error::{Error, Result};
use objects::Location;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::pattern::checks::{check_fields, check_keys, check_list, unknown_dim};
use crate::pattern::dim::{CombineDim, CombineOp, Selection};
use crate::pattern::index::{Index, Place, Position};
use crate::pattern::keys::{Key, Keys, invalid};
use crate::pattern::secrets::QuerySecrets;
use crate::pattern::url_template::UrlTemplate;

/// Which files there are: one for each combination of the keys of its dimensions.
///
/// Files are in row-major order, the last dimension fastest. A pattern holds its keys and nothing
/// for each file; every question about one file is answered in O(dimensions).
///
/// ```
/// use bake::{CombineDim, DateRange, FilePattern, Keys};
/// let days = DateRange::new("2020-01-01", "2020-12-31", "1 day".parse()?, None)?;
/// let pattern = FilePattern::new(
///     "https://h/{var}/{time:%Y%m%d}.nc".parse()?,
///     [CombineDim::merge("var", Keys::texts(["t", "q"])?), CombineDim::concat("time", Keys::dates(days))],
/// )?;
/// assert_eq!(pattern.len(), 732);
/// assert_eq!(pattern.url_at(366)?, "https://h/q/20200101.nc");
/// # Ok::<(), dataflow::error::Error>(())
/// ```
///
/// Source: pangeo-forge-recipes, `patterns.FilePattern`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PatternForm", into = "PatternForm")]
pub struct FilePattern {
    form: PatternForm,
    /// The dimensions' names, shared by every index.
    names: Vec<Arc<str>>,
    counts: Vec<u64>,
    len: u64,
    secrets: QuerySecrets,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct PatternForm {
    files: Files,
    dims: Vec<CombineDim>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    settings: Map<String, Value>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Files {
    Template(UrlTemplate),
    /// As many as the one dimension has keys without its selections, or one without a dimension.
    List(Arc<[String]>),
}

impl FilePattern {
    /// The files of a template; without dimensions it is one file.
    ///
    /// # Errors
    /// A field that no dimension is called, a dimension of several keys that no field names, a name
    /// that two dimensions have, a key that cannot be written as its field says, keys that give the
    /// same URL, or more than 2^64 files.
    pub fn new(template: UrlTemplate, dims: impl IntoIterator<Item = CombineDim>) -> Result<Self> {
        let dims = dims.into_iter().collect();
        Self::checked(PatternForm { files: Files::Template(template), dims, settings: Map::new() })
    }

    /// Files that are listed, and follow each other along a dimension.
    ///
    /// Without a dimension there is one file. The keys are the numbers of the files.
    ///
    /// # Errors
    /// No file, one that is listed twice, or several without a dimension.
    pub fn from_files<S: Into<String>>(
        files: impl IntoIterator<Item = S>,
        concat: Option<&str>,
        nitems_per_file: Option<NonZeroU64>,
    ) -> Result<Self> {
        let files: Arc<[String]> = files.into_iter().map(Into::into).collect();
        let dims = match concat {
            Some(name) => {
                // An empty list is refused below, with its own words.
                let last = files.len().saturating_sub(1) as i64;
                let dim = CombineDim::concat(name, Keys::integers(0, last, 1)?);
                vec![match nitems_per_file {
                    Some(nitems) => dim.with_nitems_per_file(nitems)?,
                    None => dim,
                }]
            }
            None => Vec::new(),
        };
        Self::checked(PatternForm { files: Files::List(files), dims, settings: Map::new() })
    }

    /// Says what else decides what is read, such as the type of the files. It is printed, stored
    /// and part of the hashes: nothing secret belongs here.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: Value) -> Self {
        self.form.settings.insert(name.into(), value);
        self
    }

    /// Opens files with these secrets in their queries. They are not printed, stored or hashed.
    ///
    /// # Errors
    /// Files whose URLs have no query.
    pub fn with_secrets(mut self, secrets: QuerySecrets) -> Result<Self> {
        secrets.add_to(&self.url_at(0)?)?;
        self.secrets = secrets;
        Ok(self)
    }

    /// The same with a part of the keys of every dimension along which files follow each other;
    /// keys of merge dimensions all stay.
    #[must_use]
    pub fn prune(&self, selection: Selection) -> Self {
        self.selected(selection, |dim| dim.op() != CombineOp::Merge)
    }

    /// The same with a part of the keys of one dimension.
    ///
    /// # Errors
    /// A dimension that it does not have.
    pub fn prune_dim(&self, name: &str, selection: Selection) -> Result<Self> {
        self.dim(name)?;
        Ok(self.selected(selection, |dim| dim.name() == name))
    }

    fn selected(&self, selection: Selection, which: impl Fn(&CombineDim) -> bool) -> Self {
        let mut form = self.form.clone();
        let dims = form.dims.into_iter();
        form.dims =
            dims.map(|it| if which(&it) { it.with_selection(selection) } else { it }).collect();
        let pruned = Self::counted(form).expect("a part of the keys gives no more files");
        Self { secrets: self.secrets.clone(), ..pruned }
    }

    /// The dimensions, the slowest first.
    pub fn dims(&self) -> &[CombineDim] {
        &self.form.dims
    }

    /// The dimension of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn dim(&self, name: &str) -> Result<&CombineDim> {
        let dim = self.form.dims.iter().find(|dim| dim.name() == name);
        dim.ok_or_else(|| unknown_dim(name, self.form.dims.iter().map(CombineDim::name)))
    }

    /// Number of keys of each dimension.
    pub fn shape(&self) -> &[u64] {
        &self.counts
    }

    /// How many files there are; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "no pattern is empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Names of dimensions along which files follow each other, new ones among them.
    pub fn concat_dims(&self) -> impl Iterator<Item = &str> {
        let dims = self.form.dims.iter().filter(|dim| dim.op() != CombineOp::Merge);
        dims.map(CombineDim::name)
    }

    /// Names of dimensions along which files hold different variables.
    pub fn merge_dims(&self) -> impl Iterator<Item = &str> {
        let dims = self.form.dims.iter().filter(|dim| dim.op() == CombineOp::Merge);
        dims.map(CombineDim::name)
    }

    /// Elements along a dimension, where the number in each file was said.
    ///
    /// # Errors
    /// A dimension that it does not have, or more than 2^64 elements.
    pub fn concat_sequence_len(&self, name: &str) -> Result<Option<u64>> {
        let dim = self.dim(name)?;
        let Some(nitems) = dim.nitems_per_file() else { return Ok(None) };
        let elements = nitems.get().checked_mul(dim.count());
        elements.map(Some).ok_or_else(|| invalid(format!("`{name}` has more than 2^64 elements")))
    }

    /// What else decides what is read.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.form.settings
    }

    /// Where the file of this number stands; O(dimensions).
    pub fn index(&self, number: u64) -> Option<Index> {
        let files = self.places(number)?;
        let dims = self.names.iter().zip(&self.form.dims).zip(files);
        let position = |((name, dim), file): ((&Arc<str>, &CombineDim), u64)| Position {
            dim: Arc::clone(name),
            op: dim.op(),
            place: Place::File(file),
        };
        Some(Index(dims.map(position).collect()))
    }

    /// The index with these numbers of keys, in any order.
    ///
    /// # Errors
    /// A dimension that is not known, missing or named twice, or a number beyond the last key.
    pub fn index_of(&self, keys: &[(&str, u64)]) -> Result<Index> {
        for (position, (name, _)) in keys.iter().enumerate() {
            self.dim(name)?;
            if keys[..position].iter().any(|(other, _)| other == name) {
                let error = invalid(format!("the index names `{name}` twice"));
                return Err(error.mend("name every dimension once"));
            }
        }
        let position = |(name, dim): (&Arc<str>, &CombineDim)| {
            let given = keys.iter().find(|(given, _)| *given == dim.name());
            let (_, file) = given.ok_or_else(|| {
                invalid(format!("the index lacks `{}`", dim.name())).mend("name every dimension")
            })?;
            Ok(Position { dim: Arc::clone(name), op: dim.op(), place: Place::File(*file) })
        };
        let index =
            Index(self.names.iter().zip(&self.form.dims).map(position).collect::<Result<_>>()?);
        self.number(&index)?;
        Ok(index)
    }

    /// The number of the file of an index; the inverse of [`FilePattern::index`].
    ///
    /// # Errors
    /// Other dimensions than these, a place beyond the last key, or one in elements.
    pub fn number(&self, index: &Index) -> Result<u64> {
        if index.0.len() != self.form.dims.len() {
            let (got, want) = (index.0.len(), self.form.dims.len());
            let message = format!("an index of {got} dimensions, and the pattern has {want}");
            return Err(invalid(message).mend("take indices from this pattern"));
        }
        let mut number = 0;
        for (dim, count) in self.form.dims.iter().zip(&self.counts) {
            let position = index
                .get(dim.name())
                .ok_or_else(|| invalid(format!("the index `{index}` lacks `{}`", dim.name())))?;
            let Place::File(file) = position.place else {
                let message = format!("the index `{index}` counts elements, not files");
                return Err(invalid(message).mend("look files up before indices are located"));
            };
            if file >= *count {
                let message =
                    format!("`{}` has {count} keys, and none of number {file}", dim.name());
                return Err(invalid(message).mend("keys are counted from 0"));
            }
            number = number * count + file;
        }
        Ok(number)
    }

    /// The URL of an index, without secrets.
    ///
    /// # Errors
    /// As [`FilePattern::number`].
    pub fn url(&self, index: &Index) -> Result<String> {
        self.url_at(self.number(index)?)
    }

    /// The URL of the file of this number, without secrets; O(dimensions).
    ///
    /// # Errors
    /// A number beyond the last file.
    pub fn url_at(&self, number: u64) -> Result<String> {
        let files = self.places(number).ok_or_else(|| {
            invalid(format!("there are {} files, and none of number {number}", self.len))
                .mend("files are counted from 0")
        })?;
        match &self.form.files {
            Files::Template(template) => template.fill(|name| self.key_at(name, &files)),
            Files::List(list) => {
                let key = self.form.dims.first().map(|dim| self.key_at(dim.name(), &files));
                let place = match key.transpose()? {
                    Some(Key::Integer(place)) => place as usize,
                    _ => 0,
                };
                let url = list.get(place).cloned();
                url.ok_or_else(|| Error::internal("a list has other keys than files"))
            }
        }
    }

    /// The place of the file of this number, secrets in its query: printed, it shows none.
    ///
    /// # Errors
    /// As [`FilePattern::url_at`], and a URL that is no place.
    pub fn location(&self, number: u64) -> Result<Location> {
        Location::parse(&self.secrets.add_to(&self.url_at(number)?)?)
    }

    /// The place of every file, in order; nothing is made before it is asked for.
    ///
    /// # Errors
    /// Each as [`FilePattern::location`].
    pub fn locations(&self) -> impl Iterator<Item = Result<Location>> + '_ {
        (0..self.len).map(|number| self.location(number))
    }

    /// The key of an index along a dimension: the value of the new coordinate where the dimension
    /// is made from keys, the set of variables where it merges.
    ///
    /// # Errors
    /// As [`FilePattern::number`], and a dimension that it does not have.
    pub fn key(&self, index: &Index, dim: &str) -> Result<Key<'_>> {
        let number = self.number(index)?;
        let files = self.places(number).unwrap_or_default();
        self.dim(dim)?;
        self.key_at(dim, &files)
    }

    /// Every index with its URL, in order; nothing is made before it is asked for.
    ///
    /// # Errors
    /// Each as [`FilePattern::url_at`].
    pub fn items(&self) -> impl Iterator<Item = Result<(Index, String)>> + '_ {
        (0..self.len)
            .filter_map(|number| Some((number, self.index(number)?)))
            .map(|(number, index)| Ok((index, self.url_at(number)?)))
    }

    pub(super) fn key_at(&self, name: &str, files: &[u64]) -> Result<Key<'_>> {
        let mut dims = self.form.dims.iter().zip(files);
        let found = dims.find(|(dim, _)| dim.name() == name);
        let key = found.and_then(|(dim, file)| dim.key(*file));
        key.ok_or_else(|| unknown_dim(name, self.form.dims.iter().map(CombineDim::name)))
    }

    /// The number of the key along each dimension.
    fn places(&self, number: u64) -> Option<Vec<u64>> {
        if number >= self.len {
            return None;
        }
        let mut rest = number;
        let mut files = vec![0; self.counts.len()];
        for (file, count) in files.iter_mut().zip(&self.counts).rev() {
            (*file, rest) = (rest % count, rest / count);
        }
        Some(files)
    }

    fn checked(form: PatternForm) -> Result<Self> {
        for (position, dim) in form.dims.iter().enumerate() {
            if form.dims[..position].iter().any(|other| other.name() == dim.name()) {
                let error = invalid(format!("two dimensions are called `{}`", dim.name()));
                return Err(error.mend("give every dimension a name of its own"));
            }
        }
        match &form.files {
            Files::Template(template) => check_fields(template, &form.dims)?,
            Files::List(files) => check_list(files, &form.dims)?,
        }
        let pattern = Self::counted(form)?;
        if let Files::Template(template) = &pattern.form.files {
            check_keys(template, &pattern)?;
        }
        Ok(pattern)
    }

    fn counted(form: PatternForm) -> Result<Self> {
        let names = form.dims.iter().map(|dim| dim.name().into()).collect();
        let counts: Vec<u64> = form.dims.iter().map(CombineDim::count).collect();
        let len = counts.iter().try_fold(1u64, |len, count| len.checked_mul(*count));
        let len = len.ok_or_else(|| {
            invalid("the pattern has more than 2^64 files").mend("give fewer keys")
        })?;
        Ok(Self { form, names, counts, len, secrets: QuerySecrets::default() })
    }
}

impl TryFrom<PatternForm> for FilePattern {
    type Error = Error;

    fn try_from(form: PatternForm) -> Result<Self> {
        Self::checked(form)
    }
}

impl From<FilePattern> for PatternForm {
    fn from(pattern: FilePattern) -> Self {
        pattern.form
    }
}

/// What it is made of, never its files one by one, and no secret.
impl fmt::Debug for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = match &self.form.files {
            Files::Template(template) => template.to_string(),
            Files::List(list) => format!("{} listed", list.len()),
        };
        f.debug_struct("FilePattern")
            .field("files", &files)
            .field("dims", &self.names.iter().zip(&self.counts).collect::<Vec<_>>())
            .field("len", &self.len)
            .field("secrets", &self.secrets)
            .finish_non_exhaustive()
    }
}
