//! Credentials: what the environment and the files of a user say, and who is asked otherwise.
//!
//! ```text
//!   variables ─► web identity ─► profile (keys, SSO and roles, process) ─► container ─► machine
//! ```
//!
//! Those of AWS are our own chain, so that S3 and other services of AWS share what was found, know
//! when it ends, and look again when it has ended. Those of Google and Azure are of `object_store`.

mod machine;
mod process;
mod profile;
mod provider;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;

use crate::secrets::SecretSource;

pub use provider::CredentialFacts;
pub(crate) use provider::Provider;

/// A variable of the environment, unless it is empty.
#[expect(clippy::disallowed_methods, reason = "credential chains are defined by the environment")]
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Looks up a variable.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What chains of credentials are told by their surroundings.
#[derive(Clone)]
pub(crate) struct Surroundings(Arc<Lookup>);

impl Surroundings {
    /// Those of this process.
    pub(crate) fn own() -> Self {
        Self(Arc::new(env))
    }

    /// These variables alone.
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables: BTreeMap<String, String> = pairs.collect();
        Self(Arc::new(move |name| variables.get(name).cloned()))
    }

    /// A variable, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    /// A file of `~/.aws`, or where a variable says that it is.
    fn aws_file(&self, variable: &str, name: &str) -> Option<PathBuf> {
        let own = || Some(PathBuf::from(self.get("HOME")?).join(".aws").join(name));
        self.get(variable).map(PathBuf::from).or_else(own)
    }

    /// The profile that is meant where nobody names one.
    pub(crate) fn profile_name(&self) -> Option<String> {
        self.get("AWS_PROFILE").or_else(|| self.get("AWS_DEFAULT_PROFILE"))
    }

    /// The region of the variables.
    pub(crate) fn region(&self) -> Option<String> {
        self.get("AWS_REGION").or_else(|| self.get("AWS_DEFAULT_REGION"))
    }

    /// The URL of a service of AWS, where the variables name one.
    pub(crate) fn endpoint(&self, service: &str) -> Option<String> {
        let own = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
        self.get(&own).or_else(|| self.get("AWS_ENDPOINT_URL"))
    }
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings")
    }
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
