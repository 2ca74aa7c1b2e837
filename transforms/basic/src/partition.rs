//! One collection cut into several.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use dataflow::prelude::{
    DoFn, Element, Error, ErrorCode, ErrorKind, PCollection, PTransform, ParDo, ProcessContext,
    Result, Tag,
};

use crate::encoding::preview_of;

/// Cuts a collection into `count`: a function says for every element which one it goes to.
///
/// An index that is not less than `count` is an error of the step, which names the element.
///
/// ```
/// # use dataflow::prelude::{Create, Pipeline};
/// # use basic::Partition;
/// let numbers = Pipeline::new().apply(Create::of(0i64..10));
/// let by_rest = numbers.apply(Partition::of(3, |n: &i64| (n % 3) as usize));
/// assert_eq!(by_rest.len(), 3);
/// ```
pub struct Partition<T, F> {
    count: usize,
    function: F,
    of: PhantomData<fn(T)>,
}

impl<T, F: Fn(&T) -> usize> Partition<T, F> {
    /// So many collections, numbered from zero.
    pub const fn of(count: usize, function: F) -> Self {
        Self { count, function, of: PhantomData }
    }
}

impl<T, F> PTransform<PCollection<T>> for Partition<T, F>
where
    T: Element,
    F: Fn(&T) -> usize + Clone + Send + Sync + 'static,
{
    type Output = Vec<PCollection<T>>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let tags: Vec<Tag<T>> = (0..self.count).map(|index| Tag::new(name_of(index))).collect();
        let pardo = ParDo::of(PartitionFn { function: self.function, tags: tags.clone() });
        let Some((first, others)) = tags.split_first() else {
            // Whatever comes in has no place to go, which must be said.
            input.apply(pardo);
            return Vec::new();
        };
        let pardo =
            others.iter().fold(pardo.with_output(first), |pardo, tag| pardo.with_output(tag));
        let outputs = input.apply(pardo);
        tags.iter().map(|tag| outputs.get(tag)).collect()
    }
}

impl<T, F> fmt::Debug for Partition<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partition({})", self.count)
    }
}

/// The name of a partition. Tags want names that live for ever: each is made once a process.
fn name_of(index: usize) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    while names.len() <= index {
        let name = format!("partition {}", names.len());
        names.push(name.leak());
    }
    names[index]
}

#[derive(Clone)]
struct PartitionFn<T, F> {
    function: F,
    tags: Vec<Tag<T>>,
}

impl<T, F> DoFn for PartitionFn<T, F>
where
    T: Element,
    F: Fn(&T) -> usize + Clone + Send + Sync + 'static,
{
    type In = T;
    type Out = ();

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, ()>) -> Result<()> {
        let index = (self.function)(&element);
        match self.tags.get(index) {
            Some(tag) => ctx.output_to(tag, element),
            None => Err(out_of_range(index, self.tags.len(), &element)),
        }
    }
}

fn out_of_range<T: Element>(index: usize, count: usize, element: &T) -> Error {
    let message = format!("partition {index} is asked for, of {count} numbered from 0");
    Error::new(ErrorCode::USER_ERROR, ErrorKind::User, message)
        .at("element", preview_of(element))
        .mend("let the function of `Partition` return an index less than the count")
}
