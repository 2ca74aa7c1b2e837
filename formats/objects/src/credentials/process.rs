//! Credentials that a command prints: that of a profile, or the command of AWS itself.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How long a command may take: it may ask another service, and retry.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Temporary keys, as commands, containers and machines give them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Keys {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    #[serde(alias = "Token")]
    pub(super) session_token: Option<String>,
    pub(super) expiration: Option<String>,
}

impl Keys {
    /// When they end, in milliseconds since 1970.
    pub(super) fn expires_at_ms(&self) -> Option<i64> {
        let text = self.expiration.as_deref()?;
        Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())
    }
}

/// Runs a command line of a profile, and reads the keys that it prints.
///
/// # Errors
/// Why there are none, without anything of what was printed on stdout.
pub(super) async fn keys_of_command(line: String) -> Result<Keys, String> {
    let words = split_words(&line);
    let Some((program, arguments)) = words.split_first() else {
        return Err("the command is empty".to_owned());
    };
    run(program.clone(), arguments.to_vec()).await
}

/// Asks the command of AWS for the keys of a profile: it knows SSO, roles and their caches.
///
/// # Errors
/// Why there are none.
pub(super) async fn keys_of_export(profile: &str) -> Result<Keys, String> {
    let arguments =
        ["configure", "export-credentials", "--profile", profile, "--format", "process"];
    run("aws".to_owned(), arguments.map(str::to_owned).to_vec()).await
}

async fn run(program: String, arguments: Vec<String>) -> Result<Keys, String> {
    let done = tokio::task::spawn_blocking(move || run_blocking(&program, &arguments)).await;
    done.unwrap_or_else(|_| Err("the command was not waited for".to_owned()))
}

fn run_blocking(program: &str, arguments: &[String]) -> Result<Keys, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no command `{program}`"),
            _ => format!("`{program}` cannot be started: {error}"),
        })?;
    let drained = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read is no JSON, and is told as such.
            drop(pipe.map(|mut pipe| pipe.read_to_string(&mut text)));
            text
        })
    };
    let out = drained(child.stdout.take().map(|it| Box::new(it) as _));
    let told = drained(child.stderr.take().map(|it| Box::new(it) as _));
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < PROCESS_TIMEOUT => pause(),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("`{program}` took more than {} s", PROCESS_TIMEOUT.as_secs()));
            }
            Err(error) => return Err(format!("`{program}` was lost: {error}")),
        }
    };
    let (out, told) = (out.join().unwrap_or_default(), told.join().unwrap_or_default());
    if !status.success() {
        let last = told.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(format!("`{program}` ended with {status}: {}", last.trim()));
    }
    serde_json::from_str(&out).map_err(|_| format!("`{program}` printed no credentials"))
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own waits for a child")]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

/// The words of a command line: white space parts them, but not within quotes.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_have_words_and_quotes() {
        let check = |line: &str, want: &[&str]| assert_eq!(split_words(line), want, "{line}");
        check("/bin/tool --for me", &["/bin/tool", "--for", "me"]);
        check(r#""/my tool" 'a "b"' c\ d ''"#, &["/my tool", "a \"b\"", "c d", ""]);
        check("  ", &[]);
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        let keys = |expiration: &str| Keys {
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: None,
            expiration: Some(expiration.to_owned()),
        };
        assert_eq!(keys("1970-01-01T00:00:01Z").expires_at_ms(), Some(1000));
        assert_eq!(keys("1970-01-01T01:00:01+01:00").expires_at_ms(), Some(1000));
        assert_eq!(keys("soon").expires_at_ms(), None);
    }
}
