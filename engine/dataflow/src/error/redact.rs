//! Masks what may be secret in a text: user names and query values of URLs.

/// Replaces the user part and every query value of each URL in `text` by `***`.
///
/// Text without a URL comes back as it is. Cost: one pass.
///
/// ```
/// use dataflow::error::redact;
/// assert_eq!(redact("GET s3://k:s@b/x?sig=abc&v=1 failed"), "GET s3://***@b/x?sig=***&v=*** failed");
/// ```
pub fn redact(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some(scheme) = rest.find("://") {
        let (before, url) = rest.split_at(scheme + 3);
        clean.push_str(before);
        let end = url.find(|c: char| c.is_whitespace() || "\"'<>`|)".contains(c));
        let (url, after) = url.split_at(end.unwrap_or(url.len()));
        push_clean_url(url, &mut clean);
        rest = after;
    }
    clean.push_str(rest);
    clean
}

fn push_clean_url(url: &str, clean: &mut String) {
    let (address, query) = url.split_once('?').map_or((url, None), |(a, q)| (a, Some(q)));
    let authority = address.split('/').next().unwrap_or_default();
    match authority.rfind('@') {
        Some(user) => {
            clean.push_str("***");
            clean.push_str(&address[user..]);
        }
        None => clean.push_str(address),
    }
    for (index, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        clean.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) => {
                clean.push_str(name);
                clean.push_str("=***");
            }
            None => clean.push_str("***"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(redact(text), want);
    }

    #[test]
    fn plain_text_is_kept() {
        check("cannot open /data/a?b=c.nc", "cannot open /data/a?b=c.nc");
    }

    #[test]
    fn user_and_query_are_masked_in_every_url() {
        check(
            "(https://u:p@h/a?token=t) then s3://b/k?X-Amz-Signature=1&X=2",
            "(https://***@h/a?token=***) then s3://b/k?X-Amz-Signature=***&X=***",
        );
    }

    #[test]
    fn an_at_sign_in_a_path_is_no_user() {
        check("s3://bucket/a@b.nc", "s3://bucket/a@b.nc");
    }
}
