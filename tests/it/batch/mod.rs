//! The batch runner as its users meet it: workers that are processes, stores that are servers.

mod bakery;
mod closed;
mod commands;
mod conformance;
mod emulated;
mod failing;
mod followed;
mod networks;
mod processes;
mod promises;
mod rebuilt;
pub(crate) mod recipe;
mod terminal;
mod uploads;
