//! How files are read that can be read in several ways.

use serde::{Deserialize, Serialize};

use crate::options::policy::BrokenMessagePolicy;

/// How files are read: what they say, before steps change it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// What becomes of GRIB messages that are damaged.
    #[serde(default)]
    pub broken_messages: BrokenMessagePolicy,
    /// The column of a table that is the coordinate of its rows; without one, they lie along
    /// `index`, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_column: Option<String>,
}
