//! What runners of Beam cannot do, one by one: a pipeline that needs it is refused before it is submitted.
//!
//! What is here was found out by running, or read in the source of the runner; `docs/beam.md` says which.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::plan::StageGraph;
use dataflow::runner::{Capabilities, Capability};

/// A runner of Beam, where it is known which one a job server speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RunnerKind {
    /// That of the Python SDK, for tests.
    Python,
    /// That of the Go SDK, on one machine.
    Prism,
    /// Apache Flink, by its portable job server.
    Flink,
    /// Apache Spark, by its portable job server.
    Spark,
    /// Google Cloud Dataflow.
    Dataflow,
}

/// Something that a runner lacks, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lack {
    /// The runner.
    pub kind: RunnerKind,
    /// What it lacks.
    pub capability: Capability,
    /// The row of the conformance suite that fails there when it is submitted all the same; without one,
    /// it was only read.
    pub row: Option<&'static str>,
}

/// What each lacks of what bundles of ours can do, and of what a graph shows.
///
/// Flink and Spark have no handler for finalization in batch: the job fails when the first bundle asks
/// for it. Dataflow has one, as far as it can be read; nothing else that a graph of ours shows is said to
/// be missing there.
const LACKING: &[Lack] = &[
    lack(RunnerKind::Flink, Capability::BundleFinalization, "LC5"),
    lack(RunnerKind::Spark, Capability::BundleFinalization, "LC5"),
];

const fn lack(kind: RunnerKind, capability: Capability, row: &'static str) -> Lack {
    Lack { kind, capability, row: Some(row) }
}

/// An option that only the job server of this runner lists.
const OPTIONS: &[(&str, RunnerKind)] = &[
    ("flink_master", RunnerKind::Flink),
    ("spark_master", RunnerKind::Spark),
    ("dataflow_endpoint", RunnerKind::Dataflow),
];

impl RunnerKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Python, Self::Prism, Self::Flink, Self::Spark, Self::Dataflow];

    /// What settings call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Prism => "prism",
            Self::Flink => "flink",
            Self::Spark => "spark",
            Self::Dataflow => "dataflow",
        }
    }

    /// The runner that settings call so.
    ///
    /// # Errors
    /// Another word.
    pub fn of_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            let message = format!("there is no runner of Beam called `{name}`");
            let known = Self::ALL.map(Self::name).join(", ");
            Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
                .mend(format!("there are: {known}"))
        })
    }

    /// What it lacks of the model for bounded input.
    pub fn lacks(self) -> impl Iterator<Item = Lack> {
        LACKING.iter().copied().filter(move |lack| lack.kind == self)
    }

    /// What of the model it offers to pipelines of ours.
    pub fn capabilities(self) -> Capabilities {
        self.lacks().fold(Capabilities::BOUNDED, |offered, lack| offered.without(lack.capability))
    }

    /// Whether it says that a bundle is durable only where that was announced.
    pub(crate) fn asks_what_announces(self) -> bool {
        self == Self::Prism
    }

    /// Refuses a pipeline that needs more than this runner offers.
    ///
    /// # Errors
    /// E104, with the first transform that needs more.
    pub fn check(self, graph: &StageGraph) -> Result<()> {
        graph.check_runnable(&format!("beam, on {}", self.name()), self.capabilities())
    }

    /// The runner whose job server lists options of these names, in any spelling. That of Prism lists
    /// none.
    pub(crate) fn of_options<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
        let mut names = names.into_iter().peekable();
        if names.peek().is_none() {
            return Some(Self::Prism);
        }
        names.find_map(|name| {
            let name = plain(name);
            let known = OPTIONS.iter().find(|(option, _)| plain(option) == name);
            known.map(|(_, kind)| *kind)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use dataflow::dofn::DoFnFacts;
    use dataflow::prelude::*;

    use super::*;
    use crate::BeamRunner;

    /// A step that is to know when its bundle is durable.
    #[derive(Debug, Clone)]
    pub(crate) struct Finalizing;

    impl DoFn for Finalizing {
        type In = i64;
        type Out = i64;

        fn facts(&self) -> DoFnFacts {
            DoFnFacts::default().with_need(Capability::BundleFinalization)
        }

        fn process(&mut self, n: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
            ctx.output(n)
        }
    }

    #[test]
    fn what_a_runner_lacks_is_refused_by_the_name_of_the_transform() {
        let pipeline = Pipeline::new();
        pipeline.apply(Create::of([1i64])).apply_named("Publish", ParDo::of(Finalizing));
        let runner = BeamRunner::at("localhost:1");
        for kind in RunnerKind::ALL {
            let own = runner.clone().with_kind(kind);
            let lacks = [RunnerKind::Flink, RunnerKind::Spark].contains(&kind);
            let compiled = pipeline.compile_for(&own);
            assert_eq!(compiled.is_err(), lacks, "{}", kind.name());
            let graph = pipeline.compile_for(&runner).expect("nothing is known of it");
            let Err(error) = kind.check(&graph) else { continue };
            assert_eq!(error.code(), ErrorCode::RUNNER_CANNOT);
            assert_eq!(error.place("step"), Some("Publish"), "{error}");
            let name = format!("the runner `beam, on {}` does not offer", kind.name());
            assert!(error.message().starts_with(&name), "{error}");
        }
    }

    #[test]
    fn a_job_server_is_known_by_its_options() {
        let of = |names: &[&'static str]| RunnerKind::of_options(names.iter().copied());
        assert_eq!(of(&["job_name", "flink_master"]), Some(RunnerKind::Flink));
        assert_eq!(of(&["sparkMaster"]), Some(RunnerKind::Spark));
        assert_eq!(of(&["job_name", "parallelism"]), None);
        assert_eq!(of(&[]), Some(RunnerKind::Prism));
    }

    #[test]
    fn what_a_runner_lacks_is_in_the_docs() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/beam.md");
        let docs = std::fs::read_to_string(docs).expect("it is there");
        for Lack { kind, capability, row } in
            RunnerKind::ALL.into_iter().flat_map(RunnerKind::lacks)
        {
            let known = row.map_or("read".to_owned(), |row| format!("run: {row}"));
            let line = format!("| {} | {capability} | {known}", kind.name());
            assert!(docs.contains(&line), "{line}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for kind in RunnerKind::ALL {
            assert_eq!(RunnerKind::of_name(kind.name()).expect("is one"), kind);
        }
        let error = RunnerKind::of_name("storm").expect_err("is none");
        assert!(error.to_string().contains("python, prism, flink, spark, dataflow"), "{error}");
    }
}
