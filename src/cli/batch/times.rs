//! Times of jobs: of this zone for people, of RFC 3339 in JSON.

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::Value;

/// A time of this zone, or `-`.
pub(crate) fn local_time(at_ms: Option<i64>) -> String {
    let time = at_ms.filter(|ms| *ms > 0).and_then(DateTime::<Utc>::from_timestamp_millis);
    time.map_or("-".to_owned(), |time| {
        time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// A time as JSON has it, or null.
pub(crate) fn json_time(at_ms: Option<i64>) -> Value {
    let time = at_ms.filter(|ms| *ms > 0).and_then(DateTime::<Utc>::from_timestamp_millis);
    time.map_or(Value::Null, |time| time.to_rfc3339_opts(SecondsFormat::Millis, true).into())
}

/// A time span: `2 h 41 m`, `48 s`.
pub(crate) fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} m {} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {minutes} m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_forms() {
        assert_eq!(json_time(Some(1500)), "1970-01-01T00:00:01.500Z");
        assert_eq!((json_time(Some(0)), json_time(None)), (Value::Null, Value::Null));
        assert_eq!(local_time(None), "-");
        assert_eq!(local_time(Some(86_400_000)).len(), "1970-01-02 00:00:00".len());
        assert_eq!(duration(48), "48 s");
        assert_eq!(duration(125), "2 m 5 s");
        assert_eq!(duration(9660), "2 h 41 m");
    }
}
