//! The batch runner as its users meet it: workers that are processes, stores that are servers.

mod bakery;
mod commands;
mod conformance;
mod emulated;
mod failing;
mod followed;
mod processes;
mod rebuilt;
mod recipe;
mod terminal;
