//! ParDo: a DoFn on every element.

use std::fmt;
use std::sync::Arc;

use crate::dofn::{DoFn, Tag};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::graph::{CollectionId, Operation, RunParDo};
use crate::pcollection::PCollection;
use crate::pipeline::{Output, Pipeline};
use crate::ptransform::{PTransform, short_type_name};
use crate::view::{PCollectionView, ViewId};

/// Runs a [`DoFn`] on every element of a collection.
///
/// Side inputs and additional outputs are declared here:
///
/// ```
/// # use dataflow::prelude::*;
/// # #[derive(Clone)] struct Split { limit: PCollectionView<i64>, long: Tag<String> }
/// # impl DoFn for Split {
/// #     type In = String; type Out = String;
/// #     fn process(&mut self, line: String, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
/// #         let limit = *ctx.side(&self.limit)?;
/// #         if line.len() as i64 > limit { ctx.output_to(&self.long, line) } else { ctx.output(line) }
/// #     }
/// # }
/// let pipeline = Pipeline::new();
/// let limit = pipeline.apply(Create::of([3i64])).as_singleton_view();
/// let long = Tag::<String>::new("long");
/// let lines = pipeline.apply(Create::of(["ab".to_owned(), "abcd".to_owned()]));
/// let outputs = lines.apply(
///     ParDo::of(Split { limit, long }).with_side(&limit).with_output(&long),
/// );
/// let long_lines: PCollection<String> = outputs.get(&long);
/// ```
#[derive(Clone)]
pub struct ParDo<F> {
    run: RunParDo<F>,
    sides: Vec<ViewId>,
}

impl<F: DoFn> ParDo<F> {
    /// Runs this DoFn.
    pub fn of(dofn: F) -> Self {
        Self { run: RunParDo::new(dofn), sides: Vec::new() }
    }

    /// Lets the DoFn read a side input.
    #[must_use]
    pub fn with_side<V>(mut self, view: &PCollectionView<V>) -> Self {
        self.sides.push(view.id());
        self
    }

    /// Gives the DoFn an additional output.
    #[must_use]
    pub fn with_output<T: Element>(self, tag: &Tag<T>) -> MultiParDo<F> {
        let outputs = vec![(tag.name(), Output::of::<T>())];
        MultiParDo { run: self.run.with_tag(tag), sides: self.sides, outputs }
    }
}

impl<F: DoFn> PTransform<PCollection<F::In>> for ParDo<F> {
    type Output = PCollection<F::Out>;

    fn name(&self) -> String {
        format!("ParDo({})", short_type_name::<F>())
    }

    fn expand(self, input: PCollection<F::In>) -> Self::Output {
        let pipeline = input.pipeline();
        check_sides(pipeline, &self.sides);
        let operation = Operation::ParDo(Arc::new(self.run));
        let outputs = vec![Output::of::<F::Out>()];
        let ids = pipeline.add_node(operation, &[input.id()], &self.sides, outputs);
        PCollection::new(pipeline.clone(), ids[0])
    }
}

impl<F> fmt::Debug for ParDo<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParDo").field("run", &self.run).field("sides", &self.sides).finish()
    }
}

/// A [`ParDo`] with more than one output.
pub struct MultiParDo<F> {
    run: RunParDo<F>,
    sides: Vec<ViewId>,
    outputs: Vec<(&'static str, Output)>,
}

impl<F: DoFn> MultiParDo<F> {
    /// Lets the DoFn read a side input.
    #[must_use]
    pub fn with_side<V>(mut self, view: &PCollectionView<V>) -> Self {
        self.sides.push(view.id());
        self
    }

    /// Gives the DoFn one more output.
    #[must_use]
    pub fn with_output<T: Element>(mut self, tag: &Tag<T>) -> Self {
        self.outputs.push((tag.name(), Output::of::<T>()));
        self.run = self.run.with_tag(tag);
        self
    }
}

impl<F: DoFn> PTransform<PCollection<F::In>> for MultiParDo<F> {
    type Output = ParDoOutputs<F::Out>;

    fn name(&self) -> String {
        format!("ParDo({})", short_type_name::<F>())
    }

    fn expand(self, input: PCollection<F::In>) -> Self::Output {
        let pipeline = input.pipeline().clone();
        check_sides(&pipeline, &self.sides);
        let (names, tagged): (Vec<_>, Vec<_>) = self.outputs.into_iter().unzip();
        let outputs = std::iter::once(Output::of::<F::Out>()).chain(tagged).collect();
        let operation = Operation::ParDo(Arc::new(self.run));
        let ids = pipeline.add_node(operation, &[input.id()], &self.sides, outputs);
        let main = PCollection::new(pipeline, ids[0]);
        ParDoOutputs { main, tagged: names.into_iter().zip(ids.into_iter().skip(1)).collect() }
    }
}

impl<F> fmt::Debug for MultiParDo<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiParDo").field("run", &self.run).field("sides", &self.sides).finish()
    }
}

/// The outputs of a [`ParDo`] with tags.
#[derive(Debug, Clone)]
pub struct ParDoOutputs<T> {
    /// The main output.
    pub main: PCollection<T>,
    tagged: Vec<(&'static str, CollectionId)>,
}

impl<T> ParDoOutputs<T> {
    /// The output of a tag.
    ///
    /// A tag that was not declared is a mistake of the recipe, returned when it is compiled.
    pub fn get<Tagged: Element>(&self, tag: &Tag<Tagged>) -> PCollection<Tagged> {
        let pipeline = self.main.pipeline();
        match self.tagged.iter().find(|(name, _)| *name == tag.name()) {
            Some((_, id)) => PCollection::new(pipeline.clone(), *id),
            None => {
                let message = format!("output `{}` is not declared", tag.name());
                let error = Error::new(ErrorCode::NOT_DECLARED, ErrorKind::InvalidInput, message);
                pipeline.mistake(error.mend("declare the tag with `with_output` on this ParDo"));
                pipeline.add(Operation::Flatten, &[])
            }
        }
    }
}

/// Every view that is declared must be one of this pipeline.
fn check_sides(pipeline: &Pipeline, sides: &[ViewId]) {
    let known = pipeline.view_count();
    if sides.iter().any(|side| side.0 >= known) {
        let message = "a side input of another pipeline is declared";
        let error = Error::new(ErrorCode::NOT_DECLARED, ErrorKind::InvalidInput, message);
        pipeline.mistake(error.mend("make the view from a collection of this pipeline"));
    }
}
