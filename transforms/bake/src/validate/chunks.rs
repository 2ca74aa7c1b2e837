//! The checks of values as a pipeline: whoever runs its stages reads the chunks.

use std::sync::Arc;

use array::{ArraySource, DatasetSource, Fetched, Region, Variable};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::Result;
use dataflow::prelude::{
    CombineFn, CombineGlobally, Create, PCollection, PTransform, ParDo, Pipeline,
};

use super::check::Checks;
use super::report::ValidationReport;
use super::values::ValueChecks;

/// Pieces that the chunks of a variable are cut into: enough for many workers.
const PIECES: u64 = 256;
/// How many times a decoded chunk may be in memory while it is looked at: decoded, encoded, and the
/// next one, which is fetched meanwhile.
const COPIES_OF_A_CHUNK: u64 = 3;

/// A variable, the first of its chunks and the one after the last, in C order.
type Piece = (String, (u64, u64));

/// Reads every chunk of the variables that some check of values is about, once, and gives one
/// report of all.
///
/// Findings name no files. Memory: three copies of a chunk for each bundle.
#[derive(Debug, Clone)]
pub struct ValidateChunks {
    source: Arc<dyn DatasetSource>,
    checks: Checks,
    pieces: Vec<Piece>,
    chunk_bytes: u64,
    /// A dimension, and the first element along it that is looked at.
    since: Option<(String, u64)>,
}

impl ValidateChunks {
    /// Looks at all chunks of a dataset.
    ///
    /// # Errors
    /// A variable that cannot be read, or whose packing cannot.
    pub fn new(source: Arc<dyn DatasetSource>, checks: Checks) -> Result<Self> {
        let (mut pieces, mut chunk_bytes) = (Vec::new(), 0);
        for variable in ValueChecks::new(&checks, source.dataset())?.variables() {
            let array = source.array(&variable.name)?;
            let facts = array.facts();
            let chunk: u64 = facts.grid.largest_chunk().iter().product();
            chunk_bytes = chunk_bytes.max(chunk * facts.dtype.estimated_bytes());
            let count = facts.grid.chunk_count();
            let step = count.div_ceil(PIECES).max(1);
            let starts = (0..count).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            pieces.extend(
                starts.map(|start| (variable.name.clone(), (start, (start + step).min(count)))),
            );
        }
        Ok(Self { source, checks, pieces, chunk_bytes, since: None })
    }

    /// Leaves out chunks all of whose elements lie before this one along a dimension, and variables
    /// that do not have it.
    #[must_use]
    pub fn since(mut self, dimension: &str, start: u64) -> Self {
        self.since = Some((dimension.to_owned(), start));
        self
    }

    /// Whether there is nothing to read.
    pub fn is_nothing(&self) -> bool {
        self.pieces.is_empty()
    }

    fn is_left_out(&self, variable: &Variable, region: &Region) -> bool {
        let Some((dimension, start)) = &self.since else { return false };
        let axis = variable.axis_of(dimension);
        axis.and_then(|axis| region.ranges().nth(axis)).is_none_or(|it| it.end <= *start)
    }

    /// Judges some chunks, the next one on its way while one is looked at.
    fn judge(&self, (name, (start, end)): &Piece) -> Result<ValidationReport> {
        let dataset = self.source.dataset();
        let values = ValueChecks::new(&self.checks, dataset)?;
        let variable = dataset.expect_variable(name)?;
        let array = self.source.array(name)?;
        let (grid, dtype) = (&array.facts().grid, array.facts().dtype);
        let wanted = (*start..*end).map(|linear| grid.index_of(linear)).filter_map(|index| {
            let region = grid.region(&index);
            (!self.is_left_out(variable, &region)).then_some((index, region))
        });
        let mut fetched = wanted.map(|(index, region)| fetch(array.as_ref(), index, region));
        let mut report = ValidationReport::new(Checks::default());
        let mut next = fetched.next().transpose()?;
        while let Some((index, region, chunk)) = next {
            next = fetched.next().transpose()?;
            let decoded = chunk.into_chunks(dtype, std::slice::from_ref(&region));
            let decoded = decoded.map_err(|error| error.at("chunk", format_args!("{index:?}")))?;
            report.chunk_count += 1;
            for chunk in &decoded {
                let found = values.judge(name, &index, chunk)?;
                found.into_iter().for_each(|finding| report.add(finding));
            }
        }
        Ok(report)
    }
}

type Coming = (Vec<u64>, Region, Box<dyn Fetched>);

fn fetch(array: &dyn ArraySource, index: Vec<u64>, region: Region) -> Result<Coming> {
    let fetched = array.fetch(std::slice::from_ref(&region))?;
    Ok((index, region, fetched))
}

impl PTransform<Pipeline> for ValidateChunks {
    type Output = PCollection<ValidationReport>;

    fn expand(self, pipeline: Pipeline) -> Self::Output {
        let pieces = pipeline.apply(Create::of(self.pieces.clone()));
        let reports = pieces.apply(ParDo::of(JudgeChunks(self)));
        reports.apply(CombineGlobally::of(AddReports))
    }
}

#[derive(Debug, Clone)]
struct JudgeChunks(ValidateChunks);

impl DoFn for JudgeChunks {
    type In = Piece;
    type Out = ValidationReport;

    fn process(
        &mut self,
        piece: Piece,
        ctx: &mut ProcessContext<'_, ValidationReport>,
    ) -> Result<()> {
        let report = self.0.judge(&piece).map_err(|error| error.at("variable", &piece.0))?;
        ctx.output(report)
    }

    fn facts(&self) -> DoFnFacts {
        let Self(ValidateChunks { checks, since, chunk_bytes, .. }) = self;
        DoFnFacts::default()
            .with_parameters(format!("{checks} {since:?}"))
            .with_working_bytes(chunk_bytes.saturating_mul(COPIES_OF_A_CHUNK))
    }
}

#[derive(Debug, Clone)]
struct AddReports;

impl CombineFn for AddReports {
    type In = ValidationReport;
    type Acc = ValidationReport;
    type Out = ValidationReport;

    fn create(&self) -> ValidationReport {
        ValidationReport::new(Checks::default())
    }

    fn add(&self, all: &mut ValidationReport, one: ValidationReport) {
        all.merge(one);
    }

    fn merge(&self, all: &mut ValidationReport, other: ValidationReport) {
        all.merge(other);
    }

    fn extract(&self, all: ValidationReport) -> ValidationReport {
        all
    }
}
