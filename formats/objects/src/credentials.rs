//! Credentials that `object_store` does not find by itself: the profiles of `~/.aws`.
//!
//! The chains of `object_store` read the environment and ask the machine; this adds the files, and
//! says in one sentence when nothing was found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use object_store::CredentialProvider;

use crate::secrets::SecretSource;

/// What a profile says about S3.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) key_id: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
}

/// A variable of the environment, unless it is empty.
#[expect(clippy::disallowed_methods, reason = "credential chains are defined by the environment")]
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of a secret, read now.
///
/// # Errors
/// Why it cannot be read; the value is never part of the text.
pub(crate) fn secret_value(source: &SecretSource) -> std::result::Result<String, String> {
    let value = match source {
        SecretSource::Variable(name) => env(name).ok_or_else(|| format!("{source} is not set"))?,
        SecretSource::File(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("{source} cannot be read: {}", error.kind()))?,
    };
    match value.trim() {
        "" => Err(format!("{source} is empty")),
        value => Ok(value.to_owned()),
    }
}

impl Profile {
    /// Reads the profile of the environment, or `default`.
    ///
    /// # Errors
    /// A profile that was named and that the files do not have, or that holds no static keys.
    pub(crate) fn load() -> Result<Self> {
        let folder = env("HOME").map(|home| PathBuf::from(home).join(".aws"));
        let file = |variable: &str, name: &str| {
            env(variable).map(PathBuf::from).or_else(|| Some(folder.as_ref()?.join(name)))
        };
        let read = |path: Option<PathBuf>| {
            path.and_then(|path: PathBuf| std::fs::read_to_string(Path::new(&path)).ok())
        };
        let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
        let config = read(file("AWS_CONFIG_FILE", "config"));
        let named = env("AWS_PROFILE").or_else(|| env("AWS_DEFAULT_PROFILE"));
        Self::parse(&credentials.unwrap_or_default(), &config.unwrap_or_default(), named.as_deref())
    }

    fn parse(credentials: &str, config: &str, named: Option<&str>) -> Result<Self> {
        let name = named.unwrap_or("default");
        let mut values = section(config, &[&format!("profile {name}"), name]);
        values.extend(section(credentials, &[name]));
        let mut take = |key: &str| values.remove(key).filter(|value| !value.is_empty());
        let profile = Self {
            key_id: take("aws_access_key_id"),
            secret: take("aws_secret_access_key"),
            token: take("aws_session_token"),
            region: take("region"),
            endpoint: take("endpoint_url"),
        };
        match named {
            Some(_) if profile.key_id.is_none() => Err(no_keys(name, &values)),
            _ => Ok(profile),
        }
    }
}

fn no_keys(name: &str, others: &BTreeMap<String, String>) -> Error {
    let ways = ["sso_session", "sso_start_url", "role_arn", "credential_process"];
    let way = ways.iter().find(|way| others.contains_key(**way));
    let message = match way {
        Some(way) => format!("the AWS profile `{name}` needs {way}, which is not supported"),
        None => format!("the AWS profile `{name}` holds no keys"),
    };
    Error::new(ErrorCode::CREDENTIALS, ErrorKind::InvalidInput, message).mend(format!(
        "run: eval \"$(aws configure export-credentials --profile {name} --format env)\""
    ))
}

/// The settings of the sections of these names in a file of `~/.aws`; later ones win.
fn section(text: &str, names: &[&str]) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut is_inside = false;
    for line in text.lines() {
        // Indented lines belong to a nested setting of the line above.
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) || is_nested {
            continue;
        }
        match line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            Some((header, _)) => is_inside = names.contains(&header.trim()),
            None if is_inside => {
                if let Some((key, value)) = line.split_once('=') {
                    values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
                }
            }
            None => {}
        }
    }
    values
}

/// Credentials whose failure is told as such, not as a failure of the request that needed them.
#[derive(Debug)]
pub(crate) struct Explained<T>(pub(crate) Arc<dyn CredentialProvider<Credential = T>>);

#[async_trait]
impl<T: std::fmt::Debug + Send + Sync + 'static> CredentialProvider for Explained<T> {
    type Credential = T;

    async fn get_credential(&self) -> object_store::Result<Arc<T>> {
        self.0.get_credential().await.map_err(|_| object_store::Error::Unauthenticated {
            path: String::new(),
            source: "no credentials were found".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "[default]\naws_access_key_id = A\naws_secret_access_key=B\n\
        # a comment\n[work]\naws_access_key_id=C\naws_secret_access_key=D\naws_session_token=E\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\ns3 =\n  region = nested\n\
        [profile work]\nregion=us-west-2\nendpoint_url=https://e\n[profile sso]\nsso_session = x\n";

    #[track_caller]
    fn check(named: Option<&str>, want: [Option<&str>; 5]) {
        let got = Profile::parse(CREDENTIALS, CONFIG, named).expect("a profile");
        let got = [got.key_id, got.secret, got.token, got.region, got.endpoint];
        assert_eq!(got, want.map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn profiles_join_both_files() {
        check(None, [Some("A"), Some("B"), None, Some("eu-west-1"), None]);
        check(
            Some("work"),
            [Some("C"), Some("D"), Some("E"), Some("us-west-2"), Some("https://e")],
        );
    }

    #[test]
    fn a_profile_without_keys_is_an_error_only_if_it_was_named() {
        let says = |named: &str| match Profile::parse(CREDENTIALS, CONFIG, Some(named)) {
            Ok(_) => panic!("{named} has no keys"),
            Err(error) => error.to_string(),
        };
        assert!(says("sso").contains("needs sso_session"));
        assert!(says("missing").contains("`missing` holds no keys"));
        assert!(Profile::parse("", "", None).is_ok_and(|profile| profile == Profile::default()));
    }
}
