//! A proxy in front of an S3 server that does to requests what stores and networks do to them.
//!
//! What goes through is passed on byte for byte, with its `Host`, so that signatures stay valid.
//! `README.md` says how it is started and what rules there are. Read `rules.rs` first, then
//! `proxy.rs`.

#[path = "../loopback/mod.rs"]
mod loopback;

mod control;
mod operation;
mod past;
mod proxy;
mod rules;
#[cfg(test)]
mod tests;

use std::io;

use clap::Parser as _;

use loopback::{lifetime, listen};
use proxy::Proxy;

/// A proxy on loopback in front of an S3 server, with faults.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "store-faults")]
struct Options {
    /// The server: http://HOST:PORT
    #[arg(long)]
    upstream: String,
    /// Port of 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Decides what is left to chance
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A rule that stands from the start, in JSON
    #[arg(long, value_name = "JSON")]
    rule: Vec<String>,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let proxy = Proxy::new(&options.upstream, options.seed, &options.rule)?;
    let address = listen::listen(options.port, move |stream| proxy.serve(stream))?;
    lifetime::announce(address)?;
    lifetime::wait_for_end()
}
