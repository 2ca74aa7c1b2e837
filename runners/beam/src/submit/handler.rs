//! What a function of ours says of itself: which part of which transform of which pipeline it is.

use dataflow::bundle::Part;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::graph::{CollectionId, GroupPart, NodeId};
use dataflow::plan::StageGraph;
use prost::Message;

use super::urns;
use crate::proto::pipeline::FunctionSpec;

/// The payload of a function of ours.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Handler {
    /// The identity of the plan.
    #[prost(string, tag = "1")]
    pub(crate) fingerprint: String,
    /// The full name of the transform.
    #[prost(string, tag = "2")]
    pub(crate) step: String,
    /// A place in [`KINDS`].
    #[prost(uint32, tag = "3")]
    kind: u32,
    /// Which output of the transform, where a part is of a collection.
    #[prost(uint32, tag = "4")]
    output: u32,
}

/// What a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A part of the pipeline.
    Part(Part),
    /// Keeps a collection for the caller.
    Store(CollectionId),
    /// Lets the elements of a collection pass as they are, where a runner wants something between.
    Pass(CollectionId),
    /// Takes what comes, and does nothing: a pipeline without a transform has no other function.
    Nothing,
}

/// The kinds of roles; the numbers travel, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Group(GroupPart),
    Spread,
    Gather,
    KeepWindow,
    Keep,
    Store,
    TakeOver,
    Pass,
    Nothing,
}

const KINDS: [(u32, Kind); 15] = [
    (1, Kind::Whole),
    (2, Kind::Group(GroupPart::Precombine)),
    (3, Kind::Group(GroupPart::Merge)),
    (4, Kind::Group(GroupPart::Extract)),
    (5, Kind::Group(GroupPart::Combine)),
    (6, Kind::Group(GroupPart::KeepTimes)),
    (7, Kind::Group(GroupPart::ByTime)),
    (8, Kind::Spread),
    (9, Kind::Gather),
    (10, Kind::KeepWindow),
    (11, Kind::Keep),
    (12, Kind::Store),
    (13, Kind::TakeOver),
    (14, Kind::Pass),
    (15, Kind::Nothing),
];

impl Handler {
    /// The handler of a role in this plan; a join has none, since only runners put it in.
    fn of(graph: &StageGraph, role: Role) -> Self {
        let (kind, node, output) = match role {
            Role::Part(Part::Whole(node)) => (Kind::Whole, node, 0),
            Role::Part(Part::Group(node, part)) => (Kind::Group(part), node, 0),
            Role::Part(Part::Spread(id)) => of_collection(graph, Kind::Spread, id),
            Role::Part(Part::Gather(id)) => of_collection(graph, Kind::Gather, id),
            Role::Part(Part::KeepWindow(id)) => of_collection(graph, Kind::KeepWindow, id),
            Role::Part(Part::Keep(id)) => of_collection(graph, Kind::Keep, id),
            Role::Part(Part::TakeOver(id)) => of_collection(graph, Kind::TakeOver, id),
            Role::Store(id) => of_collection(graph, Kind::Store, id),
            Role::Pass(id) => of_collection(graph, Kind::Pass, id),
            Role::Part(Part::Join) | Role::Nothing => (Kind::Nothing, NodeId(0), 0),
        };
        let number = KINDS.iter().find(|(_, known)| *known == kind);
        let (kind, _) = *number.expect("every kind has a number");
        let step = graph.graph().nodes.get(node.0 as usize).map(|node| node.name.clone());
        let step = step.unwrap_or_default();
        Self { fingerprint: graph.fingerprint().to_string(), step, kind, output }
    }

    /// The function of a role in this plan.
    pub(crate) fn spec(graph: &StageGraph, role: Role) -> FunctionSpec {
        let payload = Self::of(graph, role).encode_to_vec();
        FunctionSpec { urn: urns::HANDLER.to_owned(), payload }
    }

    /// The handler that a function of ours names.
    ///
    /// # Errors
    /// A function of somebody else.
    pub(crate) fn read(spec: Option<&FunctionSpec>) -> Result<Self> {
        let spec = spec.filter(|spec| spec.urn == urns::HANDLER);
        let spec = spec.ok_or_else(|| foreign("a function that is not Levain's"))?;
        Self::decode(&spec.payload[..])
            .map_err(|why| foreign(&format!("a damaged function: {why}")))
    }

    /// What it does, in the pipeline that this worker has built.
    ///
    /// # Errors
    /// A handler of another pipeline.
    pub(crate) fn role(&self, graph: &StageGraph) -> Result<Role> {
        let own = graph.fingerprint().to_string();
        if self.fingerprint != own {
            let message = "this worker was built from another recipe, or with other arguments, than \
                           the job";
            let error = Error::new(ErrorCode::FINGERPRINT, ErrorKind::Conflict, message);
            let error = error.at("driver", &self.fingerprint).at("worker", own);
            return Err(error.mend("run the same program with the same arguments on both sides"));
        }
        let known = KINDS.iter().find(|(number, _)| *number == self.kind);
        let (_, kind) = known.ok_or_else(|| foreign(&format!("a part of kind {}", self.kind)))?;
        if *kind == Kind::Nothing {
            return Ok(Role::Nothing);
        }
        let found = graph.graph().iter().find(|(_, node)| node.name == self.step);
        let unknown = || foreign(&format!("the unknown transform `{}`", self.step));
        let (id, node) = found.ok_or_else(unknown)?;
        let collection = || node.outputs.get(self.output as usize).copied().ok_or_else(unknown);
        Ok(Role::Part(match kind {
            Kind::Whole => Part::Whole(id),
            Kind::Group(part) => Part::Group(id, *part),
            Kind::Spread => Part::Spread(collection()?),
            Kind::Gather => Part::Gather(collection()?),
            Kind::KeepWindow => Part::KeepWindow(collection()?),
            Kind::Keep => Part::Keep(collection()?),
            Kind::TakeOver => Part::TakeOver(collection()?),
            Kind::Store => return Ok(Role::Store(collection()?)),
            Kind::Pass => return Ok(Role::Pass(collection()?)),
            Kind::Nothing => return Ok(Role::Nothing),
        }))
    }
}

fn of_collection(graph: &StageGraph, kind: Kind, id: CollectionId) -> (Kind, NodeId, u32) {
    let producer = graph.graph().collection(id).producer;
    let outputs = &graph.graph().node(producer).outputs;
    let place = outputs.iter().position(|&output| output == id);
    let place = place.expect("a collection is an output of its producer");
    (kind, producer, place as u32)
}

fn foreign(what: &str) -> Error {
    let message = format!("the runner asks for {what}");
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported, message)
        .mend("run the same version of the program on both sides")
}
