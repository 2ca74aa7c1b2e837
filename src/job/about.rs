//! Who has started a run, and how: for its records, never for what it writes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use dataflow::cancel::CancelToken;
use objects::Location;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::report::Prices;

/// What the records of a run say of its start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunAbout {
    /// The command: `bake`, `rechunk`.
    #[serde(default)]
    pub kind: String,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// The program by its version and digest, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// The command line, without secrets.
    #[serde(default)]
    pub command: Vec<String>,
    /// Settings that somebody has set, each with its value, layer and place, without secrets.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// How the command is given again; nothing where that would tell a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The machine, as it calls itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The process; 0 where nobody has said it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub process: u32,
    /// What resources cost.
    #[serde(skip)]
    pub prices: Option<Prices>,
    /// The number of the signal that has stopped the run, or 0.
    #[serde(skip)]
    pub signal: Arc<AtomicU8>,
    /// Asks the driver of workers to go and to leave the run to another.
    #[serde(skip)]
    pub leave: CancelToken,
    /// Is told where the records of each run lie, once it has begun.
    #[serde(skip)]
    pub on_begin: OnBegin,
}

/// How the command of a run is given again, elsewhere and later: nothing else of its surroundings is
/// needed but credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// The words of the command line after the program.
    pub words: Vec<String>,
    /// Every setting that somebody has set, as `KEY=VALUE`.
    pub settings: Vec<String>,
    /// The folder in which it ran; relative paths are meant from there.
    pub folder: String,
    /// Where it ran: `direct`, `procs`, `batch`.
    pub runner: String,
    /// The most workers at once, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
}

/// What is called when a run has begun.
#[derive(Clone, Default)]
pub struct OnBegin(Option<Arc<Listener>>);

type Listener = dyn Fn(&Location) + Send + Sync;

impl OnBegin {
    /// Calls this with the folder of the records.
    pub fn new(call: impl Fn(&Location) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(call)))
    }

    pub(crate) fn call(&self, folder: &Location) {
        if let Some(call) = &self.0 {
            call(folder);
        }
    }
}

impl fmt::Debug for OnBegin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnBegin").field("is_set", &self.0.is_some()).finish()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(process: &u32) -> bool {
    *process == 0
}

impl RunAbout {
    /// The exit code of a run that was stopped: by a signal, or by a limit.
    pub(crate) fn exit_code_of_stop(&self, otherwise: u8) -> u8 {
        match self.signal.load(Ordering::Relaxed) {
            0 => otherwise,
            signal => 128_u8.saturating_add(signal),
        }
    }
}
