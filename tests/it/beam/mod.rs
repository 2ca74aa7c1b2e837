//! `--runner beam`: bakes and recipes on a runner of Apache Beam, from the command line.

mod job_service;
mod workers;

mod bakes;
mod payloads;
mod recipes;
mod refused;
