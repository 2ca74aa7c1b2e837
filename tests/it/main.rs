//! Tests of the house as a whole, in one binary.

mod append;
mod asks;
mod asks_of_chunks;
mod asks_of_runs;
mod asks_of_validation;
mod aws;
mod bad_input;
mod bake;
mod baking;
mod batch;
mod beam;
mod cli;
mod coders;
mod command;
mod conformance;
mod counting;
mod creating;
mod determinism;
mod engine;
mod equivalence;
mod examples;
mod fetching;
mod filling;
mod formats_on_stores;
mod golden;
mod grib;
mod grids;
mod http;
mod joined_grids;
mod joining;
mod keyed_store;
mod killing;
#[path = "../../formats/objects/src/loopback.rs"]
#[expect(dead_code, reason = "tests of other crates look at more of it")]
mod loopback;
mod made;
mod memory;
mod netcdf;
mod passing;
mod policies;
mod random_pipelines;
mod random_recipes;
mod rechunk;
mod recipes;
mod references;
mod regions;
mod reports;
mod resume;
mod schema;
mod secrets;
#[path = "../../formats/objects/src/served.rs"]
mod served;
mod settings;
mod tables;
mod tabular;
mod targets;
mod tidy;
mod tls;

mod zarr;
