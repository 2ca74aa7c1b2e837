//! Announces to a runner that functions may want to know when their bundle is durable.

use dataflow::error::{Error, Result};
use prost::Message;

use super::urns;
use crate::proto::pipeline::{
    CombinePayload, FunctionSpec, ParDoPayload, Pipeline, WindowIntoPayload,
};

/// Announces it for every function of ours.
///
/// A DoFn may ask for a callback without having said so. A runner that asks only for what was announced
/// looks at the head of each stage, which may be any function: so all announce it, as ParDos, which alone
/// can. What they do is in their functions, whatever the transform is called.
///
/// # Errors
/// A payload that is damaged.
pub(crate) fn announce_finalization(pipeline: &mut Pipeline) -> Result<()> {
    let components = pipeline.components.iter_mut();
    let transforms = components.flat_map(|it| it.transforms.values_mut());
    let mut is_announced = false;
    for spec in transforms.filter_map(|transform| transform.spec.as_mut()) {
        let Some(mut payload) = as_par_do(spec)? else { continue };
        payload.requests_finalization = true;
        let payload = payload.encode_to_vec();
        *spec = FunctionSpec { urn: urns::PAR_DO.to_owned(), payload };
        is_announced = true;
    }
    let needed = urns::NEEDS_FINALIZATION.to_owned();
    if is_announced && !pipeline.requirements.contains(&needed) {
        pipeline.requirements.push(needed);
    }
    Ok(())
}

/// A transform of a function of ours, as a ParDo.
fn as_par_do(spec: &FunctionSpec) -> Result<Option<ParDoPayload>> {
    let do_fn = match spec.urn.as_str() {
        urns::PAR_DO => return decode(spec).map(Some),
        urns::PRECOMBINE | urns::MERGE_ACCUMULATORS | urns::EXTRACT_OUTPUTS => {
            decode::<CombinePayload>(spec)?.combine_fn
        }
        urns::WINDOW_INTO => decode::<WindowIntoPayload>(spec)?.window_fn,
        _ => return Ok(None),
    };
    Ok(Some(ParDoPayload { do_fn, ..ParDoPayload::default() }))
}

fn decode<M: Message + Default>(spec: &FunctionSpec) -> Result<M> {
    M::decode(&spec.payload[..]).map_err(|why| Error::internal(format!("{}: {why}", spec.urn)))
}
