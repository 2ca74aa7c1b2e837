//! The credentials of AWS of this process: found by the chain, kept until they end, found again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::credentials::Surroundings;
use crate::credentials::machine;
use crate::credentials::process::{Keys, keys_of_command, keys_of_export};
use crate::credentials::profile::{Profile, Way, written_at};
use crate::version::now_ms;

/// Keys are renewed so long before they end, or in the last quarter of a shorter life.
const RENEW_BEFORE_MS: i64 = 5 * 60 * 1000;
/// How often files are looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the chain is asked while a run waits for new keys.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What can be told of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFacts {
    /// Who gave them, and where: `profile work (~/.aws/credentials:7)`, with the whole path.
    pub origin: String,
    /// The access key, masked.
    pub key: String,
    /// When they end, in milliseconds since 1970, if that is known.
    pub expires_at_ms: Option<i64>,
    /// What to do when they have ended.
    pub mend: String,
}

/// A run that waits for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) since_ms: i64,
    pub(crate) message: String,
}

struct Held {
    credential: Arc<AwsCredential>,
    facts: CredentialFacts,
    found_at_ms: i64,
    files: Vec<(PathBuf, Option<SystemTime>)>,
    looked: Instant,
}

/// The chain of one profile, or of the variables.
pub(crate) struct Provider {
    surroundings: Surroundings,
    profile: Option<String>,
    ask_every: Duration,
    held: tokio::sync::Mutex<Option<Held>>,
    pause: Mutex<Option<Pause>>,
}

impl Provider {
    /// The chain of this process for a profile; all who ask share it.
    pub(crate) fn of(profile: Option<&str>) -> Arc<Self> {
        static PROVIDERS: Mutex<BTreeMap<Option<String>, Arc<Provider>>> =
            Mutex::new(BTreeMap::new());
        let mut known = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let name = profile.map(str::to_owned);
        let new = || Arc::new(Self::new(Surroundings::own(), profile, ASK_EVERY));
        Arc::clone(known.entry(name).or_insert_with(new))
    }

    /// The chain in these surroundings; nobody else shares it.
    pub(crate) fn in_surroundings(surroundings: Surroundings) -> Arc<Self> {
        Arc::new(Self::new(surroundings, None, ASK_EVERY))
    }

    pub(super) fn new(
        surroundings: Surroundings,
        profile: Option<&str>,
        ask_every: Duration,
    ) -> Self {
        let profile = profile.map(str::to_owned);
        Self { surroundings, profile, ask_every, held: Default::default(), pause: Mutex::default() }
    }

    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The profile, read now.
    pub(crate) fn profile(&self) -> Profile {
        Profile::load(&self.surroundings, self.profile.as_deref())
    }

    /// How often the chain is asked while somebody waits.
    pub(crate) fn ask_every(&self) -> Duration {
        self.ask_every
    }

    /// Whether somebody waits for new credentials.
    pub(crate) fn pause(&self) -> Option<Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Credentials that have not ended, as far as is known.
    ///
    /// # Errors
    /// Nobody gives any.
    pub(crate) async fn current(&self) -> Result<(Arc<AwsCredential>, CredentialFacts)> {
        let mut held = self.held.lock().await;
        let is_due = held.as_mut().is_none_or(Held::is_due);
        if let Some(known) = held.as_ref().filter(|_| !is_due) {
            return Ok((Arc::clone(&known.credential), known.facts.clone()));
        }
        let found = match self.resolve().await {
            Ok(found) => found,
            Err(error) => match held.as_ref().filter(|it| it.is_alive()) {
                // The old ones still do.
                Some(old) => return Ok((Arc::clone(&old.credential), old.facts.clone())),
                None => return Err(error),
            },
        };
        let found = held.insert(found);
        Ok((Arc::clone(&found.credential), found.facts.clone()))
    }

    /// Other credentials than those that were refused, waiting for them as long as is allowed.
    ///
    /// The user is told once, by a warning; nobody is asked more often than every few seconds.
    ///
    /// # Errors
    /// There are still none.
    pub(crate) async fn renewed(
        &self,
        refused: &AwsCredential,
        grace: Duration,
    ) -> Result<Arc<AwsCredential>> {
        let started = Instant::now();
        // To ask may take longer than is allowed; whoever may wait at all is told that it waits.
        let mut has_waited = grace.is_zero();
        loop {
            let is_last = has_waited && started.elapsed() >= grace;
            match self.other_than(refused).await {
                Ok(Some(new)) => {
                    self.end_pause();
                    return Ok(new);
                }
                Ok(None) if is_last => return Err(self.ended().await),
                Err(error) if is_last => return Err(error),
                Ok(None) | Err(_) => self.begin_pause().await,
            }
            tokio::time::sleep(self.ask_every.min(grace)).await;
            has_waited = true;
        }
    }

    async fn other_than(&self, refused: &AwsCredential) -> Result<Option<Arc<AwsCredential>>> {
        let mut held = self.held.lock().await;
        let is_other = |it: &Held| *it.credential != *refused;
        if let Some(known) = held.as_ref().filter(|it| is_other(it)) {
            return Ok(Some(Arc::clone(&known.credential)));
        }
        let mut found = self.resolve().await?;
        if !is_other(&found) && self.profile.is_none() {
            // Variables of a process stay as they are: new keys can only come by a profile.
            let profile = self.profile();
            if let Ok(Some(of_profile)) = self.of_profile(&profile).await {
                found = of_profile;
            }
        }
        let new = is_other(&found).then(|| Arc::clone(&found.credential));
        *held = Some(found);
        Ok(new)
    }

    async fn begin_pause(&self) {
        let advice = self.advice().await;
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        if pause.is_none() {
            let message =
                format!("the credentials have ended; the run waits for new ones: {advice}");
            tracing::warn!("{message}");
            *pause = Some(Pause { since_ms: now_ms(), message });
        }
    }

    /// Says that credentials are taken again, if somebody was told that they are not.
    pub(crate) fn end_pause(&self) {
        let ended = self.pause.lock().unwrap_or_else(PoisonError::into_inner).take();
        if ended.is_some() {
            tracing::warn!("the credentials are taken again; the run goes on");
        }
    }

    async fn advice(&self) -> String {
        let held = self.held.lock().await;
        held.as_ref().map_or_else(
            || "run `aws sso login`, or write new keys to a profile".to_owned(),
            |it| it.facts.mend.clone(),
        )
    }

    async fn ended(&self) -> Error {
        let held = self.held.lock().await;
        let error = refusal("the credentials have ended, and there are no others");
        match held.as_ref() {
            Some(held) => error
                .at("origin", &held.facts.origin)
                .at("key", &held.facts.key)
                .mend(&held.facts.mend),
            None => error,
        }
    }

    /// Walks the chain.
    async fn resolve(&self) -> Result<Held> {
        let profile = self.profile();
        if self.profile.is_some() {
            let found = self.of_profile(&profile).await?;
            return found.ok_or_else(|| no_keys(&profile.name));
        }
        if let Some(found) = self.of_variables() {
            return Ok(found);
        }
        let token = self.surroundings.get("AWS_WEB_IDENTITY_TOKEN_FILE");
        if let (Some(token), Some(role)) = (token, self.surroundings.get("AWS_ROLE_ARN")) {
            let client = machine::client().map_err(|why| refusal(&why))?;
            let keys = machine::web_identity(client, &self.surroundings, &token, &role).await;
            let origin = format!("web identity {role}");
            let mend = "let the platform write a new token to AWS_WEB_IDENTITY_TOKEN_FILE";
            return self.given(keys, &origin, mend);
        }
        if let Some(found) = self.of_profile(&profile).await? {
            return Ok(found);
        }
        if self.surroundings.profile_name().is_some() {
            return Err(no_keys(&profile.name));
        }
        let client = machine::client().map_err(|why| refusal(&why))?;
        match machine::container(client, &self.surroundings).await {
            Ok(None) => {}
            Ok(Some(keys)) => return self.given(Ok(keys), "the container", "look at its role"),
            Err(why) => return self.given(Err(why), "the container", "look at its role"),
        }
        match machine::machine(client, &self.surroundings).await {
            Ok(keys) => self.given(Ok(keys), "the machine (IMDSv2)", "look at its role"),
            Err(why) => Err(refusal("no credentials were found")
                .at("machine", why)
                .mend("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or run `aws configure`")),
        }
    }

    fn of_variables(&self) -> Option<Held> {
        let get = |name: &str| self.surroundings.get(name);
        let (key_id, secret_key) = (get("AWS_ACCESS_KEY_ID")?, get("AWS_SECRET_ACCESS_KEY")?);
        let credential = AwsCredential { key_id, secret_key, token: get("AWS_SESSION_TOKEN") };
        let mend = "a process keeps its variables: write the new keys to ~/.aws/credentials, or start again with them";
        Some(Held::new(credential, "the environment (AWS_ACCESS_KEY_ID)", mend, None, Vec::new()))
    }

    async fn of_profile(&self, profile: &Profile) -> Result<Option<Held>> {
        let name = &profile.name;
        let keyed = |keys: Result<Keys, String>, how: &str, mend: &str| {
            let mut held = self.given(keys, &format!("profile {name} ({how})"), mend)?;
            held.files.clone_from(&profile.files);
            Ok(Some(held))
        };
        match profile.way() {
            Way::Keys { id, secret, token, place } => {
                let credential = AwsCredential {
                    key_id: id.to_owned(),
                    secret_key: secret.to_owned(),
                    token: token.map(str::to_owned),
                };
                let (origin, mend) =
                    (format!("profile {name} ({place})"), format!("write new keys to {place}"));
                let files = profile.files.clone();
                Ok(Some(Held::new(credential, &origin, &mend, None, files)))
            }
            Way::Process { command, place } => {
                let keys = keys_of_command(command.to_owned()).await;
                keyed(
                    keys,
                    &format!("credential_process, {place}"),
                    &format!("see why the command of {place} fails"),
                )
            }
            Way::Export(way) => {
                let keys = keys_of_export(name).await;
                let mend = match way {
                    "role_arn" => format!(
                        "run `aws sts get-caller-identity --profile {name}`: it needs the aws command, version 2"
                    ),
                    _ => format!(
                        "run `aws sso login --profile {name}`: it needs the aws command, version 2"
                    ),
                };
                keyed(keys, way, &mend)
            }
            Way::Nothing => Ok(None),
        }
    }

    fn given(&self, keys: Result<Keys, String>, origin: &str, mend: &str) -> Result<Held> {
        let keys = keys.map_err(|why| refusal(&why).at("origin", origin).mend(mend))?;
        let expires_at_ms = keys.expires_at_ms();
        let credential = AwsCredential {
            key_id: keys.access_key_id,
            secret_key: keys.secret_access_key,
            token: keys.session_token,
        };
        Ok(Held::new(credential, origin, mend, expires_at_ms, Vec::new()))
    }
}

impl Held {
    fn new(
        credential: AwsCredential,
        origin: &str,
        mend: &str,
        expires_at_ms: Option<i64>,
        files: Vec<(PathBuf, Option<SystemTime>)>,
    ) -> Self {
        let key = masked(&credential.key_id);
        let facts = CredentialFacts {
            origin: origin.to_owned(),
            key,
            expires_at_ms,
            mend: mend.to_owned(),
        };
        let (found_at_ms, looked) = (now_ms(), Instant::now());
        Self { credential: Arc::new(credential), facts, found_at_ms, files, looked }
    }

    fn is_alive(&self) -> bool {
        self.facts.expires_at_ms.is_none_or(|end| end > now_ms())
    }

    /// Whether it is time to look again: near the end, or when a file was written.
    fn is_due(&mut self) -> bool {
        if let Some(end) = self.facts.expires_at_ms {
            let margin = RENEW_BEFORE_MS.min((end - self.found_at_ms) / 4);
            if end - margin <= now_ms() {
                return true;
            }
        }
        if self.looked.elapsed() < LOOK_EVERY {
            return false;
        }
        self.looked = Instant::now();
        self.files.iter().any(|(path, written)| written_at(path) != *written)
    }
}

/// The first and the last letters of a key, which identify it and open nothing.
fn masked(key: &str) -> String {
    match (key.get(..4), key.get(key.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if key.len() >= 12 => format!("{head}****{tail}"),
        _ => "****".to_owned(),
    }
}

fn refusal(why: &str) -> Error {
    Error::new(ErrorCode::CREDENTIALS, ErrorKind::PermissionDenied, why)
}

fn no_keys(name: &str) -> Error {
    let message = format!("the AWS profile `{name}` holds no keys");
    Error::new(ErrorCode::CREDENTIALS, ErrorKind::InvalidInput, message)
        .mend(format!("run `aws configure --profile {name}`, or name another one by AWS_PROFILE"))
}

#[async_trait]
impl CredentialProvider for Provider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.current().await.map(|(credential, _)| credential);
        found.map_err(|error| object_store::Error::Unauthenticated {
            path: String::new(),
            source: Box::new(error),
        })
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("profile", &self.profile).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
