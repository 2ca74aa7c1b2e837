//! JSON as Python writes it: with `NaN`, `Infinity` and `-Infinity`, which JSON does not have.
//!
//! In a [`Value`] such a number is a text that begins with a NUL, which no file can mean.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::Value;

const MARKS: [(&str, &str); 3] =
    [("NaN", "\0NaN"), ("Infinity", "\0Infinity"), ("-Infinity", "\0-Infinity")];

/// Reads a document.
///
/// # Errors
/// Anything that is not JSON, where the line and the column are told.
pub(crate) fn parse(text: &[u8]) -> Result<Value> {
    let corrupt = |why: String| {
        Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, format!("this is no JSON: {why}"))
            .mend("the object may be cut short; write it again, or fetch it again")
    };
    let text = str::from_utf8(text).map_err(|why| corrupt(why.to_string()))?;
    serde_json::from_str(&mark_non_numbers(text)).map_err(|why| corrupt(why.to_string()))
}

/// Writes a document, indented by two.
pub(crate) fn print(value: &Value) -> String {
    // Only a number that does not exist here could fail, and maps whose keys are no texts.
    let text = format!("{value:#}");
    let marks = MARKS.iter().rev();
    marks.fold(text, |text, (word, _)| text.replace(&format!("\"\\u0000{word}\""), word))
}

/// The value of a float, which may be none that JSON has.
pub(crate) fn of_float(value: f64) -> Value {
    let word = match value {
        value if value.is_nan() => MARKS[0].1,
        f64::INFINITY => MARKS[1].1,
        f64::NEG_INFINITY => MARKS[2].1,
        finite => return Value::from(finite),
    };
    Value::from(word)
}

/// The float of a number, or of one of the words that JSON does not have.
pub(crate) fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) if text.starts_with('\0') => float_of_word(&text[1..]),
        number => number.as_f64(),
    }
}

/// The float that a word means.
pub(crate) fn float_of_word(word: &str) -> Option<f64> {
    match word {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn mark_non_numbers(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    let mut rest = text;
    // Alternates between what stands outside of texts and the texts themselves.
    while let Some(quote) = rest.find('"') {
        push_marked(&rest[..quote], &mut marked);
        let length = text_length(&rest[quote..]);
        marked.push_str(&rest[quote..quote + length]);
        rest = &rest[quote + length..];
    }
    push_marked(rest, &mut marked);
    marked
}

fn push_marked(outside: &str, marked: &mut String) {
    let mut rest = outside;
    while let Some(start) = rest.find(['N', 'I', '-']) {
        marked.push_str(&rest[..start]);
        rest = &rest[start..];
        let word = MARKS.iter().map(|(word, _)| *word).find(|word| rest.starts_with(word));
        let taken = match word {
            Some(word) => {
                marked.push_str(&format!("\"\\u0000{word}\""));
                word.len()
            }
            None => {
                marked.push_str(&rest[..1]);
                1
            }
        };
        rest = &rest[taken..];
    }
    marked.push_str(rest);
}

/// Bytes of the text that begins with the quote at the start, both quotes included.
fn text_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let value = parse(text.as_bytes()).expect("JSON");
        let printed = print(&value).replace([' ', '\n'], "");
        assert_eq!(printed, text);
    }

    #[test]
    fn words_that_are_no_numbers_come_back() {
        check(r#"{"a":NaN,"b":[-Infinity,Infinity,-1.5],"c":"NaN"}"#);
        check(r#"{"NaN":"-Infinity\"","\\":"Infinity"}"#);
        assert!(as_float(&parse(b"[NaN]").expect("JSON")[0]).is_some_and(f64::is_nan));
        assert_eq!(as_float(&parse(b"\"NaN\"").expect("JSON")), None);
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for text in ["", "{\"a\": 1", "{\"a", "[Na", "nul"] {
            assert_eq!(parse(text.as_bytes()).expect_err("no JSON").code(), ErrorCode::CORRUPT);
        }
    }
}
