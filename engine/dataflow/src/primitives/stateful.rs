//! StatefulParDo: a function with state and timers on the elements of each key and window.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::capability::Capability;
use crate::coder::{Coder, Preview};
use crate::dofn::{DoFn, DoFnFacts, ProcessContext, Tag};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{GroupBy, Operation};
use crate::pcollection::PCollection;
use crate::primitives::{MultiParDo, ParDo, ParDoOutputs, check_key};
use crate::ptransform::{PTransform, short_type_name};
use crate::shuffle::Iterable;
use crate::state::{Cells, StatefulContext, StatefulDoFn, Timers};
use crate::time::Timestamp;
use crate::view::PCollectionView;
use crate::window::{PaneInfo, Stamp};

/// Runs a [`StatefulDoFn`] on the elements of each key and window.
///
/// It groups, and then processes each group one element after the other, so it needs no store for
/// state. A runner that does not offer state refuses it all the same: it may cut groups.
pub struct StatefulParDo<F: StatefulDoFn> {
    run: ParDo<RunStateful<F>>,
    is_by_time: bool,
}

impl<F: StatefulDoFn> StatefulParDo<F> {
    /// Runs this function; elements of a key come in no order.
    pub fn of(function: F) -> Self {
        Self::new(function, false)
    }

    /// Runs this function; elements of a key come by time, and timers fire between them.
    pub fn by_time(function: F) -> Self {
        Self::new(function, true)
    }

    fn new(function: F, is_by_time: bool) -> Self {
        // Outputs have the times of elements and timers, not that of the group.
        let run = ParDo::of(RunStateful { function, is_by_time });
        Self { run: run.with_allowed_skew(Duration::MAX), is_by_time }
    }

    /// Lets the function read a side input.
    #[must_use]
    pub fn with_side<V>(mut self, view: &PCollectionView<V>) -> Self {
        self.run = self.run.with_side(view);
        self
    }

    /// Gives the function an additional output.
    #[must_use]
    pub fn with_output<T: Element>(self, tag: &Tag<T>) -> MultiStatefulParDo<F> {
        MultiStatefulParDo { run: self.run.with_output(tag), is_by_time: self.is_by_time }
    }
}

impl<F: StatefulDoFn> PTransform<PCollection<(F::Key, F::Value)>> for StatefulParDo<F> {
    type Output = PCollection<F::Out>;

    fn name(&self) -> String {
        format!("StatefulParDo({})", short_type_name::<F>())
    }

    fn expand(self, input: PCollection<(F::Key, F::Value)>) -> Self::Output {
        grouped(&input, self.is_by_time).apply_named("Run", self.run)
    }
}

impl<F: StatefulDoFn> fmt::Debug for StatefulParDo<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatefulParDo")
            .field("is_by_time", &self.is_by_time)
            .finish_non_exhaustive()
    }
}

/// A [`StatefulParDo`] with more than one output.
pub struct MultiStatefulParDo<F: StatefulDoFn> {
    run: MultiParDo<RunStateful<F>>,
    is_by_time: bool,
}

impl<F: StatefulDoFn> MultiStatefulParDo<F> {
    /// Gives the function one more output.
    #[must_use]
    pub fn with_output<T: Element>(mut self, tag: &Tag<T>) -> Self {
        self.run = self.run.with_output(tag);
        self
    }
}

impl<F: StatefulDoFn> PTransform<PCollection<(F::Key, F::Value)>> for MultiStatefulParDo<F> {
    type Output = ParDoOutputs<F::Out>;

    fn name(&self) -> String {
        format!("StatefulParDo({})", short_type_name::<F>())
    }

    fn expand(self, input: PCollection<(F::Key, F::Value)>) -> Self::Output {
        grouped(&input, self.is_by_time).apply_named("Run", self.run)
    }
}

impl<F: StatefulDoFn> fmt::Debug for MultiStatefulParDo<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiStatefulParDo").field("run", &self.run).finish()
    }
}

/// The values of a key, each with its time.
type Timed<V> = Iterable<(V, Timestamp)>;

/// The elements of each key and window together, with their times.
fn grouped<K: Element, V: Element>(
    input: &PCollection<(K, V)>,
    is_by_time: bool,
) -> PCollection<(K, Timed<V>)> {
    let pipeline = input.pipeline();
    check_key::<K>(pipeline);
    let windowing = input.windowing();
    if windowing.merges {
        let message = format!("state is kept in windows that merge ({windowing})");
        let error = Error::new(ErrorCode::WINDOWS_DIFFER, ErrorKind::Unsupported, message);
        pipeline.mistake(error.mend("group by key before: windows are merged then"));
    }
    let timed = input.apply_named("Times", ParDo::of(WithTime::<K, V>(PhantomData)));
    let group = if is_by_time { GroupBy::by_time() } else { GroupBy::<K, (V, Timestamp)>::new() };
    timed.apply_named("Group", GroupTimed(group))
}

struct GroupTimed<K, V>(GroupBy<K, (V, Timestamp)>);

impl<K: Element, V: Element> PTransform<PCollection<(K, (V, Timestamp))>> for GroupTimed<K, V> {
    type Output = PCollection<(K, Timed<V>)>;

    fn expand(self, input: PCollection<(K, (V, Timestamp))>) -> Self::Output {
        input.pipeline().add(Operation::Group(Arc::new(self.0)), &[input.id()])
    }
}

#[derive(Clone)]
struct WithTime<K, V>(PhantomData<fn(K, V)>);

impl<K: Element, V: Element> DoFn for WithTime<K, V> {
    type In = (K, V);
    type Out = (K, (V, Timestamp));

    fn process(&mut self, pair: (K, V), ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output((pair.0, (pair.1, ctx.timestamp())))
    }
}

/// Processes groups, each with fresh state.
#[derive(Clone)]
struct RunStateful<F> {
    function: F,
    is_by_time: bool,
}

impl<F: StatefulDoFn> RunStateful<F> {
    /// Fires the timers that lie before `now`, those among them that others set too.
    fn fire_before(
        &mut self,
        now: Timestamp,
        key: &F::Key,
        ctx: &mut StatefulContext<'_, '_, F::Out>,
    ) -> Result<()> {
        while let Some(timer) = ctx.timers.take_before(now) {
            ctx.ctx.cancel.check()?;
            ctx.stamp.timestamp = timer.timestamp;
            self.function.on_timer(key, &timer, ctx)?;
        }
        Ok(())
    }

    fn process_group(
        &mut self,
        key: &F::Key,
        values: &Timed<F::Value>,
        ctx: &mut StatefulContext<'_, '_, F::Out>,
    ) -> Result<()> {
        for timed in values.try_iter() {
            let (value, timestamp) = timed?;
            if self.is_by_time {
                self.fire_before(timestamp, key, ctx)?;
            }
            ctx.stamp.timestamp = timestamp;
            self.function.process(key, value, ctx)?;
        }
        self.fire_before(Timestamp::MAX, key, ctx)?;
        ctx.stamp.timestamp = ctx.stamp.window.max_timestamp();
        self.function.on_window_expiration(key, ctx)
    }
}

impl<F: StatefulDoFn> DoFn for RunStateful<F> {
    type In = (F::Key, Timed<F::Value>);
    type Out = F::Out;

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, values) = group;
        let stamp =
            Stamp { timestamp: Timestamp::MIN, window: ctx.window(), pane: PaneInfo::NoFiring };
        let (mut cells, mut timers) = (Cells::new(ctx.budget), Timers::default());
        let mut stateful = StatefulContext { ctx, cells: &mut cells, timers: &mut timers, stamp };
        self.process_group(&key, &values, &mut stateful).map_err(|error| {
            if error.place("step").is_some() {
                // It comes from further down the chain.
                return error;
            }
            let mut preview = Preview::default();
            F::Key::coder().preview(&key, &mut preview);
            error.at("key", preview.finish())
        })
    }

    fn facts(&self) -> DoFnFacts {
        self.function.facts().with_need(Capability::State)
    }
}
