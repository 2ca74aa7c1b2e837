//! What S3 refuses whoever asks and however often, with what is known of the request: the bucket is in
//! another region, the credentials are wrong.

use object_store::client::{HttpError, HttpRequest, HttpResponse, HttpResponseBody};

use crate::credentials::Provider;
use crate::failure::is_of_credentials;
use crate::polite::renew::region_of;
use crate::polite::service::Rejected;

/// The most bytes of an answer that are looked at for its code.
const ERROR_BYTES: usize = 64 << 10;

/// An answer of S3, or the error that it means.
///
/// # Errors
/// A bucket of another region, credentials that are not taken; a connection that breaks.
pub(super) async fn judged(
    request: &HttpRequest,
    answer: HttpResponse,
    provider: Option<&Provider>,
) -> Result<HttpResponse, HttpError> {
    let status = answer.status().as_u16();
    if let Some(actual) = other_region(request, &answer) {
        let configured = region_of(request).unwrap_or("none").to_owned();
        return Err(Rejected::Region { configured, actual }.into());
    }
    let (Some(provider), 400 | 403) = (provider, status) else { return Ok(answer) };
    let (head, body) = answer.into_parts();
    let body = body.bytes().await?;
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BYTES)]);
    let code = text.split_once("<Code>").and_then(|(_, after)| after.split_once("</Code>"));
    if let Some((code, _)) = code.filter(|(code, _)| is_of_credentials(code)) {
        let facts = provider.current().await.ok().map(|(_, facts)| facts);
        let of_key = facts.map_or_else(String::new, |it| format!("{}, key {}", it.origin, it.key));
        return Err(Rejected::Credentials { code: code.to_owned(), of_key }.into());
    }
    Ok(HttpResponse::from_parts(head, HttpResponseBody::from(body)))
}

/// The region of a bucket, if an answer says that it is not the one that was asked.
fn other_region(request: &HttpRequest, answer: &HttpResponse) -> Option<String> {
    if !matches!(answer.status().as_u16(), 301 | 307 | 400) {
        return None;
    }
    let region = answer.headers().get("x-amz-bucket-region")?.to_str().ok()?;
    let is_name =
        region.len() <= 64 && region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (is_name && region_of(request) != Some(region)).then(|| region.to_owned())
}
