//! demo
use crate::cli::args::DemoArgs;
use crate::cli::out::Out;
use crate::cli::signals::Watched;
use levain::dataflow::error::Result;
pub(crate) fn demo(_: &DemoArgs, _: &Out, _: &Watched) -> Result<()> {
    Ok(())
}
