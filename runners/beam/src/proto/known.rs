//! Messages that are Google's: times, and options as JSON-like values.
//!
//! Source: `google/protobuf/{duration,timestamp,struct}.proto`.

use std::collections::BTreeMap;

/// `google.protobuf.Duration`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Duration {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// `google.protobuf.Timestamp`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// `google.protobuf.Struct`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) fields: BTreeMap<String, Value>,
}

/// `google.protobuf.Value`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Value {
    #[prost(oneof = "Kind", tags = "2, 3, 4, 5, 6")]
    pub(crate) kind: Option<Kind>,
}

/// What a [`Value`] is.
#[derive(Clone, PartialEq, prost::Oneof)]
#[expect(clippy::enum_variant_names, reason = "the names are those of the fields")]
pub(crate) enum Kind {
    #[prost(double, tag = "2")]
    NumberValue(f64),
    #[prost(string, tag = "3")]
    StringValue(String),
    #[prost(bool, tag = "4")]
    BoolValue(bool),
    #[prost(message, tag = "5")]
    StructValue(Struct),
    #[prost(message, tag = "6")]
    ListValue(ListValue),
}

/// `google.protobuf.ListValue`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListValue {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<Value>,
}

impl From<Kind> for Value {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// A duration of whole milliseconds.
pub(crate) fn duration_of_millis(millis: i64) -> Duration {
    Duration { seconds: millis.div_euclid(1000), nanos: nanos_of(millis) }
}

/// A timestamp of whole milliseconds.
pub(crate) fn timestamp_of_millis(millis: i64) -> Timestamp {
    Timestamp { seconds: millis.div_euclid(1000), nanos: nanos_of(millis) }
}

fn nanos_of(millis: i64) -> i32 {
    i32::try_from(millis.rem_euclid(1000) * 1_000_000).expect("less than a second")
}
