//! A recipe without its types: options are JSON, and give a pipeline.

use std::marker::PhantomData;

use clap::{ArgMatches, Args, Command};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::dataflow::prelude::Pipeline;
use levain::objects::StoreOptions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a program of a recipe is about.
pub(super) trait AnyRecipe {
    /// Adds the recipe's own options to a command.
    fn augment(&self, command: Command) -> Command;

    /// The options of a command line, as JSON.
    fn options(&self, matches: &ArgMatches) -> Result<Value>;

    /// The pipeline that these options ask for.
    fn pipeline(&self, options: &Value, store: &StoreOptions) -> Result<Pipeline>;
}

/// A function that builds pipelines from options of the type `A`.
pub(super) struct Typed<A, B> {
    build: B,
    of: PhantomData<fn() -> A>,
}

impl<A, B> Typed<A, B> {
    pub(super) fn new(build: B) -> Self {
        Self { build, of: PhantomData }
    }
}

impl<A, B> AnyRecipe for Typed<A, B>
where
    A: Args + Serialize + DeserializeOwned,
    B: Fn(A, &StoreOptions) -> Result<Pipeline>,
{
    fn augment(&self, command: Command) -> Command {
        A::augment_args(command)
    }

    fn options(&self, matches: &ArgMatches) -> Result<Value> {
        let options = A::from_arg_matches(matches).map_err(|why| bad(&why.to_string()))?;
        serde_json::to_value(options).map_err(|why| bad(&format!("they have no JSON: {why}")))
    }

    fn pipeline(&self, options: &Value, store: &StoreOptions) -> Result<Pipeline> {
        let options = serde_json::from_value(options.clone());
        let options =
            options.map_err(|why| bad(&format!("they do not come back from their JSON: {why}")))?;
        (self.build)(options, store)
    }
}

fn bad(why: &str) -> Error {
    let message = format!("the options of the recipe are not understood: {why}");
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message).mend(
        "options of a recipe are read with clap and kept as JSON with serde: both ways must fit",
    )
}
