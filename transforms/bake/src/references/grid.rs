//! One shape of chunks and one chain of codecs for a variable, and where its chunks lie in those of
//! a file. Pure.

use array::{DType, EncodedFacts};

/// The part that one file has in a variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilePart<'a> {
    /// How the file has encoded it.
    pub(super) facts: &'a EncodedFacts,
    /// The first element of the file that is taken.
    pub(super) start: &'a [u64],
    /// Where that goes in the variable.
    pub(super) at: &'a [u64],
    /// How many elements are taken.
    pub(super) elements: u64,
}

/// The encoding of a variable of this type and shape that most of its elements have in their files.
///
/// Where nothing is compressed, a chunk may be a part of one of a file that lies in one piece: the
/// shape is then the largest that fits all files. `None` if no file has chunks of this type.
pub(super) fn choose(dtype: DType, shape: &[u64], parts: &[FilePart<'_>]) -> Option<EncodedFacts> {
    let fitting = || parts.iter().filter(|part| part.facts.dtype == dtype);
    let weight = |is_own: &dyn Fn(&EncodedFacts) -> bool| -> u64 {
        fitting().filter(|part| is_own(part.facts)).map(|part| part.elements).sum()
    };
    let mut best: Option<(u64, &EncodedFacts)> = None;
    let mut tried: Vec<&EncodedFacts> = Vec::new();
    for part in fitting() {
        let facts = part.facts;
        let is_alike = |other: &EncodedFacts| {
            let is_one = facts.codecs.is_empty() || other.chunk_shape == facts.chunk_shape;
            other.decodes_as(facts) && is_one
        };
        if tried.iter().any(|known| is_alike(known)) {
            continue;
        }
        tried.push(facts);
        let own = weight(&is_alike);
        // The first of several that weigh the same.
        if best.is_none_or(|(known, _)| own > known) {
            best = Some((own, facts));
        }
    }
    let (_, facts) = best?;
    let mut chosen = EncodedFacts { shape: shape.to_vec(), ..facts.clone() };
    if chosen.codecs.is_empty() {
        let alike: Vec<&FilePart<'_>> =
            fitting().filter(|part| part.facts.decodes_as(facts)).collect();
        chosen.chunk_shape = split_shape(&alike, &facts.chunk_shape);
    }
    Some(chosen)
}

/// The largest shape of which every chunk lies in one piece within one chunk of every file.
fn split_shape(parts: &[&FilePart<'_>], first: &[u64]) -> Vec<u64> {
    let rank = first.len();
    let mut common = first.to_vec();
    for part in parts {
        for (axis, common) in common.iter_mut().enumerate() {
            let chunk = part.facts.chunk_shape[axis];
            // Where chunks of the file begin in the variable.
            let phase = (part.at[axis] + chunk - part.start[axis] % chunk) % chunk;
            *common = gcd(gcd(*common, chunk), gcd(phase, part.at[axis]));
        }
    }
    let is_whole =
        |axis: usize| parts.iter().all(|part| part.facts.chunk_shape[axis] == common[axis]);
    // Behind the axis along which chunks are cut they are whole, before it one element long.
    let cut = (0..rank).find(|&axis| (axis + 1..rank).all(is_whole)).unwrap_or(0);
    common.iter_mut().take(cut).for_each(|length| *length = 1);
    common
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The part of a chunk of a file that stands for a chunk of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Within {
    /// The chunk of the file.
    pub(super) index: Vec<u64>,
    /// Elements before it in that chunk.
    pub(super) skipped: u64,
    /// Whether it is all of that chunk.
    pub(super) is_whole: bool,
}

/// Where a chunk of shape `chunk` lies in the chunks of a file, if it lies in one and in one piece;
/// `start` is its first element, counted in the file.
pub(super) fn within(own: &[u64], chunk: &[u64], start: &[u64]) -> Option<Within> {
    let index: Vec<u64> = start.iter().zip(own).map(|(start, own)| start / own).collect();
    let offset: Vec<u64> = start.iter().zip(own).map(|(start, own)| start % own).collect();
    let fits = offset.iter().zip(chunk).zip(own).all(|((at, length), own)| at + length <= *own);
    let cut = chunk.iter().position(|&length| length > 1).unwrap_or(chunk.len());
    let is_one_piece = chunk.iter().zip(own).skip(cut + 1).all(|(length, own)| length == own);
    if !(fits && is_one_piece) {
        return None;
    }
    let skipped = offset.iter().zip(own).fold(0, |linear, (at, own)| linear * own + at);
    Some(Within { index, skipped, is_whole: chunk == own })
}

#[cfg(test)]
mod tests {
    use array::{NamedCodec, Scalar};

    use super::*;

    fn facts(chunk_shape: &[u64], codec: Option<&str>) -> EncodedFacts {
        EncodedFacts {
            dtype: DType::Float32,
            is_big_endian: false,
            shape: vec![100; chunk_shape.len()],
            chunk_shape: chunk_shape.to_vec(),
            codecs: codec.map(NamedCodec::new).into_iter().collect(),
            fill: Scalar::zero(DType::Float32),
        }
    }

    #[track_caller]
    fn check(files: &[(&[u64], Option<&str>, u64, u64)], want: (&[u64], usize)) {
        let facts: Vec<EncodedFacts> =
            files.iter().map(|(chunk, codec, ..)| facts(chunk, *codec)).collect();
        let rank = want.0.len();
        let at = |first: u64| {
            let mut at = vec![0; rank];
            at[0] = first;
            at
        };
        let mut end = 0;
        let places: Vec<(Vec<u64>, Vec<u64>, u64)> = files
            .iter()
            .map(|&(_, _, start, length)| {
                end += length;
                (at(start), at(end - length), length)
            })
            .collect();
        let parts: Vec<FilePart<'_>> = facts
            .iter()
            .zip(&places)
            .map(|(facts, (start, at, length))| FilePart { facts, start, at, elements: *length })
            .collect();
        let chosen = choose(DType::Float32, &[end, 9, 9], &parts).expect("all files fit");
        assert_eq!((&chosen.chunk_shape[..], chosen.codecs.len()), want);
    }

    #[test]
    fn compressed_chunks_are_those_of_most_elements() {
        let (a, b): (&[u64], &[u64]) = (&[4, 9, 9], &[5, 9, 9]);
        check(
            &[(a, Some("zlib"), 0, 8), (b, Some("zlib"), 0, 10), (a, Some("zlib"), 0, 8)],
            (a, 1),
        );
        check(&[(a, Some("zlib"), 0, 8), (a, None, 0, 12)], (a, 0));
    }

    #[test]
    fn plain_chunks_are_cut_where_files_end() {
        let month = |days| (days, None, 0);
        let months = [[31, 9, 9], [28, 9, 9], [31, 9, 9]];
        let files: Vec<_> = months
            .iter()
            .map(|chunk| {
                let (chunk, codec, start) = month(&chunk[..]);
                (chunk, codec, start, chunk[0])
            })
            .collect();
        check(&files, (&[1, 9, 9], 0));
        let (ten, twenty): (&[u64], &[u64]) = (&[10, 9, 9], &[20, 9, 9]);
        check(&[(ten, None, 0, 10), (twenty, None, 0, 20)], (&[10, 9, 9], 0));
        // The first five elements of the second file are not taken.
        check(&[(ten, None, 0, 10), (twenty, None, 5, 15)], (&[5, 9, 9], 0));
    }

    #[test]
    fn plain_chunks_are_cut_along_one_axis() {
        let half: &[u64] = &[10, 9, 3];
        check(&[(&[10, 9, 9], None, 0, 10), (half, None, 0, 10)], (&[1, 1, 3], 0));
    }

    #[test]
    fn a_chunk_lies_within_one_of_a_file_or_not() {
        let own = [10, 9, 9];
        let at = |index: u64, skipped, is_whole| {
            Some(Within { index: vec![index, 0, 0], skipped, is_whole })
        };
        assert_eq!(within(&own, &own, &[20, 0, 0]), at(2, 0, true));
        assert_eq!(within(&own, &own, &[5, 0, 0]), None);
        assert_eq!(within(&own, &[5, 9, 9], &[15, 0, 0]), at(1, 5 * 81, false));
        assert_eq!(within(&own, &[5, 9, 3], &[0, 0, 0]), None);
        assert_eq!(within(&own, &[1, 3, 9], &[4, 6, 0]), at(0, 4 * 81 + 54, false));
        assert_eq!(within(&own, &[1, 1, 3], &[0, 1, 6]), at(0, 15, false));
        assert_eq!(
            within(&[], &[], &[]),
            Some(Within { index: vec![], skipped: 0, is_whole: true })
        );
    }
}
