//! Encodings are Beam's, byte for byte, and as the table of all coders says.

use std::fmt::{Debug, Write as _};

use bytes::Bytes;
use levain::dataflow::coder::{Cbor, Coder, CoderKind, Context, decode_all};
use levain::dataflow::testing::shared_file;
use levain::prelude::*;
use serde::{Deserialize, Serialize};
use yaml_rust2::{Yaml, YamlLoader};

/// A value of Beam's examples.
trait Example: Element + Debug {
    fn of(yaml: &Yaml) -> Self;

    /// Whether both are the same; NaN is.
    fn is_same(&self, other: &Self) -> bool;
}

macro_rules! examples {
    ($($type:ty, $yaml:ident => $value:expr;)+) => {$(
        impl Example for $type {
            fn of($yaml: &Yaml) -> Self {
                $value
            }

            fn is_same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )+};
}

examples! {
    String, yaml => yaml.as_str().expect("a string").to_owned();
    Vec<u8>, yaml => latin1(yaml.as_str().expect("a string"));
    bool, yaml => yaml.as_bool().expect("a boolean");
    i64, yaml => yaml.as_i64().expect("an integer");
}

impl Example for f64 {
    fn of(yaml: &Yaml) -> Self {
        yaml.as_str().expect("a string").parse().expect("a float")
    }

    fn is_same(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits() || self.is_nan() && other.is_nan()
    }
}

impl<K: Example, V: Example> Example for (K, V) {
    fn of(yaml: &Yaml) -> Self {
        (K::of(&yaml["key"]), V::of(&yaml["value"]))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0) && self.1.is_same(&other.1)
    }
}

impl<T: Example> Example for Vec<T> {
    fn of(yaml: &Yaml) -> Self {
        yaml.as_vec().expect("a list").iter().map(T::of).collect()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(a, b)| a.is_same(b))
    }
}

impl<T: Example> Example for Option<T> {
    fn of(yaml: &Yaml) -> Self {
        (!yaml.is_null()).then(|| T::of(yaml))
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(a), Some(b)) => a.is_same(b),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Beam writes bytes as characters U+0000 to U+00FF.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect()
}

/// `kv<bytes,varint>`: the URNs of a coder and its components, without what they have in common.
fn name_of(coder: &Yaml) -> String {
    let urn = coder["urn"].as_str().expect("a coder has a URN");
    let short = urn.trim_start_matches("beam:coder:").trim_end_matches(":v1");
    match coder["components"].as_vec() {
        Some(parts) => {
            let parts: Vec<String> = parts.iter().map(name_of).collect();
            format!("{short}<{}>", parts.join(","))
        }
        None => short.to_owned(),
    }
}

/// Checks all examples of one section; how many there were.
fn check_section<T: Example>(section: &Yaml) -> usize {
    let coder = T::coder();
    assert_eq!(coder.kind().to_string(), name_of(&section["coder"]));
    let contexts: &[Context] = match section["nested"].as_bool() {
        Some(true) => &[Context::Nested],
        Some(false) => &[Context::Outer],
        None => &[Context::Nested, Context::Outer],
    };
    let may_differ = section["coder"]["non_deterministic"].as_bool() == Some(true);
    let examples = section["examples"].as_hash().expect("a section has examples");
    for (bytes, value) in examples {
        let (bytes, value) = (latin1(bytes.as_str().expect("bytes")), T::of(value));
        for &context in contexts {
            let mut input = &bytes[..];
            let decoded = coder.decode(context, &mut input).expect("Beam's bytes decode");
            assert!(decoded.is_same(&value) && input.is_empty(), "{decoded:?} is not {value:?}");
            let mut encoded = Vec::new();
            coder.encode(&value, context, &mut encoded).expect("Beam's values encode");
            assert!(may_differ || encoded == bytes, "{value:?} in {context:?}: {encoded:?}");
        }
    }
    examples.len()
}

#[test]
fn encodings_are_those_of_beam() {
    let Some(path) = shared_file("proto/beam_spike/standard_coders.yaml") else { return };
    let text = std::fs::read_to_string(path).expect("readable");
    let sections = YamlLoader::load_from_str(&text).expect("YAML");
    let (mut checked, mut left) = (0, Vec::new());
    for section in sections.iter().filter(|section| !section["coder"].is_badvalue()) {
        checked += match name_of(&section["coder"]).as_str() {
            "bytes" => check_section::<Vec<u8>>(section),
            "string_utf8" => check_section::<String>(section),
            "bool" => check_section::<bool>(section),
            "varint" => check_section::<i64>(section),
            "double" => check_section::<f64>(section),
            "kv<bytes,varint>" => check_section::<(Vec<u8>, i64)>(section),
            "kv<bytes,bytes>" => check_section::<(Vec<u8>, Vec<u8>)>(section),
            "kv<bytes,bool>" => check_section::<(Vec<u8>, bool)>(section),
            "iterable<varint>" => check_section::<Vec<i64>>(section),
            "iterable<bytes>" => check_section::<Vec<Vec<u8>>>(section),
            "iterable<bool>" => check_section::<Vec<bool>>(section),
            "nullable<bytes>" => check_section::<Option<Vec<u8>>>(section),
            other => {
                left.push(other.split('<').next().unwrap_or(other).to_owned());
                0
            }
        };
    }
    left.sort();
    left.dedup();
    // Windows, rows and what only runners exchange; an iterable of windows is among them.
    let later = "custom_window global_window interval_window iterable param_windowed_value row \
                 sharded_key state_backed_iterable timer windowed_value";
    assert_eq!(left.join(" "), later);
    assert_eq!(checked, 57, "examples");
}

/// A row of the table: type, name in plans, for Beam, as key, and an example in both contexts.
fn row<T: Element>(name: &str, value: &T) -> [String; 6] {
    let coder = T::coder();
    let bytes = |context| {
        let mut bytes = Vec::new();
        coder.encode(value, context, &mut bytes).expect("examples encode");
        let mut text = String::new();
        for byte in &bytes {
            write!(text, " {byte:02x}").expect("a string takes all");
        }
        let text = text.trim_start();
        if text.is_empty() { String::new() } else { format!("`{text}`") }
    };
    let urn = match coder.kind() {
        CoderKind::Bytes => "bytes",
        CoderKind::Bool => "bool",
        CoderKind::VarInt => "varint",
        CoderKind::Double => "double",
        CoderKind::Utf8 => "string_utf8",
        CoderKind::Kv(..) => "kv",
        CoderKind::Iterable(_) => "iterable",
        CoderKind::Nullable(_) => "nullable",
        CoderKind::Opaque(_) => "",
    };
    let urn = if urn.is_empty() { "opaque".into() } else { format!("`beam:coder:{urn}:v1`") };
    let is_key = if coder.is_deterministic() { "yes" } else { "no" };
    let kind = format!("`{}`", coder.kind());
    [name.into(), kind, urn, is_key.into(), bytes(Context::Nested), bytes(Context::Outer)]
}

#[derive(Debug, Clone, Serialize, Deserialize, Element)]
struct Named {
    n: i64,
}

fn all_rows() -> Vec<[String; 6]> {
    let (ab, cd) = ("ab".to_owned(), b"cd".to_vec());
    vec![
        row("`()`", &()),
        row("`bool`", &true),
        row("`i8`", &5i8),
        row("`i16`", &300i16),
        row("`i32`", &-1i32),
        row("`i64`", &300i64),
        row("`u16`", &300u16),
        row("`u32`", &300u32),
        row("`u64`", &300u64),
        row("`usize`", &300usize),
        row("`f32`", &1.5f32),
        row("`f64`", &1.5f64),
        row("`String`", &ab),
        row("`Vec<u8>`", &b"ab".to_vec()),
        row("`Bytes`", &Bytes::from_static(b"ab")),
        row("`Option<T>`", &Some(ab.clone())),
        row("`Vec<T>`", &vec![1i64, 300]),
        row("`Iterable<T>`", &Iterable::of(&[1i64, 300]).expect("integers encode")),
        row("`(K, V)`", &(ab, cd)),
        row("`(A, B, C)`", &(1i64, true, "a".to_owned())),
        row("`(A, B, C, D)`", &(1i64, true, "a".to_owned(), 7i64)),
        row("derived `Element`", &Named { n: 7 }),
        row("`Cbor<T>`", &Cbor(42i64)),
    ]
}

#[test]
fn the_table_of_coders_is_true() {
    let readme = include_str!("../../engine/dataflow/src/coder/README.md");
    let lines = readme.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let table: Vec<Vec<String>> = lines.map(cells).collect();
    for (written, [name, kind, urn, is_key, nested, outer]) in table.iter().zip(all_rows()) {
        let [at_name, at_kind, at_urn, _, _, at_key, at_nested, at_outer] = &written[..] else {
            unreachable!("eight cells in {written:?}");
        };
        assert_eq!((at_name, at_urn), (&name, &urn));
        // Types with parts stand for all of their kind.
        let has_parts = at_key.starts_with("as ") || at_kind.contains('<');
        assert!(has_parts || (at_kind, at_key) == (&kind, &is_key), "{name}: {kind}, {is_key}");
        assert_eq!((at_nested, at_outer), (&nested, &outer), "{name}");
    }
    assert_eq!(table.len(), all_rows().len(), "every type has a line");
}

#[test]
fn a_value_that_its_own_type_refuses_is_an_error_of_encoding() {
    #[derive(Debug, Clone, Serialize, Deserialize, Element)]
    struct Picky(#[serde(serialize_with = "refuse")] i64);

    fn refuse<S: serde::Serializer>(_: &i64, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }

    let error = Picky::coder().encode(&Picky(1), Context::Outer, &mut Vec::new());
    let error = error.expect_err("it is picky");
    assert!(error.message().starts_with("cannot encode Picky: "), "{error}");
    assert!(decode_all(&Picky::coder(), &[0x01]).is_ok());
}
