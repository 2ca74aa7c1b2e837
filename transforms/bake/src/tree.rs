//! A whole tree of groups: the plan of the root holds a plan for each group below.
//!
//! Every group is a dataset of its own, with dimensions and names of its own. A variable of a group
//! is named by its path, `forecast/t2m`, wherever the tree is spoken of as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use array::{Dataset, DatasetSource, GroupPath};
use chunks::{ChunkSpec, Machine};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, StoreOptions};
use serde::{Deserialize, Serialize};

use crate::options::BakeOptions;
use crate::plan::{BakePlan, VariablePlan, check_content};
use crate::prepare::Step;
use crate::schema::Schema;

/// Groups that lie deeper are those of a file that holds itself.
const DEPTH_LIMIT: usize = 64;

/// A group below the root, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// Where it lies, in the source as in the store.
    pub path: GroupPath,
    /// What is written there.
    pub plan: BakePlan,
}

/// A group of a source that is to be written.
#[derive(Debug, Clone)]
pub struct SourceGroup {
    /// Where it lies.
    pub path: GroupPath,
    /// How it is scanned.
    pub options: BakeOptions,
    /// Whether none of its variables is wanted: only its attributes are kept.
    is_bare: bool,
}

/// The name of a variable of a group, as the tree has it.
pub(crate) fn full_name(group: &GroupPath, variable: &str) -> String {
    if group.is_root() { variable.to_owned() } else { format!("{group}/{variable}") }
}

impl SourceGroup {
    /// The groups of a source that are to be written, each after the one that holds it, the root
    /// first.
    ///
    /// Where variables are named, these are all groups that have one of them, and those on the way
    /// there. A name without a path is that of a variable of any group.
    ///
    /// # Errors
    /// A group or a variable that cannot be read, unless others are named; a name that no variable has.
    pub fn all(root: &Arc<dyn DatasetSource>, options: &BakeOptions) -> Result<Vec<Self>> {
        let (groups, unreadable) = Self::readable(root, options)?;
        match unreadable.into_iter().next() {
            Some(why) => {
                let why = why.context("cannot copy all");
                Err(why.mend(
                    "name the variables that are wanted with --vars NAME,...; --keep-going leaves \
                     out what cannot be read",
                ))
            }
            None => Ok(groups),
        }
    }

    /// The same without groups and variables that cannot be read, and why these are left out; none
    /// is where variables are named.
    ///
    /// # Errors
    /// A name that no variable has.
    pub fn readable(
        root: &Arc<dyn DatasetSource>,
        options: &BakeOptions,
    ) -> Result<(Vec<Self>, Vec<Error>)> {
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        let root_path = GroupPath::default();
        collect(root.as_ref(), &root_path, options, (&mut found, &mut unreadable))?;
        let wanted = &options.variables;
        let known = |name: &str| {
            found.iter().any(|(_, names): &(Self, Vec<String>)| names.iter().any(|it| it == name))
        };
        if let Some(name) = wanted.iter().find(|name| !known(name)) {
            let message = format!("there is no variable `{name}` in any group");
            let error = Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message);
            return Err(
                error.mend("name it as NAME or GROUP/NAME; `levain inspect` shows what there is")
            );
        }
        let groups: Vec<Self> = found.into_iter().map(|(group, _)| group).collect();
        let is_kept = |group: &Self| {
            let names = group.path.names();
            let is_on_the_way = |other: &Self| other.path.names().starts_with(names);
            wanted.is_empty() || groups.iter().any(|other| !other.is_bare && is_on_the_way(other))
        };
        let kept = groups.iter().filter(|group| group.path.is_root() || is_kept(group));
        Ok((kept.cloned().collect(), unreadable))
    }

    fn of(path: &GroupPath, dataset: &Dataset, options: &BakeOptions) -> (Self, Vec<String>) {
        let mut own = options.clone();
        if !path.is_root() {
            own.steps.insert(0, Step::Group { path: path.clone() });
        }
        let prefix = full_name(path, "");
        let (mut names, mut asked) = (BTreeSet::new(), Vec::new());
        for name in &options.variables {
            let inner = name.strip_prefix(&prefix).unwrap_or(name);
            if dataset.variable(inner).is_some() {
                names.insert(inner.to_owned());
                asked.push(name.clone());
            }
        }
        let is_bare = !options.variables.is_empty() && names.is_empty();
        own.variables = names.into_iter().collect();
        (Self { path: path.clone(), options: own, is_bare }, asked)
    }

    /// Leaves of what is asked for all groups what this one has, so that nothing is missed in it.
    fn narrowed(&self, schema: &Schema) -> BakeOptions {
        let mut own = self.options.clone();
        let has = |dimension: &str| schema.has_used_dimension(dimension);
        own.shards = own.shards.with_only(has);
        let is_asked = !own.chunks.is_empty();
        own.chunks = own.chunks.with_only(has);
        if is_asked && own.chunks.is_empty() {
            // Dimensions that are not named are whole, also where no named one is.
            own.chunks = ChunkSpec::whole();
        }
        own.chunk_ratio = own.chunk_ratio.with_only(has);
        let prefix = full_name(&self.path, "");
        let encodings = std::mem::take(&mut own.encodings).into_iter();
        own.encodings = encodings
            .map(|(name, own)| (name.strip_prefix(&prefix).unwrap_or(&name).to_owned(), own))
            .filter(|(name, _)| schema.variables.contains_key(name))
            .collect();
        own
    }
}

/// A group and those below it, with the wanted names that it has.
fn collect(
    source: &dyn DatasetSource,
    path: &GroupPath,
    options: &BakeOptions,
    (found, unreadable): (&mut Vec<(SourceGroup, Vec<String>)>, &mut Vec<Error>),
) -> Result<()> {
    let dataset = source.dataset();
    let (mut group, asked) = SourceGroup::of(path, dataset, options);
    if options.variables.is_empty() {
        let left_out = source.left_out();
        if left_out.iter().any(|(name, _)| dataset.variable(name).is_some()) {
            let names = dataset.variables.iter().map(|it| &it.name);
            let is_read = |name: &&String| left_out.iter().all(|(other, _)| other != *name);
            group.options.variables = names.filter(is_read).cloned().collect();
            group.is_bare = group.options.variables.is_empty();
        }
        unreadable.extend(left_out.into_iter().map(|(name, why)| {
            let name = full_name(path, &name);
            if why.place("variable") == Some(&name) { why } else { why.at("variable", name) }
        }));
    }
    found.push((group, asked));
    if path.names().len() >= DEPTH_LIMIT && !dataset.groups.is_empty() {
        let message = format!("groups lie more than {DEPTH_LIMIT} deep");
        let error = Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message);
        return Err(error.at("group", path).mend("does a group hold one that it lies in?"));
    }
    for name in &dataset.groups {
        let (own, below) = (name.parse()?, path.child(name)?);
        match source.group(&own).map_err(|error| error.at("group", &below)) {
            Ok(group) => collect(group.as_ref(), &below, options, (&mut *found, &mut *unreadable))?,
            Err(why) if options.variables.is_empty() => unreadable.push(why),
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

impl BakePlan {
    /// Plans a tree of groups, of which the root comes first: what one file or store holds, written
    /// anew.
    ///
    /// Every variable gets a copy plan of its own within the one budget.
    ///
    /// # Errors
    /// As [`BakePlan::new`]; dimensions and variables that are named and no group has.
    pub fn of_tree(
        groups: Vec<(SourceGroup, Schema)>,
        destination: &Location,
        store: &StoreOptions,
        machine: Machine,
    ) -> Result<Self> {
        check_named(&groups)?;
        let mut root: Option<(Self, Schema)> = None;
        let mut has_content = false;
        for (group, mut schema) in groups {
            if group.is_bare {
                schema.variables.clear();
                schema.dimensions.clear();
            }
            has_content |= !schema.variables.is_empty();
            // They have plans of their own.
            let below = std::mem::take(&mut schema.groups);
            let options = group.narrowed(&schema);
            let place = match group.path.is_root() {
                true => destination.clone(),
                false => destination.join(&group.path.to_string()),
            };
            let plan = Self::part(&schema, None, &place, options, store, machine);
            match &mut root {
                None => {
                    schema.groups = below;
                    root = Some((plan?, schema));
                }
                Some((root, _)) => {
                    let mut plan = plan.map_err(|error| error.at("group", &group.path))?;
                    let warnings = std::mem::take(&mut plan.warnings).into_iter();
                    let named = warnings.map(|warning| format!("{}: {warning}", group.path));
                    root.warnings.extend(named);
                    root.groups.push(GroupPlan { path: group.path, plan });
                }
            }
        }
        let (root, schema) = root.ok_or_else(|| Error::internal("a tree without a root"))?;
        if !has_content {
            check_content(&schema)?;
        }
        Ok(root)
    }

    /// The plans of the root and of all groups below, with their paths, each after that of the
    /// group that holds it.
    pub fn tree(&self) -> impl Iterator<Item = (GroupPath, &Self)> {
        let below = self.groups.iter().map(|group| (group.path.clone(), &group.plan));
        std::iter::once((GroupPath::default(), self)).chain(below)
    }

    /// All arrays, with their names in the store as a whole and the plans of their groups.
    pub fn arrays(&self) -> impl Iterator<Item = (String, &Self, &VariablePlan)> {
        self.tree().flat_map(|(path, plan)| {
            let named = move |variable: &VariablePlan| full_name(&path, &variable.name);
            let variables = plan.variables.iter();
            variables.map(move |variable| (named(variable), plan, variable))
        })
    }

    /// The names of all that lies directly in the store: variables and groups.
    pub fn top_names(&self) -> impl Iterator<Item = &str> {
        let variables = self.variables.iter().map(|variable| variable.name.as_str());
        variables
            .chain(self.groups.iter().filter_map(|it| it.path.names().first()).map(String::as_str))
    }

    /// The plan of the group of a variable of the tree, and its name there.
    pub(crate) fn plan_of<'n>(&self, variable: &'n str) -> (&Self, &'n str) {
        let below = variable.rsplit_once('/').and_then(|(path, name)| {
            let group = self.groups.iter().find(|group| group.path.to_string() == path)?;
            Some((&group.plan, name))
        });
        below.unwrap_or((self, variable))
    }
}

/// Refuses names of dimensions and variables that no group has.
fn check_named(groups: &[(SourceGroup, Schema)]) -> Result<()> {
    let Some((first, _)) = groups.first() else { return Ok(()) };
    let asked = &first.options;
    let of_encodings = asked.encodings.values().flat_map(|own| [&own.chunks, &own.shards]);
    let specs = of_encodings.flatten().chain([&asked.chunks, &asked.shards]);
    let named = specs.flat_map(ChunkSpec::dimensions).chain(asked.chunk_ratio.dimensions());
    for dimension in named {
        if !groups.iter().any(|(_, schema)| schema.has_used_dimension(dimension)) {
            let known = groups.iter().flat_map(|(_, schema)| schema.dimensions.keys());
            let known: BTreeSet<&str> = known.map(String::as_str).collect();
            let message = format!("there is no dimension `{dimension}`");
            let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
            let known: Vec<&str> = known.into_iter().collect();
            return Err(error.mend(format!("the dimensions are: {}", known.join(", "))));
        }
    }
    for name in asked.encodings.keys() {
        let is_it = |(group, schema): &(SourceGroup, Schema)| {
            let inner = name.strip_prefix(&full_name(&group.path, "")).unwrap_or(name);
            schema.variables.contains_key(inner)
        };
        if !groups.iter().any(is_it) {
            let message = format!("there is no variable `{name}`");
            let error = Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message);
            return Err(
                error.mend("name it as NAME or GROUP/NAME; `levain inspect` shows what there is")
            );
        }
    }
    Ok(())
}
