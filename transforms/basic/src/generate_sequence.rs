//! Consecutive integers.

use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{
    DoFn, Error, ErrorCode, ErrorKind, Impulse, PCollection, PTransform, ParDo, Pipeline,
    ProcessContext, Reshuffle, Result,
};

/// The most pieces that a sequence is spread in.
const PIECE_LIMIT: u64 = 1024;

/// The integers from a first one up to, but not including, another.
///
/// They are made where they are used: only the ends of pieces are shuffled.
///
/// ```
/// # use dataflow::prelude::{PCollection, Pipeline};
/// # use basic::GenerateSequence;
/// let numbers: PCollection<i64> = Pipeline::new().apply(GenerateSequence::from(0).to(10)?);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct GenerateSequence {
    start: i64,
    stop: i64,
}

/// The integers from a first one on, without end: no input of a pipeline until it is given one.
///
/// Pipelines are bounded, so an unbounded sequence is refused by its name when the recipe is
/// compiled:
///
/// ```compile_fail
/// # use dataflow::prelude::{PCollection, Pipeline};
/// # use basic::GenerateSequence;
/// // `UnboundedSequence` cannot be applied to `Pipeline`
/// let numbers: PCollection<i64> = Pipeline::new().apply(GenerateSequence::from(0));
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a sequence without end cannot be applied; end it with `to`"]
pub struct UnboundedSequence {
    start: i64,
}

impl GenerateSequence {
    /// The integers from `start` on; [`UnboundedSequence::to`] ends them.
    pub const fn from(start: i64) -> UnboundedSequence {
        UnboundedSequence { start }
    }
}

impl UnboundedSequence {
    /// Ends the sequence before `stop`.
    ///
    /// # Errors
    /// An end before the start.
    pub fn to(self, stop: i64) -> Result<GenerateSequence> {
        let Self { start } = self;
        if stop < start {
            let message = format!("a sequence from {start} to {stop} runs backwards");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend(format!("end it at {start} or above")));
        }
        Ok(GenerateSequence { start, stop })
    }
}

impl PTransform<Pipeline> for GenerateSequence {
    type Output = PCollection<i64>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        let pieces = pipeline.apply(Impulse).apply_named("Split", ParDo::of(Split(self)));
        pieces.apply(Reshuffle).apply_named("Count", ParDo::of(CountUp))
    }
}

/// Puts out the ends of pieces.
#[derive(Clone)]
struct Split(GenerateSequence);

impl DoFn for Split {
    type In = Vec<u8>;
    type Out = (i64, i64);

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, (i64, i64)>) -> Result<()> {
        let GenerateSequence { mut start, stop } = self.0;
        // More than `i64` holds may lie between its ends, but not more than a `u64` holds.
        let step = stop.abs_diff(start).div_ceil(PIECE_LIMIT).max(1);
        while start < stop {
            let end = start.checked_add_unsigned(step).map_or(stop, |end| end.min(stop));
            ctx.output((start, end))?;
            start = end;
        }
        Ok(())
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(format!("{}..{}", self.0.start, self.0.stop))
    }
}

/// Puts out the integers of a piece.
#[derive(Clone)]
struct CountUp;

impl DoFn for CountUp {
    type In = (i64, i64);
    type Out = i64;

    fn process(&mut self, piece: (i64, i64), ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        (piece.0..piece.1).try_for_each(|number| ctx.output(number))
    }
}
