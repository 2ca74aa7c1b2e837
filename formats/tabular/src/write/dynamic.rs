//! Destinations that the elements choose.

use std::fmt;
use std::marker::PhantomData;

use dataflow::Element;
use dataflow::prelude::{CombineFn, CombinePerKey, PCollection, PTransform, ParDo};
use dataflow::prelude::{DoFn, GlobalWindows, ProcessContext, Result, WindowInto};

use super::shards::{Addressed, Addressing, KEYS, write_shards};
use super::{FileSink, WriteFiles, WrittenFiles};

/// Writes every element to the destination that a function names for it: `FileIO.writeDynamic` of
/// Beam.
///
/// Made by [`WriteFiles::by`]. A key `paris` below the prefix `out` gives shards
/// `out/paris-00000-of-00008.txt` and a manifest of their own; `2020/paris` lies one folder deeper.
/// A destination exists if an element names it, and has all its shards then.
///
/// The number of destinations is not bounded by memory; each costs a listing and its shards.
#[derive(Clone)]
pub struct WriteDynamic<S, F> {
    files: WriteFiles<S>,
    destination: F,
}

impl<S: FileSink, F> WriteDynamic<S, F> {
    pub(crate) fn of(files: WriteFiles<S>, destination: F) -> Self {
        Self { files, destination }
    }
}

impl<S> WriteDynamic<S, ()> {
    /// Writes elements of any type: `destination` names where to, `output` gives what is written.
    ///
    /// ```
    /// use tabular::{WriteDynamic, WriteText};
    /// let write = WriteDynamic::via(
    ///     |(shop, _): &(String, i64)| shop.clone(),
    ///     |(_, cents): (String, i64)| cents.to_string(),
    ///     WriteText::to("out"),
    /// );
    /// # let _ = write;
    /// ```
    pub fn via<T, F, O>(
        destination: F,
        output: O,
        files: WriteFiles<S>,
    ) -> WriteDynamicVia<T, S, F, O>
    where
        S: FileSink,
        F: Fn(&T) -> String + Clone + Send + Sync + 'static,
        O: Fn(T) -> S::In + Clone + Send + Sync + 'static,
    {
        WriteDynamicVia { files, destination, output, of: PhantomData }
    }
}

impl<S, F> PTransform<PCollection<S::In>> for WriteDynamic<S, F>
where
    S: FileSink,
    F: Fn(&S::In) -> String + Clone + Send + Sync + 'static,
{
    type Output = PCollection<WrittenFiles>;

    fn expand(self, input: PCollection<S::In>) -> Self::Output {
        let destination = self.destination;
        let address = move |element: S::In| Addressed { key: destination(&element), element };
        expand(self.files, &input, address)
    }
}

/// A [`WriteDynamic`] of elements that are turned into something else when they are written.
#[derive(Clone)]
pub struct WriteDynamicVia<T, S, F, O> {
    files: WriteFiles<S>,
    destination: F,
    output: O,
    of: PhantomData<fn(T)>,
}

impl<T, S, F, O> PTransform<PCollection<T>> for WriteDynamicVia<T, S, F, O>
where
    T: Element,
    S: FileSink,
    F: Fn(&T) -> String + Clone + Send + Sync + 'static,
    O: Fn(T) -> S::In + Clone + Send + Sync + 'static,
{
    type Output = PCollection<WrittenFiles>;

    fn name(&self) -> String {
        "WriteDynamic".to_owned()
    }

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let Self { destination, output, .. } = self;
        let address = move |element: T| {
            let key = destination(&element);
            Addressed { key, element: output(element) }
        };
        expand(self.files, &input, address)
    }
}

fn expand<T, S, A>(
    files: WriteFiles<S>,
    input: &PCollection<T>,
    address: A,
) -> PCollection<WrittenFiles>
where
    T: Element,
    S: FileSink,
    A: Fn(T) -> Addressed<S::In> + Clone + Send + Sync + 'static,
{
    let WriteFiles { sink, mut target } = files;
    target.addressing = Addressing::ByKey;
    let assigned = input.apply_named("Assign", target.assign(address).with_output(&KEYS));
    let destinations = assigned
        .get(&KEYS)
        .apply(WindowInto::of(GlobalWindows))
        .apply_named("Destinations", CombinePerKey::of(Once))
        .apply_named("Keys", ParDo::of(Keys));
    write_shards(sink, target, &destinations, &assigned.main)
}

/// Every key once.
#[derive(Debug, Clone, Copy)]
struct Once;

impl CombineFn for Once {
    type In = ();
    type Acc = ();
    type Out = ();

    fn create(&self) {}
    fn add(&self, (): &mut (), (): ()) {}
    fn merge(&self, (): &mut (), (): ()) {}
    fn extract(&self, (): ()) {}
}

#[derive(Clone)]
struct Keys;

impl DoFn for Keys {
    type In = (String, ());
    type Out = String;

    fn process(
        &mut self,
        (key, ()): (String, ()),
        ctx: &mut ProcessContext<'_, String>,
    ) -> Result<()> {
        ctx.output(key)
    }
}

impl<S: fmt::Debug, F> fmt::Debug for WriteDynamic<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteDynamic").field(&self.files).finish()
    }
}

impl<T, S: fmt::Debug, F, O> fmt::Debug for WriteDynamicVia<T, S, F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteDynamic").field(&self.files).finish()
    }
}
