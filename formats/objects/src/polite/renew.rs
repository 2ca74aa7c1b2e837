//! Requests to S3 that are refused because their credentials have ended are signed anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpError, HttpRequest, HttpResponse, HttpResponseBody};
use reqwest::Method;
use reqwest::header::{HeaderValue, RANGE};

use crate::credentials::Provider;

/// What S3 says of credentials that were good once.
const ENDED: [&str; 3] = [
    "<Code>ExpiredToken</Code>",
    "<Code>TokenRefreshRequired</Code>",
    "<Code>ExpiredTokenException</Code>",
];

/// Who gives new credentials, and how long they are waited for.
#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    pub(crate) provider: Arc<Provider>,
    pub(crate) grace: Duration,
}

/// How often, and since when, one request was refused because its credentials had ended.
#[derive(Debug, Default)]
pub(super) struct Refused {
    count: u32,
    since: Option<Instant>,
}

/// How often one request is signed anew without a wait in between.
const MOST_SIGNATURES: u32 = 8;

impl Renewal {
    /// A refused request with a new signature, if its credentials had ended and there are others or
    /// may still be; otherwise the answer as it was.
    pub(super) async fn again(
        &self,
        request: &HttpRequest,
        answer: HttpResponse,
        refused: &mut Refused,
    ) -> Result<Result<HttpRequest, HttpResponse>, HttpError> {
        let status = answer.status().as_u16();
        let Some(signed) = Signed::of(request).filter(|_| matches!(status, 400 | 403)) else {
            if refused.since.is_some() {
                self.provider.end_pause();
            }
            return Ok(Err(answer));
        };
        let (head, body) = answer.into_parts();
        let body = body.bytes().await?;
        let text = String::from_utf8_lossy(&body);
        let has_ended = ENDED.iter().any(|code| text.contains(code));
        // An answer without words to keys that are not used any more says that they have ended.
        let is_of_others = request.method() == Method::HEAD && !self.is_current(&signed).await;
        let again = if has_ended || is_of_others {
            self.signed_anew(request, &signed, refused, has_ended).await
        } else {
            None
        };
        Ok(again.ok_or_else(|| HttpResponse::from_parts(head, HttpResponseBody::from(body))))
    }

    /// What asks in place of a HEAD that was refused, whose answer has no words, why it was: a read of the
    /// first byte with the same credentials; nothing if those are not used any more.
    pub(super) async fn question(&self, request: &HttpRequest, status: u16) -> Option<HttpRequest> {
        let signed = Signed::of(request)?;
        if request.method() != Method::HEAD || !matches!(status, 400 | 403) {
            return None;
        }
        let (current, _) = self.provider.current().await.ok()?;
        let mut question = request.clone();
        *question.method_mut() = Method::GET;
        question.headers_mut().insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        signed.anew(&question, &current).filter(|_| signed.is_by(&current))
    }

    async fn is_current(&self, signed: &Signed<'_>) -> bool {
        let current = self.provider.current().await;
        current.is_ok_and(|(current, _)| signed.is_by(&current))
    }

    async fn signed_anew(
        &self,
        request: &HttpRequest,
        signed: &Signed<'_>,
        refused: &mut Refused,
        may_wait: bool,
    ) -> Option<HttpRequest> {
        refused.count += 1;
        let since = *refused.since.get_or_insert_with(Instant::now);
        let (current, _) = self.provider.current().await.ok()?;
        if !signed.is_by(&current) {
            return signed.anew(request, &current).filter(|_| refused.count < MOST_SIGNATURES);
        }
        let grace = if may_wait { self.grace } else { Duration::ZERO };
        let left = grace.saturating_sub(since.elapsed());
        let wait = left.min(self.provider.ask_every());
        match self.provider.renewed(&current, wait).await {
            Ok(new) => signed.anew(request, &new),
            // They may be taken after all: what has ended was looked at by a clock.
            Err(_) if !left.is_zero() => signed.anew(request, &current),
            Err(_) => None,
        }
    }
}

/// The region for which a request is signed.
pub(super) fn region_of(request: &HttpRequest) -> Option<&str> {
    Signed::of(request).map(|signed| signed.region)
}

/// How a request is signed.
struct Signed<'a> {
    key_id: &'a str,
    region: &'a str,
    service: &'a str,
    token: Option<&'a str>,
}

impl<'a> Signed<'a> {
    fn of(request: &'a HttpRequest) -> Option<Self> {
        let text = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
        let (_, scope) = text("authorization")?.split_once("Credential=")?;
        let mut parts = scope.split(',').next()?.split('/');
        let (key_id, _date) = (parts.next()?, parts.next()?);
        let (region, service) = (parts.next()?, parts.next()?);
        Some(Self { key_id, region, service, token: text("x-amz-security-token") })
    }

    /// Whether these were the credentials.
    fn is_by(&self, credential: &AwsCredential) -> bool {
        credential.key_id == self.key_id && credential.token.as_deref() == self.token
    }

    fn anew(&self, request: &HttpRequest, credential: &AwsCredential) -> Option<HttpRequest> {
        let mut request = request.clone();
        let hash = request.headers().get("x-amz-content-sha256")?.to_str().ok()?.to_owned();
        let digest = unhex(&hash);
        if credential.token.is_none() {
            request.headers_mut().remove("x-amz-security-token");
        }
        let authorizer = AwsAuthorizer::new(credential, self.service, self.region)
            .with_sign_payload(digest.is_some());
        authorizer.try_authorize(&mut request, digest.as_deref()).ok()?;
        Some(request)
    }
}

/// The bytes of 64 hexadecimal digits; nothing for anything else, such as `UNSIGNED-PAYLOAD`.
fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::{Answer, Loopback};
    use crate::pending::Pending;
    use crate::polite::{Connector, HostLimits};
    use object_store::ObjectStoreExt;
    use object_store::aws::AmazonS3Builder;

    const EXPIRED: &[u8] = b"<Error><Code>ExpiredToken</Code></Error>";

    /// E47, E49: a write whose keys have ended is done with those that take their place.
    #[test]
    fn a_write_to_s3_waits_for_new_keys() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join(".aws/credentials");
        std::fs::create_dir(home.path().join(".aws")).expect("a folder");
        let write = |id: &str, token: &str| {
            let keys = format!("aws_access_key_id={id}\naws_secret_access_key=s\n{token}");
            std::fs::write(&file, format!("[default]\n{keys}")).expect("written");
        };
        write("OLD", "aws_session_token=old\n");
        let server = Loopback::start(|_, seen| {
            let is_new = seen.header("authorization").is_some_and(|it| it.contains("=NEW/"));
            let is_right = is_new && seen.header("x-amz-security-token").is_none();
            if !is_right {
                return Answer { body: EXPIRED.to_vec(), ..Answer::status(400) };
            }
            Answer::status(200).with("ETag", "\"e\"")
        });
        let home_text = home.path().to_str().expect("UTF-8");
        let provider = Arc::new(Provider::in_home(home_text, Duration::from_millis(5)));
        let put = |grace: Duration| {
            let renewal = Renewal { provider: Arc::clone(&provider), grace };
            let connector = Connector::of_cloud(HostLimits::default()).with_renewal(renewal);
            let store = AmazonS3Builder::new()
                .with_bucket_name("b")
                .with_endpoint(server.url(""))
                .with_allow_http(true)
                .with_http_connector(connector)
                .with_credentials(Arc::clone(&provider) as _)
                .build()
                .expect("a store");
            let put = async move { Ok(store.put(&"k".into(), "bytes".into()).await.map(drop)) };
            Pending::start(put)
        };
        let refused = put(Duration::ZERO).wait().expect("done").expect_err("no other keys");
        assert!(refused.to_string().contains("ExpiredToken"), "{refused}");
        let waiting = put(Duration::from_secs(60));
        while provider.pause().is_none() {
            std::thread::yield_now();
        }
        write("NEW", "");
        waiting.wait().expect("done").expect("written with the new keys");
        let last = server.seen().pop().expect("requests");
        assert_eq!((last.method.as_str(), last.body.as_str()), ("PUT", "bytes"));
    }
}
