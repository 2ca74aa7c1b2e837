//! The batch runner as its users meet it: workers that are processes, stores that are servers.

mod conformance;
mod emulated;
mod processes;
mod rebuilt;
mod recipe;
