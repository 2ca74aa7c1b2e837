//! From the resident memory that a user allows to the bytes that a run may account for.

use chunks::{ByteSize, Machine};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::job::allocator::give_back_large_blocks;

/// The greatest resident memory that the process may take, measured from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit(ByteSize);

/// What the process takes where that cannot be measured.
const TYPICAL_RESIDENT_BYTES: u64 = 64 << 20;
/// Resident memory that is not accounted for: thread stacks, buffers of the runtime and of
/// requests, codecs. See `docs/performance.md` for how it was measured.
const RUNTIME_BYTES: u64 = 36 << 20;
/// Of what is left, allocators keep a part that is free but not given back.
const ACCOUNTED_PERCENT: u64 = 85;
/// What the process takes when a job starts differs so much from run to run; an advice counts it in,
/// so that whoever follows it is not refused again.
const SPREAD_BYTES: u64 = 16 << 20;
/// How exactly the least memory of a plan is looked for.
const STEP_BYTES: u64 = 1 << 20;
/// Without a limit, this part of the memory that the machine has free.
const DEFAULT_PERCENT: u64 = 60;
const UNKNOWN_MACHINE_BYTES: u64 = 4 << 30;

impl MemoryLimit {
    /// This much.
    pub const fn of(size: ByteSize) -> Self {
        Self(size)
    }

    /// A part of what the machine has free now, and no more than its control group allows.
    pub fn of_machine() -> Self {
        let free = status_bytes("/proc/meminfo", "MemAvailable:").unwrap_or(UNKNOWN_MACHINE_BYTES);
        let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let group = group.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(u64::MAX);
        Self(ByteSize(free.min(group) / 100 * DEFAULT_PERCENT))
    }

    /// The limit itself.
    pub fn size(self) -> ByteSize {
        self.0
    }

    /// The limit under which a run may account for so many more bytes.
    fn with_more(self, more_bytes: u64) -> ByteSize {
        let more_bytes = (more_bytes / ACCOUNTED_PERCENT).saturating_add(1).saturating_mul(100);
        let bytes = self.0.0.saturating_add(more_bytes).saturating_add(SPREAD_BYTES);
        // It is shown with one digit after the point, which must not round it down.
        let digit = [1_u64 << 40, 1 << 30, 1 << 20].into_iter().find(|unit| bytes >= *unit);
        ByteSize(bytes.checked_next_multiple_of(digit.unwrap_or(1 << 10) / 10 + 1).unwrap_or(bytes))
    }

    /// The bytes that a run may account for, if the process now takes what it takes.
    ///
    /// From now on the system's allocator gives large blocks back as soon as they are freed: what
    /// is free within the process would count as taken.
    ///
    /// # Errors
    /// A limit that leaves nothing; the error says the least that does.
    pub fn accounted_bytes(self) -> Result<u64> {
        give_back_large_blocks();
        let resident =
            status_bytes("/proc/self/status", "VmRSS:").unwrap_or(TYPICAL_RESIDENT_BYTES);
        let left = self.0.0.saturating_sub(resident + RUNTIME_BYTES);
        if left == 0 {
            let message = format!("{} of memory are less than Levain itself takes", self.0);
            let least = ByteSize(resident + RUNTIME_BYTES + (16 << 20));
            let error =
                Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
            return Err(error.mend(format!("allow at least {least}, better twice that")));
        }
        Ok(left / 100 * ACCOUNTED_PERCENT)
    }
}

/// Refuses a plan that needs more than `accounted_bytes` for a single bundle.
///
/// # Errors
/// Too little memory; the error says how much more does.
pub(crate) fn check_enough(limit: MemoryLimit, accounted_bytes: u64, least: u64) -> Result<()> {
    if least <= accounted_bytes {
        return Ok(());
    }
    let (needed, left) = (ByteSize(least), ByteSize(accounted_bytes));
    let message = format!("one task needs {needed}, of {} of memory {left} are left", limit.size());
    let least = limit.with_more(least - accounted_bytes);
    let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
    Err(error.mend(format!("allow at least {least}")))
}

/// Plans within what is left of a limit; a refusal for want of memory says how much does.
///
/// Cost: where memory is wanting, some dozens of plans.
///
/// # Errors
/// Those of the plan.
pub(crate) fn plan_within<T>(
    limit: MemoryLimit,
    machine: Machine,
    plan: impl Fn(Machine) -> Result<T>,
) -> Result<T> {
    let refusal = match plan(machine) {
        Err(error) if error.code() == ErrorCode::MEMORY_TOO_SMALL => error,
        planned => return planned,
    };
    let is_enough = |memory_bytes: u64| {
        let planned = plan(Machine { memory_bytes, ..machine });
        !planned.is_err_and(|error| error.code() == ErrorCode::MEMORY_TOO_SMALL)
    };
    let (mut short, mut enough) = (machine.memory_bytes, machine.memory_bytes.max(STEP_BYTES));
    while !is_enough(enough) {
        if enough > u64::MAX / 4 {
            return Err(refusal);
        }
        (short, enough) = (enough, enough * 2);
    }
    while enough - short > STEP_BYTES {
        let middle = short + (enough - short) / 2;
        if is_enough(middle) { enough = middle } else { short = middle }
    }
    let least = limit.with_more(enough - machine.memory_bytes);
    // The plan knows how much more it needs; only here is known of what limit that is a part.
    let error = Error::new(refusal.code(), refusal.kind(), refusal.message());
    let error = refusal.places().fold(error, |error, (role, place)| error.at(role, place));
    Err(error.mend(format!("allow at least {least}, or ask for smaller chunks or shards")))
}

/// A number of kibibytes in one of the kernel's tables, as bytes.
pub(super) fn status_bytes(table: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(table).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}
