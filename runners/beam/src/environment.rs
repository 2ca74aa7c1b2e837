//! Where the workers of a job run, and how a runner comes by them.

use std::collections::BTreeMap;

use prost::Message as _;

use crate::proto::pipeline::{
    ApiServiceDescriptor, DockerPayload, Environment, ExternalPayload, ProcessPayload,
};
use crate::submit::urns;

/// Where the workers of a job run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WorkerEnvironment {
    /// Threads of the process that submits: the runner must be able to reach it.
    #[default]
    Loopback,
    /// A pool of workers that listens at `HOST:PORT`, which every machine of the runner must reach.
    External(String),
    /// Processes that the runner starts on its own machines, by the path of a program there.
    Process {
        /// The program; it is given flags, and no other words.
        command: String,
        /// Variables that it is given besides.
        variables: BTreeMap<String, String>,
    },
    /// Containers of an image whose entry point takes the flags of Beam.
    Docker(String),
}

impl WorkerEnvironment {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::External(_) => "external",
            Self::Process { .. } => "process",
            Self::Docker(_) => "docker",
        }
    }

    /// What a runner is told; `pool` is where the pool of this process listens, if it has one.
    pub(crate) fn told(&self, pool: Option<&str>) -> Environment {
        let external = |address: &str| {
            let endpoint = Some(ApiServiceDescriptor { url: address.to_owned() });
            (urns::EXTERNAL, ExternalPayload { endpoint }.encode_to_vec())
        };
        let (urn, payload) = match self {
            Self::Loopback => external(pool.unwrap_or_default()),
            Self::External(address) => external(address),
            Self::Process { command, variables } => {
                let (command, env) = (command.clone(), variables.clone());
                (urns::PROCESS, ProcessPayload { command, env }.encode_to_vec())
            }
            Self::Docker(image) => {
                let container_image = image.clone();
                (urns::DOCKER, DockerPayload { container_image }.encode_to_vec())
            }
        };
        Environment {
            urn: urn.to_owned(),
            payload,
            capabilities: urns::CAPABILITIES.map(str::to_owned).to_vec(),
            dependencies: Vec::new(),
        }
    }
}
