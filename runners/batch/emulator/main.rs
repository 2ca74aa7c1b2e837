//! An emulator of AWS Batch that really runs jobs: as processes of this machine, without containers.
//!
//! It answers the REST-JSON of Batch, the JSON of CloudWatch Logs, and a control plane for tests,
//! on one port of loopback. `README.md` says how it is started. Read `world.rs` first: all that the
//! emulator knows; then `submit.rs` and `schedule.rs`: how a job comes to be and how it goes on.

#[path = "../loopback/mod.rs"]
mod loopback;

mod answer;
mod ask;
mod clock;
mod control;
mod definitions;
mod describe;
mod group;
mod identity;
mod instance;
mod job;
mod jobs;
mod list;
mod logs;
mod operations;
mod options;
mod places;
mod process;
mod resources;
mod retry;
mod rules;
mod run;
mod schedule;
mod service;
mod status;
mod stop;
mod submit;
mod tags;
#[cfg(test)]
mod tests;
mod world;

use std::io;

use clap::Parser as _;

use loopback::lifetime;
use options::Options;
use service::Service;

fn main() -> io::Result<()> {
    let options = Options::parse();
    let (service, address) = Service::start(options)?;
    lifetime::announce(address)?;
    lifetime::wait_for_end()?;
    service.end();
    Ok(())
}
