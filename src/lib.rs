//! levain
