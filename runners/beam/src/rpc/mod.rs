//! gRPC: calls by their path, with the messages of [`crate::proto`].
//!
//! No code is generated: a method is its path and the types of two messages.

mod client;
mod server;

pub(crate) use client::{Answers, Rpc, queue, said};
#[cfg(test)]
pub(crate) use server::streaming;
pub(crate) use server::{Answer, Service, serve, unary};
