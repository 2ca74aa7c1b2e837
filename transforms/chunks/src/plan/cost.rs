//! What a way to copy an array takes, in exact counts, and what these cost.

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::rates::{CodecRates, StoreProfile};

/// Exact counts of one way to copy an array. Bytes are of decoded elements.
///
/// A count beyond 64 bits is the greatest number: such a way is never taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// Source chunks that are read, counting each time.
    pub source_gets: u64,
    /// Bytes of the source chunks that are read, counting each time.
    pub source_bytes: u64,
    /// Segments of cells that are written.
    pub segment_puts: u64,
    /// Cells that are read, each a range of a segment.
    pub segment_gets: u64,
    /// Bytes of cells that are written.
    pub segment_bytes_written: u64,
    /// Bytes of cells that are read.
    pub segment_bytes_read: u64,
    /// Target units that are written.
    pub target_puts: u64,
    /// Bytes of the target units that are written.
    pub target_bytes: u64,
    /// Bytes that a task holds, at the most.
    pub peak_bytes: u64,
    /// Threads that may work at once inside of a task: as many as were asked for, or as memory
    /// suffices for.
    pub thread_count: u64,
    /// Threads of those that have a source chunk, or a cell, at once: in the stage where fewest have.
    pub busy_threads: u64,
    /// Tasks of all stages.
    pub task_count: u64,
    /// Stages that wait for each other.
    pub stages: u64,
    /// Bytes of a cell on average, in the stage where cells are smallest; 0 where there are none.
    pub min_cell_bytes: u64,
    /// Whether elements are decoded and encoded; otherwise encoded chunks are copied as they are.
    pub is_recoded: bool,
}

impl Costs {
    /// How often a byte of the array is read from the source.
    pub fn read_amplification(&self) -> f64 {
        if self.target_bytes == 0 {
            return 1.0;
        }
        self.source_bytes as f64 / self.target_bytes as f64
    }
}

/// What counts cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Seconds that one core would take for all.
    pub core_seconds: f64,
    /// Those seconds and all requests, in US dollars.
    pub usd: f64,
}

/// What bytes, requests and seconds cost: the stores and codecs of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CostModel {
    /// Where the source lies.
    pub source: StoreProfile,
    /// How the source is encoded.
    pub source_codec: CodecRates,
    /// Where segments lie.
    pub segments: StoreProfile,
    /// How cells of segments are encoded.
    pub segment_codec: CodecRates,
    /// Where the target lies.
    pub target: StoreProfile,
    /// How the target is encoded.
    pub target_codec: CodecRates,
    /// Price of a core.
    pub usd_per_core_second: f64,
}

impl CostModel {
    /// Everything in stores of one kind, with these codecs at both ends and LZ4 between them.
    pub fn new(store: StoreProfile, source_codec: CodecRates, target_codec: CodecRates) -> Self {
        Self {
            source: store,
            source_codec,
            segments: store,
            segment_codec: CodecRates::LZ4,
            target: store,
            target_codec,
            usd_per_core_second: 0.05 / 3600.0,
        }
    }

    /// The same, with segments in another store.
    #[must_use]
    pub fn with_segments_in(self, segments: StoreProfile) -> Self {
        Self { segments, ..self }
    }

    /// The constants of the prototype of this planner: an object store, codecs of moderate speed.
    #[cfg(test)]
    pub(crate) fn prototype() -> Self {
        Self::new(StoreProfile::OBJECT_STORE, CodecRates::UNKNOWN, CodecRates::UNKNOWN)
    }

    /// What these counts cost.
    pub fn price(&self, costs: &Costs) -> Price {
        let mut core_seconds = self.source_seconds(costs) + self.target_seconds(costs);
        core_seconds += self.segment_seconds(costs);
        let source_gets = costs.source_gets as f64;
        let segment_gets = costs.segment_gets as f64;
        let segment_puts = costs.segment_puts as f64;
        let target_puts = costs.target_puts as f64;
        core_seconds += source_gets * self.source.get_seconds;
        core_seconds += segment_gets * self.segments.get_seconds;
        core_seconds += segment_puts * self.segments.put_seconds;
        core_seconds += target_puts * self.target.put_seconds;
        let requests_usd = source_gets * self.source.get_usd
            + segment_gets * self.segments.get_usd
            + segment_puts * self.segments.put_usd
            + target_puts * self.target.put_usd;
        Price { core_seconds, usd: core_seconds * self.usd_per_core_second + requests_usd }
    }

    /// The price, with what machines cost that wait because there are fewer tasks, and threads that
    /// wait because memory does not suffice for all.
    pub(super) fn booked_usd(&self, costs: &Costs, problem: &Problem) -> f64 {
        let price = self.price(costs);
        // Stages wait for each other: only tasks of one run at once.
        let tasks = costs.task_count / costs.stages.max(1);
        let booked = booked_for_each(tasks, problem.worker_count)
            * booked_for_each(costs.busy_threads, problem.thread_count);
        price.usd + price.core_seconds * (booked - 1.0) * self.usd_per_core_second
    }

    fn source_seconds(&self, costs: &Costs) -> f64 {
        let (bytes, codec) = (costs.source_bytes as f64, self.source_codec);
        let read = bytes / codec.ratio / self.source.read_bytes_per_second;
        if costs.is_recoded { read + bytes / codec.decode_bytes_per_second } else { read }
    }

    fn target_seconds(&self, costs: &Costs) -> f64 {
        let (bytes, codec) = (costs.target_bytes as f64, self.target_codec);
        let write = bytes / codec.ratio / self.target.write_bytes_per_second;
        if costs.is_recoded { write + bytes / codec.encode_bytes_per_second } else { write }
    }

    fn segment_seconds(&self, costs: &Costs) -> f64 {
        let (written, read) = (costs.segment_bytes_written as f64, costs.segment_bytes_read as f64);
        let codec = self.segment_codec;
        read / codec.ratio / self.segments.read_bytes_per_second
            + read / codec.decode_bytes_per_second
            + written / codec.ratio / self.segments.write_bytes_per_second
            + written / codec.encode_bytes_per_second
    }
}

/// Of what is paid for, how much there is for each one that works; at least 1.
pub(super) fn booked_for_each(working: u64, paid: u64) -> f64 {
    (paid as f64 / working.max(1) as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn once() -> Costs {
        Costs {
            source_gets: 8,
            source_bytes: GIB,
            target_puts: 4,
            target_bytes: GIB,
            is_recoded: true,
            ..Costs::default()
        }
    }

    fn stored() -> Costs {
        let (segment_bytes_written, segment_bytes_read) = (GIB, GIB);
        Costs {
            segment_puts: 2,
            segment_gets: 9,
            segment_bytes_written,
            segment_bytes_read,
            ..once()
        }
    }

    /// How often reading again costs as much as an intermediate copy.
    fn break_even(model: &CostModel) -> f64 {
        let again = Costs { source_bytes: 2 * GIB, ..once() };
        let of = |costs| model.price(&costs).core_seconds;
        1.0 + (of(stored()) - of(once())) / (of(again) - of(once()))
    }

    #[track_caller]
    fn check_break_even(store: StoreProfile, codecs: &[&str], want: f64) {
        let codec = CodecRates::of_codecs(codecs);
        let got = break_even(&CostModel::new(store, codec, codec));
        assert!((got - want).abs() < 0.05, "{got}, not {want}");
    }

    #[test]
    fn reading_again_pays_up_to_a_factor_that_depends_on_codec_and_store() {
        check_break_even(StoreProfile::OBJECT_STORE, &["blosc"], 3.64);
        check_break_even(StoreProfile::OBJECT_STORE, &["shuffle", "zlib"], 2.84);
        check_break_even(StoreProfile::OBJECT_STORE, &["unheard-of"], 3.38);
        check_break_even(StoreProfile::LOCAL_DISK, &["blosc"], 3.35);
        check_break_even(StoreProfile::LOCAL_DISK, &["shuffle", "zlib"], 1.77);
    }

    #[test]
    fn copying_encoded_chunks_costs_no_codec() {
        let model = CostModel::new(StoreProfile::LOCAL_DISK, CodecRates::RAW, CodecRates::UNKNOWN);
        let (recoded, copied) = (once(), Costs { is_recoded: false, ..once() });
        let saved = model.price(&recoded).core_seconds - model.price(&copied).core_seconds;
        let codecs = GIB as f64 * (1.0 / 300e6 + 1.0 / 28e9);
        assert!((saved - codecs).abs() < 1e-9, "{saved}, not {codecs}");
    }
}
