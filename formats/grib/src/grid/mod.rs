//! The grid on which values lie: its shape, the order of its points, where they are.

mod earth;
mod edition1;
mod edition2;
mod gaussian;
mod layout;
mod points;
mod projected;

pub(crate) use edition1::parse as parse_edition_1;
pub(crate) use edition2::parse as parse_edition_2;
pub(crate) use layout::{Grid, Points, Scan, Shape};
pub(crate) use points::ReducedRows;
pub(crate) use projected::{Place, Projected};
