//! `#[derive(Element)]`: any serde type becomes an element of a pipeline.
//!
//! The type must be `Clone + Serialize + Deserialize`. It is encoded as CBOR; its coder is
//! deterministic if every field is itself an element with a deterministic coder. This crate knows
//! the path of the `Element` trait and nothing else of the house.

mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Element` for a `Clone + Serialize + Deserialize` type, encoded as CBOR.
///
/// `#[element(crate = "dataflow")]` names the crate that holds the trait where the program does
/// not depend on `levain`. A type that contains itself writes its `Element` by hand, with
/// `CborCoder::new`.
#[proc_macro_derive(Element, attributes(element))]
pub fn derive_element(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(input).unwrap_or_else(|error| error.into_compile_error()).into()
}
