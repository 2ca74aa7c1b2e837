//! What the system says of this process.

use crate::job::memory::status_bytes;

/// Ticks of the clock in which Linux tells the time of processors, in a second.
const TICKS: u64 = 100;

/// Milliseconds that all processors have spent on this process, where the system says it.
///
/// Source: proc(5), `/proc/pid/stat`, fields 14 and 15.
pub(crate) fn cpu_ms() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets and may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * 1000 / TICKS)
}

/// The greatest resident memory so far, where the system says it.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    status_bytes("/proc/self/status", "VmHWM:")
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_knows_this_process() {
        assert!(super::cpu_ms().is_some());
        assert!(super::peak_resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
