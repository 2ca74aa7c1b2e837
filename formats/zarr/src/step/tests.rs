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
        Step::of("zlib", &json!({"level": 1}), 4).expect("known"),
        Step::of("numcodecs.bz2", &json!({}), 4).expect("known"),
        Step::of("lz4", &json!({}), 4).expect("known"),
        Step::of("shuffle", &json!({"elementsize": 4}), 4).expect("known"),
        Step::of("crc32c", &json!({}), 4).expect("known"),
        Step::of("fletcher32", &json!({}), 4).expect("known"),
        Step::of("crc32", &json!({}), 4).expect("known"),
        Step::of("adler32", &json!({"location": "end"}), 4).expect("known"),
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
            let is_shuffle = matches!(step, Step::Shuffle { .. });
            let is_fine = length == 0 || is_shuffle;
            assert!(got.as_ref().is_err() || is_fine, "{step:?} {length} {got:?}");
        }
        // These are never longer than what they are made of.
        if !matches!(step, Step::Shuffle { .. } | Step::Checksum { .. }) {
            assert!(step.decode(&encoded, Some(PLAIN.len() - 1)).is_err(), "{step:?}");
        }
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
fn bytes_of_numcodecs() {
    check("fletcher32", &[1, 2, 3, 4, 5, 6, 12, 9, 20, 14], &[1, 2, 3, 4, 5, 6]);
    check("shuffle", &[1, 5, 2, 6, 3, 7, 4, 8], &[1, 2, 3, 4, 5, 6, 7, 8]);
    check("numcodecs.crc32c", &[b'a', b'b', b'c', 0xb7, 0x3f, 0x4b, 0x36], b"abc");
    let lz4 = [21, 0, 0, 0, 57, 97, 98, 99, 3, 0, 80, 98, 99, 97, 98, 99];
    check("lz4", &lz4, b"abcabcabcabcabcabcabc");
    check("adler32", &[0x27, 0x01, 0x4d, 0x02, b'a', b'b', b'c'], b"abc");
    check("numcodecs.crc32", &[0xc2, 0x41, 0x24, 0x35, b'a', b'b', b'c'], b"abc");
    check("zlib", &[120, 1, 75, 76, 74, 78, 4, 35, 0, 17, 61, 3, 115], b"abcabcabc");
}

/// What Python's `lzma` makes of the text, in both of its formats that have a head.
#[test]
fn lzma_is_read() {
    let text = "abc".repeat(7);
    let xz = [
        253, 55, 122, 88, 90, 0, 0, 4, 230, 214, 180, 70, 2, 0, 33, 1, 22, 0, 0, 0, 116, 47, 229,
        163, 224, 0, 20, 0, 9, 93, 0, 48, 152, 136, 170, 156, 186, 130, 0, 0, 0, 0, 0, 0, 88, 40,
        182, 24, 198, 134, 178, 19, 0, 1, 37, 21, 39, 129, 168, 165, 31, 182, 243, 125, 1, 0, 0, 0,
        0, 4, 89, 90,
    ];
    check("lzma", &xz, text.as_bytes());
    let alone = [
        93, 0, 0, 128, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 48, 152, 136, 170, 156, 196,
        105, 61, 255, 255, 251, 88, 32, 0,
    ];
    let step = Step::of("lzma", &json!({"format": 2}), 1).expect("known");
    let got = step.decode(&Bytes::copy_from_slice(&alone), Some(text.len()));
    assert_eq!(got.as_deref(), Ok(text.as_bytes()));
    assert!(step.decode(&Bytes::copy_from_slice(&alone), Some(text.len() - 1)).is_err());
    let raw = Step::of("lzma", &json!({"format": 3}), 1);
    assert!(raw.expect_err("no head").message().contains("lzma"));
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
    for name in ["pcodec", "packbits", "numcodecs.zfpy", "shuffle"] {
        let error = Step::of(name, &json!({"elementsize": 0}), 4).expect_err("not known");
        assert!(error.message().contains(name), "{error}");
    }
}
