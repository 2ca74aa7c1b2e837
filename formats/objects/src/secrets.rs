//! Secrets that servers ask for, by where they are read from: their values are never kept here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// A secret that goes to these hosts and to no other, whatever a redirect says.
///
/// It is read when the first request needs it, by the process that sends the request, and again
/// when a server answers 401: tokens end during a run. It is sent over TLS only, unless the host is
/// this machine. What is serialised, printed or hashed is the name of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSecret {
    /// Hosts, each with a port where it is not that of the scheme: `data.example.org`.
    pub hosts: Vec<String>,
    /// Where in a request it goes.
    pub place: SecretPlace,
    /// Where it is read from.
    pub source: SecretSource,
}

/// Where in a request a secret goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// `Authorization: Bearer`.
    Bearer,
    /// A parameter of the query, of this name.
    Query(String),
}

/// Where a secret is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment.
    Variable(String),
    /// A file, without white space around it.
    File(PathBuf),
}

impl HostSecret {
    /// Whether a host is one of its own.
    pub(crate) fn is_for(&self, host: &str, port: Option<u16>) -> bool {
        self.hosts.iter().any(|own| {
            // An address of IPv6 has colons of its own.
            let with_port = port.map(|port| format!("{host}:{port}"));
            own.eq_ignore_ascii_case(host)
                || with_port.is_some_and(|it| own.eq_ignore_ascii_case(&it))
        })
    }
}

impl FromStr for SecretSource {
    type Err = Error;

    /// Understands `env:NAME` and `file:PATH`.
    fn from_str(text: &str) -> Result<Self> {
        let known = match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Some(Self::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Some(Self::File(path.into())),
            _ => None,
        };
        known.ok_or_else(|| {
            // The text is not shown: somebody may have written the secret itself.
            let message = "a secret is named by where it is read from, not by itself";
            let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
            error.mend("write env:NAME or file:PATH")
        })
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_by_where_they_are() {
        let read = |text: &str| text.parse::<SecretSource>();
        assert_eq!(read("env:TOKEN"), Ok(SecretSource::Variable("TOKEN".into())));
        assert_eq!(read("file:/a:b"), Ok(SecretSource::File("/a:b".into())));
        for text in ["hunter2", "env:", "file:", "word:hunter2"] {
            let error = read(text).expect_err("no source").to_string();
            assert!(error.contains("env:NAME") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn secrets_go_to_their_own_hosts_only() {
        let secret = HostSecret {
            hosts: vec!["data.org".into(), "127.0.0.1:8080".into()],
            place: SecretPlace::Bearer,
            source: SecretSource::Variable("T".into()),
        };
        assert!(secret.is_for("DATA.org", None) && secret.is_for("data.org", Some(8443)));
        assert!(secret.is_for("127.0.0.1", Some(8080)));
        assert!(!secret.is_for("127.0.0.1", Some(8081)) && !secret.is_for("127.0.0.1", None));
        assert!(!secret.is_for("evil-data.org", None) && !secret.is_for("data.org.evil", None));
    }
}
