//! Credentials that others give to this process: STS for a token, a container, a machine of EC2.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use url::Url;

use crate::credentials::Surroundings;
use crate::credentials::process::Keys;

/// Elsewhere nobody answers, and the user should hear so soon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts of each request.
const ATTEMPTS: usize = 2;

const CONTAINER_HOST: &str = "http://169.254.170.2";
/// Hosts beside this machine itself that may be asked without TLS.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
const MACHINE_HOST: &str = "http://169.254.169.254";

/// The client for all of them: to make one reads all certificates of the machine.
pub(super) fn client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: LazyLock<Result<reqwest::Client, String>> = LazyLock::new(build);
    CLIENT.as_ref().map_err(Clone::clone)
}

/// A client that leaves alone what proxies say: these hosts are near.
fn build() -> Result<reqwest::Client, String> {
    // An error says that a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| format!("no client of HTTP: {error}"))
}

/// Asks STS for the keys of a role, by a token that stands in a file.
///
/// # Errors
/// Why there are none.
pub(super) async fn web_identity(
    client: &reqwest::Client,
    surroundings: &Surroundings,
    token_file: &str,
    role: &str,
) -> Result<Keys, String> {
    let token = std::fs::read_to_string(token_file)
        .map_err(|error| format!("the token {token_file} cannot be read: {}", error.kind()))?;
    let session = surroundings.get("AWS_ROLE_SESSION_NAME").unwrap_or("levain".to_owned());
    let endpoint = surroundings.endpoint("sts").unwrap_or_else(|| match surroundings.region() {
        Some(region) => format!("https://sts.{region}.amazonaws.com"),
        None => "https://sts.amazonaws.com".to_owned(),
    });
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "AssumeRoleWithWebIdentity")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", role)
        .append_pair("RoleSessionName", &session)
        .append_pair("WebIdentityToken", token.trim())
        .finish();
    let request = client
        .post(endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/xml")
        .body(form);
    let answer = text_of(request).await?;
    let tag = |name: &str| {
        let (_, after) = answer.split_once(&format!("<{name}>"))?;
        Some(after.split_once('<')?.0.trim().to_owned())
    };
    let lacks = || "STS gave no keys for the token".to_owned();
    Ok(Keys {
        access_key_id: tag("AccessKeyId").ok_or_else(lacks)?,
        secret_access_key: tag("SecretAccessKey").ok_or_else(lacks)?,
        session_token: tag("SessionToken"),
        expiration: tag("Expiration"),
    })
}

/// Asks the container for the keys of its role; nothing if this is no container.
///
/// # Errors
/// Why there are none, although there should be.
pub(super) async fn container(
    client: &reqwest::Client,
    surroundings: &Surroundings,
) -> Result<Option<Keys>, String> {
    let relative = surroundings.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let own = relative.map(|path| format!("{CONTAINER_HOST}{path}"));
    let Some(url) = own.or_else(|| surroundings.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")) else {
        return Ok(None);
    };
    check_near(&url)?;
    let mut request = client.get(url);
    let file = surroundings.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let token = match file {
        Some(path) => Some(
            std::fs::read_to_string(&path)
                .map_err(|error| format!("the token {path} cannot be read: {}", error.kind()))?,
        ),
        None => surroundings.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    if let Some(token) = token {
        request = request.header("authorization", token.trim());
    }
    read_keys(&text_of(request).await?, "the container").map(Some)
}

/// Asks the machine for the keys of its role, by the second version of its protocol.
///
/// # Errors
/// Why there are none; elsewhere than on EC2 nobody answers.
pub(super) async fn machine(
    client: &reqwest::Client,
    surroundings: &Surroundings,
) -> Result<Keys, String> {
    if surroundings.get("AWS_EC2_METADATA_DISABLED").is_some_and(|it| it == "true") {
        return Err("the machine may not be asked (AWS_EC2_METADATA_DISABLED)".to_owned());
    }
    let named = surroundings.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let named = named.or_else(|| surroundings.get("AWS_METADATA_ENDPOINT"));
    let host = named.unwrap_or(MACHINE_HOST.to_owned());
    let host = host.trim_end_matches('/');
    let token = client
        .put(format!("{host}/latest/api/token"))
        .header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let token = text_of(token).await?;
    let roles = format!("{host}/latest/meta-data/iam/security-credentials/");
    let get = |url: &str| client.get(url).header("x-aws-ec2-metadata-token", token.trim());
    let role = text_of(get(&roles)).await?;
    let role = role.lines().next().unwrap_or_default().trim();
    if role.is_empty() {
        return Err("the machine has no role".to_owned());
    }
    read_keys(&text_of(get(&format!("{roles}{role}"))).await?, "the machine")
}

fn read_keys(text: &str, who: &str) -> Result<Keys, String> {
    serde_json::from_str(text).map_err(|_| format!("{who} gave no keys"))
}

/// Sends a request, twice if it fails in passing; the body of a good answer.
async fn text_of(request: reqwest::RequestBuilder) -> Result<String, String> {
    let mut failure = String::new();
    for _ in 0..ATTEMPTS {
        let Some(again) = request.try_clone() else { break };
        match again.send().await {
            Ok(answer) if answer.status().is_success() => {
                return answer.text().await.map_err(|error| error.without_url().to_string());
            }
            Ok(answer) => {
                let status = answer.status();
                failure = format!("the answer was {status}");
                if status.is_client_error() {
                    break;
                }
            }
            Err(error) => failure = innermost(&error.without_url()),
        }
    }
    Err(failure)
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// A token goes to no stranger without TLS.
fn check_near(url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|_| "the URL of the container is none".to_owned())?;
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_own = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
    if parsed.scheme() == "https" || is_own || CONTAINER_HOSTS.contains(&host.as_str()) {
        return Ok(());
    }
    Err(format!("{host} is not asked for credentials without TLS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_to_near_hosts_or_by_tls() {
        for near in ["http://127.0.0.1:9/x", "http://169.254.170.23/v1", "https://a.b/c"] {
            assert!(check_near(near).is_ok(), "{near}");
        }
        for far in ["http://a.b/c", "http://10.0.0.1/", "x"] {
            assert!(check_near(far).is_err(), "{far}");
        }
    }
}
