//! The Beam model in Rust: what a pipeline is, how it is planned, and how a bundle of it runs.
//!
//! # The model on one page
//!
//! A *recipe* applies [transforms](ptransform::PTransform) to [collections](pcollection::PCollection)
//! of [elements](Element). That builds a [graph] and computes nothing. The graph is compiled into
//! [stages](plan): transforms that run together, element by element, on parts of their input. Such a
//! part is a *bundle*. Between stages elements are bytes, kept by the [shuffle]; within a stage they
//! are values, and never encoded.
//!
//! | what is applied | in, out | what it does |
//! |---|---|---|
//! | [`Impulse`](primitives::Impulse) | pipeline to one element | begins everything |
//! | [`ParDo`](primitives::ParDo) | `A` to any number of `B` | runs a [`DoFn`](dofn::DoFn) on each element |
//! | [`GroupByKey`](primitives::GroupByKey) | `(K, V)` to `(K, Iterable<V>)` | brings equal keys together |
//! | [`CombinePerKey`](primitives::CombinePerKey) | `(K, V)` to `(K, Out)` | makes one value of those of each key |
//! | [`Flatten`](primitives::Flatten) | several `A` to one `A` | puts collections together |
//! | [`Reshuffle`](primitives::Reshuffle) | `A` to `A` | spreads elements over bundles anew |
//!
//! A DoFn may also read whole collections as [side inputs](view) and put elements out under
//! [tags](dofn::Tag). Equality of keys is equality of their [encodings](coder). Nothing has an
//! order: not the elements of a collection, nor the values of a key.
//!
//! A bundle commits whole or not at all, and may be tried again. How bundles are cut, what is
//! fused, how much memory there is: none of it changes a result.
//!
//! # Two doors
//!
//! Authors of pipelines and transforms need the [`prelude`]. Whoever offers machines needs
//! [`runner`]. This crate knows no runner, no file format, no cloud and no async code.
//!
//! # Layers
//!
//! Modules are declared in the order in which a newcomer may read them, and name only modules
//! declared before them.

// Ground: what goes wrong, and what flows.
pub mod error;
pub mod time;

pub mod coder;
pub mod element;
pub mod window;

pub use derive::Element;
pub use element::Element;

// Accounts: what a run counts, may hold, is asked to stop by, and is told.
pub mod cancel;
pub mod capability;
pub mod memory;
pub mod metrics;
pub mod options;

// Bytes between stages, and elements within one.
pub mod shuffle;

pub mod blob;

pub mod receiver;

// Contracts: what authors implement and use in their functions.
pub mod combine;
pub mod dofn;
pub mod state;
pub mod view;

// Construction: the one place where types are forgotten, and the handles in front of it.
pub mod graph;

pub mod pcollection;
pub mod pipeline;
pub mod primitives;
pub mod ptransform;

// Running: a plan, a bundle of it, and the doors.
pub mod plan;

pub mod bundle;

pub mod prelude;
pub mod runner;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
