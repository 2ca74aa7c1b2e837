//! Coders and values as the fake runner sends them.

use std::collections::BTreeMap;

use dataflow::coder::Context;

use crate::coder::{Value, WireCoder, coder_urn};
use crate::proto::pipeline::{Coder, CoderSpec};

/// The same coder with a length before every part that may have one.
pub(super) fn dressed(coder: &WireCoder) -> WireCoder {
    let part = |part: &WireCoder| Box::new(dressed(part));
    match coder {
        WireCoder::Kv(key, value) => WireCoder::Kv(part(key), part(value)),
        WireCoder::Iterable(item, kind) => WireCoder::Iterable(part(item), *kind),
        WireCoder::Nullable(item) => {
            WireCoder::LengthPrefix(Box::new(WireCoder::Nullable(part(item))))
        }
        leaf => WireCoder::LengthPrefix(Box::new(leaf.clone())),
    }
}

/// Puts a coder and its parts into a message under names that say nothing; its name.
pub(super) fn put_coder(coders: &mut BTreeMap<String, Coder>, coder: &WireCoder) -> String {
    let (name, parts): (&str, Vec<&WireCoder>) = match coder {
        WireCoder::Bytes => ("bytes", vec![]),
        WireCoder::Utf8 => ("string_utf8", vec![]),
        WireCoder::Bool => ("bool", vec![]),
        WireCoder::VarInt => ("varint", vec![]),
        WireCoder::Double => ("double", vec![]),
        WireCoder::Kv(key, value) => ("kv", vec![key, value]),
        WireCoder::Iterable(item, _) => ("iterable", vec![item]),
        WireCoder::Nullable(item) => ("nullable", vec![item]),
        WireCoder::LengthPrefix(item) => ("length_prefix", vec![item]),
        WireCoder::GlobalWindow => ("global_window", vec![]),
        WireCoder::IntervalWindow => ("interval_window", vec![]),
        WireCoder::WindowedValue(value, window) => ("windowed_value", vec![value, window]),
        other => panic!("the fake runner does not know {other}"),
    };
    let component_coder_ids = parts.into_iter().map(|part| put_coder(coders, part)).collect();
    let id = format!("K{}", coders.len());
    let spec = Some(CoderSpec { urn: coder_urn(name), payload: Vec::new() });
    coders.insert(id.clone(), Coder { spec, component_coder_ids });
    id
}

/// The bytes of a value.
pub(super) fn encoded(value: &Value, coder: &WireCoder) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(coder, Context::Nested, &mut bytes).expect("values are of their coders");
    bytes
}

/// The bytes of an element; an iterable after a key comes in blocks of one, without its number.
pub(super) fn encoded_element(element: &Value, coder: &WireCoder, window: &WireCoder) -> Vec<u8> {
    let whole = WireCoder::WindowedValue(Box::new(coder.clone()), Box::new(window.clone()));
    let (
        Value::Windowed { timestamp, windows, pane, value },
        WireCoder::Kv(key_coder, items_coder),
    ) = (element, coder)
    else {
        return encoded(element, &whole);
    };
    let (Value::Kv(key, items), WireCoder::Iterable(item_coder, _)) =
        (value.as_ref(), items_coder.as_ref())
    else {
        return encoded(element, &whole);
    };
    let Value::Iterable(items) = items.as_ref() else { panic!("it is an iterable") };
    let head = Value::Windowed {
        timestamp: *timestamp,
        windows: windows.clone(),
        pane: *pane,
        value: key.clone(),
    };
    let head_coder = WireCoder::WindowedValue(key_coder.clone(), Box::new(window.clone()));
    let mut bytes = encoded(&head, &head_coder);
    bytes.extend_from_slice(&[0xff; 4]);
    for item in items {
        bytes.push(1);
        bytes.extend(encoded(item, item_coder));
    }
    bytes.push(0);
    bytes
}

/// The elements of bytes that a worker has sent.
pub(super) fn decoded_elements(
    mut bytes: &[u8],
    coder: &WireCoder,
    window: &WireCoder,
) -> Result<Vec<Value>, String> {
    let whole = WireCoder::WindowedValue(Box::new(coder.clone()), Box::new(window.clone()));
    let mut elements = Vec::new();
    while !bytes.is_empty() {
        let fetch = &mut |_: &[u8]| panic!("workers send no tokens");
        let element = Value::decode(&whole, Context::Nested, &mut bytes, fetch);
        elements.push(element.map_err(|error| error.to_string())?);
    }
    Ok(elements)
}
