use serde_json::json;

use super::*;

const PLAIN: &[u8] = b"aaaaaaaabbbbbbbbccccccccaaaaaaaa0123456789abcdef0123456789abcdef";

fn all_written() -> Vec<Step> {
    let blosc = |cname: &str, shuffle: &str| {
        let configuration = json!({"cname": cname, "clevel": 5, "shuffle": shuffle, "typesize": 4});
        Step::of("blosc", &configuration, 8).expect("known")
    };
    let mut steps = vec![
        Step::of("zstd", &json!({"level": 3}), 4).expect("known"),
        Step::of("zstd", &json!({"level": 1, "checksum": true}), 4).expect("known"),
        Step::of("gzip", &json!({"level": 5}), 4).expect("known"),
    ];
    for cname in ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"] {
        steps.extend(["noshuffle", "shuffle", "bitshuffle"].map(|shuffle| blosc(cname, shuffle)));
    }
    steps
}

#[test]
fn what_was_encoded_decodes_and_encodes_the_same() {
    for step in all_written() {
        let encoded = step.encode(PLAIN).expect("encodes");
        assert_eq!(step.encode(PLAIN).expect("encodes"), encoded, "{step:?}");
        for bound in [Some(PLAIN.len()), Some(1000), None] {
            assert_eq!(
                step.decode(&encoded.clone().into(), bound).expect("decodes"),
                PLAIN,
                "{step:?}"
            );
        }
    }
}

#[test]
fn what_is_cut_short_or_too_long_is_an_error() {
    for step in all_written() {
        let encoded = Bytes::from(step.encode(PLAIN).expect("encodes"));
        for length in [0, 1, 5, 15, 17, encoded.len() - 1] {
            let got = step.decode(&encoded.slice(..length), Some(PLAIN.len()));
            // Nothing at all is a frame of nothing to some; the chain knows what length it wants.
            assert!(got.as_ref().is_err() || length == 0, "{step:?} {length} {got:?}");
        }
        assert!(step.decode(&encoded, Some(PLAIN.len() - 1)).is_err(), "{step:?}");
    }
}

#[test]
fn a_header_that_promises_much_makes_nothing_allocate() {
    let step = &all_written()[3];
    let mut encoded = step.encode(PLAIN).expect("encodes");
    encoded[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(step.decode(&encoded.into(), None).is_err());
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend([0xff; 40]);
    assert!(Step::Zstd { level: 1, has_checksum: false }.decode(&frame.into(), Some(64)).is_err());
    let lz4 = [&u32::MAX.to_le_bytes()[..], &[0; 9]].concat();
    assert!(Step::Lz4.decode(&lz4.into(), Some(64)).is_err());
}

#[track_caller]
fn check(name: &str, encoded: &[u8], want: &[u8]) {
    let step = Step::of(name, &json!({"elementsize": 4}), 4).expect("known");
    let got = step.decode(&Bytes::copy_from_slice(encoded), Some(want.len()));
    assert_eq!(got.as_deref(), Ok(want), "{name}");
    let mut damaged = encoded.to_vec();
    damaged[0] ^= 1;
    let got = step.decode(&damaged.into(), Some(want.len()));
    assert_ne!(got.as_deref(), Ok(want), "{name}");
}

/// Bytes of numcodecs 0.16, whose checksums are those of HDF5.
#[test]
fn codecs_that_are_only_read() {
    check("fletcher32", &[1, 2, 3, 4, 5, 6, 12, 9, 20, 14], &[1, 2, 3, 4, 5, 6]);
    check("shuffle", &[1, 5, 2, 6, 3, 7, 4, 8], &[1, 2, 3, 4, 5, 6, 7, 8]);
    check("numcodecs.crc32c", &[b'a', b'b', b'c', 0xb7, 0x3f, 0x4b, 0x36], b"abc");
    let lz4 = [21, 0, 0, 0, 57, 97, 98, 99, 3, 0, 80, 98, 99, 97, 98, 99];
    check("lz4", &lz4, b"abcabcabcabcabcabcabc");
    check("zlib", &[120, 1, 75, 76, 74, 78, 4, 35, 0, 17, 61, 3, 115], b"abcabcabc");
}

#[test]
fn an_odd_byte_is_the_high_half_of_a_word() {
    // 0x0102 + 0x0300 = 0x0402; 0x0102 + 0x0402 = 0x0504.
    assert_eq!(fletcher32(&[1, 2, 3]), 0x0504_0402);
    let long: Vec<u8> = (0..1001u32).map(|place| place as u8).collect();
    assert_eq!(fletcher32(&long).to_le_bytes(), [132, 121, 236, 134]);
}

#[test]
fn unknown_codecs_are_refused() {
    for name in ["lzma", "delta", "numcodecs.bz2", "shuffle"] {
        let error = Step::of(name, &json!({"elementsize": 0}), 4).expect_err("not known");
        assert!(error.message().contains(name), "{error}");
    }
}
