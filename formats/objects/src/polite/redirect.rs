//! Where a server sends a client on to, and what may go along: secrets go to their own hosts only.

use object_store::client::{HttpRequest, HttpResponse};
use url::Url;

use crate::polite::service::Rejected;

/// How often one request is sent on.
pub(super) const MOST_HOPS: usize = 10;

/// What a request carries for the host that it was made for, and for no other.
const OWN_HEADERS: [&str; 4] = ["authorization", "cookie", "host", "proxy-authorization"];

/// The request that an answer asks for in place of `request`; nothing if it asks for none.
///
/// What may be secret is left out: whoever sends the next request adds what its host is to know.
///
/// # Errors
/// A place that cannot be understood, or that is not protected where this one was.
///
/// Source: RFC 9110, 15.4.
pub(super) fn redirected(
    request: &HttpRequest,
    answer: &HttpResponse,
) -> Result<Option<HttpRequest>, Rejected> {
    let is_read = matches!(request.method().as_str(), "GET" | "HEAD");
    let is_sent_on = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(place) = answer.headers().get("location").filter(|_| is_read && is_sent_on) else {
        return Ok(None);
    };
    let strange = || Rejected::redirect("to a place that is no URL");
    let here = Url::parse(&request.uri().to_string()).map_err(|_| strange())?;
    let place = place.to_str().ok().and_then(|place| here.join(place).ok()).ok_or_else(strange)?;
    match (here.scheme(), place.scheme()) {
        ("https", "http") => return Err(Rejected::redirect("from https to http")),
        (_, "http" | "https") => {}
        _ => return Err(strange()),
    }
    let mut next = request.clone();
    OWN_HEADERS.iter().for_each(|name| {
        next.headers_mut().remove(*name);
    });
    let mut place = place;
    place.set_fragment(None);
    *next.uri_mut() = place.as_str().parse().map_err(|_| strange())?;
    Ok(Some(next))
}
