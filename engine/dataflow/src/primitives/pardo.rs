//! ParDo: a DoFn on every element.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::dofn::{DoFn, Tag};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::graph::{CollectionId, Operation, RunParDo, Side};
use crate::pcollection::PCollection;
use crate::pipeline::{Output, Pipeline};
use crate::ptransform::{PTransform, short_type_name};
use crate::view::PCollectionView;
use crate::window::WindowMapping;

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
    sides: Vec<Side>,
}

impl<F: DoFn> ParDo<F> {
    /// Runs this DoFn.
    pub fn of(dofn: F) -> Self {
        Self { run: RunParDo::new(dofn), sides: Vec::new() }
    }

    /// Lets the DoFn read a side input.
    #[must_use]
    pub fn with_side<V>(mut self, view: &PCollectionView<V>) -> Self {
        self.sides.push(Side { view: view.id(), mapping: None });
        self
    }

    /// Lets the DoFn read a side input in the window that `mapping` makes of the main input's.
    #[must_use]
    pub fn with_side_in<V>(mut self, view: &PCollectionView<V>, mapping: WindowMapping) -> Self {
        self.sides.push(Side { view: view.id(), mapping: Some(mapping) });
        self
    }

    /// Lets the DoFn read these side inputs too.
    pub(super) fn with_sides(mut self, sides: impl IntoIterator<Item = Side>) -> Self {
        self.sides.extend(sides);
        self
    }

    /// Lets the DoFn put out elements with times of their own, none before that of its element.
    #[must_use]
    pub fn with_timestamps(self) -> Self {
        self.with_allowed_skew(Duration::ZERO)
    }

    /// Lets the DoFn put out elements with times of their own, at most `skew` before that of its
    /// element.
    #[must_use]
    pub fn with_allowed_skew(mut self, skew: Duration) -> Self {
        self.run = self.run.with_stamping(skew);
        self
    }

    /// Gives the DoFn an additional output.
    #[must_use]
    pub fn with_output<T: Element>(self, tag: &Tag<T>) -> MultiParDo<F> {
        let outputs = vec![(key_of(tag), Output::of::<T>())];
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
    sides: Vec<Side>,
    outputs: Vec<(TagKey, Output)>,
}

/// Name and type of a tag.
type TagKey = (&'static str, TypeId);

fn key_of<T: Element>(tag: &Tag<T>) -> TagKey {
    (tag.name(), TypeId::of::<T>())
}

impl<F: DoFn> MultiParDo<F> {
    /// Lets the DoFn read a side input.
    #[must_use]
    pub fn with_side<V>(mut self, view: &PCollectionView<V>) -> Self {
        self.sides.push(Side { view: view.id(), mapping: None });
        self
    }

    /// Lets the DoFn read a side input in the window that `mapping` makes of the main input's.
    #[must_use]
    pub fn with_side_in<V>(mut self, view: &PCollectionView<V>, mapping: WindowMapping) -> Self {
        self.sides.push(Side { view: view.id(), mapping: Some(mapping) });
        self
    }

    /// Lets the DoFn put out elements with times of their own, at most `skew` before that of its
    /// element.
    #[must_use]
    pub fn with_allowed_skew(mut self, skew: Duration) -> Self {
        self.run = self.run.with_stamping(skew);
        self
    }

    /// Gives the DoFn one more output.
    #[must_use]
    pub fn with_output<T: Element>(mut self, tag: &Tag<T>) -> Self {
        self.outputs.push((key_of(tag), Output::of::<T>()));
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
        let (tags, tagged): (Vec<_>, Vec<_>) = self.outputs.into_iter().unzip();
        let outputs = std::iter::once(Output::of::<F::Out>()).chain(tagged).collect();
        let operation = Operation::ParDo(Arc::new(self.run));
        let ids = pipeline.add_node(operation, &[input.id()], &self.sides, outputs);
        let main = PCollection::new(pipeline, ids[0]);
        ParDoOutputs { main, tagged: tags.into_iter().zip(ids.into_iter().skip(1)).collect() }
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
    tagged: Vec<(TagKey, CollectionId)>,
}

impl<T> ParDoOutputs<T> {
    /// The output of a tag.
    ///
    /// A tag that was not declared, or has another type, is a mistake of the recipe, returned when it is compiled.
    pub fn get<Tagged: Element>(&self, tag: &Tag<Tagged>) -> PCollection<Tagged> {
        let pipeline = self.main.pipeline();
        if let Some((_, id)) = self.tagged.iter().find(|(key, _)| *key == key_of(tag)) {
            return PCollection::new(pipeline.clone(), *id);
        }
        let is_known = self.tagged.iter().any(|(key, _)| key.0 == tag.name());
        let what = if is_known { "has another type" } else { "is not declared" };
        let message = format!("output `{}` {what}", tag.name());
        let error = Error::new(ErrorCode::NOT_DECLARED, ErrorKind::InvalidInput, message);
        pipeline.mistake(error.mend("ask with the tag that `with_output` was given on this ParDo"));
        pipeline.add(Operation::Flatten, &[])
    }
}

/// Every view that is declared must be one of this pipeline, and have windows to be looked up in.
fn check_sides(pipeline: &Pipeline, sides: &[Side]) {
    let id = pipeline.id();
    for side in sides {
        if side.view.pipeline != id {
            let message = "a side input of another pipeline is declared";
            let error = Error::new(ErrorCode::NOT_DECLARED, ErrorKind::InvalidInput, message);
            pipeline.mistake(error.mend("make the view from a collection of this pipeline"));
            continue;
        }
        let windowing = pipeline.view_windowing(side.view);
        if windowing.window_fn.is_merging() && side.mapping.is_none() {
            let message =
                format!("no window of the main input has one in a side input of {windowing}");
            let error = Error::new(ErrorCode::WINDOWS_DIFFER, ErrorKind::InvalidInput, message);
            pipeline.mistake(error.mend(
                "say where to look with `with_side_in`, or put the side input into other windows \
                 with `WindowInto`",
            ));
        }
    }
}
