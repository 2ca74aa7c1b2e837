//! What the system's allocator does with memory that was freed.

/// Blocks of this size and more go back to the system when they are freed.
///
/// Measured with `wordcount` under `--mem 192MiB`: resident memory is the same for any size up to
/// this one and grows with larger ones; smaller ones cost more page faults.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: libc::c_int = 1 << 20;

/// Makes the allocator give large blocks back as soon as they are freed.
///
/// By itself glibc raises the size from which it does so to that of the largest block that was ever
/// freed, up to 32 MiB. Tables that grow, spill and grow again then leave holes behind that nothing
/// fits, and a process takes up to half as much again as it has in use. Nothing changes where
/// another allocator is in place.
pub(crate) fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "the allocator has no safe door")]
        // SAFETY: `mallopt` takes two numbers, locks the allocator while it sets them, and has no
        // other effect.
        let is_set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES) };
        debug_assert_eq!(is_set, 1, "the size is one that glibc takes");
    }
}
