//! What is known of the windows and stamps of the outputs of a node, from those of its inputs.

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{Collection, CollectionId, Graph, Operation, RunWindowInto};
use crate::window::{Stamp, Stamps, TimestampCombiner, Windowing};

impl Collection {
    /// The stamp of what a bundle makes of none of its elements: only windows could say another.
    pub fn idle_stamp(&self) -> Option<Stamp> {
        match self.stamps {
            Stamps::Same(stamp) => Some(stamp),
            Stamps::Each if self.windowing.is_global() => Some(Stamp::EARLIEST),
            Stamps::Each => None,
        }
    }
}

impl Graph {
    /// Windows and stamps of what an operation on `inputs` gives.
    ///
    /// # Errors
    /// Inputs whose windows do not fit together.
    pub(crate) fn windows_after(
        &self,
        operation: &Operation,
        inputs: &[CollectionId],
    ) -> Result<(Windowing, Stamps)> {
        let Some(&first) = inputs.first() else {
            return Ok((Windowing::default(), Stamps::Same(Stamp::EARLIEST)));
        };
        let input = self.collection(first);
        let (windowing, stamps) = (input.windowing.clone(), input.stamps);
        Ok(match operation {
            Operation::ParDo(pardo) if pardo.facts().sets_stamps => (windowing, Stamps::Each),
            Operation::Impulse | Operation::ParDo(_) | Operation::Reshuffle => (windowing, stamps),
            Operation::Window(assign) => {
                let stamps = RunWindowInto::<()>::stamps_after(assign.as_ref(), stamps);
                (assign.windowing().clone(), stamps)
            }
            Operation::Group(_) => {
                let stamps = stamps_of_groups(&windowing, stamps);
                (windowing.grouped(), stamps)
            }
            Operation::Flatten => {
                self.check_compatible(first, inputs)?;
                let is_same = inputs.iter().all(|&id| self.collection(id).stamps == stamps);
                (windowing, if is_same { stamps } else { Stamps::Each })
            }
        })
    }

    fn check_compatible(&self, first: CollectionId, inputs: &[CollectionId]) -> Result<()> {
        let known = &self.collection(first).windowing;
        let other = inputs.iter().map(|&id| &self.collection(id).windowing);
        let Some(other) = other.into_iter().find(|other| !known.is_compatible(other)) else {
            return Ok(());
        };
        let message = format!("collections of different windows are flattened: {known}, {other}");
        let error = Error::new(ErrorCode::WINDOWS_DIFFER, ErrorKind::InvalidInput, message);
        Err(error.mend("put all of them into the same windows before, with `WindowInto`"))
    }
}

fn stamps_of_groups(windowing: &Windowing, input: Stamps) -> Stamps {
    let end = Stamp::end_of(crate::window::Window::Global);
    match (windowing.timestamp_combiner, input) {
        _ if !windowing.is_global() => Stamps::Each,
        (TimestampCombiner::EndOfWindow, _) => Stamps::Same(end),
        (_, Stamps::Same(same)) => Stamps::Same(Stamp { timestamp: same.timestamp, ..end }),
        (_, Stamps::Each) => Stamps::Each,
    }
}
