//! Runners of Apache Beam on the command line: where one is, and the workers that it starts.

mod args;
mod worker;

pub(crate) use args::{BeamArgs, PoolArgs, beam_of};
pub(crate) use worker::{of_recipe, pool, worker, worker_words};
