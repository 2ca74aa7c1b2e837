//! Which operation of S3 a request is, and on which key.

use percent_encoding::percent_decode_str;

use crate::loopback::message::Head;

/// A request as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) method: String,
    /// The name that S3 gives it.
    pub(crate) name: &'static str,
    /// Without the bucket; empty for what is about the bucket.
    pub(crate) key: String,
    /// What it is about: the key, or the prefix of a list.
    pub(crate) place: String,
    /// Whether it must not replace an object.
    pub(crate) is_create: bool,
    /// What it is signed with.
    pub(crate) access_key: Option<String>,
}

impl Operation {
    pub(crate) fn of(head: &Head) -> Self {
        let (method, target) = head.request();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy();
        let key = path.split_once('/').map_or("", |(_, key)| key);
        let has = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
        let is_copy = head.header("x-amz-copy-source").is_some();
        let name = match method {
            "GET" if key.is_empty() && has("uploads") => "ListMultipartUploads",
            "GET" if key.is_empty() => "ListObjectsV2",
            "GET" if has("uploadId") => "ListParts",
            "GET" => "GetObject",
            "HEAD" if key.is_empty() => "HeadBucket",
            "HEAD" => "HeadObject",
            "PUT" if key.is_empty() => "CreateBucket",
            "PUT" if has("partNumber") && is_copy => "UploadPartCopy",
            "PUT" if has("partNumber") => "UploadPart",
            "PUT" if is_copy => "CopyObject",
            "PUT" => "PutObject",
            "POST" if has("uploads") => "CreateMultipartUpload",
            "POST" if has("uploadId") => "CompleteMultipartUpload",
            "POST" if has("delete") => "DeleteObjects",
            "DELETE" if has("uploadId") => "AbortMultipartUpload",
            "DELETE" => "DeleteObject",
            _ => "Other",
        };
        let is_create = head.header("if-none-match") == Some("*") && method != "GET";
        let access_key = head.access_key().map(str::to_owned);
        let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix="));
        let prefix = percent_decode_str(prefix.unwrap_or_default()).decode_utf8_lossy();
        let place = if key.is_empty() { prefix.into_owned() } else { key.to_owned() };
        let (method, key) = (method.to_owned(), key.to_owned());
        Self { method, name, key, place, is_create, access_key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: &str, want: (&str, &str)) {
        let operation = Operation::of(&Head { start: start.to_owned(), headers: Vec::new() });
        assert_eq!((operation.name, operation.key.as_str()), want);
    }

    #[test]
    fn operations_have_the_names_of_s3() {
        check("GET /b?list-type=2&prefix=a HTTP/1.1", ("ListObjectsV2", ""));
        check("GET /b/a%20b/c HTTP/1.1", ("GetObject", "a b/c"));
        check("PUT /b/k?partNumber=1&uploadId=x HTTP/1.1", ("UploadPart", "k"));
        check("POST /b/k?uploads HTTP/1.1", ("CreateMultipartUpload", "k"));
        check("POST /b/k?uploads= HTTP/1.1", ("CreateMultipartUpload", "k"));
        check("POST /b/k?uploadId=x HTTP/1.1", ("CompleteMultipartUpload", "k"));
        check("POST /b?delete HTTP/1.1", ("DeleteObjects", ""));
        check("DELETE /b/k?uploadId=x HTTP/1.1", ("AbortMultipartUpload", "k"));
    }
}
