//! Uploads in parts that were begun and never ended: no list of objects shows them, and S3 keeps their
//! parts, and bills them, until somebody gives them up.
//!
//! `object_store` has no list of them, so it is asked for here: signed by the credentials of the store, and
//! sent as all its other requests are. Azure and Google forget what was not ended by themselves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dataflow::error::{ErrorCode, ErrorKind, Result};
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use reqwest::Method;
use serde::Deserialize;
use url::Url;

use crate::failure::failed;
use crate::requests::Object;

/// The wait before the first repetition; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Of a signature that is made to learn where the bucket is, and that nobody sends.
const UNSENT: Duration = Duration::from_secs(60);

/// Whom S3 is asked through for what `object_store` does not ask.
#[derive(Debug, Clone)]
pub(crate) struct Uploads {
    pub(crate) store: Arc<AmazonS3>,
    pub(crate) client: HttpClient,
}

/// A page of a list of uploads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    #[serde(default, rename = "Upload")]
    uploads: Vec<Listed>,
}

/// An upload that has no end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    pub(crate) key: String,
    upload_id: String,
}

/// The uploads below a folder; none where they cannot be listed, which the user is told.
///
/// # Errors
/// A store that fails.
pub(crate) async fn list(folder: &Object, retry_count: usize) -> Result<Vec<Listed>> {
    let Some(uploads) = &folder.client.uploads else { return Ok(Vec::new()) };
    let listed = uploads.all_below(folder, retry_count).await;
    let error = match listed {
        Ok(listed) => return Ok(listed),
        Err(error) => failed("list the uploads below", &folder.shown, &error),
    };
    // A store may be good enough for everything else.
    let is_refused = error.code() == ErrorCode::STORE_DENIED
        || (error.code() == ErrorCode::STORE_FAILED && error.kind() == ErrorKind::InvalidInput);
    if !is_refused {
        return Err(error);
    }
    tracing::warn!(
        "uploads that were cut short may stay below {}: {error}; allow \
         s3:ListBucketMultipartUploads, or let a rule of the bucket abort incomplete uploads",
        folder.shown
    );
    Ok(Vec::new())
}

/// Gives up the uploads below a folder, and says how many there were.
///
/// # Errors
/// A store that fails.
pub(crate) async fn give_up(folder: &Object, retry_count: usize) -> Result<u64> {
    let Some(uploads) = &folder.client.uploads else { return Ok(0) };
    let listed = list(folder, retry_count).await?;
    for upload in &listed {
        let _permit = folder.client.permit().await;
        let path = Path::parse(&upload.key).map_err(object_store::Error::from);
        let given_up = match path {
            Ok(path) => uploads.store.abort_multipart(&path, &upload.upload_id).await,
            Err(error) => Err(error),
        };
        match given_up {
            // Somebody else has ended it.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed("give up an upload below", &folder.shown, &error)),
        }
    }
    Ok(listed.len() as u64)
}

impl Uploads {
    async fn all_below(
        &self,
        folder: &Object,
        retry_count: usize,
    ) -> object_store::Result<Vec<Listed>> {
        let prefix = match folder.path.as_ref() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let _permit = folder.client.permit().await;
            let body = self.page(&prefix, after.as_ref(), retry_count).await?;
            let page: Page = quick_xml::de::from_reader(body.as_ref()).map_err(generic)?;
            found.extend(page.uploads.into_iter().filter(|it| it.key.starts_with(&prefix)));
            match (page.next_key_marker, page.next_upload_id_marker) {
                (Some(key), Some(id)) if page.is_truncated => after = Some((key, id)),
                _ => return Ok(found),
            }
        }
    }

    /// Asks for a page, and again when it was not answered, as `object_store` does.
    async fn page(
        &self,
        prefix: &str,
        after: Option<&(String, String)>,
        retry_count: usize,
    ) -> object_store::Result<Bytes> {
        let mut wait = FIRST_WAIT;
        for _ in 0..retry_count {
            match self.ask(prefix, after).await? {
                Ok(body) => return Ok(body),
                Err(NoAnswer { may_heal: true, .. }) => {}
                Err(no_answer) => return Err(no_answer.into()),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.ask(prefix, after).await?.map_err(Into::into)
    }

    async fn ask(
        &self,
        prefix: &str,
        after: Option<&(String, String)>,
    ) -> object_store::Result<std::result::Result<Bytes, NoAnswer>> {
        let request = self.request(prefix, after).await?;
        let answer = match self.client.execute(request).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
        let status = answer.status();
        let body = match answer.into_body().bytes().await {
            Ok(body) => body,
            Err(error) => return Ok(Err(error.into())),
        };
        if status.is_success() {
            return Ok(Ok(body));
        }
        let may_heal = matches!(status.as_u16(), 408 | 429 | 500 | 502..=504);
        let refused = Refused(format!("{status}: {}", String::from_utf8_lossy(&body)));
        Ok(Err(NoAnswer { may_heal, why: Box::new(refused) }))
    }

    /// A signed request for a page.
    async fn request(
        &self,
        prefix: &str,
        after: Option<&(String, String)>,
    ) -> object_store::Result<HttpRequest> {
        let bucket = self.store.signed_url(Method::GET, &Path::default(), UNSENT).await?;
        let region = region_of(&bucket).unwrap_or_default();
        let mut url = bucket;
        url.query_pairs_mut().clear().append_pair("uploads", "").append_pair("prefix", prefix);
        if let Some((key, id)) = after {
            let mut query = url.query_pairs_mut();
            query.append_pair("key-marker", key).append_pair("upload-id-marker", id);
        }
        // Of a space, a plus in a query is read in two ways.
        let query = url.query().map(|query| query.replace('+', "%20"));
        url.set_query(query.as_deref());
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(generic)?;
        let credential = self.store.credentials().get_credential().await?;
        let authorizer = AwsAuthorizer::new(&credential, "s3", &region);
        authorizer.try_authorize(&mut request, None)?;
        Ok(request)
    }
}

/// The region of the scope for which a URL is signed.
fn region_of(url: &Url) -> Option<String> {
    let (_, scope) = url.query_pairs().find(|(name, _)| name == "X-Amz-Credential")?;
    scope.split('/').nth(2).map(str::to_owned)
}

/// Why a request has no answer.
struct NoAnswer {
    may_heal: bool,
    why: Box<dyn std::error::Error + Send + Sync>,
}

impl From<HttpError> for NoAnswer {
    fn from(error: HttpError) -> Self {
        use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
        let may_heal = matches!(error.kind(), Connect | Interrupted | Request | Timeout);
        Self { may_heal, why: Box::new(error) }
    }
}

impl From<NoAnswer> for object_store::Error {
    fn from(no_answer: NoAnswer) -> Self {
        Self::Generic { store: "S3", source: no_answer.why }
    }
}

fn generic(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}

/// A refusal, in the words of `object_store`.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server returned non-2xx status code: {}", self.0)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::loopback::{Answer, Loopback};
    use crate::{Location, Objects, StoreOptions};

    fn open(place: &str, endpoint: &str) -> Objects {
        let options = StoreOptions::default()
            .with_endpoint(endpoint)
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        let root = Location::parse(place).expect("a location");
        Objects::open(&root, &options).expect("opens")
    }

    /// Begins an object of two parts, as a process does that is killed before it has ended it.
    fn begin(store: &Objects, key: &str) {
        let mut writer = store.writer(key).expect("a key").in_parts().expect("an upload");
        writer.write_all(&vec![7; (8 << 20) + 1]).expect("a part is sent");
        std::mem::forget(writer);
    }

    #[test]
    fn an_upload_that_nobody_ends_is_found_and_given_up() {
        for (server, endpoint) in dataflow::testing::s3_servers() {
            let root = open("s3://levain-test/uploads", &endpoint);
            root.sweep("").expect("what an earlier test left");
            let store = open("s3://levain-test/uploads/a", &endpoint);
            let other = open("s3://levain-test/uploads/ab", &endpoint);
            let keys = ["b c/+&=%é", "k", "k"];
            keys.iter().for_each(|key| begin(&store, key));
            begin(&other, "k");
            let left = |store: &Objects, prefix: &str| store.unfinished(prefix).expect("a list");
            assert_eq!(left(&store, ""), keys, "{server}");
            assert_eq!(left(&store, "b c"), keys[..1], "{server}");
            assert_eq!(store.list("").expect("a list"), [], "{server}: no object is visible");
            store.sweep("b c").expect("swept");
            assert_eq!(left(&store, ""), ["k", "k"], "{server}");
            store.sweep("").expect("swept");
            assert_eq!((left(&store, "").len(), left(&other, "").len()), (0, 1), "{server}");
            other.sweep("").expect("swept");
        }
    }

    #[test]
    fn lists_are_read_to_their_end_and_asked_for_again() {
        let page = |key: &str, more: &str| {
            let body = format!(
                "<ListMultipartUploadsResult>{more}<Upload><Key>{key}</Key><UploadId>1</UploadId>\
                 <Initiator><ID>x</ID></Initiator></Upload></ListMultipartUploadsResult>"
            );
            Answer { body: body.into_bytes(), ..Answer::status(200) }
        };
        let server = Loopback::start(move |_, seen| match seen.place {
            0 => Answer::status(500),
            1 => page(
                "p/a&amp;b",
                "<IsTruncated>true</IsTruncated><NextKeyMarker>p/a&amp;b</NextKeyMarker>\
                 <NextUploadIdMarker>1</NextUploadIdMarker>",
            ),
            _ => page("p/c", "<IsTruncated>false</IsTruncated>"),
        });
        let store = open("s3://b/p", &server.url(""));
        assert_eq!(store.unfinished("").expect("a list"), ["a&b", "c"]);
        let seen = server.seen();
        let last = &seen.last().expect("requests").target;
        assert!(last.contains("key-marker=p%2Fa%26b&upload-id-marker=1"), "{last}");
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn who_may_not_list_them_goes_on_and_who_has_no_keys_does_not() {
        let refusing = |status: u16, code: &'static str| {
            let server = Loopback::start(move |_, _| {
                let body = format!("<Error><Code>{code}</Code></Error>").into_bytes();
                Answer { body, ..Answer::status(status) }
            });
            open("s3://b/p", &server.url("")).unfinished("")
        };
        assert_eq!(refusing(403, "AccessDenied").expect("told"), Vec::<String>::new());
        assert_eq!(refusing(501, "NotImplemented").expect("told"), Vec::<String>::new());
        let error = refusing(403, "InvalidAccessKeyId").expect_err("no keys");
        assert_eq!(error.code(), ErrorCode::CREDENTIALS, "{error}");
    }
}
