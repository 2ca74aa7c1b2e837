//! The batch runner as its users meet it: workers that are processes, stores that are servers.

mod bakery;
mod conformance;
mod emulated;
mod failing;
mod processes;
mod rebuilt;
