//! Workers as threads of the process that submits.

use std::sync::Mutex;
use std::time::Duration;

use crossbeam_channel::Receiver;
use dataflow::bundle::Setting;
use dataflow::cancel::CancelToken;
use dataflow::error::Error;
use dataflow::plan::StageGraph;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::harness::{Endpoints, Store, Worker};

/// Between two looks whether the job is over.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// What workers need, whoever wants them.
pub(crate) struct Work<'a> {
    pub(crate) graph: &'a StageGraph,
    pub(crate) setting: &'a Setting,
    /// Stops the bundles of all workers.
    pub(crate) bundles: &'a CancelToken,
    pub(crate) store: &'a Store,
    pub(crate) runtime: &'a Handle,
    pub(crate) stopped: watch::Receiver<bool>,
    /// Why a worker has ended early.
    pub(crate) lost: Mutex<Option<Error>>,
}

impl Work<'_> {
    /// Starts workers as they are wanted, until the job is over.
    pub(crate) fn all(&self, wanted: &Receiver<Endpoints>) {
        let Self { graph, setting, bundles, store, runtime, .. } = *self;
        std::thread::scope(|scope| {
            while !*self.stopped.borrow() {
                let Ok(endpoints) = wanted.recv_timeout(LOOK_PERIOD) else { continue };
                let stop = self.stopped.clone();
                scope.spawn(move || {
                    // Of this worker alone: a runner may end one and go on with others.
                    let bundles = &bundles.child();
                    let setting = &setting.clone().with_cancel(bundles);
                    let worker = Worker { graph, setting, bundles, store, runtime, stop };
                    if let Err(error) = worker.serve(&endpoints) {
                        tracing::warn!(worker = %endpoints.worker_id, %error, "a worker has ended");
                        let mut lost = self.lost.lock().unwrap_or_else(|it| it.into_inner());
                        lost.get_or_insert(error);
                    }
                });
            }
        });
    }
}
