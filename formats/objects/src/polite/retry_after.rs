//! What `Retry-After` says: seconds, or a date of HTTP. Pure: the time is told.
//!
//! Source: RFC 9110, 5.6.7 (dates) and 10.2.3 (Retry-After).

use std::time::{Duration, SystemTime};

/// How long to wait, or nothing where the text says neither; a date in the past is no wait.
pub(super) fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are as good as for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want_s: Option<u64>) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse(text, now), want_s.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn seconds() {
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("99999999999999999999999", Some(u64::from(u32::MAX)));
        check("-1", None);
        check("1.5", None);
        check("", None);
        check("soon", None);
    }

    #[test]
    fn dates_in_all_three_forms() {
        // The time that is told is Sun, 06 Nov 1994 08:49:37 GMT.
        check("Sun, 06 Nov 1994 08:50:07 GMT", Some(30));
        check("Sunday, 06-Nov-94 08:50:07 GMT", Some(30));
        check("Sun Nov  6 08:50:07 1994", Some(30));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("Sun, 36 Nov 1994 08:00:00 GMT", None);
    }
}
