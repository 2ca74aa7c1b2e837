//! Encodings are those of Beam's published examples, and survive what runners do to them.

use dataflow::coder::Context;
use dataflow::error::Result;
use dataflow::testing::shared_file;
use dataflow::time::Timestamp;
use dataflow::window::{PaneInfo, Stamp, Window};
use yaml_rust2::{Yaml, YamlLoader};

use super::{Firing, Pane, Timing, Value, WireCoder, convert, decode_header, encode_header};

/// Beam writes bytes as characters U+0000 to U+00FF.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect()
}

fn coder_of(yaml: &Yaml) -> WireCoder {
    let urn = yaml["urn"].as_str().expect("a coder has a URN");
    let payload = yaml["payload"].as_str().map(latin1).unwrap_or_default();
    let parts = yaml["components"].as_vec().map_or(&[][..], Vec::as_slice);
    let parts = parts.iter().map(coder_of).collect();
    WireCoder::of(urn, &payload, parts).expect("Beam's coders are made of what they need")
}

fn text<'y>(yaml: &'y Yaml, key: &str) -> &'y str {
    yaml[key].as_str().unwrap_or_else(|| panic!("{key} is a text in {yaml:?}"))
}

fn number(yaml: &Yaml, key: &str) -> i64 {
    yaml[key].as_i64().unwrap_or_else(|| panic!("{key} is a number in {yaml:?}"))
}

fn pane_of(yaml: &Yaml) -> Pane {
    let flag = |key: &str| yaml[key].as_bool().expect("a flag");
    Pane {
        is_first: flag("is_first"),
        is_last: flag("is_last"),
        timing: match text(yaml, "timing") {
            "EARLY" => Timing::Early,
            "ON_TIME" => Timing::OnTime,
            "LATE" => Timing::Late,
            _ => Timing::Unknown,
        },
        index: number(yaml, "index"),
        on_time_index: number(yaml, "on_time_index"),
    }
}

/// What an example says that its bytes mean.
fn value_of(coder: &WireCoder, yaml: &Yaml) -> Value {
    let boxed = |coder: &WireCoder, yaml: &Yaml| Box::new(value_of(coder, yaml));
    let all = |coder: &WireCoder, yaml: &Yaml| {
        let items = yaml.as_vec().expect("a list");
        items.iter().map(|item| value_of(coder, item)).collect::<Vec<_>>()
    };
    match coder {
        WireCoder::Bytes => Value::Bytes(latin1(yaml.as_str().expect("bytes"))),
        WireCoder::Utf8 => Value::Utf8(yaml.as_str().expect("a text").to_owned()),
        WireCoder::Bool => Value::Bool(yaml.as_bool().expect("a boolean")),
        WireCoder::VarInt => Value::VarInt(yaml.as_i64().expect("an integer")),
        WireCoder::Double => {
            Value::Double(yaml.as_str().expect("a text").parse().expect("a float"))
        }
        WireCoder::Kv(key, value) => {
            Value::Kv(boxed(key, &yaml["key"]), boxed(value, &yaml["value"]))
        }
        WireCoder::Iterable(item, _) => Value::Iterable(all(item, yaml)),
        WireCoder::Nullable(item) => Value::Nullable((!yaml.is_null()).then(|| boxed(item, yaml))),
        WireCoder::GlobalWindow => Value::GlobalWindow,
        WireCoder::IntervalWindow => Value::IntervalWindow {
            end: number(yaml, "end"),
            span: number(yaml, "span").unsigned_abs(),
        },
        WireCoder::CustomWindow(window) => {
            let window = boxed(window, &yaml["window"]);
            let Value::IntervalWindow { end, .. } = *window else { panic!("intervals alone") };
            Value::CustomWindow { max: end - 1, window }
        }
        WireCoder::WindowedValue(value, window)
        | WireCoder::ParamWindowedValue(value, window, _) => Value::Windowed {
            timestamp: number(yaml, "timestamp"),
            windows: all(window, &yaml["windows"]),
            pane: pane_of(&yaml["pane"]),
            value: boxed(value, &yaml["value"]),
        },
        WireCoder::Timer(key, window) => Value::Timer {
            key: boxed(key, &yaml["userKey"]),
            tag: text(yaml, "dynamicTimerTag").to_owned(),
            windows: all(window, &yaml["windows"]),
            firing: (yaml["clearBit"].as_bool() != Some(true)).then(|| Firing {
                fire: number(yaml, "fireTimestamp"),
                hold: number(yaml, "holdTimestamp"),
                pane: pane_of(&yaml["pane"]),
            }),
        },
        WireCoder::ShardedKey(key) => Value::ShardedKey {
            shard: latin1(text(yaml, "shardId")),
            key: boxed(key, &yaml["key"]),
        },
        other => panic!("no example has {other}"),
    }
}

fn is_same(a: &Value, b: &Value) -> bool {
    matches!((a, b), (Value::Double(a), Value::Double(b)) if a.is_nan() && b.is_nan()) || a == b
}

/// Checks all examples of one section; how many there were.
fn check_section(section: &Yaml) -> usize {
    let coder = coder_of(&section["coder"]);
    let contexts: &[Context] = match section["nested"].as_bool() {
        Some(true) => &[Context::Nested],
        Some(false) => &[Context::Outer],
        None => &[Context::Nested, Context::Outer],
    };
    let may_differ = section["coder"]["non_deterministic"].as_bool() == Some(true);
    let state = &section["coder"]["state"];
    let mut fetch = |token: &[u8]| -> Result<Vec<u8>> {
        let token = std::str::from_utf8(token).expect("tokens of examples are texts");
        Ok(latin1(text(state, token)))
    };
    let examples = section["examples"].as_hash().expect("a section has examples");
    for (bytes, value) in examples {
        let bytes = latin1(bytes.as_str().expect("bytes"));
        let value = value_of(&coder, value);
        for &context in contexts {
            let mut input = &bytes[..];
            let decoded = Value::decode(&coder, context, &mut input, &mut fetch);
            let decoded = decoded.unwrap_or_else(|error| panic!("{coder} {bytes:?}: {error}"));
            assert!(is_same(&decoded, &value) && input.is_empty(), "{decoded:?} is not {value:?}");
            let mut encoded = Vec::new();
            value.encode(&coder, context, &mut encoded).expect("Beam's values encode");
            assert!(may_differ || encoded == bytes, "{value:?} in {context:?}: {encoded:?}");
        }
    }
    examples.len()
}

#[test]
fn all_examples_of_beam_hold_but_rows() {
    let Some(path) = shared_file("proto/beam_spike/standard_coders.yaml") else { return };
    let all = std::fs::read_to_string(path).expect("readable");
    let sections = YamlLoader::load_from_str(&all).expect("YAML");
    let sections = sections.iter().filter(|section| !section["coder"].is_badvalue());
    let (rows, others): (Vec<_>, Vec<_>) =
        sections.partition(|section| text(&section["coder"], "urn") == "beam:coder:row:v1");
    let mut checked = std::collections::BTreeMap::<String, usize>::new();
    for section in others {
        let name = text(&section["coder"], "urn").to_owned();
        let name = name.trim_start_matches("beam:coder:").trim_end_matches(":v1").to_owned();
        *checked.entry(name).or_default() += check_section(section);
    }
    let listed = [
        ("bool", 2),
        ("bytes", 5),
        ("custom_window", 2),
        ("double", 10),
        ("global_window", 1),
        ("interval_window", 4),
        ("iterable", 14),
        ("kv", 8),
        ("nullable", 3),
        ("param_windowed_value", 2),
        ("sharded_key", 4),
        ("state_backed_iterable", 19),
        ("string_utf8", 9),
        ("timer", 2),
        ("varint", 7),
        ("windowed_value", 3),
    ];
    let listed = listed.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(checked, listed.into_iter().collect());
    assert_eq!(rows.len(), 13, "sections of rows, which are other languages' records");
}

/// Converts `bytes` there and back; they come back as they were.
#[track_caller]
fn check_conversion(
    from: (&WireCoder, Context),
    to: (&WireCoder, Context),
    bytes: &[u8],
    want: &[u8],
) {
    let (mut there, mut back) = (Vec::new(), Vec::new());
    let mut input = bytes;
    convert(from, to, &mut input, &mut there).expect("it converts");
    assert_eq!((there.as_slice(), input), (want, &[][..]));
    convert(to, from, &mut &there[..], &mut back).expect("it converts back");
    assert_eq!(back, bytes);
}

#[test]
fn lengths_before_any_part_come_and_go() {
    let prefixed = |coder| WireCoder::LengthPrefix(Box::new(coder));
    let kv = |key, value| WireCoder::Kv(Box::new(key), Box::new(value));
    let (bytes, varint) = (|| WireCoder::Bytes, || WireCoder::VarInt);
    let (nested, outer) = (Context::Nested, Context::Outer);
    check_conversion((&bytes(), nested), (&bytes(), outer), b"\x02ab", b"ab");
    check_conversion((&prefixed(bytes()), nested), (&bytes(), outer), b"\x02ab", b"ab");
    check_conversion(
        (&prefixed(varint()), nested),
        (&varint(), outer),
        b"\x02\xac\x02",
        b"\xac\x02",
    );
    let plain = kv(bytes(), varint());
    let opaque = || WireCoder::Opaque("x".to_owned());
    let dressed = prefixed(kv(prefixed(opaque()), prefixed(varint())));
    check_conversion((&dressed, nested), (&plain, outer), b"\x05\x02ab\x01\x07", b"\x02ab\x07");
    let list = |item| WireCoder::Iterable(Box::new(item), false);
    let dressed = kv(bytes(), list(prefixed(varint())));
    let plain = kv(bytes(), list(varint()));
    let there = b"\x01k\0\0\0\x02\x01\x07\x02\xac\x02";
    check_conversion((&dressed, nested), (&plain, outer), there, b"\x01k\0\0\0\x02\x07\xac\x02");
}

#[test]
fn what_holds_an_iterable_may_be_bytes_to_others() {
    let prefixed = |coder| WireCoder::LengthPrefix(Box::new(coder));
    let kv = |key, value| WireCoder::Kv(Box::new(key), Box::new(value));
    let list = || WireCoder::Iterable(Box::new(WireCoder::VarInt), false);
    let (nested, outer) = (Context::Nested, Context::Outer);
    let ours = kv(list(), WireCoder::VarInt);
    let plain = b"\0\0\0\x01\x07\x05";
    let theirs = kv(WireCoder::Bytes, WireCoder::VarInt);
    check_conversion((&theirs, nested), (&ours, outer), b"\x05\0\0\0\x01\x07\x05", plain);
    let theirs = kv(prefixed(WireCoder::Bytes), prefixed(WireCoder::VarInt));
    check_conversion((&theirs, nested), (&ours, outer), b"\x05\0\0\0\x01\x07\x01\x05", plain);
    let ours = WireCoder::Nullable(Box::new(list()));
    check_conversion((&WireCoder::Bytes, nested), (&ours, nested), b"\x01\0", b"\0");
}

#[test]
fn iterables_of_unknown_length_get_a_count() {
    let list = WireCoder::Iterable(Box::new(WireCoder::VarInt), false);
    let form = (&list, Context::Nested);
    let mut out = Vec::new();
    let mut input = &b"\xff\xff\xff\xff\x02\x01\xac\x02\x01\x05\x00"[..];
    convert(form, form, &mut input, &mut out).expect("it converts");
    assert_eq!((out.as_slice(), input), (&b"\0\0\0\x03\x01\xac\x02\x05"[..], &[][..]));
}

#[test]
fn what_does_not_mean_the_same_is_refused() {
    let refused = |from: &WireCoder, to: &WireCoder, bytes: &[u8]| {
        let outcome = convert(
            (from, Context::Nested),
            (to, Context::Outer),
            &mut &bytes[..],
            &mut Vec::new(),
        );
        outcome.expect_err("it does not convert").message().to_owned()
    };
    let message = refused(&WireCoder::Double, &WireCoder::VarInt, &[0; 8]);
    assert_eq!(message, "cannot decode varint: the runner speaks of double");
    let message = refused(&WireCoder::Opaque("x".to_owned()), &WireCoder::Bytes, b"ab");
    assert_eq!(message, "cannot decode bytes: the runner speaks of x");
    let prefixed = WireCoder::LengthPrefix(Box::new(WireCoder::Bool));
    let list = WireCoder::Iterable(Box::new(WireCoder::Bool), false);
    let message = refused(&WireCoder::Bytes, &list, b"\x06\0\0\0\x01\x01\x01");
    assert_eq!(message, "cannot decode bytes: 1 bytes follow the value");
    let message = refused(&WireCoder::Bytes, &WireCoder::VarInt, b"\x01\x07");
    assert_eq!(message, "cannot decode varint: the runner speaks of bytes");
    let message = refused(&prefixed, &WireCoder::Bool, b"\x02\x01\x01");
    assert_eq!(message, "cannot decode length_prefix<bool>: 1 bytes follow the value");
}

#[test]
fn every_cut_of_a_header_is_an_error() {
    let window = Window::of_millis(0, 10_000);
    let timestamp = Timestamp::from_millis(1000);
    let stamp = Stamp { timestamp, window, pane: PaneInfo::NoFiring };
    let mut bytes = Vec::new();
    encode_header(&WireCoder::IntervalWindow, stamp, &mut bytes).expect("it encodes");
    let want = b"\x80\0\0\0\0\0\x03\xe8\0\0\0\x01\x80\0\0\0\0\0\x27\x10\x90\x4e\x0f";
    assert_eq!(bytes, want);
    let header = decode_header(&WireCoder::IntervalWindow, &mut &bytes[..]).expect("it decodes");
    assert_eq!(header.stamps().collect::<Vec<_>>(), [stamp]);
    for cut in 0..bytes.len() {
        decode_header(&WireCoder::IntervalWindow, &mut &bytes[..cut]).expect_err("it is cut");
    }
}

#[test]
fn panes_are_those_of_beam() {
    let pane = |is_first, is_last, timing, index, on_time_index| {
        let mut bytes = Vec::new();
        let pane = Pane { is_first, is_last, timing, index, on_time_index };
        pane.encode(&mut bytes);
        assert_eq!(Pane::decode(&mut &bytes[..]).expect("it decodes"), pane);
        bytes
    };
    assert_eq!(pane(true, true, Timing::Unknown, 0, 0), [0x0f]);
    assert_eq!(pane(true, true, Timing::OnTime, 0, 0), [0x07]);
    assert_eq!(pane(true, false, Timing::OnTime, 0, 0), [0x05]);
    assert_eq!(pane(true, false, Timing::Early, 0, -1), [0x11, 0]);
    assert_eq!(pane(false, false, Timing::Early, 3, -1), [0x10, 3]);
    assert_eq!(pane(false, true, Timing::OnTime, 2, 0), [0x26, 2, 0]);
    assert_eq!(pane(false, false, Timing::Late, 2, 1), [0x28, 2, 1]);
    assert_eq!(pane(false, false, Timing::Late, 200, 200), [0x18, 0xc8, 0x01]);
}
