//! HDF5, as far as arrays need it: objects, links, attributes, chunk indexes and filters.
//!
//! `hdf5-reader` decodes the structures of the format (trees, heaps, messages); this module walks
//! object headers itself, because one message that cannot be read must not cost the object, and
//! decodes chunks itself, because that is where the time goes. Nothing here knows NetCDF. Read
//! `file`, `header`, `links` and `attribute` for metadata; `space`, `index`, `pipeline` and
//! `chunked` for elements.
//!
//! Source: "HDF5 File Format Specification Version 3.0",
//! <https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html>.

mod attribute;
mod blocks;
mod chunked;
mod datatype;
mod decoded;
mod file;
mod filters;
mod guard;
mod header;
mod heap;
mod index;
mod inflate;
mod links;
mod pipeline;
mod space;

pub(crate) use attribute::{Attribute, read_attributes};
pub(crate) use chunked::{ChunkPlan, Chunked};
pub(crate) use datatype::Datatype;
pub(crate) use file::Hdf5;
pub(crate) use header::{Header, Kind};
pub(crate) use heap::TextHeap;
pub(crate) use links::children;
pub(crate) use pipeline::Pipeline;
pub(crate) use space::{Place, Space, fill_value, place, space};
