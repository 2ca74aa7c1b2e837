use super::*;
use crate::loopback::{Answer, Loopback};
use crate::pending::Pending;

impl Provider {
    /// The chain of a home folder alone.
    pub(crate) fn in_home(home: &str, ask_every: Duration) -> Self {
        let alone = [("HOME", home), ("AWS_EC2_METADATA_DISABLED", "true")];
        Self::new(Surroundings::of(&alone), None, ask_every)
    }
}

/// What the chain finds with these variables and these files below `HOME/.aws`.
fn find(
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
    profile: Option<&str>,
) -> Result<Found> {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".aws")).expect("a folder");
    for (name, text) in files {
        std::fs::write(home.path().join(".aws").join(name), text).expect("written");
    }
    let mut all = vec![("HOME", home.path().to_str().expect("UTF-8"))];
    all.extend(variables);
    let provider = Provider::new(Surroundings::of(&all), profile, Duration::ZERO);
    let (credential, facts) = Pending::start(async move { provider.current().await }).wait()?;
    Ok((credential.key_id.clone(), credential.token.clone(), facts))
}

type Found = (String, Option<String>, CredentialFacts);

const ALONE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");
const KEYS: (&str, &str) =
    ("credentials", "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n");
const OWN: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "OWN"), ("AWS_SECRET_ACCESS_KEY", "s")];

/// A server that gives keys as containers and machines do.
fn giver() -> Loopback {
    Loopback::start(|_, seen| {
        let json = |id: &str| {
            let text = format!(
                r#"{{"AccessKeyId":"{id}","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}}"#
            );
            Answer { body: text.into_bytes(), ..Answer::status(200) }
        };
        match (seen.method.as_str(), seen.target.as_str()) {
            ("GET", "/container") if seen.header("authorization") == Some("word") => {
                json("CONTAINER")
            }
            ("PUT", "/latest/api/token") => {
                Answer { body: b"session".to_vec(), ..Answer::status(200) }
            }
            (_, target) if target.starts_with("/latest/") => {
                if seen.header("x-aws-ec2-metadata-token") != Some("session") {
                    return Answer::status(401);
                }
                match target.strip_prefix("/latest/meta-data/iam/security-credentials/") {
                    Some("") => Answer { body: b"role".to_vec(), ..Answer::status(200) },
                    Some("role") => json("MACHINE"),
                    _ => Answer::status(404),
                }
            }
            ("POST", "/") if seen.body.contains("WebIdentityToken=jwt") => {
                let text = "<R><Credentials><AccessKeyId>WEB</AccessKeyId><SecretAccessKey>s\
                    </SecretAccessKey><SessionToken>t</SessionToken><Expiration>\
                    2999-01-01T00:00:00Z</Expiration></Credentials></R>";
                Answer { body: text.into(), ..Answer::status(200) }
            }
            _ => Answer::status(404),
        }
    })
}

/// E15: variables, then web identity, then profiles, then the container, then the machine.
#[test]
fn the_chain_asks_in_the_order_of_aws() {
    let server = giver();
    let (host, url) = (server.url(""), server.url("container"));
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "jwt\n").expect("written");
    let machine = vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", host.as_str())];
    let mut container = machine.clone();
    container.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()));
    container.push(("AWS_CONTAINER_AUTHORIZATION_TOKEN", "word"));
    let mut web = container.clone();
    web.push(("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("UTF-8")));
    web.push(("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x"));
    web.push(("AWS_ENDPOINT_URL_STS", host.as_str()));
    let mut own = web.clone();
    own.extend(OWN);
    let check = |variables: &[(&str, &str)], files: &[(&str, &str)], want: &str, says: &str| {
        let (key, token, facts) = find(variables, files, None).expect("credentials");
        assert_eq!(key, want);
        assert!(facts.origin.contains(says), "{facts:?}");
        assert_eq!(token.is_some(), facts.expires_at_ms.is_some(), "{facts:?}");
        assert!(!format!("{facts:?}").contains("\"s\""), "{facts:?}");
    };
    check(&own, &[KEYS], "OWN", "the environment");
    check(&web, &[KEYS], "WEB", "web identity");
    check(&container, &[KEYS], "FILE", ".aws/credentials:2");
    check(&container, &[], "CONTAINER", "the container");
    check(&machine, &[], "MACHINE", "IMDSv2");
    // A profile that is named holds over all of them.
    let named = [("credentials", "[p]\naws_access_key_id=NAMED\naws_secret_access_key=s\n")];
    let (key, _, facts) = find(&own, &named, Some("p")).expect("credentials");
    assert_eq!((key.as_str(), facts.key.as_str()), ("NAMED", "****"));
}

/// E15: keys of a `credential_process`, with their end.
#[test]
fn a_process_prints_keys() {
    let with = |command: &str| {
        let config = format!("[profile tool]\ncredential_process = {command}\n");
        find(&[ALONE], &[("config", &config)], Some("tool"))
    };
    let json = r#"{"Version":1,"AccessKeyId":"PRINTED","SecretAccessKey":"s","SessionToken":"t","Expiration":"2999-01-01T00:00:00Z"}"#;
    let (key, token, facts) = with(&format!("sh -c 'echo \"$0\"' '{json}'")).expect("keys");
    assert_eq!((key.as_str(), token.as_deref()), ("PRINTED", Some("t")));
    assert!(facts.origin.contains("profile tool (credential_process, "), "{facts:?}");
    assert_eq!(facts.expires_at_ms, Some(32_472_144_000_000));
    let check = |command: &str, says: &str| {
        let error = with(command).map(|_| ()).expect_err(command).to_string();
        assert!(error.contains(says) && error.contains("mend"), "{error}");
    };
    check("no-such-command-of-ours", "there is no command");
    check("sh -c 'echo locked >&2; exit 3'", "locked");
    check("echo nothing", "printed no credentials");
}

#[test]
fn nobody_who_gives_credentials_is_an_error_with_a_mend() {
    let check = |variables: &[(&str, &str)], profile: Option<&str>, says: &[&str]| {
        let error = find(variables, &[], profile).map(|_| ()).expect_err("none").to_string();
        assert!(says.iter().all(|word| error.contains(word)), "{error}");
    };
    check(&[ALONE], None, &["error[E602]", "no credentials were found", "AWS_ACCESS_KEY_ID"]);
    check(&[ALONE], Some("p"), &["profile `p` holds no keys", "aws configure --profile p"]);
    check(&[ALONE, ("AWS_PROFILE", "q")], None, &["profile `q` holds no keys"]);
    let far = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/");
    check(&[ALONE, far], None, &["example.org is not asked", "the container"]);
}

/// E47, E49: variables cannot change, but a profile can take their place.
#[test]
fn keys_of_variables_that_have_ended_give_way_to_a_profile() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join(".aws")).expect("a folder");
    let mut all = vec![("HOME", home.path().to_str().expect("UTF-8")), ALONE];
    all.extend(OWN);
    let provider = Arc::new(Provider::new(Surroundings::of(&all), None, Duration::ZERO));
    let ask = |provider: Arc<Provider>| {
        let asked = async move {
            let (old, _) = provider.current().await?;
            provider.renewed(&old, Duration::ZERO).await.map(|new| new.key_id.clone())
        };
        Pending::start(asked).wait()
    };
    let error = ask(Arc::clone(&provider)).expect_err("the same keys").to_string();
    assert!(error.contains("a process keeps its variables"), "{error}");
    std::fs::write(home.path().join(".aws/credentials"), KEYS.1).expect("written");
    assert_eq!(ask(provider).expect("new keys"), "FILE");
}

#[test]
fn keys_that_end_soon_are_asked_for_again_and_a_failure_keeps_the_old() {
    let held = |life_ms: i64, age_ms: i64| {
        let credential = AwsCredential { key_id: "K".into(), secret_key: "s".into(), token: None };
        let end = now_ms() - age_ms + life_ms;
        let mut held = Held::new(credential, "", "", Some(end), Vec::new());
        held.found_at_ms = now_ms() - age_ms;
        (held.is_due(), held.is_alive())
    };
    assert_eq!(held(3_600_000, 0), (false, true));
    assert_eq!(held(3_600_000, 3_400_000), (true, true));
    assert_eq!(held(20_000, 10_000), (false, true));
    assert_eq!(held(20_000, 16_000), (true, true));
    assert_eq!(held(20_000, 21_000), (true, false));
}
