//! The batch runner: workers that speak to each other only through an object store.
//!
//! A driver plans, starts workers through a [`Launcher`], and watches; it is control plane only.
//! Read [`launch`] first: it is what a place for workers must offer.

pub mod launch;

pub use launch::Launcher;
