//! Tells formats by the first bytes of a file, never by its name.

/// The signature of an HDF5 superblock.
const HDF5_SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// HDF5 allows a user block before its superblock, of this length or of a power of two times it.
const SMALLEST_USER_BLOCK: usize = 512;

/// The generations of the classic format, which differ in the width of counts and offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    /// CDF-1: offsets of four bytes.
    Classic,
    /// CDF-2: offsets of eight bytes.
    Offset64,
    /// CDF-5: offsets and counts of eight bytes, more types.
    Data64,
}

/// The generation of a classic file, if its head says that it is one.
pub(crate) fn generation(head: &[u8]) -> Option<Generation> {
    match head.strip_prefix(b"CDF")?.first()? {
        1 => Some(Generation::Classic),
        2 => Some(Generation::Offset64),
        5 => Some(Generation::Data64),
        _ => None,
    }
}

/// Whether a file that begins with these bytes is NetCDF (any generation) or HDF5.
///
/// `head` is as much of the beginning as is at hand. HDF5 behind a user block is found only if
/// `head` reaches to it: 520 bytes for the smallest, 1 KiB and 8 bytes for the next.
///
/// ```
/// assert!(netcdf::is_netcdf(b"CDF\x02"));
/// assert!(!netcdf::is_netcdf(b"GRIB"));
/// ```
pub fn is_netcdf(head: &[u8]) -> bool {
    generation(head).is_some() || superblock_offsets(head.len()).any(|at| is_superblock(head, at))
}

fn superblock_offsets(length: usize) -> impl Iterator<Item = usize> {
    let user_blocks = std::iter::successors(Some(SMALLEST_USER_BLOCK), |at| at.checked_mul(2));
    std::iter::once(0).chain(user_blocks).take_while(move |&at| at < length)
}

fn is_superblock(head: &[u8], at: usize) -> bool {
    head[at..].starts_with(&HDF5_SIGNATURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: usize, bytes: &[u8], want: bool) {
        let mut head = vec![0; prefix];
        head.extend_from_slice(bytes);
        assert_eq!(is_netcdf(&head), want);
    }

    #[test]
    fn all_generations_and_hdf5_are_known() {
        check(0, b"CDF\x01", true);
        check(0, b"CDF\x02", true);
        check(0, b"CDF\x05", true);
        check(0, &HDF5_SIGNATURE, true);
    }

    #[test]
    fn hdf5_is_found_behind_user_blocks_only() {
        for (prefix, want) in [(512, true), (1024, true), (4096, true), (8, false), (1536, false)] {
            check(prefix, &HDF5_SIGNATURE, want);
        }
    }

    #[test]
    fn anything_else_is_not() {
        check(0, b"", false);
        check(0, b"CDF\x03", false);
        check(0, b"GRIB\0\0\0\x02", false);
    }
}
