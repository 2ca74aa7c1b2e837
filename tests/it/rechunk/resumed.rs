//! Runs that were killed.
