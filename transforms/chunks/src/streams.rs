//! Writes one unit as a stream: its parts are gathered one after the other, and each chunk is encoded
//! and appended as soon as it is complete.

use array::{ArrayBuffer, ChunkGrid, Region};
use dataflow::dofn::ProcessContext;
use dataflow::error::Result;

use crate::gather::Cells;
use crate::moving::{From, Group};
use crate::written::Written;

impl Group<'_> {
    /// Gathers the unit that this group is, by parts of these extents, into a stream.
    ///
    /// # Errors
    /// A source that cannot be read, a store that fails, a request to stop: nothing is visible then.
    pub(crate) fn write_stream(
        &self,
        from: From<'_>,
        part: &[u64],
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let (facts, region) = (self.copy.sink.facts(), from.region);
        let Some(unit) = facts.units.chunks_meeting(region).next() else { return Ok(()) };
        let chunks = ChunkGrid::regular(&facts.shape, &facts.chunk_shape);
        let places = Places::of(&chunks, region);
        let locate = |error| self.copy.locate(error, region);
        let stream = self.copy.sink.stream(&unit).map_err(locate)?;
        let takes = |chunk: &[u64], elements: ArrayBuffer| {
            let put = elements.freeze().and_then(|it| stream.put(places.of_chunk(chunk), &it));
            put.map_err(|error| self.copy.locate(error, &chunks.region(chunk)))
        };
        let parts = ChunkGrid::regular(&facts.shape, part);
        for index in parts.chunks_meeting(region) {
            let cells = Cells { grid: &chunks, wants: &|_| true, takes: &takes };
            self.gather(From { region: &parts.region(&index), ..from }, cells, ctx)?;
        }
        let written = stream.finish().map_err(locate)?;
        Written::of(&self.copy.name, unit, written).put_out(ctx)
    }
}

/// The places of chunks in C order among those that meet a region.
struct Places {
    first: Vec<u64>,
    counts: Vec<u64>,
}

impl Places {
    fn of(chunks: &ChunkGrid, region: &Region) -> Self {
        let meeting = chunks.axes().iter().zip(region.ranges());
        let meeting = meeting.map(|(axis, range)| axis.chunks_meeting(&range));
        let (first, counts) = meeting.map(|it| (it.start, it.end - it.start)).unzip();
        Self { first, counts }
    }

    fn of_chunk(&self, chunk: &[u64]) -> u64 {
        let places = chunk.iter().zip(&self.first).zip(&self.counts);
        places.fold(0, |place, ((index, first), count)| place * count + index - first)
    }
}
