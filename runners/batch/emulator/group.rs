//! Process groups: how they are told something, and how much memory they hold.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{self, Pid};

const PAGE_BYTES: u64 = 4096;

/// What a group is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Term,
    Kill,
    Stop,
    Continue,
}

/// Sends a signal to all processes of a group; one that is gone needs none.
pub(crate) fn signal(group: u32, signal: Signal) {
    let signal = match signal {
        Signal::Term => process::Signal::TERM,
        Signal::Kill => process::Signal::KILL,
        Signal::Stop => process::Signal::STOP,
        Signal::Continue => process::Signal::CONT,
    };
    // 0 would be the group of the emulator itself, and 1 everybody.
    let Ok(group @ 2..) = i32::try_from(group) else { return };
    if let Some(group) = Pid::from_raw(group) {
        // One that is gone is what was wanted.
        process::kill_process_group(group, signal).unwrap_or_default();
    }
}

/// The memory of all groups of this machine, in bytes.
///
/// Pages of files are left out: the kernel takes them back, and a cgroup does not die of them.
/// Cost: two small files are read for each process.
pub(crate) fn memory_bytes() -> BTreeMap<u32, u64> {
    let mut groups = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|it| it.parse::<u32>().is_ok());
        // A process may end between two reads.
        if is_process
            && let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
            && let Ok(statm) = fs::read_to_string(entry.path().join("statm"))
            && let Some((group, bytes)) = memory_of(&stat, &statm)
        {
            *groups.entry(group).or_default() += bytes;
        }
    }
    groups
}

/// The group of a process and its memory, by the texts of `/proc`.
fn memory_of(stat: &str, statm: &str) -> Option<(u32, u64)> {
    // The name in parentheses may hold anything; state, parent and group follow.
    let group = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(2)?.parse().ok()?;
    let mut pages = statm.split_ascii_whitespace().skip(1).map_while(|it| it.parse::<u64>().ok());
    let (resident, shared) = (pages.next()?, pages.next()?);
    Some((group, resident.saturating_sub(shared) * PAGE_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_parenthesis_is_read_over() {
        let found = memory_of("12 (a) b) S 1 77 77 0", "900 300 100 1 0 2 0");
        assert_eq!(found, Some((77, 200 * PAGE_BYTES)));
    }
}
