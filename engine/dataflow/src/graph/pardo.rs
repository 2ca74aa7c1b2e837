//! ParDo: links a DoFn into a chain of receivers.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::dofn::{
    DoFn, DoFnFacts, OnCommit, ProcessContext, SideInputs, Step, Tag, TaggedBuffers,
};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::graph::{ElementPlace, Env, NodeId, Noted, Shown, Side};
use crate::metrics::StepMetrics;
use crate::receiver::{AnyBuffer, AnyReceiver, Batch, OutputBuffer, Receiver};
use crate::window::{Stamp, Times};

/// A DoFn whose types the graph has forgotten.
pub trait Elementwise: Send + Sync {
    /// What is known of it.
    fn facts(&self) -> ElementwiseFacts;

    /// The receiver of its input; `outputs` are the receivers of its outputs, the main one first.
    ///
    /// `idle` is the stamp of what is made of no element, if the windows of the input leave one.
    ///
    /// # Errors
    /// A `setup` or `start_bundle` that fails.
    fn link(
        &self,
        node: NodeId,
        sides: &[Side],
        idle: Option<Stamp>,
        outputs: Vec<AnyReceiver>,
        env: &Env,
    ) -> Result<AnyReceiver>;
}

/// What is known of an [`Elementwise`] before it runs.
#[derive(Debug, Clone, Default)]
pub struct ElementwiseFacts {
    /// What the DoFn says of itself.
    pub dofn: DoFnFacts,
    /// The names of its additional outputs, in order.
    pub tags: Vec<&'static str>,
    /// Whether it gives its outputs times or windows of their own.
    pub sets_stamps: bool,
}

/// Makes the buffer of an additional output from its receiver.
type LinkTag = fn(AnyReceiver) -> Box<dyn AnyBuffer>;

/// A DoFn and its additional outputs.
#[derive(Clone)]
pub struct RunParDo<F> {
    dofn: F,
    tags: Vec<(&'static str, LinkTag)>,
    stamping: Option<Duration>,
}

impl<F> RunParDo<F> {
    /// A DoFn with a main output only.
    pub fn new(dofn: F) -> Self {
        Self { dofn, tags: Vec::new(), stamping: None }
    }

    /// Lets it set the times of its outputs, by at most `skew` before those of its elements.
    #[must_use]
    pub fn with_stamping(mut self, skew: Duration) -> Self {
        self.stamping = Some(skew);
        self
    }

    /// Adds the output of a tag.
    #[must_use]
    pub fn with_tag<T: Element>(mut self, tag: &Tag<T>) -> Self {
        let link: LinkTag = |next| Box::new(OutputBuffer::new(next.typed::<T>()));
        self.tags.push((tag.name(), link));
        self
    }
}

impl<F> fmt::Debug for RunParDo<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags: Vec<&str> = self.tags.iter().map(|(name, _)| *name).collect();
        f.debug_struct("RunParDo").field("tags", &tags).finish_non_exhaustive()
    }
}

impl<F: DoFn> Elementwise for RunParDo<F> {
    fn facts(&self) -> ElementwiseFacts {
        let tags = self.tags.iter().map(|(name, _)| *name).collect();
        let sets_stamps = self.stamping.is_some();
        ElementwiseFacts { dofn: self.dofn.facts(), tags, sets_stamps }
    }

    fn link(
        &self,
        node: NodeId,
        sides: &[Side],
        idle: Option<Stamp>,
        outputs: Vec<AnyReceiver>,
        env: &Env,
    ) -> Result<AnyReceiver> {
        let mut outputs = outputs.into_iter();
        let main = outputs.next().expect("a ParDo has a main output").typed::<F::Out>();
        let pairs = self.tags.iter().zip(outputs);
        let mut receiver = Chained {
            node,
            alive: Alive(Some(self.dofn.clone())),
            main: OutputBuffer::new(main),
            tagged: pairs.map(|((name, link), next)| (*name, link(next))).collect(),
            sides: env.sides(sides),
            metrics: StepMetrics::default(),
            idle,
            stamp: Some(Stamp::EARLIEST),
            stamping: self.stamping,
            on_commit: Vec::new(),
            place: ElementPlace { node, start: env.progress().done, ordinal: 0 },
            env: env.clone(),
        };
        receiver.set_stamp(idle);
        receiver.begin()?;
        Ok(AnyReceiver::new::<F::In>(receiver))
    }
}

/// A DoFn that is torn down exactly once: by [`Alive::end`], or after a failure when it is dropped.
struct Alive<F: DoFn>(Option<F>);

impl<F: DoFn> Alive<F> {
    fn get(&mut self) -> &mut F {
        self.0.as_mut().expect("a DoFn lives until it is torn down")
    }

    fn end(mut self) {
        if let Some(mut dofn) = self.0.take() {
            dofn.teardown();
        }
    }
}

impl<F: DoFn> Drop for Alive<F> {
    fn drop(&mut self) {
        if let Some(mut dofn) = self.0.take() {
            // The failure that came before is the one to report, not a panic that follows from it.
            let torn_down = catch_unwind(AssertUnwindSafe(|| dofn.teardown()));
            drop(torn_down);
        }
    }
}

/// A DoFn within a chain.
struct Chained<F: DoFn> {
    node: NodeId,
    alive: Alive<F>,
    main: OutputBuffer<F::Out>,
    tagged: TaggedBuffers,
    sides: SideInputs,
    metrics: StepMetrics,
    idle: Option<Stamp>,
    /// The stamp of the element that is processed; between elements, the idle one.
    stamp: Option<Stamp>,
    stamping: Option<Duration>,
    on_commit: Vec<OnCommit>,
    /// Where the next element stands.
    place: ElementPlace,
    env: Env,
}

impl<F: DoFn> Chained<F> {
    fn begin(&mut self) -> Result<()> {
        let before = self.env.enter(self.node);
        let begun = self.alive.get().setup().and_then(|()| self.alive.get().start_bundle());
        self.env.enter(before);
        begun.map_err(|error| self.blame(error))
    }

    /// Runs `work` as code of this step.
    fn run(
        &mut self,
        work: impl FnOnce(&mut F, &mut ProcessContext<'_, F::Out>) -> Result<()>,
    ) -> Result<()> {
        let step = self.env.step(self.node);
        let mut ctx = ProcessContext {
            main: &mut self.main,
            tagged: &mut self.tagged,
            sides: &self.sides,
            metrics: &mut self.metrics,
            on_commit: &mut self.on_commit,
            cancel: &self.env.cancel,
            budget: &self.env.budget,
            scratch: &self.env.scratch,
            payloads: &self.env.payloads,
            stamp: self.stamp,
            stamping: self.stamping,
            step: Step { name: &step.name, location: step.location },
        };
        work(self.alive.get(), &mut ctx)
    }

    fn process_all(&mut self, values: &mut Vec<F::In>, times: &Times) -> Result<()> {
        if self.env.notes_elements {
            return self.process_noting(values, times);
        }
        let count = values.len();
        let mut left = values.drain(..);
        let processed = match times {
            Times::Same(stamp) => {
                self.set_stamp(Some(*stamp));
                self.run(|dofn, ctx| left.try_for_each(|element| dofn.process(element, ctx)))
            }
            Times::Each(stamps) => left.by_ref().zip(stamps).try_for_each(|(element, stamp)| {
                self.set_stamp(Some(*stamp));
                self.run(|dofn, ctx| dofn.process(element, ctx))
            }),
        };
        let taken = (count - left.len()) as u64;
        if processed.is_err() {
            let ordinal = self.place.ordinal + taken - 1;
            let place = Some(ElementPlace { ordinal, ..self.place });
            self.env.note_element(self.node, Some(Noted { place, shown: None }));
        }
        self.place.ordinal += taken;
        processed
    }

    fn process_noting(&mut self, values: &mut Vec<F::In>, times: &Times) -> Result<()> {
        let coder = F::In::coder();
        for (index, element) in values.drain(..).enumerate() {
            let place = self.place;
            self.place.ordinal += 1;
            let shown = Shown::of(&coder, &element);
            if self.env.leaves_out(place, || shown.clone())? {
                continue;
            }
            self.env
                .note_element(self.node, Some(Noted { place: Some(place), shown: Some(shown) }));
            self.set_stamp(Some(times.get(index)));
            self.run(|dofn, ctx| dofn.process(element, ctx))?;
            // What fails further down was made of this element.
            self.flush()?;
        }
        Ok(())
    }

    /// Outputs have the stamp of the element that they are made of.
    fn set_stamp(&mut self, stamp: Option<Stamp>) {
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        self.main.set_stamp(stamp);
        self.tagged.iter_mut().for_each(|(_, buffer)| buffer.set_stamp(stamp));
    }

    fn flush(&mut self) -> Result<()> {
        self.main.flush()?;
        self.tagged.iter_mut().try_for_each(|(_, buffer)| buffer.flush())
    }

    fn blame(&self, error: Error) -> Error {
        self.env.blame(self.node, error)
    }
}

impl<F: DoFn> Receiver<F::In> for Chained<F> {
    fn push(&mut self, batch: &mut Batch<F::In>) -> Result<()> {
        self.env.cancel.check()?;
        let before = self.env.enter(self.node);
        let mut values = std::mem::take(&mut batch.values);
        let processed = self.process_all(&mut values, &batch.times);
        batch.values = values;
        processed.map_err(|error| self.blame(error))?;
        // Nothing stays behind: what fails from here on was made of this batch.
        self.flush()?;
        self.env.enter(before);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let before = self.env.enter(self.node);
        if self.env.notes_elements {
            self.env.note_element(self.node, None);
        }
        self.set_stamp(self.idle);
        let finished = self.run(|dofn, ctx| dofn.finish_bundle(ctx));
        finished.map_err(|error| self.blame(error))?;
        let Self { node, alive, main, tagged, metrics, on_commit, env, .. } = *self;
        alive.end();
        env.add_metrics(&metrics.of_step(&env.step(node).name));
        env.add_on_commit(node, on_commit);
        main.finish()?;
        tagged.into_iter().try_for_each(|(_, buffer)| buffer.finish())?;
        env.enter(before);
        Ok(())
    }
}
