//! The messages of Beam's portability protocols, as far as they are used here.
//!
//! Names, packages and field numbers are Beam's; fields that nothing here reads or writes are left
//! out, which the encoding allows: whoever receives a message skips what it does not know.
//! `tests/interop` compares every field with the descriptors that Beam's Python SDK ships.
//!
//! Source: Apache Beam, `model/{pipeline,fn-execution,job-management}`.

pub(crate) mod known;

pub(crate) mod pipeline;

pub(crate) mod fn_api;

pub(crate) mod job;
