//! Puts secrets into requests to their own hosts.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::client::HttpRequest;
use percent_encoding::percent_decode_str;
use url::{Url, form_urlencoded};

use crate::credentials::secret_value;
use crate::polite::Rejected;
use crate::secrets::{HostSecret, SecretPlace};

/// What is told to which host; clones share what was read.
#[derive(Debug, Clone)]
pub(crate) struct Authoriser {
    secrets: Arc<[Held]>,
    /// The user and the password that a URL names, for its own host: `Basic ...`.
    user: Option<(String, Hidden)>,
}

#[derive(Debug)]
struct Held {
    secret: HostSecret,
    value: Mutex<Option<Hidden>>,
}

/// A secret value, which is never shown.
#[derive(Clone, PartialEq, Eq)]
struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The secret that a request has used: its place in the list, and its value.
#[derive(Debug)]
pub(crate) struct Used(Vec<(usize, Hidden)>);

impl Authoriser {
    /// For these secrets, and for the user that a URL names.
    pub(crate) fn new(secrets: &[HostSecret], base_url: &str) -> Self {
        let held = |secret: &HostSecret| Held { secret: secret.clone(), value: Mutex::default() };
        let user = Url::parse(base_url).ok().filter(|url| !url.username().is_empty());
        let user = user.map(|url| {
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (name, word) = (plain(url.username()), plain(url.password().unwrap_or_default()));
            let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{word}")));
            (origin(&url), Hidden(basic))
        });
        Self { secrets: secrets.iter().map(held).collect(), user }
    }

    /// Adds what the host of a request is to know.
    ///
    /// # Errors
    /// A secret that cannot be read, or a host that is reached without TLS.
    pub(crate) fn authorise(
        &self,
        mut request: HttpRequest,
    ) -> Result<(HttpRequest, Used), Rejected> {
        let strange = || Rejected::Secret("the request has no URL".to_owned());
        let mut url = Url::parse(&request.uri().to_string()).map_err(|_| strange())?;
        let mut used = Used(Vec::new());
        if let Some((_, basic)) = self.user.as_ref().filter(|(own, _)| *own == origin(&url)) {
            add_header(&mut request, &basic.0)?;
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port();
        let own = self.secrets.iter().enumerate().filter(|it| it.1.secret.is_for(&host, port));
        for (place, held) in own {
            if url.scheme() != "https" && !is_this_machine(&host) {
                let why = format!("the secret of {host} is not sent without TLS");
                return Err(Rejected::Secret(why));
            }
            let value = held.value()?;
            match &held.secret.place {
                SecretPlace::Bearer => add_header(&mut request, &format!("Bearer {}", value.0))?,
                SecretPlace::Query(name) => set_parameter(&mut url, name, &value.0),
            }
            used.0.push((place, value));
        }
        // Nobody but the header tells the user.
        let had_user = url.set_username("").and_then(|()| url.set_password(None)).is_ok();
        debug_assert!(had_user, "an http URL can have a user");
        *request.uri_mut() = url.as_str().parse().map_err(|_| strange())?;
        Ok((request, used))
    }

    /// Reads again what a request has used; whether that is something else now.
    ///
    /// # Errors
    /// A secret that cannot be read any more.
    pub(crate) fn is_renewed(&self, used: Used) -> Result<bool, Rejected> {
        let mut is_renewed = false;
        for (place, old) in used.0 {
            let held = &self.secrets[place];
            let now = read(&held.secret)?;
            is_renewed |= now != old;
            *held.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        Ok(is_renewed)
    }
}

impl Held {
    fn value(&self) -> Result<Hidden, Rejected> {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        match &*value {
            Some(known) => Ok(known.clone()),
            None => Ok(value.insert(read(&self.secret)?).clone()),
        }
    }
}

fn read(secret: &HostSecret) -> Result<Hidden, Rejected> {
    let value = secret_value(&secret.source).map_err(Rejected::Secret)?;
    Ok(Hidden(value))
}

fn add_header(request: &mut HttpRequest, value: &str) -> Result<(), Rejected> {
    let strange = |_| Rejected::Secret("the secret has signs that no header can hold".to_owned());
    let mut value = reqwest::header::HeaderValue::from_str(value).map_err(strange)?;
    value.set_sensitive(true);
    request.headers_mut().insert(reqwest::header::AUTHORIZATION, value);
    Ok(())
}

/// Sets a parameter of the query, in place of one that is there.
fn set_parameter(url: &mut Url, name: &str, value: &str) {
    let is_other = |pair: &&str| {
        form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(other, _)| other != name)
    };
    let mut pairs: Vec<String> =
        url.query().unwrap_or_default().split('&').filter(is_other).map(str::to_owned).collect();
    pairs.push(form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish());
    url.set_query(Some(&pairs.join("&")));
}

/// Scheme, host and port: whom a password is for.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}
