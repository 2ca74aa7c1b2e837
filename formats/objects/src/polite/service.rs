//! What every request to a server goes through: secrets, the gate of the host, refusals, redirects.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};

use crate::authorise::Authoriser;
use crate::failure::distrust;
use crate::polite::gate::{Gate, Pass};
use crate::polite::judged::judged;
use crate::polite::limits::HostLimits;
use crate::polite::redirect::{MOST_HOPS, redirected};
use crate::polite::renew::{Refused, Renewal};
use crate::polite::retry_after;

/// A signed request is not sent again for longer: its signature ends.
const SIGNED_WAIT_MS: u64 = 240_000;

/// Makes the clients of stores polite.
#[derive(Debug)]
pub(crate) struct Connector {
    limits: HostLimits,
    /// For web servers: a client that leaves redirects to us, and what it may tell whom.
    web: Option<(reqwest::Client, Authoriser)>,
    /// For S3: where other credentials come from.
    renewal: Option<Renewal>,
}

impl Connector {
    /// For the services of clouds, which sign their requests themselves.
    pub(crate) fn of_cloud(limits: HostLimits) -> Self {
        let wait_ms = limits.throttle_wait_ms.min(SIGNED_WAIT_MS);
        let limits = limits.of_host(true).with_throttle_wait_ms(wait_ms);
        Self { limits, web: None, renewal: None }
    }

    /// Signs requests anew whose credentials have ended.
    pub(crate) fn with_renewal(mut self, renewal: Renewal) -> Self {
        self.renewal = Some(renewal);
        self
    }

    /// For web servers.
    pub(crate) fn of_web(
        limits: HostLimits,
        client: reqwest::Client,
        authoriser: Authoriser,
    ) -> Self {
        let web = Some((client, authoriser));
        Self { limits: limits.of_host(false), web, renewal: None }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let (client, authoriser) = match &self.web {
            Some((client, authoriser)) => {
                (HttpClient::new(client.clone()), Some(authoriser.clone()))
            }
            None => (ReqwestConnector::default().connect(options)?, None),
        };
        let (limits, renewal) = (self.limits, self.renewal.clone());
        Ok(HttpClient::new(Service { client, limits, authoriser, renewal }))
    }
}

#[derive(Debug)]
struct Service {
    client: HttpClient,
    limits: HostLimits,
    authoriser: Option<Authoriser>,
    renewal: Option<Renewal>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Some(authoriser) = &self.authoriser else { return self.of_cloud(request).await };
        let mut request = request;
        for _ in 0..MOST_HOPS {
            let answer = self.authorised(&request, authoriser).await?;
            match redirected(&request, &answer)? {
                Some(next) => request = next,
                None => return Ok(answer),
            }
        }
        Err(Rejected::redirect("in a circle, or too often").into())
    }
}

impl Service {
    /// Sends a request to a cloud; what it says of keys and regions is an error that names them.
    async fn of_cloud(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.renewing(request.clone()).await?;
        let provider = self.renewal.as_ref().map(|renewal| renewal.provider.as_ref());
        judged(&request, answer, provider).await
    }

    /// Sends a signed request, and again with other credentials if its own have ended.
    async fn renewing(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Some(renewal) = &self.renewal else { return self.patiently(request).await };
        let mut refused = Refused::default();
        loop {
            let answer = self.in_words(&request, renewal).await?;
            match renewal.again(&request, answer, &mut refused).await? {
                Ok(again) => request = again,
                Err(answer) => return Ok(answer),
            }
        }
    }

    /// Sends a request whose refusal has words: that of a HEAD has none, so a read is asked why.
    async fn in_words(
        &self,
        request: &HttpRequest,
        renewal: &Renewal,
    ) -> Result<HttpResponse, HttpError> {
        let answer = self.patiently(request.clone()).await?;
        let Some(question) = renewal.question(request, answer.status().as_u16()).await else {
            return Ok(answer);
        };
        let told = self.patiently(question).await?;
        Ok(if matches!(told.status().as_u16(), 400 | 403) { told } else { answer })
    }

    /// Sends a request with what its host may know; once more, if that was out of date.
    async fn authorised(
        &self,
        request: &HttpRequest,
        authoriser: &Authoriser,
    ) -> Result<HttpResponse, HttpError> {
        let (sent, used) = authoriser.authorise(request.clone())?;
        let answer = self.patiently(sent).await?;
        if answer.status().as_u16() != 401 || !authoriser.is_renewed(used)? {
            return Ok(answer);
        }
        drop(answer);
        let (sent, _) = authoriser.authorise(request.clone())?;
        self.patiently(sent).await
    }

    /// Sends a request in its turn, again and again as long as the host asks for patience.
    async fn patiently(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().authority().map_or(String::new(), |it| {
            it.as_str().rsplit('@').next().unwrap_or_default().to_ascii_lowercase()
        });
        let gate = Gate::of(&host);
        let patience = Duration::from_millis(self.limits.throttle_wait_ms);
        let mut first: Option<Instant> = None;
        loop {
            let pass = gate.enter(&self.limits).await;
            let answer = self.client.execute(request.clone()).await;
            let answer = answer.map_err(|error| match distrust(&error) {
                // Nobody becomes trustworthy by being asked again.
                Some(why) => Rejected::Distrusted(why).into(),
                None => error,
            })?;
            let status = answer.status().as_u16();
            if !matches!(status, 429 | 503) {
                pass.answered();
                let (head, body) = answer.into_parts();
                let body = HttpResponseBody::new(InFlight { body, pass: Some(pass) });
                return Ok(HttpResponse::from_parts(head, body));
            }
            if patience.is_zero() {
                return Ok(answer);
            }
            let asked = answer.headers().get("retry-after").and_then(|it| it.to_str().ok());
            pass.refused(asked.and_then(|it| retry_after::parse(it, SystemTime::now())));
            // Read before the pass is given back, so that the connection can be used again.
            drop(answer.into_body().bytes().await);
            let waited = first.get_or_insert_with(Instant::now).elapsed();
            if waited >= patience {
                return Err(Rejected::Throttled(Throttled { host, status, waited }).into());
            }
        }
    }
}

/// The body of an answer; the request is in flight until it was read.
struct InFlight {
    body: HttpResponseBody,
    pass: Option<Pass>,
}

impl Body for InFlight {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.pass = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a request was not sent, or no more.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// The host has refused it for as long as was allowed.
    Throttled(Throttled),
    /// It was sent on to where it may not go.
    Redirect(&'static str),
    /// What the host is to know cannot be told.
    Secret(String),
    /// The certificate of the server is not believed.
    Distrusted(String),
    /// The bucket is in another region than the one that was asked.
    Region { configured: String, actual: String },
    /// The credentials are not taken, for the reason of this code; whose they are, masked.
    Credentials { code: String, of_key: String },
}

/// A host that refused a request for all the time that was allowed.
#[derive(Debug, Clone)]
pub(crate) struct Throttled {
    pub(crate) host: String,
    pub(crate) status: u16,
    pub(crate) waited: Duration,
}

impl Rejected {
    pub(super) fn redirect(how: &'static str) -> Self {
        Self::Redirect(how)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled(Throttled { host, status, waited }) => {
                let seconds = waited.as_secs();
                write!(f, "{host} has asked for fewer requests ({status}) for {seconds} s")
            }
            Self::Redirect(how) => write!(f, "the server redirects {how}"),
            Self::Secret(why) => f.write_str(why),
            Self::Distrusted(why) => write!(f, "no connection: {why}"),
            Self::Region { configured, actual } => {
                write!(f, "the bucket is in the region {actual}, and {configured} is configured")
            }
            Self::Credentials { code, .. } => write!(f, "the store answered {code}"),
        }
    }
}

impl std::error::Error for Rejected {}

impl From<Rejected> for HttpError {
    /// Of a kind that nobody repeats.
    fn from(rejected: Rejected) -> Self {
        Self::new(HttpErrorKind::Unknown, rejected)
    }
}
