//! A runner of Beam that does all that runners may do, and that none does all at once.
//!
//! It renames every id, puts lengths before every value, cuts messages anywhere, sends data before
//! the bundle that it is for, mixes the data of bundles, sends iterables without their number, pages
//! state byte by byte, and asks for progress and splits of bundles that it does not have.

mod engine;
mod services;
mod values;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use self::services::Services;
use crate::rpc::serve;

/// What goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// Nothing but what a runner may do.
    None,
    /// The control stream ends when the first bundle has begun.
    DropsControl,
    /// The data stream ends before the last message.
    DropsData,
    /// The last message ends within an element.
    CutsElement,
    /// State is refused.
    RefusesState,
    /// Elements are sent with another coder than the transform's.
    LiesAboutCoder,
}

/// A server that ends when it is dropped.
pub(crate) struct FakeRunner {
    pub(crate) endpoint: String,
    services: Arc<Services>,
    runtime: Option<Runtime>,
}

impl FakeRunner {
    pub(crate) fn start(mischief: Mischief) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("threads");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
        let endpoint = listener.local_addr().expect("bound").to_string();
        let services = Services::new(endpoint.clone(), mischief, runtime.handle().clone());
        let services = Arc::new(services);
        runtime.spawn(serve(listener, Arc::<Services>::clone(&services)));
        Self { endpoint, services, runtime: Some(runtime) }
    }

    /// What the worker has said: instruction, transform, code and text of each line.
    pub(crate) fn log(&self) -> Vec<[String; 4]> {
        let lines = self.services.log().into_iter();
        lines.map(|it| [it.instruction_id, it.transform_id, it.log_location, it.message]).collect()
    }

    /// What ends the control stream of the worker, whatever it is at, and fails the job.
    pub(crate) fn killer(&self) -> impl Fn() + Clone + Send + Sync + 'static {
        let services = Arc::clone(&self.services);
        move || services.lose_worker()
    }
}

impl Drop for FakeRunner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
