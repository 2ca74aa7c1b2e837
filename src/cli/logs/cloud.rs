//! Logs of workers of AWS Batch: a stream of CloudWatch for each start.

use std::collections::BTreeMap;

use levain::batch::aws::{BatchApi, BatchSettings, LogPlace};
use levain::dataflow::error::Result;

use super::chosen::Place;
use super::printed::{Line, Reader};

/// Reads what was added to streams since it looked last.
#[derive(Debug)]
pub(super) struct Cloud {
    api: BatchApi,
    log_group: Option<String>,
    /// Where each stream goes on.
    tokens: BTreeMap<String, String>,
}

impl Cloud {
    pub(super) fn new(api: BatchApi, settings: &BatchSettings) -> Self {
        Self { api, log_group: settings.log_group.clone(), tokens: BTreeMap::new() }
    }
}

impl Reader for Cloud {
    fn read(
        &mut self,
        places: &[Place],
        attempt: Option<u32>,
        _: bool,
        each: &mut dyn FnMut(Line) -> Result<()>,
    ) -> Result<()> {
        let id_of = |place: &Place| {
            let id = place.id.as_ref()?;
            Some(if place.is_one_of_many { format!("{id}:{}", place.index) } else { id.0.clone() })
        };
        let wanted: BTreeMap<String, &Place> =
            places.iter().filter_map(|place| Some((id_of(place)?, place))).collect();
        let ids: Vec<&str> = wanted.keys().map(String::as_str).collect();
        for job in self.api.describe_jobs(&ids)? {
            let Some(place) = wanted.get(&job.value.job_id) else { continue };
            let streams = LogPlace::of(&job.value, self.log_group.as_deref());
            for (number, stream) in (1..).zip(streams) {
                if attempt.is_some_and(|wanted| wanted != number) {
                    continue;
                }
                let from = self.tokens.get(&stream.stream).cloned();
                let worker = place.short_name();
                let next = self.api.read_log_from(&stream, from, |event| {
                    each(Line {
                        worker: worker.clone(),
                        attempt: number,
                        at_ms: Some(event.timestamp),
                        text: event.message,
                    })
                })?;
                self.tokens.extend(next.map(|token| (stream.stream, token)));
            }
        }
        Ok(())
    }

    fn read_drivers(
        &mut self,
        _: &str,
        _: bool,
        _: &mut dyn FnMut(Line) -> Result<()>,
    ) -> Result<()> {
        Ok(())
    }
}
