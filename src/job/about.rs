//! Who has started a run, and how: for its records, never for what it writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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
    /// What resources cost.
    #[serde(skip)]
    pub prices: Option<Prices>,
    /// The number of the signal that has stopped the run, or 0.
    #[serde(skip)]
    pub signal: Arc<AtomicU8>,
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
