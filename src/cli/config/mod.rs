//! Settings: a schema, layers that set them, and the commands that show, write and explain them.
//!
//! ```text
//!   schema ──► file ──┐
//!      kind           ├──► layers (which of them holds) ──► settings (as the house uses them)
//!   flags, variables ─┘
//! ```
//!
//! A recipe of a bake is another file: it says what is written, this says how runs go.

mod duration;
mod resource;

mod file;
mod kind;
mod layers;
mod schema;
mod settings;

mod explain;
mod init;
mod show;

pub(crate) use explain::explain;
pub(crate) use init::{InitArgs, init};
pub(crate) use kind::Value;
pub(crate) use layers::{Config, ConfigArgs, load};
pub(crate) use schema::path_text;
pub(crate) use show::{ShowArgs, config_json, show};
