//! Tests of the house as a whole, in one binary.

mod append;
mod asks;
mod bad_input;
mod bake;
mod baking;
mod cli;
mod coders;
mod command;
mod conformance;
mod determinism;
mod engine;
mod equivalence;
mod examples;
mod grib;
mod http;
mod joining;
mod made;
mod memory;
mod netcdf;
mod policies;
mod random_pipelines;
mod recipes;
mod resume;
mod tabular;
mod tidy;
mod zarr;
