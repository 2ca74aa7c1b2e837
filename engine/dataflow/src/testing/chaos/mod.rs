//! A runner that does at random whatever a runner may do.

mod runner;
mod shuffle;

#[cfg(test)]
mod tests;

pub use runner::ChaosRunner;
