//! Bytes that are no messages, or broken ones: said with the place, or passed over and listed.

use array::DatasetSource;
use array::error::{Error, ErrorCode};
use grib::{BrokenMessages, GribOptions};

use super::peer::{eccodes, make};
use super::reading::{Folder, numbers, read};
use super::samples::{Message, PLAIN, PLAIN_1};

const SKIP: GribOptions = GribOptions { broken_messages: BrokenMessages::Skip };

fn refused(bytes: &[u8]) -> Error {
    Folder::new().open(bytes).expect_err("damage")
}

#[track_caller]
fn check(bytes: &[u8], code: ErrorCode, words: &[&str]) {
    let error = refused(bytes);
    assert_eq!(error.code(), code, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is not in\n{error}");
    }
}

fn three() -> [Vec<u8>; 3] {
    [850, 500, 300].map(|level| Message { level, ..PLAIN }.edition_2())
}

#[test]
fn nothing_and_no_message_are_refused() {
    check(b"", ErrorCode::CORRUPT, &["no GRIB message in a file of 0 bytes"]);
    check(&[0; 100], ErrorCode::CORRUPT, &["no GRIB message"]);
}

#[test]
fn other_editions_are_refused_by_their_number() {
    for edition in [0, 3] {
        let mut bytes = PLAIN.edition_2();
        bytes[7] = edition;
        check(&bytes, ErrorCode::CORRUPT, &[&format!("edition {edition}"), "at byte 0"]);
    }
}

#[test]
fn a_message_cut_short_is_refused_wherever_it_is_cut() {
    for whole in [PLAIN.edition_2(), PLAIN_1.edition_1()] {
        let first = whole.clone();
        for end in 4..whole.len() {
            let bytes = [&first[..], &whole[..end]].concat();
            let place = format!("at byte {}", first.len());
            check(&bytes, ErrorCode::CORRUPT, &[&place, "cut short"]);
        }
    }
}

#[test]
fn a_length_beyond_the_file_names_both_lengths() {
    let mut bytes = PLAIN.edition_2();
    bytes[8] = 1;
    check(&bytes, ErrorCode::CORRUPT, &["the message has 7205759403", "the file"]);
}

#[test]
fn a_broken_message_in_the_middle_is_refused_or_skipped_and_listed() {
    let [first, second, third] = three();
    let breaks: [fn(&mut Vec<u8>); 4] = [
        // Its length, its end, the length of a section, the number of values.
        |bytes| bytes[15] -= 8,
        |bytes| *bytes.last_mut().expect("bytes") = b'8',
        |bytes| bytes[19] = 200,
        |bytes| bytes[40] = 77,
    ];
    for damage in breaks {
        let mut broken = second.clone();
        damage(&mut broken);
        let bytes = [&first[..], &broken, &third].concat();
        let place = format!("at byte {}", first.len());
        check(&bytes, ErrorCode::CORRUPT, &[&place]);
        let file = Folder::new().open_with(&bytes, SKIP).expect("the others");
        assert_eq!(numbers(&file, "isobaricInhPa"), [850.0, 300.0]);
        let offsets: Vec<u64> = file.skipped().iter().map(|message| message.offset).collect();
        assert_eq!(offsets, [first.len() as u64]);
        assert_eq!(file.skipped()[0].error.code(), ErrorCode::CORRUPT);
        let warning = format!("the message {place} is skipped");
        assert!(file.dataset().warnings.iter().any(|it| it.starts_with(&warning)));
    }
}

#[test]
fn bytes_between_messages_that_belong_to_none_are_damage() {
    let [first, second, _] = three();
    let bytes = [&first[..], &[7; 20_000], &second].concat();
    check(&bytes, ErrorCode::CORRUPT, &["20000 bytes belong to no message"]);
    let file = Folder::new().open_with(&bytes, SKIP).expect("two messages");
    assert_eq!((file.field_count(), file.skipped().len()), (2, 1));
    // Zeros are padding, however many.
    let file = Folder::new().open(&[&first[..], &[0; 20_000], &second, &[0; 3]].concat());
    assert_eq!(file.expect("padding").field_count(), 2);
}

#[test]
fn features_that_are_not_read_are_left_out_by_name() {
    let [first, second, _] = three();
    // The number of the product definition template: a probability.
    let mut other = second.clone();
    let place = 16 + 21 + 72 + 8;
    other[place] = 9;
    let file = Folder::new().open(&[&first[..], &other].concat()).expect("the first");
    assert_eq!((file.field_count(), file.unread().len()), (1, 1));
    let warning = &file.dataset().warnings[0];
    assert!(warning.contains("product definition template 4.9"), "{warning}");
    check(&other, ErrorCode::UNSUPPORTED_FEATURE, &["product definition template 4.9"]);
}

#[test]
fn values_that_are_too_few_are_found_before_they_are_read() {
    for (mut bytes, width) in [(PLAIN.edition_2(), 0), (PLAIN_1.edition_1(), 1)] {
        // Bits of an integer: the last octet but one of section 5, the last before the values.
        let place = bytes.len() - if width == 0 { 29 } else { 18 };
        assert_eq!(bytes[place], 16, "{width}");
        bytes[place] = 32;
        check(&bytes, ErrorCode::CORRUPT, &["6 values of 32 bits"]);
    }
}

#[test]
fn damaged_values_of_every_packing_are_errors_or_other_values() {
    let Some(python) = eccodes() else { return };
    let folder = Folder::new();
    let mut refused = 0;
    for path in make(&python, folder.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if !name.starts_with("grid_") && !name.starts_with("edition1_") {
            continue;
        }
        let whole = std::fs::read(&path).expect("a file that was made");
        for step in 0..24 {
            let mut bytes = whole.clone();
            // From the headers to the values.
            let place = bytes.len() * (step + 1) / 26;
            bytes[place] ^= 0xff >> (step % 8);
            let Ok(file) = folder.open_with(&bytes, SKIP) else { continue };
            for variable in file.dataset().variables.clone() {
                match read(&file, &variable.name) {
                    Ok(chunk) => assert_eq!(chunk.shape(), variable.shape, "{name} {place}"),
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn no_flipped_byte_is_a_panic_or_a_wrong_shape() {
    for whole in
        [Message { gap: 4, ..PLAIN }.edition_2(), Message { gap: 4, ..PLAIN_1 }.edition_1()]
    {
        let folder = Folder::new();
        for place in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] ^= flip;
                let Ok(file) = folder.open_with(&bytes, SKIP) else { continue };
                for variable in file.dataset().variables.clone() {
                    if let Ok(chunk) = read(&file, &variable.name) {
                        assert_eq!(chunk.shape(), variable.shape, "byte {place}");
                    }
                }
            }
        }
    }
}
